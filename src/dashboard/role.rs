//! What members of staff may do.

/// What a member of staff may do. An admin may all that operators and developers may; neither of these two
/// may what the other may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Role {
    /// Everything; there is always one.
    Owner,
    /// Everything but what belongs to the owner.
    Admin,
    /// Works on orders, products and stock.
    Operator,
    /// Works on API credentials.
    Developer,
    /// Looks.
    ReadOnly,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Owner,
        Role::Admin,
        Role::Operator,
        Role::Developer,
        Role::ReadOnly,
    ];

    /// Whether this role may what `least` may.
    pub fn covers(self, least: Role) -> bool {
        match self {
            Role::Owner => true,
            Role::Admin => least != Role::Owner,
            Role::Operator | Role::Developer => least == self || least == Role::ReadOnly,
            Role::ReadOnly => least == Role::ReadOnly,
        }
    }

    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Developer => "developer",
            Role::ReadOnly => "read_only",
        }
    }

    /// As people read it.
    pub fn shown(self) -> &'static str {
        match self {
            Role::ReadOnly => "read-only",
            other => other.as_str(),
        }
    }

    /// The role stored as `text`.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{self, *};

    #[test]
    fn no_role_covers_one_that_covers_it() {
        for a in Role::ALL {
            assert_eq!(Role::parse(a.as_str()), Some(a));
            assert!(a.covers(a) && a.covers(ReadOnly) && Owner.covers(a));
            for b in Role::ALL {
                assert!(a == b || !(a.covers(b) && b.covers(a)));
            }
        }
        assert!(!Operator.covers(Developer) && !Developer.covers(Operator));
        assert!(!Admin.covers(Owner) && !Operator.covers(Admin));
    }
}
