//! The rows of the report.

use crate::client::{Connection, Run, request, run};
use crate::limits;
use crate::runtime;
use crate::server::{Server, make_client};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const CONNECTIONS: usize = 32;
/// Raw orders get numbers far from the product's own.
const RAW_TURN: i64 = 1_000_000_000;

pub struct Settings {
    pub products: usize,
    pub rounds: usize,
    pub time: Duration,
}

/// The lines of the report.
#[derive(Default)]
pub struct Report(Vec<Line>);

struct Line {
    engine: &'static str,
    what: String,
    measured: String,
    limit: String,
    ratio: Option<f64>,
    goal: String,
    met: bool,
}

impl Report {
    fn ratio(&mut self, engine: &'static str, what: &str, measured: &Run, limit: f64, goal: f64) {
        let ratio = measured.rate / limit;
        self.0.push(Line {
            engine,
            what: what.to_owned(),
            measured: format!("{:.0}/s, p99 {:.1} ms", measured.rate, measured.p99_ms),
            limit: format!("{limit:.0}/s"),
            ratio: Some(ratio),
            goal: format!("≥ {goal:.2}"),
            met: ratio >= goal && measured.unexpected == 0,
        });
        if measured.unexpected > 0 {
            println!("  {what}: {} unexpected answers", measured.unexpected);
        }
    }

    fn at_most(&mut self, engine: &'static str, what: &str, value: f64, unit: &str, goal: f64) {
        self.0.push(Line {
            engine,
            what: what.to_owned(),
            measured: format!("{value:.1} {unit}"),
            limit: String::new(),
            ratio: None,
            goal: format!("≤ {goal} {unit}"),
            met: value <= goal,
        });
    }

    /// To the terminal, or as JSON for programs.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let rows: Vec<Value> = self.0.iter().map(|line| json!({ "engine": line.engine, "scenario": line.what,
                "measured": line.measured, "limit": line.limit, "ratio": line.ratio, "goal": line.goal, "met": line.met })).collect();
            println!("{}", json!(rows));
            return;
        }
        println!(
            "\n{:<11} {:<44} {:>28} {:>12} {:>7} {:>14}",
            "engine", "scenario", "measured", "limit", "ratio", "goal"
        );
        for line in &self.0 {
            let ratio = line
                .ratio
                .map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let verdict = if line.met { "met" } else { "MISSED" };
            println!(
                "{:<11} {:<44} {:>28} {:>12} {:>7} {:>14}  {verdict}",
                line.engine, line.what, line.measured, line.limit, ratio, line.goal
            );
        }
        let missed = self.0.iter().filter(|line| !line.met).count();
        println!(
            "\n{} of {} goals met, {missed} missed",
            self.0.len() - missed,
            self.0.len()
        );
    }
}

/// A seeded server and what is needed to talk to it.
struct Shop {
    server: Server,
    token: String,
    products: Vec<String>,
    variants: Vec<String>,
}

/// Everything on one engine.
pub fn run_engine(settings: &Settings, database_url: Option<&str>, report: &mut Report) {
    let engine = if database_url.is_some() {
        "postgresql"
    } else {
        "sqlite"
    };
    let runtime = runtime();
    let dir = tempfile::Builder::new()
        .prefix("tradepost-bench")
        .tempdir_in("/var/tmp")
        .expect("a temporary folder");
    let url = database_url.map(|url| {
        runtime
            .block_on(platform::db::testing::fresh_postgres(url))
            .expect("a fresh schema")
    });
    let url = url.as_deref();
    println!(
        "{engine}: starting and seeding {} products",
        settings.products
    );
    let fresh = Server::tradepost(dir.path(), url, &[]);
    report.at_most(
        engine,
        "start with a fresh database",
        fresh.start_ms,
        "ms",
        300.0,
    );
    fresh.stop();
    let (id, secret) = make_client(dir.path(), url, "HS256");
    let server = Server::tradepost(dir.path(), url, &[]);
    report.at_most(
        engine,
        "start with an existing database",
        server.start_ms,
        "ms",
        100.0,
    );
    report.at_most(engine, "memory, idle", server.resident_mib(), "MiB", 40.0);
    let constant = Server::constant();
    let shop = runtime.block_on(seed(server, &id, &secret, settings.products));
    runtime.block_on(reads(settings, engine, &shop, &constant, report));
    runtime.block_on(tokens(
        settings,
        engine,
        &shop,
        &constant,
        (&id, &secret),
        report,
    ));
    let (es_id, es_secret) = make_client(dir.path(), url, "ES256");
    runtime.block_on(es_tokens(
        settings,
        engine,
        &shop,
        &constant,
        (&es_id, &es_secret),
        report,
    ));
    runtime.block_on(saturated(settings, engine, &shop, report));
    orders(settings, engine, shop, &runtime, dir.path(), url, report);
    if url.is_none() {
        let binary = std::fs::metadata(env!("CARGO_BIN_EXE_tradepost"))
            .map_or(0.0, |file| file.len() as f64 / 1e6);
        report.at_most(engine, "binary", binary, "MB", 30.0);
    }
}

async fn seed(server: Server, id: &str, secret: &str, products: usize) -> Shop {
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

const WORDS: [&str; 24] = [
    "ceramic", "lantern", "bicycle", "kettle", "walnut", "linen", "copper", "garden", "velvet",
    "compass", "harbour", "meadow", "pepper", "thunder", "marble", "willow", "saffron", "beacon",
    "cobalt", "hickory", "juniper", "quartz", "sparrow", "timber",
];

async fn create(connection: &mut Connection, token: &str, number: usize) -> (String, String) {
    let word = |step: usize| WORDS[(number * step + step) % WORDS.len()];
    let body = json!({ "title": format!("{} {} {} No. {number}", word(1), word(5), word(7)), "status": "active",
        "description": format!("A {} {} for every {}, made to last.", word(11), word(3), word(13)),
        "type": word(1), "vendor": word(5), "tags": [word(7)], "sku": format!("SKU-{number:06}"),
        "price": 500 + number % 5_000, "currency": "USD", "inventory_quantity": 1_000_000_000i64 });
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

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    runs.swap_remove(runs.len() / 2)
}

/// `product` and a constant body of equal size, in turns.
async fn against_constant(
    settings: &Settings,
    address: std::net::SocketAddr,
    constant: &Server,
    expected: u16,
    next: Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync>,
) -> (Run, f64) {
    let probe = run(
        address,
        4,
        Duration::from_millis(200),
        expected,
        next.clone(),
    )
    .await;
    let path = format!("/{}", probe.body_bytes.round());
    let (mut own, mut limits) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let fixed = request("GET", &path, None, "", "");
        limits.push(
            run(
                constant.address,
                CONNECTIONS,
                settings.time,
                200,
                Arc::new(move |_, _| fixed.clone()),
            )
            .await,
        );
        own.push(run(address, CONNECTIONS, settings.time, expected, next.clone()).await);
    }
    (median(own), median(limits).rate)
}

async fn reads(
    settings: &Settings,
    engine: &'static str,
    shop: &Shop,
    constant: &Server,
    report: &mut Report,
) {
    let address = shop.server.address;
    let get = |path: String| request("GET", &path, Some(&shop.token), "", "");
    let by_id: Vec<Vec<u8>> = shop
        .products
        .iter()
        .map(|id| get(format!("/v2/products/{id}")))
        .collect();
    let goal = if engine == "sqlite" { 0.50 } else { 0.28 };
    let pick = move |requests: Vec<Vec<u8>>| -> Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync> {
        Arc::new(move |connection, turn| {
            let index = (connection as u64 * 7_919 + turn * 104_729) % requests.len() as u64;
            requests[index as usize].clone()
        })
    };
    let (own, limit) = against_constant(settings, address, constant, 200, pick(by_id)).await;
    report.ratio(engine, "GET by id, of the constant body", &own, limit, goal);
    let deep = deep_cursor(shop).await;
    let (own, limit) =
        against_constant(settings, address, constant, 200, pick(vec![get(deep)])).await;
    report.ratio(
        engine,
        "list of 20 by cursor, deep, of the constant body",
        &own,
        limit,
        0.35,
    );
    let offset = shop.products.len() * 9 / 10;
    let (own, limit) = against_constant(
        settings,
        address,
        constant,
        200,
        pick(vec![get(format!("/v2/products?limit=20&offset={offset}"))]),
    )
    .await;
    report.ratio(
        engine,
        &format!("list of 20 at OFFSET {offset}, of the constant body"),
        &own,
        limit,
        0.10,
    );
    let searches: Vec<Vec<u8>> = WORDS
        .iter()
        .enumerate()
        .map(|(index, word)| match index % 2 {
            0 => get(format!("/v2/products/search?q={word}&limit=20")),
            _ => get(format!(
                "/v2/products/search?q={word}+{}&limit=20",
                WORDS[(index * 5 + 5) % WORDS.len()]
            )),
        })
        .collect();
    let own = run(address, CONNECTIONS, settings.time, 200, pick(searches)).await;
    println!(
        "  search: {:.0}/s, p99 {:.1} ms, {} unexpected",
        own.rate, own.p99_ms, own.unexpected
    );
    report.at_most(engine, "search of 1-2 words, p99", own.p99_ms, "ms", 10.0);
}

/// The path of the page of 20 in the middle of the list, by following cursors.
async fn deep_cursor(shop: &Shop) -> String {
    let mut connection = Connection::open(shop.server.address)
        .await
        .expect("connects");
    let mut path = "/v2/products?limit=250".to_owned();
    for _ in 0..shop.products.len() / 500 {
        let answer = connection
            .ask(&request("GET", &path, Some(&shop.token), "", ""))
            .await
            .expect("a page");
        path = next_path(answer.header("link")).expect("more pages");
    }
    path.replace("limit=250", "limit=20")
}

fn next_path(link: &str) -> Option<String> {
    let next = link
        .split(", ")
        .find(|part| part.ends_with("rel=\"next\""))?;
    let url = next.split('>').next()?.trim_start_matches('<');
    url.find("/v2/").map(|at| url[at..].to_owned())
}

async fn tokens(
    settings: &Settings,
    engine: &'static str,
    shop: &Shop,
    constant: &Server,
    client: (&str, &str),
    report: &mut Report,
) {
    let (own, limit) = against_constant(
        settings,
        shop.server.address,
        constant,
        200,
        token_requests(client),
    )
    .await;
    report.ratio(
        engine,
        "token HS256, of the constant body",
        &own,
        limit,
        0.40,
    );
}

async fn es_tokens(
    settings: &Settings,
    engine: &'static str,
    shop: &Shop,
    constant: &Server,
    client: (&str, &str),
    report: &mut Report,
) {
    let (own, limit) = against_constant(
        settings,
        shop.server.address,
        constant,
        200,
        token_requests(client),
    )
    .await;
    report.ratio(
        engine,
        "token ES256, of the constant body",
        &own,
        limit,
        0.12,
    );
}

fn token_requests((id, secret): (&str, &str)) -> Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync> {
    let body =
        json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret })
            .to_string();
    let request = request("POST", "/oauth/token", None, "", &body);
    Arc::new(move |_, _| request.clone())
}

fn order_requests(shop: &Shop) -> Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync> {
    let (token, variants) = (shop.token.clone(), shop.variants.clone());
    let turns = AtomicI64::new(0);
    let run = platform::id::new_id("run");
    Arc::new(move |_, _| {
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        let item = |part: i64| {
            let index = (turn * 3 + part) as usize * 31 % variants.len();
            json!({ "variant_id": variants[index], "quantity": 1 })
        };
        let body = json!({ "email": "guest@example.com", "currency": "USD", "items": [item(0), item(1), item(2)] });
        let key = format!("idempotency-key: {run}-{turn}\r\n");
        request("POST", "/v2/orders", Some(&token), &key, &body.to_string())
    })
}

/// Reads while the writer is saturated by others, of reads alone: 256 connections in all.
async fn saturated(settings: &Settings, engine: &'static str, shop: &Shop, report: &mut Report) {
    let address = shop.server.address;
    let path = format!("/v2/products/{}", shop.products[0]);
    let read = request("GET", &path, Some(&shop.token), "", "");
    let reads = |read: Vec<u8>| -> Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync> {
        Arc::new(move |_, _| read.clone())
    };
    let alone = run(address, 128, settings.time, 200, reads(read.clone())).await;
    let writes = run(address, 128, settings.time, 201, order_requests(shop));
    let (beside, writes) = tokio::join!(run(address, 128, settings.time, 200, reads(read)), writes);
    println!(
        "  saturated: {:.0} reads/s beside {:.0} orders/s",
        beside.rate, writes.rate
    );
    report.ratio(
        engine,
        "reads beside a saturated writer, of reads alone",
        &beside,
        alone.rate,
        0.60,
    );
}

/// Durable orders of three lines with a key, of the raw statements in the same tables.
fn orders(
    settings: &Settings,
    engine: &'static str,
    shop: Shop,
    runtime: &tokio::runtime::Runtime,
    dir: &std::path::Path,
    url: Option<&str>,
    report: &mut Report,
) {
    let triples: Vec<Vec<String>> = shop
        .variants
        .chunks_exact(3)
        .map(|three| {
            let mut three = three.to_vec();
            three.sort();
            three
        })
        .collect();
    let (mut own, mut raw) = (Vec::new(), Vec::new());
    let next = order_requests(&shop);
    for round in 0..settings.rounds {
        own.push(runtime.block_on(run(
            shop.server.address,
            CONNECTIONS,
            settings.time,
            201,
            next.clone(),
        )));
        let first = RAW_TURN * (round as i64 + 1);
        // On SQLite the server is idle meanwhile and the lock is free: the same file, the same tables.
        raw.push(match url {
            None => limits::raw_sqlite(&dir.join("tradepost.db"), &triples, settings.time, first),
            Some(url) => {
                runtime.block_on(limits::raw_postgres(url, &triples, settings.time, first))
            }
        });
    }
    raw.sort_by(f64::total_cmp);
    let own = median(own);
    report.ratio(
        engine,
        "durable order of 3 lines, of the raw loop",
        &own,
        raw[raw.len() / 2],
        0.60,
    );
    report.at_most(engine, "durable order, p99", own.p99_ms, "ms", 15.0);
    report.at_most(
        engine,
        "memory, loaded",
        shop.server.resident_mib(),
        "MiB",
        150.0,
    );
    shop.server.stop();
}
