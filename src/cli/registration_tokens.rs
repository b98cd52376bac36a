//! `tradepost registration-tokens …`: who may register clients. Works on the database itself, whether or not a server is
//! running on it.

use super::clients::{name, names, scope};
use super::{Failure, database, print};
use crate::config::Config;
use crate::dashboard::store::{Doer, note};
use crate::oauth::dynamic::store::{self, StoredToken};
use crate::oauth::dynamic::token::InitialToken;
use crate::oauth::{Scope, Scopes};
use platform::clock::Clock;
use platform::db::DbError;
use platform::id::new_id;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Make a token with which clients register themselves at /oauth/register; it is not shown again
    Create(Create),
    /// Show all tokens, newest first
    List(List),
    /// End a token; the clients that were registered with it stay
    Revoke(Revoke),
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// What people call it
    #[arg(long, value_parser = name)]
    name: String,
    /// A right that its clients may have at most, such as orders:read; repeatable
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, required = true)]
    scopes: Vec<Scope>,
    /// How many clients may be registered with it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=1_000))]
    uses: i64,
    /// For how long it is good
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=365))]
    expires_in_days: u64,
    /// Let its clients act for themselves too (client_credentials), and not only for people who allow it
    #[arg(long)]
    for_machines: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct List {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct Revoke {
    /// The token's id, rgt_…
    id: String,
}

pub(super) async fn run(command: Command, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(args) => create(args, config).await?,
        Command::List(args) => list(&args, config).await?,
        Command::Revoke(args) => revoke(args, config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: Create, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let token = InitialToken::generate();
    let new = StoredToken {
        id: new_id("rgt"),
        name: args.name,
        scopes: args.scopes.iter().copied().collect::<Scopes>(),
        for_machines: args.for_machines,
        uses_left: args.uses,
        created_at: now,
        expires_at: now + Duration::from_secs(args.expires_in_days * DAY),
        revoked_at: None,
    };
    let (stored, hash) = (new.clone(), token.hash());
    let made: Result<(), DbError> = db
        .write(async move |tx| {
            store::insert_token(tx, &stored, &hash).await?;
            let object = ("registration_token", stored.id.as_str());
            note(
                tx,
                Doer::operator(now),
                "registration_token.created",
                object,
            )
            .await
        })
        .await;
    made?;
    if args.json {
        let mut shown = shown(&new);
        shown["token"] = token.expose().into();
        print(format_args!("{shown}\n"));
        return Ok(());
    }
    print(format_args!(
        "id      {}\ntoken   {}\nscopes  {}\n\nIt registers {} until {}, and is not shown again.\n",
        new.id,
        token.expose(),
        new.scopes,
        clients(new.uses_left),
        new.expires_at
    ));
    if !config.client_registration {
        print(format_args!(
            "Registration is off: start the server with --client-registration.\n"
        ));
    }
    Ok(())
}

fn clients(count: i64) -> String {
    match count {
        1 => "1 client".to_owned(),
        more => format!("{more} clients"),
    }
}

fn shown(token: &StoredToken) -> Value {
    json!({ "id": token.id, "name": token.name, "scopes": names(&token.scopes), "for_machines": token.for_machines,
        "uses_left": token.uses_left, "created_at": token.created_at, "expires_at": token.expires_at,
        "revoked_at": token.revoked_at })
}

async fn list(args: &List, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let tokens = store::tokens(&mut db.read().await?).await?;
    if args.json {
        let tokens: Vec<Value> = tokens.iter().map(shown).collect();
        print(format_args!("{}\n", Value::from(tokens)));
        return Ok(());
    }
    let now = Clock::system().now();
    for token in &tokens {
        let state = match (token.revoked_at, token.is_good(now)) {
            (Some(at), _) => format!("revoked {at}"),
            (None, true) => format!("{} until {}", clients(token.uses_left), token.expires_at),
            (None, false) => "used up or expired".to_owned(),
        };
        print(format_args!(
            "{}  {}  ({state})\n    scopes {}\n",
            token.id, token.name, token.scopes
        ));
    }
    print(format_args!("{} tokens\n", tokens.len()));
    Ok(())
}

async fn revoke(args: Revoke, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let (id, now) = (args.id.clone(), Clock::system().now());
    let revoked: Result<bool, DbError> = db
        .write(async move |tx| {
            let revoked = store::revoke_token(tx, &id, now).await?;
            if revoked {
                let object = ("registration_token", id.as_str());
                note(
                    tx,
                    Doer::operator(now),
                    "registration_token.revoked",
                    object,
                )
                .await?;
            }
            Ok(revoked)
        })
        .await;
    if !revoked? {
        return Err(Failure::new(format!(
            "there is no registration token {}",
            args.id
        )));
    }
    print(format_args!("{} is revoked.\n", args.id));
    Ok(())
}
