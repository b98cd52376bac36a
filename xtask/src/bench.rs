//! `cargo xtask bench`: the load benchmark, on both engines.

use crate::Result;
use crate::postgres::{Cluster, Purpose};
use crate::process::cargo;

/// `args` go to the benchmark; it knows `--quick`.
pub fn run(args: &[String]) -> Result {
    let postgres = Cluster::start(Purpose::Bench)?;
    crate::process::run(
        cargo()
            .args(["bench", "--locked", "--bench", "load", "--"])
            .args(args)
            .env("TEST_DATABASE_URL", postgres.url()),
    )
}
