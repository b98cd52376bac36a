//! What a client sends to `/oauth/token`, `/oauth/revoke` and `/oauth/introspect`: a JSON object or a form, with the
//! client's credentials in it or in `Authorization: Basic`. All four combinations mean the same
//! (RFC 6749 §2.3.1 and §3.2; the JSON form is the one of the API reference). Nothing is ever read from
//! the query string.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use platform::secrets::Secret;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::assertion::ASSERTION_TYPE;
use super::client::{ClientId, ClientSecret};
use super::error::OAuthError;
use super::jwk::Jwt;

/// Largest body that is read.
pub const BODY_MAX_BYTES: usize = 16 * 1024;
/// Most parameters in one request, known and unknown.
pub const PARAMETERS_MAX: usize = 64;

/// How a client proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `client_secret_basic`: the `Authorization` header.
    Basic,
    /// `client_secret_post`: parameters of the body, form or JSON.
    Body,
    /// `none`: a public client says who it is and proves nothing.
    None,
    /// `private_key_jwt`: an assertion that it signed (RFC 7523 §2.2).
    Assertion,
}

/// Who the client says it is. What it says has the right form; whether it is true is for
/// [`authenticate`](super::client::authenticate) to find out.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Who it says it is.
    pub id: ClientId,
    /// What it shows for it; `None` for what cannot be the secret of any client.
    pub secret: Option<ClientSecret>,
    /// The JWT that it shows instead of a secret.
    pub assertion: Option<String>,
    /// Where both were found.
    pub method: Method,
}

impl Credentials {
    /// The refusal for these credentials, whatever is wrong with them.
    pub fn refused(&self) -> OAuthError {
        OAuthError::InvalidClient {
            basic: self.method == Method::Basic,
        }
    }
}

/// What the client offers in exchange for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// Its own credentials, for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// A code that somebody allowed it to get (§4.1).
    AuthorizationCode,
    /// The refresh token that came with an earlier token (§6).
    RefreshToken,
    /// The code of a device that somebody let in elsewhere (RFC 8628).
    DeviceCode,
}

impl GrantType {
    /// Every flow, in the order in which they are shown.
    pub const ALL: [GrantType; 4] = [
        GrantType::ClientCredentials,
        GrantType::AuthorizationCode,
        GrantType::RefreshToken,
        GrantType::DeviceCode,
    ];

    /// Its name in requests and metadata.
    pub fn name(self) -> &'static str {
        match self {
            GrantType::ClientCredentials => "client_credentials",
            GrantType::AuthorizationCode => "authorization_code",
            GrantType::RefreshToken => "refresh_token",
            GrantType::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }

    /// The flow of this name.
    pub fn from_name(name: &str) -> Option<GrantType> {
        GrantType::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What else a token request says, as far as its flow reads it.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    pub code: Option<Secret<String>>,
    pub redirect_uri: Option<String>,
    pub code_verifier: Option<Secret<String>>,
    pub refresh_token: Option<Secret<String>>,
    pub device_code: Option<Secret<String>>,
}

impl Offered {
    fn take(grant_type: GrantType, parameters: &mut Parameters) -> Result<Offered, OAuthError> {
        let mut offered = Offered::default();
        match grant_type {
            GrantType::ClientCredentials => {}
            GrantType::AuthorizationCode => {
                offered.code = Some(Secret::new(parameters.require("code")?));
                offered.redirect_uri = parameters.take("redirect_uri")?;
                let verifier = parameters.require("code_verifier")?;
                offered.code_verifier = Some(Secret::new(verifier));
            }
            GrantType::RefreshToken => {
                offered.refresh_token = Some(Secret::new(parameters.require("refresh_token")?));
            }
            GrantType::DeviceCode => {
                offered.device_code = Some(Secret::new(parameters.require("device_code")?));
            }
        }
        Ok(offered)
    }
}

/// `POST /oauth/token`.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The flow.
    pub grant_type: GrantType,
    /// The scopes asked for, not yet read; all of the client's when absent.
    pub scope: Option<String>,
    /// The API that the token is for (RFC 8707); this one when absent.
    pub resource: Option<String>,
    /// What the flow asks for besides.
    pub offered: Offered,
    /// Who asks.
    pub client: Credentials,
}

/// `POST /oauth/device_authorization` (RFC 8628 §3.1).
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// The scopes asked for, not yet read; all of the client's when absent.
    pub scope: Option<String>,
    /// Where the tokens are to be used (RFC 8707), not yet looked at.
    pub resource: Option<String>,
    /// Who asks.
    pub client: Credentials,
}

impl DeviceRequest {
    /// Reads the request of a device.
    pub fn parse(message: Message<'_>) -> Result<DeviceRequest, OAuthError> {
        let mut parameters = Parameters::parse(message)?;
        let names_client = parameters.0.iter().any(|(name, _)| name == "client_id");
        let is_basic = |header: &str| {
            let scheme = header.trim_ascii().get(..5);
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
        };
        // The one parameter that is required of whoever does not say it in the header (RFC 8628 §3.1).
        if !names_client && !message.authorization.is_some_and(is_basic) {
            return Err(OAuthError::invalid_request("client_id is missing"));
        }
        Ok(DeviceRequest {
            scope: parameters.take("scope")?,
            resource: parameters.take("resource")?,
            client: parameters.credentials(message.authorization)?,
        })
    }
}

/// `POST /oauth/revoke` (RFC 7009) and `POST /oauth/introspect` (RFC 7662). `token_type_hint` is not read: a token is recognised without it.
#[derive(Clone, Debug)]
pub struct RevokeRequest {
    /// What is to be revoked or looked at; any text.
    pub token: String,
    /// Who asks.
    pub client: Credentials,
}

/// The parts of an HTTP request that matter here.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `Content-Type`, if sent.
    pub content_type: Option<&'a str>,
    /// `Authorization`, if sent.
    pub authorization: Option<&'a str>,
    /// The whole body, at most [`BODY_MAX_BYTES`].
    pub body: &'a [u8],
}

impl TokenRequest {
    /// Reads a token request. The grant type is judged before the credentials are looked for, so that a
    /// client that tries an unsupported flow is told so.
    pub fn parse(message: Message<'_>) -> Result<TokenRequest, OAuthError> {
        let mut parameters = Parameters::parse(message)?;
        let grant_type = GrantType::from_name(&parameters.require("grant_type")?)
            .ok_or(OAuthError::UnsupportedGrantType)?;
        let request = TokenRequest {
            grant_type,
            scope: parameters.take("scope")?,
            resource: parameters.take("resource")?,
            offered: Offered::take(grant_type, &mut parameters)?,
            client: parameters.credentials(message.authorization)?,
        };
        // A public client has nothing to show for itself (RFC 6749 §4.4).
        let proves_nothing = request.client.method == Method::None;
        if grant_type == GrantType::ClientCredentials && proves_nothing {
            return Err(request.client.refused());
        }
        Ok(request)
    }
}

impl RevokeRequest {
    /// Reads a revocation request.
    pub fn parse(message: Message<'_>) -> Result<RevokeRequest, OAuthError> {
        let mut parameters = Parameters::parse(message)?;
        Ok(RevokeRequest {
            token: parameters.require("token")?,
            client: parameters.credentials(message.authorization)?,
        })
    }
}

/// The parameters of a body, each name once. The value is `None` where JSON had something else than a
/// string: an error if anybody asks for it, nothing if it is an unknown parameter.
#[derive(Debug, Default)]
struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    fn parse(message: Message<'_>) -> Result<Parameters, OAuthError> {
        if message.body.len() > BODY_MAX_BYTES {
            return Err(OAuthError::invalid_request("the body is too large"));
        }
        let media_type = message
            .content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        match media_type.trim_ascii().to_ascii_lowercase().as_str() {
            "application/json" => Parameters::parse_json(message.body),
            "application/x-www-form-urlencoded" => Parameters::parse_form(message.body),
            _ => Err(OAuthError::invalid_request(
                "Content-Type must be application/json or application/x-www-form-urlencoded",
            )),
        }
    }

    fn parse_json(body: &[u8]) -> Result<Parameters, OAuthError> {
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                OAuthError::invalid_request(format!("the body: {error}"))
            }
            _ => OAuthError::invalid_request("the body is not valid JSON"),
        })
    }

    fn parse_form(body: &[u8]) -> Result<Parameters, OAuthError> {
        let malformed = || OAuthError::invalid_request("the body is not a valid form");
        let body = std::str::from_utf8(body).map_err(|_| malformed())?;
        let mut parameters = Parameters::default();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode_form(name).ok_or_else(malformed)?;
            let value = decode_form(value).ok_or_else(malformed)?;
            parameters
                .add(name, Some(value))
                .map_err(OAuthError::invalid_request)?;
        }
        Ok(parameters)
    }

    /// A name that comes twice is refused, known or not: readers that pick the first and readers that
    /// pick the last would see two different requests (RFC 6749 §3.2).
    fn add(&mut self, name: String, value: Option<String>) -> Result<(), &'static str> {
        if self.0.iter().any(|(known, _)| *known == name) {
            return Err("a parameter is repeated");
        }
        if self.0.len() == PARAMETERS_MAX {
            return Err("too many parameters");
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The value of a parameter; an empty one counts as omitted (RFC 6749 §3.2).
    fn take(&mut self, name: &'static str) -> Result<Option<String>, OAuthError> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else {
            return Ok(None);
        };
        match self.0.swap_remove(at).1 {
            None => Err(OAuthError::invalid_request(format!(
                "{name} must be a string"
            ))),
            Some(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        }
    }

    fn require(&mut self, name: &'static str) -> Result<String, OAuthError> {
        let value = self.take(name)?;
        value.ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
    }

    /// The client's credentials from the header or from the body, never from both. What cannot be
    /// the id of any client is refused here, in the words used for wrong credentials.
    fn credentials(&mut self, authorization: Option<&str>) -> Result<Credentials, OAuthError> {
        if let Some(assertion) = self.assertion()? {
            return self.asserted(authorization, assertion);
        }
        let body_id = self.take("client_id")?;
        let body_secret = self.take("client_secret")?;
        let (id, secret, method) = match authorization {
            Some(header) => {
                let refused = OAuthError::InvalidClient { basic: true };
                let (id, secret) = decode_basic(header).ok_or(refused)?;
                if body_secret.is_some() || body_id.is_some_and(|body_id| body_id != id) {
                    return Err(OAuthError::invalid_request(
                        "client credentials are sent in two ways",
                    ));
                }
                (id, secret, Method::Basic)
            }
            None => {
                let refused = OAuthError::InvalidClient { basic: false };
                let id = body_id.ok_or(refused)?;
                let method = body_secret.as_ref().map_or(Method::None, |_| Method::Body);
                (id, body_secret.unwrap_or_default(), method)
            }
        };
        let refused = OAuthError::InvalidClient {
            basic: method == Method::Basic,
        };
        let id = ClientId::try_from(id).map_err(|_| refused)?;
        let secret = ClientSecret::parse(&secret);
        Ok(Credentials {
            id,
            secret,
            assertion: None,
            method,
        })
    }

    /// The JWT of RFC 7521 §4.2, if one is sent.
    fn assertion(&mut self) -> Result<Option<String>, OAuthError> {
        let kind = self.take("client_assertion_type")?;
        match (kind.as_deref(), self.take("client_assertion")?) {
            (None, None) => Ok(None),
            (Some(ASSERTION_TYPE), Some(assertion)) => Ok(Some(assertion)),
            _ => Err(OAuthError::invalid_request(format!(
                "client_assertion goes with the client_assertion_type {ASSERTION_TYPE}"
            ))),
        }
    }

    /// Who an assertion says has signed it; `client_id` may say the same.
    fn asserted(
        &mut self,
        authorization: Option<&str>,
        assertion: String,
    ) -> Result<Credentials, OAuthError> {
        if authorization.is_some() || self.take("client_secret")?.is_some() {
            return Err(OAuthError::invalid_request(
                "client credentials are sent in two ways",
            ));
        }
        let refused = || OAuthError::InvalidClient { basic: false };
        let jwt = Jwt::parse(&assertion).ok_or_else(refused)?;
        let subject = jwt.text("sub").unwrap_or_default().to_owned();
        let other = |id: String| id != subject;
        if self.take("client_id")?.is_some_and(other) {
            return Err(refused());
        }
        Ok(Credentials {
            id: ClientId::try_from(subject).map_err(|_| refused())?,
            secret: None,
            assertion: Some(assertion),
            method: Method::Assertion,
        })
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let mut parameters = Parameters::default();
                while let Some(name) = map.next_key::<String>()? {
                    let value = match map.next_value::<Text>()? {
                        Text::String(value) => Some(value),
                        Text::Other(_) => None,
                    };
                    parameters
                        .add(name, value)
                        .map_err(serde::de::Error::custom)?;
                }
                Ok(parameters)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Text {
    String(String),
    Other(IgnoredAny),
}

/// `application/x-www-form-urlencoded` back to text; `None` for a broken escape or what is not UTF-8.
fn decode_form(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The id and the secret of `Authorization: Basic`: each was form-encoded before base64 (RFC 6749 §2.3.1).
/// Base64 is taken with and without its padding.
fn decode_basic(header: &str) -> Option<(String, String)> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let (scheme, encoded) = header.trim_ascii().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.trim_ascii()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((decode_form(id)?, decode_form(secret)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use proptest::prelude::*;

    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";

    fn parse(
        content_type: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> Result<TokenRequest, OAuthError> {
        let content_type = Some(content_type);
        TokenRequest::parse(Message {
            content_type,
            authorization,
            body: body.as_bytes(),
        })
    }

    fn basic(id: &str, secret: &str) -> String {
        format!("Basic {}", BASE64.encode(format!("{id}:{secret}")))
    }

    fn is_invalid_request<T: fmt::Debug>(result: Result<T, OAuthError>) -> bool {
        matches!(result, Err(OAuthError::InvalidRequest(_)))
    }

    #[test]
    fn all_four_ways_to_ask_mean_the_same() {
        let secret = ClientSecret::generate();
        let s = secret.expose();
        let header = basic("cli_shop", s);
        let header = Some(header.as_str());
        let json = format!(
            r#"{{"grant_type":"client_credentials","client_id":"cli_shop","client_secret":"{s}","scope":"orders:read users:read"}}"#
        );
        let form = format!(
            "grant_type=client_credentials&client_id=cli_shop&client_secret={s}&scope=orders%3Aread+users:read"
        );
        let bare_json = r#"{"grant_type":"client_credentials","scope":"orders:read users:read"}"#;
        let bare_form = "grant_type=client_credentials&scope=orders:read%20users:read";
        for (content_type, authorization, body, method) in [
            (JSON, None, json.as_str(), Method::Body),
            (
                "Application/JSON; charset=utf-8",
                None,
                json.as_str(),
                Method::Body,
            ),
            (FORM, None, form.as_str(), Method::Body),
            (
                "application/x-www-form-urlencoded ;charset=UTF-8",
                None,
                form.as_str(),
                Method::Body,
            ),
            (JSON, header, bare_json, Method::Basic),
            (FORM, header, bare_form, Method::Basic),
            (
                FORM,
                header,
                "grant_type=client_credentials&scope=orders:read+users:read&client_id=cli_shop",
                Method::Basic,
            ),
        ] {
            let request = parse(content_type, authorization, body).unwrap();
            assert_eq!(request.grant_type, GrantType::ClientCredentials);
            assert_eq!(request.scope.as_deref(), Some("orders:read users:read"));
            assert_eq!(request.client.id.as_str(), "cli_shop");
            assert_eq!(request.client.secret.unwrap().hash(), secret.hash());
            assert_eq!(request.client.method, method);
        }
    }

    #[test]
    fn empty_means_omitted_and_unknown_is_ignored() {
        let secret = ClientSecret::generate();
        let header = basic("cli_shop", secret.expose());
        let header = Some(header.as_str());
        for (content_type, body) in [
            (
                FORM,
                "grant_type=client_credentials&scope=&client_id=&client_secret=&color=red&flag&&",
            ),
            (
                JSON,
                r#"{"grant_type":"client_credentials","scope":"","color":{"a":[1,null]},"n":1.5e3}"#,
            ),
        ] {
            let request = parse(content_type, header, body).unwrap();
            assert_eq!((request.scope, request.resource), (None, None));
        }
    }

    #[test]
    fn malformed_requests_are_invalid_request() {
        for (content_type, body) in [
            ("text/plain", "grant_type=client_credentials"),
            ("", "grant_type=client_credentials"),
            ("application/jsonx", "{}"),
            (FORM, ""),
            (FORM, "grant_type="),
            (
                FORM,
                "grant_type=client_credentials&grant_type=client_credentials",
            ),
            (FORM, "grant_type=client_credentials&a=1&a=1"),
            (FORM, "grant_type=client_credentials&%61=1&a="),
            (FORM, "grant_type=%"),
            (FORM, "grant_type=%4"),
            (FORM, "grant_type=%zz"),
            (FORM, "grant_type=%ff"),
            (JSON, ""),
            (JSON, "[]"),
            (JSON, "null"),
            (JSON, r#"{"grant_type":"client_credentials""#),
            (JSON, r#"{"grant_type":"client_credentials"} x"#),
            (
                JSON,
                r#"{"grant_type":"client_credentials","grant_type":"client_credentials"}"#,
            ),
            (
                JSON,
                r#"{"grant_type":"client_credentials","a":1,"\u0061":1}"#,
            ),
            (JSON, r#"{"grant_type":1}"#),
            (JSON, r#"{"grant_type":null}"#),
            (JSON, r#"{"grant_type":"client_credentials","client_id":7}"#),
            (
                JSON,
                r#"{"grant_type":"client_credentials","scope":["orders:read"]}"#,
            ),
        ] {
            assert!(
                is_invalid_request(parse(content_type, None, body)),
                "{content_type} {body}"
            );
        }
        let nothing = Message {
            content_type: None,
            authorization: None,
            body: b"",
        };
        assert!(is_invalid_request(TokenRequest::parse(nothing)));
        assert!(is_invalid_request(parse(
            FORM,
            None,
            &format!("a={}", "x".repeat(BODY_MAX_BYTES))
        )));
        let many: Vec<String> = (0..=PARAMETERS_MAX).map(|n| format!("p{n}=1")).collect();
        assert!(is_invalid_request(parse(FORM, None, &many.join("&"))));
        assert!(is_invalid_request(parse(JSON, None, &"[".repeat(10_000))));
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert!(is_invalid_request(parse(JSON, None, &deep)));
    }

    #[test]
    fn credentials_come_in_one_way_only() {
        let secret = ClientSecret::generate();
        let s = secret.expose();
        let header = basic("cli_shop", s);
        let with = |body: &str| {
            parse(
                FORM,
                Some(&header),
                &format!("grant_type=client_credentials&{body}"),
            )
        };
        assert!(is_invalid_request(with(&format!(
            "client_id=cli_shop&client_secret={s}"
        ))));
        assert!(is_invalid_request(with(&format!("client_secret={s}"))));
        assert!(is_invalid_request(with("client_id=cli_other")));
        assert!(with("client_id=cli_shop").is_ok());
    }

    #[test]
    fn what_cannot_be_credentials_is_refused_like_wrong_ones() {
        let secret = ClientSecret::generate();
        let s = secret.expose();
        let grant = "grant_type=client_credentials";
        for header in [
            "Basic".to_owned(),
            "Basic ".to_owned(),
            "Basic !!!".to_owned(),
            format!("Basic {}", BASE64.encode("no colon")),
            format!("Basic {}", BASE64.encode([0xff, b':', 0xfe])),
            format!("Basic {}", BASE64.encode("cli_%zz:x")),
            format!("Bearer {s}"),
            basic("nobody", s),
            String::new(),
        ] {
            let error = parse(FORM, Some(&header), grant).unwrap_err();
            assert_eq!(error, OAuthError::InvalidClient { basic: true }, "{header}");
        }
        for body in [
            grant.to_owned(),
            format!("{grant}&client_id=cli_shop"),
            format!("{grant}&client_secret={s}"),
            format!("{grant}&client_id=nobody&client_secret={s}"),
            format!("{grant}&client_id=cli_shop%00&client_secret={s}"),
        ] {
            assert_eq!(
                parse(FORM, None, &body).unwrap_err(),
                OAuthError::InvalidClient { basic: false },
                "{body}"
            );
        }
    }

    /// So that it can be counted against the client and the address that it came from.
    #[test]
    fn what_cannot_be_a_secret_leaves_the_client_known() {
        let grant = "grant_type=client_credentials";
        let header = basic("cli_shop", "guess");
        let body = format!("{grant}&client_id=cli_shop&client_secret=guess");
        for request in [parse(FORM, Some(&header), grant), parse(FORM, None, &body)] {
            let client = request.unwrap().client;
            assert_eq!(client.id.as_str(), "cli_shop");
            assert!(client.secret.is_none());
        }
    }

    #[test]
    fn basic_is_read_as_libraries_write_it() {
        let secret = ClientSecret::generate();
        let s = secret.expose();
        let encoded = BASE64.encode(format!("cli_shop:{s}"));
        for header in [
            format!("Basic {encoded}"),
            format!("basic   {encoded}"),
            format!("BASIC {}", encoded.trim_end_matches('=')),
            basic("cli%5Fshop", &s.replace('_', "%5f")),
        ] {
            let request = parse(FORM, Some(&header), "grant_type=client_credentials").unwrap();
            assert_eq!(request.client.id.as_str(), "cli_shop");
            assert_eq!(request.client.secret.unwrap().expose(), s);
        }
    }

    #[test]
    fn flows_that_are_not_served_are_named() {
        for grant_type in ["password", "implicit", "token", "Client_Credentials"] {
            let body = format!("grant_type={grant_type}&username=u&password=p");
            assert_eq!(
                parse(FORM, None, &body).unwrap_err(),
                OAuthError::UnsupportedGrantType
            );
        }
    }

    #[test]
    fn revocation_needs_a_token_and_a_client() {
        let header = basic("cli_shop", ClientSecret::generate().expose());
        let read = |authorization, body: &'static str| {
            let body = body.as_bytes();
            RevokeRequest::parse(Message {
                content_type: Some(FORM),
                authorization,
                body,
            })
        };
        let request = read(
            Some(header.as_str()),
            "token=abc&token_type_hint=access_token",
        )
        .unwrap();
        assert_eq!(request.token, "abc");
        assert!(is_invalid_request(read(Some(header.as_str()), "token=")));
        assert_eq!(
            read(None, "token=abc").unwrap_err(),
            OAuthError::InvalidClient { basic: false }
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(body in prop::collection::vec(any::<u8>(), 0..300), header in prop::option::of(".{0,60}"), json in any::<bool>()) {
            let content_type = Some(if json { JSON } else { FORM });
            let _ = TokenRequest::parse(Message { content_type, authorization: header.as_deref(), body: &body });
        }

        #[test]
        fn any_near_miss_is_parsed_or_refused(
            body in "(grant_type|client_id|scope|[a-z%+&=]{0,5})(=[a-z_%0-9+]{0,12}&?){0,6}",
            json in r#"\{("[a-z_]{0,10}":("[a-z]{0,4}"|[0-9]{1,3}|null|\[\]),?){0,5}\}"#,
            token in "[A-Za-z0-9+/=]{0,40}",
        ) {
            let header = format!("Basic {token}");
            let _ = parse(FORM, Some(&header), &body);
            let _ = parse(JSON, None, &json);
        }

        #[test]
        fn form_encoding_is_undone(text in any::<String>()) {
            let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decode_form(&encoded), Some(text));
        }
    }
}
