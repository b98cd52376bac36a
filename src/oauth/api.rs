//! Handlers of `/oauth/*` and `/.well-known/*`.

use super::assertion::ALGORITHMS;
use super::client::{Client, ClientId, authenticate};
use super::dpop;
use super::dynamic;
use super::error::{OAuthError, codes};
use super::flows::exchange::{Party, exchange};
use super::flows::grant::RefreshToken;
use super::flows::revoke::revoke_family;
use super::request::{Credentials, GrantType, Message, Method, RevokeRequest, TokenRequest};
use super::revocation::RevokedToken;
use super::scope::Scope;
use super::token::Grant;
use crate::app::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use platform::clock::Timestamp;
use platform::http::{ClientAddress, ClientName, Operation, Reply, read_body};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub(super) const TAG: &str = "Authentication";
/// The `token_type` of a token that is bound to a key.
pub(super) const DPOP: &str = "DPoP";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// A successful answer of `POST /oauth/token` (RFC 6749 §5.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenAnswer {
    /// A JWT of the profile of RFC 9068: less than 1 KiB, with RS256 and every scope about 1.25 KiB.
    pub access_token: String,
    /// How it is sent: `Bearer`, or `DPoP` when it is bound to a key.
    #[schemars(extend("enum" = ["Bearer", "DPoP"]))]
    pub token_type: &'static str,
    /// Seconds until it expires.
    pub expires_in: u32,
    /// Exchange it for the next access token and the next refresh token; for clients that act for somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// What it allows, separated by spaces.
    pub scope: String,
}

/// The documented body; the form of RFC 6749 and HTTP Basic mean the same.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[allow(
    dead_code,
    reason = "for the OpenAPI document; the body is read by `TokenRequest::parse`"
)]
pub struct TokenBody {
    /// The flow; `client_credentials` for a program that acts for itself.
    #[schemars(extend("enum" = ["client_credentials", "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]))]
    grant_type: String,
    /// Not needed with HTTP Basic.
    #[serde(default)]
    client_id: String,
    /// Not needed with HTTP Basic, and not by public clients.
    #[serde(default)]
    client_secret: String,
    /// With an assertion: `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    #[serde(default)]
    client_assertion_type: String,
    /// A JWT that the client signed, instead of a secret (RFC 7523).
    #[serde(default)]
    client_assertion: String,
    /// Scopes separated by spaces; all of the client's, or all that was allowed, when left away.
    #[serde(default)]
    scope: String,
    /// With `authorization_code`: what `/oauth/authorize` answered. It works for 60 seconds, once.
    #[serde(default)]
    code: String,
    /// With `authorization_code`: when sent, the address that the code was sent to.
    #[serde(default)]
    redirect_uri: String,
    /// With `authorization_code`: the text whose SHA-256 was the `code_challenge` (RFC 7636).
    #[serde(default)]
    code_verifier: String,
    /// With `urn:ietf:params:oauth:grant-type:device_code`: what `POST /oauth/device_authorization` answered.
    #[serde(default)]
    device_code: String,
    /// With `refresh_token`: the newest one. The one before it gets the same answer for 10 seconds; an older one ends the grant.
    #[serde(default)]
    refresh_token: String,
    /// The API that the token is for (RFC 8707); this one when left away.
    #[serde(default)]
    resource: String,
}

/// The body of `POST /oauth/revoke` (RFC 7009 §2.1).
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[allow(
    dead_code,
    reason = "for the OpenAPI document; the body is read by `RevokeRequest::parse`"
)]
pub struct RevokeBody {
    /// The access token or the refresh token that is to die.
    #[schemars(length(min = 1))]
    token: String,
    /// Not needed: a token is recognised without it.
    #[serde(default)]
    token_type_hint: String,
    /// Not needed with HTTP Basic.
    #[serde(default)]
    client_id: String,
    /// Not needed with HTTP Basic.
    #[serde(default)]
    client_secret: String,
    /// With an assertion: `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    #[serde(default)]
    client_assertion_type: String,
    /// A JWT that the client signed, instead of a secret (RFC 7523).
    #[serde(default)]
    client_assertion: String,
}

/// What `POST /oauth/token` promises.
pub fn token_operation() -> Operation {
    Operation::new("createToken", TAG, "Exchanges client credentials, a code or a refresh token for an access token.")
        .describe("JSON or form, with the secret in the body or in HTTP Basic, or with an assertion that the client signed (`private_key_jwt`, RFC 7523: `aud` is the issuer, `exp` at most five minutes ahead, a new `jti` each time). With a `DPoP` header the token is bound to the key of the proof (RFC 9449); the nonce is in `DPoP-Nonce`. Errors have the form of RFC 6749 §5.2. After ten wrong secrets within a minute a client is paused for a minute at the address they came from, and after a hundred within ten minutes that address is paused for a quarter of an hour for all who show a wrong secret: 429 with `Retry-After`.")
        .body::<TokenBody>()
        .body_also_as(FORM)
        .body_example(json!({ "grant_type": "client_credentials", "client_id": "YOUR_CLIENT_ID", "client_secret": "YOUR_CLIENT_SECRET" }))
        .returns::<TokenAnswer>(200, "An access token.")
        .example(json!({ "access_token": "eyJhbGciOiJIUzI1NiIsIn...", "token_type": "Bearer", "expires_in": 3600, "scope": "orders:read products:read" }))
        .ignores_query()
        .errors(&codes(&["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "authorization_pending", "slow_down", "expired_token", "access_denied", "invalid_scope", "invalid_target", "invalid_dpop_proof", "use_dpop_nonce", "temporarily_unavailable"]))
        .error_form("OAuthError")
}

/// `POST /oauth/token`.
pub async fn token(State(app): State<App>, request: Request) -> Response {
    match issue(&app, request).await {
        Ok((client, answer)) => {
            let mut reply = Reply::json(StatusCode::OK, &answer);
            if answer.token_type == DPOP {
                reply = reply.with(dpop::NONCE, &app.oauth.nonces.at(app.clock.now()));
            }
            let mut response = no_store(reply);
            response.extensions_mut().insert(client); // for the request log
            response
        }
        Err(error) => error.response(&app.config.public_url),
    }
}

/// What `POST /oauth/revoke` promises.
pub fn revoke_operation() -> Operation {
    Operation::new("revokeToken", TAG, "Revokes an access token or a refresh token.")
        .describe("The token is dead here when this answers, and on every other node within a second (RFC 7009). With a refresh token, of whatever age, all that was got for the same grant dies. A token that is not known or has expired is answered the same way. The client is authenticated as at `POST /oauth/token`, and revokes its own tokens alone.")
        .body::<RevokeBody>()
        .body_also_as(FORM)
        .body_example(json!({ "token": "eyJhbGciOiJIUzI1NiIsIn...", "client_id": "YOUR_CLIENT_ID", "client_secret": "YOUR_CLIENT_SECRET" }))
        .returns_nothing(200, "The token is dead, or was never alive.")
        .ignores_query()
        .errors(&codes(&["invalid_request", "invalid_client", "unauthorized_client", "temporarily_unavailable"]))
        .error_form("OAuthError")
}

/// `POST /oauth/revoke`.
pub async fn revoke(State(app): State<App>, request: Request) -> Response {
    match kill(&app, request).await {
        Ok(()) => no_store(Reply::no_content().with_status(StatusCode::OK)),
        Err(error) => error.response(&app.config.public_url),
    }
}

/// What `GET /.well-known/jwks.json` promises.
pub fn keys_operation() -> Operation {
    Operation::new("getKeys", TAG, "The public keys that verify access tokens.")
        .describe("A JSON Web Key Set (RFC 7517) with the keys of EdDSA, ES256 and RS256 that sign now, sign next or have signed what may still live. A new key is here 24 hours before it signs; the first key of an algorithm, as soon as a client that asks for it is registered. HS256 keys are secrets of this server and never shown.")
        .returns::<Value>(200, "The key set.")
        .example(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "sig", "alg": "EdDSA", "kid": "4kfWm1wD0hZ2uQ9b" }] }))
}

/// `GET /.well-known/jwks.json`.
pub async fn keys(State(app): State<App>) -> Reply {
    public(&app.oauth.signer.jwks())
}

/// What `GET /.well-known/oauth-authorization-server` promises.
pub fn server_operation() -> Operation {
    Operation::new("getAuthorizationServer", TAG, "How this server issues tokens.")
        .describe("Authorization server metadata (RFC 8414): a standard client needs nothing but this URL.")
        .returns::<Value>(200, "The metadata.")
        .example(json!({ "issuer": "https://shop.example", "token_endpoint": "https://shop.example/oauth/token", "grant_types_supported": ["client_credentials"] }))
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §2).
pub async fn server(State(app): State<App>) -> Reply {
    let issuer = app.oauth.signer.issuer();
    let methods = [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
        "none",
    ];
    let grant_types = GrantType::ALL.map(GrantType::name);
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "device_authorization_endpoint": format!("{issuer}/oauth/device_authorization"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "scopes_supported": scopes(),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "service_documentation": format!("{issuer}/docs"),
    });
    if app.config.client_registration {
        metadata["registration_endpoint"] = json!(format!("{issuer}/oauth/register"));
    }
    public(&metadata)
}

/// What `GET /.well-known/oauth-protected-resource` promises.
pub fn resource_operation() -> Operation {
    resource_of(
        "getProtectedResource",
        "Where tokens for this API come from.",
    )
    .describe("Protected resource metadata (RFC 9728).")
}

/// What `GET /.well-known/oauth-protected-resource/v2` promises.
pub fn resource_v2_operation() -> Operation {
    resource_of("getProtectedResourceV2", "The same, at the address that a 401 names.")
        .describe("Protected resource metadata (RFC 9728), at the place where §3.1 looks for that of a resource called `…/v2`. A 401 names this address.")
}

fn resource_of(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, TAG, summary)
        .returns::<Value>(200, "The metadata.")
        .example(json!({ "resource": "https://shop.example/v2", "authorization_servers": ["https://shop.example"], "bearer_methods_supported": ["header"] }))
}

/// `GET /.well-known/oauth-protected-resource` and `…/v2` (RFC 9728 §2).
pub async fn resource(State(app): State<App>) -> Reply {
    let issuer = app.oauth.signer.issuer();
    public(&json!({
        "resource": app.oauth.signer.audience(),
        "authorization_servers": [issuer],
        "scopes_supported": scopes(),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "resource_name": "Tradepost API",
        "resource_documentation": format!("{issuer}/docs"),
    }))
}

fn scopes() -> Vec<&'static str> {
    Scope::ALL.iter().map(|scope| scope.name()).collect()
}

/// What everybody may keep for an hour.
fn public(body: &Value) -> Reply {
    Reply::json(StatusCode::OK, body).with(header::CACHE_CONTROL, "public, max-age=3600")
}

pub(super) fn no_store(reply: Reply) -> Response {
    reply
        .with(header::CACHE_CONTROL, "no-store")
        .with(header::PRAGMA, "no-cache")
        .into_response()
}

/// What an OAuth endpoint is asked, as far as it comes before the question itself.
pub(super) struct Asked {
    pub(super) headers: HeaderMap,
    body: Bytes,
    pub(super) address: IpAddr,
    pub(super) now: Timestamp,
}

impl Asked {
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) async fn read(app: &App, request: Request) -> Result<Asked, OAuthError> {
        let (parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body)
            .await
            .map_err(|problem| OAuthError::invalid_request(problem.code().title))?;
        let peer = parts.extensions.get::<ClientAddress>();
        Ok(Asked {
            address: peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0),
            now: app.clock.now(),
            headers: parts.headers,
            body,
        })
    }

    /// Parses the request; what cannot be credentials of any client counts as a guess.
    pub(super) fn parse<T>(
        &self,
        app: &App,
        read: impl FnOnce(Message<'_>) -> Result<T, OAuthError>,
    ) -> Result<T, OAuthError> {
        let text = |name: HeaderName| self.headers.get(name).and_then(|value| value.to_str().ok());
        let message = Message {
            content_type: text(header::CONTENT_TYPE),
            authorization: text(header::AUTHORIZATION),
            body: &self.body,
        };
        read(message).map_err(|error| match error {
            OAuthError::InvalidClient { .. } => self.failed(app, None, error),
            other => other,
        })
    }

    /// Counts a failure, and answers it: with `refusal`, or not at all while the address is paused.
    pub(super) fn failed(
        &self,
        app: &App,
        id: Option<&ClientId>,
        refusal: OAuthError,
    ) -> OAuthError {
        let (throttle, now) = (&app.oauth.throttle, self.now.to_jiff());
        let paused = throttle.check_address(self.address, now);
        throttle.failed(id, self.address, now);
        paused.map_or_else(OAuthError::from, |()| refusal)
    }

    /// The client behind `credentials` and the id of the secret that it showed (none when it signed), or the one refusal for all that can be wrong with them.
    pub(super) async fn client(
        &self,
        app: &App,
        credentials: &Credentials,
    ) -> Result<(Arc<Client>, String), OAuthError> {
        let (id, now) = (&credentials.id, self.now.to_jiff());
        let throttle = &app.oauth.throttle;
        throttle.check_pair(id, self.address, now)?;
        if credentials.method == Method::None {
            return self.public_client(app, credentials).await;
        }
        if let Some(assertion) = &credentials.assertion {
            return self.signing_client(app, credentials, assertion).await;
        }
        let Some(secret) = &credentials.secret else {
            return Err(self.failed(app, Some(id), credentials.refused()));
        };
        let opens = |client: &Option<Arc<Client>>| {
            authenticate(client.as_deref(), secret, self.address, now).is_ok()
        };
        let found = app.oauth.client(&app.db, id, self.now).await;
        let mut client = found.map_err(|error| unavailable(&error))?;
        // Others may have paused the address: whoever knows the secret gets in, whoever does not costs little.
        if !opens(&client) && throttle.check_address(self.address, now).is_ok() {
            let found = app.oauth.client_afresh(&app.db, id, self.now).await;
            client = found.map_err(|error| unavailable(&error))?;
        }
        // Whoever was registered without a secret gets in without one, and not with any.
        let client = client.filter(|client| !client.registration.is_public());
        match authenticate(client.as_deref(), secret, self.address, now) {
            Ok(matched) => {
                app.oauth.note_use(matched, self.now);
                throttle.succeeded(id, self.address);
                let secret_id = matched.id.clone();
                let client = client.ok_or_else(|| credentials.refused())?;
                Ok((client, secret_id))
            }
            Err(reason) => {
                tracing::info!(client = id.as_str(), %reason, "a client was refused");
                Err(self.failed(app, Some(id), credentials.refused()))
            }
        }
    }

    /// The public client that calls itself so. It proves nothing: what it may have, it must have got from somebody.
    async fn public_client(
        &self,
        app: &App,
        credentials: &Credentials,
    ) -> Result<(Arc<Client>, String), OAuthError> {
        let (id, now) = (&credentials.id, self.now.to_jiff());
        let found = app.oauth.client(&app.db, id, self.now).await;
        let found = found.map_err(|error| unavailable(&error))?;
        let welcome = |client: &Arc<Client>| {
            client.registration.is_public()
                && client.disabled_at.is_none()
                && client.expires_at.is_none_or(|end| end > now)
                && client.allows(self.address)
        };
        let client = found.filter(welcome);
        let client = client.ok_or_else(|| self.failed(app, Some(id), credentials.refused()))?;
        Ok((client, String::new()))
    }
}

async fn issue(app: &App, request: Request) -> Result<(ClientName, TokenAnswer), OAuthError> {
    let asked = Asked::read(app, request).await?;
    let request = asked.parse(app, TokenRequest::parse)?;
    let (client, secret_id) = asked.client(app, &request.client).await?;
    if !client.registration.allows(request.grant_type) {
        return Err(OAuthError::FlowNotAllowed);
    }
    let name = ClientName(client.id.as_str().into());
    let audience = app.oauth.signer.audience();
    if request.resource.is_some_and(|wanted| wanted != audience) {
        return Err(OAuthError::InvalidTarget);
    }
    let ttl_seconds = match client.token_ttl_seconds {
        Some(_) => client.token_ttl_seconds(),
        None => app.config.access_token_ttl_seconds,
    };
    let bound_to = asked.proven_key(app, &client, "/oauth/token").await?;
    let grant = Grant {
        client_id: &client.id,
        secret_id: &secret_id,
        subject: client.id.as_str(),
        scopes: client.scopes,
        algorithm: client.signing_alg,
        ttl_seconds,
        bound_to: bound_to.as_deref(),
    };
    if request.grant_type == GrantType::ClientCredentials {
        let scopes = client.scopes.narrow(request.scope.as_deref())?;
        let answer = sign(app, Grant { scopes, ..grant }, asked.now).await?;
        note_token(app, &client, (&request.client, &secret_id), asked.now).await?;
        return Ok((name, answer));
    }
    let party = Party {
        client_id: client.id.clone(),
        secret_id: Some(secret_id.clone()).filter(|id| !id.is_empty()),
        ttl_seconds,
        bound_to: bound_to.clone(),
    };
    let offered = (request.grant_type, &request.offered);
    let allowed = exchange(app, party, offered, request.scope, asked.now).await?;
    let grant = Grant {
        // The tokens of a grant die with it, as those of a secret do.
        secret_id: allowed.grant.id.as_str(),
        subject: allowed.grant.staff_id.as_str(),
        scopes: allowed.scopes,
        ..grant
    };
    let mut answer = sign(app, grant, asked.now).await?;
    note_token(app, &client, (&request.client, &secret_id), asked.now).await?;
    let refresh_token = allowed.refresh_token.as_ref();
    answer.refresh_token = refresh_token.map(|token| token.expose().to_owned());
    Ok((name, answer))
}

/// Notes that a client gets a token. One that registered itself and never got any is forgotten.
async fn note_token(
    app: &App,
    client: &Client,
    (credentials, secret_id): (&Credentials, &str),
    now: Timestamp,
) -> Result<(), OAuthError> {
    // Otherwise the secret's own last use says it.
    if secret_id.is_empty() {
        app.oauth.note_client(&client.id, now);
    }
    let noted = dynamic::note_token(app, client, now).await;
    match noted.map_err(|error| unavailable(&error))? {
        true => Ok(()),
        false => Err(credentials.refused()),
    }
}

async fn sign(app: &App, grant: Grant<'_>, now: Timestamp) -> Result<TokenAnswer, OAuthError> {
    let key = app.oauth.ensure_key(&app.db, grant.algorithm, now);
    key.await.map_err(|error| unavailable(&error))?;
    let issued = app.oauth.signer.issue(grant, now.to_jiff());
    let (access_token, claims) = issued.map_err(|error| {
        tracing::error!(%error, "no token could be issued");
        OAuthError::ServerError
    })?;
    Ok(TokenAnswer {
        access_token,
        token_type: if grant.bound_to.is_some() {
            DPOP
        } else {
            "Bearer"
        },
        expires_in: grant.ttl_seconds,
        refresh_token: None,
        scope: claims.scope.to_string(),
    })
}

async fn kill(app: &App, request: Request) -> Result<(), OAuthError> {
    let asked = Asked::read(app, request).await?;
    let request = asked.parse(app, RevokeRequest::parse)?;
    let (client, _) = asked.client(app, &request.client).await?;
    if let Some(token) = RefreshToken::parse(&request.token) {
        return revoke_family(app, &client.id, &token, asked.now).await;
    }
    let now = asked.now.to_jiff();
    let Ok(claims) = app.oauth.signer.verify(&request.token, now) else {
        return Ok(()); // not a living token of ours: nothing is left to do (RFC 7009 §2.2)
    };
    if claims.client_id != client.id {
        return Err(OAuthError::UnauthorizedClient);
    }
    let token = RevokedToken {
        jti: claims.jti.clone(),
        client_id: client.id.clone(),
        expires_at: jiff::Timestamp::from_second(claims.exp).unwrap_or(jiff::Timestamp::MAX),
        revoked_at: now,
    };
    let revoked = app.oauth.revoke_token(&app.db, token, asked.now).await;
    revoked.map_err(|error| unavailable(&error))
}

pub(super) fn unavailable(error: &dyn std::fmt::Display) -> OAuthError {
    tracing::error!(%error, "an OAuth request could not be answered");
    OAuthError::Unavailable {
        retry_after_seconds: 1,
    }
}
