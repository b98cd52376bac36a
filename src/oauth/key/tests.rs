//! The life of a key, and what is published of it.

use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

const HS: &[Algorithm] = &[Algorithm::Hs256];
const DAY: i64 = 24;

fn key(kid: &str, activates: i64) -> StoredKey {
    StoredKey {
        kid: kid.to_owned(),
        algorithm: Algorithm::Hs256,
        created_at: at(activates),
        activates_at: at(activates),
        sealed: String::new(),
    }
}

fn create(activates: i64) -> KeyChange {
    KeyChange::Create {
        algorithm: Algorithm::Hs256,
        activates_at: at(activates),
    }
}

#[test]
fn the_first_key_signs_at_once() {
    assert_eq!(plan(&[], HS, at(5)), [create(5)]);
    let changes = plan(&[key("a", 5)], &Algorithm::ALL, at(5));
    assert_eq!(changes.len(), 3, "the other algorithms have no key yet");
    assert_eq!(plan(&[key("a", 5)], HS, at(5)), []);
}

#[test]
fn a_successor_is_published_a_day_before_it_signs() {
    let old = key("old", 0);
    assert_eq!(plan(std::slice::from_ref(&old), HS, at(89 * DAY - 1)), []);
    assert_eq!(
        plan(std::slice::from_ref(&old), HS, at(89 * DAY)),
        [create(90 * DAY)]
    );
    let keys = [old, key("new", 90 * DAY)];
    let states = |now| keys.each_ref().map(|key| state(key, &keys, now));
    assert_eq!(states(at(90 * DAY - 1)), [KeyState::Active, KeyState::Next]);
    assert_eq!(states(at(90 * DAY)), [KeyState::Retired, KeyState::Active]);
    assert_eq!(plan(&keys, HS, at(90 * DAY)), []);
}

#[test]
fn an_overdue_key_signs_on_until_its_successor_is_known() {
    let old = key("old", 0);
    assert_eq!(
        plan(std::slice::from_ref(&old), HS, at(200 * DAY)),
        [create(201 * DAY)]
    );
    let keys = [old, key("new", 201 * DAY)];
    assert_eq!(state(&keys[0], &keys, at(201 * DAY - 1)), KeyState::Active);
}

#[test]
fn a_retired_key_outlives_its_last_token_by_a_day() {
    let keys = [key("old", 0), key("new", 90 * DAY)];
    assert_eq!(plan(&keys, HS, at(92 * DAY - 1)), []);
    assert_eq!(
        plan(&keys, HS, at(92 * DAY)),
        [KeyChange::Drop {
            kid: "old".to_owned()
        }]
    );
    assert_eq!(plan(&keys[1..], HS, at(92 * DAY)), []);
}

#[test]
fn an_operator_rotates_once_at_a_time() {
    let keys = [key("old", 0)];
    let change = rotate(&keys, Algorithm::Hs256, at(10)).unwrap();
    assert_eq!(change, create(10 + DAY));
    assert_eq!(
        rotate(&[key("old", 0), key("new", 34)], Algorithm::Hs256, at(11)),
        None
    );
}

#[test]
fn two_keys_of_one_moment_leave_one_active() {
    let keys = [key("a", 0), key("b", 0)]; // two nodes that started at once
    assert_eq!(
        keys.each_ref().map(|key| state(key, &keys, at(1))),
        [KeyState::Retired, KeyState::Active]
    );
}

#[test]
fn stored_keys_open_with_their_master_under_their_name_only() {
    let master = MasterKey::new(&[1; 32]);
    for algorithm in Algorithm::ALL {
        let stored = StoredKey::generate(algorithm, at(0), at(0), &master).unwrap();
        let (one, two) = (
            SigningKey::open(&stored, &master).unwrap(),
            SigningKey::open(&stored, &master).unwrap(),
        );
        let signature = one.sign(b"message").unwrap();
        assert!(two.verify(b"message", &signature), "{algorithm}");
        assert!(
            !two.verify(b"massage", &signature) && !two.verify(b"message", b""),
            "{algorithm}"
        );
        let renamed = StoredKey {
            kid: "other".to_owned(),
            ..stored.clone()
        };
        assert_eq!(
            SigningKey::open(&renamed, &master).unwrap_err(),
            KeyError::Sealed(CannotOpen)
        );
        assert!(SigningKey::open(&stored, &MasterKey::new(&[2; 32])).is_err());
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
    }
    let short = master.seal(b"short", &context("k", Algorithm::Hs256));
    let damaged = StoredKey {
        kid: "k".to_owned(),
        sealed: short,
        ..key("k", 0)
    };
    assert_eq!(
        SigningKey::open(&damaged, &master).unwrap_err(),
        KeyError::Damaged
    );
}

#[test]
fn the_newest_active_key_signs_whatever_the_order_stored() {
    let master = MasterKey::new(&[1; 32]);
    let make = |hours| StoredKey::generate(Algorithm::Hs256, at(hours), at(0), &master).unwrap();
    let stored = [make(50), make(10), make(30)];
    let ring = KeyRing::open(&stored, &master).unwrap();
    let signs = |hours| ring.signing(Algorithm::Hs256, at(hours)).unwrap().kid();
    assert_eq!(
        signs(9),
        stored[1].kid,
        "a clock set back does not stop the server"
    );
    assert_eq!(
        (signs(10), signs(29)),
        (stored[1].kid.as_str(), stored[1].kid.as_str())
    );
    assert_eq!(
        (signs(30), signs(99)),
        (stored[2].kid.as_str(), stored[0].kid.as_str())
    );
    assert!(ring.signing(Algorithm::Es256, at(99)).is_none());
}

#[test]
fn only_public_halves_are_published() {
    let master = MasterKey::new(&[1; 32]);
    let stored: Vec<StoredKey> = Algorithm::ALL
        .into_iter()
        .map(|algorithm| StoredKey::generate(algorithm, at(0), at(0), &master).unwrap())
        .collect();
    let jwks = KeyRing::open(&stored, &master).unwrap().jwks();
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3, "HMAC has no public half");
    for jwk in keys {
        let fields: Vec<&str> = jwk
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let length = |field: &str| {
            BASE64URL
                .decode(jwk[field].as_str().unwrap())
                .unwrap()
                .len()
        };
        match jwk["alg"].as_str().unwrap() {
            "EdDSA" => {
                assert_eq!(fields, ["kty", "crv", "x", "use", "alg", "kid"]);
                assert_eq!(length("x"), 32);
            }
            "ES256" => {
                assert_eq!(fields, ["kty", "crv", "x", "y", "use", "alg", "kid"]);
                assert_eq!((length("x"), length("y")), (32, 32));
            }
            "RS256" => {
                assert_eq!(fields, ["kty", "n", "e", "use", "alg", "kid"]);
                assert_eq!((length("n"), jwk["e"].as_str()), (256, Some("AQAB")));
            }
            other => panic!("{other}"),
        }
    }
}
