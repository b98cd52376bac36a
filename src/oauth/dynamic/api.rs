//! Handlers of `/oauth/register` (RFC 7591 §3) and `/oauth/register/{client_id}` (RFC 7592 §2).

use super::body::{ChangedRegistration, ClientMetadata, Registration};
use super::metadata::{AuthMethod, Metadata, Unusable};
use super::store::{self, Kept};
use super::token::{InitialToken, ManagementToken};
use super::{NotRegistered, Registered};
use crate::app::App;
use crate::dashboard::store::{Doer, note};
use crate::oauth::api::{Asked, TAG, no_store, unavailable};
use crate::oauth::client::{Client, ClientId};
use crate::oauth::error::{OAuthError, codes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use platform::db::{DbError, Tx};
use platform::http::{Operation, Path, Reply, parse_strict};
use serde_json::{Map, Value, json};

/// Members that only the server sets: they have no place in a change (RFC 7592 §2.2).
const SET_BY_SERVER: [&str; 4] = [
    "registration_access_token",
    "registration_client_uri",
    "client_id_issued_at",
    "client_secret_expires_at",
];
/// The security schemes of the two tokens in the OpenAPI document.
pub const INITIAL_TOKEN: &str = "initialAccessToken";
pub const REGISTRATION_TOKEN: &str = "registrationAccessToken";
const REFUSALS: [&str; 6] = [
    "registration_disabled",
    "invalid_token",
    "invalid_request",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "temporarily_unavailable",
];

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .ignores_query()
        .errors(&codes(&REFUSALS))
        .error_form("OAuthError")
}

fn example() -> Value {
    json!({ "client_name": "Stock clock", "redirect_uris": ["https://clock.example/callback"],
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none", "scope": "products:read" })
}

fn change_example() -> Value {
    let mut change = example();
    change["client_id"] = json!("cli_5sVBDBpmVCTq4zGsWPjKSD");
    change
}

fn answer_example() -> Value {
    let mut answer = example();
    let own = [
        ("client_id", json!("cli_5sVBDBpmVCTq4zGsWPjKSD")),
        ("client_id_issued_at", json!(1_698_400_800)),
        ("registration_access_token", json!("rat_…")),
        (
            "registration_client_uri",
            json!("https://shop.example/oauth/register/cli_5sVBDBpmVCTq4zGsWPjKSD"),
        ),
        ("response_types", json!(["code"])),
        ("dpop_bound_access_tokens", json!(false)),
    ];
    for (name, value) in own {
        answer[name] = value;
    }
    answer
}

/// What `POST /oauth/register` promises.
pub fn register_operation() -> Operation {
    operation("registerClient", "Registers a client.")
        .describe("Dynamic client registration (RFC 7591), with an initial access token as `Authorization: Bearer reg_…`. For programs that are not known beforehand. Off unless the server runs with `--client-registration`; then an operator makes initial access tokens with `tradepost registration-tokens create`, which say how many clients may be registered, until when, and with which scopes at most. A client that gets no access token within an hour is forgotten. `jwks_uri` and software statements are not supported; members that are not known are left away.")
        .token(INITIAL_TOKEN)
        .body::<ClientMetadata>()
        .body_example(example())
        .returns::<Registration>(201, "The client as it was registered. `client_secret` and `registration_access_token` are shown this once.")
        .example(answer_example())
}

/// What `GET /oauth/register/{client_id}` promises.
pub fn get_operation() -> Operation {
    operation("getRegistration", "Retrieves a client's own registration.")
        .token(REGISTRATION_TOKEN)
        .describe("With the registration access token (RFC 7592). The secret is not in it: it is stored as a hash.")
        .path("client_id", "The client's id.", "^cli_[A-Za-z0-9_]{1,64}$")
        .returns::<Registration>(200, "The registration.")
        .example(answer_example())
}

/// What `PUT /oauth/register/{client_id}` promises.
pub fn update_operation() -> Operation {
    operation("updateRegistration", "Replaces a client's own registration.")
        .token(REGISTRATION_TOKEN)
        .describe("All of it: what is left away is as in a new registration. `client_id` is sent along; how the client proves who it is stays as it was.")
        .path("client_id", "The client's id.", "^cli_[A-Za-z0-9_]{1,64}$")
        .body::<ChangedRegistration>()
        .body_example(change_example())
        .returns::<Registration>(200, "The registration.")
        .example(answer_example())
}

/// What `DELETE /oauth/register/{client_id}` promises.
pub fn delete_operation() -> Operation {
    operation("deleteRegistration", "Ends a client's own registration.")
        .token(REGISTRATION_TOKEN)
        .describe("The client is revoked for good, and its tokens are dead on every node within a second.")
        .path("client_id", "The client's id.", "^cli_[A-Za-z0-9_]{1,64}$")
        .returns_nothing(204, "It is revoked.")
}

fn answer(app: &App, made: Result<Reply, OAuthError>) -> Response {
    match made {
        Ok(reply) => no_store(reply),
        Err(error) => error.response(&app.config.public_url),
    }
}

/// `POST /oauth/register`.
pub async fn register(State(app): State<App>, request: Request) -> Response {
    let made = create(&app, request).await;
    answer(&app, made)
}

/// `GET /oauth/register/{client_id}`.
pub async fn get(State(app): State<App>, Path(id): Path, request: Request) -> Response {
    let read = async {
        let managed = Managed::read(&app, &id, request).await?;
        Ok(managed.shown(&app, &managed.metadata()))
    };
    let read = read.await;
    answer(&app, read)
}

/// `PUT /oauth/register/{client_id}`.
pub async fn update(State(app): State<App>, Path(id): Path, request: Request) -> Response {
    let changed = change(&app, &id, request).await;
    answer(&app, changed)
}

/// `DELETE /oauth/register/{client_id}`.
pub async fn delete(State(app): State<App>, Path(id): Path, request: Request) -> Response {
    let deleted = async {
        let managed = Managed::read(&app, &id, request).await?;
        let (id, now) = (managed.client.id.clone(), managed.asked.now);
        let done = app
            .db
            .write(async move |tx| super::delete(tx, &id, now).await);
        done.await.map_err(|error| unavailable(&error))?;
        app.nudge.send();
        let known = app.oauth.refresh(&app.db, now).await;
        known.map_err(|error| unavailable(&error))?;
        Ok(Reply::no_content())
    };
    let deleted = deleted.await;
    answer(&app, deleted)
}

/// The token of `Authorization: Bearer`; what is none counts as a guess.
fn bearer<T>(app: &App, asked: &Asked, parse: impl Fn(&str) -> Option<T>) -> Result<T, OAuthError> {
    let header = asked.headers.get(header::AUTHORIZATION);
    let text = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or_default();
    let token = scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| parse(token.trim()));
    token
        .flatten()
        .ok_or_else(|| asked.failed(app, None, OAuthError::InvalidToken))
}

async fn open(app: &App, request: Request) -> Result<Asked, OAuthError> {
    if !app.config.client_registration {
        return Err(OAuthError::RegistrationDisabled);
    }
    let asked = Asked::read(app, request).await?;
    // Who shows nothing guesses nothing: it neither costs a pause nor waits for one.
    if !asked.headers.contains_key(header::AUTHORIZATION) {
        return Err(OAuthError::InvalidToken);
    }
    app.oauth
        .throttle
        .check_address(asked.address, asked.now.to_jiff())?;
    Ok(asked)
}

fn members(asked: &Asked) -> Result<Map<String, Value>, OAuthError> {
    let wrong = || OAuthError::invalid_request("the body is one JSON object (application/json)");
    let kind = asked.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json")
        || asked.body().len() > super::super::request::BODY_MAX_BYTES
    {
        return Err(wrong());
    }
    match parse_strict(asked.body()) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(wrong()),
        Err(reason) => Err(OAuthError::invalid_request(format!(
            "the body is one JSON object (application/json): {reason}"
        ))),
    }
}

fn unusable(error: Unusable) -> OAuthError {
    match error {
        Unusable::RedirectUri(text) => OAuthError::InvalidRedirectUri(text),
        Unusable::Other(text) => OAuthError::InvalidClientMetadata(text),
    }
}

async fn create(app: &App, request: Request) -> Result<Reply, OAuthError> {
    let asked = open(app, request).await?;
    let initial = bearer(app, &asked, InitialToken::parse)?;
    let read = async { store::find_token(&mut app.db.read().await?, &initial.hash()).await };
    let known = read.await.map_err(|error: DbError| unavailable(&error))?;
    let known = known.filter(|token| token.is_good(asked.now));
    let known = known.ok_or_else(|| asked.failed(app, None, OAuthError::InvalidToken))?;
    let metadata = Metadata::parse(&members(&asked)?, known.cap()).map_err(unusable)?;
    let (now, address) = (asked.now, asked.address.to_string());
    let stored = metadata.clone();
    let registered = app
        .db
        .write(async move |tx| {
            let made = super::register(tx, &initial, &stored, now).await?;
            tell(tx, (&known.id, &known.name), (&made.id, &address), now).await?;
            Ok::<_, NotRegistered>(made)
        })
        .await;
    let made = registered.map_err(|error| match error {
        NotRegistered::Token => OAuthError::InvalidToken,
        NotRegistered::Full => OAuthError::Unavailable {
            retry_after_seconds: 3_600,
        },
        NotRegistered::Db(error) => unavailable(&error),
    })?;
    app.nudge.send();
    let Registered { id, secret, token } = made;
    let mut shown = shown(app, (&id, now.micros()), token.expose(), &metadata);
    if let Some(secret) = secret {
        shown.insert("client_secret".to_owned(), secret.expose().into());
        shown.insert("client_secret_expires_at".to_owned(), 0.into());
    }
    Ok(Reply::json(StatusCode::CREATED, &shown))
}

/// The audit log says by whose token a client came.
async fn tell(
    tx: &mut Tx,
    (token_id, token_name): (&str, &str),
    (client, address): (&ClientId, &str),
    now: platform::clock::Timestamp,
) -> Result<(), DbError> {
    let who = format!("registration token {token_name}");
    let doer = Doer {
        actor: token_id,
        who: &who,
        address,
        now,
    };
    note(tx, doer, "client.registered", ("client", client.as_str())).await
}

fn shown(
    app: &App,
    (id, at_micros): (&ClientId, i64),
    token: &str,
    metadata: &Metadata,
) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("client_id".to_owned(), json!(id));
    shown.insert(
        "client_id_issued_at".to_owned(),
        (at_micros / 1_000_000).into(),
    );
    shown.insert("registration_access_token".to_owned(), token.into());
    let uri = format!("{}/oauth/register/{id}", app.oauth.signer.issuer());
    shown.insert("registration_client_uri".to_owned(), uri.into());
    shown.extend(metadata.shown());
    shown
}

/// A client that looks after its own registration.
struct Managed {
    asked: Asked,
    token: ManagementToken,
    client: Client,
    kept: Kept,
}

impl Managed {
    /// Whoever shows the token of the client called `id`. All that can be wrong has one refusal.
    async fn read(app: &App, id: &str, request: Request) -> Result<Managed, OAuthError> {
        let asked = open(app, request).await?;
        let token = bearer(app, &asked, ManagementToken::parse)?;
        let refuse = || asked.failed(app, None, OAuthError::InvalidToken);
        let id: ClientId = id.parse().map_err(|_| refuse())?;
        let hash = token.hash();
        let read = async {
            let mut tx = app.db.read().await?;
            let kept = store::find_managed(&mut tx, &id, &hash).await?;
            let client = crate::oauth::store::find_client(&mut tx, &id).await?;
            Ok(client.zip(kept))
        };
        let found = read.await.map_err(|error: DbError| unavailable(&error))?;
        let (client, kept) = found.ok_or_else(refuse)?;
        Ok(Managed {
            token,
            client,
            kept,
            asked,
        })
    }

    fn metadata(&self) -> Metadata {
        let client = &self.client;
        Metadata {
            name: client.name.clone(),
            registration: client.registration.clone(),
            scopes: client.scopes,
            method: self.kept.about.token_endpoint_auth_method,
            keys: client.keys.clone(),
            dpop_bound: client.dpop_bound,
            about: self.kept.about.clone(),
        }
    }

    fn shown(&self, app: &App, metadata: &Metadata) -> Reply {
        let made = (&self.client.id, self.client.created_at.as_microsecond());
        let shown = shown(app, made, self.token.expose(), metadata);
        Reply::json(StatusCode::OK, &shown)
    }

    /// Whether the secret in a change is one of its own.
    fn knows_secret(&self, json: &Map<String, Value>) -> bool {
        let secret = json.get("client_secret").and_then(Value::as_str);
        let hash = secret.and_then(crate::oauth::client::ClientSecret::parse);
        let hash = hash.map(|secret| secret.hash());
        self.client.secrets.iter().any(|known| {
            hash.as_ref().is_some_and(|hash| {
                platform::secrets::equal(known.hash.as_bytes(), hash.as_bytes())
            })
        })
    }
}

async fn change(app: &App, id: &str, request: Request) -> Result<Reply, OAuthError> {
    let managed = Managed::read(app, id, request).await?;
    let json = members(&managed.asked)?;
    if let Some(name) = SET_BY_SERVER
        .into_iter()
        .find(|name| json.contains_key(*name))
    {
        return Err(OAuthError::InvalidRequest(format!(
            "{name} is set by the server"
        )));
    }
    if json.get("client_id") != Some(&json!(managed.client.id)) {
        return Err(OAuthError::invalid_request(
            "client_id must be that of the registration",
        ));
    }
    if json.contains_key("client_secret") && !managed.knows_secret(&json) {
        return Err(OAuthError::invalid_request(
            "client_secret is not the one that was issued",
        ));
    }
    let metadata = Metadata::parse(&json, managed.kept.cap).map_err(unusable)?;
    let method: AuthMethod = managed.kept.about.token_endpoint_auth_method;
    if metadata.method != method {
        let text = format!(
            "token_endpoint_auth_method stays {}: register another client",
            method.name()
        );
        return Err(OAuthError::InvalidClientMetadata(text));
    }
    let (id, now) = (managed.client.id.clone(), managed.asked.now);
    let stored = metadata.clone();
    let updated = app
        .db
        .write(async move |tx| super::update(tx, &id, &stored, now).await);
    if !updated
        .await
        .map_err(|error: DbError| unavailable(&error))?
    {
        return Err(OAuthError::InvalidToken);
    }
    app.nudge.send();
    // In force here at once; other nodes remember what it was for a second at most.
    let afresh = app.oauth.client_afresh(&app.db, &managed.client.id, now);
    afresh.await.map_err(|error| unavailable(&error))?;
    Ok(managed.shown(app, &metadata))
}
