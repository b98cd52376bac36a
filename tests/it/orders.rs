//! `/v2/orders`.

use crate::app::{Client, TestApp};
use axum::http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SCOPES: &str = "orders:read orders:write products:read products:write inventory:read inventory:write users:read users:write";

/// A product with one variant: its sku and variant id.
async fn product(shop: &Client, sku: &str, price_minor: i64, stock: i64) -> Value {
    let body = json!({ "title": format!("Product {sku}"), "status": "active", "sku": sku,
        "price": price_minor, "currency": "USD", "inventory_quantity": stock });
    let reply = shop.post("/v2/products", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

async fn available(shop: &Client, sku: &str) -> i64 {
    let products = shop.get(&format!("/v2/products?sku={sku}")).await.json();
    products[0]["variants"][0]["inventory"]["available"]
        .as_i64()
        .expect("a number")
}

fn order_of(lines: &[(&str, i64)]) -> Value {
    let items: Vec<Value> = lines
        .iter()
        .map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }))
        .collect();
    json!({ "email": "guest@example.com", "currency": "USD", "items": items })
}

#[tokio::test]
async fn an_order_takes_stock_and_shows_its_money() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10).await;
    product(&shop, "POT", 3999, 5).await;
    let mut body = order_of(&[("MUG", 2), ("POT", 1)]);
    body["shipping"] = json!({ "method": "post", "amount": 500 });
    let reply = shop.post("/v2/orders", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let order = reply.json();
    assert_eq!(
        reply.header("location"),
        format!("/v2/orders/{}", order["id"].as_str().expect("an id"))
    );
    assert_eq!(order["status"], "pending");
    assert_eq!(order["payment_status"], "unpaid");
    assert_eq!(order["fulfillment_status"], "unfulfilled");
    assert_eq!(
        order["totals"],
        json!({ "items": 6499, "discount": 0, "shipping": 500, "tax": 0, "tax_included": false,
        "total": 6999, "authorized": 0, "captured": 0, "refunded": 0, "due": 6999 })
    );
    assert_eq!(order["items"][0]["unit_price"], 1250);
    assert_eq!(order["items"][0]["allocated"], 2);
    assert_eq!(order["expires_at"], "2023-10-27T11:00:00Z");
    assert_eq!(
        (available(&shop, "MUG").await, available(&shop, "POT").await),
        (8, 4)
    );
    let again = shop.get(reply.header("location")).await;
    assert_eq!(again.json(), order);
    assert_eq!(again.header("etag"), reply.header("etag"));
}

#[tokio::test]
async fn two_lines_of_one_item_are_summed_before_the_stock_is_asked() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 3).await;
    let reply = shop
        .post("/v2/orders", order_of(&[("MUG", 2), ("MUG", 2)]))
        .await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (409, "insufficient_stock")
    );
    let problem = reply.json();
    assert_eq!(problem["available"][0]["wanted"], 4);
    assert_eq!(problem["available"][0]["available"], 3);
    assert_eq!(problem["errors"].as_array().map(Vec::len), Some(2));
    assert_eq!(available(&shop, "MUG").await, 3);
    assert_eq!(
        shop.post("/v2/orders", order_of(&[("MUG", 2), ("MUG", 1)]))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn ten_units_make_exactly_ten_orders_for_two_hundred_buyers() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "LAST", 100, 10).await;
    let buyers: Vec<_> = (0..200)
        .map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.post("/v2/orders", order_of(&[("LAST", 1)])).await })
        })
        .collect();
    let (mut placed, mut refused) = (0, 0);
    for buyer in buyers {
        let reply = buyer.await.expect("an answer");
        match reply.status {
            201 => placed += 1,
            409 => {
                assert_eq!(reply.code(), "insufficient_stock");
                refused += 1;
            }
            other => panic!("{other}: {}", reply.text()),
        }
    }
    assert_eq!((placed, refused), (10, 190));
    assert_eq!(available(&shop, "LAST").await, 0);
    let orders = shop
        .get("/v2/orders?sku=LAST&include_total=true&limit=1")
        .await;
    assert_eq!(orders.header("x-total-count"), "10");
}

#[tokio::test]
async fn a_key_does_it_once_and_replays_the_very_answer() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10).await;
    let send = async |body: &Value| {
        shop.request(Method::POST, "/v2/orders")
            .header("idempotency-key", "\"abc-1\"")
            .json(body)
            .send()
            .await
    };
    let body = order_of(&[("MUG", 1)]);
    let first = send(&body).await;
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (201, "")
    );
    let second = send(&body).await;
    assert_eq!(
        (second.status, second.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(second.header("etag"), first.header("etag"));
    assert_eq!(available(&shop, "MUG").await, 9);
    let other = send(&order_of(&[("MUG", 2)])).await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (422, "idempotency_key_reused")
    );
    app.clock.advance(Duration::from_secs(25 * 3600));
    let shop = app.client(SCOPES).await; // another client: a key is the caller's own
    let reply = shop
        .request(Method::POST, "/v2/orders")
        .header("idempotency-key", "abc-1")
        .json(&body)
        .send()
        .await;
    assert_eq!(
        (reply.status, reply.header("idempotent-replayed")),
        (201, "")
    );
}

#[tokio::test]
async fn a_refusal_is_kept_under_its_key_and_takes_nothing() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 1).await;
    let send = async || {
        let body = order_of(&[("MUG", 2)]);
        shop.request(Method::POST, "/v2/orders")
            .header("idempotency-key", "k")
            .json(&body)
            .send()
            .await
    };
    let first = send().await;
    assert_eq!(first.status, 409);
    let second = send().await;
    assert_eq!(
        (second.status, second.header("idempotent-replayed")),
        (409, "true")
    );
    assert_eq!(second.json()["available"], first.json()["available"]);
    assert_eq!(available(&shop, "MUG").await, 1);
}

#[tokio::test]
async fn an_order_moves_only_along_its_axis() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10).await;
    let order = shop
        .post("/v2/orders", order_of(&[("MUG", 4)]))
        .await
        .json();
    let path = format!("/v2/orders/{}", order["id"].as_str().expect("an id"));
    let early = shop.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (409, "invalid_transition")
    );
    assert_eq!(early.json()["allowed"], json!(["confirmed", "cancelled"]));
    let confirmed = shop
        .request(Method::POST, &format!("{path}/confirm"))
        .send()
        .await;
    assert_eq!(
        (confirmed.status, &confirmed.json()["status"]),
        (200, &json!("confirmed"))
    );
    assert_eq!(confirmed.json()["expires_at"], Value::Null);
    assert_eq!(confirmed.json()["version"], 2);
    let stale = shop
        .request(Method::POST, &format!("{path}/cancel"))
        .header("if-match", "\"1.abcd\"")
        .json(&json!({}))
        .send()
        .await;
    assert_eq!(
        (stale.status, stale.code().as_str()),
        (412, "precondition_failed")
    );
    assert_eq!(stale.header("etag"), confirmed.header("etag"));
    let cancelled = shop
        .post(
            &format!("{path}/cancel"),
            json!({ "reason": "changed their mind" }),
        )
        .await
        .json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["cancel_reason"], "changed their mind");
    assert_eq!(cancelled["totals"]["due"], 0);
    assert_eq!(cancelled["items"][0]["allocated"], 0);
    assert_eq!(shop.get(&path).await.json(), cancelled);
    assert_eq!(available(&shop, "MUG").await, 10);
    assert_eq!(
        shop.post(&format!("{path}/confirm"), json!({}))
            .await
            .code(),
        "invalid_transition"
    );
    let history = shop.get(&format!("{path}/history")).await.json();
    let kinds: Vec<&str> = history
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|e| e["type"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["order.placed", "order.confirmed", "order.cancelled"]
    );
}

#[tokio::test]
async fn an_unpaid_order_gives_its_stock_back_when_its_hold_ends() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10).await;
    let mut body = order_of(&[("MUG", 4)]);
    body["hold_minutes"] = json!(15);
    let order = shop.post("/v2/orders", body).await.json();
    app.clock.advance(Duration::from_secs(14 * 60));
    assert_eq!(
        tradepost::orders::jobs::expire_due(&app.app)
            .await
            .expect("runs"),
        0
    );
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(
        tradepost::orders::jobs::expire_due(&app.app)
            .await
            .expect("runs"),
        1
    );
    let now = shop
        .get(&format!(
            "/v2/orders/{}",
            order["id"].as_str().expect("an id")
        ))
        .await
        .json();
    assert_eq!(
        (&now["status"], &now["cancel_reason"]),
        (&json!("cancelled"), &json!("payment_timeout"))
    );
    assert_eq!(available(&shop, "MUG").await, 10);
}

#[tokio::test]
async fn a_rehearsal_shows_the_result_and_changes_nothing() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 3).await;
    let mut body = order_of(&[("MUG", 3)]);
    body["dry_run"] = json!(true);
    let reply = shop.post("/v2/orders", body.clone()).await;
    assert_eq!(
        (reply.status, &reply.json()["totals"]["total"]),
        (200, &json!(3750))
    );
    assert_eq!(reply.json()["number"], Value::Null);
    assert_eq!(reply.header("location"), "", "there is no such order");
    assert_ne!(reply.header("etag"), "");
    assert_eq!(available(&shop, "MUG").await, 3);
    assert_eq!(shop.get("/v2/orders").await.text(), "[]");
    let plain = order_of(&[("MUG", 3)]);
    let by_query = shop.post("/v2/orders?dry_run=true", plain.clone()).await;
    assert_eq!(by_query.status, 200, "{}", by_query.text());
    let misspelt = shop.post("/v2/orders?dryrun=true", plain.clone()).await;
    assert_eq!(misspelt.code(), "invalid_parameter");
    let unclear = shop.post("/v2/orders?dry_run=1", plain).await;
    assert_eq!(unclear.code(), "invalid_parameter");
    assert_eq!(shop.get("/v2/orders").await.text(), "[]");
    body["items"][0]["quantity"] = json!(4);
    assert_eq!(
        shop.post("/v2/orders", body).await.code(),
        "insufficient_stock"
    );
}

#[tokio::test]
async fn what_cannot_be_sold_is_named_line_by_line() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 3).await;
    let draft = json!({ "title": "Draft", "status": "draft", "sku": "DRAFT", "price": 1, "currency": "USD", "inventory_quantity": 1 });
    let draft = shop.post("/v2/products", draft).await;
    assert_eq!(draft.status, 201, "{}", draft.text());
    let body = json!({ "email": "g@example.com", "currency": "USD", "items": [
        { "sku": "NONE", "quantity": 1 }, { "quantity": 1 }, { "sku": "MUG", "quantity": 1 }, { "sku": "DRAFT", "quantity": 1 } ] });
    let reply = shop.post("/v2/orders", body).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (422, "cannot_be_sold")
    );
    let errors: Vec<(String, String)> = reply.json()["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|e| {
            (
                e["pointer"].as_str().unwrap_or_default().into(),
                e["code"].as_str().unwrap_or_default().into(),
            )
        })
        .collect();
    let expected = [
        ("#/items/0/sku", "unknown_product"),
        ("#/items/1", "invalid_value"),
        ("#/items/3/sku", "not_for_sale"),
    ];
    assert_eq!(errors, expected.map(|(p, c)| (p.to_owned(), c.to_owned())));
    let mut euros = order_of(&[("MUG", 1)]);
    euros["currency"] = json!("EUR");
    assert_eq!(
        shop.post("/v2/orders", euros).await.json()["errors"][0]["code"],
        "no_price"
    );
    let mut priced = order_of(&[("MUG", 1)]);
    priced["items"][0]["unit_price"] = json!(1);
    assert_eq!(
        shop.post("/v2/orders", priced.clone()).await.code(),
        "insufficient_scope"
    );
    let clerk = app.client("orders:write orders:price").await;
    assert_eq!(
        clerk.post("/v2/orders", priced.clone()).await.json()["totals"]["total"],
        1
    );
    priced["items"][0]["unit_price"] = json!(9.99);
    assert_eq!(
        clerk.post("/v2/orders", priced).await.json()["errors"][0]["code"],
        "money_must_be_integer"
    );
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 100).await;
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(
            shop.post("/v2/orders", order_of(&[("MUG", 1)]))
                .await
                .json()["id"]
                .clone(),
        );
        // no time passes: all share created_at, and the id decides
    }
    placed.sort_by_key(|id| id.as_str().map(str::to_owned));
    for sort in [
        "created_at",
        "-created_at",
        "placed_at",
        "-placed_at",
        "updated_at",
    ] {
        let (mut seen, mut next) = (
            Vec::new(),
            Some(format!("/v2/orders?limit=3&sort={sort}&status=pending")),
        );
        while let Some(path) = next {
            let reply = shop.get(&path).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            seen.extend(
                reply
                    .json()
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|order| order["id"].clone()),
            );
            next = next_path(reply.header("link"));
        }
        if sort.starts_with('-') {
            seen.reverse();
        }
        assert_eq!(seen, placed, "{sort}");
    }
    let expanded = shop.get("/v2/orders?expand=items&limit=2").await;
    assert_eq!(expanded.json()[1]["items"][0]["sku"], "MUG");
    assert!(expanded.statements() <= 2);
    assert_eq!(
        shop.get("/v2/orders?cursor=AAAA").await.code(),
        "invalid_cursor"
    );
    assert_eq!(
        shop.get("/v2/orders?expand=items&limit=51").await.code(),
        "invalid_parameter"
    );
}

fn next_path(link: &str) -> Option<String> {
    let next = link
        .split(", ")
        .find(|part| part.ends_with("rel=\"next\""))?;
    let url = next.split('>').next()?.trim_start_matches('<');
    Some(url.trim_start_matches("http://127.0.0.1:8080").to_owned())
}

#[tokio::test]
async fn statements_are_counted() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    for sku in ["A", "B", "C"] {
        product(&shop, sku, 100, 10).await;
    }
    let body = order_of(&[("A", 1), ("B", 1), ("C", 1)]);
    let placed = shop
        .request(Method::POST, "/v2/orders")
        .header("idempotency-key", "k")
        .json(&body)
        .send()
        .await;
    assert_eq!(placed.status, 201);
    assert!(
        placed.statements() <= 14,
        "an order of 3 lines took {}",
        placed.statements()
    );
    let got = shop.get(placed.header("location")).await;
    assert!(got.statements() <= 2, "a GET took {}", got.statements());
    let listed = shop.get("/v2/orders").await;
    assert!(
        listed.statements() <= 2,
        "a list took {}",
        listed.statements()
    );
}

#[tokio::test]
async fn a_command_without_fields_names_each_field_it_does_not_know() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    for path in [
        "/v2/orders/ord_1/confirm",
        "/v2/orders/ord_1/complete",
        "/v2/users/user_1/anonymize",
    ] {
        let reply = shop.post(path, json!({ "notify": true, "a/b": 1 })).await;
        assert_eq!((reply.status, reply.code().as_str()), (422, "invalid_body"));
        let mut faults: Vec<String> = reply.json()["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|error| format!("{} {}", error["pointer"], error["code"]))
            .collect();
        faults.sort();
        assert_eq!(
            faults,
            [
                r##""#/a~1b" "unknown_field""##,
                r##""#/notify" "unknown_field""##
            ],
            "{path}"
        );
    }
}

#[tokio::test]
async fn completing_an_order_ships_what_it_holds() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10).await;
    let placed = shop.post("/v2/orders", order_of(&[("MUG", 2), ("MUG", 1)]));
    let placed = placed.await.json();
    let path = format!("/v2/orders/{}", placed["id"].as_str().expect("an id"));
    shop.post(&format!("{path}/confirm"), json!({})).await;
    let done = shop.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let done = done.json();
    assert_eq!(
        (&done["status"], &done["fulfillment_status"]),
        (&json!("completed"), &json!("fulfilled"))
    );
    for (line, quantity) in [(0, 2), (1, 1)] {
        let line = &done["items"][line];
        assert_eq!(
            (&line["allocated"], &line["fulfilled"]),
            (&json!(0), &json!(quantity))
        );
    }
    assert_eq!(shop.get(&path).await.json(), done);
    let sold = shop.get("/v2/products?sku=MUG").await.json();
    let level = &sold[0]["variants"][0]["inventory"];
    assert_eq!(
        (&level["on_hand"], &level["allocated"], &level["available"]),
        (&json!(7), &json!(0), &json!(7))
    );
    let moved = shop.get("/v2/inventory/movements").await.json();
    let moved = moved.as_array().expect("a list");
    let shipped: Vec<_> = moved.iter().filter(|m| m["kind"] == "shipped").collect();
    assert_eq!(shipped.len(), 1, "{moved:?}");
    assert_eq!(
        (&shipped[0]["on_hand_delta"], &shipped[0]["allocated_delta"]),
        (&json!(-3), &json!(-3))
    );
    let report = tradepost::doctor::examine(&app.db).await.expect("examined");
    assert_eq!(report.findings, []);
}

/// Completed means that everything is done, whether or not somebody counts the stock.
#[tokio::test]
async fn completing_fulfils_lines_whose_stock_is_not_tracked_too() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10).await;
    let gift = json!({ "title": "Gift wrap", "sku": "WRAP", "price": 200, "currency": "USD", "status": "active" });
    assert_eq!(shop.post("/v2/products", gift).await.status, 201);
    for lines in [&[("WRAP", 2)][..], &[("MUG", 1), ("WRAP", 1)]] {
        let placed = shop.post("/v2/orders", order_of(lines)).await.json();
        let path = format!("/v2/orders/{}", placed["id"].as_str().expect("an id"));
        shop.post(&format!("{path}/confirm"), json!({})).await;
        let done = shop.post(&format!("{path}/complete"), json!({})).await;
        assert_eq!(done.status, 200, "{}", done.text());
        let done = done.json();
        assert_eq!(done["fulfillment_status"], "fulfilled");
        for line in done["items"].as_array().expect("lines") {
            assert_eq!(
                (&line["fulfilled"], &line["allocated"]),
                (&line["quantity"], &json!(0)),
                "{line}"
            );
        }
        assert_eq!(shop.get(&path).await.json(), done);
    }
    let report = tradepost::doctor::examine(&app.db).await.expect("examined");
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn what_was_sold_on_backorder_is_not_shipped_before_it_is_there() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let body = json!({ "title": "Pot", "status": "active", "variants": [{ "sku": "POT", "allow_backorder": true,
        "prices": [{ "amount": 100, "currency": "USD" }], "inventory_quantity": 1 }] });
    let made = shop.post("/v2/products", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let placed = shop
        .post("/v2/orders", order_of(&[("POT", 3)]))
        .await
        .json();
    let path = format!("/v2/orders/{}", placed["id"].as_str().expect("an id"));
    let confirmed = shop.post(&format!("{path}/confirm"), json!({})).await;
    let early = shop.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (409, "insufficient_stock")
    );
    assert_eq!(early.json()["available"][0]["available"], 1);
    assert_eq!(shop.get(&path).await.json(), confirmed.json());
    let delivery = json!({ "sku": "POT", "delta": 2, "reason": "delivery" });
    shop.post("/v2/inventory/adjustments", delivery).await;
    let done = shop.post(&format!("{path}/complete"), json!({})).await;
    assert_eq!(
        done.json()["fulfillment_status"],
        "fulfilled",
        "{}",
        done.text()
    );
}

#[tokio::test]
async fn rehearsed_and_refused_orders_use_no_number() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 3).await;
    let number = async || {
        let placed = shop
            .post("/v2/orders", order_of(&[("MUG", 1)]))
            .await
            .json();
        let number = placed["number"].as_str().expect("a number").to_owned();
        number.parse::<i64>().expect("digits here")
    };
    let first = number().await;
    let mut rehearsal = order_of(&[("MUG", 1)]);
    rehearsal["dry_run"] = json!(true);
    assert_eq!(shop.post("/v2/orders", rehearsal).await.status, 200);
    for refused in [order_of(&[("MUG", 9)]), order_of(&[("NONE", 1)])] {
        assert!(shop.post("/v2/orders", refused).await.status >= 400);
    }
    assert_eq!(number().await, first + 1);
}

/// Orders that are on their way while their user is forgotten come before that and are emptied, or after it and are
/// refused.
#[tokio::test]
async fn an_order_that_meets_the_forgetting_of_its_user_remembers_nothing() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, "MUG", 1250, 10_000).await;
    for round in 0..20 {
        let new = json!({ "username": format!("ann{round}"), "email": format!("ann{round}@example.com") });
        let user = shop.post("/v2/users", new).await.json();
        let path = format!("/v2/users/{}", user["id"].as_str().expect("an id"));
        let order = json!({ "user_id": user["id"], "currency": "USD", "note": "For Ann.",
            "items": [{ "sku": "MUG", "quantity": 1 }] });
        let mut running = tokio::task::JoinSet::new();
        for number in 0..10 {
            let (shop, order, path) = (shop.clone(), order.clone(), path.clone());
            running.spawn(async move {
                let key = format!("order-{round}-{number}");
                let reply = match (number, round % 2) {
                    (5, 0) => shop.delete(&path).await,
                    (5, _) => shop.post(&format!("{path}/anonymize"), json!({})).await,
                    _ => {
                        let call = shop.request(Method::POST, "/v2/orders");
                        call.header("idempotency-key", &key)
                            .json(&order)
                            .send()
                            .await
                    }
                };
                let refused = reply.status == 422 && number != 5;
                assert!(reply.status < 300 || refused, "{}", reply.text());
            });
        }
        while let Some(done) = running.join_next().await {
            done.expect("answered");
        }
        let orders = shop
            .get(&format!("/v2/orders?user_id={}", &path[10..]))
            .await;
        for order in orders.json().as_array().expect("orders") {
            assert_eq!(
                (&order["email"], &order["note"]),
                (&Value::Null, &Value::Null),
                "round {round}"
            );
        }
    }
    let mut tx = app.db.read().await.expect("a reader");
    let sql = "SELECT COUNT(*) FROM idempotency_keys WHERE body LIKE '%For Ann.%'";
    let kept: i64 = tx
        .fetch_one(sql, &[], |row| row.get(0))
        .await
        .expect("a count");
    assert_eq!(kept, 0, "nor do the answers that are kept");
}
