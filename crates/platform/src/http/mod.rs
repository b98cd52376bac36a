//! The HTTP rules that hold for every endpoint: one error form, strict input, paging, idempotency,
//! entity tags, limits, request log.

mod command;
mod cursor;
mod document;
mod endpoint;
mod if_match;
mod layer;
mod log;
mod network;
mod page;
mod path;
mod patience;
mod problem;
mod query;
mod recent;
mod reply;
mod schema;
mod server;
mod strict;

pub use command::{
    BODY_BYTES_MAX, Command, IDEMPOTENCY_KEY_PATTERN, MergePatch, NoFields, Once, PATCH_TYPES,
    erase_answers, forget_expired_keys, read_body,
};
pub use cursor::CursorKey;
pub use document::{Document, given};
pub use endpoint::{Access, CheckQuery, Endpoint, Operation, delete, get, patch, post, put};
pub use if_match::{IF_MATCH_PATTERN, IfMatch};
pub use layer::{
    Answered, ClientAddress, ClientName, Front, RequestId, Stack, current_request_id, to_the_end,
};
pub use network::{Network, NetworkError};
pub use page::{Page, PageQuery};
pub use path::{Path, PathPair};
pub use problem::{Code, FieldError, Place, Problem, codes};
pub use query::Query;
pub use recent::{Batch, Recent};
pub use reply::Reply;
pub use schema::{Patch, Schema, field_errors_to_problem};
pub use server::{ServeError, bind, serve};
pub use strict::parse_strict;
