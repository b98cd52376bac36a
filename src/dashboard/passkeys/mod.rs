//! Passkeys: what signs in without a password, and shows once more that it is them.
//!
//! Of a question nothing is stored: the browser keeps its challenge sealed, bound to this browser and to what is asked.
//! What is stored is that it was answered, so that no answer counts twice.

pub mod authenticator;
pub mod store;

use super::Dashboard;
use super::fields::Fields;
use super::staff::{Staff, StaffId};
use super::visit::Visit;
use crate::text::is_line;
use authenticator::{ALGORITHMS, Asked, Assertion, Credential, Refused};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::clock::Timestamp;
use platform::secrets::random_bytes;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;

/// How long an answer is waited for.
pub const CHALLENGE_LIFE: Duration = Duration::from_secs(10 * 60);
/// Most passkeys of one account.
pub const PASSKEYS_MAX: i64 = 20;
/// Longest name of a passkey, in characters.
const NAME_CHARS_MAX: usize = 60;
/// Longest list of transports that is kept.
const TRANSPORTS_BYTES_MAX: usize = 100;
/// The fields of a form that bring an answer.
pub const FIELDS: [&str; 6] = [
    "passkey_ticket",
    "passkey_id",
    "passkey_client_data",
    "passkey_authenticator_data",
    "passkey_signature",
    "passkey_user",
];

/// A passkey of somebody.
#[derive(Clone, Debug)]
pub struct Passkey {
    pub id: String,
    pub staff_id: StaffId,
    /// What its owner calls it.
    pub name: String,
    pub credential: Credential,
    /// How browsers reach it, with commas between.
    pub transports: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// The site for which passkeys are made. Browsers know sites by name and not by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The domain (§5.1.2, RP ID).
    pub id: String,
    /// Where pages that ask for passkeys stand, as browsers write it.
    pub origin: String,
}

impl Site {
    /// The site at `public_url`; `None` for one at which browsers offer no passkeys: over plain HTTP, or under an IP
    /// address. A server at a loopback address is reached as `localhost` too, and that is its name.
    pub fn at(public_url: &str) -> Option<Site> {
        let (scheme, rest) = public_url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && !port.contains(']') => (host, Some(port)),
            _ => (authority.as_str(), None),
        };
        let number = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let host = match number {
            Ok(number) if number.is_loopback() && scheme == "http" => "localhost",
            Ok(_) => return None,
            Err(_) => host,
        };
        let secure = scheme == "https" || host == "localhost" || host.ends_with(".localhost");
        let usual = if scheme == "https" { "443" } else { "80" };
        let port = port.filter(|port| *port != usual);
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        (secure && !host.is_empty()).then(|| Site {
            id: host.to_owned(),
            origin: format!("{scheme}://{host}{port}"),
        })
    }
}

/// What a passkey is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    SignIn,
    Confirm,
    Register,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Purpose::SignIn => "passkey to sign in",
            Purpose::Confirm => "passkey to confirm",
            Purpose::Register => "passkey to register",
        }
    }
}

/// A question as a page holds it.
#[derive(Debug)]
pub struct Question {
    /// What the browser is asked, as JSON (§5.4 and §5.5).
    pub options: String,
    /// What comes back with the answer.
    pub ticket: String,
}

/// The question of a page that was answered in time.
#[derive(Clone, Debug)]
pub struct Challenge {
    site: Site,
    bytes: Vec<u8>,
    pub expires_at: Timestamp,
}

impl Challenge {
    /// What is stored of it once it was answered.
    pub fn hash(&self) -> String {
        platform::secrets::sha256_hex(&self.bytes)
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            challenge: &self.bytes,
            origin: &self.site.origin,
            rp_id: &self.site.id,
        }
    }

    /// The new passkey that a form brings.
    pub fn register(&self, typed: &Fields) -> Result<Credential, Refused> {
        let bytes = |name| BASE64URL.decode(typed.get(name)).unwrap_or_default();
        let (client_data, attestation) =
            (bytes("passkey_client_data"), bytes("passkey_attestation"));
        authenticator::register(&self.asked(), &client_data, &attestation)
    }

    /// Whether a passkey answered.
    pub fn authenticate(
        &self,
        known: &Passkey,
        given: &Assertion,
    ) -> Result<authenticator::Use, Refused> {
        let same = |user: &Vec<u8>| user == known.staff_id.as_str().as_bytes();
        if !given.user.as_ref().is_none_or(same) {
            return Err(Refused::Signature);
        }
        authenticator::authenticate(&self.asked(), &known.credential, given)
    }
}

impl Dashboard {
    fn ask(&self, visit: &Visit, purpose: Purpose) -> (Vec<u8>, String) {
        let challenge = random_bytes::<32>().to_vec();
        let end = visit.now() + CHALLENGE_LIFE;
        let text = format!("{} {}", end.micros(), BASE64URL.encode(&challenge));
        let ticket = self.seal.seal(text.as_bytes(), &visit.mark(purpose.name()));
        (challenge, ticket)
    }

    /// Asks for a passkey: any that this site knows, or one of `passkeys`.
    pub fn ask_passkey(
        &self,
        visit: &Visit,
        purpose: Purpose,
        passkeys: &[Passkey],
    ) -> Option<Question> {
        let site = self.site.as_ref()?;
        let (challenge, ticket) = self.ask(visit, purpose);
        let options = json!({
            "challenge": BASE64URL.encode(challenge),
            "rpId": site.id,
            "timeout": CHALLENGE_LIFE.as_millis(),
            "userVerification": "required",
            "allowCredentials": described(passkeys),
        });
        Some(Question {
            options: options.to_string(),
            ticket,
        })
    }

    /// Asks for a new passkey of somebody who has these already.
    pub fn ask_new_passkey(
        &self,
        visit: &Visit,
        staff: &Staff,
        passkeys: &[Passkey],
    ) -> Option<Question> {
        let site = self.site.as_ref()?;
        let (challenge, ticket) = self.ask(visit, Purpose::Register);
        let shop = visit.shop().map_or("Tradepost", |shop| &shop.name);
        let algorithms = ALGORITHMS.map(|alg| json!({ "type": "public-key", "alg": alg }));
        let options = json!({
            "rp": { "id": site.id, "name": shop },
            "user": { "id": BASE64URL.encode(staff.id.as_str()), "name": staff.email, "displayName": staff.email },
            "challenge": BASE64URL.encode(challenge),
            "pubKeyCredParams": algorithms,
            "timeout": CHALLENGE_LIFE.as_millis(),
            "excludeCredentials": described(passkeys),
            "authenticatorSelection":
                { "residentKey": "required", "requireResidentKey": true, "userVerification": "required" },
            "attestation": "none",
        });
        Some(Question {
            options: options.to_string(),
            ticket,
        })
    }

    /// The challenge that a form answers; `None` when it is too old, of another browser or for another purpose.
    pub fn challenge(&self, visit: &Visit, purpose: Purpose, typed: &Fields) -> Option<Challenge> {
        let site = self.site.clone()?;
        let ticket = typed.get("passkey_ticket");
        let opened = self.seal.open(ticket, &visit.mark(purpose.name())).ok()?;
        let text = std::str::from_utf8(opened.expose()).ok()?;
        let (end, challenge) = text.split_once(' ')?;
        let expires_at = Timestamp::from_micros(end.parse().ok()?);
        let bytes = BASE64URL.decode(challenge).ok()?;
        (visit.now() < expires_at).then_some(Challenge {
            site,
            bytes,
            expires_at,
        })
    }
}

fn described(passkeys: &[Passkey]) -> Value {
    let one = |passkey: &Passkey| {
        let transports: Vec<&str> = passkey
            .transports
            .split(',')
            .filter(|name| !name.is_empty())
            .collect();
        json!({ "type": "public-key", "id": passkey.credential.id, "transports": transports })
    };
    passkeys.iter().map(one).collect()
}

/// The answer that a form brings; `None` when there is none in it.
pub fn assertion(typed: &Fields) -> Option<Assertion> {
    let bytes = |name| {
        let text = typed.some(name)?;
        BASE64URL.decode(text).ok()
    };
    let credential_id = bytes("passkey_id")?;
    Some(Assertion {
        credential_id: BASE64URL.encode(credential_id),
        client_data: bytes("passkey_client_data")?,
        authenticator_data: bytes("passkey_authenticator_data")?,
        signature: bytes("passkey_signature")?,
        user: bytes("passkey_user"),
    })
}

/// The name that somebody gives to a passkey.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_name(text: &str) -> Result<String, &'static str> {
    let plain = is_line(text);
    match (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && plain {
        true => Ok(text.to_owned()),
        false => Err("Give it a name of 1 to 60 characters."),
    }
}

/// What a browser says of how it reaches a passkey: names that this version of the standard may not know yet.
pub fn parse_transports(text: &str) -> String {
    let plain = |name: &&str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let mut kept = String::new();
    for name in text.split(',').filter(plain) {
        if kept.len() + name.len() < TRANSPORTS_BYTES_MAX {
            kept = if kept.is_empty() {
                name.to_owned()
            } else {
                format!("{kept},{name}")
            };
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_have_a_name_and_a_secure_way_to_them() {
        for (url, id, origin) in [
            (
                "https://shop.example.com",
                "shop.example.com",
                "https://shop.example.com",
            ),
            (
                "https://Shop.Example.com:443/x",
                "shop.example.com",
                "https://shop.example.com",
            ),
            (
                "https://shop.example.com:8443",
                "shop.example.com",
                "https://shop.example.com:8443",
            ),
            (
                "http://127.0.0.1:8080",
                "localhost",
                "http://localhost:8080",
            ),
            ("http://[::1]:8080", "localhost", "http://localhost:8080"),
            ("http://localhost", "localhost", "http://localhost"),
            (
                "http://shop.localhost:80",
                "shop.localhost",
                "http://shop.localhost",
            ),
        ] {
            let site = Site {
                id: id.into(),
                origin: origin.into(),
            };
            assert_eq!(Site::at(url), Some(site), "{url}");
        }
        for url in [
            "http://shop.example.com",
            "https://192.0.2.1",
            "https://127.0.0.1:8443",
            "https://[2001:db8::1]:8443",
            "http://192.168.1.7:8080",
            "https://",
            "localhost",
            "",
        ] {
            assert_eq!(Site::at(url), None, "{url}");
        }
    }

    #[test]
    fn transports_are_names() {
        assert_eq!(parse_transports("internal,hybrid"), "internal,hybrid");
        assert_eq!(
            parse_transports("usb,<b>,,nfc,smart-card"),
            "usb,nfc,smart-card"
        );
        assert!(parse_transports(&"hybrid,".repeat(100)).len() <= TRANSPORTS_BYTES_MAX);
    }
}
