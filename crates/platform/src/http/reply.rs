//! Successful answers.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A finished answer: status, headers and body, so that it can be stored under an idempotency key and
/// replayed byte for byte.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
    /// Whom it tells of.
    pub(super) subject: Option<String>,
}

impl Reply {
    /// `body` as JSON.
    pub fn json<T: Serialize + ?Sized>(status: StatusCode, body: &T) -> Reply {
        let body = serde_json::to_string(body)
            .expect("our own types serialise: string keys, no failing impls");
        Reply::raw_json(status, body)
    }

    /// Text that is JSON already.
    pub fn raw_json(status: StatusCode, body: String) -> Reply {
        let content_type = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        Reply {
            status,
            headers: vec![content_type],
            body,
            subject: None,
        }
    }

    /// 200 with a single resource: `ETag` from its version and its bytes.
    pub fn entity<T: Serialize + ?Sized>(version: i64, body: &T) -> Reply {
        Reply::json(StatusCode::OK, body).tagged(version)
    }

    /// 201 with a new resource and where it is.
    pub fn created<T: Serialize + ?Sized>(location: &str, version: i64, body: &T) -> Reply {
        Reply::json(StatusCode::CREATED, body)
            .tagged(version)
            .with(header::LOCATION, location)
    }

    /// 202 with what was taken on and where it can be watched.
    pub fn accepted<T: Serialize + ?Sized>(location: &str, body: &T) -> Reply {
        Reply::json(StatusCode::ACCEPTED, body).with(header::LOCATION, location)
    }

    /// 204.
    pub fn no_content() -> Reply {
        Reply {
            status: StatusCode::NO_CONTENT,
            headers: Vec::new(),
            body: String::new(),
            subject: None,
        }
    }

    /// The same answer with another status.
    pub fn with_status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }

    /// The same answer, told to be about a person: where it is stored under an idempotency key, it is erased
    /// with that person by [`erase_answers`](super::erase_answers). `subject` is the id of whatever is forgotten.
    pub fn about(mut self, subject: &str) -> Reply {
        self.subject = Some(subject.to_owned());
        self
    }

    /// Adds a header; a value that cannot be one is left out.
    pub fn with(mut self, name: HeaderName, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds the strong `ETag: "<version>.<8 hex digits of the representation>"`.
    pub fn tagged(self, version: i64) -> Reply {
        let tag = format!("\"{version}.{:08x}\"", fingerprint(self.body.as_bytes()));
        self.with(header::ETAG, &tag)
    }

    /// A header's value, if it is set and text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.to_str().ok())
    }
}

/// FNV-1a folded to 32 bits: tells representations of one version apart; guards nothing.
fn fingerprint(bytes: &[u8]) -> u32 {
    let hash = bytes
        .chunks(8)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            (hash ^ u64::from_le_bytes(word))
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(29)
        });
    (hash ^ (hash >> 32)) as u32
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
