//! `/v2/users`: the people who buy. Lists show the five documented fields; the single user shows all.

pub mod api;
pub mod store;
pub mod user;

pub use user::{User, UserId, UserStatus};
