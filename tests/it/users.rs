//! `/v2/users`.

use crate::app::TestApp;

#[tokio::test]
async fn an_unknown_parameter_does_not_list_everything() {
    let app = TestApp::start().await;
    let shop = app.client("users:read").await;
    assert_eq!(shop.get("/v2/users").await.text(), "[]");
    let reply = shop.get("/v2/users?stauts=active&limit=0").await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (400, "invalid_parameter")
    );
    assert_eq!(reply.json()["errors"].as_array().map(Vec::len), Some(2));
}
