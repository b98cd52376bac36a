//! What an integration is, and the ones there are.

use platform::clock::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// A system that Tradepost works with.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Integration {
    /// Stable.
    pub id: &'static str,
    pub name: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub status: Status,
    /// What it adds, as stable words.
    pub capabilities: &'static [&'static str],
    /// JSON Schema of its settings; what is secret is `writeOnly` and never shown.
    pub config_schema: Value,
    pub health: Health,
    /// Where it is explained.
    pub docs_url: String,
    /// The version of Tradepost that brings it.
    pub version: &'static str,
}

/// What an integration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "IntegrationCategory")]
pub enum Category {
    Notifications,
    Monitoring,
    Development,
    Identity,
}

/// Whether an integration is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "IntegrationStatus")]
pub enum Status {
    /// It can be used; nothing is connected.
    Available,
    /// It is configured and answers.
    Connected,
    /// It is configured and does not work; `health.detail` says why.
    Error,
    /// It was switched off.
    Disabled,
}

/// How an integration was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    pub state: HealthState,
    /// Absent where there is nothing outside this server to check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// One sentence.
    pub detail: String,
}

/// Whether it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    Ok,
    Failing,
    /// There is nothing to check: it is not configured.
    Unknown,
}

impl Health {
    /// Served by this server itself, so it works if this answer arrives.
    fn served(detail: &str) -> Health {
        Health {
            state: HealthState::Ok,
            checked_at: None,
            detail: detail.to_owned(),
        }
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All of them, by id. `smtp` is what is known of the mail server; `public_url` has no slash at its end.
pub fn all(smtp: (Status, Health), public_url: &str) -> Vec<Integration> {
    let docs_url = format!("{public_url}/docs");
    let no_settings =
        || json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let (smtp_status, smtp_health) = smtp;
    vec![
        Integration {
            id: "oauth2",
            name: "OAuth 2.0 resource servers",
            category: Category::Identity,
            description: "Other services verify our access tokens themselves: authorization server metadata (RFC 8414) and the public keys (RFC 7517).",
            status: Status::Available,
            capabilities: &["authorization_server_metadata", "jwks"],
            config_schema: no_settings(),
            health: Health::served(
                "served at /.well-known/oauth-authorization-server and /.well-known/jwks.json",
            ),
            docs_url: docs_url.clone(),
            version: VERSION,
        },
        Integration {
            id: "openapi",
            name: "OpenAPI clients",
            category: Category::Development,
            description: "Typed clients in any language are generated from the OpenAPI 3.1 document of this very server.",
            status: Status::Available,
            capabilities: &["typed_clients", "contract_tests"],
            config_schema: no_settings(),
            health: Health::served("served at /openapi.json"),
            docs_url: docs_url.clone(),
            version: VERSION,
        },
        Integration {
            id: "prometheus",
            name: "Prometheus",
            category: Category::Monitoring,
            description: "Requests, latencies, job queues and memory for any scraper of the Prometheus text format.",
            status: Status::Available,
            capabilities: &["metrics"],
            config_schema: no_settings(),
            health: Health::served("served at /metrics"),
            docs_url: docs_url.clone(),
            version: VERSION,
        },
        Integration {
            id: "smtp",
            name: "SMTP",
            category: Category::Notifications,
            description: "Notifications of type `email` leave through this mail server.",
            status: smtp_status,
            capabilities: &["email"],
            config_schema: smtp_schema(),
            health: smtp_health,
            docs_url,
            version: VERSION,
        },
    ]
}

fn smtp_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "smtp_url": {
                "type": "string", "format": "uri", "pattern": "^smtps?://", "writeOnly": true,
                "description": "`smtp://user:password@host:port`, with `?tls=required` for STARTTLS, or `smtps://…`. Set where the server is started: `--smtp-url` or `TRADEPOST_SMTP_URL`."
            },
            "mail_from": {
                "type": "string", "maxLength": 320, "default": "Tradepost <tradepost@localhost>",
                "description": "The sender, such as `Shop <shop@example.com>`."
            }
        },
        "required": ["smtp_url"],
        "additionalProperties": false
    })
}
