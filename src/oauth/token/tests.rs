//! What an attacker tries, and an independent reader (jsonwebtoken) that must agree with us.

use jiff::SignedDuration;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use platform::secrets::MasterKey;
use proptest::prelude::*;
use serde_json::json;

use super::super::key::{SigningKey, StoredKey};
use super::super::revocation::RevokedToken;
use super::*;

const ISSUER: &str = "https://shop.example";
const AUDIENCE: &str = "https://shop.example/v2";
const NOW: i64 = 1_700_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn master() -> MasterKey {
    MasterKey::new(&[3; 32])
}

fn stored(algorithm: Algorithm) -> StoredKey {
    StoredKey::generate(algorithm, at(NOW), at(NOW), &master()).unwrap()
}

fn ring(keys: &[StoredKey]) -> KeyRing {
    KeyRing::open(keys, &master()).unwrap()
}

/// A signer with one key of each algorithm, and the keys.
fn signer() -> (Signer, [StoredKey; 4]) {
    let keys = Algorithm::ALL.map(stored);
    (Signer::new(ISSUER, AUDIENCE, ring(&keys)), keys)
}

fn shop() -> ClientId {
    "cli_shop".parse().unwrap()
}

fn grant(client_id: &ClientId, algorithm: Algorithm) -> Grant<'_> {
    Grant {
        client_id,
        secret_id: "sec_01hf3v6q9g0123456789abcdef",
        subject: client_id.as_str(),
        scopes: Scopes::parse("orders:write products:read").unwrap(),
        algorithm,
        ttl_seconds: 3600,
        bound_to: None,
    }
}

fn issue(signer: &Signer, algorithm: Algorithm, now: i64) -> String {
    signer.issue(grant(&shop(), algorithm), at(now)).unwrap().0
}

fn part(value: &Value) -> String {
    BASE64URL.encode(value.to_string())
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "cli_shop", "aud": AUDIENCE, "exp": NOW + 60, "iat": NOW, "jti": "j",
        "client_id": "cli_shop", "scope": "orders:read",
    })
}

/// A token of any content with a signature by `sign`.
fn forge(header: &str, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{header}.{}", part(claims));
    let signature = BASE64URL.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[test]
fn a_token_looks_like_the_one_in_the_reference() {
    let (signer, keys) = signer();
    let token = issue(&signer, Algorithm::Hs256, NOW);
    assert!(token.starts_with("eyJhbGciOiJIUzI1NiIsIn"), "{token}");
    let mut parts = token
        .split('.')
        .map(|part| String::from_utf8_lossy(&BASE64URL.decode(part).unwrap()).into_owned());
    let header = parts.next().unwrap();
    assert_eq!(
        header,
        format!(
            r#"{{"alg":"HS256","typ":"at+jwt","kid":"{}"}}"#,
            keys[0].kid
        )
    );
    let claims: Value = serde_json::from_str(&parts.next().unwrap()).unwrap();
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "jti",
            "client_id",
            "scope"
        ]
    );
    assert_eq!(
        (claims["exp"].as_i64(), claims["iat"].as_i64()),
        (Some(NOW + 3600), Some(NOW))
    );
    assert_eq!(claims["scope"], "products:read orders:write");
}

#[test]
fn a_token_stays_under_one_kibibyte() {
    let (signer, _) = signer();
    let id: ClientId = "cli_0197f1c2d3e475868798a9bacbdcedfe".parse().unwrap();
    for algorithm in Algorithm::ALL {
        let usual = Grant { scopes: Scopes::parse("users:read products:read products:write inventory:read inventory:write orders:read orders:write").unwrap(), ..grant(&id, algorithm) };
        let token = signer.issue(usual, at(NOW)).unwrap().0;
        assert!(token.len() < 1024, "{algorithm}: {}", token.len());
        let everything = Grant {
            scopes: Scopes::all(),
            ..grant(&id, algorithm)
        };
        let token = signer.issue(everything, at(NOW)).unwrap().0;
        let bound = match algorithm {
            Algorithm::Rs256 => 1024 + 256, // its signature alone has 342 characters
            _ => 1024,
        };
        assert!(token.len() < bound, "{algorithm}: {}", token.len());
        assert!(signer.verify(&token, at(NOW)).is_ok());
    }
}

#[test]
fn every_algorithm_verifies_cold_and_remembered() {
    let (signer, _) = signer();
    for algorithm in Algorithm::ALL {
        let (token, claims) = signer.issue(grant(&shop(), algorithm), at(NOW)).unwrap();
        for _ in 0..2 {
            assert_eq!(
                *signer.verify(&token, at(NOW)).unwrap(),
                claims,
                "{algorithm}"
            );
        }
    }
    assert_eq!(signer.keys().verified.len(), 4);
}

#[test]
fn others_can_verify_our_tokens_with_the_published_keys() {
    let (signer, _) = signer();
    let jwks: JwkSet = serde_json::from_value(signer.jwks()).unwrap();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
        let token = issue(&signer, algorithm, NOW);
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let key = DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false; // its clock is not ours
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let theirs = jsonwebtoken::decode::<Claims>(&token, &key, &validation)
            .unwrap()
            .claims;
        assert_eq!(theirs, *signer.verify(&token, at(NOW)).unwrap());
    }
}

/// Refused the first time and every time, and never remembered.
fn assert_refused(signer: &Signer, attacks: Vec<(&str, String, TokenError)>) {
    for (attack, token, refused) in attacks {
        for _ in 0..2 {
            assert_eq!(signer.verify(&token, at(NOW)), Err(refused), "{attack}");
        }
    }
    assert_eq!(signer.keys().verified.len(), 0);
}

fn header(alg: &str, kid: &str) -> String {
    part(&json!({"alg": alg, "typ": "at+jwt", "kid": kid}))
}

fn unsigned(_: &[u8]) -> Vec<u8> {
    Vec::new()
}

fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

#[test]
fn a_token_does_not_choose_its_algorithm() {
    let (signer, keys) = signer();
    let [hmac, ed, ec, rsa] = keys
        .each_ref()
        .map(|key| SigningKey::open(key, &master()).unwrap());
    let by_hmac = |message: &[u8]| hmac.sign(message).unwrap();
    let by_ed = |message: &[u8]| ed.sign(message).unwrap();
    // The public half of the RSA key as an HMAC secret: the classic confusion, in three spellings.
    let jwk = rsa.jwk().unwrap();
    let modulus = BASE64URL.decode(jwk["n"].as_str().unwrap()).unwrap();
    let text = jwk.to_string();
    let by_modulus = |message: &[u8]| hs256(&modulus, message);
    let by_jwk = |message: &[u8]| hs256(text.as_bytes(), message);
    let all = claims();
    let (none, short) = (header("none", hmac.kid()), header("None", hmac.kid()));
    let confused = header("HS256", rsa.kid());
    let crossed = header("HS256", ec.kid());
    use TokenError::{Signature, UnknownHeader};
    assert_refused(
        &signer,
        vec![
            ("alg none", forge(&none, &all, unsigned), UnknownHeader),
            ("alg None", forge(&short, &all, unsigned), UnknownHeader),
            (
                "no signature, HMAC",
                forge(hmac.header(), &all, unsigned),
                Signature,
            ),
            (
                "no signature, Ed25519",
                forge(ed.header(), &all, unsigned),
                Signature,
            ),
            (
                "zeros, P-256",
                forge(ec.header(), &all, |_| vec![0; 64]),
                Signature,
            ),
            (
                "RSA key as secret",
                forge(&confused, &all, by_modulus),
                UnknownHeader,
            ),
            (
                "RSA key as secret, RSA header",
                forge(rsa.header(), &all, by_modulus),
                Signature,
            ),
            (
                "RSA JWK as secret",
                forge(rsa.header(), &all, by_jwk),
                Signature,
            ),
            (
                "kid of another algorithm",
                forge(&crossed, &all, by_hmac),
                UnknownHeader,
            ),
            (
                "header of another key",
                forge(ec.header(), &all, by_ed),
                Signature,
            ),
        ],
    );
    let genuine = forge(hmac.header(), &all, by_hmac);
    assert!(
        signer.verify(&genuine, at(NOW)).is_ok(),
        "forgery alone makes them fail"
    );
}

#[test]
fn a_header_brings_nothing_of_its_own() {
    let (signer, keys) = signer();
    let hmac = SigningKey::open(&keys[0], &master()).unwrap();
    let foreign = SigningKey::open(&stored(Algorithm::Hs256), &master()).unwrap();
    let by_hmac = |message: &[u8]| hmac.sign(message).unwrap();
    let by_foreign = |message: &[u8]| foreign.sign(message).unwrap();
    let ours = |extra: Value| {
        let mut header = json!({"alg": "HS256", "typ": "at+jwt", "kid": hmac.kid()});
        header
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        forge(&part(&header), &claims(), by_hmac)
    };
    let no_kid = part(&json!({"alg": "HS256", "typ": "at+jwt"}));
    let path = header("HS256", "../../dev/null");
    let own_key = json!({"jwk": {"kty": "oct", "k": "AAAA"}});
    use TokenError::{Malformed, Signature, UnknownHeader};
    assert_refused(
        &signer,
        vec![
            (
                "foreign key, our header",
                forge(hmac.header(), &claims(), by_foreign),
                Signature,
            ),
            (
                "foreign key",
                forge(foreign.header(), &claims(), by_foreign),
                UnknownHeader,
            ),
            (
                "unknown kid",
                forge(&path, &claims(), by_hmac),
                UnknownHeader,
            ),
            ("no kid", forge(&no_kid, &claims(), by_hmac), UnknownHeader),
            ("typ JWT", ours(json!({"typ": "JWT"})), UnknownHeader),
            ("key in the header", ours(own_key), UnknownHeader),
            (
                "key to fetch",
                ours(json!({"jku": "https://evil.example"})),
                UnknownHeader,
            ),
            (
                "unencoded",
                ours(json!({"b64": false, "crit": ["b64"]})),
                UnknownHeader,
            ),
            ("empty", String::new(), Malformed),
            (
                "two parts",
                format!("{}.{}", hmac.header(), part(&claims())),
                Malformed,
            ),
            ("five parts", "a.b.c.d.e".to_owned(), UnknownHeader),
            ("far too long", "a".repeat(1_000_000), Malformed),
        ],
    );
    assert!(signer.verify(&ours(json!({})), at(NOW)).is_ok());
}

#[test]
fn genuine_signatures_do_not_excuse_wrong_claims() {
    let (signer, keys) = signer();
    let hmac = SigningKey::open(&keys[0], &master()).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        forge(hmac.header(), &claims, |message| {
            hmac.sign(message).unwrap()
        })
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        forge(hmac.header(), &claims, |message| {
            hmac.sign(message).unwrap()
        })
    };
    let text = forge(hmac.header(), &json!("x"), |message| {
        hmac.sign(message).unwrap()
    });
    use TokenError::*;
    let mut attacks = vec![
        (
            "wrong issuer",
            with("iss", json!("https://evil.example")),
            Issuer,
        ),
        (
            "issuer with a slash",
            with("iss", json!("https://shop.example/")),
            Issuer,
        ),
        (
            "wrong audience",
            with("aud", json!("https://other.example")),
            Audience,
        ),
        ("audience list", with("aud", json!([AUDIENCE])), Malformed),
        ("expired", with("exp", json!(NOW)), Expired),
        ("exp as text", with("exp", json!("9999999999")), Malformed),
        ("exp out of range", with("exp", json!(1e30)), Malformed),
        (
            "client id of another form",
            with("client_id", json!("root")),
            Malformed,
        ),
        ("claims not an object", text, Malformed),
    ];
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "jti",
        "client_id",
        "scope",
    ] {
        attacks.push((name, without(name), Malformed));
    }
    assert_refused(&signer, attacks);
    assert!(signer.verify(&with("exp", json!(NOW + 1)), at(NOW)).is_ok());
}

#[test]
fn a_tampered_token_is_refused_at_every_character() {
    let (signer, _) = signer();
    for algorithm in Algorithm::ALL {
        let token = issue(&signer, algorithm, NOW);
        let step = if algorithm == Algorithm::Hs256 { 1 } else { 7 };
        for place in (0..token.len()).step_by(step).chain([token.len() - 1]) {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(
                signer.verify(&altered, at(NOW)).is_err(),
                "{algorithm} at {place}"
            );
        }
        for altered in [
            format!("{token}="),
            format!("{token}A"),
            format!(" {token}"),
            token.to_lowercase(),
            format!("{token}\n"),
        ] {
            assert!(
                signer.verify(&altered, at(NOW)).is_err(),
                "{algorithm} {altered:?}"
            );
        }
    }
}

#[test]
fn a_token_expires_to_the_second_remembered_or_not() {
    let (signer, keys) = signer();
    let token = issue(&signer, Algorithm::Hs256, NOW);
    assert!(signer.verify(&token, at(NOW + 3599)).is_ok());
    assert_eq!(
        signer.verify(&token, at(NOW + 3600)),
        Err(TokenError::Expired)
    );
    let cold = Signer::new(ISSUER, AUDIENCE, ring(&keys));
    assert_eq!(
        cold.verify(&token, at(NOW + 3600)),
        Err(TokenError::Expired)
    );
    assert_eq!(cold.keys().verified.len(), 0);
    let almost = at(NOW + 3600) - SignedDuration::from_nanos(1);
    assert!(cold.verify(&token, almost).is_ok());
}

#[test]
fn revocation_reaches_remembered_tokens() {
    let (signer, _) = signer();
    let (one, claims) = signer
        .issue(grant(&shop(), Algorithm::Hs256), at(NOW))
        .unwrap();
    let two = issue(&signer, Algorithm::Hs256, NOW);
    assert!(signer.verify(&one, at(NOW)).is_ok() && signer.verify(&two, at(NOW)).is_ok());
    signer.revocations().revoke_token(
        &RevokedToken {
            jti: claims.jti.clone(),
            client_id: shop(),
            expires_at: at(claims.exp),
            revoked_at: at(NOW),
        },
        at(NOW),
    );
    assert_eq!(signer.verify(&one, at(NOW)), Err(TokenError::Revoked));
    assert!(signer.verify(&two, at(NOW)).is_ok());
    signer
        .revocations()
        .revoke_client(&shop(), at(NOW), at(NOW));
    assert_eq!(signer.verify(&two, at(NOW)), Err(TokenError::Revoked));
    let new = issue(&signer, Algorithm::Hs256, NOW);
    assert!(
        signer.verify(&new, at(NOW)).is_ok(),
        "a token fetched right after the revocation lives"
    );
}

#[test]
fn tokens_outlive_a_rotation_but_not_their_dropped_key() {
    let old = stored(Algorithm::Hs256);
    let signer = Signer::new(ISSUER, AUDIENCE, ring(std::slice::from_ref(&old)));
    let token = issue(&signer, Algorithm::Hs256, NOW);
    assert!(signer.verify(&token, at(NOW)).is_ok());
    let new = stored(Algorithm::Hs256);
    let new = StoredKey {
        activates_at: at(NOW + 10),
        ..new
    };
    signer.replace_keys(ring(&[new.clone(), old.clone()]));
    assert!(issue(&signer, Algorithm::Hs256, NOW + 9).starts_with(&header_of(&old)));
    assert!(issue(&signer, Algorithm::Hs256, NOW + 10).starts_with(&header_of(&new)));
    assert!(signer.verify(&token, at(NOW + 10)).is_ok());
    signer.replace_keys(ring(&[old.clone(), new.clone()]));
    assert_eq!(
        signer.keys().verified.len(),
        1,
        "the same keys again forget nothing"
    );
    signer.replace_keys(ring(&[new]));
    assert_eq!(
        signer.verify(&token, at(NOW + 10)),
        Err(TokenError::UnknownHeader)
    );
    let none = signer.issue(grant(&shop(), Algorithm::Rs256), at(NOW));
    assert_eq!(none, Err(IssueError::NoKey(Algorithm::Rs256)));
}

fn header_of(key: &StoredKey) -> String {
    SigningKey::open(key, &master())
        .unwrap()
        .header()
        .to_owned()
}

#[test]
fn what_is_remembered_is_bounded() {
    let signer = Signer::new(ISSUER, AUDIENCE, ring(&[stored(Algorithm::Hs256)]));
    for _ in 0..VERIFIED_MAX + 2000 {
        let token = issue(&signer, Algorithm::Hs256, NOW);
        assert!(signer.verify(&token, at(NOW)).is_ok());
    }
    assert!(signer.keys().verified.len() <= VERIFIED_MAX);
}

proptest! {
    #[test]
    fn any_text_is_refused(text in ".{0,200}", parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        let signer = Signer::new(ISSUER, AUDIENCE, KeyRing::default());
        prop_assert!(signer.verify(&text, at(NOW)).is_err());
        prop_assert!(signer.verify(&parts, at(NOW)).is_err());
    }

    #[test]
    fn any_signed_payload_is_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let key = stored(Algorithm::Hs256);
        let signer = Signer::new(ISSUER, AUDIENCE, ring(std::slice::from_ref(&key)));
        let key = SigningKey::open(&key, &master()).unwrap();
        let message = format!("{}.{}", key.header(), BASE64URL.encode(payload));
        let signature = BASE64URL.encode(key.sign(message.as_bytes()).unwrap());
        let token = format!("{message}.{signature}");
        prop_assert!(signer.verify(&token, at(NOW)).is_err());
    }
}
