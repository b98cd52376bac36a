//! All SQL of the imports: what is there already.

use crate::products::{ProductId, VariantId};
use crate::users::UserId;
use platform::db::{DbError, Param, Tx, placeholders};
use std::collections::{HashMap, HashSet};

/// Values in one statement.
const IN_MAX: usize = 500;

/// Those of `external_ids` that an order has.
pub(super) async fn known_orders(
    tx: &mut Tx,
    external_ids: &[&str],
) -> Result<HashSet<String>, DbError> {
    let mut known = HashSet::new();
    for part in external_ids.chunks(IN_MAX) {
        let marks = placeholders(1, part.len());
        let sql = format!("SELECT external_id FROM orders WHERE external_id IN ({marks})");
        known.extend(
            tx.fetch_all(&sql, &texts(part), |row| row.get::<String>(0))
                .await?,
        );
    }
    Ok(known)
}

/// The live users that have one of `external_ids`.
pub(super) async fn known_users(
    tx: &mut Tx,
    external_ids: &[&str],
) -> Result<HashMap<String, UserId>, DbError> {
    let mut known = HashMap::new();
    for part in external_ids.chunks(IN_MAX) {
        let marks = placeholders(1, part.len());
        let sql = format!(
            "SELECT external_id, id FROM users WHERE deleted_at IS NULL AND external_id IN ({marks})"
        );
        known.extend(
            tx.fetch_all(&sql, &texts(part), |row| Ok((row.get(0)?, row.get(1)?)))
                .await?,
        );
    }
    Ok(known)
}

/// The live variants that have one of `skus`.
pub(super) async fn known_variants(
    tx: &mut Tx,
    skus: &[&str],
) -> Result<HashMap<String, (ProductId, VariantId)>, DbError> {
    let mut known = HashMap::new();
    for part in skus.chunks(IN_MAX) {
        let marks = placeholders(1, part.len());
        let sql = format!(
            "SELECT sku, product_id, id FROM variants WHERE deleted_at IS NULL AND sku IN ({marks})"
        );
        let found = tx
            .fetch_all(&sql, &texts(part), |row| {
                Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
            })
            .await?;
        known.extend(found);
    }
    Ok(known)
}

fn texts<'a>(values: &[&'a str]) -> Vec<Param<'a>> {
    values.iter().map(|value| Param::Text(value)).collect()
}
