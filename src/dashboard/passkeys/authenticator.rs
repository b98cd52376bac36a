//! What browsers and authenticators say (Web Authentication Level 3, §5.8.1 and §6), and whether to believe it.
//!
//! Attestation is not asked for: which make of authenticator somebody uses is their choice. What remains of a
//! registration is a public key, and of a sign-in a signature of that key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ciborium::Value;
use platform::secrets::{self, sha256};
use serde::Deserialize;

/// Longest client data that is read.
pub const CLIENT_DATA_BYTES_MAX: usize = 4 * 1024;
/// Longest attestation object that is read: certificates of the maker may be in it.
pub const ATTESTATION_BYTES_MAX: usize = 32 * 1024;
/// Longest authenticator data that is read.
pub const AUTHENTICATOR_DATA_BYTES_MAX: usize = 4 * 1024;
/// Longest id of a credential (§7.1, step 25).
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1_023;
/// The algorithms that are asked for, in the order of preference: Ed25519, ECDSA with P-256, RSA with PKCS #1
/// (COSE, RFC 9053 and RFC 8812).
pub const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];
const EDDSA: i64 = -8;
const ES256: i64 = -7;
const RS256: i64 = -257;
/// An RSA modulus has 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

// The flags of authenticator data.
const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const CAN_BE_SYNCED: u8 = 1 << 3;
const IS_SYNCED: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// Why an answer is not believed. The text is for logs; people are told to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the client data is not what browsers send")]
    ClientData,
    #[error("it was made for another kind of question")]
    Kind,
    #[error("it answers another challenge")]
    Challenge,
    #[error("it was made on another site, or inside a page of one")]
    Origin,
    #[error("the authenticator data cannot be read")]
    AuthenticatorData,
    #[error("it was made for another relying party")]
    RelyingParty,
    #[error("nobody was there, or the authenticator did not find out who")]
    NotVerified,
    #[error("its public key is of no algorithm that was asked for")]
    Key,
    #[error("the signature is not of this passkey")]
    Signature,
    #[error("it has signed more often than this copy of it knows: there are two")]
    Cloned,
}

/// Which question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Create,
    Get,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Create => "webauthn.create",
            Kind::Get => "webauthn.get",
        }
    }
}

/// What an answer has to say: what was asked, and where.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub challenge: &'a [u8],
    pub origin: &'a str,
    pub rp_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<String>,
}

impl Asked<'_> {
    fn check_client_data(&self, json: &[u8], kind: Kind) -> Result<(), Refused> {
        if json.len() > CLIENT_DATA_BYTES_MAX {
            return Err(Refused::ClientData);
        }
        let data: ClientData = serde_json::from_slice(json).map_err(|_| Refused::ClientData)?;
        let challenge = BASE64URL.decode(&data.challenge).unwrap_or_default();
        if data.r#type != kind.name() {
            Err(Refused::Kind)
        } else if !secrets::equal(&challenge, self.challenge) {
            Err(Refused::Challenge)
        } else if data.origin != self.origin || data.cross_origin || data.top_origin.is_some() {
            Err(Refused::Origin)
        } else {
            Ok(())
        }
    }

    fn check_authenticator(&self, data: &AuthenticatorData<'_>) -> Result<(), Refused> {
        if !secrets::equal(data.rp_id_hash, &sha256(self.rp_id.as_bytes())) {
            Err(Refused::RelyingParty)
        } else if !data.has(PRESENT) || !data.has(VERIFIED) {
            Err(Refused::NotVerified)
        } else if data.has(IS_SYNCED) && !data.has(CAN_BE_SYNCED) {
            Err(Refused::AuthenticatorData)
        } else {
            Ok(())
        }
    }
}

/// §6.1.
#[derive(Debug)]
struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8],
    flags: u8,
    sign_count: u32,
    attested: Option<Attested<'a>>,
}

/// §6.5.1.
#[derive(Debug)]
struct Attested<'a> {
    credential_id: &'a [u8],
    /// The COSE_Key as it stands there.
    public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn parse(bytes: &'a [u8]) -> Option<AuthenticatorData<'a>> {
        if bytes.len() > AUTHENTICATOR_DATA_BYTES_MAX {
            return None;
        }
        let (rp_id_hash, rest) = bytes.split_at_checked(32)?;
        let (&flags, rest) = rest.split_first()?;
        let (sign_count, mut rest) = rest.split_at_checked(4)?;
        let attested = match flags & ATTESTED {
            0 => None,
            _ => Some(Attested::read(&mut rest)?),
        };
        if flags & EXTENDED != 0 {
            read_cbor(&mut rest)?;
        }
        rest.is_empty().then_some(AuthenticatorData {
            rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(sign_count.try_into().ok()?),
            attested,
        })
    }
}

impl<'a> Attested<'a> {
    fn read(bytes: &mut &'a [u8]) -> Option<Attested<'a>> {
        let (_model, rest) = bytes.split_at_checked(16)?;
        let (length, rest) = rest.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let (credential_id, rest) = rest.split_at_checked(length)?;
        let mut after = rest;
        read_cbor(&mut after)?;
        let public_key = &rest[..rest.len() - after.len()];
        *bytes = after;
        Some(Attested {
            credential_id,
            public_key,
        })
    }
}

/// Reads one value (RFC 8949) and leaves what follows.
fn read_cbor(bytes: &mut &[u8]) -> Option<Value> {
    ciborium::from_reader(bytes).ok()
}

/// A public key of an authenticator.
#[derive(Clone, Debug)]
struct PublicKey(Material);

#[derive(Clone, Debug)]
enum Material {
    Parsed(ParsedPublicKey),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
}

impl PublicKey {
    /// Reads a COSE_Key (RFC 9052 §7) of one of [`ALGORITHMS`]; `None` for every other.
    fn parse(cose: &[u8]) -> Option<PublicKey> {
        let key = read_cbor(&mut &*cose)?;
        let members = key.as_map()?;
        let member = |label: i64| {
            let labelled = members.iter().find(|(key, _)| number(key) == Some(label));
            labelled.map(|(_, value)| value)
        };
        let bytes = |label: i64| member(label)?.as_bytes();
        let is = |label: i64, value: i64| member(label).and_then(number) == Some(value);
        let material = match member(3).and_then(number)? {
            ES256 if is(1, 2) && is(-1, 1) => {
                let (x, y) = (bytes(-2)?, bytes(-3)?);
                let lengths_are_right = (x.len(), y.len()) == (32, 32);
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point).ok();
                Material::Parsed(key.filter(|_| lengths_are_right)?)
            }
            EDDSA if is(1, 1) && is(-1, 6) => {
                let x = bytes(-2).filter(|x| x.len() == 32)?;
                Material::Parsed(ParsedPublicKey::new(&ED25519, x).ok()?)
            }
            RS256 if is(1, 3) => {
                let (n, e) = (bytes(-1)?.clone(), bytes(-2)?.clone());
                let odd_and_above_one = e.last().is_some_and(|last| last % 2 == 1)
                    && (1..=8).contains(&e.len())
                    && e != [1];
                if !MODULUS_BYTES.contains(&n.len()) || n[0] == 0 || e[0] == 0 || !odd_and_above_one
                {
                    return None;
                }
                Material::Rsa(RsaPublicKeyComponents { n, e })
            }
            _ => return None,
        };
        Some(PublicKey(material))
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Material::Parsed(key) => key.verify_sig(message, signature).is_ok(),
            Material::Rsa(key) => key
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

fn number(value: &Value) -> Option<i64> {
    i64::try_from(value.as_integer()?).ok()
}

/// A passkey as its authenticator made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id in base64url.
    pub id: String,
    /// Its COSE_Key.
    pub public_key: Vec<u8>,
    /// How often it signed; 0 for authenticators that do not count.
    pub sign_count: i64,
    /// Whether it may be copied to other devices of its owner; this never changes.
    pub can_be_synced: bool,
    /// Whether it was, when it was used last.
    pub is_synced: bool,
}

/// What a passkey showed by its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub sign_count: i64,
    pub is_synced: bool,
}

/// Reads a new passkey (§7.1).
///
/// # Errors
/// [`Refused`] when it is not the answer to what was asked.
pub fn register(
    asked: &Asked<'_>,
    client_data: &[u8],
    attestation: &[u8],
) -> Result<Credential, Refused> {
    asked.check_client_data(client_data, Kind::Create)?;
    let fits = attestation.len() <= ATTESTATION_BYTES_MAX;
    let object = fits.then(|| read_cbor(&mut &*attestation)).flatten();
    let object = object.and_then(|object| object.into_map().ok());
    let members = object.ok_or(Refused::AuthenticatorData)?;
    let data = members
        .iter()
        .find(|(name, _)| name.as_text() == Some("authData"));
    let data = data.and_then(|(_, data)| data.as_bytes());
    let data = data.and_then(|data| AuthenticatorData::parse(data));
    let data = data.ok_or(Refused::AuthenticatorData)?;
    asked.check_authenticator(&data)?;
    let new = data.attested.as_ref().ok_or(Refused::AuthenticatorData)?;
    if !(1..=CREDENTIAL_ID_BYTES_MAX).contains(&new.credential_id.len()) {
        return Err(Refused::AuthenticatorData);
    }
    PublicKey::parse(new.public_key).ok_or(Refused::Key)?;
    Ok(Credential {
        id: BASE64URL.encode(new.credential_id),
        public_key: new.public_key.to_vec(),
        sign_count: data.sign_count.into(),
        can_be_synced: data.has(CAN_BE_SYNCED),
        is_synced: data.has(IS_SYNCED),
    })
}

/// What a browser brought from an authenticator that was asked to sign.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The id of the credential in base64url.
    pub credential_id: String,
    pub client_data: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
    /// Whose passkey it is, as far as the authenticator says.
    pub user: Option<Vec<u8>>,
}

/// Checks the use of a passkey (§7.2).
///
/// # Errors
/// [`Refused`] when it is not the answer to what was asked, or not of this passkey.
pub fn authenticate(
    asked: &Asked<'_>,
    known: &Credential,
    given: &Assertion,
) -> Result<Use, Refused> {
    asked.check_client_data(&given.client_data, Kind::Get)?;
    let data = AuthenticatorData::parse(&given.authenticator_data);
    let data = data.ok_or(Refused::AuthenticatorData)?;
    let key = PublicKey::parse(&known.public_key).ok_or(Refused::Key)?;
    let message = [
        given.authenticator_data.as_slice(),
        &sha256(&given.client_data),
    ]
    .concat();
    if !key.verifies(&message, &given.signature) {
        return Err(Refused::Signature);
    }
    asked.check_authenticator(&data)?;
    if data.has(CAN_BE_SYNCED) != known.can_be_synced {
        return Err(Refused::AuthenticatorData);
    }
    let sign_count = i64::from(data.sign_count);
    let counts = sign_count != 0 || known.sign_count != 0;
    if counts && sign_count <= known.sign_count {
        return Err(Refused::Cloned);
    }
    Ok(Use {
        sign_count,
        is_synced: data.has(IS_SYNCED),
    })
}

#[cfg(test)]
mod tests;
