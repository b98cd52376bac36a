//! The OpenAPI 3.1 document of a list of endpoints.
//!
//! What it refers to and the product must define under `components`: the responses named by
//! [`Operation::error_form`](super::Operation::error_form) (`Problem` unless said otherwise), the
//! security schemes `oauth2` and those of [`Operation::token`](super::Operation::token), the parameters `IdempotencyKey` and `IfMatch`, and the headers of [`answer_headers`].

use super::codes;
use super::endpoint::{Access, Answer, Endpoint, Operation, PathParameter, SchemaOf};
use crate::id::{ID_LENGTH_MAX, ID_PATTERN};
use axum::http::Method;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Where schemas of requests are kept until [`Document::finish`] knows which of them differ from the
/// schema of the same name in answers.
const REQUESTS: &str = "#/components/requests/";
const SCHEMAS: &str = "#/components/schemas/";

/// The document under construction. Requests and answers have generators of their own: a field with a
/// default may be left out of a request, but is in every answer.
pub struct Document {
    paths: Map<String, Value>,
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Default for Document {
    fn default() -> Self {
        let settings = |path: &str| {
            let path = path
                .trim_start_matches('#')
                .trim_end_matches('/')
                .to_owned();
            SchemaSettings::draft2020_12().with(|s| {
                s.definitions_path = path.into();
                s.meta_schema = None;
            })
        };
        Document {
            paths: Map::new(),
            requests: SchemaGenerator::new(settings(REQUESTS).for_deserialize()),
            answers: SchemaGenerator::new(settings(SCHEMAS).for_serialize()),
        }
    }
}

impl Document {
    /// Adds an endpoint; the document keeps the order.
    pub fn add<S>(&mut self, endpoint: &Endpoint<S>) {
        let operation = self.operation(&endpoint.method, endpoint.path, endpoint.access, {
            &endpoint.operation
        });
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let path = self.paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[method] = operation;
    }

    /// The finished document; `rest` gives `info`, `servers`, `components` and so on, into which paths
    /// and schemas are merged.
    pub fn finish(mut self, mut rest: Value) -> Value {
        link_what_is_created(&mut self.paths);
        let (requests, answers) = (
            self.requests.take_definitions(true),
            self.answers.take_definitions(true),
        );
        let apart = names_that_differ(&requests, &answers);
        rest["paths"] = Value::Object(self.paths);
        if let Some(into) = rest["components"]["schemas"].as_object_mut() {
            for (name, schema) in requests {
                into.insert(name_of_request(&name, &apart), schema);
            }
            into.extend(answers);
            into.sort_keys();
        }
        rename_requests(&mut rest, &apart);
        for part in ["paths", "components"] {
            tell_rules(&mut rest[part]);
        }
        rest
    }

    fn operation(
        &mut self,
        method: &Method,
        path: &str,
        access: Access,
        promise: &Operation,
    ) -> Value {
        let mut parameters = path_parameters(path, &promise.path);
        if let Some(query) = promise.query {
            parameters.extend(query_parameters(query));
        }
        let writes = *method != Method::GET && access != Access::Public;
        if writes {
            parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        }
        // A POST to a collection makes something new; one below an object changes that object.
        let guarded = writes && (*method != Method::POST || path.contains('{'));
        if guarded {
            parameters.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
        }
        let mut operation = json!({
            "operationId": promise.id, "tags": [promise.tag], "summary": promise.summary,
            "description": promise.description, "parameters": parameters,
        });
        if let Some(body) = &promise.body {
            let mut content = json!({ "schema": (body.schema)(&mut self.requests) });
            if let Some(example) = &body.example {
                content["example"] = example.clone();
            }
            let mut types = body.media_types.clone();
            if *method == Method::PATCH {
                types.insert(0, "application/merge-patch+json");
            }
            let types: Map<String, Value> = types
                .into_iter()
                .map(|media_type| (media_type.to_owned(), content.clone()))
                .collect();
            operation["requestBody"] =
                json!({ "required": !(body.may_be_empty)(), "content": types });
        }
        operation["responses"] = self.responses(method, access, promise);
        match access {
            Access::Public => {
                let own = promise.token.map(|name| json!({ name: [] }));
                operation["security"] = json!(own.as_slice());
            }
            Access::Scope(scope) => {
                operation["security"] = json!([{ "oauth2": [scope] }]);
                operation["x-scopes"] = json!([scope]);
            }
        }
        let mut errors: Vec<&str> = promise.errors.iter().map(|code| code.code).collect();
        if guarded {
            errors.push(codes::PRECONDITION_FAILED.code);
        }
        if !errors.is_empty() {
            operation["x-error-codes"] = json!(errors);
        }
        operation
    }

    fn responses(&mut self, method: &Method, access: Access, promise: &Operation) -> Value {
        let mut responses = Map::new();
        for answer in &promise.responses {
            let schema = answer.schema.map(|schema| schema(&mut self.answers));
            let response = responses
                .entry(answer.status.to_string())
                .or_insert_with(|| {
                    let headers = answer_headers(method, access, answer, schema.as_ref());
                    json!({ "description": answer.description, "headers": headers })
                });
            if !answer.media_type.is_empty() {
                let mut content = json!({});
                if let Some(schema) = schema {
                    content["schema"] = schema;
                }
                if let Some(example) = &answer.example {
                    content["example"] = example.clone();
                }
                response["content"][answer.media_type] = content;
            }
        }
        let error = json!({ "$ref": format!("#/components/responses/{}", promise.error_form) });
        for class in ["4XX", "5XX"] {
            responses.insert(class.into(), error.clone());
        }
        Value::Object(responses)
    }
}

/// The headers that tell something about this answer, by reference to `components/headers`.
fn answer_headers(
    method: &Method,
    access: Access,
    answer: &Answer,
    schema: Option<&Value>,
) -> Value {
    let mut names = vec!["X-Request-Id"];
    if access != Access::Public {
        names.extend(["RateLimit", "RateLimit-Policy"]);
        if *method != Method::GET {
            names.push("Idempotent-Replayed");
        }
        match (answer.status, schema) {
            (200, Some(schema)) if schema["type"] == "array" => {
                names.extend(["Link", "X-Total-Count"]);
            }
            (200, Some(_)) => names.push("ETag"),
            (201, _) => names.extend(["Location", "ETag"]),
            (202, _) => names.push("Location"),
            _ => {}
        }
    }
    let refer = |name| json!({ "$ref": format!("#/components/headers/{name}") });
    names
        .into_iter()
        .map(|name| (name.to_owned(), refer(name)))
        .collect::<Map<_, _>>()
        .into()
}

fn path_parameters(path: &str, described: &[PathParameter]) -> Vec<Value> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let own = described.iter().find(|parameter| parameter.name == name);
            let (description, schema) = match own {
                Some(own) => (own.description, json!({ "type": "string", "pattern": own.pattern })),
                None => {
                    let schema = json!({ "type": "string", "pattern": ID_PATTERN, "maxLength": ID_LENGTH_MAX });
                    ("The unique identifier.", schema)
                }
            };
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
        })
        .collect()
}

fn query_parameters(schema: SchemaOf) -> Vec<Value> {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let schema = schema(&mut SchemaGenerator::new(
        settings.with(|s| s.inline_subschemas = true),
    ));
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let Some(properties) = schema["properties"].as_object() else {
        return Vec::new();
    };
    properties
        .iter()
        .map(|(name, property)| {
            let mut property = without_null(property.clone());
            let description = property.as_object_mut().and_then(|p| p.remove("description")).unwrap_or_default();
            let mut parameter = json!({ "name": name, "in": "query", "required": required.contains(&json!(name)),
                "description": description.as_str().unwrap_or_default(), "schema": property });
            match parameter["schema"]["type"].as_str() {
                Some("object") => {
                    parameter["style"] = json!("deepObject");
                    parameter["explode"] = json!(true);
                }
                Some("array") => {
                    parameter["style"] = json!("form");
                    parameter["explode"] = json!(false);
                    // `Query` takes neither `name=` nor `name=a,,b`.
                    let schema = &mut parameter["schema"];
                    schema["minItems"] = json!(1);
                    if schema["items"]["type"] == "string" && schema["items"].get("enum").is_none() {
                        schema["items"]["minLength"] = json!(1);
                    }
                }
                _ => {}
            }
            parameter
        })
        .collect()
}

/// A parameter that is sent is never null: `["integer", "null"]` is an optional integer.
fn without_null(mut schema: Value) -> Value {
    if let Some(Value::Array(types)) = schema.get("type") {
        let kept: Vec<Value> = types.iter().filter(|one| *one != "null").cloned().collect();
        schema["type"] = if kept.len() == 1 {
            kept[0].clone()
        } else {
            Value::Array(kept)
        };
    }
    if let Some(Value::Array(forms)) = schema.get("anyOf") {
        let kept: Vec<Value> = forms
            .iter()
            .filter(|form| form["type"] != "null")
            .cloned()
            .collect();
        if let [only] = kept.as_slice() {
            let mut only = only.clone();
            if let (Some(into), Some(description)) =
                (only.as_object_mut(), schema.get("description"))
            {
                into.insert("description".into(), description.clone());
            }
            return only;
        }
    }
    if let Some(Value::Array(options)) = schema.get_mut("enum") {
        options.retain(|option| !option.is_null());
    }
    if let Some(map) = schema.as_object_mut()
        && map.get("default").is_some_and(Value::is_null)
    {
        map.remove("default");
    }
    schema
}

/// A POST on a collection whose items have a path of their own says so: what it answers with is found,
/// changed and deleted there.
fn link_what_is_created(paths: &mut Map<String, Value>) {
    let items: Vec<(String, Value)> = paths
        .iter()
        .filter_map(|(path, item)| {
            let (collection, last) = path.rsplit_once('/')?;
            let parameter = last.strip_prefix('{')?.strip_suffix('}')?;
            let parameters = json!({ parameter: "$response.body#/id" });
            let links: Map<String, Value> = ["get", "put", "patch", "delete"]
                .iter()
                .filter_map(|method| {
                    let id = item.get(method)?["operationId"].as_str()?;
                    let link = json!({ "operationId": id, "parameters": parameters });
                    Some((id.to_owned(), link))
                })
                .collect();
            Some((collection.to_owned(), Value::Object(links)))
        })
        .collect();
    for (collection, links) in items {
        let Some(post) = paths.get_mut(&collection).and_then(|p| p.get_mut("post")) else {
            continue;
        };
        for status in ["201", "202"] {
            if let Some(answer) = post["responses"].get_mut(status) {
                answer["links"] = links.clone();
            }
        }
    }
}

/// The names under which requests and answers have different schemas, directly or by what they refer to.
fn names_that_differ(
    requests: &Map<String, Value>,
    answers: &Map<String, Value>,
) -> BTreeSet<String> {
    let text = |schema: &Value| schema.to_string();
    let mut apart: BTreeSet<String> = requests
        .iter()
        .filter(|(name, schema)| {
            let asked = text(schema).replace(REQUESTS, SCHEMAS);
            answers
                .get(*name)
                .is_some_and(|answer| text(answer) != asked)
        })
        .map(|(name, _)| name.clone())
        .collect();
    loop {
        let refers = |schema: &Value| {
            let text = text(schema);
            apart
                .iter()
                .any(|name| text.contains(&format!("\"{REQUESTS}{name}\"")))
        };
        let more: Vec<String> = requests
            .iter()
            .filter(|(name, schema)| {
                answers.contains_key(*name) && !apart.contains(*name) && refers(schema)
            })
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            return apart;
        }
        apart.extend(more);
    }
}

fn name_of_request(name: &str, apart: &BTreeSet<String>) -> String {
    if apart.contains(name) {
        format!("{name}Input")
    } else {
        name.to_owned()
    }
}

/// For `x-rules`: the member `name` is there and not null.
pub fn given(name: &str) -> Value {
    json!({ "required": [name], "properties": { name: { "not": { "type": "null" } } } })
}

/// `x-rules` of a schema are more schemas that must hold: rules that the handler checks itself, because
/// it can say better what is wrong. The validator does not know the word; the document says it as `allOf`.
fn tell_rules(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(rules)) = members.remove("x-rules") {
                match members.get_mut("allOf") {
                    Some(Value::Array(all)) => all.extend(rules),
                    _ => drop(members.insert("allOf".into(), Value::Array(rules))),
                }
            }
            members.values_mut().for_each(tell_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(tell_rules),
        _ => {}
    }
}

fn rename_requests(value: &mut Value, apart: &BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(REQUESTS) {
                *text = format!("{SCHEMAS}{}", name_of_request(name, apart));
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| rename_requests(item, apart)),
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|member| rename_requests(member, apart));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::{get, post};
    use super::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Note {
        text: String,
        size: Size,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Size {
        lines: u32,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Same {
        only: bool,
    }

    async fn nothing() {}

    fn document() -> Value {
        let mut document = Document::default();
        let create = Operation::new("createNote", "Notes", "Creates a note.")
            .body::<Note>()
            .returns::<Note>(201, "The note.");
        let read =
            Operation::new("getNote", "Notes", "Reads a note.").returns::<Note>(200, "The note.");
        let check = Operation::new("check", "Notes", "Checks.")
            .body::<Same>()
            .returns::<Same>(200, "The same.");
        let wipe = Operation::new("wipe", "Notes", "Wipes.").body::<Size>();
        let scope = Access::Scope("notes:write");
        document.add::<()>(&post("/notes", scope, nothing, create));
        document.add::<()>(&get("/notes/{id}", scope, nothing, read));
        document.add::<()>(&post("/check", Access::Public, nothing, check));
        document.add::<()>(&post("/notes/{id}/wipe", scope, nothing, wipe));
        document.finish(json!({ "components": { "schemas": {} } }))
    }

    #[test]
    fn a_request_has_a_schema_of_its_own_only_where_it_differs() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["Size"]["required"], json!(["lines"]));
        assert_eq!(schemas["SizeInput"].get("required"), None);
        assert_eq!(
            schemas["NoteInput"]["properties"]["size"]["$ref"],
            "#/components/schemas/SizeInput"
        );
        assert!(schemas.get("Same").is_some() && schemas.get("SameInput").is_none());
        let body = "/paths/~1notes/post/requestBody/content/application~1json/schema/$ref";
        assert_eq!(
            document.pointer(body),
            Some(&json!("#/components/schemas/NoteInput"))
        );
        assert!(!document.to_string().contains(REQUESTS));
    }

    #[test]
    fn what_is_created_links_to_where_it_is() {
        let document = document();
        let link = &document["paths"]["/notes"]["post"]["responses"]["201"]["links"]["getNote"];
        assert_eq!(link["parameters"], json!({ "id": "$response.body#/id" }));
    }

    #[test]
    fn whatever_changes_an_object_takes_its_version() {
        let document = document();
        let takes = |path: &str| {
            let parameters = &document["paths"][path]["post"]["parameters"];
            parameters.to_string().contains("IfMatch")
        };
        assert!(takes("/notes/{id}/wipe") && !takes("/notes"));
    }

    #[test]
    fn a_body_that_may_be_left_away_is_not_required() {
        let document = document();
        let required = |path: &str| &document["paths"][path]["post"]["requestBody"]["required"];
        assert_eq!(required("/notes"), &json!(true));
        assert_eq!(required("/notes/{id}/wipe"), &json!(false));
    }
}
