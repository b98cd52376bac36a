//! All SQL of the proofs. Every statement reads whole tables in one pass and hands its rows on.

use super::proof::{Held, OrderRow, OrderSums, StockLevel};
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use platform::events::{self, NewEvent};
use platform::params;
use serde_json::json;

/// Levels, with their counters and the sums of their movements side by side.
const LEVELS: &str = "SELECT variant_id, location_id,
        CAST(SUM(on_hand) AS BIGINT), CAST(SUM(allocated) AS BIGINT),
        CAST(SUM(on_hand_moved) AS BIGINT), CAST(SUM(allocated_moved) AS BIGINT)
    FROM (SELECT variant_id, location_id, on_hand, allocated, 0 AS on_hand_moved, 0 AS allocated_moved FROM stock
        UNION ALL
        SELECT variant_id, location_id, 0, 0, on_hand_delta, allocated_delta FROM stock_movements) AS both_sides
    GROUP BY variant_id, location_id ORDER BY variant_id, location_id";

/// Visits the counters of every variant at every location.
pub async fn stock_levels(tx: &mut Tx, mut visit: impl FnMut(&StockLevel)) -> Result<(), DbError> {
    tx.for_each(LEVELS, &[], |row| {
        visit(&StockLevel {
            variant_id: row.get(0)?,
            location_id: row.get(1)?,
            on_hand: row.get(2)?,
            allocated: row.get(3)?,
            on_hand_moved: row.get(4)?,
            allocated_moved: row.get(5)?,
        });
        Ok(())
    })
    .await
}

/// Visits what every order holds of every variant, by its items and by the ledger.
pub async fn held_by_orders(tx: &mut Tx, mut visit: impl FnMut(&Held)) -> Result<(), DbError> {
    let sql = "SELECT order_id, variant_id, CAST(SUM(held) AS BIGINT), CAST(SUM(moved) AS BIGINT)
        FROM (SELECT order_id, variant_id, allocated AS held, 0 AS moved FROM order_items
                WHERE variant_id IS NOT NULL AND allocated <> 0
            UNION ALL
            SELECT order_id, variant_id, 0, allocated_delta FROM stock_movements WHERE order_id IS NOT NULL) AS both_sides
        GROUP BY order_id, variant_id ORDER BY order_id, variant_id";
    tx.for_each(sql, &[], |row| {
        visit(&Held {
            order_id: row.get(0)?,
            variant_id: row.get(1)?,
            held: row.get(2)?,
            moved: row.get(3)?,
        });
        Ok(())
    })
    .await
}

/// Visits every order with the sums of its items. A line disagrees with itself when its total is not
/// subtotal less discount plus added tax; when its subtotal is not quantity times unit price, for a
/// price of the catalogue to the unit, for a price as sold elsewhere (which may have had more digits
/// than the currency) within half a unit for each piece; or when it holds, ships or takes back more
/// than it has.
pub async fn orders(
    tx: &mut Tx,
    mut visit: impl FnMut(&OrderRow, &OrderSums),
) -> Result<(), DbError> {
    let sql = "SELECT o.id, o.document = 'order', o.status, o.payment_status, o.fulfillment_status, o.currency, o.items_total, o.discount_total,
            o.shipping_total, o.tax_total, o.tax_included, o.total, o.authorized, o.captured, o.refunded,
            o.confirmed_at IS NOT NULL, o.completed_at IS NOT NULL, o.cancelled_at IS NOT NULL, o.expires_at IS NOT NULL,
            COUNT(i.order_id), CAST(COALESCE(SUM(i.subtotal), 0) AS BIGINT), CAST(COALESCE(SUM(i.discount), 0) AS BIGINT),
            CAST(COALESCE(SUM(i.tax), 0) AS BIGINT), CAST(COALESCE(SUM(i.total), 0) AS BIGINT),
            CAST(COALESCE(SUM(i.quantity), 0) AS BIGINT), CAST(COALESCE(SUM(i.allocated), 0) AS BIGINT),
            CAST(COALESCE(SUM(i.fulfilled), 0) AS BIGINT), CAST(COALESCE(SUM(i.returned), 0) AS BIGINT),
            CAST(COALESCE(SUM(CASE
                WHEN i.total <> i.subtotal - i.discount + CASE WHEN o.tax_included THEN 0 ELSE i.tax END THEN 1
                WHEN i.price_id IS NOT NULL AND i.subtotal <> i.quantity * i.unit_price THEN 1
                WHEN 2 * ABS(i.subtotal - i.quantity * i.unit_price) > ABS(i.quantity) + 1 THEN 1
                WHEN i.quantity > 0 AND i.allocated + i.fulfilled > i.quantity THEN 1
                WHEN i.allocated < 0 OR i.fulfilled < 0 OR i.returned < 0 THEN 1
                ELSE 0 END), 0) AS BIGINT)
        FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
        GROUP BY o.id ORDER BY o.id";
    tx.for_each(sql, &[], |row| {
        let order = OrderRow {
            id: row.get(0)?,
            is_order: row.get(1)?,
            status: row.get(2)?,
            payment_status: row.get(3)?,
            fulfillment_status: row.get(4)?,
            currency: row.get(5)?,
            items: row.get(6)?,
            discount: row.get(7)?,
            shipping: row.get(8)?,
            tax: row.get(9)?,
            tax_included: row.get(10)?,
            total: row.get(11)?,
            authorized: row.get(12)?,
            captured: row.get(13)?,
            refunded: row.get(14)?,
            is_confirmed: row.get(15)?,
            is_completed: row.get(16)?,
            is_cancelled: row.get(17)?,
            expires: row.get(18)?,
        };
        let sums = OrderSums {
            lines: row.get(19)?,
            subtotal: row.get(20)?,
            discount: row.get(21)?,
            tax: row.get(22)?,
            total: row.get(23)?,
            quantity: row.get(24)?,
            allocated: row.get(25)?,
            fulfilled: row.get(26)?,
            returned: row.get(27)?,
            wrong_lines: row.get(28)?,
        };
        visit(&order, &sums);
        Ok(())
    })
    .await
}

/// Ids under which there are items but no order.
pub async fn stray_items(tx: &mut Tx) -> Result<Vec<String>, DbError> {
    let sql =
        "SELECT DISTINCT i.order_id FROM order_items i LEFT JOIN orders o ON o.id = i.order_id
        WHERE o.id IS NULL ORDER BY i.order_id LIMIT 1000";
    tx.fetch_all(sql, &[], |row| row.get(0)).await
}

/// Sets every counter of the stock to the sum of its movements and tells the log; returns how many
/// were wrong. A sum below zero cannot be a counter: it stays as it is and is found again.
pub async fn repair(db: &Db, now: Timestamp) -> Result<u64, DbError> {
    let wrong = db
        .snapshot(async move |tx| {
            let mut wrong = Vec::new();
            stock_levels(tx, |level| {
                let same = level.on_hand == level.on_hand_moved
                    && level.allocated == level.allocated_moved;
                let possible = level.on_hand_moved >= 0 && level.allocated_moved >= 0;
                if !same && possible && wrong.len() < super::FINDINGS_MAX {
                    wrong.push((level.variant_id.clone(), level.location_id.clone()));
                }
            })
            .await?;
            Ok::<_, DbError>(wrong)
        })
        .await?;
    let mut repaired = 0;
    for (variant, location) in wrong {
        repaired += db
            .write(async move |tx| repair_level(tx, &variant, &location, now).await)
            .await?;
    }
    Ok(repaired)
}

/// Under the lock of the counter's row, because a running server may move it meanwhile.
async fn repair_level(
    tx: &mut Tx,
    variant: &str,
    location: &str,
    now: Timestamp,
) -> Result<u64, DbError> {
    let sql =
        "INSERT INTO stock (variant_id, location_id, on_hand, allocated) VALUES ($1, $2, 0, 0)
        ON CONFLICT (variant_id, location_id) DO UPDATE SET on_hand = stock.on_hand
        RETURNING on_hand, allocated";
    let before: (i64, i64) = tx
        .fetch_one(sql, params![variant, location], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    let sql = "SELECT CAST(COALESCE(SUM(on_hand_delta), 0) AS BIGINT), CAST(COALESCE(SUM(allocated_delta), 0) AS BIGINT)
        FROM stock_movements WHERE variant_id = $1 AND location_id = $2";
    let after: (i64, i64) = tx
        .fetch_one(sql, params![variant, location], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    if before == after {
        return Ok(0);
    }
    let sql =
        "UPDATE stock SET on_hand = $3, allocated = $4 WHERE variant_id = $1 AND location_id = $2";
    tx.execute(sql, params![variant, location, after.0, after.1])
        .await?;
    let data = json!({
        "location_id": location,
        "before": { "on_hand": before.0, "allocated": before.1 },
        "after": { "on_hand": after.0, "allocated": after.1 },
    })
    .to_string();
    let event = NewEvent {
        kind: "stock.repaired",
        object_type: "variant",
        object_id: variant,
        object_version: 0, // a variant's stock has no version
        actor: "doctor",
        data: &data,
        at: now,
    };
    events::append(tx, &event).await?;
    Ok(1)
}
