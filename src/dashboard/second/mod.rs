//! The second factor: a code of an app after the password, or a recovery code.
//!
//! Between the two steps nothing is stored: the browser keeps a sealed ticket that says whose password was right. A
//! key that is being set up travels in the same way.

pub mod store;

use super::Dashboard;
use super::staff::{Staff, StaffId};
use super::totp::{self, RECOVERY_CODES};
use super::visit::Visit;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::secrets::{MasterKey, sha256_hex};
use std::time::Duration;

/// How long a code is waited for after the password.
const TICKET_MAX: Duration = Duration::from_secs(5 * 60);

/// What a code turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Right,
    /// A recovery code; so many are left.
    Recovery(i64),
    Wrong,
}

fn key_of(id: &StaffId) -> String {
    format!("totp key of {id}")
}

/// Who gave the right password.
#[derive(Clone, Debug)]
pub struct Holder {
    pub id: String,
    password: String,
}

impl Holder {
    /// Whether the password of this hash is still the one that was given.
    pub fn knows(&self, password_hash: &str) -> bool {
        self.password == short(password_hash)
    }
}

/// What tells one password's hash from another.
fn short(password_hash: &str) -> String {
    sha256_hex(password_hash.as_bytes())[..16].to_owned()
}

impl Dashboard {
    /// What a browser brings back with the code: whose password was right, until when, and only in this browser. With
    /// another password it is worth nothing.
    pub fn ticket(&self, visit: &Visit, staff: &Staff, password_hash: &str) -> String {
        let end = visit.now() + TICKET_MAX;
        let text = format!("{} {} {}", end.micros(), staff.id, short(password_hash));
        self.seal.seal(text.as_bytes(), &visit.mark("ticket"))
    }

    /// Whose a ticket is.
    pub fn holder(&self, visit: &Visit, ticket: &str) -> Option<Holder> {
        let opened = self.seal.open(ticket, &visit.mark("ticket")).ok()?;
        let text = std::str::from_utf8(opened.expose()).ok()?;
        let mut parts = text.split(' ');
        let end = Timestamp::from_micros(parts.next()?.parse().ok()?);
        let holder = Holder {
            id: parts.next()?.to_owned(),
            password: parts.next()?.to_owned(),
        };
        (visit.now() < end).then_some(holder)
    }

    /// A key as it travels while it is set up and as it is stored.
    pub fn seal_key(&self, id: &StaffId, key: &[u8]) -> String {
        self.seal.seal(key, &key_of(id))
    }

    /// The key that was sealed for this account.
    pub fn open_key(&self, id: &StaffId, sealed: &str) -> Option<Vec<u8>> {
        open_key(&self.seal, id, sealed)
    }
}

fn open_key(seal: &MasterKey, id: &StaffId, sealed: &str) -> Option<Vec<u8>> {
    let opened = seal.open(sealed, &key_of(id)).ok()?;
    Some(opened.expose().clone())
}

/// Looks at a code and uses it up. During a pause only recovery codes are looked at, which nobody can guess.
pub async fn use_code(
    tx: &mut Tx,
    seal: &MasterKey,
    staff: &Staff,
    (typed, paused): (&str, bool),
    now: Timestamp,
) -> Result<Code, DbError> {
    if let Some(hash) = totp::recovery_hash(typed)
        && store::use_recovery_code(tx, &staff.id, &hash, now).await?
    {
        let left = store::recovery_codes_left(tx, &staff.id).await?;
        return Ok(Code::Recovery(left));
    }
    let Some((sealed, last)) = store::totp(tx, &staff.id).await?.filter(|_| !paused) else {
        return Ok(Code::Wrong);
    };
    let Some(key) = open_key(seal, &staff.id, &sealed) else {
        tracing::error!(staff = %staff.id, "the key of a second factor does not open with this master key");
        return Ok(Code::Wrong);
    };
    match totp::step_of(&key, typed, last, now) {
        Some(step) if store::use_step(tx, &staff.id, step).await? => Ok(Code::Right),
        _ => Ok(Code::Wrong),
    }
}

/// Whether codes of `key` are asked for already.
pub async fn is_on_with(
    tx: &mut Tx,
    seal: &MasterKey,
    id: &StaffId,
    key: &[u8],
) -> Result<bool, DbError> {
    let stored = store::totp(tx, id).await?;
    let stored = stored.and_then(|(sealed, _)| open_key(seal, id, &sealed));
    Ok(stored.is_some_and(|stored| stored == key))
}

/// Makes new recovery codes, which are shown this once.
pub async fn new_recovery_codes(tx: &mut Tx, id: &StaffId) -> Result<Vec<String>, DbError> {
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| totp::new_recovery_code())
        .collect();
    let hashes = codes.iter().filter_map(|code| totp::recovery_hash(code));
    store::set_recovery_codes(tx, id, &hashes.collect::<Vec<_>>()).await?;
    Ok(codes)
}

/// Turns the second factor off.
pub async fn turn_off(tx: &mut Tx, id: &StaffId, now: Timestamp) -> Result<(), DbError> {
    store::set_totp(tx, id, None, now).await?;
    store::set_recovery_codes(tx, id, &[]).await
}
