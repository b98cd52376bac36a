//! The program in process, as a test sees it.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use platform::clock::{Clock, Timestamp};
use platform::http::Stack;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;
use tradepost::app::App;
use tradepost::config::Config;
use tradepost::oauth::flows::registration::{Registration, register};
use tradepost::oauth::request::GrantType;
use tradepost::oauth::{NewClient, Scopes, create_client};
use tradepost::router::stack;

/// Where the clock of every test starts: 2023-10-27T10:00:00Z, the day of the reference's examples.
pub const START: Timestamp = Timestamp::from_micros(1_698_400_800_000_000);

/// A running program with a fresh database and a clock that the test moves.
pub struct TestApp {
    pub app: App,
    pub stack: Stack,
    dir: tempfile::TempDir,
}

impl Deref for TestApp {
    type Target = App;
    fn deref(&self) -> &App {
        &self.app
    }
}

impl TestApp {
    /// With the settings that tests share: no rate limit, a clock that stands still.
    pub async fn start() -> TestApp {
        TestApp::start_with(|_| {}).await
    }

    /// With settings of its own.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> TestApp {
        // What the server logs belongs to the test that failed.
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_max_level(tracing::Level::WARN)
            .try_init();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let database_url = match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => Some(
                platform::db::testing::fresh_postgres(&url)
                    .await
                    .expect("a fresh schema"),
            ),
            Err(_) => None,
        };
        let mut config = Config {
            data_dir: dir.path().to_owned(),
            database_url,
            rate_limit_per_second: 0,
            log_requests: false,
            ..Config::default()
        };
        change(&mut config);
        let clock = Clock::manual(START);
        let app = App::start(config, clock).await.expect("the program starts");
        let log = app.config.log_requests;
        let log = log.then(|| Box::new(std::io::sink()) as Box<dyn std::io::Write + Send>);
        let stack = stack(&app, log);
        TestApp { app, stack, dir }
    }

    /// The folder with everything that this program keeps.
    pub fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Someone who is not known.
    pub fn anonymous(&self) -> Client {
        Client {
            stack: self.stack.clone(),
            token: None,
        }
    }

    /// A new client with these scopes (separated by spaces), holding a token.
    pub async fn client(&self, scopes: &str) -> Client {
        let (id, secret) = self.credentials(scopes).await;
        let body = serde_json::json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
        let reply = self.anonymous().post("/oauth/token", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let token = reply.json()["access_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        Client {
            stack: self.stack.clone(),
            token: Some(token.into()),
        }
    }

    /// A new client with these scopes that may also let in devices: its id and secret.
    pub async fn credentials_for_devices(&self, scopes: &str) -> (String, String) {
        let (id, secret) = self.credentials(scopes).await;
        let flows = [GrantType::ClientCredentials, GrantType::DeviceCode];
        let flows = Registration::new(flows, Vec::new(), false).expect("flows that go together");
        let (client, now) = (id.parse().expect("an id"), self.clock.now());
        let set = self
            .db
            .write(async move |tx| register(tx, &client, &flows, now).await);
        set.await.expect("a client with flows");
        (id, secret)
    }

    /// A new client's id and secret.
    pub async fn credentials(&self, scopes: &str) -> (String, String) {
        let new = NewClient {
            name: "test".into(),
            scopes: Scopes::parse(scopes).expect("known scopes"),
            signing_alg: Default::default(),
            token_ttl_seconds: None,
            expires_at: None,
            ip_allow: Vec::new(),
        };
        let now = self.clock.now();
        let made = self
            .db
            .write(async move |tx| create_client(tx, &new, now).await)
            .await;
        let (id, secret) = made.expect("a client");
        (id.as_str().to_owned(), secret.expose().to_owned())
    }
}

/// Someone who sends requests.
#[derive(Clone)]
pub struct Client {
    stack: Stack,
    pub token: Option<Arc<str>>,
}

/// A request under construction.
pub struct Call {
    client: Client,
    request: axum::http::request::Builder,
    body: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

#[allow(dead_code, reason = "not every verb is used by every chapter")]
impl Client {
    pub async fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).send().await
    }
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.request(Method::POST, path).json(&body).send().await
    }
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.request(Method::PUT, path).json(&body).send().await
    }
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.request(Method::PATCH, path).json(&body).send().await
    }
    pub async fn delete(&self, path: &str) -> Reply {
        self.request(Method::DELETE, path).send().await
    }

    pub fn request(&self, method: Method, path: &str) -> Call {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        Call {
            client: self.clone(),
            request,
            body: Vec::new(),
        }
    }
}

impl Call {
    pub fn header(mut self, name: &str, value: &str) -> Call {
        self.request = self.request.header(name, value);
        self
    }
    pub fn json(self, body: &Value) -> Call {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Call {
        self.body = body.into();
        self
    }
    /// A header that need not be text.
    pub fn header_bytes(mut self, name: &str, value: &[u8]) -> Call {
        self.request = self.request.header(name, value);
        self
    }
    /// The answer, which must not be a 500.
    pub async fn send(self) -> Reply {
        let reply = self.send_for_any_status().await;
        assert!(
            reply.status != StatusCode::INTERNAL_SERVER_ERROR,
            "500: {}",
            reply.text()
        );
        reply
    }
    pub async fn send_for_any_status(self) -> Reply {
        let request = self
            .request
            .body(Body::from(self.body))
            .expect("a valid request");
        let response: Response = self
            .client
            .stack
            .handle(request, IpAddr::V4(Ipv4Addr::LOCALHOST))
            .await;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .expect("a whole body")
            .to_bytes()
            .to_vec();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }
}

#[allow(dead_code, reason = "not every part is looked at by every chapter")]
impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }
    pub fn json_or_none(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }
    /// The `code` of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
    /// SQL statements sent for this request.
    pub fn statements(&self) -> u64 {
        self.header("server-timing")
            .split('"')
            .nth(1)
            .and_then(|n| n.parse().ok())
            .expect("a count")
    }
}
