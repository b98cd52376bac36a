//! Access tokens: JWTs of the profile of RFC 9068, issued and verified by this server.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use platform::secrets;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::ClientId;
use super::key::{Algorithm, KeyError, KeyRing, StoredKey};
use super::revocation::Revocations;
use super::scope::Scopes;

/// Longest token that is looked at; ours stay under 1 KiB, those of RS256 with every scope under 1.25 KiB.
pub const TOKEN_MAX_BYTES: usize = 4096;
/// 65 bits of the id of a secret.
const SECRET_TAG_LENGTH: usize = 13;
/// Most verified tokens remembered, about half a kilobyte each; beyond it those used least are forgotten.
pub const VERIFIED_MAX: usize = 10_000;

/// What a token says (RFC 9068 §2.2). Times are seconds since 1970 (RFC 7519 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// This server's public URL.
    pub iss: String,
    /// Who acts: the client itself, or a user it acts for.
    pub sub: String,
    /// The API it is for.
    pub aud: String,
    /// First second in which it is no longer valid.
    pub exp: i64,
    /// Second in which it was issued.
    pub iat: i64,
    /// Names this one token, so that it can be revoked: [`secret_tag`], a hyphen and 131 random bits.
    pub jti: String,
    /// Who asked for it.
    pub client_id: ClientId,
    /// What its bearer may do.
    pub scope: Scopes,
    /// The key without which it is worth nothing (RFC 7800); none for a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// The key that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Its thumbprint (RFC 9449 §6.1).
    pub jkt: String,
}

impl Claims {
    /// Which secret or grant the token was got with, as [`secret_tag`].
    pub fn secret_tag(&self) -> &str {
        self.jti.split_once('-').map_or("", |(tag, _)| tag)
    }
}

/// What of the id of a secret stands in the tokens that were got with it: the random half, enough to know it
/// among those of its client, and short, because every request carries it.
pub fn secret_tag(secret_id: &str) -> &str {
    let from = secret_id.len().saturating_sub(SECRET_TAG_LENGTH);
    secret_id.get(from..).unwrap_or_default()
}

/// What a token is issued for.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// Who asks.
    pub client_id: &'a ClientId,
    /// The id of the secret that it showed, or of the grant that somebody gave it.
    pub secret_id: &'a str,
    /// Who acts: the client itself, or a user it acts for.
    pub subject: &'a str,
    /// What the token allows: at most what the client was given.
    pub scopes: Scopes,
    /// How it is signed.
    pub algorithm: Algorithm,
    /// How long it lives.
    pub ttl_seconds: u32,
    /// The thumbprint of the key that it is bound to, if it is.
    pub bound_to: Option<&'a str>,
}

/// Why a token was not issued; both are faults of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    #[error("there is no {0} signing key")]
    NoKey(Algorithm),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a token is not accepted; always 401 `invalid_token` (RFC 6750 §3.1). For the log: the caller need
/// not know which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url, or claims of another shape.
    #[error("malformed token")]
    Malformed,
    /// No key of ours signs tokens with this header: `alg` none or exchanged, another `typ`, a dropped key.
    #[error("no signing key for this token header")]
    UnknownHeader,
    #[error("wrong signature")]
    Signature,
    #[error("wrong issuer")]
    Issuer,
    #[error("wrong audience")]
    Audience,
    #[error("expired token")]
    Expired,
    #[error("revoked token")]
    Revoked,
}

/// Issues tokens and verifies them without the database: the keys, what was verified lately and what was
/// revoked are in memory. Shared by all requests.
#[derive(Debug)]
pub struct Signer {
    issuer: String,
    audience: String,
    /// Verified tokens live and die with the keys that verified them, so that a token of a dropped key
    /// cannot survive in the memory.
    keys: RwLock<Arc<Keys>>,
    revocations: Revocations,
}

struct Keys {
    ring: KeyRing,
    verified: Cache<[u8; 32], Arc<Claims>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ring.fmt(f)
    }
}

impl Keys {
    fn new(ring: KeyRing) -> Arc<Keys> {
        Arc::new(Keys {
            ring,
            verified: Cache::new(VERIFIED_MAX),
        })
    }
}

impl Signer {
    /// `issuer` is the server's public URL (RFC 8414 §2), `audience` the name of the API in its tokens.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, ring: KeyRing) -> Signer {
        Signer {
            issuer: issuer.into(),
            audience: audience.into(),
            keys: RwLock::new(Keys::new(ring)),
            revocations: Revocations::default(),
        }
    }

    /// This server's public URL, as in `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The name of the API, as in `aud`.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Dead tokens, to be kept up with the database.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Takes over the keys of `ring`. Nothing happens when they are the present ones, so it may be called
    /// as often as the keys are read.
    pub fn replace_keys(&self, ring: KeyRing) {
        if !self.keys().ring.same_keys(&ring) {
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Keys::new(ring);
        }
    }

    /// Whether the present keys are exactly those that are stored.
    pub fn holds(&self, stored: &[StoredKey]) -> bool {
        self.keys().ring.holds(stored)
    }

    /// Whether there is a key to sign with `algorithm`.
    pub fn can_sign(&self, algorithm: Algorithm, now: Timestamp) -> bool {
        self.keys().ring.signing(algorithm, now).is_some()
    }

    /// The key set to publish at `/.well-known/jwks.json`.
    pub fn jwks(&self) -> Value {
        self.keys().ring.jwks()
    }

    /// Makes a token for `grant`; the claims are handed back for the answer and the log.
    pub fn issue(&self, grant: Grant<'_>, now: Timestamp) -> Result<(String, Claims), IssueError> {
        let iat = self.revocations.first_living_second(grant.client_id, now);
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: grant.subject.to_owned(),
            aud: self.audience.clone(),
            exp: iat + i64::from(grant.ttl_seconds),
            iat,
            jti: format!(
                "{}-{}",
                secret_tag(grant.secret_id),
                secrets::random_base62(22)
            ),
            client_id: grant.client_id.clone(),
            scope: grant.scopes,
            cnf: grant.bound_to.map(|jkt| Confirmation {
                jkt: jkt.to_owned(),
            }),
        };
        let keys = self.keys();
        let no_key = IssueError::NoKey(grant.algorithm);
        let key = keys.ring.signing(grant.algorithm, now).ok_or(no_key)?;
        let payload = serde_json::to_vec(&claims).expect("strings and integers are always JSON");
        let mut token = format!("{}.{}", key.header(), BASE64URL.encode(payload));
        let signature = key.sign(token.as_bytes())?;
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok((token, claims))
    }

    /// The claims of a token that is genuine, for this API, alive at `now` to the second, and not revoked.
    /// The time and the revocations are looked at every time; a genuine token seen before costs one hash.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Malformed);
        }
        let keys = self.keys();
        let digest = secrets::sha256(token.as_bytes());
        let claims = match keys.verified.get(&digest) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.check(&keys.ring, token)?);
                // An expired token is not worth a place: it will not be sent again with success.
                if now.as_second() < claims.exp {
                    keys.verified.insert(digest, claims.clone());
                }
                claims
            }
        };
        if now.as_second() >= claims.exp {
            Err(TokenError::Expired)
        } else if self.revocations.contains(&claims) {
            Err(TokenError::Revoked)
        } else {
            Ok(claims)
        }
    }

    /// All that does not depend on the time.
    fn check(&self, ring: &KeyRing, token: &str) -> Result<Claims, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let key = ring.by_header(header).ok_or(TokenError::UnknownHeader)?;
        let signature = BASE64URL
            .decode(signature)
            .map_err(|_| TokenError::Malformed)?;
        if !key.verify(message.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        let payload = BASE64URL
            .decode(payload)
            .map_err(|_| TokenError::Malformed)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
        if claims.iss != self.issuer {
            Err(TokenError::Issuer)
        } else if claims.aud != self.audience {
            Err(TokenError::Audience)
        } else {
            Ok(claims)
        }
    }

    fn keys(&self) -> Arc<Keys> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests;
