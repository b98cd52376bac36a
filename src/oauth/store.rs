//! All SQL of the chapter.

use super::admin::{ListedSecret, NewClient};
use super::client::{Client, ClientId, ClientSecret, LIVE_SECRETS_MAX, Network, StoredSecret};
use super::flows::store as flows;
use super::jwk::KeySet;
use super::key::{Algorithm, StoredKey};
use super::revocation::{ENDED_SECRETS_MAX, REVOKED_CLIENTS_MAX, RevokedToken};
use super::scope::Scopes;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Tx};
use platform::id::new_id;
use platform::params;

/// Most clients listed, most changes of keys or clients read at a time.
const LIST_MAX: i64 = 10_000;
/// Revoked tokens read at a time.
pub const REVOKED_PAGE: usize = 1_000;

fn unreadable(index: usize, what: impl std::fmt::Display) -> DbError {
    DbError::Column {
        index,
        reason: what.to_string(),
    }
}

/// The client called `id`, with its newest secrets, of which no more can be alive.
pub async fn find_client(tx: &mut Tx, id: &ClientId) -> Result<Option<Client>, DbError> {
    let sql = "SELECT id, name, scopes, signing_alg, token_ttl_seconds, created_at, expires_at, disabled_at, ip_allow,
        grant_types, redirect_uris, is_public, jwks, dpop_bound, registered_with, first_token_at, last_used_at
        FROM oauth_clients WHERE id = $1";
    let Some(mut client) = tx.fetch_optional(sql, params![id.as_str()], client).await? else {
        return Ok(None);
    };
    client.secrets = secrets(tx, id).await?;
    Ok(Some(client))
}

fn client(row: &Row<'_>) -> Result<Client, DbError> {
    let networks: Vec<String> =
        serde_json::from_str(row.get::<&str>(8)?).map_err(|e| unreadable(8, e))?;
    let ip_allow: Result<Vec<Network>, _> = networks.iter().map(|text| text.parse()).collect();
    let scopes = row.get::<&str>(2)?;
    let keys = row.get::<Option<&str>>(12)?.map(KeySet::parse).transpose();
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
        registration: flows::registration(row, 9)?,
        secrets: Vec::new(),
        keys: keys.map_err(|e| unreadable(12, e))?,
        dpop_bound: row.get::<i64>(13)? != 0,
        registered_with: row.get(14)?,
        first_token_at: row.get::<Option<Timestamp>>(15)?.map(Timestamp::to_jiff),
        last_used_at: row.get::<Option<Timestamp>>(16)?.map(Timestamp::to_jiff),
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

/// Stores that a token is dead; once more changes nothing.
pub async fn insert_revoked_token(tx: &mut Tx, token: &RevokedToken) -> Result<(), DbError> {
    let sql = "INSERT INTO oauth_revoked_tokens (jti, client_id, revoked_at, expires_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (jti) DO NOTHING";
    let (revoked, expires) = (
        token.revoked_at.as_microsecond(),
        token.expires_at.as_microsecond(),
    );
    tx.execute(
        sql,
        params![token.jti, token.client_id.as_str(), revoked, expires],
    )
    .await
    .map(drop)
}

/// The tokens revoked after `(revoked_at, jti)`, in this order, at most [`REVOKED_PAGE`].
pub async fn revoked_tokens(
    tx: &mut Tx,
    after: (Timestamp, &str),
) -> Result<Vec<RevokedToken>, DbError> {
    let sql = "SELECT jti, client_id, expires_at, revoked_at FROM oauth_revoked_tokens
        WHERE (revoked_at, jti) > ($1, $2) ORDER BY revoked_at, jti LIMIT $3";
    let limit = REVOKED_PAGE as i64;
    tx.fetch_all(sql, params![after.0, after.1, limit], |row| {
        Ok(RevokedToken {
            jti: row.get(0)?,
            client_id: row.get::<&str>(1)?.parse().map_err(|e| unreadable(1, e))?,
            expires_at: row.get::<Timestamp>(2)?.to_jiff(),
            revoked_at: row.get::<Timestamp>(3)?.to_jiff(),
        })
    })
    .await
}

/// Forgets the tokens revoked before `before`; they must all have expired.
pub async fn delete_revoked_tokens(tx: &mut Tx, before: Timestamp) -> Result<u64, DbError> {
    let sql = "DELETE FROM oauth_revoked_tokens WHERE revoked_at < $1";
    tx.execute(sql, params![before]).await
}

/// A client all of whose tokens were revoked.
pub struct RevokedClient {
    pub id: ClientId,
    pub revoked_at: Timestamp,
    /// Whether it was disabled with them.
    pub disabled: bool,
}

/// Clients all of whose tokens were revoked after `after`. One more is read than can be remembered, so that
/// the memory notices that it is full.
pub async fn revoked_clients(tx: &mut Tx, after: Timestamp) -> Result<Vec<RevokedClient>, DbError> {
    // The 0 lets the partial index serve.
    let sql = "SELECT id, tokens_not_before, disabled_at FROM oauth_clients
        WHERE tokens_not_before > 0 AND tokens_not_before > $1 ORDER BY tokens_not_before LIMIT $2";
    let limit = REVOKED_CLIENTS_MAX as i64 + 1;
    tx.fetch_all(sql, params![after, limit], |row| {
        Ok(RevokedClient {
            id: row.get::<&str>(0)?.parse().map_err(|e| unreadable(0, e))?,
            revoked_at: row.get(1)?,
            disabled: row.get::<Option<Timestamp>>(2)?.is_some(),
        })
    })
    .await
}

/// A secret that has ended.
pub struct EndedSecret {
    pub id: String,
    pub client_id: ClientId,
    pub ended_at: Timestamp,
}

/// The secrets that ended after `after` and until `now`, the last ones first, at most [`ENDED_SECRETS_MAX`].
pub async fn ended_secrets(
    tx: &mut Tx,
    after: Timestamp,
    now: Timestamp,
) -> Result<Vec<EndedSecret>, DbError> {
    let sql = "SELECT id, client_id, expires_at FROM oauth_client_secrets
        WHERE expires_at > $1 AND expires_at <= $2 ORDER BY expires_at DESC LIMIT $3";
    let limit = ENDED_SECRETS_MAX as i64;
    tx.fetch_all(sql, params![after, now, limit], |row| {
        Ok(EndedSecret {
            id: row.get(0)?,
            client_id: row.get::<&str>(1)?.parse().map_err(|e| unreadable(1, e))?,
            ended_at: row.get(2)?,
        })
    })
    .await
}

/// The algorithms that clients ask for.
pub async fn algorithms(tx: &mut Tx) -> Result<Vec<Algorithm>, DbError> {
    let sql = "SELECT signing_alg FROM oauth_clients WHERE disabled_at IS NULL
        GROUP BY signing_alg ORDER BY signing_alg LIMIT 100";
    tx.fetch_all(sql, &[], |row| {
        row.get::<&str>(0)?.parse().map_err(|e| unreadable(0, e))
    })
    .await
}

/// The algorithms that clients registered after `since` ask for.
pub async fn algorithms_since(tx: &mut Tx, since: Timestamp) -> Result<Vec<Algorithm>, DbError> {
    let sql = "SELECT DISTINCT signing_alg FROM oauth_clients WHERE created_at > $1 LIMIT 100";
    tx.fetch_all(sql, params![since], |row| {
        row.get::<&str>(0)?.parse().map_err(|e| unreadable(0, e))
    })
    .await
}

/// The newest secrets of `id`, as many as can be alive, newest first.
pub async fn secrets(tx: &mut Tx, id: &ClientId) -> Result<Vec<StoredSecret>, DbError> {
    let sql = "SELECT id, hash, created_at, expires_at FROM oauth_client_secrets
        WHERE client_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
    let limit = LIVE_SECRETS_MAX as i64;
    tx.fetch_all(sql, params![id.as_str(), limit], |row| {
        Ok(StoredSecret {
            id: row.get(0)?,
            hash: row.get(1)?,
            created_at: row.get::<Timestamp>(2)?.to_jiff(),
            expires_at: row.get::<Option<Timestamp>>(3)?.map(Timestamp::to_jiff),
        })
    })
    .await
}

/// Lets a secret end at `end`.
pub async fn expire_secret(tx: &mut Tx, secret_id: &str, end: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_client_secrets SET expires_at = $2 WHERE id = $1";
    tx.execute(sql, params![secret_id, end]).await.map(drop)
}

/// Notes that a client was changed and returns its new version; `None` when there is none.
pub async fn touch_client(
    tx: &mut Tx,
    id: &ClientId,
    now: Timestamp,
) -> Result<Option<i64>, DbError> {
    let sql = "UPDATE oauth_clients SET updated_at = $2, version = version + 1 WHERE id = $1 RETURNING version";
    tx.fetch_optional(sql, params![id.as_str(), now], |row| row.get(0))
        .await
}

/// Disables a client from now on, all its tokens with it. What was disabled first stays.
pub async fn disable_client(tx: &mut Tx, id: &ClientId, now: Timestamp) -> Result<(), DbError> {
    let sql = "UPDATE oauth_clients SET disabled_at = COALESCE(disabled_at, $2), tokens_not_before = $2 WHERE id = $1";
    tx.execute(sql, params![id.as_str(), now]).await.map(drop)
}

/// Writes down when the rows of `table` were used. `uses` is sorted by id, so that two nodes lock in one order.
pub async fn write_uses(
    tx: &mut Tx,
    table: &'static str,
    uses: &[(String, Timestamp)],
) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {table} SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)"
    );
    let lists: Vec<Vec<Param<'_>>> = uses
        .iter()
        .map(|(id, at)| vec![Param::Text(id), Param::Int(at.micros())])
        .collect();
    tx.execute_each(&sql, &lists).await.map(drop)
}

/// All clients, oldest first, at most 10,000.
pub async fn clients(tx: &mut Tx) -> Result<Vec<Client>, DbError> {
    let sql = "SELECT id, name, scopes, signing_alg, token_ttl_seconds, created_at, expires_at, disabled_at, ip_allow,
        grant_types, redirect_uris, is_public, jwks, dpop_bound, registered_with, first_token_at, last_used_at
        FROM oauth_clients ORDER BY created_at, id LIMIT $1";
    tx.fetch_all(sql, params![LIST_MAX], client).await
}

/// Ids and names of all clients, newest first, at most 10,000.
pub async fn client_names(tx: &mut Tx) -> Result<Vec<(String, String)>, DbError> {
    let sql = "SELECT id, name FROM oauth_clients ORDER BY created_at DESC, id DESC LIMIT $1";
    tx.fetch_all(sql, params![LIST_MAX], |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// What may be shown of all secrets, by client, newest first, at most 10,000.
pub async fn secrets_listed(tx: &mut Tx) -> Result<Vec<(String, ListedSecret)>, DbError> {
    let sql =
        "SELECT client_id, id, hint, created_at, expires_at, last_used_at FROM oauth_client_secrets
        ORDER BY client_id, created_at DESC, id DESC LIMIT $1";
    tx.fetch_all(sql, params![LIST_MAX], |row| {
        let secret = ListedSecret {
            id: row.get(1)?,
            hint: row.get(2)?,
            created_at: row.get(3)?,
            expires_at: row.get(4)?,
            last_used_at: row.get(5)?,
        };
        Ok((row.get(0)?, secret))
    })
    .await
}

/// Gives a client the public keys that it signs with.
pub async fn set_keys(tx: &mut Tx, id: &ClientId, keys: &KeySet) -> Result<(), DbError> {
    let sql = "UPDATE oauth_clients SET jwks = $2 WHERE id = $1";
    tx.execute(sql, params![id.as_str(), keys.to_json()])
        .await
        .map(drop)
}

/// Binds all tokens that a client gets from now on to a key, or leaves that to the client.
pub async fn set_dpop_bound(tx: &mut Tx, id: &ClientId, bound: bool) -> Result<(), DbError> {
    let sql = "UPDATE oauth_clients SET dpop_bound = $2 WHERE id = $1";
    tx.execute(sql, params![id.as_str(), i64::from(bound)])
        .await
        .map(drop)
}

/// Remembers a proof until it expires; `false` when it is there already.
pub async fn insert_proof(tx: &mut Tx, hash: &str, expires_at: Timestamp) -> Result<bool, DbError> {
    let sql =
        "INSERT INTO oauth_proofs (hash, expires_at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
    Ok(tx.execute(sql, params![hash, expires_at]).await? == 1)
}

/// Whether there are proofs that have expired by `now`.
pub async fn has_expired_proofs(tx: &mut Tx, now: Timestamp) -> Result<bool, DbError> {
    let sql = "SELECT hash FROM oauth_proofs WHERE expires_at <= $1 LIMIT 1";
    let found = tx
        .fetch_optional(sql, params![now], |row| row.get::<String>(0))
        .await?;
    Ok(found.is_some())
}

/// Forgets proofs that have expired by `now`, those first that expired first, at most `limit`.
pub async fn delete_proofs(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<u64, DbError> {
    let sql = "DELETE FROM oauth_proofs WHERE hash IN
        (SELECT hash FROM oauth_proofs WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
    tx.execute(sql, params![now, limit]).await
}
