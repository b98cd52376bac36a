//! What is measured on one engine, scenario by scenario.

use crate::client::{Connection, Run, request, run};
use crate::limits;
use crate::report::Report;
use crate::runtime;
use crate::server::{Server, make_client};
use crate::shop::{CONNECTIONS, Shop, seed};
use crate::{catalog, dashboard, growth};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Raw orders get numbers far from the product's own.
const RAW_TURN: i64 = 1_000_000_000;
/// What the best peer reached where the limit was measured too (Vendure 3.7.3, 10,000 products, two
/// cores): of a constant body for a product, of the raw loop for an order.
const PEER_GET: f64 = 182.0 / 97_886.0;
const PEER_ORDER: f64 = 13.0 / 11_217.0;

pub struct Settings {
    pub products: usize,
    /// Rows of products at the end.
    pub grown: usize,
    pub rounds: usize,
    pub time: Duration,
}

/// The requests of a scenario, by connection and turn.
pub type Requests = Arc<dyn Fn(usize, u64) -> Vec<u8> + Send + Sync>;

/// One engine under measurement.
struct Bench<'a> {
    settings: &'a Settings,
    engine: &'static str,
    dir: &'a Path,
    url: Option<&'a str>,
    constant: Server,
    shop: Shop,
    report: &'a mut Report,
}

/// Everything on one engine.
pub fn run_engine(settings: &Settings, database_url: Option<&str>, report: &mut Report) {
    let engine = database_url.map_or("sqlite", |_| "postgresql");
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
    let (server, id, secret) = start(engine, dir.path(), url, report);
    let shop = runtime.block_on(seed(server, &id, &secret, settings.products));
    if let Some(url) = url {
        runtime.block_on(growth::analyze(url)); // as autovacuum does within a minute
    }
    let mut bench = Bench {
        settings,
        engine,
        dir: dir.path(),
        url,
        constant: Server::constant(),
        shop,
        report,
    };
    runtime.block_on(async {
        bench.statements().await;
        bench.reads().await;
        bench.search().await;
        bench.tokens().await;
        bench.saturated().await;
    });
    bench.orders(&runtime);
    runtime.block_on(bench.growth());
    bench.shop.server.stop();
}

/// Starts on nothing, then on what that left, and makes a client in between.
fn start(
    engine: &'static str,
    dir: &Path,
    url: Option<&str>,
    report: &mut Report,
) -> (Server, String, String) {
    let fresh = Server::tradepost(dir, url, &[]);
    report.at_most(
        engine,
        "start with a fresh database",
        fresh.start_ms,
        "ms",
        300.0,
    );
    fresh.stop();
    let (id, secret) = make_client(dir, url, "HS256");
    let server = Server::tradepost(dir, url, &[]);
    report.at_most(
        engine,
        "start with an existing database",
        server.start_ms,
        "ms",
        100.0,
    );
    report.at_most(engine, "memory, idle", server.resident_mib(), "MiB", 40.0);
    if url.is_none() {
        let binary = std::fs::metadata(env!("CARGO_BIN_EXE_tradepost"))
            .map_or(0.0, |file| file.len() as f64 / 1e6);
        report.at_most(engine, "binary", binary, "MB", 30.0);
    }
    (server, id, secret)
}

/// The run in the middle by its rate.
fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    runs.swap_remove(runs.len() / 2)
}

/// In an order that touches all of `requests` before it repeats one, different for each connection.
fn pick(requests: Vec<Vec<u8>>) -> Requests {
    Arc::new(move |connection, turn| {
        let index = (connection as u64 * 7_919 + turn * 104_729) % requests.len() as u64;
        requests[index as usize].clone()
    })
}

impl Bench<'_> {
    fn get(&self, path: &str) -> Vec<u8> {
        request("GET", path, Some(&self.shop.token), "", "")
    }

    /// `next` and `limit` in turns: the medians of both.
    async fn in_turns(
        &self,
        (expected, next): (u16, Requests),
        (limit_server, limit): (&Server, Requests),
    ) -> (Run, f64) {
        let (mut own, mut limits) = (Vec::new(), Vec::new());
        let time = self.settings.time;
        for _ in 0..self.settings.rounds {
            limits.push(run(limit_server.address, CONNECTIONS, time, 200, limit.clone()).await);
            own.push(
                run(
                    self.shop.server.address,
                    CONNECTIONS,
                    time,
                    expected,
                    next.clone(),
                )
                .await,
            );
        }
        (median(own), median(limits).rate)
    }

    /// Mean bytes of the answers.
    async fn body_bytes(&self, expected: u16, next: &Requests) -> usize {
        let address = self.shop.server.address;
        let probe = run(
            address,
            4,
            Duration::from_millis(200),
            expected,
            next.clone(),
        )
        .await;
        probe.body_bytes.round() as usize
    }

    /// A row: `next` of a constant body of equal size.
    async fn against_constant(&mut self, what: &str, next: Requests, goal: f64) -> f64 {
        let path = format!("/{}", self.body_bytes(200, &next).await);
        let fixed = pick(vec![request("GET", &path, None, "", "")]);
        let (own, limit) = self.in_turns((200, next), (&self.constant, fixed)).await;
        let what = format!("{what}, of the constant body");
        self.report.ratio(self.engine, &what, &own, limit, goal)
    }

    /// SQL statements of single requests, as `Server-Timing` tells them.
    async fn statements(&mut self) {
        let mut connection = Connection::open(self.shop.server.address)
            .await
            .expect("connects");
        let by_id = self.get(&format!("/v2/products/{}", self.shop.products[0]));
        let list = self.get("/v2/products?limit=20");
        let order = self.order_requests()(0, 0);
        for (what, request, goal) in [
            ("GET by id", by_id, 2.0),
            ("list of 20", list, 2.0),
            ("order of 3 lines", order, 14.0),
        ] {
            let answer = connection.ask(&request).await.expect("answers");
            let count: f64 = answer
                .header("server-timing")
                .split('"')
                .nth(1)
                .and_then(|count| count.parse().ok())
                .expect("a count of statements");
            let what = format!("statements, {what}");
            self.report.at_most(self.engine, &what, count, "", goal);
        }
    }

    async fn reads(&mut self) {
        let goal = if self.url.is_none() { 0.50 } else { 0.28 };
        let by_id = self
            .shop
            .products
            .iter()
            .map(|id| self.get(&format!("/v2/products/{id}")));
        let by_id = pick(by_id.collect());
        let ratio = self.against_constant("GET by id", by_id, goal).await;
        self.report.multiple(
            self.engine,
            "GET by id, of the best peer on record",
            ratio / PEER_GET,
            250.0,
        );
        let deep = self.deep_cursor(self.shop.products.len() / 2).await;
        let page = pick(vec![self.get(&deep)]);
        self.against_constant("list of 20 by cursor, deep", page, 0.35)
            .await;
        let offset = self.shop.products.len() * 9 / 10;
        let page = self.get(&format!("/v2/products?limit=20&offset={offset}"));
        let what = format!("list of 20 at OFFSET {offset}");
        self.against_constant(&what, pick(vec![page]), 0.10).await;
    }

    /// The path of the page of 20 after `depth` products, by following cursors.
    async fn deep_cursor(&self, depth: usize) -> String {
        let mut connection = Connection::open(self.shop.server.address)
            .await
            .expect("connects");
        let mut path = "/v2/products?limit=250".to_owned();
        for _ in 0..depth / 250 {
            let answer = connection.ask(&self.get(&path)).await.expect("a page");
            path = next_path(answer.header("link")).expect("more pages");
        }
        path.replace("limit=250", "limit=20")
    }

    async fn search(&mut self) {
        let queries: Vec<String> = (0..512)
            .map(|turn| catalog::query(turn, self.shop.products.len()))
            .collect();
        let own = queries
            .iter()
            .map(|q| self.get(&format!("/v2/products/search?q={q}&limit=20")));
        let own = pick(own.collect());
        let size = self.body_bytes(200, &own).await;
        let bare = queries
            .iter()
            .map(|q| request("GET", &format!("/?q={q}&size={size}"), None, "", ""));
        let bare = pick(bare.collect());
        let engine = Server::search_engine(self.shop.products.len());
        let (own, limit) = self.in_turns((200, own), (&engine, bare)).await;
        self.report.ratio(
            self.engine,
            "search of 1-2 words, of the bare engine",
            &own,
            limit,
            0.50,
        );
        self.report.at_most(
            self.engine,
            "search of 1-2 words, p99",
            own.p99_ms,
            "ms",
            10.0,
        );
    }

    async fn tokens(&mut self) {
        for (algorithm, goal) in [("HS256", 0.40), ("ES256", 0.12), ("EdDSA", 0.12)] {
            let (id, secret) = make_client(self.dir, self.url, algorithm);
            let body = json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
            let next = pick(vec![request(
                "POST",
                "/oauth/token",
                None,
                "",
                &body.to_string(),
            )]);
            self.against_constant(&format!("token {algorithm}"), next, goal)
                .await;
        }
    }

    fn order_requests(&self) -> Requests {
        order_requests(self.shop.token.clone(), self.shop.variants.clone())
    }

    /// 128 connections read while 128 others keep the writer saturated.
    async fn saturated(&mut self) {
        let address = self.shop.server.address;
        let read = pick(vec![
            self.get(&format!("/v2/products/{}", self.shop.products[0])),
        ]);
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..self.settings.rounds {
            alone.push(run(address, 128, self.settings.time, 200, read.clone()).await);
            let writes = run(address, 128, self.settings.time, 201, self.order_requests());
            let reads = run(address, 128, self.settings.time, 200, read.clone());
            let (reads, writes) = tokio::join!(reads, writes);
            println!(
                "  saturated: {:.0} reads/s beside {:.0} orders/s",
                reads.rate, writes.rate
            );
            beside.push(reads);
        }
        let what = "reads beside a saturated writer, of reads alone";
        self.report
            .ratio(self.engine, what, &median(beside), median(alone).rate, 0.60);
    }

    /// Durable orders of three lines with a key, of the raw statements in the same tables.
    fn orders(&mut self, runtime: &tokio::runtime::Runtime) {
        let sorted = |three: &[String]| {
            let mut three = three.to_vec();
            three.sort();
            three
        };
        let triples: Vec<Vec<String>> = self.shop.variants.chunks_exact(3).map(sorted).collect();
        let (mut own, mut raw) = (Vec::new(), Vec::new());
        let (next, time) = (self.order_requests(), self.settings.time);
        for round in 0..self.settings.rounds {
            own.push(runtime.block_on(run(
                self.shop.server.address,
                CONNECTIONS,
                time,
                201,
                next.clone(),
            )));
            let first = RAW_TURN * (round as i64 + 1);
            // On SQLite the server is idle meanwhile and the lock is free: the same file, the same tables.
            raw.push(match self.url {
                None => limits::raw_sqlite(&self.dir.join("tradepost.db"), &triples, time, first),
                Some(url) => runtime.block_on(limits::raw_postgres(url, &triples, time, first)),
            });
        }
        raw.sort_by(f64::total_cmp);
        let own = median(own);
        let limit = raw[raw.len() / 2];
        let ratio = self.report.ratio(
            self.engine,
            "durable order of 3 lines, of the raw loop",
            &own,
            limit,
            0.60,
        );
        self.report
            .at_most(self.engine, "durable order, p99", own.p99_ms, "ms", 15.0);
        self.report.multiple(
            self.engine,
            "durable order, of the best peer on record",
            ratio / PEER_ORDER,
            600.0,
        );
        self.report.at_most(
            self.engine,
            "memory, loaded",
            self.shop.server.resident_mib(),
            "MiB",
            150.0,
        );
    }

    /// The same reads and orders once there are a hundred times as many rows.
    async fn growth(&mut self) {
        let small = self.growing().await;
        println!(
            "{}: growing to {} products",
            self.engine, self.settings.grown
        );
        let added = growth::grow(self.dir, self.url, &self.shop, self.settings.grown).await;
        // The new ones are what is read and ordered from now on, spread over all of them.
        let step = (added / self.shop.products.len()).max(1);
        self.shop.products = (0..added)
            .step_by(step)
            .map(|n| format!("prod_grown{n}"))
            .collect();
        self.shop.variants = (0..added)
            .step_by(step)
            .map(|n| format!("var_grown{n}"))
            .collect();
        let large = self.growing().await;
        for ((what, small), (_, large)) in small.iter().zip(&large) {
            let what = format!("{what}, of itself at {} rows", self.settings.products);
            self.report
                .ratio(self.engine, &what, large, small.rate, 1.0 / 1.5);
        }
        self.first_page().await;
    }

    /// The dashboard's first page for one person, over all products and all orders of this run.
    async fn first_page(&mut self) {
        let page = dashboard::first_page(self.dir, self.url).await;
        let (address, time) = (self.shop.server.address, self.settings.time);
        let seen = run(address, 1, time, 200, pick(vec![page])).await;
        let what = format!("dashboard, p99 at {} products", self.settings.grown);
        let p99_ms = if seen.unexpected == 0 {
            seen.p99_ms
        } else {
            f64::INFINITY
        };
        self.report.at_most(self.engine, &what, p99_ms, "ms", 50.0);
    }

    async fn growing(&self) -> Vec<(&'static str, Run)> {
        let by_id = self
            .shop
            .products
            .iter()
            .map(|id| self.get(&format!("/v2/products/{id}")));
        let deep = self.deep_cursor(match self.shop.products[0].starts_with("prod_grown") {
            true => self.settings.grown / 2,
            false => self.settings.products / 2,
        });
        let page = self.get(&deep.await);
        let scenarios = [
            ("GET by id", 200, pick(by_id.collect())),
            ("list of 20 by cursor, deep", 200, pick(vec![page])),
            ("durable order", 201, self.order_requests()),
        ];
        let mut measured = Vec::new();
        for (what, expected, next) in scenarios {
            let mut runs = Vec::new();
            for _ in 0..self.settings.rounds {
                runs.push(
                    run(
                        self.shop.server.address,
                        CONNECTIONS,
                        self.settings.time,
                        expected,
                        next.clone(),
                    )
                    .await,
                );
            }
            measured.push((what, median(runs)));
        }
        measured
    }
}

fn next_path(link: &str) -> Option<String> {
    let next = link
        .split(", ")
        .find(|part| part.ends_with("rel=\"next\""))?;
    let url = next.split('>').next()?.trim_start_matches('<');
    url.find("/v2/").map(|at| url[at..].to_owned())
}

fn order_requests(token: String, variants: Vec<String>) -> Requests {
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
