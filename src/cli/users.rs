//! `tradepost users …`: who may work in the dashboard. Works on the database itself, whether or not a server is
//! running on it.

use super::{Failure, database, print};
use crate::config::{Config, Settings, Source};
use crate::dashboard::accounts::{self, AccountError};
use crate::dashboard::staff::{Staff, parse_email};
use crate::dashboard::{Role, store};
use platform::clock::Clock;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make an account, or open a closed one again, and print the link by which its owner chooses a password
    Create(Create),
    /// Show all accounts, oldest first
    List(List),
    /// Print a link by which somebody chooses another password; the old one works until then
    ResetPassword(One),
    /// Turn off the codes that are asked for after the password, for who has lost phone and recovery codes
    ResetCodes(One),
    /// Remove all passkeys of an account, for one that others may have used
    ResetPasskeys(One),
    /// Close an account: its sessions, links and connected apps end at once; `create` opens it again
    Disable(One),
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// The email with which they sign in
    #[arg(value_parser = email)]
    email: String,
    /// What they may do (`--role` says what a process does)
    #[arg(long = "as", value_name = "ROLE", value_enum)]
    staff_role: Role,
}

#[derive(clap::Args)]
pub(super) struct List {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct One {
    /// The email of the account
    email: String,
}

fn email(text: &str) -> Result<String, String> {
    parse_email(text).map_err(str::to_owned)
}

pub(super) async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Failure> {
    let config = &settings.config;
    match command {
        Command::Create(args) => create(args, settings).await?,
        Command::List(args) => list(&args, config).await?,
        Command::ResetPassword(args) => reset(args, settings).await?,
        Command::ResetCodes(args) => reset_codes(args, config).await?,
        Command::ResetPasskeys(args) => reset_passkeys(args, config).await?,
        Command::Disable(args) => disable(args, config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: Create, settings: &Settings) -> Result<(), Failure> {
    let config = &settings.config;
    let db = database(config).await?;
    let now = Clock::system().now();
    let Create {
        email,
        staff_role: role,
    } = args;
    let invited = email.clone();
    let link = db
        .write(async move |tx| {
            // The first account is the owner's, and it comes with the shop.
            match store::has_staff(tx).await? {
                true => accounts::invite(tx, &invited, role, now).await.map(Some),
                false => Ok::<_, AccountError>(None),
            }
        })
        .await?;
    let Some(link) = link else {
        return Err(Failure::new(
            "the shop is not set up yet: `tradepost serve` prints the link for the first account",
        ));
    };
    print(format_args!(
        "{email} ({}) chooses a password here within 7 days; the link works once:\n\n  {}\n\n",
        role.shown(),
        link.address(&config.public_url)
    ));
    print_guess(settings);
    Ok(())
}

/// Says that the address of a link is a guess, where nobody has said where people reach the server.
fn print_guess(settings: &Settings) {
    if settings.source("public_url") == Source::Default {
        print(format_args!(
            "The server is taken to be at {}. If people reach it elsewhere, put that in front, or set --public-url.\n",
            settings.config.public_url
        ));
    }
}

async fn list(args: &List, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let staff = store::list(&mut db.read().await?).await?;
    if args.json {
        let staff: Vec<Value> = staff.iter().map(staff_json).collect();
        print(format_args!("{}\n", Value::from(staff)));
        return Ok(());
    }
    for one in &staff {
        let state = match (one.disabled_at, one.signed_in_at) {
            (Some(at), _) => format!("disabled {at}"),
            (None, Some(at)) => format!("signed in {at}"),
            (None, None) => "never signed in".to_owned(),
        };
        let role = one.role.shown();
        print(format_args!("{}  {role}  ({state})\n", one.email));
    }
    print(format_args!("{} accounts\n", staff.len()));
    Ok(())
}

fn staff_json(staff: &Staff) -> Value {
    json!({ "id": staff.id, "email": staff.email, "role": staff.role.as_str(), "created_at": staff.created_at,
        "signed_in_at": staff.signed_in_at, "disabled_at": staff.disabled_at })
}

async fn reset(args: One, settings: &Settings) -> Result<(), Failure> {
    let config = &settings.config;
    let db = database(config).await?;
    let now = Clock::system().now();
    let email = args.email.clone();
    let link = db
        .write(async move |tx| accounts::reset(tx, &email, now).await)
        .await?;
    print(format_args!(
        "{} chooses another password here within an hour; the link works once:\n\n  {}\n\n",
        args.email,
        link.address(&config.public_url)
    ));
    print_guess(settings);
    Ok(())
}

async fn reset_codes(args: One, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let email = args.email.clone();
    db.write(async move |tx| accounts::forget_codes(tx, &email, now).await)
        .await?;
    print(format_args!(
        "{} signs in with the password alone.\n",
        args.email
    ));
    Ok(())
}

async fn reset_passkeys(args: One, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let email = args.email.clone();
    let count = db
        .write(async move |tx| accounts::forget_passkeys(tx, &email, now).await)
        .await?;
    let many = if count == 1 { "passkey" } else { "passkeys" };
    print(format_args!(
        "{count} {many} of {} removed: the password signs in.\n",
        args.email
    ));
    Ok(())
}

async fn disable(args: One, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let email = args.email.clone();
    db.write(async move |tx| accounts::disable(tx, &email, now).await)
        .await?;
    print(format_args!("{} is disabled.\n", args.email));
    Ok(())
}
