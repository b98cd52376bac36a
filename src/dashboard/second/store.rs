//! All SQL of second factors.

use crate::dashboard::staff::StaffId;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::params;

/// The sealed key of an account and the last step of which a code was used, while codes are on.
pub async fn totp(tx: &mut Tx, id: &StaffId) -> Result<Option<(String, i64)>, DbError> {
    let sql = "SELECT totp_key, totp_step FROM staff WHERE id = $1 AND totp_key IS NOT NULL";
    tx.fetch_optional(sql, params![id], |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// Turns codes on with this key, or off without one.
pub async fn set_totp(
    tx: &mut Tx,
    id: &StaffId,
    key: Option<(&str, i64)>,
    now: Timestamp,
) -> Result<(), DbError> {
    let since = key.map(|_| now);
    let (sealed, step) = key.map_or((None, 0), |(sealed, step)| (Some(sealed), step));
    let sql = "UPDATE staff SET totp_key = $2, totp_since = $3, totp_step = $4, updated_at = $5 WHERE id = $1";
    tx.execute(sql, params![id, sealed, since, step, now])
        .await
        .map(drop)
}

/// Uses the code of a step up; `false` when it, or a later one, was used. Check and change are one statement.
pub async fn use_step(tx: &mut Tx, id: &StaffId, step: i64) -> Result<bool, DbError> {
    let sql =
        "UPDATE staff SET totp_step = $2 WHERE id = $1 AND totp_step < $2 AND totp_key IS NOT NULL";
    Ok(tx.execute(sql, params![id, step]).await? > 0)
}

/// Replaces the recovery codes of an account by those with these hashes.
pub async fn set_recovery_codes(
    tx: &mut Tx,
    id: &StaffId,
    hashes: &[String],
) -> Result<(), DbError> {
    let sql = "DELETE FROM staff_recovery_codes WHERE staff_id = $1";
    tx.execute(sql, params![id]).await?;
    for hash in hashes {
        let sql = "INSERT INTO staff_recovery_codes (code_hash, staff_id) VALUES ($1, $2)";
        tx.execute(sql, params![hash, id]).await?;
    }
    Ok(())
}

/// Uses a recovery code up; `false` when there is none such left. Check and change are one statement.
pub async fn use_recovery_code(
    tx: &mut Tx,
    id: &StaffId,
    hash: &str,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "UPDATE staff_recovery_codes SET used_at = $3
        WHERE staff_id = $1 AND code_hash = $2 AND used_at IS NULL";
    Ok(tx.execute(sql, params![id, hash, now]).await? > 0)
}

/// How many recovery codes an account has left.
pub async fn recovery_codes_left(tx: &mut Tx, id: &StaffId) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM staff_recovery_codes WHERE staff_id = $1 AND used_at IS NULL";
    tx.fetch_one(sql, params![id], |row| row.get(0)).await
}
