//! Handlers and wire types of `/v2/reports`.

use super::download::Download;
use super::report::{ReportKind, ReportType};
use super::run::{NewReport, Plan, Run, RunStatus};
use super::{jobs, store};
use crate::app::App;
use crate::error::{REPORT_EXPIRED, REPORT_FAILED, REPORT_NOT_READY, Result, not_found};
use crate::oauth::Caller;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use platform::events::{self, NewEvent};
use platform::http::{
    Command, Operation, Page, PageQuery, Path, Problem, Query, Reply, codes,
    field_errors_to_problem,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Runs that may wait or run at a time.
const UNFINISHED_MAX: i64 = 1_000;
/// The longest that `Prefer: wait` is granted.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Seconds after which to look again for a run that is not finished.
const LOOK_AGAIN: &str = "1";

/// The parameters of the list of report types.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListReports {
    #[serde(flatten)]
    pub page: PageQuery,
}

/// What `GET /v2/reports` promises.
pub fn list_operation() -> Operation {
    Operation::new(
        "listReports",
        "Reports",
        "Retrieves available report types.",
    )
    .query::<ListReports>()
    .returns::<Vec<ReportType>>(
        200,
        "The report types, each with its columns and the JSON Schema of its parameters.",
    )
    .example(json!(ReportKind::ALL.map(ReportKind::described)))
}

/// `GET /v2/reports`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListReports>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let after = page.after.as_ref().and_then(|key| key.first());
    let begin = after.map_or(0, |id| {
        ReportKind::ALL
            .iter()
            .take_while(|kind| kind.as_str() != id)
            .count()
            + 1
    });
    let skip = begin.saturating_add(usize::try_from(page.offset).unwrap_or(usize::MAX));
    let kinds = ReportKind::ALL.into_iter().skip(skip);
    let types: Vec<ReportType> = kinds
        .take(usize::try_from(page.fetch()).unwrap_or(0))
        .map(ReportKind::described)
        .collect();
    let total = page.include_total.then_some(ReportKind::ALL.len() as i64);
    Ok(
        page.reply(types, total, &app.config.public_url, &app.cursors, |kind| {
            vec![kind.id.as_str().to_owned()]
        }),
    )
}

fn example_run() -> Value {
    json!({
        "id": "rpt_06m3nkc2wt0vgag3vhm5v8e4jb", "type": "sales_by_period", "status": "queued",
        "progress": { "done": 0, "total": 2, "phase": "queued" }, "created_at": "2023-10-27T10:00:00Z", "format": "json",
        "parameters": { "start": "2023-09-01", "end": "2023-10-01", "interval": "day" }, "timezone": "Europe/London",
        "currency": null, "type_version": 1, "started_at": null, "completed_at": null, "as_of": null, "expires_at": null,
        "result": null, "problem": null, "version": 1
    })
}

/// The same run a second later.
fn example_finished() -> Value {
    let mut run = example_run();
    let columns = ReportKind::SalesByPeriod.columns();
    let members = json!({
        "status": "succeeded", "progress": { "done": 2, "total": 2, "phase": "finished" },
        "started_at": "2023-10-27T10:00:00Z", "completed_at": "2023-10-27T10:00:01Z", "as_of": "2023-09-30T23:00:00Z",
        "expires_at": "2023-11-03T10:00:01Z", "version": 3,
        "result": {
            "row_count": 30, "columns": columns, "content_type": "application/json", "size": 7_412,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "download_url": "https://shop.example.com/v2/reports/runs/rpt_06m3nkc2wt0vgag3vhm5v8e4jb/download"
        }
    });
    if let (Some(run), Value::Object(members)) = (run.as_object_mut(), members) {
        run.extend(members);
    }
    run
}

/// What `POST /v2/reports/generate` promises.
pub fn generate_operation() -> Operation {
    Operation::new("generateReport", "Reports", "Initiates the generation of a report.")
        .describe("Answers at once with a run to look at again; with `Prefer: wait=10` it waits up to 10 seconds for the end of the run and then answers 200.\n\n`parameters` are those of the type, with `start` before `end`, from 1970 to 2200 and within its `max_range_days`; `currency` only where there are amounts; `timezone` one that the IANA knows.")
        .body::<NewReport>()
        .body_example(json!({
            "type": "sales_by_period", "parameters": { "start": "2023-09-01", "end": "2023-10-01", "interval": "day" },
            "timezone": "Europe/London"
        }))
        .returns::<Run>(202, "The run, queued; `Location` is where to look again.")
        .example(example_run())
        .returns::<Run>(200, "The run, finished while `Prefer: wait` waited.")
        .example(example_finished())
        .errors(&[&codes::INVALID_BODY])
}

/// `POST /v2/reports/generate`.
pub async fn generate(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    command: Command<NewReport>,
) -> Result<Reply> {
    let now = app.clock.now();
    let plan = Plan::new(&command.body, now).map_err(field_errors_to_problem)?;
    let reply = app
        .write_once(command.once, async move |tx| {
            if store::count_unfinished(tx, UNFINISHED_MAX).await? >= UNFINISHED_MAX {
                let detail = format!("{UNFINISHED_MAX} reports wait already");
                return Err(Problem::new(&codes::OVERLOADED, detail).header(header::RETRY_AFTER, "10"));
            }
            let run = Run::queued(&plan, now);
            store::insert(tx, &run).await?;
            jobs::enqueue(tx, &run.id, now).await?;
            let data = json!({ "type": plan.kind, "parameters": run.parameters, "timezone": run.timezone }).to_string();
            let event = NewEvent {
                kind: "report.queued",
                object_type: "report",
                object_id: run.id.as_str(),
                object_version: run.version,
                actor: &caller.client_id,
                data: &data,
                at: now,
            };
            events::append(tx, &event).await?;
            Ok(Reply::accepted(&run.location(), &run))
        })
        .await?;
    match wanted_wait(&headers) {
        Some(wait) => answer_when_finished(&app, reply, wait).await,
        None => Ok(reply.with(header::RETRY_AFTER, LOOK_AGAIN)),
    }
}

/// The wait of `Prefer: wait=<seconds>` (RFC 7240 section 4.3), at most 10 s; a preference that cannot
/// be read is no error.
fn wanted_wait(headers: &HeaderMap) -> Option<Duration> {
    let values = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([',', ';']));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let wait = name.trim().eq_ignore_ascii_case("wait");
        wait.then(|| value.trim().trim_matches('"').parse::<u64>().ok())
            .flatten()
    })?;
    (seconds > 0).then(|| Duration::from_secs(seconds).min(WAIT_MAX))
}

async fn answer_when_finished(app: &App, queued: Reply, wait: Duration) -> Result<Reply> {
    let location = queued
        .header(&header::LOCATION)
        .unwrap_or_default()
        .to_owned();
    let id = location.rsplit('/').next().unwrap_or_default();
    let applied = format!("wait={}", wait.as_secs());
    let finished = tokio::time::timeout(wait, finished_run(app, id)).await;
    let reply = match finished {
        Ok(run) => {
            let run = run?.with_url(&app.config.public_url);
            Reply::entity(run.version, &run).with(header::LOCATION, &location)
        }
        Err(_) => queued.with(header::RETRY_AFTER, LOOK_AGAIN),
    };
    Ok(reply.with(HeaderName::from_static("preference-applied"), &applied))
}

/// Looks until the run is finished, more and more rarely: a commit elsewhere is no reason to look.
async fn finished_run(app: &App, id: &str) -> Result<Run> {
    let mut pause = Duration::from_millis(10);
    loop {
        let run = store::find(&mut app.db.read().await?, id).await?;
        match run {
            Some(run) if run.status.is_final() => return Ok(run),
            Some(_) => {}
            None => return Err(not_found("report run", id)),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// The parameters of the list of runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListRuns {
    #[serde(flatten)]
    pub page: PageQuery,
    /// Only runs with this status.
    pub status: Option<RunStatus>,
    /// Only runs of this report type.
    #[serde(rename = "type")]
    pub kind: Option<ReportKind>,
}

/// What `GET /v2/reports/runs` promises.
pub fn list_runs_operation() -> Operation {
    Operation::new(
        "listReportRuns",
        "Reports",
        "Retrieves a list of report runs.",
    )
    .query::<ListRuns>()
    .returns::<Vec<Run>>(
        200,
        "The runs, oldest first. A run whose file has expired is listed for 90 days.",
    )
    .example(json!([example_run()]))
}

/// `GET /v2/reports/runs`.
pub async fn list_runs(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListRuns>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let total = match page.include_total {
        true => Some(store::count(&mut tx, query.status, query.kind).await?),
        false => None,
    };
    let runs = store::list(&mut tx, query.status, query.kind, &page).await?;
    let runs: Vec<Run> = runs
        .into_iter()
        .map(|run| run.with_url(&app.config.public_url))
        .collect();
    Ok(
        page.reply(runs, total, &app.config.public_url, &app.cursors, |run| {
            vec![run.created_micros.to_string(), run.id.to_string()]
        }),
    )
}

/// What `GET /v2/reports/runs/{id}` promises.
pub fn get_run_operation() -> Operation {
    Operation::new("getReportRun", "Reports", "Retrieves a single report run.")
        .returns::<Run>(
            200,
            "The run. While it is not finished, `Retry-After` says when to look again.",
        )
        .example(example_run())
}

/// `GET /v2/reports/runs/{id}`.
pub async fn get_run(State(app): State<App>, Path(id): Path) -> Result<Reply> {
    let run = store::find(&mut app.db.read().await?, &id).await?;
    let run = run
        .ok_or_else(|| not_found("report run", &id))?
        .with_url(&app.config.public_url);
    let reply = Reply::entity(run.version, &run);
    Ok(match run.status.is_final() {
        true => reply,
        false => reply.with(header::RETRY_AFTER, LOOK_AGAIN),
    })
}

/// What `GET /v2/reports/runs/{id}/download` promises.
pub fn download_operation() -> Operation {
    Operation::new("downloadReport", "Reports", "Retrieves the file of a report run.")
        .describe("The `ETag` is the SHA-256 of the file. The same report over the same data is the same file, byte for byte: `as_of` is the end of its range once that has passed. A run whose `format` is `csv` answers `text/csv`: amounts in major units beside their `currency`, and an apostrophe before a text that a spreadsheet would take for a formula.")
        .returns::<ReportFile>(200, "The file: JSON, or CSV if the run's `format` is `csv`.")
        .example(example_file())
        .errors(&[&REPORT_NOT_READY, &REPORT_FAILED, &REPORT_EXPIRED])
}

/// Of a report that is short enough to be shown.
fn example_file() -> Value {
    let row = json!({ "country": "US", "currency": "USD", "orders": 2, "units": 3, "net_sales": 4497, "total_sales": 4996 });
    let mut total = row.clone();
    total["country"] = Value::Null;
    json!({
        "type": "sales_by_country", "version": 1, "parameters": { "start": "2023-09-01", "end": "2023-10-01" },
        "timezone": "Europe/London", "as_of": "2023-09-30T23:00:00Z",
        "columns": ReportKind::SalesByCountry.columns(), "rows": [row], "totals": [total]
    })
}

/// The file of a run in JSON.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes a document that is written row by row")]
pub struct ReportFile {
    #[schemars(rename = "type")]
    kind: ReportKind,
    /// Of the report type.
    version: i64,
    parameters: Value,
    timezone: String,
    /// If the report was limited to one.
    #[schemars(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    as_of: platform::clock::Timestamp,
    columns: Vec<super::report::Column>,
    /// One object for each row, its members named by `columns`.
    rows: Vec<Value>,
    /// Like `rows`; null where a column does not add up.
    totals: Vec<Value>,
}

/// `GET /v2/reports/runs/{id}/download`.
pub async fn download(State(app): State<App>, Path(id): Path) -> Result<Response> {
    let run = store::find(&mut app.db.read().await?, &id).await?;
    let run = run.ok_or_else(|| not_found("report run", &id))?;
    let overdue = run.expires_at.is_some_and(|at| at <= app.clock.now());
    let result = match (run.status, run.result) {
        (RunStatus::Succeeded, Some(result)) if !overdue => result,
        (RunStatus::Queued | RunStatus::Running, _) => {
            let problem = Problem::new(
                &REPORT_NOT_READY,
                format!("the report is {}", run.status.as_str()),
            );
            return Err(problem.header(header::RETRY_AFTER, LOOK_AGAIN));
        }
        (RunStatus::Failed, _) => {
            let problem = run.problem.unwrap_or_default();
            let detail = problem["detail"]
                .as_str()
                .unwrap_or("the report failed")
                .to_owned();
            return Err(Problem::new(&REPORT_FAILED, detail).with("problem", problem));
        }
        _ => {
            return Err(Problem::new(
                &REPORT_EXPIRED,
                "the file is kept for seven days",
            ));
        }
    };
    let name = format!(
        "attachment; filename=\"{}-{}.{}\"",
        run.kind, run.id, run.format
    );
    let size = u64::try_from(result.size).unwrap_or(0);
    let mut response = Body::new(Download::new(app, run.id, run.attempt, size)).into_response();
    let values = [
        (header::CONTENT_TYPE, result.content_type),
        (header::CONTENT_DISPOSITION, &name),
        (header::ETAG, &format!("\"{}\"", result.sha256)),
    ];
    for (header, value) in values {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(header, value);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefer_is_read_leniently_and_bounded() {
        let wait = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_str(value).unwrap());
            wanted_wait(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("wait=5"), Some(5));
        assert_eq!(wait("respond-async, Wait=\"600\""), Some(10));
        for ignored in ["wait", "wait=soon", "wait=0", "wait=-1", "respond-async"] {
            assert_eq!(wait(ignored), None, "{ignored}");
        }
    }
}
