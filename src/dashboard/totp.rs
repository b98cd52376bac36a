//! Codes that an app on somebody's phone and we compute alike (RFC 6238: SHA-1, 30 s, 6 digits, what every such app
//! knows), and the recovery codes for the day the phone is gone.

use super::fields::encode;
use aws_lc_rs::hmac;
use platform::clock::Timestamp;
use platform::secrets::{equal, random_bytes, sha256_hex};

/// Bytes of a key: as many as the hash has (RFC 4226 §4, R6).
pub const KEY_BYTES: usize = 20;
/// Seconds of one step.
const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one whose codes are taken: clocks differ (RFC 6238 §5.2).
const STEPS_AROUND: i64 = 1;
/// Recovery codes of one account.
pub const RECOVERY_CODES: usize = 10;
/// RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new key.
pub fn new_key() -> [u8; KEY_BYTES] {
    random_bytes()
}

/// `bytes` in the letters in which keys are typed.
pub fn base32(bytes: &[u8]) -> String {
    let digit = |bit: usize| {
        let taken = (bit..bit + 5).map(|at| {
            let byte = bytes.get(at / 8).copied().unwrap_or_default();
            usize::from(byte >> (7 - at % 8) & 1)
        });
        char::from(BASE32[taken.fold(0, |value, one| value * 2 + one)])
    };
    (0..bytes.len() * 8).step_by(5).map(digit).collect()
}

/// What an app reads from the picture.
pub fn address(key: &[u8], shop: &str, email: &str) -> String {
    let (shop, email) = (encode(shop), encode(email));
    let key = base32(key);
    format!("otpauth://totp/{shop}:{email}?secret={key}&issuer={shop}")
}

/// The step of an instant.
pub fn step(now: Timestamp) -> i64 {
    now.seconds().div_euclid(STEP_SECONDS)
}

/// The code of a step (RFC 4226 §5.3).
pub fn code(key: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let from = usize::from(tag[tag.len() - 1] & 15);
    let number = tag[from..from + 4]
        .iter()
        .fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

/// The step whose code `typed` is, if it is one of now and later than the last one used: a code that somebody saw
/// over a shoulder is worth nothing.
pub fn step_of(key: &[u8], typed: &str, last_used: i64, now: Timestamp) -> Option<i64> {
    let typed = plain(typed);
    let present = step(now);
    (present - STEPS_AROUND..=present + STEPS_AROUND)
        .find(|step| *step > last_used && equal(code(key, *step).as_bytes(), typed.as_bytes()))
}

/// What was typed without what people put between the letters.
fn plain(typed: &str) -> String {
    let marks = |c: &char| c.is_ascii_alphanumeric();
    let letters = typed.chars().filter(marks).take(64);
    letters.map(|c| c.to_ascii_uppercase()).collect()
}

/// A new recovery code, as it is shown: 80 bits, so that a plain hash of it can be stored.
pub fn new_recovery_code() -> String {
    let letters = base32(&random_bytes::<10>());
    let groups: Vec<&str> = (0..16).step_by(4).map(|at| &letters[at..at + 4]).collect();
    groups.join("-").to_ascii_lowercase()
}

/// What is stored of a recovery code, however it was typed; `None` for what cannot be one.
pub fn recovery_hash(typed: &str) -> Option<String> {
    let plain = plain(typed);
    (plain.len() == 16).then(|| sha256_hex(plain.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        let key = b"12345678901234567890"; // RFC 6238, appendix B; its codes have 8 digits
        for (second, expected) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code(key, step(at(second))), expected[2..], "{second}");
        }
        assert_eq!(base32(key), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(base32(b"foob"), "MZXW6YQ"); // RFC 4648 §10, without padding
    }

    #[test]
    fn a_code_is_taken_once_and_only_about_its_time() {
        let key = new_key();
        let now = at(1_000_000_000);
        let typed = code(&key, step(now));
        let spaced = format!(" {} {}", &typed[..3], &typed[3..]);
        assert_eq!(step_of(&key, &spaced, 0, now), Some(step(now)));
        assert_eq!(step_of(&key, &typed, step(now), now), None, "it was used");
        for (late, taken) in [(-60, false), (-30, true), (30, true), (60, false)] {
            let then = at(1_000_000_000 + late);
            // Another step may by chance have the same code.
            assert_eq!(
                step_of(&key, &typed, step(now) - 1, then) == Some(step(now)),
                taken
            );
        }
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let code = new_recovery_code();
        assert_eq!(code.len(), 19);
        let hash = recovery_hash(&code).unwrap();
        assert_eq!(
            recovery_hash(&code.replace('-', " ").to_uppercase()),
            Some(hash)
        );
        assert_eq!(recovery_hash("123456"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_no_code_or_one(typed in ".{0,90}", second in 0_i64..4_000_000_000) {
            let found = step_of(&[7; 20], &typed, 0, at(second));
            prop_assert!(found.is_none_or(|step| code(&[7; 20], step) == plain(&typed)));
            let _ = recovery_hash(&typed);
        }
    }
}
