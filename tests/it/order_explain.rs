//! `GET /v2/orders/{id}/explain`.

use crate::app::{Client, TestApp};
use serde_json::{Value, json};
use std::time::Duration;

const SCOPES: &str = "orders:read orders:write orders:price products:read products:write";

async fn product(shop: &Client, body: Value) -> Value {
    let mut product = json!({ "title": "Mug", "status": "active" });
    for (name, value) in body.as_object().expect("members") {
        product[name] = value.clone();
    }
    let reply = shop.post("/v2/products", product).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

/// The sums of the explanation are the figures of the order, and each is made of its terms.
fn check(order: &Value, explained: &Value) {
    let adds_up = |sum: &Value| {
        let terms = sum["terms"].as_array().expect("terms");
        assert!(
            terms.iter().all(|term| term["of"] != "unexplained"),
            "{sum}"
        );
        let added: i64 = terms
            .iter()
            .map(|term| term["amount"].as_i64().expect("an amount"))
            .sum();
        assert_eq!(sum["amount"], added, "{sum}");
    };
    for name in ["items", "discount", "shipping", "tax", "total", "due"] {
        adds_up(&explained["totals"][name]);
        assert_eq!(
            explained["totals"][name]["amount"], order["totals"][name],
            "{name}"
        );
    }
    let lines = explained["lines"].as_array().expect("lines");
    let items = order["items"].as_array().expect("items");
    assert_eq!(lines.len(), items.len());
    for (line, item) in lines.iter().zip(items) {
        adds_up(&line["subtotal"]);
        adds_up(&line["total"]);
        assert_eq!(line["item_id"], item["id"]);
        assert_eq!(line["subtotal"]["amount"], item["subtotal"]);
        assert_eq!(line["total"]["amount"], item["total"]);
        assert_eq!(line["unit_price"]["amount"], item["unit_price"]);
        assert_eq!(line["unit_price"]["list_amount"], item["list_unit_price"]);
    }
    let total: i64 = lines
        .iter()
        .map(|line| line["total"]["amount"].as_i64().expect("an amount"))
        .sum();
    let shipping = order["totals"]["shipping"].as_i64().expect("an amount");
    assert_eq!(order["totals"]["total"], total + shipping);
}

async fn explain(shop: &Client, order: &Value) -> Value {
    let path = format!(
        "/v2/orders/{}/explain",
        order["id"].as_str().expect("an id")
    );
    let reply = shop.get(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.statements() <= 4, "{} statements", reply.statements());
    assert!(
        reply
            .header("etag")
            .starts_with(&format!("\"{}.", order["version"]))
    );
    reply.json()
}

#[tokio::test]
async fn each_price_is_traced_to_its_row_its_window_or_the_hand_that_set_it() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let mug = product(&shop, json!({ "variants": [{ "sku": "MUG", "prices": [
        { "currency": "USD", "amount": 2000 },
        { "currency": "USD", "amount": 1500, "starts_at": "2023-10-01T00:00:00Z", "ends_at": "2023-11-01T00:00:00Z" },
        { "currency": "USD", "amount": 1200, "min_quantity": 10 }
    ] }] })).await;
    product(&shop, json!({ "sku": "POT", "price": { "amount": 3000, "currency": "USD", "compare_at_amount": 3999 } })).await;
    product(
        &shop,
        json!({ "sku": "PAN", "price": 5000, "currency": "USD" }),
    )
    .await;
    let body = json!({ "email": "g@example.com", "currency": "USD", "shipping": { "method": "post", "amount": 499 }, "items": [
        { "sku": "MUG", "quantity": 3 }, { "sku": "POT", "quantity": 1 }, { "sku": "PAN", "quantity": 2, "unit_price": 4200 } ] });
    let order = shop.post("/v2/orders", body).await.json();
    let explained = explain(&shop, &order).await;
    check(&order, &explained);
    assert_eq!(
        (&explained["exponent"], &explained["currency"]),
        (&json!(2), &json!("USD"))
    );
    let history = shop
        .get(&format!(
            "/v2/orders/{}/history",
            order["id"].as_str().expect("an id")
        ))
        .await
        .json();
    assert_eq!(explained["placed_by"], history[0]["actor"]);

    let sale = mug["variants"][0]["prices"]
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["amount"] == 1500)
        .expect("the sale")
        .clone();
    let price = &explained["lines"][0]["unit_price"];
    assert_eq!(price["source"], "price_row");
    assert_eq!(
        price["price"],
        json!({ "id": sale["id"], "state": "current", "row": sale })
    );
    assert_eq!(
        (
            &price["list_amount"],
            &price["list_source"],
            &price["saved"]
        ),
        (&json!(2000), &json!("everyday_price"), &json!(1500))
    );
    assert_eq!(
        explained["lines"][1]["unit_price"]["list_source"],
        "compare_at_amount"
    );
    let by_hand = &explained["lines"][2]["unit_price"];
    assert_eq!(
        (
            &by_hand["source"],
            &by_hand["price"],
            &by_hand["list_source"]
        ),
        (&json!("by_hand"), &Value::Null, &json!("catalogue_price"))
    );
    assert_eq!(
        explained["totals"]["total"]["terms"],
        json!([
        { "of": "line_totals", "amount": 15_900 }, { "of": "shipping", "amount": 499 } ])
    );
}

#[tokio::test]
async fn quantities_of_one_variant_are_priced_together_and_a_retired_row_is_still_told() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let mug = product(&shop, json!({ "variants": [{ "sku": "MUG", "prices": [
        { "currency": "USD", "amount": 2000 }, { "currency": "USD", "amount": 1200, "min_quantity": 10 } ] }] })).await;
    let body = json!({ "email": "g@example.com", "currency": "USD",
        "items": [{ "sku": "MUG", "quantity": 6 }, { "sku": "MUG", "quantity": 4 }] });
    let order = shop.post("/v2/orders", body).await.json();
    app.clock.advance(Duration::from_secs(1800));
    let path = format!("/v2/products/{}", mug["id"].as_str().expect("an id"));
    let changed = json!({ "variants": [{ "id": mug["variants"][0]["id"], "sku": "MUG", "prices": [{ "currency": "USD", "amount": 900 }] }] });
    let reply = shop.put(&path, changed).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let explained = explain(&shop, &order).await;
    check(&order, &explained);
    for line in 0..2 {
        let price = &explained["lines"][line]["unit_price"];
        assert_eq!(
            (&price["priced_quantity"], &price["amount"]),
            (&json!(10), &json!(1200))
        );
        let used = &price["price"];
        assert_eq!(
            (&used["state"], &used["row"]["min_quantity"]),
            (&json!("retired"), &json!(10))
        );
        assert_eq!(
            (&used["row"]["starts_at"], &used["row"]["ends_at"]),
            (
                &json!("2023-10-27T10:00:00Z"),
                &json!("2023-10-27T10:30:00Z")
            )
        );
        assert_eq!(
            price["list_source"], "unit_price",
            "the lowest without a window is the everyday price"
        );
    }
}

#[tokio::test]
async fn a_called_off_order_is_explained_and_an_unknown_one_is_not() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(
        &shop,
        json!({ "sku": "MUG", "price": 2000, "currency": "JPY" }),
    )
    .await;
    let body = json!({ "email": "g@example.com", "currency": "JPY", "items": [{ "sku": "MUG", "quantity": 3 }] });
    let placed = shop.post("/v2/orders", body).await.json();
    let path = format!("/v2/orders/{}", placed["id"].as_str().expect("an id"));
    let order = shop.post(&format!("{path}/cancel"), json!({})).await.json();
    let explained = explain(&shop, &order).await;
    check(&order, &explained);
    assert_eq!(explained["exponent"], 0);
    assert_eq!(
        explained["totals"]["due"]["terms"][1],
        json!({ "of": "cancelled", "amount": -6000 })
    );
    for id in ["ord_none", "none"] {
        let reply = shop.get(&format!("/v2/orders/{id}/explain")).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    }
}

/// What the reference shows is what the program answers, field by field.
#[tokio::test]
async fn the_example_has_the_fields_of_an_answer() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(
        &shop,
        json!({ "sku": "MUG", "price": 2000, "currency": "USD" }),
    )
    .await;
    let body = json!({ "email": "g@example.com", "currency": "USD", "items": [{ "sku": "MUG", "quantity": 3 }],
        "shipping_address": { "name": "A", "line1": "1 Main St", "city": "Springfield", "country": "US" },
        "shipping": { "method": "post", "amount": 499 } });
    let order = shop.post("/v2/orders", body).await.json();
    let document: Value =
        serde_json::from_str(&tradepost::openapi::document("http://127.0.0.1:8080")).expect("JSON");
    let example = |pointer: &str| {
        document
            .pointer(&format!(
                "/paths/{pointer}/responses/200/content/application~1json/example"
            ))
            .expect("an example")
            .clone()
    };
    let names = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let shown = example("~1v2~1orders~1{id}/patch");
    assert_eq!(names(&shown), names(&order));
    assert_eq!(names(&shown["items"][0]), names(&order["items"][0]));
    let explained = explain(&shop, &order).await;
    let shown = example("~1v2~1orders~1{id}~1explain/get");
    assert_eq!(names(&shown), names(&explained));
    for pointer in [
        "/lines/0",
        "/lines/0/unit_price",
        "/lines/0/unit_price/price",
        "/lines/0/unit_price/price/row",
        "/totals",
        "/totals/total",
    ] {
        let part = |whole: &Value| names(whole.pointer(pointer).expect("a part"));
        assert_eq!(part(&shown), part(&explained), "{pointer}");
    }
    check(&example("~1v2~1orders~1{id}/get"), &shown);
    let listed = shop.get("/v2/orders").await.json();
    assert_eq!(
        names(&example("~1v2~1users~1{id}~1orders/get")[0]),
        names(&listed[0])
    );
}
