//! Reads the operations of an OpenAPI 3.1 document into what a page shows of them.

use super::samples::plain;
use super::schema::{Direction, Schemas, list, text};
use serde_json::Value;

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// One method of one path, or one webhook.
pub struct Operation<'a> {
    /// `operationId`, or method and path; only `[A-Za-z0-9_.-]`, so it is an anchor.
    pub id: String,
    pub tag: &'a str,
    /// Upper case.
    pub method: String,
    /// The path; for a webhook its name.
    pub path: &'a str,
    /// We call it, instead of being called.
    pub is_webhook: bool,
    pub summary: &'a str,
    pub description: &'a str,
    pub is_deprecated: bool,
    /// `None`: no token needed.
    pub scopes: Option<Vec<&'a str>>,
    /// A token of another kind than access tokens goes with it, as `Authorization: Bearer …`: what it is.
    pub own_token: Option<&'a str>,
    pub parameters: Vec<Parameter<'a>>,
    pub body: Option<Body<'a>>,
    pub responses: Vec<Response<'a>>,
}

/// A path, query, header or cookie parameter.
pub struct Parameter<'a> {
    pub name: &'a str,
    /// `path`, `query`, `header` or `cookie`.
    pub place: &'a str,
    pub description: Option<&'a str>,
    pub is_required: bool,
    pub is_deprecated: bool,
    pub schema: &'a Value,
    /// Given with the parameter itself, not made from its schema.
    pub example: Option<&'a Value>,
}

impl Parameter<'_> {
    /// The example that the document gives, as it stands in a URL or a header.
    pub fn given_example(&self, schemas: Schemas<'_>) -> Option<String> {
        self.example
            .map(plain)
            .or_else(|| schemas.given_example(self.schema).map(plain))
    }

    /// That example, or one made up; an identifier is for the reader to fill in.
    pub fn example_text(&self, schemas: Schemas<'_>) -> String {
        match (self.given_example(schemas), self.place) {
            (Some(given), _) => given,
            (None, "path") => format!("YOUR_{}", self.name.to_uppercase()),
            (None, _) => plain(&schemas.example(self.schema, Direction::Request)),
        }
    }
}

/// A request body.
pub struct Body<'a> {
    pub is_required: bool,
    pub description: &'a str,
    pub media: Media<'a>,
}

/// A body in one media type.
pub struct Media<'a> {
    pub content_type: &'a str,
    pub schema: &'a Value,
    pub example: Value,
    /// The other types on offer.
    pub others: Vec<&'a str>,
}

/// What a status code answers.
pub struct Response<'a> {
    /// `200`, `4XX` or `default`.
    pub status: &'a str,
    pub description: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    pub media: Option<Media<'a>>,
}

/// All operations, webhooks last, in document order.
pub fn operations(document: &Value) -> Vec<Operation<'_>> {
    let reader = Reader {
        schemas: Schemas { document },
    };
    let mut operations = Vec::new();
    for (root, is_webhook) in [("paths", false), ("webhooks", true)] {
        for (path, item) in entries(document, root) {
            let (item, _) = reader.schemas.follow(item);
            for (method, operation) in item.as_object().into_iter().flatten() {
                if METHODS.contains(&method.as_str()) {
                    operations.push(reader.operation(path, method, is_webhook, item, operation));
                }
            }
        }
    }
    operations
}

/// Tags in the order the document lists them, then those only operations name; without empty ones.
pub fn tags<'a>(document: &'a Value, operations: &[Operation<'a>]) -> Vec<(&'a str, &'a str)> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for tag in list(document, "tags") {
        let name = text(tag, "name").unwrap_or_default();
        if operations.iter().any(|o| o.tag == name) && !tags.iter().any(|(n, _)| *n == name) {
            tags.push((name, text(tag, "description").unwrap_or_default()));
        }
    }
    for operation in operations {
        if !tags.iter().any(|(name, _)| *name == operation.tag) {
            tags.push((operation.tag, ""));
        }
    }
    tags
}

/// Text made fit for `id="…"` and a fragment.
pub fn anchor(text: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c
        } else {
            '-'
        }
    };
    text.chars()
        .map(keep)
        .collect::<String>()
        .trim_matches('-')
        .to_owned()
}

struct Reader<'a> {
    schemas: Schemas<'a>,
}

impl<'a> Reader<'a> {
    fn operation(
        &self,
        path: &'a str,
        method: &str,
        is_webhook: bool,
        item: &'a Value,
        operation: &'a Value,
    ) -> Operation<'a> {
        let fallback = format!("{method}-{path}");
        let tag = list(operation, "tags").first().and_then(Value::as_str);
        Operation {
            id: anchor(text(operation, "operationId").unwrap_or(&fallback)),
            tag: tag.unwrap_or(if is_webhook { "Webhooks" } else { "Endpoints" }),
            method: method.to_uppercase(),
            path,
            is_webhook,
            summary: text(operation, "summary").unwrap_or(path),
            description: text(operation, "description").unwrap_or_default(),
            is_deprecated: flag(operation, "deprecated"),
            scopes: if is_webhook {
                None
            } else {
                self.scopes(operation)
            },
            own_token: self.own_token(operation),
            parameters: self.parameters(item, operation),
            body: operation.get("requestBody").and_then(|b| self.body(b)),
            responses: self.responses(operation),
        }
    }

    /// Scopes of every alternative in `security`, and of `x-scopes`. No `security` at all, an empty
    /// one, or an alternative that asks for nothing means public.
    fn scopes(&self, operation: &'a Value) -> Option<Vec<&'a str>> {
        let own = operation
            .get("security")
            .or_else(|| self.schemas.document.get("security"));
        let alternatives = own.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let extra = list(operation, "x-scopes");
        let is_free = |a: &Value| a.as_object().is_none_or(serde_json::Map::is_empty);
        if self.own_token(operation).is_some() {
            return None;
        }
        if extra.is_empty() && (alternatives.is_empty() || alternatives.iter().any(is_free)) {
            return None;
        }
        let mut scopes = Vec::new();
        let named = alternatives
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|a| a.values());
        let named = named.filter_map(Value::as_array).flatten().chain(extra);
        for scope in named.filter_map(Value::as_str) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Some(scopes)
    }

    /// The description of the bearer scheme that the operation names.
    fn own_token(&self, operation: &'a Value) -> Option<&'a str> {
        let mut named = list(operation, "security")
            .iter()
            .filter_map(Value::as_object);
        let (name, _) = named.find_map(|all| all.iter().next())?;
        let components = self.schemas.document.get("components")?;
        let scheme = components.get("securitySchemes")?.get(name)?;
        (text(scheme, "scheme") == Some("bearer"))
            .then(|| text(scheme, "description").unwrap_or("a token of its own"))
    }

    /// The operation's own parameters override those of its path.
    fn parameters(&self, item: &'a Value, operation: &'a Value) -> Vec<Parameter<'a>> {
        let mut parameters: Vec<Parameter<'a>> = Vec::new();
        for raw in list(item, "parameters")
            .iter()
            .chain(list(operation, "parameters"))
        {
            let (raw, _) = self.schemas.follow(raw);
            let content = || {
                entries(raw, "content")
                    .next()
                    .and_then(|(_, m)| m.get("schema"))
            };
            let place = text(raw, "in").unwrap_or("query");
            let parameter = Parameter {
                name: text(raw, "name").unwrap_or_default(),
                place,
                description: text(raw, "description"),
                is_required: flag(raw, "required") || place == "path",
                is_deprecated: flag(raw, "deprecated"),
                schema: raw.get("schema").or_else(content).unwrap_or(&Value::Null),
                example: given_example(raw),
            };
            match parameters
                .iter_mut()
                .find(|p| (p.name, p.place) == (parameter.name, place))
            {
                Some(old) => *old = parameter,
                None => parameters.push(parameter),
            }
        }
        parameters
    }

    fn body(&self, raw: &'a Value) -> Option<Body<'a>> {
        let (raw, _) = self.schemas.follow(raw);
        Some(Body {
            is_required: flag(raw, "required"),
            description: text(raw, "description").unwrap_or_default(),
            media: self.media(raw, Direction::Request)?,
        })
    }

    /// By status: success first, `4XX` after `422`, `default` last.
    fn responses(&self, operation: &'a Value) -> Vec<Response<'a>> {
        let responses = entries(operation, "responses");
        let mut responses: Vec<_> = responses.map(|(s, r)| self.response(s, r)).collect();
        responses.sort_by_key(|response| response.status);
        responses
    }

    fn response(&self, status: &'a str, raw: &'a Value) -> Response<'a> {
        let (raw, _) = self.schemas.follow(raw);
        let header = |(name, header): (&'a str, &'a Value)| {
            (
                name,
                text(self.schemas.follow(header).0, "description").unwrap_or_default(),
            )
        };
        Response {
            status,
            description: text(raw, "description").unwrap_or_default(),
            headers: entries(raw, "headers").map(header).collect(),
            media: self.media(raw, Direction::Response),
        }
    }

    /// JSON if it is on offer, else the first type.
    fn media(&self, raw: &'a Value, direction: Direction) -> Option<Media<'a>> {
        let mut offered: Vec<(&str, &Value)> = entries(raw, "content").collect();
        let json = offered
            .iter()
            .position(|(name, _)| is_json(name))
            .unwrap_or(0);
        if offered.is_empty() {
            return None;
        }
        let (content_type, media) = offered.remove(json);
        let schema = media.get("schema").unwrap_or(&Value::Null);
        let example = given_example(media).cloned();
        Some(Media {
            content_type,
            schema,
            example: example.unwrap_or_else(|| self.schemas.example(schema, direction)),
            others: offered.into_iter().map(|(name, _)| name).collect(),
        })
    }
}

/// Whether a media type carries JSON (`application/json`, `application/problem+json`).
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || essence.ends_with("+json")
}

/// `example`, or the value of the first of `examples` (a map in OpenAPI objects).
fn given_example(raw: &Value) -> Option<&Value> {
    let first = || {
        raw.get("examples")?
            .as_object()?
            .values()
            .next()?
            .get("value")
    };
    raw.get("example").or_else(first)
}

fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// The entries of the object under `key`, in document order.
pub fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let map = value.get(key).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}
