//! What a product is: its wire form and the rules that its variants keep. No I/O, no clock.

use super::pricing;
use platform::id_type;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

id_type! { /// A product.
ProductId, "prod" }

id_type! { /// A variant of a product: the thing that is priced, stocked and sold.
VariantId, "var" }

/// Whether a product can be seen and sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// In the making: not for sale.
    Draft,
    /// For sale.
    Active,
    /// Retired: not for sale, kept.
    Archived,
}

impl ProductStatus {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            ProductStatus::Draft => "draft",
            ProductStatus::Active => "active",
            ProductStatus::Archived => "archived",
        }
    }

    /// The status stored as `text`; the database's CHECK admits no other.
    pub fn from_stored(text: &str) -> ProductStatus {
        match text {
            "active" => ProductStatus::Active,
            "archived" => ProductStatus::Archived,
            _ => ProductStatus::Draft,
        }
    }
}

/// How an order line names what it wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VariantRef {
    Variant(VariantId),
    /// The only variant of this product.
    Product(ProductId),
    Sku(String),
}

/// A live variant as an order needs it.
#[derive(Clone, Debug)]
pub struct Sellable {
    pub variant_id: VariantId,
    pub product_id: ProductId,
    pub sku: Option<String>,
    /// The product's title, and the variant's after ` / ` if it has one.
    pub title: String,
    /// Only an `active` one may be sold.
    pub status: ProductStatus,
    pub track_inventory: bool,
    pub allow_backorder: bool,
    /// The variant's, else the product's.
    pub tax_category: Option<String>,
    /// All its price rows, for [`pricing::resolve`].
    pub prices: Vec<pricing::Price>,
}
