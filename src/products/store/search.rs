//! What the search index and its followers read.

use platform::clock::Timestamp;
use platform::db::{DbError, Param, Tx, placeholders};
use platform::params;

fn texts(ids: &[String]) -> Vec<Param<'_>> {
    ids.iter().map(|id| Param::Text(id)).collect()
}

/// Ids of live products after `after`, by id: for a rebuild.
pub async fn ids_after(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<String>, DbError> {
    let sql = "SELECT id FROM products WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2";
    tx.fetch_all(sql, params![after, limit], |row| row.get(0))
        .await
}

/// The products on the lines of some orders.
pub async fn of_orders(tx: &mut Tx, order_ids: &[String]) -> Result<Vec<String>, DbError> {
    if order_ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT DISTINCT product_id FROM order_items WHERE product_id IS NOT NULL AND order_id IN ({})",
        placeholders(1, order_ids.len())
    );
    tx.fetch_all(&sql, &texts(order_ids), |row| row.get(0))
        .await
}

const CAN_BE_ORDERED: &str = "EXISTS (SELECT 1 FROM variants v JOIN stock s ON s.variant_id = v.id
    WHERE v.product_id = p.id AND v.deleted_at IS NULL
    AND (NOT v.track_inventory OR v.allow_backorder OR s.on_hand > s.allocated))";

/// Those of `ids` of which something can be ordered now.
pub async fn in_stock(tx: &mut Tx, ids: &[String]) -> Result<Vec<String>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT p.id FROM products p WHERE p.id IN ({}) AND {CAN_BE_ORDERED}",
        placeholders(1, ids.len())
    );
    tx.fetch_all(&sql, &texts(ids), |row| row.get(0)).await
}

/// Gives `visit` every product of which something can be ordered now.
pub async fn all_in_stock(tx: &mut Tx, mut visit: impl FnMut(&str)) -> Result<(), DbError> {
    let sql =
        format!("SELECT p.id FROM products p WHERE p.deleted_at IS NULL AND {CAN_BE_ORDERED}");
    tx.for_each(&sql, &[], |row| {
        visit(row.get(0)?);
        Ok(())
    })
    .await
}

/// Adds the units of some orders to what their products have sold; `sign` is -1 when they were
/// cancelled.
pub async fn add_sales(
    tx: &mut Tx,
    order_ids: &[String],
    sign: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    if order_ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO product_sales (product_id, units, changed_at)
        SELECT product_id, CAST(SUM(quantity) AS BIGINT) * $1, CAST($2 AS BIGINT) FROM order_items
        WHERE product_id IS NOT NULL AND order_id IN ({}) GROUP BY product_id
        ON CONFLICT (product_id) DO UPDATE SET units = product_sales.units + excluded.units, changed_at = excluded.changed_at",
        placeholders(3, order_ids.len())
    );
    let mut values = vec![Param::Int(sign), Param::Int(now.micros())];
    values.extend(texts(order_ids));
    tx.execute(&sql, &values).await.map(drop)
}

/// Units sold of each of `ids` that has sold any.
pub async fn sales(tx: &mut Tx, ids: &[String]) -> Result<Vec<(String, i64)>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT product_id, units FROM product_sales WHERE product_id IN ({})",
        placeholders(1, ids.len())
    );
    tx.fetch_all(&sql, &texts(ids), |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// Products whose sales changed at or after `since`, the longest ago first.
pub async fn sold_since(
    tx: &mut Tx,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<(String, Timestamp)>, DbError> {
    let sql = "SELECT product_id, changed_at FROM product_sales WHERE changed_at >= $1 ORDER BY changed_at LIMIT $2";
    tx.fetch_all(sql, params![since, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .await
}
