//! The settings, the search over everything, and the log of who did what.

use super::browser::{self, Browser, OWNER};
use super::catalog::owner;
use super::pages::order;
use crate::app::TestApp;
use serde_json::json;
use std::time::Duration;
use tradepost::dashboard::Role;

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
    let shown = super::catalog::form(&page, path);
    let form = |shop: &str, currency: &str, zone: &str| {
        let mut form = shown.clone();
        for (name, value) in [("shop", shop), ("currency", currency), ("time_zone", zone)] {
            super::catalog::set(&mut form, name, value);
        }
        form
    };
    for (shop, currency, zone, said) in [
        (" ", "EUR", "UTC", "name of 1 to 100"),
        ("Cups", "eur", "UTC", "one of the currencies"),
        ("Cups", "EUR", "Mars/Olympus", "time zone such as"),
    ] {
        let form = form(shop, currency, zone);
        let refused = super::catalog::send(&mut owner, path, &form).await;
        assert_eq!(refused.status, 422);
        assert_eq!(refused.text().matches("aria-invalid").count(), 1);
        assert!(refused.text().contains(said), "{}", refused.text());
    }
    assert!(
        owner
            .get("/dashboard")
            .await
            .text()
            .contains("Teapots &#38; more")
    );
    let form = form("Cups", "EUR", "Asia/Tokyo");
    let saved = super::catalog::send(&mut owner, path, &form).await;
    assert_eq!(browser::landed(&saved), "/dashboard/settings, saved");
    let home = owner.get("/dashboard").await.text();
    assert!(home.contains("Cups") && !home.contains("Teapots"), "{home}");
    assert!(home.contains("EUR"), "{home}");
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("Settings changed")
            && audit
                .contains("name: Teapots &#38; more → Cups; currency: USD → EUR; time zone: Europe/Vienna → Asia/Tokyo"),
        "{audit}"
    );
    let mut form = super::catalog::form(&owner.get(path).await.text(), path);
    super::catalog::set(&mut form, "time_zone", "europe/vienna");
    super::catalog::send(&mut owner, path, &form).await;
    let page = owner.get(path).await.text();
    assert!(
        page.contains("name=\"time_zone\" value=\"Europe/Vienna\""),
        "{page}"
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
    // What both changed is told and not overwritten.
    let mut late = renamed.clone();
    super::catalog::set(&mut late, "shop", "Pots");
    let told = super::catalog::send(&mut owner, path, &late).await;
    assert_eq!(told.status, 409);
    let text = told.text();
    assert!(
        text.contains("is now “Cups”; you changed it too") && text.contains("value=\"Pots\""),
        "{text}"
    );
    let again = super::catalog::form(&text, path);
    let saved = super::catalog::send(&mut owner, path, &again).await;
    assert_eq!(browser::landed(&saved), "/dashboard/settings, saved");
    assert!(owner.get(path).await.text().contains("value=\"Pots\""));
}

/// One of the two may be told to send it again; what it saved is never lost.
#[tokio::test]
async fn settings_that_are_saved_at_once_are_both_kept_or_one_is_refused() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let path = "/dashboard/settings";
    for round in 0..8 {
        let form = super::catalog::form(&owner.get(path).await.text(), path);
        let (name, zone) = (format!("Shop {round}"), ["Asia/Tokyo", "UTC"][round % 2]);
        let mut tasks = tokio::task::JoinSet::new();
        for (field, value) in [("shop", name.as_str()), ("time_zone", zone)] {
            let mut form = form.clone();
            super::catalog::set(&mut form, field, value);
            let mut other = Browser::new(&app);
            other.cookies = owner.cookies.clone();
            let field = field.to_owned();
            tasks.spawn(async move {
                (
                    field,
                    super::catalog::send(&mut other, path, &form).await.status,
                )
            });
        }
        let page = |page: &str, value: &str| page.contains(&format!("value=\"{value}\""));
        let done = tasks.join_all().await;
        let shown = owner.get(path).await.text();
        for (field, status) in done {
            let value = if field == "shop" { &name } else { zone };
            assert!(matches!(status, 303 | 409), "{field}: {status}");
            assert!(
                status != 303 || page(&shown, value),
                "{field} is lost: {shown}"
            );
        }
    }
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
