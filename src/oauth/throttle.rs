//! Guessing, slowed down. Failures are counted per client and address and per address alone, never per
//! client alone: whoever knows a client id could otherwise lock a shop out of its own back office. And a right
//! secret passes the pause of its address, because the failures may be a neighbour's.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::client::ClientId;

/// How many failures in which time lead to how long a pause. The time runs from the first failure.
#[derive(Clone, Copy, Debug)]
struct Limit {
    failures: u32,
    within: SignedDuration,
    pause: SignedDuration,
}

/// One client id from one address: 10 failures within 60 s, then 60 s of pause.
const PER_PAIR: Limit = Limit {
    failures: 10,
    within: SignedDuration::from_secs(60),
    pause: SignedDuration::from_secs(60),
};
/// One address, whatever it tries: 100 failures within 10 min, then 15 min of pause.
const PER_ADDRESS: Limit = Limit {
    failures: 100,
    within: SignedDuration::from_mins(10),
    pause: SignedDuration::from_mins(15),
};

/// Most pairs, and most addresses, counted at once; beyond it the tenth that failed longest ago is
/// forgotten.
pub const COUNTED_MAX: usize = 10_000;

/// Counts wrong credentials. IPv6 addresses count by their /64, which is what one customer of a provider
/// has at hand.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    pairs: Failures<(ClientId, IpAddr)>,
    addresses: Failures<IpAddr>,
}

/// Come back after so many seconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paused {
    pub retry_after_seconds: u32,
}

impl Paused {
    fn until(end: Timestamp, now: Timestamp) -> Paused {
        let millis = u64::try_from(end.duration_since(now).as_millis()).unwrap_or(0);
        let seconds = u32::try_from(millis.div_ceil(1000)).unwrap_or(u32::MAX);
        Paused {
            retry_after_seconds: seconds.max(1),
        }
    }
}

impl Throttle {
    /// To be asked before a secret is looked at: while the pair is paused even the right one is not accepted,
    /// or guessing could go on.
    pub fn check_pair(
        &self,
        client: &ClientId,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Paused> {
        let pair = (client.clone(), group(address));
        let until = self.lock().pairs.paused_until(&pair, now);
        until.map_or(Ok(()), |end| Err(Paused::until(end, now)))
    }

    /// To be asked when a secret was wrong. An address may be shared by many (a proxy, an office, a
    /// provider's customers): its pause stops those who guess, not those who know.
    pub fn check_address(&self, address: IpAddr, now: Timestamp) -> Result<(), Paused> {
        let until = self.lock().addresses.paused_until(&group(address), now);
        until.map_or(Ok(()), |end| Err(Paused::until(end, now)))
    }

    /// Counts wrong credentials.
    pub fn failed(&self, client: Option<&ClientId>, address: IpAddr, now: Timestamp) {
        let mut counters = self.lock();
        let address = group(address);
        if let Some(client) = client {
            counters.pairs.add((client.clone(), address), PER_PAIR, now);
        }
        counters.addresses.add(address, PER_ADDRESS, now);
    }

    /// Forgives the pair. The address is not forgiven: a guesser may well own one valid client.
    pub fn succeeded(&self, client: &ClientId, address: IpAddr) {
        let mut counters = self.lock();
        if !counters.pairs.by_key.is_empty() {
            counters
                .pairs
                .by_key
                .remove(&(client.clone(), group(address)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[derive(Debug)]
struct Failures<K> {
    by_key: HashMap<K, Failure>,
    /// Numbers the failures, to know which key failed longest ago.
    sequence: u64,
}

#[derive(Debug)]
struct Failure {
    count: u32,
    /// When the counting is over, or the pause; the next failure is the first of a new count.
    until: Timestamp,
    /// Whether `count` has reached the limit.
    paused: bool,
    sequence: u64,
}

impl<K> Default for Failures<K> {
    fn default() -> Failures<K> {
        Failures {
            by_key: HashMap::new(),
            sequence: 0,
        }
    }
}

impl<K: Hash + Eq> Failures<K> {
    fn paused_until(&self, key: &K, now: Timestamp) -> Option<Timestamp> {
        let failure = self.by_key.get(key)?;
        (failure.paused && now < failure.until).then_some(failure.until)
    }

    fn add(&mut self, key: K, limit: Limit, now: Timestamp) {
        self.sequence += 1;
        if self.by_key.len() >= COUNTED_MAX && !self.by_key.contains_key(&key) {
            self.forget_oldest(now);
        }
        let fresh = || Failure {
            count: 0,
            until: now + limit.within,
            paused: false,
            sequence: 0,
        };
        let failure = self.by_key.entry(key).or_insert_with(fresh);
        if now >= failure.until {
            *failure = fresh();
        }
        failure.count += 1;
        failure.sequence = self.sequence;
        // A pause that is on is not prolonged: requests that were under way when it began are no new sin.
        if failure.count >= limit.failures && !failure.paused {
            failure.paused = true;
            failure.until = now + limit.pause;
        }
    }

    /// Makes room: what is over, or else the tenth that failed longest ago, so that the search for it is
    /// paid once in a thousand failures.
    fn forget_oldest(&mut self, now: Timestamp) {
        self.by_key.retain(|_, failure| now < failure.until);
        if self.by_key.len() < COUNTED_MAX {
            return;
        }
        let mut sequences: Vec<u64> = self
            .by_key
            .values()
            .map(|failure| failure.sequence)
            .collect();
        let (_, newest_to_go, _) = sequences.select_nth_unstable(COUNTED_MAX / 10 - 1);
        let newest_to_go = *newest_to_go;
        self.by_key
            .retain(|_, failure| failure.sequence > newest_to_go);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn id(name: &str) -> ClientId {
        format!("cli_{name}").parse().unwrap()
    }

    const FROM: &str = "192.0.2.1";

    impl Throttle {
        /// What one who guesses sees.
        fn check(
            &self,
            client: Option<&ClientId>,
            address: IpAddr,
            now: Timestamp,
        ) -> Result<(), Paused> {
            if let Some(client) = client {
                self.check_pair(client, address, now)?;
            }
            self.check_address(address, now)
        }
    }

    #[test]
    fn ten_failures_pause_the_pair_and_nobody_else() {
        let throttle = Throttle::default();
        let shop = id("shop");
        for second in 0..9 {
            throttle.failed(Some(&shop), ip(FROM), at(second));
        }
        assert_eq!(throttle.check(Some(&shop), ip(FROM), at(8)), Ok(()));
        throttle.failed(Some(&shop), ip(FROM), at(9));
        assert_eq!(
            throttle.check(Some(&shop), ip(FROM), at(9)),
            Err(Paused {
                retry_after_seconds: 60
            })
        );
        assert_eq!(
            throttle.check(Some(&shop), ip("192.0.2.2"), at(9)),
            Ok(()),
            "the shop itself gets in"
        );
        assert_eq!(throttle.check(Some(&id("other")), ip(FROM), at(9)), Ok(()));
        throttle.failed(Some(&shop), ip(FROM), at(30)); // was under way
        assert_eq!(
            throttle.check(Some(&shop), ip(FROM), at(68)),
            Err(Paused {
                retry_after_seconds: 1
            })
        );
        assert_eq!(throttle.check(Some(&shop), ip(FROM), at(69)), Ok(()));
    }

    #[test]
    fn slow_mistakes_and_forgiven_ones_do_not_add_up() {
        let throttle = Throttle::default();
        let shop = id("shop");
        for n in 0..50 {
            throttle.failed(Some(&shop), ip(FROM), at(n * 7)); // at most 9 in any counted minute
            assert_eq!(throttle.check(Some(&shop), ip(FROM), at(n * 7)), Ok(()));
        }
        for n in 0..45 {
            throttle.failed(Some(&shop), ip(FROM), at(1000));
            if n % 9 == 8 {
                throttle.succeeded(&shop, ip(FROM));
            }
        }
        assert_eq!(throttle.check(Some(&shop), ip(FROM), at(1000)), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_ids_is_paused_longer() {
        let throttle = Throttle::default();
        for n in 0..100 {
            assert_eq!(throttle.check(None, ip(FROM), at(n)), Ok(()));
            let client = id(&n.to_string());
            throttle.failed((n % 2 == 0).then_some(&client), ip(FROM), at(n));
            throttle.succeeded(&client, ip(FROM));
        }
        let paused = Err(Paused {
            retry_after_seconds: 900,
        });
        assert_eq!(throttle.check(Some(&id("fresh")), ip(FROM), at(99)), paused);
        assert_eq!(throttle.check(None, ip(FROM), at(99)), paused);
        assert_eq!(throttle.check(None, ip(FROM), at(999)), Ok(()));
    }

    #[test]
    fn addresses_of_one_household_count_together() {
        let throttle = Throttle::default();
        for n in 0..10 {
            throttle.failed(Some(&id("shop")), ip(&format!("2001:db8::{n}")), at(0));
        }
        assert!(
            throttle
                .check(Some(&id("shop")), ip("2001:db8::ffff"), at(0))
                .is_err()
        );
        assert!(
            throttle
                .check(Some(&id("shop")), ip("2001:db8:0:1::1"), at(0))
                .is_ok()
        );
        for _ in 0..10 {
            throttle.failed(Some(&id("shop")), ip("::ffff:192.0.2.1"), at(0));
        }
        assert!(throttle.check(Some(&id("shop")), ip(FROM), at(0)).is_err());
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let throttle = Throttle::default();
        let addresses = |n: u32| IpAddr::from(std::net::Ipv4Addr::from(n));
        for n in 0..COUNTED_MAX as u32 + 5 {
            throttle.failed(Some(&id("shop")), addresses(n), at(0));
        }
        let counters = throttle.lock();
        assert_eq!(
            counters.addresses.by_key.len(),
            COUNTED_MAX - COUNTED_MAX / 10 + 5
        );
        assert_eq!(counters.pairs.by_key.len(), counters.addresses.by_key.len());
        assert!(!counters.addresses.by_key.contains_key(&addresses(0)));
        assert!(
            counters
                .addresses
                .by_key
                .contains_key(&addresses(COUNTED_MAX as u32 + 4))
        );
    }

    #[test]
    fn what_is_over_makes_room_before_what_is_not() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            throttle.failed(Some(&id("shop")), ip(FROM), at(50));
        }
        for n in 1..COUNTED_MAX as u32 {
            throttle.failed(
                Some(&id("shop")),
                IpAddr::from(std::net::Ipv4Addr::from(n)),
                at(0),
            );
        }
        throttle.failed(Some(&id("shop")), ip("192.0.2.9"), at(70));
        assert!(throttle.check(Some(&id("shop")), ip(FROM), at(70)).is_err());
    }
}
