//! `POST /oauth/device_authorization`.

use super::super::super::api::{Asked, FORM, TAG, no_store, unavailable};
use super::super::super::client::Client;
use super::super::super::error::{OAuthError, codes};
use super::super::super::request::{DeviceRequest, GrantType};
use super::super::grant::hash;
use super::{DEVICE_LIFE, INTERVAL_SECONDS, UserCode, WAITING_MAX, new_device_code, store};
use crate::app::App;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::http::{Operation, Reply};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// How often another user code is tried when one is taken.
const ATTEMPTS: usize = 3;
/// When too many wait: about the time in which some of them are over.
const RETRY_SECONDS: u32 = 60;

/// What a device is told (RFC 8628 §3.2).
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeviceAnswer {
    /// What the device shows at `POST /oauth/token`, and nobody else sees.
    pub device_code: String,
    /// What somebody types at `verification_uri`.
    pub user_code: String,
    /// Where somebody goes.
    pub verification_uri: String,
    /// The same with the code, for a QR code.
    pub verification_uri_complete: String,
    /// Seconds until both codes expire.
    pub expires_in: u64,
    /// Seconds to wait between two requests at `POST /oauth/token`.
    pub interval: i64,
}

/// The body of `POST /oauth/device_authorization` (RFC 8628 §3.1).
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[allow(
    dead_code,
    reason = "for the OpenAPI document; the body is read by `DeviceRequest::parse`"
)]
pub struct DeviceBody {
    /// Not needed with HTTP Basic.
    #[serde(default)]
    client_id: String,
    /// Not needed with HTTP Basic, and not by public clients.
    #[serde(default)]
    client_secret: String,
    /// Scopes separated by spaces; all of the client's when left away.
    #[serde(default)]
    scope: String,
    /// Where the tokens are to be used (RFC 8707): this API.
    #[serde(default)]
    resource: String,
}

/// What `POST /oauth/device_authorization` promises.
pub fn operation() -> Operation {
    Operation::new("authorizeDevice", TAG, "Begins to let in a device without a browser.")
        .describe("The device shows `user_code` and `verification_uri`; somebody types the one at the other, signs in and allows it. Meanwhile the device asks at `POST /oauth/token` with `grant_type` `urn:ietf:params:oauth:grant-type:device_code` and its `device_code` (RFC 8628), at most every `interval` seconds. The client is authenticated as there.")
        .body::<DeviceBody>()
        .body_also_as(FORM)
        .body_example(json!({ "client_id": "YOUR_CLIENT_ID", "client_secret": "YOUR_CLIENT_SECRET" }))
        .returns::<DeviceAnswer>(200, "The codes.")
        .example(json!({ "device_code": "dc_GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS", "user_code": "WDJB-MJHT", "verification_uri": "https://shop.example/device", "verification_uri_complete": "https://shop.example/device?user_code=WDJB-MJHT", "expires_in": 600, "interval": 5 }))
        .ignores_query()
        .errors(&codes(&["invalid_request", "invalid_client", "unauthorized_client", "invalid_scope", "invalid_target", "temporarily_unavailable"]))
        .error_form("OAuthError")
}

/// `POST /oauth/device_authorization`.
pub async fn authorize_device(State(app): State<App>, request: Request) -> Response {
    match begin(&app, request).await {
        Ok(answer) => no_store(Reply::json(StatusCode::OK, &answer)),
        Err(error) => error.response(&app.config.public_url),
    }
}

async fn begin(app: &App, request: Request) -> Result<DeviceAnswer, OAuthError> {
    let asked = Asked::read(app, request).await?;
    let request = asked.parse(app, DeviceRequest::parse)?;
    let (client, _) = asked.client(app, &request.client).await?;
    if !client.registration.allows(GrantType::DeviceCode) {
        return Err(OAuthError::FlowNotAllowed);
    }
    let audience = app.oauth.signer.audience();
    if request.resource.is_some_and(|wanted| wanted != audience) {
        return Err(OAuthError::InvalidTarget);
    }
    let scopes = client.scopes.narrow(request.scope.as_deref())?;
    let device_code = new_device_code();
    let hash = hash(&device_code);
    let wait = (client, scopes, hash);
    let user_code = insert(app, wait, asked.now).await?;
    let place = format!("{}/device", app.oauth.signer.issuer());
    Ok(DeviceAnswer {
        device_code: device_code.expose().clone(),
        verification_uri_complete: format!("{place}?user_code={user_code}"),
        verification_uri: place,
        user_code: user_code.to_string(),
        expires_in: DEVICE_LIFE.as_secs(),
        interval: INTERVAL_SECONDS,
    })
}

async fn insert(
    app: &App,
    (client, scopes, hash): (std::sync::Arc<Client>, super::Scopes, String),
    now: Timestamp,
) -> Result<UserCode, OAuthError> {
    for _ in 0..ATTEMPTS {
        let (client, hash, code) = (client.clone(), hash.clone(), UserCode::generate());
        let shown = code.clone();
        let inserted: Result<bool, DbError> = app
            .db
            .write(async move |tx| {
                if store::waiting(tx, &client.id, now).await? >= WAITING_MAX {
                    return Ok(false);
                }
                let codes = (hash.as_str(), &code);
                let asked = (&client.id, scopes);
                store::insert_device(tx, codes, asked, now + DEVICE_LIFE).await?;
                Ok(true)
            })
            .await;
        match inserted {
            Ok(true) => return Ok(shown),
            Ok(false) => break,
            Err(error) if error.is_unique("oauth_devices_user_code") => {}
            Err(error) => return Err(unavailable(&error)),
        }
    }
    Err(OAuthError::Unavailable {
        retry_after_seconds: RETRY_SECONDS,
    })
}
