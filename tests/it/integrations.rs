//! `/v2/integrations`: what is listed, and that it is true.

use crate::app::TestApp;
use crate::notifications::MailServer;
use std::time::Duration;

#[tokio::test]
async fn what_is_listed_is_really_there() {
    let app = TestApp::start().await;
    let client = app.client("integrations:read").await;
    let reply = client.get("/v2/integrations").await;
    assert_eq!(reply.status, 200);
    let all = reply.json();
    let ids: Vec<&str> = all
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert_eq!(ids, ["oauth2", "openapi", "prometheus", "smtp"]);
    for one in all.as_array().expect("an array") {
        for field in [
            "name",
            "category",
            "description",
            "status",
            "docs_url",
            "version",
        ] {
            assert!(one[field].is_string(), "{field}: {one}");
        }
        assert!(
            one["capabilities"]
                .as_array()
                .is_some_and(|list| !list.is_empty()),
            "{one}"
        );
        assert_eq!(one["config_schema"]["type"], "object", "{one}");
        assert!(one["health"]["state"].is_string(), "{one}");
    }
    let smtp = client.get("/v2/integrations/smtp").await.json();
    assert_eq!(
        (&smtp["status"], &smtp["health"]["state"]),
        (&"available".into(), &"unknown".into())
    );
    assert_eq!(
        smtp["config_schema"]["properties"]["smtp_url"]["writeOnly"],
        true
    );
    assert_eq!(
        client.get("/v2/integrations/none").await.code(),
        "not_found"
    );
}

#[tokio::test]
async fn pages_follow_their_links() {
    let app = TestApp::start().await;
    let client = app.client("integrations:read").await;
    let first = client
        .get("/v2/integrations?limit=3&include_total=true")
        .await;
    assert_eq!(
        (
            first.json().as_array().map(Vec::len),
            first.header("x-total-count")
        ),
        (Some(3), "4")
    );
    let link = first.header("link");
    let next = link
        .trim_start_matches('<')
        .split('>')
        .next()
        .expect("a link");
    let second = client
        .get(next.trim_start_matches(&app.config.public_url))
        .await;
    assert_eq!(second.json()[0]["id"], "smtp");
    assert_eq!(
        client.get("/v2/integrations?limit=2&offset=2").await.json()[0]["id"],
        "prometheus"
    );
}

#[tokio::test]
async fn the_mail_server_is_asked_and_the_answer_is_kept_for_half_a_minute() {
    let server = MailServer::start().await;
    let url = server.url();
    let app = TestApp::start_with(|config| config.smtp_url = Some(url)).await;
    let client = app.client("integrations:read").await;
    let smtp = client.get("/v2/integrations/smtp").await.json();
    assert_eq!(
        (&smtp["status"], &smtp["health"]["state"]),
        (&"connected".into(), &"ok".into()),
        "{smtp}"
    );
    assert_eq!(smtp["health"]["checked_at"], "2023-10-27T10:00:00Z");
    server.stop();
    app.clock.advance(Duration::from_secs(29));
    assert_eq!(client.get("/v2/integrations/smtp").await.json(), smtp);
    app.clock.advance(Duration::from_secs(1));
    let smtp = client.get("/v2/integrations/smtp").await.json();
    assert_eq!(
        (&smtp["status"], &smtp["health"]["state"]),
        (&"error".into(), &"failing".into()),
        "{smtp}"
    );
    assert!(
        smtp["health"]["detail"]
            .as_str()
            .is_some_and(|text| !text.contains("password")),
        "{smtp}"
    );
}

#[tokio::test]
async fn a_scope_is_needed() {
    let app = TestApp::start().await;
    assert_eq!(app.anonymous().get("/v2/integrations").await.status, 401);
    let other = app.client("users:read").await;
    assert_eq!(other.get("/v2/integrations").await.status, 403);
}
