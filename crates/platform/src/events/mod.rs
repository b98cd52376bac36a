//! The event log: what happened, written in the transaction in which it happened.
//!
//! Everything derived (search index, notifications, rollups, webhooks) follows the log afterwards
//! with a watermark of its own and can be thrown away and rebuilt from it. Followers read the view
//! `settled_events`, which on PostgreSQL hides events that a still running transaction could precede:
//! two transactions may commit in the other order than their sequence numbers.

use crate::clock::Timestamp;
use crate::db::{Db, DbError, Param, Row, Tx};
use crate::id::new_id;
use crate::params;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Notify;

/// An event to be written.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// `<object type>.<past participle>`, such as `order.placed`. Never renamed.
    pub kind: &'a str,
    /// What it happened to, such as `order`.
    pub object_type: &'a str,
    pub object_id: &'a str,
    /// The object's version after the change.
    pub object_version: i64,
    /// The client or part of the program that did it.
    pub actor: &'a str,
    /// JSON: what a follower needs to know, without secrets.
    pub data: &'a str,
    pub at: Timestamp,
}

/// An event as followers and histories read it.
#[derive(Clone, Debug)]
pub struct Event {
    pub position: Position,
    pub id: String,
    pub kind: String,
    pub object_type: String,
    pub object_id: String,
    pub object_version: i64,
    pub actor: String,
    pub data: String,
    pub at: Timestamp,
}

/// A place in the log: the writing transaction (0 on SQLite, where commits are in sequence) and the
/// sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub tx: i64,
    pub seq: i64,
}

/// Events read at a time.
const BATCH_MAX: i64 = 500;

/// Appends `event` to the log, in the caller's transaction.
pub async fn append(tx: &mut Tx, event: &NewEvent<'_>) -> Result<(), DbError> {
    append_all(tx, std::slice::from_ref(event)).await
}

/// Appends several events with one statement.
pub async fn append_all(tx: &mut Tx, events: &[NewEvent<'_>]) -> Result<(), DbError> {
    let ids: Vec<String> = events.iter().map(|_| new_id("evt")).collect();
    let mut values = Vec::with_capacity(events.len() * 8);
    for (event, id) in events.iter().zip(&ids) {
        values.extend([
            Param::Text(id),
            Param::Text(event.kind),
            Param::Text(event.object_type),
            Param::Text(event.object_id),
            Param::Int(event.object_version),
            Param::Text(event.actor),
            Param::Text(event.data),
            Param::Int(event.at.micros()),
        ]);
    }
    let head = "INSERT INTO events (id, kind, object_type, object_id, object_version, actor, data, occurred_at)";
    tx.insert_many(head, 8, &values, "").await.map(drop)
}

const COLUMNS: &str =
    "tx, seq, id, kind, object_type, object_id, object_version, actor, data, occurred_at";

/// The settled events after `position`, oldest first, at most 500.
pub async fn after(tx: &mut Tx, position: Position) -> Result<Vec<Event>, DbError> {
    read_behind(tx, "settled_events", position).await
}

/// Follows the log without waiting for events to settle: for what must show a write as soon as it has
/// returned, and may look at the same object twice. Lives in memory; only its [`Eager::position`], behind
/// which everything is settled, is worth keeping.
#[derive(Debug, Default)]
pub struct Eager {
    position: Position,
    /// Committed events behind `position` that were given out before they had settled.
    ahead: BTreeSet<Position>,
}

/// Events that [`Eager::next`] gives at a time.
const EAGER_MAX: usize = 5_000;

impl Eager {
    /// Goes on behind `position`.
    pub fn new(position: Position) -> Eager {
        Eager {
            position,
            ahead: BTreeSet::new(),
        }
    }

    /// Everything up to here is settled and was given out.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The committed events that were not given out yet, about 5,000 at most; empty when there are
    /// none.
    pub async fn next(&mut self, tx: &mut Tx) -> Result<Vec<Event>, DbError> {
        if committed_after(tx, self.position).await?.is_empty() {
            return Ok(Vec::new());
        }
        // The head first: what is settled by then is among the events that are read after it.
        let settled = head(tx).await?;
        let (mut from, mut fresh, mut ahead) = (self.position, Vec::new(), BTreeSet::new());
        loop {
            let batch = committed_after(tx, from).await?;
            let full = batch.len() as i64 == BATCH_MAX;
            for event in batch {
                from = event.position;
                if event.position <= settled {
                    self.position = event.position;
                } else {
                    ahead.insert(event.position);
                }
                if !self.ahead.contains(&event.position) {
                    fresh.push(event);
                }
            }
            if !full || fresh.len() >= EAGER_MAX {
                break;
            }
        }
        ahead.extend(self.ahead.iter().filter(|known| **known > from));
        self.ahead = ahead;
        Ok(fresh)
    }
}

async fn committed_after(tx: &mut Tx, position: Position) -> Result<Vec<Event>, DbError> {
    read_behind(tx, "committed_events", position).await
}

/// What stands in `view` behind `position`, oldest first, at most [`BATCH_MAX`].
async fn read_behind(tx: &mut Tx, view: &str, position: Position) -> Result<Vec<Event>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {view} WHERE {} LIMIT $3",
        tx.log_behind()
    );
    tx.fetch_all(
        &sql,
        params![position.tx, position.seq, BATCH_MAX],
        read_event,
    )
    .await
}

/// The position of the newest settled event, or the start of the log.
pub async fn head(tx: &mut Tx) -> Result<Position, DbError> {
    let sql = format!(
        "SELECT tx, seq FROM settled_events {} LIMIT 1",
        tx.log_newest()
    );
    let head = tx
        .fetch_optional(&sql, &[], |row| {
            Ok(Position {
                tx: row.get(0)?,
                seq: row.get(1)?,
            })
        })
        .await?;
    Ok(head.unwrap_or_default())
}

/// The events of one object, oldest first.
pub async fn of_object(
    tx: &mut Tx,
    object_type: &str,
    object_id: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<Event>, DbError> {
    of_object_after(tx, (object_type, object_id), 0, limit, offset).await
}

/// The events of one object (its type and id) behind the sequence number `seq`, oldest first.
pub async fn of_object_after(
    tx: &mut Tx,
    (object_type, object_id): (&str, &str),
    seq: i64,
    limit: i64,
    offset: i64,
) -> Result<Vec<Event>, DbError> {
    let sql = "SELECT CAST(0 AS BIGINT), seq, id, kind, object_type, object_id, object_version, actor, data, occurred_at
        FROM events WHERE object_type = $1 AND object_id = $2 AND seq > $3 ORDER BY seq LIMIT $4 OFFSET $5";
    tx.fetch_all(
        sql,
        params![object_type, object_id, seq, limit, offset],
        read_event,
    )
    .await
}

/// How many events one object has.
pub async fn count_of_object(
    tx: &mut Tx,
    object_type: &str,
    object_id: &str,
) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM events WHERE object_type = $1 AND object_id = $2";
    tx.fetch_one(sql, params![object_type, object_id], |row| row.get(0))
        .await
}

fn read_event(row: &Row<'_>) -> Result<Event, DbError> {
    Ok(Event {
        position: Position {
            tx: row.get(0)?,
            seq: row.get(1)?,
        },
        id: row.get(2)?,
        kind: row.get(3)?,
        object_type: row.get(4)?,
        object_id: row.get(5)?,
        object_version: row.get(6)?,
        actor: row.get(7)?,
        data: row.get(8)?,
        at: row.get(9)?,
    })
}

/// A follower's own place in the log, kept in the database.
pub async fn watermark(tx: &mut Tx, follower: &str) -> Result<Position, DbError> {
    let sql = "SELECT tx, seq FROM followers WHERE name = $1";
    let position = tx
        .fetch_optional(sql, params![follower], |row| {
            Ok(Position {
                tx: row.get(0)?,
                seq: row.get(1)?,
            })
        })
        .await?;
    Ok(position.unwrap_or_default())
}

/// Moves a follower's place, in the transaction that did what the events asked for: exactly once.
pub async fn set_watermark(tx: &mut Tx, follower: &str, to: Position) -> Result<(), DbError> {
    let sql = "INSERT INTO followers (name, tx, seq) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET tx = excluded.tx, seq = excluded.seq";
    tx.execute(sql, params![follower, to.tx, to.seq])
        .await
        .map(drop)
}

/// Wakes followers and workers of this process when something was committed. A nudge may be lost
/// (another node wrote): everyone also looks by a timer.
#[derive(Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Something was committed.
    pub fn send(&self) {
        self.0.notify_waiters();
    }

    /// Waits for a nudge, at most `at_most`.
    pub async fn wait(&self, at_most: std::time::Duration) {
        let _ = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

/// Where the log stands now.
pub async fn head_of(db: &Db) -> Result<Position, DbError> {
    head(&mut db.read().await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log grows for ever: to follow it must not cost more with every event.
    #[tokio::test]
    async fn the_log_is_followed_from_a_place_and_not_from_its_beginning() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open_sqlite(&dir.path().join("t.db")).expect("a fresh database");
        db.write(async |tx| {
            tx.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, id, kind, object_type, object_id, object_version, actor, data, occurred_at)", &[])
                .await?;
            let view = format!("CREATE VIEW settled_events AS SELECT 0 AS {COLUMNS} FROM events");
            tx.execute(&view, &[]).await
        })
        .await
        .expect("a log");
        let (behind, newest) = {
            let tx = db.read().await.expect("a reader");
            (tx.log_behind(), tx.log_newest())
        };
        let behind = format!("SELECT {COLUMNS} FROM settled_events WHERE {behind} LIMIT $3");
        let values = params![0i64, 1_000i64, BATCH_MAX];
        let plan = db.explain(&behind, values).await.expect("a plan");
        assert_eq!(plan, ["SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"]);
        let newest = format!("SELECT tx, seq FROM settled_events {newest} LIMIT 1");
        let plan = db.explain(&newest, &[]).await.expect("a plan");
        assert_eq!(plan, ["SCAN events"], "from its end, without sorting");
    }
}
