//! Guessed passwords, slowed down. Failures are counted per account and address and per address alone, never
//! per account alone: whoever knows an email could otherwise lock its owner out.

use platform::clock::Timestamp;
use platform::secrets::sha256;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The failure of one account from one address that costs the first pause; each further one doubles it.
const COSTS_PER_ACCOUNT: u32 = 5;
/// The same for one address, whatever it tries.
const COSTS_PER_ADDRESS: u32 = 50;
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(15);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// After so long without a failure all is forgotten.
const FORGET: Duration = Duration::from_secs(60 * 60);
/// Most counters; beyond it those that failed longest ago are forgotten.
const COUNTED_MAX: usize = 10_000;

/// Accounts by the hash of their email, so that a long one costs no memory. Only codes are counted whatever the
/// address: they come after the right password, and six digits could be tried from many addresses.
type Key = (Option<[u8; 32]>, Option<IpAddr>);

/// Counts wrong passwords in this process.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<Key, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
    paused_until: Timestamp,
}

impl Throttle {
    /// Seconds to wait before a password is looked at; during a pause even the right one is refused.
    pub fn pause_seconds(&self, email: &str, address: IpAddr, now: Timestamp) -> Option<u64> {
        self.pause(&keys(email, address), now)
    }

    /// The same for the codes of an account.
    pub fn code_pause_seconds(&self, email: &str, now: Timestamp) -> Option<u64> {
        self.pause(&[code_key(email)], now)
    }

    fn pause(&self, keys: &[(Key, u32)], now: Timestamp) -> Option<u64> {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = keys
            .iter()
            .filter_map(|(key, _)| counted.get(key))
            .map(|failures| failures.paused_until)
            .max()?;
        let left = until.micros() - now.micros();
        u64::try_from(left)
            .ok()
            .filter(|left| *left > 0)
            .map(|left| left.div_ceil(1_000_000))
    }

    /// Counts a wrong password.
    pub fn failed(&self, email: &str, address: IpAddr, now: Timestamp) {
        self.count(&keys(email, address), now);
    }

    /// Counts a wrong code.
    pub fn code_failed(&self, email: &str, now: Timestamp) {
        self.count(&[code_key(email)], now);
    }

    fn count(&self, keys: &[(Key, u32)], now: Timestamp) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= COUNTED_MAX {
            forget_oldest(&mut counted, now);
        }
        for &(key, costs) in keys {
            let known = counted.get(&key).filter(|known| now < known.last + FORGET);
            let count = known.map_or(1, |known| known.count.saturating_add(1));
            let pause = match count.checked_sub(costs) {
                None => Duration::ZERO,
                Some(over) => PAUSE_MIN.saturating_mul(1 << over.min(10)).min(PAUSE_MAX),
            };
            let failures = Failures {
                count,
                last: now,
                paused_until: now + pause,
            };
            counted.insert(key, failures);
        }
    }

    /// Forgives the account at this address. The address is not forgiven: a guesser may own an account.
    pub fn succeeded(&self, email: &str, address: IpAddr) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.remove(&keys(email, address)[0].0);
    }

    /// Forgives the wrong codes of an account.
    pub fn code_succeeded(&self, email: &str) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.remove(&code_key(email).0);
    }
}

fn account(email: &str) -> [u8; 32] {
    sha256(email.trim().to_ascii_lowercase().as_bytes())
}

fn code_key(email: &str) -> (Key, u32) {
    ((Some(account(email)), None), COSTS_PER_ACCOUNT)
}

fn keys(email: &str, address: IpAddr) -> [(Key, u32); 2] {
    let (account, address) = (account(email), Some(group(address)));
    [
        ((Some(account), address), COSTS_PER_ACCOUNT),
        ((None, address), COSTS_PER_ADDRESS),
    ]
}

/// IPv6 addresses count by their /64, which is what one customer of a provider has at hand.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Makes room: what is over, and if that is not enough the older half.
fn forget_oldest(counted: &mut HashMap<Key, Failures>, now: Timestamp) {
    counted.retain(|_, failures| now < failures.last + FORGET);
    if counted.len() >= COUNTED_MAX {
        let mut times: Vec<i64> = counted.values().map(|one| one.last.micros()).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        counted.retain(|_, failures| failures.last.micros() > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_pause() {
        let (throttle, address) = (Throttle::default(), IpAddr::from([192, 0, 2, 1]));
        let mut pauses = Vec::new();
        for second in 0..8 {
            throttle.failed("Ada@example.com", address, at(second));
            pauses.push(throttle.pause_seconds("ada@example.com", address, at(second)));
        }
        let expected = [
            None,
            None,
            None,
            None,
            Some(15),
            Some(30),
            Some(60),
            Some(120),
        ];
        assert_eq!(pauses, expected);
        assert_eq!(
            throttle.pause_seconds("bob@example.com", address, at(8)),
            None
        );
        let elsewhere = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(
            throttle.pause_seconds("ada@example.com", elsewhere, at(8)),
            None
        );
        throttle.succeeded("ada@example.com", address);
        assert_eq!(
            throttle.pause_seconds("ada@example.com", address, at(8)),
            None
        );
    }

    #[test]
    fn an_address_that_tries_many_accounts_pauses_too() {
        let (throttle, address) = (Throttle::default(), "2001:db8::1".parse().unwrap());
        for n in 0..50 {
            throttle.failed(&format!("{n}@example.com"), address, at(0));
        }
        let neighbour = "2001:db8::2".parse().unwrap();
        assert_eq!(
            throttle.pause_seconds("new@example.com", neighbour, at(0)),
            Some(15)
        );
    }

    #[test]
    fn codes_are_counted_whatever_the_address_and_apart_from_passwords() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            throttle.code_failed("ada@example.com", at(0));
        }
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(
            throttle.code_pause_seconds("Ada@example.com", at(0)),
            Some(15)
        );
        assert_eq!(
            throttle.pause_seconds("ada@example.com", address, at(0)),
            None
        );
        throttle.code_succeeded("ada@example.com");
        assert_eq!(throttle.code_pause_seconds("ada@example.com", at(0)), None);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..20_000_u32 {
            throttle.failed(
                "a@b",
                IpAddr::from((n + 1).to_be_bytes()),
                at(i64::from(n) / 100),
            );
        }
        assert!(throttle.0.lock().unwrap().len() <= COUNTED_MAX + 2);
    }
}
