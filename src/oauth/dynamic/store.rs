//! All SQL of registration.

use super::metadata::{About, Cap, Metadata};
use crate::oauth::client::ClientId;
use crate::oauth::scope::Scopes;
use platform::clock::Timestamp;
use platform::db::{DbError, Row, Tx};
use platform::params;

/// Most tokens listed.
const LIST_MAX: i64 = 1_000;

/// A token to register with, as operators see it.
#[derive(Clone, Debug)]
pub struct StoredToken {
    pub id: String,
    pub name: String,
    pub scopes: Scopes,
    /// Whether its clients may act for themselves.
    pub for_machines: bool,
    pub uses_left: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl StoredToken {
    pub fn cap(&self) -> Cap {
        Cap {
            scopes: self.scopes,
            for_machines: self.for_machines,
        }
    }

    /// Whether a client can still be registered with it.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.uses_left > 0 && self.revoked_at.is_none() && now < self.expires_at
    }
}

const TOKEN: &str = "id, name, scopes, for_machines, uses_left, created_at, expires_at, revoked_at";

fn token(row: &Row<'_>) -> Result<StoredToken, DbError> {
    let unreadable = |error: crate::oauth::scope::ScopeError| DbError::Column {
        index: 2,
        reason: error.to_string(),
    };
    Ok(StoredToken {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: Scopes::parse(row.get::<&str>(2)?).map_err(unreadable)?,
        for_machines: row.get(3)?,
        uses_left: row.get(4)?,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
        revoked_at: row.get(7)?,
    })
}

/// Stores a new token.
pub async fn insert_token(tx: &mut Tx, new: &StoredToken, hash: &str) -> Result<(), DbError> {
    let sql = "INSERT INTO oauth_registration_tokens (id, name, hash, scopes, for_machines, uses_left, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let scopes = new.scopes.to_string();
    let params = params![
        new.id,
        new.name,
        hash,
        scopes,
        new.for_machines,
        new.uses_left,
        new.created_at,
        new.expires_at
    ];
    tx.execute(sql, params).await.map(drop)
}

/// All tokens, newest first, at most 1,000.
pub async fn tokens(tx: &mut Tx) -> Result<Vec<StoredToken>, DbError> {
    let sql = format!(
        "SELECT {TOKEN} FROM oauth_registration_tokens ORDER BY created_at DESC, id DESC LIMIT $1"
    );
    tx.fetch_all(&sql, params![LIST_MAX], token).await
}

/// The token with this hash, whatever became of it.
pub async fn find_token(tx: &mut Tx, hash: &str) -> Result<Option<StoredToken>, DbError> {
    let sql = format!("SELECT {TOKEN} FROM oauth_registration_tokens WHERE hash = $1");
    tx.fetch_optional(&sql, params![hash], token).await
}

/// Uses a token up by one; none when it cannot be used. Check and change are one statement.
pub async fn spend(
    tx: &mut Tx,
    hash: &str,
    now: Timestamp,
) -> Result<Option<StoredToken>, DbError> {
    let sql = format!(
        "UPDATE oauth_registration_tokens SET uses_left = uses_left - 1
        WHERE hash = $1 AND uses_left > 0 AND revoked_at IS NULL AND expires_at > $2 RETURNING {TOKEN}"
    );
    tx.fetch_optional(&sql, params![hash, now], token).await
}

/// Ends a token; `false` when there is none such. What was registered with it stays.
pub async fn revoke_token(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql =
        "UPDATE oauth_registration_tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1";
    Ok(tx.execute(sql, params![id, now]).await? > 0)
}

/// How many clients registered themselves and are not revoked.
pub async fn count_registered(tx: &mut Tx) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM oauth_clients WHERE registered_with IS NOT NULL AND disabled_at IS NULL";
    tx.fetch_one(sql, &[], |row| row.get(0)).await
}

/// Notes that a client registered itself, with which token, and by which it looks after itself.
pub async fn mark_registered(
    tx: &mut Tx,
    id: &ClientId,
    (token_id, hash): (&str, &str),
    metadata: &Metadata,
) -> Result<(), DbError> {
    let sql = "UPDATE oauth_clients SET registered_with = $2, registration_hash = $3 WHERE id = $1";
    tx.execute(sql, params![id.as_str(), token_id, hash])
        .await?;
    set_metadata(tx, id, metadata).await
}

/// Replaces name, scopes and what else a client says of itself.
pub async fn set_metadata(tx: &mut Tx, id: &ClientId, metadata: &Metadata) -> Result<(), DbError> {
    let about = serde_json::json!(metadata.about).to_string();
    let sql = "UPDATE oauth_clients SET name = $2, scopes = $3, about = $4 WHERE id = $1";
    let scopes = metadata.scopes.to_string();
    tx.execute(sql, params![id.as_str(), metadata.name, scopes, about])
        .await
        .map(drop)
}

/// What is kept of a registration.
#[derive(Clone, Debug)]
pub struct Kept {
    pub about: About,
    /// What its token allowed it.
    pub cap: Cap,
}

/// The registration of the client that is looked after by the token with this hash.
pub async fn find_managed(tx: &mut Tx, id: &ClientId, hash: &str) -> Result<Option<Kept>, DbError> {
    let sql = "SELECT c.about, t.scopes, t.for_machines FROM oauth_clients c
        JOIN oauth_registration_tokens t ON t.id = c.registered_with
        WHERE c.id = $1 AND c.registration_hash = $2 AND c.disabled_at IS NULL";
    tx.fetch_optional(sql, params![id.as_str(), hash], |row| {
        let about = serde_json::from_str(row.get::<Option<&str>>(0)?.unwrap_or("{}"));
        let unreadable = |index, reason: String| DbError::Column { index, reason };
        Ok(Kept {
            about: about.map_err(|error| unreadable(0, error.to_string()))?,
            cap: Cap {
                scopes: Scopes::parse(row.get::<&str>(1)?)
                    .map_err(|error| unreadable(1, error.to_string()))?,
                for_machines: row.get(2)?,
            },
        })
    })
    .await
}

/// Takes from a client the token by which it looked after itself.
pub async fn forget_management(tx: &mut Tx, id: &ClientId) -> Result<(), DbError> {
    let sql = "UPDATE oauth_clients SET registration_hash = NULL WHERE id = $1";
    tx.execute(sql, params![id.as_str()]).await.map(drop)
}

/// Notes when a client got its first access token; `false` when it is gone.
pub async fn note_first_token(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<bool, DbError> {
    let sql =
        "UPDATE oauth_clients SET first_token_at = COALESCE(first_token_at, $2) WHERE id = $1";
    Ok(tx.execute(sql, params![id.as_str(), now]).await? > 0)
}

/// Clients that registered themselves before `before` and never got an access token.
pub async fn unused(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<Vec<ClientId>, DbError> {
    let sql = "SELECT id FROM oauth_clients
        WHERE registered_with IS NOT NULL AND first_token_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2";
    tx.fetch_all(sql, params![before, limit], |row| {
        let id = row.get::<&str>(0)?.parse();
        id.map_err(
            |error: crate::oauth::client::NotAClientId| DbError::Column {
                index: 0,
                reason: error.to_string(),
            },
        )
    })
    .await
}

/// Forgets a client that is still unused, and what hangs on it.
pub async fn delete_unused(tx: &mut Tx, id: &ClientId, before: Timestamp) -> Result<(), DbError> {
    // Held first: a token that is got meanwhile is seen, or comes too late.
    let sql = "UPDATE oauth_clients SET updated_at = updated_at
        WHERE id = $1 AND registered_with IS NOT NULL AND first_token_at IS NULL AND created_at < $2";
    if tx.execute(sql, params![id.as_str(), before]).await? == 0 {
        return Ok(());
    }
    for sql in [
        "DELETE FROM oauth_codes WHERE grant_id IN (SELECT id FROM oauth_grants WHERE client_id = $1)",
        "DELETE FROM oauth_refresh_tokens WHERE grant_id IN (SELECT id FROM oauth_grants WHERE client_id = $1)",
        "DELETE FROM oauth_grants WHERE client_id = $1",
        "DELETE FROM oauth_devices WHERE client_id = $1",
        "DELETE FROM oauth_client_secrets WHERE client_id = $1",
        "DELETE FROM oauth_clients WHERE id = $1",
    ] {
        tx.execute(sql, params![id.as_str()]).await?;
    }
    Ok(())
}
