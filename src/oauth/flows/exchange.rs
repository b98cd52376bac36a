//! A code, a refresh token or a device code becomes an access token.

use super::super::client::{Client, ClientId};
use super::super::error::OAuthError;
use super::super::request::{GrantType, Offered};
use super::super::scope::Scopes;
use super::super::store as clients;
use super::device::{Answer, SLOWER_SECONDS, store as devices};
use super::grant::{GRACE, GrantId, RefreshToken, UserGrant, hash};
use super::pkce::Challenge;
use super::revoke::{forget, revoke};
use super::store;
use crate::app::App;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::secrets::Secret;
use std::time::Duration;

/// The client that asks, as it proved itself.
#[derive(Clone, Debug)]
pub struct Party {
    pub client_id: ClientId,
    /// The secret that it showed; nothing for a public client.
    pub secret_id: Option<String>,
    /// How long its access tokens live.
    pub ttl_seconds: u32,
    /// The thumbprint of the key that it showed a proof of (DPoP).
    pub bound_to: Option<String>,
}

/// What is to be signed.
#[derive(Clone, Debug)]
pub struct Allowed {
    pub grant: UserGrant,
    pub scopes: Scopes,
    pub refresh_token: Option<RefreshToken>,
}

/// What came of it. A refusal that changed something must be committed too.
enum Outcome {
    Allowed(Box<Allowed>),
    Refused(OAuthError),
    /// What can be used once was used again: whoever has it may have stolen it. The grant has ended.
    Ended(GrantId),
}

/// Exchanges what is offered.
///
/// # Errors
/// The refusal for the client.
pub async fn exchange(
    app: &App,
    party: Party,
    (grant_type, offered): (GrantType, &Offered),
    scope: Option<String>,
    now: Timestamp,
) -> Result<Allowed, OAuthError> {
    let Offered {
        code,
        refresh_token,
        device_code,
        ..
    } = offered;
    let offered_nothing = OAuthError::InvalidGrant;
    let outcome: Result<Outcome, DbError> = match grant_type {
        GrantType::ClientCredentials => return Err(offered_nothing),
        GrantType::AuthorizationCode => {
            let verifier = offered.code_verifier.as_ref();
            let challenge = verifier.and_then(|text| Challenge::of_verifier(text.expose()));
            let offer = CodeOffer {
                hash: hash(code.as_ref().ok_or(offered_nothing)?),
                redirect_uri: offered.redirect_uri.clone(),
                challenge: challenge.ok_or(OAuthError::InvalidGrant)?,
            };
            app.db
                .write(async move |tx| exchange_code(tx, &offer, &party, now).await)
                .await
        }
        GrantType::RefreshToken => {
            let token = refresh_token.as_ref().map(Secret::expose);
            let token = token.and_then(|text| RefreshToken::parse(text));
            let token = token.ok_or(offered_nothing)?;
            let next = app.oauth.successor(&token);
            let tokens = (token, next);
            app.db
                .write(async move |tx| exchange_refresh(tx, tokens, scope, &party, now).await)
                .await
        }
        GrantType::DeviceCode => {
            let hash = hash(device_code.as_ref().ok_or(offered_nothing)?);
            app.db
                .write(async move |tx| exchange_device(tx, &hash, &party, now).await)
                .await
        }
    };
    match outcome.map_err(|error| super::super::api::unavailable(&error))? {
        Outcome::Allowed(allowed) => Ok(*allowed),
        Outcome::Refused(error) => Err(error),
        Outcome::Ended(id) => {
            app.nudge.send();
            tracing::warn!(grant = id.as_str(), "used again: the grant is revoked");
            forget(app, &[id]);
            Err(OAuthError::InvalidGrant)
        }
    }
}

struct CodeOffer {
    hash: String,
    redirect_uri: Option<String>,
    challenge: Challenge,
}

async fn exchange_code(
    tx: &mut Tx,
    offer: &CodeOffer,
    party: &Party,
    now: Timestamp,
) -> Result<Outcome, DbError> {
    const REFUSED: Outcome = Outcome::Refused(OAuthError::InvalidGrant);
    let Some(code) = store::find_code(tx, &offer.hash).await? else {
        return Ok(REFUSED);
    };
    let Some(grant) = store::hold_grant(tx, &code.grant_id).await? else {
        return Ok(REFUSED);
    };
    let same_place = offer.redirect_uri.as_deref();
    let same_place = same_place.is_none_or(|uri| uri == code.redirect_uri);
    let same_client = grant.client_id == party.client_id;
    // What is wrong proves nothing: it must not end what somebody else was allowed.
    let same_key = code.dpop_jkt.is_none() || code.dpop_jkt == party.bound_to;
    if !same_client || !same_place || !same_key || !offer.challenge.is(&code.challenge) {
        return Ok(REFUSED);
    }
    // Another request may have used it before the grant was held.
    let code = store::find_code(tx, &offer.hash).await?;
    let Some(code) = code.filter(|code| code.used_at.is_none()) else {
        return end(tx, grant, now).await;
    };
    if now >= code.expires_at {
        return Ok(REFUSED);
    }
    store::use_code(tx, &offer.hash, now).await?;
    begin(tx, grant, party, now).await
}

/// The first use of a grant, with a refresh token if the client may have one.
async fn begin(
    tx: &mut Tx,
    mut grant: UserGrant,
    party: &Party,
    now: Timestamp,
) -> Result<Outcome, DbError> {
    const REFUSED: Outcome = Outcome::Refused(OAuthError::InvalidGrant);
    let Some((client, cap)) = standing(tx, &grant, party, now).await? else {
        return Ok(REFUSED);
    };
    let scopes = grant.scopes.and(client.scopes).and(cap);
    if grant.is_over(now) || scopes.is_empty() {
        return Ok(REFUSED);
    }
    let refresh_token = first_use(tx, &mut grant, &client, party, now).await?;
    Ok(Outcome::Allowed(Box::new(Allowed {
        grant,
        scopes,
        refresh_token,
    })))
}

async fn first_use(
    tx: &mut Tx,
    grant: &mut UserGrant,
    client: &Client,
    party: &Party,
    now: Timestamp,
) -> Result<Option<RefreshToken>, DbError> {
    if !client.registration.allows(GrantType::RefreshToken) {
        grant.ends_at = now + Duration::from_secs(u64::from(party.ttl_seconds));
        store::use_grant(tx, grant, now).await?;
        return Ok(None);
    }
    // Whoever has a secret binds its refresh tokens by that.
    let is_public = client.registration.is_public();
    grant.bound_to = party.bound_to.clone().filter(|_| is_public);
    let first = RefreshToken::new();
    grant.refresh_number = 1;
    grant.ends_at = grant.end_after_use(now);
    store::insert_refresh(tx, &first.hash(), grant).await?;
    store::use_grant(tx, grant, now).await?;
    Ok(Some(first))
}

async fn exchange_refresh(
    tx: &mut Tx,
    (token, next): (RefreshToken, RefreshToken),
    scope: Option<String>,
    party: &Party,
    now: Timestamp,
) -> Result<Outcome, DbError> {
    const REFUSED: Outcome = Outcome::Refused(OAuthError::InvalidGrant);
    let hash = token.hash();
    let Some(known) = store::find_refresh(tx, &hash).await? else {
        return Ok(REFUSED);
    };
    let Some(mut grant) = store::hold_grant(tx, &known.grant_id).await? else {
        return Ok(REFUSED);
    };
    let has_key = grant.bound_to.is_none() || grant.bound_to == party.bound_to;
    if grant.client_id != party.client_id || !has_key || grant.is_over(now) {
        return Ok(REFUSED);
    }
    let Some((client, cap)) = standing(tx, &grant, party, now).await? else {
        return Ok(REFUSED);
    };
    // Another request may have used it before the grant was held.
    let Some(known) = store::find_refresh(tx, &hash).await? else {
        return Ok(REFUSED);
    };
    let is_newest = known.number == grant.refresh_number;
    let in_grace = known.number + 1 == grant.refresh_number
        && known.used_at.is_some_and(|used| now < used + GRACE);
    if !is_newest && !in_grace {
        return end(tx, grant, now).await;
    }
    let asked = match grant.scopes.narrow(scope.as_deref()) {
        Ok(asked) => asked,
        Err(error) => return Ok(Outcome::Refused(OAuthError::InvalidScope(error))),
    };
    let scopes = asked.and(client.scopes).and(cap);
    if scopes.is_empty() {
        return Ok(REFUSED);
    }
    if is_newest {
        store::use_refresh(tx, &hash, now).await?;
        grant.refresh_number += 1;
        grant.ends_at = grant.end_after_use(now);
        store::insert_refresh(tx, &next.hash(), &grant).await?;
        store::use_grant(tx, &grant, now).await?;
    }
    Ok(Outcome::Allowed(Box::new(Allowed {
        grant,
        scopes,
        refresh_token: Some(next),
    })))
}

async fn exchange_device(
    tx: &mut Tx,
    hash: &str,
    party: &Party,
    now: Timestamp,
) -> Result<Outcome, DbError> {
    const REFUSED: Outcome = Outcome::Refused(OAuthError::InvalidGrant);
    let found = devices::hold_device(tx, hash).await?;
    let Some(device) = found.filter(|device| device.client_id == party.client_id) else {
        return Ok(REFUSED);
    };
    let mut interval = device.interval_seconds;
    let refusal = match device.answer(now) {
        Answer::Allowed(id) => {
            devices::use_device(tx, hash, now).await?;
            return match store::hold_grant(tx, &id).await? {
                Some(grant) => begin(tx, grant, party, now).await,
                None => Ok(REFUSED),
            };
        }
        Answer::Pending => OAuthError::AuthorizationPending,
        Answer::TooFast => {
            interval += SLOWER_SECONDS;
            OAuthError::SlowDown
        }
        Answer::Denied => OAuthError::AccessDenied,
        Answer::Expired => OAuthError::ExpiredToken,
        Answer::Used => OAuthError::InvalidGrant,
    };
    devices::note_poll(tx, hash, interval, now).await?;
    Ok(Outcome::Refused(refusal))
}

/// The client as it is now and what the person may; `None` when the client was disabled or its secret has ended since
/// it proved itself, or the person is gone.
async fn standing(
    tx: &mut Tx,
    grant: &UserGrant,
    party: &Party,
    now: Timestamp,
) -> Result<Option<(Client, Scopes)>, DbError> {
    let client = clients::find_client(tx, &party.client_id).await?;
    let now = now.to_jiff();
    let stands = |client: &Client| {
        let shown = party.secret_id.as_ref().is_none_or(|id| {
            let mut secrets = client.secrets.iter();
            secrets.any(|one| one.id == *id && one.expires_at.is_none_or(|end| end > now))
        });
        shown && client.disabled_at.is_none() && client.expires_at.is_none_or(|end| end > now)
    };
    let Some(client) = client.filter(stands) else {
        return Ok(None);
    };
    let cap = store::cap_of(tx, &grant.staff_id).await?;
    Ok((!cap.is_empty()).then_some((client, cap)))
}

/// Ends a grant whose code or refresh token came again.
async fn end(tx: &mut Tx, grant: UserGrant, now: Timestamp) -> Result<Outcome, DbError> {
    let why = ("grant.reuse_detected", grant.client_id.as_str());
    revoke(tx, &grant, why, now).await?;
    Ok(Outcome::Ended(grant.id))
}
