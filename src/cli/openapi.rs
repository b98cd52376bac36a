//! `tradepost openapi`.

use super::{Failure, print};
use crate::config::Config;
use std::process::ExitCode;

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    let document = crate::openapi::document(&config.public_url);
    print(format_args!("{document:#}\n"));
    Ok(ExitCode::SUCCESS)
}
