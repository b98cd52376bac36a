//! `/dashboard/credentials`: the clients that may call the API.

use super::flows::FlowsForm;
use super::shown::Shown;
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::role::Role;
use crate::dashboard::show::{Badge, When};
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::error::{Result, not_found};
use crate::oauth::client::{ClientId, ClientSecret};
use crate::oauth::jwk::{KeySet, PublicKey};
use crate::oauth::{
    AdminError, ListedClient, NewClient, OVERLAP_MAX, Scope, Scopes, create_client, list_clients,
    revoke_client, rotate_secret, set_keys,
};
use crate::text::is_line;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::http::{Path, Problem, codes};
use std::time::Duration;

/// Longest name of a client, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Longest life of a client that has an end: a hundred years.
const DAYS_MAX: u32 = 36_500;

/// Scopes that are chosen for new credentials until somebody chooses: what is for sale, nothing about people.
const USUAL: [&str; 2] = ["products:read", "inventory:read"];

#[derive(Debug)]
struct Row {
    id: String,
    name: String,
    state: Badge,
    registered_itself: bool,
    scopes: String,
    used: Option<When>,
    created: When,
}

#[derive(Template)]
#[template(path = "credentials.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    done: &'static str,
}

fn state(client: &ListedClient, now: Timestamp) -> Badge {
    let expired = client.expires_at.is_some_and(|end| end <= now);
    Badge(match client.disabled_at {
        Some(_) => "revoked",
        None if expired => "expired",
        None => "active",
    })
}

fn used(client: &ListedClient) -> Option<Timestamp> {
    let secrets = client.secrets.iter();
    let secrets = secrets.filter_map(|secret| secret.last_used_at);
    secrets.chain(client.last_used_at).max()
}

/// A few by name, many by their number.
fn scopes_shown(scopes: Scopes) -> String {
    match scopes.iter().count() {
        all if all == Scope::ALL.len() => "everything".to_owned(),
        1..=3 => scopes
            .iter()
            .map(Scope::name)
            .collect::<Vec<_>>()
            .join(", "),
        many => format!("{many} scopes"),
    }
}

/// `GET /dashboard/credentials`.
pub async fn list(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let clients = list_clients(&mut app.db.read().await?).await?;
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |client: &ListedClient| Row {
        id: client.id.to_string(),
        name: client.name.clone(),
        state: state(client, now),
        registered_itself: client.registered_itself,
        scopes: scopes_shown(client.scopes),
        used: used(client).map(|at| When::new(at, now, &zone)),
        created: When::new(client.created_at, now, &zone),
    };
    let page = ListPage {
        frame: Frame::new(&signed_in.visit, "API credentials"),
        rows: clients.iter().rev().map(row).collect(),
        done: match signed_in.visit.done() {
            "revoked" => {
                "The credentials are revoked: no new tokens are issued, and existing tokens stop working within a second."
            }
            _ => "",
        },
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// A resource and its scopes, each with whether it is chosen.
type Group = (String, Vec<(&'static str, &'static str, bool)>);

fn groups(role: Role, chosen: impl Fn(&str) -> bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for scope in role.scopes().iter().filter(|one| !one.is_reserved()) {
        let (resource, _) = scope.name().split_once(':').unwrap_or((scope.name(), ""));
        let resource = crate::dashboard::show::words(resource);
        let entry = (scope.name(), scope.description(), chosen(scope.name()));
        match groups.last_mut() {
            Some((last, scopes)) if *last == resource => scopes.push(entry),
            _ => groups.push((resource, vec![entry])),
        }
    }
    groups
}

#[derive(Template)]
#[template(path = "credentials_new.html")]
struct NewPage<'a> {
    frame: Frame,
    name: &'a str,
    groups: Vec<Group>,
    days: &'a str,
    wrong: Wrong,
}

/// `GET /dashboard/credentials/new`.
pub async fn new(signed_in: SignedIn) -> Response {
    let page = NewPage {
        frame: Frame::new(&signed_in.visit, "New API credentials"),
        name: "",
        groups: groups(signed_in.staff.role, |name| USUAL.contains(&name)),
        days: "",
        wrong: Wrong::default(),
    };
    frame::page(StatusCode::OK, &page)
}

/// What was typed, checked.
fn read(typed: &Fields, now: Timestamp) -> std::result::Result<NewClient, Wrong> {
    let mut wrong = Wrong::default();
    let name = typed.get("name");
    let length = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || !is_line(name) {
        let expected = "expected 1 to 100 characters, such as the program that will use it";
        wrong.add("name", "Name", expected);
    }
    let scopes: Scopes = typed.all("scope").filter_map(Scope::from_name).collect();
    if scopes.is_empty() {
        let expected = "choose at least one: without one it may do nothing";
        wrong.add("scope", "Scopes", expected);
    }
    let days = match (typed.get("days"), typed.get("days").parse()) {
        ("", _) => None,
        (_, Ok(days @ 1..=DAYS_MAX)) => Some(days),
        _ => {
            let expected = "expected a number of days from 1 to 36,500, or nothing";
            wrong.add("days", "Expires after", expected);
            None
        }
    };
    let expires = |days: u32| now + Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    wrong.or(NewClient {
        name: name.to_owned(),
        scopes,
        signing_alg: Default::default(),
        token_ttl_seconds: None,
        expires_at: days.map(expires),
        ip_allow: Vec::new(),
    })
}

/// `POST /dashboard/credentials/new`. The answer itself shows the secret: it is stored nowhere.
pub async fn create(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let now = signed_in.visit.now();
    let new = match read(&typed, now) {
        Ok(new) => new,
        Err(wrong) => {
            let page = NewPage {
                frame: Frame::new(&signed_in.visit, "New API credentials"),
                name: typed.get("name"),
                groups: groups(signed_in.staff.role, |name| {
                    typed.all("scope").any(|chosen| chosen == name)
                }),
                days: typed.get("days"),
                wrong,
            };
            return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    if let Some(refusal) = beyond_role(&signed_in, new.scopes) {
        return Ok(refusal);
    }
    let (visit, scopes) = (signed_in.visit.clone(), new.scopes);
    let made: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            let (id, secret) = create_client(tx, &new, now).await?;
            let object = ("client", id.as_str());
            let told = format!("{}: {}", new.name, new.scopes);
            store::note_change(tx, signed_in.doer(), "client.created", object, &told).await?;
            Ok((id, secret))
        })
        .await;
    let (id, secret) = made?;
    app.nudge.send();
    let shown = Shown::new(&app, id.as_str(), secret.expose(), scopes);
    Ok(shown.response(&visit, "Your new credentials"))
}

#[derive(Debug)]
struct SecretRow {
    hint: String,
    state: Badge,
    created: When,
    /// When it ends, and how long that is from now.
    ends: Option<(When, String)>,
    used: Option<When>,
}

#[derive(Template)]
#[template(path = "credential.html")]
struct ClientPage<'a> {
    frame: Frame,
    client: &'a ListedClient,
    state: Badge,
    is_active: bool,
    /// Whether who looks may have a new secret.
    rotates: bool,
    created: When,
    expires: Option<When>,
    algorithm: &'static str,
    scopes: Vec<&'static str>,
    secrets: Vec<SecretRow>,
    /// Name, algorithm and thumbprint of each public key.
    keys: Vec<(String, &'static str, String)>,
    curl_url: String,
    said: Said,
}

/// What its forms hold, and what is said above them.
#[derive(Debug)]
pub(super) struct Said {
    pub flows: FlowsForm,
    /// As it was typed.
    pub jwks: String,
    pub wrong: Wrong,
    pub done: &'static str,
}

impl Said {
    pub fn of(client: &ListedClient) -> Said {
        Said {
            flows: FlowsForm::of(&client.registration),
            jwks: String::new(),
            wrong: Wrong::default(),
            done: "",
        }
    }
}

pub(super) async fn find(app: &App, id: &str) -> Result<ListedClient> {
    let clients = list_clients(&mut app.db.read().await?).await?;
    let found = clients.into_iter().find(|client| client.id.as_str() == id);
    found.ok_or_else(|| not_found("client", id))
}

/// `GET /dashboard/credentials/{id}`.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    let client = find(&app, &id).await?;
    let mut said = Said::of(&client);
    said.done = match signed_in.visit.done() {
        "flows" => "What it may do with people is changed.",
        "keys" => {
            "The public keys are registered: what the program signs with them is taken from now on."
        }
        _ => "",
    };
    Ok(show(&app, &signed_in, &client, said))
}

pub(super) fn show(app: &App, signed_in: &SignedIn, client: &ListedClient, said: Said) -> Response {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let state = state(client, now);
    let page = ClientPage {
        frame: Frame::new(&signed_in.visit, client.name.clone()),
        is_active: state.0 == "active",
        rotates: signed_in.staff.role.withheld(client.scopes).is_none(),
        state,
        created: When::new(client.created_at, now, &zone),
        expires: client.expires_at.map(|at| When::new(at, now, &zone)),
        algorithm: client.signing_alg.name(),
        scopes: client.scopes.iter().map(Scope::name).collect(),
        secrets: secret_rows(client, now, &zone),
        keys: key_rows(client),
        curl_url: app.config.public_url.clone(),
        said,
        client,
    };
    let status = match page.said.wrong.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    frame::page(status, &page)
}

fn secret_rows(client: &ListedClient, now: Timestamp, zone: &TimeZone) -> Vec<SecretRow> {
    let row = |secret: &crate::oauth::ListedSecret| {
        let over = secret.expires_at.is_some_and(|end| end <= now) || client.disabled_at.is_some();
        SecretRow {
            hint: secret.hint.clone(),
            state: Badge(match (over, secret.expires_at) {
                (true, _) => "expired",
                (false, Some(_)) => "expiring",
                (false, None) => "active",
            }),
            created: When::new(secret.created_at, now, zone),
            ends: match client.disabled_at {
                Some(at) => Some((When::new(at, now, zone), "revoked".to_owned())),
                None => secret.expires_at.map(|end| {
                    let left = (end.micros() - now.micros() + 59_999_999) / 60_000_000;
                    (When::new(end, now, zone), countdown(left))
                }),
            },
            used: secret.last_used_at.map(|at| When::new(at, now, zone)),
        }
    };
    client.secrets.iter().map(row).collect()
}

fn key_rows(client: &ListedClient) -> Vec<(String, &'static str, String)> {
    let keys = client.keys.iter().flat_map(|keys| keys.keys());
    keys.map(|key| {
        let name = key.kid.clone().unwrap_or_else(|| "no kid".to_owned());
        (name, key.algorithm.name(), key.thumbprint())
    })
    .collect()
}

fn countdown(minutes: i64) -> String {
    match minutes {
        ..=0 => "over".to_owned(),
        1..=90 => format!("{minutes} min left"),
        91..=2_880 => format!("{} h left", (minutes + 30) / 60),
        _ => format!("{} days left", (minutes + 720) / 1_440),
    }
}

pub(super) fn refused(error: AdminError) -> Problem {
    match error {
        AdminError::NoClient(id) => not_found("client", id.as_str()),
        AdminError::Revoked(_) | AdminError::OverlapTooLong => {
            Problem::new(&codes::INVALID_BODY, error.to_string())
        }
        AdminError::Changed(_) => Problem::new(&codes::CONFLICT, error.to_string()),
        AdminError::Db(error) => error.into(),
    }
}

/// The refusal of a secret that would let its bearer do more than the role of who makes it.
pub(super) fn beyond_role(signed_in: &SignedIn, scopes: Scopes) -> Option<Response> {
    let role = signed_in.staff.role;
    let scope = role.withheld(scopes)?;
    let detail = format!(
        "Your role is {}, which may not give {scope}. Ask an admin to make these credentials.",
        role.shown()
    );
    let (visit, status) = (&signed_in.visit, StatusCode::FORBIDDEN);
    Some(frame::message(visit, status, "Not allowed", &detail))
}

fn client_id(text: &str) -> Result<ClientId> {
    text.parse().map_err(|_| not_found("client", text))
}

/// `POST /dashboard/credentials/{id}/rotate`.
pub async fn rotate(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let client = find(&app, &id).await?;
    if let Some(refusal) = beyond_role(&signed_in, client.scopes) {
        return Ok(refusal);
    }
    let id = client_id(&id)?;
    if client.disabled_at.is_some() {
        let detail = "these credentials are revoked: make new ones";
        return Err(Problem::new(&codes::CONFLICT, detail));
    }
    let hours: u64 = typed.get("hours").parse().unwrap_or(u64::MAX);
    let overlap = Duration::from_secs(hours.saturating_mul(60 * 60));
    if overlap > OVERLAP_MAX {
        return Err(refused(AdminError::OverlapTooLong));
    }
    let (visit, now) = (signed_in.visit.clone(), signed_in.visit.now());
    let name = id.clone();
    let secret: std::result::Result<ClientSecret, AdminError> = app
        .db
        .write(async move |tx| {
            let secret = rotate_secret(tx, &id, overlap, now).await?;
            let object = ("client", id.as_str());
            let told = match hours {
                0 => "the old secret ended".to_owned(),
                1 => "the old secret works for one hour".to_owned(),
                hours => format!("the old secret works for {hours} hours"),
            };
            store::note_change(tx, signed_in.doer(), "client.rotated", object, &told).await?;
            Ok(secret)
        })
        .await;
    let secret = secret.map_err(refused)?;
    app.nudge.send();
    let note = match hours {
        0 => "The old secret does not work any more.".to_owned(),
        1 => "The old secret works for one more hour.".to_owned(),
        hours => format!("The old secret works for {hours} more hours: exchange it until then."),
    };
    let shown = Shown::new(&app, name.as_str(), secret.expose(), client.scopes).note(note);
    Ok(shown.response(&visit, "The new secret"))
}

/// `POST /dashboard/credentials/{id}/keys`: public keys in place of the secrets, which work on for a while.
pub async fn set_public_keys(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let client = find(&app, &id).await?;
    if let Some(refusal) = beyond_role(&signed_in, client.scopes) {
        return Ok(refusal);
    }
    let keys = match KeySet::parse(typed.get("jwks")) {
        Ok(keys) => keys,
        Err(error) => {
            let mut said = Said::of(&client);
            typed.get("jwks").clone_into(&mut said.jwks);
            said.wrong.add("jwks", "Public keys", &error.to_string());
            return Ok(show(&app, &signed_in, &client, said));
        }
    };
    let hours: u64 = typed.get("hours").parse().unwrap_or(u64::MAX);
    let overlap = Duration::from_secs(hours.saturating_mul(60 * 60));
    let (id, now) = (client.id, signed_in.visit.now());
    let page = format!("/dashboard/credentials/{id}");
    let set: std::result::Result<(), AdminError> = app
        .db
        .write(async move |tx| {
            set_keys(tx, &id, &keys, overlap, now).await?;
            let object = ("client", id.as_str());
            let told: Vec<String> = keys.keys().iter().map(PublicKey::thumbprint).collect();
            let (told, doer) = (told.join(", "), signed_in.doer());
            Ok(store::note_change(tx, doer, "client.keys_set", object, &told).await?)
        })
        .await;
    set.map_err(refused)?;
    app.nudge.send();
    Ok(frame::done(&page, "keys"))
}

/// `POST /dashboard/credentials/{id}/revoke`.
pub async fn revoke(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let client = find(&app, &id).await?;
    if typed.get("name") != client.name {
        let mut said = Said::of(&client);
        let detail = "this is not their name: nothing was revoked";
        said.wrong.add("name", "Name", detail);
        return Ok(show(&app, &signed_in, &client, said));
    }
    let (id, now) = (client_id(&id)?, signed_in.visit.now());
    let revoked: std::result::Result<(), AdminError> = app
        .db
        .write(async move |tx| {
            revoke_client(tx, &id, now).await?;
            let object = ("client", id.as_str());
            let doer = signed_in.doer();
            Ok(store::note_change(tx, doer, "client.revoked", object, &client.name).await?)
        })
        .await;
    revoked.map_err(refused)?;
    app.nudge.send();
    Ok(frame::done("/dashboard/credentials", "revoked"))
}
