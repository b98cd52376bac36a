//! `/dashboard/credentials`: the clients that may call the API.

use super::flows::FlowsForm;
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::role::Role;
use crate::dashboard::show::{Badge, When};
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn, Visit};
use crate::error::{Result, not_found};
use crate::oauth::client::{ClientId, ClientSecret};
use crate::oauth::jwk::KeySet;
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
use serde_json::json;
use std::time::Duration;

/// Longest name of a client, in characters.
const NAME_CHARS_MAX: usize = 100;

/// Scopes that are chosen for new credentials until somebody chooses: what is for sale, nothing about people.
const USUAL: [&str; 2] = ["products:read", "inventory:read"];

/// What a snippet asks for, by the scope that lets it.
const READABLE: [(Scope, &str); 6] = [
    (Scope::ProductsRead, "/v2/products?limit=3"),
    (Scope::OrdersRead, "/v2/orders?limit=3"),
    (Scope::UsersRead, "/v2/users?limit=3"),
    (Scope::InventoryRead, "/v2/inventory?limit=3"),
    (Scope::ReportsRead, "/v2/reports"),
    (Scope::IntegrationsRead, "/v2/integrations"),
];

/// Credentials, shown this once.
#[derive(Debug)]
pub struct Shown {
    id: String,
    secret: String,
    scopes: Scopes,
    url: String,
    /// What is said above them.
    note: String,
}

#[derive(Template)]
#[template(path = "credentials_shown.html")]
struct ShownPage<'a> {
    frame: Frame,
    shown: &'a Shown,
    snippets: [(&'static str, String); 4],
}

impl Shown {
    pub fn new(app: &App, id: &str, secret: &str, scopes: Scopes) -> Shown {
        Shown {
            id: id.to_owned(),
            secret: secret.to_owned(),
            scopes,
            url: app.config.public_url.clone(),
            note: String::new(),
        }
    }

    fn note(mut self, note: String) -> Shown {
        self.note = note;
        self
    }

    /// The page that shows them.
    pub fn response(&self, visit: &Visit, title: &str) -> Response {
        let page = ShownPage {
            frame: Frame::new(visit, title),
            shown: self,
            snippets: [
                ("curl", self.curl()),
                ("JavaScript", self.javascript()),
                ("Python", self.python()),
                ("Rust", self.rust()),
            ],
        };
        frame::page(StatusCode::OK, &page)
    }

    /// What they may read, to have something to show.
    fn path(&self) -> Option<&'static str> {
        let readable = READABLE.iter();
        let mut allowed = readable.filter(|(scope, _)| self.scopes.contains(*scope));
        allowed.next().map(|(_, path)| *path)
    }

    fn curl(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let body =
            json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
        let token = format!(
            "TOKEN=$(curl -s {url}/oauth/token -H 'Content-Type: application/json' \\\n  -d '{body}' \\\n  | sed -n 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/p')"
        );
        match self.path() {
            Some(path) => {
                format!("{token}\ncurl -s '{url}{path}' -H \"Authorization: Bearer $TOKEN\"")
            }
            None => format!("{token}\necho \"$TOKEN\""),
        }
    }

    fn javascript(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let call = self.path().map_or_else(
            || "console.log(access_token);".to_owned(),
            |path| format!("const answer = await fetch(`${{base}}{path}`, {{\n  headers: {{ Authorization: `Bearer ${{access_token}}` }},\n}});\nconsole.log(await answer.json());"),
        );
        format!(
            "const base = \"{url}\";\nconst token = await fetch(`${{base}}/oauth/token`, {{\n  method: \"POST\",\n  body: new URLSearchParams({{\n    grant_type: \"client_credentials\",\n    client_id: \"{id}\",\n    client_secret: \"{secret}\",\n  }}),\n}});\nconst {{ access_token }} = await token.json();\n{call}"
        )
    }

    fn python(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let call = self.path().map_or_else(
            || "print(token[\"access_token\"])".to_owned(),
            |path| format!("headers = {{\"Authorization\": f\"Bearer {{token['access_token']}}\"}}\nprint(requests.get(f\"{{base}}{path}\", headers=headers).json())"),
        );
        format!(
            "import requests\n\nbase = \"{url}\"\ntoken = requests.post(f\"{{base}}/oauth/token\", data={{\n    \"grant_type\": \"client_credentials\",\n    \"client_id\": \"{id}\",\n    \"client_secret\": \"{secret}\",\n}}).json()\n{call}"
        )
    }

    fn rust(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let call = self.path().map_or_else(
            || "    println!(\"{token}\");".to_owned(),
            |path| format!("    let answer = http.get(format!(\"{{base}}{path}\")).bearer_auth(token).send().await?;\n    println!(\"{{}}\", answer.text().await?);"),
        );
        format!(
            "// cargo add reqwest --features form,json && cargo add serde_json && cargo add tokio --features full\n#[tokio::main]\nasync fn main() -> Result<(), reqwest::Error> {{\n    let (base, http) = (\"{url}\", reqwest::Client::new());\n    let form = [\n        (\"grant_type\", \"client_credentials\"),\n        (\"client_id\", \"{id}\"),\n        (\"client_secret\", \"{secret}\"),\n    ];\n    let answer = http.post(format!(\"{{base}}/oauth/token\")).form(&form).send().await?;\n    let answer: serde_json::Value = answer.json().await?;\n    let token = answer[\"access_token\"].as_str().unwrap_or_default();\n{call}\n    Ok(())\n}}"
        )
    }
}

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
    wrong: &'a str,
}

/// `GET /dashboard/credentials/new`.
pub async fn new(signed_in: SignedIn) -> Response {
    let page = NewPage {
        frame: Frame::new(&signed_in.visit, "New API credentials"),
        name: "",
        groups: groups(signed_in.staff.role, |name| USUAL.contains(&name)),
        days: "",
        wrong: "",
    };
    frame::page(StatusCode::OK, &page)
}

/// What was typed, checked.
fn read(typed: &Fields, now: Timestamp) -> std::result::Result<NewClient, &'static str> {
    let name = typed.get("name");
    let length = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || !is_line(name) {
        return Err("Give it a name of 1 to 100 characters, such as the program that will use it.");
    }
    let scopes: Scopes = typed.all("scope").filter_map(Scope::from_name).collect();
    if scopes.is_empty() {
        return Err("Choose at least one scope: without one it may do nothing.");
    }
    let days: Option<u32> = match typed.get("days") {
        "" => None,
        text => match text.parse() {
            Ok(days @ 1..=36_500) => Some(days),
            _ => {
                return Err(
                    "Give the days until it expires as a number from 1 to 36,500, or nothing.",
                );
            }
        },
    };
    let expires = |days: u32| now + Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    Ok(NewClient {
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
    flows: FlowsForm,
    done: &'static str,
}

pub(super) async fn find(app: &App, id: &str) -> Result<ListedClient> {
    let clients = list_clients(&mut app.db.read().await?).await?;
    let found = clients.into_iter().find(|client| client.id.as_str() == id);
    found.ok_or_else(|| not_found("client", id))
}

/// `GET /dashboard/credentials/{id}`.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    let client = find(&app, &id).await?;
    let done = match signed_in.visit.done() {
        "flows" => "What it may do with people is changed.",
        "keys" => {
            "The public keys are registered: what the program signs with them is taken from now on."
        }
        _ => "",
    };
    let shown = (FlowsForm::of(&client.registration), done);
    Ok(show(&app, &signed_in, &client, (StatusCode::OK, shown)))
}

pub(super) fn show(
    app: &App,
    signed_in: &SignedIn,
    client: &ListedClient,
    (status, (flows, done)): (StatusCode, (FlowsForm, &'static str)),
) -> Response {
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
        flows,
        done,
        client,
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
            ends: secret.expires_at.map(|end| {
                let left = (end.micros() - now.micros()) / 60_000_000;
                (When::new(end, now, zone), countdown(left))
            }),
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
        91..=2_880 => format!("{} h left", minutes / 60),
        _ => format!("{} days left", minutes / 1_440),
    }
}

pub(super) fn refused(error: AdminError) -> Problem {
    match error {
        AdminError::NoClient(id) => not_found("client", id.as_str()),
        AdminError::Revoked(_) | AdminError::OverlapTooLong => {
            Problem::new(&codes::INVALID_BODY, error.to_string())
        }
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
            let told = format!("the old secret works for {hours} hours");
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
    let keys = KeySet::parse(typed.get("jwks"))
        .map_err(|error| Problem::new(&codes::INVALID_BODY, error.to_string()))?;
    let hours: u64 = typed.get("hours").parse().unwrap_or(u64::MAX);
    let overlap = Duration::from_secs(hours.saturating_mul(60 * 60));
    let (id, now) = (client.id, signed_in.visit.now());
    let page = format!("/dashboard/credentials/{id}");
    let set: std::result::Result<(), AdminError> = app
        .db
        .write(async move |tx| {
            set_keys(tx, &id, &keys, overlap, now).await?;
            let object = ("client", id.as_str());
            Ok(store::note(tx, signed_in.doer(), "client.keys_set", object).await?)
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
        let detail = "the name that was typed is not that of the credentials: nothing was revoked";
        return Err(Problem::new(&codes::INVALID_BODY, detail));
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
