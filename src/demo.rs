//! `serve --demo`: an empty database gets sample data and a client that may use it.
//!
//! Products go through the very handler of `POST /v2/products`, so what the demo shows is what an
//! integrator can do.

use crate::app::App;
use crate::config::Config;
use crate::oauth::{Caller, NewClient, Scopes, create_client};
use crate::router::endpoints;
use crate::users;
use axum::body::Body;
use axum::extract::OriginalUri;
use axum::http::{Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use platform::http::ClientName;
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

/// Who the event log says it was.
const ACTOR: &str = "demo";
/// What the third line of the tour buys.
const SKU: &str = "MUG-BLUE";

/// Why there is no sample data.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Db(#[from] platform::db::DbError),
    #[error("the sample data was refused by {path}: {status} {body}")]
    Refused {
        path: &'static str,
        status: StatusCode,
        body: String,
    },
}

/// Fills the database if it has neither users nor products, and returns what to print: credentials
/// and three lines to paste, or how to get some.
pub async fn fill(app: &App, url: &str) -> Result<String, DemoError> {
    for path in ["/v2/users", "/v2/products"] {
        if call(app, Method::GET, path, Value::Null).await? != "[]" {
            return Ok(format!(
                "The database holds data already: no sample data was added. \
                `tradepost clients create --name NAME{}` makes a client.\n",
                settings(&app.config)
            ));
        }
    }
    let now = app.clock.now();
    let people = users::demo_users();
    app.db
        .write(async move |tx| users::add(tx, &people, ACTOR, now).await)
        .await?;
    for product in products() {
        call(app, Method::POST, "/v2/products", product).await?;
    }
    let new = NewClient {
        name: "Demo".into(),
        scopes: Scopes::all(),
        signing_alg: Default::default(),
        token_ttl_seconds: None,
        expires_at: None,
        ip_allow: Vec::new(),
    };
    let (id, secret) = app
        .db
        .write(async move |tx| create_client(tx, &new, now).await)
        .await?;
    app.nudge.send();
    Ok(tour(url, id.as_str(), secret.expose()))
}

/// What the command needs to find the same database.
fn settings(config: &Config) -> String {
    match &config.database_url {
        Some(_) => " --database-url URL".to_owned(),
        None if config.data_dir == Config::default().data_dir => String::new(),
        None => {
            let folder = config.data_dir.display().to_string();
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            match folder.chars().all(plain) {
                true => format!(" --data-dir {folder}"),
                false => format!(" --data-dir '{}'", folder.replace('\'', "'\\''")),
            }
        }
    }
}

/// Three lines for a shell.
fn tour(url: &str, id: &str, secret: &str) -> String {
    let credentials =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": SKU, "quantity": 2 }] });
    let json = "-H 'Content-Type: application/json'";
    let token = "-H \"Authorization: Bearer $TOKEN\"";
    format!(
        r#"
Sample data was added. This client may do everything; its secret is shown this once:

  client_id      {id}
  client_secret  {secret}

Get a token, list products, place an order:

TOKEN=$(curl -s {url}/oauth/token {json} -d '{credentials}' | sed -n 's/.*"access_token":"\([^"]*\)".*/\1/p')
curl -s {url}/v2/products {token}
curl -s {url}/v2/orders {token} {json} -d '{order}'

"#
    )
}

/// Calls an endpoint's handler as the demo itself, past token and rate limit.
async fn call(
    app: &App,
    method: Method,
    path: &'static str,
    body: Value,
) -> Result<String, DemoError> {
    let refused = |status, body| DemoError::Refused { path, status, body };
    let endpoint = endpoints()
        .into_iter()
        .find(|endpoint| endpoint.method == method && endpoint.path == path)
        .ok_or_else(|| refused(StatusCode::NOT_FOUND, "no such endpoint".into()))?;
    let uri: Uri = path.parse().expect("the paths of the router are URIs");
    let client_id: Arc<str> = Arc::from(ACTOR);
    let request = Request::builder()
        .method(method)
        .uri(uri.clone())
        .extension(OriginalUri(uri))
        .extension(ClientName(client_id.clone()))
        .extension(Caller {
            client_id,
            scopes: Scopes::all(),
        });
    let request = match body {
        Value::Null => request.body(Body::empty()),
        body => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
    };
    let request = request.expect("every part of it was checked before");
    let handler = endpoint.handler.with_state::<()>(app.clone());
    let Ok(answer) = handler.oneshot(request).await;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    match status.is_success() {
        true => Ok(body),
        false => Err(refused(status, body)),
    }
}

/// A dozen things that a small shop could sell.
#[expect(clippy::too_many_lines, reason = "a table of sample data")]
fn products() -> Vec<Value> {
    let mut all = vec![mug(), shirt()];
    let plain = [
        (
            "Notebook, dotted, A5",
            "NOTEBOOK-A5",
            1_250,
            150,
            "paper",
            "160 pages that lie flat.",
        ),
        (
            "Fountain pen",
            "PEN-FOUNTAIN",
            3_900,
            40,
            "writing",
            "Steel nib, medium, with a converter.",
        ),
        (
            "Ink, midnight blue, 50 ml",
            "INK-BLUE-50",
            1_450,
            80,
            "writing",
            "Dries in ten seconds.",
        ),
        (
            "Desk lamp",
            "LAMP-DESK",
            8_900,
            25,
            "office",
            "Warm to cold white, dimmable, 9 W.",
        ),
        (
            "Linen tote bag",
            "TOTE-LINEN",
            1_800,
            200,
            "bags",
            "Carries twelve kilograms.",
        ),
        (
            "Rucksack, 22 l",
            "RUCKSACK-22",
            9_500,
            30,
            "bags",
            "Waxed cotton with a sleeve for a laptop.",
        ),
        (
            "Tea, Assam, 250 g",
            "TEA-ASSAM-250",
            990,
            120,
            "kitchen",
            "Second flush, whole leaf.",
        ),
        (
            "Teapot, cast iron, 0.8 l",
            "TEAPOT-IRON",
            5_400,
            15,
            "kitchen",
            "Enamelled inside, with a sieve.",
        ),
        (
            "Wall calendar",
            "CALENDAR-WALL",
            1_600,
            0,
            "paper",
            "Twelve woodcuts. Sold out until the next printing.",
        ),
        (
            "Gift card",
            "GIFT-CARD-25",
            2_500,
            -1,
            "gifts",
            "Sent by email, never out of stock.",
        ),
    ];
    all.extend(plain.into_iter().enumerate().map(|(n, (title, sku, price, stock, category, description))| {
        let mut product = json!({
            "title": title, "description": description, "status": "active", "vendor": "Tradepost Demo",
            "categories": [category], "sku": sku, "price": price, "currency": "USD",
        });
        if stock >= 0 {
            product["inventory_quantity"] = json!(stock);
        }
        if n == 0 {
            product["tags"] = json!(["bestseller"]);
        }
        product
    }));
    all
}

fn mug() -> Value {
    let variant = |colour: &str, sku: &str, stock: i64| {
        json!({
            "sku": sku, "option_values": { "Colour": colour }, "inventory_quantity": stock, "weight_grams": 380,
            "prices": [
                { "currency": "USD", "amount": 1_499 },
                { "currency": "USD", "amount": 1_299, "min_quantity": 6 },
                { "currency": "EUR", "amount": 1_399 },
            ],
        })
    };
    json!({
        "title": "Stoneware mug", "description": "Holds 350 ml and survives the dishwasher.", "status": "active",
        "vendor": "Tradepost Demo", "categories": ["kitchen"], "tags": ["bestseller"],
        "options": [{ "name": "Colour", "values": ["Blue", "White"] }],
        "variants": [variant("Blue", SKU, 100), variant("White", "MUG-WHITE", 60)],
    })
}

fn shirt() -> Value {
    let sizes = ["S", "M", "L"];
    let variants: Vec<Value> = sizes
        .iter()
        .map(|size| {
            json!({
                "sku": format!("SHIRT-{size}"), "option_values": { "Size": size }, "inventory_quantity": 50, "weight_grams": 180,
                "prices": [
                    { "currency": "USD", "amount": 2_400, "compare_at_amount": 2_900 },
                    { "currency": "EUR", "amount": 2_200 },
                ],
            })
        })
        .collect();
    json!({
        "title": "T-shirt, organic cotton", "description": "Heavy cloth, straight cut.", "status": "active",
        "vendor": "Tradepost Demo", "categories": ["clothing"],
        "options": [{ "name": "Size", "values": sizes }],
        "variants": variants,
    })
}
