//! `tradepost openapi`.

use super::{Failure, print};
use crate::config::Config;
use crate::openapi::document;
use std::process::ExitCode;

pub(super) fn run(config: &Config) -> Result<ExitCode, Failure> {
    print(format_args!("{}", document(&config.public_url)));
    Ok(ExitCode::SUCCESS)
}
