//! `tradepost clients …`: works on the database itself, whether or not a server is running on it.

use super::{Failure, database, print};
use crate::config::Config;
use crate::oauth::client::{IP_ALLOW_MAX, Network};
use crate::oauth::key::Algorithm;
use crate::oauth::{NewClient, Scope, Scopes, create_client};
use platform::clock::Clock;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Register a client and print its id and its secret, which is not shown again
    Create(Create),
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// What people call it
    #[arg(long, value_parser = name)]
    name: String,
    /// A right that its tokens may carry, such as orders:read; repeatable [default: every right]
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<Scope>,
    /// How its tokens are signed: HS256, EdDSA, ES256 or RS256
    #[arg(long, value_name = "ALG", default_value = "HS256")]
    signing_alg: Algorithm,
    /// An address or network (CIDR) that it may ask from; repeatable [default: anywhere]
    #[arg(long, value_name = "CIDR")]
    ip_allow: Vec<Network>,
    /// From then on it gets no token [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        true => Ok(name.to_owned()),
        false => Err("a name has 1 to 100 characters".into()),
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("there are: {}", known.join(", "))
    })
}

pub(super) async fn run(command: Command, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(args) => create(args, config).await,
    }
}

async fn create(args: Create, config: &Config) -> Result<ExitCode, Failure> {
    if args.ip_allow.len() > IP_ALLOW_MAX {
        return Err(Failure::usage(format!(
            "--ip-allow can be given {IP_ALLOW_MAX} times"
        )));
    }
    let now = Clock::system().now();
    let days = |days: u32| now + Duration::from_secs(u64::from(days) * 86_400);
    let scopes = match args.scopes.as_slice() {
        [] => Scopes::all(),
        some => some.iter().copied().collect(),
    };
    let new = NewClient {
        name: args.name,
        scopes,
        signing_alg: args.signing_alg,
        token_ttl_seconds: None,
        expires_at: args.expires_in_days.map(days),
        ip_allow: args.ip_allow,
    };
    let db = database(config).await?;
    let (id, secret) = db
        .write(async move |tx| create_client(tx, &new, now).await)
        .await?;
    let (id, secret) = (id.as_str(), secret.expose());
    if args.json {
        let names: Vec<&str> = Scope::ALL
            .iter()
            .filter(|scope| scopes.contains(**scope))
            .map(|scope| scope.name())
            .collect();
        let client = json!({ "client_id": id, "client_secret": secret, "scopes": names });
        print(format_args!("{client}\n"));
    } else {
        print(format_args!(
            "client_id      {id}\nclient_secret  {secret}\nscopes         {scopes}\n\nThe secret is not shown again.\n"
        ));
    }
    Ok(ExitCode::SUCCESS)
}
