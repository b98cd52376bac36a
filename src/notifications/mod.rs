//! `/v2/notifications`: messages to users, queued in the request's own transaction and delivered
//! afterwards. Every message comes to an end that the API tells: sent, suppressed with a reason, or
//! dead after the last try. Email leaves over SMTP; SMS and push have no provider yet and say so.

pub mod api;
pub mod email;
pub mod jobs;
pub mod notification;
pub mod store;

pub use notification::{Channel, NotificationBody, NotificationId, Priority, Reason, Status};

use crate::users::UserId;
use platform::db::{DbError, Tx};

/// Notifications in one copy for a person, oldest first; the list of notifications has those after them.
const COPY_NOTIFICATIONS_MAX: i64 = 10_000;

/// What was sent to `user_id`, at most 10,000 notifications. Belongs in a snapshot.
pub async fn copy(tx: &mut Tx, user_id: &UserId) -> Result<Vec<NotificationBody>, DbError> {
    let mut notifications = Vec::new();
    for id in store::ids_of(tx, user_id, COPY_NOTIFICATIONS_MAX).await? {
        notifications.extend(store::find(tx, &id).await?);
    }
    Ok(notifications)
}
