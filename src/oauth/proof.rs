//! What may be shown only once: the `jti` of assertions and proofs, remembered in the database until the
//! proof has expired, so that no node takes what another has taken.
//!
//! The memory is bounded: only what was signed by a known key gets in, each client at most
//! [`PER_SECOND`] times a second, and everything is out again within minutes.

use super::memory::OAuth;
use super::store;
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use platform::clock::Timestamp;
use platform::db::{Db, DbError};
use platform::secrets;
use std::num::NonZeroU32;

/// Most proofs of one client that a node takes in a second, on average.
pub const PER_SECOND: NonZeroU32 = NonZeroU32::new(500).expect("it is not zero");
/// Longest `jti`.
pub const JTI_MAX_BYTES: usize = 255;
/// Proofs forgotten in one transaction: few enough that no request waits for them.
const FORGET_MAX: i64 = 1_000;

/// Why a proof was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error("shown before")]
    Replayed,
    #[error("too many proofs, again in {0} s")]
    TooMany(u32),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Counts the proofs of each client.
#[derive(Debug)]
pub struct Pace(DefaultKeyedRateLimiter<String>);

impl Default for Pace {
    fn default() -> Pace {
        Pace(RateLimiter::keyed(Quota::per_second(PER_SECOND)))
    }
}

impl OAuth {
    /// Takes the proof called `jti` for `purpose` from `owner` once; it is to be refused by its own time
    /// from `expires_at` on.
    pub async fn take_proof(
        &self,
        db: &Db,
        (purpose, owner, jti): (&str, &str, &str),
        expires_at: Timestamp,
    ) -> Result<(), NotTaken> {
        let Pace(pace) = &self.pace;
        if let Err(until) = pace.check_key(&owner.to_owned()) {
            let now = governor::clock::DefaultClock::default().now();
            let seconds = until.wait_time_from(now).as_secs() + 1;
            return Err(NotTaken::TooMany(u32::try_from(seconds).unwrap_or(1)));
        }
        let hash = secrets::sha256_hex(format!("{purpose}\n{owner}\n{jti}").as_bytes());
        let is_new = db
            .write(async move |tx| store::insert_proof(tx, &hash, expires_at).await)
            .await?;
        is_new.then_some(()).ok_or(NotTaken::Replayed)
    }

    /// Forgets the proofs that have expired; to be called every minute.
    pub async fn forget_proofs(&self, db: &Db, now: Timestamp) -> Result<(), DbError> {
        self.pace.0.retain_recent();
        // Read first: an idle server writes nothing.
        while store::has_expired_proofs(&mut db.read().await?, now).await? {
            db.write(async move |tx| store::delete_proofs(tx, now, FORGET_MAX).await)
                .await?;
        }
        Ok(())
    }
}
