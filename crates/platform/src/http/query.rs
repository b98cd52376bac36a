//! Query strings, as strict as bodies: unknown, repeated and invalid parameters are all reported.

use super::problem::{FieldError, Place, Problem, codes};
use super::schema::{self, Schema};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The query string read as `T`. What `T`'s schema does not name is refused.
///
/// A parameter whose schema is an array takes a comma-separated list; one whose schema is an object
/// takes `name[key]=value`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Sync,
    T: DeserializeOwned + JsonSchema + Default + 'static,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

/// What of the query string can be refused before the endpoint runs: parameters that `T` does not name. An
/// endpoint that does not look at its query string would ignore them. All faults are reported together.
pub(super) fn refuse_unknown<T>(query: &str) -> Result<(), Problem>
where
    T: DeserializeOwned + JsonSchema + Default + 'static,
{
    if query.is_empty() {
        return Ok(());
    }
    let known = Schema::of::<T>().json.pointer("/properties");
    let is_known = |pair: &str| {
        let name = decode(pair.split('=').next().unwrap_or_default());
        let base = name.as_ref().map(|name| name.split('[').next());
        base.flatten()
            .is_some_and(|base| known.is_some_and(|known| known.get(base).is_some()))
    };
    let mut pairs = query.split('&').filter(|pair| !pair.is_empty());
    match pairs.all(is_known) {
        true => Ok(()),
        false => parse::<T>(query).map(drop),
    }
}

/// The query of an endpoint that takes none.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

fn parse<T: DeserializeOwned + JsonSchema + Default + 'static>(query: &str) -> Result<T, Problem> {
    if query.is_empty() {
        return Ok(T::default());
    }
    let schema = Schema::of::<T>();
    let mut values = Map::new();
    let mut errors = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) => {
                read(&schema.json, &name, &value, &mut values, &mut errors)
            }
            _ => errors.push(at(
                name,
                "invalid_encoding",
                "expected percent-encoded UTF-8 without U+0000",
            )),
        }
    }
    let values = Value::Object(values);
    for mut error in schema.violations(&values) {
        error.place = match error.place {
            Place::Pointer(pointer) => Place::Parameter(parameter_name(&pointer)),
            place => place,
        };
        error.detail = as_text(&error.detail);
        errors.push(error);
    }
    if !errors.is_empty() {
        return Err(refused(errors));
    }
    schema::read(&values).map_err(|mut error| {
        if let Place::Pointer(pointer) = &error.place {
            error.place = Place::Parameter(parameter_name(pointer));
        }
        refused(vec![error])
    })
}

/// What was expected, in words for somebody who writes text: there is no null in a query string.
fn as_text(detail: &str) -> String {
    let detail = detail.replace("null or ", "").replace(" or null", "");
    match detail.as_str() {
        "expected integer" => "expected a whole number".to_owned(),
        "expected boolean" => "expected true or false".to_owned(),
        _ => detail,
    }
}

fn refused(errors: Vec<FieldError>) -> Problem {
    let detail = match errors.as_slice() {
        [
            FieldError {
                place: Place::Parameter(name),
                detail,
                ..
            },
        ] => format!("{name}: {detail}"),
        many => format!("{} parameters are refused", many.len()),
    };
    Problem::new(&codes::INVALID_PARAMETER, detail).with_errors(errors)
}

/// `#/limit` → `limit`, `#/attributes/color` → `attributes[color]`.
fn parameter_name(pointer: &str) -> String {
    let mut parts = pointer.trim_start_matches("#/").splitn(2, '/');
    let name = parts.next().unwrap_or_default().to_owned();
    match parts.next() {
        Some(key) if key.parse::<usize>().is_err() => format!("{name}[{key}]"),
        _ => name,
    }
}

fn read(
    schema: &Value,
    name: &str,
    value: &str,
    values: &mut Map<String, Value>,
    errors: &mut Vec<FieldError>,
) {
    let (base, key) = match name
        .split_once('[')
        .and_then(|(base, rest)| Some((base, rest.strip_suffix(']')?)))
    {
        Some((base, key)) => (base, Some(key)),
        None => (name, None),
    };
    let Some(property) = schema
        .pointer("/properties")
        .and_then(|properties| properties.get(base))
    else {
        errors.push(at(
            name,
            "unknown_parameter",
            "not a parameter of this endpoint",
        ));
        return;
    };
    let property = resolve(schema, property);
    if has_type(property, "array") && value.split(',').any(str::is_empty) {
        errors.push(at(name, "too_short", "expected values between the commas"));
        return;
    }
    let repeated = match key {
        Some(key) if has_type(property, "object") => {
            let entry = values
                .entry(base)
                .or_insert_with(|| Value::Object(Map::new()));
            let inner = entry
                .as_object_mut()
                .map(|map| map.insert(key.to_owned(), Value::String(value.to_owned())));
            inner.flatten().is_some()
        }
        Some(_) => {
            errors.push(at(name, "unknown_parameter", "takes no [key]"));
            return;
        }
        None => values
            .insert(base.to_owned(), typed(property, value))
            .is_some(),
    };
    if repeated {
        errors.push(at(name, "repeated_parameter", "given more than once"));
    }
}

fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property
        .get("$ref")
        .or_else(|| property.pointer("/anyOf/0/$ref"))
        .and_then(Value::as_str);
    reference
        .and_then(|path| schema.pointer(path.trim_start_matches('#')))
        .unwrap_or(property)
}

fn has_type(property: &Value, wanted: &str) -> bool {
    match property.get("type") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(many)) => many.iter().any(|one| one == wanted),
        _ => false,
    }
}

/// The text as the JSON value that the schema asks for; the schema then judges it.
fn typed(property: &Value, text: &str) -> Value {
    if has_type(property, "integer") {
        return text
            .parse::<i64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from);
    }
    if has_type(property, "boolean") {
        return match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => Value::String(other.to_owned()),
        };
    }
    if has_type(property, "array") {
        return Value::Array(
            text.split(',')
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        );
    }
    Value::String(text.to_owned())
}

fn at(name: &str, code: &'static str, detail: &str) -> FieldError {
    FieldError {
        place: Place::Parameter(name.to_owned()),
        code,
        detail: detail.to_owned(),
    }
}

/// Percent-decoding of `application/x-www-form-urlencoded` text; `None` when it is not UTF-8 or holds
/// U+0000.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next()?, rest.next()?);
                let digit = |b: u8| char::from(b).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Filter {
        #[schemars(range(min = 1, max = 250))]
        limit: Option<i64>,
        exact: Option<bool>,
        tags: Option<Vec<String>>,
        attributes: Option<BTreeMap<String, String>>,
        q: Option<String>,
    }

    #[test]
    fn each_form_of_parameter_is_read_and_each_fault_is_named() {
        let filter: Filter =
            parse("limit=5&exact=true&tags=a,b&attributes%5Bcolor%5D=red&q=a+b%26c")
                .expect("valid");
        assert_eq!((filter.limit, filter.exact), (Some(5), Some(true)));
        assert_eq!(
            filter.tags.as_deref(),
            Some(&["a".to_owned(), "b".to_owned()][..])
        );
        assert_eq!(
            filter.attributes.map(|a| a["color"].clone()).as_deref(),
            Some("red")
        );
        assert_eq!(filter.q.as_deref(), Some("a b&c"));
        let body = parse::<Filter>("limit=0&exact=maybe&colour=red&q=1&q=2&tags[x]=1&tags=")
            .expect_err("six faults")
            .body("req");
        for fault in [
            "too_small",
            "invalid_type",
            "unknown_parameter",
            "repeated_parameter",
            "too_short",
        ] {
            assert!(body.contains(fault), "{fault}: {body}");
        }
        assert!(
            body.contains("expected true or false") && !body.contains("null"),
            "{body}"
        );
        let number = parse::<Filter>("limit=x")
            .expect_err("no number")
            .body("req");
        assert!(number.contains("expected a whole number"), "{number}");
    }

    #[test]
    fn what_an_endpoint_does_not_name_is_refused_before_it_runs() {
        for query in ["", "&", "limit=5&attributes[x]=1", "%6Cimit=5", "limit=x"] {
            assert!(refuse_unknown::<Filter>(query).is_ok(), "{query}");
        }
        for query in ["zzz=1", "limit=5&zzz", "%zz=1", "zzz[limit]=1", "=1"] {
            for refused in [
                refuse_unknown::<Filter>(query),
                refuse_unknown::<NoParameters>(query),
            ] {
                let problem = refused.expect_err(query);
                assert_eq!(problem.status().as_u16(), 400, "{query}");
            }
        }
        assert!(refuse_unknown::<NoParameters>("").is_ok());
        let all = refuse_unknown::<Filter>("limit=0&zzz=1").expect_err("two faults");
        let body = all.body("req");
        assert!(body.contains("too_small") && body.contains("unknown_parameter"));
    }

    proptest! {
        #[test]
        fn any_query_is_answered_without_a_panic(query in "\\PC{0,80}") {
            let _ = (parse::<Filter>(&query), refuse_unknown::<Filter>(&query));
            let _ = refuse_unknown::<NoParameters>(&query);
        }
    }
}
