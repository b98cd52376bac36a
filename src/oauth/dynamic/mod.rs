//! Dynamic client registration (RFC 7591) and its management (RFC 7592): a program registers itself, with a token that
//! an operator made for that. Off unless the setting `client_registration` turns it on.
//!
//! - [`metadata`]: what a client says of itself, checked.
//! - [`token`]: the two tokens, one to register with and one to look after what was registered.
//! - [`api`]: the endpoints. [`body`]: what they read and answer, for the OpenAPI document. [`store`]: all SQL.
//!
//! A client that registered itself gets no more scopes than its token has, is shown as such to people whom it asks, and
//! is forgotten when it has no access token within an hour.

pub mod api;
pub mod body;
pub mod metadata;
pub mod store;
pub mod token;

use super::admin::{AdminError, new_client_id};
use super::client::{Client, ClientId, ClientSecret};
use super::{NewClient, flows, store as clients};
use crate::app::App;
use metadata::{AuthMethod, Metadata};
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use serde_json::json;
use std::time::Duration;
use token::{InitialToken, ManagementToken};

/// A client without an access token after so long is forgotten.
pub const UNUSED_MAX: Duration = Duration::from_secs(60 * 60);
/// Most living clients that registered themselves.
pub const REGISTERED_MAX: i64 = 5_000;
/// Clients forgotten in one transaction.
const FORGET_MAX: i64 = 200;

/// A client that has just registered itself. Secret and token are shown this once.
#[derive(Debug)]
pub struct Registered {
    pub id: ClientId,
    pub secret: Option<ClientSecret>,
    pub token: ManagementToken,
}

/// Why a client could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum NotRegistered {
    #[error("the token is unknown, used up, expired or revoked")]
    Token,
    #[error("there are as many registered clients as there may be")]
    Full,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Registers a client and uses the token up by one, or neither.
pub async fn register(
    tx: &mut Tx,
    initial: &InitialToken,
    metadata: &Metadata,
    now: Timestamp,
) -> Result<Registered, NotRegistered> {
    let spent = store::spend(tx, &initial.hash(), now).await?;
    let initial = spent.ok_or(NotRegistered::Token)?;
    if store::count_registered(tx).await? >= REGISTERED_MAX {
        return Err(NotRegistered::Full);
    }
    let id = new_client_id();
    let new = NewClient {
        name: metadata.name.clone(),
        scopes: metadata.scopes,
        signing_alg: Default::default(),
        token_ttl_seconds: None,
        expires_at: None,
        ip_allow: Vec::new(),
    };
    clients::insert_client(tx, &id, &new, now).await?;
    let token = ManagementToken::generate();
    store::mark_registered(tx, &id, (&initial.id, &token.hash()), metadata).await?;
    flows::store::set_registration(tx, &id, &metadata.registration).await?;
    let secret = match metadata.method {
        AuthMethod::Basic | AuthMethod::Post => Some(ClientSecret::generate()),
        AuthMethod::PrivateKeyJwt | AuthMethod::None => None,
    };
    if let Some(secret) = &secret {
        clients::insert_secret(tx, &id, secret, now).await?;
    }
    set_extras(tx, &id, metadata).await?;
    append(tx, "client.created", (&id, 1), (&initial.id, metadata), now).await?;
    Ok(Registered { id, secret, token })
}

async fn set_extras(tx: &mut Tx, id: &ClientId, metadata: &Metadata) -> Result<(), DbError> {
    if let Some(keys) = &metadata.keys {
        clients::set_keys(tx, id, keys).await?;
    }
    clients::set_dpop_bound(tx, id, metadata.dpop_bound).await
}

/// Replaces all that a client says of itself; `false` when it is gone or revoked.
pub async fn update(
    tx: &mut Tx,
    id: &ClientId,
    metadata: &Metadata,
    now: Timestamp,
) -> Result<bool, DbError> {
    let Some(version) = clients::touch_client(tx, id, now).await? else {
        return Ok(false);
    };
    let known = clients::find_client(tx, id).await?;
    if known.is_none_or(|client| client.disabled_at.is_some()) {
        return Ok(false);
    }
    store::set_metadata(tx, id, metadata).await?;
    flows::store::set_registration(tx, id, &metadata.registration).await?;
    set_extras(tx, id, metadata).await?;
    append(
        tx,
        "client.changed",
        (id, version),
        (id.as_str(), metadata),
        now,
    )
    .await?;
    Ok(true)
}

/// Revokes a client at its own wish.
pub async fn delete(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<(), AdminError> {
    store::forget_management(tx, id).await?;
    super::admin::revoke_client_by(tx, id, id.as_str(), now).await
}

async fn append(
    tx: &mut Tx,
    kind: &str,
    (id, version): (&ClientId, i64),
    (actor, metadata): (&str, &Metadata),
    at: Timestamp,
) -> Result<(), DbError> {
    let names = metadata
        .registration
        .grant_types()
        .iter()
        .map(|one| one.name());
    let data = json!({ "name": metadata.name, "scopes": metadata.scopes, "grant_types": names.collect::<Vec<_>>(),
        "registered_itself": true });
    let event = NewEvent {
        kind,
        object_type: "client",
        object_id: id.as_str(),
        object_version: version,
        actor,
        data: &data.to_string(),
        at,
    };
    events::append(tx, &event).await
}

/// Notes, before the first access token leaves, that a client which registered itself is in use; `false` when it was
/// forgotten a moment ago.
pub async fn note_token(app: &App, client: &Client, now: Timestamp) -> Result<bool, DbError> {
    if client.registered_with.is_none() || client.first_token_at.is_some() {
        return Ok(true);
    }
    let id = client.id.clone();
    app.db
        .write(async move |tx| store::note_first_token(tx, &id, now).await)
        .await
}

/// Forgets clients that registered themselves and got no access token within [`UNUSED_MAX`].
pub async fn forget_unused(app: &App, now: Timestamp) -> Result<(), DbError> {
    loop {
        let before = now - UNUSED_MAX;
        let unused = store::unused(&mut app.db.read().await?, before, FORGET_MAX).await?;
        if unused.is_empty() {
            return Ok(());
        }
        app.db
            .write(async move |tx| {
                for id in &unused {
                    store::delete_unused(tx, id, before).await?;
                }
                Ok::<_, DbError>(())
            })
            .await?;
    }
}
