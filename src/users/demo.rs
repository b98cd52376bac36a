//! The two users of the API reference.

use super::user::{Profile, User, UserId, UserStatus};
use crate::metadata::Metadata;
use platform::clock::Timestamp;

/// alice and bob, exactly as the reference shows them; part of the sample data.
pub fn demo_users() -> [User; 2] {
    let alice = Profile {
        first_name: Some("Alice".into()),
        last_name: Some("Smith".into()),
        ..Profile::default()
    };
    [
        demo_user("user_123", "alice", alice, 1_698_400_800),
        demo_user("user_456", "bob", Profile::default(), 1_698_401_100),
    ]
}

fn demo_user(id: &str, username: &str, profile: Profile, created_seconds: i64) -> User {
    let at = Timestamp::from_micros(created_seconds * 1_000_000);
    User {
        id: UserId::parse(id).expect("the ids of the reference have the form of ids"),
        username: username.to_owned(),
        email: format!("{username}@example.com"),
        status: UserStatus::Active,
        created_at: at,
        profile,
        addresses: Vec::new(),
        consent: Default::default(),
        external_id: None,
        metadata: Metadata::default(),
        updated_at: at,
        version: 1,
        anonymized_at: None,
    }
}
