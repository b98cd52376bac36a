//! The OpenAPI document, held against the program that serves it.

use crate::app::TestApp;
use axum::http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tradepost::config::Config;
use tradepost::oauth::{Scope, Scopes};
use tradepost::openapi;

fn document() -> Value {
    let text = openapi::document(&Config::default().public_url);
    serde_json::from_str(&text).expect("the document is JSON")
}

struct Operation {
    method: Method,
    path: String,
    body: Value,
}

impl Operation {
    /// The path with ids that nothing has.
    fn target(&self) -> String {
        fill(&self.path)
    }
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
    fn scope(&self) -> Option<&str> {
        self.body
            .pointer("/security/0/oauth2/0")
            .and_then(Value::as_str)
    }
}

fn fill(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            "none_1"
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, body) in item.as_object().expect("methods") {
            all.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                body: body.clone(),
            });
        }
    }
    all
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == openapi::document(&Config::default().public_url),
        "docs/openapi.json is not what the program serves: run `cargo xtask openapi` and review the diff"
    );
}

/// What needs no token. An endpoint that is added here is a decision.
#[test]
fn exactly_these_operations_are_public() {
    let document = document();
    let public: Vec<String> = operations(&document)
        .iter()
        .filter(|operation| operation.scope().is_none())
        .map(Operation::name)
        .collect();
    let known = [
        "POST /oauth/token",
        "POST /oauth/revoke",
        "POST /oauth/introspect",
        "POST /oauth/device_authorization",
        "POST /oauth/register",
        "GET /oauth/register/{client_id}",
        "PUT /oauth/register/{client_id}",
        "DELETE /oauth/register/{client_id}",
        "GET /.well-known/jwks.json",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/oauth-protected-resource",
        "GET /.well-known/oauth-protected-resource/v2",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /openapi.json",
        "GET /docs",
        "GET /docs/{file}",
        "GET /problems/{code}",
    ];
    let unknown: Vec<&String> = public
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert_eq!(unknown, Vec::<&String>::new());
    assert!(!public.iter().any(|name| name.contains("/v2/")));
}

/// Scopes that no operation asks for are not offered to people; one that is asked for must be.
#[tokio::test]
async fn what_is_reserved_is_asked_for_by_no_operation() {
    let app = TestApp::start().await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let operations = document["paths"].as_object().unwrap().values();
    let asked: BTreeSet<String> = operations
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| operation["security"].to_string())
        .collect();
    for scope in tradepost::oauth::Scope::ALL {
        let inside_handlers = ["orders:price", "tokens:introspect"].contains(&scope.name());
        let name = format!("\"{}\"", scope.name());
        let asked = asked.iter().any(|security| security.contains(&name));
        assert_eq!(
            asked || inside_handlers,
            !scope.is_reserved(),
            "{}",
            scope.name()
        );
    }
}

#[tokio::test]
async fn every_operation_of_v2_needs_a_token_with_its_scope() {
    let app = TestApp::start().await;
    let document = document();
    let mut without: BTreeMap<String, _> = BTreeMap::new();
    for operation in operations(&document) {
        if !operation.path.starts_with("/v2") {
            continue;
        }
        let name = operation.name();
        let scope = operation
            .scope()
            .unwrap_or_else(|| panic!("{name} names no scope"))
            .to_owned();
        let target = operation.target();
        let anonymous = app.anonymous();
        let reply = anonymous
            .request(operation.method.clone(), &target)
            .send()
            .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (401, "unauthorized"),
            "{name}"
        );
        assert!(
            reply
                .header("www-authenticate")
                .starts_with("Bearer realm=\"api\""),
            "{name}"
        );
        if !without.contains_key(&scope) {
            let others = Scope::ALL
                .iter()
                .map(|s| s.name())
                .filter(|name| *name != scope);
            let others = others.collect::<Vec<_>>().join(" ");
            without.insert(scope.clone(), app.client(&others).await);
        }
        let reply = without[&scope]
            .request(operation.method.clone(), &target)
            .send()
            .await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "insufficient_scope"),
            "{name}"
        );
        let challenge = reply.header("www-authenticate");
        assert!(
            challenge.contains(&format!("scope=\"{scope}\"")),
            "{name}: {challenge}"
        );
    }
}

#[tokio::test]
async fn each_path_knows_the_documented_methods_and_no_other() {
    let app = TestApp::start().await;
    let document = document();
    let shop = app.client(&Scopes::all().to_string()).await;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let mut expected: BTreeSet<String> = item
            .as_object()
            .expect("methods")
            .keys()
            .map(|m| m.to_uppercase())
            .collect();
        let documented = expected.clone();
        if expected.contains("GET") {
            expected.insert("HEAD".into());
        }
        expected.insert("OPTIONS".into());
        let target = fill(path);
        let listed =
            |allow: &str| -> BTreeSet<String> { allow.split(", ").map(str::to_owned).collect() };
        let tried = [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY", "TRACE", "PURGE", "MADEUP",
        ];
        for method in tried.iter().filter(|method| !expected.contains(**method)) {
            for caller in [&app.anonymous(), &shop] {
                let method: Method = method.parse().expect("a token");
                let reply = caller.request(method.clone(), &target).send().await;
                assert_eq!(reply.status, 405, "{method} {path}");
                assert_eq!(listed(reply.header("allow")), expected, "{method} {path}");
                if method == Method::HEAD {
                    continue;
                }
                match path.starts_with("/oauth/") {
                    true => assert_eq!(reply.json()["error"], "invalid_request", "{method} {path}"),
                    false => assert_eq!(reply.code(), "method_not_allowed", "{method} {path}"),
                }
            }
        }
        let options = app
            .anonymous()
            .request(Method::OPTIONS, &target)
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .send()
            .await;
        assert_eq!((options.status, options.body.len()), (204, 0), "{path}");
        assert_eq!(listed(options.header("allow")), expected, "{path}");
        assert_eq!(
            listed(options.header("access-control-allow-methods")),
            expected
        );
        assert_eq!(options.header("access-control-allow-origin"), "*");
        assert_eq!(options.header("access-control-max-age"), "7200");
        let patch = match documented.contains("PATCH") {
            true => "application/merge-patch+json, application/json",
            false => "",
        };
        assert_eq!(options.header("accept-patch"), patch, "{path}");
        let headers = options.header("access-control-allow-headers");
        for name in [
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
        ] {
            assert!(headers.contains(name), "{path}: {name}");
        }
        if documented.contains("GET") {
            let get = shop.get(&target).await;
            let head = shop.request(Method::HEAD, &target).send().await;
            assert_eq!(
                (head.status, head.body.len()),
                (get.status, 0),
                "HEAD {path}"
            );
        }
    }
}

/// A misspelt parameter must not be ignored anywhere: `POST /v2/orders?dryrun=true` would place an order.
#[tokio::test]
async fn every_operation_refuses_a_parameter_that_it_does_not_know() {
    let app = TestApp::start().await;
    let shop = app.client(&Scopes::all().to_string()).await;
    for operation in operations(&document()) {
        let name = operation.name();
        let target = format!("{}?zzz=1", operation.target());
        let call = shop.request(operation.method.clone(), &target);
        let reply = call.json(&serde_json::json!({})).send().await;
        if operation.path.starts_with("/oauth/") {
            let refused = match operation.path.starts_with("/oauth/register") {
                true => "registration_disabled",
                false => "invalid_request",
            };
            assert_eq!(
                reply.json()["error"],
                refused,
                "{name}: the body alone is read"
            );
            continue;
        }
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "invalid_parameter"),
            "{name}"
        );
        let error = &reply.json()["errors"][0];
        assert_eq!(error["parameter"], "zzz", "{name}");
        assert_eq!(error["code"], "unknown_parameter", "{name}");
    }
}

#[tokio::test]
async fn every_answer_says_what_it_depends_on_and_what_a_browser_may_do() {
    let app = TestApp::start_with(|config| config.public_url = "https://shop.example".into()).await;
    let anyone = app.anonymous();
    let plain = anyone.get("/openapi.json").await;
    for coding in [
        "gzip",
        "identity;q=0, *;q=0",
        "identity;q=0",
        "*;q=0, identity",
        "zstd;q=0",
    ] {
        let call = anyone.request(Method::GET, "/openapi.json");
        let reply = call.header("accept-encoding", coding).send().await;
        assert_eq!(reply.status, 200, "{coding}");
        match coding {
            "gzip" => assert_eq!(reply.header("content-encoding"), "gzip"),
            _ => assert_eq!(reply.body, plain.body, "{coding}"),
        }
        let depends = "Accept, Accept-Encoding, Authorization, Origin";
        assert_eq!(reply.header("vary"), depends, "{coding}");
        assert_eq!(reply.headers.get_all("vary").iter().count(), 1);
    }
    for reply in [
        plain,
        anyone.get("/v2/users").await,
        anyone.get("/none").await,
    ] {
        assert!(reply.header("permissions-policy").contains("camera=()"));
        assert_eq!(
            reply.header("strict-transport-security"),
            "max-age=31536000"
        );
    }
    let without = TestApp::start().await.anonymous().get("/healthz").await;
    assert_eq!(without.header("strict-transport-security"), "");
}

/// A refusal names the place and what is accepted there, in words of the API.
#[tokio::test]
async fn a_refused_value_is_told_where_and_what_is_accepted() {
    let app = TestApp::start().await;
    let shop = app.client(&Scopes::all().to_string()).await;
    let order = |member: &str, value: Value| {
        let mut body = serde_json::json!({ "email": "a@b.example", "currency": "USD", "items": [{ "sku": "X", "quantity": 1 }] });
        body[member] = value;
        body
    };
    let product = |member: &str, value: Value| {
        let mut body = serde_json::json!({ "title": "x", "price": 1000, "currency": "USD" });
        body[member] = value;
        body
    };
    let shipping = serde_json::json!({ "method": "post", "amount": -500 });
    for (path, body, pointer, code, says) in [
        (
            "/v2/products",
            product("currency", "ABC".into()),
            "#/currency",
            "invalid_value",
            "ISO 4217",
        ),
        (
            "/v2/products",
            product(
                "price",
                serde_json::json!({ "amount": 1, "currency": "ABC" }),
            ),
            "#/price/currency",
            "invalid_value",
            "ISO 4217",
        ),
        (
            "/v2/products",
            product("price", 1.5.into()),
            "#/price",
            "money_must_be_integer",
            "integer",
        ),
        (
            "/v2/products",
            product("status", "deleted".into()),
            "#/status",
            "invalid_value",
            "\"draft\"",
        ),
        (
            "/v2/orders",
            order("currency", "ABC".into()),
            "#/currency",
            "invalid_value",
            "ISO 4217",
        ),
        (
            "/v2/orders",
            order("shipping", shipping),
            "#/shipping/amount",
            "too_small",
            "at least 0",
        ),
    ] {
        let reply = shop.post(path, body).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
        let error = reply.json()["errors"][0].clone();
        assert_eq!(error["pointer"], pointer, "{error}");
        assert_eq!(error["code"], code, "{error}");
        assert!(
            error["detail"]
                .as_str()
                .is_some_and(|text| text.contains(says)),
            "{error}"
        );
        for rusty in ["untagged", "variant", "accepted forms"] {
            assert!(!reply.text().contains(rusty), "{}", reply.text());
        }
    }
    for (target, says) in [
        ("/v2/orders?status=paid", "\"pending\""),
        ("/v2/products?status=deleted", "\"draft\""),
        ("/v2/orders?limit=x", "expected a whole number"),
        ("/v2/orders?include_total=maybe", "expected true or false"),
    ] {
        let error = shop.get(target).await.json()["errors"][0].clone();
        let detail = error["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains(says) && !detail.contains("null"),
            "{target}: {error}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let app = TestApp::start().await;
    let shop = app.client("users:read").await;
    for path in [
        "/v2",
        "/v2/nothing",
        "/v2/users/",
        "/oauth",
        "/docs/nothing/",
        "/v2//users",
    ] {
        for caller in [&app.anonymous(), &shop] {
            let reply = caller.get(path).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (404, "not_found"),
                "{path}"
            );
            assert_eq!(reply.header("content-type"), "application/problem+json");
        }
    }
}

#[test]
fn the_document_is_sound() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    let scopes = document
        .pointer("/components/securitySchemes/oauth2/flows/clientCredentials/scopes")
        .and_then(Value::as_object)
        .expect("scopes");
    assert!(
        scopes
            .values()
            .all(|text| text.as_str().is_some_and(|text| !text.is_empty()))
    );
    let tags: Vec<&str> = document["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let codes: BTreeSet<&str> = document["x-error-codes"]
        .as_array()
        .expect("codes")
        .iter()
        .filter_map(|code| code["code"].as_str())
        .collect();
    for operation in operations(&document) {
        let name = operation.name();
        let id = operation.body["operationId"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{name}: {id} is not unique");
        assert!(
            !operation.body["summary"]
                .as_str()
                .unwrap_or_default()
                .is_empty(),
            "{name}"
        );
        let tag = operation.body["tags"][0].as_str().unwrap_or_default();
        assert!(
            tags.contains(&tag),
            "{name}: the tag `{tag}` is not described in src/openapi.rs"
        );
        if let Some(scope) = operation.scope() {
            assert!(scopes.contains_key(scope), "{name}: {scope}");
        }
        let responses = operation.body["responses"].as_object().expect("responses");
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{name}"
        );
        assert!(
            responses.contains_key("4XX") && responses.contains_key("5XX"),
            "{name}"
        );
        assert!(!responses.contains_key("default"), "{name}");
        let declared: Vec<&str> = operation.body["parameters"]
            .as_array()
            .expect("parameters")
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let in_path: Vec<&str> = operation
            .path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(declared, in_path, "{name}");
        for code in operation.body["x-error-codes"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let code = code.as_str().unwrap_or_default();
            assert!(
                codes.contains(code),
                "{name}: {code} is not in src/error.rs"
            );
        }
        for link in responses
            .values()
            .filter_map(|response| response["links"].as_object())
        {
            for link in link.values() {
                let target = link["operationId"].as_str().unwrap_or_default();
                assert!(
                    document
                        .to_string()
                        .contains(&format!("\"operationId\":\"{target}\""))
                );
            }
        }
    }
    every_reference_leads_somewhere(&document, &document);
}

/// Client generators make types of these names: two chapters must not share one, and a name that every
/// chapter could have says nothing.
#[test]
fn the_name_of_a_schema_says_which() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object();
    for name in schemas.expect("schemas").keys() {
        assert!(
            !name.ends_with(|last: char| last.is_ascii_digit()),
            "{name}: two types have this name; `#[schemars(rename = …)]` says which"
        );
        let vague = [
            "Status", "State", "Item", "Kind", "Type", "Reason", "Channel",
        ];
        assert!(!vague.contains(&name.as_str()), "{name}");
    }
    for chapter in ["User", "Product", "Order", "Notification", "Integration"] {
        let name = format!("{chapter}Status");
        assert!(
            document["components"]["schemas"][&name].is_object(),
            "{name}"
        );
    }
}

fn every_reference_leads_somewhere(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let ("$ref", Some(target)) = (name.as_str(), member.as_str()) {
                    let pointer = target
                        .strip_prefix('#')
                        .unwrap_or_else(|| panic!("{target}"));
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                every_reference_leads_somewhere(document, member);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| every_reference_leads_somewhere(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn the_reference_is_served_for_programs_and_for_people() {
    let app = TestApp::start().await;
    let anyone = app.anonymous();
    let served = anyone.get("/openapi.json").await;
    assert_eq!(served.status, 200);
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.text(), openapi::document(&app.config.public_url));
    let again = anyone
        .request(Method::GET, "/openapi.json")
        .header("if-none-match", served.header("etag"))
        .send()
        .await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let typed = anyone.get("/docs/").await;
    assert_eq!((typed.status, typed.header("location")), (308, "/docs"));
    let docs = anyone.get("/docs").await;
    assert_eq!(docs.header("content-type"), "text/html; charset=utf-8");
    let policy = docs.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    assert!(docs.text().contains("/v2/users"));
    let page = docs.text();
    let files: Vec<&str> = page
        .split('"')
        .filter(|text| text.starts_with("/docs/") && text.contains('.'))
        .collect();
    assert!(files.len() >= 3);
    for file in files {
        let reply = anyone.get(file).await;
        assert_eq!(reply.status, 200, "{file}");
        assert!(reply.header("cache-control").contains("immutable"));
    }
    assert_eq!(
        anyone
            .get("/docs/reference.0000000000000000.css")
            .await
            .status,
        404
    );
    for code in document()["x-error-codes"].as_array().expect("codes") {
        let path = format!("/problems/{}", code["code"].as_str().expect("text"));
        let reply = anyone.get(&path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains(code["code"].as_str().expect("text")));
    }
    assert_eq!(anyone.get("/problems/none").await.status, 404);
}

/// Each success in JSON and each body shows an example that its schema allows: what people copy works. Only the
/// document does not show itself.
#[test]
fn each_body_and_each_success_shows_an_example_that_its_schema_allows() {
    let document = document();
    let check = |name: &str, content: &Value| {
        let Some(example) = content.get("example") else {
            assert_eq!(name, "getOpenApi 200", "{name} has no example");
            return;
        };
        let mut schema = content["schema"].clone();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("components".into(), document["components"].clone());
        }
        let faults: Vec<String> = jsonschema::validator_for(&schema)
            .expect("a schema")
            .iter_errors(example)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    };
    let mut checked = 0;
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an id");
            let body = operation.pointer("/requestBody/content/application~1json");
            let answers = operation["responses"].as_object().into_iter().flatten();
            let successes = answers
                .filter(|(status, _)| status.starts_with('2'))
                .filter_map(|(status, answer)| {
                    let content = answer.pointer("/content/application~1json")?;
                    Some((format!("{id} {status}"), content))
                });
            let bodies = body.map(|content| (format!("{id} body"), content));
            for (name, content) in successes.chain(bodies) {
                check(&name, content);
                checked += 1;
            }
        }
    }
    assert!(checked > 60, "{checked}");
}

/// The one error that the document shows stands beside every operation: each can really answer it.
#[tokio::test]
async fn the_error_that_the_document_shows_is_what_every_operation_can_answer() {
    let app = TestApp::start().await;
    let client = app.client(&Scopes::all().to_string()).await;
    let document = document();
    let shown = &document["components"]["responses"]["Problem"]["content"]["application/problem+json"]
        ["example"];
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if operation["responses"]["4XX"]["$ref"] != "#/components/responses/Problem" {
                continue; // the form of RFC 6749
            }
            let method = method.to_uppercase().parse().expect("a method");
            let path = format!("{path}?limt=10")
                .replace("{id}", "user_123")
                .replace("{file}", "reference.css")
                .replace("{code}", "not_found");
            let reply = client.request(method, &path).json(&json!({})).send().await;
            let said = reply.json();
            for field in ["type", "title", "status", "detail", "code", "errors"] {
                assert_eq!(said[field], shown[field], "{path} {field}: {said}");
            }
        }
    }
}

/// RFC 9110 §5.3: of two values whoever reads the first and whoever reads the last would disagree.
#[tokio::test]
async fn a_header_with_one_value_is_not_repeated() {
    let app = TestApp::start().await;
    let shop = app.client("products:write").await;
    let product = json!({ "title": "Pot", "price": 100, "currency": "USD" });
    for (name, value) in [
        ("authorization", "Bearer x"),
        ("idempotency-key", "pot-2"),
        ("content-type", "application/json"),
    ] {
        let call = shop.request(Method::POST, "/v2/products").json(&product);
        let call = call.header("idempotency-key", "pot-1");
        let refused = call.header(name, value).send().await;
        assert_eq!(refused.status, 400, "{name}: {}", refused.text());
        assert_eq!(refused.code(), "invalid_header");
        let told = refused.json()["errors"][0]["header"]
            .as_str()
            .unwrap()
            .to_lowercase();
        assert_eq!(told, name);
    }
    let none = app.client("products:read").await.get("/v2/products").await;
    assert_eq!(none.json(), json!([]), "nothing was made");
}
