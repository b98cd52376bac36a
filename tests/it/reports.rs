//! `/v2/reports`: runs and their files. What the files say is in `figures`.

mod figures;

use crate::app::{Client, Reply, TestApp};
use axum::http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tradepost::reports::jobs::run_due;

const SCOPES: &str = "reports:read reports:write orders:read orders:write products:read products:write users:read users:write";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks for a report, runs it and returns the finished run.
async fn run(app: &TestApp, shop: &Client, body: Value) -> Value {
    let queued = shop.post("/v2/reports/generate", body).await;
    assert_eq!(queued.status, 202, "{}", queued.text());
    assert_eq!(run_due(app).await, 1);
    let run = shop.get(queued.header("location")).await.json();
    assert_eq!(run["status"], "succeeded", "{run}");
    run
}

async fn file(shop: &Client, run: &Value) -> Reply {
    let path = format!(
        "/v2/reports/runs/{}/download",
        run["id"].as_str().expect("an id")
    );
    assert!(
        run["result"]["download_url"]
            .as_str()
            .expect("a URL")
            .ends_with(&path)
    );
    let reply = shop.get(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(run["result"]["size"], reply.body.len());
    assert_eq!(
        run["result"]["sha256"],
        platform::secrets::sha256_hex(&reply.body)
    );
    reply
}

async fn report(app: &TestApp, shop: &Client, body: Value) -> Value {
    let run = run(app, shop, body).await;
    let report = file(shop, &run).await.json();
    assert_eq!(
        run["result"]["row_count"],
        report["rows"].as_array().map_or(0, Vec::len)
    );
    report
}

/// One column of all rows.
fn column<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    report["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| &row[name])
        .collect()
}

#[tokio::test]
async fn the_catalogue_lists_each_type_with_columns_and_parameters() {
    let app = TestApp::start().await;
    let shop = app.client("reports:read").await;
    let reply = shop.get("/v2/reports").await;
    let types = reply.json();
    let ids: Vec<&str> = types
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "sales_by_period",
            "sales_by_day",
            "sales_by_month",
            "sales_by_product",
            "sales_by_country",
            "user_activity",
            "inventory_on_hand"
        ]
    );
    assert_eq!(types[0]["formats"], json!(["json", "csv"]));
    assert_eq!(types[0]["columns"][4]["name"], "gross_sales");
    assert_eq!(types[0]["columns"][4]["type"], "money");
    assert_eq!(
        types[0]["parameters"]["properties"]["interval"]["enum"],
        json!(["day", "month"])
    );
    let page = shop.get("/v2/reports?limit=3").await;
    assert_eq!(page.json().as_array().map(Vec::len), Some(3));
    let next = page
        .header("link")
        .split(['<', '>'])
        .nth(1)
        .expect("a link")
        .to_owned();
    let path = next.trim_start_matches("http://127.0.0.1:8080");
    assert_eq!(shop.get(path).await.json()[0]["id"], "sales_by_product");
    assert_eq!(
        shop.post("/v2/reports/generate", json!({ "type": "sales_by_day" }))
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_report_is_queued_run_and_downloaded() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let reply = shop
        .post("/v2/reports/generate", json!({ "type": "sales_by_period" }))
        .await;
    assert_eq!((reply.status, reply.header("retry-after")), (202, "1"));
    let queued = reply.json();
    let id = queued["id"].as_str().expect("an id");
    assert!(id.starts_with("rpt_"));
    assert_eq!(reply.header("location"), format!("/v2/reports/runs/{id}"));
    assert_eq!(queued["status"], "queued");
    assert_eq!(
        queued["progress"],
        json!({ "done": 0, "total": 2, "phase": "queued" })
    );
    assert_eq!(queued["created_at"], "2023-10-27T10:00:00Z");
    assert_eq!(
        queued["parameters"],
        json!({ "start": "2023-09-28", "end": "2023-10-28", "interval": "day" })
    );
    assert_eq!(queued["timezone"], "UTC");
    let early = shop.get(&format!("/v2/reports/runs/{id}/download")).await;
    assert_eq!(
        (
            early.status,
            early.code().as_str(),
            early.header("retry-after")
        ),
        (409, "report_not_ready", "1")
    );
    assert_eq!(
        shop.get(reply.header("location"))
            .await
            .header("retry-after"),
        "1"
    );

    assert_eq!(run_due(&app).await, 1);
    assert_eq!(run_due(&app).await, 0);
    let done = shop.get(reply.header("location")).await;
    assert_eq!(done.header("retry-after"), "");
    let run = done.json();
    assert_eq!(run["status"], "succeeded");
    assert_eq!(
        run["progress"],
        json!({ "done": 2, "total": 2, "phase": "finished" })
    );
    assert_eq!(run["expires_at"], "2023-11-03T10:00:00Z");
    assert_eq!(run["result"]["content_type"], "application/json");
    let download = file(&shop, &run).await;
    assert_eq!(download.header("content-type"), "application/json");
    assert_eq!(
        download.header("etag"),
        format!(
            "\"{}\"",
            run["result"]["sha256"].as_str().expect("a digest")
        )
    );
    assert_eq!(
        download.header("content-disposition"),
        format!("attachment; filename=\"sales_by_period-{id}.json\"")
    );
    assert_eq!(download.json()["type"], "sales_by_period");
    assert_eq!(
        (&download.json()["rows"], &download.json()["totals"]),
        (&json!([]), &json!([]))
    );
    let path = format!("/v2/reports/runs/{id}/download");
    let again = shop
        .request(Method::GET, &path)
        .header("if-none-match", download.header("etag"))
        .send()
        .await;
    assert_eq!((again.status, again.body.len()), (304, 0));

    let listed = shop
        .get("/v2/reports/runs?status=succeeded&type=sales_by_period&include_total=true")
        .await;
    assert_eq!(
        (&listed.json()[0], listed.header("x-total-count")),
        (&run, "1")
    );
    assert_eq!(
        shop.get("/v2/reports/runs?status=queued").await.text(),
        "[]"
    );
    for path in [
        "/v2/reports/runs/rpt_none",
        "/v2/reports/runs/rpt_none/download",
    ] {
        assert_eq!(shop.get(path).await.status, 404);
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_run_is_refused_with_every_fault() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let pointers = async |body: Value| {
        let reply = shop.post("/v2/reports/generate", body).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_body"));
        let problem = reply.json();
        let errors = problem["errors"].as_array().expect("errors").iter();
        errors
            .map(|error| error["pointer"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(pointers(json!({})).await, ["#/type"]);
    assert_eq!(pointers(json!({ "type": "profit" })).await, ["#/type"]);
    assert_eq!(
        pointers(json!({ "type": "sales_by_day", "colour": "red" })).await,
        ["#/colour"]
    );
    assert_eq!(
        pointers(json!({ "type": "sales_by_day", "timezone": "Mars/Olympus", "currency": "ABC", "parameters": { "interval": "day" } })).await,
        ["#/timezone", "#/currency", "#/parameters/interval"]
    );
    for zone in ["localtime", "posixrules", "posix/UTC", "right/UTC"] {
        let body = json!({ "type": "sales_by_day", "timezone": zone, "currency": "USD" });
        let found = pointers(body).await;
        assert!(
            found.contains(&"#/timezone".to_owned()),
            "{zone}: {found:?}"
        );
    }
    assert_eq!(
        pointers(json!({ "type": "sales_by_period", "parameters": { "start": "2011-01-02", "end": "2011-01-01" } })).await,
        ["#/parameters/end"]
    );
    assert_eq!(shop.get("/v2/reports/runs").await.text(), "[]");
}

#[tokio::test]
async fn a_preferred_wait_answers_with_the_finished_run() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let worker = app.app.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tokio::spawn(tradepost::reports::jobs::run(worker, async {
        drop(stopped.await)
    }));
    let ask = shop
        .request(Method::POST, "/v2/reports/generate")
        .header("prefer", "wait=10")
        .header("idempotency-key", "r1");
    let reply = ask.json(&json!({ "type": "sales_by_day" })).send().await;
    assert_eq!(
        (reply.status, reply.header("preference-applied")),
        (200, "wait=10"),
        "{}",
        reply.text()
    );
    assert_eq!(reply.json()["status"], "succeeded");
    // Without the preference the same key replays the first answer.
    let ask = shop
        .request(Method::POST, "/v2/reports/generate")
        .header("idempotency-key", "r1");
    let replay = ask.json(&json!({ "type": "sales_by_day" })).send().await;
    assert_eq!(
        (replay.status, replay.header("idempotent-replayed")),
        (202, "true")
    );
    assert_eq!(replay.json()["id"], reply.json()["id"]);
    drop(stop);
    worker.await.expect("it stops when it is told to");
}

#[tokio::test]
async fn a_preferred_wait_ends_when_nobody_runs_the_report() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let ask = shop
        .request(Method::POST, "/v2/reports/generate")
        .header("prefer", "wait=1");
    let reply = ask.json(&json!({ "type": "sales_by_day" })).send().await;
    assert_eq!((reply.status, reply.header("retry-after")), (202, "1"));
    assert_eq!(reply.json()["status"], "queued");
}

#[tokio::test]
async fn files_are_removed_after_a_week_and_runs_after_three_months() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let run = run(&app, &shop, json!({ "type": "sales_by_day" })).await;
    let location = format!("/v2/reports/runs/{}", run["id"].as_str().expect("an id"));
    app.clock.advance(DAY * 7);
    let shop = app.client(SCOPES).await;
    let gone = shop.get(&format!("{location}/download")).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "report_expired"));
    assert_eq!(run_due(&app).await, 0);
    let expired = shop.get(&location).await.json();
    assert_eq!(
        (&expired["status"], &expired["result"]),
        (&json!("expired"), &json!(null))
    );
    let gone = shop.get(&format!("{location}/download")).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "report_expired"));
    app.clock.advance(DAY * 84);
    run_due(&app).await;
    let shop = app.client(SCOPES).await;
    assert_eq!(shop.get(&location).await.status, 404);
}

#[tokio::test]
async fn a_report_whose_worker_died_is_run_again_when_its_lease_ends() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let queued = shop
        .post("/v2/reports/generate", json!({ "type": "sales_by_day" }))
        .await;
    // A worker takes it and is never heard of again.
    let claim = async || {
        platform::jobs::claim(
            &app.db,
            tradepost::reports::jobs::KIND,
            "dead",
            app.clock.now(),
            1,
        )
        .await
        .expect("a claim")
        .len()
    };
    assert_eq!(claim().await, 1);
    assert_eq!(run_due(&app).await, 0);
    app.clock
        .advance(platform::jobs::LEASE + Duration::from_secs(1));
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(
        shop.get(queued.header("location")).await.json()["status"],
        "succeeded"
    );

    // One that kills every worker is given up.
    let queued = shop
        .post("/v2/reports/generate", json!({ "type": "sales_by_day" }))
        .await;
    for _ in 0..3 {
        assert_eq!(claim().await, 1);
        app.clock
            .advance(platform::jobs::LEASE + Duration::from_secs(1));
    }
    assert_eq!(run_due(&app).await, 1);
    let failed = shop.get(queued.header("location")).await.json();
    assert_eq!(
        (&failed["status"], &failed["problem"]["code"]),
        (&json!("failed"), &json!("internal_error"))
    );
    let refused = shop
        .get(&format!("{}/download", queued.header("location")))
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "report_failed")
    );
    app.clock.advance(platform::jobs::LEASE * 2);
    assert_eq!(run_due(&app).await, 0);
}
