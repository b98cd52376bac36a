//! All SQL of the stock levels and their movements.

use super::stock::{LOCATION_DEFAULT, MovementId, Shortage};
use crate::products::VariantId;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Tx, placeholders};

/// A change of one level, to be appended to the ledger.
struct Move<'a> {
    variant_id: &'a VariantId,
    on_hand: i64,
    allocated: i64,
}

/// What the movements of one change have in common.
struct Cause<'a> {
    kind: &'static str,
    order_id: Option<&'a str>,
    reason: Option<&'a str>,
    actor: &'a str,
    now: Timestamp,
}

async fn record(tx: &mut Tx, moves: &[Move<'_>], cause: &Cause<'_>) -> Result<(), DbError> {
    let ids: Vec<MovementId> = moves.iter().map(|_| MovementId::new()).collect();
    let mut values = Vec::with_capacity(moves.len() * 10);
    for (movement, id) in moves.iter().zip(&ids) {
        values.extend([
            Param::Text(id.as_str()),
            Param::Text(movement.variant_id.as_str()),
            Param::Text(LOCATION_DEFAULT),
            Param::Text(cause.kind),
            Param::Int(movement.on_hand),
            Param::Int(movement.allocated),
            cause.order_id.map_or(Param::Null, Param::Text),
            cause.reason.map_or(Param::Null, Param::Text),
            Param::Text(cause.actor),
            Param::Int(cause.now.micros()),
        ]);
    }
    let head = "INSERT INTO stock_movements (id, variant_id, location_id, kind, on_hand_delta, allocated_delta, \
                order_id, reason, actor, created_at)";
    tx.insert_many(head, 10, &values, "").await.map(drop)
}

/// Sets stock aside for an order: one guarded `UPDATE` per variant, so two buyers cannot share the
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
    debug_assert!(
        takes.is_sorted_by(|a, b| a.0 < b.0),
        "rows are locked in one order"
    );
    if takes.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "UPDATE stock SET allocated = allocated + $2
        WHERE variant_id = $1 AND location_id = 'loc_default' AND ($3 OR on_hand - allocated >= $2)";
    let lists: Vec<Vec<Param<'_>>> = takes
        .iter()
        .map(|(id, units, guarded)| {
            vec![
                Param::Text(id.as_str()),
                Param::Int(*units),
                Param::Bool(!guarded),
            ]
        })
        .collect();
    let changed = tx.execute_each(sql, &lists).await?;
    let refused: Vec<&(VariantId, i64, bool)> = takes
        .iter()
        .zip(&changed)
        .filter(|(_, changed)| **changed == 0)
        .map(|(take, _)| take)
        .collect();
    if !refused.is_empty() {
        return shortages(tx, &refused).await;
    }
    let moves: Vec<Move<'_>> = takes
        .iter()
        .map(|(variant_id, units, _)| Move {
            variant_id,
            on_hand: 0,
            allocated: *units,
        })
        .collect();
    let cause = Cause {
        kind: "allocated",
        order_id: Some(order_id),
        reason: None,
        actor,
        now,
    };
    record(tx, &moves, &cause).await?;
    Ok(Vec::new())
}

async fn shortages(
    tx: &mut Tx,
    refused: &[&(VariantId, i64, bool)],
) -> Result<Vec<Shortage>, DbError> {
    let ids: Vec<Param<'_>> = refused
        .iter()
        .map(|(id, ..)| Param::Text(id.as_str()))
        .collect();
    let sql = format!(
        "SELECT variant_id, on_hand - allocated FROM stock WHERE location_id = 'loc_default' AND variant_id IN ({})",
        placeholders(1, ids.len())
    );
    let left = tx
        .fetch_all(&sql, &ids, |row| {
            Ok((row.get::<VariantId>(0)?, row.get::<i64>(1)?))
        })
        .await?;
    let shortage = |(id, wanted, _): &&(VariantId, i64, bool)| {
        let available = left
            .iter()
            .find(|(known, _)| known == id)
            .map_or(0, |(_, available)| (*available).max(0));
        Shortage {
            variant_id: id.clone(),
            wanted: *wanted,
            available,
        }
    };
    Ok(refused.iter().map(shortage).collect())
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
    debug_assert!(
        gives.is_sorted_by(|a, b| a.0 < b.0),
        "rows are locked in one order"
    );
    if gives.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE stock SET allocated = allocated - $2 WHERE variant_id = $1 AND location_id = 'loc_default'";
    let lists: Vec<Vec<Param<'_>>> = gives
        .iter()
        .map(|(id, units)| vec![Param::Text(id.as_str()), Param::Int(*units)])
        .collect();
    if tx.execute_each(sql, &lists).await?.contains(&0) {
        return Err(DbError::NoRow); // every variant has its level from the start, for good
    }
    let moves: Vec<Move<'_>> = gives
        .iter()
        .map(|(variant_id, units)| Move {
            variant_id,
            on_hand: 0,
            allocated: -units,
        })
        .collect();
    let cause = Cause {
        kind: "released",
        order_id: Some(order_id),
        reason: None,
        actor,
        now,
    };
    record(tx, &moves, &cause).await
}
