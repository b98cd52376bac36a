//! All SQL over devices that wait.

use super::super::super::client::ClientId;
use super::super::super::scope::Scopes;
use super::super::grant::GrantId;
use super::{Device, INTERVAL_SECONDS, UserCode};
use platform::clock::Timestamp;
use platform::db::{DbError, Row, Tx};
use platform::params;

const DEVICE: &str =
    "client_id, scopes, expires_at, interval_seconds, polled_at, grant_id, denied_at, used_at";

fn unreadable(index: usize, what: impl std::fmt::Display) -> DbError {
    DbError::Column {
        index,
        reason: what.to_string(),
    }
}

fn device(row: &Row<'_>) -> Result<Device, DbError> {
    Ok(Device {
        client_id: row.get::<&str>(0)?.parse().map_err(|e| unreadable(0, e))?,
        scopes: Scopes::parse(row.get::<&str>(1)?).map_err(|e| unreadable(1, e))?,
        expires_at: row.get(2)?,
        interval_seconds: row.get(3)?,
        polled_at: row.get(4)?,
        grant_id: row.get(5)?,
        denied_at: row.get(6)?,
        used_at: row.get(7)?,
    })
}

/// How many devices of a client wait.
pub async fn waiting(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM oauth_devices WHERE client_id = $1 AND expires_at > $2";
    tx.fetch_one(sql, params![id.as_str(), now], |row| row.get(0))
        .await
}

/// Stores a device that begins to wait.
///
/// # Errors
/// [`DbError::Unique`] when another one has the same user code.
pub async fn insert_device(
    tx: &mut Tx,
    (device_hash, user_code): (&str, &UserCode),
    (client_id, scopes): (&ClientId, Scopes),
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let sql = "INSERT INTO oauth_devices (device_hash, user_code, client_id, scopes, expires_at, interval_seconds)
        VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(
        sql,
        params![
            device_hash,
            user_code.as_str(),
            client_id.as_str(),
            scopes.to_string(),
            expires_at,
            INTERVAL_SECONDS
        ],
    )
    .await
    .map(drop)
}

/// The device with this user code.
pub async fn find_by_user_code(tx: &mut Tx, code: &UserCode) -> Result<Option<Device>, DbError> {
    let sql = format!("SELECT {DEVICE} FROM oauth_devices WHERE user_code = $1");
    tx.fetch_optional(&sql, params![code.as_str()], device)
        .await
}

/// The device with this device code; no other transaction changes it until this one ends.
pub async fn hold_device(tx: &mut Tx, hash: &str) -> Result<Option<Device>, DbError> {
    let sql = format!(
        "UPDATE oauth_devices SET polled_at = polled_at WHERE device_hash = $1 RETURNING {DEVICE}"
    );
    tx.fetch_optional(&sql, params![hash], device).await
}

/// The device with this user code, held, if somebody can still decide.
pub async fn hold_waiting(tx: &mut Tx, code: &UserCode, now: Timestamp) -> Result<bool, DbError> {
    let sql = format!(
        "UPDATE oauth_devices SET polled_at = polled_at WHERE user_code = $1 RETURNING {DEVICE}"
    );
    let found = tx
        .fetch_optional(&sql, params![code.as_str()], device)
        .await?;
    Ok(found.is_some_and(|device| device.waits(now)))
}

/// Notes that a device asked, and how long it has to wait from now on.
pub async fn note_poll(
    tx: &mut Tx,
    hash: &str,
    interval_seconds: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql =
        "UPDATE oauth_devices SET polled_at = $2, interval_seconds = $3 WHERE device_hash = $1";
    tx.execute(sql, params![hash, now, interval_seconds])
        .await
        .map(drop)
}

/// Lets a device in.
pub async fn allow_device(tx: &mut Tx, code: &UserCode, grant: &GrantId) -> Result<(), DbError> {
    let sql = "UPDATE oauth_devices SET grant_id = $2 WHERE user_code = $1";
    tx.execute(sql, params![code.as_str(), grant])
        .await
        .map(drop)
}

/// Refuses a device.
pub async fn deny_device(tx: &mut Tx, code: &UserCode, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_devices SET denied_at = $2 WHERE user_code = $1";
    tx.execute(sql, params![code.as_str(), now]).await.map(drop)
}

/// Notes that a device got its tokens.
pub async fn use_device(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_devices SET used_at = $2 WHERE device_hash = $1";
    tx.execute(sql, params![hash, now]).await.map(drop)
}

/// Removes devices whose time was over before `before`.
pub async fn delete_devices(tx: &mut Tx, before: Timestamp) -> Result<(), DbError> {
    let sql = "DELETE FROM oauth_devices WHERE expires_at < $1";
    tx.execute(sql, params![before]).await.map(drop)
}
