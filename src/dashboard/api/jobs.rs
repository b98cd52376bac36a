//! `/dashboard/jobs`: what the program still has to do, and what it has given up.

use super::{ROWS, next_link, page_of};
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::show::{Badge, When, count, words};
use crate::dashboard::store;
use crate::dashboard::visit::SignedIn;
use crate::error::{Result, not_found};
use crate::notifications::jobs as notifications;
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{Path, Problem, codes};
use platform::jobs::{self, COUNTED_MAX, Depth, Shown};

#[derive(Debug)]
struct Row {
    id: String,
    kind: String,
    state: Badge,
    tries: String,
    /// What the time of `run_at` means.
    when: &'static str,
    run_at: When,
    error: String,
    created: When,
    dead: bool,
}

/// How many jobs of one kind there are.
#[derive(Debug)]
struct Queue {
    kind: String,
    state: Badge,
    jobs: String,
    oldest: When,
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    queues: Vec<Queue>,
    rows: Vec<Row>,
    dead: bool,
    next: String,
    first: bool,
    done: &'static str,
}

/// A state of a job as one of our own names.
fn state(stored: &str, tries: i64) -> Badge {
    Badge(match (stored, tries) {
        ("dead", _) => "failed",
        ("running", _) => "running",
        (_, 0) => "waiting",
        _ => "retrying",
    })
}

/// `GET /dashboard/jobs`.
pub async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let dead = asked.get("state") == "dead";
    let page = page_of(&app, &uri, asked.some("cursor"))?;
    let after = page.after.as_ref().and_then(|key| key.first());
    let sql = if dead { jobs::DEAD } else { jobs::QUEUED };
    let mut tx = app.db.read().await?;
    let mut found = jobs::list(&mut tx, sql, after.map(String::as_str), ROWS + 1).await?;
    let depths = jobs::depths(&mut tx).await?;
    let more = page.cut(&mut found);
    let last = found.last().filter(|_| more);
    let last = last.map(|job| vec![job.id.clone()]);
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |job: Shown| Row {
        kind: words(&job.kind),
        state: state(&job.state, job.attempts),
        tries: format!("{} of {}", job.attempts, job.attempts_max),
        when: match job.state.as_str() {
            "dead" => "was due then",
            "running" => "held until then",
            _ => "",
        },
        run_at: When::new(job.run_at, now, &zone),
        error: job.last_error.unwrap_or_default(),
        created: When::new(job.created_at, now, &zone),
        dead: job.state == "dead",
        id: job.id,
    };
    let queue = |depth: Depth| Queue {
        kind: words(&depth.kind),
        state: state(&depth.state, 0),
        jobs: match depth.jobs {
            COUNTED_MAX.. => format!("{} or more", count(COUNTED_MAX)),
            fewer => count(fewer),
        },
        oldest: When::new(depth.oldest_run_at, now, &zone),
    };
    let page = JobsPage {
        frame: Frame::new(&signed_in.visit, "Jobs"),
        queues: depths.into_iter().map(queue).collect(),
        rows: found.into_iter().map(row).collect(),
        dead,
        next: next_link(&app, &page, last),
        first: asked.some("cursor").is_none(),
        done: match signed_in.visit.done() {
            "retry" => "The job is in its queue again.",
            _ => "",
        },
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// `POST /dashboard/jobs/{id}/retry`.
pub async fn retry(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    let done: Result<()> = app
        .db
        .write(async move |tx| {
            let now = signed_in.visit.now();
            let revived = jobs::revive(tx, &id, now).await?;
            let (kind, payload) = revived.ok_or_else(|| not_found("dead job", &id))?;
            if kind == notifications::KIND {
                let revived = notifications::revive(tx, &payload, now).await?;
                revived.map_err(|why| {
                    let detail = format!("the job is not tried again: {why}");
                    Problem::new(&codes::CONFLICT, detail)
                })?;
            }
            store::note(tx, signed_in.doer(), "job.retried", ("job", &id)).await?;
            Ok(())
        })
        .await;
    done?;
    app.nudge.send();
    Ok(frame::done("/dashboard/jobs", "retry"))
}
