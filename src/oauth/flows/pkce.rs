//! Proof key for code exchange (RFC 7636), of the method S256 alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::secrets::{equal, sha256};

/// SHA-256 of the verifier that only the app knows: what it shows when it asks for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

/// The length of base64url of 32 bytes.
const CHALLENGE_CHARS: usize = 43;
/// RFC 7636 §4.1.
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

impl Challenge {
    /// The challenge in `text`, if it is base64url of 32 bytes.
    pub fn parse(text: &str) -> Option<Challenge> {
        let whole = text.len() == CHALLENGE_CHARS && BASE64URL.decode(text).is_ok();
        whole.then(|| Challenge(text.to_owned()))
    }

    /// The challenge of `verifier`; `None` for what can be none.
    pub fn of_verifier(verifier: &str) -> Option<Challenge> {
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let whole = VERIFIER_CHARS.contains(&verifier.len()) && verifier.bytes().all(plain);
        whole.then(|| Challenge(BASE64URL.encode(sha256(verifier.as_bytes()))))
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one that was stored as `text`.
    pub fn is(&self, text: &str) -> bool {
        equal(self.0.as_bytes(), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn the_example_of_rfc_7636_is_understood() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(
            Challenge::of_verifier(verifier)
                .unwrap()
                .is(Challenge::parse(challenge).unwrap().as_str())
        );
        assert_eq!(Challenge::parse(verifier).unwrap().as_str(), verifier);
        for bad in [
            "",
            "short",
            &"a".repeat(42),
            &"a".repeat(129),
            &"é".repeat(43),
        ] {
            assert_eq!(Challenge::of_verifier(bad), None, "{bad}");
        }
        for bad in ["", &"a".repeat(44), &"=".repeat(43), &"a+".repeat(22)[..43]] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }
}
