//! Who looks at a page, and what every form of theirs must prove.

use super::role::Role;
use super::staff::{Session, Shop, Staff};
use super::store::{Device, Doer};
use aws_lc_rs::hmac;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use platform::clock::Timestamp;
use platform::http::{Problem, codes};
use platform::secrets::{Secret, random_base62, sha256_hex};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The cookie of a session. The prefix makes browsers insist on `Secure`, on this host alone and on `Path=/`.
pub const SESSION_COOKIE: &str = "__Host-tradepost";
/// What stands in for a session before there is one, so that forms can be bound to a browser.
pub const FORM_COOKIE: &str = "__Host-tradepost-form";
/// What was done and the page that tells it, once: `confirmed:/dashboard/orders/order_1`.
pub const DONE_COOKIE: &str = "__Host-tradepost-done";
/// Characters of the random tokens in cookies and links: 256 bits.
const TOKEN_CHARS: usize = 43;
/// Characters that make each rendering of a form's token another text, so that compression tells nothing.
const NONCE_CHARS: usize = 16;

/// A new token for a cookie or a link. Only [`sha256_hex`] of it is stored.
pub fn new_token() -> String {
    random_base62(TOKEN_CHARS)
}

/// What is stored of a token; `None` for what cannot be one.
pub fn token_hash(token: &str) -> Option<String> {
    let whole = token.len() == TOKEN_CHARS && token.bytes().all(|b| b.is_ascii_alphanumeric());
    whole.then(|| sha256_hex(token.as_bytes()))
}

/// One request of one browser.
#[derive(Clone, Debug)]
pub struct Visit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    signed_in: Option<(Staff, Session)>,
    shop: Option<Shop>,
    /// What the tokens of forms are made from: that of the session, or the form cookie's token.
    key: Secret<String>,
    device: Device,
    asked: Asked,
}

/// What a browser asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub path: String,
    /// The page of ours that it came from; empty when it did not say.
    pub back: String,
    /// What was just done, to be told on this page once; empty when nothing was.
    pub done: String,
    pub at: Timestamp,
}

impl Asked {
    pub fn new(path: &str, at: Timestamp) -> Asked {
        Asked {
            path: path.to_owned(),
            back: String::new(),
            done: String::new(),
            at,
        }
    }
}

impl Visit {
    pub fn new(
        signed_in: Option<(Staff, Session)>,
        shop: Option<Shop>,
        key: Secret<String>,
        device: Device,
        asked: Asked,
    ) -> Visit {
        Visit(Arc::new(Inner {
            signed_in,
            shop,
            key,
            device,
            asked,
        }))
    }

    pub fn staff(&self) -> Option<&Staff> {
        self.0.signed_in.as_ref().map(|(staff, _)| staff)
    }

    pub fn session(&self) -> Option<&Session> {
        self.0.signed_in.as_ref().map(|(_, session)| session)
    }

    pub fn shop(&self) -> Option<&Shop> {
        self.0.shop.as_ref()
    }

    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// Where it comes from, for counting.
    pub fn address(&self) -> IpAddr {
        let address = self.0.device.address.parse();
        address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// The same visit just after its password was given.
    pub fn proved(&self) -> Visit {
        let now = self.now();
        let proved = |(staff, session): (Staff, Session)| {
            let session = Session {
                proved_at: now,
                ..session
            };
            (staff, session)
        };
        let signed_in = self.0.signed_in.clone().map(proved);
        let (shop, device) = (self.0.shop.clone(), self.0.device.clone());
        let (key, asked) = (self.0.key.clone(), self.0.asked.clone());
        Visit::new(signed_in, shop, key, device, asked)
    }

    pub fn path(&self) -> &str {
        &self.0.asked.path
    }

    /// The page of ours that led here; empty when there is none.
    pub fn back(&self) -> &str {
        &self.0.asked.back
    }

    /// What was just done, to be told on this page once.
    pub fn done(&self) -> &str {
        &self.0.asked.done
    }

    pub fn now(&self) -> Timestamp {
        self.0.asked.at
    }

    /// Whether who looks may what `least` may.
    pub fn may(&self, least: Role) -> bool {
        self.staff().is_some_and(|staff| staff.role.covers(least))
    }

    /// A token for one form.
    pub fn form_token(&self) -> String {
        let nonce = random_base62(NONCE_CHARS);
        let proof = hmac::sign(&self.form_key(), nonce.as_bytes());
        format!("{nonce}{}", BASE64.encode(proof))
    }

    /// Whether `token` was made for this browser.
    pub fn knows(&self, token: &str) -> bool {
        let Some((nonce, proof)) = token.split_at_checked(NONCE_CHARS) else {
            return false;
        };
        BASE64
            .decode(proof)
            .is_ok_and(|proof| hmac::verify(&self.form_key(), nonce.as_bytes(), &proof).is_ok())
    }

    /// What binds a sealed text to this browser and to what it is for.
    pub fn mark(&self, purpose: &str) -> String {
        let tag = hmac::sign(&self.form_key(), format!("mark {purpose}").as_bytes());
        BASE64.encode(tag)
    }

    fn form_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.0.key.expose().as_bytes())
    }
}

/// A visit of somebody who is signed in: what handlers behind a role get.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub visit: Visit,
    pub staff: Staff,
    pub session: Session,
    pub shop: Shop,
}

impl SignedIn {
    /// As the audit log names them.
    pub fn doer(&self) -> Doer<'_> {
        self.staff.doer(self.visit.device(), self.visit.now())
    }
}

fn missing() -> Problem {
    Problem::new(
        &codes::INTERNAL,
        "a page asked who looks and nobody had found out",
    )
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Visit>().cloned().ok_or_else(missing)
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let visit = parts.extensions.get::<Visit>().cloned();
        let visit = visit.ok_or_else(missing)?;
        let (staff, session) = visit.0.signed_in.clone().ok_or_else(missing)?;
        let shop = visit.0.shop.clone().unwrap_or_default();
        Ok(SignedIn {
            visit,
            staff,
            session,
            shop,
        })
    }
}

/// What a form brought, past its check.
#[derive(Clone, Debug)]
pub struct Form(pub super::fields::Fields);

impl<S: Sync> FromRequestParts<S> for Form {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Form>().cloned().ok_or_else(missing)
    }
}
