//! What is asked, how it is refused, and what an attacker tries.

use super::*;
use std::time::Duration;
use tradepost::oauth::revoke_client;

#[tokio::test]
async fn the_documented_request_gets_the_documented_answer() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    let reply = app.anonymous().post("/oauth/token", body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    let answer = reply.json();
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token", "token_type", "expires_in", "scope"]);
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert!(
        answer["access_token"]
            .as_str()
            .is_some_and(|token| token.starts_with("eyJhbGciOiJIUzI1NiIsIn"))
    );
}

#[tokio::test]
async fn without_a_token_with_a_foreign_one_and_without_the_scope() {
    let app = TestApp::start().await;
    let none = app.anonymous().get("/v2/users").await;
    assert_eq!((none.status, none.code().as_str()), (401, "unauthorized"));
    assert!(
        none.header("www-authenticate")
            .starts_with("Bearer realm=\"api\", resource_metadata=")
    );
    let good = access_token(&{
        let (id, secret) = app.credentials("users:read").await;
        token(&app, &id, &secret).await
    });
    let (head, tail) = good.rsplit_once('.').unwrap();
    for foreign in [
        "Bearer nonsense".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {good}"),
        good.clone(),
        format!("Bearer {head}."),
        format!("Bearer {head}.{}", tail.chars().rev().collect::<String>()),
        format!(
            "Bearer eyJhbGciOiJub25lIn0.{}.",
            head.split('.').nth(1).unwrap()
        ),
        format!("Bearer {}", "a".repeat(5000)),
    ] {
        let reply = app
            .anonymous()
            .request(Method::GET, "/v2/users")
            .header("authorization", &foreign)
            .send()
            .await;
        assert_eq!(reply.status, 401, "{foreign}");
        assert!(
            reply
                .header("www-authenticate")
                .contains("error=\"invalid_token\""),
            "{foreign}"
        );
    }
    let in_query = app
        .anonymous()
        .get(&format!("/v2/users?access_token={good}"))
        .await;
    assert_eq!(
        in_query.status, 401,
        "a token in the query string is not looked at"
    );
    let lower = app
        .anonymous()
        .request(Method::GET, "/v2/users")
        .header("authorization", &format!("bearer {good}"))
        .send()
        .await;
    assert_eq!(lower.status, 200, "the name of the scheme has no case");
    let narrow = app.client("orders:read").await.get("/v2/users").await;
    assert_eq!(
        (narrow.status, narrow.code().as_str()),
        (403, "insufficient_scope")
    );
    assert!(
        narrow
            .header("www-authenticate")
            .contains("scope=\"users:read\"")
    );
}

#[tokio::test]
async fn every_clothing_of_a_request_works_at_both_endpoints() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let header = basic(&id, &secret);
    let clothings = |parameter: &str, value: &str| {
        [
            (
                JSON,
                None,
                json!({ parameter: value, "client_id": id, "client_secret": secret }).to_string(),
            ),
            (
                FORM,
                None,
                format!("{parameter}={value}&client_id={id}&client_secret={secret}"),
            ),
            (
                JSON,
                Some(header.as_str()),
                json!({ parameter: value }).to_string(),
            ),
            (
                FORM,
                Some(header.as_str()),
                format!("{parameter}={value}&client_id={id}&unknown=1"),
            ),
        ]
    };
    for (content_type, authorization, body) in clothings("grant_type", "client_credentials") {
        let reply = ask(&app, "/oauth/token", content_type, authorization, &body).await;
        let token = access_token(&reply);
        assert_eq!(bearer(&app, &token).get("/v2/users").await.status, 200);
    }
    for index in 0..4 {
        let victim = access_token(&token(&app, &id, &secret).await);
        let shop = bearer(&app, &victim);
        assert_eq!(shop.get("/v2/users").await.status, 200);
        let (content_type, authorization, body) = clothings("token", &victim)[index].clone();
        let reply = ask(&app, "/oauth/revoke", content_type, authorization, &body).await;
        assert_eq!(
            (reply.status, reply.body.len()),
            (200, 0),
            "{}",
            reply.text()
        );
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(shop.get("/v2/users").await.status, 401, "dead at once");
    }
}

#[tokio::test]
async fn malformed_and_unsupported_requests_are_told_apart() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read orders:read").await;
    let header = basic(&id, &secret);
    let (header, good) = (Some(header.as_str()), "grant_type=client_credentials");
    for (content_type, authorization, body, status, error) in [
        (
            FORM,
            header,
            format!("{good}&client_secret={secret}"),
            400,
            "invalid_request",
        ),
        (
            FORM,
            header,
            format!("{good}&client_id=cli_other"),
            400,
            "invalid_request",
        ),
        (
            FORM,
            header,
            format!("{good}&{good}"),
            400,
            "invalid_request",
        ),
        (
            FORM,
            header,
            format!("{good}&scope=users:read&scope=orders:read"),
            400,
            "invalid_request",
        ),
        (
            JSON,
            header,
            r#"{"grant_type":"client_credentials","grant_type":"client_credentials"}"#.into(),
            400,
            "invalid_request",
        ),
        (
            JSON,
            header,
            r#"{"grant_type":["client_credentials"]}"#.into(),
            400,
            "invalid_request",
        ),
        (JSON, header, "[]".into(), 400, "invalid_request"),
        (JSON, header, good.into(), 400, "invalid_request"),
        ("text/plain", header, good.into(), 400, "invalid_request"),
        (FORM, header, String::new(), 400, "invalid_request"),
        (
            FORM,
            header,
            "grant_type=%zz".into(),
            400,
            "invalid_request",
        ),
        (
            FORM,
            header,
            format!("{good}&x={}", "y".repeat(20_000)),
            400,
            "invalid_request",
        ),
        (
            FORM,
            header,
            "grant_type=password&username=a&password=b".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            FORM,
            header,
            "grant_type=implicit".into(),
            400,
            "unsupported_grant_type",
        ),
        (
            FORM,
            header,
            format!("{good}&scope=users:write"),
            400,
            "invalid_scope",
        ),
        (
            FORM,
            header,
            format!("{good}&scope=nonsense"),
            400,
            "invalid_scope",
        ),
        (
            FORM,
            header,
            format!("{good}&scope=users:read++orders:read"),
            400,
            "invalid_scope",
        ),
        (
            FORM,
            header,
            format!("{good}&resource=https://elsewhere.example"),
            400,
            "invalid_target",
        ),
        (FORM, None, good.into(), 401, "invalid_client"),
        (FORM, Some("Bearer x"), good.into(), 401, "invalid_client"),
        (FORM, Some("Basic !!"), good.into(), 401, "invalid_client"),
    ] {
        let reply = ask(&app, "/oauth/token", content_type, authorization, &body).await;
        assert_refused(&reply, status, error);
    }
    let query = format!("/oauth/token?{good}&client_id={id}&client_secret={secret}");
    let reply = ask(&app, &query, FORM, None, "").await;
    assert_refused(&reply, 400, "invalid_request");
    let reply = ask(
        &app,
        "/oauth/revoke",
        FORM,
        header,
        "token_type_hint=access_token",
    )
    .await;
    assert_refused(&reply, 400, "invalid_request");
    for path in ["/oauth/token", "/oauth/revoke"] {
        let reply = app.anonymous().get(path).await;
        assert_refused(&reply, 405, "invalid_request");
        assert_eq!(reply.header("allow"), "POST, OPTIONS");
    }
}

#[tokio::test]
async fn scopes_are_narrowed_and_never_widened() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read orders:read").await;
    let header = basic(&id, &secret);
    let body = "grant_type=client_credentials&scope=orders:read";
    let reply = ask(&app, "/oauth/token", FORM, Some(&header), body).await;
    assert_eq!(reply.json()["scope"], "orders:read");
    let narrow = bearer(&app, &access_token(&reply));
    assert_eq!(narrow.get("/v2/users").await.status, 403);
    let all = token(&app, &id, &secret).await;
    assert_eq!(all.json()["scope"], "users:read orders:read");
    assert_eq!(
        bearer(&app, &access_token(&all))
            .get("/v2/users")
            .await
            .status,
        200
    );
    let resource = app
        .anonymous()
        .get("/.well-known/oauth-protected-resource")
        .await
        .json()["resource"]
        .clone();
    let body = format!(
        "grant_type=client_credentials&resource={}",
        resource.as_str().unwrap()
    );
    let reply = ask(&app, "/oauth/token", FORM, Some(&header), &body).await;
    assert_eq!(
        reply.status, 200,
        "the resource that the metadata names is ours"
    );
}

#[tokio::test]
async fn nobody_learns_which_clients_exist() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let (disabled, its_secret) = app.credentials("users:read").await;
    let (gone, now) = (disabled.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| revoke_client(tx, &gone, now).await)
        .await
        .unwrap();
    let foreign = NewClient {
        ip_allow: vec!["192.0.2.0/24".parse().unwrap()],
        ..new_client("users:read")
    };
    let foreign = register(&app, foreign).await;
    let expired = NewClient {
        expires_at: Some(app.clock.now()),
        ..new_client("users:read")
    };
    let expired = register(&app, expired).await;
    let (_, wrong) = app.credentials("users:read").await;
    let unknown = "cli_0000000000000000000000";
    let pairs = [
        (unknown, wrong.as_str()),
        (&id, &wrong),
        (&id, "no secret at all"),
        (&disabled, &its_secret),
        (&foreign.0, &foreign.1),
        (&expired.0, &expired.1),
    ];
    let reference = token(&app, unknown, &secret).await;
    assert_refused(&reference, 401, "invalid_client");
    for (id, secret) in pairs {
        let reply = token(&app, id, secret).await;
        assert_eq!(fingerprint(&reply), fingerprint(&reference), "{id}");
        let reply = ask(
            &app,
            "/oauth/token",
            FORM,
            Some(&basic(id, secret)),
            "grant_type=client_credentials",
        )
        .await;
        assert_refused(&reply, 401, "invalid_client");
        assert!(reply.header("www-authenticate").starts_with("Basic realm="));
        let body = format!("token=x&client_id={id}&client_secret={secret}");
        let reply = ask(&app, "/oauth/revoke", FORM, None, &body).await;
        assert_eq!(fingerprint(&reply), fingerprint(&reference), "{id}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_for_the_guesser_alone() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let (other, other_secret) = app.credentials("users:read").await;
    for _ in 0..10 {
        assert_refused(
            &token(&app, &id, &other_secret).await,
            401,
            "invalid_client",
        );
    }
    let paused = token(&app, &id, &secret).await;
    assert_refused(&paused, 429, "temporarily_unavailable");
    assert_eq!(paused.header("retry-after"), "60");
    assert_eq!(token(&app, &other, &other_secret).await.status, 200);
    let elsewhere = from_address(&app, "198.51.100.7", &id, &secret).await;
    assert_eq!(elsewhere, 200, "the shop itself gets in");
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(token(&app, &id, &secret).await.status, 200);
}

/// Behind a proxy everybody may have one address.
#[tokio::test]
async fn whoever_knows_the_secret_is_not_locked_out_by_neighbours() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let (_, wrong) = app.credentials("users:read").await;
    for n in 0..100 {
        let reply = token(&app, &format!("cli_guess{n}"), &wrong).await;
        assert_refused(&reply, 401, "invalid_client");
    }
    let paused = token(&app, "cli_guess", &wrong).await;
    assert_refused(&paused, 429, "temporarily_unavailable");
    assert_eq!(paused.header("retry-after"), "900");
    let nameless = token(&app, "nobody", &wrong).await;
    assert_refused(&nameless, 429, "temporarily_unavailable");
    assert_eq!(token(&app, &id, &secret).await.status, 200);
    let reply = token(&app, &id, &wrong).await;
    assert_refused(&reply, 429, "temporarily_unavailable");
    assert_eq!(token(&app, &id, &secret).await.status, 200);
}

#[tokio::test]
async fn a_malformed_secret_is_a_guess_like_any_other() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    for _ in 0..10 {
        assert_refused(&token(&app, &id, "cs_wrong").await, 401, "invalid_client");
    }
    for secret in ["cs_wrong", &secret] {
        let paused = token(&app, &id, secret).await;
        assert_refused(&paused, 429, "temporarily_unavailable");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_address() {
    let app = TestApp::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let new = NewClient {
        ip_allow: vec!["192.0.2.0/24".parse().unwrap()],
        ..new_client("users:read")
    };
    let (id, secret) = register(&app, new).await;
    let (_, wrong) = app.credentials("users:read").await;
    let ask = async |forwarded: &str, secret: &str| {
        let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let call = app
            .anonymous()
            .request(Method::POST, "/oauth/token")
            .header("content-type", FORM)
            .header("x-forwarded-for", forwarded);
        call.body(body).send().await.status
    };
    assert_eq!(ask("192.0.2.7", &secret).await, 200);
    assert_eq!(ask("192.0.2.7, 198.51.100.1", &secret).await, 401, "forged");
    assert_eq!(
        token(&app, &id, &secret).await.status,
        401,
        "the proxy itself"
    );
    for _ in 0..10 {
        ask("192.0.2.66", &wrong).await;
    }
    assert_eq!(ask("192.0.2.66", &secret).await, 429);
    assert_eq!(ask("192.0.2.7", &secret).await, 200);
    let direct = from_address(&app, "192.0.2.8", &id, &secret).await;
    assert_eq!(direct, 200, "who does not come through the proxy");
}

async fn from_address(app: &TestApp, address: &str, id: &str, secret: &str) -> u16 {
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let request = Request::post("/oauth/token").header("content-type", FORM);
    let request = request.body(Body::from(body)).expect("well-formed");
    let address: IpAddr = address.parse().expect("well-formed");
    let reply = app.stack.handle(request, address).await;
    let status = reply.status().as_u16();
    reply.into_body().collect().await.expect("well-formed");
    status
}

#[tokio::test]
async fn a_client_asks_from_its_own_addresses() {
    let app = TestApp::start().await;
    let new = NewClient {
        ip_allow: vec![
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ],
        ..new_client("users:read")
    };
    let (id, secret) = register(&app, new).await;
    for (address, status) in [
        ("192.0.2.9", 200),
        ("::ffff:192.0.2.9", 200),
        ("2001:db8::1", 200),
        ("192.0.3.1", 401),
        ("2001:db9::1", 401),
    ] {
        assert_eq!(
            from_address(&app, address, &id, &secret).await,
            status,
            "{address}"
        );
    }
}
