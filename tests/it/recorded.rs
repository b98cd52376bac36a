//! The examples of `/docs` are what the program answers: every operation of the OpenAPI document is asked for
//! a success and a refusal, and `src/docs/recorded.json` holds what was said. `cargo xtask record` writes it.

use crate::app::{Client, TestApp};
use crate::program::Place;
use axum::http::Method;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use tradepost::oauth::Scopes;
use tradepost::openapi;

/// Longer answers are cut: they are files or pages, and the first lines show what they are.
const ANSWER_BYTES_MAX: usize = 5_000;
const CUT_BYTES: usize = 120;
const FILE_BYTES_MAX: usize = 150_000;
/// What tells an integrator something; the rest is the same everywhere.
const ANSWER_HEADERS: [&str; 8] = [
    "content-type",
    "location",
    "etag",
    "link",
    "retry-after",
    "idempotent-replayed",
    "content-disposition",
    "www-authenticate",
];

/// Values that differ at every run, by their names, and what stands in the file instead.
const REPLACED: [(&str, &str); 13] = [
    (
        "instance",
        "urn:request:0192f3a0-7c1e-7000-8000-000000000000",
    ),
    ("access_token", "eyJhbGciOiJIUzI1NiIsIn..."),
    ("token", "eyJhbGciOiJIUzI1NiIsIn..."),
    ("client_id", "YOUR_CLIENT_ID"),
    ("client_secret", "YOUR_CLIENT_SECRET"),
    ("request_id", "0192f3a0-7c1e-7000-8000-000000000000"),
    ("jti", "tok_01hdr5z7k00000000000000000"),
    ("kid", "2023-10-27"),
    ("x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
    ("y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    ("n", "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4"),
    ("device_code", "YOUR_DEVICE_CODE"),
    ("user_code", "BCDF-GHJK"),
];

struct Recorder {
    app: TestApp,
    shop: Client,
    document: Value,
    exchanges: Map<String, Value>,
    /// Values of this run that no rule knows by name, and their stand-ins.
    stands_for: HashMap<String, String>,
    secrets: Vec<String>,
    /// Answers with another status than the story expects, told together at its end.
    faults: Vec<String>,
}

/// A request under construction.
struct Ask {
    id: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

fn ask(id: &'static str, target: impl Into<String>) -> Ask {
    Ask {
        id,
        target: target.into(),
        headers: Vec::new(),
        body: None,
    }
}

impl Ask {
    fn header(mut self, name: &'static str, value: &str) -> Ask {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn body(mut self, body: Value) -> Ask {
        self.body = Some(body);
        self
    }
}

/// What the next request needs of an answer.
struct Answer {
    body: Value,
    etag: String,
}

impl Answer {
    fn id(&self) -> &str {
        self.body["id"].as_str().expect("an id")
    }
}

impl Recorder {
    /// Sends, records, and holds the status against the one that the story expects.
    async fn take(&mut self, status: u16, ask: Ask) -> Answer {
        let (method, path, operation) = self.operation(ask.id);
        assert!(fits(&path, &ask.target), "{} is no {path}", ask.target);
        let is_public = operation["security"][0].get("oauth2").is_none();
        let patch = operation.pointer("/requestBody/content/application~1merge-patch+json");
        let content_type = match patch {
            Some(_) => "application/merge-patch+json",
            None => "application/json",
        };
        let caller = match is_public {
            true => self.app.anonymous(),
            false => self.shop.clone(),
        };
        let mut headers = Map::new();
        if !is_public {
            headers.insert("Authorization".into(), json!("Bearer $TOKEN"));
        }
        let mut call = caller.request(method, &ask.target);
        for (name, value) in &ask.headers {
            call = call.header(name, value);
            headers.insert((*name).into(), json!(value));
        }
        if let Some(body) = &ask.body {
            call = call
                .header("content-type", content_type)
                .body(body.to_string());
            headers.insert("Content-Type".into(), json!(content_type));
        }
        let reply = call.send().await;
        if reply.status != status {
            let told = format!("{} {}: {}", ask.id, reply.status, reply.text());
            self.faults.push(told);
        }
        let answer_headers: Map<String, Value> = ANSWER_HEADERS
            .iter()
            .filter(|name| reply.headers.contains_key(**name))
            .map(|name| ((*name).to_owned(), json!(reply.header(name))))
            .collect();
        let etag = reply.header("etag").to_owned();
        let (text, body) = (reply.text(), reply.json_or_none().unwrap_or_default());
        let shown = match &body {
            _ if ask.id == "getMetrics" && status == 200 => queues(&text),
            _ if text.len() > ANSWER_BYTES_MAX => cut(&text),
            Value::Null if text.is_empty() => Value::Null,
            Value::Null => cut(&text),
            body => body.clone(),
        };
        let mut exchange = Map::new();
        exchange.insert("target".into(), json!(ask.target));
        exchange.insert("headers".into(), Value::Object(headers));
        exchange.extend(ask.body.map(|body| ("body".to_owned(), body)));
        exchange.insert("status".into(), json!(status));
        exchange.insert("answer_headers".into(), Value::Object(answer_headers));
        if !shown.is_null() {
            exchange.insert("answer".into(), shown);
        }
        let exchange = self.steady("", Value::Object(exchange));
        let all = self.exchanges.entry(ask.id).or_insert_with(|| json!([]));
        all.as_array_mut().expect("a list").push(exchange);
        Answer { body, etag }
    }

    fn operation(&self, id: &str) -> (Method, String, Value) {
        for (path, item) in self.document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("methods") {
                if operation["operationId"] == id {
                    let method = method.to_uppercase().parse().expect("a method");
                    return (method, path.clone(), operation.clone());
                }
            }
        }
        panic!("there is no operation {id}");
    }

    /// The same value at every run.
    fn steady(&mut self, name: &str, value: Value) -> Value {
        match value {
            Value::String(text) => {
                let replaced = REPLACED.iter().find(|(known, _)| *known == name);
                match replaced {
                    Some((_, stand_in)) => json!(stand_in),
                    None => json!(self.steady_text(name, &text)),
                }
            }
            Value::Array(mut items) if name == "keys" => {
                // Their order is that of their random names.
                items.sort_by_key(|key| key["kty"].to_string());
                items.into_iter().map(|v| self.steady("", v)).collect()
            }
            Value::Array(items) => items.into_iter().map(|v| self.steady(name, v)).collect(),
            Value::Object(members) => {
                let each = members.into_iter();
                Value::Object(each.map(|(k, v)| (k.clone(), self.steady(&k, v))).collect())
            }
            // How long the server took.
            Value::Number(_) if name == "took_ms" => json!(1),
            other => other,
        }
    }

    /// Ids, cursors and hashed entity tags in a text, numbered as they come.
    fn steady_text(&mut self, name: &str, text: &str) -> String {
        if matches!(name, "etag" | "If-Match") {
            let version = text.split_once('.').map_or("\"1", |(version, _)| version);
            let number = self.stands_for.len() as u32;
            let next = format!("{version}.{:08x}\"", number.wrapping_mul(0x9e37_79b9));
            let known = self.stands_for.entry(text.to_owned());
            return known.or_insert(next).clone();
        }
        if text == "postgresql answers" {
            return "sqlite answers".to_owned();
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut out = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if out.ends_with("cursor=") || out.ends_with("user_code=") {
                let is_code = |c: char| is_word(c) || c == '-';
                rest = rest.trim_start_matches(is_code);
                out.push_str("NEXT");
                continue;
            }
            let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
            if word.is_empty() {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
            rest = &rest[word.len()..];
            match word.split_once('_') {
                Some(("cli", id)) if id.len() >= 16 => out.push_str("YOUR_CLIENT_ID"),
                Some(("reg", id)) if id.len() == 43 => out.push_str("YOUR_INITIAL_TOKEN"),
                Some(("rat", id)) if id.len() == 43 => out.push_str("YOUR_REGISTRATION_TOKEN"),
                Some((prefix, id)) if id.len() == 26 && id.starts_with('0') => {
                    let next = format!("{prefix}_01hdr5z7k0{:016}", self.stands_for.len() + 1);
                    let known = self.stands_for.entry(word.to_owned());
                    out.push_str(known.or_insert(next));
                }
                _ => out.push_str(word),
            }
        }
        out
    }
}

/// Whether a target is of a path with `{names}`.
fn fits(path: &str, target: &str) -> bool {
    let target = target.split('?').next().unwrap_or_default();
    let (mut wanted, mut real) = (path.split('/'), target.split('/'));
    wanted
        .by_ref()
        .zip(real.by_ref())
        .all(|(w, r)| w == r || w.starts_with('{'))
        && path.split('/').count() == target.split('/').count()
}

/// What the metrics say of the job queues. The rest counts all tests of this process together.
fn queues(metrics: &str) -> Value {
    let of_jobs = |line: &&str| {
        let begins = ["# HELP jobs ", "# TYPE jobs ", "jobs{"];
        begins.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = metrics.lines().filter(of_jobs).collect();
    assert!(lines.len() > 2, "{metrics}");
    json!(format!("{}\n…", lines.join("\n")))
}

fn cut(text: &str) -> Value {
    match text.len() > CUT_BYTES {
        true => json!(format!("{}…", &text[..text.floor_char_boundary(CUT_BYTES)])),
        false => json!(text),
    }
}

impl Recorder {
    async fn start() -> Recorder {
        let app = TestApp::start_with(|config| config.client_registration = true).await;
        let told = tradepost::demo::fill(&app, &app.config.public_url).await;
        told.expect("sample data");
        let (id, secret) = app
            .credentials_for_devices(&Scopes::all().to_string())
            .await;
        let document = openapi::document(&app.config.public_url);
        Recorder {
            shop: app.anonymous(),
            app,
            document: serde_json::from_str(&document).expect("JSON"),
            exchanges: Map::new(),
            stands_for: HashMap::new(),
            secrets: vec![id, secret],
            faults: Vec::new(),
        }
    }

    async fn authentication(&mut self) {
        let (id, secret) = (self.secrets[0].clone(), self.secrets[1].clone());
        let known = json!({ "client_id": id, "client_secret": secret });
        let with = |name: &str, value: &str| {
            let mut body = known.clone();
            body[name] = json!(value);
            body
        };
        let grant = with("grant_type", "client_credentials");
        let token = self
            .take(200, ask("createToken", "/oauth/token").body(grant.clone()))
            .await;
        let token = token.body["access_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        self.shop.token = Some(token.as_str().into());
        self.secrets.push(token.clone());
        let mut scope = grant.clone();
        scope["scope"] = json!("everything");
        self.take(400, ask("createToken", "/oauth/token").body(scope))
            .await;
        let mut wrong = grant;
        wrong["client_secret"] = json!("cs_wrong");
        self.take(401, ask("createToken", "/oauth/token").body(wrong))
            .await;
        for (op, path) in [
            ("introspectToken", "/oauth/introspect"),
            ("revokeToken", "/oauth/revoke"),
        ] {
            let one = match op {
                // The one that the rest of the story uses stays.
                "revokeToken" => with("token", "eyJ.another.token"),
                _ => with("token", &token),
            };
            self.take(200, ask(op, path).body(one)).await;
            self.take(400, ask(op, path).body(known.clone())).await;
        }
        let (device, path) = ("authorizeDevice", "/oauth/device_authorization");
        let codes = self.take(200, ask(device, path).body(known.clone())).await;
        for name in ["device_code", "user_code"] {
            let code = codes.body[name].as_str().expect("a code");
            self.secrets.push(code.to_owned());
        }
        self.take(400, ask(device, path).body(with("scope", "everything")))
            .await;
        for (op, path) in [
            ("getKeys", "/.well-known/jwks.json"),
            (
                "getAuthorizationServer",
                "/.well-known/oauth-authorization-server",
            ),
            (
                "getProtectedResource",
                "/.well-known/oauth-protected-resource",
            ),
            (
                "getProtectedResourceV2",
                "/.well-known/oauth-protected-resource/v2",
            ),
        ] {
            self.public(op, path).await;
        }
    }

    /// A client that registers itself, looks after itself, and goes.
    async fn registration(&mut self) {
        let (initial, _) =
            crate::oauth::dynamic::initial(&self.app, "products:read", 3, false).await;
        let bearer = |token: &str| format!("Bearer {token}");
        let mut client = json!({ "client_name": "Stock clock", "redirect_uris": ["https://clock.example/callback"],
            "grant_types": ["authorization_code", "refresh_token"], "scope": "products:read" });
        let path = "/oauth/register";
        let new = |body: &Value, token: &str| {
            let asked = ask("registerClient", path).header("Authorization", &bearer(token));
            asked.body(body.clone())
        };
        let made = self.take(201, new(&client, &initial)).await.body;
        let mut elsewhere = client.clone();
        elsewhere["redirect_uris"] = json!(["http://clock.example/callback"]);
        self.take(400, new(&elsewhere, &initial)).await;
        self.take(401, new(&client, "wrong")).await;
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        let (id, own) = (text("client_id"), text("registration_access_token"));
        self.secrets
            .extend([initial, own.clone(), id.clone(), text("client_secret")]);
        let path = format!("{path}/{id}");
        let with = |op, token: &str| ask(op, path.as_str()).header("Authorization", &bearer(token));
        self.take(200, with("getRegistration", &own)).await;
        self.take(401, with("getRegistration", "wrong")).await;
        client["client_id"] = json!(id);
        client["client_name"] = json!("Clock");
        let changed = with("updateRegistration", &own).body(client.clone());
        self.take(200, changed).await;
        client["token_endpoint_auth_method"] = json!("none");
        let changed = with("updateRegistration", &own).body(client);
        self.take(400, changed).await;
        self.take(204, with("deleteRegistration", &own)).await;
        self.take(401, with("deleteRegistration", &own)).await;
    }

    /// A success, and the refusal that each operation has for a misspelt parameter.
    async fn public(&mut self, op: &'static str, path: &str) {
        self.take(200, ask(op, path)).await;
        self.take(400, ask(op, format!("{path}?limt=10"))).await;
    }

    /// A list: two of it, and a page that is too large.
    async fn list(&mut self, op: &'static str, path: &str, more: &str) {
        self.take(200, ask(op, format!("{path}?limit=2{more}")))
            .await;
        self.take(400, ask(op, format!("{path}?limit=1000"))).await;
    }

    async fn users(&mut self) {
        let new = || ask("createUser", "/v2/users").header("Idempotency-Key", "signup-ada");
        let ada = json!({ "username": "ada", "email": "ada@example.com", "profile": { "first_name": "Ada", "last_name": "Lovelace" } });
        let made = self.take(201, new().body(ada.clone())).await;
        let again = ask("createUser", "/v2/users").header("Idempotency-Key", "signup-ada-2");
        self.take(409, again.body(ada)).await;
        let other = ask("createUser", "/v2/users").header("Idempotency-Key", "signup-ada-3");
        self.take(422, other.body(json!({ "username": "ada" })))
            .await;
        self.list("listUsers", "/v2/users", "&sort=created_at")
            .await;
        let read = self.take(200, ask("getUser", "/v2/users/user_123")).await;
        self.take(404, ask("getUser", "/v2/users/user_999")).await;
        let phone = json!({ "profile": { "phone": "+4930123456" } });
        let changed = ask("putUser", "/v2/users/user_123").header("If-Match", &read.etag);
        let later = self.take(200, changed.body(phone.clone())).await;
        let stale = ask("putUser", "/v2/users/user_123").header("If-Match", &read.etag);
        self.take(412, stale.body(phone)).await;
        let note = json!({ "metadata": { "tier": "gold" } });
        self.take(
            200,
            ask("patchUser", "/v2/users/user_123").body(note.clone()),
        )
        .await;
        let taken = json!({ "email": "bob@example.com" });
        self.take(409, ask("patchUser", "/v2/users/user_123").body(taken))
            .await;
        let orders = "/v2/users/user_123/orders";
        self.list("listUserOrders", orders, "").await;
        self.take(200, ask("exportUser", "/v2/users/user_123/export"))
            .await;
        self.take(404, ask("exportUser", "/v2/users/user_999/export"))
            .await;
        let id = made.id().to_owned();
        let forget = || ask("anonymizeUser", format!("/v2/users/{id}/anonymize"));
        let stale = forget().header("If-Match", &later.etag).body(json!({}));
        self.take(412, stale).await;
        self.take(200, forget().body(json!({ "guest_orders": true })))
            .await;
        let gone = ask("patchUser", format!("/v2/users/{id}"));
        self.take(409, gone.body(note)).await;
        let stale = ask("deleteUser", format!("/v2/users/{id}"));
        self.take(412, stale.header("If-Match", &read.etag)).await;
        let delete = ask("deleteUser", format!("/v2/users/{id}"));
        self.take(204, delete).await;
        self.take(404, ask("deleteUser", "/v2/users/user_999"))
            .await;
    }

    async fn products(&mut self) {
        let teapot = json!({ "title": "Teapot", "sku": "TEAPOT", "price": 3499, "currency": "USD", "inventory_quantity": 5, "categories": ["kitchen"] });
        let new = |key| ask("createProduct", "/v2/products").header("Idempotency-Key", key);
        let made = self.take(201, new("teapot-1").body(teapot.clone())).await;
        self.take(409, new("teapot-2").body(teapot)).await;
        self.take(422, new("teapot-3").body(json!({ "title": "" })))
            .await;
        let id = made.id().to_owned();
        let path = format!("/v2/products/{id}");
        self.list("listProducts", "/v2/products", "&sku=TEAPOT")
            .await;
        self.take(200, ask("getProduct", &path)).await;
        self.take(404, ask("getProduct", "/v2/products/prod_999"))
            .await;
        let search = "/v2/products/search";
        self.take(
            200,
            ask("searchProducts", format!("{search}?q=mug&limit=1")),
        )
        .await;
        self.take(
            400,
            ask("searchProducts", format!("{search}?q=mug&limit=1000")),
        )
        .await;
        let facets = json!({ "q": "mug", "in_stock": true, "limit": 1 });
        self.take(200, ask("searchProductsWithFacets", search).body(facets))
            .await;
        let wrong = json!({ "q": "mug", "limit": 1000 });
        self.take(422, ask("searchProductsWithFacets", search).body(wrong))
            .await;
        let suggest = format!("{search}/suggest?q=mu");
        self.take(200, ask("suggestProducts", &suggest)).await;
        self.take(400, ask("suggestProducts", format!("{suggest}&limit=1000")))
            .await;
        let larger = json!({ "title": "Teapot, large" });
        let change = || ask("updateProduct", &path).header("If-Match", &made.etag);
        self.take(200, change().body(larger.clone())).await;
        self.take(412, change().body(larger)).await;
        let dearer = json!({ "price": { "amount": 3999, "currency": "USD" } });
        self.take(200, ask("patchProduct", &path).body(dearer))
            .await;
        let taken = json!({ "sku": "MUG-BLUE" });
        self.take(409, ask("patchProduct", &path).body(taken)).await;
        let stale = ask("deleteProduct", &path).header("If-Match", &made.etag);
        self.take(412, stale).await;
        self.take(204, ask("deleteProduct", &path)).await;
    }

    async fn inventory(&mut self) {
        let path = "/v2/inventory/adjustments";
        let more =
            |delta: i64| json!({ "sku": "MUG-BLUE", "delta": delta, "reason": "delivery 4711" });
        let adjust = |key| ask("adjustInventory", path).header("Idempotency-Key", key);
        self.take(201, adjust("delivery-4711").body(more(12))).await;
        self.take(409, adjust("loss-1").body(more(-100_000))).await;
        self.list("listInventory", "/v2/inventory", "&sku=MUG-BLUE")
            .await;
        self.list("listStockMovements", "/v2/inventory/movements", "")
            .await;
        self.list("listLocations", "/v2/locations", "").await;
    }

    async fn orders(&mut self) {
        let cart = |quantity: i64| json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "MUG-BLUE", "quantity": quantity }] });
        let new = |key| ask("createOrder", "/v2/orders").header("Idempotency-Key", key);
        let first = self.take(201, new("cart-1001").body(cart(2))).await;
        self.take(201, new("cart-1001").body(cart(2))).await;
        self.take(409, new("cart-1002").body(cart(100_000).clone()))
            .await;
        self.take(422, new("cart-1001").body(cart(3))).await;
        let path = format!("/v2/orders/{}", first.id());
        self.list("listOrders", "/v2/orders", "&email=ada@example.com")
            .await;
        self.take(200, ask("getOrder", &path)).await;
        self.take(404, ask("getOrder", "/v2/orders/ord_999")).await;
        let note = json!({ "note": "Leave it with the neighbour." });
        let change = || ask("patchOrder", &path).header("If-Match", &first.etag);
        self.take(200, change().body(note.clone())).await;
        self.take(412, change().body(note)).await;
        let step = |op, verb: &str| ask(op, format!("{path}/{verb}")).body(json!({}));
        self.take(200, step("confirmOrder", "confirm")).await;
        self.take(200, step("completeOrder", "complete")).await;
        self.take(409, step("confirmOrder", "confirm")).await;
        self.take(409, step("cancelOrder", "cancel")).await;
        let second = self.shop.post("/v2/orders", cart(1)).await.json();
        let second = format!("/v2/orders/{}", second["id"].as_str().expect("an id"));
        let cancel = ask("cancelOrder", format!("{second}/cancel"));
        self.take(200, cancel.body(json!({ "reason": "changed their mind" })))
            .await;
        let late = ask("completeOrder", format!("{second}/complete"));
        self.take(409, late.body(json!({}))).await;
        self.list("getOrderHistory", &format!("{path}/history"), "")
            .await;
        self.take(200, ask("explainOrder", format!("{path}/explain")))
            .await;
        self.take(404, ask("explainOrder", "/v2/orders/ord_999/explain"))
            .await;
    }

    async fn the_rest(&mut self) {
        let note = |user: &str| json!({ "user_id": user, "message": "Your order has been shipped!", "type": "email", "priority": "high" });
        let new =
            |key| ask("createNotification", "/v2/notifications").header("Idempotency-Key", key);
        let sent = self
            .take(202, new("shipped-1001").body(note("user_123")))
            .await;
        self.take(422, new("shipped-1002").body(note("user_999")))
            .await;
        self.list("listNotifications", "/v2/notifications", "")
            .await;
        let path = format!("/v2/notifications/{}", sent.id());
        self.take(200, ask("getNotification", path)).await;
        self.take(404, ask("getNotification", "/v2/notifications/notif_999"))
            .await;

        self.take(200, ask("listReports", "/v2/reports?limit=1"))
            .await;
        self.take(400, ask("listReports", "/v2/reports?limit=1000"))
            .await;
        let sales = json!({ "type": "sales_by_period", "parameters": { "start": "2023-09-01", "end": "2023-10-01", "interval": "month" } });
        let new =
            |key| ask("generateReport", "/v2/reports/generate").header("Idempotency-Key", key);
        let run = self.take(202, new("sales-2023-09").body(sales)).await;
        self.take(422, new("sales-2").body(json!({ "type": "none" })))
            .await;
        let path = format!("/v2/reports/runs/{}", run.id());
        let download = format!("{path}/download");
        self.take(409, ask("downloadReport", &download)).await;
        tradepost::reports::jobs::run_due(&self.app).await;
        self.list("listReportRuns", "/v2/reports/runs", "").await;
        self.take(200, ask("getReportRun", &path)).await;
        self.take(404, ask("getReportRun", "/v2/reports/runs/run_999"))
            .await;
        self.take(200, ask("downloadReport", &download)).await;

        self.list("listIntegrations", "/v2/integrations", "").await;
        let integrations = self.shop.get("/v2/integrations").await.json();
        let path = format!(
            "/v2/integrations/{}",
            integrations[0]["id"].as_str().expect("an id")
        );
        self.take(200, ask("getIntegration", path)).await;
        self.take(404, ask("getIntegration", "/v2/integrations/int_999"))
            .await;

        for (op, path) in [
            ("getHealth", "/healthz"),
            ("getReadiness", "/readyz"),
            ("getOpenApi", "/openapi.json"),
            ("getDocs", "/docs"),
            ("getProblem", "/problems/duplicate"),
            ("getMetrics", "/metrics"),
        ] {
            self.public(op, path).await;
        }
        let css = &tradepost::docs::assets()[0].path_with_hash;
        self.take(200, ask("getDocsFile", css)).await;
        self.take(
            404,
            ask("getDocsFile", "/docs/reference.0000000000000000.css"),
        )
        .await;
    }
}

/// One exchange on a line: small, and a difference names the exchange.
fn written(exchanges: &Map<String, Value>) -> String {
    let each = exchanges.iter().map(|(id, all)| {
        let all = all.as_array().into_iter().flatten().map(Value::to_string);
        let all: Vec<String> = all.collect();
        format!("\"{id}\": [\n{}\n]", all.join(",\n"))
    });
    let each: Vec<String> = each.collect();
    format!("{{\n{}\n}}\n", each.join(",\n"))
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/recorded.json")
}

#[tokio::test]
async fn every_operation_answers_as_the_reference_shows() {
    let mut recorder = Recorder::start().await;
    recorder.authentication().await;
    recorder.registration().await;
    recorder.users().await;
    recorder.products().await;
    recorder.inventory().await;
    recorder.orders().await;
    recorder.the_rest().await;
    assert!(recorder.faults.is_empty(), "{:#?}", recorder.faults);
    let recorded = written(&recorder.exchanges);
    for secret in &recorder.secrets {
        assert!(
            !recorded.contains(secret.as_str()),
            "a secret is in the file"
        );
    }
    assert!(recorded.len() < FILE_BYTES_MAX, "{} bytes", recorded.len());
    for item in recorder.document["paths"]
        .as_object()
        .expect("paths")
        .values()
    {
        for operation in item.as_object().expect("methods").values() {
            let id = operation["operationId"].as_str().expect("an id");
            let all = recorder.exchanges.get(id).and_then(Value::as_array);
            let of = |low: u64, high: u64| {
                let statuses = all.into_iter().flatten().map(|e| e["status"].as_u64());
                statuses
                    .flatten()
                    .any(|status| (low..high).contains(&status))
            };
            assert!(of(200, 300), "{id} has no recorded success");
            assert!(of(400, 500), "{id} has no recorded refusal");
            // Refusals that an operation lists are its own: at least one is seen.
            let listed = operation["x-error-codes"].as_array();
            let is_listed = |exchange: &Value| {
                let answer = &exchange["answer"];
                let code = answer.get("code").or_else(|| answer.get("error"));
                code.is_some_and(|code| listed.is_some_and(|all| all.contains(code)))
            };
            assert!(
                listed.is_none() || all.into_iter().flatten().any(is_listed),
                "{id} lists refusals and none of them is recorded"
            );
        }
    }
    if std::env::var_os("TRADEPOST_RECORD").is_some() {
        std::fs::write(file(), recorded).expect("written");
        return;
    }
    let committed = std::fs::read_to_string(file()).expect("the recorded file");
    let first = committed
        .lines()
        .zip(recorded.lines())
        .find(|(a, b)| a != b);
    assert!(
        committed == recorded,
        "the program answers otherwise than recorded: run `cargo xtask record` and review the diff; the first is {first:?}"
    );
}

/// Whose requests name nothing that only the recording had.
const RUN_IN_A_SHELL: [&str; 20] = [
    "createToken",
    "introspectToken",
    "getKeys",
    "createUser",
    "listUsers",
    "getUser",
    "patchUser",
    "exportUser",
    "createProduct",
    "listProducts",
    "searchProducts",
    "searchProductsWithFacets",
    "suggestProducts",
    "adjustInventory",
    "createOrder",
    "listOrders",
    "createNotification",
    "generateReport",
    "getIntegration",
    "getOpenApi",
];

/// The example in curl of an operation, as a reader of the page copies it.
fn curl<'a>(page: &'a str, id: &str) -> &'a str {
    let section = page
        .split_once(&format!("<section id=\"{id}\""))
        .expect(id)
        .1;
    let example = section.split_once("data-language=\"curl\">").expect(id).1;
    example.split_once("</pre>").expect("its end").0
}

#[tokio::test]
async fn the_examples_in_curl_answer_as_recorded() {
    let place = Place::new().await;
    let credentials = place.credentials();
    let server = place.serve(&["--demo", "--log-requests=false"]);
    let token = server.token(&credentials);
    let url = format!("http://127.0.0.1:{}", server.port);
    let page = server.connect().send("GET", "/docs", &[], None);
    let page = page.expect("the page").body;
    let recorded = std::fs::read_to_string(file()).expect("the recorded file");
    let recorded: Value = serde_json::from_str(&recorded).expect("JSON");
    for id in RUN_IN_A_SHELL {
        let script = unescaped(curl(&page, id))
            .replace("http://127.0.0.1:8080", &url)
            .replace("YOUR_CLIENT_ID", &credentials.0)
            .replace("YOUR_CLIENT_SECRET", &credentials.1)
            .replacen("curl ", "curl -s -w '\\n%{http_code}' ", 1);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("TOKEN", &token);
        let told = shell.output().expect("a shell").stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        let status = told.lines().last().unwrap_or_default().to_owned();
        let success = &recorded[id].as_array().expect(id)[0]["status"];
        assert_eq!(status, success.to_string(), "{script}\n{told}");
    }
}

/// One block of a guide, as a reader of the page sees it.
struct Block {
    guide: String,
    text: String,
    is_answer: bool,
}

/// The blocks of all guides, in the order of the page.
fn guides(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for section in page.split("<section id=\"").skip(1) {
        let (guide, section) = section.split_once('"').expect("an id");
        let section = section.split("</section>").next().unwrap_or_default();
        for block in section.split("<div class=\"block").skip(1) {
            let (_, text) = block.split_once("<pre ").expect("code");
            let (_, text) = text.split_once('>').expect("code");
            let (text, _) = text.split_once("</pre>").expect("its end");
            blocks.push(Block {
                guide: guide.to_owned(),
                text: unescaped(text),
                is_answer: block.starts_with(" answer"),
            });
        }
    }
    blocks
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What bash says when the lines come one after the other, as they do when they are pasted.
fn bash(args: &[&str], dir: &Path, lines: &str) -> std::process::Output {
    std::fs::write(dir.join("pasted"), lines).expect("a file");
    let mut shell = Command::new("bash");
    shell.args(["--norc", "--noprofile"]).args(args);
    let pasted = std::fs::File::open(dir.join("pasted")).expect("a file");
    shell.current_dir(dir).env_remove("TOKEN").stdin(pasted);
    shell.output().expect("bash")
}

/// The status, the headers and the members of the body that a guide shows are those of the last answer.
fn shown_is_answered(id: &str, shown: &str, told: &str) {
    let last = &told[told.rfind("HTTP/1.1 ").expect(id)..];
    let (real_head, real_body) = last.split_once("\r\n\r\n").expect(id);
    let (shown_head, shown_body) = shown.split_once("\n\n").unwrap_or((shown, ""));
    for (n, line) in shown_head.trim().lines().enumerate() {
        let begins = line.split('…').next().unwrap_or_default().to_lowercase();
        let is_answered = |real: &str| real.to_lowercase().starts_with(&begins);
        let found = match n {
            0 => last.get(9..12) == line.get(9..12),
            _ => real_head.lines().any(is_answered),
        };
        assert!(found, "{id}: no {line} in {last}");
    }
    if !shown_body.is_empty() {
        let shown: Value = serde_json::from_str(shown_body).expect(id);
        let real: Value = serde_json::from_str(real_body).expect(id);
        for (name, value) in shown.as_object().expect(id) {
            match name.as_str() {
                "request_id" => assert!(real[name].is_string(), "{id}: {real}"),
                _ => assert_eq!(value, &real[name], "{id} {name}"),
            }
        }
    }
}

#[tokio::test]
async fn the_blocks_of_the_guides_are_commands_or_answers() {
    let app = TestApp::start().await;
    let page = app.anonymous().get("/docs").await.text();
    let blocks = guides(&page);
    let dir = tempfile::tempdir().expect("a folder");
    let (mut commands, mut answers) = (0, 0);
    for block in &blocks {
        let is_head = |line: &str| line.starts_with("HTTP/1.1");
        if block.is_answer {
            assert!(is_head(&block.text), "{}: {}", block.guide, block.text);
            answers += 1;
            continue;
        }
        assert!(!block.text.lines().any(is_head), "{}", block.text);
        let checked = bash(&["-n"], dir.path(), &block.text);
        assert!(
            checked.status.success() && checked.stderr.is_empty(),
            "{}: {}\n{}",
            block.guide,
            block.text,
            crate::program::told(&checked)
        );
        commands += 1;
    }
    assert_eq!((commands, answers), (14, 8));
}

/// The first guide says where the id and the secret come from; the rest is pasted, block after block, in the order of
/// the page, into one shell.
#[tokio::test]
async fn the_guides_can_be_followed() {
    for flags in [&[][..], &["--demo"]] {
        let place = Place::new().await;
        let server = place.serve(&[flags, &["--log-requests=false"]].concat());
        let url = format!("http://127.0.0.1:{}", server.port);
        let page = server.connect().send("GET", "/docs", &[], None);
        let page = page.expect("the page").body;
        let made = "tradepost clients create --name my-shop";
        assert!(page.contains(&format!("<code>{made}</code>")));
        let printed = place.run_well(&made.split(' ').skip(1).collect::<Vec<_>>());
        let word = |prefix: &str| {
            let mut words = printed.split_whitespace();
            words.find(|word| word.starts_with(prefix)).expect(prefix)
        };
        let blocks = guides(&page);
        let mut lines = String::new();
        for block in blocks.iter().filter(|block| !block.is_answer) {
            let text = block.text.replace("http://127.0.0.1:8080", &url);
            lines += &format!("{text}\nprintf '\\n=== %s\\n' $?\n");
        }
        let lines = lines
            .replace("YOUR_CLIENT_ID", word("cli_"))
            .replace("YOUR_CLIENT_SECRET", word("cs_"));
        let output = bash(&[], place.dir(), &lines);
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!complaints.contains("bash:"), "{complaints}");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut told = told.split("\n=== ");
        let mut last: Option<(&str, &str)> = None; // the guide, and what its last commands printed
        let mut rest = told.next().unwrap_or_default();
        let mut followed = Vec::new();
        for block in &blocks {
            let guide = block.guide.as_str();
            if !block.is_answer {
                let ended = told.next().unwrap_or_default();
                let (status, next) = ended.split_once('\n').unwrap_or((ended, ""));
                assert_eq!(status, "0", "{guide}: {}\n{rest}\n{complaints}", block.text);
                assert!(
                    !rest.contains("/problems/") || rest.starts_with("HTTP/1.1 4"),
                    "{guide}: {rest}"
                );
                last = Some((guide, rest));
                rest = next;
            } else if let Some((_, printed)) = last.filter(|(of, _)| *of == guide) {
                shown_is_answered(guide, &block.text, printed);
                followed.push(guide);
            }
        }
        assert_eq!(
            followed,
            [
                "getting-started",
                "idempotency",
                "paging",
                "handling-errors",
                "retries",
                "concurrency"
            ]
        );
    }
}
