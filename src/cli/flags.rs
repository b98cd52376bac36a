//! The settings as flags and environment variables, made from the one list of settings.

use crate::config::{Config, Given, SETTINGS, Source, environment_name, flag_name};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use platform::secrets::Secret;
use std::path::PathBuf;

const HEADING: &str = "Settings";
/// Switches: `--demo` is `--demo=true`.
const SWITCHES: [&str; 4] = [
    "demo",
    "client_registration",
    "require_idempotency_key",
    "log_requests",
];

/// What was given on the command line and in the environment, not yet checked.
pub(super) struct Flags {
    pub file: Option<PathBuf>,
    pub given: Vec<Given>,
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for setting in SETTINGS {
            let Some(text) = matches.get_one::<String>(setting.key) else {
                continue;
            };
            let source = match matches.value_source(setting.key) {
                Some(ValueSource::EnvVariable) => Source::Environment,
                _ => Source::Flag,
            };
            if source == Source::Environment && text.is_empty() {
                continue; // as compose files write "not set"
            }
            given.push(Given {
                key: setting.key,
                text: Secret::new(text.clone()),
                source,
            });
        }
        Ok(Flags {
            file: matches.get_one::<PathBuf>("config").cloned(),
            given,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .env("TRADEPOST_CONFIG")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The file of settings [default: tradepost.toml, if it is there]");
        let command = command.arg(common(file));
        let defaults = Config::default();
        SETTINGS.iter().fold(command, |command, setting| {
            let default = match setting.key {
                "public_url" => Some("http:// and the address it listens on".to_owned()),
                key => defaults.shown(key),
            };
            let help = match default {
                Some(default) => format!("{} [default: {default}]", setting.help.trim()),
                None => setting.help.trim().to_owned(),
            };
            let long = flag_name(setting.key).trim_start_matches('-').to_owned();
            let mut arg = Arg::new(setting.key)
                .long(lasting(long))
                .env(lasting(environment_name(setting.key)))
                .value_name(setting.value_name)
                .help(help);
            if SWITCHES.contains(&setting.key) {
                arg = arg
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true");
            }
            command.arg(common(arg))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

/// Every command takes every setting, since a file or an environment is written once for all of them.
fn common(arg: Arg) -> Arg {
    arg.global(true)
        .hide_env(true)
        .hide_env_values(true)
        .hide_short_help(true)
        .help_heading(HEADING)
}

/// clap keeps names for as long as the program runs; there are two for each setting.
fn lasting(name: String) -> &'static str {
    name.leak()
}
