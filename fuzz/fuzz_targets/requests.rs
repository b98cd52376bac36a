//! Whole requests against the whole program on an embedded database: method, path with its ids, query and
//! headers, as they come. Without a body nearly all of them only read.

#![no_main]

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use platform::clock::Clock;
use platform::http::{Front, Stack};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;
use tradepost::app::App;
use tradepost::config::Config;
use tradepost::oauth::{NewClient, Scopes, create_client};
use tradepost::router::{endpoints, router};
use tradepost_fuzz::{NOW, run};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const HEADERS: [&str; 10] = [
    "idempotency-key",
    "if-match",
    "if-none-match",
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-type",
    "authorization",
    "prefer",
    "range",
];

struct Program {
    stack: Stack,
    token: HeaderValue,
    paths: Vec<(Method, &'static str)>,
    _dir: tempfile::TempDir,
}

fn program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| run(start()))
}

async fn start() -> Program {
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config {
        data_dir: dir.path().to_owned(),
        rate_limit_per_second: 0,
        log_requests: false,
        ..Config::default()
    };
    // The clock stands still, so that the token lasts.
    let clock = Clock::manual(NOW);
    let app = App::start(config, clock.clone())
        .await
        .expect("the program starts");
    tradepost::demo::fill(&app, "http://127.0.0.1:8080")
        .await
        .expect("sample data");
    let new = NewClient {
        name: "fuzz".into(),
        scopes: Scopes::all(),
        signing_alg: Default::default(),
        token_ttl_seconds: None,
        expires_at: None,
        ip_allow: Vec::new(),
    };
    let made = app
        .db
        .write(async move |tx| create_client(tx, &new, NOW).await)
        .await;
    let (id, secret) = made.expect("a client");
    let stack = Stack::new(router(app), clock, None, Front::default());
    let body = json!({ "grant_type": "client_credentials", "client_id": id.as_str(), "client_secret": secret.expose() });
    let request = Request::post("/oauth/token")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    let answer = stack
        .handle(request, PEER)
        .await
        .into_body()
        .collect()
        .await
        .expect("a body");
    let answer: Value = serde_json::from_slice(&answer.to_bytes()).expect("JSON");
    let bearer = format!(
        "Bearer {}",
        answer["access_token"].as_str().expect("a token")
    );
    Program {
        stack,
        token: bearer.parse().expect("text"),
        paths: endpoints()
            .into_iter()
            .map(|one| (one.method, one.path))
            .collect(),
        _dir: dir,
    }
}

/// The first byte chooses the endpoint. Then come lines: what stands for each `{id}` and behind the path,
/// then headers, each with a first byte for its name.
fn request(program: &Program, data: &[u8]) -> Option<Request<Body>> {
    let (choice, rest) = data.split_first()?;
    let (method, path) = &program.paths[usize::from(*choice) % program.paths.len()];
    let mut lines = rest.split(|byte| *byte == b'\n');
    let filling = std::str::from_utf8(lines.next()?).ok()?;
    let (id, behind) = filling.split_once(' ').unwrap_or((filling, ""));
    let start = path.find('{').unwrap_or(path.len());
    let end = path.find('}').map_or(path.len(), |at| at + 1);
    let id = if start == path.len() { "" } else { id };
    let target = format!("{}{id}{}{behind}", &path[..start], &path[end..]);
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::empty())
        .ok()?;
    request
        .headers_mut()
        .insert("authorization", program.token.clone());
    for line in lines.take(8) {
        let (name, value) = line.split_first()?;
        let name = HEADERS[usize::from(*name) % HEADERS.len()];
        let value = HeaderValue::from_bytes(value).ok()?;
        request
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    Some(request)
}

fuzz_target!(|data: &[u8]| {
    let program = program();
    let Some(request) = request(program, data) else {
        return;
    };
    let (method, target) = (request.method().clone(), request.uri().clone());
    run(async {
        let response = program.stack.handle(request, PEER).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let told = String::from_utf8_lossy(&body);
        assert!(
            parts.status.as_u16() < 500,
            "{method} {target}: {} {told}",
            parts.status
        );
        // Compressed, it cannot be read here.
        if parts.status.is_client_error() && !parts.headers.contains_key("content-encoding") {
            let problem: Value = serde_json::from_slice(&body).expect("a refusal is JSON");
            let told = problem["code"].is_string() || problem["error"].is_string();
            assert!(told, "{method} {target}: {problem}");
        }
    });
});
