//! What registrations look like on the wire, for the OpenAPI document. Requests are read by
//! [`Metadata::parse`](super::metadata::Metadata::parse), which knows the same bounds and says better what is wrong;
//! a test holds each bound here against what is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a client says of itself (RFC 7591 §2). A member that is `null` is as good as left away; members that are not
/// known are ignored, software statements too. `jwks_uri` is refused: nothing is fetched.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "x-rules" = [{ "anyOf": [{ "required": ["redirect_uris"] }, { "required": ["grant_types"] }] }]))]
#[serde(default)]
pub struct ClientMetadata {
    /// What people are told the client is called; one line. `Unnamed app` when left away.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"\S"))]
    pub client_name: Option<String>,
    /// Where people are sent back to; needed with `authorization_code`. `https`, `http` on `127.0.0.1` or `[::1]`, or of a
    /// scheme that is a reversed domain name. Compared letter by letter.
    #[schemars(length(max = 20), inner(length(min = 1, max = 1000)))]
    pub redirect_uris: Option<Vec<String>>,
    /// How it gets tokens; `authorization_code` alone when left away. `client_credentials` needs an initial access token
    /// made with `--for-machines`, `refresh_token` goes with `authorization_code` or the device flow.
    #[schemars(length(min = 1))]
    pub grant_types: Option<Vec<GrantTypeName>>,
    /// `["code"]` with `authorization_code`, else `[]`; follows from `grant_types` when left away.
    #[schemars(length(max = 1), inner(regex(pattern = "^code$")))]
    pub response_types: Option<Vec<String>>,
    /// How it proves who it is at the token endpoint; `client_secret_basic` when left away. It cannot be changed later.
    pub token_endpoint_auth_method: Option<AuthMethodName>,
    /// Scopes separated by spaces, at most those of the initial access token; all of them when left away.
    pub scope: Option<String>,
    /// Its public keys (RFC 7517): with `private_key_jwt`, and only then.
    pub jwks: Option<ClientKeys>,
    /// Whether its tokens are always bound to a key (RFC 9449).
    pub dpop_bound_access_tokens: Option<bool>,
    /// A page about it. It is shown, and never fetched, as the three that follow.
    #[schemars(length(max = 500), regex(pattern = "^https://"))]
    pub client_uri: Option<String>,
    /// Its logo.
    #[schemars(length(max = 500), regex(pattern = "^https://"))]
    pub logo_uri: Option<String>,
    /// Its terms of service.
    #[schemars(length(max = 500), regex(pattern = "^https://"))]
    pub tos_uri: Option<String>,
    /// What it does with people's data.
    #[schemars(length(max = 500), regex(pattern = "^https://"))]
    pub policy_uri: Option<String>,
    /// How its makers are reached, usually email addresses.
    #[schemars(length(max = 5), inner(length(min = 1, max = 254)))]
    pub contacts: Option<Vec<String>>,
    /// Names the software, the same for all its copies.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"\S"))]
    pub software_id: Option<String>,
    /// The version of the software.
    #[schemars(length(min = 1, max = 100), regex(pattern = r"\S"))]
    pub software_version: Option<String>,
}

/// How a client gets tokens.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantTypeName {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
}

/// How a client proves who it is at the token endpoint.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethodName {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    None,
}

/// Public keys (RFC 7517 §5), 16 KiB at most.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClientKeys {
    /// Each with a `kid` of its own, if it has one: Ed25519, P-256 or RSA of 2,048 bits and more.
    #[schemars(length(min = 1, max = 10))]
    pub keys: Vec<Map<String, Value>>,
}

/// A registration that replaces the one before: what is left away is as in a new one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChangedRegistration {
    /// That of the registration.
    #[schemars(regex(pattern = "^cli_[A-Za-z0-9_]{1,64}$"))]
    pub client_id: String,
    /// Not needed; if it is sent, the one that was issued.
    #[serde(default)]
    pub client_secret: Option<String>,
    #[serde(flatten)]
    pub metadata: ClientMetadata,
}

/// A client as it is registered (RFC 7591 §3.2.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Registration {
    pub client_id: String,
    /// When it registered, in seconds since 1970.
    pub client_id_issued_at: i64,
    /// Shown this once, when it registers; public clients and those that sign have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// With `client_secret`: always 0, it does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// With it the client reads, replaces and deletes this registration.
    pub registration_access_token: String,
    /// Where it does so.
    pub registration_client_uri: String,
    pub client_name: String,
    pub redirect_uris: Vec<String>,
    pub grant_types: Vec<GrantTypeName>,
    pub response_types: Vec<String>,
    pub token_endpoint_auth_method: AuthMethodName,
    /// Separated by spaces.
    pub scope: String,
    pub dpop_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<ClientKeys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}
