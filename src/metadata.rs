//! The caller's own keys and values on an object: stored and given back, never interpreted.

use platform::db::{DbError, FromColumn, Row};
use platform::http::{Problem, codes};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Most keys of one object.
pub const KEYS_MAX: usize = 50;
/// Longest key, in characters.
pub const KEY_LENGTH_MAX: usize = 40;
/// Longest value, in characters.
pub const VALUE_LENGTH_MAX: usize = 500;

/// At most 50 keys of 1 to 40 characters with text values of at most 500, shown sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

/// A change of [`Metadata`] (RFC 7396): keys that are sent are set, `null` removes one, the others stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct MetadataPatch(BTreeMap<String, Option<String>>);

impl Metadata {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Makes the change.
    ///
    /// # Errors
    /// 422 `too_many` at `#/metadata` when more than 50 keys would remain.
    pub fn apply(&mut self, patch: MetadataPatch) -> Result<(), Problem> {
        for (key, value) in patch.0 {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
        if self.0.len() > KEYS_MAX {
            let detail = format!("expected at most {KEYS_MAX} keys after the change");
            return Err(Problem::new(&codes::INVALID_BODY, detail.clone()).at(
                "#/metadata",
                "too_many",
                detail,
            ));
        }
        Ok(())
    }

    /// As it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a map of text to text is always JSON")
    }
}

impl FromIterator<(String, String)> for Metadata {
    /// For values made by the program itself; the bounds are the caller's to keep.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> Self {
        Metadata(entries.into_iter().collect())
    }
}

impl<'a> FromColumn<'a> for Metadata {
    fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
        let text: &str = row.get(index)?;
        serde_json::from_str(text).map_err(|error| DbError::Column {
            index,
            reason: error.to_string(),
        })
    }
}

fn schema(value_type: serde_json::Value, description: &str) -> Schema {
    json_schema!({
        "type": "object",
        "description": description,
        "maxProperties": KEYS_MAX,
        "propertyNames": { "minLength": 1, "maxLength": KEY_LENGTH_MAX },
        "additionalProperties": { "type": value_type, "maxLength": VALUE_LENGTH_MAX },
    })
}

impl JsonSchema for Metadata {
    fn schema_name() -> Cow<'static, str> {
        "Metadata".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema("string".into(), "The caller's own keys and text values.")
    }
}

impl JsonSchema for MetadataPatch {
    fn schema_name() -> Cow<'static, str> {
        "MetadataPatch".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let types = vec!["string", "null"].into();
        schema(types, "Keys to set; `null` removes one, the others stay.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::http::Schema;
    use serde_json::{Value, json};

    fn metadata(value: Value) -> Metadata {
        serde_json::from_value(value).expect("metadata")
    }

    #[test]
    fn a_change_sets_removes_and_keeps_and_stays_within_the_bound() {
        let mut present = metadata(json!({ "a": "1", "b": "2" }));
        let change =
            |value: Value| serde_json::from_value::<MetadataPatch>(value).expect("a change");
        present
            .apply(change(json!({ "a": null, "c": "3", "z": null })))
            .expect("within the bound");
        assert_eq!(present, metadata(json!({ "b": "2", "c": "3" })));
        let many: BTreeMap<String, String> =
            (0..50).map(|n| (format!("k{n}"), String::new())).collect();
        let error = present.apply(change(json!(many))).expect_err("52 keys");
        assert!(error.body("req").contains("#/metadata"));
    }

    #[test]
    fn the_schema_holds_the_bounds() {
        let schema = Schema::of::<Metadata>();
        assert_eq!(
            schema.violations(&json!({ "k".repeat(40): "ü".repeat(500) })),
            []
        );
        for bad in [
            json!({ "": "x" }),
            json!({ "k".repeat(41): "x" }),
            json!({ "k": "v".repeat(501) }),
            json!({ "k": 1 }),
            json!([]),
        ] {
            assert!(!schema.violations(&bad).is_empty(), "{bad}");
        }
        assert!(
            Schema::of::<MetadataPatch>()
                .violations(&json!({ "k": null }))
                .is_empty()
        );
    }
}
