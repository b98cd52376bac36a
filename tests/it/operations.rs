//! `/healthz`, `/readyz`, `/metrics`.

use crate::app::TestApp;
use platform::db::DbError;
use platform::telemetry;
use serde_json::json;

#[tokio::test]
async fn a_started_program_is_alive_and_ready_to_anyone() {
    let app = TestApp::start().await;
    let anyone = app.anonymous();
    let alive = anyone.get("/healthz").await;
    assert_eq!(
        (alive.status, alive.json()),
        (200, json!({ "status": "alive" }))
    );
    let ready = anyone.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.header("cache-control"), "no-store");
    let body = ready.json();
    assert_eq!(body["status"], "ready");
    assert_eq!(
        body["checks"]["database"]["detail"],
        format!("{} answers", app.db.engine_name())
    );
    assert_eq!(body["checks"]["migrations"]["status"], "ok");
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_not_ready() {
    let app = TestApp::start().await;
    let newer: Result<u64, DbError> = app
        .db
        .write(async |tx| {
            let sql = "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (9999, 'later', '', 0)";
            tx.execute(sql, &[]).await
        })
        .await;
    newer.expect("a later migration");
    let ready = app.anonymous().get("/readyz").await;
    let body = ready.json();
    assert_eq!((ready.status, &body["status"]), (503, &"not_ready".into()));
    assert_eq!(body["checks"]["database"]["status"], "ok");
    assert_eq!(body["checks"]["migrations"]["status"], "failing");
    assert_eq!(app.anonymous().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_tell_of_requests_queues_and_memory() {
    telemetry::metrics(); // before the stack counts
    let app = TestApp::start().await;
    let client = app.client("notifications:write users:write").await;
    crate::notifications::user(&app, "user_123", "alice@example.com", "{}").await;
    let message = json!({ "user_id": "user_123", "message": "x", "type": "email" });
    assert_eq!(client.post("/v2/notifications", message).await.status, 202);
    app.clock.advance(std::time::Duration::from_secs(90));
    let reply = app.anonymous().get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = reply.text();
    for line in [
        "jobs{kind=\"notification.send\",state=\"waiting\"} 1",
        "jobs_oldest_age_seconds{kind=\"notification.send\",state=\"waiting\"} 90",
        "db_writes_waiting 0",
        "# TYPE http_request_duration_seconds histogram",
    ] {
        assert!(
            text.lines().any(|one| one == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(
        text.contains("http_requests_total{route=\"/v2/notifications\",status=\"202\"}"),
        "{text}"
    );
    let memory = text
        .lines()
        .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    assert!(
        memory.is_some_and(|bytes| bytes.parse::<f64>().is_ok_and(|bytes| bytes > 1e6)),
        "{text}"
    );
}
