//! Handlers of `/oauth/*` and `/.well-known/*`.

use super::client::authenticate;
use super::error::OAuthError;
use super::request::{Message, TokenRequest};
use super::scope::Scopes;
use super::token::Grant;
use crate::app::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::db::DbError;
use platform::http::{Operation, PeerAddress, Reply, read_body};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};

/// A successful answer of `POST /oauth/token` (RFC 6749 §5.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenAnswer {
    /// A JWT of the profile of RFC 9068.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds until it expires.
    pub expires_in: u32,
    /// What it allows, separated by spaces.
    pub scope: String,
}

/// The documented body; the form of RFC 6749 and HTTP Basic mean the same.
#[derive(Debug, JsonSchema)]
#[allow(
    dead_code,
    reason = "for the OpenAPI document; the body is read by `TokenRequest::parse`"
)]
pub struct TokenBody {
    /// Always `client_credentials`.
    grant_type: String,
    client_id: String,
    client_secret: String,
    /// Scopes separated by spaces; all of the client's when left away.
    scope: Option<String>,
}

/// What `POST /oauth/token` promises.
pub fn token_operation() -> Operation {
    Operation::new("createToken", "Authentication", "Exchanges client credentials for an access token.")
        .describe("JSON or form, with the secret in the body or in HTTP Basic. Errors have the form of RFC 6749 §5.2.")
        .body::<TokenBody>()
        .body_example(json!({ "grant_type": "client_credentials", "client_id": "YOUR_CLIENT_ID", "client_secret": "YOUR_CLIENT_SECRET" }))
        .returns::<TokenAnswer>(200, "An access token.")
        .example(json!({ "access_token": "eyJhbGciOiJIUzI1NiIsIn...", "token_type": "Bearer", "expires_in": 3600, "scope": "orders:read products:read" }))
}

/// `POST /oauth/token`.
pub async fn token(State(app): State<App>, request: Request) -> Response {
    match issue(&app, request).await {
        Ok(answer) => Reply::json(StatusCode::OK, &answer)
            .with(header::CACHE_CONTROL, "no-store")
            .with(header::PRAGMA, "no-cache")
            .into_response(),
        Err(error) => error.response(&app.config.public_url),
    }
}

async fn issue(app: &App, request: Request) -> Result<TokenAnswer, OAuthError> {
    let now = app.clock.now();
    let (parts, body) = request.into_parts();
    let address = parts
        .extensions
        .get::<PeerAddress>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
    let body = read_body(&parts.headers, body)
        .await
        .map_err(|problem| OAuthError::invalid_request(problem.code().title))?;
    let request = TokenRequest::parse(message(&parts.headers, &body)).inspect_err(|error| {
        if matches!(error, OAuthError::InvalidClient { .. }) {
            app.oauth.throttle.failed(None, address, now.to_jiff());
        }
    })?;
    let id = &request.client.id;
    app.oauth
        .throttle
        .check(Some(id), address, now.to_jiff())
        .map_err(|paused| OAuthError::TooManyRequests {
            retry_after_seconds: paused.retry_after_seconds,
        })?;
    let client = app
        .oauth
        .client(&app.db, id, now)
        .await
        .map_err(|error| unavailable(&error))?;
    if let Err(reason) = authenticate(
        client.as_deref(),
        &request.client.secret,
        address,
        now.to_jiff(),
    ) {
        app.oauth.throttle.failed(Some(id), address, now.to_jiff());
        tracing::info!(client = id.as_str(), %reason, "a client was refused");
        return Err(request.client.refused());
    }
    app.oauth.throttle.succeeded(id, address);
    let Some(client) = client else {
        return Err(request.client.refused());
    };
    if request
        .resource
        .as_deref()
        .is_some_and(|resource| resource != app.oauth.signer.audience())
    {
        return Err(OAuthError::InvalidTarget);
    }
    let scopes: Scopes = client.scopes.narrow(request.scope.as_deref())?;
    let ttl_seconds = client
        .token_ttl_seconds
        .map_or(app.config.access_token_ttl_seconds, |_| {
            client.token_ttl_seconds()
        });
    let grant = Grant {
        client_id: id,
        subject: id.as_str(),
        scopes,
        algorithm: client.signing_alg,
        ttl_seconds,
    };
    let (access_token, claims) = app
        .oauth
        .signer
        .issue(grant, now.to_jiff())
        .map_err(|error| {
            tracing::error!(%error, "no token could be issued");
            OAuthError::ServerError
        })?;
    Ok(TokenAnswer {
        access_token,
        token_type: "Bearer",
        expires_in: ttl_seconds,
        scope: claims.scope.to_string(),
    })
}

pub(super) fn message<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> Message<'a> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &axum::http::HeaderValue| value.to_str().ok())
    };
    Message {
        content_type: text(header::CONTENT_TYPE),
        authorization: text(header::AUTHORIZATION),
        body,
    }
}

fn unavailable(error: &DbError) -> OAuthError {
    tracing::error!(%error, "a client could not be read");
    OAuthError::Unavailable {
        retry_after_seconds: 1,
    }
}
