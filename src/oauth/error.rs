//! How the OAuth endpoints refuse: RFC 6749 §5.2 bodies, not the problem+json of `/v2`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::http::Code;
use schemars::JsonSchema;
use serde::Serialize;

use super::scope::{Scope, ScopeError};
use super::throttle::Paused;

/// Why an OAuth request was refused. Unknown client, wrong secret, disabled client and foreign address are
/// one and the same [`InvalidClient`](OAuthError::InvalidClient): the caller learns nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuthError {
    /// 400 `invalid_request`: not understood; the text says what is wrong.
    InvalidRequest(String),
    /// 401 `invalid_client`. `basic`: the credentials came in the `Authorization` header, so the answer
    /// must name that scheme (RFC 6749 §5.2).
    InvalidClient { basic: bool },
    /// 400 `unauthorized_client`: the token to be revoked belongs to another client (RFC 7009 §2.1).
    UnauthorizedClient,
    /// 400 `unauthorized_client`: the endpoint needs a scope that the client was not given.
    ScopeNeeded(Scope),
    /// 400 `unauthorized_client`: the client was not given this flow.
    FlowNotAllowed,
    /// 400 `invalid_grant`: the code or the refresh token is not good (any more) for this client and request.
    InvalidGrant,
    /// 400 `authorization_pending`: nobody has let the device in yet (RFC 8628 §3.5).
    AuthorizationPending,
    /// 400 `slow_down`: the same, and the device asks too often: it waits 5 seconds longer from now on.
    SlowDown,
    /// 400 `expired_token`: nobody let the device in, in time.
    ExpiredToken,
    /// 400 `access_denied`: somebody refused the device.
    AccessDenied,
    /// 400 `invalid_redirect_uri`: the text says why (RFC 7591 §3.2.2).
    InvalidRedirectUri(String),
    /// 400 `invalid_client_metadata`: the text says why (RFC 7591 §3.2.2).
    InvalidClientMetadata(String),
    /// 401 `invalid_token`: the token of a registration is not good (RFC 6750 §3.1).
    InvalidToken,
    /// 404 `registration_disabled`: clients do not register themselves here.
    RegistrationDisabled,
    /// 405 `invalid_request`: the endpoint does not take this method.
    MethodNotAllowed,
    /// 400 `unsupported_grant_type`; `password` is never supported (RFC 9700 §2.4).
    UnsupportedGrantType,
    /// 400 `invalid_scope`.
    InvalidScope(ScopeError),
    /// 400 `invalid_target`: the `resource` asked for is not this API (RFC 8707 §2).
    InvalidTarget,
    /// 400 `invalid_dpop_proof`: the text says what is wrong with it (RFC 9449 §5).
    InvalidDpopProof(&'static str),
    /// 400 `use_dpop_nonce`: the proof is to be made again with this nonce (RFC 9449 §8).
    UseDpopNonce(String),
    /// 429 `temporarily_unavailable`: too many wrong credentials, or too many requests.
    TooManyRequests { retry_after_seconds: u32 },
    /// 503 `temporarily_unavailable`: the server cannot take the request now.
    Unavailable { retry_after_seconds: u32 },
    /// 500 `server_error`: the cause is logged, never sent.
    ServerError,
}

/// The body of a refusal, fields in this order.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OAuthError")]
pub struct ErrorBody {
    /// The machine-readable code; contract.
    pub error: &'static str,
    /// For people: printable ASCII without `"` and `\` (RFC 6749 §5.2), at most 200 characters.
    pub error_description: String,
    /// A page of this server that explains the code.
    pub error_uri: String,
}

/// Longest `error_description`.
const DESCRIPTION_MAX: usize = 200;

impl OAuthError {
    /// [`OAuthError::InvalidRequest`] with its text.
    pub fn invalid_request(text: impl Into<String>) -> OAuthError {
        OAuthError::InvalidRequest(text.into())
    }

    /// The `error` of the body.
    pub fn code(&self) -> &'static str {
        match self {
            OAuthError::InvalidRequest(_) | OAuthError::MethodNotAllowed => "invalid_request",
            OAuthError::UnauthorizedClient
            | OAuthError::ScopeNeeded(_)
            | OAuthError::FlowNotAllowed => "unauthorized_client",
            OAuthError::InvalidGrant => "invalid_grant",
            OAuthError::InvalidRedirectUri(_) => "invalid_redirect_uri",
            OAuthError::InvalidClientMetadata(_) => "invalid_client_metadata",
            OAuthError::InvalidToken => "invalid_token",
            OAuthError::RegistrationDisabled => "registration_disabled",
            OAuthError::AuthorizationPending => "authorization_pending",
            OAuthError::SlowDown => "slow_down",
            OAuthError::ExpiredToken => "expired_token",
            OAuthError::AccessDenied => "access_denied",
            OAuthError::InvalidClient { .. } => "invalid_client",
            OAuthError::UnsupportedGrantType => "unsupported_grant_type",
            OAuthError::InvalidScope(_) => "invalid_scope",
            OAuthError::InvalidTarget => "invalid_target",
            OAuthError::InvalidDpopProof(_) => "invalid_dpop_proof",
            OAuthError::UseDpopNonce(_) => "use_dpop_nonce",
            OAuthError::TooManyRequests { .. } | OAuthError::Unavailable { .. } => {
                "temporarily_unavailable"
            }
            OAuthError::ServerError => "server_error",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            OAuthError::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            OAuthError::InvalidRequest(_)
            | OAuthError::UnauthorizedClient
            | OAuthError::ScopeNeeded(_)
            | OAuthError::FlowNotAllowed
            | OAuthError::InvalidGrant
            | OAuthError::AuthorizationPending
            | OAuthError::SlowDown
            | OAuthError::ExpiredToken
            | OAuthError::AccessDenied
            | OAuthError::UnsupportedGrantType
            | OAuthError::InvalidScope(_)
            | OAuthError::InvalidTarget
            | OAuthError::InvalidRedirectUri(_)
            | OAuthError::InvalidClientMetadata(_)
            | OAuthError::InvalidDpopProof(_)
            | OAuthError::UseDpopNonce(_) => StatusCode::BAD_REQUEST,
            OAuthError::InvalidClient { .. } | OAuthError::InvalidToken => StatusCode::UNAUTHORIZED,
            OAuthError::RegistrationDisabled => StatusCode::NOT_FOUND,
            OAuthError::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            OAuthError::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            OAuthError::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn description(&self) -> String {
        let text = match self {
            OAuthError::InvalidRequest(text)
            | OAuthError::InvalidRedirectUri(text)
            | OAuthError::InvalidClientMetadata(text) => text.clone(),
            OAuthError::InvalidToken => {
                "the token is unknown, used up, expired or revoked".to_owned()
            }
            OAuthError::RegistrationDisabled => {
                "clients do not register themselves at this server".to_owned()
            }
            OAuthError::InvalidClient { .. } => "client authentication failed".to_owned(),
            OAuthError::UnauthorizedClient => "the token belongs to another client".to_owned(),
            OAuthError::ScopeNeeded(scope) => format!("the client needs the scope {scope}"),
            OAuthError::FlowNotAllowed => "the client may not use this flow".to_owned(),
            OAuthError::InvalidGrant => {
                "the code or token is unknown, used, expired, revoked or not for this".to_owned()
            }
            OAuthError::AuthorizationPending => "nobody has let the device in yet".to_owned(),
            OAuthError::SlowDown => "wait 5 seconds longer between two requests".to_owned(),
            OAuthError::ExpiredToken => "nobody let the device in, in time".to_owned(),
            OAuthError::AccessDenied => "the device was refused".to_owned(),
            OAuthError::MethodNotAllowed => "this endpoint does not take this method".to_owned(),
            OAuthError::UnsupportedGrantType => {
                "grant_type must be one of grant_types_supported".to_owned()
            }
            OAuthError::InvalidScope(error) => error.to_string(),
            OAuthError::InvalidTarget => "the resource is not served here".to_owned(),
            OAuthError::InvalidDpopProof(why) => (*why).to_owned(),
            OAuthError::UseDpopNonce(_) => {
                "the DPoP proof needs the nonce of DPoP-Nonce".to_owned()
            }
            OAuthError::TooManyRequests { .. } => "too many requests, retry later".to_owned(),
            OAuthError::Unavailable { .. } => "the server is busy, retry later".to_owned(),
            OAuthError::ServerError => "the server failed to answer".to_owned(),
        };
        let plain = |c: char| {
            if matches!(c, '\x20'..='\x7E') && c != '"' && c != '\\' {
                c
            } else {
                '?'
            }
        };
        text.chars().take(DESCRIPTION_MAX).map(plain).collect()
    }

    /// The body; `issuer` is the server's public URL without a slash at the end.
    pub fn body(&self, issuer: &str) -> ErrorBody {
        ErrorBody {
            error: self.code(),
            error_description: self.description(),
            error_uri: format!("{issuer}/problems/{}", self.code()),
        }
    }

    /// The whole answer, never to be cached; `issuer` as for [`body`](OAuthError::body).
    pub fn response(&self, issuer: &str) -> Response {
        let body = serde_json::to_vec(&self.body(issuer)).expect("three strings are always JSON");
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        match self {
            OAuthError::InvalidClient { basic: true } => {
                let challenge = HeaderValue::from_static(r#"Basic realm="oauth", charset="UTF-8""#);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            OAuthError::InvalidToken => {
                let challenge = HeaderValue::from_static(
                    r#"Bearer realm="registration", error="invalid_token""#,
                );
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            OAuthError::UseDpopNonce(nonce) => {
                let nonce = HeaderValue::try_from(nonce);
                headers.extend(nonce.ok().map(|nonce| (super::dpop::NONCE, nonce)));
            }
            OAuthError::TooManyRequests {
                retry_after_seconds,
            }
            | OAuthError::Unavailable {
                retry_after_seconds,
            } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
            }
            _ => {}
        }
        response
    }
}

/// The codes of these refusals, for the OpenAPI document and the pages that `error_uri` names.
pub static CODES: &[Code] = &[
    Code {
        code: "invalid_request",
        status: 400,
        title: "The OAuth request is malformed.",
        help: "A parameter is missing, repeated or not a string, the body is neither JSON nor a form, or the credentials were sent in two ways at once. `error_description` says which.",
    },
    Code {
        code: "invalid_client",
        status: 401,
        title: "The client could not be authenticated.",
        help: "The client id is not known, the secret is wrong or has ended, the client is disabled or has expired, or it may not ask from this address. The answer is the same for all of them.",
    },
    Code {
        code: "unauthorized_client",
        status: 400,
        title: "This client may not do this.",
        help: "A token is revoked by the client that it was issued to, asking about tokens needs the scope `tokens:introspect`, and a client uses the flows that it was registered for.",
    },
    Code {
        code: "invalid_grant",
        status: 400,
        title: "The code or the refresh token is not good for this request.",
        help: "It is unknown, was used before, has expired, was revoked, belongs to another client, or `redirect_uri` or `code_verifier` is not the one that it was got with. Send the user to `/oauth/authorize` again.",
    },
    Code {
        code: "authorization_pending",
        status: 400,
        title: "Nobody has let the device in yet.",
        help: "Ask again after `interval` seconds, until it says something else.",
    },
    Code {
        code: "slow_down",
        status: 400,
        title: "The device asks too often.",
        help: "Wait 5 seconds longer between two requests from now on.",
    },
    Code {
        code: "expired_token",
        status: 400,
        title: "Nobody let the device in, in time.",
        help: "Ask for new codes at `/oauth/device_authorization`.",
    },
    Code {
        code: "access_denied",
        status: 400,
        title: "Somebody refused.",
        help: "The person did not want it. Do not ask again by yourself.",
    },
    Code {
        code: "unsupported_grant_type",
        status: 400,
        title: "This flow is not supported.",
        help: "`grant_type` must be one of `grant_types_supported` in `/.well-known/oauth-authorization-server`.",
    },
    Code {
        code: "invalid_scope",
        status: 400,
        title: "A scope is not known or not granted.",
        help: "Ask for scopes that the client was given, separated by single spaces, or leave `scope` away to get all of them.",
    },
    Code {
        code: "invalid_target",
        status: 400,
        title: "The resource is not served here.",
        help: "Leave `resource` away, or send the `resource` of `/.well-known/oauth-protected-resource`.",
    },
    Code {
        code: "invalid_dpop_proof",
        status: 400,
        title: "The DPoP proof is not right.",
        help: "A proof is a JWT of type `dpop+jwt`, signed with ES256, EdDSA or RS256 by the key that it brings, for this method and address, made within the last minute and shown once. `error_description` says what is wrong. A client that was registered with DPoP shows one with every request.",
    },
    Code {
        code: "use_dpop_nonce",
        status: 400,
        title: "The DPoP proof needs a nonce of this server.",
        help: "Make the proof again with the `nonce` of the header `DPoP-Nonce`, and use the newest one that an answer brought from then on.",
    },
    Code {
        code: "registration_disabled",
        status: 404,
        title: "Clients do not register themselves here.",
        help: "Whoever runs the server turns it on with `--client-registration` and gives out initial access tokens, or registers the client for you.",
    },
    Code {
        code: "invalid_token",
        status: 401,
        title: "The token of the registration is not good.",
        help: "An initial access token (`reg_…`) is good for a number of clients and for some days; a registration access token (`rat_…`) for the one client that it came with, until that is deleted. Send it as `Authorization: Bearer`.",
    },
    Code {
        code: "invalid_redirect_uri",
        status: 400,
        title: "A redirect URI cannot be used.",
        help: "`https`, `http` on 127.0.0.1 or [::1], or a scheme of the app's own such as `com.example.app:/callback`; no fragment, no user, no wildcard. `authorization_code` needs at least one.",
    },
    Code {
        code: "invalid_client_metadata",
        status: 400,
        title: "The client cannot be registered like this.",
        help: "`error_description` names the member and what is expected. Scopes and flows are those that the initial access token allows, at most.",
    },
    Code {
        code: "temporarily_unavailable",
        status: 503,
        title: "The server cannot take the request now.",
        help: "With status 429 there were too many wrong credentials. Wait as long as `Retry-After` says.",
    },
    Code {
        code: "server_error",
        status: 500,
        title: "Something went wrong on our side.",
        help: "The cause is in the server's log under the `X-Request-Id` of the answer.",
    },
];

/// Those of [`CODES`] that an endpoint answers.
pub(super) fn codes(names: &[&str]) -> Vec<&'static Code> {
    let wanted = |code: &&Code| names.contains(&code.code);
    CODES.iter().filter(wanted).collect()
}

impl From<Paused> for OAuthError {
    fn from(paused: Paused) -> OAuthError {
        OAuthError::TooManyRequests {
            retry_after_seconds: paused.retry_after_seconds,
        }
    }
}

impl From<ScopeError> for OAuthError {
    fn from(error: ScopeError) -> OAuthError {
        OAuthError::InvalidScope(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://shop.example";

    #[test]
    fn bodies_have_the_form_of_rfc_6749() {
        let body = serde_json::to_string(&OAuthError::InvalidTarget.body(ISSUER)).unwrap();
        assert_eq!(
            body,
            r#"{"error":"invalid_target","error_description":"the resource is not served here","error_uri":"https://shop.example/problems/invalid_target"}"#
        );
    }

    #[test]
    fn descriptions_are_ascii_without_quote_and_backslash() {
        let text = OAuthError::invalid_request("a \"b\" \\ \u{e9}\n")
            .body(ISSUER)
            .error_description;
        assert_eq!(text, "a ?b? ? ??");
        let long = OAuthError::invalid_request("x".repeat(5000))
            .body(ISSUER)
            .error_description;
        assert_eq!(long.len(), DESCRIPTION_MAX);
    }

    #[test]
    fn only_basic_is_challenged_with_basic() {
        let with = OAuthError::InvalidClient { basic: true }.response(ISSUER);
        let without = OAuthError::InvalidClient { basic: false }.response(ISSUER);
        assert_eq!(
            (with.status(), without.status()),
            (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
        );
        assert!(
            with.headers()[header::WWW_AUTHENTICATE]
                .to_str()
                .unwrap()
                .starts_with("Basic realm=")
        );
        assert!(!without.headers().contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(without.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(without.headers()[header::CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_throttled_caller_is_told_when_to_come_back() {
        let response = OAuthError::TooManyRequests {
            retry_after_seconds: 17,
        }
        .response(ISSUER);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "17");
    }
}
