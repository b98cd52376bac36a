//! What pages show and forms do.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use axum::http::Method;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tradepost::dashboard::Role;

async fn owner(app: &TestApp) -> Browser {
    browser::set_up(app).await;
    let mut owner = Browser::new(app);
    owner.sign_in(OWNER, PASSWORD).await;
    owner
}

/// An order of two teapots.
async fn order(app: &TestApp) -> String {
    let api = app.client("products:write orders:write orders:read").await;
    let product = json!({ "title": "Teapot", "status": "active", "sku": "TEAPOT", "price": 1999, "currency": "USD", "inventory_quantity": 5 });
    assert_eq!(api.post("/v2/products", product).await.status, 201);
    let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "TEAPOT", "quantity": 2 }] });
    let order = api.post("/v2/orders", order).await;
    assert_eq!(order.status, 201, "{}", order.text());
    order.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_bare_address_leads_to_the_dashboard() {
    let app = TestApp::start().await;
    let reply = app.anonymous().get("/").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, "/dashboard")
    );
}

#[tokio::test]
async fn home_shows_today_what_waits_and_what_runs_out() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let empty = owner.get("/dashboard").await.text();
    assert!(empty.contains("No orders in this period") && empty.contains("None."));
    let id = order(&app).await;
    let page = owner.get("/dashboard").await.text();
    let detail = owner.get(&format!("/dashboard/orders/{id}")).await.text();
    assert!(detail.contains("Its stock is allocated until"), "{detail}");
    for shown in [
        "<p class=\"figure\">1</p>",
        "39.98\u{a0}USD",
        "ada@example.com",
        "3 left",
        "27 Oct: 1 order, 39.98\u{a0}USD",
        &format!("/dashboard/orders/{id}"),
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    app.clock.advance(Duration::from_secs(25 * 3600));
    owner.sign_in(OWNER, PASSWORD).await;
    let next_day = owner.get("/dashboard").await.text();
    assert!(next_day.contains("1 yesterday by this time"), "{next_day}");
}

#[tokio::test]
async fn filters_are_kept_as_views_of_ones_own() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut ada = browser::member(&app, "ada@example.com", Role::ReadOnly).await;
    let filtered = "/dashboard/orders?status=confirmed&q=TEAPOT%20%26";
    assert!(
        !owner
            .get("/dashboard/orders?status=pending")
            .await
            .text()
            .contains("Keep this view")
    );
    let page = ada.get(filtered).await.text();
    let query = browser::between(&page, "name=\"query\" value=\"", "\"").replace("&#38;", "&");
    assert_eq!(query, "status=confirmed&q=TEAPOT%20%26");
    let keep = |list: &str, name: &str, query: &str| {
        [
            ("list", list.to_owned()),
            ("name", name.to_owned()),
            ("query", query.to_owned()),
        ]
    };
    let kept = ada
        .post("/dashboard/views", &keep("orders", "Pots <b>", &query))
        .await;
    assert_eq!((kept.status, kept.header("location")), (303, filtered));
    let page = ada.get(filtered).await.text();
    assert!(
        page.contains("Pots &#60;b&#62;") && page.contains("Remove the view"),
        "{page}"
    );
    assert!(!page.contains("Keep this view"), "it is one already");
    assert!(
        !owner.get("/dashboard/orders").await.text().contains("Pots"),
        "they are one's own"
    );
    assert!(
        !ada.get("/dashboard/products").await.text().contains("Pots"),
        "and of one list"
    );
    for wrong in [
        keep("orders", "", &query),
        keep("orders", &"n".repeat(41), &query),
        keep("orders", "All", ""),
        keep("orders", "Elsewhere", "next=//evil.example"),
        keep("staff", "Secrets", &query),
        keep("orders", "Long", &format!("q={}", "x".repeat(2_000))),
    ] {
        assert_eq!(
            ada.post("/dashboard/views", &wrong).await.status,
            422,
            "{wrong:?}"
        );
    }
    let id = browser::between(&page, "/dashboard/views/", "/remove");
    let remove = format!("/dashboard/views/{id}/remove");
    assert_eq!(
        owner.post(&remove, &[]).await.status,
        404,
        "of somebody else"
    );
    assert_eq!(
        ada.post(&remove, &[]).await.header("location"),
        "/dashboard/orders"
    );
    assert!(!ada.get("/dashboard/orders").await.text().contains("Pots"));
    for number in 0..20 {
        let view = keep("products", &format!("View {number}"), "status=active&q=a");
        assert_eq!(ada.post("/dashboard/views", &view).await.status, 303);
    }
    let full = ada
        .post("/dashboard/views", &keep("products", "One more", "q=b"))
        .await;
    assert_eq!(full.status, 409);
}

#[tokio::test]
async fn the_first_page_of_a_list_keeps_its_filters() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    order(&app).await;
    let api = app.client("orders:write").await;
    for _ in 0..25 {
        let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "TEAPOT", "quantity": 1 }] });
        api.post("/v2/orders", order).await;
        let adjusted = json!({ "sku": "TEAPOT", "delta": 1, "reason": "found" });
        app.client("inventory:write")
            .await
            .post("/v2/inventory/adjustments", adjusted)
            .await;
    }
    let page = owner
        .get("/dashboard/orders?status=pending&q=ada%40example.com")
        .await
        .text();
    let next = browser::between(&page, "<nav class=\"pager\"", "rel=\"next\"");
    let next = browser::between(&next, "href=\"", "\"").replace("&#38;", "&");
    let page = owner.get(&next).await.text();
    let first = browser::between(&page, "<nav class=\"pager\"", "First page");
    let first = browser::between(&first, "href=\"", "\"").replace("&#38;", "&");
    assert!(
        first.contains("status=pending")
            && first.contains("q=ada%40example.com")
            && !first.contains("cursor"),
        "{first}"
    );
}

#[tokio::test]
async fn home_shows_messages_that_do_not_arrive() {
    let server = crate::notifications::MailServer::start().await;
    let url = server.url();
    let app = TestApp::start_with(|config| {
        config.smtp_url = Some(url);
        config.mail_from = "Shop <shop@shop.example>".into();
    })
    .await;
    let mut owner = owner(&app).await;
    let quiet = owner.get("/dashboard").await.text();
    assert!(quiet.contains("No failures in the last 7 days"), "{quiet}");
    let nothing = r#"{"email":false,"sms":false,"push":false}"#;
    crate::notifications::user(&app, "user_1", "ada@example.com", nothing).await;
    let api = app.client("notifications:write").await;
    let message = json!({ "user_id": "user_1", "message": "Sent <soon>", "type": "email" });
    for (answer, shown) in [
        ("451 try <later>", "Retrying"),
        ("550 no such mailbox", "Failed"),
    ] {
        server.answer_next(&[answer]);
        assert_eq!(
            api.post("/v2/notifications", message.clone()).await.status,
            202
        );
        assert_eq!(tradepost::notifications::jobs::run_due(&app).await, 1);
        let page = owner.get("/dashboard").await.text();
        assert!(
            page.contains("Email to user_1") && page.contains(shown),
            "{page}"
        );
        assert!(
            page.contains(&answer[4..].replace('<', "&#60;").replace('>', "&#62;")),
            "{page}"
        );
    }
    // Nor is it news that nobody has set a channel up: it did not arrive.
    let mut message = message;
    message["type"] = "sms".into();
    assert_eq!(api.post("/v2/notifications", message).await.status, 202);
    assert_eq!(tradepost::notifications::jobs::run_due(&app).await, 1);
    let page = owner.get("/dashboard").await.text();
    assert!(
        page.contains("SMS to user_1") && page.contains("channel not configured"),
        "{page}"
    );
    app.clock.advance(Duration::from_secs(7 * 24 * 3600));
    owner.sign_in(OWNER, PASSWORD).await;
    assert!(
        owner
            .get("/dashboard")
            .await
            .text()
            .contains("No failures in the last 7 days")
    );
}

#[tokio::test]
async fn an_order_is_moved_by_forms_as_by_the_api() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let id = order(&app).await;
    let path = format!("/dashboard/orders/{id}");
    let page = owner.get(&path).await.text();
    assert!(
        page.contains("/confirm\"") && page.contains("/cancel\"") && !page.contains("/complete\"")
    );
    let version = |text: &str| browser::between(text, "name=\"version\" value=\"", "\"");
    let asked = owner.get(&format!("{path}/confirm")).await.text();
    assert!(asked.contains("39.98\u{a0}USD") && asked.contains("data-label=\"Available\">3</td>"));
    let seen = [("version", version(&asked))];
    let early = owner.get(&format!("{path}/complete")).await;
    assert_eq!(early.status, 409, "it is not confirmed yet");
    let done = owner.post(&format!("{path}/confirm"), &seen).await;
    assert_eq!(
        (done.status, browser::landed(&done)),
        (303, format!("{path}, confirmed"))
    );
    let stale = owner.post(&format!("{path}/complete"), &seen).await;
    assert_eq!(
        stale.status, 412,
        "the order has changed since the page was shown"
    );
    assert!(stale.text().contains("Somebody else changed the order"));
    let page = owner.get(&path).await.text();
    assert!(page.contains("The order is confirmed") && page.contains("by owner@example.com"));
    let again = owner.get(&path).await.text();
    assert!(!again.contains("The order is confirmed"), "told once");
    // Nor can a link tell what was not done.
    let link = owner.get(&format!("{path}?done=cancelled")).await.text();
    assert!(!link.contains("The order is cancelled"), "{link}");
    let shipped = owner.get(&format!("{path}/complete")).await.text();
    assert!(shipped.contains("5 → <strong>3</strong>"), "{shipped}");
    let asked = owner.get(&format!("{path}/cancel")).await.text();
    for effect in [
        "2 → <strong>0</strong>",
        "3 → <strong>5</strong>",
        "39.98\u{a0}USD → <strong>0.00\u{a0}USD</strong>",
    ] {
        assert!(asked.contains(effect), "{effect} in {asked}");
    }
    let fields = [
        ("version", version(&asked)),
        ("reason", "changed her mind".to_owned()),
    ];
    assert_eq!(
        owner.post(&format!("{path}/cancel"), &fields).await.status,
        303
    );
    let page = owner.get(&path).await.text();
    assert!(
        page.contains("changed her mind")
            && !page.contains("/confirm\"")
            && !page.contains("/cancel\"")
    );
    let again = [("version", "4".to_owned())];
    let again = owner.post(&format!("{path}/confirm"), &again).await;
    assert!((400..500).contains(&again.status), "{}", again.status);
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("Order confirmed") && audit.contains("Order cancelled"),
        "{audit}"
    );
}

#[tokio::test]
async fn orders_are_found_and_paged() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let id = order(&app).await;
    for (query, found) in [
        ("", true),
        ("?q=1001", true),
        ("?q=9999", false),
        ("?q=ADA@example.com", true),
        ("?q=TEAPOT", true),
        (
            "?status=pending&payment=unpaid&fulfillment=unfulfilled",
            true,
        ),
        ("?status=completed", false),
        ("?status=nonsense&q=", true),
    ] {
        let page = owner.get(&format!("/dashboard/orders{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(page.text().contains(&id), found, "{query}");
    }
    assert_eq!(
        owner.get(&format!("/dashboard/orders?q={id}")).await.status,
        200
    );
    assert_eq!(
        owner.get("/dashboard/orders?cursor=forged").await.status,
        400
    );
    for (query, view) in [
        ("", "All"),
        ("?status=pending&payment=&fulfillment=", "To confirm"),
        ("?status=confirmed&fulfillment=unfulfilled", "To ship"),
    ] {
        let page = owner.get(&format!("/dashboard/orders{query}")).await.text();
        let here = format!("aria-current=\"page\">{view}</a>");
        assert!(page.contains(&here), "{query} in {page}");
    }
}

#[tokio::test]
async fn lists_go_on_behind_their_first_page() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let api = app.client("users:write").await;
    for n in 0..30 {
        let user = json!({ "username": format!("user{n:02}"), "email": format!("user{n:02}@example.com") });
        assert_eq!(api.post("/v2/users", user).await.status, 201);
    }
    let first = owner.get("/dashboard/customers").await.text();
    assert_eq!(first.matches("@example.com</td>").count(), 25);
    let next = browser::between(&first, "href=\"/dashboard/customers?cursor=", "\"");
    let next = format!("/dashboard/customers?cursor={}", next.replace("&#38;", "&"));
    let second = owner.get(&next).await.text();
    assert_eq!(second.matches("@example.com</td>").count(), 5);
    assert!(second.contains("First page") && !second.contains("rel=\"next\""));
    let one = owner.get("/dashboard/customers?q=USER07").await.text();
    assert_eq!(one.matches("@example.com</td>").count(), 1);
}

#[tokio::test]
async fn products_are_listed_searched_and_shown() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    order(&app).await;
    for (query, found) in [
        ("", true),
        ("?q=teapot", true),
        ("?q=bicycle", false),
        ("?status=draft", false),
    ] {
        let page = owner
            .get(&format!("/dashboard/products{query}"))
            .await
            .text();
        assert_eq!(page.contains(">Teapot</a>"), found, "{query}: {page}");
    }
    let list = owner.get("/dashboard/products").await.text();
    let id = browser::between(&list, "class=\"wide\"><a href=\"/dashboard/products/", "\"");
    let page = owner.get(&format!("/dashboard/products/{id}")).await.text();
    assert!(
        page.contains("19.99\u{a0}USD")
            && page.contains("TEAPOT")
            && page.contains("data-label=\"Available\">3</td>")
    );
    assert_eq!(owner.get("/dashboard/products/prod_none").await.status, 404);
    assert_eq!(
        owner.get("/dashboard/customers/user_none").await.status,
        404
    );
}

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
    assert!(owner.get(&page).await.text().contains("59 min left"));
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
        "Client created",
        "Client rotated",
        "Client revoked",
        "Staff signed in",
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
            .contains("Client tried")
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
    let now = app.clock.now();
    let closed = app.db.write(async move |tx| {
        tradepost::dashboard::accounts::disable(tx, "adm@example.com", now).await
    });
    closed.await.unwrap();
    app.oauth.refresh(&app.db, now).await.unwrap();
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
    assert_eq!(minted.status, 409, "{}", minted.text());

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
async fn files_have_names_of_their_content_and_are_kept() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    let page = browser.get("/dashboard/sign-in").await.text();
    for (end, kind) in [
        (".css", "text/css"),
        (".js", "text/javascript"),
        (".svg", "image/svg+xml"),
    ] {
        let path = page
            .split('"')
            .find(|part| part.contains("/assets/") && part.ends_with(end));
        let file = browser.get(path.unwrap()).await;
        assert_eq!(file.status, 200);
        assert!(file.header("content-type").starts_with(kind));
        assert_eq!(
            file.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert_eq!(
            file.header("set-cookie"),
            "",
            "what is kept for all has no cookie"
        );
    }
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
async fn the_shop_is_changed_and_shown_everywhere_at_once() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let path = "/dashboard/settings";
    let page = owner.get(path).await.text();
    for kept in [
        "value=\"Teapots &#38; more\"",
        "<option selected>USD</option>",
        "value=\"Europe/Vienna\"",
    ] {
        assert!(page.contains(kept), "{kept} in {page}");
    }
    let form = |shop: &str, currency: &str, zone: &str| {
        [("shop", shop), ("currency", currency), ("time_zone", zone)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    for (shop, currency, zone, said) in [
        (" ", "EUR", "UTC", "name of 1 to 100"),
        ("Cups", "eur", "UTC", "one of the currencies"),
        ("Cups", "EUR", "Mars/Olympus", "time zone such as"),
    ] {
        let refused = owner.post(path, &form(shop, currency, zone)).await;
        assert_eq!(refused.status, 422);
        assert!(refused.text().contains(said), "{}", refused.text());
    }
    assert!(
        owner
            .get("/dashboard")
            .await
            .text()
            .contains("Teapots &#38; more")
    );
    let saved = owner.post(path, &form("Cups", "EUR", "Asia/Tokyo")).await;
    assert_eq!(browser::landed(&saved), "/dashboard/settings, saved");
    let home = owner.get("/dashboard").await.text();
    assert!(home.contains("Cups") && !home.contains("Teapots"), "{home}");
    assert!(home.contains("EUR"), "{home}");
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("Shop changed")
            && audit
                .contains("name: Teapots &#38; more → Cups; currency: USD → EUR; time_zone: Europe/Vienna → Asia/Tokyo"),
        "{audit}"
    );
    let mut operator = browser::member(&app, "op@example.com", Role::Operator).await;
    assert_eq!(operator.get(path).await.status, 403);
}

/// What a form left alone is not put back to what its page showed.
#[tokio::test]
async fn two_who_change_the_shop_keep_what_the_other_changed() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let path = "/dashboard/settings";
    let form = super::catalog::form(&owner.get(path).await.text(), path);
    let mut renamed = form.clone();
    super::catalog::set(&mut renamed, "shop", "Cups");
    let mut moved = form;
    super::catalog::set(&mut moved, "time_zone", "Asia/Tokyo");
    for form in [&renamed, &moved] {
        let saved = super::catalog::send(&mut owner, path, form).await;
        assert_eq!(browser::landed(&saved), "/dashboard/settings, saved");
    }
    let page = owner.get(path).await.text();
    assert!(
        page.contains("name=\"shop\" value=\"Cups\"") && page.contains("value=\"Asia/Tokyo\""),
        "{page}"
    );
}

#[tokio::test]
async fn pages_people_and_credentials_are_found_by_name() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut operator = browser::member(&app, "kim@example.com", Role::Operator).await;
    let find = async |browser: &mut Browser, q: &str| {
        let page = browser.get(&format!("/dashboard/search?q={q}")).await;
        page.text()
    };
    for (q, place) in [
        ("security", "href=\"/dashboard/security\""),
        ("docs", "href=\"/docs\">API reference (docs)"),
        ("kim%40ex", "href=\"/dashboard/team/"),
        ("first+cred", "href=\"/dashboard/credentials/cli_"),
    ] {
        let page = find(&mut owner, q).await;
        assert!(page.contains(place), "{q}: {page}");
    }
    let id = order(&app).await;
    let number = app.client("orders:read").await;
    let number = number.get(&format!("/v2/orders/{id}")).await.json();
    let number = number["number"].as_str().unwrap().to_owned();
    for q in [format!("order+{number}"), format!("%23{number}")] {
        let page = find(&mut owner, &q).await;
        assert!(page.contains(&format!("/dashboard/orders/{id}")), "{page}");
    }
    for q in ["kim%40ex", "first+cred"] {
        let page = find(&mut operator, q).await;
        assert!(
            page.contains("Nothing matches"),
            "not theirs to see: {page}"
        );
    }
}

#[tokio::test]
async fn pages_and_objects_are_found_by_what_one_types_or_pastes() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let id = order(&app).await;
    let api = app.client("users:write products:read").await;
    let user = json!({ "username": "grace", "email": "grace@example.com" });
    let user = api.post("/v2/users", user).await.json()["id"].clone();
    let user = user.as_str().unwrap();
    let product = api.get("/v2/products").await.json()[0].clone();
    let variant = product["variants"][0]["id"].as_str().unwrap();
    let product = product["id"].as_str().unwrap();
    for (q, found) in [
        ("1001", format!("/dashboard/orders/{id}")),
        ("%231001", format!("/dashboard/orders/{id}")),
        ("ADA@example.com", format!("/dashboard/orders/{id}")),
        (&id, format!("/dashboard/orders/{id}")),
        ("teapot", format!("/dashboard/products/{product}")),
        ("TEAPOT", format!("/dashboard/products/{product}")),
        (product, format!("/dashboard/products/{product}")),
        (variant, format!("/dashboard/products/{product}")),
        ("grace@", format!("/dashboard/customers/{user}")),
        (user, format!("/dashboard/customers/{user}")),
        ("audit", "/dashboard/audit".to_owned()),
        ("cli_abc", "/dashboard/credentials/cli_abc".to_owned()),
        (
            "01a2135f-626c-7c0d-99f0-aa5f6de9119e",
            "/dashboard/requests/01a2135f-626c-7c0d-99f0-aa5f6de9119e".to_owned(),
        ),
    ] {
        for part in ["", "&part=results"] {
            let page = owner.get(&format!("/dashboard/search?q={q}{part}")).await;
            assert_eq!(page.status, 200, "{q}");
            let page = page.text();
            let results = page.split("<main").last().unwrap();
            assert!(
                results.contains(&format!("href=\"{found}\"")),
                "{q}: {results}"
            );
            assert_eq!(page.contains("<nav"), part.is_empty(), "{q}");
        }
    }
    let none = owner.get("/dashboard/search?q=%3Cb%3Enothing").await.text();
    assert!(
        none.contains("Nothing matches “&#60;b&#62;nothing”"),
        "{none}"
    );
    assert_eq!(
        owner.get("/dashboard/search?q=%00&part=x").await.status,
        200
    );
    let mut reader = browser::member(&app, "reader@example.com", Role::ReadOnly).await;
    let page = reader.get("/dashboard/search?q=cli_abc").await.text();
    assert!(!page.contains("/dashboard/credentials"), "{page}");
}

#[tokio::test]
async fn the_audit_log_is_filtered_by_who_what_and_when() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut other = browser::member(&app, "other@example.com", Role::Operator).await;
    let id = order(&app).await;
    let path = format!("/dashboard/orders/{id}");
    let step = [("version", "1".to_owned())];
    let done = other.post(&format!("{path}/confirm"), &step).await;
    assert_eq!(done.status, 303, "{}", done.text());
    app.clock.advance(Duration::from_secs(3600));
    let step = [("version", "2".to_owned())];
    let done = owner.post(&format!("{path}/complete"), &step).await;
    assert_eq!(done.status, 303, "{}", done.text());
    for (query, confirmed, completed) in [
        ("", true, true),
        ("who=other%40example.com", true, false),
        ("action=order.completed", false, true),
        (&*format!("object={id}"), true, true),
        (&format!("object={id}&who={OWNER}"), false, true),
        ("object=nothing", false, false),
        ("from=2030-01-01T00:00:00", false, false),
        ("to=2000-01-01T00:00:00", false, false),
        ("from=nonsense", true, true),
    ] {
        let page = owner.get(&format!("/dashboard/audit?{query}")).await.text();
        assert_eq!(page.contains(">Order confirmed<"), confirmed, "{query}");
        assert_eq!(page.contains(">Order completed<"), completed, "{query}");
    }
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
    assert!(audit.contains("Client keys set"));
}
