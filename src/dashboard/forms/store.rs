//! What holds once. All SQL of it.

use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::params;

/// Uses up what holds once, such as the token of a form or a passkey's challenge, and forgets what has expired; `false`
/// when it was used before. `expires_at` is when it would not be taken anyway. Check and change are one statement.
pub async fn use_once(
    tx: &mut Tx,
    hash: &str,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "DELETE FROM staff_challenges WHERE expires_at <= $1";
    tx.execute(sql, params![now]).await?;
    let sql = "INSERT INTO staff_challenges (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
    Ok(tx.execute(sql, params![hash, expires_at]).await? > 0)
}

/// Whether [`use_once`] used this up.
pub async fn was_used(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM staff_challenges WHERE hash = $1 AND expires_at > $2";
    let found = tx
        .fetch_optional(sql, params![hash, now], |_| Ok(()))
        .await?;
    Ok(found.is_some())
}

/// Makes what was used up as if it never was.
pub async fn unuse(tx: &mut Tx, hash: &str) -> Result<(), DbError> {
    let sql = "DELETE FROM staff_challenges WHERE hash = $1";
    tx.execute(sql, params![hash]).await.map(drop)
}
