//! Public keys of others (RFC 7517) and the JWTs that they sign (RFC 7515): what assertions and proofs are
//! made of.
//!
//! The kind of a key alone says how it verifies, and a JWT must name that very algorithm: there is nothing a
//! sender could exchange, and no key verifies HMAC or `none`.

use super::key::Algorithm;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::secrets;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Most keys of one client: the one that signs, its successor, and some that are on their way out.
pub const KEYS_MAX: usize = 10;
/// Longest key set that is read.
pub const KEY_SET_MAX_BYTES: usize = 16 * 1024;
/// Longest `kid`.
const KID_MAX_BYTES: usize = 255;
/// Longest JWT of others that is looked at.
const JWT_MAX_BYTES: usize = 8 * 1024;
/// An RSA modulus has 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Members of private and symmetric keys (RFC 7518 §6).
const PRIVATE: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];

/// Why a key or a key set is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    #[error("a key set is a JSON object with the member keys, of at most 16 KiB (RFC 7517)")]
    NotAKeySet,
    #[error("a key set has 1 to 10 keys")]
    Count,
    #[error("key {0} is a private or symmetric key: register its public half, and exchange it")]
    Private(usize),
    #[error("key {0} is not a P-256, Ed25519 or RSA key (2048 to 8192 bits) for signatures")]
    NotUsable(usize),
    #[error("two keys have the same kid")]
    RepeatedKid,
}

/// A public key that verifies signatures of one algorithm.
#[derive(Clone, Debug)]
pub struct PublicKey {
    /// What its owner calls it.
    pub kid: Option<String>,
    /// The one algorithm that it verifies.
    pub algorithm: Algorithm,
    /// Its members that count, in the order of RFC 7638 §3.
    members: Value,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Parsed(ParsedPublicKey),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
}

impl PublicKey {
    /// Reads a public JWK; `None` for every other.
    pub fn parse(jwk: &Map<String, Value>) -> Option<PublicKey> {
        if has_private(jwk) || text(jwk, "use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let parsed = |algorithm, bytes: &[u8]| ParsedPublicKey::new(algorithm, bytes).ok();
        let (algorithm, members, material) = match (text(jwk, "kty")?, text(jwk, "crv")) {
            ("EC", Some("P-256")) => {
                let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
                let lengths_are_right = (x.len(), y.len()) == (32, 32);
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let key = lengths_are_right
                    .then(|| parsed(&ECDSA_P256_SHA256_FIXED, &point))
                    .flatten()?;
                let members = json!({ "crv": "P-256", "kty": "EC", "x": jwk["x"], "y": jwk["y"] });
                (Algorithm::Es256, members, Material::Parsed(key))
            }
            ("OKP", Some("Ed25519")) => {
                let key = parsed(&ED25519, &bytes(jwk, "x").filter(|x| x.len() == 32)?)?;
                let members = json!({ "crv": "Ed25519", "kty": "OKP", "x": jwk["x"] });
                (Algorithm::EdDsa, members, Material::Parsed(key))
            }
            ("RSA", _) => {
                let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
                let odd_and_above_one =
                    e.last().is_some_and(|last| last % 2 == 1) && e.len() <= 8 && e != [1];
                if !MODULUS_BYTES.contains(&n.len()) || n[0] == 0 || e[0] == 0 || !odd_and_above_one
                {
                    return None;
                }
                let members = json!({ "e": jwk["e"], "kty": "RSA", "n": jwk["n"] });
                let key = Material::Rsa(RsaPublicKeyComponents { n, e });
                (Algorithm::Rs256, members, key)
            }
            _ => return None,
        };
        if jwk
            .get("alg")
            .is_some_and(|alg| !alg.as_str().is_some_and(|alg| is_name(algorithm, alg)))
        {
            return None;
        }
        let kid = text(jwk, "kid").filter(|kid| !kid.is_empty() && kid.len() <= KID_MAX_BYTES);
        Some(PublicKey {
            kid: kid.map(str::to_owned),
            algorithm,
            members,
            material,
        })
    }

    /// Its SHA-256 thumbprint in base64url (RFC 7638).
    pub fn thumbprint(&self) -> String {
        BASE64URL.encode(secrets::sha256(self.members.to_string().as_bytes()))
    }

    /// Whether this key signed `jwt`, and by its algorithm.
    pub fn verifies(&self, jwt: &Jwt<'_>) -> bool {
        let (message, signature) = (jwt.message.as_bytes(), jwt.signature.as_slice());
        is_name(self.algorithm, &jwt.header.alg)
            && match &self.material {
                Material::Parsed(key) => key.verify_sig(message, signature).is_ok(),
                Material::Rsa(key) => key
                    .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                    .is_ok(),
            }
    }
}

/// Whether `name` is that of the algorithm; `EdDSA` with the curve in it is the newer one (RFC 9864).
fn is_name(algorithm: Algorithm, name: &str) -> bool {
    name == algorithm.name() || (algorithm == Algorithm::EdDsa && name == "Ed25519")
}

fn has_private(jwk: &Map<String, Value>) -> bool {
    PRIVATE.iter().any(|member| jwk.contains_key(*member))
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    jwk.get(member)?.as_str()
}

fn bytes(jwk: &Map<String, Value>, member: &str) -> Option<Vec<u8>> {
    let bytes = BASE64URL.decode(text(jwk, member)?).ok();
    bytes.filter(|bytes| !bytes.is_empty())
}

/// The public keys of a client.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<PublicKey>);

impl KeySet {
    /// Reads a JWK Set (RFC 7517 §5) of which every key is to be usable.
    pub fn parse(json: &str) -> Result<KeySet, KeySetError> {
        if json.len() > KEY_SET_MAX_BYTES {
            return Err(KeySetError::NotAKeySet);
        }
        let set: Value = serde_json::from_str(json).map_err(|_| KeySetError::NotAKeySet)?;
        let keys = set["keys"].as_array().ok_or(KeySetError::NotAKeySet)?;
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            return Err(KeySetError::Count);
        }
        let mut read: Vec<PublicKey> = Vec::with_capacity(keys.len());
        for (number, key) in (1..).zip(keys) {
            let key = key.as_object().ok_or(KeySetError::NotUsable(number))?;
            if has_private(key) {
                return Err(KeySetError::Private(number));
            }
            let key = PublicKey::parse(key).ok_or(KeySetError::NotUsable(number))?;
            let known = |other: &PublicKey| other.kid.is_some() && other.kid == key.kid;
            if read.iter().any(known) {
                return Err(KeySetError::RepeatedKid);
            }
            read.push(key);
        }
        Ok(KeySet(read))
    }

    /// The keys in their order.
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// Whether one of the keys signed `jwt`: the one that it names, or any when it names none.
    pub fn verifies(&self, jwt: &Jwt<'_>) -> bool {
        let named = |key: &&PublicKey| jwt.header.kid.is_none() || jwt.header.kid == key.kid;
        self.0.iter().filter(named).any(|key| key.verifies(jwt))
    }

    /// The set as it is stored: what counts of each key, and nothing else.
    pub fn to_json(&self) -> String {
        let jwk = |key: &PublicKey| {
            let mut jwk = key.members.clone();
            jwk["alg"] = json!(key.algorithm.name());
            if let Some(kid) = &key.kid {
                jwk["kid"] = json!(kid);
            }
            jwk
        };
        json!({ "keys": self.0.iter().map(jwk).collect::<Vec<_>>() }).to_string()
    }
}

/// The header of a JWT.
#[derive(Debug, Deserialize)]
pub struct Header {
    pub alg: String,
    #[serde(default)]
    pub typ: Option<String>,
    #[serde(default)]
    pub kid: Option<String>,
    /// The key itself, where the sender brings it (RFC 9449 §4.2).
    #[serde(default)]
    pub jwk: Option<Map<String, Value>>,
    /// Extensions that must be understood (RFC 7515 §4.1.11): none is.
    #[serde(default)]
    crit: Option<Value>,
}

/// A JWT taken apart; nothing of it is proven.
#[derive(Debug)]
pub struct Jwt<'a> {
    pub header: Header,
    pub claims: Map<String, Value>,
    message: &'a str,
    signature: Vec<u8>,
}

impl Jwt<'_> {
    /// Takes a compact JWT apart; `None` when it is none, or has what is not understood.
    pub fn parse(text: &str) -> Option<Jwt<'_>> {
        if text.len() > JWT_MAX_BYTES {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64URL.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&BASE64URL.decode(claims).ok()?).ok()?;
        header.crit.is_none().then_some(())?;
        Some(Jwt {
            header,
            claims,
            message,
            signature: BASE64URL.decode(signature).ok()?,
        })
    }

    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        text(&self.claims, claim)
    }

    /// A claim that is a time, in whole seconds.
    pub fn seconds(&self, claim: &str) -> Option<i64> {
        let value = self.claims.get(claim)?;
        let rounded = |value: f64| (value.abs() < 1e15).then_some(value.floor() as i64);
        value.as_i64().or_else(|| value.as_f64().and_then(rounded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of RFC 7517 §A.1 and RFC 8037 §A.2.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"}"#;
    const OKP: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn set(keys: &[&str]) -> Result<KeySet, KeySetError> {
        KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
    }

    #[test]
    fn a_key_set_is_public_and_usable_or_refused() {
        let good = set(&[EC, OKP]).unwrap();
        assert_eq!(good.keys().len(), 2);
        assert_eq!(
            KeySet::parse(&good.to_json()).unwrap().to_json(),
            good.to_json()
        );
        assert_eq!(set(&[]).unwrap_err(), KeySetError::Count);
        assert_eq!(set(&[OKP; 11]).unwrap_err(), KeySetError::Count);
        assert_eq!(set(&[EC, EC]).unwrap_err(), KeySetError::RepeatedKid);
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert_eq!(KeySet::parse(bad).unwrap_err(), KeySetError::NotAKeySet);
        }
        for private in [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#,
            &OKP.replace("\"x\"", "\"d\":\"AA\",\"x\""),
        ] {
            assert_eq!(set(&[private]).unwrap_err(), KeySetError::Private(1));
        }
        for unusable in [
            "1",
            "{}",
            r#"{"kty":"oct"}"#,
            &EC.replace("P-256", "P-384"),
            &EC.replace("MKBC", "MKBD"), // not on the curve
            &OKP.replace("\"kty\"", "\"use\":\"enc\",\"kty\""),
            &OKP.replace("\"kty\"", "\"alg\":\"HS256\",\"kty\""),
            r#"{"kty":"RSA","n":"wA","e":"AQAB"}"#,
        ] {
            assert_eq!(
                set(&[OKP, unusable]).unwrap_err(),
                KeySetError::NotUsable(2)
            );
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        let key = PublicKey::parse(&serde_json::from_str(OKP).unwrap()).unwrap();
        assert_eq!(
            key.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn the_signature_of_rfc_8037_verifies_and_no_other() {
        let key = PublicKey::parse(&serde_json::from_str(OKP).unwrap()).unwrap();
        // The payload of the example is no JSON object, so the parts are put together by hand.
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let jwt = |alg: &str| Jwt {
            header: serde_json::from_value(json!({ "alg": alg })).unwrap(),
            claims: Map::new(),
            message,
            signature: BASE64URL.decode(signature).unwrap(),
        };
        assert!(key.verifies(&jwt("EdDSA")) && key.verifies(&jwt("Ed25519")));
        for alg in [
            "none", "None", "HS256", "ES256", "RS256", "eddsa", "Ed448", "",
        ] {
            assert!(!key.verifies(&jwt(alg)), "{alg}");
        }
    }

    #[test]
    fn what_is_no_jwt_or_not_understood_is_refused() {
        let jwt = |header: &str, claims: &str| {
            format!("{}.{}.", BASE64URL.encode(header), BASE64URL.encode(claims))
        };
        assert!(Jwt::parse(&jwt(r#"{"alg":"none"}"#, "{}")).is_some());
        for bad in [
            String::new(),
            "..".to_owned(),
            "a.b".to_owned(),
            jwt("{}", "{}"),
            jwt(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, "{}"),
            jwt(r#"{"alg":"ES256"}"#, "[]"),
            format!("{}x.y", jwt(r#"{"alg":"ES256"}"#, "{}")),
            "x".repeat(JWT_MAX_BYTES + 1),
        ] {
            assert!(Jwt::parse(&bad).is_none(), "{bad:?}");
        }
    }
}
