//! Who works in the dashboard: accounts, their sessions and one-time links, and the rules of their lives.

use super::role::Role;
use super::store::{Device, Doer};
use crate::money::Currency;
use crate::text::is_line;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use platform::id_type;
use std::time::Duration;

id_type! { /// A member of staff.
StaffId, "stf" }

/// A session that nobody used for so long is over.
pub const IDLE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// A session is over after so long, used or not.
pub const SESSION_MAX: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// For so long after somebody gave their password it need not be given again.
pub const FRESH_MAX: Duration = Duration::from_secs(5 * 60);
/// How exactly the last use of a session is written down.
pub const USE_GRAIN: Duration = Duration::from_secs(60);
/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest password, in bytes: hashing takes time with length.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Longest name of the shop, in characters.
const SHOP_NAME_CHARS_MAX: usize = 100;

/// An account.
#[derive(Clone, Debug)]
pub struct Staff {
    pub id: StaffId,
    pub email: String,
    pub role: Role,
    pub theme: Theme,
    pub created_at: Timestamp,
    /// The last time.
    pub signed_in_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    /// Since when a code is asked for after the password.
    pub totp_since: Option<Timestamp>,
}

impl Staff {
    /// As the audit log names them.
    pub fn doer<'a>(&'a self, device: &'a Device, now: Timestamp) -> Doer<'a> {
        Doer {
            actor: self.id.as_str(),
            who: &self.email,
            address: &device.address,
            now,
        }
    }
}

/// The colours that a member of staff wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Those of the device.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::System, Theme::Light, Theme::Dark];

    pub fn as_str(self) -> &'static str {
        match self {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn parse(text: &str) -> Option<Theme> {
        Theme::ALL.into_iter().find(|theme| theme.as_str() == text)
    }
}

/// A session as it is stored.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: String,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: String,
    pub address: String,
    /// When the password was given last.
    pub proved_at: Timestamp,
}

impl Session {
    /// Whether who holds it has just shown that it is them.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.proved_at + FRESH_MAX
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.expires_at || now >= self.last_used_at + IDLE_MAX
    }
}

/// What a one-time link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Makes the owner's account.
    Setup,
    /// Lets somebody who was invited choose a password.
    Invitation,
    /// Lets somebody choose another password.
    Reset,
}

impl LinkKind {
    pub fn as_str(self) -> &'static str {
        match self {
            LinkKind::Setup => "setup",
            LinkKind::Invitation => "invitation",
            LinkKind::Reset => "reset",
        }
    }

    pub fn parse(text: &str) -> Option<LinkKind> {
        [LinkKind::Setup, LinkKind::Invitation, LinkKind::Reset]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }

    /// How long it can be used.
    pub fn life(self) -> Duration {
        let hours = match self {
            LinkKind::Setup => 24,
            LinkKind::Invitation => 7 * 24,
            LinkKind::Reset => 1,
        };
        Duration::from_secs(hours * 60 * 60)
    }

    /// Where it leads.
    pub fn path(self) -> &'static str {
        match self {
            LinkKind::Setup => "/dashboard/setup",
            LinkKind::Invitation | LinkKind::Reset => "/dashboard/password",
        }
    }
}

/// The shop.
#[derive(Clone, Debug)]
pub struct Shop {
    pub name: String,
    pub currency: Currency,
    pub time_zone: String,
}

impl Default for Shop {
    /// What is shown until somebody says otherwise.
    fn default() -> Shop {
        Shop {
            name: "Tradepost".to_owned(),
            currency: Currency::parse("USD").expect("in the table"),
            time_zone: "UTC".to_owned(),
        }
    }
}

impl Shop {
    /// Checks what somebody typed.
    ///
    /// # Errors
    /// The field and a sentence that says what was expected.
    pub fn parse(
        name: &str,
        currency: &str,
        time_zone: &str,
    ) -> Result<Shop, (&'static str, &'static str)> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > SHOP_NAME_CHARS_MAX || !is_line(name) {
            return Err(("shop", "Give the shop a name of 1 to 100 characters."));
        }
        let currency = Currency::parse(currency)
            .map_err(|_| ("currency", "Choose one of the currencies in the list."))?;
        let expected = "Give a time zone such as Europe/Vienna or UTC.";
        let zone = TimeZone::get(time_zone).map_err(|_| ("time_zone", expected))?;
        Ok(Shop {
            name: name.to_owned(),
            currency,
            // As the database of zones writes it, whatever the case it was typed in.
            time_zone: zone.iana_name().unwrap_or(time_zone).to_owned(),
        })
    }

    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }
}

/// Longest email address, in bytes (RFC 5321 §4.5.3.1.3 without the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;

/// The email address in `text`, of an account that is to be made.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse_email(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let atoms = |local: &str| {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
        local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(plain))
    };
    let labels = |domain: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let whole = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
        let ends = |label: &str| label.starts_with('-') || label.ends_with('-');
        domain.split('.').all(|label| whole(label) && !ends(label))
    };
    // As the API has it: see `EMAIL_PATTERN` of users.
    let whole = text.split_once('@');
    let whole = whole.is_some_and(|(local, domain)| atoms(local) && labels(domain));
    match whole && text.len() <= EMAIL_BYTES_MAX {
        true => Ok(text.to_owned()),
        false => Err("Give an email address such as ada@example.com."),
    }
}

/// What common passwords are made of; beside digits, which come before and after (NIST SP 800-63B §3.1.1.2 wants a list
/// of them). Longer ones first: a part that is found is taken out.
const COMMON: [&str; 36] = [
    "qwertzuiopasdfghjklyxcvbnm",
    "qwertyuiopasdfghjklzxcvbnm",
    "abcdefghijklmnopqrstuvwxyz",
    "administrator",
    "abcdefghijkl",
    "azertyuiop",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "tradepost",
    "letmein",
    "password",
    "passwort",
    "iloveyou",
    "changeme",
    "welcome",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "whatever",
    "starwars",
    "computer",
    "internet",
    "zxcvbnm",
    "yxcvbnm",
    "trustno",
    "qwerty",
    "qwertz",
    "azerty",
    "dragon",
    "monkey",
    "master",
    "secret",
    "admin",
];
/// Letters and marks that are to be left beside what is common.
const OWN_CHARS_MIN: usize = 4;

/// How much of `folded` is left without digits, common parts and `own`.
fn beside_common(folded: &str, own: &[&str]) -> usize {
    let unmasked = folded
        .replace(['@', '4'], "a")
        .replace(['0'], "o")
        .replace('$', "s");
    let left = |text: &str| {
        let parts = own.iter().chain(&COMMON);
        let rest = parts.fold(text.to_owned(), |rest, part| rest.replace(part, ""));
        rest.chars().filter(|c| !c.is_ascii_digit()).count()
    };
    left(folded).min(left(&unmasked))
}

/// Whether `password` may be chosen by the owner of `email`. Length is what counts (NIST SP 800-63B §3.1.1.2).
///
/// # Errors
/// A sentence that says what was expected.
pub fn check_password(password: &str, email: &str) -> Result<(), &'static str> {
    let folded = password.to_lowercase();
    let whole = email.to_lowercase();
    // A letter or two are in every word.
    let parts = whole.split(|c: char| !c.is_alphanumeric());
    let mut own: Vec<&str> = parts.filter(|part| part.len() > 2).collect();
    own.push(&whole);
    own.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut characters: Vec<char> = folded.chars().collect();
    let count = characters.len();
    characters.sort_unstable();
    characters.dedup();
    if count < PASSWORD_CHARS_MIN {
        Err("Use at least 12 characters; four random words are good.")
    } else if password.len() > PASSWORD_BYTES_MAX {
        Err("Use at most 256 bytes.")
    } else if characters.len() < 5 {
        Err("Use more than four different characters.")
    } else if beside_common(&folded, &[]) < OWN_CHARS_MIN {
        Err("This is one of the first that is tried: four random words are better.")
    } else if beside_common(&folded, &own) < OWN_CHARS_MIN {
        Err("This is little more than your email address: four random words are better.")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_not_the_email() {
        for good in [
            "correct horse battery",
            "an administrator's secret",
            "password of my own making",
            "Xk7-Qp2-93f_81",
            "savanna elephant 99 of ada",
            "\u{44f} \u{43d}\u{435} \u{437}\u{43d}\u{430}\u{44e} \u{438}\u{445}",
        ] {
            assert!(check_password(good, "ada@example.com").is_ok(), "{good}");
        }
        for bad in [
            "",
            "short",
            "aaaaaaaaaaaaaaaaaa",
            "abababababababab",
            "Grace2026-Grace2026",
            "password1234",
            "P@ssw0rd2026!",
            "123456789012",
            "qwertyuiop12",
            "Admin-Admin-1",
            "1234tradepost",
            "abcdefghijkl",
        ] {
            assert!(check_password(bad, "grace@example.com").is_err(), "{bad}");
        }
        for bad in ["benannasmugs1", "annasmugs1234", "Ben@annasmugs.example"] {
            let told = check_password(bad, "ben@annasmugs.example");
            assert!(told.is_err(), "{bad}");
        }
        assert!(check_password(&"long enough".repeat(40), "a@b").is_err());
    }

    #[test]
    fn emails_have_one_at_and_nothing_odd() {
        assert_eq!(
            parse_email(" ada@example.com ").as_deref(),
            Ok("ada@example.com")
        );
        assert!(parse_email("o'brien@example.com").is_ok());
        for bad in [
            "", "a", "@b", "a@", "a b@c", "a@b@c", "<a@b>", "\"a\"@b", "\u{e9}@b",
        ] {
            assert!(parse_email(bad).is_err(), "{bad}");
        }
    }

    /// One rule, written twice: here to be quick to read, there for those who read the schema.
    fn as_the_api(text: &str) -> bool {
        let body = serde_json::json!({ "email": text });
        let schema = platform::http::Schema::of::<crate::users::user::UserPatch>();
        schema.violations(&body).is_empty()
    }

    proptest::proptest! {
        #[test]
        fn emails_are_those_of_the_api(text in "[aZ0.@_!-]{0,14}|.{0,12}|a{1,70}@b{1,70}.c") {
            let text = text.trim();
            proptest::prop_assert_eq!(parse_email(text).is_ok(), as_the_api(text), "{}", text);
        }
    }

    #[test]
    fn a_session_ends_idle_or_old() {
        let at = |hours: u64| Timestamp::from_micros(0) + Duration::from_secs(hours * 3600);
        let session = Session {
            id: "ses_1".into(),
            created_at: at(0),
            last_used_at: at(10),
            expires_at: at(336),
            user_agent: String::new(),
            address: String::new(),
            proved_at: at(0),
        };
        assert!(!session.is_over(at(21)));
        assert!(session.is_over(at(22)));
        let busy = Session {
            last_used_at: at(335),
            ..session
        };
        assert!(!busy.is_over(at(335)) && busy.is_over(at(336)));
    }
}
