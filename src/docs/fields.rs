//! Lists of fields and parameters: name, type, whether it must be there, meaning, bounds.

use super::html::Html;
use super::operation::{Parameter, anchor};
use super::prose;
use super::samples::{plain, pretty};
use super::schema::{DEPTH_MAX, Field, Schemas, Shape, is_null, list, text, types, variants};
use serde_json::Value;

/// Whether an object with a name is written out in place, or linked to its own section.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    Inline,
    Linked,
}

/// Writes schemas of one document.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub schemas: Schemas<'a>,
    pub nested: Nested,
}

/// The anchor of a named object.
pub fn object_anchor(name: &str) -> String {
    format!("object-{}", anchor(name))
}

impl<'a> Fields<'a> {
    /// The fields of a body or object; a union is one list per alternative.
    pub fn schema(self, h: &mut Html, schema: &'a Value) {
        self.children(h, schema, 0);
    }

    /// Parameters of one place (`path`, `query`, `header`).
    pub fn parameters(self, h: &mut Html, parameters: &[&Parameter<'a>]) {
        h.el("ul", &[("class", "fields")], |h| {
            for p in parameters {
                let row = Row {
                    name: p.name,
                    schema: p.schema,
                    is_required: p.is_required,
                    is_deprecated: p.is_deprecated,
                    description: p.description,
                };
                self.row(h, &row, 0);
            }
        });
    }

    fn fields(self, h: &mut Html, fields: &[Field<'a>], depth: usize) {
        h.el("ul", &[("class", "fields")], |h| {
            for field in fields {
                let keyword = |key| self.schemas.keyword(field.schema, key);
                let row = Row {
                    name: field.name,
                    schema: field.schema,
                    is_required: field.required,
                    is_deprecated: keyword("deprecated") == Some(&Value::Bool(true)),
                    description: keyword("description").and_then(Value::as_str),
                };
                self.row(h, &row, depth);
            }
        });
    }

    fn row(self, h: &mut Html, row: &Row<'a>, depth: usize) {
        let shape = self.schemas.shape(row.schema);
        h.el("li", &[], |h| {
            h.leaf("code", &[("class", "name")], row.name).text(" ");
            h.el("span", &[("class", "type")], |h| {
                self.type_name(h, row.schema, 0)
            });
            if row.is_required {
                h.text(" ").leaf("b", &[("class", "required")], "required");
            }
            for (key, label) in [("readOnly", "read-only"), ("writeOnly", "write-only")] {
                if self.schemas.keyword(row.schema, key) == Some(&Value::Bool(true)) {
                    h.text(" ").leaf("i", &[], label);
                }
            }
            if row.is_deprecated {
                h.text(" ")
                    .leaf("i", &[("class", "deprecated")], "deprecated");
            }
            if let Some(description) = row.description {
                prose::write(h, description);
            }
            self.values(h, shape.schema);
            self.bounds(h, row.schema, shape);
            self.children(h, row.schema, depth + 1);
        });
    }

    /// `array of Order or null`, with objects linked to their section.
    pub fn type_name(self, h: &mut Html, schema: &'a Value, depth: usize) {
        let shape = self.schemas.shape(schema);
        match shape.name {
            _ if depth > DEPTH_MAX => {
                h.text("…");
            }
            Some(name) if self.schemas.has_fields(shape.schema) => {
                h.leaf("a", &[("href", &format!("#{}", object_anchor(name)))], name);
            }
            _ => self.anonymous_type(h, shape.schema, depth),
        }
        if shape.nullable {
            h.text(" or null");
        }
    }

    fn anonymous_type(self, h: &mut Html, schema: &'a Value, depth: usize) {
        let alternatives: Vec<&Value> = variants(schema).iter().filter(|v| !is_null(v)).collect();
        if !alternatives.is_empty() && !alternatives.iter().all(|v| v.get("const").is_some()) {
            for (n, alternative) in alternatives.into_iter().enumerate() {
                if n > 0 {
                    h.text(" or ");
                }
                self.type_name(h, alternative, depth + 1);
            }
            return;
        }
        let names = types(schema);
        match (
            names.as_slice(),
            schema.get("items"),
            schema.get("additionalProperties"),
        ) {
            (["array"], Some(items), _) => {
                h.text("array of ");
                self.type_name(h, items, depth + 1);
            }
            (["object"], _, Some(values @ Value::Object(_)))
                if !self.schemas.has_fields(schema) =>
            {
                h.text("map of ");
                self.type_name(h, values, depth + 1);
            }
            ([], ..) => {
                let value = alternatives
                    .first()
                    .and_then(|v| v.get("const"))
                    .or_else(|| schema.get("const"));
                h.text(value.map_or("any", json_type));
            }
            _ => {
                h.text(&names.join(" or "));
            }
        }
        if let Some(format) = text(schema, "format") {
            h.text(&format!(" ({format})"));
        }
    }

    /// The values of an enumeration, with their meaning where the document gives one.
    fn values(self, h: &mut Html, schema: &'a Value) {
        let schema = schema
            .get("items")
            .map_or(schema, |items| self.schemas.shape(items).schema);
        let consts: Vec<&Value> = variants(schema)
            .iter()
            .filter(|v| v.get("const").is_some())
            .collect();
        if !consts.is_empty() {
            h.el("ul", &[("class", "values")], |h| {
                for value in consts {
                    h.el("li", &[], |h| {
                        h.leaf(
                            "code",
                            &[],
                            &value.get("const").map(plain).unwrap_or_default(),
                        )
                        .text(" ");
                        prose::inline(h, text(value, "description").unwrap_or_default());
                    });
                }
            });
        }
        let values = list(schema, "enum");
        if !values.is_empty() {
            h.el("p", &[("class", "bounds")], |h| {
                h.text("One of ");
                for (n, value) in values.iter().enumerate() {
                    h.text(if n > 0 { ", " } else { "" })
                        .leaf("code", &[], &plain(value));
                }
            });
        }
    }

    fn bounds(self, h: &mut Html, schema: &'a Value, shape: Shape<'a>) {
        let mut bounds = bounds(shape.schema);
        if let Some(items) = shape.schema.get("items") {
            let each = self.schemas.shape(items).schema;
            if !self.schemas.has_fields(each) {
                bounds.extend(self::bounds(each).into_iter().map(|b| format!("each {b}")));
            }
        }
        let mut pattern = text(shape.schema, "pattern");
        if pattern == Some(r"\S") {
            bounds.push("not blank".to_owned());
            pattern = None;
        }
        // That nothing is there when nothing was sent goes without saying.
        let default = self.schemas.keyword(schema, "default");
        let default = default.filter(|default| !default.is_null());
        let only = shape.schema.get("const");
        if bounds.is_empty() && pattern.is_none() && default.is_none() && only.is_none() {
            return;
        }
        h.el("p", &[("class", "bounds")], |h| {
            let mut separator = "";
            if !bounds.is_empty() {
                h.text(&bounds.join(" · "));
                separator = " · ";
            }
            let coded = [
                ("matches ", pattern.map(str::to_owned)),
                ("always ", only.map(plain)),
                ("default ", default.map(compact)),
            ];
            for (label, value) in coded {
                if let Some(value) = value {
                    h.text(separator).text(label).leaf("code", &[], &value);
                    separator = " · ";
                }
            }
        });
    }

    /// What is inside: fields, those of array items or map values, or of each alternative.
    fn children(self, h: &mut Html, schema: &'a Value, depth: usize) {
        let shape = self.schemas.shape(schema);
        if depth > DEPTH_MAX || (depth > 0 && self.nested == Nested::Linked && shape.name.is_some())
        {
            return;
        }
        let fields = self.schemas.fields(shape.schema);
        if !fields.is_empty() {
            let label = shape
                .name
                .map_or("Fields".to_owned(), |name| format!("Fields of {name}"));
            folded(h, &label, depth, |h| self.fields(h, &fields, depth));
            return;
        }
        for inner in [
            shape.schema.get("items"),
            shape.schema.get("additionalProperties"),
        ]
        .into_iter()
        .flatten()
        {
            self.children(h, inner, depth.max(1));
        }
        for variant in variants(shape.schema) {
            let inner = self.schemas.shape(variant);
            let fields = self.schemas.fields(inner.schema);
            if !fields.is_empty() && (self.nested == Nested::Inline || inner.name.is_none()) {
                let title = text(inner.schema, "title")
                    .or(inner.name)
                    .unwrap_or("Alternative");
                folded(h, &format!("Either {title}"), depth.max(1), |h| {
                    self.fields(h, &fields, depth + 1)
                });
            }
        }
    }
}

struct Row<'a> {
    name: &'a str,
    schema: &'a Value,
    is_required: bool,
    is_deprecated: bool,
    description: Option<&'a str>,
}

fn folded(h: &mut Html, label: &str, depth: usize, inside: impl FnOnce(&mut Html)) {
    if depth == 0 {
        return inside(h);
    }
    h.el("details", &[], |h| {
        h.leaf("summary", &[], label);
        inside(h);
    });
}

/// Bounds of the schema itself, in words.
fn bounds(schema: &Value) -> Vec<String> {
    let mut bounds = Vec::new();
    let units = [
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " keys"),
    ];
    for (low, high, unit) in units {
        match (schema.get(low), schema.get(high)) {
            (Some(low), Some(high)) if low == high => {
                bounds.push(format!("exactly {}{unit}", grouped(low)))
            }
            (Some(low), Some(high)) => {
                bounds.push(format!("{} to {}{unit}", grouped(low), grouped(high)))
            }
            (Some(low), None) => bounds.push(format!("at least {}{unit}", grouped(low))),
            (None, Some(high)) => bounds.push(format!("at most {}{unit}", grouped(high))),
            (None, None) => {}
        }
    }
    let words = [
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
    ];
    for (key, word) in words {
        if let Some(value) = schema.get(key) {
            bounds.push(format!("{word} {}", grouped(value)));
        }
    }
    if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
        bounds.push("no duplicates".to_owned());
    }
    bounds
}

/// `1,000,000`; other values as they are.
fn grouped(value: &Value) -> String {
    let text = plain(value);
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    let mut out = text[..text.len() - digits.len()].to_owned();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn compact(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) => pretty(value)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
        other => plain(other),
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: Value, wanted: &[&str]) {
        let document = json!({
            "components": { "schemas": {
                "Money": { "type": "object", "properties": { "amount": { "type": "integer" } } }
            } },
            "w": { "properties": { "f": schema } },
        });
        let mut h = Html::default();
        let schemas = Schemas {
            document: &document,
        };
        Fields {
            schemas,
            nested: Nested::Linked,
        }
        .schema(&mut h, &document["w"]);
        let html = h.into_fragment();
        for part in wanted {
            assert!(html.contains(part), "{part} not in {html}");
        }
    }

    #[test]
    fn types_and_bounds_in_words() {
        check(
            json!({ "type": ["integer", "null"], "minimum": -5, "maximum": 1_000_000, "default": 3 }),
            &[
                "integer or null",
                "-5 to 1,000,000 · default <code>3</code>",
            ],
        );
        check(
            json!({ "type": "array", "maxItems": 9, "items": { "type": "string", "maxLength": 64 } }),
            &[
                "array of string",
                "at most 9 items · each at most 64 characters",
            ],
        );
        check(
            json!({ "anyOf": [{ "$ref": "#/components/schemas/Money" }, { "type": "null" }] }),
            &["<a href=\"#object-Money\">Money</a> or null"],
        );
        check(
            json!({ "oneOf": [{ "type": "integer" }, { "$ref": "#/components/schemas/Money" }] }),
            &["integer or <a href=\"#object-Money\">Money</a>"],
        );
        check(
            json!({ "oneOf": [{ "const": "a", "description": "first" }, { "const": "b" }] }),
            &["string", "<code>a</code> first", "<code>b</code>"],
        );
        check(
            json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            &["map of string"],
        );
        check(
            json!({ "enum": ["x", null] }),
            &["One of <code>x</code>, <code>null</code>"],
        );
    }
}
