//! What those who run the server ask it: `/healthz`, `/readyz`, `/metrics`.

use crate::app::App;
use crate::error::Result;
use crate::migrations::MIGRATIONS;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use platform::db::{Db, MigrateError};
use platform::http::{Operation, Reply};
use platform::jobs::{self, Depth};
use platform::telemetry;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// How long the database may take to answer.
const DATABASE_WAIT: Duration = Duration::from_secs(2);

/// The process is alive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alive {
    /// Always `alive`.
    pub status: &'static str,
}

/// What `GET /healthz` promises.
pub fn alive_operation() -> Operation {
    Operation::new(
        "getHealth",
        "Operations",
        "Tells that the process is alive.",
    )
    .describe("Asks nothing else: a database that is away is no reason to restart the server.")
    .returns::<Alive>(200, "It is.")
    .example(json!({ "status": "alive" }))
}

/// `GET /healthz`.
pub async fn alive() -> Reply {
    Reply::json(StatusCode::OK, &Alive { status: "alive" })
}

/// Whether requests can be served.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// `ready` when every check is `ok`, else `not_ready`.
    pub status: &'static str,
    pub checks: Checks,
}

/// What was checked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checks {
    /// Whether the database answers.
    pub database: Check,
    /// Whether its schema is the one of this program.
    pub migrations: Check,
}

/// One check.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Check {
    /// `ok`, `failing`, or `unknown` when it could not be looked at.
    pub status: &'static str,
    /// One sentence without internals.
    pub detail: String,
}

impl Check {
    fn new(status: &'static str, detail: impl Into<String>) -> Check {
        Check {
            status,
            detail: detail.into(),
        }
    }
}

/// What `GET /readyz` promises.
pub fn ready_operation() -> Operation {
    Operation::new(
        "getReadiness",
        "Operations",
        "Tells whether the server can answer requests.",
    )
    .returns::<Readiness>(200, "Every check is `ok`.")
    .example(json!({
        "status": "ready",
        "checks": {
            "database": { "status": "ok", "detail": "sqlite answers" },
            "migrations": { "status": "ok", "detail": "the schema is current" }
        }
    }))
    .returns::<Readiness>(503, "A check is not `ok`: send requests elsewhere.")
}

/// `GET /readyz`.
pub async fn ready(State(app): State<App>) -> Reply {
    let checks = check(&app.db).await;
    let all_ok = [&checks.database, &checks.migrations]
        .iter()
        .all(|check| check.status == "ok");
    let (code, status) = match all_ok {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    Reply::json(code, &Readiness { status, checks }).with(header::CACHE_CONTROL, "no-store")
}

async fn check(db: &Db) -> Checks {
    let engine = db.engine_name();
    let answers = || Check::new("ok", format!("{engine} answers"));
    let away = |reason: &str| Checks {
        database: Check::new("failing", format!("{engine} {reason}")),
        migrations: Check::new("unknown", "the database did not say"),
    };
    match tokio::time::timeout(DATABASE_WAIT, db.is_migrated(MIGRATIONS)).await {
        Err(_) => away("did not answer within 2 s"),
        Ok(Err(MigrateError::Db(error))) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
            away("does not answer")
        }
        Ok(Err(error)) => Checks {
            database: answers(),
            migrations: Check::new("failing", error.to_string()),
        },
        Ok(Ok(false)) => Checks {
            database: answers(),
            migrations: Check::new(
                "failing",
                "the schema is older than this program: run `tradepost migrate`",
            ),
        },
        Ok(Ok(true)) => Checks {
            database: answers(),
            migrations: Check::new("ok", "the schema is current"),
        },
    }
}

/// What `GET /metrics` promises.
pub fn metrics_operation() -> Operation {
    Operation::new(
        "getMetrics",
        "Operations",
        "Metrics in the Prometheus text format.",
    )
    .returns_other(
        200,
        "Requests and their durations by route, depth and age of the job queues, writes that wait, memory.",
        "text/plain",
    )
}

/// `GET /metrics`.
pub async fn metrics(State(app): State<App>) -> Result<impl IntoResponse> {
    let now = app.clock.now();
    let depths = app.db.snapshot(async |tx| jobs::depths(tx).await).await?;
    let labels = |depth: &Depth| format!("{{kind=\"{}\",state=\"{}\"}}", depth.kind, depth.state);
    let mut text = telemetry::metrics().render();
    let counts: Vec<_> = depths
        .iter()
        .map(|depth| (labels(depth), depth.jobs as f64))
        .collect();
    telemetry::gauge(
        &mut text,
        "jobs",
        "Jobs in the queue by kind and state, counted up to 10,000 of each kind and priority.",
        &counts,
    );
    let late = |depth: &Depth| (now.micros() - depth.oldest_run_at.micros()).max(0) as f64 / 1e6;
    let ages: Vec<_> = depths
        .iter()
        .map(|depth| (labels(depth), late(depth)))
        .collect();
    let help = "Seconds since the oldest job of this kind and state was to run.";
    telemetry::gauge(&mut text, "jobs_oldest_age_seconds", help, &ages);
    telemetry::gauge(
        &mut text,
        "db_writes_waiting",
        "Units of work that wait to be written to the database.",
        &[(String::new(), app.db.writes_waiting() as f64)],
    );
    let format = [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((format, text))
}
