//! What the chapter keeps in memory: keys, verified tokens, known clients, counters.

use super::client::{Client, ClientId, ClientSecret, Network};
use super::key::{Algorithm, KeyChange, KeyError, KeyRing, StoredKey, plan};
use super::scope::Scopes;
use super::store;
use super::throttle::Throttle;
use super::token::Signer;
use crate::config::Config;
use governor::clock::QuantaClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use platform::secrets::{MasterKey, random_base62};
use quick_cache::sync::Cache;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Clients remembered for a second each, so that a burst of token requests reads the database once.
const CLIENTS_MAX: usize = 10_000;
const CLIENT_FRESH_MICROS: i64 = 1_000_000;
/// Algorithms for which a key always exists. RS256 keys take long to make: they are made when the first
/// client asks for RS256.
const ALWAYS: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::EdDsa, Algorithm::Es256];

pub(super) type Limiter =
    RateLimiter<Arc<str>, DashMapStateStore<Arc<str>>, QuantaClock, StateInformationMiddleware>;

/// The chapter's memory; one for the process.
pub struct OAuth {
    pub signer: Signer,
    pub throttle: Throttle,
    pub(super) limiter: Option<Limiter>,
    master: Arc<MasterKey>,
    clients: Cache<ClientId, (Timestamp, Option<Arc<Client>>)>,
}

/// A client to be registered.
#[derive(Clone, Debug)]
pub struct NewClient {
    pub name: String,
    pub scopes: Scopes,
    pub signing_alg: Algorithm,
    pub token_ttl_seconds: Option<u32>,
    pub expires_at: Option<Timestamp>,
    pub ip_allow: Vec<Network>,
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
            limiter,
            master,
            clients: Cache::new(CLIENTS_MAX),
        };
        oauth.refresh(db, now).await?;
        Ok(oauth)
    }

    /// Takes over what other nodes have revoked and which keys there are; to be called every second.
    pub async fn refresh(&self, db: &Db, now: Timestamp) -> Result<(), OpenError> {
        let mut tx = db.read().await?;
        for (jti, client, expires_at) in store::revoked_tokens(&mut tx, now).await? {
            self.signer.revocations().revoke_token(
                &jti,
                &client,
                expires_at.to_jiff(),
                now.to_jiff(),
            );
        }
        for (client, not_before) in store::revoked_clients(&mut tx).await? {
            self.signer
                .revocations()
                .revoke_client(&client, not_before.to_jiff(), now.to_jiff());
        }
        let keys = store::keys(&mut tx).await?;
        self.signer
            .replace_keys(KeyRing::open(&keys, &self.master)?);
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
        let client = store::find_client(&mut db.read().await?, id)
            .await?
            .map(Arc::new);
        self.clients.insert(id.clone(), (now, client.clone()));
        Ok(client)
    }

    /// Forgets what is remembered about a client, after it was changed here.
    pub fn forget(&self, id: &ClientId) {
        self.clients.remove(id);
    }
}

/// Why the chapter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{0}: is this the master key that the database was made with?")]
    Key(#[from] KeyError),
}

async fn maintain_keys(
    db: &Db,
    master: &Arc<MasterKey>,
    now: Timestamp,
) -> Result<Vec<StoredKey>, OpenError> {
    let known = store::keys(&mut db.read().await?).await?;
    let mut wanted = ALWAYS.to_vec();
    if known.iter().any(|key| key.algorithm == Algorithm::Rs256) {
        wanted.push(Algorithm::Rs256);
    }
    if plan(&known, &wanted, now.to_jiff()).is_empty() {
        return Ok(known);
    }
    let master = master.clone();
    db.write(async move |tx| {
        // Planned again under the write lock: two nodes that start together make one set of keys.
        store::lock_keys(tx).await?;
        let known = store::keys(tx).await?;
        for change in plan(&known, &wanted, now.to_jiff()) {
            match change {
                KeyChange::Create {
                    algorithm,
                    activates_at,
                } => {
                    let key = StoredKey::generate(algorithm, activates_at, now.to_jiff(), &master)?;
                    store::insert_key(tx, &key).await?;
                }
                KeyChange::Drop { kid } => store::delete_key(tx, &kid).await?,
            }
        }
        Ok(store::keys(tx).await?)
    })
    .await
}

/// Registers a client and returns its id and its first secret, which is shown this once.
pub async fn create_client(
    tx: &mut Tx,
    new: &NewClient,
    now: Timestamp,
) -> Result<(ClientId, ClientSecret), DbError> {
    let id: ClientId = format!("cli_{}", random_base62(22))
        .parse()
        .expect("letters and digits");
    let secret = ClientSecret::generate();
    store::insert_client(tx, &id, new, now).await?;
    store::insert_secret(tx, &id, &secret, now).await?;
    Ok((id, secret))
}
