//! Errors as RFC 9457 `application/problem+json` with a stable `code`.

use super::layer::current_request_id;
use crate::db::DbError;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A kind of error: contract, never renamed. Each chapter lists its own; the product's registry
/// collects them for the OpenAPI document and the pages at `/problems/<code>`.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// snake_case, what programs branch on.
    pub code: &'static str,
    /// The HTTP status it always comes with.
    pub status: u16,
    /// One short sentence for people, the same every time.
    pub title: &'static str,
    /// What happened and what the caller can do, for the page about it.
    pub help: &'static str,
}

/// What is wrong with one field, parameter or header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    #[serde(flatten)]
    pub place: Place,
    /// Stable, such as `required` or `too_long`.
    pub code: &'static str,
    /// What was expected.
    pub detail: String,
}

/// Where a [`FieldError`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A JSON Pointer into the request body as a URI fragment (RFC 6901 §6), such as `#/items/0/quantity`.
    Pointer(String),
    /// A query parameter.
    Parameter(String),
    /// A request header.
    Header(&'static str),
}

/// An error answer. What it shows is meant for the caller; the cause is for the log only.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: &'static Code,
    detail: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<DbError>,
}

impl Problem {
    /// `detail` says what is wrong this time.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Inner {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            members: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// Adds the fields at fault.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Problem {
        self.0.errors.extend(errors);
        self
    }

    /// Adds one field at fault in the body; `pointer` begins with `#/`.
    pub fn at(self, pointer: &str, code: &'static str, detail: impl Into<String>) -> Problem {
        let place = Place::Pointer(pointer.to_owned());
        self.with_errors(vec![FieldError {
            place,
            code,
            detail: detail.into(),
        }])
    }

    /// Adds one query parameter at fault.
    pub fn parameter(self, name: &str, code: &'static str, detail: impl Into<String>) -> Problem {
        let place = Place::Parameter(name.to_owned());
        self.with_errors(vec![FieldError {
            place,
            code,
            detail: detail.into(),
        }])
    }

    /// Adds an extension member, such as `allowed` or `available`.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Problem {
        self.0.members.insert(member.to_owned(), value.into());
        self
    }

    /// Adds a header, such as `Retry-After`.
    pub fn header(mut self, name: HeaderName, value: &str) -> Problem {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// Which kind it is.
    pub fn code(&self) -> &'static Code {
        self.0.code
    }

    /// Whether `response` is a problem of this code.
    pub fn is_of(response: &Response, code: &Code) -> bool {
        let logged = response.extensions().get::<LoggedCode>();
        logged.is_some_and(|logged| logged.0 == code.code)
    }

    /// What is wrong, in one sentence.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong, by field.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The JSON body.
    pub fn body(&self, request_id: &str) -> String {
        let mut body = json!({
            "type": self.type_uri(),
            "title": self.0.code.title,
            "status": self.0.code.status,
            "detail": self.0.detail,
            "instance": format!("urn:request:{request_id}"),
            "code": self.0.code.code,
            "request_id": request_id,
        });
        if let Value::Object(members) = &mut body {
            if !self.0.errors.is_empty() {
                members.insert("errors".into(), json!(self.0.errors));
            }
            members.extend(self.0.members.clone());
        }
        body.to_string()
    }

    fn type_uri(&self) -> String {
        if self.0.code.code == codes::RATE_LIMITED.code {
            // Registered by the RateLimit header fields draft, which asks for exactly this type.
            return "https://iana.org/assignments/http-problem-types#quota-exceeded".to_owned();
        }
        format!("/problems/{}", self.0.code.code)
    }
}

/// What a chapter did not turn into an answer of its own: the caller learns only that it failed, the
/// log learns why.
impl From<DbError> for Problem {
    fn from(error: DbError) -> Problem {
        let mut problem = match &error {
            DbError::Busy(_) => Problem::new(
                &codes::OVERLOADED,
                "the database is busy; nothing was changed",
            )
            .header(header::RETRY_AFTER, "1"),
            DbError::Unique { .. } => {
                Problem::new(&codes::CONFLICT, "another request has just made the same")
            }
            DbError::Failed(_) => Problem::new(
                &codes::UNAVAILABLE,
                "the database did not answer; nothing was changed",
            )
            .header(header::RETRY_AFTER, "1"),
            _ => Problem::new(
                &codes::INTERNAL,
                "the cause is in the server's log under the request id",
            ),
        };
        problem.0.cause = Some(error);
        problem
    }
}

/// Marks an answer for the request log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoggedCode(pub &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let request_id = current_request_id();
        let code = self.code().code;
        if let Some(cause) = &self.0.cause {
            // Logged once, here, where it is answered.
            tracing::error!(%request_id, code, error = cause as &dyn std::error::Error, "a request failed");
        }
        let mut response = (self.status(), self.body(&request_id)).into_response();
        response.extensions_mut().insert(LoggedCode(code));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.0.headers);
        response
    }
}

/// The errors that every endpoint can answer.
pub mod codes {
    use super::Code;

    macro_rules! codes {
        ($($name:ident = $code:literal $status:literal $title:literal $help:literal;)*) => {
            $(#[doc = $title] pub static $name: Code = Code { code: $code, status: $status, title: $title, help: $help };)*
            /// All of them.
            pub static ALL: &[&Code] = &[$(&$name),*];
        };
    }

    codes! {
        MALFORMED_JSON = "malformed_json" 400 "The body is not acceptable JSON." "The body is not valid JSON in UTF-8, repeats a key, nests deeper than 64 levels or contains U+0000. Nothing was changed.";
        INVALID_PARAMETER = "invalid_parameter" 400 "A query parameter is unknown, repeated or invalid." "Unknown parameters are refused, so that a typing error cannot drop a filter. `errors` names each parameter and what was expected.";
        INVALID_CURSOR = "invalid_cursor" 400 "The cursor is not one of ours, or belongs to another query." "Follow the `Link: rel=\"next\"` header as it is, or start again without `cursor`.";
        INVALID_HEADER = "invalid_header" 400 "A request header is invalid." "`errors` names the header and what was expected.";
        IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required" 400 "This server wants an Idempotency-Key here." "Send an `Idempotency-Key` header with a fresh random value, and the same value when you retry.";
        UNAUTHORIZED = "unauthorized" 401 "A valid access token is needed." "Get a token from `POST /oauth/token` and send it as `Authorization: Bearer …`. An expired or revoked token is answered the same way.";
        INSUFFICIENT_SCOPE = "insufficient_scope" 403 "The access token does not carry the scope that this needs." "`WWW-Authenticate` names the scope. Ask for it when you get the token, or have it granted to the client.";
        NOT_FOUND = "not_found" 404 "There is nothing here." "The path does not exist, or the object does not exist, was deleted, or is not visible to this client.";
        METHOD_NOT_ALLOWED = "method_not_allowed" 405 "This path does not know this method." "`Allow` lists the methods that it knows.";
        NOT_ACCEPTABLE = "not_acceptable" 406 "The answer is JSON, which Accept excludes." "Leave `Accept` away or let it include `application/json`.";
        REQUEST_TIMEOUT = "request_timeout" 408 "The request body did not arrive in time." "Send the body without pauses. Nothing was changed.";
        CONFLICT = "conflict" 409 "The request contradicts the present state." "Read the object again and decide anew.";
        IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress" 409 "A request with this Idempotency-Key is still running." "Wait as long as `Retry-After` says and send it again.";
        ANSWER_ERASED = "answer_erased" 410 "This was done, and what was answered has been erased." "The request with this Idempotency-Key was carried out once and is not carried out again. Its answer told of a person who has been forgotten since. `original_status` is what it was answered with, `location` where the object is, if it is there still.";
        PRECONDITION_FAILED = "precondition_failed" 412 "The object has changed since you read it." "`ETag` carries the present version. Read the object again and repeat the change on it.";
        PAYLOAD_TOO_LARGE = "payload_too_large" 413 "The body is larger than this server takes." "The limit is 1 MiB after decompression.";
        URI_TOO_LONG = "uri_too_long" 414 "The path and query are longer than this server takes." "The limit is 8 KiB.";
        UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type" 415 "The body must be JSON." "Send `Content-Type: application/json`.";
        UNSUPPORTED_CONTENT_ENCODING = "unsupported_content_encoding" 415 "The body is encoded in a way that this server cannot undo." "Send the body as it is, or with one `Content-Encoding: gzip` or `zstd`. `Accept-Encoding` lists them.";
        HEADERS_TOO_LARGE = "headers_too_large" 431 "The header fields are larger than this server takes." "All header fields together may have 32 KiB, and there may be 128 of them.";
        INVALID_BODY = "invalid_body" 422 "The body breaks a rule." "`errors` lists every violation with a JSON Pointer and what was expected. Nothing was changed.";
        IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused" 422 "This Idempotency-Key was used for another request." "A key belongs to one method, path, query and body for 24 hours. Use a fresh one for another request.";
        RATE_LIMITED = "rate_limited" 429 "Too many requests." "`RateLimit` tells what is left, `Retry-After` how long to wait.";
        INTERNAL = "internal_error" 500 "Something went wrong on our side." "The cause is in the server's log under `request_id`. Nothing was half done; retry with the same Idempotency-Key.";
        OVERLOADED = "overloaded" 503 "The server is too busy at the moment." "Nothing was changed. Wait as long as `Retry-After` says and send it again.";
        UNAVAILABLE = "unavailable" 503 "The database cannot be reached." "Nothing was changed. Try again in a moment.";
        TIMEOUT = "timeout" 503 "The request took too long and was given up." "A write that was given up was rolled back or is found under its Idempotency-Key: retry with the same key.";
    }
}
