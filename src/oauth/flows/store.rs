//! All SQL over grants, codes and refresh tokens.

use super::super::client::ClientId;
use super::super::request::GrantType;
use super::super::scope::Scopes;
use super::authorize::AuthorizationRequest;
use super::grant::{GRANTS_MAX, GrantId, REMEMBERED_MAX, UserGrant};
use super::redirect::RedirectUri;
use super::registration::Registration;
use crate::dashboard::Role;
use crate::dashboard::staff::StaffId;
use platform::clock::Timestamp;
use platform::db::{DbError, Row, Tx};
use platform::params;

/// Most grants read or removed at a time.
const ROWS_MAX: i64 = 10_000;

fn unreadable(index: usize, what: impl std::fmt::Display) -> DbError {
    DbError::Column {
        index,
        reason: what.to_string(),
    }
}

// ---- clients -----------------------------------------------------------------------------------

/// The flows in three columns of a client, from `from` on.
pub fn registration(row: &Row<'_>, from: usize) -> Result<Registration, DbError> {
    let names = row.get::<&str>(from)?.split(' ');
    let grant_types: Option<Vec<GrantType>> = names.map(GrantType::from_name).collect();
    let grant_types = grant_types.ok_or_else(|| unreadable(from, "unknown grant type"))?;
    let uris: Vec<String> =
        serde_json::from_str(row.get::<&str>(from + 1)?).map_err(|e| unreadable(from + 1, e))?;
    let uris: Result<Vec<_>, _> = uris.iter().map(|uri| RedirectUri::parse(uri)).collect();
    let uris = uris.map_err(|e| unreadable(from + 1, e))?;
    let is_public = row.get::<i64>(from + 2)? != 0;
    Registration::new(grant_types, uris, is_public).map_err(|e| unreadable(from, e))
}

/// Gives a client other flows.
pub async fn set_registration(
    tx: &mut Tx,
    id: &ClientId,
    registration: &Registration,
) -> Result<(), DbError> {
    let names = registration.grant_types().iter().map(|one| one.name());
    let names = names.collect::<Vec<_>>().join(" ");
    let uris = registration.redirect_uris().iter().map(RedirectUri::as_str);
    let uris = serde_json::json!(uris.collect::<Vec<_>>()).to_string();
    let public = i64::from(registration.is_public());
    let sql = "UPDATE oauth_clients SET grant_types = $2, redirect_uris = $3, is_public = $4 WHERE id = $1";
    tx.execute(sql, params![id.as_str(), names, uris, public])
        .await
        .map(drop)
}

// ---- people ------------------------------------------------------------------------------------

/// What the apps of somebody may do; nothing once the account is closed.
pub async fn cap_of(tx: &mut Tx, id: &StaffId) -> Result<Scopes, DbError> {
    let sql = "SELECT id, role, disabled_at FROM staff WHERE id = $1";
    let found = tx.fetch_optional(sql, params![id], cap_in).await?;
    Ok(found.map_or(Scopes::NONE, |(_, cap)| cap))
}

fn cap_in(row: &Row<'_>) -> Result<(String, Scopes), DbError> {
    let role = row.get::<&str>(1)?;
    let role = Role::parse(role).ok_or_else(|| unreadable(1, role))?;
    let cap = match row.get::<Option<Timestamp>>(2)? {
        Some(_) => Scopes::NONE,
        None => role.scopes(),
    };
    Ok((row.get(0)?, cap))
}

/// What the apps of those may do whose accounts were changed after `after`.
pub async fn caps_since(tx: &mut Tx, after: Timestamp) -> Result<Vec<(String, Scopes)>, DbError> {
    let sql = "SELECT id, role, disabled_at FROM staff WHERE updated_at > $1 LIMIT $2";
    tx.fetch_all(sql, params![after, ROWS_MAX], cap_in).await
}

// ---- grants ------------------------------------------------------------------------------------

const GRANT: &str =
    "id, client_id, staff_id, scopes, created_at, ends_at, refresh_number, revoked_at, bound_to";

fn grant(row: &Row<'_>) -> Result<UserGrant, DbError> {
    Ok(UserGrant {
        id: row.get(0)?,
        client_id: row.get::<&str>(1)?.parse().map_err(|e| unreadable(1, e))?,
        staff_id: row.get(2)?,
        scopes: Scopes::parse(row.get::<&str>(3)?).map_err(|e| unreadable(3, e))?,
        created_at: row.get(4)?,
        ends_at: row.get(5)?,
        refresh_number: row.get(6)?,
        revoked_at: row.get(7)?,
        bound_to: row.get(8)?,
    })
}

/// Stores a grant that nothing was got for yet. Beyond [`GRANTS_MAX`] the oldest of the person end; they are returned.
pub async fn insert_grant(tx: &mut Tx, grant: &UserGrant) -> Result<Vec<GrantId>, DbError> {
    let sql = "INSERT INTO oauth_grants (id, client_id, staff_id, scopes, created_at, ends_at, refresh_number)
        VALUES ($1, $2, $3, $4, $5, $6, 0)";
    tx.execute(
        sql,
        params![
            grant.id,
            grant.client_id.as_str(),
            grant.staff_id,
            grant.scopes.to_string(),
            grant.created_at,
            grant.ends_at
        ],
    )
    .await?;
    let sql = "UPDATE oauth_grants SET revoked_at = $2
        WHERE staff_id = $1 AND revoked_at IS NULL AND ends_at > $2 AND id NOT IN
        (SELECT id FROM oauth_grants WHERE staff_id = $1 AND revoked_at IS NULL AND ends_at > $2
            ORDER BY created_at DESC, id DESC LIMIT $3)
        RETURNING id";
    tx.fetch_all(
        sql,
        params![grant.staff_id, grant.created_at, GRANTS_MAX],
        |row| row.get(0),
    )
    .await
}

/// The grant called `id`; no other transaction changes it until this one ends.
pub async fn hold_grant(tx: &mut Tx, id: &GrantId) -> Result<Option<UserGrant>, DbError> {
    let sql = format!(
        "UPDATE oauth_grants SET refresh_number = refresh_number WHERE id = $1 RETURNING {GRANT}"
    );
    tx.fetch_optional(&sql, params![id], grant).await
}

/// Notes that something was got for a grant, and when it ends now.
pub async fn use_grant(tx: &mut Tx, grant: &UserGrant, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_grants SET last_used_at = $2, ends_at = $3, refresh_number = $4, bound_to = $5 WHERE id = $1";
    tx.execute(
        sql,
        params![
            grant.id,
            now,
            grant.ends_at,
            grant.refresh_number,
            grant.bound_to
        ],
    )
    .await
    .map(drop)
}

/// A grant as its owner sees it.
pub struct ListedGrant {
    pub id: GrantId,
    /// The name of the client.
    pub name: String,
    pub scopes: Scopes,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub ends_at: Timestamp,
}

/// The grants of somebody that something may still be got for, the newest first, at most [`GRANTS_MAX`].
pub async fn grants_of(
    tx: &mut Tx,
    id: &StaffId,
    now: Timestamp,
) -> Result<Vec<ListedGrant>, DbError> {
    let sql = "SELECT g.id, c.name, g.scopes, g.created_at, g.last_used_at, g.ends_at
        FROM oauth_grants g JOIN oauth_clients c ON c.id = g.client_id
        WHERE g.staff_id = $1 AND g.revoked_at IS NULL AND g.ends_at > $2 AND g.last_used_at IS NOT NULL
            AND c.disabled_at IS NULL
        ORDER BY g.created_at DESC, g.id DESC LIMIT $3";
    tx.fetch_all(sql, params![id, now, GRANTS_MAX], |row| {
        Ok(ListedGrant {
            id: row.get(0)?,
            name: row.get(1)?,
            scopes: Scopes::parse(row.get::<&str>(2)?).map_err(|e| unreadable(2, e))?,
            created_at: row.get(3)?,
            last_used_at: row.get(4)?,
            ends_at: row.get(5)?,
        })
    })
    .await
}

/// Ends a grant; whether it was alive.
pub async fn revoke_grant(tx: &mut Tx, id: &GrantId, now: Timestamp) -> Result<bool, DbError> {
    let sql = "UPDATE oauth_grants SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, params![id, now]).await? > 0)
}

/// The grants of somebody that have not ended, held until the transaction ends.
pub async fn hold_grants_of(tx: &mut Tx, id: &StaffId) -> Result<Vec<UserGrant>, DbError> {
    let sql = format!(
        "UPDATE oauth_grants SET refresh_number = refresh_number WHERE staff_id = $1 AND revoked_at IS NULL RETURNING {GRANT}"
    );
    tx.fetch_all(&sql, params![id], grant).await
}

/// The grants that were revoked after `after`, the last ones first, at most `limit`.
pub async fn revoked_grants(
    tx: &mut Tx,
    after: Timestamp,
    limit: usize,
) -> Result<Vec<(GrantId, Timestamp)>, DbError> {
    let sql =
        "SELECT id, revoked_at FROM oauth_grants WHERE revoked_at IS NOT NULL AND revoked_at > $1
        ORDER BY revoked_at DESC LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    tx.fetch_all(sql, params![after, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .await
}

/// Removes what ended before `before`, and what belonged to it.
pub async fn delete_ended_grants(tx: &mut Tx, before: Timestamp) -> Result<(), DbError> {
    let sql =
        "SELECT id FROM oauth_grants WHERE ends_at < $1 AND (revoked_at IS NULL OR revoked_at < $1)
        ORDER BY ends_at LIMIT $2";
    let ended: Vec<GrantId> = tx
        .fetch_all(sql, params![before, ROWS_MAX / 20], |row| row.get(0))
        .await?;
    for id in &ended {
        for sql in [
            "DELETE FROM oauth_codes WHERE grant_id = $1",
            "DELETE FROM oauth_refresh_tokens WHERE grant_id = $1",
            "DELETE FROM oauth_grants WHERE id = $1",
        ] {
            tx.execute(sql, params![id]).await?;
        }
    }
    Ok(())
}

// ---- codes -------------------------------------------------------------------------------------

/// A code as it is stored.
pub struct StoredCode {
    pub grant_id: GrantId,
    pub redirect_uri: String,
    pub challenge: String,
    pub dpop_jkt: Option<String>,
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

/// Stores the hash of a code.
pub async fn insert_code(
    tx: &mut Tx,
    hash: &str,
    grant_id: &GrantId,
    request: &AuthorizationRequest,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let sql = "INSERT INTO oauth_codes (code_hash, grant_id, redirect_uri, challenge, dpop_jkt, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let (place, challenge) = (&request.back.redirect_uri, request.challenge.as_str());
    let jkt = &request.dpop_jkt;
    let params = params![hash, grant_id, place, challenge, jkt, expires_at];
    tx.execute(sql, params).await.map(drop)
}

/// The code with this hash.
pub async fn find_code(tx: &mut Tx, hash: &str) -> Result<Option<StoredCode>, DbError> {
    let sql = "SELECT grant_id, redirect_uri, challenge, expires_at, used_at, dpop_jkt FROM oauth_codes WHERE code_hash = $1";
    tx.fetch_optional(sql, params![hash], |row| {
        Ok(StoredCode {
            grant_id: row.get(0)?,
            redirect_uri: row.get(1)?,
            challenge: row.get(2)?,
            expires_at: row.get(3)?,
            used_at: row.get(4)?,
            dpop_jkt: row.get(5)?,
        })
    })
    .await
}

/// Uses a code up.
pub async fn use_code(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_codes SET used_at = $2 WHERE code_hash = $1";
    tx.execute(sql, params![hash, now]).await.map(drop)
}

// ---- refresh tokens ----------------------------------------------------------------------------

/// A refresh token as it is stored.
pub struct StoredRefresh {
    pub grant_id: GrantId,
    pub number: i64,
    pub used_at: Option<Timestamp>,
}

/// Stores the hash of the newest refresh token of a grant, and forgets one that is too old to matter.
pub async fn insert_refresh(tx: &mut Tx, hash: &str, grant: &UserGrant) -> Result<(), DbError> {
    let sql = "INSERT INTO oauth_refresh_tokens (token_hash, grant_id, number) VALUES ($1, $2, $3)";
    tx.execute(sql, params![hash, grant.id, grant.refresh_number])
        .await?;
    let sql = "DELETE FROM oauth_refresh_tokens WHERE grant_id = $1 AND number <= $2";
    tx.execute(
        sql,
        params![grant.id, grant.refresh_number - REMEMBERED_MAX],
    )
    .await
    .map(drop)
}

/// The refresh token with this hash.
pub async fn find_refresh(tx: &mut Tx, hash: &str) -> Result<Option<StoredRefresh>, DbError> {
    let sql = "SELECT grant_id, number, used_at FROM oauth_refresh_tokens WHERE token_hash = $1";
    tx.fetch_optional(sql, params![hash], |row| {
        Ok(StoredRefresh {
            grant_id: row.get(0)?,
            number: row.get(1)?,
            used_at: row.get(2)?,
        })
    })
    .await
}

/// Uses a refresh token up.
pub async fn use_refresh(tx: &mut Tx, hash: &str, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_refresh_tokens SET used_at = $2 WHERE token_hash = $1";
    tx.execute(sql, params![hash, now]).await.map(drop)
}
