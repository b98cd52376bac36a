//! What the orders know of one person: the sums shown on the user, a copy for the person
//! (GDPR art. 15), and how it is forgotten (GDPR art. 17).

pub mod store;

use super::{Order, OrderId};
use crate::money::Money;
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use platform::http::erase_answers;
use schemars::JsonSchema;
use serde::Serialize;

/// Orders in one copy, oldest first; the list of orders has those after them.
pub const COPY_ORDERS_MAX: i64 = 10_000;

/// What a person's orders come to. Drafts and cancelled orders do not count; credit notes reduce the sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spending {
    /// Orders, credit notes not counted.
    pub orders_count: i64,
    /// One sum for each currency, by its code.
    pub total_spent: Vec<Money>,
}

/// The first orders of `user_id` with their lines, at most [`COPY_ORDERS_MAX`]. Belongs in a snapshot.
pub async fn copy(tx: &mut Tx, user_id: &UserId) -> Result<Vec<Order>, DbError> {
    let mut orders = Vec::new();
    for id in store::ids(tx, user_id, COPY_ORDERS_MAX).await? {
        orders.extend(super::store::find(tx, &id).await?);
    }
    Ok(orders)
}

/// Takes the person out of their orders: email, addresses and note. Amounts, lines and the country, which
/// tax and accounting law want kept, stay. With `guest_email` also out of the orders that a guest placed with
/// that address, whatever its case. What was answered about these orders is erased too.
pub async fn forget(
    tx: &mut Tx,
    user_id: &UserId,
    guest_email: Option<&str>,
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let mut orders = store::erase(tx, user_id, now).await?;
    let mut subjects = vec![user_id.as_str()];
    let of_guest = match guest_email {
        Some(email) => store::erase_guest(tx, email, now).await?,
        None => Vec::new(),
    };
    subjects.extend(of_guest.iter().map(|(id, _)| id.as_str()));
    erase_answers(tx, &subjects).await?;
    orders.extend(of_guest);
    let events: Vec<NewEvent<'_>> = orders
        .iter()
        .map(|(id, version)| NewEvent {
            kind: "order.anonymized",
            object_type: "order",
            object_id: id.as_str(),
            object_version: *version,
            actor,
            data: "{}",
            at: now,
        })
        .collect();
    events::append_all(tx, &events).await
}
