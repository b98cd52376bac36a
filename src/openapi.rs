//! The OpenAPI 3.1 document: the endpoints of the router, and what all of them share.

use crate::error::all_codes;
use crate::oauth::Scope;
use crate::router::endpoints;
use platform::http::Document;
use serde_json::{Map, Value, json};

/// The document of a server that clients reach at `public_url`.
pub fn document(public_url: &str) -> Value {
    let mut document = Document::default();
    for endpoint in endpoints() {
        document.add(&endpoint);
    }
    document.finish(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tradepost API",
            "version": "2.1.0",
            "summary": "Users, products, orders, notifications, reports and integrations over HTTP.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "tags": tags(),
        "paths": {},
        "components": {
            "securitySchemes": { "oauth2": {
                "type": "oauth2",
                "flows": { "clientCredentials": { "tokenUrl": format!("{public_url}/oauth/token"), "scopes": scopes() } },
            } },
            "parameters": parameters(),
            "responses": {
                "Problem": refusal("The request was refused, or the server failed: `code` says why.", "application/problem+json", "Problem"),
                "Error": refusal("The request was refused in the form of its own standard.", "application/json", "OAuthError"),
            },
            "schemas": { "Problem": problem(), "OAuthError": oauth_error() },
        },
        "x-error-codes": error_codes(),
    }))
}

fn tags() -> Value {
    let tags = [
        (
            "Authentication",
            "Protected resources need an access token of OAuth 2.0.",
        ),
        ("Users", "The people who buy."),
        ("Products", "The product catalog, inventory and pricing."),
        ("Orders", "View and manage customer orders."),
        ("Notifications", "Messages to users."),
        ("Reports", "Sales, user activity and inventory."),
        ("Integrations", "What this server is connected to."),
    ];
    tags.iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect()
}

fn scopes() -> Value {
    let describe = |scope: &Scope| {
        let (resource, right) = scope.name().split_once(':').unwrap_or((scope.name(), ""));
        (
            scope.name().to_owned(),
            json!(format!("{resource}: {right}")),
        )
    };
    Value::Object(Scope::ALL.iter().map(describe).collect::<Map<_, _>>())
}

fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes a retry safe: the same key never does the thing twice. Kept for 24 hours.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` that was read; refused with 412 when the object has changed since.",
            "schema": { "type": "string", "maxLength": 100 },
        },
    })
}

fn refusal(description: &str, media_type: &str, schema: &str) -> Value {
    let content =
        json!({ media_type: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    json!({ "description": description, "content": content })
}

/// RFC 9457, with what this server adds.
fn problem() -> Value {
    let field = json!({
        "type": "object",
        "required": ["code", "detail"],
        "properties": {
            "pointer": { "type": "string", "description": "JSON Pointer into the request body, such as `#/items/0/quantity`." },
            "parameter": { "type": "string", "description": "The query parameter." },
            "header": { "type": "string", "description": "The request header." },
            "code": { "type": "string" },
            "detail": { "type": "string" },
        },
    });
    json!({
        "type": "object",
        "description": "RFC 9457, Problem Details for HTTP APIs.",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "A page that explains the code." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
            "code": { "type": "string", "description": "Stable: what programs branch on." },
            "request_id": { "type": "string" },
            "errors": { "type": "array", "items": field },
        },
    })
}

/// RFC 6749 §5.2.
fn oauth_error() -> Value {
    json!({
        "type": "object",
        "description": "RFC 6749 §5.2.",
        "required": ["error"],
        "properties": {
            "error": { "type": "string" },
            "error_description": { "type": "string" },
            "error_uri": { "type": "string", "format": "uri" },
        },
    })
}

fn error_codes() -> Value {
    all_codes()
        .map(|code| json!({ "code": code.code, "status": code.status, "title": code.title, "description": code.help }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(document: &Value, value: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(target)) = members.get("$ref") {
                        let pointer = target.trim_start_matches('#');
                        assert!(document.pointer(pointer).is_some(), "{target}");
                    }
                    members.values().for_each(|value| check(document, value));
                }
                Value::Array(items) => items.iter().for_each(|value| check(document, value)),
                _ => {}
            }
        }
        let document = document("https://shop.example");
        check(&document, &document);
        assert_eq!(
            document["paths"]["/v2/users"]["get"]["x-scopes"],
            json!(["users:read"])
        );
    }
}
