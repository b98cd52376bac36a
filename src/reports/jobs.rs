//! Runs the reports that wait, and removes files that are kept no longer.

use super::build::{BuildError, build};
use super::file::{File, FileError};
use super::run::{Plan, RunId};
use super::store::{self, Made};
use crate::app::App;
use crate::error::{AMOUNT_OUT_OF_RANGE, REPORT_TOO_LARGE};
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use platform::http::{Code, codes};
use platform::jobs::{self, Job, NewJob};
use serde_json::json;
use std::pin::pin;
use std::time::Duration;

/// The kind of job that runs one report.
pub const KIND: &str = "report.run";
/// Tries of one report before it has failed.
const ATTEMPTS_MAX: i64 = 3;
/// Reports run by one call of [`run_due`], one after the other: a report holds up to 64 MiB.
const RUNS_MAX: usize = 20;
/// Files removed by one call of [`run_due`].
const EXPIRE_MAX: i64 = 10;
/// Parts of a file stored in one transaction: 1 MiB keeps other writers waiting for milliseconds.
const PARTS_PER_WRITE: usize = 4;
/// How often to look when nobody nudges.
const TIMER: Duration = Duration::from_secs(1);
/// However often one is nudged: looks this far apart at least.
const REST: Duration = Duration::from_millis(20);
/// Who appends the events.
const ACTOR: &str = "reports";

/// Puts the run `id` into the queue, in the caller's transaction.
pub async fn enqueue(tx: &mut Tx, id: &RunId, now: Timestamp) -> Result<(), DbError> {
    let payload = json!({ "run_id": id }).to_string();
    let job = NewJob {
        kind: KIND,
        payload: &payload,
        priority: 2,
        run_at: now,
        attempts_max: ATTEMPTS_MAX,
    };
    jobs::enqueue(tx, &job, now).await.map(drop)
}

/// Runs reports as they come until `stop` is ready; a report that has begun is finished first.
pub async fn run(app: App, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    loop {
        let done = run_due(&app).await;
        let pause = async {
            tokio::time::sleep(REST).await;
            if done < RUNS_MAX {
                app.nudge.wait(TIMER).await;
            }
        };
        tokio::select! {
            () = &mut stop => return,
            () = pause => {}
        }
    }
}

/// Runs the reports that are due, at most 20, and removes files that are overdue. Returns how many
/// reports were run.
pub async fn run_due(app: &App) -> usize {
    if let Err(error) = clean_up(app).await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "overdue report files were not removed"
        );
    }
    for done in 0..RUNS_MAX {
        let claimed = jobs::claim(&app.db, KIND, ACTOR, app.clock.now(), 1).await;
        let job = match claimed.map(|mut jobs| jobs.pop()) {
            Ok(Some(job)) => job,
            Ok(None) => return done,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "no report could be claimed"
                );
                return done;
            }
        };
        if let Err(error) = run_one(app, &job).await {
            // The lease ends and the job is claimed again.
            tracing::error!(
                job = job.id,
                error = &error as &dyn std::error::Error,
                "a report run was not recorded"
            );
        }
        app.nudge.send();
    }
    RUNS_MAX
}

async fn run_one(app: &App, job: &Job) -> Result<(), DbError> {
    let payload: serde_json::Value = serde_json::from_str(&job.payload).unwrap_or_default();
    let run_id = payload["run_id"].as_str().unwrap_or_default().to_owned();
    let (id, attempt, now) = (run_id.clone(), job.attempt, app.clock.now());
    let begun = app
        .db
        .write(async move |tx| store::begin(tx, &id, attempt, now).await)
        .await?;
    let plan = match begun {
        // Finished by another try, or forgotten.
        None => {
            let job = job.clone();
            return app
                .db
                .write(async move |tx| jobs::finish(tx, &job).await)
                .await;
        }
        Some(plan) => plan,
    };
    let Some(plan) = plan.filter(|_| job.attempt <= job.attempts_max) else {
        // Its worker died each time, or another version of the program asked for it.
        return give_up(
            app,
            job,
            run_id,
            &codes::INTERNAL,
            "the report could not be run".into(),
        )
        .await;
    };
    let as_of = plan.as_of(now);
    let wanted = plan.clone();
    let built = app
        .db
        .snapshot(async move |tx| build(tx, &wanted, as_of).await)
        .await;
    let stored = match built {
        Ok(file) => store_file(app, job, &run_id, &plan, file, as_of)
            .await
            .map_err(BuildError::from),
        Err(error) => Err(error),
    };
    match stored {
        Ok(()) => Ok(()),
        Err(BuildError::Db(error)) => try_again(app, job, run_id, &error).await,
        Err(BuildError::File(error)) => {
            let code = match error {
                FileError::TooManyRows | FileError::TooLarge => &REPORT_TOO_LARGE,
                FileError::OutOfRange => &AMOUNT_OUT_OF_RANGE,
            };
            give_up(app, job, run_id, code, error.to_string()).await
        }
        Err(BuildError::Calendar(error)) => {
            give_up(app, job, run_id, &codes::INTERNAL, error.to_string()).await
        }
    }
}

/// Stores the file in short transactions, and with the last one the success.
async fn store_file(
    app: &App,
    job: &Job,
    run_id: &str,
    plan: &Plan,
    mut file: File,
    as_of: Timestamp,
) -> Result<(), DbError> {
    let (id, attempt) = (run_id.to_owned(), job.attempt);
    app.db
        .write(async move |tx| store::begin_writing(tx, &id, attempt).await)
        .await?;
    let mut first = 0;
    while !file.chunks.is_empty() {
        let rest = file
            .chunks
            .split_off(file.chunks.len().min(PARTS_PER_WRITE));
        let parts = std::mem::replace(&mut file.chunks, rest);
        let (id, count) = (run_id.to_owned(), parts.len() as i64);
        app.db
            .write(async move |tx| store::insert_chunks(tx, &id, attempt, first, &parts).await)
            .await?;
        first += count;
    }
    let (row_count, size) = (file.rows.cast_signed(), file.size.cast_signed()); // bounded far below 2^63
    let made = Made {
        row_count,
        size,
        sha256: file.sha256,
        as_of,
    };
    let data = json!({ "type": plan.kind, "row_count": row_count }).to_string();
    let (id, job, now) = (run_id.to_owned(), job.clone(), app.clock.now());
    app.db
        .write(async move |tx| {
            let Some(version) = store::succeed(tx, &id, attempt, &made, now).await? else {
                return Ok(()); // a later try has the job
            };
            append(tx, "report.succeeded", &id, version, &data, now).await?;
            jobs::finish(tx, &job).await
        })
        .await
}

/// The report failed and would fail again.
async fn give_up(
    app: &App,
    job: &Job,
    run_id: String,
    code: &Code,
    detail: String,
) -> Result<(), DbError> {
    let problem = json!({ "type": format!("/problems/{}", code.code), "title": code.title, "detail": detail, "code": code.code });
    let data = json!({ "code": code.code }).to_string();
    let (job, now, problem) = (job.clone(), app.clock.now(), problem.to_string());
    app.db
        .write(async move |tx| {
            let Some(version) = store::give_up(tx, &run_id, job.attempt, &problem, now).await?
            else {
                return Ok(()); // a later try has the job
            };
            append(tx, "report.failed", &run_id, version, &data, now).await?;
            jobs::finish(tx, &job).await
        })
        .await
}

/// The database failed: once more after a pause, unless this was the last try.
async fn try_again(app: &App, job: &Job, run_id: String, error: &DbError) -> Result<(), DbError> {
    tracing::warn!(
        run_id,
        attempt = job.attempt,
        error = error as &dyn std::error::Error,
        "a report failed"
    );
    if job.attempt >= job.attempts_max {
        let detail = "the database failed; the cause is in the server's log".to_owned();
        return give_up(app, job, run_id, &codes::INTERNAL, detail).await;
    }
    let again_at = app.clock.now()
        + jobs::backoff(job.attempt, Duration::from_secs(2), Duration::from_secs(60));
    let (job, error) = (job.clone(), error.to_string());
    app.db
        .write(async move |tx| {
            store::requeue(tx, &run_id, job.attempt).await?;
            jobs::fail(tx, &job, &error, Some(again_at)).await.map(drop)
        })
        .await
}

/// Removes what is kept no longer, a few at a time.
async fn clean_up(app: &App) -> Result<(), DbError> {
    let now = app.clock.now();
    let mut tx = app.db.read().await?;
    let overdue = store::overdue(&mut tx, now, EXPIRE_MAX).await?;
    let forgettable = store::forgettable(&mut tx, now, EXPIRE_MAX).await?;
    drop(tx);
    if overdue.is_empty() && forgettable.is_empty() {
        return Ok(());
    }
    app.db
        .write(async move |tx| {
            for id in &overdue {
                if let Some(version) = store::expire(tx, id, now).await? {
                    append(tx, "report.expired", id.as_str(), version, "{}", now).await?;
                }
            }
            for id in &forgettable {
                store::forget(tx, id).await?;
            }
            Ok(())
        })
        .await
}

async fn append(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    version: i64,
    data: &str,
    at: Timestamp,
) -> Result<(), DbError> {
    let event = NewEvent {
        kind,
        object_type: "report",
        object_id: id,
        object_version: version,
        actor: ACTOR,
        data,
        at,
    };
    events::append(tx, &event).await
}
