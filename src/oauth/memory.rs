//! What the chapter keeps in memory: keys, verified tokens, known clients, counters.

use super::client::{Client, ClientId, StoredSecret, TOKEN_TTL_SECONDS_MAX};
use super::dpop::Nonces;
use super::flows::cap::Caps;
use super::flows::device::store as devices;
use super::flows::grant::RefreshToken;
use super::flows::store as flows;
use super::key::{Algorithm, KeyChange, KeyError, KeyRing, StoredKey, plan};
use super::proof::Pace;
use super::revocation::{REVOKED_GRANTS_MAX, RevokedToken};
use super::store::{self, REVOKED_PAGE};
use super::throttle::Throttle;
use super::token::Signer;
use crate::config::Config;
use governor::clock::QuantaClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use platform::secrets::MasterKey;
use quick_cache::sync::Cache;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Clients remembered for a second each, so that a burst of token requests reads the database once.
const CLIENTS_MAX: usize = 10_000;
const CLIENT_FRESH_MICROS: i64 = 1_000_000;
/// Secrets whose last use waits to be written down; of more the use is not noted.
const USES_MAX: usize = 10_000;
/// No token lives longer.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(TOKEN_TTL_SECONDS_MAX as u64);
/// How much later than its own time a revocation may be seen: the transaction that writes it takes a
/// while, and the clock of another node may be behind ours.
const REVOCATION_LATE_MAX: Duration = Duration::from_secs(60);
/// Algorithms for which a key always exists. RS256 keys take long to make: they are made when the first
/// client asks for RS256.
const ALWAYS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];

pub(super) type Limiter =
    RateLimiter<Arc<str>, DashMapStateStore<Arc<str>>, QuantaClock, StateInformationMiddleware>;

/// The chapter's memory; one for the process.
pub struct OAuth {
    pub signer: Signer,
    pub throttle: Throttle,
    /// Whose role was changed lately.
    pub caps: Caps,
    /// What refresh tokens follow from.
    refresh_key: [u8; 32],
    pub(super) limiter: Option<Limiter>,
    master: Arc<MasterKey>,
    clients: Cache<ClientId, (Timestamp, Option<Arc<Client>>)>,
    /// When each secret and each client was last used, by its id, until it is written down.
    uses: Mutex<BTreeMap<String, Timestamp>>,
    /// How often each client proves something.
    pub(super) pace: Pace,
    pub nonces: Nonces,
    /// Revocations up to here (microseconds) are known.
    seen: AtomicI64,
    /// Held while keys are made, so that a burst of requests makes them once.
    making: tokio::sync::Mutex<()>,
}

impl OAuth {
    /// Loads the signing keys (making those that are missing) and what is revoked.
    pub async fn open(
        db: &Db,
        master: MasterKey,
        config: &Config,
        now: Timestamp,
    ) -> Result<OAuth, OpenError> {
        let master = Arc::new(master);
        let keys = maintain_keys(db, &master, now).await?;
        let nonces = Nonces::new(&master.derive("dpop nonces"));
        let audience = format!("{}/v2", config.public_url);
        let ring = KeyRing::open(&keys, &master)?;
        let limiter = NonZeroU32::new(config.rate_limit_per_second).map(|per_second| {
            let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1));
            RateLimiter::dashmap_with_clock(
                Quota::per_second(per_second).allow_burst(burst),
                QuantaClock::default(),
            )
            .with_middleware::<StateInformationMiddleware>()
        });
        let oauth = OAuth {
            signer: Signer::new(config.public_url.clone(), audience, ring),
            throttle: Throttle::default(),
            caps: Caps::default(),
            refresh_key: master.derive("oauth refresh tokens"),
            limiter,
            master,
            clients: Cache::new(CLIENTS_MAX),
            uses: Mutex::default(),
            pace: Pace::default(),
            nonces,
            seen: AtomicI64::new((now - TOKEN_LIFE_MAX).micros()),
            making: tokio::sync::Mutex::default(),
        };
        oauth.refresh(db, now).await?;
        Ok(oauth)
    }

    /// Takes over what other nodes have revoked and which keys there are; to be called twice a second.
    pub async fn refresh(&self, db: &Db, now: Timestamp) -> Result<(), OpenError> {
        let mut tx = db.read().await?;
        let seen = Timestamp::from_micros(self.seen.load(Ordering::Relaxed));
        let mut after = (seen - REVOCATION_LATE_MAX, String::new());
        loop {
            let page = store::revoked_tokens(&mut tx, (after.0, &after.1)).await?;
            for token in &page {
                self.signer.revocations().revoke_token(token, now.to_jiff());
            }
            match page.last() {
                Some(last) if page.len() == REVOKED_PAGE => {
                    let at = Timestamp::from_micros(last.revoked_at.as_microsecond());
                    after = (at, last.jti.clone());
                }
                _ => break,
            }
        }
        self.refresh_clients(&mut tx, now).await?;
        self.refresh_grants(&mut tx, now).await?;
        let keys = store::keys(&mut tx).await?;
        if !self.signer.holds(&keys) {
            let ring = KeyRing::open(&keys, &self.master)?;
            self.signer.replace_keys(ring);
        }
        self.seen.store(now.micros(), Ordering::Relaxed);
        Ok(())
    }

    /// What was done to whole clients and to secrets. A node that did not know may have issued tokens since:
    /// they are dead, and here nothing more is issued from what was remembered.
    async fn refresh_clients(&self, tx: &mut Tx, now: Timestamp) -> Result<(), DbError> {
        let revocations = self.signer.revocations();
        let after = now - TOKEN_LIFE_MAX - REVOCATION_LATE_MAX;
        for client in store::revoked_clients(tx, after).await? {
            let at = client.revoked_at.to_jiff();
            if !client.disabled {
                revocations.revoke_client(&client.id, at, now.to_jiff());
            } else if revocations.disable_client(&client.id, at, now.to_jiff()) {
                self.clients.remove(&client.id);
            }
        }
        for secret in store::ended_secrets(tx, after, now).await? {
            let at = secret.ended_at.to_jiff();
            if revocations.end_secret(&secret.id, at, now.to_jiff()) {
                self.clients.remove(&secret.client_id);
            }
        }
        Ok(())
    }

    /// What was done to grants and to those who gave them.
    async fn refresh_grants(&self, tx: &mut Tx, now: Timestamp) -> Result<(), DbError> {
        let after = now - TOKEN_LIFE_MAX - REVOCATION_LATE_MAX;
        for (id, at) in flows::revoked_grants(tx, after, REVOKED_GRANTS_MAX).await? {
            let revocations = self.signer.revocations();
            revocations.revoke_grant(id.as_str(), at.to_jiff(), now.to_jiff());
        }
        for (staff_id, cap) in flows::caps_since(tx, after).await? {
            self.caps.set(&staff_id, cap);
        }
        Ok(())
    }

    /// The refresh token that takes the place of `token`; the same one each time, on every node.
    pub fn successor(&self, token: &RefreshToken) -> RefreshToken {
        token.successor(&self.refresh_key)
    }

    /// Kills one token: on disk, then here; on other nodes when they [`refresh`](OAuth::refresh).
    pub async fn revoke_token(
        &self,
        db: &Db,
        token: RevokedToken,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let stored = token.clone();
        db.write(async move |tx| store::insert_revoked_token(tx, &stored).await)
            .await?;
        let revocations = self.signer.revocations();
        revocations.revoke_token(&token, now.to_jiff());
        Ok(())
    }

    /// Deletes what is known of revoked tokens that have expired since, and of grants that are over.
    pub async fn forget_expired(&self, db: &Db, now: Timestamp) -> Result<(), DbError> {
        let before = now - TOKEN_LIFE_MAX - REVOCATION_LATE_MAX;
        db.write(async move |tx| {
            devices::delete_devices(tx, before).await?;
            flows::delete_ended_grants(tx, before).await?;
            store::delete_revoked_tokens(tx, before).await.map(drop)
        })
        .await
    }

    /// Notes that a secret opened the door; see [`write_uses`](OAuth::write_uses).
    pub fn note_use(&self, secret: &StoredSecret, now: Timestamp) {
        self.note(&secret.id, now);
    }

    /// Notes that a client got a token without showing a secret.
    pub fn note_client(&self, id: &ClientId, now: Timestamp) {
        self.note(id.as_str(), now);
    }

    fn note(&self, id: &str, now: Timestamp) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = uses.get_mut(id) {
            *at = now;
        } else if uses.len() < USES_MAX {
            uses.insert(id.to_owned(), now);
        }
    }

    /// Writes down the uses noted since the last time; a token request itself writes nothing.
    pub async fn write_uses(&self, db: &Db) -> Result<(), DbError> {
        let uses = {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *uses)
        };
        if uses.is_empty() {
            return Ok(());
        }
        let is_client = |(id, _): &(String, Timestamp)| id.parse::<ClientId>().is_ok();
        let (clients, secrets): (Vec<_>, Vec<_>) = uses.into_iter().partition(is_client);
        db.write(async move |tx| {
            store::write_uses(tx, "oauth_client_secrets", &secrets).await?;
            store::write_uses(tx, "oauth_clients", &clients).await
        })
        .await
    }

    /// Sees to it that there is a key of `algorithm`: the first RSA key is made when it is asked for.
    pub async fn ensure_key(
        &self,
        db: &Db,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<(), OpenError> {
        if self.signer.can_sign(algorithm, now.to_jiff()) {
            return Ok(());
        }
        let _one_at_a_time = self.making.lock().await;
        if self.signer.can_sign(algorithm, now.to_jiff()) {
            return Ok(());
        }
        self.rotate_keys(db, now).await
    }

    /// Makes the keys that clients registered lately ask for, so that they are published before they sign.
    pub async fn prepare_keys(&self, db: &Db, now: Timestamp) -> Result<(), OpenError> {
        let since = now - REVOCATION_LATE_MAX;
        let wanted = store::algorithms_since(&mut db.read().await?, since).await?;
        for algorithm in wanted {
            self.ensure_key(db, algorithm, now).await?;
        }
        Ok(())
    }

    /// Makes the keys that are due and drops those that nobody needs; to be called every few minutes.
    pub async fn rotate_keys(&self, db: &Db, now: Timestamp) -> Result<(), OpenError> {
        let keys = maintain_keys(db, &self.master, now).await?;
        self.signer
            .replace_keys(KeyRing::open(&keys, &self.master)?);
        Ok(())
    }

    /// The client called `id`, at most a second old.
    pub async fn client(
        &self,
        db: &Db,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<Option<Arc<Client>>, DbError> {
        if let Some((loaded_at, client)) = self.clients.get(id)
            && (0..CLIENT_FRESH_MICROS).contains(&(now.micros() - loaded_at.micros()))
        {
            return Ok(client);
        }
        self.client_afresh(db, id, now).await
    }

    /// The client called `id` as it is now: a new secret works at once, also when the old one was just used.
    pub async fn client_afresh(
        &self,
        db: &Db,
        id: &ClientId,
        now: Timestamp,
    ) -> Result<Option<Arc<Client>>, DbError> {
        let client = store::find_client(&mut db.read().await?, id)
            .await?
            .map(Arc::new);
        self.clients.insert(id.clone(), (now, client.clone()));
        Ok(client)
    }
}

/// Whether the database holds signing keys: they open with the master key that sealed them and no other.
pub async fn has_signing_keys(db: &Db) -> Result<bool, DbError> {
    Ok(!store::keys(&mut db.read().await?).await?.is_empty())
}

/// Why the chapter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{0}: is this the master key that the database was made with?")]
    Key(#[from] KeyError),
    #[error("a signing key could not be made: {0}")]
    Making(#[from] tokio::task::JoinError),
}

async fn maintain_keys(
    db: &Db,
    master: &Arc<MasterKey>,
    now: Timestamp,
) -> Result<Vec<StoredKey>, OpenError> {
    let mut tx = db.read().await?;
    let known = store::keys(&mut tx).await?;
    let mut wanted = ALWAYS.to_vec();
    let used = known.iter().map(|key| key.algorithm);
    for algorithm in used.chain(store::algorithms(&mut tx).await?) {
        if !wanted.contains(&algorithm) {
            wanted.push(algorithm);
        }
    }
    drop(tx);
    let changes = plan(&known, &wanted, now.to_jiff());
    if changes.is_empty() {
        return Ok(known);
    }
    let made = make_keys(&changes, master, now).await?;
    db.write(async move |tx| {
        // Planned again under a lock: two nodes that start together make one set of keys.
        tx.lock("oauth signing keys").await?;
        let known = store::keys(tx).await?;
        for change in plan(&known, &wanted, now.to_jiff()) {
            match change {
                KeyChange::Create { algorithm, .. } => {
                    if let Some(key) = made.iter().find(|key| key.algorithm == algorithm) {
                        store::insert_key(tx, key).await?;
                    }
                }
                KeyChange::Drop { kid } => store::delete_key(tx, &kid).await?,
            }
        }
        Ok(store::keys(tx).await?)
    })
    .await
}

/// Makes the keys of `changes` away from the request threads and outside of any transaction.
async fn make_keys(
    changes: &[KeyChange],
    master: &Arc<MasterKey>,
    now: Timestamp,
) -> Result<Vec<StoredKey>, OpenError> {
    let (changes, master) = (changes.to_vec(), master.clone());
    let make = move || {
        let wanted = changes.iter().filter_map(|change| match change {
            KeyChange::Create {
                algorithm,
                activates_at,
            } => Some((*algorithm, *activates_at)),
            KeyChange::Drop { .. } => None,
        });
        wanted
            .map(|(algorithm, activates_at)| {
                StoredKey::generate(algorithm, activates_at, now.to_jiff(), &master)
            })
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(tokio::task::spawn_blocking(make).await??)
}
