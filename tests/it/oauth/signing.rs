//! Keys of clients, and the JWTs that they or somebody else could sign: put together by hand, so that
//! every part can be wrong.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// The key of a client.
pub struct Key {
    pub alg: &'static str,
    /// Its public half, without a kid.
    pub jwk: Value,
    pair: Pair,
}

pub fn encode(part: &Value) -> String {
    BASE64URL.encode(part.to_string())
}

impl Key {
    pub fn ec() -> Key {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": BASE64URL.encode(x), "y": BASE64URL.encode(y) });
        let pair = Pair::Ec(pair);
        Key {
            alg: "ES256",
            jwk,
            pair,
        }
    }

    pub fn ed() -> Key {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = BASE64URL.encode(pair.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let pair = Pair::Ed(pair);
        Key {
            alg: "EdDSA",
            jwk,
            pair,
        }
    }

    pub fn rsa() -> Key {
        let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let (n, e) = (BASE64URL.encode(&public.n), BASE64URL.encode(&public.e));
        let jwk = json!({ "kty": "RSA", "n": n, "e": e });
        let pair = Pair::Rsa(pair);
        Key {
            alg: "RS256",
            jwk,
            pair,
        }
    }

    /// RFC 7638, of an EC key.
    pub fn thumbprint(&self) -> String {
        let member = |name: &str| &self.jwk[name];
        let text = format!(
            "{{\"crv\":{},\"kty\":{},\"x\":{},\"y\":{}}}",
            member("crv"),
            member("kty"),
            member("x"),
            member("y")
        );
        BASE64URL.encode(platform::secrets::sha256(text.as_bytes()))
    }

    /// The public half in the forms that careless verifiers take for an HMAC secret.
    pub fn public_bytes(&self) -> Vec<Vec<u8>> {
        let raw = match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        };
        vec![raw, self.jwk.to_string().into_bytes()]
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair
                .sign(&random, message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Pair::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
        };
        format!("{message}.{}", BASE64URL.encode(signature))
    }
}

/// A JWT with an HMAC of `secret`.
pub fn hmac(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64URL.encode(tag.as_ref()))
}
