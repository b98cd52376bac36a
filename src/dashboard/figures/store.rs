//! SQL over orders and stock for the first page.

use super::{LOW_STOCK, Ordered};
use crate::money::{Currency, Money};
use crate::products::inventory::stock::Movement;
use crate::products::{ProductId, VariantId};
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Select, Tx, placeholders};
use platform::http::Page;
use platform::params;
use std::collections::BTreeMap;

/// What was ordered in each of `spans` (microseconds, half-open), by the index `orders_placed`. One statement.
pub async fn ordered(tx: &mut Tx, spans: &[(i64, i64)]) -> Result<Vec<Ordered>, DbError> {
    let parts: Vec<String> = (0..spans.len())
        .map(|n| {
            let (from, to) = (2 * n + 1, 2 * n + 2);
            format!(
                "SELECT CAST({n} AS BIGINT), currency, CAST(SUM(CASE WHEN document = 'order' THEN 1 ELSE 0 END) AS BIGINT),
                    CAST(SUM(total) AS BIGINT)
                FROM orders WHERE placed_at >= ${from} AND placed_at < ${to} AND status NOT IN ('draft', 'cancelled')
                GROUP BY currency"
            )
        })
        .collect();
    let sql = format!("{} ORDER BY 1, 2", parts.join(" UNION ALL "));
    let bounds: Vec<Param<'_>> = spans
        .iter()
        .flat_map(|(from, to)| [Param::Int(*from), Param::Int(*to)])
        .collect();
    let mut figures = vec![Ordered::default(); spans.len()];
    // At most one row for each span and currency.
    tx.for_each(&sql, &bounds, |row| {
        let span = usize::try_from(row.get::<i64>(0)?).unwrap_or(usize::MAX);
        let currency = Currency::parse(row.get(1)?).map_err(|error| DbError::Column {
            index: 1,
            reason: error.to_string(),
        })?;
        if let Some(ordered) = figures.get_mut(span) {
            ordered.orders += row.get::<i64>(2)?;
            ordered.revenue.push(Money::new(row.get(3)?, currency));
        }
        Ok(())
    })
    .await?;
    Ok(figures)
}

/// A variant of which few units are left.
#[derive(Clone, Debug)]
pub struct Low {
    pub product_id: ProductId,
    pub variant_id: VariantId,
    pub title: String,
    pub variant: Option<String>,
    pub sku: Option<String>,
    pub available: i64,
}

/// What is for sale and nearly gone over all locations, least first; found by the index `stock_low` of what is nearly gone
/// at one, since what is above the limit at each is above it in sum. Begins behind `after`: how many are left of a variant,
/// and its id.
pub async fn low_stock(
    tx: &mut Tx,
    after: Option<(i64, &str)>,
    limit: i64,
) -> Result<Vec<Low>, DbError> {
    let (left, id) = after.unwrap_or((i64::MIN, ""));
    let sql = format!(
        "SELECT p.id, p.title, v.title, v.sku, CAST(SUM(s.on_hand - s.allocated) AS BIGINT), v.id
        FROM (SELECT DISTINCT variant_id FROM stock WHERE on_hand - allocated <= {LOW_STOCK}) few
            JOIN stock s ON s.variant_id = few.variant_id
            JOIN variants v ON v.id = few.variant_id JOIN products p ON p.id = v.product_id
        WHERE v.deleted_at IS NULL AND v.track_inventory AND p.deleted_at IS NULL AND p.status = 'active'
        GROUP BY v.id, p.id, p.title, v.title, v.sku
        HAVING CAST(SUM(s.on_hand - s.allocated) AS BIGINT) <= $1
            AND (CAST(SUM(s.on_hand - s.allocated) AS BIGINT), v.id) > ($3, $4)
        ORDER BY 5, v.id LIMIT $2"
    );
    tx.fetch_all(&sql, params![LOW_STOCK, limit, left, id], |row| {
        Ok(Low {
            product_id: row.get(0)?,
            title: row.get(1)?,
            variant: row.get(2)?,
            sku: row.get(3)?,
            available: row.get(4)?,
            variant_id: row.get(5)?,
        })
    })
    .await
}

/// A message that did not arrive.
#[derive(Clone, Debug)]
pub struct Failing {
    pub user_id: String,
    /// `email`, `sms` or `push`.
    pub channel: String,
    /// Whether it is tried again.
    pub goes_on: bool,
    /// What its last try was answered, or else why it was given up.
    pub why: Option<String>,
    pub created_at: Timestamp,
}

/// Messages made after `since` that are tried again, were given up, or could not go because nobody has set their channel
/// up, newest first; by the indexes `notifications_status` and `notifications_not_set_up`.
pub async fn failing(tx: &mut Tx, since: Timestamp, limit: i64) -> Result<Vec<Failing>, DbError> {
    let part = |status: &str, and: &str| {
        format!(
            "SELECT * FROM (SELECT id, user_id, type, status, created_at, reason FROM notifications
                WHERE status = '{status}' {and} AND created_at > $1 ORDER BY created_at DESC, id DESC LIMIT $2) {status}"
        )
    };
    let sql = format!(
        "SELECT user_id, type, status, created_at,
            COALESCE((SELECT e.detail FROM notification_events e WHERE e.notification_id = failing.id AND e.detail IS NOT NULL
                ORDER BY e.version DESC LIMIT 1), reason)
        FROM (SELECT * FROM ({} UNION ALL {} UNION ALL {}) all_kinds ORDER BY created_at DESC, id DESC LIMIT $2) failing
        ORDER BY created_at DESC, id DESC",
        part("retrying", ""),
        part("dead", ""),
        part("suppressed", "AND reason = 'channel_not_configured'")
    );
    tx.fetch_all(&sql, params![since, limit], |row| {
        Ok(Failing {
            user_id: row.get(0)?,
            channel: row.get(1)?,
            goes_on: row.get::<&str>(2)? == "retrying",
            created_at: row.get(3)?,
            why: row.get(4)?,
        })
    })
    .await
}

/// A page of the ledger of one variant, newest first.
pub async fn movements(
    tx: &mut Tx,
    variant_id: &VariantId,
    page: &Page,
) -> Result<Vec<Movement>, DbError> {
    let mut select = Select::new(
        "SELECT id, variant_id, location_id, kind, on_hand_delta, allocated_delta, order_id, reason, actor, created_at
        FROM stock_movements WHERE TRUE",
    );
    select.and("variant_id = {}", Param::Text(variant_id.as_str()));
    if let Some((at, id)) = page.after_time_and_id() {
        let key = [Param::Int(at), Param::Text(id)];
        select.push("AND").bind("(created_at, id) < ({}, {})", &key);
    }
    select
        .push("ORDER BY created_at DESC, id DESC")
        .window(page.fetch(), page.offset);
    select
        .fetch_all(tx, |row| {
            Ok(Movement {
                id: row.get(0)?,
                variant_id: row.get(1)?,
                location_id: row.get(2)?,
                kind: row.get(3)?,
                on_hand_delta: row.get(4)?,
                allocated_delta: row.get(5)?,
                order_id: row.get(6)?,
                reason: row.get(7)?,
                actor: row.get(8)?,
                created_at: row.get(9)?,
            })
        })
        .await
}

/// How many units of each of `ids` are on the shelf and set aside, over all locations.
pub async fn levels(
    tx: &mut Tx,
    ids: &[&VariantId],
) -> Result<BTreeMap<VariantId, (i64, i64)>, DbError> {
    let mut levels = BTreeMap::new();
    for part in ids.chunks(500) {
        let params: Vec<Param<'_>> = part.iter().map(|id| Param::Text(id.as_str())).collect();
        let sql = format!(
            "SELECT variant_id, CAST(SUM(on_hand) AS BIGINT), CAST(SUM(allocated) AS BIGINT) FROM stock
            WHERE variant_id IN ({}) GROUP BY variant_id",
            placeholders(1, part.len())
        );
        tx.for_each(&sql, &params, |row| {
            levels.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
            Ok(())
        })
        .await?;
    }
    Ok(levels)
}
