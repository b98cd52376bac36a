//! What pages show and forms do.

use super::browser::{self, Browser, OWNER, PASSWORD};
use super::catalog::owner;
use crate::app::TestApp;
use serde_json::json;
use std::time::Duration;
use tradepost::dashboard::Role;

/// An order of two teapots.
pub async fn order(app: &TestApp) -> String {
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
    assert!(empty.contains("No orders in this period"));
    assert_eq!(
        empty.matches("None.").count(),
        2,
        "of both kinds of waiting"
    );
    let id = order(&app).await;
    let page = owner.get("/dashboard").await.text();
    let detail = owner.get(&format!("/dashboard/orders/{id}")).await.text();
    assert!(
        detail.contains("Its stock is allocated to it; if it is not confirmed, the order expires"),
        "{detail}"
    );
    assert!(!detail.contains("cli_"), "who did it is named: {detail}");
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
    assert!(stale.text().contains("The order has changed meanwhile"));
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
