//! What an operator does with clients: register, list, exchange the secret, revoke.

use super::client::{ClientId, ClientSecret, LIVE_SECRETS_MAX, Network};
use super::flows::registration::Registration;
use super::jwk::KeySet;
use super::key::Algorithm;
use super::scope::Scopes;
use super::store;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use platform::secrets::random_base62;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// How long the old secret works beside the new one unless the operator says otherwise.
pub const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest overlap: a week.
pub const OVERLAP_MAX: Duration = Duration::from_secs(168 * 60 * 60);
const SECOND_MICROS: i64 = 1_000_000;
/// Whom the event log names; who it was in the dashboard is in the audit log.
const ACTOR: &str = "operator";

/// A client to be registered.
#[derive(Clone, Debug)]
pub struct NewClient {
    pub name: String,
    pub scopes: Scopes,
    pub signing_alg: Algorithm,
    /// Life of its tokens in seconds, 60 to 86,400; the server's setting when `None`.
    pub token_ttl_seconds: Option<u32>,
    pub expires_at: Option<Timestamp>,
    /// Addresses it may ask for tokens from; anywhere when empty. At most 100.
    pub ip_allow: Vec<Network>,
}

/// A client as an operator sees it.
#[derive(Clone, Debug)]
pub struct ListedClient {
    pub id: ClientId,
    pub name: String,
    pub scopes: Scopes,
    pub signing_alg: Algorithm,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// Since when it gets no token.
    pub disabled_at: Option<Timestamp>,
    pub registration: Registration,
    /// Newest first, expired ones included.
    pub secrets: Vec<ListedSecret>,
    /// The public keys that it signs with, if it has any.
    pub keys: Option<KeySet>,
    /// Whether every token that it gets is bound to a key (DPoP).
    pub dpop_bound: bool,
    /// Whether it registered itself.
    pub registered_itself: bool,
    /// When it last got a token without a secret, to about ten seconds; its secrets have their own.
    pub last_used_at: Option<Timestamp>,
}

/// What may be shown of a secret.
#[derive(Clone, Debug)]
pub struct ListedSecret {
    pub id: String,
    /// Its last four characters.
    pub hint: String,
    pub created_at: Timestamp,
    /// From this instant on it no longer works.
    pub expires_at: Option<Timestamp>,
    /// When it last opened the door, to about ten seconds.
    pub last_used_at: Option<Timestamp>,
}

/// Why a client could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("there is no client {0}")]
    NoClient(ClientId),
    #[error("the client {0} is revoked, and that is final: create another one")]
    Revoked(ClientId),
    #[error("an old secret can live on for at most 168 hours")]
    OverlapTooLong,
    #[error("somebody else changed the client {0} meanwhile")]
    Changed(ClientId),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Registers a client and returns its id and its first secret, which is shown this once.
pub async fn create_client(
    tx: &mut Tx,
    new: &NewClient,
    now: Timestamp,
) -> Result<(ClientId, ClientSecret), DbError> {
    let id = new_client_id();
    let secret = ClientSecret::generate();
    store::insert_client(tx, &id, new, now).await?;
    store::insert_secret(tx, &id, &secret, now).await?;
    let data = json!({ "name": new.name, "scopes": new.scopes });
    append(tx, "client.created", &id, 1, data, now).await?;
    Ok((id, secret))
}

/// Registers a client that signs with `keys` and has no secret.
pub async fn create_signing_client(
    tx: &mut Tx,
    new: &NewClient,
    keys: &KeySet,
    now: Timestamp,
) -> Result<ClientId, DbError> {
    let id = new_client_id();
    store::insert_client(tx, &id, new, now).await?;
    store::set_keys(tx, &id, keys).await?;
    let data = json!({ "name": new.name, "scopes": new.scopes });
    append(tx, "client.created", &id, 1, data, now).await?;
    Ok(id)
}

/// Gives a client the public keys that it signs with, in place of those that it had: what these signed is
/// refused at once. Its secrets work on for `overlap` (at most [`OVERLAP_MAX`]; zero ends them at once), or as
/// long as they would have anyway.
pub async fn set_keys(
    tx: &mut Tx,
    id: &ClientId,
    keys: &KeySet,
    overlap: Duration,
    now: Timestamp,
) -> Result<(), AdminError> {
    let version = touch_living(tx, id, overlap, now).await?;
    let end = end_of_secret(now, overlap);
    for secret in store::secrets(tx, id).await? {
        if secret.expires_at.is_none_or(|known| known > end.to_jiff()) {
            store::expire_secret(tx, &secret.id, end).await?;
        }
    }
    store::set_keys(tx, id, keys).await?;
    let data = json!({ "secrets_expire_at": end });
    Ok(append(tx, "client.keys_set", id, version, data, now).await?)
}

/// Binds every token that a client gets from now on to a key of its own (DPoP), or leaves that to the client.
/// Tokens that it has stay as they are.
pub async fn bind_client(
    tx: &mut Tx,
    id: &ClientId,
    bound: bool,
    now: Timestamp,
) -> Result<(), AdminError> {
    let version = touch_living(tx, id, Duration::ZERO, now).await?;
    store::set_dpop_bound(tx, id, bound).await?;
    let data = json!({ "dpop_bound": bound });
    Ok(append(tx, "client.changed", id, version, data, now).await?)
}

/// Notes that a client which is not revoked is changed; its new version.
async fn touch_living(
    tx: &mut Tx,
    id: &ClientId,
    overlap: Duration,
    now: Timestamp,
) -> Result<i64, AdminError> {
    if overlap > OVERLAP_MAX {
        return Err(AdminError::OverlapTooLong);
    }
    let touched = store::touch_client(tx, id, now).await?;
    let version = touched.ok_or_else(|| AdminError::NoClient(id.clone()))?;
    let client = store::find_client(tx, id).await?;
    if client.is_none_or(|client| client.disabled_at.is_some()) {
        return Err(AdminError::Revoked(id.clone()));
    }
    Ok(version)
}

pub(super) fn new_client_id() -> ClientId {
    format!("cli_{}", random_base62(22))
        .parse()
        .expect("letters and digits")
}

/// All clients, oldest first, at most 10,000.
pub async fn list_clients(tx: &mut Tx) -> Result<Vec<ListedClient>, DbError> {
    let mut secrets: HashMap<String, Vec<ListedSecret>> = HashMap::new();
    for (client, secret) in store::secrets_listed(tx).await? {
        secrets.entry(client).or_default().push(secret);
    }
    let at = |time: jiff::Timestamp| Timestamp::from_micros(time.as_microsecond());
    let clients = store::clients(tx).await?.into_iter();
    let listed = clients.map(|client| ListedClient {
        secrets: secrets.remove(client.id.as_str()).unwrap_or_default(),
        id: client.id,
        name: client.name,
        scopes: client.scopes,
        signing_alg: client.signing_alg,
        created_at: at(client.created_at),
        expires_at: client.expires_at.map(at),
        disabled_at: client.disabled_at.map(at),
        registration: client.registration,
        keys: client.keys,
        dpop_bound: client.dpop_bound,
        registered_itself: client.registered_with.is_some(),
        last_used_at: client.last_used_at.map(at),
    });
    Ok(listed.collect())
}

/// When a secret ends that is replaced at `now`: at once, or else on a whole second, because tokens know
/// whole seconds only and one that was got before the end is to live.
pub fn end_of_secret(now: Timestamp, overlap: Duration) -> Timestamp {
    if overlap.is_zero() {
        return now;
    }
    let end = (now + overlap).micros();
    Timestamp::from_micros(end.div_euclid(SECOND_MICROS) * SECOND_MICROS)
}

/// Gives a client a new secret, which is shown this once. The one that was newest works on for `overlap`
/// (at most [`OVERLAP_MAX`]; zero ends it at once), or as long as it would have anyway; one that was
/// older than that ends now.
pub async fn rotate_secret(
    tx: &mut Tx,
    id: &ClientId,
    overlap: Duration,
    now: Timestamp,
) -> Result<ClientSecret, AdminError> {
    let version = touch_living(tx, id, overlap, now).await?;
    let end = end_of_secret(now, overlap);
    let old = store::secrets(tx, id).await?;
    for (index, secret) in old.iter().enumerate() {
        let stays = index + 1 < LIVE_SECRETS_MAX;
        let end = if stays { end } else { now };
        if secret.expires_at.is_none_or(|known| known > end.to_jiff()) {
            store::expire_secret(tx, &secret.id, end).await?;
        }
    }
    let secret = ClientSecret::generate();
    store::insert_secret(tx, id, &secret, now).await?;
    let data = json!({ "old_secret_expires_at": end });
    append(tx, "client.rotated", id, version, data, now).await?;
    Ok(secret)
}

/// Disables a client for good: it gets no token any more, and those it has are dead on every node within
/// a second.
pub async fn revoke_client(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<(), AdminError> {
    revoke_client_by(tx, id, ACTOR, now).await
}

/// As [`revoke_client`], by whoever.
pub(super) async fn revoke_client_by(
    tx: &mut Tx,
    id: &ClientId,
    actor: &str,
    now: Timestamp,
) -> Result<(), AdminError> {
    let touched = store::touch_client(tx, id, now).await?;
    let version = touched.ok_or_else(|| AdminError::NoClient(id.clone()))?;
    store::disable_client(tx, id, now).await?;
    let event = NewEvent {
        kind: "client.revoked",
        object_type: "client",
        object_id: id.as_str(),
        object_version: version,
        actor,
        data: "{}",
        at: now,
    };
    Ok(events::append(tx, &event).await?)
}

async fn append(
    tx: &mut Tx,
    kind: &str,
    id: &ClientId,
    version: i64,
    data: Value,
    at: Timestamp,
) -> Result<(), DbError> {
    let event = NewEvent {
        kind,
        object_type: "client",
        object_id: id.as_str(),
        object_version: version,
        actor: ACTOR,
        data: &data.to_string(),
        at,
    };
    events::append(tx, &event).await
}
