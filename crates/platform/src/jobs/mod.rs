//! Jobs: rows that are claimed with a lease in one statement. No transaction is held while a job
//! runs (on SQLite that would stop every writer). A job may run twice when its worker dies, so every
//! job is idempotent.
//!
//! `run_at` is when a job may be claimed next: claiming puts it off until the lease ends. So there is
//! one condition for "due", and one index finds the next job of a lane however deep the queue is.

use crate::clock::Timestamp;
use crate::db::{Db, DbError, Row, Tx};
use crate::id::new_id;
use crate::params;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A job to be done.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// Which kind of work, such as `send_notification`.
    pub kind: &'a str,
    /// JSON: ids only; the rows they name are the truth.
    pub payload: &'a str,
    /// Its lane, one of [`LANES`]; lower runs first among those that are due.
    pub priority: i64,
    /// Not before this instant.
    pub run_at: Timestamp,
    /// Tries before it is given up as dead.
    pub attempts_max: i64,
}

/// A claimed job; it is the claimer's until its lease ends.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub kind: String,
    pub payload: String,
    /// Which try this is, 1 for the first.
    pub attempt: i64,
    pub attempts_max: i64,
}

/// The priorities: 0 critical, 1 high, 2 normal, 3 low.
pub const LANES: RangeInclusive<i64> = 0..=3;

/// Jobs of one kind and lane, and dead ones of one kind, that the metrics count.
pub const COUNTED_MAX: i64 = 10_000;
/// Kinds of jobs that the metrics tell of.
const KINDS_MAX: usize = 100;

/// How long a claimed job belongs to its worker.
pub const LEASE: Duration = Duration::from_secs(300);

/// Enqueues `job` in the caller's transaction and returns its id.
pub async fn enqueue(tx: &mut Tx, job: &NewJob<'_>, now: Timestamp) -> Result<String, DbError> {
    let id = new_id("job");
    let sql = "INSERT INTO jobs (id, kind, payload, priority, run_at, attempts, attempts_max, state, created_at)
        VALUES ($1, $2, $3, $4, $5, 0, $6, 'waiting', $7)";
    tx.execute(
        sql,
        params![
            id,
            job.kind,
            job.payload,
            job.priority,
            job.run_at,
            job.attempts_max,
            now
        ],
    )
    .await?;
    Ok(id)
}

/// Claims up to `count` due jobs of `kind` for `owner`, the most urgent first.
pub async fn claim(
    db: &Db,
    kind: &'static str,
    owner: &str,
    now: Timestamp,
    count: i64,
) -> Result<Vec<Job>, DbError> {
    let mut claimed = Vec::new();
    for lane in LANES {
        let wanted = count - claimed.len() as i64;
        if wanted > 0 {
            claimed.extend(claim_lane(db, kind, lane, owner, now, wanted).await?);
        }
    }
    Ok(claimed)
}

/// As [`claim`], only from `lane`: for a worker that gives each priority its share instead of letting
/// the urgent ones starve the others. The condition stands twice so that on PostgreSQL a row that
/// another worker claimed meanwhile is checked again and left out.
pub async fn claim_lane(
    db: &Db,
    kind: &'static str,
    lane: i64,
    owner: &str,
    now: Timestamp,
    count: i64,
) -> Result<Vec<Job>, DbError> {
    if !any_due(db, kind, lane, now).await? {
        return Ok(Vec::new()); // an idle worker writes nothing
    }
    let owner = owner.to_owned();
    db.write(async move |tx| {
        let sql = "UPDATE jobs SET state = 'running', lease_owner = $1, run_at = $2, attempts = attempts + 1
            WHERE id IN (SELECT id FROM jobs WHERE kind = $3 AND priority = $4 AND state <> 'dead' AND run_at <= $5
                ORDER BY run_at, id LIMIT $6)
            AND state <> 'dead' AND run_at <= $5
            RETURNING id, kind, payload, attempts, attempts_max";
        let lease_end = now + LEASE;
        let params = params![owner, lease_end, kind, lane, now, count];
        let mut jobs = tx
            .fetch_all(sql, params, |row| {
                Ok(Job {
                    id: row.get(0)?,
                    kind: row.get(1)?,
                    payload: row.get(2)?,
                    attempt: row.get(3)?,
                    attempts_max: row.get(4)?,
                })
            })
            .await?;
        jobs.sort_by(|a, b| a.id.cmp(&b.id)); // ids sort by the time they were made
        Ok(jobs)
    })
    .await
}

async fn any_due(db: &Db, kind: &str, lane: i64, now: Timestamp) -> Result<bool, DbError> {
    let sql =
        "SELECT id FROM jobs WHERE kind = $1 AND priority = $2 AND state <> 'dead' AND run_at <= $3
        ORDER BY run_at, id LIMIT 1";
    let due = db
        .read()
        .await?
        .fetch_optional(sql, params![kind, lane, now], |row| row.get::<String>(0))
        .await?;
    Ok(due.is_some())
}

/// The job is done, in the transaction that recorded its effect.
pub async fn finish(tx: &mut Tx, job: &Job) -> Result<(), DbError> {
    tx.execute("DELETE FROM jobs WHERE id = $1", params![job.id])
        .await
        .map(drop)
}

/// The job failed. It runs again at `again_at`, or is dead (kept, and counted in the metrics) when
/// that is `None` or its tries are used up. Returns whether it is dead.
pub async fn fail(
    tx: &mut Tx,
    job: &Job,
    error: &str,
    again_at: Option<Timestamp>,
) -> Result<bool, DbError> {
    let again_at = again_at.filter(|_| job.attempt < job.attempts_max);
    let state = if again_at.is_some() {
        "waiting"
    } else {
        "dead"
    };
    let error: String = error.chars().take(1_000).collect();
    let sql = "UPDATE jobs SET state = $2, last_error = $3, run_at = COALESCE($4, run_at),
        lease_owner = NULL WHERE id = $1";
    tx.execute(sql, params![job.id, state, error, again_at])
        .await?;
    Ok(again_at.is_none())
}

/// A job as operators see it. What it is about is not told: that may name a person.
#[derive(Clone, Debug)]
pub struct Shown {
    pub id: String,
    pub kind: String,
    /// `waiting`, `running` or `dead`.
    pub state: String,
    pub attempts: i64,
    pub attempts_max: i64,
    /// Not before this instant; of a running one, when its lease ends.
    pub run_at: Timestamp,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}

/// The jobs that wait or run, newest first.
pub const QUEUED: &str =
    "SELECT id, kind, state, attempts, attempts_max, run_at, last_error, created_at FROM jobs
    WHERE state <> 'dead' AND id < $1 ORDER BY id DESC LIMIT $2";
/// The dead jobs, newest first.
pub const DEAD: &str =
    "SELECT id, kind, state, attempts, attempts_max, run_at, last_error, created_at FROM jobs
    WHERE state = 'dead' AND id < $1 ORDER BY id DESC LIMIT $2";

/// At most `limit` jobs of the list [`QUEUED`] or [`DEAD`], behind the one called `after`.
pub async fn list(
    tx: &mut Tx,
    list: &'static str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Shown>, DbError> {
    // Ids begin with a digit behind `job_`: this is after all of them in every collation.
    tx.fetch_all(list, params![after.unwrap_or("job_z"), limit], |row| {
        Ok(Shown {
            id: row.get(0)?,
            kind: row.get(1)?,
            state: row.get(2)?,
            attempts: row.get(3)?,
            attempts_max: row.get(4)?,
            run_at: row.get(5)?,
            last_error: row.get(6)?,
            created_at: row.get(7)?,
        })
    })
    .await
}

/// Puts a dead job back into its queue with all its tries; gives its kind and payload. `None` when it is not dead (any
/// more): then nothing was changed.
pub async fn revive(
    tx: &mut Tx,
    id: &str,
    now: Timestamp,
) -> Result<Option<(String, String)>, DbError> {
    let sql = "UPDATE jobs SET state = 'waiting', attempts = 0, run_at = $2, lease_owner = NULL
        WHERE id = $1 AND state = 'dead' RETURNING kind, payload";
    tx.fetch_optional(sql, params![id, now], |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// How many jobs of one kind are in one state.
#[derive(Clone, Debug)]
pub struct Depth {
    pub kind: String,
    /// `waiting`, `running` or `dead`.
    pub state: String,
    pub jobs: i64,
    /// When the first of them was to run (a running one: when its lease ends).
    pub oldest_run_at: Timestamp,
}

/// The depth of every queue, for the metrics: the jobs that are first to run, at most [`COUNTED_MAX`] of each
/// kind and lane, and as many dead ones of each kind. However deep a queue is, nothing beyond that is read.
pub async fn depths(tx: &mut Tx) -> Result<Vec<Depth>, DbError> {
    const NEXT_KIND: &str =
        "SELECT kind FROM jobs WHERE state <> 'dead' AND kind > $1 ORDER BY kind LIMIT 1";
    const NEXT_DEAD_KIND: &str =
        "SELECT kind FROM jobs WHERE state = 'dead' AND kind > $1 ORDER BY kind LIMIT 1";
    let mut depths: BTreeMap<(String, String), (i64, Timestamp)> = BTreeMap::new();
    for kind in kinds(tx, NEXT_KIND).await? {
        for lane in LANES {
            for (state, jobs, oldest) in tx
                .fetch_all(LANE_DEPTH, params![kind, lane, COUNTED_MAX], depth)
                .await?
            {
                let entry = depths.entry((kind.clone(), state));
                let known = entry.or_insert((0, oldest));
                *known = (known.0 + jobs, known.1.min(oldest));
            }
        }
    }
    for kind in kinds(tx, NEXT_DEAD_KIND).await? {
        for (state, jobs, oldest) in tx
            .fetch_all(DEAD_DEPTH, params![kind, COUNTED_MAX], depth)
            .await?
        {
            depths.insert((kind.clone(), state), (jobs, oldest));
        }
    }
    let depths = depths.into_iter();
    Ok(depths
        .map(|((kind, state), (jobs, oldest_run_at))| Depth {
            kind,
            state,
            jobs,
            oldest_run_at,
        })
        .collect())
}

/// How many of the first jobs of a lane are in which state, and when the first of them was to run.
pub const LANE_DEPTH: &str = "SELECT state, COUNT(*), MIN(run_at) FROM
    (SELECT state, run_at FROM jobs WHERE kind = $1 AND priority = $2 AND state <> 'dead'
        ORDER BY run_at, id LIMIT $3) AS first GROUP BY state";
const DEAD_DEPTH: &str = "SELECT state, COUNT(*), MIN(run_at) FROM
    (SELECT state, run_at FROM jobs WHERE kind = $1 AND state = 'dead' ORDER BY run_at LIMIT $2) AS first
    GROUP BY state";

fn depth(row: &Row<'_>) -> Result<(String, i64, Timestamp), DbError> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Every kind that `next` finds, one index seek each.
async fn kinds(tx: &mut Tx, next: &str) -> Result<Vec<String>, DbError> {
    let mut kinds: Vec<String> = Vec::new();
    while kinds.len() < KINDS_MAX {
        let last = kinds.last().map_or("", String::as_str);
        match tx
            .fetch_optional(next, params![last], |row| row.get(0))
            .await?
        {
            Some(kind) => kinds.push(kind),
            None => break,
        }
    }
    Ok(kinds)
}

/// `base · 2^(attempt-1)`, at most `cap`: the wait before the next try.
pub fn backoff(attempt: i64, base: Duration, cap: Duration) -> Duration {
    let doublings = u32::try_from((attempt - 1).clamp(0, 20)).unwrap_or(20);
    base.saturating_mul(1 << doublings).min(cap)
}
