//! Reads JSON Schema 2020-12 as OpenAPI 3.1 uses it: references, types, bounds, unions, examples.

use serde_json::{Map, Value};

/// How many references, and how many levels of nesting, are followed. A schema may refer to itself.
pub const DEPTH_MAX: usize = 6;

/// Which way a value travels: read-only fields are never sent, write-only ones never received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// A property of an object.
pub struct Field<'a> {
    pub name: &'a str,
    pub schema: &'a Value,
    pub required: bool,
}

/// A schema with its reference followed and the `null` of a union taken out.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    pub schema: &'a Value,
    /// Last part of the reference, if there was one: the name of the object.
    pub name: Option<&'a str>,
    pub nullable: bool,
}

/// The document, which local references point into.
#[derive(Clone, Copy)]
pub struct Schemas<'a> {
    pub document: &'a Value,
}

impl<'a> Schemas<'a> {
    /// Follows `$ref` to the thing itself; a reference that leads nowhere is returned as it is.
    pub fn follow(self, value: &'a Value) -> (&'a Value, Option<&'a str>) {
        let (mut value, mut name) = (value, None);
        for _ in 0..DEPTH_MAX {
            let target = text(value, "$ref").and_then(|r| r.strip_prefix('#').map(|p| (r, p)));
            let Some((reference, pointer)) = target else {
                break;
            };
            let Some(found) = self.document.pointer(pointer) else {
                break;
            };
            name = reference.rsplit('/').next();
            value = found;
        }
        (value, name)
    }

    /// Follows the reference and unwraps `anyOf: [X, null]`.
    pub fn shape(self, schema: &'a Value) -> Shape<'a> {
        let (schema, name) = self.follow(schema);
        let variants = variants(schema);
        let mut values = variants.iter().filter(|v| !is_null(v));
        if let (Some(only), None) = (values.next(), values.next()) {
            let (inner, inner_name) = self.follow(only);
            return Shape {
                schema: inner,
                name: inner_name.or(name),
                nullable: variants.len() > 1 || allows_null(inner),
            };
        }
        let nullable = allows_null(schema) || variants.iter().any(is_null);
        Shape {
            schema,
            name,
            nullable,
        }
    }

    /// All properties, those of `allOf` included; a later part overrides an earlier one.
    pub fn fields(self, schema: &'a Value) -> Vec<Field<'a>> {
        let mut fields = Vec::new();
        self.collect(schema, 0, &mut fields);
        fields
    }

    fn collect(self, schema: &'a Value, depth: usize, fields: &mut Vec<Field<'a>>) {
        if depth > DEPTH_MAX {
            return;
        }
        let (schema, _) = self.follow(schema);
        for part in list(schema, "allOf") {
            self.collect(part, depth + 1, fields);
        }
        let required = list(schema, "required");
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let mut field = Field {
                name,
                schema,
                required: required.iter().any(|r| r == name),
            };
            match fields.iter_mut().find(|f| f.name == name) {
                Some(old) => {
                    field.required |= old.required;
                    *old = field;
                }
                None => fields.push(field),
            }
        }
        for field in fields.iter_mut() {
            field.required |= required.iter().any(|r| r == field.name);
        }
    }

    /// Whether a value of this schema is shown as an object with fields of its own.
    pub fn has_fields(self, schema: &'a Value) -> bool {
        !self.fields(schema).is_empty()
    }

    /// A keyword of the schema or, if it has none, of what it refers to (2020-12 allows both).
    pub fn keyword(self, schema: &'a Value, key: &str) -> Option<&'a Value> {
        let shape = self.shape(schema);
        schema
            .get(key)
            .or_else(|| self.follow(schema).0.get(key))
            .or_else(|| shape.schema.get(key))
    }

    /// The example of the schema, or one made from its parts.
    pub fn example(self, schema: &'a Value, direction: Direction) -> Value {
        self.make_example(schema, direction, 0)
    }

    fn make_example(self, schema: &'a Value, direction: Direction, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(given) = self.given_example(schema) {
            return given.clone();
        }
        let shape = self.shape(schema);
        let fields = self.fields(shape.schema);
        if !fields.is_empty() {
            let hidden = match direction {
                Direction::Request => "readOnly",
                Direction::Response => "writeOnly",
            };
            let shown = fields
                .iter()
                .filter(|f| self.keyword(f.schema, hidden) != Some(&Value::Bool(true)));
            let entry = |f: &Field<'a>| {
                (
                    f.name.to_owned(),
                    self.make_example(f.schema, direction, depth + 1),
                )
            };
            return Value::Object(shown.map(entry).collect());
        }
        if let Some(first) = variants(shape.schema).iter().find(|v| !is_null(v)) {
            return self.make_example(first, direction, depth + 1);
        }
        match types(shape.schema).first().copied() {
            Some("array") => match shape.schema.get("items") {
                Some(items) => Value::Array(vec![self.make_example(items, direction, depth + 1)]),
                None => Value::Array(Vec::new()),
            },
            Some("object") => Value::Object(Map::new()),
            Some("boolean") => Value::Bool(false),
            Some("integer" | "number") => shape
                .schema
                .get("minimum")
                .cloned()
                .unwrap_or_else(|| 1.into()),
            Some("string") => string_example(text(shape.schema, "format")).into(),
            _ => Value::Null,
        }
    }

    /// The example the schema gives itself, be it only its default or its first value.
    pub fn given_example(self, schema: &'a Value) -> Option<&'a Value> {
        let first = |key| self.keyword(schema, key).and_then(|v| v.get(0));
        let consts = || {
            variants(self.shape(schema).schema)
                .first()
                .and_then(|v| v.get("const"))
        };
        self.keyword(schema, "example")
            .or_else(|| first("examples"))
            .or_else(|| self.keyword(schema, "const"))
            .or_else(|| self.keyword(schema, "default"))
            .or_else(|| first("enum"))
            .or_else(consts)
    }
}

fn string_example(format: Option<&str>) -> &'static str {
    match format {
        Some("date-time") => "2023-10-27T10:00:00Z",
        Some("date") => "2023-10-27",
        Some("email") => "alice@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "0192f3a0-7c1e-7000-8000-000000000000",
        _ => "string",
    }
}

/// The string under `key`.
pub fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The array under `key`; empty when it is absent or no array.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The alternatives of `oneOf` or `anyOf`.
pub fn variants(schema: &Value) -> &[Value] {
    match list(schema, "oneOf") {
        [] => list(schema, "anyOf"),
        variants => variants,
    }
}

/// `type`, whether it is one name or several, without `null`.
pub fn types(schema: &Value) -> Vec<&str> {
    let names = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| *name != "null").collect()
}

/// Whether the schema is `{"type": "null"}`.
pub fn is_null(schema: &Value) -> bool {
    text(schema, "type") == Some("null")
}

fn allows_null(schema: &Value) -> bool {
    list(schema, "type").iter().any(|name| name == "null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let document = json!({ "components": { "schemas": {
            "Node": { "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Node" } } },
            "Loop": { "$ref": "#/components/schemas/Loop" },
            "All": { "allOf": [{ "$ref": "#/components/schemas/All" }] },
        } } });
        let schemas = Schemas {
            document: &document,
        };
        for name in ["Node", "Loop", "All"] {
            let schema = &document["components"]["schemas"][name];
            schemas.example(schema, Direction::Response);
            schemas.fields(schema);
        }
    }

    #[test]
    fn unions_with_null_are_unwrapped() {
        let document = json!({
            "components": { "schemas": { "A": { "type": "string", "enum": ["x"] } } },
            "u": { "anyOf": [{ "$ref": "#/components/schemas/A" }, { "type": "null" }] },
        });
        let schemas = Schemas {
            document: &document,
        };
        let shape = schemas.shape(&document["u"]);
        assert_eq!((shape.name, shape.nullable), (Some("A"), true));
        assert_eq!(
            schemas.example(&document["u"], Direction::Request),
            json!("x")
        );
    }

    #[test]
    fn a_request_example_leaves_read_only_fields_out() {
        let schema = json!({ "type": "object", "properties": {
            "id": { "type": "string", "readOnly": true },
            "secret": { "type": "string", "writeOnly": true },
            "n": { "type": "integer", "minimum": 3 },
        } });
        let schemas = Schemas { document: &schema };
        assert_eq!(
            schemas.example(&schema, Direction::Request),
            json!({ "secret": "string", "n": 3 })
        );
        assert_eq!(
            schemas.example(&schema, Direction::Response),
            json!({ "id": "string", "n": 3 })
        );
    }
}
