//! The tokens of registration. Both are 256 random bits behind a prefix that secret scanners can look for; of both the
//! hash alone is stored.

use platform::secrets::{Secret, random_base62, sha256_hex};

/// Random characters after the prefix.
const RANDOM: usize = 43;

macro_rules! tokens {
    ($(#[doc = $doc:literal] $name:ident $prefix:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Debug)]
        pub struct $name(Secret<String>);

        impl $name {
            /// A new one, which is shown once.
            pub fn generate() -> $name {
                $name(Secret::new(format!("{}{}", $prefix, random_base62(RANDOM))))
            }

            /// The token in `text`, if it has the form of one.
            pub fn parse(text: &str) -> Option<$name> {
                let random = text.strip_prefix($prefix)?;
                let whole = random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric());
                whole.then(|| $name(Secret::new(text.to_owned())))
            }

            /// The text, for its owner.
            pub fn expose(&self) -> &str {
                self.0.expose()
            }

            /// What is stored.
            pub fn hash(&self) -> String {
                sha256_hex(self.expose().as_bytes())
            }
        }
    )*};
}

tokens! {
    /// Lets clients register themselves (RFC 7591 §1.2, initial access token).
    InitialToken "reg_";
    /// Lets one client read, change and delete its own registration (RFC 7592 §1.2, registration access token).
    ManagementToken "rat_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_form_and_do_not_stand_in_for_each_other() {
        let (initial, own) = (InitialToken::generate(), ManagementToken::generate());
        let again = InitialToken::parse(initial.expose()).unwrap();
        assert_eq!(again.hash(), initial.hash());
        assert!(InitialToken::parse(own.expose()).is_none());
        assert!(ManagementToken::parse(initial.expose()).is_none());
        for bad in ["", "reg_", "reg_a", &format!("{}0", initial.expose())] {
            assert!(InitialToken::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{initial:?}").contains(initial.expose()));
    }
}
