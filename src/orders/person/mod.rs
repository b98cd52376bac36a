//! What the orders know of one person: the sums shown on the user, a copy for the person
//! (GDPR art. 15), and how it is forgotten (GDPR art. 17).

pub mod store;

use crate::money::Money;
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

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

/// An order as its person gets a copy of it. Amounts are minor units of `currency`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OrderCopy {
    pub id: String,
    pub number: String,
    /// `order`, `credit_note` or `adjustment`.
    pub document: String,
    pub status: String,
    pub payment_status: String,
    pub fulfillment_status: String,
    pub email: Option<String>,
    pub currency: String,
    #[schemars(with = "Option<crate::address::Address>")]
    pub shipping_address: Option<Box<RawValue>>,
    #[schemars(with = "Option<crate::address::Address>")]
    pub billing_address: Option<Box<RawValue>>,
    pub note: Option<String>,
    pub total: i64,
    pub placed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub items: Vec<ItemCopy>,
}

/// A line of an [`OrderCopy`].
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ItemCopy {
    pub sku: Option<String>,
    pub title: String,
    pub quantity: i64,
    pub unit_price: i64,
    pub total: i64,
}

/// Takes the person out of their orders: email, addresses and note. Amounts, lines and the country, which
/// tax and accounting law want kept, stay.
pub async fn forget(tx: &mut Tx, user_id: &UserId, actor: &str, now: Timestamp) -> Result<(), DbError> {
    let orders = store::erase(tx, user_id, now).await?;
    let events: Vec<NewEvent<'_>> = orders
        .iter()
        .map(|(id, version)| NewEvent {
            kind: "order.anonymized",
            object_type: "order",
            object_id: id,
            object_version: *version,
            actor,
            data: "{}",
            at: now,
        })
        .collect();
    events::append_all(tx, &events).await
}
