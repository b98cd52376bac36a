//! What reports say of hand-made orders.

use super::{SCOPES, column, report, run};
use crate::app::{START, TestApp};
use axum::http::Method;
use platform::clock::Timestamp;
use serde_json::json;
use std::time::Duration;
use tradepost::money::Currency;
use tradepost::orders::body::{Item, ItemId};
use tradepost::orders::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use tradepost::orders::totals::{LineTotals, PaymentSums, order_totals};
use tradepost::orders::{Order, OrderId};
use tradepost::reports::jobs::run_due;

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
            number: Some(self.number.to_string()),
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
            country: self.country.map(str::to_owned),
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

/// As the type's description says: which currencies there are is known from the sales alone.
#[tokio::test]
async fn without_a_currency_a_range_without_sales_has_no_rows() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    sell(&app, [SALE]).await;
    let days = |start: &str, end: &str| json!({ "type": "sales_by_period", "parameters": { "start": start, "end": end } });
    let quiet = report(&app, &shop, days("2009-01-01", "2009-02-01")).await;
    assert_eq!((&quiet["rows"], &quiet["totals"]), (&json!([]), &json!([])));
    let sold = report(&app, &shop, days("2011-01-01", "2012-01-01")).await;
    assert_eq!(sold["rows"].as_array().map(Vec::len), Some(365));
    let types = shop.get("/v2/reports").await.json();
    let said = types[0]["description"].as_str().expect("a text");
    assert!(
        said.contains("without `currency` a range without sales has no rows"),
        "{said}"
    );
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
