//! `/v2/notifications`: messages to users, queued in the request's own transaction and delivered
//! afterwards. Every message comes to an end that the API tells: sent, suppressed with a reason, or
//! dead after the last try. Email leaves over SMTP; SMS and push have no provider yet and say so.

pub mod api;
pub mod email;
pub mod jobs;
pub mod notification;
pub mod store;

pub use notification::{Channel, NotificationId, Priority, Reason, Status};
