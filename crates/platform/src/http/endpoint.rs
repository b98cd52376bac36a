//! Endpoints: what is routed, and what each promises. The OpenAPI document is made from the same table.

use super::problem::{Code, Problem};
use super::query::{NoParameters, refuse_unknown};
use super::schema::Schema;
use axum::http::Method;
use axum::routing::{self, MethodRouter};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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

pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Value;

/// Judges a query string.
pub type CheckQuery = fn(&str) -> Result<(), Problem>;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// Whether `{}` is a `T`: then the body may be left away, because an empty one is read as `{}`.
fn may_be_empty<T: JsonSchema + 'static>() -> bool {
    Schema::of::<T>().violations(&json!({})).is_empty()
}

/// What an endpoint promises.
#[derive(Clone)]
pub struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) path: Vec<PathParameter>,
    pub(super) query: Option<SchemaOf>,
    check_query: CheckQuery,
    pub(super) body: Option<Body>,
    pub(super) responses: Vec<Answer>,
    pub(super) errors: Vec<&'static Code>,
    pub(super) error_form: &'static str,
    pub(super) token: Option<&'static str>,
}

/// A path parameter that is not an id.
#[derive(Clone, Copy)]
pub(super) struct PathParameter {
    pub name: &'static str,
    pub description: &'static str,
    /// A regular expression of JSON Schema, anchored.
    pub pattern: &'static str,
}

#[derive(Clone)]
pub(super) struct Body {
    pub schema: SchemaOf,
    pub may_be_empty: fn() -> bool,
    pub media_types: Vec<&'static str>,
    pub example: Option<Value>,
}

#[derive(Clone)]
pub(super) struct Answer {
    pub status: u16,
    pub description: &'static str,
    pub schema: Option<SchemaOf>,
    pub example: Option<Value>,
    /// Empty for an answer without a body.
    pub media_type: &'static str,
}

impl Operation {
    /// `id` is unique and stable; `tag` is the chapter.
    pub fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Operation {
        Operation {
            id,
            tag,
            summary,
            description: "",
            path: Vec::new(),
            query: None,
            check_query: refuse_unknown::<NoParameters>,
            body: None,
            responses: Vec::new(),
            errors: Vec::new(),
            error_form: "Problem",
            token: None,
        }
    }

    /// A longer text, Markdown.
    pub fn describe(mut self, text: &'static str) -> Operation {
        self.description = text;
        self
    }

    /// Describes the path parameter `name`, which is otherwise taken for an id. `pattern` is anchored.
    pub fn path(
        mut self,
        name: &'static str,
        description: &'static str,
        pattern: &'static str,
    ) -> Operation {
        self.path.push(PathParameter {
            name,
            description,
            pattern,
        });
        self
    }

    /// The query parameters are the fields of `T`; without this there are none, and any is refused.
    pub fn query<T>(mut self) -> Operation
    where
        T: DeserializeOwned + JsonSchema + Default + 'static,
    {
        self.query = Some(schema_of::<T>);
        self.check_query = refuse_unknown::<T>;
        self
    }

    /// The query string is not looked at, whatever it says: for protocols that want it so.
    pub fn ignores_query(mut self) -> Operation {
        self.check_query = |_| Ok(());
        self
    }

    /// What refuses the parameters that this does not name, to be asked before the handler.
    pub fn check_query(&self) -> CheckQuery {
        self.check_query
    }

    /// The body is a `T` in JSON. It may be left away when `{}` is a `T`.
    pub fn body<T: JsonSchema + 'static>(mut self) -> Operation {
        self.body = Some(Body {
            schema: schema_of::<T>,
            may_be_empty: may_be_empty::<T>,
            media_types: vec!["application/json"],
            example: None,
        });
        self
    }

    /// The body is taken in this media type too.
    pub fn body_also_as(mut self, media_type: &'static str) -> Operation {
        if let Some(body) = &mut self.body {
            body.media_types.push(media_type);
        }
        self
    }

    /// An example of the body.
    pub fn body_example(mut self, example: Value) -> Operation {
        if let Some(body) = &mut self.body {
            body.example = Some(example);
        }
        self
    }

    /// A successful answer with a JSON body.
    pub fn returns<T: JsonSchema>(self, status: u16, description: &'static str) -> Operation {
        self.answers(
            status,
            description,
            "application/json",
            Some(schema_of::<T>),
        )
    }

    /// An example of the answer that was declared last.
    pub fn example(mut self, example: Value) -> Operation {
        if let Some(last) = self.responses.last_mut() {
            last.example = Some(example);
        }
        self
    }

    /// A successful answer in another media type. Several of one status are alternatives.
    pub fn returns_other(
        self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
    ) -> Operation {
        self.answers(status, description, media_type, None)
    }

    /// A successful answer without a body.
    pub fn returns_nothing(self, status: u16, description: &'static str) -> Operation {
        self.answers(status, description, "", None)
    }

    fn answers(
        mut self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
        schema: Option<SchemaOf>,
    ) -> Operation {
        self.responses.push(Answer {
            status,
            description,
            schema,
            example: None,
            media_type,
        });
        self
    }

    /// The errors of its own, beside those that every endpoint can answer.
    pub fn errors(mut self, codes: &[&'static Code]) -> Operation {
        self.errors.extend_from_slice(codes);
        self
    }

    /// The handler itself asks for a token of another kind than access tokens, that of the security scheme `name`.
    pub fn token(mut self, name: &'static str) -> Operation {
        self.token = Some(name);
        self
    }

    /// Errors have the form of the response component `name` instead of `Problem`.
    pub fn error_form(mut self, name: &'static str) -> Operation {
        self.error_form = name;
        self
    }
}
