//! All SQL of the stock levels and their movements.

use super::api::{ListLevels, ListMovements};
use super::stock::*;
use crate::products::store::UpdateError;
use crate::products::{ProductId, VariantId};
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Select, ToParam, Tx, placeholders};
use platform::events::{self, NewEvent};
use platform::http::Page;
use platform::params;
use serde_json::json;
use std::collections::HashMap;

/// A change of one level at the default location, to be appended to the ledger.
struct Move<'a> {
    variant_id: &'a VariantId,
    on_hand: i64,
    allocated: i64,
}

/// What the movements of one change have in common.
#[derive(Clone, Copy)]
struct Cause<'a> {
    kind: MovementKind,
    order_id: Option<&'a str>,
    reason: Option<&'a str>,
    actor: &'a str,
    now: Timestamp,
}

async fn record(
    tx: &mut Tx,
    moves: &[Move<'_>],
    cause: Cause<'_>,
) -> Result<Vec<MovementId>, DbError> {
    let ids: Vec<MovementId> = moves.iter().map(|_| MovementId::new()).collect();
    let mut values = Vec::with_capacity(moves.len() * 10);
    for (movement, id) in moves.iter().zip(&ids) {
        values.extend([
            id.to_param(),
            movement.variant_id.to_param(),
            Param::Text(LOCATION_DEFAULT),
            Param::Text(cause.kind.as_str()),
            Param::Int(movement.on_hand),
            Param::Int(movement.allocated),
            cause.order_id.to_param(),
            cause.reason.to_param(),
            Param::Text(cause.actor),
            cause.now.to_param(),
        ]);
    }
    let head = "INSERT INTO stock_movements (id, variant_id, location_id, kind, on_hand_delta, allocated_delta, \
                order_id, reason, actor, created_at)";
    tx.insert_many(head, 10, &values, "").await?;
    Ok(ids)
}

/// A step that an order makes with its stock: one `UPDATE` per variant, whose guard `$3` switches off.
struct Step {
    sql: &'static str,
    /// What the guard compares with, told when it refuses.
    left: &'static str,
    kind: MovementKind,
    /// What one unit adds to `on_hand` and `allocated`.
    delta: (i64, i64),
}

const ALLOCATE: Step = Step {
    sql:
        "UPDATE stock SET allocated = allocated + $2
        WHERE variant_id = $1 AND location_id = 'loc_default' AND ($3 OR on_hand - allocated >= $2)",
    left: "on_hand - allocated",
    kind: MovementKind::Allocated,
    delta: (0, 1),
};

const RELEASE: Step = Step {
    sql: "UPDATE stock SET allocated = allocated - $2
        WHERE variant_id = $1 AND location_id = 'loc_default' AND ($3 OR allocated >= $2)",
    left: "allocated",
    kind: MovementKind::Released,
    delta: (0, -1),
};

const SHIP: Step = Step {
    sql: "UPDATE stock SET on_hand = on_hand - $2, allocated = allocated - $2
        WHERE variant_id = $1 AND location_id = 'loc_default' AND ($3 OR on_hand >= $2)",
    left: "on_hand",
    kind: MovementKind::Shipped,
    delta: (-1, -1),
};

/// Sets stock aside for an order: check and change are one statement, so two buyers cannot share the
/// last unit. `takes` is (variant, units, guarded), sorted by variant with the lines of one variant
/// summed; an unguarded take (backorder) may go below zero. Give only variants whose stock is tracked.
///
/// Returns what is missing; empty when all was taken. Otherwise the caller rolls its unit back: the
/// takes that were possible are not undone here, and no movement is written.
pub async fn allocate(
    tx: &mut Tx,
    takes: &[(VariantId, i64, bool)],
    order_id: &str,
    actor: &str,
    now: Timestamp,
) -> Result<Vec<Shortage>, DbError> {
    step(tx, &ALLOCATE, takes, order_id, actor, now).await
}

/// Gives back what [`allocate`] set aside: `gives` is (variant, units), sorted by variant with the
/// lines of one variant summed. Works for variants that have been deleted meanwhile.
///
/// # Errors
/// [`DbError::Constraint`] when more would be given back than is set aside.
pub async fn release(
    tx: &mut Tx,
    gives: &[(VariantId, i64)],
    order_id: &str,
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let gives: Vec<_> = gives
        .iter()
        .map(|(id, n)| (id.clone(), *n, false))
        .collect();
    match step(tx, &RELEASE, &gives, order_id, actor, now).await? {
        missing if missing.is_empty() => Ok(()),
        _ => Err(DbError::NoRow), // every variant has its level from the start, for good
    }
}

/// [`release`] by sending away. Returns what is not on the shelf (backorder); then the caller rolls its unit back.
pub async fn ship(
    tx: &mut Tx,
    sends: &[(VariantId, i64)],
    order_id: &str,
    actor: &str,
    now: Timestamp,
) -> Result<Vec<Shortage>, DbError> {
    let sends: Vec<_> = sends.iter().map(|(id, n)| (id.clone(), *n, true)).collect();
    step(tx, &SHIP, &sends, order_id, actor, now).await
}

async fn step(
    tx: &mut Tx,
    step: &Step,
    units: &[(VariantId, i64, bool)],
    order_id: &str,
    actor: &str,
    now: Timestamp,
) -> Result<Vec<Shortage>, DbError> {
    debug_assert!(units.is_sorted_by(|a, b| a.0 < b.0)); // rows are locked in one order
    if units.is_empty() {
        return Ok(Vec::new());
    }
    let lists: Vec<Vec<Param<'_>>> = units
        .iter()
        .map(|(id, units, guarded)| vec![id.to_param(), Param::Int(*units), Param::Bool(!guarded)])
        .collect();
    let changed = tx.execute_each(step.sql, &lists).await?;
    let outcomes = units.iter().zip(&changed);
    let refused: Vec<_> = outcomes
        .filter_map(|(unit, changed)| (*changed == 0).then_some(unit))
        .collect();
    if !refused.is_empty() {
        return shortages(tx, step.left, &refused).await;
    }
    let moves: Vec<Move<'_>> = units
        .iter()
        .map(|(variant_id, units, _)| Move {
            variant_id,
            on_hand: step.delta.0 * units,
            allocated: step.delta.1 * units,
        })
        .collect();
    let cause = Cause {
        kind: step.kind,
        order_id: Some(order_id),
        reason: None,
        actor,
        now,
    };
    record(tx, &moves, cause).await?;
    Ok(Vec::new())
}

async fn shortages(
    tx: &mut Tx,
    left: &str,
    refused: &[&(VariantId, i64, bool)],
) -> Result<Vec<Shortage>, DbError> {
    let ids: Vec<Param<'_>> = refused
        .iter()
        .map(|(id, ..)| Param::Text(id.as_str()))
        .collect();
    let sql = format!(
        "SELECT variant_id, {left} FROM stock WHERE location_id = 'loc_default' AND variant_id IN ({})",
        placeholders(1, ids.len())
    );
    let left: HashMap<VariantId, i64> = tx
        .fetch_all(&sql, &ids, |row| Ok((row.get(0)?, row.get(1)?)))
        .await?
        .into_iter()
        .collect();
    let shortage = |(id, wanted, _): &&(VariantId, i64, bool)| Shortage {
        variant_id: id.clone(),
        wanted: *wanted,
        available: left.get(id).map_or(0, |units| (*units).max(0)),
    };
    Ok(refused.iter().map(shortage).collect())
}

/// The level that every new variant has from the start, with what it is to hold.
pub async fn insert_levels(
    tx: &mut Tx,
    levels: &[(&VariantId, i64)],
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let values: Vec<Param<'_>> = levels
        .iter()
        .flat_map(|(id, on_hand)| {
            [
                id.to_param(),
                Param::Text(LOCATION_DEFAULT),
                Param::Int(*on_hand),
                Param::Int(0),
            ]
        })
        .collect();
    tx.insert_many(
        "INSERT INTO stock (variant_id, location_id, on_hand, allocated)",
        4,
        &values,
        "",
    )
    .await?;
    let moves: Vec<Move<'_>> = levels
        .iter()
        .filter(|(_, on_hand)| *on_hand != 0)
        .map(|(variant_id, on_hand)| Move {
            variant_id,
            on_hand: *on_hand,
            allocated: 0,
        })
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    let cause = Cause {
        kind: MovementKind::Received,
        order_id: None,
        reason: Some("initial stock"),
        actor,
        now,
    };
    record(tx, &moves, cause).await.map(drop)
}

/// Sets the shelf of some variants of one product: (variant, units, whether backorders are allowed),
/// sorted by variant. What is there already is no movement.
pub async fn set_on_hand(
    tx: &mut Tx,
    product_id: &ProductId,
    counted: &[(VariantId, i64, bool)],
    actor: &str,
    now: Timestamp,
) -> Result<(), UpdateError> {
    debug_assert!(
        counted.is_sorted_by(|a, b| a.0 < b.0),
        "rows are locked in one order"
    );
    for (id, on_hand, allow_backorder) in counted {
        let level = lock(tx, id, &LocationId::main())
            .await?
            .ok_or(DbError::NoRow)?;
        if level.on_hand == *on_hand {
            continue;
        }
        let after = level.adjusted(Change::To(*on_hand), None, *allow_backorder)?;
        let adjustment = Adjusted {
            variant_id: id,
            product_id,
            level,
            after,
            reason: "product update",
        };
        write_adjusted(tx, &adjustment, actor, now).await?;
    }
    Ok(())
}

/// The counters of a level, locked until the unit ends: the update that changes nothing is the lock
/// that both engines know.
pub async fn lock(
    tx: &mut Tx,
    id: &VariantId,
    location_id: &LocationId,
) -> Result<Option<Counters>, DbError> {
    let sql = "UPDATE stock SET on_hand = on_hand WHERE variant_id = $1 AND location_id = $2
        RETURNING on_hand, allocated";
    tx.fetch_optional(sql, params![id, location_id], |row| {
        Ok(Counters {
            on_hand: row.get(0)?,
            allocated: row.get(1)?,
        })
    })
    .await
}

/// A decided adjustment of the default location.
#[derive(Debug)]
pub struct Adjusted<'a> {
    pub variant_id: &'a VariantId,
    pub product_id: &'a ProductId,
    /// As it was locked.
    pub level: Counters,
    /// What is on the shelf from now on.
    pub after: i64,
    pub reason: &'a str,
}

/// Writes the counter, the movement and the event of an adjustment.
pub async fn write_adjusted(
    tx: &mut Tx,
    adjusted: &Adjusted<'_>,
    actor: &str,
    now: Timestamp,
) -> Result<MovementId, DbError> {
    let Adjusted {
        variant_id,
        product_id,
        level,
        after,
        reason,
    } = adjusted;
    let sql = "UPDATE stock SET on_hand = $3 WHERE variant_id = $1 AND location_id = $2";
    tx.execute(sql, params![variant_id, LOCATION_DEFAULT, *after])
        .await?;
    let movement = Move {
        variant_id,
        on_hand: after - level.on_hand,
        allocated: 0,
    };
    let cause = Cause {
        kind: MovementKind::Adjusted,
        order_id: None,
        reason: Some(reason),
        actor,
        now,
    };
    let id = record(tx, &[movement], cause)
        .await?
        .pop()
        .ok_or(DbError::NoRow)?;
    let data = json!({ "variant_id": variant_id, "product_id": product_id, "location_id": LOCATION_DEFAULT,
        "movement_id": id })
    .to_string();
    let event = NewEvent {
        kind: "inventory.adjusted",
        object_type: "variant",
        object_id: variant_id.as_str(),
        object_version: 0, // a level has no version: its movements are its history
        actor,
        data: &data,
        at: now,
    };
    events::append(tx, &event).await?;
    Ok(id)
}

/// A live variant as an adjustment needs it.
#[derive(Debug)]
pub struct Counted {
    pub variant_id: VariantId,
    pub product_id: ProductId,
    pub sku: Option<String>,
    pub track_inventory: bool,
    pub allow_backorder: bool,
}

/// The live variant with this id or, if there is none, this SKU.
pub async fn find_variant(
    tx: &mut Tx,
    id: Option<&VariantId>,
    sku: Option<&str>,
) -> Result<Option<Counted>, DbError> {
    let (column, value) = match (id, sku) {
        (Some(id), _) => ("id", id.to_param()),
        (None, sku) => ("sku", sku.map_or(Param::Null, Param::Text)),
    };
    let sql = format!(
        "SELECT id, product_id, sku, track_inventory, allow_backorder FROM variants
        WHERE {column} = $1 AND deleted_at IS NULL"
    );
    tx.fetch_optional(&sql, &[value], |row| {
        Ok(Counted {
            variant_id: row.get(0)?,
            product_id: row.get(1)?,
            sku: row.get(2)?,
            track_inventory: row.get(3)?,
            allow_backorder: row.get(4)?,
        })
    })
    .await
}

/// Counting the stock of a variant begins with its first adjustment.
pub async fn start_tracking(
    tx: &mut Tx,
    variant: &Counted,
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql = "UPDATE variants SET track_inventory = TRUE, updated_at = $2 WHERE id = $1";
    tx.execute(sql, params![variant.variant_id, now]).await?;
    let sql = "UPDATE products SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING version";
    let version = tx
        .fetch_one(sql, params![variant.product_id, now], |row| row.get(0))
        .await?;
    let event = NewEvent {
        kind: "product.updated",
        object_type: "product",
        object_id: variant.product_id.as_str(),
        object_version: version,
        actor,
        data: &json!({ "product_id": variant.product_id }).to_string(),
        at: now,
    };
    events::append(tx, &event).await
}

/// The statement behind [`levels`].
pub fn levels_select<'a>(query: &'a ListLevels, page: &'a Page) -> Select<'a> {
    let mut select = Select::new(&format!("SELECT {LEVEL} FROM {LEVELS}"));
    filter_levels(&mut select, query);
    if let Some([id, location]) = page.after.as_deref() {
        let key = [Param::Text(id), Param::Text(location)];
        select
            .push("AND")
            .bind("(s.variant_id, s.location_id) > ({}, {})", &key);
    }
    select
        .push("ORDER BY s.variant_id, s.location_id")
        .window(page.fetch(), page.offset);
    select
}

const LEVEL: &str =
    "s.variant_id, v.product_id, v.sku, s.location_id, s.on_hand, s.allocated, v.track_inventory";
const LEVELS: &str = "stock s JOIN variants v ON v.id = s.variant_id WHERE v.deleted_at IS NULL";

fn filter_levels<'a>(select: &mut Select<'a>, query: &'a ListLevels) {
    select
        .and_some(
            "s.variant_id = {}",
            query.variant_id.as_ref().map(ToParam::to_param),
        )
        .and_some("v.sku = {}", query.sku.as_ref().map(ToParam::to_param))
        .and_some(
            "v.product_id = {}",
            query.product_id.as_ref().map(ToParam::to_param),
        )
        .and_some(
            "s.location_id = {}",
            query.location_id.as_ref().map(ToParam::to_param),
        );
}

/// One more level than the page holds, by variant and location.
pub async fn levels(tx: &mut Tx, query: &ListLevels, page: &Page) -> Result<Vec<Level>, DbError> {
    levels_select(query, page)
        .fetch_all(tx, |row| {
            let (on_hand, allocated): (i64, i64) = (row.get(4)?, row.get(5)?);
            Ok(Level {
                variant_id: row.get(0)?,
                product_id: row.get(1)?,
                sku: row.get(2)?,
                location_id: row.get(3)?,
                on_hand,
                allocated,
                reserved: 0,
                available: on_hand - allocated,
                incoming: 0,
                track_inventory: row.get(6)?,
            })
        })
        .await
}

/// How many levels the filters let through.
pub async fn count_levels(tx: &mut Tx, query: &ListLevels) -> Result<i64, DbError> {
    let mut select = Select::new(&format!("SELECT COUNT(*) FROM {LEVELS}"));
    filter_levels(&mut select, query);
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

fn filter_movements<'a>(select: &mut Select<'a>, query: &'a ListMovements) {
    let time = |at: Option<Timestamp>| at.map(|at| Param::Int(at.micros()));
    select
        .and_some(
            "variant_id = {}",
            query.variant_id.as_ref().map(ToParam::to_param),
        )
        .and_some(
            "kind = {}",
            query.kind.map(|kind| Param::Text(kind.as_str())),
        )
        .and_some("created_at > {}", time(query.created_after))
        .and_some("created_at < {}", time(query.created_before));
    if let Some(order_id) = query.order_id.as_deref().map(Param::Text) {
        // Through the order's items and the variants' index: an index by order would cost each order
        // one more write, for a question that is seldom asked.
        select.and("order_id = {}", order_id).and(
            "variant_id IN (SELECT variant_id FROM order_items WHERE order_id = {} AND variant_id IS NOT NULL)",
            order_id,
        );
    }
}

/// The statement behind [`movements`].
pub fn movements_select<'a>(query: &'a ListMovements, page: &'a Page) -> Select<'a> {
    let mut select = Select::new(
        "SELECT id, variant_id, location_id, kind, on_hand_delta, allocated_delta, order_id, reason, actor, created_at
        FROM stock_movements WHERE 1 = 1",
    );
    filter_movements(&mut select, query);
    if let Some((time, id)) = page.after_time_and_id() {
        select.push("AND").bind(
            "(created_at, id) > ({}, {})",
            &[Param::Int(time), Param::Text(id)],
        );
    }
    select
        .push("ORDER BY created_at, id")
        .window(page.fetch(), page.offset);
    select
}

/// One more movement than the page holds, oldest first.
pub async fn movements(
    tx: &mut Tx,
    query: &ListMovements,
    page: &Page,
) -> Result<Vec<Movement>, DbError> {
    movements_select(query, page)
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

/// How many movements the filters let through.
pub async fn count_movements(tx: &mut Tx, query: &ListMovements) -> Result<i64, DbError> {
    let mut select = Select::new("SELECT COUNT(*) FROM stock_movements WHERE 1 = 1");
    filter_movements(&mut select, query);
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

/// One more location than the page holds, oldest first.
pub async fn locations(tx: &mut Tx, page: &Page) -> Result<Vec<Location>, DbError> {
    let mut select = Select::new("SELECT id, name, created_at FROM locations WHERE 1 = 1");
    if let Some((time, id)) = page.after_time_and_id() {
        select.push("AND").bind(
            "(created_at, id) > ({}, {})",
            &[Param::Int(time), Param::Text(id)],
        );
    }
    select
        .push("ORDER BY created_at, id")
        .window(page.fetch(), page.offset);
    select
        .fetch_all(tx, |row| {
            Ok(Location {
                id: row.get(0)?,
                name: row.get(1)?,
                created_at: row.get(2)?,
            })
        })
        .await
}

/// How many locations there are.
pub async fn count_locations(tx: &mut Tx) -> Result<i64, DbError> {
    tx.fetch_one("SELECT COUNT(*) FROM locations", &[], |row| row.get(0))
        .await
}
