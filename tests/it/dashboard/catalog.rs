//! Products as people keep them: forms that do what the API does, by its rules.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use serde_json::{Value, json};
use tradepost::dashboard::Role;

pub async fn owner(app: &TestApp) -> Browser {
    browser::set_up(app).await;
    let mut owner = Browser::new(app);
    owner.sign_in(OWNER, PASSWORD).await;
    owner
}

pub async fn teapot(app: &TestApp) -> Value {
    let api = app.client("products:write").await;
    let body = json!({ "title": "Teapot", "status": "active", "sku": "TEAPOT", "price": 1999, "currency": "USD",
        "vendor": "Kiln", "tags": ["tea", "pot"], "inventory_quantity": 5 });
    let made = api.post("/v2/products", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

pub async fn read(app: &TestApp, id: &Value) -> Value {
    let api = app.client("products:read").await;
    api.get(&format!("/v2/products/{}", id.as_str().unwrap()))
        .await
        .json()
}

/// The fields of the form on a page that is sent to `action`, as a browser would send them back.
pub fn form(page: &str, action: &str) -> Vec<(String, String)> {
    let start = page
        .find(&format!("action=\"{action}\""))
        .unwrap_or_else(|| panic!("no form {action} in {page}"));
    let form = page[start..].split("</form>").next().unwrap();
    let mut fields = Vec::new();
    let attribute = |tag: &str, name: &str| {
        let rest = tag.split_once(&format!(" {name}=\""))?.1;
        Some(text(rest.split_once('"')?.0))
    };
    for tag in form.split('<').skip(1) {
        let (head, body) = tag.split_once('>').unwrap();
        let name = attribute(head, "name");
        let value = || attribute(head, "value").unwrap_or_default();
        let is = |kind: &str| head.starts_with(kind);
        if is("input") && (head.contains("checkbox") || head.contains("radio")) {
            if head.contains(" checked") {
                fields.push((name.unwrap(), value()));
            }
        } else if is("input") {
            fields.push((name.unwrap(), value()));
        } else if is("textarea") {
            let body = body.strip_prefix('\n').unwrap_or(body);
            fields.push((name.unwrap(), text(body).replace('\n', "\r\n")));
        } else if is("select") {
            fields.push((name.unwrap(), String::new()));
        } else if is("option") && head.contains(" selected") {
            let value = attribute(head, "value").unwrap_or_else(|| text(body));
            fields.last_mut().unwrap().1 = value;
        }
    }
    fields.retain(|(name, _)| name != "form");
    fields
}

fn text(html: &str) -> String {
    html.replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

pub fn set(fields: &mut [(String, String)], name: &str, value: &str) {
    let field = fields.iter_mut().find(|(known, _)| known == name);
    field.unwrap_or_else(|| panic!("no field {name}")).1 = value.to_owned();
}

/// The name of the field that holds `value`.
pub fn named(fields: &[(String, String)], value: &str) -> String {
    let mut holding = fields
        .iter()
        .filter(|(name, held)| held == value && !name.starts_with("was."));
    holding
        .next()
        .unwrap_or_else(|| panic!("no {value}"))
        .0
        .clone()
}

pub async fn send(
    browser: &mut Browser,
    path: &str,
    fields: &[(String, String)],
) -> crate::app::Reply {
    let fields: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    browser.post(path, &fields).await
}

#[tokio::test]
async fn a_product_is_made_changed_and_deleted_by_forms() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let path = "/dashboard/products/new";
    let mut fields = form(&owner.get(path).await.text(), path);
    for (name, value) in [
        ("title", "Blue mug"),
        ("description", "Two\r\nlines"),
        ("tags", "blue\r\nmug"),
        ("sku", "MUG"),
        ("price", "19.99"),
        ("inventory_quantity", "12"),
    ] {
        set(&mut fields, name, value);
    }
    set(&mut fields, "price", "19.999");
    let refused = send(&mut owner, path, &fields).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text().contains("aria-describedby=\"wrong-price\"")
            && refused
                .text()
                .contains("id=\"wrong-price\">Expected at most"),
        "it is told at its field: {}",
        refused.text()
    );
    assert!(
        refused.text().contains("at most 2 decimals") && refused.text().contains("Blue mug"),
        "what was typed is kept: {}",
        refused.text()
    );
    set(&mut fields, "price", "19.99");
    let made = send(&mut owner, path, &fields).await;
    assert_eq!(made.status, 303, "{}", made.text());
    let id = made
        .header("location")
        .trim_start_matches("/dashboard/products/")
        .to_owned();
    let id = json!(id);
    let product = read(&app, &id).await;
    assert_eq!(product["description"], "Two\nlines");
    assert_eq!(product["tags"], json!(["blue", "mug"]));
    assert_eq!(product["price"]["amount"], 1999);
    assert_eq!(product["inventory"]["on_hand"], 12);
    let again = send(&mut owner, path, &fields).await;
    assert_eq!(again.status, 409, "its SKU is taken: {}", again.text());

    let own = format!("/dashboard/products/{}", id.as_str().unwrap());
    let path = format!("{own}/edit");
    let mut fields = form(&owner.get(&path).await.text(), &path);
    assert_eq!(send(&mut owner, &path, &fields).await.status, 303);
    assert_eq!(
        read(&app, &id).await["version"],
        product["version"],
        "nothing was touched, nothing is changed"
    );
    set(&mut fields, "title", "");
    assert_eq!(send(&mut owner, &path, &fields).await.status, 422);
    set(&mut fields, "title", "Blue \"mug\"");
    set(&mut fields, "status", "archived");
    assert_eq!(send(&mut owner, &path, &fields).await.status, 303);
    let product = read(&app, &id).await;
    assert_eq!(product["title"], "Blue \"mug\"");
    assert_eq!(product["status"], "archived");
    assert_eq!(product["description"], "Two\nlines");

    let delete = format!("{own}/delete");
    let mut fields = form(&owner.get(&path).await.text(), &delete);
    set(&mut fields, "name", "mug");
    let mistyped = send(&mut owner, &delete, &fields).await;
    assert_eq!(mistyped.status, 422);
    assert!(
        mistyped
            .text()
            .contains("id=\"wrong-name\">This is not its title")
    );
    set(&mut fields, "name", "Blue \"mug\"");
    assert_eq!(send(&mut owner, &delete, &fields).await.status, 303);
    assert_eq!(owner.get(&own).await.status, 404);
    let audit = owner.get("/dashboard/audit").await.text();
    for deed in ["Product created", "Product changed", "Product deleted"] {
        assert_eq!(audit.matches(deed).count(), 1, "{deed} in {audit}");
    }
}

#[tokio::test]
async fn a_variant_is_added_priced_and_removed() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let own = format!("/dashboard/products/{}", product["id"].as_str().unwrap());
    let path = format!("{own}/variants/new");
    let mut fields = form(&owner.get(&path).await.text(), &path);
    for (name, value) in [
        ("option", "Size"),
        ("option.first", "Small"),
        ("option.second", "Large"),
        ("sku", "TEAPOT-L"),
        ("price.new1.amount", "29.00"),
        ("price.new2.amount", "25.00"),
        ("price.new2.min_quantity", "10"),
    ] {
        set(&mut fields, name, value);
    }
    let added = send(&mut owner, &path, &fields).await;
    assert_eq!(added.status, 303, "{}", added.text());
    let product = read(&app, &product["id"]).await;
    let large = &product["variants"][1];
    assert_eq!(large["option_values"], json!({ "Size": "Large" }));
    assert_eq!(large["prices"][1]["min_quantity"], 10);
    assert_eq!(
        product["variants"][0]["prices"][0]["amount"], 1999,
        "the first one is as it was"
    );

    let path = format!("{own}/variants/{}", large["id"].as_str().unwrap());
    let page = owner.get(&path).await.text();
    let mut fields = form(&page, &path);
    let first = large["prices"][0]["id"].as_str().unwrap();
    let second = named(&fields, "25.00");
    set(&mut fields, &second, "");
    set(&mut fields, "price.new1.amount", "22.00");
    set(&mut fields, "price.new1.starts_at", "2027-01-01T00:00:00");
    set(&mut fields, "option.Size", "Huge");
    let saved = send(&mut owner, &path, &fields).await;
    assert_eq!(saved.status, 303, "{}", saved.text());
    let product = read(&app, &product["id"]).await;
    let large = &product["variants"][1];
    assert_eq!(large["prices"].as_array().unwrap().len(), 2);
    assert_eq!(large["prices"][0]["id"], first, "what was left alone stays");
    assert_eq!(
        large["prices"][1]["starts_at"], "2026-12-31T23:00:00Z",
        "the shop is in Vienna: {large}"
    );
    assert_eq!(
        product["options"][0]["values"],
        json!(["Small", "Large", "Huge"])
    );

    let remove = format!("{path}/remove");
    let mut fields = form(&owner.get(&path).await.text(), &remove);
    set(&mut fields, "name", "Small");
    assert_eq!(send(&mut owner, &remove, &fields).await.status, 422);
    let name = large["title"].as_str().unwrap();
    set(&mut fields, "name", name);
    let gone = send(&mut owner, &remove, &fields).await;
    assert_eq!(gone.status, 303, "{}", gone.text());
    let product = read(&app, &product["id"]).await;
    assert_eq!(product["variants"].as_array().unwrap().len(), 1);
    assert_eq!(owner.get(&path).await.status, 404);
}

#[tokio::test]
async fn stock_is_received_counted_and_taken_by_its_rules() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let api = app.client("orders:write").await;
    let order = json!({ "email": "a@example.com", "currency": "USD", "items": [{ "sku": "TEAPOT", "quantity": 2 }] });
    assert_eq!(api.post("/v2/orders", order).await.status, 201);
    let path = format!(
        "/dashboard/products/{}/stock/{}",
        product["id"].as_str().unwrap(),
        product["variants"][0]["id"].as_str().unwrap()
    );
    let page = owner.get(&path).await.text();
    assert!(
        page.contains("Allocated") && page.contains("<dd>3</dd>"),
        "{page}"
    );
    let mut fields = form(&page, &path);
    set(&mut fields, "units", "10");
    set(&mut fields, "reason", "Delivery 4711");
    assert_eq!(send(&mut owner, &path, &fields).await.status, 303);
    let twice = send(&mut owner, &path, &fields).await;
    assert_eq!(twice.status, 409, "sent twice, received once");
    assert!(twice.text().contains("Somebody else changed this stock"));
    assert!(twice.text().contains("Delivery 4711"));
    let product = read(&app, &product["id"]).await;
    assert_eq!(product["inventory"]["on_hand"], 15);
    let fresh = form(&owner.get(&path).await.text(), &path);
    for (how, units, reason, status) in [
        ("take", "14", "broken", 409),
        ("count", "1", "stocktake", 409),
        ("receive", "-1", "x", 422),
        ("receive", "x", "x", 422),
        ("receive", "0", "nothing", 422),
        ("receive", "1,5", "no fifteen", 422),
        ("receive", "2 5", "no 25", 422),
        ("receive", "1", "", 422),
        ("receive", "9000000000000", "too many", 422),
        ("steal", "1", "x", 422),
        ("count", "4", "stocktake", 303),
    ] {
        let mut fields = fresh.clone();
        set(&mut fields, "how", how);
        set(&mut fields, "units", units);
        set(&mut fields, "reason", reason);
        let reply = send(&mut owner, &path, &fields).await;
        assert_eq!(
            reply.status,
            status,
            "{how} {units} {reason}: {}",
            reply.text()
        );
    }
    let page = owner.get(&path).await.text();
    assert!(page.contains("stocktake") && page.contains("\u{2212}11") && page.contains(OWNER));
    let low = owner.get("/dashboard/products?stock=low").await.text();
    assert!(low.contains(&path) && low.contains("TEAPOT"), "{low}");
    let audit = owner.get("/dashboard/audit").await.text();
    assert_eq!(audit.matches("Stock adjusted").count(), 2, "{audit}");
    for told in [
        "TEAPOT, on hand: 5 → 15; Delivery 4711",
        "TEAPOT, on hand: 15 → 4; stocktake",
    ] {
        assert!(audit.contains(told), "{told} in {audit}");
    }
    let mut reader = browser::member(&app, "reader@example.com", Role::ReadOnly).await;
    let page = reader.get(&path).await.text();
    assert!(page.contains("Ledger") && !page.contains("name=\"units\""));
}

#[tokio::test]
async fn the_ledger_goes_on_behind_its_first_page() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let product = teapot(&app).await;
    let api = app.client("products:write inventory:write").await;
    for n in 0..30 {
        let body = json!({ "sku": "TEAPOT", "delta": 1, "reason": format!("delivery {n:02}") });
        let made = api.post("/v2/inventory/adjustments", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let path = format!(
        "/dashboard/products/{}/stock/{}",
        product["id"].as_str().unwrap(),
        product["variants"][0]["id"].as_str().unwrap()
    );
    let first = owner.get(&path).await.text();
    assert_eq!(first.matches("delivery ").count(), 25);
    let next = browser::between(&first, &format!("href=\"{path}?cursor="), "\"");
    let next = format!("{path}?cursor={}", text(&next));
    let second = owner.get(&next).await.text();
    assert_eq!(second.matches("delivery ").count(), 5, "{second}");
    assert!(second.contains("Received"), "the first movement of all");
}

#[tokio::test]
async fn a_file_of_products_is_looked_at_before_it_is_imported() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let path = "/dashboard/products/import";
    let file = "\u{feff}title,sku,price,currency,description\r\nMug,M-1,19.99,USD,\"two\r\nlines\"\r\nCup,C-1,x,USD,\r\nMug,M-1,1,USD,\r\n<b>,B-1,5,USD,\r\n";
    let looked = owner.upload(path, &[], ("shop.csv", file.as_bytes())).await;
    assert_eq!(looked.status, 200, "{}", looked.text());
    let page = looked.text();
    assert!(
        page.contains("Nothing is written yet")
            && page.contains("Import 2")
            && page.contains("price: expected an amount such as 19.99")
            && page.contains(">19.99\u{a0}USD<")
            && page.contains("stands in a row before"),
        "{page}"
    );
    let products = owner.get("/dashboard/products").await.text();
    assert!(products.contains("No products yet"));
    let apply = "/dashboard/products/import/apply";
    let fields: Vec<(String, String)> = form(&page, apply);
    let fields: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let token = owner.form_token().await;
    let same = [("sec-fetch-site", "same-origin")];
    let done = owner.post_with(apply, &fields, &token, &same).await;
    assert!(done.text().contains("Done."), "{}", done.text());
    // Reloading the result does not count again.
    let reloaded = owner.post_with(apply, &fields, &token, &same).await;
    assert_eq!(reloaded.status, 409);
    let products = owner.get("/dashboard/products").await.text();
    assert!(products.contains(">Mug</a>") && products.contains("&#60;b&#62;"));
    let api = app.client("products:read").await;
    let mug = api.get("/v2/products?sku=M-1").await.json();
    assert_eq!(mug[0]["description"], "two\nlines");
    let again = owner.upload(path, &[], ("shop.csv", file.as_bytes())).await;
    let page = again.text();
    assert!(!page.contains("Import 2"), "they are there already");
    assert!(
        !page.contains(">19.99\u{a0}USD<"),
        "only what is new: {page}"
    );
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("Products import started")
            && audit.contains("Products imported")
            && audit.contains("2 added, 0 there already, 2 invalid")
            && audit.contains("shop.csv"),
        "{audit}"
    );
    for (file, said) in [
        (&b""[..], "Choose a file"),
        (b"colour\nred\n", "there is no column"),
        (b"title\ncaf\xe9\n", "is not text in UTF-8"),
    ] {
        let refused = owner.upload(path, &[], ("bad.csv", file)).await;
        assert_eq!(refused.status, 422, "{said}");
        assert!(refused.text().contains(said), "{said}: {}", refused.text());
    }
    let large = vec![b'x'; 1_000_001];
    let refused = owner.upload(path, &[], ("large.csv", &large)).await;
    assert_eq!(refused.status, 422);
    let larger = vec![b'x'; 2_000_000];
    let refused = owner.upload(path, &[], ("larger.csv", &larger)).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("tradepost import products FILE"));
}
