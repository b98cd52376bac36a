//! Products that several people change at once: each hears of the other, and nothing that was typed is lost.

use super::browser;
use super::catalog::{form, named, owner, read, send, set, teapot};
use crate::app::TestApp;
use serde_json::json;
use tradepost::dashboard::Role;

#[tokio::test]
async fn two_people_who_edit_one_product_hear_of_each_other() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut other = browser::member(&app, "other@example.com", Role::Operator).await;
    let id = teapot(&app).await["id"].clone();
    let path = format!("/dashboard/products/{}/edit", id.as_str().unwrap());
    let mut mine = form(&owner.get(&path).await.text(), &path);
    let mut theirs = form(&other.get(&path).await.text(), &path);
    set(&mut theirs, "vendor", "Pottery");
    set(&mut theirs, "title", "Tea pot");
    assert_eq!(send(&mut other, &path, &theirs).await.status, 303);
    set(&mut mine, "title", "Big teapot");
    set(&mut mine, "brand", "Own");
    let refused = send(&mut owner, &path, &mine).await;
    assert_eq!(refused.status, 412);
    let page = refused.text();
    assert!(
        page.contains("Nothing of yours is saved yet")
            && page.contains("<strong>Title</strong> is now “Tea pot”; you changed it too")
            && page.contains("<strong>Vendor</strong> is now “Pottery”; the form shows it"),
        "{page}"
    );
    assert_eq!(read(&app, &id).await["title"], "Tea pot");
    let merged = form(&page, &path);
    assert_eq!(send(&mut owner, &path, &merged).await.status, 303);
    let product = read(&app, &id).await;
    assert_eq!(product["title"], "Big teapot");
    assert_eq!(product["vendor"], "Pottery", "theirs stays");
    assert_eq!(product["brand"], "Own");
}

#[tokio::test]
async fn two_people_who_change_one_price_hear_of_each_other() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let variant = product["variants"][0]["id"].as_str().unwrap();
    let path = format!(
        "/dashboard/products/{}/variants/{variant}",
        product["id"].as_str().unwrap()
    );
    let page = owner.get(&path).await.text();
    let (mut mine, mut theirs) = (form(&page, &path), form(&page, &path));
    let amount = named(&mine, "19.99");
    set(&mut theirs, &amount, "14.00");
    assert_eq!(send(&mut owner, &path, &theirs).await.status, 303);
    set(&mut mine, &amount, "15.00");
    let told = send(&mut owner, &path, &mine).await;
    assert_eq!(told.status, 412);
    let page = told.text();
    assert!(
        page.contains("<strong>Price 1, amount</strong> is now “14.00”; you changed it too"),
        "{page}"
    );
    let again = form(&page, &path);
    assert_eq!(named(&again, "15.00"), amount, "what was typed stays");
    assert_eq!(send(&mut owner, &path, &again).await.status, 303);
    assert_eq!(
        read(&app, &product["id"]).await["variants"][0]["prices"][0]["amount"],
        1500
    );

    // One whose terms have become others: what was typed waits in an empty row.
    let page = owner.get(&path).await.text();
    let (mut mine, mut theirs) = (form(&page, &path), form(&page, &path));
    let from = amount.replace(".amount", ".min_quantity");
    set(&mut theirs, &from, "5");
    assert_eq!(send(&mut owner, &path, &theirs).await.status, 303);
    set(&mut mine, &amount, "16.00");
    let told = send(&mut owner, &path, &mine).await;
    assert_eq!(told.status, 412);
    let again = form(&told.text(), &path);
    assert_eq!(named(&again, "16.00"), "price.new1.amount");
    assert_eq!(send(&mut owner, &path, &again).await.status, 303);
    let prices = read(&app, &product["id"]).await["variants"][0]["prices"].clone();
    assert_eq!(
        (&prices[0]["amount"], &prices[0]["min_quantity"]),
        (&json!(1500), &json!(5))
    );
    assert_eq!(
        (&prices[1]["amount"], &prices[1]["min_quantity"]),
        (&json!(1600), &json!(1))
    );
}

/// Only what a form shows can stand against it.
#[tokio::test]
async fn who_changes_something_else_of_a_product_is_not_in_the_way() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let own = format!("/dashboard/products/{}", product["id"].as_str().unwrap());
    let variant = product["variants"][0]["id"].as_str().unwrap();
    let (edit, priced) = (format!("{own}/edit"), format!("{own}/variants/{variant}"));
    let new = format!("{own}/variants/new");
    let mut title = form(&owner.get(&edit).await.text(), &edit);
    let mut price = form(&owner.get(&priced).await.text(), &priced);
    let mut added = form(&owner.get(&new).await.text(), &new);
    let amount = named(&price, "19.99");
    set(&mut price, &amount, "21.00");
    set(&mut title, "title", "Kettle");
    for (name, value) in [
        ("option", "Size"),
        ("option.first", "S"),
        ("option.second", "L"),
    ] {
        set(&mut added, name, value);
    }
    for (path, fields) in [(&edit, &title), (&priced, &price), (&new, &added)] {
        let saved = send(&mut owner, path, fields).await;
        assert_eq!(saved.status, 303, "{path}: {}", saved.text());
    }
    let product = read(&app, &product["id"]).await;
    assert_eq!(product["title"], "Kettle");
    assert_eq!(product["variants"][0]["prices"][0]["amount"], 2100);
    assert_eq!(product["variants"].as_array().unwrap().len(), 2);
    // Sent once more, as by a second press of the button: it is as was asked for already.
    assert_eq!(send(&mut owner, &edit, &title).await.status, 303);
    assert_eq!(
        read(&app, &product["id"]).await["version"],
        product["version"]
    );
    // A removal was meant for what its page showed.
    let page = owner.get(&priced).await.text();
    let remove = format!("{priced}/remove");
    let mut gone = form(&page, &remove);
    let mut other = form(&owner.get(&edit).await.text(), &edit);
    set(&mut other, "vendor", "Another");
    assert_eq!(send(&mut owner, &edit, &other).await.status, 303);
    let name = browser::between(&page, "Type its name: <strong>", "<");
    set(&mut gone, "name", &name);
    let told = send(&mut owner, &remove, &gone).await;
    assert_eq!(told.status, 412);
    assert!(
        told.text().contains("in what this form does not show"),
        "{}",
        told.text()
    );
}

#[tokio::test]
async fn of_two_who_add_the_second_variant_the_later_is_told_of_the_option() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let path = format!(
        "/dashboard/products/{}/variants/new",
        product["id"].as_str().unwrap()
    );
    let shown = form(&owner.get(&path).await.text(), &path);
    let with = |option: &str, first: &str, second: &str| {
        let mut form = shown.clone();
        for (name, value) in [
            ("option", option),
            ("option.first", first),
            ("option.second", second),
        ] {
            set(&mut form, name, value);
        }
        form
    };
    let saved = send(&mut owner, &path, &with("Size", "S", "M")).await;
    assert_eq!(saved.status, 303, "{}", saved.text());
    let mut late = with("Colour", "red", "blue");
    set(&mut late, "barcode", "4006381333931");
    let told = send(&mut owner, &path, &late).await;
    assert_eq!(told.status, 412);
    let page = told.text();
    assert!(
        page.contains("gave the product the option Size meanwhile")
            && page.contains("“Colour: red, blue”")
            && page.contains("value=\"4006381333931\""),
        "{page}"
    );
    let mut again = form(&page, &path);
    set(&mut again, "option.Size", "L");
    let saved = send(&mut owner, &path, &again).await;
    assert_eq!(saved.status, 303, "{}", saved.text());
    let product = read(&app, &product["id"]).await;
    assert_eq!(
        product["variants"][2]["option_values"],
        json!({ "Size": "L" })
    );
}

#[tokio::test]
async fn what_was_typed_outlives_the_product() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let path = format!(
        "/dashboard/products/{}/edit",
        product["id"].as_str().unwrap()
    );
    let mut mine = form(&owner.get(&path).await.text(), &path);
    set(&mut mine, "description", "Typed for an hour");
    let api = app.client("products:write").await;
    let gone = api
        .delete(&format!("/v2/products/{}", product["id"].as_str().unwrap()))
        .await;
    assert_eq!(gone.status, 204);
    let told = send(&mut owner, &path, &mine).await;
    assert_eq!(told.status, 404);
    let page = told.text();
    assert!(
        page.contains("The product is not there any more, so nothing was saved"),
        "{page}"
    );
    let variant = product["variants"][0]["id"].as_str().unwrap();
    let of_variant = path.replace("/edit", &format!("/variants/{variant}"));
    let told = send(
        &mut owner,
        &of_variant,
        &[("version".to_owned(), "1".to_owned())],
    )
    .await;
    assert_eq!(told.status, 404);
    assert!(told.text().contains("so nothing was saved"));
    let anew = form(&page, "/dashboard/products/new");
    let made = send(&mut owner, "/dashboard/products/new", &anew).await;
    assert_eq!(made.status, 303, "{}", made.text());
    let page = owner.get(made.header("location")).await.text();
    assert!(page.contains("Typed for an hour"), "{page}");
}

#[tokio::test]
async fn what_was_typed_outlives_the_variant_with_all_of_its_prices() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let api = app.client("products:write products:read").await;
    let price =
        |from: i64| json!({ "currency": "USD", "amount": 100 * from, "min_quantity": from });
    let body = json!({ "title": "Mug", "options": [{ "name": "Size", "values": ["S", "L"] }], "variants": [
        { "option_values": { "Size": "S" }, "sku": "S" },
        { "option_values": { "Size": "L" }, "sku": "L", "prices": [price(1), price(5), price(10), price(20)] },
    ] });
    let product = api.post("/v2/products", body).await.json();
    let own = format!("/v2/products/{}", product["id"].as_str().unwrap());
    let page = own.replace("/v2", "/dashboard");
    let path = format!(
        "{page}/variants/{}",
        product["variants"][1]["id"].as_str().unwrap()
    );
    let mut mine = form(&owner.get(&path).await.text(), &path);
    let amount = named(&mine, "20.00");
    set(&mut mine, &amount, "18.00");
    set(&mut mine, "barcode", "4006381333931");
    let left = json!({ "variants": [{ "id": product["variants"][0]["id"] }] });
    let removed = api
        .request(axum::http::Method::PATCH, &own)
        .header("content-type", "application/merge-patch+json")
        .body(left.to_string())
        .send()
        .await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    let told = send(&mut owner, &path, &mine).await;
    assert_eq!(told.status, 404);
    let text = told.text();
    assert!(text.contains("The variant is not there any more"), "{text}");
    let new = format!("{page}/variants/new");
    let anew = form(&text, &new);
    assert_eq!(named(&anew, "18.00"), "price.new4.amount");
    let made = send(&mut owner, &new, &anew).await;
    assert_eq!(made.status, 303, "{}", made.text());
    let variant = read(&app, &product["id"]).await["variants"][1].clone();
    assert_eq!(variant["barcode"], "4006381333931");
    let amounts: Vec<i64> = variant["prices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["amount"].as_i64().unwrap())
        .collect();
    assert_eq!(amounts, [100, 500, 1000, 1800]);
}
