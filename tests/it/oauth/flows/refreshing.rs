//! How long a grant lives, and what ends it.

use super::*;
use tradepost::dashboard::accounts;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn each_refresh_token_is_used_once_with_ten_seconds_of_grace() {
    let (app, mut owner, visited) = shop().await;
    let (_, first) = visited.tokens(&app, &mut owner).await;
    let second = refresh_token(&visited.refresh(&app, &first).await);
    assert_ne!(first, second);
    app.clock.advance(Duration::from_secs(9));
    let again = visited.refresh(&app, &first).await;
    assert_eq!(refresh_token(&again), second, "the same successor");
    let third = refresh_token(&visited.refresh(&app, &second).await);
    app.clock.advance(Duration::from_secs(9));
    assert_eq!(refresh_token(&visited.refresh(&app, &second).await), third);
    app.clock.advance(SECOND);
    // The grace of the second token is over: somebody else has it.
    assert_refused(&visited.refresh(&app, &second).await, 400, "invalid_grant");
    assert_refused(&visited.refresh(&app, &third).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_token_before_the_last_one_ends_the_grant_also_in_its_grace() {
    let (app, mut owner, visited) = shop().await;
    let (access, first) = visited.tokens(&app, &mut owner).await;
    let (other, _) = visited.tokens(&app, &mut owner).await;
    let second = visited.refresh(&app, &first).await;
    let third = visited.refresh(&app, &refresh_token(&second)).await;
    assert_refused(&visited.refresh(&app, &first).await, 400, "invalid_grant");
    assert_refused(
        &visited.refresh(&app, &refresh_token(&third)).await,
        400,
        "invalid_grant",
    );
    for dead in [access, access_token(&second), access_token(&third)] {
        assert_eq!(bearer(&app, &dead).get("/v2/orders").await.status, 401);
    }
    assert_eq!(
        bearer(&app, &other).get("/v2/orders").await.status,
        200,
        "another grant"
    );
    let mut tx = app.db.read().await.unwrap();
    let kinds: Vec<String> = tx
        .fetch_all(
            "SELECT kind FROM events WHERE object_type = 'grant' ORDER BY seq",
            &[],
            |row| row.get(0),
        )
        .await
        .unwrap();
    assert_eq!(
        kinds,
        ["grant.created", "grant.created", "grant.reuse_detected"]
    );
}

#[tokio::test]
async fn of_many_who_refresh_at_once_all_get_one_successor() {
    let (app, mut owner, visited) = shop().await;
    let (_, first) = visited.tokens(&app, &mut owner).await;
    let refresh = || visited.refresh(&app, &first);
    let (a, b, c, d) = tokio::join!(refresh(), refresh(), refresh(), refresh());
    let next = refresh_token(&a);
    for reply in [&b, &c, &d] {
        assert_eq!(refresh_token(reply), next);
    }
    assert_eq!(visited.refresh(&app, &next).await.status, 200);
}

#[tokio::test]
async fn of_many_who_exchange_one_code_at_most_one_gets_a_token() {
    let (app, mut owner, visited) = shop().await;
    let code = visited.code(&mut owner).await;
    let exchange = || visited.exchange(&app, &code);
    let (a, b, c) = tokio::join!(exchange(), exchange(), exchange());
    let good: Vec<&Reply> = [&a, &b, &c]
        .into_iter()
        .filter(|reply| reply.status == 200)
        .collect();
    assert_eq!(good.len(), 1);
    // The others used it again: what the one got is dead.
    let token = access_token(good[0]);
    assert_eq!(bearer(&app, &token).get("/v2/orders").await.status, 401);
}

#[tokio::test]
async fn a_grant_ends_after_thirty_idle_days_and_after_ninety_in_all() {
    let (app, mut owner, visited) = shop().await;
    let (_, idle) = visited.tokens(&app, &mut owner).await;
    let (_, mut busy) = visited.tokens(&app, &mut owner).await;
    for _ in 0..3 {
        app.clock.advance(29 * DAY);
        busy = refresh_token(&visited.refresh(&app, &busy).await);
    }
    assert_refused(&visited.refresh(&app, &idle).await, 400, "invalid_grant");
    app.clock.advance(3 * DAY);
    assert_refused(&visited.refresh(&app, &busy).await, 400, "invalid_grant");
    app.clock.advance(10 * DAY);
    app.oauth
        .forget_expired(&app.db, app.clock.now())
        .await
        .unwrap();
    let mut tx = app.db.read().await.unwrap();
    for table in ["oauth_grants", "oauth_codes", "oauth_refresh_tokens"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let left: i64 = tx.fetch_one(&sql, &[], |row| row.get(0)).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test]
async fn a_refresh_may_ask_for_less_and_never_for_more() {
    let (app, mut owner, visited) = shop().await;
    let (_, token) = visited.tokens(&app, &mut owner).await;
    let ask = async |scope: &str, token: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        visited.ask(&app, &fields).await
    };
    assert_refused(&ask("products:write", &token).await, 400, "invalid_scope");
    let less = ask("orders:read", &token).await;
    assert_eq!(less.json()["scope"], "orders:read");
    let all = ask("", &refresh_token(&less)).await;
    assert_eq!(all.json()["scope"], "products:read orders:read");
}

#[tokio::test]
async fn closing_an_account_ends_what_its_owner_allowed() {
    let (app, _, visited) = shop().await;
    let mut member = browser::member(&app, "reader@example.com", Role::ReadOnly).await;
    let (access, refresh) = visited.tokens(&app, &mut member).await;
    let code = visited.code(&mut member).await;
    let other = node(&app, master_key(&app)).await.unwrap();
    let now = app.clock.now();
    let closed = app
        .db
        .write(async move |tx| accounts::disable(tx, "reader@example.com", now).await);
    closed.await.unwrap();
    for node in [&app.oauth, &other] {
        node.refresh(&app.db, now).await.unwrap();
        assert!(node.signer.verify(&access, now.to_jiff()).is_err());
    }
    assert_refused(&visited.refresh(&app, &refresh).await, 400, "invalid_grant");
    assert_refused(&visited.exchange(&app, &code).await, 400, "invalid_grant");
    let mut tx = app.db.read().await.unwrap();
    let sql = "SELECT COUNT(*) FROM events WHERE kind = 'grant.revoked'";
    let told: i64 = tx.fetch_one(sql, &[], |row| row.get(0)).await.unwrap();
    assert_eq!(told, 2, "each of them is told");
}

#[tokio::test]
async fn whoever_may_less_lets_apps_do_less_at_once() {
    let (app, _, visited) = shop().await;
    let mut member = browser::member(&app, "op@example.com", Role::Operator).await;
    let address = visited.address(&[("scope", "products:write orders:read")]);
    let back = allow(&mut member, &address).await;
    let reply = visited.exchange(&app, &field(&back, "code").unwrap()).await;
    assert_eq!(reply.json()["scope"], "products:write orders:read");
    let api = bearer(&app, &access_token(&reply));
    let product = json!({ "title": "Pot", "price": 100, "currency": "USD" });
    assert_eq!(api.post("/v2/products", product.clone()).await.status, 201);
    let now = app.clock.now();
    let demoted: Result<u64, platform::db::DbError> = app
        .db
        .write(async move |tx| {
            let sql = "UPDATE staff SET role = 'read_only', updated_at = $1 WHERE email = 'op@example.com'";
            tx.execute(sql, &[platform::db::Param::Int(now.micros())]).await
        })
        .await;
    assert_eq!(demoted.unwrap(), 1);
    app.oauth.refresh(&app.db, now).await.unwrap();
    assert_eq!(api.post("/v2/products", product).await.status, 403);
    assert_eq!(api.get("/v2/orders").await.status, 200);
    let next = visited.refresh(&app, &refresh_token(&reply)).await;
    assert_eq!(next.json()["scope"], "orders:read");
}

/// By the pages: what was answered holds with the next request.
#[tokio::test]
async fn another_role_and_a_closed_account_hold_for_apps_with_the_answer() {
    let (app, mut owner, visited) = shop().await;
    let mut member = browser::member(&app, "op@example.com", Role::Operator).await;
    let address = visited.address(&[("scope", "products:write orders:read")]);
    let back = allow(&mut member, &address).await;
    let reply = visited.exchange(&app, &field(&back, "code").unwrap()).await;
    let api = bearer(&app, &access_token(&reply));
    let product = json!({ "title": "Pot", "price": 100, "currency": "USD" });
    assert_eq!(api.post("/v2/products", product.clone()).await.status, 201);
    let team = owner.get("/dashboard/team").await.text();
    let rest = team.split(">op@example.com<").next().unwrap();
    let path = rest.rsplit("href=\"").next().unwrap();
    let path = path.split('"').next().unwrap().to_owned();
    let role = [("role", "read_only".to_owned())];
    let changed = owner.post(&format!("{path}/role"), &role).await;
    assert_eq!(changed.status, 303, "{}", changed.text());
    assert_eq!(api.post("/v2/products", product).await.status, 403);
    assert_eq!(api.get("/v2/orders").await.status, 200);
    // Whoever asks what the token is worth is told the same.
    let (id, secret) = app.credentials("tokens:introspect").await;
    let introspected = async || {
        let body =
            json!({ "token": access_token(&reply), "client_id": id, "client_secret": secret });
        app.anonymous().post("/oauth/introspect", body).await.json()
    };
    assert_eq!(introspected().await["scope"], "orders:read");
    let email = [("email", "op@example.com".to_owned())];
    let closed = owner.post(&format!("{path}/disable"), &email).await;
    assert_eq!(closed.status, 303, "{}", closed.text());
    assert_eq!(api.get("/v2/orders").await.status, 401);
    assert_eq!(introspected().await, json!({ "active": false }));
}

#[tokio::test]
async fn a_client_without_refresh_tokens_gets_none_and_a_disabled_one_nothing() {
    let (app, mut owner, visited) = shop().await;
    let (_, refresh) = visited.tokens(&app, &mut owner).await;
    let uris = vec![RedirectUri::parse(PLACE).unwrap()];
    let only_codes = Registration::new([GrantType::AuthorizationCode], uris, false).unwrap();
    visited.set(&app, only_codes).await;
    let code = visited.code(&mut owner).await;
    let reply = visited.exchange(&app, &code).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.json().get("refresh_token").is_none());
    assert_refused(
        &visited.refresh(&app, &refresh).await,
        400,
        "unauthorized_client",
    );
    let late = visited.code(&mut owner).await;
    let (id, now) = (visited.id.parse().unwrap(), app.clock.now());
    let revoked = app
        .db
        .write(async move |tx| tradepost::oauth::revoke_client(tx, &id, now).await);
    revoked.await.unwrap();
    app.clock.advance(SECOND);
    assert_refused(&visited.exchange(&app, &late).await, 401, "invalid_client");
    assert_eq!(owner.get(&visited.address(&[])).await.status, 400);
}

#[tokio::test]
async fn what_was_allowed_and_never_fetched_ends_nothing_else() {
    let (app, mut owner, visited) = shop().await;
    let (access, refresh) = visited.tokens(&app, &mut owner).await;
    for _ in 0..5 {
        visited.code(&mut owner).await;
        app.clock.advance(Duration::from_secs(60));
    }
    let mut tx = app.db.read().await.unwrap();
    let sql = "SELECT COUNT(*) FROM oauth_grants WHERE revoked_at IS NOT NULL";
    let revoked: i64 = tx.fetch_one(sql, &[], |row| row.get(0)).await.unwrap();
    assert_eq!(revoked, 0);
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 200);
    assert_eq!(visited.refresh(&app, &refresh).await.status, 200);
    app.clock.advance(2 * DAY);
    let now = app.clock.now();
    app.oauth.forget_expired(&app.db, now).await.unwrap();
    let sql = "SELECT COUNT(*) FROM oauth_grants";
    let left: i64 = tx.fetch_one(sql, &[], |row| row.get(0)).await.unwrap();
    assert_eq!(left, 1, "those that nobody came for are gone");
}

/// RFC 9449 §10: the app says with the request which key will show the code.
#[tokio::test]
async fn a_code_that_is_bound_to_a_key_is_exchanged_with_it_alone() {
    let (app, mut owner, visited) = shop().await;
    let (own, foreign) = (Key::ec(), Key::ec());
    let address = visited.address(&[("dpop_jkt", &own.thumbprint())]);
    let back = allow(&mut owner, &address).await;
    let code = field(&back, "code").unwrap();
    let code = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", PLACE),
        ("code_verifier", VERIFIER),
    ];
    for thief in [None, Some(&foreign)] {
        let refused = visited.ask_with(&app, &code, thief).await;
        assert_refused(&refused, 400, "invalid_grant");
    }
    let reply = visited.ask_with(&app, &code, Some(&own)).await;
    assert_eq!(reply.json()["token_type"], "DPoP", "{}", reply.text());
    let address = visited.address(&[("dpop_jkt", "short")]);
    let refused = owner.get(&address).await;
    let error = field(refused.header("location"), "error");
    assert_eq!(error.as_deref(), Some("invalid_request"));
}

/// RFC 9449 §5: who has no secret is known by the key.
#[tokio::test]
async fn the_refresh_tokens_of_a_public_client_are_bound_to_the_key_of_its_first_proof() {
    let (app, mut owner, _) = shop().await;
    let ask = async |visited: &Visited, fields: &[(&str, &str)], key: Option<&Key>| {
        visited.ask_with(&app, fields, key).await
    };
    let (own, foreign) = (Key::ec(), Key::ed());
    for is_public in [true, false] {
        let visited = Visited::start(&app, WANTED, is_public).await;
        let code = visited.code(&mut owner).await;
        let code = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", PLACE),
            ("code_verifier", VERIFIER),
        ];
        let first = ask(&visited, &code, Some(&own)).await;
        assert_eq!(first.json()["token_type"], "DPoP", "{}", first.text());
        let token = refresh_token(&first);
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        for thief in [None, Some(&foreign)] {
            let stolen = ask(&visited, &refresh, thief).await;
            match is_public {
                true => assert_refused(&stolen, 400, "invalid_grant"),
                false => assert_eq!(stolen.status, 200, "its secret is asked for instead"),
            }
        }
        let next = ask(&visited, &refresh, Some(&own)).await;
        assert_eq!(
            (next.status, &next.json()["token_type"]),
            (200, &json!("DPoP"))
        );
    }
}
