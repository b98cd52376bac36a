//! One change of many products: looked at first, then done to each that nobody else has changed meanwhile.

use super::browser::{self, Browser};
use super::catalog::{form, owner, send, set};
use crate::app::{Reply, TestApp};
use serde_json::{Value, json};
use tradepost::dashboard::Role;

const CHOOSE: &str = "/dashboard/products/bulk";
const APPLY: &str = "/dashboard/products/bulk/apply";

async fn made(app: &TestApp, products: &[Value]) -> Vec<String> {
    let api = app.client("products:write").await;
    let mut ids = Vec::new();
    for product in products {
        let reply = api.post("/v2/products", product.clone()).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    ids
}

fn simple(sku: &str, price: i64) -> Value {
    json!({ "title": format!("Pot {sku}"), "status": "active", "sku": sku, "price": price, "currency": "USD" })
}

async fn read(app: &TestApp, id: &str) -> Value {
    let api = app.client("products:read").await;
    api.get(&format!("/v2/products/{id}")).await.json()
}

/// The page on which the change of `ids` is chosen, as a browser sends it back with `change`.
async fn chosen(
    browser: &mut Browser,
    ids: &[String],
    change: &[(&str, &str)],
) -> Vec<(String, String)> {
    let ticked: Vec<String> = ids.iter().map(|id| format!("product={id}")).collect();
    let page = browser.get(&format!("{CHOOSE}?{}", ticked.join("&"))).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let mut fields = form(&page.text(), CHOOSE);
    for (name, value) in change {
        set(&mut fields, name, value);
    }
    fields
}

async fn looked(browser: &mut Browser, ids: &[String], change: &[(&str, &str)]) -> Reply {
    let fields = chosen(browser, ids, change).await;
    send(browser, CHOOSE, &fields).await
}

/// The text of a page without tags and white space between words.
fn words(page: &str) -> String {
    let mut text = String::new();
    for part in page.split('<').skip(1) {
        text.push(' ');
        text.push_str(part.split_once('>').map_or("", |(_, text)| text));
    }
    let text = text.replace('\u{a0}', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn many_products_are_changed_as_the_page_before_has_shown() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let sizes = json!({ "title": "Cup", "status": "active", "categories": ["kitchen"],
        "options": [{ "name": "Size", "values": ["S", "L"] }],
        "variants": [
            { "option_values": { "Size": "S" }, "prices": [
                { "currency": "USD", "amount": 1999, "compare_at_amount": 2999 },
                { "currency": "USD", "amount": 1500, "min_quantity": 10, "group": "trade" },
                { "currency": "USD", "amount": 999, "ends_at": "2027-01-01T00:00:00Z" },
                { "currency": "EUR", "amount": 1800 } ] },
            { "option_values": { "Size": "L" }, "prices": [{ "currency": "EUR", "amount": 3000 }] }] });
    let draft = json!({ "title": "Bowl", "status": "draft" });
    let ids = made(
        &app,
        &[sizes, simple("A", 1000), draft, simple("REST", 500)],
    )
    .await;
    let change = [
        ("status", "draft"),
        ("price", "percent"),
        ("by", "+10%"),
        ("add_category", "spring"),
    ];
    let before = read(&app, &ids[0]).await;
    let look = looked(&mut owner, &ids[..3], &change).await;
    let told = words(&look.text());
    for shown in [
        "Nothing is written yet. 3 will change, 0 will stay as they are, 0 cannot",
        "Status Active → Draft Categories kitchen → kitchen, spring Price, S 19.99 USD → 21.99 USD (exactly 21.989)",
        "Price, S, from 10 units, for trade 15.00 USD → 16.50 USD",
        "Price, S 18.00 EUR → 19.80 EUR Price, L 30.00 EUR → 33.00 EUR",
        "Bowl Categories none → spring",
    ] {
        assert!(told.contains(shown), "{shown} in {told}");
    }
    assert!(!told.contains("9.99 USD → 10.99"), "sales stay: {told}");
    assert_eq!(read(&app, &ids[0]).await, before, "looking writes nothing");

    let fields = form(&look.text(), APPLY);
    let done = send(&mut owner, APPLY, &fields).await;
    assert_eq!(done.status, 200);
    let told = words(&done.text());
    assert!(told.contains("3 products are changed."), "{told}");
    let cup = read(&app, &ids[0]).await;
    assert_eq!(cup["status"], "draft");
    assert_eq!(cup["categories"], json!(["kitchen", "spring"]));
    let amounts = |product: &Value, variant: usize| -> Vec<(i64, i64, bool)> {
        let rows = product["variants"][variant]["prices"].as_array().unwrap();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let amount = row["amount"].as_i64().unwrap();
                let units = row["min_quantity"].as_i64().unwrap();
                (amount, units, row["ends_at"].is_string())
            })
            .collect();
        rows.sort_unstable();
        rows
    };
    let expected = [
        (999, 1, true),
        (1650, 10, false),
        (1980, 1, false),
        (2199, 1, false),
    ];
    assert_eq!(amounts(&cup, 0), expected);
    assert_eq!(amounts(&cup, 1), [(3300, 1, false)]);
    let prices = cup["variants"][0]["prices"].as_array().unwrap();
    let struck = prices.iter().find(|row| row["amount"] == 2199).unwrap();
    assert_eq!(struck["compare_at_amount"], 2999);
    assert_eq!(read(&app, &ids[1]).await["price"]["amount"], 1100);
    let rest = read(&app, &ids[3]).await;
    assert_eq!(
        (&rest["version"], &rest["price"]["amount"]),
        (&json!(1), &json!(500))
    );
    let audit = owner.get("/dashboard/audit?action=product.changed").await;
    for id in &ids[..3] {
        assert_eq!(audit.text().matches(&format!(">{id}<")).count(), 1, "{id}");
    }
    assert!(!audit.text().contains(&ids[3]));

    let twice = send(&mut owner, APPLY, &fields).await;
    let told = words(&twice.text());
    assert!(
        told.contains("0 products are changed, 3 are not.")
            && told.contains("by sending this twice"),
        "{told}"
    );
    assert_eq!(
        read(&app, &ids[0]).await["version"],
        cup["version"],
        "done once"
    );
}

#[tokio::test]
async fn what_others_changed_meanwhile_is_told_and_not_overwritten() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let all = [simple("A", 1000), simple("B", 1000), simple("C", 1000)];
    let ids = made(&app, &all).await;
    let change = [("price", "amount"), ("by", "-2.50"), ("currency", "USD")];
    let look = looked(&mut owner, &ids, &change).await;
    let fields = form(&look.text(), APPLY);
    let api = app.client("products:write").await;
    let path = |id: &String| format!("/v2/products/{id}");
    let theirs = json!({ "price": 1200, "currency": "USD" });
    assert_eq!(api.patch(&path(&ids[0]), theirs).await.status, 200);
    assert_eq!(api.delete(&path(&ids[1])).await.status, 204);

    let done = send(&mut owner, APPLY, &fields).await;
    let told = words(&done.text());
    assert!(
        told.contains("1 product is changed, 2 are not.")
            && told.contains("Pot A It was changed meanwhile")
            && told.contains(&format!("{} It was deleted meanwhile", ids[1])),
        "{told}"
    );
    assert_eq!(read(&app, &ids[0]).await["price"]["amount"], 1200);
    assert_eq!(read(&app, &ids[2]).await["price"]["amount"], 750);

    // Those that are left are looked at as they are now, and changed then.
    let again = form(&done.text(), CHOOSE);
    let look = send(&mut owner, CHOOSE, &again).await;
    let told = words(&look.text());
    assert!(told.contains("Pot A Price 12.00 USD → 9.50 USD"), "{told}");
    let fields = form(&look.text(), APPLY);
    let done = send(&mut owner, APPLY, &fields).await;
    assert!(words(&done.text()).contains("1 product is changed."));
    assert_eq!(read(&app, &ids[0]).await["price"]["amount"], 950);
}

#[tokio::test]
async fn one_that_cannot_be_changed_does_not_keep_the_others_back() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut full = simple("FULL", 5000);
    let labels: Vec<String> = (0..250).map(|n| format!("c{n}")).collect();
    full["categories"] = json!(labels);
    let ids = made(&app, &[simple("CHEAP", 100), full, simple("FINE", 5000)]).await;
    let change = [
        ("price", "amount"),
        ("by", "-1"),
        ("currency", "USD"),
        ("add_category", "sale"),
    ];
    let look = looked(&mut owner, &ids, &change).await;
    let told = words(&look.text());
    assert!(
        told.contains("1 will change, 0 will stay as they are, 2 cannot be changed so")
            && told.contains("Pot CHEAP Price: 1.00 USD cannot be changed so")
            && told.contains("Pot FULL Categories:"),
        "{told}"
    );
    let fields = form(&look.text(), APPLY);
    let done = send(&mut owner, APPLY, &fields).await;
    assert!(words(&done.text()).contains("1 product is changed."));
    assert_eq!(read(&app, &ids[2]).await["price"]["amount"], 4900);
    assert_eq!(read(&app, &ids[0]).await["version"], 1);

    // A form that was made up meets the same rules.
    let mut forged = fields;
    let seen: Vec<(String, String)> = ids[..2]
        .iter()
        .map(|id| ("seen".to_owned(), format!("{id}:1")))
        .collect();
    forged.retain(|(name, _)| name != "seen");
    forged.extend(seen);
    let done = send(&mut owner, APPLY, &forged).await;
    let told = words(&done.text());
    assert!(
        told.contains("0 products are changed, 2 are not."),
        "{told}"
    );
    assert_eq!(read(&app, &ids[0]).await["version"], 1);
}

#[tokio::test]
async fn what_is_ticked_and_typed_is_checked() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let ids = made(&app, &[simple("A", 1000)]).await;
    for nobody in ["", "?product=prod_gone"] {
        let nothing = owner.get(&format!("{CHOOSE}{nobody}")).await;
        assert_eq!(browser::landed(&nothing), "/dashboard/products, none");
        let list = owner.get("/dashboard/products").await.text();
        assert!(list.contains("Tick the products that are to change first"));
    }

    let mut fields = chosen(&mut owner, &ids, &[("price", "percent"), ("by", "x")]).await;
    let refused = send(&mut owner, CHOOSE, &fields).await;
    assert_eq!(refused.status, 422);
    let page = refused.text();
    assert!(
        page.contains("By: expected per cent")
            && page.contains("value=\"x\"")
            && page.contains("aria-describedby=\"wrong-by\"")
            && page.contains("id=\"wrong-by\">Expected per cent"),
        "what was typed is kept: {page}"
    );
    assert_eq!(form(&page, CHOOSE).len(), fields.len());
    let mut unticked = fields.clone();
    unticked.retain(|(name, _)| name != "product");
    set(&mut unticked, "by", "10");
    let refused = send(&mut owner, CHOOSE, &unticked).await;
    let page = refused.text();
    assert_eq!(refused.status, 422);
    assert!(
        page.contains("Products: tick those that are to change")
            && page.contains("value=\"10\"")
            && page.contains(&format!("name=\"product\" value=\"{}\">", ids[0])),
        "the list and what was typed stay: {page}"
    );
    set(&mut fields, "by", "");
    set(&mut fields, "price", "");
    assert_eq!(send(&mut owner, CHOOSE, &fields).await.status, 422);

    let many: Vec<(String, String)> = (0..201)
        .map(|n| ("product".to_owned(), format!("prod_{n}")))
        .collect();
    let refused = send(&mut owner, CHOOSE, &many).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("t most 200 products"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let versions: Vec<(String, String)> = (0..201)
        .map(|n| ("seen".to_owned(), format!("prod_{n}:1")))
        .chain([pair("status", "draft")])
        .collect();
    assert_eq!(send(&mut owner, APPLY, &versions).await.status, 422);
    for seen in ["", "prod_1", "nothing:1", ":"] {
        let forged = [pair("seen", seen), pair("status", "draft")];
        assert_eq!(send(&mut owner, APPLY, &forged).await.status, 422, "{seen}");
    }
    let forged = [
        pair("seen", &format!("{}:x", ids[0])),
        pair("status", "draft"),
    ];
    let done = send(&mut owner, APPLY, &forged).await;
    assert!(words(&done.text()).contains("1 is not."), "{}", done.text());
    assert_eq!(read(&app, &ids[0]).await["version"], 1);
}

/// Ten per cent twice are twenty-one.
#[tokio::test]
async fn a_change_that_is_sent_again_is_not_done_again() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let ids = made(&app, &[simple("A", 1000)]).await;
    let fields = chosen(&mut owner, &ids, &[("price", "percent"), ("by", "10,0")]).await;
    let look = send(&mut owner, CHOOSE, &fields).await.text();
    let change = form(&look, APPLY);
    let change: Vec<(&str, String)> = change
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    let token = owner.form_token().await;
    let same = [("sec-fetch-site", "same-origin")];
    let done = owner.post_with(APPLY, &change, &token, &same).await;
    assert!(words(&done.text()).contains("1 product is changed."));
    let again = owner.post_with(APPLY, &change, &token, &same).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("was taken then") && !again.text().contains("Preview these"));
    let product = read(&app, &ids[0]).await;
    assert_eq!(product["variants"][0]["prices"][0]["amount"], 1100);
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("price: 10.00\u{a0}USD → 11.00\u{a0}USD"),
        "{audit}"
    );
}

#[tokio::test]
async fn it_is_told_why_a_price_stays_and_the_list_is_led_back_to() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let ids = made(&app, &[simple("A", 1000)]).await;
    let mut fields = chosen(
        &mut owner,
        &ids,
        &[("price", "amount"), ("by", "1"), ("currency", "EUR")],
    )
    .await;
    set(
        &mut fields,
        "back",
        "/dashboard/products?q=mug&status=draft",
    );
    let look = send(&mut owner, CHOOSE, &fields).await.text();
    assert!(look.contains("</a>: it has no price in EUR"), "{look}");
    let back = "href=\"/dashboard/products?q=mug&#38;status=draft\">Cancel";
    assert!(look.contains(back), "{look}");
    set(&mut fields, "back", "//evil.example/dashboard/products");
    let look = send(&mut owner, CHOOSE, &fields).await.text();
    assert!(
        look.contains("href=\"/dashboard/products\">Cancel"),
        "{look}"
    );
}

#[tokio::test]
async fn all_that_fit_the_filters_are_chosen_and_no_more_than_the_bound() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut products: Vec<Value> = (0..203).map(|n| simple(&format!("P{n}"), 1000)).collect();
    for product in &mut products[..2] {
        product["status"] = json!("draft");
    }
    products[2]["title"] = json!("Samovar");
    let ids = made(&app, &products).await;
    let drafts = owner
        .get(&format!("{CHOOSE}?q=&status=draft&all=yes"))
        .await
        .text();
    assert!(drafts.contains("2 chosen") && !drafts.contains("products fit"));
    let found = owner.get(&format!("{CHOOSE}?q=samovar&all=yes")).await;
    assert!(found.text().contains("1 chosen"), "{}", found.text());
    let page = owner.get(&format!("{CHOOSE}?all=yes")).await.text();
    assert!(page.contains("200 chosen") && page.contains("203 products fit"));

    let mut fields = form(&page, CHOOSE);
    set(&mut fields, "price", "percent");
    set(&mut fields, "by", "-5");
    let look = send(&mut owner, CHOOSE, &fields).await;
    let fields = form(&look.text(), APPLY);
    app.clock.advance(std::time::Duration::from_secs(60));
    let done = send(&mut owner, APPLY, &fields).await;
    assert!(words(&done.text()).contains("200 products are changed."));
    let api = app.client("products:read").await;
    let reduced = api
        .get("/v2/products?currency=USD&max_price=950&limit=250")
        .await;
    assert_eq!(reduced.json().as_array().unwrap().len(), 200);
    assert_eq!(ids.len(), 203);
}

/// A change may alter what the filters find, and in which order: whoever goes on gets each of the others once.
#[tokio::test]
async fn more_than_two_hundred_are_changed_one_part_after_the_other() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut products: Vec<Value> = (0..420).map(|n| simple(&format!("P{n}"), 1000)).collect();
    for product in &mut products {
        product["status"] = json!("draft");
    }
    made(&app, &products).await;
    let page = owner
        .get(&format!("{CHOOSE}?all=yes&q=pot&status=draft"))
        .await
        .text();
    assert!(
        page.contains("420 products fit") && page.contains("the other 220"),
        "{page}"
    );
    let mut fields = form(&page, CHOOSE);
    set(&mut fields, "price", "percent");
    set(&mut fields, "by", "10");
    set(&mut fields, "status", "active");
    for (part, left) in [(200, "220"), (200, "20"), (20, "")] {
        let look = send(&mut owner, CHOOSE, &fields).await.text();
        let told = format!("the other {left} products");
        assert_eq!(look.contains(&told), !left.is_empty(), "{look}");
        let done = send(&mut owner, APPLY, &form(&look, APPLY)).await.text();
        assert!(
            words(&done).contains(&format!("{part} products are changed.")),
            "{done}"
        );
        assert_eq!(done.contains(&told), !left.is_empty());
        if left.is_empty() {
            break;
        }
        let next = send(&mut owner, CHOOSE, &form(&done, CHOOSE)).await;
        assert_eq!(next.status, 200, "{}", next.text());
        // With the same change, to be looked at again.
        fields = form(&next.text(), CHOOSE);
        assert!(fields.contains(&("by".to_owned(), "10".to_owned())));
    }
    let api = app.client("products:read").await;
    for (price, count) in [(1000, 0), (1100, 420), (1210, 0)] {
        let path = format!(
            "/v2/products?currency=USD&min_price={price}&max_price={price}&status=active&include_total=true&limit=1"
        );
        let found = api.get(&path).await;
        assert_eq!(found.header("x-total-count"), count.to_string(), "{price}");
    }
}

#[tokio::test]
async fn only_operators_see_boxes_and_forms() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let ids = made(&app, &[simple("A", 1000)]).await;
    let list = owner.get("/dashboard/products").await.text();
    let box_of = format!("name=\"product\" value=\"{}\"", ids[0]);
    assert!(list.contains(&box_of) && list.contains("Change selected"));
    let mut reader = browser::member(&app, "reader@example.com", Role::ReadOnly).await;
    let list = reader.get("/dashboard/products").await.text();
    assert!(!list.contains("name=\"product\"") && !list.contains(CHOOSE));
    let address = format!("{CHOOSE}?product={}", ids[0]);
    assert_eq!(reader.get(&address).await.status, 403);
    let fields = [
        ("seen", format!("{}:1", ids[0])),
        ("status", "draft".to_owned()),
    ];
    assert_eq!(reader.post(APPLY, &fields).await.status, 403);
    assert_eq!(read(&app, &ids[0]).await["status"], "active");
}
