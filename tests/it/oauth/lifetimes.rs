//! How long tokens, secrets and clients live.

use super::*;
use std::time::Duration;
use tradepost::oauth::{OAuth, OVERLAP_DEFAULT, OVERLAP_MAX, revoke_client, rotate_secret};

#[tokio::test]
async fn a_token_lives_as_long_as_it_says() {
    let app = TestApp::start().await;
    let new = NewClient {
        token_ttl_seconds: Some(60),
        ..new_client("users:read")
    };
    let (id, secret) = register(&app, new).await;
    let reply = token(&app, &id, &secret).await;
    assert_eq!(reply.json()["expires_in"], 60);
    let short = bearer(&app, &access_token(&reply));
    let long = app.client("users:read").await;
    app.clock.advance(Duration::from_secs(59));
    assert_eq!(short.get("/v2/users").await.status, 200);
    app.clock.advance(SECOND);
    assert_eq!(short.get("/v2/users").await.status, 401);
    app.clock.advance(Duration::from_secs(3539));
    assert_eq!(long.get("/v2/users").await.status, 200);
    app.clock.advance(SECOND);
    assert_eq!(long.get("/v2/users").await.status, 401);
}

#[tokio::test]
async fn revocation_reaches_other_nodes_and_outlives_a_restart() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let (victim, innocent) = (
        token(&app, &id, &secret).await,
        token(&app, &id, &secret).await,
    );
    let (victim, innocent) = (access_token(&victim), access_token(&innocent));
    let other = node(&app, master_key(&app)).await.unwrap();
    let now = app.clock.now();
    let lives = |node: &OAuth, token: &str| node.signer.verify(token, now.to_jiff()).is_ok();
    assert!(lives(&other, &victim));
    let body = format!("token={victim}&client_id={id}&client_secret={secret}");
    for _ in 0..2 {
        let reply = ask(&app, "/oauth/revoke", FORM, None, &body).await;
        assert_eq!(reply.status, 200);
    }
    assert!(lives(&other, &victim), "it has its own memory");
    other.refresh(&app.db, now).await.unwrap();
    assert!(!lives(&other, &victim) && lives(&other, &innocent));
    let restarted = node(&app, master_key(&app)).await.unwrap();
    assert!(!lives(&restarted, &victim) && lives(&restarted, &innocent));
    app.clock.advance(Duration::from_secs(2 * 86_400));
    app.oauth
        .forget_expired(&app.db, app.clock.now())
        .await
        .unwrap();
    let start = platform::clock::Timestamp::from_micros(0);
    let mut tx = app.db.read().await.unwrap();
    let left = tradepost::oauth::store::revoked_tokens(&mut tx, (start, ""))
        .await
        .unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_alone() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let (other, other_secret) = app.credentials("users:read").await;
    let mine = access_token(&token(&app, &id, &secret).await);
    let thief = format!("token={mine}&client_id={other}&client_secret={other_secret}");
    assert_refused(
        &ask(&app, "/oauth/revoke", FORM, None, &thief).await,
        400,
        "unauthorized_client",
    );
    assert_eq!(bearer(&app, &mine).get("/v2/users").await.status, 200);
    for unknown in ["nonsense", "a.b.c", "%00", &"x".repeat(10_000)] {
        let body = format!("token={unknown}&client_id={id}&client_secret={secret}");
        assert_eq!(
            ask(&app, "/oauth/revoke", FORM, None, &body).await.status,
            200,
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn a_secret_is_exchanged_without_downtime() {
    let app = TestApp::start().await;
    let (id, first) = app.credentials("users:read").await;
    assert_eq!(token(&app, &id, &first).await.status, 200);
    let second = rotate(&app, &id, OVERLAP_DEFAULT).await;
    assert_eq!(
        token(&app, &id, &second).await.status,
        200,
        "the new one works at once"
    );
    assert_eq!(
        token(&app, &id, &first).await.status,
        200,
        "the old one still works"
    );
    app.clock.advance(OVERLAP_DEFAULT - SECOND);
    assert_eq!(token(&app, &id, &first).await.status, 200);
    app.clock.advance(SECOND);
    assert_eq!(
        token(&app, &id, &first).await.status,
        401,
        "the old one has ended"
    );
    assert_eq!(token(&app, &id, &second).await.status, 200);

    let third = rotate(&app, &id, OVERLAP_MAX).await;
    let fourth = rotate(&app, &id, OVERLAP_MAX).await;
    for (secret, status) in [(&first, 401), (&second, 401), (&third, 200), (&fourth, 200)] {
        app.clock.advance(SECOND);
        assert_eq!(
            token(&app, &id, secret).await.status,
            status,
            "never more than two live"
        );
    }
    let fifth = rotate(&app, &id, Duration::ZERO).await;
    app.clock.advance(SECOND);
    assert_eq!(
        token(&app, &id, &fourth).await.status,
        401,
        "no overlap was asked for"
    );
    assert_eq!(token(&app, &id, &fifth).await.status, 200);

    let (parsed, now) = (id.parse().unwrap(), app.clock.now());
    let too_long = app
        .db
        .write(async move |tx| rotate_secret(tx, &parsed, OVERLAP_MAX + SECOND, now).await)
        .await;
    assert!(too_long.is_err());
    let nobody = "cli_nobody".parse().unwrap();
    let unknown = app
        .db
        .write(async move |tx| rotate_secret(tx, &nobody, SECOND, now).await);
    assert!(unknown.await.is_err());
    let shown = listed(&app, &id).await;
    assert_eq!((shown.name.as_str(), shown.secrets.len()), ("test", 5));
    assert!(fifth.ends_with(&shown.secrets[0].hint));
}

#[tokio::test]
async fn the_last_use_of_a_secret_is_noted_without_a_write() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    token(&app, &id, &secret).await;
    let again = token(&app, &id, &secret).await;
    assert_eq!(
        again.statements(),
        0,
        "a known client gets a token from memory"
    );
    assert_eq!(listed(&app, &id).await.secrets[0].last_used_at, None);
    app.oauth.write_uses(&app.db).await.unwrap();
    assert_eq!(
        listed(&app, &id).await.secrets[0].last_used_at,
        Some(app.clock.now())
    );
}

#[tokio::test]
async fn a_revoked_client_is_dead_on_every_node() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let shop = bearer(&app, &access_token(&token(&app, &id, &secret).await));
    let others = app.client("users:read").await;
    let (gone, now) = (id.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| revoke_client(tx, &gone, now).await)
        .await
        .unwrap();
    app.oauth.refresh(&app.db, now).await.unwrap();
    assert_eq!(shop.get("/v2/users").await.status, 401);
    assert_eq!(others.get("/v2/users").await.status, 200);
    app.clock.advance(SECOND);
    assert_refused(&token(&app, &id, &secret).await, 401, "invalid_client");
    assert!(listed(&app, &id).await.disabled_at.is_some());
    let mut tx = app.db.read().await.unwrap();
    let events = platform::events::of_object(&mut tx, "client", &id, 10, 0)
        .await
        .unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["client.created", "client.revoked"]);
    assert!(!events.iter().any(|event| event.data.contains(&secret)));
}

#[tokio::test]
async fn the_jobs_follow_revocations_until_they_are_stopped() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let shop = bearer(&app, &access_token(&token(&app, &id, &secret).await));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(tradepost::oauth::jobs::run(app.app.clone(), stopped));
    let (gone, now) = (id.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| revoke_client(tx, &gone, now).await)
        .await
        .unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(
        shop.get("/v2/users").await.status,
        401,
        "dead within a second"
    );
    stop.send(true).unwrap();
    tokio::time::timeout(SECOND * 5, running)
        .await
        .unwrap()
        .unwrap();
    let noted = listed(&app, &id).await.secrets[0].last_used_at;
    assert!(noted.is_some(), "what was noted is written down at the end");
}

/// A client's row is remembered for up to a second. In that second the revocation by another process is not
/// seen yet, and the token that is issued is younger than the mark.
#[tokio::test]
async fn a_token_issued_while_the_revocation_travels_is_dead_too() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let tenth = Duration::from_millis(100);
    app.clock.advance(tenth * 5);
    token(&app, &id, &secret).await; // from now on the row is remembered
    app.clock.advance(tenth);
    let (gone, now) = (id.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| revoke_client(tx, &gone, now).await)
        .await
        .unwrap();
    app.clock.advance(tenth * 6); // into the next second
    let late = access_token(&token(&app, &id, &secret).await);
    let shop = bearer(&app, &late);
    app.oauth.refresh(&app.db, app.clock.now()).await.unwrap();
    assert_eq!(shop.get("/v2/users").await.status, 401);
    assert_refused(&token(&app, &id, &secret).await, 401, "invalid_client");
    for _ in 0..2 {
        let restarted = node(&app, master_key(&app)).await.unwrap();
        let now = app.clock.now().to_jiff();
        assert!(restarted.signer.verify(&late, now).is_err());
        app.clock.advance(Duration::from_secs(3_500));
    }
}

#[tokio::test]
async fn a_token_got_with_a_secret_that_has_just_ended_is_dead() {
    let app = TestApp::start().await;
    let (id, old) = app.credentials("users:read").await;
    let tenth = Duration::from_millis(100);
    let before = access_token(&token(&app, &id, &old).await);
    app.clock.advance(SECOND + tenth * 5);
    token(&app, &id, &old).await; // from now on the row is remembered
    app.clock.advance(tenth);
    let new = rotate(&app, &id, Duration::ZERO).await;
    app.clock.advance(tenth * 6); // into the next second
    let late = access_token(&token(&app, &id, &old).await);
    let good = access_token(&token(&app, &id, &new).await);
    app.oauth.refresh(&app.db, app.clock.now()).await.unwrap();
    let users = async |token: &str| bearer(&app, token).get("/v2/users").await.status;
    assert_eq!(
        users(&late).await,
        401,
        "issued after the end of its secret"
    );
    assert_eq!(users(&before).await, 200, "issued before");
    assert_eq!(users(&good).await, 200);
    assert_refused(&token(&app, &id, &old).await, 401, "invalid_client");
    let restarted = node(&app, master_key(&app)).await.unwrap();
    let now = app.clock.now().to_jiff();
    assert!(restarted.signer.verify(&late, now).is_err());
    assert!(restarted.signer.verify(&before, now).is_ok());
}
