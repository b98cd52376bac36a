//! The ids in a path.

use super::problem::{Problem, codes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The one `{id}` of the path, percent-decoded. What is not UTF-8 or holds U+0000, which PostgreSQL cannot
/// even compare with, names nothing: 404.
#[derive(Debug)]
pub struct Path(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(id)) if !id.contains('\0') => Ok(Path(id)),
            _ => Err(Problem::new(&codes::NOT_FOUND, "no such path")),
        }
    }
}

/// The two ids of a path, such as those of a product and of one of its variants. See [`Path`].
#[derive(Debug)]
pub struct PathPair(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathPair {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ids = axum::extract::Path::<(String, String)>::from_request_parts(parts, state).await;
        match ids {
            Ok(axum::extract::Path((outer, inner)))
                if !outer.contains('\0') && !inner.contains('\0') =>
            {
                Ok(PathPair(outer, inner))
            }
            _ => Err(Problem::new(&codes::NOT_FOUND, "no such path")),
        }
    }
}
