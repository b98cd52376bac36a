//! The command line: one file per sub-command, exit codes 0 done, 1 failed, 2 usage.

mod backup;
mod check_config;
mod clients;
mod doctor;
mod flags;
mod migrate;
mod openapi;
mod registration_tokens;
mod serve;
mod users;

use crate::app::{StartError, open_existing_database};
use crate::config::{Config, Settings};
use crate::telemetry;
use clap::{Parser, Subcommand};
use flags::Flags;
use platform::clock::Clock;
use platform::db::Db;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// Exit code of a command that was given wrong options or settings.
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(name = "tradepost", version, about, max_term_width = 100)]
#[command(
    after_help = "Every setting is a flag, TRADEPOST_… in the environment, and a key of tradepost.toml.\n\
    `tradepost check-config --manual` explains them all."
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer requests and run what follows them, until SIGTERM
    Serve,
    /// Bring the schema of the database up to date
    Migrate,
    /// Print the settings in force and where each comes from
    CheckConfig(check_config::Args),
    /// Register and manage the clients that may call the API
    #[command(subcommand)]
    Clients(clients::Command),
    /// Make tokens with which clients register themselves
    #[command(subcommand)]
    RegistrationTokens(registration_tokens::Command),
    /// Invite people to the dashboard and manage their accounts
    #[command(subcommand)]
    Users(users::Command),
    /// Print the OpenAPI document
    Openapi,
    /// Prove the stock ledger and the totals of all orders
    Doctor(doctor::Args),
    /// Import products or orders from a file: resumable, and a second run changes nothing
    Import(crate::import::cli::ImportArgs),
    /// Write a consistent copy of the embedded database while it is in use
    Backup(backup::Args),
}

/// Runs the program.
pub fn run() -> ExitCode {
    platform::secrets::install_tls_provider();
    let cli = Cli::parse();
    let settings = match Settings::load(cli.flags.file.as_deref(), &cli.flags.given) {
        Ok(settings) => settings,
        Err(errors) => {
            for error in &errors.0 {
                eprintln!("error: {error}");
            }
            return ExitCode::from(USAGE);
        }
    };
    telemetry::start(&settings.config.log_level);
    platform::telemetry::log_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli.command, settings)),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::from(failure.code)
    })
}

async fn dispatch(command: Command, settings: Settings) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve => serve::run(settings).await,
        Command::Migrate => migrate::run(&settings.config).await,
        Command::CheckConfig(args) => check_config::run(&args, &settings),
        Command::Clients(command) => clients::run(command, &settings.config).await,
        Command::RegistrationTokens(command) => {
            registration_tokens::run(command, &settings.config).await
        }
        Command::Users(command) => users::run(command, &settings).await,
        Command::Openapi => openapi::run(&settings.config),
        Command::Doctor(args) => doctor::run(&args, &settings.config).await,
        Command::Import(args) => Ok(crate::import::cli::run(args, &settings.config).await?),
        Command::Backup(args) => backup::run(&args, &settings.config).await,
    }
}

/// The database, which must be there, with its schema brought up to date.
async fn database(config: &Config) -> Result<Db, StartError> {
    let db = open_existing_database(config).await?;
    db.migrate(
        crate::migrations::MIGRATIONS,
        Clock::system().now().micros(),
    )
    .await?;
    Ok(db)
}

/// Writes to standard output. Whoever reads it may stop reading: that is no error.
fn print(text: fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_fmt(text).and_then(|()| out.flush());
}

/// Why a command failed: one line for people.
#[derive(Debug)]
struct Failure {
    line: String,
    code: u8,
}

impl Failure {
    fn new(line: impl Into<String>) -> Failure {
        Failure {
            line: line.into(),
            code: 1,
        }
    }

    /// What was asked for makes no sense.
    fn usage(line: impl Into<String>) -> Failure {
        Failure {
            line: line.into(),
            code: USAGE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    /// The error and its causes, as far as they add something.
    fn from(error: E) -> Failure {
        let mut line = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        Failure::new(line.replace('\n', " "))
    }
}
