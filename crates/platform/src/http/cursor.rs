//! Opaque cursors: the sort key of the last row, bound to the query and authenticated.

use super::problem::{Problem, codes};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

const TAG_LENGTH: usize = 16;

/// The key that authenticates cursors; the same on every node.
#[derive(Clone)]
pub struct CursorKey(Arc<hmac::Key>);

impl CursorKey {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> CursorKey {
        CursorKey(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The cursor behind a row whose sort key is `parts`, for the query `scope` (path, filters, sort).
    pub fn seal(&self, scope: &str, parts: &[String]) -> String {
        let payload = serde_json::json!(parts).to_string();
        let tag = hmac::sign(&self.0, format!("{scope}\n{payload}").as_bytes());
        let mut bytes = tag.as_ref()[..TAG_LENGTH].to_vec();
        bytes.extend_from_slice(payload.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sort key in `cursor`.
    ///
    /// # Errors
    /// 400 `invalid_cursor` when it was not sealed here for this `scope`.
    pub fn open(&self, scope: &str, cursor: &str) -> Result<Vec<String>, Problem> {
        self.opened(scope, cursor).ok_or_else(|| {
            Problem::new(
                &codes::INVALID_CURSOR,
                "the cursor was not issued for this query",
            )
        })
    }

    fn opened(&self, scope: &str, cursor: &str) -> Option<Vec<String>> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, payload) = bytes.split_at_checked(TAG_LENGTH)?;
        let payload = std::str::from_utf8(payload).ok()?;
        let wanted = hmac::sign(&self.0, format!("{scope}\n{payload}").as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(&wanted.as_ref()[..TAG_LENGTH], tag)
            .ok()?;
        serde_json::from_str(payload).ok()
    }
}
