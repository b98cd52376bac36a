//! Opaque prefixed ids: `^[a-z]{2,12}_[A-Za-z0-9_-]{1,64}$`. New ones carry a UUIDv7, so they sort by
//! the time they were made; an imported id such as `user_123` is kept as it is.

use std::cell::Cell;
use std::fmt::Write;

/// The longest text that can be an id: a prefix of 12, `_`, 64.
pub const ID_LENGTH_MAX: usize = 77;
/// The grammar of every id, for the OpenAPI document.
pub const ID_PATTERN: &str = "^[a-z]{2,12}_[A-Za-z0-9_-]{1,64}$";

/// A fresh id: `prefix`, `_`, and 26 characters of Crockford base32 over a UUIDv7.
pub fn new_id(prefix: &str) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let value = uuid::Uuid::now_v7().as_u128();
    let mut id = String::with_capacity(prefix.len() + 27);
    id.push_str(prefix);
    id.push('_');
    for shift in (0..26).rev() {
        let digit = (value >> (shift * 5)) & 31;
        id.push(char::from(ALPHABET[digit as usize]));
    }
    id
}

/// A fresh request id: a UUIDv7 in its usual form. It names a line of the log and opens nothing, so its random part
/// comes from a generator of the thread's own: asking the system for each request costs more than the rest of it.
pub fn new_request_id() -> String {
    let random = (next_random() as u128) << 64 | next_random() as u128;
    let bytes: [u8; 16] = random.to_be_bytes();
    let now = uuid::Timestamp::now(uuid::NoContext).to_unix();
    let millis = now.0 * 1_000 + u64::from(now.1 / 1_000_000);
    let mut counter_random = [0; 10];
    counter_random.copy_from_slice(&bytes[..10]);
    let value = uuid::Builder::from_unix_timestamp_millis(millis, &counter_random).into_uuid();
    let mut id = String::with_capacity(36);
    let _ = write!(id, "{}", value.hyphenated());
    id
}

thread_local! {
    static RANDOM: Cell<u64> = Cell::new(uuid::Uuid::new_v4().as_u64_pair().1);
}

/// SplitMix64, begun by the system's own randomness.
fn next_random() -> u64 {
    let seed = RANDOM.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    RANDOM.set(seed);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether `text` is an id with this prefix.
pub fn is_id(prefix: &str, text: &str) -> bool {
    let Some(rest) = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
    else {
        return false;
    };
    (1..=64).contains(&rest.len())
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Declares an id newtype: `id_type! { /// A person. UserId, "user" }`.
#[macro_export]
macro_rules! id_type {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// What every id of this kind begins with, without the `_`.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh one.
            #[allow(clippy::new_without_default, reason = "two calls differ")]
            pub fn new() -> Self {
                Self($crate::id::new_id(Self::PREFIX).into())
            }

            /// The id in `text`; `None` when it is not one of this kind.
            pub fn parse(text: &str) -> Option<Self> {
                $crate::id::is_id(Self::PREFIX, text).then(|| Self(text.into()))
            }

            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(concat!("an id begins with ", $prefix, "_")))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[A-Za-z0-9_-]{1,64}$") })
            }
        }

        impl $crate::db::ToParam for $name {
            fn to_param(&self) -> $crate::db::Param<'_> {
                $crate::db::Param::Text(&self.0)
            }
        }

        impl<'a> $crate::db::FromColumn<'a> for $name {
            fn from_column(row: &'a $crate::db::Row<'_>, index: usize) -> Result<Self, $crate::db::DbError> {
                row.get::<&str>(index).map(|text| Self(text.into()))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_sort_by_time_and_fit_the_grammar() {
        let ids: Vec<String> = (0..1000).map(|_| new_id("prod")).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| is_id("prod", id) && !is_id("user", id)));
    }

    #[test]
    fn an_imported_id_is_kept_and_a_foreign_text_refused() {
        assert!(is_id("user", "user_123"));
        for text in ["user_", "user", "user_ä", "prod_1", "user_1 ", ""] {
            assert!(!is_id("user", text), "{text}");
        }
    }
}
