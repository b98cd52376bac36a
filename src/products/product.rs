//! What a product is: its wire form and the rules that its variants keep. No I/O, no clock.

use super::pricing::{self, Price, Resolved, Span};
use crate::metadata::Metadata;
use crate::money::{Currency, Money};
use platform::clock::Timestamp;
use platform::db::{DbError, FromColumn, Row};
use platform::id_type;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

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

/// JSON text as it is stored, known to be a `T`: shown as it is, read only where it must be.
pub struct Stored<T>(Box<RawValue>, PhantomData<fn() -> T>);

impl<T> Stored<T> {
    fn from_text(text: &str, index: usize) -> Result<Self, DbError> {
        let raw = RawValue::from_string(text.to_owned());
        let raw = raw.map_err(|error| DbError::Column {
            index,
            reason: error.to_string(),
        })?;
        Ok(Stored(raw, PhantomData))
    }

    /// Column `index`, which may be NULL.
    ///
    /// # Errors
    /// [`DbError::Column`] when the text is not JSON.
    pub fn optional(row: &Row<'_>, index: usize) -> Result<Option<Self>, DbError> {
        row.get::<Option<&str>>(index)?
            .map(|text| Self::from_text(text, index))
            .transpose()
    }

    /// The value.
    ///
    /// # Errors
    /// [`DbError::Column`] when what is stored is not a `T`.
    pub fn read<'a>(&'a self) -> Result<T, DbError>
    where
        T: Deserialize<'a>,
    {
        serde_json::from_str(self.0.get()).map_err(|error| DbError::Column {
            index: 0,
            reason: error.to_string(),
        })
    }
}

impl<'a, T> FromColumn<'a> for Stored<T> {
    fn from_column(row: &'a Row<'_>, index: usize) -> Result<Self, DbError> {
        Self::from_text(row.get(index)?, index)
    }
}

impl<T> std::fmt::Debug for Stored<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.get())
    }
}

impl<T> Serialize for Stored<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Stored<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Something that the buyer chooses, such as a size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductOption {
    /// Unique within the product.
    #[schemars(length(min = 1, max = 120))]
    pub name: String,
    /// What can be chosen, in the order in which it is shown.
    #[schemars(length(min = 1, max = 250), inner(length(min = 1, max = 120)), extend("uniqueItems" = true))]
    pub values: Vec<String>,
}

/// A picture of the product; the first one is the main one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Where it is.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[^\\s]+$"))]
    pub url: String,
    /// What it shows, for those who do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub alt: Option<String>,
}

/// What search engines are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seo {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
}

/// The size of the packed variant in whole millimetres, at most 100 m each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimensions {
    #[schemars(range(min = 0, max = 100_000))]
    pub length: i64,
    #[schemars(range(min = 0, max = 100_000))]
    pub width: i64,
    #[schemars(range(min = 0, max = 100_000))]
    pub height: i64,
}

/// The caller's typed key-values, filterable and facetable: at most 100 keys of 1 to 64 characters;
/// a value is a text (at most 500), a number, a boolean or a list of at most 50 texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(pub BTreeMap<String, Value>);

/// Most keys of [`Attributes`].
pub const ATTRIBUTES_MAX: usize = 100;

impl JsonSchema for Attributes {
    fn schema_name() -> Cow<'static, str> {
        "Attributes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Typed key-values. In a change, `null` removes a key; keys that are not sent stay.",
            "maxProperties": ATTRIBUTES_MAX,
            "propertyNames": { "minLength": 1, "maxLength": 64 },
            "additionalProperties": {
                "type": ["string", "number", "boolean", "array", "null"], "maxLength": 500, "maxItems": 50,
                "items": { "type": "string", "maxLength": 500 },
            },
        })
    }
}

/// How much there is of something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Inventory {
    /// Units on the shelf.
    pub on_hand: i64,
    /// Units set aside for orders that have not been shipped.
    pub allocated: i64,
    /// Units held for carts: 0 until there are carts.
    pub reserved: i64,
    /// `on_hand - allocated - reserved`; below 0 when more was ordered than there is (backorder).
    pub available: i64,
    /// Units on their way from suppliers: 0 until there are purchase orders.
    pub incoming: i64,
    /// The same for each location; only with `expand=inventory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_location: Option<Vec<LocationLevel>>,
}

impl Inventory {
    /// Adds what is at one more location.
    pub fn add(&mut self, on_hand: i64, allocated: i64) {
        self.on_hand += on_hand;
        self.allocated += allocated;
        self.available = self.on_hand - self.allocated - self.reserved;
    }

    /// Adds what one location holds to the list of locations.
    pub fn add_at(&mut self, level: &LocationLevel) {
        let levels = self.by_location.get_or_insert_with(Vec::new);
        match levels
            .iter_mut()
            .find(|known| known.location_id == level.location_id)
        {
            Some(known) => {
                known.on_hand += level.on_hand;
                known.allocated += level.allocated;
                known.available += level.available;
            }
            None => levels.push(level.clone()),
        }
    }
}

/// How much one location holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LocationLevel {
    pub location_id: String,
    pub on_hand: i64,
    pub allocated: i64,
    pub available: i64,
}

/// A price row as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PriceRow {
    pub id: String,
    pub currency: Currency,
    /// Price of one unit, integer of minor units.
    pub amount: i64,
    /// The price to show struck through, integer of minor units.
    pub compare_at_amount: Option<i64>,
    /// Applies from this quantity of the line on.
    pub min_quantity: i64,
    /// Only for callers who ask for this group; `null` is for everyone.
    pub group: Option<String>,
    /// First instant at which it applies; `null` is since ever.
    pub starts_at: Option<Timestamp>,
    /// First instant at which it no longer applies; `null` is for good.
    pub ends_at: Option<Timestamp>,
}

/// What became of a price row that an order used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceState {
    /// It is one of the variant's prices still.
    Current,
    /// It was replaced or removed since.
    Retired,
    /// Nothing is known of it any more.
    Unknown,
}

/// A price row, and whether it is one of its variant's still.
#[derive(Clone, Debug)]
pub struct KnownPrice {
    pub state: PriceState,
    pub row: PriceRow,
}

impl From<Price> for PriceRow {
    fn from(price: Price) -> PriceRow {
        PriceRow {
            id: price.id,
            currency: price.currency,
            amount: price.amount,
            compare_at_amount: price.compare_at_amount,
            min_quantity: price.min_quantity,
            group: price.group,
            starts_at: price.starts_at_micros.map(Timestamp::from_micros),
            ends_at: price.ends_at_micros.map(Timestamp::from_micros),
        }
    }
}

impl From<&PriceRow> for Price {
    fn from(row: &PriceRow) -> Price {
        Price {
            id: row.id.clone(),
            currency: row.currency,
            amount: row.amount,
            compare_at_amount: row.compare_at_amount,
            min_quantity: row.min_quantity,
            group: row.group.clone(),
            starts_at_micros: row.starts_at.map(Timestamp::micros),
            ends_at_micros: row.ends_at.map(Timestamp::micros),
        }
    }
}

/// A variant as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Variant {
    pub id: VariantId,
    /// Made from the option values when it is not given; `null` for the only variant of a product
    /// without options.
    pub title: Option<String>,
    /// Case-sensitive, unique among live variants.
    pub sku: Option<String>,
    pub barcode: Option<String>,
    pub weight_grams: Option<i64>,
    pub dimensions_mm: Option<Stored<Dimensions>>,
    /// The chosen value of each option of the product.
    pub option_values: Stored<BTreeMap<String, String>>,
    /// All price rows, oldest first.
    pub prices: Vec<PriceRow>,
    /// Read-only: what one unit costs, for the `currency`, `group`, `quantity` and `at` that were asked for.
    pub price: Option<Resolved>,
    /// Read-only: the lowest price for everyone within 30 days (Directive 98/6/EC art. 6a): before the
    /// reduction began while there is one, until now otherwise.
    pub lowest_price_30d: Option<Money>,
    /// Read-only: changed by `POST /v2/inventory/adjustments` and by orders.
    pub inventory: Inventory,
    /// Overrides the product's.
    pub tax_category: Option<String>,
    /// Whether stock is counted; if not, it is always in stock.
    pub track_inventory: bool,
    /// Whether more may be ordered than there is.
    pub allow_backorder: bool,
    pub metadata: Stored<Metadata>,
    #[serde(skip)]
    pub position: i64,
}

/// A product as it is shown, alone and in lists.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Product {
    pub id: ProductId,
    pub title: String,
    /// The readable part of its address, unique among live products.
    pub slug: String,
    pub description: String,
    pub status: ProductStatus,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub vendor: Option<String>,
    pub brand: Option<String>,
    pub categories: Stored<Vec<String>>,
    pub tags: Stored<Vec<String>>,
    pub options: Stored<Vec<ProductOption>>,
    pub variants: Vec<Variant>,
    /// The SKU of its only variant; `null` when there are several.
    pub sku: Option<String>,
    /// Read-only: the lowest of the variants' prices.
    pub price: Option<Resolved>,
    /// Read-only: that of the variant whose price is shown.
    pub lowest_price_30d: Option<Money>,
    pub tax_category: Option<String>,
    /// Read-only: the sum over the variants.
    pub inventory: Inventory,
    pub images: Stored<Vec<Image>>,
    pub seo: Option<Stored<Seo>>,
    pub attributes: Stored<Attributes>,
    /// The caller's own key, unique among live products.
    pub external_id: Option<String>,
    pub metadata: Stored<Metadata>,
    /// Grows with every change of the product itself; stock has its own ledger.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    /// The instant (microseconds) from which on time alone can have changed its prices.
    #[serde(skip)]
    #[schemars(skip)]
    pub fresh_until_micros: i64,
}

/// For whom and when prices are resolved, and what is shown.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `None`: of each product the currency of its oldest price.
    pub currency: Option<Currency>,
    pub group: Option<String>,
    pub quantity: i64,
    pub at: Timestamp,
    /// Whether stock is listed by location.
    pub by_location: bool,
}

impl Asked {
    /// One unit, for everyone, at `at`.
    pub fn plain(at: Timestamp) -> Asked {
        Asked {
            currency: None,
            group: None,
            quantity: 1,
            at,
            by_location: false,
        }
    }
}

/// How far back gone prices are read: the 30 days before a reduction that began up to a year ago.
pub const HISTORY_MICROS: i64 = 395 * 24 * 60 * 60 * 1_000_000;

/// What is known of a variant's prices.
#[derive(Debug, Default)]
pub struct Priced {
    /// Its rows, oldest first.
    pub rows: Vec<Price>,
    /// For each of `rows` the instant (microseconds) at which it was made.
    pub made_micros: Vec<i64>,
    /// Rows of the last 30 days that are gone.
    pub gone: Vec<Span>,
}

impl Priced {
    /// The first instant (microseconds) after `at` at which [`Priced::resolve`] can answer differently:
    /// a window begins or ends, or a price leaves the days that are looked at.
    pub fn changes_after(&self, at: Timestamp) -> i64 {
        let ends = self.rows.iter().filter_map(|row| row.ends_at_micros);
        let ends = ends.chain(self.gone.iter().filter_map(|span| span.until_micros));
        let leaves = ends.flat_map(|end| {
            [pricing::DAYS_30_MICROS, HISTORY_MICROS].map(|days| end.saturating_add(days))
        });
        let at = at.micros();
        let boundary = pricing::next_boundary(&self.rows, at);
        leaves
            .chain(boundary)
            .filter(|instant| *instant > at)
            .min()
            .unwrap_or(i64::MAX)
    }

    /// The price and the lowest of 30 days in `currency`; both are `None` when nothing applies.
    pub fn resolve(&self, currency: Currency, asked: &Asked) -> (Option<Resolved>, Option<Money>) {
        let (group, at) = (asked.group.as_deref(), asked.at.micros());
        let Some(price) = pricing::resolve(&self.rows, currency, group, asked.quantity, at) else {
            return (None, None);
        };
        let rows = || self.rows.iter().zip(&self.made_micros);
        let since =
            |row: &Price, made: i64| row.starts_at_micros.map_or(made, |start| start.max(made));
        let reduced_since = rows()
            .find(|(row, _)| price.on_sale && row.id == price.price_id)
            .map(|(row, made)| since(row, *made));
        let spans = rows()
            .filter(|(row, _)| row.group.is_none() && row.min_quantity == 1)
            .map(|(row, made)| Span {
                currency: row.currency,
                amount: row.amount,
                from_micros: since(row, *made),
                until_micros: row.ends_at_micros,
            })
            .chain(self.gone.iter().copied());
        let lowest = pricing::lowest_of_30_days(spans, currency, reduced_since, at);
        (
            Some(price),
            lowest.map(|amount| Money::new(amount, currency)),
        )
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
