//! The program as its users start it.

use crate::program::{Http, Place, head, told};
use serde_json::json;
use std::io::{BufRead, Read};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use tradepost::migrations::MIGRATIONS;

#[tokio::test]
async fn a_token_a_product_an_order_and_a_graceful_end() {
    let place = Place::new().await;
    let credentials = place.credentials();
    let mut server = place.serve(&[]);
    let engine = if place.database_url.is_some() {
        "postgresql"
    } else {
        "sqlite"
    };
    let expected = format!(
        "Tradepost 0.1.0 listening on http://127.0.0.1:{} ({engine}, ",
        server.port
    );
    assert!(server.first.starts_with(&expected), "{}", server.first);

    let bearer = format!("Bearer {}", server.token(&credentials));
    let with = [("Authorization", bearer.as_str())];
    let mut http = server.connect();
    let product = json!({ "title": "Mug", "sku": "MUG", "price": 1250, "currency": "USD", "inventory_quantity": 3 });
    let made = http
        .send("POST", "/v2/products", &with, Some(&product))
        .expect("an answer");
    assert_eq!(made.status, 201, "{}", made.body);
    let listed = http
        .send("GET", "/v2/products", &with, None)
        .expect("an answer");
    assert_eq!(listed.json().as_array().map(Vec::len), Some(1));
    let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "MUG", "quantity": 2 }] });
    let placed = http
        .send("POST", "/v2/orders", &with, Some(&order))
        .expect("an answer");
    assert_eq!(placed.status, 201, "{}", placed.body);
    assert_eq!(placed.json()["totals"]["total"], 2_500);
    let refused = http
        .send("POST", "/v2/orders", &with, Some(&order))
        .expect("an answer");
    assert_eq!(refused.json()["code"], "insufficient_stock");

    let metrics = http.send("GET", "/metrics", &[], None).expect("an answer");
    assert!(
        metrics.body.contains("http_requests_total"),
        "{}",
        metrics.body
    );

    drop(http);
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let mut log = String::new();
    server
        .lines
        .read_to_string(&mut log)
        .expect("the request log");
    assert!(
        log.contains("\"route\":\"/v2/orders\",\"status\":201"),
        "{log}"
    );
}

/// RFC 9112 §2.2: an empty line before a request line is ignored; and an answer waits for nobody's next request.
#[tokio::test]
async fn an_answer_does_not_wait_for_what_follows_the_request() {
    let place = Place::new().await;
    let server = place.serve(&["--log-requests=false"]);
    let request = head("GET", "/healthz", &[], "");
    for after in ["\r\n", "G", "GET /healthz HTTP/1.1\r\nHost: "] {
        let mut http = server.connect();
        http.write_all(format!("{request}{after}").as_bytes())
            .expect("sent");
        let answer = http.read_answer().expect("an answer");
        assert_eq!(answer.status, 200, "{after:?}");
        if after == "\r\n" {
            let next = http.send("GET", "/healthz", &[], None).expect("the next");
            assert_eq!(next.status, 200);
        }
    }
    let last = head("GET", "/healthz", &[("Connection", "close")], "");
    let mut http = server.connect();
    http.write_all(format!("{last}\r\n").as_bytes())
        .expect("sent");
    assert_eq!(http.read_answer().expect("an answer").status, 200);
}

#[tokio::test]
async fn a_request_that_is_running_at_sigterm_is_answered() {
    let place = Place::new().await;
    let (id, secret) = place.credentials();
    let mut server = place.serve(&["--log-requests=false"]);
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret })
            .to_string();
    let (early, late) = body.split_at(10);
    let mut http = server.connect();
    // The server asks for the body when the endpoint reads it: then the request is being served.
    let head = head("POST", "/oauth/token", &[("Expect", "100-continue")], &body);
    http.write_all(head.as_bytes()).expect("sent");
    let go_on = http.read_answer().expect("an interim answer");
    assert_eq!(go_on.status, 100);
    http.write_all(early.as_bytes()).expect("sent");
    server.terminate();
    let deadline = Instant::now() + Duration::from_secs(10);
    while Http::connect(server.port).is_ok() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10)); // until it no longer listens
    }
    http.write_all(late.as_bytes()).expect("sent");
    let answer = http.read_answer().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(server.wait().code(), Some(0));
}

/// What is refused before any endpoint is looked at has the form of every other error.
#[tokio::test]
async fn oversized_and_hostless_requests_are_problems() {
    let place = Place::new().await;
    let server = place.serve(&["--log-requests=false"]);
    let ask = |text: &str| {
        let mut http = server.connect();
        http.write_all(text.as_bytes()).expect("sent");
        http.read_answer().expect("an answer")
    };
    let small: String = (0..99).map(|n| format!("X-{n}: 1\r\n")).collect();
    let many: String = (0..150).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = "x".repeat(33_000);
    for (request, status, code) in [
        (
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            431,
            "headers_too_large",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            414,
            "uri_too_long",
        ),
        (
            "GET /healthz HTTP/1.1\r\n\r\n".to_owned(),
            400,
            "invalid_header",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
            400,
            "invalid_header",
        ),
    ] {
        let answer = ask(&request);
        assert_eq!(answer.status, status, "{code}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["code"], code);
        assert!(!answer.header("x-request-id").is_empty());
    }
    for request in [
        format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{small}\r\n"),
        "GET /healthz HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        assert_eq!(ask(&request).status, 200);
    }
}

#[tokio::test]
async fn the_demo_prints_three_lines_that_work() {
    let place = Place::new().await;
    let mut server = place.serve(&["--demo", "--log-requests=false"]);
    let mut lines = Vec::new();
    while lines.len() < 3 {
        let mut line = String::new();
        assert_ne!(server.lines.read_line(&mut line).expect("a line"), 0);
        if line.contains("curl") {
            lines.push(line);
        }
    }
    let pasted = Command::new("sh")
        .arg("-c")
        .arg(lines.concat())
        .output()
        .expect("a shell");
    let (products, order) = {
        let mut answers =
            serde_json::Deserializer::from_slice(&pasted.stdout).into_iter::<serde_json::Value>();
        let mut next = || {
            answers
                .next()
                .and_then(Result::ok)
                .unwrap_or_else(|| panic!("{}", told(&pasted)))
        };
        (next(), next())
    };
    assert_eq!(products.as_array().map(Vec::len), Some(12));
    assert_eq!(order["status"], "pending", "{order}");
    assert_eq!(order["totals"]["total"], 2_998);
    server.terminate();
    assert!(server.wait().success());

    let mut again = place.serve(&["--demo", "--log-requests=false"]);
    let mut line = String::new();
    again.lines.read_line(&mut line).expect("a line");
    assert!(line.contains("tradepost clients create"), "{line}");
    if place.database_url.is_none() {
        let there = format!("--data-dir {}", place.data_dir().display());
        assert!(line.contains(&there), "{line}");
    }
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_said_in_one_line() {
    let place = Place::new().await;
    let fails = |args: &[&str], reason: &str| {
        let output = place.run(args);
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(reason), "{reason} in {said}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr).lines().count(),
            1,
            "{said}"
        );
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    fails(&["serve", "--listen", &address], "the port is taken");

    std::fs::write(place.dir().join("file"), "").expect("a file");
    let free = ["serve", "--listen", "127.0.0.1:0"];
    fails(
        &[&free[..], &["--data-dir", "file/data"]].concat(),
        "the data directory file/data",
    );
    let nobody = "postgres://tradepost:hunter2@127.0.0.1:1/nothing";
    fails(
        &[&free[..], &["--database-url", nobody]].concat(),
        "the database cannot be reached",
    );

    if place.database_url.is_none() {
        let _server = place.serve(&["--log-requests=false"]);
        fails(&free, "another Tradepost serves");
    }
    newer_schema(&place).await;
    fails(&free, "use a newer program");
}

/// Brings the schema where a later program would bring it.
async fn newer_schema(place: &Place) {
    let url = place.database_url.clone();
    let config = tradepost::config::Config {
        data_dir: place.data_dir(),
        database_url: url,
        ..Default::default()
    };
    let later = platform::db::Migration {
        version: MIGRATIONS.last().expect("some").version + 1,
        name: "later",
        sqlite: "",
        postgres: "",
    };
    let known = MIGRATIONS.iter().map(|known| platform::db::Migration {
        version: known.version,
        name: known.name,
        sqlite: known.sqlite,
        postgres: known.postgres,
    });
    let all: Vec<_> = known.chain([later]).collect();
    let db = tradepost::app::open_database(&config).await.expect("open");
    db.migrate(all.leak(), 0).await.expect("migrated");
}
