//! `/v2/reports`.

use crate::app::{Client, Reply, START, TestApp};
use axum::http::Method;
use platform::clock::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tradepost::money::Currency;
use tradepost::orders::body::{Item, ItemId};
use tradepost::orders::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use tradepost::orders::totals::{LineTotals, PaymentSums, order_totals};
use tradepost::orders::{Order, OrderId};
use tradepost::reports::jobs::run_due;

const SCOPES: &str = "reports:read reports:write orders:read orders:write products:read products:write users:read users:write";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An order of one line, as an import would store it.
struct Sale {
    number: u32,
    placed_at: &'static str,
    document: &'static str,
    currency: &'static str,
    country: Option<&'static str>,
    sku: &'static str,
    title: &'static str,
    quantity: i64,
    unit_price: i64,
    discount: i64,
    shipping: i64,
    tax: i64,
    cancelled_at: Option<&'static str>,
    confirmed: bool,
}

const SALE: Sale = Sale {
    number: 1,
    placed_at: "2011-03-01T12:00:00Z",
    document: "order",
    currency: "GBP",
    country: Some("GB"),
    sku: "85123A",
    title: "Lantern",
    quantity: 1,
    unit_price: 1_000,
    discount: 0,
    shipping: 0,
    tax: 0,
    cancelled_at: None,
    confirmed: true,
};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("an instant")
}

impl Sale {
    fn order(&self) -> Order {
        let placed_at = at(self.placed_at);
        let subtotal = self.quantity * self.unit_price;
        let line = LineTotals::of(subtotal, self.discount, self.tax, false).expect("in range");
        let item = Item {
            id: ItemId::new(),
            variant_id: None,
            product_id: None,
            sku: Some(self.sku.into()),
            title: self.title.into(),
            quantity: self.quantity,
            unit_price: self.unit_price,
            list_unit_price: self.unit_price,
            discount: self.discount,
            tax: self.tax,
            tax_rate_ppm: 0,
            subtotal,
            total: line.total,
            allocated: 0,
            fulfilled: 0,
            returned: 0,
            refunded: 0,
            metadata: Default::default(),
            price_id: None,
        };
        let cancelled_at = self.cancelled_at.map(at);
        let status = match (cancelled_at, self.confirmed) {
            (Some(_), _) => OrderStatus::Cancelled,
            (None, true) => OrderStatus::Completed,
            (None, false) => OrderStatus::Pending,
        };
        let address = self.country.map(|country| {
            let address = json!({ "line1": "1 High Street", "city": "Town", "postal_code": "1", "country": country });
            serde_json::from_value(address).expect("an address")
        });
        Order {
            id: OrderId::new(),
            number: self.number.to_string(),
            document: self.document.into(),
            status,
            payment_status: PaymentStatus::Unpaid,
            fulfillment_status: FulfillmentStatus::Unfulfilled,
            user_id: None,
            email: None,
            currency: Currency::parse(self.currency).expect("a currency"),
            items: Some(vec![item]),
            totals: order_totals(&[line], self.shipping, false, PaymentSums::default())
                .expect("in range"),
            shipping_address: address,
            billing_address: None,
            shipping_method: None,
            note: None,
            external_id: None,
            channel: None,
            cancel_reason: None,
            tags: Vec::new(),
            metadata: Default::default(),
            placed_at: Some(placed_at),
            confirmed_at: self.confirmed.then_some(placed_at),
            completed_at: None,
            cancelled_at,
            expires_at: None,
            created_at: placed_at,
            updated_at: placed_at,
            version: 1,
        }
    }
}

async fn sell<const N: usize>(app: &TestApp, sales: [Sale; N]) {
    let orders: Vec<Order> = sales.iter().map(Sale::order).collect();
    let stored = app
        .db
        .write(async move |tx| tradepost::orders::store::insert(tx, &orders).await)
        .await;
    stored.expect("stored");
}

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
    assert_eq!(
        pointers(json!({ "type": "sales_by_period", "parameters": { "start": "2011-01-02", "end": "2011-01-01" } })).await,
        ["#/parameters/end"]
    );
    assert_eq!(shop.get("/v2/reports/runs").await.text(), "[]");
}

#[tokio::test]
async fn days_are_those_of_the_zone_even_when_the_clocks_change() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    // 2011-03-27 lasts 23 hours in London, 2011-10-30 lasts 25.
    let instants = [
        "2011-03-26T23:59:59Z", // 26 March
        "2011-03-27T00:00:00Z", // 27 March, its first instant
        "2011-03-27T22:59:59Z", // 27 March, its last second
        "2011-03-27T23:00:00Z", // 28 March
        "2011-10-29T23:00:00Z", // 30 October, its first instant
        "2011-10-30T23:59:59Z", // 30 October, its last second
        "2011-10-31T00:00:00Z", // 31 October
    ];
    for (number, placed_at) in (1..).zip(instants) {
        sell(
            &app,
            [Sale {
                number,
                placed_at,
                ..SALE
            }],
        )
        .await;
    }
    let days = async |start: &str, end: &str, timezone: &str| {
        let body = json!({ "type": "sales_by_day", "timezone": timezone, "parameters": { "start": start, "end": end } });
        let report = report(&app, &shop, body).await;
        assert_eq!(report["timezone"], timezone);
        let rows = report["rows"].as_array().expect("rows").clone();
        rows.iter()
            .map(|row| {
                (
                    row["period"].as_str().unwrap_or_default().to_owned(),
                    row["orders"].as_i64().unwrap_or(-1),
                )
            })
            .collect::<Vec<_>>()
    };
    let expected =
        |rows: [(&str, i64); 3]| rows.map(|(day, orders)| (day.to_owned(), orders)).to_vec();
    assert_eq!(
        days("2011-03-26", "2011-03-29", "Europe/London").await,
        expected([("2011-03-26", 1), ("2011-03-27", 2), ("2011-03-28", 1)])
    );
    assert_eq!(
        days("2011-10-29", "2011-11-01", "Europe/London").await,
        expected([("2011-10-29", 0), ("2011-10-30", 2), ("2011-10-31", 1)])
    );
    assert_eq!(
        days("2011-10-29", "2011-11-01", "UTC").await,
        expected([("2011-10-29", 1), ("2011-10-30", 1), ("2011-10-31", 1)])
    );
}

#[tokio::test]
async fn totals_are_the_sum_of_all_documents_and_reversals_have_their_own_date() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    sell(
        &app,
        [
            Sale {
                number: 1,
                placed_at: "2011-01-10T12:00:00Z",
                quantity: 3,
                discount: 300,
                shipping: 500,
                tax: 540,
                ..SALE
            },
            // Cancelled after it was confirmed: sold in January, taken back in March.
            Sale {
                number: 2,
                placed_at: "2011-01-20T12:00:00Z",
                cancelled_at: Some("2011-03-05T12:00:00Z"),
                ..SALE
            },
            // Never confirmed: never a sale.
            Sale {
                number: 3,
                placed_at: "2011-01-21T12:00:00Z",
                cancelled_at: Some("2011-01-22T12:00:00Z"),
                confirmed: false,
                ..SALE
            },
            Sale {
                number: 4,
                placed_at: "2011-03-01T12:00:00Z",
                document: "credit_note",
                quantity: -1,
                ..SALE
            },
            Sale {
                number: 5,
                placed_at: "2011-03-02T12:00:00Z",
                document: "adjustment",
                unit_price: -250,
                ..SALE
            },
            Sale {
                number: 6,
                placed_at: "2011-03-03T12:00:00Z",
                confirmed: false,
                country: None,
                sku: "POST",
                title: "Postage",
                ..SALE
            },
            Sale {
                number: 7,
                placed_at: "2011-03-04T12:00:00Z",
                currency: "JPY",
                unit_price: 900,
                country: Some("JP"),
                ..SALE
            },
        ],
    )
    .await;
    let range = json!({ "start": "2011-01-01", "end": "2011-04-01" });
    let months = report(
        &app,
        &shop,
        json!({ "type": "sales_by_month", "parameters": range }),
    )
    .await;
    assert_eq!(
        column(&months, "period"),
        [
            "2011-01", "2011-02", "2011-03", "2011-01", "2011-02", "2011-03"
        ]
    );
    assert_eq!(
        column(&months, "currency"),
        ["GBP", "GBP", "GBP", "JPY", "JPY", "JPY"]
    );
    assert_eq!(
        months["rows"][0],
        json!({ "period": "2011-01", "currency": "GBP", "orders": 2, "units": 4,
        "gross_sales": 4000, "discounts": 300, "sales_reversals": 0, "net_sales": 3700, "shipping": 500, "taxes": 540,
        "total_sales": 4740, "aov": 1850 })
    );
    assert_eq!(
        months["rows"][1],
        json!({ "period": "2011-02", "currency": "GBP", "orders": 0, "units": 0,
        "gross_sales": 0, "discounts": 0, "sales_reversals": 0, "net_sales": 0, "shipping": 0, "taxes": 0,
        "total_sales": 0, "aov": null })
    );
    // March: one sale of 1,000, less a credit note of 1,000, an adjustment of 250 and a cancellation of 1,000.
    assert_eq!(
        months["rows"][2],
        json!({ "period": "2011-03", "currency": "GBP", "orders": 1, "units": 0,
        "gross_sales": 1000, "discounts": 0, "sales_reversals": 2250, "net_sales": -1250, "shipping": 0, "taxes": 0,
        "total_sales": -1250, "aov": 1000 })
    );
    assert_eq!(months["totals"][0]["total_sales"], 4740 - 1250);
    assert_eq!(months["totals"][1]["total_sales"], 900);

    let countries = report(
        &app,
        &shop,
        json!({ "type": "sales_by_country", "parameters": range }),
    )
    .await;
    assert_eq!(
        column(&countries, "country"),
        [&json!("GB"), &json!(null), &json!("JP")]
    );
    assert_eq!(
        column(&countries, "total_sales"),
        [&json!(2490), &json!(1000), &json!(900)]
    );
    assert_eq!(countries["totals"][0]["total_sales"], 4740 - 1250);

    let products = report(
        &app,
        &shop,
        json!({ "type": "sales_by_product", "parameters": range, "currency": "GBP" }),
    )
    .await;
    assert_eq!(products["currency"], "GBP");
    assert_eq!(column(&products, "sku"), ["85123A", "POST"]);
    assert_eq!(
        products["rows"][0],
        json!({ "product_id": null, "sku": "85123A", "title": "Lantern", "currency": "GBP",
        "units": 3, "gross_sales": 4000, "discounts": 300, "sales_reversals": 2250, "net_sales": 1450, "orders": 2 })
    );
}

#[tokio::test]
async fn empty_days_of_a_currency_are_there_with_zeros() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let body = json!({ "type": "sales_by_period", "currency": "EUR", "parameters": { "start": "2011-01-01", "end": "2012-01-01" } });
    let report = report(&app, &shop, body).await;
    assert_eq!(report["rows"].as_array().map(Vec::len), Some(365));
    assert!(
        column(&report, "total_sales")
            .iter()
            .all(|total| **total == 0)
    );
    assert_eq!(report["rows"][364]["period"], "2011-12-31");
}

#[tokio::test]
async fn csv_has_major_units_and_no_formula() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    sell(
        &app,
        [
            Sale {
                number: 1,
                sku: "=1+1",
                title: "@SUM(A1:A9), \"quoted\"",
                unit_price: 1_995,
                ..SALE
            },
            Sale {
                number: 2,
                currency: "KWD",
                sku: "-7",
                title: "£ sign\nnext line",
                quantity: -1,
                document: "credit_note",
                unit_price: 5,
                ..SALE
            },
            Sale {
                number: 3,
                currency: "JPY",
                sku: "PLAIN",
                title: "Plain",
                unit_price: 900,
                ..SALE
            },
        ],
    )
    .await;
    let body = json!({ "type": "sales_by_product", "format": "csv", "parameters": { "start": "2011-03-01", "end": "2011-03-02" } });
    let run = run(&app, &shop, body).await;
    let path = format!(
        "/v2/reports/runs/{}/download",
        run["id"].as_str().expect("an id")
    );
    let reply = shop
        .request(Method::GET, &path)
        .header("accept", "text/csv")
        .send()
        .await;
    assert_eq!(
        reply.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert!(reply.header("content-disposition").ends_with(".csv\""));
    let mut reader = csv::Reader::from_reader(reply.body.as_slice());
    let headers: Vec<String> = reader
        .headers()
        .expect("a header")
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(headers[..4], ["product_id", "sku", "title", "currency"]);
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.expect("a row").iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(
        rows[0][1..],
        [
            "'=1+1",
            "'@SUM(A1:A9), \"quoted\"",
            "GBP",
            "1",
            "19.95",
            "0.00",
            "0.00",
            "19.95",
            "1"
        ]
    );
    assert_eq!(
        rows[1][1..],
        ["PLAIN", "Plain", "JPY", "1", "900", "0", "0", "900", "1"]
    );
    assert_eq!(
        rows[2][1..],
        [
            "'-7",
            "£ sign\nnext line",
            "KWD",
            "-1",
            "0.000",
            "0.000",
            "0.005",
            "-0.005",
            "0"
        ]
    );
}

#[tokio::test]
async fn the_same_report_is_the_same_file_whenever_it_is_made() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    sell(
        &app,
        [
            Sale { number: 1, ..SALE },
            Sale {
                number: 2,
                country: Some("FR"),
                currency: "EUR",
                ..SALE
            },
        ],
    )
    .await;
    for kind in ["sales_by_period", "sales_by_product", "sales_by_country"] {
        let body = json!({ "type": kind, "timezone": "Europe/Paris", "parameters": { "start": "2011-01-01", "end": "2011-07-01" } });
        let first = run(&app, &shop, body.clone()).await;
        app.clock.advance(Duration::from_secs(60));
        let second = run(&app, &shop, body).await;
        assert_ne!(first["id"], second["id"]);
        assert_eq!(first["as_of"], "2011-06-30T22:00:00Z");
        assert_eq!(first["result"]["sha256"], second["result"]["sha256"]);
    }
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

#[tokio::test]
async fn a_sum_that_no_json_reader_could_hold_fails_the_report_with_its_reason() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let huge = 9_007_199_254_740_991;
    sell(
        &app,
        [
            Sale {
                number: 1,
                unit_price: huge,
                ..SALE
            },
            Sale {
                number: 2,
                unit_price: huge,
                ..SALE
            },
        ],
    )
    .await;
    let body = json!({ "type": "sales_by_month", "parameters": { "start": "2011-03-01", "end": "2011-04-01" } });
    let queued = shop.post("/v2/reports/generate", body).await;
    assert_eq!(run_due(&app).await, 1);
    let failed = shop.get(queued.header("location")).await.json();
    assert_eq!(
        (&failed["status"], &failed["problem"]["code"]),
        (&json!("failed"), &json!("amount_out_of_range"))
    );
}

#[tokio::test]
async fn the_present_stock_is_that_of_the_ledger() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let product = json!({ "title": "Mug", "status": "active", "sku": "MUG", "price": 1250, "currency": "USD", "inventory_quantity": 10 });
    assert_eq!(shop.post("/v2/products", product).await.status, 201);
    let order = json!({ "email": "guest@example.com", "currency": "USD", "items": [{ "sku": "MUG", "quantity": 3 }] });
    assert_eq!(shop.post("/v2/orders", order).await.status, 201);
    let report = report(&app, &shop, json!({ "type": "inventory_on_hand" })).await;
    let row = &report["rows"][0];
    assert_eq!(
        (&row["sku"], &row["title"], &row["variant_title"]),
        (&json!("MUG"), &json!("Mug"), &json!(null))
    );
    assert_eq!(
        (&row["on_hand"], &row["allocated"], &row["available"]),
        (&json!(10), &json!(3), &json!(7))
    );
    assert_eq!(report["totals"][0]["available"], 7);
    assert_eq!(report["as_of"], START.to_string());
}

#[tokio::test]
async fn user_activity_counts_users_once_a_day_and_guests_not_at_all() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let product = json!({ "title": "Mug", "status": "active", "sku": "MUG", "price": 1250, "currency": "USD", "inventory_quantity": 10 });
    assert_eq!(shop.post("/v2/products", product).await.status, 201);
    let user = shop
        .post(
            "/v2/users",
            json!({ "username": "alice", "email": "alice@example.com" }),
        )
        .await;
    assert_eq!(user.status, 201, "{}", user.text());
    let items = json!([{ "sku": "MUG", "quantity": 1 }]);
    let by_user = json!({ "user_id": user.json()["id"], "currency": "USD", "items": items });
    let by_guest = json!({ "email": "guest@example.com", "currency": "USD", "items": items });
    for order in [&by_user, &by_guest, &by_user] {
        assert_eq!(shop.post("/v2/orders", order.clone()).await.status, 201);
    }
    app.clock.advance(Duration::from_secs(14 * 60 * 60)); // midnight
    let shop = app.client(SCOPES).await;
    assert_eq!(shop.post("/v2/orders", by_user).await.status, 201);
    let body = json!({ "type": "user_activity", "parameters": { "start": "2023-10-26", "end": "2023-10-29" } });
    let report = report(&app, &shop, body).await;
    assert_eq!(
        report["rows"],
        json!([
            { "period": "2023-10-26", "new_users": 0, "ordering_users": 0, "orders": 0 },
            { "period": "2023-10-27", "new_users": 1, "ordering_users": 1, "orders": 3 },
            { "period": "2023-10-28", "new_users": 0, "ordering_users": 1, "orders": 1 }
        ])
    );
    assert_eq!(
        report["totals"],
        json!([{ "period": null, "new_users": 1, "ordering_users": null, "orders": 4 }])
    );
}
