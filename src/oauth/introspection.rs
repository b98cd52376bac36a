//! `POST /oauth/introspect` (RFC 7662): whether a token is alive, for who may ask that about anybody's.

use super::api::{Asked, DPOP, FORM, TAG, no_store};
use super::error::{OAuthError, codes};
use super::request::RevokeRequest;
use super::scope::{Scope, Scopes};
use super::token::Claims;
use crate::app::App;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{Operation, Reply};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// The body of `POST /oauth/introspect` (RFC 7662 §2.1).
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[allow(
    dead_code,
    reason = "for the OpenAPI document; the body is read by `RevokeRequest::parse`"
)]
pub struct IntrospectBody {
    /// The token that is asked about.
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

/// What is known of a token (RFC 7662 §2.2). Of a dead one `active` alone is said.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct IntrospectAnswer {
    /// Whether it would be accepted now. A token that is unknown, expired, revoked or not ours is not.
    pub active: bool,
    /// What the token says of itself.
    #[serde(flatten)]
    pub token: Option<Introspected>,
}

/// The claims of a living token.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Introspected {
    /// What it allows, separated by spaces.
    pub scope: String,
    /// Who asked for it.
    pub client_id: String,
    /// How it is sent.
    #[schemars(extend("enum" = ["Bearer", "DPoP"]))]
    pub token_type: &'static str,
    /// The second in which it expires, since 1970.
    pub exp: i64,
    /// The second in which it was issued.
    pub iat: i64,
    /// Who acts: the client itself, or a user it acts for.
    pub sub: String,
    /// The API it is for.
    pub aud: String,
    /// Who issued it.
    pub iss: String,
    /// Names this one token.
    pub jti: String,
    /// The key that it is bound to, if it is (RFC 9449 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<BoundTo>,
}

/// A key by its thumbprint (RFC 7638).
#[derive(Debug, Serialize, JsonSchema)]
pub struct BoundTo {
    pub jkt: String,
}

impl From<&Claims> for Introspected {
    fn from(claims: &Claims) -> Introspected {
        Introspected {
            scope: claims.scope.to_string(),
            client_id: claims.client_id.to_string(),
            token_type: if claims.cnf.is_some() { DPOP } else { "Bearer" },
            exp: claims.exp,
            iat: claims.iat,
            sub: claims.sub.clone(),
            aud: claims.aud.clone(),
            iss: claims.iss.clone(),
            jti: claims.jti.clone(),
            cnf: claims.cnf.as_ref().map(|key| BoundTo {
                jkt: key.jkt.clone(),
            }),
        }
    }
}

/// What `POST /oauth/introspect` promises.
pub fn introspect_operation() -> Operation {
    Operation::new("introspectToken", TAG, "Says whether an access token is alive.")
        .describe("For a service behind this one that is shown a token and has to know what it is worth (RFC 7662). The client is authenticated as at `POST /oauth/token` and needs the scope `tokens:introspect`; it may ask about tokens of all clients. Of a token that is unknown, expired, revoked or not ours the answer is `{\"active\":false}` and nothing else.")
        .body::<IntrospectBody>()
        .body_also_as(FORM)
        .body_example(json!({ "token": "eyJhbGciOiJIUzI1NiIsIn...", "client_id": "YOUR_CLIENT_ID", "client_secret": "YOUR_CLIENT_SECRET" }))
        .returns::<IntrospectAnswer>(200, "What is known of the token.")
        .example(json!({ "active": true, "scope": "orders:read", "client_id": "cli_123", "token_type": "Bearer", "exp": 1_698_404_400, "iat": 1_698_400_800, "sub": "cli_123", "aud": "https://shop.example/v2", "iss": "https://shop.example", "jti": "4Zg0bVYb1kQe8-3TtHVn1MPmZ0eYdBq6wLsX" }))
        .ignores_query()
        .errors(&codes(&["invalid_request", "invalid_client", "unauthorized_client", "temporarily_unavailable"]))
        .error_form("OAuthError")
}

/// `POST /oauth/introspect`.
pub async fn introspect(State(app): State<App>, request: Request) -> Response {
    match look(&app, request).await {
        Ok(answer) => no_store(Reply::json(StatusCode::OK, &answer)),
        Err(error) => error.response(&app.config.public_url),
    }
}

async fn look(app: &App, request: Request) -> Result<IntrospectAnswer, OAuthError> {
    let asked = Asked::read(app, request).await?;
    let request = asked.parse(app, RevokeRequest::parse)?;
    let (client, _) = asked.client(app, &request.client).await?;
    if !client.scopes.contains(Scope::TokensIntrospect) {
        return Err(OAuthError::ScopeNeeded(Scope::TokensIntrospect));
    }
    let verified = app.oauth.signer.verify(&request.token, asked.now.to_jiff());
    let Ok(claims) = verified else {
        return Ok(IntrospectAnswer::default());
    };
    // What the person whom it acts for may still do: nothing, when their account is closed.
    let scopes = app.oauth.caps.narrow(&claims);
    if scopes == Scopes::NONE {
        return Ok(IntrospectAnswer::default());
    }
    let token = Introspected {
        scope: scopes.to_string(),
        ..claims.as_ref().into()
    };
    Ok(IntrospectAnswer {
        active: true,
        token: Some(token),
    })
}
