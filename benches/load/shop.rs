//! A server with products, made through its own API.

use crate::catalog;
use crate::client::{Connection, request};
use crate::server::Server;
use serde_json::{Value, json};

/// Connections that seed at a time, and that every scenario uses unless it says otherwise.
pub const CONNECTIONS: usize = 32;

/// A seeded server and what is needed to talk to it.
pub struct Shop {
    pub server: Server,
    pub token: String,
    pub products: Vec<String>,
    pub variants: Vec<String>,
}

/// Fills the shop of `server` with `products` products.
pub async fn seed(server: Server, id: &str, secret: &str, products: usize) -> Shop {
    let mut connection = Connection::open(server.address).await.expect("connects");
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret })
            .to_string();
    let answer = connection
        .ask(&request("POST", "/oauth/token", None, "", &body))
        .await
        .expect("a token");
    let token: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let made: Vec<(String, String)> = {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|part| {
                let (address, token) = (server.address, token.clone());
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await.expect("connects");
                    let mut made = Vec::new();
                    for number in (part..products).step_by(CONNECTIONS) {
                        made.push(create(&mut connection, &token, number).await);
                    }
                    made
                })
            })
            .collect();
        let mut made = Vec::new();
        for task in tasks {
            made.extend(task.await.expect("seeds"));
        }
        made
    };
    let (products, variants) = made.into_iter().unzip();
    Shop {
        server,
        token,
        products,
        variants,
    }
}

async fn create(connection: &mut Connection, token: &str, number: usize) -> (String, String) {
    let body = catalog::body(number);
    let answer = connection
        .ask(&request(
            "POST",
            "/v2/products",
            Some(token),
            "",
            &body.to_string(),
        ))
        .await
        .expect("answers");
    assert_eq!(
        answer.status,
        201,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let product: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    (text(&product["id"]), text(&product["variants"][0]["id"]))
}
