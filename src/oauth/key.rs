//! Signing keys: how they are made, stored, published, replaced and dropped.
//!
//! A key is stored once and never changed. Its state follows from `activates_at` and the clock, so every
//! node changes over at the same moment without a word between them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::{SignedDuration, Timestamp};
use platform::secrets::{self, CannotOpen, MasterKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::TOKEN_TTL_SECONDS_MAX;

/// How a token is signed (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// A secret of this server: fastest, and enough where only this server verifies. The default.
    #[default]
    #[serde(rename = "HS256")]
    Hs256,
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA, 2048 bits, PKCS #1 v1.5 with SHA-256: what every library can verify, and 0.8 ms to sign.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// Every algorithm, the default first.
    pub const ALL: [Algorithm; 4] = [
        Algorithm::Hs256,
        Algorithm::EdDsa,
        Algorithm::Es256,
        Algorithm::Rs256,
    ];

    /// The name of the JOSE registry.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
            Algorithm::Rs256 => "RS256",
        }
    }
}

/// The text names no algorithm that this server signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing algorithm is HS256, EdDSA, ES256 or RS256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Algorithm, UnknownAlgorithm> {
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the stored signing key {0}")]
    Sealed(#[from] CannotOpen),
    #[error("the stored signing key is damaged")]
    Damaged,
    #[error("the cryptographic library failed")]
    Library(#[from] aws_lc_rs::error::Unspecified),
}

/// A signing key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Names the key in token headers and in the published key set; `[0-9A-Za-z]`.
    pub kid: String,
    /// What it signs with; bound into `sealed`.
    pub algorithm: Algorithm,
    /// When it was made and published.
    pub created_at: Timestamp,
    /// When it starts to sign, until a later key of its algorithm does.
    pub activates_at: Timestamp,
    /// The private part, sealed by the master key for this `kid` and `algorithm` alone.
    pub sealed: String,
}

impl StoredKey {
    /// Makes a new key. An RSA key takes tens to hundreds of milliseconds: not on an async worker.
    pub fn generate(
        algorithm: Algorithm,
        activates_at: Timestamp,
        now: Timestamp,
        master: &MasterKey,
    ) -> Result<StoredKey, KeyError> {
        let private = match algorithm {
            Algorithm::Hs256 => secrets::random_bytes::<32>().to_vec(),
            Algorithm::EdDsa => Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec(),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?
                .to_pkcs8v1()?
                .as_ref()
                .to_vec(),
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048)?
                .as_der()?
                .as_ref()
                .to_vec(),
        };
        let kid = secrets::random_base62(16);
        let sealed = master.seal(&private, &context(&kid, algorithm));
        Ok(StoredKey {
            kid,
            algorithm,
            created_at: now,
            activates_at,
            sealed,
        })
    }

    fn order(&self) -> (Timestamp, &str) {
        (self.activates_at, &self.kid)
    }
}

fn context(kid: &str, algorithm: Algorithm) -> String {
    format!("oauth signing key {kid} {algorithm}")
}

/// A new key is published this long before it signs: those who verify tokens themselves may keep the key
/// set for an hour, and some keep it for a day.
pub const PUBLISHED_AHEAD: SignedDuration = SignedDuration::from_hours(24);
/// A key signs this long before its successor takes over.
pub const ROTATED_EVERY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// A retired key is kept until the longest-lived token it signed has expired, and a day more.
pub const RETIRED_KEPT: SignedDuration =
    SignedDuration::from_hours(TOKEN_TTL_SECONDS_MAX as i64 / 3600 + 24);

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, does not sign yet.
    Next,
    /// Signs and verifies; one key of each algorithm.
    Active,
    /// Only verifies what it has signed.
    Retired,
}

/// The state of `key` at `now` among `keys`, itself included.
pub fn state(key: &StoredKey, keys: &[StoredKey], now: Timestamp) -> KeyState {
    if key.activates_at > now {
        KeyState::Next
    } else if retired_at(key, keys).is_some_and(|end| end <= now) {
        KeyState::Retired
    } else {
        KeyState::Active
    }
}

/// When the successor of `key` takes over, if there is one.
fn retired_at(key: &StoredKey, keys: &[StoredKey]) -> Option<Timestamp> {
    let successors = keys
        .iter()
        .filter(|k| k.algorithm == key.algorithm && k.order() > key.order());
    successors.map(|successor| successor.activates_at).min()
}

/// One step of the keys' life, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyChange {
    /// Make a key and publish it at once.
    Create {
        algorithm: Algorithm,
        activates_at: Timestamp,
    },
    /// Forget a key that no living token needs.
    Drop { kid: String },
}

/// What has to happen to `keys` at `now` so that each of `algorithms` has a key that signs and, a day
/// before it is due, a successor. Nothing when all is well; to be asked every few minutes. The very first
/// key signs at once, as nobody can have an older key set. An overdue key signs on until its successor
/// has been published for [`PUBLISHED_AHEAD`].
pub fn plan(keys: &[StoredKey], algorithms: &[Algorithm], now: Timestamp) -> Vec<KeyChange> {
    let mut changes = Vec::new();
    for &algorithm in algorithms {
        let newest = keys
            .iter()
            .filter(|key| key.algorithm == algorithm)
            .map(|key| key.activates_at)
            .max();
        match newest.map(|newest| newest + ROTATED_EVERY) {
            None => changes.push(KeyChange::Create {
                algorithm,
                activates_at: now,
            }),
            Some(due) if due - PUBLISHED_AHEAD <= now => {
                changes.push(KeyChange::Create {
                    algorithm,
                    activates_at: due.max(now + PUBLISHED_AHEAD),
                });
            }
            Some(_) => {}
        }
    }
    for key in keys {
        if retired_at(key, keys).is_some_and(|end| end + RETIRED_KEPT <= now) {
            changes.push(KeyChange::Drop {
                kid: key.kid.clone(),
            });
        }
    }
    changes
}

/// A rotation asked for by the operator: a successor that takes over after [`PUBLISHED_AHEAD`]. `None` when
/// one is waiting already. A key that leaked is dropped instead, and every token it signed is dead: the
/// successor that waits, or else the key that the next [`plan`] makes, signs at once.
pub fn rotate(keys: &[StoredKey], algorithm: Algorithm, now: Timestamp) -> Option<KeyChange> {
    let waiting = keys
        .iter()
        .any(|key| key.algorithm == algorithm && key.activates_at > now);
    (!waiting).then(|| KeyChange::Create {
        algorithm,
        activates_at: now + PUBLISHED_AHEAD,
    })
}

/// A signing key ready for use, parsed once.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    activates_at: Timestamp,
    header: String,
    material: Material,
}

enum Material {
    Hmac(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair, ParsedPublicKey),
    EcdsaP256(EcdsaKeyPair, ParsedPublicKey),
    Rsa(RsaKeyPair, ParsedPublicKey),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.kid, self.algorithm)
    }
}

impl SigningKey {
    /// Unseals a stored key.
    pub fn open(stored: &StoredKey, master: &MasterKey) -> Result<SigningKey, KeyError> {
        let private = master.open(&stored.sealed, &context(&stored.kid, stored.algorithm))?;
        let private = private.expose();
        // `alg` comes first, as in the example token of the API reference.
        let header = format!(
            r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"}}"#,
            stored.algorithm, stored.kid
        );
        Ok(SigningKey {
            kid: stored.kid.clone(),
            algorithm: stored.algorithm,
            activates_at: stored.activates_at,
            header: BASE64URL.encode(header),
            material: Material::parse(stored.algorithm, private).ok_or(KeyError::Damaged)?,
        })
    }

    /// The name of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The first part of every token this key signs, in base64url, byte for byte. The key is found by it,
    /// so a token cannot choose its own `alg` nor bring any other header field.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The signature of `message` in the form of RFC 7518 §3.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        Ok(match &self.material {
            Material::Hmac(key) => hmac::sign(key, message).as_ref().to_vec(),
            Material::Ed25519(pair, _) => pair.try_sign(message)?.as_ref().to_vec(),
            Material::EcdsaP256(pair, _) => pair.sign(&random, message)?.as_ref().to_vec(),
            Material::Rsa(pair, _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                signature
            }
        })
    }

    /// Whether this key signed `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Ed25519(_, public)
            | Material::EcdsaP256(_, public)
            | Material::Rsa(_, public) => public.verify_sig(message, signature).is_ok(),
        }
    }

    /// The public half as a JWK (RFC 7517 §4); `None` for HMAC, which has none.
    pub fn jwk(&self) -> Option<Value> {
        let text = |bytes: &[u8]| BASE64URL.encode(bytes);
        let mut jwk = match &self.material {
            Material::Hmac(_) => return None,
            Material::Ed25519(pair, _) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
            Material::EcdsaP256(pair, _) => {
                // SEC 1 §2.3.3: 0x04, then x and y of 32 bytes each.
                let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Material::Rsa(pair, _) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({"kty": "RSA", "n": text(&public.n), "e": text(&public.e)})
            }
        };
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm.name());
        jwk["kid"] = json!(self.kid);
        Some(jwk)
    }
}

impl Material {
    fn parse(algorithm: Algorithm, private: &[u8]) -> Option<Material> {
        fn public<P: KeyPair>(
            pair: &P,
            algorithm: &'static dyn VerificationAlgorithm,
        ) -> Option<ParsedPublicKey> {
            ParsedPublicKey::new(algorithm, pair.public_key().as_ref()).ok()
        }
        Some(match algorithm {
            Algorithm::Hs256 if private.len() == 32 => {
                Material::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, private)))
            }
            Algorithm::Hs256 => return None,
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(private).ok()?;
                let public = public(&pair, &ED25519)?;
                Material::Ed25519(pair, public)
            }
            Algorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).ok()?;
                let public = public(&pair, &ECDSA_P256_SHA256_FIXED)?;
                Material::EcdsaP256(pair, public)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(private).ok()?;
                let public = public(&pair, &RSA_PKCS1_2048_8192_SHA256)?;
                Material::Rsa(pair, public)
            }
        })
    }
}

/// All keys that sign or verify at present. A handful, so it is searched from end to end.
#[derive(Debug, Default)]
pub struct KeyRing(Vec<SigningKey>);

impl KeyRing {
    /// Unseals all stored keys.
    pub fn open(stored: &[StoredKey], master: &MasterKey) -> Result<KeyRing, KeyError> {
        let mut keys = stored
            .iter()
            .map(|key| SigningKey::open(key, master))
            .collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| (a.activates_at, &a.kid).cmp(&(b.activates_at, &b.kid)));
        Ok(KeyRing(keys))
    }

    /// The key that signs with `algorithm` at `now`: the last one activated. When the clock was set back
    /// behind the first key, that one signs on: a server that cannot issue helps nobody.
    pub fn signing(&self, algorithm: Algorithm, now: Timestamp) -> Option<&SigningKey> {
        let mut keys = self
            .0
            .iter()
            .filter(|key| key.algorithm == algorithm)
            .peekable();
        let first = keys.peek().copied();
        keys.take_while(|key| key.activates_at <= now)
            .last()
            .or(first)
    }

    /// The key whose tokens start with `header`; see [`SigningKey::header`].
    pub fn by_header(&self, header: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.header == header)
    }

    /// Whether both rings hold the same keys. A key never changes, so its name is enough.
    pub fn same_keys(&self, other: &KeyRing) -> bool {
        self.0
            .iter()
            .map(SigningKey::kid)
            .eq(other.0.iter().map(SigningKey::kid))
    }

    /// Whether the ring was opened from these keys.
    pub fn holds(&self, stored: &[StoredKey]) -> bool {
        self.0.len() == stored.len()
            && stored
                .iter()
                .all(|stored| self.0.iter().any(|key| key.kid == stored.kid))
    }

    /// The published key set (RFC 7517 §5): every public half, also of keys that sign next or have signed
    /// before.
    pub fn jwks(&self) -> Value {
        json!({"keys": self.0.iter().filter_map(SigningKey::jwk).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests;
