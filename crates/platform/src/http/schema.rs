//! Request types carry their JSON Schema, and the schema in the OpenAPI document is the validator:
//! what the document permits is accepted, what it forbids is refused, with every violation at once.

use super::problem::{FieldError, Place, Problem, codes};
use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;
use serde_path_to_error::Segment;
use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

/// Violations reported for one request.
const ERRORS_MAX: usize = 50;

/// A compiled JSON Schema of a Rust type.
pub struct Schema {
    /// The schema itself, self-contained.
    pub json: Value,
    validator: Validator,
}

impl Schema {
    /// The schema of `T`, generated and compiled once.
    pub fn of<T: JsonSchema + 'static>() -> &'static Schema {
        static KNOWN: OnceLock<RwLock<HashMap<TypeId, &'static Schema>>> = OnceLock::new();
        let known = KNOWN.get_or_init(RwLock::default);
        let id = TypeId::of::<T>();
        if let Some(schema) = known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
        {
            return schema;
        }
        let generator = SchemaGenerator::new(SchemaSettings::draft2020_12().for_deserialize());
        let json = generator.into_root_schema_for::<T>().to_value();
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&json)
            .expect("a schema derived from a type is valid");
        // One per request type of the program, for its whole life: leaking it is the cheapest owner.
        let schema: &'static Schema = Box::leak(Box::new(Schema { json, validator }));
        known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, schema);
        schema
    }

    /// Every way in which `value` breaks the schema, at most 50; empty when it holds.
    pub fn violations(&self, value: &Value) -> Vec<FieldError> {
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mut errors = Vec::new();
        for error in self.validator.iter_errors(value) {
            self.explain(&error, value, &mut errors);
            if errors.len() >= ERRORS_MAX {
                break;
            }
        }
        errors
    }

    fn explain(
        &self,
        error: &jsonschema::ValidationError<'_>,
        root: &Value,
        errors: &mut Vec<FieldError>,
    ) {
        let base = format!("#{}", error.instance_path());
        let mut push = |pointer: String, code: &'static str, detail: String| {
            errors.push(FieldError {
                place: Place::Pointer(pointer),
                code,
                detail,
            });
        };
        if let Some(unknown) = unknown_fields(error, root) {
            for name in unknown {
                push(
                    format!("{base}/{}", escape(&name)),
                    "unknown_field",
                    format!("`{name}` is not a known field"),
                );
            }
            return;
        }
        if let ValidationErrorKind::AnyOf { context } = error.kind() {
            // `anyOf: [T, null]` is an optional T: what is wrong is what T says.
            let mut forms = context.iter().filter(|errors| !is_null_expected(errors));
            if let (Some(form), None) = (forms.next(), forms.next()) {
                for error in form {
                    self.explain(error, root, errors);
                }
                return;
            }
        }
        let (code, detail) = match self.choices(error) {
            Some(choices) => ("invalid_value", choices),
            None => describe(error.kind(), error.instance()),
        };
        let pointer = match error.kind() {
            ValidationErrorKind::Required { property } => {
                format!("{base}/{}", escape(property.as_str().unwrap_or_default()))
            }
            _ => base,
        };
        push(pointer, self.code_in_schema(error).unwrap_or(code), detail);
    }

    /// A schema may name the code for its own violations (`"x-code": "money_must_be_integer"`).
    fn code_in_schema(&self, error: &jsonschema::ValidationError<'_>) -> Option<&'static str> {
        if !matches!(error.kind(), ValidationErrorKind::Type { .. }) {
            return None; // an integer that is too small breaks another rule
        }
        let path = error.schema_path().to_string();
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let code = self.at(parent)?.get("x-code")?.as_str()?;
        (code == "money_must_be_integer").then_some("money_must_be_integer")
    }

    /// The part of the schema at `path`, through its references.
    fn at(&self, path: &str) -> Option<&Value> {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        segments.into_iter().try_fold(&self.json, |part, segment| {
            let next = match part {
                Value::Array(items) => items.get(segment.parse::<usize>().ok()?)?,
                part => part.get(segment.replace("~1", "/").replace("~0", "~"))?,
            };
            match (segment, next.as_str()) {
                ("$ref", Some(target)) => self.json.pointer(target.trim_start_matches('#')),
                _ => Some(next),
            }
        })
    }

    /// The values that a list of alternatives accepts, if each accepts given ones only: an enumeration whose
    /// values are described one by one.
    fn choices(&self, error: &jsonschema::ValidationError<'_>) -> Option<String> {
        use ValidationErrorKind as Kind;
        if !matches!(
            error.kind(),
            Kind::OneOfNotValid { .. } | Kind::AnyOf { .. }
        ) {
            return None;
        }
        let alternatives = self.at(&error.schema_path().to_string())?.as_array()?;
        let mut values = Vec::new();
        for alternative in alternatives {
            match (alternative.get("const"), alternative.get("enum")) {
                (Some(value), _) => values.push(value.clone()),
                (None, Some(Value::Array(some))) => values.extend(some.iter().cloned()),
                _ => return None,
            }
        }
        Some(format!("expected one of {}", Value::Array(values)))
    }
}

/// The fields that the schema does not know, if that is what `error` says. Of a type without any field the
/// validator says only that nothing is accepted: then each member of the object is one.
fn unknown_fields(error: &jsonschema::ValidationError<'_>, root: &Value) -> Option<Vec<String>> {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => Some(unexpected.clone()),
        ValidationErrorKind::FalseSchema => {
            let keyword = error.schema_path().to_string();
            let object = root
                .pointer(&error.instance_path().to_string())?
                .as_object()?;
            keyword
                .ends_with("/additionalProperties")
                .then(|| object.keys().cloned().collect())
        }
        _ => None,
    }
}

fn is_null_expected(errors: &[jsonschema::ValidationError<'_>]) -> bool {
    let [error] = errors else {
        return false;
    };
    matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(one) } if one.to_string() == "null")
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The pattern of text with anything in it.
const NOT_BLANK: &str = r"\S";

/// `1 item`, `2 items`.
fn counted(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        more => format!("{more} {one}s"),
    }
}

fn describe(kind: &ValidationErrorKind, instance: &Value) -> (&'static str, String) {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            ("required", format!("`{name}` is required"))
        }
        Kind::Type { kind } => ("invalid_type", format!("expected {}", type_names(kind))),
        Kind::MinLength { limit } => (
            "too_short",
            format!("expected at least {}", counted(*limit, "character")),
        ),
        Kind::MaxLength { limit } => (
            "too_long",
            format!("expected at most {}", counted(*limit, "character")),
        ),
        Kind::MinItems { limit } => (
            "too_few",
            format!("expected at least {}", counted(*limit, "item")),
        ),
        Kind::MaxItems { limit } => (
            "too_many",
            format!("expected at most {}", counted(*limit, "item")),
        ),
        Kind::MaxProperties { limit } => ("too_many", format!("expected at most {limit} members")),
        Kind::UniqueItems => ("not_unique", "expected items that differ".to_owned()),
        Kind::Minimum { limit } => ("too_small", format!("expected at least {limit}")),
        Kind::ExclusiveMinimum { limit } => ("too_small", format!("expected more than {limit}")),
        Kind::Maximum { limit } => ("too_large", format!("expected at most {limit}")),
        Kind::Enum { options } => ("invalid_value", format!("expected one of {options}")),
        Kind::Constant { expected_value } => {
            ("invalid_value", format!("expected {expected_value}"))
        }
        Kind::Pattern { pattern } if pattern == NOT_BLANK => (
            "invalid_format",
            "expected text that is not blank".to_owned(),
        ),
        Kind::Pattern { pattern } => (
            "invalid_format",
            format!("expected text that matches {pattern}"),
        ),
        Kind::Format { format } => ("invalid_format", format!("expected a {format}")),
        Kind::PropertyNames { error } => ("invalid_key", error.to_string()),
        _ if instance.is_null() => ("invalid_value", "null is not accepted here".to_owned()),
        _ => ("invalid_value", "none of the accepted forms".to_owned()),
    }
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(many) => many
            .into_iter()
            .map(|one| one.to_string())
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

/// 422 `invalid_body` for `errors`.
pub fn field_errors_to_problem(errors: Vec<FieldError>) -> Problem {
    let detail = match errors.as_slice() {
        [
            FieldError {
                place: Place::Pointer(pointer),
                detail,
                ..
            },
        ] => format!("{pointer}: {detail}"),
        many => format!("{} fields break a rule", many.len()),
    };
    Problem::new(&codes::INVALID_BODY, detail).with_errors(errors)
}

/// Reads `value` as `T` after checking it against the schema of `T`.
///
/// # Errors
/// 422 `invalid_body` with every violation.
pub(super) fn decode<T: JsonSchema + DeserializeOwned + 'static>(
    value: Value,
) -> Result<T, Problem> {
    let errors = Schema::of::<T>().violations(&value);
    if !errors.is_empty() {
        return Err(field_errors_to_problem(errors));
    }
    read(&value).map_err(|error| field_errors_to_problem(vec![error]))
}

/// Reads `value`, which keeps to the schema of `T`, as `T`. A rule that JSON Schema cannot say (an instant
/// that does not exist, a currency that nobody has) fails here, and where is found by reading once more.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    T::deserialize(value).map_err(|error| {
        let located = serde_path_to_error::deserialize::<_, T>(value).err();
        let pointer = located
            .iter()
            .flat_map(|error| error.path().iter())
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(format!("/{index}")),
                Segment::Map { key } => Some(format!("/{}", escape(key))),
                Segment::Enum { .. } | Segment::Unknown => None,
            })
            .collect::<String>();
        FieldError {
            place: Place::Pointer(format!("#{pointer}")),
            code: "invalid_value",
            detail: error.to_string(),
        }
    })
}

/// A field of a change: left away, `null`, or a value (RFC 7396).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Patch<T> {
    /// Not sent: stays as it is.
    #[default]
    Keep,
    /// Sent as `null`: cleared.
    Clear,
    /// Sent with a value.
    Set(T),
}

impl<T> Patch<T> {
    /// The field after the change, where it may be absent.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *field = None,
            Patch::Set(value) => *field = Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Patch::Clear, Patch::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn schema_name() -> Cow<'static, str> {
        <Option<T>>::schema_name()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> schemars::Schema {
        <Option<T>>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

    #[derive(serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Outer {
        name: Option<String>,
        inner: Option<Empty>,
    }

    #[derive(Debug, serde::Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Told {
        /// Of its own.
        One,
        /// Of its own.
        Two,
    }

    #[derive(Debug, serde::Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Telling {
        told: Option<Told>,
        all: Vec<Told>,
        #[schemars(range(min = 0), extend("x-code" = "money_must_be_integer"))]
        amount: Option<i64>,
        day: Vec<Day>,
    }

    /// What its schema cannot say.
    #[derive(Debug, JsonSchema)]
    #[schemars(transparent)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Day(String);

    impl<'de> Deserialize<'de> for Day {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            match text.as_str() {
                "today" => Ok(Day(text)),
                _ => Err(serde::de::Error::custom("not a day")),
            }
        }
    }

    #[test]
    fn what_is_accepted_is_said_and_where_it_is_not() {
        let problem = |value: Value| {
            let body = decode::<Telling>(value).expect_err("a fault").body("req");
            let body: Value = serde_json::from_str(&body).expect("JSON");
            body["errors"].clone()
        };
        let (all, day) = (json!(["one"]), json!(["today"]));
        let choices = r#"expected one of ["one","two"]"#;
        assert_eq!(
            problem(json!({ "told": "x", "all": ["one", "y"], "day": day })),
            json!([
                { "pointer": "#/told", "code": "invalid_value", "detail": choices },
                { "pointer": "#/all/1", "code": "invalid_value", "detail": choices },
            ])
        );
        for (amount, code) in [
            (json!(-5), "too_small"),
            (json!(1.5), "money_must_be_integer"),
            (json!("5"), "money_must_be_integer"),
        ] {
            let errors = problem(json!({ "all": all, "day": day, "amount": amount }));
            assert_eq!(errors[0]["code"], code, "{errors}");
        }
        assert_eq!(
            problem(json!({ "all": all, "day": ["today", "never"] })),
            json!([{ "pointer": "#/day/1", "code": "invalid_value", "detail": "not a day" }])
        );
    }

    fn faults<T: JsonSchema + 'static>(value: &Value) -> Vec<(String, &'static str)> {
        let mut faults: Vec<(String, &'static str)> = Schema::of::<T>()
            .violations(value)
            .into_iter()
            .map(|error| match error.place {
                Place::Pointer(pointer) => (pointer, error.code),
                other => panic!("{other:?}"),
            })
            .collect();
        faults.sort();
        faults
    }

    #[test]
    fn an_unknown_field_is_named_even_where_no_field_is_known() {
        let unknown = |pointers: &[&str]| -> Vec<(String, &'static str)> {
            pointers
                .iter()
                .map(|pointer| ((*pointer).to_owned(), "unknown_field"))
                .collect()
        };
        assert_eq!(faults::<Empty>(&json!({})), []);
        assert_eq!(
            faults::<Empty>(&json!({ "a": 1, "b/c": null })),
            unknown(&["#/a", "#/b~1c"])
        );
        assert_eq!(
            faults::<Outer>(&json!({ "nmae": "x", "inner": { "a": 1 } })),
            unknown(&["#/inner/a", "#/nmae"])
        );
        assert_eq!(faults::<Empty>(&json!([]))[0].1, "invalid_type");
    }
}
