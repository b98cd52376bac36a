//! What a caller sends to place an order.

use crate::address::Address;
use crate::metadata::Metadata;
use crate::money::Currency;
use crate::products::{ProductId, VariantId, VariantRef};
use crate::users::{EMAIL_PATTERN, UserId};
use platform::http::given;
use schemars::JsonSchema;
use serde::Deserialize;

/// Longest that an unpaid order may hold its stock: 30 days.
pub const HOLD_MINUTES_MAX: u32 = 43_200;

/// The body of `POST /v2/orders`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-rules" = [{ "anyOf": [given("user_id"), given("email")] }]))]
pub struct NewOrder {
    /// The user who buys; a guest gives `email` instead.
    pub user_id: Option<UserId>,
    /// Where the guest is reached; of a known user, another address than the user's own.
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL_PATTERN))]
    pub email: Option<String>,
    /// Every price is taken in this currency; nothing is ever converted.
    pub currency: Currency,
    #[schemars(length(min = 1, max = 2000))]
    pub items: Vec<NewItem>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    pub shipping: Option<Shipping>,
    /// No discount codes can be issued yet, so any code is refused.
    #[serde(default)]
    #[schemars(length(max = 20), inner(length(min = 1, max = 64)), extend("x-rules" = [{ "maxItems": 0 }]))]
    pub discount_codes: Vec<String>,
    #[schemars(length(max = 2000))]
    pub note: Option<String>,
    /// The caller's own key, unique among orders.
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Option<String>,
    #[schemars(length(min = 1, max = 64))]
    pub channel: Option<String>,
    #[serde(default)]
    #[schemars(length(max = 250), inner(length(min = 1, max = 64)))]
    pub tags: Vec<String>,
    #[serde(default)]
    pub metadata: Metadata,
    /// Minutes until an unconfirmed order gives its stock back.
    #[schemars(range(min = 1, max = 43200))]
    pub hold_minutes: Option<u32>,
    /// Answer 200 with the very result, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// A line: exactly one of `variant_id`, `product_id` (of a product with one variant) and `sku`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-rules" = [{ "oneOf": [given("variant_id"), given("product_id"), given("sku")] }]))]
pub struct NewItem {
    pub variant_id: Option<VariantId>,
    pub product_id: Option<ProductId>,
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    #[schemars(range(min = 1, max = 1_000_000))]
    pub quantity: i64,
    /// Minor units; needs the scope `orders:price`.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64), extend("x-code" = "money_must_be_integer"))]
    pub unit_price: Option<i64>,
    #[serde(default)]
    pub metadata: Metadata,
}

/// How it is shipped and what that costs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shipping {
    #[schemars(length(min = 1, max = 120))]
    pub method: String,
    /// Minor units.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64), extend("x-code" = "money_must_be_integer"))]
    pub amount: i64,
}

impl NewItem {
    /// What the line names; `None` unless it is exactly one thing.
    pub fn reference(&self) -> Option<VariantRef> {
        match (&self.variant_id, &self.product_id, &self.sku) {
            (Some(id), None, None) => Some(VariantRef::Variant(id.clone())),
            (None, Some(id), None) => Some(VariantRef::Product(id.clone())),
            (None, None, Some(sku)) => Some(VariantRef::Sku(sku.clone())),
            _ => None,
        }
    }
}
