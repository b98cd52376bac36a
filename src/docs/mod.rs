//! `/docs`: the API reference for people, rendered from the OpenAPI document and from recorded traffic.
//!
//! Everything here is a pure function from a document to HTML: no clock, no I/O, no inline script or
//! style, nothing from another host. The pages work without JavaScript; [`assets`] adds try-it,
//! copying, highlighting and a filter.

pub mod api;
mod changelog;
mod fields;
pub mod guides;
mod html;
mod operation;
mod page;
pub mod problems;
mod prose;
pub mod recorded;
pub mod reference;
mod samples;
mod schema;
#[cfg(test)]
mod tests;
mod try_it;

pub use page::{Asset, CONTENT_SECURITY_POLICY, assets};
