//! `tradepost migrate`.

use super::{Failure, print};
use crate::app::open_database;
use crate::config::Config;
use crate::migrations::MIGRATIONS;
use platform::clock::Clock;
use std::process::ExitCode;

pub(super) async fn run(config: &Config) -> Result<ExitCode, Failure> {
    let db = open_database(config).await?;
    let applied = db
        .migrate(MIGRATIONS, Clock::system().now().micros())
        .await?;
    let version = MIGRATIONS.last().map_or(0, |last| last.version);
    match applied {
        0 => print(format_args!(
            "The schema is at version {version} already.\n"
        )),
        steps => print(format_args!(
            "The schema is at version {version}: {steps} steps were applied.\n"
        )),
    }
    Ok(ExitCode::SUCCESS)
}
