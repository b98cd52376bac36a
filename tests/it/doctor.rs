//! The proofs of `tradepost doctor`. Nothing that is offered over HTTP can break what they prove, so
//! here the database is tampered with.

use crate::app::TestApp;
use serde_json::json;
use tradepost::doctor::{Report, examine, repair};

async fn shop() -> TestApp {
    let app = TestApp::start().await;
    let shop = app.client("products:write orders:write").await;
    for sku in ["MUG", "POT"] {
        let body = json!({ "title": sku, "sku": sku, "price": 1250, "currency": "USD", "inventory_quantity": 10 });
        let made = shop.post("/v2/products", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let order = |quantity| {
        json!({ "email": "ada@example.com", "currency": "USD",
        "items": [{ "sku": "MUG", "quantity": quantity }, { "sku": "POT", "quantity": 1 }],
        "shipping": { "method": "post", "amount": 500 } })
    };
    let placed = shop.post("/v2/orders", order(2)).await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    let other = shop.post("/v2/orders", order(3)).await.json();
    let path = format!("/v2/orders/{}/cancel", other["id"].as_str().expect("an id"));
    let cancelled = shop.post(&path, json!({ "reason": "customer" })).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    app
}

async fn tamper(app: &TestApp, sql: &'static str) {
    let changed = app
        .db
        .write(async move |tx| tx.execute(sql, &[]).await)
        .await;
    assert!(changed.expect("executed") > 0, "{sql}");
}

async fn report(app: &TestApp) -> Report {
    examine(&app.db).await.expect("examined")
}

#[tokio::test]
async fn a_healthy_database_is_found_healthy() {
    let app = shop().await;
    let report = report(&app).await;
    assert_eq!(report.findings, []);
    assert_eq!(
        (report.stock_levels, report.orders, report.order_items),
        (2, 2, 4)
    );
    assert_eq!(report.totals_minor["USD"], 3 * 1_250 + 500);
}

#[tokio::test]
async fn counters_that_are_off_are_found_and_repaired() {
    let app = shop().await;
    tamper(
        &app,
        "UPDATE stock SET on_hand = on_hand + 1, allocated = 0",
    )
    .await;
    let found = report(&app).await;
    assert_eq!(found.wrong, 4, "{:?}", found.findings);
    assert!(
        found
            .findings
            .iter()
            .all(|finding| finding.check == "stock")
    );
    assert_eq!(repair(&app.db, app.clock.now()).await.expect("repaired"), 2);
    assert_eq!(report(&app).await.findings, []);
    assert_eq!(repair(&app.db, app.clock.now()).await.expect("repaired"), 0);

    tamper(&app, "DELETE FROM stock").await;
    assert_eq!(repair(&app.db, app.clock.now()).await.expect("repaired"), 2);
    assert_eq!(report(&app).await.findings, []);
}

#[tokio::test]
async fn orders_that_are_off_are_found() {
    let app = shop().await;
    for (sql, undo, checks) in [
        (
            "UPDATE orders SET total = total + 1",
            "UPDATE orders SET total = total - 1",
            &["order_totals"][..],
        ),
        (
            "UPDATE order_items SET subtotal = subtotal + 1",
            "UPDATE order_items SET subtotal = subtotal - 1",
            &["order_totals"],
        ),
        (
            "UPDATE order_items SET allocated = allocated + 1",
            "UPDATE order_items SET allocated = allocated - 1",
            &["held_stock", "order_status", "order_totals"],
        ),
        (
            "UPDATE orders SET cancelled_at = 1 WHERE status = 'pending'",
            "UPDATE orders SET cancelled_at = NULL WHERE status = 'pending'",
            &["order_status"],
        ),
        (
            "UPDATE order_items SET order_id = 'order_stray' || order_id",
            "UPDATE order_items SET order_id = SUBSTR(order_id, 12)",
            &["held_stock", "order_items", "order_totals"],
        ),
    ] {
        tamper(&app, sql).await;
        let found = report(&app).await;
        let mut names: Vec<&str> = found.findings.iter().map(|finding| finding.check).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, checks, "{sql}: {:?}", found.findings);
        tamper(&app, undo).await;
        assert_eq!(report(&app).await.findings, [], "{undo}");
    }
}
