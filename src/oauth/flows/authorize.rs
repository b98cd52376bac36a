//! What an app asks for when it sends somebody to `/oauth/authorize` (RFC 6749 §4.1.1, RFC 7636, RFC 9207).

use super::super::client::{Client, ClientId};
use super::super::request::GrantType;
use super::super::scope::Scopes;
use super::pkce::Challenge;
use super::redirect;
use crate::dashboard::fields::{Fields, encode};
use platform::clock::Timestamp;

/// Longest `state`.
const STATE_MAX_BYTES: usize = 2_000;
/// What a request says; each of them at most once.
const PARAMETERS: [&str; 12] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "resource",
    "request",
    "request_uri",
    "dpop_jkt",
];

/// A well-formed request of a client that may make it.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    pub back: WayBack,
    pub challenge: Challenge,
    /// What is asked for: at most what the client was given.
    pub scopes: Scopes,
    /// The thumbprint of the only key that may show the code (RFC 9449 §10).
    pub dpop_jkt: Option<String>,
}

/// Where the browser is sent when this is over: a place that the client registered.
#[derive(Clone, Debug)]
pub struct WayBack {
    pub redirect_uri: String,
    state: Option<String>,
    issuer: String,
}

/// Why a request was refused.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The client or its address is not known for certain: nobody is sent there. The sentence is for people.
    Here(&'static str),
    /// The client is told: a code of RFC 6749 §4.1.2.1 and a sentence for its developer.
    There(Box<WayBack>, &'static str, String),
}

/// The client that a request names, as text.
///
/// # Errors
/// When it names none that could exist.
pub fn client_id(fields: &Fields) -> Result<ClientId, Refused> {
    let id =
        once(fields, "client_id").ok_or(Refused::Here("The app did not say which one it is."))?;
    let id = id.unwrap_or_default().parse();
    id.map_err(|_| Refused::Here("The app is not known here."))
}

/// Reads a request of `client`, the one that [`client_id`] names.
///
/// # Errors
/// How to refuse it.
pub fn read(
    fields: &Fields,
    client: Option<&Client>,
    (issuer, audience): (&str, &str),
    now: Timestamp,
) -> Result<AuthorizationRequest, Refused> {
    let now = now.to_jiff();
    let alive = client.filter(|client| {
        client.disabled_at.is_none() && client.expires_at.is_none_or(|end| end > now)
    });
    let client = alive.ok_or(Refused::Here("The app is not known here."))?;
    let back = way_back(fields, client, issuer)?;
    let refuse =
        |code: &'static str, text: String| Refused::There(Box::new(back.clone()), code, text);
    if let Some(name) = PARAMETERS
        .into_iter()
        .find(|name| once(fields, name).is_none())
    {
        return Err(refuse("invalid_request", format!("{name} is repeated")));
    }
    if !client.registration.allows(GrantType::AuthorizationCode) {
        let text = "the client may not use this flow".to_owned();
        return Err(refuse("unauthorized_client", text));
    }
    let (challenge, scopes) =
        read_rest(fields, client, audience).map_err(|(code, text)| refuse(code, text))?;
    let dpop_jkt = given(fields, "dpop_jkt").map(str::to_owned);
    // As base64url of a SHA-256 it looks like a challenge.
    if dpop_jkt
        .as_deref()
        .is_some_and(|jkt| Challenge::parse(jkt).is_none())
    {
        let text = "dpop_jkt must be base64url of a SHA-256 (RFC 7638)".to_owned();
        return Err(refuse("invalid_request", text));
    }
    Ok(AuthorizationRequest {
        back,
        challenge,
        scopes,
        dpop_jkt,
    })
}

fn read_rest(
    fields: &Fields,
    client: &Client,
    audience: &str,
) -> Result<(Challenge, Scopes), (&'static str, String)> {
    let invalid = |text: &str| Err(("invalid_request", text.to_owned()));
    if given(fields, "request").is_some() {
        return Err((
            "request_not_supported",
            "request objects are not supported".into(),
        ));
    }
    if given(fields, "request_uri").is_some() {
        return Err((
            "request_uri_not_supported",
            "request objects are not supported".into(),
        ));
    }
    match given(fields, "response_type") {
        Some("code") => {}
        Some(_) => {
            return Err((
                "unsupported_response_type",
                "response_type must be code".into(),
            ));
        }
        None => return invalid("response_type is missing"),
    }
    if given(fields, "response_mode").is_some_and(|mode| mode != "query") {
        return invalid("response_mode must be query");
    }
    if given(fields, "state").is_some_and(|state| state.len() > STATE_MAX_BYTES) {
        return invalid("state is too long");
    }
    let Some(challenge) = given(fields, "code_challenge") else {
        return invalid("code_challenge is missing: PKCE is required (RFC 7636)");
    };
    // Left away it would mean plain (RFC 7636 §4.3).
    if given(fields, "code_challenge_method") != Some("S256") {
        return invalid("code_challenge_method must be S256");
    }
    let Some(challenge) = Challenge::parse(challenge) else {
        return invalid("code_challenge must be base64url of a SHA-256");
    };
    if given(fields, "resource").is_some_and(|resource| resource != audience) {
        return Err(("invalid_target", "the resource is not served here".into()));
    }
    let scopes = client.scopes.narrow(given(fields, "scope"));
    let scopes = scopes.map_err(|error| ("invalid_scope", error.to_string()))?;
    Ok((challenge, scopes))
}

/// The one place among those of the client that the request means.
fn way_back(fields: &Fields, client: &Client, issuer: &str) -> Result<WayBack, Refused> {
    let unknown = Refused::Here(
        "The app wants you sent back to an address that it did not register. Somebody may be trying to take what is meant for it.",
    );
    let known = client.registration.redirect_uris();
    let asked = once(fields, "redirect_uri").ok_or(unknown.clone())?;
    let redirect_uri = match (asked.filter(|asked| !asked.is_empty()), known) {
        (Some(asked), known) => {
            let found = known.iter().any(|uri| uri.matches(asked));
            found.then_some(asked).ok_or(unknown)?
        }
        (None, [only]) => only.as_str(),
        (None, _) => return Err(unknown),
    };
    let state = once(fields, "state").flatten();
    Ok(WayBack {
        redirect_uri: redirect_uri.to_owned(),
        state: state.map(str::to_owned),
        issuer: issuer.to_owned(),
    })
}

/// A parameter that is there at most once, or not at all; `None` when it is repeated.
fn once<'a>(fields: &'a Fields, name: &'a str) -> Option<Option<&'a str>> {
    let mut values = fields.all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => None,
        (first, None) => Some(first),
    }
}

/// The value of a parameter; an empty one counts as omitted (RFC 6749 §3.1).
fn given<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    Some(fields.exact(name)).filter(|value| !value.is_empty())
}

impl WayBack {
    /// Its address with a code.
    pub fn with_code(&self, code: &str) -> String {
        self.with(&[("code", code)])
    }

    /// Its address with a refusal.
    pub fn with_error(&self, error: &str, description: &str) -> String {
        self.with(&[("error", error), ("error_description", description)])
    }

    fn with(&self, answer: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let issuer = ("iss", self.issuer.as_str());
        let mut address = self.redirect_uri.clone();
        let mut sign = if address.contains('?') { '&' } else { '?' };
        for (name, value) in answer.iter().copied().chain(state).chain([issuer]) {
            address.push(sign);
            address.push_str(name);
            address.push('=');
            address.push_str(&encode(value));
            sign = '&';
        }
        address
    }

    /// Where it leads, for a policy: see [`redirect::source`].
    pub fn source(&self) -> String {
        redirect::source(&self.redirect_uri)
    }
}
