//! Writes: a strict body, an optional `Idempotency-Key`, an optional `If-Match`.
//!
//! The key's row is written in the same transaction as the work (or, when the work was refused and
//! changed nothing, right after it), so a retry can never do it twice and a crash leaves no key
//! without its work.

use super::if_match::IfMatch;
use super::layer::{ClientName, RequestId};
use super::problem::{FieldError, Place, Problem, codes};
use super::reply::Reply;
use super::schema::decode;
use super::strict::parse_strict;
use crate::clock::Timestamp;
use crate::db::{Db, DbError, Param, Row, Tx, placeholders};
use crate::params;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// What a PATCH takes, as `Accept-Patch` says it (RFC 5789 §3.1).
pub const PATCH_TYPES: &str = "application/merge-patch+json, application/json";
/// The largest request body, after decompression.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// Subjects that one statement erases.
const SUBJECTS_AT_A_TIME: usize = 500;
/// How long a key is remembered.
const KEY_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A write request whose body reads as `T`.
#[derive(Debug)]
pub struct Command<T> {
    /// The checked body.
    pub body: T,
    /// What makes it happen once.
    pub once: Once,
}

/// The body of a request that needs nothing but its path; it may be left away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct NoFields {}

/// A change of an existing object (RFC 7396): the fields that were sent, not yet checked, because
/// read-only fields may be sent back unchanged and only the present object can tell.
#[derive(Debug)]
pub struct MergePatch {
    /// The fields that were sent.
    pub fields: Map<String, Value>,
    /// What makes it happen once.
    pub once: Once,
}

/// The identity of a write request.
#[derive(Debug)]
pub struct Once {
    key: Option<String>,
    client: String,
    fingerprint: String,
    request_id: String,
    if_match: IfMatch,
}

impl<S, T> FromRequest<S> for Command<T>
where
    S: Send + Sync,
    T: DeserializeOwned + JsonSchema + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (once, value) = read(request).await?;
        Ok(Command {
            body: decode(value)?,
            once,
        })
    }
}

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (once, value) = read(request).await?;
        match value {
            Value::Object(fields) => Ok(MergePatch { fields, once }),
            _ => Err(Problem::new(&codes::INVALID_BODY, "expected an object").at(
                "#",
                "invalid_type",
                "expected object",
            )),
        }
    }
}

impl MergePatch {
    /// Checks the change against `current` (the object as a GET shows it): fields of `current` that `T`
    /// does not know are read-only and accepted only unchanged.
    ///
    /// # Errors
    /// 422 with `read_only` for each changed one, and all that breaks the schema of `T`.
    pub fn read_against<T>(fields: &Map<String, Value>, current: &Value) -> Result<T, Problem>
    where
        T: DeserializeOwned + JsonSchema + 'static,
    {
        let schema = super::schema::Schema::of::<T>();
        let known = schema
            .json
            .pointer("/properties")
            .and_then(Value::as_object);
        let mut wanted = Map::new();
        let mut errors = Vec::new();
        for (name, value) in fields {
            let writable = known.is_some_and(|known| known.contains_key(name));
            match current.get(name) {
                _ if writable => {
                    wanted.insert(name.clone(), value.clone());
                }
                Some(present) if present == value => {}
                Some(_) => errors.push(FieldError {
                    place: Place::Pointer(format!("#/{name}")),
                    code: "read_only",
                    detail: format!("`{name}` cannot be changed here"),
                }),
                None => {
                    wanted.insert(name.clone(), value.clone()); // the schema refuses it by name
                }
            }
        }
        let wanted = Value::Object(wanted);
        errors.extend(schema.violations(&wanted));
        if !errors.is_empty() {
            return Err(super::schema::field_errors_to_problem(errors));
        }
        decode(wanted)
    }
}

async fn read(request: Request) -> Result<(Once, Value), Problem> {
    let (parts, body) = request.into_parts();
    let bytes = read_body(&parts.headers, body).await?;
    let untyped = !parts.headers.contains_key(header::CONTENT_TYPE);
    let value = if bytes.is_empty() && (untyped || parts.method == Method::DELETE) {
        Value::Object(Map::new()) // a command that needs nothing, such as POST …/cancel
    } else {
        require_json(&parts.method, &parts.headers)?;
        parse_strict(&bytes).map_err(|reason| Problem::new(&codes::MALFORMED_JSON, reason))?
    };
    let key = idempotency_key(&parts.headers)?;
    let fingerprint = match &key {
        Some(_) => fingerprint(&parts.method, parts.uri.path(), parts.uri.query(), &bytes),
        None => String::new(), // nothing will ask for it
    };
    let once = Once {
        key,
        client: parts
            .extensions
            .get::<ClientName>()
            .map(|client| client.0.to_string())
            .unwrap_or_default(),
        fingerprint,
        request_id: parts
            .extensions
            .get::<RequestId>()
            .map(|id| id.0.to_string())
            .unwrap_or_default(),
        if_match: IfMatch::read(&parts.headers)?,
    };
    Ok((once, value))
}

/// The whole body, at most 1 MiB after decompression, within 30 s.
///
/// # Errors
/// 413, 408, or 400 when it broke off.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            &codes::PAYLOAD_TOO_LARGE,
            format!("the limit is {BODY_BYTES_MAX} bytes"),
        )
    };
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<u64>().ok());
    if declared.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let limited = Limited::new(body, BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_WAIT, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(
            &codes::MALFORMED_JSON,
            "the body broke off or could not be decompressed",
        )),
        Err(_) => Err(Problem::new(
            &codes::REQUEST_TIMEOUT,
            "the body did not arrive within 30 s",
        )),
    }
}

fn require_json(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let merge_patch = *method == Method::PATCH && essence == "application/merge-patch+json";
    if essence == "application/json" || merge_patch {
        return Ok(());
    }
    let (accepts, types) = match *method {
        Method::PATCH => ("accept-patch", PATCH_TYPES),
        _ => ("accept-post", "application/json"),
    };
    Err(Problem::new(
        &codes::UNSUPPORTED_MEDIA_TYPE,
        format!("expected {types}, found `{essence}`"),
    )
    .header(HeaderName::from_static(accepts), types))
}

pub(super) fn invalid_header(name: &'static str, expected: &str) -> Problem {
    let error = FieldError {
        place: Place::Header(name),
        code: "invalid_format",
        detail: expected.to_owned(),
    };
    Problem::new(&codes::INVALID_HEADER, format!("{name}: {expected}")).with_errors(vec![error])
}

/// What an `Idempotency-Key` looks like, for the OpenAPI document: Stripe's bare token, or the quoted
/// string of the IETF draft.
pub const IDEMPOTENCY_KEY_PATTERN: &str = r#"^([!#-~][!-~]{0,254}|"[!#-~]{1,255}")$"#;

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    let bare = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').filter(|rest| !rest.contains('"')),
        None => Some(text),
    };
    let valid =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    match bare.filter(valid) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(invalid_header(
            "Idempotency-Key",
            "expected 1 to 255 visible ASCII characters",
        )),
    }
}

fn fingerprint(method: &Method, path: &str, query: Option<&str>, body: &[u8]) -> String {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [method.as_str(), path, query.unwrap_or_default()] {
        digest.update(part.as_bytes());
        digest.update(b"\n");
    }
    digest.update(body);
    digest
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Once {
    /// Whether the request carries an `Idempotency-Key`.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The versions that the write is meant for.
    pub fn if_match(&self) -> IfMatch {
        self.if_match.clone()
    }

    /// Runs `work` in one write transaction, once per key: a repeated request is answered with what
    /// was stored.
    ///
    /// # Errors
    /// What `work` answers; 422 `idempotency_key_reused`; 409 `idempotency_in_progress`.
    pub async fn run<F>(self, db: &Db, now: Timestamp, work: F) -> Result<Reply, Problem>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<Reply, Problem> + Send + 'static,
    {
        let Once {
            key: Some(key),
            client,
            fingerprint,
            request_id,
            ..
        } = self
        else {
            return db.write(work).await;
        };
        let stored = StoredKey {
            client,
            key,
            fingerprint,
            expires_at: now + KEY_LIFE,
        };
        let mine = stored.clone();
        let outcome = db
            .write(async move |tx| {
                if let Some(replay) = mine.find(tx, now).await? {
                    return Ok(replay);
                }
                let reply = work(tx).await?;
                mine.insert(tx, &reply).await?;
                Ok(reply)
            })
            .await;
        match outcome {
            Err(problem) if is_final(&problem) => {
                // The refused work changed nothing; its answer is kept all the same.
                let reply = Reply {
                    status: problem.status(),
                    headers: vec![(
                        header::CONTENT_TYPE,
                        HeaderValue::from_static("application/problem+json"),
                    )],
                    body: problem.body(&request_id),
                    subject: None,
                };
                db.write(async move |tx| match stored.find(tx, now).await? {
                    Some(_) => Ok(()),
                    None => stored.insert(tx, &reply).await,
                })
                .await?;
                Err(problem)
            }
            outcome => outcome,
        }
    }
}

/// Removes up to `limit` stored answers whose time is over at `now`, oldest first; returns how many.
pub async fn forget_expired_keys(db: &Db, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    let sql = "SELECT key FROM idempotency_keys WHERE expires_at <= $1 LIMIT 1";
    let due = db
        .read()
        .await?
        .fetch_optional(sql, params![now], |row| row.get::<String>(0))
        .await?;
    if due.is_none() {
        return Ok(0); // an idle server writes nothing
    }
    db.write(async move |tx| {
        let sql = "DELETE FROM idempotency_keys WHERE (client_id, key) IN
            (SELECT client_id, key FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
        tx.execute(sql, params![now, limit]).await
    })
    .await
}

/// Erases what was answered about `subjects` ([`Reply::about`]): the bodies, and the fingerprints, which are made
/// of the requests' bodies. The keys stay until their time is over, so that nothing is done a second time.
pub async fn erase_answers(tx: &mut Tx, subjects: &[&str]) -> Result<(), DbError> {
    for part in subjects.chunks(SUBJECTS_AT_A_TIME) {
        let params: Vec<Param<'_>> = part.iter().map(|subject| Param::Text(subject)).collect();
        let sql = format!(
            "UPDATE idempotency_keys SET fingerprint = '', body = '', etag = NULL, content_type = NULL, subject = NULL
            WHERE subject IN ({})",
            placeholders(1, part.len())
        );
        tx.execute(&sql, &params).await?;
    }
    Ok(())
}

/// Refusals that a retry would meet again; the key's own refusals are not stored under it.
fn is_final(problem: &Problem) -> bool {
    let own = [
        codes::IDEMPOTENCY_KEY_REUSED.code,
        codes::IDEMPOTENCY_IN_PROGRESS.code,
        codes::CONFLICT.code,
    ];
    matches!(
        problem.status(),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
    ) && !own.contains(&problem.code().code)
}

#[derive(Clone)]
struct StoredKey {
    client: String,
    key: String,
    fingerprint: String,
    expires_at: Timestamp,
}

/// What is stored under a key.
struct Stored {
    /// Empty once the answer was erased.
    fingerprint: String,
    expires_at: Timestamp,
    reply: Reply,
}

impl Stored {
    fn read(row: &Row<'_>) -> Result<Stored, DbError> {
        let mut reply = Reply {
            status: u16::try_from(row.get::<i64>(2)?)
                .ok()
                .and_then(|s| StatusCode::from_u16(s).ok())
                .unwrap_or_default(),
            headers: Vec::new(),
            body: row.get(6)?,
            subject: None,
        };
        let names = [header::LOCATION, header::ETAG, header::CONTENT_TYPE];
        for (index, name) in names.into_iter().enumerate() {
            if let Some(value) = row.get::<Option<&str>>(3 + index)? {
                reply = reply.with(name, value);
            }
        }
        Ok(Stored {
            fingerprint: row.get(0)?,
            expires_at: row.get(1)?,
            reply,
        })
    }

    /// The work was done and stays done; only what was said of it is gone.
    fn erased(&self) -> Problem {
        let detail = "the first request with this key was carried out; its answer was erased with the person that it told of";
        let problem = Problem::new(&codes::ANSWER_ERASED, detail)
            .with("original_status", self.reply.status.as_u16());
        match self.reply.header(&header::LOCATION) {
            Some(location) => problem.with("location", location),
            None => problem,
        }
    }
}

impl StoredKey {
    async fn find(&self, tx: &mut Tx, now: Timestamp) -> Result<Option<Reply>, Problem> {
        let sql = "SELECT fingerprint, expires_at, status, location, etag, content_type, body
            FROM idempotency_keys WHERE client_id = $1 AND key = $2";
        let Some(stored) = tx
            .fetch_optional(sql, params![self.client, self.key], Stored::read)
            .await?
        else {
            return Ok(None);
        };
        if stored.expires_at <= now {
            let sql = "DELETE FROM idempotency_keys WHERE client_id = $1 AND key = $2";
            tx.execute(sql, params![self.client, self.key]).await?;
            return Ok(None);
        }
        if stored.fingerprint.is_empty() {
            return Err(stored.erased());
        }
        if stored.fingerprint != self.fingerprint {
            let detail = "the key belongs to a request with another method, path, query or body";
            return Err(Problem::new(&codes::IDEMPOTENCY_KEY_REUSED, detail));
        }
        Ok(Some(stored.reply.with(
            HeaderName::from_static("idempotent-replayed"),
            "true",
        )))
    }

    async fn insert(&self, tx: &mut Tx, reply: &Reply) -> Result<(), Problem> {
        let sql = "INSERT INTO idempotency_keys
            (client_id, key, fingerprint, expires_at, status, location, etag, content_type, body, subject)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let inserted = tx
            .execute(
                sql,
                params![
                    self.client,
                    self.key,
                    self.fingerprint,
                    self.expires_at,
                    i64::from(reply.status.as_u16()),
                    reply.header(&header::LOCATION),
                    reply.header(&header::ETAG),
                    reply.header(&header::CONTENT_TYPE),
                    reply.body,
                    reply.subject
                ],
            )
            .await;
        match inserted {
            Ok(_) => Ok(()),
            // Another node (or connection) committed the same key while this one worked: its work
            // stands, this one is rolled back.
            Err(DbError::Unique { .. }) => Err(Problem::new(
                &codes::IDEMPOTENCY_IN_PROGRESS,
                "a request with this key is being executed",
            )
            .header(header::RETRY_AFTER, "1")),
            Err(error) => Err(error.into()),
        }
    }
}
