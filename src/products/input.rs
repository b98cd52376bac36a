//! What callers send for a product. The bounds are in the schemas; the rules between fields are in
//! [`super::draft`].

use super::product::*;
use crate::metadata::MetadataPatch;
use crate::money::{Currency, MinorUnits};
use platform::clock::Timestamp;
use platform::http::Patch;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The fields of a product that can be set. Left away is left as it is; `null` clears.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProductInput {
    #[schemars(with = "String", length(min = 1, max = 255), regex(pattern = r"\S"))]
    pub title: Option<String>,
    /// Made from the title when it is left away; unique among live products.
    #[schemars(with = "String", regex(pattern = "^[a-z0-9-]{1,200}$"))]
    pub slug: Option<String>,
    #[schemars(length(max = 65_535))]
    pub description: Patch<String>,
    /// `active` when it is left away at creation.
    #[schemars(with = "ProductStatus")]
    pub status: Option<ProductStatus>,
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 120))]
    pub kind: Patch<String>,
    #[schemars(length(min = 1, max = 120))]
    pub vendor: Patch<String>,
    #[schemars(length(min = 1, max = 120))]
    pub brand: Patch<String>,
    #[schemars(length(max = 250), inner(length(min = 1, max = 64)), extend("uniqueItems" = true))]
    pub categories: Patch<Vec<String>>,
    #[schemars(length(max = 250), inner(length(min = 1, max = 64)), extend("uniqueItems" = true))]
    pub tags: Patch<Vec<String>>,
    /// What the buyer chooses; each variant then has one value of each.
    #[schemars(length(max = 5))]
    pub options: Patch<Vec<ProductOption>>,
    /// All variants: one that is known by its `id`, else by its `sku`, is changed, others are added,
    /// those that are left away are removed.
    #[schemars(with = "Vec<VariantInput>", length(min = 1, max = 2000))]
    pub variants: Option<Vec<VariantInput>>,
    #[schemars(length(min = 1, max = 120))]
    pub tax_category: Patch<String>,
    #[schemars(length(max = 250))]
    pub images: Patch<Vec<Image>>,
    pub seo: Patch<Seo>,
    pub attributes: Patch<Attributes>,
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Patch<String>,
    pub metadata: Patch<MetadataPatch>,
    /// Short form for a product with one variant.
    #[schemars(length(min = 1, max = 100))]
    pub sku: Patch<String>,
    /// Short form for a product with one variant: the everyday price of one unit, with `currency`
    /// beside it, or as an object.
    #[schemars(with = "FlatPrice")]
    pub price: Option<FlatPrice>,
    /// The currency of a `price` that is an integer.
    #[schemars(with = "Currency")]
    pub currency: Option<Currency>,
    /// Short form for a product with one variant: units on the shelf.
    #[schemars(with = "i64", range(min = 0, max = 1_000_000_000))]
    pub inventory_quantity: Option<i64>,
}

/// [`ProductInput`] with a title.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct NewProduct(pub ProductInput);

impl JsonSchema for NewProduct {
    fn schema_name() -> Cow<'static, str> {
        "NewProduct".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = ProductInput::json_schema(generator);
        schema.insert("required".into(), json!(["title"]));
        // A change may send both back as they were read.
        let short = ["sku", "price", "currency", "inventory_quantity"];
        let short = short.map(|name| json!({ "required": [name] }));
        let rules = json!([
            { "not": { "required": ["variants"], "anyOf": short } },
            { "dependentRequired": { "currency": ["price"] } },
            {
                "if": { "required": ["price"], "properties": { "price": { "type": "integer" } } },
                "then": { "required": ["currency"] },
            },
        ]);
        schema.insert("x-rules".into(), rules);
        schema.insert("description".into(), "A product to be created.".into());
        schema
    }
}

/// The fields of a variant that can be set. Left away is left as it is; `null` clears.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VariantInput {
    /// The variant that is changed.
    #[schemars(with = "VariantId")]
    pub id: Option<VariantId>,
    /// Made from the option values when it is left away.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"\S"))]
    pub title: Patch<String>,
    #[schemars(length(min = 1, max = 100))]
    pub sku: Patch<String>,
    #[schemars(length(min = 1, max = 64))]
    pub barcode: Patch<String>,
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub weight_grams: Patch<i64>,
    pub dimensions_mm: Patch<Dimensions>,
    /// The chosen value of each option of the product.
    #[schemars(with = "BTreeMap<String, String>", extend("maxProperties" = 5))]
    pub option_values: Option<BTreeMap<String, String>>,
    /// All price rows.
    #[schemars(with = "Vec<PriceInput>", length(max = 100))]
    pub prices: Option<Vec<PriceInput>>,
    #[schemars(length(min = 1, max = 120))]
    pub tax_category: Patch<String>,
    /// Whether stock is counted. Left away at creation: whether `inventory_quantity` is given.
    #[schemars(with = "bool")]
    pub track_inventory: Option<bool>,
    #[schemars(with = "bool")]
    pub allow_backorder: Option<bool>,
    pub metadata: Patch<MetadataPatch>,
    /// Units on the shelf.
    #[schemars(with = "i64", range(min = 0, max = 1_000_000_000))]
    pub inventory_quantity: Option<i64>,
}

fn one() -> i64 {
    1
}

/// A price row as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceInput {
    /// Accepted so that a row can be sent back; a row that is changed gets a new one.
    #[serde(default)]
    #[schemars(length(max = 77))]
    pub id: Option<String>,
    pub currency: Currency,
    pub amount: MinorUnits,
    /// The price to show struck through.
    #[serde(default)]
    pub compare_at_amount: Option<MinorUnits>,
    /// Applies from this quantity of the line on.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_quantity: i64,
    /// Only for callers who ask for this group.
    #[serde(default)]
    #[schemars(length(min = 1, max = 120))]
    pub group: Option<String>,
    /// First instant at which it applies.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// First instant at which it no longer applies.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
}

/// The short form of a price: `1999` with `currency` beside it, or `{"amount": 1999, "currency": "USD"}`.
#[derive(Clone, Copy, Debug)]
pub struct FlatPrice {
    pub amount: i64,
    pub currency: Option<Currency>,
    pub compare_at_amount: Option<i64>,
}

impl<'de> Deserialize<'de> for FlatPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Full {
            amount: MinorUnits,
            currency: Currency,
            #[serde(default)]
            compare_at_amount: Option<MinorUnits>,
        }

        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = FlatPrice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer of minor units, or an object with amount and currency")
            }

            fn visit_i64<E: de::Error>(self, amount: i64) -> Result<FlatPrice, E> {
                Ok(FlatPrice {
                    amount,
                    currency: None,
                    compare_at_amount: None,
                })
            }

            fn visit_u64<E: de::Error>(self, amount: u64) -> Result<FlatPrice, E> {
                let amount = i64::try_from(amount).map_err(E::custom)?;
                self.visit_i64(amount)
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<FlatPrice, A::Error> {
                let full = Full::deserialize(MapAccessDeserializer::new(members))?;
                Ok(FlatPrice {
                    amount: full.amount.0,
                    currency: Some(full.currency),
                    compare_at_amount: full.compare_at_amount.map(|amount| amount.0),
                })
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for FlatPrice {
    fn schema_name() -> Cow<'static, str> {
        "FlatPrice".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // Not `anyOf`: then a wrong member could only be answered with "none of the accepted forms".
        let amount = generator.subschema_for::<MinorUnits>().to_value();
        json_schema!({
            "allOf": [{ "type": ["integer", "object"], "x-code": "money_must_be_integer" }],
            "minimum": 0,
            "maximum": crate::money::AMOUNT_MAX,
            "properties": {
                "amount": amount,
                "currency": generator.subschema_for::<Currency>(),
                "compare_at_amount": amount,
            },
            "required": ["amount", "currency"],
            "additionalProperties": false,
        })
    }
}
