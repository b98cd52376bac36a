//! `private_key_jwt` (RFC 7523 §2.2): a client that proves who it is by signing, so that it shares no secret
//! with us. It signs with one of the keys that were registered for it, for this server alone, for five
//! minutes at most, and each assertion works once.

use super::api::{Asked, unavailable};
use super::client::{Client, Refused};
use super::error::OAuthError;
use super::jwk::Jwt;
use super::proof::{JTI_MAX_BYTES, NotTaken};
use super::request::Credentials;
use crate::app::App;
use platform::clock::Timestamp;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// The only `client_assertion_type` there is.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Algorithms that clients sign with.
pub const ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "Ed25519", "RS256"];
/// An assertion expires at most so many seconds ahead.
pub const LIFE_MAX_SECONDS: i64 = 300;
/// So far, in seconds, the clock of a client may be ahead of ours.
const AHEAD_MAX_SECONDS: i64 = 60;
/// What a JWT for this may call itself; others, such as access tokens, are for something else.
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// Why an assertion was refused. For the log alone: the caller sees `invalid_client` whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    #[error("malformed assertion")]
    Malformed,
    #[error("no registered key of the client signed the assertion")]
    Signature,
    #[error("an assertion of another type")]
    Type,
    #[error("iss and sub of an assertion are the client's id")]
    Subject,
    #[error("aud of an assertion is the issuer and nothing else")]
    Audience,
    #[error("an assertion that has expired, or begins later")]
    Time,
    #[error("an assertion that lives for more than five minutes")]
    TooLong,
    #[error("an assertion without a jti of 1 to 255 bytes")]
    NoJti,
    #[error("an assertion that was used before")]
    Replayed,
}

/// Everything but whether `jwt` was used before: its `jti` and when it expires.
fn check<'a>(
    jwt: &'a Jwt<'_>,
    client: Option<&Client>,
    issuer: &str,
    address: IpAddr,
    now: jiff::Timestamp,
) -> Result<(&'a str, Timestamp), Refused> {
    let client = client.ok_or(Refused::UnknownClient)?;
    let signed = client.keys.as_ref().is_some_and(|keys| keys.verifies(jwt));
    if !signed {
        return Err(AssertionError::Signature.into());
    }
    client.admits(address, now)?;
    let typ = jwt.header.typ.as_deref().unwrap_or("jwt");
    if !TYPES.contains(&typ.to_ascii_lowercase().as_str()) {
        return Err(AssertionError::Type.into());
    }
    let id = Some(client.id.as_str());
    if jwt.text("iss") != id || jwt.text("sub") != id {
        return Err(AssertionError::Subject.into());
    }
    let is_for_us = match jwt.claims.get("aud") {
        Some(Value::String(one)) => one == issuer,
        Some(Value::Array(all)) => matches!(all.as_slice(), [Value::String(one)] if one == issuer),
        _ => false,
    };
    if !is_for_us {
        return Err(AssertionError::Audience.into());
    }
    let expires = check_times(jwt, now.as_second())?;
    let jti = jwt.text("jti").unwrap_or_default();
    if !(1..=JTI_MAX_BYTES).contains(&jti.len()) {
        return Err(AssertionError::NoJti.into());
    }
    Ok((jti, Timestamp::from_micros(expires * 1_000_000)))
}

/// The second in which it expires, if its times are right at `now`.
fn check_times(jwt: &Jwt<'_>, now: i64) -> Result<i64, AssertionError> {
    let expires = jwt.seconds("exp").ok_or(AssertionError::Malformed)?;
    if expires <= now {
        return Err(AssertionError::Time);
    }
    if expires > now + LIFE_MAX_SECONDS {
        return Err(AssertionError::TooLong);
    }
    for claim in ["iat", "nbf"] {
        if !jwt.claims.contains_key(claim) {
            continue;
        }
        let second = jwt.seconds(claim).ok_or(AssertionError::Malformed)?;
        if second > now + AHEAD_MAX_SECONDS {
            return Err(AssertionError::Time);
        }
    }
    Ok(expires)
}

impl Asked {
    /// The client that signed `assertion`, or the one refusal for all that can be wrong with it. No secret
    /// was shown, so the tokens of this client hang on none.
    pub(super) async fn signing_client(
        &self,
        app: &App,
        credentials: &Credentials,
        assertion: &str,
    ) -> Result<(Arc<Client>, String), OAuthError> {
        let (id, now) = (&credentials.id, self.now.to_jiff());
        // Afresh, so that a key that was taken away is away; from memory for whoever is paused.
        let found = match app.oauth.throttle.check_address(self.address, now) {
            Ok(()) => app.oauth.client_afresh(&app.db, id, self.now).await,
            Err(_) => app.oauth.client(&app.db, id, self.now).await,
        };
        let found = found.map_err(|error| unavailable(&error))?;
        let refused = |reason: Refused| {
            tracing::info!(client = id.as_str(), %reason, "a client was refused");
            self.failed(app, Some(id), credentials.refused())
        };
        let malformed = || refused(AssertionError::Malformed.into());
        let jwt = Jwt::parse(assertion).ok_or_else(malformed)?;
        let issuer = app.oauth.signer.issuer();
        let (jti, expires_at) =
            check(&jwt, found.as_deref(), issuer, self.address, now).map_err(refused)?;
        let proof = ("assertion", id.as_str(), jti);
        match app.oauth.take_proof(&app.db, proof, expires_at).await {
            Ok(()) => {}
            Err(NotTaken::Replayed) => return Err(refused(AssertionError::Replayed.into())),
            Err(NotTaken::TooMany(retry_after_seconds)) => {
                return Err(OAuthError::TooManyRequests {
                    retry_after_seconds,
                });
            }
            Err(NotTaken::Db(error)) => return Err(unavailable(&error)),
        }
        app.oauth.throttle.succeeded(id, self.address);
        let client = found.ok_or_else(|| credentials.refused())?;
        Ok((client, String::new()))
    }
}
