//! What pages show and forms do.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use serde_json::json;
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
async fn home_shows_today_what_waits_and_what_runs_out() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let empty = owner.get("/dashboard").await.text();
    assert!(empty.contains("No orders in these days") && empty.contains("Nothing is waiting"));
    let id = order(&app).await;
    let page = owner.get("/dashboard").await.text();
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
    assert!(asked.contains("39.98\u{a0}USD") && asked.contains("<td class=\"amount\">3</td>"));
    let seen = [("version", version(&asked))];
    let early = owner.get(&format!("{path}/complete")).await;
    assert_eq!(early.status, 409, "it is not confirmed yet");
    let done = owner.post(&format!("{path}/confirm"), &seen).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, &*format!("{path}?done=confirmed"))
    );
    let stale = owner.post(&format!("{path}/complete"), &seen).await;
    assert_eq!(
        stale.status, 412,
        "the order has changed since the page was shown"
    );
    assert!(stale.text().contains("changed by somebody else"));
    let page = owner.get(&format!("{path}?done=confirmed")).await.text();
    assert!(page.contains("The order is confirmed") && page.contains("by owner@example.com"));
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
            && page.contains("<td class=\"amount\">3</td>")
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
        none.contains("Nothing is called “&#60;b&#62;nothing”"),
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
