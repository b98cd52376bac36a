//! No app may do more than the person it acts for.

use super::super::scope::Scopes;
use super::super::token::Claims;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

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
