//! `/oauth/*`, `/.well-known/*` and the guard before `/v2`: what they promise, and what an attacker tries.

use crate::app::{Client, Reply, TestApp};
use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::BodyExt;
use platform::secrets::MasterKey;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;
use tradepost::oauth::key::Algorithm;
use tradepost::oauth::{
    ListedClient, NewClient, OAuth, OpenError, Scopes, create_client, list_clients, rotate_secret,
};

mod assertions;
mod dpop;
pub mod dynamic;
mod flows;
mod introspection;
mod keys;
mod lifetimes;
mod requests;
mod signing;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const SECOND: Duration = Duration::from_secs(1);

fn new_client(scopes: &str) -> NewClient {
    NewClient {
        name: "Shop".into(),
        scopes: Scopes::parse(scopes).expect("known scopes"),
        signing_alg: Algorithm::default(),
        token_ttl_seconds: None,
        expires_at: None,
        ip_allow: Vec::new(),
    }
}

async fn register(app: &TestApp, new: NewClient) -> (String, String) {
    let now = app.clock.now();
    let made = app
        .db
        .write(async move |tx| create_client(tx, &new, now).await);
    let (id, secret) = made.await.expect("it is there and well-formed");
    (id.to_string(), secret.expose().to_owned())
}

/// What another node on the same database holds in its memory.
async fn node(app: &TestApp, master: MasterKey) -> Result<OAuth, OpenError> {
    OAuth::open(&app.db, master, &app.config, app.clock.now()).await
}

fn master_key(app: &TestApp) -> MasterKey {
    MasterKey::load_or_create(&app.data_dir().join("master.key"))
        .expect("it is there and well-formed")
}

async fn rotate(app: &TestApp, id: &str, overlap: Duration) -> String {
    let (id, now) = (
        id.parse().expect("it is there and well-formed"),
        app.clock.now(),
    );
    let made = app
        .db
        .write(async move |tx| rotate_secret(tx, &id, overlap, now).await);
    made.await
        .expect("it is there and well-formed")
        .expose()
        .to_owned()
}

async fn listed(app: &TestApp, id: &str) -> ListedClient {
    let clients = list_clients(&mut app.db.read().await.expect("it is there and well-formed"))
        .await
        .expect("it is there and well-formed");
    clients
        .into_iter()
        .find(|client| client.id.as_str() == id)
        .expect("it is there and well-formed")
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{id}:{secret}")))
}

/// One request to an OAuth endpoint in whatever clothing.
async fn ask(
    app: &TestApp,
    path: &str,
    content_type: &str,
    authorization: Option<&str>,
    body: &str,
) -> Reply {
    let mut call = app
        .anonymous()
        .request(Method::POST, path)
        .header("content-type", content_type);
    if let Some(authorization) = authorization {
        call = call.header("authorization", authorization);
    }
    call.body(body).send().await
}

async fn token(app: &TestApp, id: &str, secret: &str) -> Reply {
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    ask(app, "/oauth/token", FORM, None, &body).await
}

fn access_token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["access_token"]
        .as_str()
        .expect("it is there and well-formed")
        .to_owned()
}

fn bearer(app: &TestApp, token: &str) -> Client {
    let mut client = app.anonymous();
    client.token = Some(token.into());
    client
}

/// Everything but what differs between any two answers.
fn fingerprint(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "server-timing"].contains(&name.as_str()))
        .map(|(name, value)| {
            (
                name.to_string(),
                value
                    .to_str()
                    .expect("it is there and well-formed")
                    .to_owned(),
            )
        })
        .collect();
    headers.sort();
    (reply.status, headers, reply.text())
}

fn assert_refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!(
        (reply.status, reply.json()["error"].as_str()),
        (status, Some(error)),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("content-type"), JSON);
    assert_eq!(reply.header("cache-control"), "no-store");
    let body = reply.json();
    let description = body["error_description"]
        .as_str()
        .expect("it is there and well-formed");
    assert!(
        description
            .bytes()
            .all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\')
    );
    assert!(
        body["error_uri"]
            .as_str()
            .expect("it is there and well-formed")
            .ends_with(&format!("/problems/{error}"))
    );
}
