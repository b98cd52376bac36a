//! An order as it is stored and shown.

use super::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use super::totals::OrderTotals;
use crate::address::Address;
use crate::metadata::Metadata;
use crate::money::Currency;
use crate::products::{ProductId, VariantId};
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::id_type;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

id_type! { /// An order.
OrderId, "ord" }
id_type! { /// A line of an order.
ItemId, "item" }

/// An order. Amounts are minor units of `currency`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Order {
    pub id: OrderId,
    /// For people: unique, growing, with gaps; never parse it. `null` only in the answer to a `dry_run`, which takes
    /// no number.
    pub number: Option<String>,
    /// `order`, or for imported history `credit_note` (a cancellation) and `adjustment`, whose amounts
    /// are negative.
    pub document: String,
    pub status: OrderStatus,
    pub payment_status: PaymentStatus,
    pub fulfillment_status: FulfillmentStatus,
    pub user_id: Option<UserId>,
    pub email: Option<String>,
    pub currency: Currency,
    /// In a list only with `expand=items`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Item>>,
    pub totals: OrderTotals,
    /// Read-only: where it goes, else where its invoice goes. Imported history may have a code that ISO 3166-1
    /// leaves to users, such as `ZZ`.
    pub country: Option<String>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    pub shipping_method: Option<String>,
    pub note: Option<String>,
    pub external_id: Option<String>,
    pub channel: Option<String>,
    /// Why it was cancelled: `payment_timeout`, or what the caller said.
    pub cancel_reason: Option<String>,
    pub tags: Vec<String>,
    pub metadata: Metadata,
    pub placed_at: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub cancelled_at: Option<Timestamp>,
    /// A pending order that is not confirmed by then is cancelled and its stock released.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub version: i64,
}

/// A line. Title, SKU and prices are those of the moment of placing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderItem")]
pub struct Item {
    pub id: ItemId,
    pub variant_id: Option<VariantId>,
    pub product_id: Option<ProductId>,
    pub sku: Option<String>,
    pub title: String,
    pub quantity: i64,
    pub unit_price: i64,
    /// The everyday price beside which `unit_price` may be a sale.
    pub list_unit_price: i64,
    pub discount: i64,
    pub tax: i64,
    pub tax_rate_ppm: i64,
    /// Before discount and tax.
    pub subtotal: i64,
    pub total: i64,
    /// Units of stock that are set aside for it.
    pub allocated: i64,
    pub fulfilled: i64,
    pub returned: i64,
    pub refunded: i64,
    pub metadata: Metadata,
    /// The price row that was used; for `explain`.
    #[serde(skip)]
    pub price_id: Option<String>,
}

/// Why an order is cancelled.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CancelOrder {
    /// Shown as `cancel_reason`; `requested` when left away.
    #[schemars(length(min = 1, max = 255))]
    pub reason: Option<String>,
}
