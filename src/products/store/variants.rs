//! Writing variants and their prices, as part of writing their product.

use super::write::{UpdateError, text};
use crate::products::draft::{Draft, VariantDraft};
use crate::products::pricing::Price;
use crate::products::{ProductId, VariantId, inventory};
use platform::clock::Timestamp;
use platform::db::{DbError, Param, ToParam, Tx, placeholders};
use std::collections::{HashMap, HashSet};

/// A variant with the product it belongs to and its place among its siblings.
pub(super) type NewVariant<'a> = (&'a ProductId, usize, &'a VariantDraft);

/// The JSON columns of a variant.
struct VariantTexts {
    dimensions: Option<String>,
    options: String,
    metadata: String,
}

impl VariantTexts {
    fn of(variant: &VariantDraft) -> VariantTexts {
        VariantTexts {
            dimensions: variant.dimensions_mm.as_ref().map(text),
            options: text(&variant.option_values),
            metadata: variant.metadata.to_json(),
        }
    }
}

fn variant_values<'a>(
    at: usize,
    variant: &'a VariantDraft,
    texts: &'a VariantTexts,
    now: Timestamp,
) -> [Param<'a>; 13] {
    [
        variant.id.to_param(),
        Param::Int(i64::try_from(at).unwrap_or(i64::MAX)),
        variant.title.to_param(),
        variant.sku.to_param(),
        variant.barcode.to_param(),
        variant.weight_grams.to_param(),
        texts.dimensions.to_param(),
        texts.options.to_param(),
        variant.tax_category.to_param(),
        Param::Bool(variant.track_inventory),
        Param::Bool(variant.allow_backorder),
        texts.metadata.to_param(),
        Param::Int(now.micros()),
    ]
}

/// Inserts variants with their prices and levels.
pub(super) async fn insert_variants(
    tx: &mut Tx,
    new: &[NewVariant<'_>],
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    if new.is_empty() {
        return Ok(());
    }
    let texts: Vec<VariantTexts> = new
        .iter()
        .map(|(.., variant)| VariantTexts::of(variant))
        .collect();
    let mut values = Vec::with_capacity(new.len() * 15);
    for ((product_id, at, variant), texts) in new.iter().zip(&texts) {
        values.extend(variant_values(*at, variant, texts, now));
        values.extend([product_id.to_param(), Param::Int(now.micros())]);
    }
    let head = "INSERT INTO variants (id, position, title, sku, barcode, weight_grams, dimensions_mm, option_values,
        tax_category, track_inventory, allow_backorder, metadata, updated_at, product_id, created_at)";
    tx.insert_many(head, 15, &values, "").await?;
    let prices: Vec<(&VariantId, &Price)> = new
        .iter()
        .flat_map(|(.., variant)| variant.prices.iter().map(|price| (&variant.id, price)))
        .collect();
    insert_prices(tx, &prices, now).await?;
    let levels: Vec<(&VariantId, i64)> = new
        .iter()
        .map(|(.., variant)| (&variant.id, variant.on_hand.unwrap_or(0)))
        .collect();
    inventory::store::insert_levels(tx, &levels, actor, now).await
}

async fn insert_prices(
    tx: &mut Tx,
    prices: &[(&VariantId, &Price)],
    now: Timestamp,
) -> Result<(), DbError> {
    if prices.is_empty() {
        return Ok(());
    }
    let mut values = Vec::with_capacity(prices.len() * 10);
    for (variant_id, price) in prices {
        values.extend([
            price.id.to_param(),
            variant_id.to_param(),
            Param::Text(price.currency.as_str()),
            Param::Int(price.amount),
            price.compare_at_amount.to_param(),
            Param::Int(price.min_quantity),
            price.group.to_param(),
            price.starts_at_micros.to_param(),
            price.ends_at_micros.to_param(),
            Param::Int(now.micros()),
        ]);
    }
    let head = "INSERT INTO prices (id, variant_id, currency, amount, compare_at_amount, min_quantity, price_group,
        starts_at, ends_at, created_at)";
    tx.insert_many(head, 10, &values, "").await.map(drop)
}

/// Takes rows away and keeps, for each that was in force, when it was.
async fn retire_prices(tx: &mut Tx, ids: &[&str], now: Timestamp) -> Result<(), DbError> {
    for part in ids.chunks(500) {
        let mut params = vec![Param::Int(now.micros())];
        params.extend(part.iter().map(|id| Param::Text(id)));
        let from = "CASE WHEN starts_at > created_at THEN starts_at ELSE created_at END";
        let until = "CASE WHEN ends_at < $1 THEN ends_at ELSE $1 END";
        let marks = placeholders(2, part.len());
        let sql = format!(
            "INSERT INTO price_history (variant_id, price_id, currency, amount, min_quantity, price_group, starts_at, ends_at)
             SELECT variant_id, id, currency, amount, min_quantity, price_group, {from}, {until}
             FROM prices WHERE id IN ({marks}) AND {from} < {until}"
        );
        tx.execute(&sql, &params).await?;
        let sql = format!(
            "DELETE FROM prices WHERE id IN ({})",
            placeholders(1, part.len())
        );
        tx.execute(&sql, &params[1..]).await?;
    }
    Ok(())
}

/// Removes, changes and adds variants so that they are those of `after`.
pub(super) async fn update_variants(
    tx: &mut Tx,
    product_id: &ProductId,
    (before, after): (&Draft, &Draft),
    actor: &str,
    now: Timestamp,
) -> Result<(), UpdateError> {
    let old: HashMap<&VariantId, (usize, &VariantDraft)> = before
        .variants
        .iter()
        .enumerate()
        .map(|(at, variant)| (&variant.id, (at, variant)))
        .collect();
    let kept: HashSet<&VariantId> = after.variants.iter().map(|variant| &variant.id).collect();
    let removed: Vec<&VariantId> = before
        .variants
        .iter()
        .map(|variant| &variant.id)
        .filter(|id| !kept.contains(id))
        .collect();
    remove_variants(tx, &removed, now).await?;
    free_moving_skus(tx, &old, after).await?;

    let (mut changed, mut added, mut counted) = (Vec::new(), Vec::new(), Vec::new());
    let (mut new_prices, mut old_prices) = (Vec::new(), Vec::new());
    for (at, variant) in after.variants.iter().enumerate() {
        let Some((was_at, was)) = old.get(&variant.id) else {
            added.push((product_id, at, variant));
            continue;
        };
        if *was_at != at || !is_same_row(was, variant) {
            changed.push((at, variant, VariantTexts::of(variant)));
        }
        if let Some(on_hand) = variant.on_hand {
            counted.push((variant.id.clone(), on_hand, variant.allow_backorder));
        }
        let has = |prices: &[Price], id: &str| prices.iter().any(|price| price.id == id);
        new_prices.extend(
            variant
                .prices
                .iter()
                .filter(|price| !has(&was.prices, &price.id))
                .map(|price| (&variant.id, price)),
        );
        old_prices.extend(
            was.prices
                .iter()
                .map(|price| price.id.as_str())
                .filter(|id| !has(&variant.prices, id)),
        );
    }
    let lists: Vec<Vec<Param<'_>>> = changed
        .iter()
        .map(|(at, variant, texts)| variant_values(*at, variant, texts, now).to_vec())
        .collect();
    let sql = "UPDATE variants SET position = $2, title = $3, sku = $4, barcode = $5, weight_grams = $6,
            dimensions_mm = $7, option_values = $8, tax_category = $9, track_inventory = $10, allow_backorder = $11,
            metadata = $12, updated_at = $13
        WHERE id = $1";
    if !lists.is_empty() {
        tx.execute_each(sql, &lists).await?;
    }
    insert_variants(tx, &added, actor, now).await?;
    retire_prices(tx, &old_prices, now).await?;
    insert_prices(tx, &new_prices, now).await?;
    counted.sort();
    inventory::store::set_on_hand(tx, product_id, &counted, actor, now).await
}

fn is_same_row(a: &VariantDraft, b: &VariantDraft) -> bool {
    let row = |variant: &VariantDraft| VariantDraft {
        prices: Vec::new(),
        on_hand: None,
        ..variant.clone()
    };
    row(a) == row(b)
}

async fn remove_variants(
    tx: &mut Tx,
    removed: &[&VariantId],
    now: Timestamp,
) -> Result<(), UpdateError> {
    for part in removed.chunks(500) {
        let mut params = vec![Param::Int(now.micros())];
        params.extend(part.iter().map(|id| id.to_param()));
        let sql = format!(
            "SELECT variant_id FROM stock WHERE (on_hand <> 0 OR allocated <> 0) AND variant_id IN ({})",
            placeholders(1, part.len())
        );
        if let Some(id) = tx
            .fetch_optional(&sql, &params[1..], |row| row.get::<VariantId>(0))
            .await?
        {
            return Err(UpdateError::VariantHasStock(id));
        }
        let sql = format!(
            "UPDATE variants SET deleted_at = $1 WHERE id IN ({})",
            placeholders(2, part.len())
        );
        tx.execute(&sql, &params).await?;
    }
    Ok(())
}

/// A SKU that moves from one variant to a sibling must leave the one before it comes to the other.
async fn free_moving_skus(
    tx: &mut Tx,
    old: &HashMap<&VariantId, (usize, &VariantDraft)>,
    after: &Draft,
) -> Result<(), DbError> {
    let held: HashSet<&str> = old
        .values()
        .filter_map(|(_, variant)| variant.sku.as_deref())
        .collect();
    let moves = |variant: &VariantDraft| {
        let was = old.get(&variant.id).and_then(|(_, was)| was.sku.as_deref());
        variant.sku.as_deref() != was
            && variant.sku.as_deref().is_some_and(|sku| held.contains(sku))
    };
    if !after.variants.iter().any(moves) {
        return Ok(());
    }
    let ids: Vec<Param<'_>> = old.keys().map(|id| id.to_param()).collect();
    for part in ids.chunks(500) {
        let sql = format!(
            "UPDATE variants SET sku = NULL WHERE deleted_at IS NULL AND id IN ({})",
            placeholders(1, part.len())
        );
        tx.execute(&sql, part).await?;
    }
    let skus: Vec<Vec<Param<'_>>> = after
        .variants
        .iter()
        .filter(|variant| variant.sku.is_some() && old.contains_key(&variant.id))
        .map(|variant| vec![variant.id.to_param(), variant.sku.to_param()])
        .collect();
    tx.execute_each("UPDATE variants SET sku = $2 WHERE id = $1", &skus)
        .await
        .map(drop)
}
