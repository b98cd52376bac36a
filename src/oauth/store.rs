//! All SQL of the chapter.

use super::client::{Client, ClientId, ClientSecret, Network, StoredSecret};
use super::key::StoredKey;
use super::scope::Scopes;
use super::service::NewClient;
use platform::clock::Timestamp;
use platform::db::{DbError, Row, Tx};
use platform::id::new_id;
use platform::params;

/// Clients and secrets read at a time.
const LIST_MAX: i64 = 10_000;

fn unreadable(index: usize, what: impl std::fmt::Display) -> DbError {
    DbError::Column {
        index,
        reason: what.to_string(),
    }
}

/// The client called `id`, with its secrets that have not expired long ago.
pub async fn find_client(tx: &mut Tx, id: &ClientId) -> Result<Option<Client>, DbError> {
    let sql = "SELECT id, name, scopes, signing_alg, token_ttl_seconds, created_at, expires_at, disabled_at, ip_allow
        FROM oauth_clients WHERE id = $1";
    let Some(mut client) = tx.fetch_optional(sql, params![id.as_str()], client).await? else {
        return Ok(None);
    };
    let sql = "SELECT id, hash, created_at, expires_at FROM oauth_client_secrets
        WHERE client_id = $1 ORDER BY created_at DESC, id DESC LIMIT 2";
    client.secrets = tx
        .fetch_all(sql, params![id.as_str()], |row| {
            Ok(StoredSecret {
                id: row.get(0)?,
                hash: row.get(1)?,
                created_at: row.get::<Timestamp>(2)?.to_jiff(),
                expires_at: row.get::<Option<Timestamp>>(3)?.map(Timestamp::to_jiff),
            })
        })
        .await?;
    Ok(Some(client))
}

fn client(row: &Row<'_>) -> Result<Client, DbError> {
    let networks: Vec<String> =
        serde_json::from_str(row.get::<&str>(8)?).map_err(|e| unreadable(8, e))?;
    let ip_allow: Result<Vec<Network>, _> = networks.iter().map(|text| text.parse()).collect();
    let scopes = row.get::<&str>(2)?;
    Ok(Client {
        id: row.get::<&str>(0)?.parse().map_err(|e| unreadable(0, e))?,
        name: row.get(1)?,
        scopes: if scopes.is_empty() {
            Scopes::NONE
        } else {
            Scopes::parse(scopes).map_err(|e| unreadable(2, e))?
        },
        signing_alg: row.get::<&str>(3)?.parse().map_err(|e| unreadable(3, e))?,
        token_ttl_seconds: row
            .get::<Option<i64>>(4)?
            .and_then(|ttl| u32::try_from(ttl).ok()),
        created_at: row.get::<Timestamp>(5)?.to_jiff(),
        expires_at: row.get::<Option<Timestamp>>(6)?.map(Timestamp::to_jiff),
        disabled_at: row.get::<Option<Timestamp>>(7)?.map(Timestamp::to_jiff),
        ip_allow: ip_allow.map_err(|e| unreadable(8, e))?,
        secrets: Vec::new(),
    })
}

/// Inserts a client without secrets.
pub async fn insert_client(
    tx: &mut Tx,
    id: &ClientId,
    new: &NewClient,
    now: Timestamp,
) -> Result<(), DbError> {
    let networks: Vec<String> = new.ip_allow.iter().map(ToString::to_string).collect();
    let networks = serde_json::json!(networks).to_string();
    let sql = "INSERT INTO oauth_clients (id, name, scopes, signing_alg, token_ttl_seconds, ip_allow, expires_at,
        tokens_not_before, created_at, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $8, 1)";
    tx.execute(
        sql,
        params![
            id.as_str(),
            new.name,
            new.scopes.to_string(),
            new.signing_alg.name(),
            new.token_ttl_seconds,
            networks,
            new.expires_at,
            now
        ],
    )
    .await
    .map(drop)
}

/// Stores the hash of a new secret.
pub async fn insert_secret(
    tx: &mut Tx,
    id: &ClientId,
    secret: &ClientSecret,
    now: Timestamp,
) -> Result<(), DbError> {
    let text = secret.expose();
    let hint = &text[text.len() - 4..];
    let sql = "INSERT INTO oauth_client_secrets (id, client_id, hash, hint, created_at) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(
        sql,
        params![new_id("sec"), id.as_str(), secret.hash(), hint, now],
    )
    .await
    .map(drop)
}

/// Every stored signing key.
pub async fn keys(tx: &mut Tx) -> Result<Vec<StoredKey>, DbError> {
    let sql = "SELECT kid, alg, created_at, activates_at, sealed FROM oauth_signing_keys ORDER BY activates_at, kid LIMIT 100";
    tx.fetch_all(sql, &[], |row| {
        Ok(StoredKey {
            kid: row.get(0)?,
            algorithm: row.get::<&str>(1)?.parse().map_err(|e| unreadable(1, e))?,
            created_at: row.get::<Timestamp>(2)?.to_jiff(),
            activates_at: row.get::<Timestamp>(3)?.to_jiff(),
            sealed: row.get(4)?,
        })
    })
    .await
}

/// Keeps other nodes from planning keys until this transaction ends: an update of one row that both
/// need locks on PostgreSQL; on SQLite there is one writer anyway.
pub async fn lock_keys(tx: &mut Tx) -> Result<(), DbError> {
    tx.execute(
        "UPDATE locations SET name = name WHERE id = 'loc_default'",
        &[],
    )
    .await
    .map(drop)
}

/// Stores a signing key.
pub async fn insert_key(tx: &mut Tx, key: &StoredKey) -> Result<(), DbError> {
    let sql = "INSERT INTO oauth_signing_keys (kid, alg, sealed, created_at, activates_at) VALUES ($1, $2, $3, $4, $5)";
    let (created, activates) = (
        key.created_at.as_microsecond(),
        key.activates_at.as_microsecond(),
    );
    tx.execute(
        sql,
        params![
            key.kid,
            key.algorithm.name(),
            key.sealed,
            created,
            activates
        ],
    )
    .await
    .map(drop)
}

/// Forgets a signing key.
pub async fn delete_key(tx: &mut Tx, kid: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM oauth_signing_keys WHERE kid = $1",
        params![kid],
    )
    .await
    .map(drop)
}

/// Tokens that are revoked and have not expired yet.
pub async fn revoked_tokens(
    tx: &mut Tx,
    now: Timestamp,
) -> Result<Vec<(String, ClientId, Timestamp)>, DbError> {
    let sql = "SELECT jti, client_id, expires_at FROM oauth_revoked_tokens WHERE expires_at > $1 LIMIT $2";
    tx.fetch_all(sql, params![now, LIST_MAX], |row| {
        Ok((
            row.get(0)?,
            row.get::<&str>(1)?.parse().map_err(|e| unreadable(1, e))?,
            row.get(2)?,
        ))
    })
    .await
}

/// Clients whose tokens were all revoked, and when.
pub async fn revoked_clients(tx: &mut Tx) -> Result<Vec<(ClientId, Timestamp)>, DbError> {
    let sql =
        "SELECT id, tokens_not_before FROM oauth_clients WHERE tokens_not_before > 0 LIMIT $1";
    tx.fetch_all(sql, params![LIST_MAX], |row| {
        Ok((
            row.get::<&str>(0)?.parse().map_err(|e| unreadable(0, e))?,
            row.get(1)?,
        ))
    })
    .await
}
