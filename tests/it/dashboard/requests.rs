//! The request log as people look at it.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use tradepost::dashboard::Role;

async fn started() -> (TestApp, Browser) {
    let app = TestApp::start_with(|config| config.log_requests = true).await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    (app, owner)
}

/// Looks at a page until the log's own thread has told of what was asked before.
async fn until(app: &TestApp, browser: &mut Browser, path: &str, shown: &str) -> String {
    let mut news = app.dashboard.requests.subscribe();
    loop {
        news.borrow_and_update();
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.text();
        if page.contains(shown) {
            return page;
        }
        news.changed().await.unwrap();
    }
}

#[tokio::test]
async fn requests_are_listed_filtered_and_explained() {
    let (app, mut owner) = started().await;
    let api = app.client("products:read products:write").await;
    let bad = api
        .post(
            "/v2/products",
            json!({ "title": 7, "secret": "hush@example.com" }),
        )
        .await;
    let id = bad.header("x-request-id").to_owned();
    api.get("/v2/products/prod_none?currency=EUR").await;
    api.get("/v2/products").await;
    let last = api.get("/v2/products?colour=red").await;
    let last = last.header("x-request-id").to_owned();
    let list = until(&app, &mut owner, "/dashboard/requests", &last).await;
    let rows: Vec<&str> = list.split("<tr>").collect();
    let token = rows.iter().find(|row| row.contains("POST /oauth/token"));
    assert!(token.unwrap().contains("cli_"), "who got a token: {list}");
    assert!(list.contains(&id) && list.contains("invalid_body"));
    assert!(!list.contains("hush@example.com") && !list.contains("colour"));
    assert!(
        !list.contains("GET /dashboard"),
        "what people do here is not what programs asked: {list}"
    );
    for (query, found, left_out) in [
        ("status=422", &id, &last),
        ("status=4xx&code=invalid_parameter", &last, &id),
        ("status=", &id, &"nothing of the kind".to_owned()),
    ] {
        let page = owner
            .get(&format!("/dashboard/requests?{query}"))
            .await
            .text();
        assert!(page.contains(found) && !page.contains(left_out), "{query}");
    }
    let none = owner.get("/dashboard/requests?route=/v2/users").await;
    assert!(none.text().contains("No requests match"));
    let shown = "GET /dashboard/requests<";
    until(&app, &mut owner, "/dashboard/requests?pages=yes", shown).await;

    let page = owner.get(&format!("/dashboard/requests/{id}")).await.text();
    assert!(
        page.contains("The body breaks a rule.")
            && page.contains("/problems/invalid_body")
            && page.contains("POST /v2/products"),
        "{page}"
    );
    assert_eq!(owner.get("/dashboard/requests/gone").await.status, 404);

    let errors = owner.get("/dashboard/requests/errors").await.text();
    assert!(
        errors.contains("<code>invalid_body</code>") && errors.contains(&last),
        "{errors}"
    );
    let mut operator = browser::member(&app, "operator@example.com", Role::Operator).await;
    assert_eq!(operator.get("/dashboard/requests").await.status, 403);
}

/// Whether its client takes compressed answers or not, the log says how long an answer is.
#[tokio::test]
async fn the_length_of_an_answer_is_told() {
    let (app, mut owner) = started().await;
    let api = app.client("products:read products:write").await;
    for (number, coding) in ["identity", "gzip"].into_iter().enumerate() {
        let product =
            json!({ "title": format!("Teapot {number}"), "description": "iron ".repeat(500) });
        let made = api
            .request(axum::http::Method::POST, "/v2/products")
            .header("accept-encoding", coding)
            .json(&product)
            .send()
            .await;
        assert_eq!(made.status, 201);
        let told = made.headers.get("content-encoding");
        assert_eq!(told.is_some(), coding == "gzip");
        let id = made.header("x-request-id").to_owned();
        let path = format!("/dashboard/requests/{id}");
        until(&app, &mut owner, "/dashboard/requests", &id).await;
        let page = owner.get(&path).await.text();
        let bytes = browser::between(&page, "<dt>Response</dt><dd>", " bytes");
        let bytes: usize = bytes.replace(',', "").parse().unwrap();
        assert!((2_500..5_000).contains(&bytes), "{coding}: {bytes}");
    }
}

#[tokio::test]
async fn the_list_goes_on_behind_its_first_page() {
    let (app, mut owner) = started().await;
    let api = app.client("products:read").await;
    for _ in 0..59 {
        api.get("/v2/products").await;
    }
    let last = api.get("/v2/products").await;
    let last = last.header("x-request-id").to_owned();
    let path = "/dashboard/requests?route=/v2/products";
    let first = until(&app, &mut owner, path, &last).await;
    let rows = |page: &str| page.matches("GET /v2/products</span>").count();
    assert_eq!(rows(&first), 50);
    let next = browser::between(&first, "class=\"button\" href=\"/dashboard/requests?", "\"");
    let next = format!("/dashboard/requests?{}", next.replace("&#38;", "&"));
    let second = owner.get(&next).await.text();
    assert_eq!(rows(&second), 10, "{next}");
    assert!(second.contains("Newest") && !second.contains("rel=\"next\""));
    assert!(
        second.contains("data-live=\"\""),
        "older pages do not go on by themselves"
    );
}

#[tokio::test]
async fn who_follows_is_told_of_requests_as_they_come() {
    let (app, owner) = started().await;
    let api = app.client("products:read").await;
    let path = "/dashboard/requests/live?status=4xx&after=0";
    let request = Request::get(path)
        .header("cookie", owner.cookie_header())
        .header("accept-encoding", "gzip")
        .body(Body::empty())
        .unwrap();
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let answer = app.stack.handle(request, peer).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert!(!answer.headers().contains_key("content-encoding"));
    let mut body = answer.into_body();
    let refused = api.get("/v2/products?colour=red").await;
    let id = refused.header("x-request-id").to_owned();
    let mut told = String::new();
    while !told.contains(&id) {
        let frame = body.frame().await.unwrap().unwrap();
        told += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    assert!(told.starts_with("retry: 500\n\n"), "{told}");
    assert!(
        told.ends_with("</tr>\n\n") && told.contains("id: "),
        "{told}"
    );
    let quiet = TestApp::start().await;
    browser::set_up(&quiet).await;
    let mut owner = Browser::new(&quiet);
    owner.sign_in(OWNER, PASSWORD).await;
    assert_eq!(
        owner.get("/dashboard/requests/live").await.status,
        204,
        "without a log there is nothing to follow"
    );
    let page = owner.get("/dashboard/requests").await.text();
    assert!(page.contains("writes no request log"));
}
