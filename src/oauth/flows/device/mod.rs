//! Devices without a browser (RFC 8628): the device shows a code, somebody types it elsewhere and allows it, and the
//! device asks until it gets its tokens.

pub mod api;
pub mod store;

use super::super::client::ClientId;
use super::super::scope::Scopes;
use super::grant::GrantId;
use platform::clock::Timestamp;
use platform::secrets::{Secret, random_base62, random_bytes};
use std::fmt;
use std::time::Duration;

/// How long somebody has to type the code.
pub const DEVICE_LIFE: Duration = Duration::from_secs(600);
/// Seconds that a device waits between two questions.
pub const INTERVAL_SECONDS: i64 = 5;
/// Seconds that it has to wait longer each time it did not wait (§3.5).
pub const SLOWER_SECONDS: i64 = 5;
/// Most devices of one client that wait at a time.
pub const WAITING_MAX: i64 = 10_000;
/// Consonants without those that are mistaken for others: no words come of them (§6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 34 bits: with 10,000 that wait, one in two million guesses is right.
const USER_CODE_CHARS: usize = 8;

/// What somebody types, without the hyphen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// A new one.
    pub fn generate() -> UserCode {
        let mut code = String::with_capacity(USER_CODE_CHARS);
        while code.len() < USER_CODE_CHARS {
            // 240 is the largest multiple of 20 in a byte.
            let fair = random_bytes::<32>().into_iter().filter(|byte| *byte < 240);
            let letters = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 20)]));
            code.extend(letters.take(USER_CODE_CHARS - code.len()));
        }
        UserCode(code)
    }

    /// The code in what somebody typed: case, spaces and hyphens do not matter.
    pub fn parse(text: &str) -> Option<UserCode> {
        let typed = text.chars().filter(|c| !matches!(c, ' ' | '-'));
        let code: String = typed.map(|c| c.to_ascii_uppercase()).take(100).collect();
        let whole = code.len() == USER_CODE_CHARS && code.bytes().all(|b| ALPHABET.contains(&b));
        whole.then_some(UserCode(code))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserCode {
    /// As it is shown: two groups of four.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = self.0.split_at(USER_CODE_CHARS / 2);
        write!(f, "{left}-{right}")
    }
}

/// A device code as its device holds it: `dc_` and 256 random bits.
pub fn new_device_code() -> Secret<String> {
    Secret::new(format!("dc_{}", random_base62(43)))
}

/// A device that waits.
#[derive(Clone, Debug)]
pub struct Device {
    pub client_id: ClientId,
    pub scopes: Scopes,
    pub expires_at: Timestamp,
    pub interval_seconds: i64,
    pub polled_at: Option<Timestamp>,
    pub grant_id: Option<GrantId>,
    pub denied_at: Option<Timestamp>,
    pub used_at: Option<Timestamp>,
}

/// How a device that asks is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody allowed it.
    Allowed(GrantId),
    /// Nobody has decided yet.
    Pending,
    /// Nobody has, and it asks too often.
    TooFast,
    Denied,
    Expired,
    /// It has got its tokens before.
    Used,
}

impl Device {
    /// What it is told at `now`.
    pub fn answer(&self, now: Timestamp) -> Answer {
        let interval = Duration::from_secs(u64::try_from(self.interval_seconds).unwrap_or(0));
        if self.used_at.is_some() {
            Answer::Used
        } else if now >= self.expires_at {
            Answer::Expired
        } else if self.denied_at.is_some() {
            Answer::Denied
        } else if let Some(id) = &self.grant_id {
            Answer::Allowed(id.clone())
        } else if self.polled_at.is_some_and(|last| now < last + interval) {
            Answer::TooFast
        } else {
            Answer::Pending
        }
    }

    /// Whether somebody can still decide.
    pub fn waits(&self, now: Timestamp) -> bool {
        matches!(self.answer(now), Answer::Pending | Answer::TooFast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = UserCode::parse("WDJB-MJHT").unwrap();
        for typed in ["wdjbmjht", " wdjb mjht ", "W-D-J-B-M-J-H-T"] {
            assert_eq!(UserCode::parse(typed), Some(code.clone()), "{typed}");
        }
        assert_eq!(code.to_string(), "WDJB-MJHT");
        for bad in [
            "",
            "WDJB-MJH",
            "WDJB-MJHTT",
            "WDJB-MJHA",
            "WDJB_MJHT",
            "ẆDJBMJHT",
        ] {
            assert_eq!(UserCode::parse(bad), None, "{bad}");
        }
        for _ in 0..100 {
            let code = UserCode::generate();
            assert_eq!(UserCode::parse(&code.to_string()), Some(code));
        }
    }

    #[test]
    fn a_device_is_told_what_came_of_it() {
        let at = |second: u64| Timestamp::from_micros(0) + Duration::from_secs(second);
        let device = Device {
            client_id: "cli_1".parse().unwrap(),
            scopes: Scopes::all(),
            expires_at: at(600),
            interval_seconds: 5,
            polled_at: None,
            grant_id: None,
            denied_at: None,
            used_at: None,
        };
        assert_eq!(device.answer(at(0)), Answer::Pending);
        let asked = Device {
            polled_at: Some(at(10)),
            ..device.clone()
        };
        assert_eq!(asked.answer(at(14)), Answer::TooFast);
        assert_eq!(asked.answer(at(15)), Answer::Pending);
        assert_eq!(asked.answer(at(600)), Answer::Expired);
        let id = GrantId::new();
        let allowed = Device {
            grant_id: Some(id.clone()),
            ..asked.clone()
        };
        assert_eq!(allowed.answer(at(11)), Answer::Allowed(id));
        let used = Device {
            used_at: Some(at(12)),
            ..allowed
        };
        assert_eq!(used.answer(at(13)), Answer::Used);
        let denied = Device {
            denied_at: Some(at(12)),
            ..asked
        };
        assert_eq!(denied.answer(at(13)), Answer::Denied);
        assert!(!denied.waits(at(13)) && device.waits(at(599)) && !device.waits(at(600)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = UserCode::parse(&text);
        }
    }
}
