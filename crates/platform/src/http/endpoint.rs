//! Endpoints and the OpenAPI 3.1 document that is made from the same table.

use super::problem::Code;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// A token that carries this scope.
    Scope(&'static str),
}

/// One endpoint: what it answers to, who may call it, what it promises, and the handler.
pub struct Endpoint<S> {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub operation: Operation,
    pub handler: MethodRouter<S>,
}

macro_rules! endpoint_of {
    ($($name:ident $method:ident),*) => {$(
        #[doc = concat!("A `", stringify!($method), "` endpoint.")]
        pub fn $name<H, T, S>(path: &'static str, access: Access, handler: H, operation: Operation) -> Endpoint<S>
        where
            H: axum::handler::Handler<T, S>,
            T: 'static,
            S: Clone + Send + Sync + 'static,
        {
            Endpoint { method: Method::$method, path, access, operation, handler: routing::$name(handler) }
        }
    )*};
}
endpoint_of!(get GET, post POST, put PUT, patch PATCH, delete DELETE);

type SchemaOf = fn(&mut SchemaGenerator) -> Value;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// What an endpoint promises.
#[derive(Clone)]
pub struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    query: Option<SchemaOf>,
    body: Option<(SchemaOf, Option<Value>)>,
    responses: Vec<Answer>,
    errors: Vec<&'static Code>,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    description: &'static str,
    schema: Option<SchemaOf>,
    example: Option<Value>,
    media_type: &'static str,
}

impl Operation {
    /// `id` is unique and stable; `tag` is the chapter.
    pub fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Operation {
        Operation {
            id,
            tag,
            summary,
            description: "",
            query: None,
            body: None,
            responses: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// A longer text, Markdown.
    pub fn describe(mut self, text: &'static str) -> Operation {
        self.description = text;
        self
    }

    /// The query parameters are the fields of `T`.
    pub fn query<T: JsonSchema>(mut self) -> Operation {
        self.query = Some(schema_of::<T>);
        self
    }

    /// The body is a `T`.
    pub fn body<T: JsonSchema>(mut self) -> Operation {
        self.body = Some((schema_of::<T>, None));
        self
    }

    /// An example of the body.
    pub fn body_example(mut self, example: Value) -> Operation {
        if let Some(body) = &mut self.body {
            body.1 = Some(example);
        }
        self
    }

    /// A successful answer with a JSON body.
    pub fn returns<T: JsonSchema>(mut self, status: u16, description: &'static str) -> Operation {
        let schema: Option<SchemaOf> = Some(schema_of::<T>);
        self.responses.push(Answer {
            status,
            description,
            schema,
            example: None,
            media_type: "application/json",
        });
        self
    }

    /// An example of the answer that was declared last.
    pub fn example(mut self, example: Value) -> Operation {
        if let Some(last) = self.responses.last_mut() {
            last.example = Some(example);
        }
        self
    }

    /// A successful answer in another media type.
    pub fn returns_other(
        mut self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
    ) -> Operation {
        self.responses.push(Answer {
            status,
            description,
            schema: None,
            example: None,
            media_type,
        });
        self
    }

    /// A successful answer without a body.
    pub fn returns_nothing(mut self, status: u16, description: &'static str) -> Operation {
        self.responses.push(Answer {
            status,
            description,
            schema: None,
            example: None,
            media_type: "",
        });
        self
    }

    /// The errors of its own, beside those that every endpoint can answer.
    pub fn errors(mut self, codes: &[&'static Code]) -> Operation {
        self.errors.extend_from_slice(codes);
        self
    }

    fn to_json(&self, endpoint: (&Method, &str, Access), generator: &mut SchemaGenerator) -> Value {
        let (method, path, access) = endpoint;
        let mut parameters = path_parameters(path);
        if let Some(query) = self.query {
            parameters.extend(query_parameters(query, generator));
        }
        if *method == Method::POST && access != Access::Public {
            parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
        }
        if matches!(*method, Method::PUT | Method::PATCH | Method::DELETE) {
            parameters.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
        }
        let mut operation = json!({
            "operationId": self.id, "tags": [self.tag], "summary": self.summary, "description": self.description,
            "parameters": parameters, "responses": self.responses_json(access, generator),
        });
        match access {
            Access::Public => operation["security"] = json!([]),
            Access::Scope(scope) => {
                operation["security"] = json!([{ "oauth2": [scope] }]);
                operation["x-scopes"] = json!([scope]);
            }
        }
        if let Some((schema, example)) = &self.body {
            let mut content = json!({ "schema": schema(generator) });
            if let Some(example) = example {
                content["example"] = example.clone();
            }
            let required = content.pointer("/schema/x-optional-body").is_none();
            operation["requestBody"] =
                json!({ "required": required, "content": { "application/json": content } });
        }
        if !self.errors.is_empty() {
            operation["x-error-codes"] = self.errors.iter().map(|code| code.code).collect();
        }
        operation
    }

    fn responses_json(&self, access: Access, generator: &mut SchemaGenerator) -> Value {
        let mut responses = Map::new();
        for answer in &self.responses {
            let mut body = json!({ "description": answer.description });
            if !answer.media_type.is_empty() {
                let mut content = json!({});
                if let Some(schema) = answer.schema {
                    content["schema"] = schema(generator);
                }
                if let Some(example) = &answer.example {
                    content["example"] = example.clone();
                }
                body["content"] = json!({ answer.media_type: content });
            }
            responses.insert(answer.status.to_string(), body);
        }
        let kind = if matches!(access, Access::Public) {
            "Error"
        } else {
            "Problem"
        };
        for class in ["4XX", "5XX"] {
            responses.insert(
                class.into(),
                json!({ "$ref": format!("#/components/responses/{kind}") }),
            );
        }
        Value::Object(responses)
    }
}

fn path_parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "description": "The unique identifier.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 200 } })
        })
        .collect()
}

fn query_parameters(schema: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let mut own = SchemaGenerator::new(
        SchemaSettings::draft2020_12()
            .for_deserialize()
            .with(|s| s.inline_subschemas = true),
    );
    let _ = generator;
    let schema = schema(&mut own);
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

/// The OpenAPI 3.1 document of a list of endpoints.
pub struct Document {
    paths: Map<String, Value>,
    generator: SchemaGenerator,
}

impl Default for Document {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|s| {
            s.definitions_path = "/components/schemas".into();
            s.meta_schema = None;
        });
        Document {
            paths: Map::new(),
            generator: SchemaGenerator::new(settings.for_deserialize()),
        }
    }
}

impl Document {
    /// Adds an endpoint; the document keeps the order.
    pub fn add<S>(&mut self, endpoint: &Endpoint<S>) {
        let target = (&endpoint.method, endpoint.path, endpoint.access);
        let operation = endpoint.operation.to_json(target, &mut self.generator);
        let method = endpoint.method.as_str().to_ascii_lowercase();
        let path = self.paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[method] = operation;
    }

    /// The finished document; `rest` gives `info`, `servers`, `components` and so on, into which paths
    /// and schemas are merged.
    pub fn finish(mut self, mut rest: Value) -> Value {
        let schemas = Value::Object(self.generator.take_definitions(true));
        rest["paths"] = Value::Object(self.paths);
        if let (Some(into), Some(from)) = (
            rest["components"]["schemas"].as_object_mut(),
            schemas.as_object(),
        ) {
            for (name, schema) in from {
                into.insert(name.clone(), schema.clone());
            }
        }
        rest
    }
}
