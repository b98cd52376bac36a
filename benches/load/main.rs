//! `cargo xtask bench`: what Tradepost does of what this machine can do, side by side in one run.
//!
//! Machines are noisy, so no absolute figure is a claim: every row is a ratio to a limit that was
//! measured in the same interleaved rounds (medians), next to the goal. What is missed says so.
//! Load goes to 127.0.0.1 only, from 32 connections unless the row says otherwise.

mod catalog;
mod client;
mod dashboard;
mod engine;
mod growth;
mod limits;
mod report;
mod scenarios;
mod server;
mod shop;

use report::Report;
use scenarios::Settings;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--serve-constant") {
        return runtime().block_on(limits::serve_constant());
    }
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--serve-search")
    {
        let products = arguments.get(at + 1).and_then(|number| number.parse().ok());
        return runtime().block_on(engine::serve(products.expect("a number of products")));
    }
    let settings = Settings {
        products: if has("--quick") { 2_000 } else { 10_000 },
        grown: if has("--quick") { 20_000 } else { 1_000_000 },
        rounds: if has("--quick") { 1 } else { 3 },
        time: Duration::from_millis(if has("--quick") { 1_000 } else { 4_000 }),
    };
    let mut report = Report::default();
    scenarios::run_engine(&settings, None, &mut report);
    match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => scenarios::run_engine(&settings, Some(&url), &mut report),
        Err(_) => println!("PostgreSQL was not measured: TEST_DATABASE_URL is not set"),
    }
    report.print(has("--json"));
}

/// Both cores, as the server has them.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}
