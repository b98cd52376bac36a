//! What a client says of itself (RFC 7591 §2), checked against what its token allows. Members that are not known here
//! are left away, as the RFC asks; those that are known have to be right.

use super::super::flows::redirect::RedirectUri;
use super::super::flows::registration::{REDIRECT_URIS_MAX, Registration, Unfit};
use super::super::jwk::KeySet;
use super::super::request::GrantType;
use super::super::scope::Scopes;
use crate::text::is_line;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Longest name of a client, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Longest address of a page about a client.
const PAGE_BYTES_MAX: usize = 500;
/// Longest id or version of the client's software.
const SOFTWARE_CHARS_MAX: usize = 100;
/// Most contacts, and the longest of one.
const CONTACTS_MAX: usize = 5;
const CONTACT_CHARS_MAX: usize = 254;
/// What a client is called that does not say.
const UNNAMED: &str = "Unnamed app";

/// How a client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMethod {
    #[default]
    #[serde(rename = "client_secret_basic")]
    Basic,
    #[serde(rename = "client_secret_post")]
    Post,
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
    #[serde(rename = "none")]
    None,
}

impl AuthMethod {
    const ALL: [AuthMethod; 4] = [
        AuthMethod::Basic,
        AuthMethod::Post,
        AuthMethod::PrivateKeyJwt,
        AuthMethod::None,
    ];

    /// Its name in metadata.
    pub fn name(self) -> &'static str {
        match self {
            AuthMethod::Basic => "client_secret_basic",
            AuthMethod::Post => "client_secret_post",
            AuthMethod::PrivateKeyJwt => "private_key_jwt",
            AuthMethod::None => "none",
        }
    }
}

/// What is told and kept, and changes nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    pub token_endpoint_auth_method: AuthMethod,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

/// A client as it wants to be registered.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub name: String,
    pub registration: Registration,
    pub scopes: Scopes,
    pub method: AuthMethod,
    pub keys: Option<KeySet>,
    pub dpop_bound: bool,
    pub about: About,
}

/// What the clients of a token may be.
#[derive(Clone, Copy, Debug)]
pub struct Cap {
    pub scopes: Scopes,
    pub for_machines: bool,
}

/// Why metadata is refused, in words for the developer of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// `invalid_redirect_uri`.
    RedirectUri(String),
    /// `invalid_client_metadata`.
    Other(String),
}

fn other(text: impl Into<String>) -> Unusable {
    Unusable::Other(text.into())
}

impl Metadata {
    /// Reads metadata within what `cap` allows.
    ///
    /// # Errors
    /// The first member that is not right, and what is.
    pub fn parse(json: &Map<String, Value>, cap: Cap) -> Result<Metadata, Unusable> {
        if some(json, "jwks_uri").is_some() {
            return Err(other("jwks_uri is not fetched here: send the keys as jwks"));
        }
        let method = method(json)?;
        let grant_types = grant_types(json, method, cap)?;
        let redirect_uris = redirect_uris(json)?;
        let is_public = method == AuthMethod::None;
        let registration = Registration::new(grant_types, redirect_uris, is_public);
        let registration = registration.map_err(|unfit| match unfit {
            Unfit::NoRedirect | Unfit::TooManyRedirects => Unusable::RedirectUri(unfit.to_string()),
            _ => other(unfit.to_string()),
        })?;
        check_response_types(json, &registration)?;
        let scopes = match text(json, "scope")? {
            None => cap.scopes,
            Some(asked) => cap
                .scopes
                .narrow(Some(&asked))
                .map_err(|error| other(format!("scope: {error}")))?,
        };
        let dpop_bound = match some(json, "dpop_bound_access_tokens") {
            None => false,
            Some(Value::Bool(bound)) => *bound,
            Some(_) => return Err(other("dpop_bound_access_tokens is true or false")),
        };
        Ok(Metadata {
            name: line(json, "client_name", NAME_CHARS_MAX)?.unwrap_or_else(|| UNNAMED.to_owned()),
            registration,
            scopes,
            method,
            keys: keys(json, method)?,
            dpop_bound,
            about: About {
                token_endpoint_auth_method: method,
                client_uri: page(json, "client_uri")?,
                logo_uri: page(json, "logo_uri")?,
                tos_uri: page(json, "tos_uri")?,
                policy_uri: page(json, "policy_uri")?,
                contacts: contacts(json)?,
                software_id: line(json, "software_id", SOFTWARE_CHARS_MAX)?,
                software_version: line(json, "software_version", SOFTWARE_CHARS_MAX)?,
            },
        })
    }

    /// All of it as clients are answered (RFC 7591 §3.2.1).
    pub fn shown(&self) -> Map<String, Value> {
        let registration = &self.registration;
        let grant_types: Vec<_> = registration
            .grant_types()
            .iter()
            .map(|one| one.name())
            .collect();
        let uris: Vec<_> = registration
            .redirect_uris()
            .iter()
            .map(RedirectUri::as_str)
            .collect();
        let code = registration.allows(GrantType::AuthorizationCode);
        let response_types: &[&str] = if code { &["code"] } else { &[] };
        let mut shown = json!({ "client_name": self.name, "redirect_uris": uris, "grant_types": grant_types,
            "response_types": response_types, "scope": self.scopes.to_string(),
            "dpop_bound_access_tokens": self.dpop_bound });
        let about = json!(self.about);
        let keys = self.keys.as_ref().map(KeySet::to_json);
        let keys = keys.and_then(|keys| serde_json::from_str(&keys).ok());
        if let (Value::Object(shown), Value::Object(about)) = (&mut shown, about) {
            shown.extend(about);
            shown.extend(keys.map(|keys: Value| ("jwks".to_owned(), keys)));
        }
        match shown {
            Value::Object(shown) => shown,
            _ => Map::new(),
        }
    }
}

/// A member that is there; `null` is as good as left away.
fn some<'a>(json: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    json.get(name).filter(|value| !value.is_null())
}

fn text(json: &Map<String, Value>, name: &str) -> Result<Option<String>, Unusable> {
    match some(json, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(other(format!("{name} is a string"))),
    }
}

/// One line of text for people.
fn line(
    json: &Map<String, Value>,
    name: &str,
    chars_max: usize,
) -> Result<Option<String>, Unusable> {
    let Some(line) = text(json, name)? else {
        return Ok(None);
    };
    let line = line.trim();
    match (1..=chars_max).contains(&line.chars().count()) && is_line(line) {
        true => Ok(Some(line.to_owned())),
        false => Err(other(format!(
            "{name} has 1 to {chars_max} characters in one line"
        ))),
    }
}

/// The address of a page for people. It is shown, and never fetched.
fn page(json: &Map<String, Value>, name: &str) -> Result<Option<String>, Unusable> {
    let Some(page) = text(json, name)? else {
        return Ok(None);
    };
    let fits = page.len() <= PAGE_BYTES_MAX && page.starts_with("https://");
    match fits && RedirectUri::parse(&page).is_ok() {
        true => Ok(Some(page)),
        false => Err(other(format!(
            "{name} is an https address of at most {PAGE_BYTES_MAX} characters"
        ))),
    }
}

fn list(json: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Unusable> {
    let wrong = || other(format!("{name} is an array of strings"));
    let Some(value) = some(json, name) else {
        return Ok(None);
    };
    let entries = value.as_array().ok_or_else(wrong)?.iter();
    let texts: Option<Vec<String>> = entries.map(|one| one.as_str().map(str::to_owned)).collect();
    texts.map(Some).ok_or_else(wrong)
}

fn method(json: &Map<String, Value>) -> Result<AuthMethod, Unusable> {
    let Some(name) = text(json, "token_endpoint_auth_method")? else {
        return Ok(AuthMethod::default());
    };
    let known = AuthMethod::ALL.into_iter().find(|one| one.name() == name);
    known.ok_or_else(|| {
        let names = AuthMethod::ALL.map(AuthMethod::name).join(", ");
        other(format!("token_endpoint_auth_method is one of {names}"))
    })
}

fn grant_types(
    json: &Map<String, Value>,
    method: AuthMethod,
    cap: Cap,
) -> Result<Vec<GrantType>, Unusable> {
    let names = list(json, "grant_types")?;
    let names = names.unwrap_or_else(|| vec![GrantType::AuthorizationCode.name().to_owned()]);
    let known: Option<Vec<GrantType>> = names
        .iter()
        .map(|name| GrantType::from_name(name))
        .collect();
    let known = known.ok_or_else(|| {
        let names = GrantType::ALL.map(GrantType::name).join(", ");
        other(format!("grant_types are of {names}"))
    })?;
    if known.contains(&GrantType::ClientCredentials) && !cap.for_machines {
        return Err(other(
            "client_credentials is not allowed with this initial access token",
        ));
    }
    if known.contains(&GrantType::ClientCredentials) && method == AuthMethod::None {
        return Err(other(
            "client_credentials needs a client that proves who it is",
        ));
    }
    Ok(known)
}

fn redirect_uris(json: &Map<String, Value>) -> Result<Vec<RedirectUri>, Unusable> {
    let texts = list(json, "redirect_uris")?.unwrap_or_default();
    if texts.len() > REDIRECT_URIS_MAX {
        return Err(Unusable::RedirectUri(Unfit::TooManyRedirects.to_string()));
    }
    let parse = |text: &String| {
        RedirectUri::parse(text).map_err(|error| Unusable::RedirectUri(error.to_string()))
    };
    texts.iter().map(parse).collect()
}

fn check_response_types(
    json: &Map<String, Value>,
    registration: &Registration,
) -> Result<(), Unusable> {
    let Some(types) = list(json, "response_types")? else {
        return Ok(());
    };
    let code = registration.allows(GrantType::AuthorizationCode);
    let right = match code {
        true => types == ["code"],
        false => types.is_empty(),
    };
    right.then_some(()).ok_or_else(|| {
        other("response_types holds code with authorization_code, and is empty otherwise")
    })
}

fn keys(json: &Map<String, Value>, method: AuthMethod) -> Result<Option<KeySet>, Unusable> {
    match (some(json, "jwks"), method) {
        (None, AuthMethod::PrivateKeyJwt) => Err(other("private_key_jwt needs jwks")),
        (None, _) => Ok(None),
        (Some(keys), AuthMethod::PrivateKeyJwt) => {
            let keys = KeySet::parse(&keys.to_string());
            keys.map(Some)
                .map_err(|error| other(format!("jwks: {error}")))
        }
        (Some(_), _) => Err(other("jwks goes with private_key_jwt")),
    }
}

fn contacts(json: &Map<String, Value>) -> Result<Vec<String>, Unusable> {
    let contacts = list(json, "contacts")?.unwrap_or_default();
    let plain = |one: &String| {
        (1..=CONTACT_CHARS_MAX).contains(&one.chars().count()) && !one.chars().any(char::is_control)
    };
    match contacts.len() <= CONTACTS_MAX && contacts.iter().all(plain) {
        true => Ok(contacts),
        false => Err(other("contacts are at most 5, of 1 to 254 characters each")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: Value) -> Result<Metadata, Unusable> {
        let cap = Cap {
            scopes: Scopes::parse("products:read orders:read").unwrap(),
            for_machines: false,
        };
        Metadata::parse(json.as_object().unwrap(), cap)
    }

    #[test]
    fn what_is_left_away_is_what_the_rfc_says() {
        let made = parse(
            json!({ "redirect_uris": ["https://app.example/cb"], "unknown": 1, "tos_uri": null }),
        )
        .unwrap();
        let shown = Value::Object(made.shown());
        assert_eq!(shown["grant_types"], json!(["authorization_code"]));
        assert_eq!(shown["response_types"], json!(["code"]));
        assert_eq!(shown["token_endpoint_auth_method"], "client_secret_basic");
        assert_eq!(shown["scope"], "products:read orders:read");
        assert_eq!(shown["client_name"], UNNAMED);
        assert!(shown.get("unknown").is_none() && shown.get("tos_uri").is_none());
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        let made = parse(
            json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "App", "contacts": ["a@b.example"],
            "scope": "orders:read", "token_endpoint_auth_method": "none", "client_uri": "https://app.example/" }),
        );
        let shown = made.unwrap().shown();
        let again = parse(Value::Object(shown.clone())).unwrap();
        assert_eq!(again.shown(), shown);
    }

    proptest! {
        #[test]
        fn any_member_is_read_or_refused(name in prop::sample::select(vec!["redirect_uris", "grant_types", "scope", "jwks",
            "client_name", "client_uri", "contacts", "response_types", "token_endpoint_auth_method", "software_id",
            "dpop_bound_access_tokens"]), text in ".{0,40}", number in any::<i64>(), kind in 0..5) {
            let value = match kind {
                0 => json!(text),
                1 => json!(number),
                2 => json!([text]),
                3 => json!({ "keys": [text] }),
                _ => json!([[number]]),
            };
            let mut json = json!({ "redirect_uris": ["https://app.example/cb"] });
            json[name] = value;
            if let Ok(made) = parse(json) {
                prop_assert!(made.scopes.and(Scopes::parse("products:read orders:read").unwrap()) == made.scopes);
                prop_assert!(parse(Value::Object(made.shown())).is_ok());
            }
        }
    }
}
