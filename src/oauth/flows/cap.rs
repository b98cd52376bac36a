//! No app may do more than the person it acts for.

use super::super::scope::{Scope, Scopes};
use super::super::token::Claims;
use crate::dashboard::Role;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// What operators and those who only look see of the shop.
const SEEN: [Scope; 7] = [
    Scope::UsersRead,
    Scope::ProductsRead,
    Scope::InventoryRead,
    Scope::OrdersRead,
    Scope::PaymentsRead,
    Scope::NotificationsRead,
    Scope::ReportsRead,
];
/// What operators change.
const WORKED_ON: [Scope; 2] = [Scope::OrdersWrite, Scope::PaymentsWrite];

/// All that an app may do for somebody of this role. Developers can make credentials with every scope, so nothing is
/// won by keeping one from their apps.
pub fn of_role(role: Role) -> Scopes {
    let seen = || SEEN.into_iter();
    match role {
        Role::Owner | Role::Admin | Role::Developer => Scopes::all(),
        Role::Operator => seen().chain(WORKED_ON).collect(),
        Role::ReadOnly => seen().collect(),
    }
}

/// The people whose role was changed lately, and what is left of their apps' tokens. Like revocations, it is kept up
/// with the database; what was issued before is narrowed when it is shown.
#[derive(Debug, Default)]
pub struct Caps(RwLock<HashMap<String, Scopes>>);

impl Caps {
    /// Notes what the apps of somebody may do from now on.
    pub fn set(&self, staff_id: &str, cap: Scopes) {
        let mut caps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        caps.insert(staff_id.to_owned(), cap);
    }

    /// What a token allows now.
    pub fn narrow(&self, claims: &Claims) -> Scopes {
        if claims.sub == claims.client_id.as_str() {
            return claims.scope;
        }
        let caps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let cap = caps.get(&claims.sub).copied();
        cap.map_or(claims.scope, |cap| claims.scope.and(cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_less_lets_apps_do_less() {
        for a in Role::ALL {
            for b in Role::ALL.into_iter().filter(|b| a.covers(*b)) {
                assert_eq!(of_role(a).and(of_role(b)), of_role(b), "{a:?} {b:?}");
            }
        }
        assert!(!of_role(Role::ReadOnly).contains(Scope::OrdersWrite));
        assert!(!of_role(Role::Operator).contains(Scope::ProductsWrite));
        assert!(!of_role(Role::Operator).contains(Scope::ReportsPii));
    }
}
