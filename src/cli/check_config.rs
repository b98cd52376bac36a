//! `tradepost check-config`: a file of settings that would have the same effect, and what each came from.

use super::{Failure, print};
use crate::config::{MANUAL, SETTINGS, Settings, Source, environment_name, flag_name};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print every setting with its explanation and default instead: a tradepost.toml to start from
    #[arg(long)]
    manual: bool,
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    if args.manual {
        print(format_args!("{MANUAL}"));
        return Ok(ExitCode::SUCCESS);
    }
    match &settings.file {
        Some(path) => print(format_args!("# with {}\n", path.display())),
        None => print(format_args!("# without a file of settings\n")),
    }
    for setting in SETTINGS {
        let from = match settings.source(setting.key) {
            Source::Default => "default".to_owned(),
            Source::File => "file".to_owned(),
            Source::Environment => environment_name(setting.key),
            Source::Flag => flag_name(setting.key),
        };
        match settings.config.shown(setting.key) {
            Some(value) => print(format_args!("{} = {value} # {from}\n", setting.key)),
            None => print(format_args!("# {} is not set\n", setting.key)),
        }
    }
    Ok(ExitCode::SUCCESS)
}
