//! Scopes: what a token lets its bearer do. `write` does not imply `read`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! scopes {
    ($($variant:ident = $name:literal $description:literal,)*) => {
        /// One right. The name after `=` is the wire form and is contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scope {
            $(#[doc = $description] $variant,)*
        }

        impl Scope {
            /// Every scope there is, in the order in which scopes are shown.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant,)*];

            /// The wire form, as in `products:read`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Scope::$variant => $name,)*
                }
            }

            /// What it allows, for people.
            pub fn description(self) -> &'static str {
                match self {
                    $(Scope::$variant => $description,)*
                }
            }

            /// The scope with this wire form.
            pub fn from_name(name: &str) -> Option<Scope> {
                match name {
                    $($name => Some(Scope::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

scopes! {
    UsersRead = "users:read" "Read users.",
    UsersWrite = "users:write" "Create, change and delete users.",
    ProductsRead = "products:read" "Read and search products.",
    ProductsWrite = "products:write" "Create, change and delete products.",
    InventoryRead = "inventory:read" "Read stock levels and movements.",
    InventoryWrite = "inventory:write" "Adjust and transfer stock.",
    OrdersRead = "orders:read" "Read orders.",
    OrdersWrite = "orders:write" "Place orders and move them on.",
    OrdersPrice = "orders:price" "Set a line's price by hand instead of taking the catalogue's.",
    PaymentsRead = "payments:read" "Read payments.",
    PaymentsWrite = "payments:write" "Record payments and refunds.",
    NotificationsRead = "notifications:read" "Read notifications.",
    NotificationsWrite = "notifications:write" "Send notifications.",
    ReportsRead = "reports:read" "Read report types and reports.",
    ReportsWrite = "reports:write" "Generate reports.",
    ReportsPii = "reports:pii" "See personal data in reports.",
    IntegrationsRead = "integrations:read" "Read integrations.",
    IntegrationsWrite = "integrations:write" "Set up integrations.",
    WebhooksRead = "webhooks:read" "Read webhooks and their deliveries.",
    WebhooksWrite = "webhooks:write" "Set up webhooks.",
    EventsRead = "events:read" "Read the event log.",
    EventsWrite = "events:write" "Replay events.",
    ClientsRead = "clients:read" "Read API clients.",
    ClientsWrite = "clients:write" "Create, change and revoke API clients.",
    AuditRead = "audit:read" "Read the audit log.",
    AuditWrite = "audit:write" "Write to the audit log.",
    TokensIntrospect = "tokens:introspect" "Ask whether somebody's token is alive (RFC 7662).",
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Scope {
    /// Whether no operation of the API asks for it yet. It can be given, and allows nothing.
    pub fn is_reserved(self) -> bool {
        use Scope as S;
        matches!(
            self,
            S::PaymentsRead
                | S::PaymentsWrite
                | S::ReportsPii
                | S::IntegrationsWrite
                | S::WebhooksRead
                | S::WebhooksWrite
                | S::EventsRead
                | S::EventsWrite
                | S::ClientsRead
                | S::ClientsWrite
                | S::AuditRead
                | S::AuditWrite
        )
    }
}

/// Why a `scope` parameter was refused; always 400 `invalid_scope` (RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not `scope-token *( SP scope-token )` of RFC 6749 §3.3.
    #[error("scope must be names separated by single spaces")]
    Malformed,
    /// A well-formed name that this server does not know. Kept only when short.
    #[error("unknown scope {0}")]
    Unknown(String),
    /// A known scope that the client was not given.
    #[error("the client does not have the scope {0}")]
    NotGranted(Scope),
    /// Nothing is asked for and the client has no scope at all.
    #[error("the client has no scopes")]
    Empty,
}

/// A set of scopes. Its text form is the space-separated list of RFC 6749 §3.3 in the order of
/// [`Scope::ALL`], so equal sets have equal text. The bits never leave the process.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u64);

const _: () = assert!(Scope::ALL.len() <= 64, "a set of scopes is one u64");

/// Longest unknown name that an error repeats.
const ECHO_MAX: usize = 64;

impl Scopes {
    /// No right at all.
    pub const NONE: Scopes = Scopes(0);

    /// Every right there is.
    pub fn all() -> Scopes {
        Scope::ALL.iter().copied().collect()
    }

    /// Reads the list of RFC 6749 §3.3 strictly: single spaces, known names. Repeated names count once.
    pub fn parse(text: &str) -> Result<Scopes, ScopeError> {
        let mut scopes = Scopes::NONE;
        for name in text.split(' ') {
            let is_scope_character = |byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            if name.is_empty() || !name.bytes().all(is_scope_character) {
                return Err(ScopeError::Malformed);
            }
            let Some(scope) = Scope::from_name(name) else {
                let known_length = name.len() <= ECHO_MAX;
                return Err(ScopeError::Unknown(if known_length {
                    name.to_owned()
                } else {
                    "name".to_owned()
                }));
            };
            scopes = scopes.with(scope);
        }
        Ok(scopes)
    }

    /// This set and `scope`.
    #[must_use]
    pub fn with(self, scope: Scope) -> Scopes {
        Scopes(self.0 | 1 << scope as u32)
    }

    /// Whether `scope` is in the set.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u32 != 0
    }

    /// What is in both sets.
    #[must_use]
    pub fn and(self, other: Scopes) -> Scopes {
        Scopes(self.0 & other.0)
    }

    /// Whether no scope is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .iter()
            .copied()
            .filter(move |scope| self.contains(*scope))
    }

    /// What a token gets: the requested scopes, or all of these when none are named. Asking for more than
    /// was granted is an error and never narrowed in silence: it would only fail later, as a 403.
    pub fn narrow(self, requested: Option<&str>) -> Result<Scopes, ScopeError> {
        let Some(requested) = requested else {
            return if self.is_empty() {
                Err(ScopeError::Empty)
            } else {
                Ok(self)
            };
        };
        let requested = Scopes::parse(requested)?;
        match requested.iter().find(|scope| !self.contains(*scope)) {
            Some(scope) => Err(ScopeError::NotGranted(scope)),
            None => Ok(requested),
        }
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        scopes.into_iter().fold(Scopes::NONE, Scopes::with)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            f.write_str(scope.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    /// Reads what this program wrote. Names it does not know grant nothing and are dropped, so that nodes
    /// of two versions can verify each other's tokens; [`Scopes::parse`] is for what callers send.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scopes, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.split(' ').filter_map(Scope::from_name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(scope.name()), Some(*scope));
        }
        assert_eq!(Scopes::all().iter().count(), Scope::ALL.len());
    }

    #[test]
    fn text_is_stable_whatever_the_order_asked() {
        let scopes = Scopes::parse("orders:write products:read orders:write").unwrap();
        assert_eq!(scopes.to_string(), "products:read orders:write");
        assert!(scopes.contains(Scope::OrdersWrite));
        assert!(
            !scopes.contains(Scope::OrdersRead),
            "write does not imply read"
        );
        assert_eq!(Scopes::NONE.to_string(), "");
    }

    #[test]
    fn the_grammar_is_strict() {
        for text in [
            "",
            " ",
            "orders:read ",
            " orders:read",
            "orders:read  users:read",
            "a\"b",
            "a\\b",
            "\u{e9}",
            "a\tb",
        ] {
            assert_eq!(Scopes::parse(text), Err(ScopeError::Malformed), "{text:?}");
        }
        assert_eq!(
            Scopes::parse("Orders:read"),
            Err(ScopeError::Unknown("Orders:read".to_owned()))
        );
        assert_eq!(
            Scopes::parse(&"x".repeat(65)),
            Err(ScopeError::Unknown("name".to_owned()))
        );
    }

    #[test]
    fn narrowing_never_widens() {
        let granted = Scopes::parse("orders:read orders:write").unwrap();
        assert_eq!(granted.narrow(None), Ok(granted));
        assert_eq!(
            granted.narrow(Some("orders:read")),
            Scopes::parse("orders:read")
        );
        assert_eq!(
            granted.narrow(Some("orders:read audit:read")),
            Err(ScopeError::NotGranted(Scope::AuditRead))
        );
        assert_eq!(
            granted.narrow(Some("nonsense")),
            Err(ScopeError::Unknown("nonsense".to_owned()))
        );
        assert_eq!(Scopes::NONE.narrow(None), Err(ScopeError::Empty));
    }

    #[test]
    fn an_unknown_name_in_a_stored_set_grants_nothing() {
        let scopes: Scopes = serde_json::from_str(r#""orders:read future:scope""#).unwrap();
        assert_eq!(scopes, Scopes::NONE.with(Scope::OrdersRead));
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#""orders:read""#);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,200}") {
            let _ = Scopes::parse(&text);
        }

        #[test]
        fn text_and_set_are_the_same_thing(bits in any::<u64>()) {
            let scopes: Scopes = Scope::ALL.iter().copied().filter(|s| bits >> *s as u32 & 1 == 1).collect();
            if !scopes.is_empty() {
                prop_assert_eq!(Scopes::parse(&scopes.to_string()), Ok(scopes));
            }
        }
    }
}
