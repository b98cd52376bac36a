//! What programs call the API with, and how it is tried without them.

use super::browser::{self, Browser, OWNER, PASSWORD};
use super::catalog::owner;
use crate::app::TestApp;
use axum::http::Method;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tradepost::dashboard::Role;

#[tokio::test]
async fn credentials_are_made_rotated_and_revoked() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let fields = |pairs: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    };
    let path = "/dashboard/credentials/new";
    for bad in [
        fields(&[("name", ""), ("scope", "orders:read")]),
        fields(&[("name", "Warehouse")]),
        fields(&[
            ("name", "Warehouse"),
            ("scope", "orders:read"),
            ("days", "0"),
        ]),
    ] {
        assert_eq!(owner.post(path, &bad).await.status, 422);
    }
    let form = fields(&[
        ("name", "Warehouse"),
        ("scope", "orders:read"),
        ("scope", "inventory:read"),
        ("days", "30"),
    ]);
    let made = owner.post(path, &form).await;
    let shown = |text: &str, id: &str| browser::between(text, &format!("id=\"{id}\">"), "<");
    let (id, secret) = (
        shown(&made.text(), "client-id"),
        shown(&made.text(), "client-secret"),
    );
    let token = async |secret: &str| {
        let body =
            json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
        app.anonymous().post("/oauth/token", body).await
    };
    let granted = token(&secret).await;
    assert_eq!(
        (granted.status, granted.json()["scope"].as_str()),
        (200, Some("inventory:read orders:read"))
    );
    let page = format!("/dashboard/credentials/{id}");
    assert!(
        !owner.get(&page).await.text().contains(&secret),
        "it is shown once"
    );
    assert!(
        owner
            .get("/dashboard/credentials")
            .await
            .text()
            .contains("inventory:read, orders:read")
    );

    let rotated = owner
        .post(&format!("{page}/rotate"), &fields(&[("hours", "1")]))
        .await;
    let second = shown(&rotated.text(), "client-secret");
    app.clock.advance(Duration::from_secs(2)); // what is known of a client is at most a second old
    assert_eq!(
        (token(&secret).await.status, token(&second).await.status),
        (200, 200)
    );
    assert!(owner.get(&page).await.text().contains("60 min left"));
    app.clock.advance(Duration::from_secs(3600));
    assert_eq!(
        (token(&secret).await.status, token(&second).await.status),
        (401, 200)
    );
    owner.sign_in(OWNER, PASSWORD).await;
    assert_eq!(
        owner
            .post(&format!("{page}/rotate"), &fields(&[("hours", "169")]))
            .await
            .status,
        422
    );

    let wrong = owner
        .post(&format!("{page}/revoke"), &fields(&[("name", "warehouse")]))
        .await;
    assert_eq!(wrong.status, 422);
    let revoked = owner
        .post(&format!("{page}/revoke"), &fields(&[("name", "Warehouse")]))
        .await;
    assert_eq!(revoked.status, 303);
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(token(&second).await.status, 401);
    assert_eq!(
        owner
            .post(&format!("{page}/rotate"), &fields(&[("hours", "1")]))
            .await
            .status,
        409
    );
    let audit = owner.get("/dashboard/audit").await.text();
    for deed in [
        "Credentials created",
        "Secret rotated",
        "Credentials revoked",
        "Signed in",
        "Shop set up",
    ] {
        assert!(audit.contains(deed), "{deed}");
    }
}

/// Twelve callers, a rotation, and the exchange of the secret one caller after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_rotated_while_it_is_used_and_no_request_fails() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let (id, first) = app.credentials("products:read").await;
    let secrets: Vec<Arc<Mutex<String>>> = (0..12)
        .map(|_| Arc::new(Mutex::new(first.clone())))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = secrets
        .iter()
        .map(|secret| {
            let (anonymous, id, secret, stop) =
                (app.anonymous(), id.clone(), secret.clone(), stop.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    tokio::task::yield_now().await; // nothing else here ever waits
                    let body = json!({ "grant_type": "client_credentials", "client_id": id,
                        "client_secret": *secret.lock().unwrap() });
                    let token = anonymous.post("/oauth/token", body).await;
                    answers.push(token.status);
                    let bearer = format!(
                        "Bearer {}",
                        token.json()["access_token"].as_str().unwrap_or_default()
                    );
                    let call = anonymous.request(Method::GET, "/v2/products");
                    answers.push(call.header("authorization", &bearer).send().await.status);
                }
                answers
            })
        })
        .collect();
    let a_while = || tokio::time::sleep(Duration::from_millis(100));
    a_while().await;
    let page = format!("/dashboard/credentials/{id}");
    let form = [("hours", "24".to_owned())];
    let rotated = owner.post(&format!("{page}/rotate"), &form).await.text();
    let second = browser::between(&rotated, "id=\"client-secret\">", "<");
    for secret in &secrets {
        tokio::time::sleep(Duration::from_millis(10)).await;
        *secret.lock().unwrap() = second.clone();
    }
    a_while().await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    for caller in callers {
        answers.extend(caller.await.expect("no caller panics"));
    }
    assert!(answers.len() > 100, "{}", answers.len());
    assert_eq!(answers.iter().find(|status| **status != 200), None);

    app.oauth.write_uses(&app.db).await.expect("written");
    let page = owner.get(&page).await.text();
    for secret in [&first, &second] {
        let row = browser::between(&page, &format!("…{}", &secret[secret.len() - 4..]), "</tr>");
        let last_used = browser::between(&row, "data-label=\"Last used\">", "</td>");
        assert!(last_used.starts_with("<time"), "its last use: {row}");
    }
}

#[tokio::test]
async fn a_request_is_tried_with_a_short_token_and_without_a_secret() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let (id, secret) = app.credentials("products:read").await;
    let offer = owner.get("/dashboard/try-it").await;
    assert_eq!(offer.header("cache-control"), "no-store");
    let offered = offer.json()["clients"].clone();
    let ours = json!({ "id": id, "name": "test" });
    assert!(offered.as_array().unwrap().contains(&ours), "{offered}");
    assert!(!offer.text().contains(&secret));

    let form = [("client", id.clone())];
    let minted = owner.post("/dashboard/try-it", &form).await;
    assert_eq!(
        (minted.status, minted.header("cache-control")),
        (200, "no-store")
    );
    let minted = minted.json();
    assert_eq!(
        (&minted["expires_in"], &minted["scope"]),
        (&json!(300), &json!("products:read"))
    );
    let token = format!("Bearer {}", minted["access_token"].as_str().unwrap());
    let status = async |path: &str| {
        let call = app.anonymous().request(Method::GET, path);
        call.header("authorization", &token).send().await.status
    };
    assert_eq!(
        (status("/v2/products").await, status("/v2/orders").await),
        (200, 403)
    );
    app.clock.advance(Duration::from_secs(300));
    assert_eq!(status("/v2/products").await, 401);
    assert!(
        owner
            .get("/dashboard/audit")
            .await
            .text()
            .contains("Token for trying made")
    );

    for (client, expected) in [("cli_nobody", 404), ("", 404)] {
        let form = [("client", client.to_owned())];
        assert_eq!(
            owner.post("/dashboard/try-it", &form).await.status,
            expected
        );
    }
    // Nobody is lifted above their role.
    let (mighty, _) = app
        .credentials("products:read orders:write clients:write")
        .await;
    let mut developer = browser::member(&app, "dev@example.com", Role::Developer).await;
    let minted = developer
        .post("/dashboard/try-it", &[("client", mighty)])
        .await;
    assert_eq!(minted.json()["scope"], "products:read");
    let (foreign, _) = app.credentials("orders:write").await;
    let minted = developer
        .post("/dashboard/try-it", &[("client", foreign)])
        .await;
    assert_eq!(minted.status, 409);

    // Nor does the token outlive the account, or lead in from where the client may not call.
    let mut admin = browser::member(&app, "adm@example.com", Role::Admin).await;
    let minted = admin.post("/dashboard/try-it", &form).await.json();
    let token = format!("Bearer {}", minted["access_token"].as_str().unwrap());
    let status = async || {
        let call = app.anonymous().request(Method::GET, "/v2/products");
        call.header("authorization", &token).send().await.status
    };
    assert_eq!(status().await, 200);
    let team = owner.get("/dashboard/team").await.text();
    let (before, _) = team.split_once("adm@example.com").unwrap();
    let path = before.rsplit("href=\"").next().unwrap();
    let close = format!("{}/disable", path.split('"').next().unwrap());
    let form_of_closing = [
        ("email", "adm@example.com".to_owned()),
        ("confirm_password", PASSWORD.to_owned()),
    ];
    assert_eq!(owner.post(&close, &form_of_closing).await.status, 303);
    assert_eq!(status().await, 403, "there is nothing left that it may do");
    let (inside, _) = app.credentials("products:read").await;
    let fenced = inside.clone();
    let fenced: Result<u64, platform::db::DbError> = app
        .db
        .write(async move |tx| {
            let sql = "UPDATE oauth_clients SET ip_allow = '[\"10.0.0.0/8\"]' WHERE id = $1";
            tx.execute(sql, &[platform::db::Param::Text(&fenced)]).await
        })
        .await;
    assert_eq!(fenced.unwrap(), 1);
    app.clock.advance(Duration::from_secs(2));
    let minted = owner.post("/dashboard/try-it", &[("client", inside)]).await;
    assert_eq!(minted.status, 409);
    assert!(minted.text().contains("address"), "{}", minted.text());

    let revoke = [("name", "test".to_owned())];
    owner
        .post(&format!("/dashboard/credentials/{id}/revoke"), &revoke)
        .await;
    assert_eq!(owner.post("/dashboard/try-it", &form).await.status, 409);
    let offer = owner.get("/dashboard/try-it").await;
    assert!(
        !offer.text().contains(&id),
        "what is revoked is not offered"
    );
}

#[tokio::test]
async fn a_developer_cannot_make_or_rotate_credentials_that_may_more_than_the_role() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut developer = browser::member(&app, "dev@example.com", Role::Developer).await;
    let form = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| ("scope", (*scope).to_owned()));
        let name = [("name", "Sync".to_owned())];
        name.into_iter().chain(scopes).collect::<Vec<_>>()
    };
    let path = "/dashboard/credentials/new";
    let page = developer.get(path).await.text();
    assert!(
        page.contains("value=\"integrations:read\"") && !page.contains("value=\"orders:write\"")
    );
    for scope in [
        "orders:write",
        "users:write",
        "clients:write",
        "audit:read",
        "reports:pii",
    ] {
        let refused = developer.post(path, &form(&["products:read", scope])).await;
        assert_eq!(refused.status, 403, "{scope}");
        assert!(refused.text().contains(scope), "{}", refused.text());
    }
    assert!(
        !developer
            .get("/dashboard/credentials")
            .await
            .text()
            .contains("Sync")
    );
    assert_eq!(
        developer.post(path, &form(&["products:read"])).await.status,
        200
    );

    let made = owner.post(path, &form(&["orders:write"])).await;
    assert_eq!(made.status, 200);
    let path = format!(
        "/dashboard/credentials/{}",
        browser::between(&made.text(), "id=\"client-id\">", "<")
    );
    let rotate = format!("{path}/rotate");
    assert!(
        !developer.get(&path).await.text().contains("/rotate"),
        "no form that would be refused"
    );
    let hours = [("hours", "1".to_owned())];
    let refused = developer.post(&rotate, &hours).await;
    assert_eq!(refused.status, 403);
    let key = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "a", "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
    let keys = [("jwks", key.to_string()), ("hours", "1".to_owned())];
    let uris = [
        ("grant_type", "authorization_code".to_owned()),
        ("redirect_uris", "https://evil.example/".to_owned()),
    ];
    for (form, fields) in [("keys", &keys), ("flows", &uris)] {
        let refused = developer.post(&format!("{path}/{form}"), fields).await;
        assert_eq!(refused.status, 403, "{form}");
    }
    assert!(!refused.text().contains("client-secret"));
    assert_eq!(owner.post(&rotate, &hours).await.status, 200);
    let name = [("name", "Sync".to_owned())];
    let revoked = developer.post(&format!("{path}/revoke"), &name).await;
    assert_eq!(revoked.status, 303, "stopping is not granting");
}

#[tokio::test]
async fn public_keys_are_registered_and_shown_and_end_the_secrets() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let (id, secret) = app.credentials("orders:read").await;
    let page = format!("/dashboard/credentials/{id}");
    let path = format!("{page}/keys");
    let fields =
        |jwks: &str, hours: &str| vec![("jwks", jwks.to_owned()), ("hours", hours.to_owned())];
    let key = r#"{"kty":"OKP","crv":"Ed25519","kid":"<b>1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let good = format!(r#"{{"keys":[{key}]}}"#);
    for (jwks, hours) in [
        ("", "0"),
        ("{}", "0"),
        (key, "0"),
        (r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#, "0"),
        (good.as_str(), "169"),
        (good.as_str(), "soon"),
    ] {
        assert_eq!(
            owner.post(&path, &fields(jwks, hours)).await.status,
            422,
            "{jwks} {hours}"
        );
    }
    let set = owner.post(&path, &fields(&good, "0")).await;
    assert_eq!(set.status, 303);
    let shown = owner.get(set.header("location")).await.text();
    for text in [
        "are registered",
        "EdDSA",
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    ] {
        assert!(shown.contains(text), "{text}");
    }
    assert!(!shown.contains("<b>1"), "a name is only a name");
    app.clock.advance(Duration::from_secs(2)); // what is known of a client is at most a second old
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    assert_eq!(app.anonymous().post("/oauth/token", body).await.status, 401);
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(audit.contains("Public keys set"));
}

#[tokio::test]
async fn what_is_wrong_with_credentials_is_told_at_the_field_and_nothing_typed_is_lost() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let new = "/dashboard/credentials/new";
    let form = [field("name", ""), field("days", "soon")];
    let refused = super::catalog::send(&mut owner, new, &form).await;
    let page = refused.text();
    assert_eq!(refused.status, 422);
    for (name, said) in [
        ("name", "Expected 1 to 100 characters"),
        ("scope", "Choose at least one"),
        ("days", "Expected a number of days"),
    ] {
        assert!(
            page.contains(&format!("id=\"wrong-{name}\">{said}")),
            "{page}"
        );
    }
    assert_eq!(page.matches("aria-invalid").count(), 2, "of a group none");
    assert!(page.contains("value=\"soon\""));

    let (id, _) = app.credentials("orders:read").await;
    let path = format!("/dashboard/credentials/{id}");
    for (deed, form, field, said, kept) in [
        (
            "keys",
            vec![field("jwks", "{\"keys\":[]}")],
            "jwks",
            "A key set has 1 to 10 keys",
            "{&#34;keys&#34;:[]}</textarea>",
        ),
        (
            "revoke",
            vec![field("name", "Test!")],
            "name",
            "This is not their name",
            "name=\"name\"",
        ),
        (
            "flows",
            vec![
                field("grant_type", "authorization_code"),
                field("redirect_uris", "https://a.example/cb http://b.example/cb"),
            ],
            "redirect_uris",
            "http://b.example/cb: http is for 127.0.0.1",
            "https://a.example/cb http://b.example/cb</textarea>",
        ),
        (
            "flows",
            vec![field("grant_type", "refresh_token")],
            "grant_type",
            "refresh_token goes with",
            "value=\"refresh_token\" checked",
        ),
    ] {
        let refused = super::catalog::send(&mut owner, &format!("{path}/{deed}"), &form).await;
        let page = refused.text();
        assert_eq!(refused.status, 422, "{deed}");
        let note = format!("id=\"wrong-{field}\">{said}");
        assert!(
            page.contains(&note) && page.contains(kept),
            "{deed}: {page}"
        );
    }
    let list = owner.get("/dashboard/credentials").await.text();
    assert!(!list.contains("Revoked"), "{list}");
}

/// Of two who change the settings of an app the second is told.
#[tokio::test]
async fn settings_of_an_app_are_not_overwritten_unseen() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let (id, _) = app.credentials("orders:read").await;
    let page = format!("/dashboard/credentials/{id}");
    let path = format!("{page}/flows");
    let shown = super::catalog::form(&owner.get(&page).await.text(), &path);
    let with = |uri: &str, more: &str| {
        let mut form = shown.clone();
        super::catalog::set(&mut form, "redirect_uris", uri);
        for name in ["authorization_code", more] {
            form.push(("grant_type".to_owned(), name.to_owned()));
        }
        form
    };
    let first = with("https://a.example/cb", "refresh_token");
    let saved = super::catalog::send(&mut owner, &path, &first).await;
    assert_eq!(saved.status, 303, "{}", saved.text());
    let late = with("https://b.example/cb", "client_credentials");
    let told = super::catalog::send(&mut owner, &path, &late).await;
    assert_eq!(told.status, 422);
    let text = told.text();
    assert!(
        text.contains("Somebody else changed these settings meanwhile")
            && text.contains("the redirect URIs https://a.example/cb")
            && text.contains("https://b.example/cb</textarea>"),
        "{text}"
    );
    let again = super::catalog::form(&text, &path);
    let saved = super::catalog::send(&mut owner, &path, &again).await;
    assert_eq!(saved.status, 303, "{}", saved.text());
    // What is as it was asked for already stands against nobody.
    let twice = super::catalog::send(&mut owner, &path, &again).await;
    assert_eq!(twice.status, 303, "{}", twice.text());
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("redirect uris: https://a.example/cb → https://b.example/cb"),
        "{audit}"
    );
}

#[tokio::test]
async fn of_two_who_save_the_settings_of_an_app_at_once_one_is_told() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let (id, _) = app.credentials("orders:read").await;
    let page = format!("/dashboard/credentials/{id}");
    let path = format!("{page}/flows");
    for round in 0..6 {
        let shown = super::catalog::form(&owner.get(&page).await.text(), &path);
        let mut tasks = tokio::task::JoinSet::new();
        for one in ["a", "b"] {
            let mut form = shown.clone();
            let uri = format!("https://{one}.example/{round}");
            super::catalog::set(&mut form, "redirect_uris", &uri);
            if !form.iter().any(|(_, value)| value == "authorization_code") {
                form.push(("grant_type".to_owned(), "authorization_code".to_owned()));
            }
            let mut other = Browser::new(&app);
            other.cookies = owner.cookies.clone();
            let path = path.clone();
            tasks.spawn(async move { super::catalog::send(&mut other, &path, &form).await.status });
        }
        let mut statuses = tasks.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 422], "round {round}");
    }
}
