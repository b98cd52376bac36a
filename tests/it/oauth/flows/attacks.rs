//! What must not work.

use super::*;

#[tokio::test]
async fn a_code_works_once_and_coming_again_ends_all_that_it_gave() {
    let (app, mut owner, visited) = shop().await;
    let code = visited.code(&mut owner).await;
    let reply = visited.exchange(&app, &code).await;
    let (access, refresh) = (access_token(&reply), refresh_token(&reply));
    assert_refused(&visited.exchange(&app, &code).await, 400, "invalid_grant");
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 401);
    assert_refused(&visited.refresh(&app, &refresh).await, 400, "invalid_grant");
    let other = node(&app, master_key(&app)).await.unwrap();
    let now = app.clock.now().to_jiff();
    assert!(other.signer.verify(&access, now).is_err(), "on every node");
}

#[tokio::test]
async fn who_has_the_code_alone_neither_gets_nor_ends_anything() {
    let (app, mut owner, visited) = shop().await;
    let thief = Visited::start(&app, WANTED, false).await;
    let code = visited.code(&mut owner).await;
    let reply = visited.exchange(&app, &code).await;
    let access = access_token(&reply);
    let fresh = visited.code(&mut owner).await;
    let verifier = "another-verifier-of-enough-characters-000000";
    for code in [&code, &fresh] {
        let good = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", PLACE),
            ("code_verifier", VERIFIER),
        ];
        assert_refused(&thief.ask(&app, &good).await, 400, "invalid_grant");
        for (name, value, error) in [
            ("code_verifier", verifier, "invalid_grant"),
            ("code_verifier", "short", "invalid_grant"),
            ("code_verifier", &challenge(VERIFIER), "invalid_grant"),
            ("code_verifier", "", "invalid_request"),
            (
                "redirect_uri",
                "https://app.example/two?x=1",
                "invalid_grant",
            ),
            ("redirect_uri", "https://app.example/CB", "invalid_grant"),
            ("code", "ac_unknown", "invalid_grant"),
            ("code", "", "invalid_request"),
        ] {
            let fields = good.map(|(known, old)| (known, if known == name { value } else { old }));
            let reply = visited.ask(&app, &fields).await;
            assert_refused(&reply, 400, error);
        }
    }
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 200);
    assert_eq!(visited.exchange(&app, &fresh).await.status, 200);
}

#[tokio::test]
async fn a_code_is_too_old_after_a_minute() {
    let (app, mut owner, visited) = shop().await;
    let code = visited.code(&mut owner).await;
    let other = visited.code(&mut owner).await;
    app.clock.advance(Duration::from_secs(59));
    assert_eq!(visited.exchange(&app, &code).await.status, 200);
    app.clock.advance(SECOND);
    assert_refused(&visited.exchange(&app, &other).await, 400, "invalid_grant");
}

#[tokio::test]
async fn the_refresh_token_of_one_client_is_nothing_to_another() {
    let (app, mut owner, visited) = shop().await;
    let (_, token) = visited.tokens(&app, &mut owner).await;
    for is_public in [false, true] {
        let thief = Visited::start(&app, WANTED, is_public).await;
        assert_refused(&thief.refresh(&app, &token).await, 400, "invalid_grant");
    }
    let mut bare = visited.clone();
    bare.secret = None;
    assert_refused(&bare.refresh(&app, &token).await, 401, "invalid_client");
    for nonsense in [
        "rt_",
        "x",
        &"rt_".repeat(500),
        &token[..45],
        &format!("{token}x"),
    ] {
        assert_refused(&visited.refresh(&app, nonsense).await, 400, "invalid_grant");
    }
    assert_eq!(visited.refresh(&app, &token).await.status, 200, "it lives");
}

#[tokio::test]
async fn a_public_client_is_not_let_in_by_a_secret() {
    let (app, mut owner, _) = shop().await;
    let public = Visited::start(&app, WANTED, true).await;
    let code = public.code(&mut owner).await;
    let secret = rotate(&app, &public.id, Duration::ZERO).await;
    app.clock.advance(SECOND);
    let armed = Visited {
        secret: Some(secret),
        ..public.clone()
    };
    assert_refused(&armed.exchange(&app, &code).await, 401, "invalid_client");
    assert_eq!(public.exchange(&app, &code).await.status, 200);
}

/// Nobody is sent to an address that is not exactly one that the client registered.
#[tokio::test]
async fn nobody_is_sent_to_an_address_that_only_looks_right() {
    let (_app, mut owner, visited) = shop().await;
    for place in [
        "https://app.example/cb/",
        "https://app.example/cb2",
        "https://app.example/cb/../evil",
        "https://app.example/cb/%2e%2e/evil",
        "https://app.example/cb?next=https://evil.example",
        "https://app.example/cb#",
        "https://app.example/cb#x",
        "https://app.example/CB",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "http://app.example/cb",
        "//app.example/cb",
        "https://app.example:443/cb",
        "https://app.example.evil.example/cb",
        "https://app.example@evil.example/cb",
        "https://evil.example/https://app.example/cb",
        "https://evil.example\\@app.example/cb",
        "https://user@app.example/cb",
        "https://app.example/cb\r\nLocation: https://evil.example",
        " https://app.example/cb",
        "https://app.example/cb ",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:1/cb/x",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost:1/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "",
    ] {
        for changes in [
            &[("redirect_uri", place)][..],
            &[("redirect_uri", place), ("response_type", "x")],
        ] {
            let reply = owner.get(&visited.address(changes)).await;
            assert_eq!(reply.status, 400, "{place:?}");
            assert_eq!(reply.header("location"), "", "{place:?}");
            assert!(
                reply.text().contains("did not register"),
                "{}",
                reply.text()
            );
        }
    }
    let doubled = format!(
        "{}&redirect_uri=https%3A%2F%2Fevil.example",
        visited.address(&[])
    );
    assert_eq!(owner.get(&doubled).await.status, 400);
    for id in ["", "cli_unknown", "x", "cli_'; DROP TABLE staff"] {
        let reply = owner.get(&visited.address(&[("client_id", id)])).await;
        assert_eq!((reply.status, reply.header("location")), (400, ""), "{id}");
    }
}

#[tokio::test]
async fn what_comes_with_the_form_is_judged_like_what_came_with_the_address() {
    let (app, mut owner, visited) = shop().await;
    let good = consent(&mut owner, &visited.address(&[])).await;
    let change = |name: &str, value: &str| {
        let mut fields = good.clone();
        fields.retain(|(known, _)| known != name);
        fields.push((name.to_owned(), value.to_owned()));
        fields
    };
    let reply = decide(
        &mut owner,
        &change("redirect_uri", "https://evil.example/"),
        "allow",
    )
    .await;
    assert_eq!((reply.status, reply.header("location")), (400, ""));
    let reply = decide(&mut owner, &change("client_id", "cli_other"), "allow").await;
    assert_eq!(reply.status, 400);
    let reply = decide(
        &mut owner,
        &change("code_challenge_method", "plain"),
        "allow",
    )
    .await;
    assert_eq!(
        field(reply.header("location"), "error").as_deref(),
        Some("invalid_request")
    );
    // Ticking what the app did not ask for gives it nothing.
    let mut more = good.clone();
    more.push(("allowed".into(), "products:write".into()));
    more.push(("allowed".into(), "users:write".into()));
    let reply = decide(&mut owner, &more, "allow").await;
    let code = field(reply.header("location"), "code").unwrap();
    let reply = visited.exchange(&app, &code).await;
    assert_eq!(reply.json()["scope"], "products:read orders:read");
}

#[tokio::test]
async fn nobody_allows_what_they_may_not_do() {
    let (app, _, _) = shop().await;
    let all = "users:write products:write orders:read orders:write reports:pii clients:write";
    let visited = Visited::start(&app, all, false).await;
    for (email, role, left) in [
        ("reader@example.com", Role::ReadOnly, "orders:read"),
        (
            "operator@example.com",
            Role::Operator,
            "products:write orders:read orders:write",
        ),
    ] {
        let mut member = browser::member(&app, email, role).await;
        let address = visited.address(&[("scope", "")]);
        let page = member.get(&address).await.text();
        assert!(page.contains("not allowed to your role"), "{page}");
        let mut fields = consent(&mut member, &address).await;
        for scope in all.split(' ') {
            fields.push(("allowed".to_owned(), scope.to_owned()));
        }
        let reply = decide(&mut member, &fields, "allow").await;
        let code = field(reply.header("location"), "code").unwrap();
        let reply = visited.exchange(&app, &code).await;
        assert_eq!(reply.json()["scope"], left);
        let address = visited.address(&[("scope", "clients:write")]);
        let reply = member.get(&address).await;
        let error = field(reply.header("location"), "error");
        assert_eq!(error.as_deref(), Some("access_denied"), "{role:?}");
    }
}

#[tokio::test]
async fn consent_comes_from_the_person_on_our_own_page() {
    let (app, mut owner, visited) = shop().await;
    let mut fields = consent(&mut owner, &visited.address(&[])).await;
    fields.push(("decision".into(), "allow".into()));
    let fields: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let own = owner.form_token().await;
    let mut attacker = browser::member(&app, "dev@example.com", Role::Developer).await;
    let foreign = attacker.form_token().await;
    let same = ("sec-fetch-site", "same-origin");
    for (token, site) in [
        ("", same),
        (foreign.as_str(), same),
        (own.as_str(), ("sec-fetch-site", "cross-site")),
        (own.as_str(), ("origin", "https://evil.example")),
    ] {
        let reply = owner
            .post_with("/oauth/authorize", &fields, token, &[site])
            .await;
        assert_eq!((reply.status, reply.header("location")), (403, ""));
    }
    let mut nobody = Browser::new(&app);
    let reply = nobody.post("/oauth/authorize", &fields).await;
    assert_eq!(reply.header("location"), "/dashboard/sign-in");
    let reply = owner
        .post_with("/oauth/authorize", &fields, &own, &[same])
        .await;
    assert!(reply.header("location").starts_with(PLACE));
}

#[tokio::test]
async fn the_page_stands_in_no_frame_and_no_other_origin_reads_it() {
    let (app, mut owner, visited) = shop().await;
    for address in [
        visited.address(&[]),
        visited.address(&[("redirect_uri", "x")]),
    ] {
        let page = owner.get(&address).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(
            page.headers
                .get_all("content-security-policy")
                .iter()
                .count(),
            1
        );
        assert_eq!(page.header("access-control-allow-origin"), "");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "same-origin");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
    }
    let policy = owner.get(&visited.address(&[])).await;
    let policy = policy.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' https://app.example;"),
        "{policy}"
    );
    let preflight = app
        .anonymous()
        .request(Method::OPTIONS, "/oauth/authorize")
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let reply = preflight.send().await;
    assert_eq!(reply.header("access-control-allow-methods"), "");
    // The name of a client is text.
    let evil = NewClient {
        name: "<img src=x onerror=alert(1)>".into(),
        ..new_client(WANTED)
    };
    let (id, _) = register(&app, evil).await;
    let uris = vec![RedirectUri::parse(PLACE).unwrap()];
    let flows = Registration::new([GrantType::AuthorizationCode], uris, false).unwrap();
    let evil = Visited { id, secret: None };
    evil.set(&app, flows).await;
    let page = owner.get(&evil.address(&[("state", "\"><script>")])).await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("<img src=x") && !page.text().contains("\"><script>"));
}

#[tokio::test]
async fn the_sign_in_leads_to_our_own_pages_alone() {
    let (app, _, _) = shop().await;
    for next in [
        "https://evil.example/oauth/authorize",
        "//evil.example/oauth/authorize",
        "/oauth/authorize/../../evil",
        "/oauth/authorize//evil.example",
        "/oauth/authorize@evil.example",
        "/oauth/authorize\\@evil.example",
        "/oauth/token",
        "/\toauth/authorize",
    ] {
        let mut browser = Browser::new(&app);
        let fields = [("email", OWNER), ("password", PASSWORD), ("next", next)];
        let fields = fields.map(|(name, value)| (name, value.to_owned()));
        let reply = browser.post("/dashboard/sign-in", &fields).await;
        assert_eq!(reply.header("location"), "/dashboard", "{next:?}");
    }
    // An app that people are sent to by a link alone does not exist: signing in comes first.
    let mut nobody = Browser::new(&app);
    let visited = Visited::start(&app, WANTED, true).await;
    let reply = nobody.get(&visited.address(&[("scope", "nonsense")])).await;
    assert!(
        reply
            .header("location")
            .starts_with("/dashboard/sign-in?next=")
    );
}
