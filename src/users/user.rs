//! What a user is.

use platform::clock::Timestamp;
use platform::id_type;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

id_type! { /// A user.
UserId, "user" }

/// Whether a user may buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    Active,
    Inactive,
}

impl UserStatus {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            UserStatus::Active => "active",
            UserStatus::Inactive => "inactive",
        }
    }
}

/// A user as a list shows it: exactly the documented fields, in the documented order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    pub username: String,
    pub email: String,
    /// `active` or `inactive`.
    pub status: String,
    pub created_at: Timestamp,
    /// `created_at` to the microsecond, by which the list is sorted; not shown.
    #[serde(skip)]
    pub created_micros: i64,
}
