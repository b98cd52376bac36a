//! Tokens that died before their time, kept in memory so that a request costs no query. The database is
//! the truth; this is filled from it at start and by every later change, in any order and repeatedly.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;

use super::client::{ClientId, TOKEN_TTL_SECONDS_MAX};
use super::token::{Claims, secret_tag};

/// Most single tokens remembered. One more revokes all present tokens of its client: too much rather
/// than too little.
pub const REVOKED_TOKENS_MAX: usize = 100_000;
/// Most clients remembered. One more revokes all present tokens of every client.
pub const REVOKED_CLIENTS_MAX: usize = 100_000;
/// Most secrets remembered that ended while a token got with them may still live; those that ended first are
/// left out.
pub const ENDED_SECRETS_MAX: usize = 100_000;
/// Most grants remembered that were revoked while a token of theirs may still live. One more revokes all present
/// tokens of everybody.
pub const REVOKED_GRANTS_MAX: usize = 100_000;
/// Seconds for which a node may go on issuing tokens to a client that another process has disabled. Where the
/// client itself cannot be remembered, all tokens of so much later are dead too.
const NOTICED_LATE_SECONDS: i64 = 2;

/// A token that died before its time, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedToken {
    /// Names the token.
    pub jti: String,
    /// Whom it was issued to.
    pub client_id: ClientId,
    /// When it would have expired.
    pub expires_at: Timestamp,
    /// When it died.
    pub revoked_at: Timestamp,
}

/// The set of revoked tokens.
#[derive(Debug, Default)]
pub struct Revocations(RwLock<Revoked>);

#[derive(Debug, Default)]
struct Revoked {
    /// `jti` of a revoked token and the second in which it would have expired.
    tokens: HashMap<String, i64>,
    /// Clients whose tokens are dead.
    clients: HashMap<ClientId, Dead>,
    /// [`secret_tag`] of a secret and the second in which it ended.
    secrets: HashMap<String, i64>,
    /// [`secret_tag`] of a grant that was revoked, and the second in which it was.
    grants: HashMap<String, i64>,
    /// The same for all clients.
    everyone: Option<i64>,
}

/// Which tokens of a client are dead.
#[derive(Clone, Copy, Debug)]
struct Dead {
    /// Those issued until this second.
    until: i64,
    /// All others too: the client was disabled, and what was issued since came from a node that did not know.
    whole: bool,
}

impl Revocations {
    /// Kills one token until it expires.
    pub fn revoke_token(&self, token: &RevokedToken, now: Timestamp) {
        let mut revoked = self.write();
        if revoked.tokens.contains_key(&token.jti) {
            return; // read again from the database
        }
        if revoked.tokens.len() >= REVOKED_TOKENS_MAX {
            revoked.tokens.retain(|_, exp| *exp > now.as_second());
        }
        if revoked.tokens.len() < REVOKED_TOKENS_MAX {
            let expires = token.expires_at.as_second();
            revoked.tokens.insert(token.jti.clone(), expires);
        } else {
            // By its own time and not by `now`, so that reading it again kills no token issued since.
            revoked.revoke_client(&token.client_id, token.revoked_at, now);
        }
    }

    /// Kills every token that the client was issued until `revoked_at`, the whole second included.
    pub fn revoke_client(&self, client_id: &ClientId, revoked_at: Timestamp, now: Timestamp) {
        self.write().revoke_client(client_id, revoked_at, now);
    }

    /// Kills every token of the client, whenever it was issued. `disabled_at` says for how long this is to be
    /// remembered. Returns whether it is news.
    pub fn disable_client(
        &self,
        client_id: &ClientId,
        disabled_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let mut revoked = self.write();
        if revoked
            .clients
            .get(client_id)
            .is_some_and(|dead| dead.whole)
        {
            return false;
        }
        revoked.revoke_client(client_id, disabled_at, now);
        match revoked.clients.get_mut(client_id) {
            Some(dead) => dead.whole = true,
            None => {
                let until = disabled_at.as_second() + NOTICED_LATE_SECONDS;
                revoked.everyone = revoked.everyone.max(Some(until));
            }
        }
        true
    }

    /// Kills the tokens that were got with a secret when it had ended already: by a node that did not know yet.
    /// Returns whether it is news.
    pub fn end_secret(&self, secret_id: &str, ended_at: Timestamp, now: Timestamp) -> bool {
        let mut revoked = self.write();
        let (tag, second) = (secret_tag(secret_id), ended_at.as_second());
        if revoked.secrets.get(tag) == Some(&second) {
            return false;
        }
        if revoked.secrets.len() >= ENDED_SECRETS_MAX {
            let forgotten = now.as_second() - i64::from(TOKEN_TTL_SECONDS_MAX);
            revoked.secrets.retain(|_, second| *second >= forgotten);
        }
        if revoked.secrets.len() < ENDED_SECRETS_MAX {
            revoked.secrets.insert(tag.to_owned(), second);
        }
        true
    }

    /// Kills every token of a grant, whenever it was issued.
    pub fn revoke_grant(&self, grant_id: &str, revoked_at: Timestamp, now: Timestamp) {
        let mut revoked = self.write();
        let (tag, second) = (secret_tag(grant_id), revoked_at.as_second());
        if revoked.grants.contains_key(tag) {
            return; // read again from the database
        }
        if revoked.grants.len() >= REVOKED_GRANTS_MAX {
            let forgotten = now.as_second() - i64::from(TOKEN_TTL_SECONDS_MAX);
            revoked.grants.retain(|_, second| *second >= forgotten);
        }
        if revoked.grants.len() < REVOKED_GRANTS_MAX {
            revoked.grants.insert(tag.to_owned(), second);
        } else {
            revoked.everyone = revoked.everyone.max(Some(second));
        }
    }

    /// Whether the token is dead. Expiry is not looked at.
    pub fn contains(&self, claims: &Claims) -> bool {
        let revoked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let client = revoked.clients.get(&claims.client_id);
        let ended = revoked.secrets.get(claims.secret_tag());
        client.is_some_and(|dead| dead.whole)
            || revoked.tokens.contains_key(&claims.jti)
            || revoked.grants.contains_key(claims.secret_tag())
            || revoked
                .last_dead_second(&claims.client_id)
                .is_some_and(|second| claims.iat <= second)
            || ended.is_some_and(|second| claims.iat >= *second)
    }

    /// The first second in which a token issued to the client now is not already dead: `now`, or the one
    /// after it right after a revocation, as tokens know whole seconds only.
    pub fn first_living_second(&self, client_id: &ClientId, now: Timestamp) -> i64 {
        let revoked = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let dead = revoked.last_dead_second(client_id);
        dead.map_or(now.as_second(), |second| now.as_second().max(second + 1))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Revoked> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Revoked {
    fn revoke_client(&mut self, client_id: &ClientId, revoked_at: Timestamp, now: Timestamp) {
        let second = revoked_at.as_second();
        if let Some(known) = self.clients.get_mut(client_id) {
            known.until = second.max(known.until);
            return;
        }
        if self.clients.len() >= REVOKED_CLIENTS_MAX {
            // Whatever was issued that long ago has expired by itself.
            let forgotten = now.as_second() - i64::from(TOKEN_TTL_SECONDS_MAX);
            self.clients.retain(|_, dead| dead.until >= forgotten);
        }
        if self.clients.len() < REVOKED_CLIENTS_MAX {
            let dead = Dead {
                until: second,
                whole: false,
            };
            self.clients.insert(client_id.clone(), dead);
        } else {
            self.everyone = self.everyone.max(Some(second));
        }
    }

    fn last_dead_second(&self, client_id: &ClientId) -> Option<i64> {
        let known = self.clients.get(client_id).map(|dead| dead.until);
        known.max(self.everyone)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scopes;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(name: &str) -> ClientId {
        format!("cli_{name}").parse().unwrap()
    }

    fn token(client: &str, jti: &str, iat: i64) -> Claims {
        Claims {
            iss: "i".to_owned(),
            sub: client.to_owned(),
            aud: "a".to_owned(),
            exp: iat + 60,
            iat,
            jti: jti.to_owned(),
            client_id: id(client),
            scope: Scopes::NONE,
            cnf: None,
        }
    }

    fn dead(client: &str, jti: &str, expires: i64, revoked: i64) -> RevokedToken {
        RevokedToken {
            jti: jti.to_owned(),
            client_id: id(client),
            expires_at: at(expires),
            revoked_at: at(revoked),
        }
    }

    #[test]
    fn one_token_dies_alone() {
        let revocations = Revocations::default();
        revocations.revoke_token(&dead("a", "t1", 60, 0), at(0));
        assert!(revocations.contains(&token("a", "t1", 0)));
        assert!(!revocations.contains(&token("a", "t2", 0)));
    }

    #[test]
    fn all_tokens_of_a_client_die_and_the_next_lives() {
        let revocations = Revocations::default();
        revocations.revoke_client(&id("a"), at(10), at(10));
        revocations.revoke_client(&id("a"), at(5), at(10)); // an older change that arrives late
        assert!(revocations.contains(&token("a", "t1", 10)));
        assert!(!revocations.contains(&token("b", "t2", 10)));
        let next = revocations.first_living_second(&id("a"), at(10));
        assert_eq!(next, 11);
        assert!(!revocations.contains(&token("a", "t3", next)));
        assert_eq!(revocations.first_living_second(&id("a"), at(99)), 99);
        assert_eq!(revocations.first_living_second(&id("b"), at(10)), 10);
    }

    #[test]
    fn a_disabled_client_has_no_living_token_whenever_it_was_issued() {
        let revocations = Revocations::default();
        revocations.revoke_client(&id("a"), at(10), at(10));
        assert!(revocations.disable_client(&id("a"), at(20), at(20)));
        assert!(!revocations.disable_client(&id("a"), at(20), at(21)));
        for second in [0, 20, 21, 99] {
            assert!(revocations.contains(&token("a", "t", second)));
            assert!(!revocations.contains(&token("b", "t", second)));
        }
    }

    #[test]
    fn a_token_got_with_an_ended_secret_is_dead() {
        let revocations = Revocations::default();
        let secret = "sec_01hf3v6q9g0123456789abcdef";
        let jti = format!("{}-x", secret_tag(secret));
        assert!(revocations.end_secret(secret, at(20), at(20)));
        assert!(!revocations.end_secret(secret, at(20), at(21)));
        assert!(!revocations.contains(&token("a", &jti, 19)));
        assert!(revocations.contains(&token("a", &jti, 20)));
        assert!(revocations.contains(&token("a", &jti, 21)));
        assert!(!revocations.contains(&token("a", "another-x", 21)));
        assert!(!revocations.contains(&token("a", "x", 21)));
    }

    #[test]
    fn when_full_more_dies_rather_than_less() {
        let revocations = Revocations::default();
        for n in 0..REVOKED_TOKENS_MAX {
            revocations.revoke_token(&dead("a", &n.to_string(), 100, 0), at(0));
        }
        revocations.revoke_token(&dead("b", "one more", 100, 1), at(1));
        revocations.revoke_token(&dead("b", "one more", 100, 1), at(9)); // read again
        revocations.revoke_token(&dead("a", "5", 100, 1), at(9));
        assert!(!revocations.contains(&token("b", "another", 2)));
        assert!(revocations.contains(&token("b", "one more", 1)));
        assert!(revocations.contains(&token("b", "another", 1)));
        assert!(!revocations.contains(&token("a", "another", 1)));
        revocations.revoke_token(&dead("c", "later", 200, 100), at(100)); // the old ones have expired
        assert!(revocations.contains(&token("c", "later", 100)));
        assert!(!revocations.contains(&token("c", "another", 100)));
        assert_eq!(revocations.0.read().unwrap().tokens.len(), 1);
    }

    #[test]
    fn when_full_of_clients_everyone_starts_anew() {
        let revocations = Revocations::default();
        for n in 0..REVOKED_CLIENTS_MAX {
            revocations.revoke_client(&id(&n.to_string()), at(5), at(5));
        }
        revocations.revoke_client(&id("one_more"), at(6), at(6));
        assert!(revocations.contains(&token("one_more", "t", 6)));
        assert!(revocations.contains(&token("innocent", "t", 6)));
        assert!(!revocations.contains(&token("innocent", "t", 7)));
        revocations.disable_client(&id("disabled"), at(6), at(6));
        assert!(
            revocations.contains(&token("disabled", "t", 8)),
            "issued by a node that did not know"
        );
        assert!(!revocations.contains(&token("innocent", "t", 9)));
    }
}
