//! All SQL of passkeys.

use super::authenticator::{Credential, Use};
use super::{Challenge, PASSKEYS_MAX, Passkey};
use crate::dashboard::forms::store::use_once;
use crate::dashboard::staff::StaffId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::clock::Timestamp;
use platform::db::{DbError, Row, Tx};
use platform::id::new_id;
use platform::params;

const PASSKEY: &str =
    "p.id, p.staff_id, p.name, p.credential_id, p.public_key, p.transports, p.sign_count,
    p.can_be_synced, p.is_synced, p.created_at, p.last_used_at";

fn passkey(row: &Row<'_>) -> Result<Passkey, DbError> {
    let public_key: &str = row.get(4)?;
    let public_key = BASE64URL.decode(public_key);
    Ok(Passkey {
        id: row.get(0)?,
        staff_id: row.get(1)?,
        name: row.get(2)?,
        credential: Credential {
            id: row.get(3)?,
            public_key: public_key.map_err(|error| DbError::Column {
                index: 4,
                reason: error.to_string(),
            })?,
            sign_count: row.get(6)?,
            can_be_synced: row.get(7)?,
            is_synced: row.get(8)?,
        },
        transports: row.get(5)?,
        created_at: row.get(9)?,
        last_used_at: row.get(10)?,
    })
}

/// The passkeys of an account, oldest first.
pub async fn list(tx: &mut Tx, id: &StaffId) -> Result<Vec<Passkey>, DbError> {
    let sql = format!(
        "SELECT {PASSKEY} FROM staff_passkeys p WHERE p.staff_id = $1 ORDER BY p.created_at, p.id LIMIT $2"
    );
    tx.fetch_all(&sql, params![id, PASSKEYS_MAX], passkey).await
}

/// The passkey of this credential.
pub async fn find(tx: &mut Tx, credential_id: &str) -> Result<Option<Passkey>, DbError> {
    let sql = format!("SELECT {PASSKEY} FROM staff_passkeys p WHERE p.credential_id = $1");
    tx.fetch_optional(&sql, params![credential_id], passkey)
        .await
}

/// Stores a new passkey; `false` when the account has as many as it may. Of one account one at a time is counted.
///
/// # Errors
/// [`DbError::Unique`] `staff_passkeys_credential_id` when it is known already.
pub async fn insert(
    tx: &mut Tx,
    id: &StaffId,
    (name, transports): (&str, &str),
    new: &Credential,
    now: Timestamp,
) -> Result<bool, DbError> {
    let hold = "UPDATE staff SET updated_at = updated_at WHERE id = $1";
    tx.execute(hold, params![id]).await?;
    let sql = "INSERT INTO staff_passkeys
        (id, staff_id, name, credential_id, public_key, transports, sign_count, can_be_synced, is_synced, created_at)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
        WHERE (SELECT COUNT(*) FROM staff_passkeys WHERE staff_id = $2) < $11";
    let inserted = tx
        .execute(
            sql,
            params![
                new_id("psk"),
                id,
                name,
                new.id,
                BASE64URL.encode(&new.public_key),
                transports,
                new.sign_count,
                new.can_be_synced,
                new.is_synced,
                now,
                PASSKEYS_MAX
            ],
        )
        .await?;
    Ok(inserted > 0)
}

/// Notes the use of a passkey; `false` when it is gone, or was used meanwhile by who counts further.
async fn note_use(tx: &mut Tx, id: &str, seen: Use, now: Timestamp) -> Result<bool, DbError> {
    let sql = "UPDATE staff_passkeys SET sign_count = $2, is_synced = $3, last_used_at = $4
        WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))";
    let params = params![id, seen.sign_count, seen.is_synced, now];
    Ok(tx.execute(sql, params).await? > 0)
}

/// Uses the answer of a passkey up: its challenge, and what it counts; `false` when it was used before.
pub async fn use_answer(
    tx: &mut Tx,
    (challenge, id, seen): (&Challenge, &str, Use),
    now: Timestamp,
) -> Result<bool, DbError> {
    Ok(use_challenge(tx, challenge, now).await? && note_use(tx, id, seen, now).await?)
}

/// Removes one passkey of an account; whether there was one.
pub async fn remove(tx: &mut Tx, id: &StaffId, passkey: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM staff_passkeys WHERE staff_id = $1 AND id = $2";
    Ok(tx.execute(sql, params![id, passkey]).await? > 0)
}

/// Removes all passkeys of an account; how many there were.
pub async fn remove_all(tx: &mut Tx, id: &StaffId) -> Result<u64, DbError> {
    let sql = "DELETE FROM staff_passkeys WHERE staff_id = $1";
    tx.execute(sql, params![id]).await
}

/// Uses a challenge up; `false` when it was answered before.
pub async fn use_challenge(
    tx: &mut Tx,
    challenge: &Challenge,
    now: Timestamp,
) -> Result<bool, DbError> {
    use_once(tx, &challenge.hash(), challenge.expires_at, now).await
}
