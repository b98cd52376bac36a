//! Who may ask what a token is worth, and what they are told.

use super::*;
use tradepost::oauth::revoke_client;

async fn introspect(app: &TestApp, id: &str, secret: &str, token: &str) -> Reply {
    let body = format!("token={token}&client_id={id}&client_secret={secret}");
    ask(app, "/oauth/introspect", FORM, None, &body).await
}

const DEAD: &str = r#"{"active":false}"#;

#[tokio::test]
async fn a_living_token_says_all_of_itself_and_a_dead_one_nothing() {
    let app = TestApp::start().await;
    let (judge, judge_secret) = app.credentials("tokens:introspect").await;
    let (id, secret) = app.credentials("users:read orders:read").await;
    let issued = access_token(&token(&app, &id, &secret).await);
    let reply = introspect(&app, &judge, &judge_secret, &issued).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    let answer = reply.json();
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "active",
            "scope",
            "client_id",
            "token_type",
            "exp",
            "iat",
            "sub",
            "aud",
            "iss",
            "jti"
        ]
    );
    assert_eq!(answer["active"], true);
    assert_eq!(answer["scope"], "users:read orders:read");
    assert_eq!(
        (&answer["client_id"], &answer["sub"]),
        (&json!(id), &json!(id))
    );
    assert_eq!(answer["aud"], format!("{}/v2", app.config.public_url));
    assert_eq!(answer["iss"], app.config.public_url);
    assert_eq!(
        answer["exp"].as_i64().unwrap() - answer["iat"].as_i64().unwrap(),
        3600
    );

    // JSON and Basic mean the same.
    let body = json!({ "token": issued, "token_type_hint": "refresh_token" }).to_string();
    let header = basic(&judge, &judge_secret);
    let same = ask(&app, "/oauth/introspect", JSON, Some(&header), &body).await;
    assert_eq!(same.text(), reply.text());

    let (head, tail) = issued.rsplit_once('.').unwrap();
    let flipped: String = tail.chars().rev().collect();
    for foreign in [
        "nonsense".to_owned(),
        secret.clone(),
        format!("{head}."),
        format!("{head}.{flipped}"),
        format!("eyJhbGciOiJub25lIn0.{}.", head.split('.').nth(1).unwrap()),
        "a".repeat(5000),
    ] {
        let reply = introspect(&app, &judge, &judge_secret, &foreign).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, DEAD));
    }

    let body = format!("token={issued}&client_id={id}&client_secret={secret}");
    assert_eq!(
        ask(&app, "/oauth/revoke", FORM, None, &body).await.status,
        200
    );
    let reply = introspect(&app, &judge, &judge_secret, &issued).await;
    assert_eq!(reply.text(), DEAD, "revoked");

    let second = access_token(&token(&app, &id, &secret).await);
    app.clock.advance(Duration::from_secs(3599));
    let reply = introspect(&app, &judge, &judge_secret, &second).await;
    assert_eq!(reply.json()["active"], true);
    app.clock.advance(SECOND);
    let reply = introspect(&app, &judge, &judge_secret, &second).await;
    assert_eq!(reply.text(), DEAD, "expired");

    let third = access_token(&token(&app, &id, &secret).await);
    let (client, now) = (id.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| revoke_client(tx, &client, now).await)
        .await
        .unwrap();
    app.oauth.refresh(&app.db, app.clock.now()).await.unwrap();
    let reply = introspect(&app, &judge, &judge_secret, &third).await;
    assert_eq!(reply.text(), DEAD, "its client is revoked");
}

#[tokio::test]
async fn only_who_may_ask_is_told() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let (judge, judge_secret) = app.credentials("tokens:introspect").await;
    let issued = access_token(&token(&app, &id, &secret).await);
    let own = introspect(&app, &id, &secret, &issued).await;
    assert_refused(&own, 400, "unauthorized_client");
    let wrong = introspect(&app, &judge, &secret, &issued).await;
    assert_refused(&wrong, 401, "invalid_client");
    let none = ask(
        &app,
        "/oauth/introspect",
        FORM,
        None,
        &format!("token={issued}"),
    )
    .await;
    assert_refused(&none, 401, "invalid_client");
    let empty = introspect(&app, &judge, &judge_secret, "").await;
    assert_refused(&empty, 400, "invalid_request");
    let header = format!("Bearer {issued}");
    let bearer = ask(
        &app,
        "/oauth/introspect",
        FORM,
        Some(&header),
        &format!("token={issued}"),
    )
    .await;
    assert_refused(&bearer, 401, "invalid_client");
    let get = app.anonymous().get("/oauth/introspect").await;
    assert_refused(&get, 405, "invalid_request");
    let query = format!("/oauth/introspect?token={issued}&client_id={judge}");
    let reply = ask(&app, &query, FORM, None, "").await;
    assert_eq!(reply.status, 400, "nothing is read from the query string");
}
