//! A product as it is to be stored, and the rules that turn what callers send into it. Creating and
//! changing are the same: a change is applied to a draft, which is empty or the present product.

use super::input::{FlatPrice, PriceInput, ProductInput, VariantInput};
use super::pricing::Price;
use super::product::*;
use super::slug;
use crate::metadata::{Metadata, MetadataPatch};
use crate::money::{Currency, Money};
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::http::{FieldError, Patch, Place};
use platform::id::new_id;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// A variant as it is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantDraft {
    pub id: VariantId,
    pub title: Option<String>,
    pub sku: Option<String>,
    pub barcode: Option<String>,
    pub weight_grams: Option<i64>,
    pub dimensions_mm: Option<Dimensions>,
    pub option_values: BTreeMap<String, String>,
    pub prices: Vec<Price>,
    pub tax_category: Option<String>,
    pub track_inventory: bool,
    pub allow_backorder: bool,
    pub metadata: Metadata,
    /// What the shelf is to hold; `None` leaves it as it is.
    pub on_hand: Option<i64>,
}

/// A product as it is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub title: String,
    /// `None`: to be made from the title.
    pub slug: Option<String>,
    pub description: String,
    pub status: ProductStatus,
    pub kind: Option<String>,
    pub vendor: Option<String>,
    pub brand: Option<String>,
    pub categories: Vec<String>,
    pub tags: Vec<String>,
    pub options: Vec<ProductOption>,
    pub images: Vec<Image>,
    pub seo: Option<Seo>,
    pub attributes: Attributes,
    pub tax_category: Option<String>,
    pub external_id: Option<String>,
    pub metadata: Metadata,
    pub variants: Vec<VariantDraft>,
}

impl VariantDraft {
    /// A new variant without anything: not tracked, not priced.
    pub fn empty() -> VariantDraft {
        VariantDraft {
            id: VariantId::new(),
            title: None,
            sku: None,
            barcode: None,
            weight_grams: None,
            dimensions_mm: None,
            option_values: BTreeMap::new(),
            prices: Vec::new(),
            tax_category: None,
            track_inventory: false,
            allow_backorder: false,
            metadata: Metadata::default(),
            on_hand: None,
        }
    }

    fn of(variant: &Variant) -> Result<VariantDraft, DbError> {
        Ok(VariantDraft {
            id: variant.id.clone(),
            title: variant.title.clone(),
            sku: variant.sku.clone(),
            barcode: variant.barcode.clone(),
            weight_grams: variant.weight_grams,
            dimensions_mm: variant
                .dimensions_mm
                .as_ref()
                .map(Stored::read)
                .transpose()?,
            option_values: variant.option_values.read()?,
            prices: variant.prices.iter().map(Price::from).collect(),
            tax_category: variant.tax_category.clone(),
            track_inventory: variant.track_inventory,
            allow_backorder: variant.allow_backorder,
            metadata: variant.metadata.read()?,
            on_hand: None,
        })
    }
}

impl Draft {
    /// An empty active product with one variant, to which a [`NewProduct`] is applied.
    pub fn empty() -> Draft {
        Draft {
            title: String::new(),
            slug: None,
            description: String::new(),
            status: ProductStatus::Active,
            kind: None,
            vendor: None,
            brand: None,
            categories: Vec::new(),
            tags: Vec::new(),
            options: Vec::new(),
            images: Vec::new(),
            seo: None,
            attributes: Attributes::default(),
            tax_category: None,
            external_id: None,
            metadata: Metadata::default(),
            variants: vec![VariantDraft::empty()],
        }
    }

    /// An active product with one variant whose stock is not counted, as imports make them. The bounds
    /// of the fields are the caller's to keep.
    pub fn simple(title: &str, sku: Option<&str>, price: Option<Money>) -> Draft {
        let mut draft = Draft {
            title: title.to_owned(),
            ..Draft::empty()
        };
        let variant = &mut draft.variants[0];
        variant.sku = sku.map(str::to_owned);
        if let Some(Money { amount, currency }) = price {
            let price = FlatPrice {
                amount,
                currency: None,
                compare_at_amount: None,
            };
            variant.set_everyday_price(price, currency);
        }
        draft
    }

    /// The present state of `product`.
    ///
    /// # Errors
    /// [`DbError::Column`] when a stored JSON text is not what it must be.
    pub fn of(product: &Product) -> Result<Draft, DbError> {
        Ok(Draft {
            title: product.title.clone(),
            slug: Some(product.slug.clone()),
            description: product.description.clone(),
            status: product.status,
            kind: product.kind.clone(),
            vendor: product.vendor.clone(),
            brand: product.brand.clone(),
            categories: product.categories.read()?,
            tags: product.tags.read()?,
            options: product.options.read()?,
            images: product.images.read()?,
            seo: product.seo.as_ref().map(Stored::read).transpose()?,
            attributes: product.attributes.read()?,
            tax_category: product.tax_category.clone(),
            external_id: product.external_id.clone(),
            metadata: product.metadata.read()?,
            variants: product
                .variants
                .iter()
                .map(VariantDraft::of)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The slug that was given, or the one that the title makes.
    pub fn wanted_slug(&self) -> Cow<'_, str> {
        match &self.slug {
            Some(slug) => Cow::Borrowed(slug),
            None => Cow::Owned(slug::slugify(&self.title)),
        }
    }

    /// Makes the change and checks the whole. All violations are returned; empty is good.
    pub fn change(&mut self, input: ProductInput) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let ProductInput {
            variants,
            sku,
            price,
            currency,
            inventory_quantity,
            ..
        } = self.change_own(input, &mut errors);
        let flat = Flat {
            sku,
            price,
            currency,
            quantity: inventory_quantity,
        };
        match variants {
            Some(variants) => {
                flat.refuse_beside_variants(&mut errors);
                self.change_variants(variants, &mut errors);
            }
            None => flat.apply(&mut self.variants, &mut errors),
        }
        self.name_variants();
        self.check(&mut errors);
        errors
    }

    /// The product's own fields; gives back the input for the rest.
    fn change_own(
        &mut self,
        mut input: ProductInput,
        errors: &mut Vec<FieldError>,
    ) -> ProductInput {
        use std::mem::take;
        set(&mut self.title, input.title.take());
        if let Some(slug) = input.slug.take() {
            self.slug = Some(slug);
        }
        set(&mut self.status, input.status.take());
        set_or_clear(&mut self.description, take(&mut input.description));
        take(&mut input.kind).apply(&mut self.kind);
        take(&mut input.vendor).apply(&mut self.vendor);
        take(&mut input.brand).apply(&mut self.brand);
        set_or_clear(&mut self.categories, take(&mut input.categories));
        set_or_clear(&mut self.tags, take(&mut input.tags));
        set_or_clear(&mut self.options, take(&mut input.options));
        set_or_clear(&mut self.images, take(&mut input.images));
        take(&mut input.seo).apply(&mut self.seo);
        take(&mut input.tax_category).apply(&mut self.tax_category);
        take(&mut input.external_id).apply(&mut self.external_id);
        change_metadata(
            &mut self.metadata,
            take(&mut input.metadata),
            "#/metadata",
            errors,
        );
        self.change_attributes(take(&mut input.attributes), errors);
        input
    }

    fn change_attributes(&mut self, patch: Patch<Attributes>, errors: &mut Vec<FieldError>) {
        match patch {
            Patch::Keep => {}
            Patch::Clear => self.attributes.0.clear(),
            Patch::Set(changes) => {
                for (key, value) in changes.0 {
                    match value {
                        Value::Null => self.attributes.0.remove(&key),
                        value => self.attributes.0.insert(key, value),
                    };
                }
            }
        }
        if self.attributes.0.len() > ATTRIBUTES_MAX {
            let detail = format!("expected at most {ATTRIBUTES_MAX} keys after the change");
            errors.push(fault("#/attributes", "too_many", detail));
        }
    }

    fn change_variants(&mut self, inputs: Vec<VariantInput>, errors: &mut Vec<FieldError>) {
        let mut present = std::mem::take(&mut self.variants);
        // A product without options has one variant: whatever is sent is that one.
        let only = self.options.is_empty() && present.len() == 1 && inputs.len() == 1;
        for (index, input) in inputs.into_iter().enumerate() {
            let place = format!("#/variants/{index}");
            let known = match &input.id {
                Some(id) => {
                    let known = present.iter().position(|variant| variant.id == *id);
                    if known.is_none() {
                        let detail = "not a variant of this product";
                        errors.push(fault(&format!("{place}/id"), "not_found", detail));
                    }
                    known
                }
                None if only => Some(0),
                None => present.iter().position(|variant| match &input.sku {
                    Patch::Set(sku) => variant.sku.as_ref() == Some(sku),
                    _ => false,
                }),
            };
            let mut variant = known.map_or_else(VariantDraft::empty, |known| present.remove(known));
            variant.change(input, &place, errors);
            self.variants.push(variant);
        }
    }
}

/// The short form of a product with one variant.
struct Flat {
    sku: Patch<String>,
    price: Option<FlatPrice>,
    currency: Option<Currency>,
    quantity: Option<i64>,
}

impl Flat {
    fn sent(&self) -> impl Iterator<Item = &'static str> {
        [
            ("#/sku", self.sku != Patch::Keep),
            ("#/price", self.price.is_some()),
            ("#/currency", self.currency.is_some()),
            ("#/inventory_quantity", self.quantity.is_some()),
        ]
        .into_iter()
        .filter(|(_, sent)| *sent)
        .map(|(pointer, _)| pointer)
    }

    fn refuse_beside_variants(&self, errors: &mut Vec<FieldError>) {
        let detail = "the short form cannot be used beside `variants`";
        errors.extend(
            self.sent()
                .map(|pointer| fault(pointer, "excluded", detail)),
        );
    }

    fn apply(self, variants: &mut [VariantDraft], errors: &mut Vec<FieldError>) {
        let [variant] = variants else {
            let detail = "the product has several variants: change `variants`";
            errors.extend(
                self.sent()
                    .map(|pointer| fault(pointer, "excluded", detail)),
            );
            return;
        };
        self.sku.apply(&mut variant.sku);
        if let Some(quantity) = self.quantity {
            variant.on_hand = Some(quantity);
            variant.track_inventory = true;
        }
        let Some(price) = self.price else {
            if self.currency.is_some() {
                errors.push(fault(
                    "#/currency",
                    "excluded",
                    "nothing without an integer `price`",
                ));
            }
            return;
        };
        match (price.currency, self.currency) {
            (None, None) => errors.push(fault("#/currency", "required", "currency is required")),
            (Some(one), Some(other)) if one != other => {
                errors.push(fault(
                    "#/currency",
                    "invalid_value",
                    format!("the price is in {one}"),
                ));
            }
            (Some(currency), _) | (None, Some(currency)) => {
                variant.set_everyday_price(price, currency);
            }
        }
    }
}

impl VariantDraft {
    fn set_everyday_price(&mut self, price: FlatPrice, currency: Currency) {
        let row = Price {
            id: new_id("price"),
            currency,
            amount: price.amount,
            compare_at_amount: price.compare_at_amount,
            min_quantity: 1,
            group: None,
            starts_at_micros: None,
            ends_at_micros: None,
        };
        if !self.prices.iter().any(|present| is_same(present, &row)) {
            self.prices
                .retain(|present| conditions(present) != conditions(&row));
            self.prices.push(row);
        }
    }

    fn change(&mut self, input: VariantInput, place: &str, errors: &mut Vec<FieldError>) {
        input.title.apply(&mut self.title);
        input.sku.apply(&mut self.sku);
        input.barcode.apply(&mut self.barcode);
        input.weight_grams.apply(&mut self.weight_grams);
        input.dimensions_mm.apply(&mut self.dimensions_mm);
        set(&mut self.option_values, input.option_values);
        input.tax_category.apply(&mut self.tax_category);
        set(&mut self.allow_backorder, input.allow_backorder);
        change_metadata(
            &mut self.metadata,
            input.metadata,
            &format!("{place}/metadata"),
            errors,
        );
        if let Some(prices) = input.prices {
            self.change_prices(prices, place, errors);
        }
        if let Some(quantity) = input.inventory_quantity {
            self.on_hand = Some(quantity);
            self.track_inventory = true;
        }
        set(&mut self.track_inventory, input.track_inventory);
    }

    /// A row that is sent as it is keeps its id, and with it its place in the history of prices.
    fn change_prices(
        &mut self,
        inputs: Vec<PriceInput>,
        place: &str,
        errors: &mut Vec<FieldError>,
    ) {
        let mut present = std::mem::take(&mut self.prices);
        for (index, input) in inputs.into_iter().enumerate() {
            let row = Price {
                id: new_id("price"),
                currency: input.currency,
                amount: input.amount.0,
                compare_at_amount: input.compare_at_amount.map(|amount| amount.0),
                min_quantity: input.min_quantity,
                group: input.group,
                starts_at_micros: input.starts_at.map(Timestamp::micros),
                ends_at_micros: input.ends_at.map(Timestamp::micros),
            };
            if let (Some(start), Some(end)) = (row.starts_at_micros, row.ends_at_micros)
                && end <= start
            {
                let place = format!("{place}/prices/{index}/ends_at");
                errors.push(fault(
                    &place,
                    "invalid_value",
                    "expected an instant after starts_at",
                ));
            }
            if self
                .prices
                .iter()
                .any(|other| conditions(other) == conditions(&row))
            {
                let place = format!("{place}/prices/{index}");
                errors.push(fault(
                    &place,
                    "not_unique",
                    "another row has the same conditions",
                ));
            }
            let kept = present.iter().position(|old| is_same(old, &row));
            self.prices
                .push(kept.map_or(row, |kept| present.swap_remove(kept)));
        }
        self.prices.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

/// When a row applies; shown instants have whole seconds, so a row that was sent back has too.
type Conditions<'a> = (Currency, i64, Option<&'a str>, Option<i64>, Option<i64>);

fn conditions(price: &Price) -> Conditions<'_> {
    let seconds = |micros: Option<i64>| micros.map(|micros| micros.div_euclid(1_000_000));
    (
        price.currency,
        price.min_quantity,
        price.group.as_deref(),
        seconds(price.starts_at_micros),
        seconds(price.ends_at_micros),
    )
}

fn is_same(a: &Price, b: &Price) -> bool {
    (a.amount, a.compare_at_amount) == (b.amount, b.compare_at_amount)
        && conditions(a) == conditions(b)
}

impl Draft {
    /// Variants without a title are named by what is chosen: `M / red`.
    fn name_variants(&mut self) {
        for variant in &mut self.variants {
            if variant.title.is_none() && !self.options.is_empty() {
                let chosen: Vec<&str> = self
                    .options
                    .iter()
                    .filter_map(|option| variant.option_values.get(&option.name))
                    .map(String::as_str)
                    .collect();
                let title: String = chosen.join(" / ").chars().take(255).collect();
                variant.title = (!title.is_empty()).then_some(title);
            }
        }
    }

    /// The rules between options and variants.
    fn check(&self, errors: &mut Vec<FieldError>) {
        let mut names = HashSet::new();
        for (index, option) in self.options.iter().enumerate() {
            if !names.insert(option.name.as_str()) {
                let place = format!("#/options/{index}/name");
                errors.push(fault(&place, "not_unique", "another option has this name"));
            }
        }
        if self.options.is_empty() && self.variants.len() > 1 {
            let detail = "several variants need `options` that tell them apart";
            errors.push(fault("#/options", "required", detail));
        }
        let mut skus = HashSet::new();
        let mut chosen = HashSet::new();
        for (index, variant) in self.variants.iter().enumerate() {
            let place = format!("#/variants/{index}");
            if variant.sku.as_ref().is_some_and(|sku| !skus.insert(sku)) {
                let place = format!("{place}/sku");
                errors.push(fault(&place, "not_unique", "another variant has this sku"));
            }
            self.check_choice(variant, &place, errors);
            if !self.options.is_empty() && !chosen.insert(&variant.option_values) {
                let place = format!("{place}/option_values");
                errors.push(fault(
                    &place,
                    "not_unique",
                    "another variant has these values",
                ));
            }
        }
    }

    fn check_choice(&self, variant: &VariantDraft, place: &str, errors: &mut Vec<FieldError>) {
        for option in &self.options {
            let place = format!("{place}/option_values/{}", escape(&option.name));
            match variant.option_values.get(&option.name) {
                None => errors.push(fault(
                    &place,
                    "required",
                    "expected a value for each option",
                )),
                Some(value) if !option.values.contains(value) => {
                    let detail = "expected one of the option's values";
                    errors.push(fault(&place, "invalid_value", detail));
                }
                Some(_) => {}
            }
        }
        for name in variant.option_values.keys() {
            if !self.options.iter().any(|option| option.name == *name) {
                let place = format!("{place}/option_values/{}", escape(name));
                errors.push(fault(
                    &place,
                    "unknown_field",
                    "not an option of this product",
                ));
            }
        }
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn set_or_clear<T: Default>(field: &mut T, patch: Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *field = T::default(),
        Patch::Set(value) => *field = value,
    }
}

fn change_metadata(
    metadata: &mut Metadata,
    patch: Patch<MetadataPatch>,
    place: &str,
    errors: &mut Vec<FieldError>,
) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *metadata = Metadata::default(),
        Patch::Set(patch) => {
            if metadata.apply(patch).is_err() {
                let detail = format!(
                    "expected at most {} keys after the change",
                    crate::metadata::KEYS_MAX
                );
                errors.push(fault(place, "too_many", detail));
            }
        }
    }
}

/// A member name as a step of a JSON Pointer (RFC 6901 §3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn fault(pointer: &str, code: &'static str, detail: impl Into<String>) -> FieldError {
    FieldError {
        place: Place::Pointer(pointer.to_owned()),
        code,
        detail: detail.into(),
    }
}
