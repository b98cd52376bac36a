//! What members of staff may do: which pages, and what they may let programs do.

use crate::oauth::{Scope, Scopes};

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

    /// What a program may do that somebody of this role makes credentials for, or that acts for them: no more than they
    /// may themselves, or it would be a way to another role.
    pub fn scopes(self) -> Scopes {
        use Scope as S;
        let looks = [
            S::UsersRead,
            S::ProductsRead,
            S::InventoryRead,
            S::OrdersRead,
            S::ReportsRead,
        ];
        let more: &[Scope] = match self {
            Role::Owner | Role::Admin => Scope::ALL,
            Role::Operator => &[
                S::ProductsWrite,
                S::InventoryWrite,
                S::OrdersWrite,
                S::PaymentsRead,
                S::NotificationsRead,
            ],
            Role::Developer => &[
                S::IntegrationsRead,
                S::WebhooksRead,
                S::WebhooksWrite,
                S::EventsRead,
                S::ClientsRead,
            ],
            Role::ReadOnly => &[],
        };
        looks.into_iter().chain(more.iter().copied()).collect()
    }

    /// The first of `scopes` that this role may not give to a program.
    pub fn withheld(self, scopes: Scopes) -> Option<Scope> {
        let own = self.scopes();
        scopes.iter().find(|scope| !own.contains(*scope))
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

    /// What it may, in a sentence.
    pub fn told(self) -> &'static str {
        match self {
            Role::Owner => "Everything; there is always one.",
            Role::Admin => "Everything but owners.",
            Role::Operator => "Orders, products, stock and customers.",
            Role::Developer => "API credentials and the request log; sees the rest.",
            Role::ReadOnly => "Sees orders, products and customers; changes nothing.",
        }
    }

    /// The roles that may what this one may.
    pub fn and_above(self) -> Vec<&'static str> {
        let above = Role::ALL.into_iter().filter(|role| role.covers(self));
        above.map(Role::shown).collect()
    }

    /// The role stored as `text`.
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{self, *};
    use crate::oauth::{Scope, Scopes};

    #[test]
    fn a_role_that_covers_another_may_give_all_that_it_may_give() {
        for a in Role::ALL {
            for b in Role::ALL.into_iter().filter(|b| a.covers(*b)) {
                assert_eq!(a.withheld(b.scopes()), None, "{a:?} {b:?}");
            }
        }
        assert_eq!(Admin.scopes(), Scopes::all());
        for scope in [Scope::OrdersWrite, Scope::ClientsWrite, Scope::AuditRead] {
            let wanted = [Scope::ProductsRead, scope].into_iter().collect();
            assert_eq!(Developer.withheld(wanted), Some(scope));
        }
    }

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
