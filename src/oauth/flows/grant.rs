//! What somebody allowed an app, and the texts by which the app shows it. The lives of both are here.

use super::super::client::ClientId;
use super::super::scope::Scopes;
use crate::dashboard::staff::StaffId;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::clock::Timestamp;
use platform::id_type;
use platform::secrets::{Secret, random_base62, sha256_hex};
use std::time::Duration;

id_type! { /// Something that somebody allowed an app.
GrantId, "grant" }

/// How long a code can be exchanged.
pub const CODE_LIFE: Duration = Duration::from_secs(60);
/// A grant whose refresh token nobody used for so long is over.
pub const IDLE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A grant is over after so long, used or not.
pub const GRANT_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How long the refresh token before the newest one is taken: an answer may get lost on its way.
pub const GRACE: Duration = Duration::from_secs(10);
/// Most refresh tokens of one grant that are remembered; one older than that is unknown.
pub const REMEMBERED_MAX: i64 = 1_000;
/// Most grants of one person; with one more, the oldest ends.
pub const GRANTS_MAX: i64 = 100;
/// 256 bits and a little more.
const RANDOM_CHARS: usize = 43;

/// What somebody allowed an app.
#[derive(Clone, Debug)]
pub struct UserGrant {
    pub id: GrantId,
    pub client_id: ClientId,
    /// Whom the app acts for.
    pub staff_id: StaffId,
    /// What was allowed; tokens carry what of it the client and the person still have.
    pub scopes: Scopes,
    pub created_at: Timestamp,
    pub ends_at: Timestamp,
    /// The number of its newest refresh token; 0 without one.
    pub refresh_number: i64,
    pub revoked_at: Option<Timestamp>,
    /// The thumbprint of the key without which its refresh tokens are worth nothing (RFC 9449 §5).
    pub bound_to: Option<String>,
}

impl UserGrant {
    /// Whether nothing is to be had for it any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.revoked_at.is_some() || now >= self.ends_at || now >= self.created_at + GRANT_LIFE
    }

    /// When it ends if it is used now and then never again.
    pub fn end_after_use(&self, now: Timestamp) -> Timestamp {
        (now + IDLE_MAX).min(self.created_at + GRANT_LIFE)
    }
}

/// A code as its app holds it: `ac_` and 256 random bits.
pub fn new_code() -> Secret<String> {
    Secret::new(format!("ac_{}", random_base62(RANDOM_CHARS)))
}

/// What is stored of a code, a refresh token or a device code.
pub fn hash(text: &Secret<String>) -> String {
    sha256_hex(text.expose().as_bytes())
}

/// A refresh token as its app holds it: `rt_` and 256 bits.
#[derive(Clone, Debug)]
pub struct RefreshToken(Secret<String>);

impl RefreshToken {
    /// The first one of a grant.
    pub fn new() -> RefreshToken {
        RefreshToken(Secret::new(format!("rt_{}", random_base62(RANDOM_CHARS))))
    }

    /// The token in `text`, if it has the form of one.
    pub fn parse(text: &str) -> Option<RefreshToken> {
        let rest = text.strip_prefix("rt_")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let whole = rest.len() == RANDOM_CHARS && rest.bytes().all(plain);
        whole.then(|| RefreshToken(Secret::new(text.to_owned())))
    }

    /// The one that takes its place. It follows from the token and a key of the server's, so that whoever asks twice
    /// gets the same one although no token is stored.
    #[must_use]
    pub fn successor(&self, key: &[u8; 32]) -> RefreshToken {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let next = hmac::sign(&key, self.expose().as_bytes());
        RefreshToken(Secret::new(format!("rt_{}", BASE64URL.encode(next))))
    }

    /// Its text, to hand it to its app.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored of it.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl Default for RefreshToken {
    fn default() -> RefreshToken {
        RefreshToken::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_successor_and_only_for_us() {
        let token = RefreshToken::new();
        let next = token.successor(&[1; 32]);
        assert_eq!(next.expose(), token.successor(&[1; 32]).expose());
        assert_ne!(next.expose(), token.successor(&[2; 32]).expose());
        for one in [&token, &next] {
            let read = RefreshToken::parse(one.expose()).unwrap();
            assert_eq!(read.hash(), one.hash());
            assert!(!format!("{one:?}").contains(one.expose()));
        }
        for bad in [
            "",
            "rt_",
            &next.expose()[..45],
            &format!("{}a", next.expose()),
        ] {
            assert!(RefreshToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_grant_ends_idle_or_old() {
        let at = |days: u64| Timestamp::from_micros(0) + Duration::from_secs(days * 86_400);
        let mut grant = UserGrant {
            id: GrantId::new(),
            client_id: "cli_1".parse().unwrap(),
            staff_id: StaffId::new(),
            scopes: Scopes::all(),
            created_at: at(0),
            ends_at: at(30),
            refresh_number: 1,
            revoked_at: None,
            bound_to: None,
        };
        assert!(!grant.is_over(at(29)) && grant.is_over(at(30)));
        grant.ends_at = grant.end_after_use(at(29));
        assert_eq!(grant.ends_at, at(59));
        assert_eq!(grant.end_after_use(at(80)), at(90));
        grant.ends_at = at(200);
        assert!(grant.is_over(at(90)));
    }
}
