//! All SQL of the catalog: what orders need here, reading in `read`, writing in `write`.

mod read;
pub mod search;
mod variants;
mod write;

pub use read::{Head, Level, count, find, heads_of, list, list_select, load};
pub use write::{NewRow, UpdateError, delete, find_duplicate, find_version, insert_many, update};

use super::pricing::Price;
use super::product::{
    KnownPrice, PriceRow, PriceState, ProductStatus, Sellable, VariantId, VariantRef,
};
use crate::money::Currency;
use platform::db::{DbError, Param, Row, Tx, placeholders};
use std::collections::HashMap;

/// The variants that `refs` name, each once, in no particular order: one statement for each kind of
/// reference that occurs. What does not exist or was deleted is missing from the answer; a product
/// with several variants gives all of them, and the caller decides whether that is acceptable.
pub async fn sellable(tx: &mut Tx, refs: &[VariantRef]) -> Result<Vec<Sellable>, DbError> {
    let mut by_kind: [Vec<Param<'_>>; 3] = Default::default();
    for one in refs {
        let (kind, text) = match one {
            VariantRef::Variant(id) => (0, id.as_str()),
            VariantRef::Product(id) => (1, id.as_str()),
            VariantRef::Sku(sku) => (2, sku.as_str()),
        };
        by_kind[kind].push(Param::Text(text));
    }
    let mut found: Vec<Sellable> = Vec::with_capacity(refs.len());
    for (column, wanted) in ["v.id", "v.product_id", "v.sku"].iter().zip(&by_kind) {
        if !wanted.is_empty() {
            sellable_by(tx, column, wanted, &mut found).await?;
        }
    }
    found.sort_by(|a, b| a.variant_id.cmp(&b.variant_id));
    found.dedup_by(|a, b| a.variant_id == b.variant_id);
    Ok(found)
}

async fn sellable_by(
    tx: &mut Tx,
    column: &str,
    wanted: &[Param<'_>],
    found: &mut Vec<Sellable>,
) -> Result<(), DbError> {
    let sql = format!(
        "SELECT v.id, v.product_id, v.sku, p.title, v.title, p.status, v.track_inventory, v.allow_backorder,
            COALESCE(v.tax_category, p.tax_category),
            r.id, r.currency, r.amount, r.compare_at_amount, r.min_quantity, r.price_group, r.starts_at, r.ends_at
        FROM variants v JOIN products p ON p.id = v.product_id LEFT JOIN prices r ON r.variant_id = v.id
        WHERE v.deleted_at IS NULL AND {column} IN ({}) ORDER BY v.id, r.id",
        placeholders(1, wanted.len())
    );
    tx.for_each(&sql, wanted, |row| {
        let id: &str = row.get(0)?;
        if found
            .last()
            .is_none_or(|last| last.variant_id.as_str() != id)
        {
            found.push(sellable_row(row)?);
        }
        if let (Some(last), Some(_)) = (found.last_mut(), row.get::<Option<&str>>(9)?) {
            last.prices
                .push(price(row, [9, 10, 11, 12, 13, 14, 15, 16])?);
        }
        Ok(())
    })
    .await
}

fn sellable_row(row: &Row<'_>) -> Result<Sellable, DbError> {
    let title: &str = row.get(3)?;
    let title = match row.get::<Option<&str>>(4)? {
        Some(variant) => format!("{title} / {variant}"),
        None => title.to_owned(),
    };
    Ok(Sellable {
        variant_id: row.get(0)?,
        product_id: row.get(1)?,
        sku: row.get(2)?,
        title,
        status: ProductStatus::from_stored(row.get(5)?),
        track_inventory: row.get(6)?,
        allow_backorder: row.get(7)?,
        tax_category: row.get(8)?,
        prices: Vec::new(),
    })
}

/// A price row from the columns of its id, currency, amount, compare-at amount, least quantity, group,
/// start and end.
fn price(row: &Row<'_>, columns: [usize; 8]) -> Result<Price, DbError> {
    let [
        id,
        code,
        amount,
        compare_at,
        min_quantity,
        group,
        starts_at,
        ends_at,
    ] = columns;
    Ok(Price {
        id: row.get(id)?,
        currency: currency(row, code)?,
        amount: row.get(amount)?,
        compare_at_amount: row.get(compare_at)?,
        min_quantity: row.get(min_quantity)?,
        group: row.get(group)?,
        starts_at_micros: row.get(starts_at)?,
        ends_at_micros: row.get(ends_at)?,
    })
}

fn currency(row: &Row<'_>, index: usize) -> Result<Currency, DbError> {
    let code: &str = row.get(index)?;
    Currency::parse(code).map_err(|error| DbError::Column {
        index,
        reason: format!("{code}: {error}"),
    })
}

/// The price rows that `used` names by variant and id, in force still or retired, by their ids. What is known
/// of neither is missing.
pub async fn known_prices(
    tx: &mut Tx,
    used: &[(&VariantId, &str)],
) -> Result<HashMap<String, KnownPrice>, DbError> {
    let mut known = HashMap::with_capacity(used.len());
    for part in used.chunks(500) {
        let pairs: Vec<String> = (0..part.len())
            .map(|n| format!("(${}, ${})", 2 * n + 1, 2 * n + 2))
            .collect();
        let pairs = pairs.join(", ");
        let params: Vec<Param<'_>> = part
            .iter()
            .flat_map(|(variant, id)| [Param::Text(variant.as_str()), Param::Text(id)])
            .collect();
        // A retired row keeps what lists need of it, which is not its struck price.
        let sql = format!(
            "SELECT CAST(1 AS BIGINT), id, currency, amount, compare_at_amount, min_quantity, price_group, starts_at, ends_at
             FROM prices WHERE (variant_id, id) IN (VALUES {pairs})
             UNION ALL
             SELECT CAST(0 AS BIGINT), price_id, currency, amount, NULL, min_quantity, price_group, starts_at, ends_at
             FROM price_history WHERE (variant_id, price_id) IN (VALUES {pairs})"
        );
        tx.for_each(&sql, &params, |row| {
            let price = price(row, [1, 2, 3, 4, 5, 6, 7, 8])?;
            let state = match row.get::<i64>(0)? {
                1 => PriceState::Current,
                _ => PriceState::Retired,
            };
            let row = PriceRow::from(price);
            known.insert(row.id.clone(), KnownPrice { state, row });
            Ok(())
        })
        .await?;
    }
    Ok(known)
}
