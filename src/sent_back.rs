//! Objects that come back in a `PUT` or `PATCH` as a GET showed them.
//!
//! What the server computes (counts, sums, prices, stock, the times of changes, the version) moves while a caller
//! holds the object, so it is not looked at: who wants to know of a conflict sends `If-Match`. Everything else that
//! a request cannot set here is refused when it differs.

use serde_json::{Map, Value};

/// Leaves the `computed` members out of `fields`.
pub fn leave_computed_out(fields: &mut Map<String, Value>, computed: &[&str]) {
    fields.retain(|name, _| !computed.contains(&name.as_str()));
}
