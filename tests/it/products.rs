//! `/v2/products`.

use crate::app::{Client, Reply, TestApp};
use axum::http::Method;
use axum::http::Uri;
use platform::http::{Page, PageQuery};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use serde_json::{Value, json};
use std::time::Duration;
use tradepost::money::{Currency, Money};
use tradepost::products::api::ListProducts;
use tradepost::products::draft::Draft;
use tradepost::products::store::{self, NewRow};
use tradepost::products::{ProductId, VariantRef};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SCOPES: &str = "products:read products:write inventory:read inventory:write";

async fn start() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    (app, shop)
}

/// Time passes; the token that was held has expired, so here is a client with another.
async fn later(app: &TestApp, by: Duration) -> Client {
    app.clock.advance(by);
    app.client(SCOPES).await
}

async fn create(shop: &Client, body: Value) -> Value {
    let reply = shop.post("/v2/products", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

async fn mug(shop: &Client, sku: &str) -> Value {
    let body = json!({ "title": format!("Mug {sku}"), "sku": sku, "price": 1999, "currency": "USD",
        "inventory_quantity": 12 });
    create(shop, body).await
}

fn path(product: &Value) -> String {
    format!("/v2/products/{}", product["id"].as_str().expect("an id"))
}

fn titles(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let list = reply.json();
    list.as_array()
        .expect("an array")
        .iter()
        .map(|p| p["title"].as_str().expect("text").to_owned())
        .collect()
}

fn faults(reply: &Reply) -> Vec<(String, String)> {
    let errors = reply.json()["errors"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    errors
        .as_array()
        .unwrap_or_else(|| panic!("no errors: {}", reply.text()))
        .iter()
        .map(|error| (text(&error["pointer"]), text(&error["code"])))
        .collect()
}

#[tokio::test]
async fn the_short_form_makes_one_variant_with_price_and_stock() {
    let (_app, shop) = start().await;
    let body = json!({ "title": "Blue mug", "sku": "MUG-BLUE", "price": 1999, "currency": "USD", "inventory_quantity": 12 });
    let reply = shop.post("/v2/products", body).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    assert_eq!(reply.header("location"), path(&made));
    assert!(reply.header("etag").starts_with("\"1."));
    assert_eq!(made["slug"], "blue-mug");
    assert_eq!(made["status"], "active");
    assert_eq!(made["sku"], "MUG-BLUE");
    assert_eq!(made["version"], 1);
    assert_eq!(made["created_at"], "2023-10-27T10:00:00Z");
    assert_eq!(made["archived_at"], Value::Null);
    let (price, variant) = (&made["price"], &made["variants"][0]);
    assert_eq!(
        (&price["amount"], &price["currency"], &price["list_amount"]),
        (&json!(1999), &json!("USD"), &json!(1999))
    );
    assert_eq!(price["on_sale"], false);
    assert_eq!(price["price_id"], variant["prices"][0]["id"]);
    assert_eq!(
        made["lowest_price_30d"],
        json!({ "amount": 1999, "currency": "USD" })
    );
    let counted =
        json!({ "on_hand": 12, "allocated": 0, "reserved": 0, "available": 12, "incoming": 0 });
    assert_eq!(made["inventory"], counted);
    assert_eq!(variant["inventory"], counted);
    assert_eq!(variant["track_inventory"], true);
    assert_eq!(variant["option_values"], json!({}));

    let object = json!({ "title": "Blue mug", "price": { "amount": 5, "currency": "JPY", "compare_at_amount": 9 } });
    let other = create(&shop, object).await;
    assert_ne!(
        other["slug"], "blue-mug",
        "a slug from a title finds its own place"
    );
    assert!(
        other["slug"]
            .as_str()
            .expect("text")
            .starts_with("blue-mug-")
    );
    assert_eq!(other["price"]["list_amount"], 9);
    assert_eq!(other["price"]["on_sale"], true);
    assert_eq!(other["variants"][0]["track_inventory"], false);
    let bare = create(&shop, json!({ "title": "Bare" })).await;
    assert_eq!((&bare["price"], &bare["sku"]), (&Value::Null, &Value::Null));
    assert_eq!(bare["variants"].as_array().map(Vec::len), Some(1));
}

fn shirt() -> Value {
    json!({
        "title": "Shirt", "slug": "a-shirt", "description": "Cotton", "status": "draft", "type": "apparel",
        "vendor": "Acme", "brand": "Acme Basics", "categories": ["clothes", "men"], "tags": ["new"],
        "options": [{ "name": "Size", "values": ["S", "M"] }, { "name": "Color", "values": ["red"] }],
        "variants": [
            { "sku": "S-RED", "barcode": "4006381333931", "weight_grams": 180,
              "dimensions_mm": { "length": 300, "width": 200, "height": 20 },
              "option_values": { "Size": "S", "Color": "red" }, "inventory_quantity": 3, "allow_backorder": true,
              "tax_category": "reduced", "metadata": { "shelf": "A1" },
              "prices": [
                { "currency": "EUR", "amount": 2000, "compare_at_amount": 2500 },
                { "currency": "EUR", "amount": 1800, "min_quantity": 10 },
                { "currency": "EUR", "amount": 1500, "group": "trade" },
                { "currency": "USD", "amount": 2200 } ] },
            { "sku": "M-RED", "option_values": { "Size": "M", "Color": "red" }, "title": "Medium",
              "prices": [{ "currency": "EUR", "amount": 2100 }] }
        ],
        "tax_category": "standard", "images": [{ "url": "https://example.com/1.png", "alt": "front" }],
        "seo": { "title": "A shirt" }, "attributes": { "material": "cotton", "organic": true, "gsm": 180, "fits": ["slim"] },
        "external_id": "erp-1", "metadata": { "season": "SS" }
    })
}

#[tokio::test]
async fn every_field_is_kept_and_shown() {
    let (_app, shop) = start().await;
    let made = create(&shop, shirt()).await;
    let read = shop.get(&path(&made)).await.json();
    assert_eq!(read, made);
    let sent = shirt();
    for field in [
        "title",
        "slug",
        "description",
        "status",
        "type",
        "vendor",
        "brand",
        "categories",
        "tags",
        "options",
        "tax_category",
        "images",
        "seo",
        "attributes",
        "external_id",
        "metadata",
    ] {
        assert_eq!(read[field], sent[field], "{field}");
    }
    let (small, medium) = (&read["variants"][0], &read["variants"][1]);
    for field in [
        "sku",
        "barcode",
        "weight_grams",
        "dimensions_mm",
        "option_values",
        "allow_backorder",
        "tax_category",
        "metadata",
    ] {
        assert_eq!(small[field], sent["variants"][0][field], "{field}");
    }
    assert_eq!(
        (&small["title"], &medium["title"]),
        (&json!("S / red"), &json!("Medium"))
    );
    assert_eq!(small["prices"].as_array().map(Vec::len), Some(4));
    assert_eq!(read["price"]["amount"], 2000);
    assert_eq!(read["price"]["currency"], "EUR");
    assert_eq!(read["inventory"]["on_hand"], 3);
    assert_eq!(read["sku"], Value::Null);
}

#[tokio::test]
async fn the_price_is_resolved_for_currency_group_quantity_and_instant() {
    let (_app, shop) = start().await;
    let made = create(&shop, shirt()).await;
    let amount = async |query: &str| {
        shop.get(&format!("{}?{query}", path(&made))).await.json()["price"]["amount"].clone()
    };
    assert_eq!(amount("currency=EUR").await, 2000);
    assert_eq!(amount("currency=EUR&quantity=10").await, 1800);
    assert_eq!(amount("currency=EUR&group=trade").await, 1500);
    assert_eq!(amount("currency=USD").await, 2200);
    assert_eq!(amount("currency=CHF").await, Value::Null);
    let listed = shop
        .get("/v2/products?currency=USD&group=trade&quantity=10")
        .await
        .json();
    assert_eq!(listed[0]["price"]["amount"], 2200);
    for bad in [
        "currency=usd",
        "currency=ZZZ",
        "quantity=0",
        "at=yesterday",
        "expand=all",
        "colour=red",
    ] {
        assert_eq!(
            shop.get(&format!("{}?{bad}", path(&made))).await.status,
            400,
            "{bad}"
        );
    }
    let by_location = shop
        .get(&format!("{}?expand=inventory", path(&made)))
        .await
        .json();
    let level =
        json!([{ "location_id": "loc_default", "on_hand": 3, "allocated": 0, "available": 3 }]);
    assert_eq!(by_location["inventory"]["by_location"], level);
    assert_eq!(
        by_location["variants"][0]["inventory"]["by_location"],
        level
    );
}

#[tokio::test]
async fn a_sale_starts_and_ends_by_itself() {
    let (app, shop) = start().await;
    let body = json!({ "title": "Lamp", "variants": [{ "sku": "LAMP", "prices": [
        { "currency": "EUR", "amount": 2000 },
        { "currency": "EUR", "amount": 1500, "starts_at": "2023-11-27T00:00:00Z", "ends_at": "2023-11-28T00:00:00+00:00" } ] }] });
    let lamp = create(&shop, body).await;
    let now = async |shop: &Client| shop.get(&path(&lamp)).await.json();
    assert_eq!(now(&shop).await["price"]["amount"], 2000);
    let preview = shop
        .get(&format!("{}?at=2023-11-27T12:00:00Z", path(&lamp)))
        .await
        .json();
    assert_eq!(preview["price"]["amount"], 1500);
    let shop = later(&app, DAY * 31).await;
    let sale = now(&shop).await;
    assert_eq!(
        (&sale["price"]["amount"], &sale["price"]["list_amount"]),
        (&json!(1500), &json!(2000))
    );
    assert_eq!(sale["price"]["on_sale"], true);
    assert_eq!(
        sale["lowest_price_30d"]["amount"], 2000,
        "the lowest before the reduction"
    );
    assert_eq!(
        shop.get("/v2/products?currency=EUR&max_price=1500")
            .await
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let shop = later(&app, DAY).await;
    let after = now(&shop).await;
    assert_eq!(after["price"]["amount"], 2000);
    assert_eq!(
        after["lowest_price_30d"]["amount"], 1500,
        "the sale is within the last 30 days"
    );
    assert_eq!(
        shop.get("/v2/products?currency=EUR&max_price=1500")
            .await
            .json(),
        json!([])
    );
}

#[tokio::test]
async fn a_changed_price_stays_in_the_history_for_30_days() {
    let (app, shop) = start().await;
    let made = mug(&shop, "M").await;
    let shop = later(&app, DAY).await;
    let lower = shop
        .patch(&path(&made), json!({ "price": 999, "currency": "USD" }))
        .await
        .json();
    assert_eq!(
        (
            &lower["price"]["amount"],
            &lower["lowest_price_30d"]["amount"]
        ),
        (&json!(999), &json!(999))
    );
    let shop = later(&app, DAY).await;
    let higher = shop
        .patch(
            &path(&made),
            json!({ "price": { "amount": 2999, "currency": "USD" } }),
        )
        .await
        .json();
    assert_eq!(
        (
            &higher["price"]["amount"],
            &higher["lowest_price_30d"]["amount"]
        ),
        (&json!(2999), &json!(999))
    );
    assert_ne!(higher["price"]["price_id"], lower["price"]["price_id"]);
    let shop = later(&app, DAY * 30).await;
    assert_eq!(
        shop.get(&path(&made)).await.json()["lowest_price_30d"]["amount"],
        2999
    );
}

#[tokio::test]
async fn a_product_can_be_sent_back_as_it_was_read() {
    let (app, shop) = start().await;
    for body in [
        shirt(),
        json!({ "title": "Bare" }),
        json!({ "title": "Mug", "sku": "M", "price": 1, "currency": "USD" }),
    ] {
        let made = create(&shop, body).await;
        app.clock.advance(Duration::from_micros(1_500_000));
        for query in ["", "?currency=USD", "?currency=EUR&quantity=10"] {
            let read = shop.get(&format!("{}{query}", path(&made))).await.json();
            for method in [Method::PUT, Method::PATCH] {
                let reply = shop.request(method, &path(&made)).json(&read).send().await;
                assert_eq!(reply.status, 200, "{query}: {}", reply.text());
                assert_eq!(
                    reply.json(),
                    made,
                    "nothing changed, so there is no new version"
                );
            }
        }
        let mut edited = made.clone();
        edited["description"] = json!("edited");
        edited["variants"][0]["weight_grams"] = json!(7);
        let reply = shop.put(&path(&made), edited).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let after = reply.json();
        assert_eq!(
            (&after["description"], &after["variants"][0]["weight_grams"]),
            (&json!("edited"), &json!(7))
        );
        assert_eq!(after["version"], 2);
        assert_eq!(
            after["variants"][0]["prices"],
            made["variants"][0]["prices"]
        );
    }
}

#[tokio::test]
async fn a_resolved_price_that_is_edited_is_a_new_everyday_price() {
    let (_app, shop) = start().await;
    let mut made = mug(&shop, "M").await;
    made["price"]["amount"] = json!(2500);
    let reply = shop.put(&path(&made), made.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["price"]["amount"], 2500);
    assert_eq!(
        reply.json()["variants"][0]["prices"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn changes_touch_what_is_sent_and_null_clears() {
    let (app, shop) = start().await;
    let made = create(&shop, shirt()).await;
    let shop = later(&app, DAY).await;
    let body = json!({ "vendor": null, "tags": ["sale"], "metadata": { "season": null, "year": "2024" },
        "attributes": { "gsm": 200, "fits": null }, "status": "archived" });
    let after = shop.patch(&path(&made), body).await.json();
    assert_eq!(after["vendor"], Value::Null);
    assert_eq!(after["brand"], "Acme Basics");
    assert_eq!(after["tags"], json!(["sale"]));
    assert_eq!(after["metadata"], json!({ "year": "2024" }));
    assert_eq!(
        after["attributes"],
        json!({ "gsm": 200, "material": "cotton", "organic": true })
    );
    assert_eq!(after["archived_at"], "2023-10-28T10:00:00Z");
    assert_eq!(after["updated_at"], "2023-10-28T10:00:00Z");
    assert_eq!(after["created_at"], made["created_at"]);
    assert_eq!(titles(&shop.get("/v2/products?tag=sale").await), ["Shirt"]);
    assert_eq!(titles(&shop.get("/v2/products?tag=new").await).len(), 0);
    let revived = shop
        .patch(&path(&made), json!({ "status": "active" }))
        .await
        .json();
    assert_eq!(revived["archived_at"], Value::Null);
    assert_eq!(
        shop.patch(&path(&made), json!({ "title": null }))
            .await
            .status,
        422
    );
    let refused = shop
        .patch(
            &path(&made),
            json!({ "id": "prod_x", "created_at": "2020-01-01T00:00:00Z", "version": 9, "nonsense": 1 }),
        )
        .await;
    assert_eq!(refused.status, 422);
    let faults = faults(&refused);
    assert!(
        faults.contains(&("#/created_at".into(), "read_only".into())),
        "{faults:?}"
    );
    assert!(
        faults.iter().all(|(place, _)| place != "#/version"),
        "computed, so it is not looked at: {faults:?}"
    );
    assert!(
        faults.contains(&("#/nonsense".into(), "unknown_field".into())),
        "{faults:?}"
    );
}

#[tokio::test]
async fn if_match_guards_a_change() {
    let (_app, shop) = start().await;
    let made = mug(&shop, "M").await;
    let read = shop.get(&path(&made)).await;
    let etag = read.header("etag").to_owned();
    let change = |title: &str| json!({ "title": title });
    let with = async |etag: &str, body: Value| {
        shop.request(Method::PATCH, &path(&made))
            .header("if-match", etag)
            .json(&body)
            .send()
            .await
    };
    assert_eq!(with(&etag, change("One")).await.status, 200);
    let stale = with(&etag, change("Two")).await;
    assert_eq!(
        (stale.status, stale.code().as_str()),
        (412, "precondition_failed")
    );
    let current = shop.get(&path(&made)).await.header("etag").to_owned();
    assert_eq!(stale.header("etag"), current);
    let list = with(&format!("{etag}, \"foreign\""), change("Two")).await;
    assert_eq!(list.status, 412);
    let list = with(&format!("{etag}, {current}"), change("Three")).await;
    assert_eq!(list.status, 200, "one of them is the present one");
    let delete = shop
        .request(Method::DELETE, &path(&made))
        .header("if-match", &etag)
        .send()
        .await;
    assert_eq!(delete.status, 412);
    let current = shop.get(&path(&made)).await;
    assert_eq!(delete.header("etag"), current.header("etag"));
    let fresh = shop
        .request(Method::GET, &path(&made))
        .header("if-none-match", "\"x\"")
        .send()
        .await;
    let again = shop
        .request(Method::GET, &path(&made))
        .header("if-none-match", fresh.header("etag"))
        .send()
        .await;
    assert_eq!((fresh.status, again.status), (200, 304));
}

#[tokio::test]
async fn variants_are_matched_by_id_then_by_sku() {
    let (_app, shop) = start().await;
    let made = create(&shop, shirt()).await;
    let ids = |product: &Value| -> Vec<Value> {
        product["variants"]
            .as_array()
            .expect("variants")
            .iter()
            .map(|v| v["id"].clone())
            .collect()
    };
    let before = ids(&made);
    // The first by id, moved behind; the second by sku; a third is new.
    let body = json!({
        "options": [{ "name": "Size", "values": ["S", "M", "L"] }, { "name": "Color", "values": ["red"] }],
        "variants": [
            { "sku": "M-RED", "prices": [{ "currency": "EUR", "amount": 2200 }] },
            { "id": before[0], "sku": "S-RED-2" },
            { "sku": "L-RED", "option_values": { "Size": "L", "Color": "red" }, "inventory_quantity": 1 } ] });
    let reply = shop.put(&path(&made), body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let after = reply.json();
    let now = ids(&after);
    assert_eq!((&now[0], &now[1]), (&before[1], &before[0]));
    assert_eq!(after["variants"][0]["title"], "Medium");
    assert_eq!(after["variants"][0]["prices"][0]["amount"], 2200);
    assert_eq!(after["variants"][1]["sku"], "S-RED-2");
    assert_eq!(
        after["variants"][1]["prices"].as_array().map(Vec::len),
        Some(4),
        "prices that are not sent stay"
    );
    assert_eq!(after["variants"][2]["title"], "L / red");
    assert_eq!(after["inventory"]["on_hand"], 4);

    let keep_medium = json!({ "variants": [{ "id": before[1] }] });
    let refused = shop.put(&path(&made), keep_medium.clone()).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "variant_has_stock")
    );
    for sku in ["S-RED-2", "L-RED"] {
        let body = json!({ "sku": sku, "set_to": 0, "reason": "gone" });
        assert_eq!(
            shop.post("/v2/inventory/adjustments", body).await.status,
            201
        );
    }
    let reply = shop.put(&path(&made), keep_medium).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(ids(&reply.json()), [before[1].clone()]);
    assert_eq!(
        create(&shop, json!({ "title": "Other", "sku": "S-RED-2" })).await["sku"],
        "S-RED-2"
    );

    let unknown = shop
        .put(&path(&made), json!({ "variants": [{ "id": "var_none" }] }))
        .await;
    assert!(faults(&unknown).contains(&("#/variants/0/id".into(), "not_found".into())));
}

#[tokio::test]
async fn skus_can_change_places() {
    let (_app, shop) = start().await;
    let made = create(&shop, shirt()).await;
    let (small, medium) = (&made["variants"][0]["id"], &made["variants"][1]["id"]);
    let body =
        json!({ "variants": [{ "id": small, "sku": "M-RED" }, { "id": medium, "sku": "S-RED" }] });
    let reply = shop.put(&path(&made), body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["variants"][0]["sku"], "M-RED");
    assert_eq!(reply.json()["variants"][1]["sku"], "S-RED");
}

#[tokio::test]
async fn the_short_form_changes_a_product_with_one_variant_only() {
    let (_app, shop) = start().await;
    let made = mug(&shop, "M").await;
    let body = json!({ "sku": "N", "price": 5, "currency": "EUR", "inventory_quantity": 7 });
    let after = shop.put(&path(&made), body).await.json();
    assert_eq!(after["sku"], "N");
    assert_eq!(after["variants"][0]["id"], made["variants"][0]["id"]);
    assert_eq!(
        after["variants"][0]["prices"].as_array().map(Vec::len),
        Some(2),
        "a price in another currency"
    );
    assert_eq!(after["inventory"]["on_hand"], 7);
    let kinds = shop
        .get(&format!(
            "/v2/inventory/movements?variant_id={}",
            after["variants"][0]["id"].as_str().expect("id")
        ))
        .await
        .json();
    assert_eq!(
        (
            &kinds[0]["kind"],
            &kinds[1]["kind"],
            &kinds[1]["on_hand_delta"]
        ),
        (&json!("received"), &json!("adjusted"), &json!(-5))
    );
    let shirt = create(&shop, shirt()).await;
    let refused = shop
        .patch(
            &path(&shirt),
            json!({ "sku": "X", "price": 1, "currency": "EUR", "inventory_quantity": 1 }),
        )
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(faults(&refused).len(), 4);
}

#[tokio::test]
async fn broken_rules_are_all_named() {
    let (_app, shop) = start().await;
    let refused = async |body: Value, wanted: &[(&str, &str)]| {
        let reply = shop.post("/v2/products", body.clone()).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (422, "invalid_body"),
            "{body}: {}",
            reply.text()
        );
        let found = faults(&reply);
        for (pointer, code) in wanted {
            assert!(
                found.contains(&((*pointer).into(), (*code).into())),
                "{body}: {found:?}"
            );
        }
    };
    refused(json!({}), &[("#/title", "required")]).await;
    for price in [json!(19.99), json!("19.99"), json!(true)] {
        refused(
            json!({ "title": "A", "price": price, "currency": "USD" }),
            &[("#/price", "money_must_be_integer")],
        )
        .await;
        refused(
            json!({ "title": "A", "price": { "amount": price, "currency": "USD" } }),
            &[("#/price/amount", "money_must_be_integer")],
        )
        .await;
        let row = json!({ "currency": "USD", "amount": price });
        refused(
            json!({ "title": "A", "variants": [{ "prices": [row] }] }),
            &[("#/variants/0/prices/0/amount", "money_must_be_integer")],
        )
        .await;
    }
    let long = |length: usize| "x".repeat(length);
    refused(
        json!({ "title": long(256), "sku": long(101), "description": long(65_536), "vendor": long(121), "tags": [long(65)],
            "categories": vec!["c"; 251], "external_id": "", "options": vec![json!({}); 6] }),
        &[("#/title", "too_long"), ("#/sku", "too_long"), ("#/description", "too_long"), ("#/vendor", "too_long"),
            ("#/tags/0", "too_long"), ("#/categories", "too_many"), ("#/external_id", "too_short"), ("#/options", "too_many")],
    )
    .await;
    refused(
        json!({ "title": "A", "variants": [{ "weight_grams": -1, "dimensions_mm": { "length": 1, "width": 1 }, "barcode": "",
            "prices": [{ "currency": "USD", "amount": 1, "min_quantity": 0, "group": "" }] }] }),
        &[("#/variants/0/weight_grams", "too_small"), ("#/variants/0/dimensions_mm/height", "required"),
            ("#/variants/0/barcode", "too_short"), ("#/variants/0/prices/0/min_quantity", "too_small"),
            ("#/variants/0/prices/0/group", "too_short")],
    )
    .await;
    refused(
        json!({ "title": "A", "price": -1, "currency": "USD" }),
        &[("#/price", "too_small")],
    )
    .await;
    refused(
        json!({ "title": "A", "price": 1 }),
        &[("#/currency", "required")],
    )
    .await;
    refused(
        json!({ "title": "A", "price": { "amount": 1 } }),
        &[("#/price/currency", "required")],
    )
    .await;
    refused(json!({ "title": "", "slug": "Not A Slug", "status": "gone", "tags": ["a", "a"], "colour": 1 }),
        &[("#/title", "too_short"), ("#/slug", "invalid_format"), ("#/status", "invalid_value"), ("#/tags", "not_unique"), ("#/colour", "unknown_field")]).await;
    refused(
        json!({ "title": "A", "inventory_quantity": -1, "images": [{ "url": "javascript:1" }] }),
        &[
            ("#/inventory_quantity", "too_small"),
            ("#/images/0/url", "invalid_format"),
        ],
    )
    .await;
    refused(
        json!({ "title": "A", "attributes": { "a": { "b": 1 } }, "metadata": { "k": 1 },
            "seo": { "title": "x".repeat(256), "x": 1 }, "variants": [{ "prices": [{ "currency": "USD", "amount": 1, "compare_at_amount": "2" }] }] }),
        &[
            ("#/attributes/a", "invalid_type"),
            ("#/metadata/k", "invalid_type"),
            ("#/seo/title", "too_long"),
            ("#/seo/x", "unknown_field"),
            ("#/variants/0/prices/0/compare_at_amount", "money_must_be_integer"),
        ],
    )
    .await;
    refused(
        json!({ "title": "A", "sku": "X", "variants": [{}] }),
        &[("#/sku", "excluded")],
    )
    .await;
    refused(
        json!({ "title": "A", "variants": [] }),
        &[("#/variants", "too_few")],
    )
    .await;
    refused(
        json!({ "title": "A", "variants": [{ "sku": "X" }, { "sku": "X" }] }),
        &[
            ("#/options", "required"),
            ("#/variants/1/sku", "not_unique"),
        ],
    )
    .await;
    refused(
        json!({ "title": "A", "options": [{ "name": "Size", "values": ["S"] }], "variants": [
            { "option_values": { "Size": "S" } }, { "option_values": { "Size": "S" } },
            { "option_values": { "Size": "XXL" } }, { "option_values": { "Colour": "red" } } ] }),
        &[
            ("#/variants/1/option_values", "not_unique"),
            ("#/variants/2/option_values/Size", "invalid_value"),
            ("#/variants/3/option_values/Size", "required"),
            ("#/variants/3/option_values/Colour", "unknown_field"),
        ],
    )
    .await;
    let window = |from: &str, to: &str| json!({ "currency": "USD", "amount": 1, "starts_at": from, "ends_at": to });
    let twice = window("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z");
    refused(json!({ "title": "A", "variants": [{ "prices": [twice, twice, window("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z")] }] }),
        &[("#/variants/0/prices/1", "not_unique"), ("#/variants/0/prices/2/ends_at", "invalid_value")]).await;
    assert_eq!(
        shop.get("/v2/products").await.json(),
        json!([]),
        "nothing was kept"
    );
}

#[tokio::test]
async fn unique_values_are_unique_among_live_products_only() {
    let (_app, shop) = start().await;
    let body = json!({ "title": "Mug", "slug": "mug", "sku": "MUG", "external_id": "e1" });
    let made = create(&shop, body.clone()).await;
    for (field, value) in [("slug", "mug"), ("sku", "MUG"), ("external_id", "e1")] {
        let mut other = json!({ "title": "Other" });
        other[field] = json!(value);
        let reply = shop.post("/v2/products", other.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (409, "duplicate"));
        assert_eq!(
            faults(&reply),
            [(format!("#/{field}"), "duplicate".to_owned())]
        );
        let bare = create(&shop, json!({ "title": "Bare" })).await;
        let mut change = json!({});
        change[field] = json!(value);
        assert_eq!(shop.patch(&path(&bare), change).await.code(), "duplicate");
    }
    create(&shop, json!({ "title": "Case", "sku": "mug" })).await;
    assert_eq!(shop.delete(&path(&made)).await.status, 204);
    for reply in [
        shop.get(&path(&made)).await,
        shop.delete(&path(&made)).await,
        shop.put(&path(&made), json!({ "title": "x" })).await,
        shop.patch(&path(&made), json!({ "title": "x" })).await,
        shop.get("/v2/products/prod_unknown").await,
        shop.get("/v2/products/not-an-id").await,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    }
    assert!(!titles(&shop.get("/v2/products").await).contains(&"Mug".to_owned()));
    assert_eq!(shop.get("/v2/inventory?sku=MUG").await.json(), json!([]));
    let again = create(&shop, body).await;
    assert_eq!(
        (&again["slug"], &again["sku"]),
        (&json!("mug"), &json!("MUG"))
    );
}

#[tokio::test]
async fn the_ledger_outlives_the_product() {
    let (_app, shop) = start().await;
    let made = mug(&shop, "M").await;
    let variant = made["variants"][0]["id"].as_str().expect("id").to_owned();
    assert_eq!(
        shop.request(Method::DELETE, &path(&made))
            .header("content-type", "application/json")
            .send()
            .await
            .status,
        204
    );
    let rows = shop
        .get(&format!("/v2/inventory/movements?variant_id={variant}"))
        .await
        .json();
    assert_eq!(rows[0]["on_hand_delta"], 12);
}

#[tokio::test]
async fn the_list_is_filtered() {
    let (app, shop) = start().await;
    create(&shop, shirt()).await;
    let shop = later(&app, DAY).await;
    let mug = mug(&shop, "M").await;
    let shop = later(&app, DAY).await;
    create(
        &shop,
        json!({ "title": "Poster", "vendor": "Print & Co", "price": 500, "currency": "EUR" }),
    )
    .await;
    create(
        &shop,
        json!({ "title": "Sold out", "sku": "SO", "inventory_quantity": 0 }),
    )
    .await;
    let id = mug["id"].as_str().expect("id");
    for (query, wanted) in [
        ("status=draft".to_owned(), vec!["Shirt"]),
        ("status=archived".into(), vec![]),
        ("type=apparel".into(), vec!["Shirt"]),
        ("vendor=Print+%26+Co".into(), vec!["Poster"]),
        ("category=clothes&tag=new".into(), vec!["Shirt"]),
        ("category=new".into(), vec![]),
        ("sku=M-RED".into(), vec!["Shirt"]),
        ("sku=m-red".into(), vec![]),
        ("external_id=erp-1".into(), vec!["Shirt"]),
        ("currency=EUR&min_price=501".into(), vec!["Shirt"]),
        ("currency=EUR&max_price=1999".into(), vec!["Poster"]),
        (
            "currency=EUR&min_price=500&max_price=2000".into(),
            vec!["Shirt", "Poster"],
        ),
        ("currency=USD&min_price=0".into(), vec!["Shirt", "Mug M"]),
        ("in_stock=true".into(), vec!["Shirt", "Mug M", "Poster"]),
        ("in_stock=false".into(), vec!["Sold out"]),
        (format!("ids={id},prod_x"), vec!["Mug M"]),
        (
            "created_after=2023-10-27T10:00:00Z&created_before=2023-10-29T10:00:00Z".into(),
            vec!["Mug M"],
        ),
        (
            "updated_after=2023-10-28T10:00:00Z".into(),
            vec!["Poster", "Sold out"],
        ),
        (
            "sort=-created_at&status=active".into(),
            vec!["Sold out", "Poster", "Mug M"],
        ),
        (
            "sort=title".into(),
            vec!["Mug M", "Poster", "Shirt", "Sold out"],
        ),
        (
            "sort=-title".into(),
            vec!["Sold out", "Shirt", "Poster", "Mug M"],
        ),
        ("sort=updated_at&limit=1".into(), vec!["Shirt"]),
        ("offset=3".into(), vec!["Sold out"]),
        ("offset=4".into(), vec![]),
    ] {
        assert_eq!(
            titles(&shop.get(&format!("/v2/products?{query}")).await),
            wanted,
            "{query}"
        );
    }
    let total = shop
        .get("/v2/products?status=active&limit=1&include_total=true")
        .await;
    assert_eq!(total.header("x-total-count"), "3");
    for bad in [
        "min_price=1",
        "status=sold",
        "sort=price",
        "limit=0",
        "limit=251",
        "tag=a&tag=b",
        "in_stock=yes",
        "created_after=x",
    ] {
        let reply = shop.get(&format!("/v2/products?{bad}")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "invalid_parameter"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_in_any_order() {
    let (app, shop) = start().await;
    let rows: Vec<NewRow> = (0..45)
        .map(|n| {
            let price = Money::new(100 + n, Currency::parse("EUR").expect("a currency"));
            let draft = Draft::simple(
                &format!("Same {}", n % 3),
                Some(&format!("SKU-{n}")),
                Some(price),
            );
            NewRow {
                id: ProductId::new(),
                draft,
            }
        })
        .collect();
    let now = app.clock.now();
    let made = app
        .db
        .write(async move |tx| store::insert_many(tx, &rows, "import", now).await)
        .await;
    made.expect("inserted in bulk");
    for sort in [
        "created_at",
        "-created_at",
        "title",
        "-title",
        "updated_at",
        "-updated_at",
    ] {
        let mut seen = std::collections::HashSet::new();
        let mut next = Some(format!("/v2/products?limit=7&sort={sort}"));
        while let Some(page) = next {
            let reply = shop.get(&page).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            for product in reply.json().as_array().expect("an array") {
                assert!(
                    seen.insert(product["id"].as_str().expect("id").to_owned()),
                    "{sort} repeats"
                );
            }
            next = reply
                .header("link")
                .split(", ")
                .find(|link| link.ends_with("rel=\"next\""))
                .map(|link| {
                    let url = link
                        .trim_start_matches('<')
                        .split('>')
                        .next()
                        .expect("a url");
                    url.split_once("8080")
                        .map_or(url, |(_, path)| path)
                        .to_owned()
                });
        }
        assert_eq!(seen.len(), 45, "{sort}");
    }
}

#[tokio::test]
async fn reads_need_two_statements_at_most_however_many_rows() {
    let (_app, shop) = start().await;
    create(&shop, shirt()).await;
    let mut last = Value::Null;
    for n in 0..25 {
        last = mug(&shop, &format!("M{n}")).await;
    }
    // What was read before only needs to be confirmed.
    for expected in [2, 1] {
        let list = shop.get("/v2/products?limit=20").await;
        assert_eq!(list.statements(), expected);
    }
    assert_eq!(
        shop.get("/v2/products?limit=20&in_stock=true&currency=USD&max_price=5000")
            .await
            .statements(),
        2
    );
    assert_eq!(
        shop.get("/v2/products?include_total=true")
            .await
            .statements(),
        3
    );
    for _ in 0..2 {
        assert_eq!(shop.get(&path(&last)).await.statements(), 1);
    }
    let renamed = shop.patch(&path(&last), json!({ "title": "Cup" })).await;
    assert_eq!(renamed.status, 200);
    assert_eq!(shop.get(&path(&last)).await.statements(), 2);
    assert_eq!(shop.get("/v2/inventory").await.statements(), 1);
}

/// What one product looks like by its id, in the list and in the search: the same text, however often it is read.
async fn seen(shop: &Client, product: &Value) -> Value {
    let id = product["id"].as_str().expect("an id");
    let alone = shop.get(&path(product)).await;
    assert_eq!(shop.get(&path(product)).await.text(), alone.text());
    let whole = shop
        .get(&format!("{}?at={}", path(product), "2023-10-27T09:00:00Z"))
        .await;
    assert_eq!(whole.status, 200, "an instant other than now is never kept");
    let listed = shop.get(&format!("/v2/products?ids={id}")).await;
    assert_eq!(listed.text(), format!("[{}]", alone.text()));
    let found = shop
        .get(&format!("/v2/products/search?q={id}"))
        .await
        .json();
    let mut found = found[0].clone();
    for more in ["score", "highlight"] {
        found.as_object_mut().expect("a hit").remove(more);
    }
    assert_eq!(found, alone.json());
    alone.json()
}

#[tokio::test]
async fn a_product_that_was_read_before_is_shown_as_it_is_now() {
    let (app, shop) = start().await;
    let sale = json!([{ "currency": "USD", "amount": 2000 },
        { "currency": "USD", "amount": 1500, "starts_at": "2023-10-27T10:10:00Z", "ends_at": "2023-10-27T10:20:00Z" }]);
    let sizes = json!([{ "sku": "S", "option_values": { "Size": "S" }, "inventory_quantity": 5, "prices": sale },
        { "sku": "M", "option_values": { "Size": "M" }, "inventory_quantity": 7, "prices": sale }]);
    let lookalike = "\"inventory\":{\"on_hand\":0,\"allocated\":0,\"reserved\":0,\"available\":0,\"incoming\":0}";
    let shirt = json!({ "title": format!("Shirt {lookalike}"), "status": "active", "metadata": { "inventory": lookalike },
        "options": [{ "name": "Size", "values": ["S", "M"] }], "variants": sizes });
    let shirt = create(&shop, shirt).await;
    let first = seen(&shop, &shirt).await;
    assert_eq!(first, shirt);
    assert_eq!(first["inventory"]["available"], 12);

    let order = json!({ "email": "a@example.com", "currency": "USD", "items": [{ "sku": "M", "quantity": 3 }] });
    let till = app.client("orders:write").await;
    assert_eq!(till.post("/v2/orders", order).await.status, 201);
    let sold = seen(&shop, &shirt).await;
    assert_eq!(sold["inventory"]["available"], 9);
    assert_eq!(sold["variants"][0]["inventory"]["available"], 5);
    assert_eq!(sold["variants"][1]["inventory"]["available"], 4);
    assert_eq!(sold["price"]["amount"], 2000);

    for (minutes, amount) in [(10, 1500), (9, 1500), (1, 2000)] {
        app.clock.advance(Duration::from_secs(minutes * 60));
        assert_eq!(seen(&shop, &shirt).await["price"]["amount"], amount);
    }
    let title = json!({ "title": "Jumper" });
    assert_eq!(shop.patch(&path(&shirt), title).await.status, 200);
    assert_eq!(seen(&shop, &shirt).await["title"], "Jumper");
    assert_eq!(shop.delete(&path(&shirt)).await.status, 204);
    assert_eq!(shop.get(&path(&shirt)).await.status, 404);
    let id = shirt["id"].as_str().expect("an id");
    assert_eq!(
        shop.get(&format!("/v2/products?ids={id}")).await.text(),
        "[]"
    );
}

#[tokio::test]
async fn no_list_scans_the_table() {
    let (app, _) = start().await;
    if app.db.engine_name() != "sqlite" {
        return; // PostgreSQL plans by statistics: on an empty table a scan is right
    }
    let queries = [
        "",
        "status=active",
        "type=a",
        "vendor=a",
        "category=a",
        "tag=a",
        "sku=a",
        "external_id=a",
        "ids=prod_a,prod_b",
        "currency=EUR&min_price=1&max_price=2",
        "in_stock=true",
        "created_after=2024-01-01T00:00:00Z",
        "updated_after=2024-01-01T00:00:00Z&sort=updated_at",
        "sort=-created_at",
        "sort=title",
        "sort=-title",
        "sort=-updated_at",
    ];
    for text in queries {
        let uri: Uri = format!("/v2/products?{text}").parse().expect("a uri");
        let request = axum::http::Request::builder()
            .uri(uri.clone())
            .body(())
            .expect("a request");
        let (mut parts, ()) = request.into_parts();
        use axum::extract::FromRequestParts;
        let query = platform::http::Query::<ListProducts>::from_request_parts(&mut parts, &())
            .await
            .expect("a query")
            .0;
        let page = Page::new(&PageQuery::default(), &uri, &app.cursors).expect("a page");
        let select = store::list_select(&query, &page, 0);
        let plan = app
            .db
            .explain(select.sql(), select.params())
            .await
            .expect("a plan");
        for step in &plan {
            let walks_an_index =
                step.contains("USING INDEX") || step.contains("USING COVERING INDEX");
            assert!(
                !step.starts_with("SCAN") || walks_an_index,
                "{text}: {plan:?}"
            );
        }
        if text.is_empty() || text.starts_with("sort") {
            assert!(
                !plan.iter().any(|step| step.contains("TEMP B-TREE")),
                "{text}: {plan:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_orders_ask_for_is_found_in_one_statement() {
    let (app, shop) = start().await;
    let shirt = create(&shop, shirt()).await;
    let mug = mug(&shop, "M").await;
    let refs = [
        VariantRef::Sku("M".into()),
        VariantRef::Sku("S-RED".into()),
        VariantRef::Sku("nothing".into()),
    ];
    let mut tx = app.db.read().await.expect("a reader");
    let (found, statements) = platform::db::count_statements(store::sellable(&mut tx, &refs)).await;
    let found = found.expect("found");
    assert_eq!((found.len(), statements), (2, 1));
    let small = found
        .iter()
        .find(|one| one.sku.as_deref() == Some("S-RED"))
        .expect("the shirt");
    assert_eq!(small.title, "Shirt / S / red");
    assert_eq!(small.prices.len(), 4);
    assert_eq!(small.tax_category.as_deref(), Some("reduced"));
    assert!(small.track_inventory && small.allow_backorder);
    let id =
        |product: &Value| ProductId::parse(product["id"].as_str().expect("id")).expect("an id");
    let refs = [
        VariantRef::Product(id(&mug)),
        VariantRef::Product(id(&shirt)),
        VariantRef::Sku("M".into()),
    ];
    assert_eq!(
        store::sellable(&mut tx, &refs).await.expect("found").len(),
        3,
        "each variant once"
    );
    drop(tx);
    assert_eq!(shop.delete(&path(&mug)).await.status, 204);
    let mut tx = app.db.read().await.expect("a reader");
    assert_eq!(
        store::sellable(&mut tx, &refs[..1])
            .await
            .expect("found")
            .len(),
        0
    );
}

#[tokio::test]
async fn scopes_are_kept_apart() {
    let app = TestApp::start().await;
    let reader = app.client("products:read").await;
    assert_eq!(reader.get("/v2/products").await.status, 200);
    assert_eq!(
        reader
            .post("/v2/products", json!({ "title": "x" }))
            .await
            .status,
        403
    );
    assert_eq!(reader.get("/v2/inventory").await.status, 403);
    assert_eq!(app.anonymous().get("/v2/products").await.status, 401);
}

/// Any JSON, and JSON that looks like a product.
fn hostile() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("2024-01-01T00:00:00Z")),
        Just(json!("USD")),
        Just(json!(i64::MAX)),
    ];
    let names = prop::sample::select(vec![
        "title",
        "slug",
        "description",
        "status",
        "type",
        "categories",
        "tags",
        "options",
        "variants",
        "images",
        "seo",
        "attributes",
        "metadata",
        "sku",
        "price",
        "currency",
        "inventory_quantity",
        "name",
        "values",
        "prices",
        "amount",
        "min_quantity",
        "starts_at",
        "ends_at",
        "option_values",
        "id",
        "dimensions_mm",
        "price_id",
        "inventory",
        "lowest_price_30d",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..8).prop_map(|map| Value::Object(
                map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

#[test]
fn no_body_makes_the_server_fail() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_app, shop, made) = runtime.block_on(async {
        let (app, shop) = start().await;
        let made = create(&shop, shirt()).await;
        (app, shop, made)
    });
    let mut runner = TestRunner::new(Cases {
        cases: 400,
        failure_persistence: None,
        ..Cases::default()
    });
    runner
        .run(&hostile(), |mut body| {
            if let Value::Object(fields) = &mut body {
                fields.entry("title").or_insert(json!("Hostile"));
            }
            runtime.block_on(async {
                for (method, path) in [
                    (Method::POST, "/v2/products".to_owned()),
                    (Method::PATCH, path(&made)),
                    (Method::PUT, path(&made)),
                    (Method::POST, "/v2/inventory/adjustments".to_owned()),
                ] {
                    let reply = shop.request(method.clone(), &path).json(&body).send().await;
                    prop_assert!(reply.status < 500, "{method} {body}: {}", reply.text());
                }
                Ok(())
            })
        })
        .expect("never a failure of the server");
}

#[tokio::test]
async fn what_was_read_before_the_stock_moved_can_be_sent_back() {
    let (_app, shop) = start().await;
    let made = mug(&shop, "M").await;
    for query in ["", "?expand=inventory"] {
        let mut read = shop.get(&format!("{}{query}", path(&made))).await.json();
        let variant = read["variants"][0]["id"].clone();
        let received = json!({ "variant_id": variant, "delta": 3, "reason": "delivery" });
        let moved = shop.post("/v2/inventory/adjustments", received).await;
        assert_eq!(moved.status, 201, "{}", moved.text());
        read["title"] = json!(format!("Renamed {query}"));
        let put = shop.put(&path(&made), read.clone()).await;
        assert_eq!(
            (put.status, &put.json()["title"]),
            (200, &read["title"]),
            "{}",
            put.text()
        );
        assert_ne!(
            put.json()["inventory"]["on_hand"],
            read["inventory"]["on_hand"]
        );
    }
}

#[tokio::test]
async fn a_blank_title_is_refused() {
    let (_app, shop) = start().await;
    let made = mug(&shop, "M").await;
    for title in [" ", "\u{a0}\t"] {
        let created = shop.post("/v2/products", json!({ "title": title })).await;
        let patched = shop.patch(&path(&made), json!({ "title": title })).await;
        for refused in [created, patched] {
            assert_eq!(refused.status, 422, "{}", refused.text());
            assert_eq!(faults(&refused)[0].0, "#/title");
        }
    }
}
