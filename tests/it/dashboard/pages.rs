//! What pages show and forms do.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use serde_json::json;
use std::time::Duration;

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
    let seen = [("version", version(&page))];
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
    let fields = [
        ("version", version(&page)),
        ("reason", "changed her mind".to_owned()),
    ];
    assert_eq!(
        owner.post(&format!("{path}/cancel"), &fields).await.status,
        303
    );
    let page = owner.get(&path).await.text();
    assert!(page.contains("changed her mind") && !page.contains("name=\"version\""));
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
    let id = browser::between(&list, "href=\"/dashboard/products/", "\"");
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
