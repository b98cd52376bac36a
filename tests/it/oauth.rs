//! `/oauth/*` and the guard before `/v2`.

use crate::app::TestApp;
use serde_json::json;

#[tokio::test]
async fn the_documented_request_gets_the_documented_answer() {
    let app = TestApp::start().await;
    let (id, secret) = app.credentials("users:read").await;
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    let reply = app.anonymous().post("/oauth/token", body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    let answer = reply.json();
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert!(
        answer["access_token"]
            .as_str()
            .is_some_and(|token| token.starts_with("eyJhbGciOiJIUzI1NiIsIn"))
    );
}

#[tokio::test]
async fn without_a_token_with_a_foreign_one_and_without_the_scope() {
    let app = TestApp::start().await;
    let none = app.anonymous().get("/v2/users").await;
    assert_eq!((none.status, none.code().as_str()), (401, "unauthorized"));
    assert!(
        none.header("www-authenticate")
            .starts_with("Bearer realm=\"api\", resource_metadata=")
    );
    let foreign = app
        .anonymous()
        .request(axum::http::Method::GET, "/v2/users")
        .header("authorization", "Bearer nonsense")
        .send()
        .await;
    assert_eq!(foreign.status, 401);
    assert!(
        foreign
            .header("www-authenticate")
            .contains("error=\"invalid_token\"")
    );
    let narrow = app.client("orders:read").await.get("/v2/users").await;
    assert_eq!(
        (narrow.status, narrow.code().as_str()),
        (403, "insufficient_scope")
    );
    assert!(
        narrow
            .header("www-authenticate")
            .contains("scope=\"users:read\"")
    );
}
