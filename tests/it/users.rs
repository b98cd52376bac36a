//! `/v2/users`.

use crate::app::{Client, Reply, TestApp};
use axum::http::Method;
use platform::clock::Timestamp;
use platform::params;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::time::Duration;
use tradepost::error::Result;
use tradepost::users::{self, User, demo_users};

const ALL: &str = "users:read users:write orders:read notifications:read notifications:write";

async fn store(app: &TestApp, users: Vec<User>) {
    let now = app.clock.now();
    let stored: Result<()> = app
        .db
        .write(async move |tx| Ok(users::add(tx, &users, "test", now).await?))
        .await;
    stored.expect("stored");
}

/// A program with alice and bob, and a client that may do all there is to do here.
async fn with_demo_users() -> (TestApp, Client) {
    let app = TestApp::start().await;
    store(&app, demo_users().into()).await;
    let shop = app.client(ALL).await;
    (app, shop)
}

/// `count` users; three of each have the same instant of creation.
async fn with_crowd(count: i64) -> (TestApp, Client) {
    let app = TestApp::start().await;
    let [template, _] = demo_users();
    let crowd = (0..count).map(|n| {
        let mut user = template.clone();
        user.id = users::UserId::parse(&format!("user_c{:03}", (n * 7) % count)).expect("an id");
        user.username = format!(
            "c{}-{:03}",
            ["a", "_b", ".c"][usize::try_from(n % 3).expect("small")],
            n
        );
        user.email = format!("{}@example.com", user.username);
        user.created_at = Timestamp::from_micros(template.created_at.micros() + n / 3);
        user.updated_at = Timestamp::from_micros(template.created_at.micros() + (count - n) / 3);
        user
    });
    store(&app, crowd.collect()).await;
    let shop = app.client(ALL).await;
    (app, shop)
}

async fn add_order(
    app: &TestApp,
    id: &'static str,
    number: &'static str,
    kind: [&'static str; 3],
    total: i64,
) {
    let [document, status, currency] = kind;
    let stored: Result<u64> = app
        .db
        .write(async move |tx| {
            let sql = "INSERT INTO orders (id, number, document, status, payment_status, fulfillment_status, user_id, email, currency,
                    shipping_address, items_total, discount_total, shipping_total, tax_total, tax_included, total, authorized, captured,
                    refunded, note, tags, metadata, created_at, updated_at, version)
                VALUES ($1, $2, $3, $4, 'unpaid', 'unfulfilled', 'user_123', 'alice@example.com', $5, $6, $7, 0, 0, 0, $8, $7, 0, 0, 0,
                    'ring at Smith', '[]', '{}', 1, 1, 1)";
            let address = r#"{"line1":"1 Main St","city":"Springfield","country":"US"}"#;
            Ok(tx.execute(sql, params![id, number, document, status, currency, address, total, false]).await?)
        })
        .await;
    stored.expect("stored");
}

fn fault(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

fn pointers(reply: &Reply) -> Vec<(String, String)> {
    let errors = reply.json()["errors"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    errors
        .iter()
        .map(|error| (text(&error["pointer"]), text(&error["code"])))
        .collect()
}

/// The target of `rel="next"`, without the public URL.
fn next(reply: &Reply) -> Option<String> {
    let link = reply
        .header("link")
        .split(", ")
        .find(|link| link.ends_with("rel=\"next\""))?;
    let url = link.strip_prefix('<')?.split('>').next()?;
    Some(url[url.find("/v2/").expect("a path")..].to_owned())
}

#[tokio::test]
async fn the_list_is_the_documented_one() {
    let (_app, shop) = with_demo_users().await;
    let reply = shop.get("/v2/users?limit=10&offset=0&status=active").await;
    assert_eq!(reply.status, 200);
    let documented = r#"[{"id":"user_123","username":"alice","email":"alice@example.com","status":"active","created_at":"2023-10-27T10:00:00Z"},{"id":"user_456","username":"bob","email":"bob@example.com","status":"active","created_at":"2023-10-27T10:05:00Z"}]"#;
    assert_eq!(reply.text(), documented);
    assert_eq!(shop.get("/v2/users?status=inactive").await.text(), "[]");
    assert_eq!(shop.get("/v2/users").await.statements(), 1);
}

#[tokio::test]
async fn the_single_user_begins_with_the_documented_fields() {
    let (_app, shop) = with_demo_users().await;
    let reply = shop.get("/v2/users/user_123").await;
    let documented = r#"{"id":"user_123","username":"alice","email":"alice@example.com","status":"active","created_at":"2023-10-27T10:00:00Z","profile":{"first_name":"Alice","last_name":"Smith"},"#;
    assert!(reply.text().starts_with(documented), "{}", reply.text());
    let body = reply.json();
    assert_eq!(
        (&body["orders_count"], &body["total_spent"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(
        (&body["version"], &body["external_id"]),
        (&json!(1), &Value::Null)
    );
    assert!(reply.header("etag").starts_with("\"1."));
    assert_eq!(reply.statements(), 2);
    for id in [
        "user_999",
        "prod_1",
        "%20",
        "user_123'--",
        "user_1%00",
        "%FF",
    ] {
        let status = shop.get(&format!("/v2/users/{id}")).await.status;
        assert!(
            status == 404 || (status == 400 && id == "%FF"),
            "{id}: {status}"
        );
    }
}

#[tokio::test]
async fn an_unknown_parameter_does_not_list_everything() {
    let (_app, shop) = with_demo_users().await;
    let reply = shop.get("/v2/users?stauts=active&limit=0").await;
    assert_eq!(fault(&reply), (400, "invalid_parameter".into()));
    assert_eq!(reply.json()["errors"].as_array().map(Vec::len), Some(2));
    for query in [
        "status=deleted",
        "limit=251",
        "offset=-1",
        "sort=email",
        "ids=prod_1",
        "created_after=yesterday",
        "q=",
        "limit=1&limit=2",
    ] {
        assert_eq!(
            fault(&shop.get(&format!("/v2/users?{query}")).await),
            (400, "invalid_parameter".into()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn each_filter_finds_what_it_says() {
    let (_app, shop) = with_demo_users().await;
    shop.patch(
        "/v2/users/user_456",
        json!({ "status": "inactive", "external_id": "crm/7 b" }),
    )
    .await;
    let ids = async |query: &str| -> String {
        let reply = shop.get(&format!("/v2/users?{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let users = reply.json().as_array().cloned().expect("an array");
        users
            .iter()
            .map(|user| user["id"].as_str().expect("text"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (query, found) in [
        ("q=AL", "user_123"),
        ("q=bob%40exam", "user_456"),
        ("q=example", ""),
        ("q=%25", ""),
        ("email=BOB@Example.com", "user_456"),
        ("external_id=crm%2F7%20b", "user_456"),
        ("ids=user_456,user_999,user_123", "user_123 user_456"),
        ("status=inactive", "user_456"),
        ("created_after=2023-10-27T10:00:00Z", "user_456"),
        ("created_before=2023-10-27T12:05:00%2B02:00", "user_123"),
        ("updated_after=2023-10-27T10:03:00Z", ""),
        ("sort=-created_at", "user_456 user_123"),
        ("sort=username", "user_123 user_456"),
        (
            "sort=updated_at&updated_after=2023-10-27T09:00:00Z",
            "user_123 user_456",
        ),
        ("offset=1", "user_456"),
        ("offset=9007199254740991", ""),
    ] {
        assert_eq!(ids(query).await, found, "{query}");
    }
    let counted = shop.get("/v2/users?limit=1&include_total=true").await;
    assert_eq!(
        (
            counted.header("x-total-count"),
            counted.json().as_array().map(Vec::len)
        ),
        ("2", Some(1))
    );
    assert_eq!(shop.get("/v2/users").await.header("x-total-count"), "");
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip() {
    let (_app, shop) = with_crowd(40).await;
    for query in [
        "",
        "sort=created_at&",
        "sort=-created_at&",
        "sort=username&",
        "sort=updated_at&",
        "q=c_&",
        "q=c&sort=username&",
    ] {
        let whole = shop
            .get(&format!("/v2/users?{query}limit=250"))
            .await
            .json();
        let whole = whole.as_array().expect("an array");
        assert!(!whole.is_empty());
        for start in [
            format!("/v2/users?{query}limit=7"),
            format!("/v2/users?{query}limit=7&offset=0"),
        ] {
            let (mut path, mut read) = (Some(start.clone()), Vec::new());
            while let Some(page) = path {
                let reply = shop.get(&page).await;
                assert_eq!(reply.status, 200, "{page}");
                read.extend(reply.json().as_array().cloned().expect("an array"));
                path = next(&reply);
            }
            assert_eq!(&read, whole, "{start}");
            let different: HashSet<String> =
                read.iter().map(|user| user["id"].to_string()).collect();
            assert_eq!(different.len(), read.len());
        }
    }
    let names = |reply: Reply| {
        reply.json().as_array().map(|users| {
            users
                .iter()
                .map(|u| u["username"].to_string())
                .collect::<Vec<_>>()
        })
    };
    let sorted = names(shop.get("/v2/users?sort=username&limit=250").await).expect("an array");
    assert!(sorted.is_sorted(), "by bytes on both engines: {sorted:?}");
    let cursor = next(&shop.get("/v2/users?sort=username&limit=7").await).expect("a next page");
    assert_eq!(
        shop.get(&cursor.replace("sort=username", "sort=created_at"))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_created_user_is_where_location_says() {
    let app = TestApp::start().await;
    let shop = app.client(ALL).await;
    let full = json!({
        "username": "carol.d", "email": "Carol@Example.com", "status": "inactive",
        "profile": { "first_name": "Carol", "phone": "+4930123456", "company": "C & Co", "locale": "de-AT", "timezone": "America/Argentina/Buenos_Aires", "last_name": null },
        "addresses": [
            { "label": "Home", "line1": "1 Main St", "city": "Wien", "country": "AT", "is_default_shipping": true },
            { "id": "addr_own", "line1": "2 Main St", "line2": "Top 3", "city": "Wien", "region": "W", "postal_code": "1010", "country": "AT", "is_default_shipping": true, "is_default_billing": true }
        ],
        "consent": { "email": true }, "external_id": "crm-1", "metadata": { "tier": "gold" }
    });
    let reply = shop.post("/v2/users", full).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let again = shop.get(reply.header("location")).await;
    assert_eq!(
        (again.text(), again.header("etag")),
        (reply.text(), reply.header("etag"))
    );
    let body = reply.json();
    assert_eq!(
        body["profile"],
        json!({ "first_name": "Carol", "phone": "+4930123456", "company": "C & Co", "locale": "de-AT", "timezone": "America/Argentina/Buenos_Aires" })
    );
    assert!(
        body["addresses"][0]["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("addr_"))
    );
    assert_eq!(body["addresses"][1]["id"], "addr_own");
    let defaults: Vec<&Value> = body["addresses"]
        .as_array()
        .expect("two")
        .iter()
        .map(|a| &a["is_default_shipping"])
        .collect();
    assert_eq!(defaults, [true, false], "the first of several counts");
    assert_eq!(
        body["consent"],
        json!({ "email": true, "sms": false, "push": false })
    );
    assert_eq!(
        (&body["created_at"], &body["metadata"]["tier"]),
        (&json!("2023-10-27T10:00:00Z"), &json!("gold"))
    );
    let least = shop
        .post("/v2/users", json!({ "username": "dan", "email": "d@x" }))
        .await;
    assert_eq!(
        (least.status, &least.json()["status"]),
        (201, &json!("active"))
    );
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({ "username": "carol", "email": "carol@example.com" });
    body[name] = value;
    body
}

#[tokio::test]
async fn each_rule_names_the_field_that_breaks_it() {
    let app = TestApp::start().await;
    let shop = app.client(ALL).await;
    let address = |name: &str, value: Value| {
        let mut address = json!({ "line1": "1 Main St", "city": "Wien", "country": "AT" });
        address[name] = value;
        with("addresses", json!([address]))
    };
    let table = [
        (json!({}), "#/username", "required"),
        (with("username", json!("ab")), "#/username", "too_short"),
        (
            with("username", json!("a".repeat(65))),
            "#/username",
            "too_long",
        ),
        (
            with("username", json!("Carol")),
            "#/username",
            "invalid_format",
        ),
        (
            with("username", json!("car ol")),
            "#/username",
            "invalid_format",
        ),
        (
            with("username", json!("carol\n")),
            "#/username",
            "invalid_format",
        ),
        (with("email", json!("carol")), "#/email", "invalid_format"),
        (with("email", json!("carol@")), "#/email", "invalid_format"),
        (
            with("email", json!("a..b@example.com")),
            "#/email",
            "invalid_format",
        ),
        (
            with("email", json!("a@-x.com")),
            "#/email",
            "invalid_format",
        ),
        (
            with("email", json!("a b@example.com")),
            "#/email",
            "invalid_format",
        ),
        (
            with("email", json!("a@x\r\nBcc: b@example.com")),
            "#/email",
            "invalid_format",
        ),
        (
            with("email", json!(format!("{}@example.com", "a".repeat(250)))),
            "#/email",
            "too_long",
        ),
        (
            with("status", json!("deleted")),
            "#/status",
            "invalid_value",
        ),
        (with("status", json!(null)), "#/status", "invalid_value"),
        (
            with("profile", json!({ "phone": "030 123" })),
            "#/profile/phone",
            "invalid_format",
        ),
        (
            with("profile", json!({ "phone": "+0123" })),
            "#/profile/phone",
            "invalid_format",
        ),
        (
            with("profile", json!({ "locale": "german!" })),
            "#/profile/locale",
            "invalid_format",
        ),
        (
            with("profile", json!({ "timezone": "../etc" })),
            "#/profile/timezone",
            "invalid_format",
        ),
        (
            with("profile", json!({ "first_name": "" })),
            "#/profile/first_name",
            "too_short",
        ),
        (
            with("profile", json!({ "nickname": "C" })),
            "#/profile/nickname",
            "unknown_field",
        ),
        (
            with("consent", json!({ "email": "yes" })),
            "#/consent/email",
            "invalid_type",
        ),
        (with("external_id", json!("")), "#/external_id", "too_short"),
        (
            with("metadata", json!({ "k": "v".repeat(501) })),
            "#/metadata/k",
            "too_long",
        ),
        (
            with("metadata", json!({ "k": 1 })),
            "#/metadata/k",
            "invalid_type",
        ),
        (
            with(
                "metadata",
                Value::Object((0..51).map(|n| (n.to_string(), json!("x"))).collect()),
            ),
            "#/metadata",
            "too_many",
        ),
        (
            address("country", json!("UK")),
            "#/addresses/0/country",
            "invalid_value",
        ),
        (
            address("country", json!("at")),
            "#/addresses/0/country",
            "invalid_value",
        ),
        (
            address("line1", json!(null)),
            "#/addresses/0/line1",
            "invalid_type",
        ),
        (
            address("id", json!("user_1")),
            "#/addresses/0/id",
            "invalid_format",
        ),
        (
            address("zip", json!("1010")),
            "#/addresses/0/zip",
            "unknown_field",
        ),
        (
            with(
                "addresses",
                json!([{ "id": "addr_1", "line1": "1", "city": "W", "country": "AT" }, { "id": "addr_1", "line1": "1", "city": "W", "country": "AT" }]),
            ),
            "#/addresses/1/id",
            "not_unique",
        ),
        (with("id", json!("user_1")), "#/id", "unknown_field"),
        (
            with("orders_count", json!(0)),
            "#/orders_count",
            "unknown_field",
        ),
    ];
    for (body, pointer, code) in table {
        let reply = shop.post("/v2/users", body.clone()).await;
        assert_eq!(fault(&reply), (422, "invalid_body".into()), "{body}");
        assert!(
            pointers(&reply).contains(&(pointer.into(), code.into())),
            "{body}: {}",
            reply.text()
        );
    }
    let several = shop
        .post(
            "/v2/users",
            json!({ "username": "A", "email": "?", "nope": 1 }),
        )
        .await;
    assert!(
        pointers(&several).len() >= 4,
        "all at once: {}",
        several.text()
    );
    assert_eq!(shop.get("/v2/users").await.text(), "[]");
}

#[tokio::test]
async fn usernames_emails_and_external_ids_are_unique() {
    let (_app, shop) = with_demo_users().await;
    let both = shop
        .post(
            "/v2/users",
            json!({ "username": "alice", "email": "BOB@example.COM" }),
        )
        .await;
    assert_eq!(fault(&both), (409, "duplicate".into()));
    assert_eq!(
        pointers(&both),
        [
            ("#/username".into(), "duplicate".into()),
            ("#/email".into(), "duplicate".into())
        ]
    );
    let renamed = shop
        .patch(
            "/v2/users/user_456",
            json!({ "email": "Alice@Example.com" }),
        )
        .await;
    assert_eq!(
        (renamed.status, pointers(&renamed)),
        (409, vec![("#/email".into(), "duplicate".into())])
    );
    assert_eq!(
        shop.patch("/v2/users/user_456", json!({ "email": "BOB@example.com" }))
            .await
            .status,
        200,
        "one's own"
    );
    assert_eq!(
        shop.patch("/v2/users/user_123", json!({ "external_id": "x" }))
            .await
            .status,
        200
    );
    let taken = shop
        .patch("/v2/users/user_456", json!({ "external_id": "x" }))
        .await;
    assert_eq!(
        pointers(&taken),
        [("#/external_id".into(), "duplicate".into())]
    );
    assert_eq!(
        shop.patch("/v2/users/user_456", json!({ "external_id": "X" }))
            .await
            .status,
        200,
        "case matters here"
    );
}

#[tokio::test]
async fn of_two_that_want_the_same_name_at_once_one_gets_it() {
    let app = TestApp::start().await;
    let shop = app.client(ALL).await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let shop = shop.clone();
            tokio::spawn(async move {
                shop.post(
                    "/v2/users",
                    json!({ "username": "eve", "email": format!("e{n}@x.org") }),
                )
                .await
                .status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.expect("no panic"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_get_sent_back_changes_nothing() {
    let (app, shop) = with_demo_users().await;
    let first = shop.get("/v2/users/user_123").await;
    app.clock.advance(Duration::from_secs(60));
    let put = shop.put("/v2/users/user_123", first.json()).await;
    assert_eq!((put.status, put.text()), (200, first.text()));
    let mut renamed = first.json();
    renamed["profile"]["last_name"] = json!("Jones");
    renamed["addresses"] = json!([{ "line1": "1 Main St", "city": "Bern", "country": "CH" }]);
    let put = shop.put("/v2/users/user_123", renamed.clone()).await;
    assert_eq!(
        (put.status, &put.json()["version"]),
        (200, &json!(2)),
        "{}",
        put.text()
    );
    assert_eq!(put.json()["updated_at"], "2023-10-27T10:01:00Z");
    let address = put.json()["addresses"][0]["id"].clone();
    assert_eq!(
        shop.put("/v2/users/user_123", put.json()).await.json()["addresses"][0]["id"],
        address,
        "ids are kept"
    );
    renamed["orders_count"] = json!(5);
    renamed["updated_at"] = json!("2023-10-27T10:00:00Z");
    renamed["version"] = json!(9);
    let put = shop.put("/v2/users/user_123", renamed.clone()).await;
    assert_eq!(put.status, 200, "computed fields move: {}", put.text());
    assert_eq!(put.json()["orders_count"], first.json()["orders_count"]);
    renamed["created_at"] = json!("2020-01-01T00:00:00Z");
    let refused = shop.put("/v2/users/user_123", renamed).await;
    assert!(
        pointers(&refused).contains(&("#/created_at".into(), "read_only".into())),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn a_change_merges_objects_replaces_arrays_and_clears_nulls() {
    let (_app, shop) = with_demo_users().await;
    let change = json!({ "profile": { "phone": "+12025550123", "last_name": null }, "metadata": { "a": "1", "b": "2" }, "consent": { "sms": true }, "external_id": "x" });
    let body = shop.patch("/v2/users/user_123", change).await.json();
    assert_eq!(
        body["profile"],
        json!({ "first_name": "Alice", "phone": "+12025550123" })
    );
    assert_eq!(
        body["consent"],
        json!({ "email": false, "sms": true, "push": false })
    );
    let body = shop
        .patch(
            "/v2/users/user_123",
            json!({ "metadata": { "a": null }, "external_id": null, "profile": null }),
        )
        .await
        .json();
    assert_eq!(
        (&body["metadata"], &body["external_id"], &body["profile"]),
        (&json!({ "b": "2" }), &Value::Null, &json!({}))
    );
    for (change, pointer) in [
        (json!({ "username": null }), "#/username"),
        (json!({ "profile": { "phone": "1" } }), "#/profile/phone"),
        (json!({ "consent": { "sms": null } }), "#/consent/sms"),
        (
            json!({ "addresses": [{ "line1": "1" }] }),
            "#/addresses/0/city",
        ),
        (json!({ "id": "user_1" }), "#/id"),
        (json!({ "nope": 1 }), "#/nope"),
        (
            json!({ "metadata": Value::Object((0..50).map(|n| (n.to_string(), json!("x"))).collect()) }),
            "#/metadata",
        ),
    ] {
        let reply = shop.patch("/v2/users/user_123", change.clone()).await;
        assert!(
            reply.status == 422 && pointers(&reply).iter().any(|(at, _)| at == pointer),
            "{change}: {}",
            reply.text()
        );
    }
    assert_eq!(
        shop.patch("/v2/users/user_999", json!({})).await.status,
        404
    );
}

#[tokio::test]
async fn a_write_on_an_old_version_is_refused() {
    let (_app, shop) = with_demo_users().await;
    let tag = shop
        .get("/v2/users/user_123")
        .await
        .header("etag")
        .to_owned();
    let send = async |method: Method, tag: &str, body: Value| {
        shop.request(method, "/v2/users/user_123")
            .header("if-match", tag)
            .json(&body)
            .send()
            .await
    };
    assert_eq!(
        send(Method::PATCH, &tag, json!({ "status": "inactive" }))
            .await
            .status,
        200
    );
    for (method, body) in [
        (Method::PUT, json!({ "status": "active" })),
        (Method::PATCH, json!({})),
        (Method::DELETE, json!({})),
    ] {
        let refused = send(method.clone(), &tag, body).await;
        assert_eq!(
            fault(&refused),
            (412, "precondition_failed".into()),
            "{method}"
        );
        let current = shop.get("/v2/users/user_123").await;
        assert_eq!(refused.header("etag"), current.header("etag"), "{method}");
    }
    let unchanged = shop.get("/v2/users/user_123").await;
    let cached = shop
        .request(Method::GET, "/v2/users/user_123")
        .header("if-none-match", unchanged.header("etag"))
        .send()
        .await;
    assert_eq!((cached.status, cached.body.len()), (304, 0));
}

#[tokio::test]
async fn a_repeated_create_creates_once() {
    let app = TestApp::start().await;
    let shop = app.client(ALL).await;
    let send = async |body: Value| {
        shop.request(Method::POST, "/v2/users")
            .header("idempotency-key", "k-1")
            .json(&body)
            .send()
            .await
    };
    let body = json!({ "username": "carol", "email": "carol@example.com" });
    let first = send(body.clone()).await;
    let again = send(body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(
        (again.text(), again.header("location"), again.header("etag")),
        (first.text(), first.header("location"), first.header("etag"))
    );
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(
        fault(&send(json!({ "username": "dan", "email": "d@x" })).await),
        (422, "idempotency_key_reused".into())
    );
    assert_eq!(
        shop.get("/v2/users").await.json().as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn orders_are_summed_by_currency() {
    let (app, shop) = with_demo_users().await;
    add_order(&app, "ord_1", "1", ["order", "confirmed", "USD"], 1999).await;
    add_order(&app, "ord_2", "2", ["order", "completed", "EUR"], 500).await;
    add_order(
        &app,
        "ord_3",
        "3",
        ["credit_note", "completed", "USD"],
        -999,
    )
    .await;
    add_order(&app, "ord_4", "4", ["order", "cancelled", "USD"], 7777).await;
    let body = shop.get("/v2/users/user_123").await.json();
    assert_eq!(body["orders_count"], 2);
    assert_eq!(
        body["total_spent"],
        json!([{ "amount": 500, "currency": "EUR" }, { "amount": 1000, "currency": "USD" }])
    );
    assert_eq!(
        shop.get("/v2/users/user_456").await.json()["orders_count"],
        0
    );
}

#[tokio::test]
async fn an_export_holds_all_and_needs_each_scope() {
    let (app, shop) = with_demo_users().await;
    let said = json!({ "user_id": "user_123", "message": "Shipped!", "type": "sms" });
    assert_eq!(shop.post("/v2/notifications", said).await.status, 202);
    add_order(&app, "ord_1", "1001", ["order", "confirmed", "USD"], 1999).await;
    let export = shop.get("/v2/users/user_123/export").await.json();
    assert_eq!(export["user"]["profile"]["first_name"], "Alice");
    assert_eq!(
        export["orders"][0]["shipping_address"]["line1"],
        "1 Main St"
    );
    assert_eq!(
        (
            &export["orders"][0]["number"],
            &export["orders"][0]["totals"]["total"]
        ),
        (&json!("1001"), &json!(1999))
    );
    let said = &export["notifications"][0];
    assert_eq!(
        (&said["message"], &said["type"], &said["status"]),
        (&json!("Shipped!"), &json!("sms"), &json!("queued"))
    );
    for scopes in [
        "users:read",
        "users:read orders:read",
        "users:read notifications:read",
    ] {
        let narrow = app.client(scopes).await;
        assert_eq!(
            fault(&narrow.get("/v2/users/user_123/export").await),
            (403, "insufficient_scope".into())
        );
    }
    assert_eq!(shop.get("/v2/users/user_999/export").await.status, 404);
}

/// All text of the tables that could name a person.
async fn everything_stored(app: &TestApp) -> String {
    let sql = "SELECT username || ' ' || username_folded || email || email_folded || profile || addresses || metadata || COALESCE(external_id, '') FROM users
        UNION ALL SELECT COALESCE(email, '') || COALESCE(shipping_address, '') || COALESCE(billing_address, '') || COALESCE(note, '') FROM orders
        UNION ALL SELECT data FROM events
        UNION ALL SELECT fingerprint || COALESCE(etag, '') || body FROM idempotency_keys";
    let mut tx = app.db.read().await.expect("a reader");
    tx.fetch_all(sql, &[], |row| row.get::<String>(0))
        .await
        .expect("rows")
        .join("\n")
}

#[tokio::test]
async fn an_anonymized_user_stays_and_tells_nothing() {
    let (app, shop) = with_demo_users().await;
    add_order(&app, "ord_1", "1001", ["order", "confirmed", "USD"], 1999).await;
    let personal = json!({ "addresses": [{ "line1": "1 Main St", "city": "Springfield", "country": "US" }], "external_id": "crm-alice", "metadata": { "who": "Smith" } });
    assert_eq!(shop.patch("/v2/users/user_123", personal).await.status, 200);
    let reply = shop.post("/v2/users/user_123/anonymize", json!({})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(
        (&body["status"], &body["orders_count"], &body["version"]),
        (&json!("inactive"), &json!(1), &json!(3))
    );
    let stored = everything_stored(&app).await;
    for trace in ["alice", "Alice", "Smith", "Main St", "crm-alice"] {
        assert!(!stored.contains(trace), "{trace} in {stored}");
    }
    let again = shop
        .request(Method::POST, "/v2/users/user_123/anonymize")
        .send()
        .await;
    assert_eq!(
        (again.status, again.text()),
        (200, reply.text()),
        "doing it again changes nothing"
    );
    assert_eq!(
        fault(
            &shop
                .patch("/v2/users/user_123", json!({ "status": "active" }))
                .await
        ),
        (409, "user_anonymized".into())
    );
    assert_eq!(
        shop.put("/v2/users/user_123", body).await.status,
        200,
        "a GET sent back"
    );
    let free =
        json!({ "username": "alice", "email": "alice@example.com", "external_id": "crm-alice" });
    assert_eq!(shop.post("/v2/users", free).await.status, 201);
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_its_names_are_free() {
    let (app, shop) = with_demo_users().await;
    add_order(&app, "ord_1", "1001", ["order", "confirmed", "USD"], 1999).await;
    for id in ["user_123", "user_456"] {
        let path = format!("/v2/users/{id}");
        let reply = shop.delete(&path).await;
        assert_eq!((reply.status, reply.body.len()), (204, 0));
        assert_eq!(shop.get(&path).await.status, 404);
        assert_eq!(shop.delete(&path).await.status, 404);
        assert_eq!(shop.patch(&path, json!({})).await.status, 404);
        assert_eq!(
            shop.post(&format!("{path}/anonymize"), json!({}))
                .await
                .status,
            404
        );
        assert_eq!(shop.get(&format!("{path}/export")).await.status, 404);
    }
    assert_eq!(shop.get("/v2/users").await.text(), "[]");
    let stored = everything_stored(&app).await;
    assert!(
        !stored.contains("alice") && !stored.contains("Smith"),
        "{stored}"
    );
    let free = json!({ "username": "alice", "email": "alice@example.com" });
    assert_eq!(shop.post("/v2/users", free).await.status, 201);
}

#[tokio::test]
async fn what_was_answered_is_forgotten_and_still_not_done_twice() {
    let app = TestApp::start().await;
    let shop = app
        .client("users:read users:write orders:read orders:write products:write")
        .await;
    let mug = json!({ "title": "Mug", "status": "active", "sku": "MUG", "price": 1250, "currency": "USD" });
    assert_eq!(shop.post("/v2/products", mug).await.status, 201);
    let send = async |method: Method, path: &str, key: &str, body: &Value| {
        let request = shop.request(method, path).header("idempotency-key", key);
        request.json(body).send().await
    };
    let new = json!({ "username": "carla", "email": "carla@example.com" });
    let user = send(Method::POST, "/v2/users", "create", &new).await.json();
    let path = format!("/v2/users/{}", user["id"].as_str().unwrap());
    let profile = json!({ "profile": { "first_name": "Carla" } });
    assert_eq!(
        send(Method::PATCH, &path, "patch", &profile).await.status,
        200
    );
    let taken = json!({ "username": "other", "email": "carla@example.com" });
    assert_eq!(
        send(Method::POST, "/v2/users", "taken", &taken)
            .await
            .status,
        409
    );
    let order = json!({ "user_id": user["id"], "currency": "USD", "note": "for Carla", "items": [{ "sku": "MUG", "quantity": 1 }] });
    let placed = send(Method::POST, "/v2/orders", "order", &order)
        .await
        .json();
    let confirm = format!("/v2/orders/{}/confirm", placed["id"].as_str().unwrap());
    assert_eq!(
        send(Method::POST, &confirm, "confirm", &json!({}))
            .await
            .status,
        200
    );
    let stranger = json!({ "username": "dora", "email": "dora@example.com" });
    let stranger_made = send(Method::POST, "/v2/users", "dora", &stranger).await;
    assert!(everything_stored(&app).await.contains("carla@example.com"));

    let anonymize = format!("{path}/anonymize");
    let done = send(Method::POST, &anonymize, "forget", &json!({})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let stored = everything_stored(&app).await;
    for trace in ["carla", "Carla"] {
        assert!(!stored.contains(trace), "{trace} in {stored}");
    }
    for (method, path, key, body, status) in [
        (Method::POST, "/v2/users", "create", &new, 201),
        (Method::PATCH, path.as_str(), "patch", &profile, 200),
        (Method::POST, "/v2/orders", "order", &order, 201),
        (Method::POST, confirm.as_str(), "confirm", &json!({}), 200),
    ] {
        let again = send(method, path, key, body).await;
        assert_eq!(fault(&again), (410, "answer_erased".into()), "{key}");
        assert_eq!(again.json()["original_status"], status, "{key}");
    }
    let again = send(Method::POST, "/v2/users", "create", &new).await;
    assert_eq!(again.json()["location"], json!(path));
    assert_eq!(
        shop.get("/v2/users?email=carla@example.com").await.text(),
        "[]"
    );
    assert_eq!(
        shop.get("/v2/orders").await.json().as_array().map(Vec::len),
        Some(1)
    );

    let replay = send(Method::POST, &anonymize, "forget", &json!({})).await;
    assert_eq!((replay.status, replay.body), (200, done.body));
    let replay = send(Method::POST, "/v2/users", "dora", &stranger).await;
    assert_eq!((replay.status, replay.body), (201, stranger_made.body));
    let replay = send(Method::POST, "/v2/users", "taken", &taken).await;
    assert_eq!(replay.status, 409, "a refusal names nobody and stays");

    app.clock.advance(Duration::from_secs(25 * 3600));
    let shop = app.client("users:write").await;
    let free = shop
        .request(Method::POST, "/v2/users")
        .header("idempotency-key", "create");
    assert_eq!(free.json(&new).send().await.status, 201);
}

#[tokio::test]
async fn orders_that_a_guest_placed_with_the_same_email_are_forgotten_unless_told_otherwise() {
    let app = TestApp::start().await;
    let shop = app
        .client("users:read users:write orders:read orders:write products:write")
        .await;
    let mug = json!({ "title": "Mug", "status": "active", "sku": "MUG", "price": 1250, "currency": "USD" });
    assert_eq!(shop.post("/v2/products", mug).await.status, 201);
    let place = async |email: &str, user_id: Option<&Value>, key: &str| {
        let mut order = json!({ "email": email, "currency": "USD", "external_id": key, "items": [{ "sku": "MUG", "quantity": 1 }],
            "shipping_address": { "line1": "1 Main St", "city": "Springfield", "country": "US" } });
        if let Some(id) = user_id {
            order["user_id"] = id.clone();
        }
        let request = shop
            .request(Method::POST, "/v2/orders")
            .header("idempotency-key", key);
        let reply = request.json(&order).send().await;
        assert!([201, 410].contains(&reply.status), "{}", reply.text());
        reply
    };
    let mut users = Vec::new();
    for (name, email) in [
        ("erin", "erin@example.com"),
        ("finn", "desk@example.com"),
        ("gwen", "gwen@example.com"),
    ] {
        let user = shop
            .post("/v2/users", json!({ "username": name, "email": email }))
            .await
            .json();
        users.push(user["id"].clone());
    }
    place("Erin@Example.com", None, "guest").await;
    place("desk@example.com", None, "desk").await;
    place("gwen@example.com", None, "gwen").await;
    place("erin@example.com", Some(&users[1]), "of-another").await; // finn has it sent to erin
    let stays = async |key: &str| {
        let found = shop
            .get(&format!("/v2/orders?external_id={key}"))
            .await
            .json();
        assert_eq!(found[0]["country"], "US", "tax law wants the country kept");
        !found[0]["email"].is_null() && !found[0]["shipping_address"].is_null()
    };
    let forget = async |user: &Value, body: Value| {
        let path = format!("/v2/users/{}/anonymize", user.as_str().unwrap());
        assert_eq!(shop.post(&path, body).await.status, 200);
    };
    forget(&users[0], json!({})).await;
    assert_eq!(
        (
            stays("guest").await,
            stays("desk").await,
            stays("of-another").await
        ),
        (false, true, true)
    );
    assert_eq!(
        fault(&place("Erin@Example.com", None, "guest").await),
        (410, "answer_erased".into())
    );
    forget(&users[1], json!({ "guest_orders": false })).await;
    assert_eq!(
        (stays("desk").await, stays("of-another").await),
        (true, false)
    );
    assert_eq!(
        place("desk@example.com", None, "desk")
            .await
            .header("idempotent-replayed"),
        "true"
    );
    let path = format!("/v2/users/{}", users[2].as_str().unwrap());
    assert_eq!(shop.delete(&path).await.status, 204);
    assert!(!stays("gwen").await);
    let refused = shop
        .post(&format!("{path}/anonymize"), json!({ "guests": 1 }))
        .await;
    assert_eq!(fault(&refused), (422, "invalid_body".into()));
}

#[tokio::test]
async fn each_change_is_in_the_log_without_personal_data() {
    let (app, shop) = with_demo_users().await;
    shop.patch(
        "/v2/users/user_456",
        json!({ "email": "robert@example.com" }),
    )
    .await;
    shop.post("/v2/users/user_456/anonymize", json!({})).await;
    shop.delete("/v2/users/user_456").await;
    let mut tx = app.db.read().await.expect("a reader");
    let events = platform::events::of_object(&mut tx, "user", "user_456", 100, 0)
        .await
        .expect("events");
    let told: Vec<(String, i64, String)> = events
        .into_iter()
        .map(|event| (event.kind, event.object_version, event.data))
        .collect();
    let wanted = [
        ("user.created", 1, r#"{"status":"active"}"#),
        ("user.updated", 2, r#"{"changed":["email"]}"#),
        ("user.anonymized", 3, "{}"),
        ("user.deleted", 4, "{}"),
    ];
    assert_eq!(
        told,
        wanted.map(|(kind, version, data)| (kind.to_owned(), version, data.to_owned()))
    );
}

#[tokio::test]
async fn changes_at_the_same_moment_are_all_kept() {
    let (_app, shop) = with_demo_users().await;
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let shop = shop.clone();
            tokio::spawn(async move {
                shop.patch(
                    "/v2/users/user_123",
                    json!({ "metadata": { format!("k{n}"): "x" } }),
                )
                .await
                .status
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), 200);
    }
    let body = shop.get("/v2/users/user_123").await.json();
    assert_eq!(
        (body["metadata"].as_object().map(Map::len), &body["version"]),
        (Some(8), &json!(9))
    );
}

/// Any JSON, with the names of our fields more often than chance would.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "username",
            "email",
            "status",
            "profile",
            "addresses",
            "consent",
            "external_id",
            "metadata",
            "phone",
            "country",
            "line1",
            "city",
            "id",
            "version"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,80}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "active",
            "carol",
            "a@b.example",
            "+4930123456",
            "AT",
            "addr_1",
            "user_123"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

#[test]
fn any_body_query_and_id_are_answered_without_a_fault() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (_app, shop) = runtime.block_on(with_demo_users());
    let config = ProptestConfig {
        cases: 192,
        ..ProptestConfig::default()
    };
    proptest!(config, |(body in any_json(), name in "[a-z]{3,10}", text in "\\PC{0,60}")| {
        let mut near = with("username", json!(name));
        if let (Some(near), Value::Object(members)) = (near.as_object_mut(), &body) {
            near.extend(members.clone());
        }
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        runtime.block_on(async {
            let replies = [
                shop.post("/v2/users", body.clone()).await,
                shop.post("/v2/users", near.clone()).await,
                shop.patch("/v2/users/user_123", body.clone()).await,
                shop.put("/v2/users/user_456", body.clone()).await,
                shop.post("/v2/users/user_999/anonymize", body.clone()).await,
                shop.get(&format!("/v2/users/{encoded}")).await,
                shop.get(&format!("/v2/users?q={encoded}&email={encoded}&external_id={encoded}")).await,
                shop.get(&format!("/v2/users?ids={encoded}&sort={encoded}&status={encoded}&cursor={encoded}")).await,
                shop.get("/v2/users/user_123").await,
                shop.get("/v2/users?limit=250").await,
            ];
            for reply in replies {
                prop_assert!(reply.status < 500, "{}: {}", reply.status, reply.text());
            }
            Ok(())
        })?;
    });
}
