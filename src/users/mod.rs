//! `/v2/users`: the people who buy. Lists show the five documented fields; the single user shows all.
//!
//! Usernames and emails are ASCII, unique whatever their case among the users that are not deleted. Events
//! carry no personal data: the log is append-only, and what is in it could not be forgotten.

pub mod api;
mod demo;
pub mod store;
pub mod user;

pub use demo::demo_users;
pub use user::{EMAIL_PATTERN, User, UserId, UserItem, UserStatus};

use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use serde_json::{Value, json};

/// Stores new users, ids and times as they are, and tells the log.
///
/// # Errors
/// [`DbError::Unique`] `users_username_folded`, `users_email_folded` or `users_external_id` when a live user has the value.
pub async fn add(tx: &mut Tx, users: &[User], actor: &str, now: Timestamp) -> Result<(), DbError> {
    store::insert_many(tx, users).await?;
    let data: Vec<String> = users
        .iter()
        .map(|user| json!({ "status": user.status }).to_string())
        .collect();
    let events: Vec<NewEvent<'_>> = users
        .iter()
        .zip(&data)
        .map(|(user, data)| event("user.created", user, actor, data, now))
        .collect();
    events::append_all(tx, &events).await
}

/// Tells the log what happened to `user`.
async fn tell(
    tx: &mut Tx,
    kind: &str,
    user: &User,
    actor: &str,
    data: Value,
) -> Result<(), DbError> {
    events::append(
        tx,
        &event(kind, user, actor, &data.to_string(), user.updated_at),
    )
    .await
}

fn event<'a>(
    kind: &'a str,
    user: &'a User,
    actor: &'a str,
    data: &'a str,
    at: Timestamp,
) -> NewEvent<'a> {
    NewEvent {
        kind,
        object_type: "user",
        object_id: user.id.as_str(),
        object_version: user.version,
        actor,
        data,
        at,
    }
}
