//! Creating, changing and deleting a product: what a unit of work does, whoever asks for it.

use super::draft::Draft;
use super::input::ProductInput;
use super::product::*;
use super::store::{self, NewRow};
use crate::error::{DUPLICATE, Result, duplicate, not_found};
use crate::money::Currency;
use crate::sent_back::leave_computed_out;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::http::{FieldError, IfMatch, MergePatch, Problem, Reply, field_errors_to_problem};
use serde_json::{Map, Value};

/// Faults reported for one request.
const ERRORS_MAX: usize = 50;

/// Who changes a product, when, and the version that they have seen.
#[derive(Clone, Copy, Debug)]
pub struct Changer<'a> {
    pub actor: &'a str,
    pub if_match: &'a IfMatch,
    pub now: Timestamp,
}

/// The new product that `input` describes.
pub fn draft_of(input: ProductInput) -> Result<Draft> {
    let mut draft = Draft::empty();
    refuse(draft.change(input))?;
    Ok(draft)
}

/// Stores a new product.
pub async fn create(tx: &mut Tx, draft: Draft, actor: &str, now: Timestamp) -> Result<ProductId> {
    let row = [NewRow {
        id: ProductId::new(),
        draft,
    }];
    let [NewRow { id, draft }] = &row;
    refuse_duplicates(tx, id, draft).await?;
    store::insert_many(tx, &row, actor, now)
        .await
        .map_err(raced)?;
    Ok(id.clone())
}

/// Changes the product called `id`: `fields` is a merge patch of it as it is shown.
pub async fn update(
    tx: &mut Tx,
    id: &str,
    fields: Map<String, Value>,
    by: &Changer<'_>,
) -> Result<()> {
    let asked = Asked {
        currency: currency_of(&fields),
        ..Asked::plain(by.now)
    };
    let current = present(tx, id, &asked).await?;
    if !by.if_match.holds(current.version) {
        return Err(stale(tx, id, by.if_match, by.now).await?);
    }
    let (before, after) = planned(&current, fields)?;
    if after != before {
        refuse_duplicates(tx, &current.id, &after).await?;
        let target = (&current.id, current.version);
        let change = (&before, &after);
        store::update(tx, target, change, by.actor, by.now)
            .await
            .map_err(raced)?;
    }
    Ok(())
}

/// What a merge patch would make of `current`: the product as it is and as it would be, by all rules but those
/// that need to look at others.
pub fn planned(current: &Product, mut fields: Map<String, Value>) -> Result<(Draft, Draft)> {
    let shown = serde_json::to_value(current).map_err(|error| DbError::Failed(error.into()))?;
    let mut errors = leave_unchanged_out(&mut fields, &shown);
    let input: ProductInput = MergePatch::read_against(&fields, &shown)?;
    let before = Draft::of(current)?;
    let mut after = before.clone();
    errors.extend(after.change(input));
    refuse(errors)?;
    Ok((before, after))
}

/// Deletes the product called `id`.
pub async fn delete(tx: &mut Tx, id: &str, by: &Changer<'_>) -> Result<()> {
    let found = store::find_version(tx, id).await?;
    let (Some(version), Some(id)) = (found, ProductId::parse(id)) else {
        return Err(not_found("product", id));
    };
    if !by.if_match.holds(version) {
        return Err(stale(tx, id.as_str(), by.if_match, by.now).await?);
    }
    Ok(store::delete(tx, (&id, version), by.actor, by.now).await?)
}

/// The refusal of a change that was made on another version than the present one.
async fn stale(tx: &mut Tx, id: &str, if_match: &IfMatch, now: Timestamp) -> Result<Problem> {
    let product = present(tx, id, &Asked::plain(now)).await?;
    Ok(if_match.refused(&Reply::entity(product.version, &product)))
}

/// The product as it is.
///
/// # Errors
/// 404 when there is none.
pub async fn present(tx: &mut Tx, id: &str, asked: &Asked) -> Result<Product> {
    store::find(tx, id, asked)
        .await?
        .ok_or_else(|| not_found("product", id))
}

fn refuse(mut errors: Vec<FieldError>) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    errors.truncate(ERRORS_MAX);
    Err(field_errors_to_problem(errors))
}

async fn refuse_duplicates(tx: &mut Tx, own: &ProductId, draft: &Draft) -> Result<()> {
    match store::find_duplicate(tx, own, draft).await? {
        Some((field, value)) => Err(duplicate(&field, &value)),
        None => Ok(()),
    }
}

/// Another request committed the same value after [`refuse_duplicates`] had looked.
fn raced(error: impl Into<store::UpdateError>) -> Problem {
    let error = error.into();
    if let store::UpdateError::Db(cause) = &error {
        let fields = [
            ("products_slug", "slug"),
            ("products_external_id", "external_id"),
            ("variants_sku", "sku"),
        ];
        if let Some((_, field)) = fields.iter().find(|(index, _)| cause.is_unique(index)) {
            let detail = format!("another one has just been given this {field}");
            return Problem::new(&DUPLICATE, detail.clone()).at(
                &format!("#/{field}"),
                "duplicate",
                detail,
            );
        }
    }
    error.into()
}

/// The currency in which a product that is sent back was read.
fn currency_of(fields: &Map<String, Value>) -> Option<Currency> {
    Currency::parse(fields.get("price")?.get("currency")?.as_str()?).ok()
}

/// What the server computes of a product; its resolved prices are looked at apart, for they can be sent too.
const COMPUTED: [&str; 5] = [
    "lowest_price_30d",
    "inventory",
    "updated_at",
    "archived_at",
    "version",
];

/// What a variant shows and cannot be sent.
const VARIANT_READ_ONLY: [&str; 3] = ["price", "lowest_price_30d", "inventory"];

/// Leaves out of `fields` what only comes along because the product was sent back as it was read: the
/// resolved prices, the short form's `sku`, variants that are as they were. What was changed although
/// it is read-only is returned.
fn leave_unchanged_out(fields: &mut Map<String, Value>, current: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    leave_computed_out(fields, &COMPUTED);
    if fields.get("sku") == current.get("sku") {
        fields.remove("sku");
    }
    match fields.get_mut("price") {
        Some(price) if is_present_price(price, current) => {
            fields.remove("price");
        }
        // Resolved, and then its amount was changed: that is a new everyday price.
        Some(Value::Object(price)) if price.contains_key("price_id") => {
            for name in ["list_amount", "on_sale", "price_id"] {
                price.remove(name);
            }
        }
        Some(Value::Null) => {
            fields.remove("price"); // read in a currency in which there is none
        }
        _ => {}
    }
    let Some(Value::Array(variants)) = fields.get_mut("variants") else {
        return errors;
    };
    let empty = Vec::new();
    let present = current["variants"].as_array().unwrap_or(&empty);
    for (index, variant) in variants.iter_mut().enumerate() {
        let known = present.iter().any(|known| known["id"] == variant["id"]);
        if let (true, Value::Object(variant)) = (known, variant) {
            leave_computed_out(variant, &["inventory", "lowest_price_30d"]);
            let price = variant.remove("price").unwrap_or(Value::Null);
            let own = variant.get("prices").unwrap_or(&Value::Null);
            if !price.is_null() && !is_price_of(own, &price) && !is_present_price(&price, current) {
                errors.push(read_only(index, "price"));
            }
        }
    }
    let without_read_only = |variant: &Value| {
        let mut variant = variant.clone();
        if let Value::Object(members) = &mut variant {
            members.retain(|name, _| !VARIANT_READ_ONLY.contains(&name.as_str()));
        }
        variant
    };
    if errors.is_empty()
        && variants.iter().eq(present
            .iter()
            .map(without_read_only)
            .collect::<Vec<_>>()
            .iter())
    {
        fields.remove("variants");
    }
    errors
}

/// Whether `price` is what some present price row gives: a sale may have begun since it was read, and
/// it may have been read for a group.
fn is_present_price(price: &Value, current: &Value) -> bool {
    let mut variants = current["variants"].as_array().into_iter().flatten();
    variants.any(|variant| is_price_of(&variant["prices"], price))
}

fn is_price_of(rows: &Value, price: &Value) -> bool {
    rows.as_array().into_iter().flatten().any(|row| {
        !row["id"].is_null()
            && row["id"] == price["price_id"]
            && row["amount"] == price["amount"]
            && row["currency"] == price["currency"]
    })
}

fn read_only(index: usize, name: &str) -> FieldError {
    FieldError {
        place: platform::http::Place::Pointer(format!("#/variants/{index}/{name}")),
        code: "read_only",
        detail: format!("`{name}` cannot be changed here"),
    }
}
