//! `tradepost clients …`: works on the database itself, whether or not a server is running on it.

use super::{Failure, database, print};
use crate::config::Config;
use crate::oauth::client::{ClientId, ClientSecret, IP_ALLOW_MAX, Network};
use crate::oauth::flows::redirect::RedirectUri;
use crate::oauth::flows::registration::{Registration, register};
use crate::oauth::jwk::{KEY_SET_MAX_BYTES, KeySet};
use crate::oauth::key::Algorithm;
use crate::oauth::request::GrantType;
use crate::oauth::{
    AdminError, ListedClient, NewClient, OVERLAP_DEFAULT, OVERLAP_MAX, Scope, Scopes, bind_client,
    create_client, create_signing_client, end_of_secret, list_clients, revoke_client,
    rotate_secret, set_keys,
};
use crate::text::is_line;
use platform::clock::Clock;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Register a client and print its id and its secret, which is not shown again
    Create(Create),
    /// Show all clients, oldest first
    List(List),
    /// Give a client a new secret; the old one works on for a while
    Rotate(Rotate),
    /// Say how a client gets tokens: by itself, or from people who are sent to /oauth/authorize
    Flows(SetFlows),
    /// Register the public keys that a client signs with instead of showing a secret (private_key_jwt)
    Keys(Keys),
    /// Bind every token that a client gets from now on to a key of its own (DPoP), or leave that to the client
    Dpop(Dpop),
    /// Disable a client for good: it gets no token, and those it has stop working within a second
    Revoke(Revoke),
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// What people call it
    #[arg(long, value_parser = name)]
    name: String,
    /// A right that its tokens may carry, such as orders:read; repeatable [default: every right, also to set prices in
    /// orders (orders:price) and to make clients (clients:write)]
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
    #[command(flatten)]
    flows: Flows,
    /// A file with the public keys that it signs with (a JWK Set); it gets no secret then
    #[arg(long, value_name = "FILE", value_parser = key_set)]
    jwks: Option<KeySet>,
    /// Bind every token that it gets to a key of its own, so that a stolen one is worth nothing (DPoP)
    #[arg(long)]
    dpop: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Flows {
    /// A flow that it may use: client_credentials, authorization_code, refresh_token or
    /// urn:ietf:params:oauth:grant-type:device_code; repeatable
    /// [default: client_credentials; with --redirect-uri authorization_code and refresh_token]
    #[arg(long = "grant-type", value_name = "NAME", value_parser = grant_type)]
    grant_types: Vec<GrantType>,
    /// Where people are sent back to: https, http on 127.0.0.1 or [::1], or com.example.app:/…; repeatable
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    redirect_uris: Vec<RedirectUri>,
    /// It runs on people's own devices and can keep no secret
    #[arg(long)]
    public: bool,
}

impl Flows {
    fn registration(self) -> Result<Registration, Failure> {
        let grant_types = match (self.grant_types, self.redirect_uris.is_empty()) {
            (none, true) if none.is_empty() => vec![GrantType::ClientCredentials],
            (none, false) if none.is_empty() => {
                vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
            }
            (some, _) => some,
        };
        let registration = Registration::new(grant_types, self.redirect_uris, self.public);
        registration.map_err(|error| Failure::usage(error.to_string()))
    }
}

fn grant_type(text: &str) -> Result<GrantType, String> {
    GrantType::from_name(text).ok_or_else(|| {
        let known = GrantType::ALL.map(GrantType::name);
        format!("there are: {}", known.join(", "))
    })
}

#[derive(clap::Args)]
pub(super) struct SetFlows {
    /// The client's id, cli_…
    id: ClientId,
    #[command(flatten)]
    flows: Flows,
}

#[derive(clap::Args)]
pub(super) struct List {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct Rotate {
    /// The client's id, cli_…
    id: ClientId,
    /// Hours for which the old secret works on; 0 ends it at once
    #[arg(long, value_name = "HOURS", default_value_t = OVERLAP_DEFAULT.as_secs() / HOUR,
        value_parser = clap::value_parser!(u64).range(0..=OVERLAP_MAX.as_secs() / HOUR))]
    overlap_hours: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct Keys {
    /// The client's id, cli_…
    id: ClientId,
    /// A file with its public keys (a JWK Set: ES256, EdDSA or RS256); they replace those that it had
    #[arg(value_name = "FILE", value_parser = key_set)]
    jwks: KeySet,
    /// Hours for which its secrets work on; 0 ends them at once
    #[arg(long, value_name = "HOURS", default_value_t = OVERLAP_DEFAULT.as_secs() / HOUR,
        value_parser = clap::value_parser!(u64).range(0..=OVERLAP_MAX.as_secs() / HOUR))]
    overlap_hours: u64,
}

#[derive(clap::Args)]
pub(super) struct Dpop {
    /// The client's id, cli_…
    id: ClientId,
    /// always, or as the client wants: for requests that show a proof
    #[arg(value_name = "WHEN", value_parser = ["always", "optional"])]
    when: String,
}

#[derive(clap::Args)]
pub(super) struct Revoke {
    /// The client's id, cli_…
    id: ClientId,
}

/// Seconds.
const HOUR: u64 = 3_600;

pub(super) fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match (1..=100).contains(&name.chars().count()) && is_line(name) {
        true => Ok(name.to_owned()),
        false => Err("a name has 1 to 100 characters".into()),
    }
}

pub(super) fn scope(text: &str) -> Result<Scope, String> {
    Scope::from_name(text).ok_or_else(|| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("there are: {}", known.join(", "))
    })
}

fn key_set(path: &str) -> Result<KeySet, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if size.len() > KEY_SET_MAX_BYTES as u64 {
        return Err(format!("a key set has at most {KEY_SET_MAX_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    KeySet::parse(&text).map_err(|error| error.to_string())
}

pub(super) async fn run(command: Command, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(args) => create(args, config).await?,
        Command::List(args) => list(&args, config).await?,
        Command::Rotate(args) => rotate(args, config).await?,
        Command::Flows(args) => set_flows(args, config).await?,
        Command::Keys(args) => keys(args, config).await?,
        Command::Dpop(args) => dpop(args, config).await?,
        Command::Revoke(args) => revoke(args, config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(args: Create, config: &Config) -> Result<(), Failure> {
    if args.ip_allow.len() > IP_ALLOW_MAX {
        return Err(Failure::usage(format!(
            "--ip-allow can be given {IP_ALLOW_MAX} times"
        )));
    }
    let registration = args.flows.registration()?;
    let is_public = registration.is_public();
    let now = Clock::system().now();
    let days = |days: u32| now + Duration::from_secs(u64::from(days) * 24 * HOUR);
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
    let made = db.write(async move |tx| {
        let (id, secret) = match args.jwks {
            Some(keys) => (create_signing_client(tx, &new, &keys, now).await?, None),
            None => {
                let (id, secret) = create_client(tx, &new, now).await?;
                (id, Some(secret).filter(|_| !is_public))
            }
        };
        if args.dpop {
            bind_client(tx, &id, true, now).await?;
        }
        if registration != Registration::default() {
            register(tx, &id, &registration, now).await?;
        }
        Ok::<_, AdminError>((id, secret))
    });
    let (id, secret) = made.await?;
    print_created(&id, secret.as_ref(), &scopes, args.json);
    Ok(())
}

/// A new client; without a secret it is public, or signs with its own keys.
fn print_created(id: &ClientId, secret: Option<&ClientSecret>, scopes: &Scopes, json: bool) {
    if json {
        let mut client = json!({ "client_id": id, "scopes": names(scopes) });
        if let Some(secret) = secret {
            client["client_secret"] = secret.expose().into();
        }
        return print(format_args!("{client}\n"));
    }
    match secret {
        Some(secret) => print(format_args!(
            "client_id      {id}\nclient_secret  {}\nscopes         {scopes}\n\nThe secret is not shown again.\n",
            secret.expose()
        )),
        None => print(format_args!(
            "client_id      {id}\nscopes         {scopes}\n\nIt has no secret.\n"
        )),
    }
}

pub(super) fn names(scopes: &Scopes) -> Vec<&'static str> {
    let all = Scope::ALL.iter();
    all.filter(|scope| scopes.contains(**scope))
        .map(|scope| scope.name())
        .collect()
}

async fn list(args: &List, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let clients = list_clients(&mut db.read().await?).await?;
    if args.json {
        let clients: Vec<Value> = clients.iter().map(client_json).collect();
        print(format_args!("{}\n", Value::from(clients)));
        return Ok(());
    }
    let now = Clock::system().now();
    for client in &clients {
        let state = match (client.disabled_at, client.expires_at) {
            (Some(since), _) => format!("revoked {since}"),
            (None, Some(end)) if end <= now => format!("expired {end}"),
            (None, Some(end)) => format!("until {end}"),
            (None, None) => "active".to_owned(),
        };
        print(format_args!(
            "{}  {}  ({state})\n    created {}, signs with {}{}\n    scopes {}\n",
            client.id,
            client.name,
            client.created_at,
            client.signing_alg.name(),
            match (client.dpop_bound, client.registered_itself) {
                (true, true) => ", tokens bound to its key (DPoP), registered itself",
                (true, false) => ", tokens bound to its key (DPoP)",
                (false, true) => ", registered itself",
                (false, false) => "",
            },
            client.scopes
        ));
        print_flows(&client.registration);
        // A public client shows none, whatever was made for it once.
        let shown = !client.registration.is_public();
        for secret in client.secrets.iter().filter(|_| shown) {
            let end = secret.expires_at.map(|end| format!(", until {end}"));
            let used = secret.last_used_at.map(|at| format!(", last used {at}"));
            print(format_args!(
                "    secret …{} of {}{}{}\n",
                secret.hint,
                secret.created_at,
                end.unwrap_or_default(),
                used.unwrap_or_default()
            ));
        }
        for key in client.keys.iter().flat_map(|keys| keys.keys()) {
            let kid = key.kid.as_deref().unwrap_or("-");
            let (algorithm, thumbprint) = (key.algorithm, key.thumbprint());
            print(format_args!("    key {kid}, {algorithm}, {thumbprint}\n"));
        }
    }
    print(format_args!("{} clients\n", clients.len()));
    Ok(())
}

fn print_flows(registration: &Registration) {
    if *registration == Registration::default() {
        return;
    }
    let names = registration.grant_types().iter().map(|one| one.name());
    let kind = if registration.is_public() {
        "public"
    } else {
        "with a secret"
    };
    print(format_args!(
        "    flows {} ({kind})\n",
        names.collect::<Vec<_>>().join(" ")
    ));
    for uri in registration.redirect_uris() {
        print(format_args!("    redirect {uri}\n"));
    }
}

async fn set_flows(args: SetFlows, config: &Config) -> Result<(), Failure> {
    let registration = args.flows.registration()?;
    let db = database(config).await?;
    let (id, now) = (args.id.clone(), Clock::system().now());
    let set = registration.clone();
    db.write(async move |tx| register(tx, &id, &set, now).await)
        .await?;
    print(format_args!("{} is changed.\n", args.id));
    print_flows(&registration);
    Ok(())
}

fn client_json(client: &ListedClient) -> Value {
    let secrets: Vec<Value> = client
        .secrets
        .iter()
        .map(|secret| {
            json!({ "id": secret.id, "hint": secret.hint, "created_at": secret.created_at,
                "expires_at": secret.expires_at, "last_used_at": secret.last_used_at })
        })
        .collect();
    let registration = &client.registration;
    let flows = registration.grant_types().iter().map(|one| one.name());
    let flows: Vec<_> = flows.collect();
    let uris = registration.redirect_uris().iter().map(RedirectUri::as_str);
    let uris: Vec<_> = uris.collect();
    let keys = client.keys.iter().flat_map(|keys| keys.keys());
    let keys: Vec<Value> = keys
        .map(|key| json!({ "kid": key.kid, "alg": key.algorithm, "thumbprint": key.thumbprint() }))
        .collect();
    json!({ "client_id": client.id, "name": client.name, "scopes": names(&client.scopes),
        "grant_types": flows, "redirect_uris": uris, "public": registration.is_public(),
        "signing_alg": client.signing_alg.name(), "created_at": client.created_at,
        "expires_at": client.expires_at, "disabled_at": client.disabled_at, "secrets": secrets,
        "keys": keys, "dpop_bound": client.dpop_bound,
        "registered_itself": client.registered_itself, "last_used_at": client.last_used_at })
}

async fn rotate(args: Rotate, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let (id, overlap) = (
        args.id.clone(),
        Duration::from_secs(args.overlap_hours * HOUR),
    );
    let secret = db
        .write(async move |tx| rotate_secret(tx, &id, overlap, now).await)
        .await?;
    let (id, secret, end) = (
        args.id.as_str(),
        secret.expose(),
        end_of_secret(now, overlap),
    );
    match args.json {
        true => {
            let client =
                json!({ "client_id": id, "client_secret": secret, "old_secret_expires_at": end });
            print(format_args!("{client}\n"));
        }
        false => print(format_args!(
            "client_id      {id}\nclient_secret  {secret}\n\nThe secret is not shown again. The old one works until {end}.\n"
        )),
    }
    Ok(())
}

async fn keys(args: Keys, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let (id, overlap) = (
        args.id.clone(),
        Duration::from_secs(args.overlap_hours * HOUR),
    );
    let count = args.jwks.keys().len();
    db.write(async move |tx| set_keys(tx, &id, &args.jwks, overlap, now).await)
        .await?;
    let end = end_of_secret(now, overlap);
    print(format_args!(
        "{} signs with {count} keys. Its secrets work until {end}.\n",
        args.id
    ));
    Ok(())
}

async fn dpop(args: Dpop, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let (id, bound) = (args.id.clone(), args.when == "always");
    db.write(async move |tx| bind_client(tx, &id, bound, now).await)
        .await?;
    print(format_args!(
        "{}: its next tokens are bound to a key {}. Those that it has stay as they are.\n",
        args.id,
        if bound {
            "always"
        } else {
            "when it shows a proof"
        }
    ));
    Ok(())
}

async fn revoke(args: Revoke, config: &Config) -> Result<(), Failure> {
    let db = database(config).await?;
    let now = Clock::system().now();
    let id = args.id.clone();
    db.write(async move |tx| revoke_client(tx, &id, now).await)
        .await?;
    print(format_args!("{} is revoked.\n", args.id));
    Ok(())
}
