//! All SQL of the reports: the runs and their files, and what the reports read.

use super::report::{Format, ReportKind};
use super::run::{FILE_LIFE, Plan, Progress, RUN_LIFE, Run, RunId, RunResult, RunStatus};
use super::sales::{Amounts, Fact, FactKind, Line};
use crate::money::Currency;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, Tx};
use platform::http::Page;
use platform::params;

// ---- runs ---------------------------------------------------------------------------------------

const RUN: &str = "id, type, status, phase, created_at, format, parameters, timezone, currency, type_version,
    started_at, completed_at, as_of, expires_at, problem, version, attempt, row_count, size, sha256";

fn broken(index: usize, reason: &str) -> DbError {
    DbError::Column {
        index,
        reason: reason.to_owned(),
    }
}

fn run(row: &Row<'_>) -> Result<Run, DbError> {
    let (kind, format): (String, String) = (row.get(1)?, row.get(5)?);
    let known = ReportKind::parse(&kind);
    let content_type = if format == Format::Csv.as_str() {
        Format::Csv
    } else {
        Format::Json
    }
    .content_type();
    let result = match (
        row.get::<Option<i64>>(17)?,
        row.get::<Option<i64>>(18)?,
        row.get::<Option<String>>(19)?,
    ) {
        (Some(row_count), Some(size), Some(sha256)) => Some(RunResult {
            row_count,
            columns: known.map_or_else(Vec::new, |kind| kind.columns().to_vec()),
            content_type,
            size,
            sha256,
            download_url: String::new(),
        }),
        _ => None,
    };
    let json = |index: usize, text: &str| {
        serde_json::from_str(text).map_err(|error| broken(index, &error.to_string()))
    };
    let created_at: Timestamp = row.get(4)?;
    Ok(Run {
        id: row.get(0)?,
        kind,
        status: RunStatus::parse(row.get(2)?).ok_or_else(|| broken(2, "not a status of a run"))?,
        progress: Progress::at(row.get(3)?),
        created_at,
        format,
        parameters: json(6, row.get(6)?)?,
        timezone: row.get(7)?,
        currency: row.get(8)?,
        type_version: row.get(9)?,
        started_at: row.get(10)?,
        completed_at: row.get(11)?,
        as_of: row.get(12)?,
        expires_at: row.get(13)?,
        problem: row
            .get::<Option<&str>>(14)?
            .map(|text| json(14, text))
            .transpose()?,
        version: row.get(15)?,
        attempt: row.get(16)?,
        result,
        created_micros: created_at.micros(),
    })
}

/// Stores a run that waits.
pub async fn insert(tx: &mut Tx, run: &Run) -> Result<(), DbError> {
    let sql = "INSERT INTO report_runs
        (id, type, type_version, format, parameters, timezone, currency, status, phase, attempt, created_at, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let parameters = run.parameters.to_string();
    tx.execute(
        sql,
        params![
            run.id,
            run.kind,
            run.type_version,
            run.format,
            parameters,
            run.timezone,
            run.currency,
            run.status.as_str(),
            run.progress.phase,
            run.attempt,
            run.created_at,
            run.version
        ],
    )
    .await
    .map(drop)
}

/// The run called `id`.
pub async fn find(tx: &mut Tx, id: &str) -> Result<Option<Run>, DbError> {
    let sql = format!("SELECT {RUN} FROM report_runs WHERE id = $1");
    tx.fetch_optional(&sql, params![id], run).await
}

/// One more than the page holds, oldest first.
pub async fn list(
    tx: &mut Tx,
    status: Option<RunStatus>,
    kind: Option<ReportKind>,
    page: &Page,
) -> Result<Vec<Run>, DbError> {
    let after = page.after_time_and_id();
    let mut select = Select::new(&format!(
        "SELECT {RUN} FROM report_runs WHERE created_at >= 0"
    ));
    select.and_some(
        "status = {}",
        status.map(|status| Param::Text(status.as_str())),
    );
    select.and_some("type = {}", kind.map(|kind| Param::Text(kind.as_str())));
    if let Some((time, id)) = after {
        select.push("AND").bind(
            "(created_at, id) > ({}, {})",
            &[Param::Int(time), Param::Text(id)],
        );
    }
    select
        .push("ORDER BY created_at, id")
        .window(page.fetch(), page.offset);
    select.fetch_all(tx, run).await
}

/// How many runs match, for a list that was asked to count.
pub async fn count(
    tx: &mut Tx,
    status: Option<RunStatus>,
    kind: Option<ReportKind>,
) -> Result<i64, DbError> {
    let mut select = Select::new("SELECT COUNT(*) FROM report_runs WHERE created_at >= 0");
    select.and_some(
        "status = {}",
        status.map(|status| Param::Text(status.as_str())),
    );
    select.and_some("type = {}", kind.map(|kind| Param::Text(kind.as_str())));
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

/// How many runs wait or run, counted up to `most`.
pub async fn count_unfinished(tx: &mut Tx, most: i64) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM
        (SELECT id FROM report_runs WHERE status IN ('queued', 'running') LIMIT $1) AS unfinished";
    tx.fetch_one(sql, params![most], |row| row.get(0)).await
}

/// Marks a run as running in its `attempt`-th try. `None` when there is nothing left to do for it;
/// `Some(None)` when its plan is not one that this program knows.
pub async fn begin(
    tx: &mut Tx,
    id: &str,
    attempt: i64,
    now: Timestamp,
) -> Result<Option<Option<Plan>>, DbError> {
    let sql = "UPDATE report_runs SET status = 'running', phase = 'reading', attempt = $2, version = version + 1,
        started_at = COALESCE(started_at, $3) WHERE id = $1 AND status IN ('queued', 'running') AND attempt < $2
        RETURNING type, format, timezone, currency, parameters";
    tx.fetch_optional(sql, params![id, attempt, now], |row| {
        Ok(Plan::stored(
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    })
    .await
}

/// The try `attempt` has read everything and now writes its file.
pub async fn begin_writing(tx: &mut Tx, id: &str, attempt: i64) -> Result<(), DbError> {
    let sql = "UPDATE report_runs SET phase = 'writing', version = version + 1
        WHERE id = $1 AND status = 'running' AND attempt = $2";
    tx.execute(sql, params![id, attempt]).await.map(drop)
}

/// Stores parts of the file that try `attempt` makes, the first of them as part `first`.
pub async fn insert_chunks(
    tx: &mut Tx,
    id: &str,
    attempt: i64,
    first: i64,
    chunks: &[String],
) -> Result<(), DbError> {
    let mut values = Vec::with_capacity(chunks.len() * 4);
    for (part, body) in (first..).zip(chunks) {
        values.extend([
            Param::Text(id),
            Param::Int(attempt),
            Param::Int(part),
            Param::Text(body),
        ]);
    }
    tx.insert_many(
        "INSERT INTO report_chunks (run_id, attempt, part, body)",
        4,
        &values,
        "",
    )
    .await
    .map(drop)
}

/// Part `part` of the file of a run.
pub async fn chunk(
    tx: &mut Tx,
    id: &str,
    attempt: i64,
    part: i64,
) -> Result<Option<String>, DbError> {
    let sql = "SELECT body FROM report_chunks WHERE run_id = $1 AND attempt = $2 AND part = $3";
    tx.fetch_optional(sql, params![id, attempt, part], |row| row.get(0))
        .await
}

/// What a try made.
#[derive(Clone, Debug)]
pub struct Made {
    pub row_count: i64,
    pub size: i64,
    pub sha256: String,
    pub as_of: Timestamp,
}

/// The try `attempt` succeeded. Returns the run's new version, or `None` when a later try has taken
/// over; either way only the parts of the try that counts remain.
pub async fn succeed(
    tx: &mut Tx,
    id: &str,
    attempt: i64,
    made: &Made,
    now: Timestamp,
) -> Result<Option<i64>, DbError> {
    let sql = "UPDATE report_runs SET status = 'succeeded', phase = 'finished', row_count = $3, size = $4, sha256 = $5,
        as_of = $6, completed_at = $7, expires_at = $8, version = version + 1
        WHERE id = $1 AND status = 'running' AND attempt = $2 RETURNING version";
    let expires_at = now + FILE_LIFE;
    let params = params![
        id,
        attempt,
        made.row_count,
        made.size,
        made.sha256,
        made.as_of,
        now,
        expires_at
    ];
    let version = tx.fetch_optional(sql, params, |row| row.get(0)).await?;
    let sql = match version {
        Some(_) => "DELETE FROM report_chunks WHERE run_id = $1 AND attempt <> $2",
        None => "DELETE FROM report_chunks WHERE run_id = $1 AND attempt = $2",
    };
    tx.execute(sql, params![id, attempt]).await?;
    Ok(version)
}

/// The try `attempt` failed for good. Returns the run's new version, or `None` when a later try has
/// taken over.
pub async fn give_up(
    tx: &mut Tx,
    id: &str,
    attempt: i64,
    problem: &str,
    now: Timestamp,
) -> Result<Option<i64>, DbError> {
    let sql = "UPDATE report_runs SET status = 'failed', phase = 'finished', problem = $3, completed_at = $4, version = version + 1
        WHERE id = $1 AND status IN ('queued', 'running') AND attempt = $2 RETURNING version";
    let version = tx
        .fetch_optional(sql, params![id, attempt, problem, now], |row| row.get(0))
        .await?;
    if version.is_some() {
        tx.execute("DELETE FROM report_chunks WHERE run_id = $1", params![id])
            .await?;
    }
    Ok(version)
}

/// The try `attempt` failed and another one follows.
pub async fn requeue(tx: &mut Tx, id: &str, attempt: i64) -> Result<(), DbError> {
    let sql = "UPDATE report_runs SET status = 'queued', phase = 'queued', version = version + 1
        WHERE id = $1 AND status = 'running' AND attempt = $2";
    tx.execute(sql, params![id, attempt]).await?;
    tx.execute(
        "DELETE FROM report_chunks WHERE run_id = $1 AND attempt = $2",
        params![id, attempt],
    )
    .await
    .map(drop)
}

/// Runs whose file is kept no longer, at most `most`.
pub async fn overdue(tx: &mut Tx, now: Timestamp, most: i64) -> Result<Vec<RunId>, DbError> {
    let sql = "SELECT id FROM report_runs WHERE status = 'succeeded' AND expires_at <= $1 ORDER BY expires_at LIMIT $2";
    tx.fetch_all(sql, params![now, most], |row| row.get(0))
        .await
}

/// Removes the file of a run that is overdue. Returns the run's new version, or `None` when that has
/// been done.
pub async fn expire(tx: &mut Tx, id: &RunId, now: Timestamp) -> Result<Option<i64>, DbError> {
    let sql = "UPDATE report_runs SET status = 'expired', row_count = NULL, size = NULL, sha256 = NULL, version = version + 1
        WHERE id = $1 AND status = 'succeeded' AND expires_at <= $2 RETURNING version";
    let version = tx
        .fetch_optional(sql, params![id, now], |row| row.get(0))
        .await?;
    if version.is_some() {
        tx.execute("DELETE FROM report_chunks WHERE run_id = $1", params![id])
            .await?;
    }
    Ok(version)
}

/// Finished runs without a file that are old enough to be forgotten, at most `most`.
pub async fn forgettable(tx: &mut Tx, now: Timestamp, most: i64) -> Result<Vec<RunId>, DbError> {
    let sql = "SELECT id FROM report_runs WHERE created_at < $1 AND status IN ('failed', 'expired')
        ORDER BY created_at, id LIMIT $2";
    tx.fetch_all(sql, params![now - RUN_LIFE, most], |row| row.get(0))
        .await
}

/// Forgets a run that has no file.
pub async fn forget(tx: &mut Tx, id: &RunId) -> Result<(), DbError> {
    // A try that lost its lease may have left parts.
    tx.execute("DELETE FROM report_chunks WHERE run_id = $1", params![id])
        .await?;
    let sql = "DELETE FROM report_runs WHERE id = $1 AND status IN ('failed', 'expired')";
    tx.execute(sql, params![id]).await.map(drop)
}

// ---- what reports read --------------------------------------------------------------------------

/// Documents that count at all; the module's page says why.
const COUNTS: &str = "o.status <> 'draft' AND (o.document <> 'order' OR o.status <> 'cancelled' OR o.confirmed_at IS NOT NULL)";
/// Orders that counted and were taken back.
const TAKEN_BACK: &str =
    "o.document = 'order' AND o.status = 'cancelled' AND o.confirmed_at IS NOT NULL";

fn currency(row: &Row<'_>, index: usize) -> Result<Currency, DbError> {
    Currency::parse(row.get(index)?).map_err(|error| broken(index, &error.to_string()))
}

fn kind_of(document: &str) -> FactKind {
    if document == "order" {
        FactKind::Sale
    } else {
        FactKind::Correction
    }
}

/// What is read, and how `at` and the condition differ between the two passes: documents by
/// `placed_at`, then cancellations by `cancelled_at`.
const PASSES: [(&str, &str); 2] = [("o.placed_at", COUNTS), ("o.cancelled_at", TAKEN_BACK)];

fn pass_kind(pass: usize, document: &str) -> FactKind {
    if pass == 0 {
        kind_of(document)
    } else {
        FactKind::Cancellation
    }
}

/// Gives every fact of `[from, to)` (microseconds) to `visit`.
pub async fn each_fact(
    tx: &mut Tx,
    (from, to): (i64, i64),
    only: Option<Currency>,
    mut visit: impl FnMut(&Fact<'_>),
) -> Result<(), DbError> {
    for (pass, (at, condition)) in PASSES.into_iter().enumerate() {
        // The subquery costs what the range costs; a join with all lines grouped would cost the table.
        let mut select = Select::new(&format!(
            "SELECT {at}, o.document, o.currency, o.country, o.items_total, o.discount_total, o.shipping_total,
                o.tax_total, o.tax_included,
                COALESCE((SELECT CAST(SUM(i.quantity) AS BIGINT) FROM order_items i WHERE i.order_id = o.id), 0)
            FROM orders o WHERE {condition}"
        ));
        select.push("AND").bind(
            &format!("{at} >= {{}} AND {at} < {{}}"),
            &[Param::Int(from), Param::Int(to)],
        );
        select.and_some(
            "o.currency = {}",
            only.as_ref().map(|only| Param::Text(only.as_str())),
        );
        tx.for_each(select.sql(), select.params(), |row| {
            visit(&Fact {
                kind: pass_kind(pass, row.get(1)?),
                at: row.get(0)?,
                currency: currency(row, 2)?,
                country: row.get(3)?,
                amounts: Amounts {
                    units: row.get(9)?,
                    items: row.get(4)?,
                    discount: row.get(5)?,
                    shipping: row.get(6)?,
                    tax: row.get(7)?,
                    tax_included: row.get(8)?,
                },
            });
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Gives the lines of every fact of `[from, to)` (microseconds) to `visit`: those of one document
/// together, documents oldest first, cancellations after all.
pub async fn each_line(
    tx: &mut Tx,
    (from, to): (i64, i64),
    only: Option<Currency>,
    mut visit: impl FnMut(&Line<'_>),
) -> Result<(), DbError> {
    for (pass, (at, condition)) in PASSES.into_iter().enumerate() {
        let mut select = Select::new(&format!(
            "SELECT o.id, o.document, o.currency, o.tax_included, i.product_id, i.sku, i.title, i.quantity, i.subtotal,
                i.discount, i.tax
            FROM orders o JOIN order_items i ON i.order_id = o.id WHERE {condition}"
        ));
        select.push("AND").bind(
            &format!("{at} >= {{}} AND {at} < {{}}"),
            &[Param::Int(from), Param::Int(to)],
        );
        select.and_some(
            "o.currency = {}",
            only.as_ref().map(|only| Param::Text(only.as_str())),
        );
        select.push(&format!("ORDER BY {at}, o.id, i.position"));
        tx.for_each(select.sql(), select.params(), |row| {
            visit(&Line {
                kind: pass_kind(pass, row.get(1)?),
                order_id: row.get(0)?,
                currency: currency(row, 2)?,
                product_id: row.get(4)?,
                sku: row.get(5)?,
                title: row.get(6)?,
                amounts: Amounts {
                    units: row.get(7)?,
                    items: row.get(8)?,
                    discount: row.get(9)?,
                    shipping: 0,
                    tax: row.get(10)?,
                    tax_included: row.get(3)?,
                },
            });
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Gives the instant (microseconds) of each user's creation within `[from, to)` to `visit`.
pub async fn each_new_user(
    tx: &mut Tx,
    (from, to): (i64, i64),
    mut visit: impl FnMut(i64),
) -> Result<(), DbError> {
    let sql = "SELECT created_at FROM users WHERE deleted_at IS NULL AND created_at >= $1 AND created_at < $2";
    tx.for_each(sql, params![from, to], |row| {
        visit(row.get(0)?);
        Ok(())
    })
    .await
}

/// Gives the instant (microseconds) and the user of each order placed within `[from, to)` to `visit`,
/// oldest first.
pub async fn each_buyer(
    tx: &mut Tx,
    (from, to): (i64, i64),
    mut visit: impl FnMut(i64, Option<&str>),
) -> Result<(), DbError> {
    let sql = format!(
        "SELECT o.placed_at, o.user_id FROM orders o WHERE o.document = 'order' AND {COUNTS}
            AND o.placed_at >= $1 AND o.placed_at < $2 ORDER BY o.placed_at, o.id"
    );
    tx.for_each(&sql, params![from, to], |row| {
        visit(row.get(0)?, row.get(1)?);
        Ok(())
    })
    .await
}

/// The stock of one variant over all locations.
#[derive(Debug)]
pub struct OnHand<'a> {
    pub sku: Option<&'a str>,
    pub variant_id: &'a str,
    pub product_id: &'a str,
    pub title: &'a str,
    pub variant_title: Option<&'a str>,
    pub on_hand: i64,
    pub allocated: i64,
}

/// Gives the present stock of every tracked variant to `visit`, by id, until it fails.
pub async fn each_stock<E>(
    tx: &mut Tx,
    mut visit: impl FnMut(&OnHand<'_>) -> Result<(), E>,
) -> Result<Result<(), E>, DbError> {
    let sql = "SELECT v.sku, v.id, v.product_id, p.title, v.title,
            COALESCE((SELECT CAST(SUM(s.on_hand) AS BIGINT) FROM stock s WHERE s.variant_id = v.id), 0),
            COALESCE((SELECT CAST(SUM(s.allocated) AS BIGINT) FROM stock s WHERE s.variant_id = v.id), 0)
        FROM variants v JOIN products p ON p.id = v.product_id
        WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL AND v.track_inventory ORDER BY v.id";
    let mut refused = None;
    let read = tx
        .for_each(sql, &[], |row| {
            let stock = OnHand {
                sku: row.get(0)?,
                variant_id: row.get(1)?,
                product_id: row.get(2)?,
                title: row.get(3)?,
                variant_title: row.get(4)?,
                on_hand: row.get(5)?,
                allocated: row.get(6)?,
            };
            visit(&stock).map_err(|error| {
                refused = Some(error);
                DbError::NoRow // ends the loop; never seen by the caller
            })
        })
        .await;
    match refused {
        Some(error) => Ok(Err(error)),
        None => read.map(Ok),
    }
}
