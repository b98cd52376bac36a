//! `/v2/products/search`.

use crate::app::{Client, TestApp};
use serde_json::{Value, json};
use std::time::Duration;

const SCOPES: &str =
    "products:read products:write orders:write orders:read inventory:read inventory:write";

async fn product(shop: &Client, body: Value) -> String {
    let mut whole =
        json!({ "status": "active", "price": 1000, "currency": "USD", "inventory_quantity": 5 });
    for (name, value) in body.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    let reply = shop.post("/v2/products", whole).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().expect("an id").to_owned()
}

async fn found(shop: &Client, query: &str) -> Vec<String> {
    let reply = shop.get(&format!("/v2/products/search?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    let hits = reply.json();
    let hits = hits.as_array().expect("a bare array");
    assert!(
        reply
            .header("x-total-count")
            .parse::<usize>()
            .expect("a count")
            >= hits.len()
    );
    hits.iter()
        .map(|hit| hit["title"].as_str().expect("a title").to_owned())
        .collect()
}

#[tokio::test]
async fn a_product_is_found_as_soon_as_its_post_has_returned_and_gone_with_its_delete() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let id = product(
        &shop,
        json!({ "title": "Crème brûlée torch", "sku": "TORCH-1" }),
    )
    .await;
    for query in [
        "q=torch",
        "q=creme",
        "q=bru",
        "q=TORCH-1",
        "q=trch",
        "q=creme+torhc",
    ] {
        assert_eq!(found(&shop, query).await, ["Crème brûlée torch"], "{query}");
    }
    assert!(found(&shop, "q=trch&typo=off").await.is_empty());
    assert!(
        found(&shop, "q=TORCH-2").await.is_empty(),
        "no typos on the digits of a SKU"
    );
    assert_eq!(
        shop.put(
            &format!("/v2/products/{id}"),
            json!({ "title": "Blow lamp" })
        )
        .await
        .status,
        200
    );
    assert_eq!(found(&shop, "q=lamp").await, ["Blow lamp"]);
    assert!(found(&shop, "q=creme").await.is_empty());
    assert_eq!(shop.delete(&format!("/v2/products/{id}")).await.status, 204);
    assert!(found(&shop, "q=lamp").await.is_empty());
}

#[tokio::test]
async fn filters_sorts_facets_and_marks() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let make = async |title: &str, price: i64, vendor: &str, color: &str| {
        let attributes = json!({ "color": color });
        product(
            &shop,
            json!({ "title": title, "price": price, "vendor": vendor, "attributes": attributes }),
        )
        .await
    };
    make("Red mug", 900, "Acme", "red").await;
    make("Blue mug", 1100, "Acme", "blue").await;
    make("Red bowl", 2000, "Bolt", "red").await;
    assert_eq!(
        found(&shop, "attributes[color]=red&sort=price&currency=USD").await,
        ["Red mug", "Red bowl"]
    );
    assert_eq!(
        found(&shop, "q=mug&sort=-price&currency=USD").await,
        ["Blue mug", "Red mug"]
    );
    assert_eq!(
        found(&shop, "min_price=1000&max_price=1500&currency=USD").await,
        ["Blue mug"]
    );
    assert_eq!(found(&shop, "vendor=Bolt").await, ["Red bowl"]);
    product(
        &shop,
        json!({ "title": "Green cup", "price": 100, "external_id": "ERP 7/a" }),
    )
    .await;
    assert_eq!(found(&shop, "external_id=ERP%207/a").await, ["Green cup"]);
    assert_eq!(found(&shop, "external_id=erp%207/a").await, [""; 0]);
    assert_eq!(found(&shop, "q=mug&external_id=ERP%207/a").await, [""; 0]);
    assert_eq!(
        found(&shop, "sort=title&limit=2&offset=2").await,
        ["Red bowl", "Red mug"]
    );
    let reply = shop
        .post(
            "/v2/products/search",
            json!({ "q": "mug", "attributes": { "color": "red" }, "currency": "USD" }),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(answer["total"], 1);
    assert_eq!(answer["hits"][0]["highlight"]["title"], "Red <em>mug</em>");
    let colors = answer["facets"]["attributes.color"]
        .as_array()
        .expect("counts")
        .len();
    assert_eq!(
        colors, 2,
        "a facet is counted without its own filter: {answer}"
    );
    let misspelt = shop
        .post("/v2/products/search", json!({ "q": "bowll" }))
        .await
        .json();
    assert_eq!(misspelt["corrected_query"], "bowl");
    let suggested = shop.get("/v2/products/search/suggest?q=mu").await.json();
    assert_eq!(suggested["completions"][0]["q"], "mug");
}

/// Counts sales until so many units are sold. Sales are counted once, so their follower waits until no transaction of the
/// PostgreSQL cluster, such as one of another test, could still come before them.
async fn sales_reach(app: &TestApp, units: i64) {
    for _ in 0..1_000 {
        tradepost::products::search::follow::follow_sales(&app.app)
            .await
            .expect("follows");
        let sql = "SELECT CAST(COALESCE(SUM(units), 0) AS BIGINT) FROM product_sales";
        let mut tx = app.app.db.read().await.expect("a reader");
        let counted = tx.fetch_one(sql, &[], |row| row.get::<i64>(0)).await;
        if counted.expect("a sum") == units {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{units} units were not counted within ten seconds");
}

#[tokio::test]
async fn selling_changes_what_is_in_stock_and_what_sells_best() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(
        &shop,
        json!({ "title": "Mug one", "sku": "ONE", "inventory_quantity": 2 }),
    )
    .await;
    product(
        &shop,
        json!({ "title": "Mug two", "sku": "TWO", "inventory_quantity": 9 }),
    )
    .await;
    assert_eq!(
        found(&shop, "q=mug&in_stock=true&sort=title").await,
        ["Mug one", "Mug two"]
    );
    let order = json!({ "email": "g@example.com", "currency": "USD", "items": [{ "sku": "ONE", "quantity": 2 }] });
    assert_eq!(shop.post("/v2/orders", order).await.status, 201);
    assert_eq!(found(&shop, "q=mug&in_stock=true").await, ["Mug two"]);
    assert_eq!(found(&shop, "q=mug&in_stock=false").await, ["Mug one"]);
    sales_reach(&app, 2).await;
    assert_eq!(
        found(&shop, "sort=best_selling").await,
        ["Mug one", "Mug two"]
    );
    let order = json!({ "email": "g@example.com", "currency": "USD", "items": [{ "sku": "TWO", "quantity": 5 }] });
    assert_eq!(shop.post("/v2/orders", order).await.status, 201);
    sales_reach(&app, 7).await;
    app.clock.advance(Duration::from_secs(61));
    let shop = app.client(SCOPES).await;
    assert_eq!(
        found(&shop, "sort=best_selling").await,
        ["Mug two", "Mug one"]
    );
}

#[tokio::test]
async fn a_sale_that_begins_moves_the_product_without_any_write() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let body = json!({ "title": "Lamp", "status": "active", "variants": [{ "sku": "L", "prices": [
        { "currency": "USD", "amount": 5000 },
        { "currency": "USD", "amount": 1000, "starts_at": "2023-10-27T10:30:00Z", "ends_at": "2023-10-27T11:00:00Z" } ] }] });
    let reply = shop.post("/v2/products", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let cheap = "max_price=2000&currency=USD";
    assert!(found(&shop, cheap).await.is_empty());
    app.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(found(&shop, cheap).await, ["Lamp"]);
    app.clock.advance(Duration::from_secs(30 * 60));
    let shop = app.client(SCOPES).await; // the token has expired with the hour
    assert!(found(&shop, cheap).await.is_empty());
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_and_hostile_queries_are_answered() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    product(&shop, json!({ "title": "Kettle" })).await;
    assert_eq!(found(&shop, "q=kettle").await, ["Kettle"]);
    app.search.index.clear().expect("cleared");
    assert_eq!(found(&shop, "q=kettle").await, ["Kettle"]);
    for q in [
        "%22%27",
        "**",
        "a%20OR%20b",
        "title:x",
        "%F0%9F%98%80",
        "()",
        "-",
        "%E2%80%8B",
        &"x".repeat(256),
    ] {
        let reply = shop.get(&format!("/v2/products/search?q={q}")).await;
        assert_eq!(reply.status, 200, "{q}: {}", reply.text());
    }
    for (query, code) in [
        ("q=", "invalid_parameter"),
        ("offset=9999&limit=2", "invalid_parameter"),
        ("sort=price", "invalid_parameter"),
    ] {
        let reply = shop.get(&format!("/v2/products/search?{query}")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, code),
            "{query}"
        );
    }
}
