//! `/v2/inventory` and `/v2/locations`.

use crate::app::{Client, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use tradepost::products::VariantId;
use tradepost::products::inventory::store;

async fn start() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let shop = app
        .client("products:read products:write inventory:read inventory:write")
        .await;
    (app, shop)
}

async fn mug(shop: &Client, sku: &str, stock: i64) -> Value {
    let body = json!({ "title": format!("Mug {sku}"), "sku": sku, "inventory_quantity": stock });
    let reply = shop.post("/v2/products", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

fn variant(product: &Value) -> VariantId {
    VariantId::parse(product["variants"][0]["id"].as_str().expect("id")).expect("an id")
}

async fn adjust(shop: &Client, body: Value) -> (u16, Value) {
    let reply = shop.post("/v2/inventory/adjustments", body).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn an_adjustment_changes_the_level_and_is_in_the_ledger() {
    let (app, shop) = start().await;
    let made = mug(&shop, "A", 3).await;
    let id = variant(&made);
    app.clock.advance(Duration::from_secs(60));
    let (status, done) = adjust(
        &shop,
        json!({ "sku": "A", "delta": 12, "reason": "delivery", "expected_on_hand": 3 }),
    )
    .await;
    assert_eq!(status, 201, "{done}");
    assert_eq!(
        (
            &done["delta"],
            &done["level"]["on_hand"],
            &done["level"]["available"]
        ),
        (&json!(12), &json!(15), &json!(15))
    );
    let (_, done) = adjust(&shop, json!({ "variant_id": id, "set_to": 10, "reason": "stocktake", "location_id": "loc_default" })).await;
    assert_eq!(done["delta"], -5);
    assert_eq!(
        shop.get(&format!(
            "/v2/products/{}",
            made["id"].as_str().expect("id")
        ))
        .await
        .json()["inventory"]["on_hand"],
        10
    );
    let rows = shop
        .get(&format!(
            "/v2/inventory/movements?variant_id={id}&created_after=2023-10-27T10:00:00Z"
        ))
        .await
        .json();
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert_eq!(
        (
            &rows[0]["kind"],
            &rows[0]["reason"],
            &rows[0]["on_hand_delta"]
        ),
        (&json!("adjusted"), &json!("delivery"), &json!(12))
    );
    assert_eq!(rows[1]["id"], done["movement_id"]);
    assert_eq!(rows[1]["created_at"], "2023-10-27T10:01:00Z");
    for (query, count) in [
        ("kind=received", 1),
        ("kind=shipped", 0),
        ("order_id=ord_x", 0),
        ("created_before=2023-10-27T10:00:30Z", 1),
    ] {
        let rows = shop
            .get(&format!("/v2/inventory/movements?{query}"))
            .await
            .json();
        assert_eq!(rows.as_array().map(Vec::len), Some(count), "{query}");
    }
    let total = shop
        .get("/v2/inventory/movements?limit=2&include_total=true")
        .await;
    assert_eq!(total.header("x-total-count"), "3");
    assert!(total.header("link").contains("rel=\"next\""));
}

#[tokio::test]
async fn levels_are_listed_and_filtered() {
    let (_app, shop) = start().await;
    let made = mug(&shop, "A", 3).await;
    mug(&shop, "B", 4).await;
    let all = shop.get("/v2/inventory").await.json();
    assert_eq!(
        all[0],
        json!({ "variant_id": variant(&made), "product_id": made["id"], "sku": "A", "location_id": "loc_default",
        "on_hand": 3, "allocated": 0, "reserved": 0, "available": 3, "incoming": 0, "track_inventory": true })
    );
    let product = made["id"].as_str().expect("id");
    for (query, skus) in [
        (format!("variant_id={}", variant(&made)), vec!["A"]),
        ("sku=B".into(), vec!["B"]),
        (format!("product_id={product}"), vec!["A"]),
        ("location_id=loc_default".into(), vec!["A", "B"]),
        ("location_id=loc_other".into(), vec![]),
    ] {
        let rows = shop.get(&format!("/v2/inventory?{query}")).await.json();
        let found: Vec<&str> = rows
            .as_array()
            .expect("an array")
            .iter()
            .map(|row| row["sku"].as_str().expect("sku"))
            .collect();
        assert_eq!(found, skus, "{query}");
    }
    let first = shop.get("/v2/inventory?limit=1&include_total=true").await;
    assert_eq!(first.header("x-total-count"), "2");
    let link = first.header("link").to_owned();
    let next = link
        .split("8080")
        .nth(1)
        .and_then(|rest| rest.split('>').next())
        .expect("a next page");
    assert_eq!(shop.get(next).await.json()[0]["sku"], "B");
    let locations = shop.get("/v2/locations?include_total=true").await;
    assert_eq!(
        locations.json(),
        json!([{ "id": "loc_default", "name": "Default", "created_at": "1970-01-01T00:00:00Z" }])
    );
    assert_eq!(shop.get("/v2/inventory?warehouse=x").await.status, 400);
    assert_eq!(
        shop.get("/v2/inventory?variant_id=prod_1").await.status,
        400
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let (app, shop) = start().await;
    let made = mug(&shop, "A", 10).await;
    let takes = [(variant(&made), 4, true)];
    let now = app.clock.now();
    let short = app
        .db
        .write(async move |tx| store::allocate(tx, &takes, "ord_1", "test", now).await)
        .await;
    assert_eq!(short.expect("taken"), []);
    let level = shop.get("/v2/inventory").await.json();
    assert_eq!(
        (&level[0]["allocated"], &level[0]["available"]),
        (&json!(4), &json!(6))
    );
    for (body, status, code) in [
        (
            json!({ "sku": "A", "delta": -7, "reason": "r" }),
            409,
            "insufficient_stock",
        ),
        (
            json!({ "sku": "A", "set_to": 3, "reason": "r" }),
            409,
            "insufficient_stock",
        ),
        (
            json!({ "sku": "A", "delta": 1, "reason": "r", "expected_on_hand": 9 }),
            409,
            "stock_changed",
        ),
        (
            json!({ "sku": "Z", "delta": 1, "reason": "r" }),
            422,
            "invalid_body",
        ),
        (
            json!({ "variant_id": "var_none", "delta": 1, "reason": "r" }),
            422,
            "invalid_body",
        ),
        (
            json!({ "sku": "A", "delta": 1, "reason": "r", "location_id": "loc_none" }),
            422,
            "invalid_body",
        ),
        (json!({ "sku": "A", "delta": 1 }), 422, "invalid_body"),
        (
            json!({ "delta": 1, "set_to": 1, "reason": "r" }),
            422,
            "invalid_body",
        ),
        (json!({ "sku": "A", "reason": "r" }), 422, "invalid_body"),
        (
            json!({ "sku": "A", "delta": 1.5, "reason": "r" }),
            422,
            "invalid_body",
        ),
    ] {
        let (found, problem) = adjust(&shop, body.clone()).await;
        assert_eq!(
            (found, &problem["code"]),
            (status, &json!(code)),
            "{body}: {problem}"
        );
    }
    let (_, both) = adjust(&shop, json!({ "delta": 1, "set_to": 1, "reason": "r" })).await;
    assert_eq!(both["errors"].as_array().map(Vec::len), Some(2), "{both}");
    let product = format!("/v2/products/{}", made["id"].as_str().expect("id"));
    assert_eq!(
        shop.patch(&product, json!({ "inventory_quantity": 3 }))
            .await
            .code(),
        "insufficient_stock"
    );
    assert_eq!(
        shop.get("/v2/inventory/movements")
            .await
            .json()
            .as_array()
            .map(Vec::len),
        Some(2),
        "nothing of it was written"
    );
    let backorder = json!({ "variants": [{ "allow_backorder": true }] });
    assert_eq!(shop.patch(&product, backorder).await.status, 200);
    assert_eq!(
        adjust(&shop, json!({ "sku": "A", "set_to": 3, "reason": "r" }))
            .await
            .0,
        201
    );
    assert_eq!(
        shop.get(&product).await.json()["inventory"]["available"],
        -1
    );
}

#[tokio::test]
async fn the_first_adjustment_starts_counting() {
    let (_app, shop) = start().await;
    let made = shop
        .post("/v2/products", json!({ "title": "Mug", "sku": "A" }))
        .await
        .json();
    assert_eq!(made["variants"][0]["track_inventory"], false);
    assert_eq!(
        adjust(
            &shop,
            json!({ "sku": "A", "set_to": 2, "reason": "stocktake" })
        )
        .await
        .0,
        201
    );
    let after = shop
        .get(&format!(
            "/v2/products/{}",
            made["id"].as_str().expect("id")
        ))
        .await
        .json();
    assert_eq!(
        (&after["variants"][0]["track_inventory"], &after["version"]),
        (&json!(true), &json!(2))
    );
}

#[tokio::test]
async fn an_adjustment_is_made_once_per_key() {
    let (_app, shop) = start().await;
    mug(&shop, "A", 1).await;
    let body = json!({ "sku": "A", "delta": 5, "reason": "delivery" });
    for _ in 0..3 {
        let call = shop
            .request(axum::http::Method::POST, "/v2/inventory/adjustments")
            .header("idempotency-key", "k1");
        assert_eq!(call.json(&body).send().await.status, 201);
    }
    assert_eq!(shop.get("/v2/inventory").await.json()[0]["on_hand"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_takers_never_go_below_zero() {
    let (app, shop) = start().await;
    let made = mug(&shop, "A", 50).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..80 {
        let shop = shop.clone();
        let (app, id, now) = (app.app.clone(), variant(&made), app.clock.now());
        calls.spawn(async move {
            if n % 2 == 0 {
                return adjust(&shop, json!({ "sku": "A", "delta": -1, "reason": "sold" }))
                    .await
                    .0
                    == 201;
            }
            let takes = [(id, 1, true)];
            let order = format!("ord_{n}");
            let taken = app
                .db
                .write(async move |tx| {
                    match store::allocate(tx, &takes, &order, "test", now).await {
                        Ok(short) if short.is_empty() => Ok(()),
                        Ok(_) => Err(platform::db::DbError::NoRow), // rolls the unit back, as an order does
                        Err(error) => Err(error),
                    }
                })
                .await;
            taken.is_ok()
        });
    }
    let won = calls
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    assert_eq!(won, 50, "each unit once");
    let level = shop.get("/v2/inventory").await.json();
    assert_eq!(level[0]["available"], 0);
    let rows = shop.get("/v2/inventory/movements?limit=250").await.json();
    let sum = |field: &str| -> i64 {
        rows.as_array()
            .expect("rows")
            .iter()
            .map(|row| row[field].as_i64().expect("a number"))
            .sum()
    };
    assert_eq!(
        json!(sum("on_hand_delta")),
        level[0]["on_hand"],
        "the counters are the sums of the ledger"
    );
    assert_eq!(json!(sum("allocated_delta")), level[0]["allocated"]);
}

#[tokio::test]
async fn what_is_set_aside_can_be_given_back_even_after_deletion() {
    let (app, shop) = start().await;
    let made = mug(&shop, "A", 5).await;
    let id = variant(&made);
    let now = app.clock.now();
    let takes = [(id.clone(), 6, true)];
    let short = app
        .db
        .write(async move |tx| store::allocate(tx, &takes, "ord_1", "test", now).await)
        .await
        .expect("answered");
    assert_eq!((short[0].wanted, short[0].available), (6, 5));
    let takes = [(id.clone(), 6, false)];
    let backordered = app
        .db
        .write(async move |tx| store::allocate(tx, &takes, "ord_1", "test", now).await)
        .await;
    assert_eq!(backordered.expect("answered"), []);
    assert_eq!(shop.get("/v2/inventory").await.json()[0]["available"], -1);
    assert_eq!(
        shop.delete(&format!(
            "/v2/products/{}",
            made["id"].as_str().expect("id")
        ))
        .await
        .status,
        204
    );
    let gives = [(id.clone(), 6)];
    app.db
        .write(async move |tx| store::release(tx, &gives, "ord_1", "test", now).await)
        .await
        .expect("given back");
    let gives = [(id, 1)];
    let again = app
        .db
        .write(async move |tx| store::release(tx, &gives, "ord_1", "test", now).await)
        .await;
    assert!(again.is_err(), "not more than was set aside");
}
