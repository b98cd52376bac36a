//! JSON as strict as an API wants it: no repeated keys, no U+0000, at most 64 levels. A whole number is an
//! integer however it is written, as JSON Schema says (Draft 2020-12 validation §6.1.1): `2.0` is 2.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

const DEPTH_MAX: usize = 64;
/// 2^63: whole numbers nearer to 0 are i64 without loss.
const WHOLE_BELOW: f64 = 9_223_372_036_854_775_808.0;

/// Parses `bytes` as one JSON document.
///
/// # Errors
/// A sentence that says what is wrong and where.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(DEPTH_MAX)
        .deserialize(&mut deserializer)
        .map_err(|e| e.to_string())?;
    deserializer.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// Deserialises a value that may nest this many levels more.
struct Strict(usize);

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn checked<E: Error>(text: &str) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("U+0000 is not allowed in text"));
    }
    Ok(text.to_owned())
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 && value.abs() < WHOLE_BELOW {
            return Ok((value as i64).into());
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number out of range"))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        checked(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self
            .0
            .checked_sub(1)
            .ok_or_else(|| A::Error::custom("nested deeper than 64 levels"))?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict(inner))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self
            .0
            .checked_sub(1)
            .ok_or_else(|| A::Error::custom("nested deeper than 64 levels"))?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let key = checked(&key)?;
            let value = entries.next_value_seed(Strict(inner))?;
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key `{key}` is repeated"
                )));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_differ_between_readers_or_engines_is_refused() {
        for (text, why) in [
            (r#"{"a":1,"a":2}"#, "repeated"),
            (r#"{"a":"x\u0000"}"#, "U+0000"),
            (r#"{"\u0000":1}"#, "U+0000"),
            ("NaN", "expected"),
            ("1 2", "trailing"),
            ("", "EOF"),
            ("\"\u{fffd}", "EOF"),
        ] {
            let error = parse_strict(text.as_bytes()).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(parse_strict(b"\"\xff\"").is_err());
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse_strict(deep(64).as_bytes()).is_ok());
        assert!(parse_strict(deep(65).as_bytes()).is_err());
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let text = "[2.0, -0.0, 1e2, -3E+1, 9007199254740992.0, 1.5, 9223372036854775808.0, 1e300]";
        let value = parse_strict(text.as_bytes()).expect("numbers");
        let integers: Vec<Option<i64>> = value
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::as_i64)
            .collect();
        let whole = [2, 0, 100, -30, 9_007_199_254_740_992].map(Some);
        assert_eq!(integers[..5], whole);
        assert_eq!(integers[5..], [None; 3]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_a_panic(bytes: Vec<u8>) {
            let _ = parse_strict(&bytes);
        }
    }
}
