//! All SQL of the users.

use super::api::ListUsers;
use super::{User, UserId};
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, Tx};
use platform::http::Page;
use platform::params;

fn user(row: &Row<'_>) -> Result<User, DbError> {
    let created_at: Timestamp = row.get(4)?;
    Ok(User {
        id: row.get(0)?,
        username: row.get(1)?,
        email: row.get(2)?,
        status: row.get(3)?,
        created_at,
        created_micros: created_at.micros(),
    })
}

/// One more than the page holds, oldest first.
pub async fn list(tx: &mut Tx, query: &ListUsers, page: &Page) -> Result<Vec<User>, DbError> {
    let (limit, offset) = (page.fetch(), page.offset);
    let after = page.after_time_and_id();
    let mut select = Select::new(
        "SELECT id, username, email, status, created_at FROM users WHERE deleted_at IS NULL",
    );
    select.and_some(
        "status = {}",
        query.status.map(|status| Param::Text(status.as_str())),
    );
    if let Some((time, id)) = &after {
        select.push("AND").bind(
            "(created_at, id) > ({}, {})",
            &[Param::Int(*time), Param::Text(id)],
        );
    }
    select.push("ORDER BY created_at, id").bind(
        "LIMIT {} OFFSET {}",
        &[Param::Int(limit), Param::Int(offset)],
    );
    select.fetch_all(tx, user).await
}

/// The email address of a user who may place orders, and whether they are active.
pub async fn buyer(tx: &mut Tx, id: &UserId) -> Result<Option<(String, bool)>, DbError> {
    let sql = "SELECT email, status FROM users WHERE id = $1 AND deleted_at IS NULL";
    tx.fetch_optional(sql, params![id], |row| {
        Ok((row.get(0)?, row.get::<&str>(1)? == "active"))
    })
    .await
}
