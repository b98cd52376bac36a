//! The queue: leases and lanes, and that a claim stays cheap however deep the queue is.

use crate::app::TestApp;
use platform::db::DbError;
use platform::jobs::{self, LEASE, NewJob};
use std::time::Duration;

async fn enqueue(app: &TestApp, priorities: &'static [i64]) {
    let now = app.clock.now();
    let done: Result<(), DbError> = app
        .db
        .write(async move |tx| {
            for priority in priorities {
                let job = NewJob {
                    kind: "test",
                    payload: "{}",
                    priority: *priority,
                    run_at: now,
                    attempts_max: 2,
                };
                jobs::enqueue(tx, &job, now).await?;
            }
            Ok(())
        })
        .await;
    done.expect("enqueued");
}

async fn claim(app: &TestApp, count: i64) -> Vec<jobs::Job> {
    jobs::claim(&app.db, "test", "me", app.clock.now(), count)
        .await
        .expect("claimed")
}

#[tokio::test]
async fn a_job_is_one_workers_until_its_lease_ends_and_dead_after_its_last_try() {
    let app = TestApp::start().await;
    enqueue(&app, &[2]).await;
    assert_eq!(claim(&app, 5).await.len(), 1);
    app.clock.advance(LEASE - Duration::from_secs(1));
    assert_eq!(
        claim(&app, 5).await.len(),
        0,
        "it is still the first worker's"
    );
    app.clock.advance(Duration::from_secs(1));
    let job = claim(&app, 5)
        .await
        .pop()
        .expect("the first worker is taken for dead");
    assert_eq!(job.attempt, 2);
    let again = app.clock.now() + Duration::from_secs(1);
    let dead: Result<bool, DbError> = app
        .db
        .write(async move |tx| jobs::fail(tx, &job, "no", Some(again)).await)
        .await;
    assert!(dead.expect("written"), "that was its last try");
    app.clock.advance(LEASE);
    assert_eq!(claim(&app, 5).await.len(), 0);
    let depths = jobs::depths(&mut app.db.read().await.expect("a reader"))
        .await
        .expect("depths");
    assert_eq!(
        (depths.len(), depths[0].state.as_str(), depths[0].jobs),
        (1, "dead", 1)
    );
}

#[tokio::test]
async fn urgent_jobs_are_claimed_first_and_a_lane_can_be_asked_alone() {
    let app = TestApp::start().await;
    enqueue(&app, &[3, 3, 1, 0]).await;
    let low = jobs::claim_lane(&app.db, "test", 3, "me", app.clock.now(), 1)
        .await
        .expect("claimed");
    assert_eq!(low.len(), 1);
    assert_eq!(claim(&app, 2).await.len(), 2);
    assert_eq!(
        jobs::claim_lane(&app.db, "test", 1, "me", app.clock.now(), 9)
            .await
            .expect("none")
            .len(),
        0
    );
    assert_eq!(claim(&app, 9).await.len(), 1, "the other low one");
}

#[tokio::test]
async fn the_next_job_is_found_by_one_index_seek() {
    let app = TestApp::start().await;
    let sql =
        "SELECT id FROM jobs WHERE kind = $1 AND priority = $2 AND state <> 'dead' AND run_at <= $3
        ORDER BY run_at, id LIMIT $4";
    let now = app.clock.now();
    let params = platform::params!["test", 3i64, now, 1i64];
    let plan = app
        .db
        .explain(sql, params)
        .await
        .expect("a plan")
        .join("\n");
    assert!(
        plan.contains("jobs_due") && !plan.contains("TEMP B-TREE") && !plan.contains("Sort"),
        "{plan}"
    );
}

#[tokio::test]
async fn the_metrics_count_no_further_than_they_say() {
    let app = TestApp::start().await;
    let now = app.clock.now();
    let more = jobs::COUNTED_MAX + 50;
    let made: Result<(), DbError> = app
        .db
        .write(async move |tx| {
            for number in 0..more {
                let job = NewJob {
                    kind: "deep",
                    payload: "{}",
                    priority: 2,
                    run_at: now + Duration::from_secs(u64::try_from(number).unwrap_or(0)),
                    attempts_max: 1,
                };
                jobs::enqueue(tx, &job, now).await?;
            }
            Ok(())
        })
        .await;
    made.expect("enqueued");
    enqueue(&app, &[0, 3]).await;
    let mut tx = app.db.read().await.expect("a reader");
    let depths = jobs::depths(&mut tx).await.expect("depths");
    let seen: Vec<_> = depths
        .iter()
        .map(|depth| {
            (
                depth.kind.as_str(),
                depth.state.as_str(),
                depth.jobs,
                depth.oldest_run_at,
            )
        })
        .collect();
    let expected = [
        ("deep", "waiting", jobs::COUNTED_MAX, now),
        ("test", "waiting", 2, now),
    ];
    assert_eq!(seen, expected);
    let params = platform::params!["deep", 2i64, jobs::COUNTED_MAX];
    let plan = app
        .db
        .explain(jobs::LANE_DEPTH, params)
        .await
        .expect("a plan");
    assert!(plan.join("\n").contains("jobs_due"), "{plan:?}");
}
