//! `PATCH /v2/orders/{id}`.

use crate::app::{Client, Reply, TestApp};
use axum::http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const SCOPES: &str = "orders:read orders:write products:write users:read users:write";

fn home() -> Value {
    json!({ "name": "Alice Smith", "line1": "1 Main St", "line2": "Flat 3", "city": "Springfield", "country": "US" })
}

fn office() -> Value {
    json!({ "line1": "2 Rue Haute", "city": "Lyon", "country": "FR" })
}

/// A program, a client, and an order of a guest.
async fn with_order() -> (TestApp, Client, Value) {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let order = place(&shop, json!({ "email": "guest@example.com" })).await;
    (app, shop, order)
}

async fn place(shop: &Client, buyer: Value) -> Value {
    let mug = json!({ "title": "Mug", "status": "active", "sku": "MUG", "price": 1250, "currency": "USD", "inventory_quantity": 9 });
    let made = shop.post("/v2/products", mug).await;
    assert!([201, 409].contains(&made.status), "{}", made.text());
    let mut body = json!({ "currency": "USD", "items": [{ "sku": "MUG", "quantity": 2 }], "shipping_address": home(),
        "metadata": { "a": "1", "b": "2" }, "tags": ["new"], "note": "ring twice" });
    for (name, value) in buyer.as_object().expect("members") {
        body[name] = value.clone();
    }
    let reply = shop.post("/v2/orders", body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

fn path(order: &Value) -> String {
    format!("/v2/orders/{}", order["id"].as_str().expect("an id"))
}

/// Status, code, and each fault with its pointer.
fn faults(reply: &Reply) -> (u16, String, Vec<String>) {
    let body = reply.json();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let errors = errors.iter().map(|error| {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("pointer"), text("code"))
    });
    (reply.status, reply.code(), errors.collect())
}

#[tokio::test]
async fn a_change_replaces_clears_and_keeps() {
    let (app, shop, order) = with_order().await;
    app.clock.advance(Duration::from_secs(60));
    let change = json!({ "note": null, "tags": ["gift", "vip"], "metadata": { "a": null, "c": "3" },
        "external_id": "erp-1", "email": "other@example.com", "shipping_address": office() });
    let reply = shop.patch(&path(&order), change).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut wanted = order.clone();
    wanted["note"] = Value::Null;
    wanted["tags"] = json!(["gift", "vip"]);
    wanted["metadata"] = json!({ "b": "2", "c": "3" });
    wanted["external_id"] = json!("erp-1");
    wanted["email"] = json!("other@example.com");
    wanted["shipping_address"] = office(); // without the flat of the old one
    wanted["country"] = json!("FR");
    wanted["version"] = json!(2);
    wanted["updated_at"] = json!("2023-10-27T10:01:00Z");
    assert_eq!(reply.json(), wanted);
    let again = shop.get(&path(&order)).await;
    assert_eq!(again.json(), wanted);
    assert_eq!(again.header("etag"), reply.header("etag"));

    let cleared = json!({ "tags": null, "metadata": null, "external_id": null, "shipping_address": null, "billing_address": home() });
    let cleared = shop.patch(&path(&order), cleared).await.json();
    assert_eq!(
        (
            &cleared["tags"],
            &cleared["metadata"],
            &cleared["external_id"]
        ),
        (&json!([]), &json!({}), &Value::Null)
    );
    assert_eq!(
        (&cleared["shipping_address"], &cleared["country"]),
        (&Value::Null, &json!("US"))
    );
}

#[tokio::test]
async fn a_change_is_in_the_history_with_who_made_it_and_without_personal_data() {
    let (_app, shop, order) = with_order().await;
    shop.patch(
        &path(&order),
        json!({ "note": "call 555", "shipping_address": office() }),
    )
    .await;
    let history = shop.get(&format!("{}/history", path(&order))).await;
    let entry = history.json()[1].clone();
    assert_eq!(
        (&entry["type"], &entry["version"]),
        (&json!("order.updated"), &json!(2))
    );
    assert_eq!(
        entry["data"]["changed"],
        json!(["shipping_address", "note"])
    );
    assert_eq!(entry["actor"], history.json()[0]["actor"]);
    for trace in ["555", "Lyon", "guest@example.com"] {
        assert!(!history.text().contains(trace), "{}", history.text());
    }
}

#[tokio::test]
async fn a_get_sent_back_changes_nothing_and_what_is_read_only_says_so() {
    let (app, shop, order) = with_order().await;
    let same = shop.patch(&path(&order), order.clone()).await;
    assert_eq!((same.status, same.json()), (200, order.clone()));
    let history = shop.get(&format!("{}/history", path(&order))).await;
    assert_eq!(history.json().as_array().map(Vec::len), Some(1));
    let wrong = json!({ "status": "confirmed", "currency": "EUR", "note": "x", "totals": { "total": 1 }, "nope": 1, "tags": "x" });
    let (status, code, mut errors) = faults(&shop.patch(&path(&order), wrong).await);
    errors.sort();
    assert_eq!((status, code.as_str()), (422, "invalid_body"));
    assert_eq!(
        errors,
        [
            "#/currency read_only",
            "#/nope unknown_field",
            "#/status read_only",
            "#/tags invalid_type"
        ]
    );
    assert_eq!(shop.get(&path(&order)).await.json(), order);
    for id in ["ord_none", "none"] {
        let reply = shop.patch(&format!("/v2/orders/{id}"), json!({})).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"));
    }
    let reader = app.client("orders:read").await;
    assert_eq!(
        reader.patch(&path(&order), json!({})).await.code(),
        "insufficient_scope"
    );
}

#[tokio::test]
async fn what_was_read_before_the_order_moved_can_be_sent_back() {
    let (_app, shop, mut order) = with_order().await;
    let path = path(&order);
    order["totals"]["due"] = json!(1);
    order["items"][0]["allocated"] = json!(0);
    order["expires_at"] = Value::Null;
    order["version"] = json!(7);
    order["note"] = json!("Ring twice.");
    let reply = shop.patch(&path, order.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        (&reply.json()["note"], &reply.json()["version"]),
        (&json!("Ring twice."), &json!(2))
    );
    order["items"][0]["quantity"] = json!(99);
    let (status, _, errors) = faults(&shop.patch(&path, order).await);
    assert_eq!(
        (status, errors),
        (422, vec!["#/items read_only".to_owned()])
    );
}

#[tokio::test]
async fn what_is_final_stays_and_what_people_keep_beside_it_does_not() {
    let (app, shop, order) = with_order().await;
    let path = path(&order);
    shop.post(&format!("{path}/confirm"), json!({})).await;
    let moved = shop
        .patch(&path, json!({ "shipping_address": office() }))
        .await;
    assert_eq!(
        moved.status, 200,
        "a confirmed order can still be sent elsewhere"
    );

    let id = order["id"].as_str().expect("an id").to_owned();
    let shipped: tradepost::error::Result<u64> = app
        .db
        .write(async move |tx| {
            let sql = "UPDATE orders SET fulfillment_status = 'partially_fulfilled' WHERE id = $1";
            Ok(tx.execute(sql, platform::params![id]).await?)
        })
        .await;
    shipped.expect("stored");
    let change = json!({ "shipping_address": home(), "billing_address": home(), "email": "late@example.com" });
    assert_eq!(
        faults(&shop.patch(&path, change).await),
        (
            409,
            "not_changeable".into(),
            vec!["#/shipping_address not_changeable".into()]
        )
    );
    let invoice = json!({ "billing_address": home(), "email": "late@example.com" });
    assert_eq!(shop.patch(&path, invoice).await.status, 200);

    let done = shop
        .post(&format!("{path}/complete"), json!({}))
        .await
        .json();
    let change = json!({ "billing_address": office(), "email": null, "note": "x" });
    let (status, _, errors) = faults(&shop.patch(&path, change).await);
    assert_eq!(
        (status, errors),
        (
            409,
            vec![
                "#/email not_changeable".to_owned(),
                "#/billing_address not_changeable".into()
            ]
        )
    );
    assert_eq!(shop.get(&path).await.json(), done, "nothing was changed");
    assert_eq!(
        shop.patch(&path, done.clone()).await.status,
        200,
        "a GET sent back"
    );
    let kept = json!({ "note": "came back", "tags": [], "metadata": { "rma": "7" }, "external_id": "erp-9" });
    let kept = shop.patch(&path, kept).await;
    assert_eq!(
        (kept.status, &kept.json()["note"]),
        (200, &json!("came back"))
    );
}

#[tokio::test]
async fn a_guest_keeps_an_email_and_external_ids_stay_unique() {
    let (_app, shop, order) = with_order().await;
    let other = place(
        &shop,
        json!({ "email": "b@example.com", "external_id": "erp-2" }),
    )
    .await;
    assert_eq!(
        faults(&shop.patch(&path(&order), json!({ "email": null })).await),
        (422, "invalid_body".into(), vec!["#/email required".into()])
    );
    assert_eq!(
        faults(
            &shop
                .patch(&path(&order), json!({ "external_id": "erp-2" }))
                .await
        ),
        (
            409,
            "duplicate".into(),
            vec!["#/external_id duplicate".into()]
        )
    );
    let own = shop
        .patch(
            &path(&other),
            json!({ "external_id": "erp-2", "note": "n" }),
        )
        .await;
    assert_eq!(own.status, 200, "its own key is no duplicate");
}

#[tokio::test]
async fn an_old_version_and_a_second_try_are_told_apart() {
    let (_app, shop, order) = with_order().await;
    let send = async |key: &str, tag: &str, note: &str| {
        shop.request(Method::PATCH, &path(&order))
            .header("idempotency-key", key)
            .header("if-match", tag)
            .json(&json!({ "note": note }))
            .send()
            .await
    };
    let tag = shop.get(&path(&order)).await.header("etag").to_owned();
    let first = send("k1", &tag, "one").await;
    assert_eq!((first.status, &first.json()["version"]), (200, &json!(2)));
    let replay = send("k1", &tag, "one").await;
    assert_eq!(
        (replay.status, replay.header("idempotent-replayed")),
        (200, "true")
    );
    assert_eq!(replay.body, first.body);
    let stale = send("k2", &tag, "two").await;
    assert_eq!(
        (stale.status, stale.code().as_str()),
        (412, "precondition_failed")
    );
    assert_eq!(stale.header("etag"), first.header("etag"));
    let fresh = send("k3", first.header("etag"), "two").await;
    assert_eq!((fresh.status, &fresh.json()["version"]), (200, &json!(3)));
}

#[tokio::test]
async fn who_was_forgotten_is_not_written_down_again() {
    let app = TestApp::start().await;
    let shop = app.client(SCOPES).await;
    let user = json!({ "username": "alice", "email": "alice@example.com" });
    let user = shop.post("/v2/users", user).await.json();
    let order = place(&shop, json!({ "user_id": user["id"] })).await;
    let anonymize = format!(
        "/v2/users/{}/anonymize",
        user["id"].as_str().expect("an id")
    );
    assert_eq!(shop.post(&anonymize, json!({})).await.status, 200);
    for change in [
        json!({ "email": "alice@example.com" }),
        json!({ "shipping_address": home() }),
        json!({ "note": "for Alice" }),
    ] {
        let reply = shop.patch(&path(&order), change).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (409, "user_anonymized")
        );
    }
    let kept = shop
        .patch(&path(&order), json!({ "tags": ["audited"], "note": null }))
        .await;
    assert_eq!(kept.status, 200, "{}", kept.text());
}

#[tokio::test]
async fn changes_at_the_same_moment_are_all_kept() {
    let (_app, shop, order) = with_order().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (shop, path) = (shop.clone(), path(&order));
            let change = json!({ "metadata": { format!("k{n}"): "x" } });
            tokio::spawn(async move { shop.patch(&path, change).await.status })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("an answer"), 200);
    }
    let now = shop.get(&path(&order)).await.json();
    assert_eq!(now["version"], 9);
    assert_eq!(now["metadata"].as_object().map(|m| m.len()), Some(10));
}
