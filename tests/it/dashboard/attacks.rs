//! What must not work.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use axum::http::Method;
use http_body_util::channel::Channel;
use std::time::Duration;
use tradepost::dashboard::{CONTENT_SECURITY_POLICY, Needs, Role, routes};

/// A path with ids that nothing has.
fn fill(path: &str) -> String {
    path.replace("{id}", "none_1")
        .replace("{variant}", "none_2")
        .replace("{file}", "none.css")
}

const PUBLIC: [&str; 13] = [
    "GET /",
    "GET /dashboard/assets/{file}",
    "GET /dashboard/setup",
    "POST /dashboard/setup",
    "GET /dashboard/sign-in",
    "POST /dashboard/sign-in",
    "POST /dashboard/sign-in/code",
    "POST /dashboard/sign-in/passkey",
    "GET /dashboard/forgot",
    "POST /dashboard/forgot",
    "GET /dashboard/password",
    "POST /dashboard/password",
    "GET /dashboard/",
];

const ASKING: [&str; 14] = [
    "POST /dashboard/credentials/new",
    "POST /dashboard/credentials/{id}/rotate",
    "POST /dashboard/credentials/{id}/keys",
    "POST /dashboard/credentials/{id}/flows",
    "POST /dashboard/team/invite",
    "POST /dashboard/team/{id}/role",
    "POST /dashboard/team/{id}/reset",
    "POST /dashboard/team/{id}/disable",
    "POST /dashboard/security/totp",
    "POST /dashboard/security/totp/confirm",
    "POST /dashboard/security/totp/off",
    "POST /dashboard/security/recovery",
    "POST /dashboard/security/passkeys/new",
    "POST /dashboard/security/passkeys/{id}/remove",
];

/// What needs no session. A page that is added here is a decision.
#[test]
fn exactly_these_pages_are_public() {
    let public: Vec<String> = routes()
        .iter()
        .filter(|route| route.needs.role().is_none())
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(public, PUBLIC);
}

/// Reading never asks for the password again: only a form carries what it interrupts.
#[test]
fn exactly_these_forms_ask_for_the_password_again() {
    let asking: Vec<String> = routes()
        .iter()
        .filter(|route| matches!(route.needs, Needs::Fresh(_)))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(asking, ASKING);
}

#[tokio::test]
async fn forms_that_matter_ask_for_the_password_after_five_minutes() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    app.clock.advance(Duration::from_secs(5 * 60));
    for route in routes() {
        if matches!(route.needs, Needs::Fresh(_)) {
            let asked = owner.post(&fill(route.path), &[]).await;
            assert_eq!(asked.status, 403, "{}", route.path);
            assert!(
                asked.text().contains("name=\"confirm_password\""),
                "{}",
                route.path
            );
        }
    }
}

#[tokio::test]
async fn every_page_keeps_out_who_may_not_see_it() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut members = vec![(Role::Owner, Browser::new(&app))];
    members[0].1.sign_in(OWNER, PASSWORD).await;
    for (email, role) in [
        ("admin@example.com", Role::Admin),
        ("operator@example.com", Role::Operator),
        ("developer@example.com", Role::Developer),
        ("reader@example.com", Role::ReadOnly),
    ] {
        members.push((role, browser::member(&app, email, role).await));
    }
    let mut anonymous = Browser::new(&app);
    anonymous.get("/dashboard/sign-in").await;
    for route in routes() {
        let Some(least) = route.needs.role() else {
            continue;
        };
        if route.path.ends_with("sign-out") {
            continue; // it would end the sessions that this test needs
        }
        let (name, path) = (format!("{} {}", route.method, route.path), fill(route.path));
        let reply = match route.method {
            Method::POST => anonymous.post(&path, &[]).await,
            _ => anonymous.get(&path).await,
        };
        assert_eq!(reply.status, 303, "{name}");
        assert!(
            reply.header("location").starts_with("/dashboard/sign-in"),
            "{name}"
        );
        for (role, browser) in &mut members {
            let reply = match route.method {
                Method::POST => browser.post(&path, &[]).await,
                _ => browser.get(&path).await,
            };
            let refused = reply.status == 403;
            assert_eq!(
                refused,
                !role.covers(least),
                "{name} as {role:?}: {}",
                reply.status
            );
        }
    }
}

#[tokio::test]
async fn every_form_must_come_from_our_own_page() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let (mut owner, mut other) = (Browser::new(&app), Browser::new(&app));
    owner.sign_in(OWNER, PASSWORD).await;
    other.sign_in(OWNER, PASSWORD).await;
    let (own, foreign) = (owner.form_token().await, other.form_token().await);
    let same: &[(&str, &str)] = &[("sec-fetch-site", "same-origin")];
    let host = ("host", "shop.example.com");
    for route in routes().iter().filter(|route| route.method == Method::POST) {
        let path = fill(route.path);
        for (token, headers, why) in [
            ("", same, "no token"),
            (foreign.as_str(), same, "the token of another session"),
            ("0123456789abcdefAAAA", same, "an invented token"),
            (own.as_str(), &[], "no word of where it comes from"),
            (
                own.as_str(),
                &[("sec-fetch-site", "cross-site")],
                "another site",
            ),
            (
                own.as_str(),
                &[("sec-fetch-site", "same-site")],
                "a sibling",
            ),
            (own.as_str(), &[("sec-fetch-site", "none")], "nowhere"),
            (
                own.as_str(),
                &[host, ("origin", "https://evil.example")],
                "another origin",
            ),
            (own.as_str(), &[host, ("origin", "null")], "a sandbox"),
        ] {
            let reply = owner.post_with(&path, &[], token, headers).await;
            assert_eq!(reply.status, 403, "{path}: {why}");
        }
    }
    let headers = [host, ("origin", "https://shop.example.com")];
    let path = "/dashboard/account/theme";
    let fields = [("theme", "dark".to_owned())];
    assert_eq!(
        owner.post_with(path, &fields, &own, &headers).await.status,
        303
    );
    let json = owner.get("/dashboard/account").await;
    assert!(json.text().contains("data-theme=\"dark\""));
}

#[tokio::test]
async fn signing_in_from_another_site_is_refused_too() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut victim = Browser::new(&app);
    victim.get("/dashboard/sign-in").await;
    let mut attacker = Browser::new(&app);
    let token = attacker.form_token().await;
    let fields = [
        ("email", OWNER.to_owned()),
        ("password", PASSWORD.to_owned()),
    ];
    let headers = [("sec-fetch-site", "same-origin")];
    let reply = victim
        .post_with("/dashboard/sign-in", &fields, &token, &headers)
        .await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn a_planted_session_is_not_taken_over() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let planted = "A".repeat(43);
    let mut browser = Browser::new(&app);
    browser
        .cookies
        .insert("__Host-tradepost".into(), planted.clone());
    browser.sign_in(OWNER, PASSWORD).await;
    assert_ne!(browser.cookies["__Host-tradepost"], planted);
    let mut attacker = Browser::new(&app);
    attacker.cookies.insert("__Host-tradepost".into(), planted);
    assert_eq!(attacker.get("/dashboard").await.status, 303);

    // Signing in again gives another session, and the one that was brought along ends.
    let first = browser.cookies["__Host-tradepost"].clone();
    browser.sign_in(OWNER, PASSWORD).await;
    assert_ne!(browser.cookies["__Host-tradepost"], first);
    attacker.cookies.insert("__Host-tradepost".into(), first);
    assert_eq!(attacker.get("/dashboard").await.status, 303);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nothing() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut browser = Browser::new(&app);
    let stranger = browser
        .sign_in("stranger@example.com", "wrong wrong wrong")
        .await;
    let wrong = browser.sign_in(OWNER, "wrong wrong wrong").await;
    assert_eq!((stranger.status, wrong.status), (422, 422));
    let said =
        |reply: &crate::app::Reply| browser::between(&reply.text(), "role=\"alert\"", "</p>");
    assert_eq!(said(&stranger), said(&wrong));
    for _ in 0..4 {
        browser.sign_in(OWNER, "wrong wrong wrong").await;
    }
    let paused = browser.sign_in(OWNER, PASSWORD).await;
    assert_eq!((paused.status, paused.header("retry-after")), (429, "15"));
    assert!(
        paused.text().contains("Try again in 15 seconds"),
        "{}",
        paused.text()
    );
    let long = browser
        .sign_in("stranger@example.com", &"x".repeat(100_000))
        .await;
    assert_eq!(long.status, 422);
    app.clock.advance(Duration::from_secs(15));
    assert_eq!(browser.sign_in(OWNER, PASSWORD).await.status, 303);
}

#[tokio::test]
async fn after_signing_in_nobody_is_sent_elsewhere() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    for (next, place) in [
        (
            "/dashboard/orders?status=pending",
            "/dashboard/orders?status=pending",
        ),
        ("https://evil.example/", "/dashboard"),
        ("//evil.example", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("/dashboard/\r\nset-cookie: a=b", "/dashboard"),
    ] {
        let mut browser = Browser::new(&app);
        let fields = [("email", OWNER), ("password", PASSWORD), ("next", next)];
        let fields = fields.map(|(name, value)| (name, value.to_owned()));
        let reply = browser.post("/dashboard/sign-in", &fields).await;
        assert_eq!(reply.header("location"), place, "{next:?}");
        assert_eq!(
            reply.headers.get_all("set-cookie").iter().count(),
            2,
            "{next:?}"
        );
    }
    let mut browser = Browser::new(&app);
    let away = browser.get("/dashboard/orders?q=a%20b").await;
    let place = "/dashboard/sign-in?next=%2Fdashboard%2Forders%3Fq%3Da%2520b";
    assert_eq!(away.header("location"), place);
}

#[tokio::test]
async fn what_others_wrote_is_text_on_every_page() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    let api = app
        .client("products:write users:write orders:write orders:price")
        .await;
    let product = serde_json::json!({ "title": evil, "description": evil, "status": "active", "sku": "E\"><b>", "price": 100,
        "currency": "USD", "vendor": evil, "tags": ["<i>tag</i>"], "categories": ["<u>c</u>"], "inventory_quantity": 3 });
    let product = api.post("/v2/products", product).await;
    assert_eq!(product.status, 201, "{}", product.text());
    let user = serde_json::json!({ "username": "mallory", "email": "mallory@example.com",
        "profile": { "first_name": evil, "last_name": evil, "company": evil } });
    let user = api.post("/v2/users", user).await;
    assert_eq!(user.status, 201, "{}", user.text());
    let order = serde_json::json!({ "user_id": user.json()["id"], "currency": "USD", "note": evil, "channel": "<b>web",
        "items": [{ "sku": "E\"><b>", "quantity": 1 }],
        "shipping_address": { "name": evil, "line1": evil, "city": evil, "country": "US" } });
    let order = api.post("/v2/orders", order).await;
    assert_eq!(order.status, 201, "{}", order.text());
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let form = [("name", "<b>client</b>"), ("scope", "orders:read")];
    let form = form.map(|(name, value)| (name, value.to_owned()));
    let made = owner.post("/dashboard/credentials/new", &form).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let id = |body: &serde_json::Value| body["id"].as_str().unwrap().to_owned();
    let client = browser::between(&made.text(), "id=\"client-id\">", "<");
    let variant = |page: &str| {
        let product = product.json();
        let variant = id(&product["variants"][0]);
        format!("/dashboard/products/{}/{page}/{variant}", id(&product))
    };
    for path in [
        "/dashboard".to_owned(),
        "/dashboard/orders".to_owned(),
        "/dashboard/orders?q=%3Cb%3E%22%3E&status=%3Cb%3E&cursor=".to_owned(),
        format!("/dashboard/orders/{}", id(&order.json())),
        "/dashboard/products".to_owned(),
        "/dashboard/products?q=%3Cscript%3E%22%3E".to_owned(),
        format!("/dashboard/products/{}", id(&product.json())),
        format!("/dashboard/products/{}/edit", id(&product.json())),
        format!("/dashboard/products/{}/variants/new", id(&product.json())),
        variant("variants"),
        variant("stock"),
        "/dashboard/products?stock=low".to_owned(),
        "/dashboard/customers?q=%3Cb%3E%22%3E".to_owned(),
        format!("/dashboard/customers/{}", id(&user.json())),
        "/dashboard/credentials".to_owned(),
        format!("/dashboard/credentials/{client}"),
        "/dashboard/audit".to_owned(),
        "/dashboard/orders/%3Cb%3E".to_owned(),
        "/dashboard/products/%3Cimg%20src=x%20onerror=alert(1)%3E".to_owned(),
        "/dashboard/%3Cscript%3E".to_owned(),
    ] {
        let text = owner.get(&path).await.text();
        for marked in [
            "<script>alert",
            "<img src=x",
            "<b>",
            "<i>",
            "<u>",
            "onerror=alert(2)>",
        ] {
            assert!(!text.contains(marked), "{path}: {marked} in {text}");
        }
    }
}

#[tokio::test]
async fn every_answer_forbids_what_the_pages_do_not_need() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let mut paths: Vec<String> = routes()
        .iter()
        .filter(|route| route.method == Method::GET)
        .map(|route| fill(route.path))
        .collect();
    paths.push("/dashboard/nothing/here".to_owned());
    for path in paths {
        let page = owner.get(&path).await;
        assert_eq!(
            page.header("content-security-policy"),
            CONTENT_SECURITY_POLICY,
            "{path}"
        );
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(
            page.header("cross-origin-opener-policy"),
            "same-origin",
            "{path}"
        );
        let text = page.text();
        assert!(!text.contains("name=\"referrer\""), "{path}: one policy");
        assert!(
            !text.contains(" style=") && !text.contains("<style"),
            "{path}"
        );
        assert!(
            !text.contains("<script>") && !text.contains(" onclick"),
            "{path}"
        );
        if page.header("content-type").starts_with("text/html") {
            assert_eq!(page.header("cache-control"), "no-store", "{path}");
        }
    }
    assert!(CONTENT_SECURITY_POLICY.contains("frame-ancestors 'none'"));
    assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
}

/// A second press of the button lets browsers break off the first request: what was taken is carried out all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_was_taken_is_carried_out_though_its_browser_is_gone() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let path = "/dashboard/products/new";
    let mut taken = 0;
    for pause in 0..24 {
        let token = owner.form_token().await;
        let title = format!("Gone {pause:02}");
        let request = axum::http::Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("cookie", owner.cookie_header())
            .body(axum::body::Body::from(
                format!("form={token}&title={title}").replace(' ', "+"),
            ))
            .unwrap();
        let address = std::net::IpAddr::from([127, 0, 0, 1]);
        let stack = app.stack.clone();
        let first = tokio::spawn(async move { stack.handle(request, address).await });
        tokio::time::sleep(Duration::from_micros(150 * pause)).await;
        first.abort();
        let form = [("title", title.clone())];
        let same = [("sec-fetch-site", "same-origin")];
        let second = owner.post_with(path, &form, &token, &same).await;
        taken += u64::from(second.status == 409);
        assert!(matches!(second.status, 303 | 409), "{}", second.text());
        // What goes on behind the browser's back is done in a moment.
        let shown = format!(">{title}</a>");
        let mut found = 0;
        for _ in 0..100 {
            found = owner
                .get("/dashboard/products")
                .await
                .text()
                .matches(&shown)
                .count();
            if found > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(found, 1, "{title}, answered by {}", second.status);
    }
    assert!(taken > 0, "some were broken off after they were taken");
}

/// A body may take its time: what counts is who its sender is when it is there.
#[tokio::test]
async fn a_form_that_is_held_back_is_not_taken_from_who_was_closed_out_meanwhile() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut admin = browser::member(&app, "adm@example.com", Role::Admin).await;
    let token = admin.form_token().await;
    let form = format!("form={token}&name=Held&scope=products%3Aread");
    let (mut release, held) = Channel::<axum::body::Bytes>::new(1);
    let request = axum::http::Request::post("/dashboard/credentials/new")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", admin.cookie_header())
        .body(axum::body::Body::new(held))
        .unwrap();
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let stack = app.stack.clone();
    let sent = tokio::spawn(async move { stack.handle(request, address).await });
    // Long enough to have looked who sends it, if it did that first.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let now = app.clock.now();
    let closed = app.db.write(async move |tx| {
        tradepost::dashboard::accounts::disable(tx, "adm@example.com", now).await
    });
    closed.await.unwrap();
    release.send_data(form.into()).await.unwrap();
    drop(release);
    let answer = sent.await.unwrap();
    assert_ne!(answer.status(), 200);
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let list = owner.get("/dashboard/credentials").await.text();
    assert!(!list.contains("Held"), "{list}");
}

/// Who sends a form twice is led to a page that there is.
#[test]
fn every_form_that_is_taken_once_says_where_to_look() {
    let all = routes();
    let mut seen = 0;
    for route in &all {
        let Some(trace) = route.once else { continue };
        let page = |other: &&tradepost::dashboard::routes::Route| {
            other.method == Method::GET && other.path == trace.page
        };
        assert!(all.iter().any(|other| page(&other)), "{}", route.path);
        let address = trace.address(&fill(route.path));
        assert_eq!(address, fill(trace.page), "{}", route.path);
        assert!(trace.told.ends_with('.'), "{}", route.path);
        seen += 1;
    }
    assert!(seen >= 18, "{seen}");
}

/// Where only forms are sent to, the browser's history leads all the same.
#[tokio::test]
async fn an_address_of_a_form_leads_to_the_page_above_it() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let is_page = |path: &str| {
        routes()
            .iter()
            .any(|route| route.method == Method::GET && fill(route.path) == path)
    };
    let mut seen = 0;
    for route in routes() {
        let path = fill(route.path);
        if is_page(&path) {
            continue;
        }
        let led = owner.get(&path).await;
        let place = led.header("location");
        assert_eq!(led.status, 303, "{path}");
        assert!(is_page(place) && path.starts_with(place), "{path}: {place}");
        seen += 1;
    }
    assert!(seen > 20);
    let led = owner.get("/dashboard/credentials/client_1/rotate").await;
    assert_eq!(led.header("location"), "/dashboard/credentials/client_1");
    let led = owner.get("/dashboard/security/totp/confirm?x=1").await;
    assert_eq!(led.header("location"), "/dashboard/security");
}

#[tokio::test]
async fn other_methods_and_bodies_are_refused() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let cookie = owner.cookie_header();
    let call = app
        .anonymous()
        .request(Method::PUT, "/dashboard")
        .header("cookie", &cookie);
    assert_eq!(call.send().await.status, 405);
    for (method, path) in [
        (Method::OPTIONS, "/oauth/authorize"),
        (Method::DELETE, "/dashboard/team/invite"),
        (Method::OPTIONS, "/device"),
    ] {
        let refused = app.anonymous().request(method, path).send().await;
        assert_eq!(refused.status, 405, "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), "", "{path}");
        assert!(refused.header("allow").contains("POST"), "{path}");
    }
    let call = app
        .anonymous()
        .request(Method::POST, "/dashboard/account/theme");
    let call = call
        .header("cookie", &cookie)
        .json(&serde_json::json!({ "theme": "dark" }));
    assert_eq!(call.send().await.status, 415);
}
