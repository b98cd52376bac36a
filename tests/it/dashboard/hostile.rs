//! Whatever a form or an address says, the answer is a page.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use axum::http::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use tradepost::dashboard::routes;

/// Values that are too long, too large, of another kind, or mean something to somebody.
const VALUES: [&str; 14] = [
    "",
    " ",
    "\0",
    "-1",
    "9223372036854775808",
    "99999999999999999999.99",
    "1e309",
    "NaN",
    "2023-13-45T99:99",
    "<script>\"'`${{}}",
    "' OR 1=1 --",
    "%00%ff\u{202e}\u{fffd}🫖",
    "../../etc/passwd\r\nset-cookie: a=b",
    "{\"keys\":[{\"kty\":\"OKP\"}]}",
];

/// Every name of a field in our pages, and of a parameter that they understand.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/templates");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("templates") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for rest in text.split(" name=\"").skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            names.insert(name.to_owned());
        }
    }
    for more in [
        "cursor",
        "done",
        "next",
        "client_id",
        "redirect_uri",
        "state",
        "code_challenge",
    ] {
        names.insert(more.to_owned());
    }
    let plain = |name: &String| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    names
        .into_iter()
        .filter(|name| name != "form" && plain(name))
        .collect()
}

/// The routes, with ids of what is there and of what is not.
async fn paths(app: &TestApp) -> Vec<(Method, String)> {
    let api = app.client("products:write orders:write users:write").await;
    let product = json!({ "title": "Pot", "status": "active", "sku": "POT", "price": 100, "currency": "USD", "inventory_quantity": 3 });
    let product = api.post("/v2/products", product).await.json();
    let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "POT", "quantity": 1 }] });
    let order = api.post("/v2/orders", order).await.json();
    let user = json!({ "username": "ada", "email": "ada@example.com" });
    let user = api.post("/v2/users", user).await.json();
    let (client, _) = app.credentials("orders:read").await;
    let text = |value: &serde_json::Value| value.as_str().expect("an id").to_owned();
    let variant = text(&product["variants"][0]["id"]);
    let mut paths = Vec::new();
    for route in routes() {
        let own = match route.path.split('/').nth(2).unwrap_or_default() {
            "orders" => text(&order["id"]),
            "products" => text(&product["id"]),
            "customers" => text(&user["id"]),
            "credentials" => client.clone(),
            _ => "none_1".to_owned(),
        };
        // It would end the session that the others need, and the live page does not end by itself.
        let left_out = ["/dashboard/sign-out", "/dashboard/requests/live"];
        if left_out.contains(&route.path) {
            continue;
        }
        for (id, variant) in [(&*own, &*variant), ("%00", "%ff"), ("🫖", "..")] {
            let path = route.path.replace("{id}", id).replace("{variant}", variant);
            paths.push((route.method.clone(), path.replace("{file}", "a.css")));
        }
    }
    paths
}

#[tokio::test]
async fn no_form_and_no_address_makes_the_server_fail() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let names = names();
    assert!(names.len() > 60, "{names:?}");
    let paths = paths(&app).await;
    let mut statuses = BTreeSet::new();
    for (turn, (method, path)) in paths.iter().enumerate() {
        for shift in 0..4 {
            let value = |number: usize| match VALUES[(number * 5 + turn + shift * 7) % VALUES.len()]
            {
                "\0" if shift > 0 => "x", // no form with it comes as far as its page
                value => value,
            };
            let fields: Vec<(&str, String)> = (0..)
                .zip(&names)
                .map(|(number, name)| (name.as_str(), value(number).to_owned()))
                .collect();
            let reply = match *method {
                Method::POST => owner.post(path, &fields).await,
                _ => {
                    let pairs = fields.iter().map(|(name, value)| {
                        let value: String =
                            value.bytes().map(|byte| format!("%{byte:02x}")).collect();
                        format!("{name}={value}")
                    });
                    let query = pairs.collect::<Vec<_>>().join("&");
                    owner.get(&format!("{path}?{query}")).await
                }
            };
            assert!(
                reply.status < 500,
                "{method} {path} turn {turn} shift {shift}: {} {}",
                reply.status,
                reply.text()
            );
            statuses.insert((method.as_str(), reply.status));
            let cookies = reply.headers.get_all("set-cookie").iter();
            for cookie in cookies {
                assert!(
                    cookie.to_str().expect("ASCII").starts_with("__Host-"),
                    "{cookie:?}"
                );
            }
        }
    }
    for seen in [("GET", 200), ("GET", 404), ("POST", 404), ("POST", 422)] {
        assert!(statuses.contains(&seen), "{seen:?} in {statuses:?}");
    }
    assert_eq!(owner.get("/dashboard").await.status, 200, "still signed in");
}
