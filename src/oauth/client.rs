//! Clients: the programs that call the API, and how they prove who they are.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jiff::Timestamp;
use platform::secrets::{self, Secret};
use serde::{Deserialize, Serialize};

use super::assertion::AssertionError;
use super::flows::registration::Registration;
use super::jwk::KeySet;
use super::key::Algorithm;
use super::scope::Scopes;

pub use platform::http::Network;

/// `cli_` and 1 to 64 characters of `[A-Za-z0-9_]`: it reads the same raw and form-encoded, which is where
/// HTTP Basic implementations differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

/// The text is not a client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client id is cli_ and 1 to 64 letters, digits or underscores")]
pub struct NotAClientId;

impl ClientId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = NotAClientId;

    fn try_from(text: String) -> Result<ClientId, NotAClientId> {
        let rest = text.strip_prefix("cli_").ok_or(NotAClientId)?;
        let plain = rest
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if plain && (1..=64).contains(&rest.len()) {
            Ok(ClientId(text))
        } else {
            Err(NotAClientId)
        }
    }
}

impl FromStr for ClientId {
    type Err = NotAClientId;

    fn from_str(text: &str) -> Result<ClientId, NotAClientId> {
        ClientId::try_from(text.to_owned())
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> String {
        id.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client secret as its owner holds it: `cs_`, 43 random base-62 characters (256 bits) and a checksum of
/// 6. The checksum lets secret scanners recognise a leaked one, and lets the server refuse a mistyped one
/// without looking anything up. It proves nothing.
#[derive(Clone, Debug)]
pub struct ClientSecret(Secret<String>);

const SECRET_PREFIX: &str = "cs_";
const SECRET_RANDOM: usize = 43;
const SECRET_CHECKSUM: usize = 6;

impl ClientSecret {
    /// A new secret. It is shown once; only its hash is stored.
    pub fn generate() -> ClientSecret {
        let random = secrets::random_base62(SECRET_RANDOM);
        let sum = checksum(&random);
        ClientSecret(Secret::new(format!("{SECRET_PREFIX}{random}{sum}")))
    }

    /// The secret in `text`, if it has the form of one and its checksum is right.
    pub fn parse(text: &str) -> Option<ClientSecret> {
        let rest = text.strip_prefix(SECRET_PREFIX)?;
        let (random, sum) = rest.split_at_checked(SECRET_RANDOM)?;
        let is_whole =
            rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) && checksum(random) == sum;
        is_whole.then(|| ClientSecret(Secret::new(text.to_owned())))
    }

    /// The text, to show it to its owner.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored: SHA-256 of the whole text, in hexadecimal. A slow hash would add nothing to 256
    /// random bits, and would be the cost of the whole token endpoint.
    pub fn hash(&self) -> String {
        secrets::sha256_hex(self.expose().as_bytes())
    }
}

fn checksum(random: &str) -> String {
    secrets::base62(u64::from(crc32(random.as_bytes())), SECRET_CHECKSUM)
}

/// CRC-32 of ISO 3309, as in zip and PNG, bit by bit: 43 bytes take well under a microsecond.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

/// How many secrets of one client may live at once: two, so that one is replaced without downtime.
pub const LIVE_SECRETS_MAX: usize = 2;
/// Most entries of an address allow-list.
pub const IP_ALLOW_MAX: usize = 100;
/// Life of an access token unless the client says otherwise.
pub const TOKEN_TTL_SECONDS: u32 = 3600;
/// Shortest life of an access token that may be set.
pub const TOKEN_TTL_SECONDS_MIN: u32 = 60;
/// Longest life of an access token that may be set: one day.
pub const TOKEN_TTL_SECONDS_MAX: u32 = 86_400;

/// A secret as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// Names the secret where it is listed, replaced or removed; not secret itself.
    pub id: String,
    /// [`ClientSecret::hash`].
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this moment on it no longer works; set when a successor takes over.
    pub expires_at: Option<Timestamp>,
}

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its public name in requests and tokens.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// All that its tokens may ever be allowed.
    pub scopes: Scopes,
    /// How its tokens are signed.
    pub signing_alg: Algorithm,
    /// Life of its tokens, [`TOKEN_TTL_SECONDS_MIN`] to [`TOKEN_TTL_SECONDS_MAX`];
    /// [`TOKEN_TTL_SECONDS`] when not set.
    pub token_ttl_seconds: Option<u32>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// From this moment on it gets no token.
    pub expires_at: Option<Timestamp>,
    /// It gets no token while this is set.
    pub disabled_at: Option<Timestamp>,
    /// Addresses it may ask from; anywhere when empty. At most [`IP_ALLOW_MAX`].
    pub ip_allow: Vec<Network>,
    /// The flows that it may use.
    pub registration: Registration,
    /// At most [`LIVE_SECRETS_MAX`] that have not expired; expired ones may be among them.
    pub secrets: Vec<StoredSecret>,
    /// The public keys that it signs assertions with, if it has any.
    pub keys: Option<KeySet>,
    /// Whether every token that it gets is bound to a key (RFC 9449); otherwise those are for which it shows a proof.
    pub dpop_bound: bool,
    /// The token with which it registered itself; none when people made it.
    pub registered_with: Option<String>,
    /// When it got its first access token; known of those that registered themselves.
    pub first_token_at: Option<Timestamp>,
    /// When it last got a token without a secret, to about ten seconds.
    pub last_used_at: Option<Timestamp>,
}

/// Why a client was turned away. For the log alone: the caller sees `invalid_client` whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("unknown client")]
    UnknownClient,
    #[error("wrong or expired secret")]
    WrongSecret,
    #[error("disabled client")]
    Disabled,
    #[error("expired client")]
    Expired,
    #[error("address not in the allow-list")]
    Address,
    #[error(transparent)]
    Assertion(#[from] AssertionError),
}

impl Client {
    /// Seconds that its tokens live.
    pub fn token_ttl_seconds(&self) -> u32 {
        let ttl = self.token_ttl_seconds.unwrap_or(TOKEN_TTL_SECONDS);
        ttl.clamp(TOKEN_TTL_SECONDS_MIN, TOKEN_TTL_SECONDS_MAX)
    }

    /// Whether it may ask for a token from `address` at `now`, once it has proven who it is.
    pub fn admits(&self, address: IpAddr, now: Timestamp) -> Result<(), Refused> {
        if self.disabled_at.is_some() {
            Err(Refused::Disabled)
        } else if self.expires_at.is_some_and(|end| now >= end) {
            Err(Refused::Expired)
        } else if !self.allows(address) {
            Err(Refused::Address)
        } else {
            Ok(())
        }
    }

    /// Whether it may call from `address`; an IPv4 address in IPv6 clothing counts as IPv4.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.ip_allow.is_empty()
            || self
                .ip_allow
                .iter()
                .any(|network| network.contains(address))
    }
}

/// Proves that whoever knows `secret` at `address` is `client` (`None`: no client has the id given), and
/// says which of its secrets it was. One hash and [`LIVE_SECRETS_MAX`] comparisons are made in every case,
/// so the time tells neither whether the client exists nor how much of a guess was right.
pub fn authenticate<'a>(
    client: Option<&'a Client>,
    secret: &ClientSecret,
    address: IpAddr,
    now: Timestamp,
) -> Result<&'a StoredSecret, Refused> {
    const NO_HASH: &str = "----------------------------------------------------------------";
    let hash = secret.hash();
    let live = |stored: &&'a StoredSecret| stored.expires_at.is_none_or(|end| now < end);
    let mut candidates = client
        .iter()
        .flat_map(|client| &client.secrets)
        .filter(live);
    let mut matched = None;
    for _ in 0..LIVE_SECRETS_MAX {
        let candidate = candidates.next();
        let expected = candidate.map_or(NO_HASH, |stored| stored.hash.as_str());
        if secrets::equal(expected.as_bytes(), hash.as_bytes()) {
            matched = candidate;
        }
    }
    let client = client.ok_or(Refused::UnknownClient)?;
    let matched = matched.ok_or(Refused::WrongSecret)?;
    client.admits(address, now)?;
    Ok(matched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn stored(secret: &ClientSecret, expires_at: Option<Timestamp>) -> StoredSecret {
        StoredSecret {
            id: "s".to_owned(),
            hash: secret.hash(),
            created_at: at(0),
            expires_at,
        }
    }

    fn client(secrets: Vec<StoredSecret>) -> Client {
        Client {
            id: "cli_shop".parse().unwrap(),
            name: "Shop".to_owned(),
            scopes: Scopes::all(),
            signing_alg: Algorithm::Hs256,
            token_ttl_seconds: None,
            created_at: at(0),
            expires_at: None,
            disabled_at: None,
            ip_allow: Vec::new(),
            registration: Registration::default(),
            secrets,
            keys: None,
            dpop_bound: false,
            registered_with: None,
            first_token_at: None,
            last_used_at: None,
        }
    }

    #[test]
    fn ids_have_one_form() {
        for good in ["cli_1", "cli_Shop_2", &format!("cli_{}", "a".repeat(64))] {
            assert_eq!(good.parse::<ClientId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "cli_",
            "cli",
            "user_1",
            "cli_a-b",
            "cli_a b",
            "cli_\u{e9}",
            &format!("cli_{}", "a".repeat(65)),
        ] {
            assert_eq!(bad.parse::<ClientId>(), Err(NotAClientId), "{bad}");
        }
    }

    #[test]
    fn crc32_gives_the_standard_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_secret_is_recognised_by_its_checksum() {
        let secret = ClientSecret::generate();
        let text = secret.expose().to_owned();
        assert_eq!(text.len(), 3 + 43 + 6);
        assert_eq!(ClientSecret::parse(&text).unwrap().hash(), secret.hash());
        assert!(!format!("{secret:?}").contains(&text));
        for at in 0..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[at] = if typo[at] == b'a' { b'b' } else { b'a' };
            assert!(
                ClientSecret::parse(std::str::from_utf8(&typo).unwrap()).is_none(),
                "typo at {at}"
            );
        }
        for bad in [
            "",
            "cs_",
            &text[..51],
            &format!("{text}0"),
            &format!(" {text}"),
        ] {
            assert!(ClientSecret::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn either_of_two_secrets_opens_and_says_which() {
        let (old, new) = (ClientSecret::generate(), ClientSecret::generate());
        let mut shop = client(vec![stored(&old, Some(at(100))), stored(&new, None)]);
        shop.secrets[1].id = "new".to_owned();
        let from = ip("192.0.2.1");
        assert_eq!(
            authenticate(Some(&shop), &old, from, at(99)).unwrap().id,
            "s"
        );
        assert_eq!(
            authenticate(Some(&shop), &new, from, at(99)).unwrap().id,
            "new"
        );
        assert_eq!(
            authenticate(Some(&shop), &old, from, at(100)),
            Err(Refused::WrongSecret)
        );
        assert_eq!(
            authenticate(None, &old, from, at(0)),
            Err(Refused::UnknownClient)
        );
        let stranger = ClientSecret::generate();
        assert_eq!(
            authenticate(Some(&shop), &stranger, from, at(0)),
            Err(Refused::WrongSecret)
        );
        assert_eq!(
            authenticate(Some(&client(vec![])), &old, from, at(0)),
            Err(Refused::WrongSecret)
        );
    }

    #[test]
    fn expired_secrets_do_not_crowd_out_live_ones() {
        let live = ClientSecret::generate();
        let mut secrets = vec![stored(&ClientSecret::generate(), Some(at(1))); 5];
        secrets.push(stored(&live, None));
        assert!(authenticate(Some(&client(secrets)), &live, ip("::1"), at(2)).is_ok());
    }

    #[test]
    fn a_right_secret_is_not_enough() {
        let secret = ClientSecret::generate();
        let shop = client(vec![stored(&secret, None)]);
        let enter =
            |shop: &Client, from| authenticate(Some(shop), &secret, ip(from), at(50)).map(|_| ());
        let disabled = Client {
            disabled_at: Some(at(1)),
            ..shop.clone()
        };
        assert_eq!(enter(&disabled, "192.0.2.1"), Err(Refused::Disabled));
        let expired = Client {
            expires_at: Some(at(50)),
            ..shop.clone()
        };
        assert_eq!(enter(&expired, "192.0.2.1"), Err(Refused::Expired));
        let ip_allow = vec![
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
        let listed = Client { ip_allow, ..shop };
        assert_eq!(enter(&listed, "192.0.2.255"), Ok(()));
        assert_eq!(enter(&listed, "::ffff:192.0.2.9"), Ok(()));
        assert_eq!(enter(&listed, "2001:db8:ffff::1"), Ok(()));
        assert_eq!(enter(&listed, "192.0.3.0"), Err(Refused::Address));
        assert_eq!(enter(&listed, "2001:db9::"), Err(Refused::Address));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _ = (text.parse::<ClientId>(), ClientSecret::parse(&text));
        }
    }
}
