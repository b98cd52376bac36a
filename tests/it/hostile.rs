//! Whatever is sent, the answer is never a fault of the server: every operation of the OpenAPI document,
//! with values that its schemas allow, that they nearly allow, and that nobody would expect. Nothing is
//! listed here: a new endpoint is tried because it is in the document.

mod request;

use crate::app::{Client, Reply, TestApp};
use axum::http::Method;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use request::{Hostile, Known, operations};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use tradepost::error::all_codes;
use tradepost::oauth::Scopes;
use tradepost::openapi;

/// Requests for each operation that takes a body, and for each other.
const CASES_OF_A_WRITE: u32 = 192;
const CASES_OF_A_READ: u32 = 64;

/// A program with sample data and an order, a notification and a report, which the requests may name.
struct Shop {
    app: TestApp,
    caller: Client,
    credentials: (String, String),
    codes: BTreeSet<&'static str>,
}

impl Shop {
    async fn open() -> Shop {
        let app = TestApp::start().await;
        let told = tradepost::demo::fill(&app, &app.config.public_url).await;
        told.expect("sample data");
        let scopes = Scopes::all().to_string();
        Shop {
            caller: app.client(&scopes).await,
            credentials: app.credentials("users:read").await,
            codes: all_codes().map(|code| code.code).collect(),
            app,
        }
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let reply = self.caller.post(path, body).await;
        assert!(reply.status < 300, "{path}: {}", reply.text());
        reply.json()["id"].clone()
    }

    /// What exists, by the names under which requests speak of it.
    async fn known(&self) -> Known {
        let products = self.caller.get("/v2/products").await.json();
        let levels = self.caller.get("/v2/inventory").await.json();
        let order = json!({ "user_id": "user_123", "currency": "USD", "items": [{ "sku": "MUG-BLUE", "quantity": 2 }] });
        let message = json!({ "user_id": "user_123", "message": "Hello", "type": "email" });
        let report = json!({ "type": "sales_by_period" });
        let mut orders = Vec::new();
        for _ in 0..3 {
            orders.push(self.made("/v2/orders", order.clone()).await);
        }
        let (id, secret) = &self.credentials;
        Known::from([
            ("user_id", vec![json!("user_123"), json!("user_456")]),
            (
                "product_id",
                vec![products[0]["id"].clone(), products[5]["id"].clone()],
            ),
            (
                "variant_id",
                vec![
                    products[0]["variants"][0]["id"].clone(),
                    products[5]["variants"][0]["id"].clone(),
                ],
            ),
            ("location_id", vec![levels[0]["location_id"].clone()]),
            ("order_id", orders),
            (
                "notification_id",
                vec![self.made("/v2/notifications", message).await],
            ),
            (
                "run_id",
                vec![self.made("/v2/reports/generate", report).await],
            ),
            (
                "integration_id",
                vec![self.caller.get("/v2/integrations").await.json()[0]["id"].clone()],
            ),
            (
                "sku",
                vec![
                    json!("MUG-BLUE"),
                    json!("PEN-FOUNTAIN"),
                    json!("CALENDAR-WALL"),
                    json!("NONE"),
                ],
            ),
            (
                "currency",
                vec![json!("USD"), json!("EUR"), json!("JPY"), json!("ZZZ")],
            ),
            (
                "timezone",
                vec![json!("Europe/London"), json!("UTC"), json!("Nowhere/Land")],
            ),
            (
                "q",
                vec![json!("mug"), json!("moog"), json!("blue -pen"), json!("\"")],
            ),
            (
                "type",
                ["email", "push", "sales_by_period", "user_activity", "none"]
                    .map(Value::from)
                    .into(),
            ),
            (
                "grant_type",
                vec![json!("client_credentials"), json!("password")],
            ),
            ("client_id", vec![json!(id), json!(id), json!("cli_none")]),
            (
                "client_secret",
                vec![json!(secret), json!(secret), json!("cs_none")],
            ),
            (
                "scope",
                vec![
                    json!("users:read"),
                    json!(""),
                    json!("users:read  users:read"),
                    json!("none"),
                ],
            ),
            (
                "resource",
                vec![
                    json!(self.app.config.public_url),
                    json!(format!("{}/v2", self.app.config.public_url)),
                    json!("x"),
                ],
            ),
            (
                "start",
                vec![
                    json!("2023-10-01"),
                    json!("0001-01-01"),
                    json!("9999-12-31"),
                    json!("2023-02-30"),
                ],
            ),
            (
                "end",
                vec![
                    json!("2023-11-01"),
                    json!("0001-01-01"),
                    json!("9999-12-31"),
                ],
            ),
        ])
    }

    /// A text that changes whenever something is stored that a caller or an operator could see: what is
    /// changed in place is told by an event.
    async fn stored(&self) -> String {
        let sql = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM products), (SELECT count(*) FROM variants),
            (SELECT count(*) FROM prices), (SELECT count(*) FROM users), (SELECT count(*) FROM orders),
            (SELECT count(*) FROM order_items), (SELECT count(*) FROM stock_movements), (SELECT count(*) FROM jobs),
            (SELECT count(*) FROM notifications), (SELECT count(*) FROM report_runs), (SELECT count(*) FROM oauth_revoked_tokens)";
        let mut tx = self.app.db.read().await.expect("a connection");
        let row = tx.fetch_optional(sql, platform::params![], |row| {
            let counts: Result<Vec<i64>, _> = (0..12).map(|index| row.get::<i64>(index)).collect();
            counts
        });
        format!("{:?}", row.await.expect("counts").expect("a row"))
    }

    /// A thousand reports may wait, and one more is told so with 503. Nobody works on them here.
    async fn make_room_for_reports(&self) {
        let sql = "DELETE FROM report_runs WHERE id NOT IN (SELECT MIN(id) FROM report_runs)";
        let work =
            async move |tx: &mut platform::db::Tx| tx.execute(sql, platform::params![]).await;
        self.app.db.write(work).await.expect("deleted");
    }

    async fn send(&self, request: &Hostile) -> Option<Reply> {
        // What is no URI never leaves the HTTP library.
        request.target.parse::<axum::http::Uri>().ok()?;
        let mut caller = self.caller.clone();
        if request
            .headers
            .iter()
            .any(|(name, _)| *name == "authorization")
        {
            caller.token = None;
        }
        let mut call = caller.request(request.method.clone(), &request.target);
        for (name, value) in &request.headers {
            call = call.header_bytes(name, value);
        }
        Some(call.body(request.body.clone()).send_for_any_status().await)
    }

    /// The rules that hold for every request. `stored` is what [`Shop::stored`] told last, while it holds.
    async fn judge(
        &self,
        request: &Hostile,
        stored: &RefCell<Option<String>>,
    ) -> Result<(), String> {
        let known = stored.take();
        let before = match known {
            Some(known) => known,
            None => self.stored().await,
        };
        let Some(reply) = self.send(request).await else {
            return Ok(());
        };
        if reply.status >= 500 {
            return Err(format!("{}: {}", reply.status, reply.text()));
        }
        if (200..400).contains(&reply.status) {
            if request.target.starts_with("/v2/reports/generate") {
                self.make_room_for_reports().await;
            }
            return self.judge_good(&reply);
        }
        self.judge_refusal(request, &reply)?;
        let after = self.stored().await;
        if before != after {
            return Err(format!("{} and yet: {before} became {after}", reply.status));
        }
        stored.replace(Some(after));
        Ok(())
    }

    fn judge_good(&self, reply: &Reply) -> Result<(), String> {
        let json = reply.header("content-type").starts_with("application/json");
        let plain = reply.header("content-encoding").is_empty();
        match json && plain && reply.json_or_none().is_none() {
            true => Err(format!("{} is not JSON: {}", reply.status, reply.text())),
            false => Ok(()),
        }
    }

    fn judge_refusal(&self, request: &Hostile, reply: &Reply) -> Result<(), String> {
        let told = format!(
            "{} {}: {}",
            reply.status,
            reply.header("content-type"),
            reply.text()
        );
        if !reply.header("content-encoding").is_empty() {
            return Ok(()); // as it was asked for; the same refusals are met without it
        }
        let Some(body) = reply.json_or_none() else {
            return Err(format!("a refusal that is not JSON: {told}"));
        };
        let problem = reply.header("content-type") == "application/problem+json"
            && body["code"].as_str().is_some_and(|code| self.codes.contains(code))
            && body["status"] == reply.status
            && body["title"].is_string()
            && body["detail"].is_string()
            // The stored answer to a key tells of the first try.
            && (body["request_id"] == reply.header("x-request-id")
                || reply.header("idempotent-replayed") == "true");
        // RFC 6749 section 5.2.
        let oauth = request.target.starts_with("/oauth/")
            && reply.header("content-type") == "application/json"
            && body["error"].is_string();
        match problem || oauth {
            true => Ok(()),
            false => Err(format!("neither a problem nor an OAuth error: {told}")),
        }
    }
}

/// Always the same requests, so that what passed passes again; `PROPTEST_CASES` tries more.
fn runner(name: &str, cases: u32) -> TestRunner {
    let more = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = Cases {
        cases: more.unwrap_or(cases),
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Cases::default()
    };
    let mut seed = [0; 32];
    for (at, byte) in name.bytes().enumerate() {
        seed[at % 32] ^= byte.rotate_left((at / 32) as u32);
    }
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

#[test]
fn no_request_meets_a_fault_and_none_that_is_refused_changes_anything() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (shop, known) = runtime.block_on(async {
        let shop = Shop::open().await;
        let known = shop.known().await;
        (shop, known)
    });
    let document = openapi::document(&shop.app.config.public_url);
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let mut failures = Vec::new();
    let stored = RefCell::new(None);
    let mut operations = operations(&document, &known);
    // What takes away what the requests name comes last.
    operations.sort_by_key(|one| one.method == Method::DELETE || one.path.ends_with("/anonymize"));
    for operation in operations {
        let name = format!("{} {}", operation.method, operation.path);
        let cases = match operation.has_body() {
            true => CASES_OF_A_WRITE,
            false => CASES_OF_A_READ,
        };
        let outcome = runner(&name, cases).run(&operation.requests(), |request| {
            let judged = runtime.block_on(shop.judge(&request, &stored));
            judged.map_err(TestCaseError::fail)
        });
        if let Err(failure) = outcome {
            failures.push(format!("{name}\n{failure}\n"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What the document calls an integer is one: schemathesis found that `2.0` was not.
#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point() {
    let shop = Shop::open().await;
    let body = r#"{"email":"ada@example.com","currency":"USD","items":[{"sku":"MUG-BLUE","quantity":2.0,"unit_price":1e3}]}"#;
    let ordered = shop
        .caller
        .request(Method::POST, "/v2/orders")
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    assert_eq!(ordered.status, 201, "{}", ordered.text());
    assert_eq!(ordered.json()["totals"]["total"], 2_000);
    let halves = body.replace("2.0", "2.5");
    let refused = shop
        .caller
        .request(Method::POST, "/v2/orders")
        .header("content-type", "application/json")
        .body(halves)
        .send()
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "invalid_body")
    );
    assert_eq!(refused.json()["errors"][0]["pointer"], "#/items/0/quantity");
}
