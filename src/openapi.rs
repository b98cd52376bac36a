//! The OpenAPI 3.1 document: made from the table that is also the router, and from the types that read
//! the requests.

use crate::oauth::Scope;
use crate::oauth::dynamic::api::{INITIAL_TOKEN, REGISTRATION_TOKEN};
use crate::oauth::error::ErrorBody;
use crate::{error, router};
use platform::http::{Document, IDEMPOTENCY_KEY_PATTERN, IF_MATCH_PATTERN};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The chapters in the order of the reference.
const TAGS: &[(&str, &str)] = &[
    (
        "Authentication",
        "Accessing protected resources requires authentication. We support OAuth 2.0. Obtain an access token by following the standard OAuth 2.0 flows.",
    ),
    (
        "Users",
        "The people who buy. Lists show the documented fields, a single user shows everything.",
    ),
    (
        "Products",
        "Manage product catalog, inventory, and pricing.",
    ),
    ("Search", "Find products by what people type."),
    (
        "Inventory",
        "Stock is a ledger: levels are the sums of append-only movements.",
    ),
    ("Orders", "View and manage customer orders."),
    ("Notifications", "Send real-time notifications to users."),
    (
        "Reports",
        "Generate custom reports on sales, user activity, and more.",
    ),
    ("Integrations", "Manage third-party integrations."),
    ("Operations", "For those who run the server."),
    (
        "Documentation",
        "This reference, for programs and for people.",
    ),
];

const DESCRIPTION: &str = "This documentation provides comprehensive details on how to integrate with our services using the version 2 of our API.\n\nOur API is RESTful and uses standard HTTP methods such as GET, POST, PUT, DELETE. All requests and responses are in JSON format. For security, all API requests must be authenticated.\n\nThe same rules hold for every endpoint: lists are bare arrays and page by `limit` and `offset` or by the `Link` header; every write takes an `Idempotency-Key`; single objects carry an `ETag` that `If-Match` takes back; unknown parameters and fields are refused; errors are `application/problem+json` with a stable `code`.";

/// The document as it is served and committed: indented JSON with a line break at its end, the same bytes
/// for the same program and `public_url` (without a slash at its end).
pub fn document(public_url: &str) -> String {
    print(&build(public_url))
}

pub(crate) fn print(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("a JSON value is always JSON");
    text.push('\n');
    text
}

pub(crate) fn build(public_url: &str) -> Value {
    let mut document = Document::default();
    for endpoint in router::endpoints() {
        document.add(&endpoint);
    }
    let tags: Vec<Value> = TAGS
        .iter()
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    let mut document = document.finish(json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "Tradepost API",
            "version": "2.1.0",
            "summary": "Users, products, orders, notifications, reports and integrations over HTTP.",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "security": [{ "oauth2": [] }],
        "tags": tags,
        "paths": {},
        "webhooks": {},
        "components": {
            "securitySchemes": {
                "oauth2": oauth2(public_url),
                INITIAL_TOKEN: bearer("An initial access token (RFC 7591), made by an operator with `tradepost registration-tokens create`, as `Authorization: Bearer reg_…`."),
                REGISTRATION_TOKEN: bearer("The `registration_access_token` that the client got when it registered (RFC 7592), as `Authorization: Bearer rat_…`."),
            },
            "schemas": { "Problem": problem_schema(), "OAuthError": oauth_error_schema() },
            "responses": responses(),
            "parameters": parameters(),
            "headers": headers(),
        },
        "x-error-codes": error_codes(),
    }));
    keep_used_tags(&mut document);
    document
}

/// A chapter without endpoints is not shown.
fn keep_used_tags(document: &mut Value) {
    let operations = document["paths"].as_object().into_iter().flatten();
    let used: Vec<Value> = operations
        .flat_map(|(_, path)| path.as_object().into_iter().flatten())
        .map(|(_, operation)| operation["tags"][0].clone())
        .collect();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| used.contains(&tag["name"]));
    }
}

fn oauth2(public_url: &str) -> Value {
    let scopes: Map<String, Value> = Scope::ALL
        .iter()
        .map(|scope| (scope.name().to_owned(), json!(scope.description())))
        .collect();
    json!({
        "type": "oauth2",
        "description": "Send the access token as `Authorization: Bearer …`.",
        "flows": { "clientCredentials": { "tokenUrl": format!("{public_url}/oauth/token"), "scopes": scopes } },
    })
}

/// A token of another kind than access tokens.
fn bearer(description: &str) -> Value {
    json!({ "type": "http", "scheme": "bearer", "description": description })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "An error (RFC 9457). Some codes add members of their own, such as `allowed` or `available`.",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "A page about this code." },
            "title": { "type": "string", "description": "The same for every problem of this code." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status." },
            "detail": { "type": "string", "description": "What was wrong this time." },
            "instance": { "type": "string", "format": "uri-reference", "description": "`urn:request:` and the request id." },
            "code": { "type": "string", "pattern": "^[a-z_]{1,64}$", "description": "Stable: what programs branch on. `x-error-codes` lists them all." },
            "request_id": { "type": "string", "description": "Also in `X-Request-Id` and in the server's log." },
            "errors": {
                "type": "array",
                "description": "Every violation at once.",
                "items": {
                    "type": "object",
                    "required": ["code", "detail"],
                    "properties": {
                        "pointer": { "type": "string", "description": "A JSON Pointer into the body, such as `#/items/0/quantity`." },
                        "parameter": { "type": "string", "description": "A query parameter." },
                        "header": { "type": "string", "description": "A request header." },
                        "code": { "type": "string", "description": "Stable, such as `required` or `too_long`." },
                        "detail": { "type": "string", "description": "What was expected." },
                    },
                    "oneOf": [{ "required": ["pointer"] }, { "required": ["parameter"] }, { "required": ["header"] }],
                },
            },
        },
    })
}

fn oauth_error_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.meta_schema = None);
    let generator = settings.for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<ErrorBody>().to_value();
    if let Some(members) = schema.as_object_mut() {
        members.remove("title");
    }
    schema
}

fn refer(kind: &str, names: &[&str]) -> Value {
    let reference = |name| json!({ "$ref": format!("#/components/{kind}/{name}") });
    let pairs = names
        .iter()
        .map(|name| ((*name).to_owned(), reference(name)));
    Value::Object(pairs.collect())
}

fn responses() -> Value {
    let names = [
        "X-Request-Id",
        "WWW-Authenticate",
        "Allow",
        "Retry-After",
        "RateLimit",
        "RateLimit-Policy",
    ];
    json!({
        "Problem": {
            "description": "An error, as `application/problem+json` (RFC 9457).",
            "headers": refer("headers", &names),
            "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
                "example": {
                    "type": "/problems/invalid_parameter", "title": "A query parameter is unknown, repeated or invalid.",
                    "status": 400, "detail": "limt: not a parameter of this endpoint",
                    "instance": "urn:request:0192f3a0-7c1e-7000-8000-000000000000", "code": "invalid_parameter",
                    "request_id": "0192f3a0-7c1e-7000-8000-000000000000",
                    "errors": [{ "parameter": "limt", "code": "unknown_parameter", "detail": "not a parameter of this endpoint" }],
                },
            } },
        },
        "OAuthError": {
            "description": "An error in the form of RFC 6749 §5.2.",
            "headers": refer("headers", &names[..4]),
            "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/OAuthError" },
                "example": {
                    "error": "invalid_client", "error_description": "client authentication failed",
                    "error_uri": "https://shop.example/problems/invalid_client",
                },
            } },
        },
    })
}

/// Neither has an example: programs that try examples would use one key for everything.
fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A fresh random value (a UUID, say) for each thing to be done, and the same value for each try of it: the work is done once, and a later try is answered with what the first one was answered. Kept for 24 hours.",
            "schema": { "type": "string", "pattern": IDEMPOTENCY_KEY_PATTERN },
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` of the object as it was read, such as `\"3.9f8e7d6c\"`: if it has changed since, the answer is 412 and nothing happens.",
            "schema": { "type": "string", "pattern": IF_MATCH_PATTERN },
        },
    })
}

fn headers() -> Value {
    let text =
        |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let count = |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "X-Request-Id": text("Names the request in the server's log; the one that was sent, if it was valid."),
        "RateLimit": text("What is left of the client's rate and when it is full again: `\"default\";r=199;t=1`."),
        "RateLimit-Policy": text("The client's rate: `\"default\";q=200;w=2`."),
        "Retry-After": count("Seconds to wait."),
        "WWW-Authenticate": text("What is missing: a token, or the scope that it names (RFC 6750 §3)."),
        "Allow": text("The methods that the path knows."),
        "Link": text("Pages of the list: `rel=\"next\"` as long as there is more, `prev`, `first` (RFC 8288)."),
        "X-Total-Count": count("How many rows there are, when `include_total=true` was asked for."),
        "ETag": text("The version of the object, for `If-Match` and `If-None-Match`."),
        "Location": text("Where the object is."),
        "Idempotent-Replayed": text("`true` when this is the stored answer of an earlier try."),
    })
}

fn error_codes() -> Vec<Value> {
    error::all_codes()
        .map(|code| json!({ "code": code.code, "status": code.status, "title": code.title, "description": code.help }))
        .collect()
}
