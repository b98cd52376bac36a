//! The API reference v2, read from top to bottom and held against the program: each of its examples,
//! parameters and endpoints, in its own words. What it says is taken from its text and never typed again,
//! and nothing of it can be left out: see [`Reader`].

use crate::app::{Client, TestApp};
use axum::http::Method;
use serde_json::{Value, json};
use tradepost::oauth::Scopes;
use tradepost::openapi;
use tradepost::users::demo_users;

/// The contract, unchanged.
const REFERENCE: &str = include_str!("reference/api-reference-v2.md");

/// Where one is in the reference.
struct Reader {
    lines: std::iter::Peekable<std::str::Lines<'static>>,
}

impl Reader {
    fn open() -> Reader {
        Reader {
            lines: REFERENCE.lines().peekable(),
        }
    }

    /// Moves on to the line that begins like this. What the program must keep may not be passed over.
    fn says(&mut self, text: &str) {
        for line in self.lines.by_ref() {
            if line.starts_with(text) {
                return;
            }
            assert!(
                !is_promise(line),
                "nobody looks at `{line}`, before `{text}`"
            );
        }
        panic!("the reference does not say `{text}` here");
    }

    /// The example that comes next, on one line and without its comments.
    fn example(&mut self) -> String {
        while let Some(line) = self.lines.peek() {
            if is_json(line) {
                break;
            }
            assert!(!is_promise(line), "nobody looks at `{line}`");
            self.lines.next();
        }
        let (mut text, mut open) = (String::new(), 0_i32);
        for line in self.lines.by_ref() {
            let line = line.split(" // ").next().unwrap_or(line);
            open += line.matches(['{', '[']).count() as i32;
            open -= line.matches(['}', ']']).count() as i32;
            text.push_str(line);
            if open == 0 {
                break;
            }
        }
        let value: Value = serde_json::from_str(&text).expect("an example is JSON");
        value.to_string()
    }

    fn end(mut self) {
        let left: Vec<_> = self
            .lines
            .by_ref()
            .filter(|line| is_promise(line))
            .collect();
        assert_eq!(left, Vec::<&str>::new());
    }
}

fn is_json(line: &str) -> bool {
    line == "{" || line == "["
}

fn is_endpoint(line: &str) -> bool {
    let verbs = ["GET /", "POST /", "PUT /", "DELETE /", "PATCH /"];
    verbs.iter().any(|verb| line.starts_with(verb))
}

/// Whether the line is an endpoint, a parameter, an example or a change: something to be kept.
fn is_promise(line: &str) -> bool {
    let header = ["| Name ", "|---"];
    let parameter = line.starts_with('|') && !header.iter().any(|head| line.starts_with(head));
    is_endpoint(line) || is_json(line) || parameter || line.starts_with("- ")
}

/// The program with its sample data, as `serve --demo` fills it.
async fn demo() -> TestApp {
    let app = TestApp::start().await;
    let told = tradepost::demo::fill(&app, &app.config.public_url).await;
    assert!(told.expect("sample data").contains("Sample data was added"));
    app
}

/// An answer of exactly this JSON, in this order of members.
async fn gives(shop: &Client, target: &str, expected: &str) {
    let reply = shop.get(target).await;
    assert_eq!(reply.status, 200, "{target}: {}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json", "{target}");
    assert_eq!(reply.text(), expected, "{target}");
}

/// The body of a 200.
async fn got(shop: &Client, target: &str) -> Value {
    let reply = shop.get(target).await;
    assert_eq!(reply.status, 200, "{target}: {}", reply.text());
    reply.json()
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list.as_array().expect("a bare array");
    items
        .iter()
        .map(|item| item["id"].as_str().expect("an id"))
        .collect()
}

#[tokio::test]
async fn each_example_and_parameter_holds_in_the_order_of_the_document() {
    let app = demo().await;
    let mut reference = Reader::open();
    let shop = authentication(&app, &mut reference).await;
    users(&app, &shop, &mut reference).await;
    products(&shop, &mut reference).await;
    orders(&shop, &mut reference).await;
    notifications(&shop, &mut reference).await;
    reports(&shop, &mut reference).await;
    integrations(&shop, &mut reference).await;
    changes(&shop, &mut reference).await;
    getting_started(&app, &mut reference).await;
    reference.end();
}

async fn authentication(app: &TestApp, reference: &mut Reader) -> Client {
    reference
        .says("Our API is RESTful and uses standard HTTP methods such as GET, POST, PUT, DELETE.");
    let anyone = app.anonymous();
    let refused = anyone.get("/v2/users").await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (401, "unauthorized")
    );

    reference.says("Request Body");
    let (id, secret) = app.credentials(&Scopes::all().to_string()).await;
    let asked = reference.example();
    let request = asked
        .replace("YOUR_CLIENT_ID", &id)
        .replace("YOUR_CLIENT_SECRET", &secret);
    let reply = anyone
        .request(Method::POST, "/oauth/token")
        .header("content-type", "application/json")
        .body(request)
        .send()
        .await;
    reference.says("Response (Success)");
    let documented: Value = serde_json::from_str(&reference.example()).expect("JSON");
    let answered = reply.json();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json");
    let names = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(
        names(&documented),
        ["access_token", "token_type", "expires_in"]
    );
    assert_eq!(
        names(&answered)[..3],
        names(&documented),
        "the documented ones first"
    );
    assert_eq!(names(&answered)[3..], ["scope"]);
    let shown = documented["access_token"].as_str().expect("text");
    let token = answered["access_token"].as_str().expect("text");
    let prefix = shown.strip_suffix("...").expect("an abbreviated token");
    assert_eq!(prefix, "eyJhbGciOiJIUzI1NiIsIn");
    assert!(token.starts_with(prefix), "{token}");
    assert_eq!(answered["token_type"], documented["token_type"]);
    assert_eq!(answered["expires_in"], documented["expires_in"]);

    reference.says(
        "Authorization header of subsequent requests: Authorization: Bearer YOUR_ACCESS_TOKEN.",
    );
    let mut shop = anyone;
    shop.token = Some(token.into());
    got(&shop, "/v2/users").await;
    shop
}

async fn users(app: &TestApp, shop: &Client, reference: &mut Reader) {
    reference.says("GET /v2/users");
    reference.says("| limit | integer | Maximum number of users to return. | No |");
    assert_eq!(ids(&got(shop, "/v2/users?limit=1").await), ["user_123"]);
    reference.says(
        "| offset | integer | Number of users to skip before starting to collect the result set. | No |",
    );
    assert_eq!(ids(&got(shop, "/v2/users?offset=1").await), ["user_456"]);
    assert_eq!(
        ids(&got(shop, "/v2/users?limit=1&offset=1").await),
        ["user_456"]
    );
    assert_eq!(
        ids(&got(shop, "/v2/users?limit=1&offset=2").await),
        Vec::<&str>::new()
    );
    reference
        .says("| status | string | Filter users by status (e.g., 'active', 'inactive'). | No |");
    assert_eq!(
        ids(&got(shop, "/v2/users?status=active").await),
        ["user_123", "user_456"]
    );
    assert_eq!(
        ids(&got(shop, "/v2/users?status=inactive").await),
        Vec::<&str>::new()
    );
    let example = reference.example();
    gives(shop, "/v2/users", &example).await;

    reference.says("GET /v2/users/{id}");
    reference.says("| id | string | The unique identifier of the user. | Yes |");
    let missing = shop.get("/v2/users/user_999").await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "not_found")
    );
    let example = reference.example();
    let documented = example.strip_suffix("}}").expect("a profile at the end");
    let alice = shop.get("/v2/users/user_123").await;
    assert!(
        alice.text().starts_with(documented),
        "{documented} is not how this begins: {}",
        alice.text()
    );
    let [_, bob] = demo_users();
    assert_eq!(
        got(shop, "/v2/users/user_456").await["username"],
        bob.username
    );
    let made = shop
        .post(
            "/v2/users",
            json!({ "username": "carol", "email": "carol@example.com", "status": "inactive" }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let carol = made.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        ids(&got(shop, "/v2/users?status=inactive").await),
        [carol.as_str()]
    );
    assert_eq!(
        got(&app.client("users:read").await, "/v2/users")
            .await
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

async fn products(shop: &Client, reference: &mut Reader) {
    reference.says("Manage product catalog, inventory, and pricing.");
    reference.says("GET /v2/products");
    let listed = got(shop, "/v2/products").await;
    assert_eq!(ids(&listed).len(), 12);
    reference.says("POST /v2/products");
    let body = json!({ "title": "Pocket knife", "sku": "KNIFE", "price": 4_500, "currency": "USD", "status": "active" });
    let made = shop.post("/v2/products", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = made.header("location").to_owned();
    reference.says("GET /v2/products/{id}");
    assert_eq!(shop.get(&path).await.text(), made.text());
    assert_eq!(
        path,
        format!(
            "/v2/products/{}",
            made.json()["id"].as_str().expect("an id")
        )
    );
    reference.says("PUT /v2/products/{id}");
    let put = shop.put(&path, json!({ "title": "Folding knife" })).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(got(shop, &path).await["title"], "Folding knife");
    reference.says("DELETE /v2/products/{id}");
    let deleted = shop.delete(&path).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_eq!(shop.get(&path).await.status, 404);
    assert_eq!(got(shop, "/v2/products").await, listed);
}

async fn orders(shop: &Client, reference: &mut Reader) {
    reference.says("View and manage customer orders.");
    reference.says("GET /v2/orders");
    gives(shop, "/v2/orders", "[]").await;
    reference.says("POST /v2/orders");
    let body = json!({ "user_id": "user_123", "currency": "USD", "items": [{ "sku": "MUG-BLUE", "quantity": 2 }] });
    let placed = shop.post("/v2/orders", body).await;
    assert_eq!(placed.status, 201, "{}", placed.text());
    let order = placed.json();
    assert_eq!(order["totals"]["total"], 2_998);
    reference.says("GET /v2/orders/{id}");
    let path = format!("/v2/orders/{}", order["id"].as_str().expect("an id"));
    assert_eq!(placed.header("location"), path);
    assert_eq!(shop.get(&path).await.text(), placed.text());
    assert_eq!(
        ids(&got(shop, "/v2/orders").await),
        [order["id"].as_str().expect("an id")]
    );
}

async fn notifications(shop: &Client, reference: &mut Reader) {
    reference.says("Send real-time notifications to users.");
    reference.says("POST /v2/notifications");
    let example = reference.example();
    let documented: Value = serde_json::from_str(&example).expect("JSON");
    for channel in ["email", "sms", "push"] {
        let mut body = documented.clone();
        body["type"] = json!(channel);
        if channel == "email" {
            assert_eq!(body.to_string(), example, "as it is written");
        }
        let queued = shop.post("/v2/notifications", body).await;
        assert_eq!(queued.status, 202, "{channel}: {}", queued.text());
        let notification = queued.json();
        assert_eq!(notification["type"], channel);
        for member in ["user_id", "priority"] {
            assert_eq!(notification[member], documented[member]);
        }
        let told = got(shop, queued.header("location")).await;
        assert_eq!(told["message"], documented["message"]);
    }
}

async fn reports(shop: &Client, reference: &mut Reader) {
    reference.says("Generate custom reports on sales, user activity, and more.");
    reference.says("GET /v2/reports");
    let types = got(shop, "/v2/reports").await;
    assert!(
        ids(&types).iter().any(|id| id.starts_with("sales")),
        "{types}"
    );
    assert!(ids(&types).iter().any(|id| id.contains("user")), "{types}");
    reference.says("POST /v2/reports/generate");
    let body = json!({ "type": "sales_by_period", "parameters": { "start": "2023-10-01", "end": "2023-11-01" } });
    let begun = shop.post("/v2/reports/generate", body).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    assert_eq!(
        got(shop, begun.header("location")).await["status"],
        "queued"
    );
}

async fn integrations(shop: &Client, reference: &mut Reader) {
    reference.says("GET /v2/integrations");
    let listed = got(shop, "/v2/integrations").await;
    assert!(!ids(&listed).is_empty());
    for one in listed.as_array().expect("an array") {
        assert!(
            one["name"].is_string() && one["status"].is_string(),
            "{one}"
        );
    }
}

/// What the changelog says of v2.1.0 and v2.0.0 is there.
async fn changes(shop: &Client, reference: &mut Reader) {
    reference.says("v2.1.0 (October 26, 2023)");
    reference.says("- Added new");
    reference.says("/v2/products/searchendpoint. - Improved error codes for better debugging.");
    // `search` is not taken for the id of a product.
    let found = got(shop, "/v2/products/search?q=mug").await;
    assert_eq!(found[0]["title"], "Stoneware mug");
    let missing = shop.get("/v2/products/searching").await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "not_found")
    );
    let refused = shop.get("/v2/users?limit=0").await;
    assert_eq!(refused.header("content-type"), "application/problem+json");
    let page = shop
        .get(refused.json()["type"].as_str().expect("a page"))
        .await;
    assert_eq!(
        (refused.code().as_str(), page.status),
        ("invalid_parameter", 200)
    );
    reference.says("- Fixed bug in order status updates.");
    let order = got(shop, "/v2/orders").await[0]["id"]
        .as_str()
        .expect("an order")
        .to_owned();
    let confirmed = shop
        .post(&format!("/v2/orders/{order}/confirm"), json!({}))
        .await;
    assert_eq!(
        (confirmed.status, &confirmed.json()["status"]),
        (200, &json!("confirmed"))
    );
    assert_eq!(
        got(shop, &format!("/v2/orders/{order}")).await["status"],
        "confirmed"
    );
    reference.says("v2.0.0 (September 15, 2023)");
    reference.says("- Initial release of API v2.");
    assert_eq!(shop.get("/v2/users").await.header("api-version"), "2.1.0");
    reference.says("- Introduced new authentication flow.");
    reference.says("- Added advanced features like Notifications and Reporting APIs.");
}

async fn getting_started(app: &TestApp, reference: &mut Reader) {
    reference.says("- Obtain your API credentials (Client ID and Client Secret)");
    let (id, secret) = app.credentials("users:read").await;
    reference.says("- Use the");
    reference.says(
        "/oauth/tokenendpoint to get an access token. - Make requests to the desired API endpoints",
    );
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    let token = app.anonymous().post("/oauth/token", body).await.json();
    let reply = app
        .anonymous()
        .request(Method::GET, "/v2/users/user_123")
        .header(
            "Authorization",
            &format!("Bearer {}", token["access_token"].as_str().expect("text")),
        )
        .send()
        .await;
    assert_eq!(reply.status, 200);
    reference.says("Authorizationheader. - Consult the detailed endpoint documentation above for specific usage.");
    let page = app.anonymous().get("/docs").await.text();
    for line in REFERENCE.lines().filter(|line| is_endpoint(line)) {
        let (_, path) = line.split_once(' ').expect("a path");
        assert!(page.contains(path), "{path} is not at /docs");
    }
}

#[test]
fn each_endpoint_of_the_reference_is_in_the_served_document() {
    let served: Value =
        serde_json::from_str(&openapi::document("http://127.0.0.1:8080")).expect("JSON");
    let endpoints: Vec<&str> = REFERENCE.lines().filter(|line| is_endpoint(line)).collect();
    assert_eq!(endpoints.len(), 14);
    for line in endpoints {
        let (method, path) = line.split_once(' ').expect("a method");
        let operation = &served["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{line} is not served");
    }
}

/// Whoever scans the contents or a list of headings tells one operation from the other.
#[tokio::test]
async fn operations_are_told_apart_by_their_summaries_and_paths() {
    let app = TestApp::start().await;
    let served = app.anonymous().get("/openapi.json").await.json();
    let page = app.anonymous().get("/docs").await.text();
    let contents = page.split("</nav>").next().expect("contents");
    let mut summaries = std::collections::BTreeSet::new();
    for (path, item) in served["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let summary = operation["summary"].as_str().expect("a summary");
            assert!(summaries.insert(summary.to_owned()), "twice: {summary}");
            let id = operation["operationId"].as_str().expect("an id");
            let entry = contents
                .split_once(&format!("href=\"#{id}\">"))
                .expect(id)
                .1;
            let entry = entry.split("</a>").next().expect(id).replace("<wbr>", "");
            let method = method.to_uppercase();
            assert!(
                entry.contains(&format!(">{method}</b> <code>{path}</code>")),
                "{entry}"
            );
        }
    }
    assert!(summaries.len() > 50, "{}", summaries.len());
}

#[tokio::test]
async fn registering_a_client_says_which_token_it_needs() {
    let app = TestApp::start().await;
    let page = app.anonymous().get("/docs").await.text();
    for (id, token) in [
        ("registerClient", "initial access token"),
        ("getRegistration", "registration_access_token"),
        ("updateRegistration", "registration_access_token"),
        ("deleteRegistration", "registration_access_token"),
    ] {
        let section = page
            .split_once(&format!("<section id=\"{id}\""))
            .expect(id)
            .1;
        let section = section.split("</section>").next().expect(id);
        let (_, told) = section.split_once("<p class=\"scope\">").expect(id);
        let told = told.split("</p>").next().expect(id);
        assert!(
            told.contains("Needs a token of its own kind") && told.contains(token),
            "{told}"
        );
        assert!(
            section.contains("name=\"Authorization\" data-in=\"header\""),
            "{id}"
        );
    }
}

/// What a client reads of its rate on the page is what it is sent.
#[tokio::test]
async fn the_rate_that_the_guide_shows_is_the_one_that_is_set_until_somebody_sets_another() {
    let usual = tradepost::config::Config::default().rate_limit_per_second;
    let app = TestApp::start_with(|config| config.rate_limit_per_second = usual).await;
    let page = app.anonymous().get("/docs").await.text();
    let answer = app.client("products:read").await.get("/v2/products").await;
    for name in [
        "RateLimit-Policy",
        "RateLimit",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
    ] {
        let line = format!("{name}: {}", answer.header(name));
        let escaped = line.replace('"', "&quot;");
        assert!(page.contains(&line) || page.contains(&escaped), "{line}");
    }
    assert!(page.contains(&format!(
        "{} requests at once and {usual} a second",
        2 * usual
    )));
}

/// Addresses in recorded answers are those of the server that shows them.
#[tokio::test]
async fn nothing_on_the_page_leads_to_where_it_was_recorded() {
    let app = TestApp::start_with(|config| config.public_url = "https://shop.example".into()).await;
    let page = app.anonymous().get("/docs").await.text();
    assert!(!page.contains("127.0.0.1:8080"));
    assert!(page.contains("https://shop.example/v2/products"));
}
