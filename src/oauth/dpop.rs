//! DPoP (RFC 9449): tokens that are worth nothing without the key that they are bound to.
//!
//! A request shows a proof that it signed for this very method, address and token. Proofs carry a nonce of
//! ours, so that none can be made ahead, and each works once. Bearer tokens never come here.

use super::api::{Asked, unavailable};
use super::client::Client;
use super::error::OAuthError;
use super::guard::{self, Caller};
use super::jwk::{Jwt, PublicKey};
use super::proof::{JTI_MAX_BYTES, NotTaken};
use super::scope::Scope;
use crate::app::App;
use aws_lc_rs::hmac;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::clock::Timestamp;
use platform::http::{Problem, codes};
use platform::secrets;

/// Where the proof is.
const PROOF: HeaderName = HeaderName::from_static("dpop");
/// Where the nonce for the next proof is.
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// A proof was made within so many seconds of now, before or after.
pub const WINDOW_SECONDS: i64 = 60;
/// A nonce is good for one to two times as long, on every node.
const NONCE_SECONDS: i64 = 120;
/// What is said of proofs in challenges.
const ALGORITHMS: &str = "algs=\"ES256 EdDSA Ed25519 RS256\"";

/// Nonces that need no memory: each is the HMAC of its period under a key that all nodes share.
pub struct Nonces(hmac::Key);

impl Nonces {
    /// `secret` is derived from the master key.
    pub fn new(secret: &[u8; 32]) -> Nonces {
        Nonces(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The nonce to be used from `now` on.
    pub fn at(&self, now: Timestamp) -> String {
        self.of(second(now).div_euclid(NONCE_SECONDS))
    }

    fn of(&self, period: i64) -> String {
        BASE64URL.encode(&hmac::sign(&self.0, &period.to_be_bytes()).as_ref()[..16])
    }

    /// Whether `nonce` is of the present period, the last one, or the next one on a node that is ahead.
    fn accepts(&self, nonce: &str, now: Timestamp) -> bool {
        let period = second(now).div_euclid(NONCE_SECONDS);
        [period, period - 1, period + 1]
            .iter()
            .any(|period| secrets::equal(self.of(*period).as_bytes(), nonce.as_bytes()))
    }
}

fn second(now: Timestamp) -> i64 {
    now.micros().div_euclid(1_000_000)
}

/// Why a proof was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// It is wrong, and why.
    Invalid(&'static str),
    /// It is right, but for a nonce of ours.
    Nonce,
}

/// What a proof has to be for.
#[derive(Clone, Copy, Debug)]
pub struct For<'a> {
    pub method: &'a str,
    /// Without query and fragment.
    pub url: &'a str,
    /// The access token beside it.
    pub token: Option<&'a str>,
}

/// What a proof has proven, but that it is shown for the first time.
#[derive(Debug)]
pub struct Proven {
    /// The thumbprint of the key that signed it.
    pub thumbprint: String,
    /// Names the proof among those of this key.
    jti: String,
    /// From then on it is too old.
    expires_at: Timestamp,
}

/// Checks the one proof among `headers` (RFC 9449 §4.3).
pub fn check(
    headers: &HeaderMap,
    wanted: For<'_>,
    nonces: &Nonces,
    now: Timestamp,
) -> Result<Proven, ProofError> {
    use ProofError::Invalid;
    let mut proofs = headers.get_all(PROOF).iter();
    let proof = proofs.next().ok_or(Invalid("a DPoP proof is missing"))?;
    if proofs.next().is_some() {
        return Err(Invalid("there is more than one DPoP proof"));
    }
    let jwt = proof.to_str().ok().and_then(Jwt::parse);
    let jwt = jwt.ok_or(Invalid("the DPoP proof is not a JWT"))?;
    if jwt.header.typ.as_deref() != Some("dpop+jwt") {
        return Err(Invalid("typ of a DPoP proof is dpop+jwt"));
    }
    let key = jwt.header.jwk.as_ref().and_then(PublicKey::parse);
    let key = key.ok_or(Invalid(
        "a DPoP proof brings a public key of P-256, Ed25519 or RSA",
    ))?;
    if !key.verifies(&jwt) {
        return Err(Invalid(
            "the DPoP proof is not signed by its key and its algorithm",
        ));
    }
    if jwt.text("htm") != Some(wanted.method) {
        return Err(Invalid(
            "htm of the DPoP proof is not the method of the request",
        ));
    }
    if !jwt.text("htu").is_some_and(|htu| is_same(htu, wanted.url)) {
        return Err(Invalid(
            "htu of the DPoP proof is not the address of the request",
        ));
    }
    let hash = |token: &str| BASE64URL.encode(secrets::sha256(token.as_bytes()));
    if wanted.token.is_some() && jwt.text("ath") != wanted.token.map(hash).as_deref() {
        return Err(Invalid(
            "ath of the DPoP proof is not the hash of the access token",
        ));
    }
    let jti = jwt.text("jti").unwrap_or_default();
    if !(1..=JTI_MAX_BYTES).contains(&jti.len()) {
        return Err(Invalid("jti of a DPoP proof has 1 to 255 bytes"));
    }
    let made = jwt
        .seconds("iat")
        .ok_or(Invalid("iat of the DPoP proof is missing"))?;
    if !(-WINDOW_SECONDS..=WINDOW_SECONDS).contains(&second(now).saturating_sub(made)) {
        return Err(Invalid("the DPoP proof was not made just now"));
    }
    if !jwt
        .text("nonce")
        .is_some_and(|nonce| nonces.accepts(nonce, now))
    {
        return Err(ProofError::Nonce);
    }
    let thumbprint = key.thumbprint();
    Ok(Proven {
        jti: format!("{thumbprint} {jti}"),
        thumbprint,
        expires_at: Timestamp::from_micros((made + WINDOW_SECONDS + 1) * 1_000_000),
    })
}

/// Whether `htu`, its query and fragment aside, is `url`: scheme and host in any case, the default port
/// named or not (RFC 9449 §4.3 asks for no more).
fn is_same(htu: &str, url: &str) -> bool {
    let bare = htu.split(['?', '#']).next().unwrap_or_default();
    bare == url || parts(bare).is_some_and(|parts_of_htu| Some(parts_of_htu) == parts(url))
}

fn parts(url: &str) -> Option<(String, String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default_port).unwrap_or(&host).to_owned();
    Some((scheme, host, if path.is_empty() { "/" } else { path }))
}

impl Asked {
    /// The thumbprint of the key that the token is to be bound to: of who shows a proof.
    pub(super) async fn proven_key(
        &self,
        app: &App,
        client: &Client,
        endpoint: &str,
    ) -> Result<Option<String>, OAuthError> {
        if !self.headers.contains_key(PROOF) && !client.dpop_bound {
            return Ok(None);
        }
        let url = format!("{}{endpoint}", app.config.public_url);
        let wanted = For {
            method: "POST",
            url: &url,
            token: None,
        };
        let nonces = &app.oauth.nonces;
        let proven =
            check(&self.headers, wanted, nonces, self.now).map_err(|error| match error {
                ProofError::Invalid(why) => OAuthError::InvalidDpopProof(why),
                ProofError::Nonce => OAuthError::UseDpopNonce(nonces.at(self.now)),
            })?;
        let proof = ("dpop", client.id.as_str(), proven.jti.as_str());
        match app
            .oauth
            .take_proof(&app.db, proof, proven.expires_at)
            .await
        {
            Ok(()) => Ok(Some(proven.thumbprint)),
            Err(NotTaken::Replayed) => Err(OAuthError::InvalidDpopProof(
                "the DPoP proof was used before",
            )),
            Err(NotTaken::TooMany(retry_after_seconds)) => Err(OAuthError::TooManyRequests {
                retry_after_seconds,
            }),
            Err(NotTaken::Db(error)) => Err(unavailable(&error)),
        }
    }
}

/// Whether the request says that its token is bound to a key (RFC 9449 §7.1).
pub(super) fn is_presented(headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    given.is_some_and(|given| given.len() > 5 && given[..5].eq_ignore_ascii_case(b"dpop "))
}

/// What of a request its proof is about.
pub(super) struct Shown {
    headers: HeaderMap,
    method: String,
    url: String,
}

impl Shown {
    pub(super) fn of(app: &App, request: &Request) -> Shown {
        let mut headers = HeaderMap::new();
        for name in [header::AUTHORIZATION, PROOF] {
            for value in request.headers().get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        Shown {
            headers,
            method: request.method().to_string(),
            url: format!("{}{}", app.config.public_url, request.uri().path()),
        }
    }
}

/// The caller behind a token that is bound to a key, if the key is there and the token allows `scope`.
pub(super) async fn authenticate(app: &App, shown: Shown, scope: Scope) -> Result<Caller, Problem> {
    let now = app.clock.now();
    let given = shown.headers.get(header::AUTHORIZATION);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let token = given.get(5..).unwrap_or_default().trim();
    let refused = |error: &str, why: &str| refusal(app, error, why);
    let claims = app.oauth.signer.verify(token, now.to_jiff());
    let claims = claims.map_err(|_| {
        refused(
            "invalid_token",
            "the access token is not valid, expired or revoked",
        )
    })?;
    let not_bound = || {
        refused(
            "invalid_token",
            "the access token is bound to no key: send it as Bearer",
        )
    };
    let bound_to = claims.cnf.as_ref().ok_or_else(not_bound)?;
    let wanted = For {
        method: &shown.method,
        url: &shown.url,
        token: Some(token),
    };
    let proven =
        check(&shown.headers, wanted, &app.oauth.nonces, now).map_err(|error| match error {
            ProofError::Invalid(why) => refused("invalid_dpop_proof", why),
            ProofError::Nonce => refused(
                "use_dpop_nonce",
                "the DPoP proof needs the nonce of DPoP-Nonce",
            )
            .header(NONCE, &app.oauth.nonces.at(now)),
        })?;
    if proven.thumbprint != bound_to.jkt {
        return Err(refused(
            "invalid_token",
            "the access token is bound to another key",
        ));
    }
    let caller = guard::allowed(app, &claims, scope, "DPoP")?;
    let proof = ("dpop", claims.client_id.as_str(), proven.jti.as_str());
    match app
        .oauth
        .take_proof(&app.db, proof, proven.expires_at)
        .await
    {
        Ok(()) => Ok(caller),
        Err(NotTaken::Replayed) => Err(refused(
            "invalid_dpop_proof",
            "the DPoP proof was used before",
        )),
        Err(NotTaken::TooMany(seconds)) => {
            let problem = Problem::new(&codes::RATE_LIMITED, "too many DPoP proofs in a second");
            Err(problem.header(header::RETRY_AFTER, &seconds.to_string()))
        }
        Err(NotTaken::Db(error)) => Err(error.into()),
    }
}

fn refusal(app: &App, error: &str, why: &str) -> Problem {
    let metadata = guard::metadata(app);
    let challenge = format!(
        "DPoP realm=\"api\", error=\"{error}\", error_description=\"{why}\", {ALGORITHMS}, {metadata}"
    );
    Problem::new(&codes::UNAUTHORIZED, why.to_owned()).header(header::WWW_AUTHENTICATE, &challenge)
}

/// The refusal of a bound token that is sent as if it were not.
pub(super) fn not_as_bearer(app: &App) -> Problem {
    let why = "the access token is bound to a key: send it with the scheme DPoP and a proof";
    refusal(app, "invalid_token", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_last_one_to_two_periods_and_are_ours() {
        let nonces = Nonces::new(&[7; 32]);
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let nonce = nonces.at(at(240));
        for second in [240, 359, 479, 120] {
            assert!(nonces.accepts(&nonce, at(second)), "{second}");
        }
        for second in [480, 119] {
            assert!(!nonces.accepts(&nonce, at(second)), "{second}");
        }
        assert!(!nonces.accepts("", at(240)));
        assert!(!nonces.accepts(&Nonces::new(&[8; 32]).at(at(240)), at(240)));
    }

    #[test]
    fn an_address_is_the_same_without_query_fragment_and_default_port() {
        let url = "https://shop.example/v2/users";
        for same in [
            url,
            "https://shop.example/v2/users?limit=1#x",
            "HTTPS://Shop.Example:443/v2/users",
        ] {
            assert!(is_same(same, url), "{same}");
        }
        for other in [
            "http://shop.example/v2/users",
            "https://shop.example/v2/Users",
            "https://shop.example/v2/users/",
            "https://shop.example:80/v2/users",
            "https://shop.example:8443/v2/users",
            "https://other.example/v2/users",
            "/v2/users",
            "",
        ] {
            assert!(!is_same(other, url), "{other}");
        }
    }
}
