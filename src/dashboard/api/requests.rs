//! `/dashboard/requests`: what programs asked lately, and what was refused.

use crate::app::App;
use crate::dashboard::fields::{Fields, encode};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::requests::{
    FILTERS, Filter, Group, Line, Spot, errors as grouped, find, newest,
};
use crate::dashboard::show::{When, count};
use crate::dashboard::visit::SignedIn;
use crate::error::{Result, all_codes, not_found};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use platform::http::{Batch, Path, Problem, codes};

/// Requests on one page.
const ROWS: usize = 50;

/// A request in a list.
#[derive(Debug)]
pub struct Row {
    pub at: When,
    pub method: String,
    pub route: String,
    pub status: u16,
    pub tone: &'static str,
    pub took: String,
    pub client: Option<String>,
    pub code: Option<String>,
    pub id: String,
}

fn tone(status: u16) -> &'static str {
    match status {
        200..=299 => "ok",
        300..=399 => "neutral",
        400..=499 => "warn",
        _ => "danger",
    }
}

fn known(text: &str) -> Option<String> {
    (text != "-").then(|| text.to_owned())
}

/// A line as lists show it.
pub fn row(line: &Line<'_>, now: Timestamp, zone: &TimeZone) -> Row {
    Row {
        at: When::new(line.at(), now, zone),
        method: line.method.to_string(),
        route: line.route.to_string(),
        status: line.status,
        tone: tone(line.status),
        took: format!("{:.1}\u{a0}ms", line.duration_ms),
        client: known(&line.client),
        code: known(&line.code),
        id: line.request_id.to_string(),
    }
}

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage {
    frame: Frame,
    rows: Vec<Row>,
    asked: Fields,
    filtered: bool,
    /// The address of the older ones; empty when there are none.
    next: String,
    first: bool,
    /// Where the list goes on by itself; empty on older pages.
    live: String,
    logged: bool,
    statuses: [(&'static str, &'static str); 5],
}

const STATUSES: [(&str, &str); 5] = [
    ("", "Any"),
    ("2xx", "2xx, done"),
    ("3xx", "3xx"),
    ("4xx", "4xx, refused"),
    ("5xx", "5xx, failed"),
];

/// The filters of an address as they stand in it, to be followed by more.
fn query(asked: &Fields) -> String {
    let chosen = FILTERS.iter().filter_map(|name| {
        let value = asked.some(name)?;
        Some(format!("{name}={}&", encode(value)))
    });
    chosen.collect()
}

/// Looks through the kept lines away from the threads that answer requests.
async fn looked<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&[Batch]) -> T + Send + 'static,
) -> Result<T> {
    let batches = app.dashboard.requests.since(0);
    let done = tokio::task::spawn_blocking(move || work(&batches)).await;
    done.map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))
}

/// `GET /dashboard/requests`.
pub async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let before = Spot::parse(asked.get("before"));
    let filter = Filter::of(&asked, &zone);
    let next_batch = app.dashboard.requests.next();
    let (rows, older) = looked(&app, move |batches| {
        let mut found = newest(batches, &filter, before, ROWS + 1);
        let more = found.len() > ROWS;
        found.truncate(ROWS);
        let older = found.last().filter(|_| more).map(|(spot, _)| *spot);
        let rows = found.iter().map(|(_, line)| row(line, now, &zone));
        (rows.collect::<Vec<Row>>(), older)
    })
    .await?;
    let query = query(&asked);
    let page = RequestsPage {
        frame: Frame::new(&signed_in.visit, "Requests"),
        rows,
        filtered: !query.is_empty(),
        next: older.map_or_else(String::new, |spot| {
            format!("/dashboard/requests?{query}before={spot}")
        }),
        first: before.is_none(),
        live: match before {
            None => format!("/dashboard/requests/live?{query}after={next_batch}"),
            Some(_) => String::new(),
        },
        logged: app.config.log_requests,
        statuses: STATUSES,
        asked,
    };
    Ok(frame::page(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    frame: Frame,
    row: Row,
    address: String,
    statements: String,
    bytes: String,
    /// What the error is, and what to do: every second piece of that is code.
    explained: Option<(&'static str, Vec<&'static str>)>,
    curl: String,
    /// The list of those of the same route.
    alike: String,
}

/// `GET /dashboard/requests/{id}`.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let wanted = id.clone();
    let found = looked(&app, move |batches| {
        let line = find(batches, &wanted)?;
        let numbers = (line.address.to_string(), line.statements, line.bytes);
        Some((row(&line, now, &zone), numbers))
    })
    .await?;
    let (row, (address, statements, bytes)) =
        found.ok_or_else(|| not_found("request that is still kept", &id))?;
    let number = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    let code = row.code.clone().unwrap_or_default();
    let known = all_codes().find(|known| known.code == code);
    let page = RequestPage {
        frame: Frame::new(&signed_in.visit, format!("Request {id}")),
        address,
        statements: number(statements),
        bytes: number(bytes),
        explained: known.map(|known| (known.title, known.help.split('`').collect())),
        curl: format!(
            "curl -X {} '{}{}' -H \"Authorization: Bearer $TOKEN\"",
            row.method, app.config.public_url, row.route
        ),
        alike: format!("/dashboard/requests?route={}", encode(&row.route)),
        row,
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// Errors of one kind.
#[derive(Debug)]
struct ErrorRow {
    group: Group,
    tone: &'static str,
    count: String,
    first: When,
    last: When,
    link: String,
}

#[derive(Template)]
#[template(path = "errors.html")]
struct ErrorsPage {
    frame: Frame,
    rows: Vec<ErrorRow>,
    logged: bool,
}

/// `GET /dashboard/requests/errors`.
pub async fn errors(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let groups = looked(&app, grouped).await?;
    let row = |group: Group| ErrorRow {
        tone: tone(group.status),
        count: count(i64::try_from(group.count).unwrap_or(i64::MAX)),
        first: When::new(group.first, now, &zone),
        last: When::new(group.last, now, &zone),
        link: format!(
            "/dashboard/requests?code={}&route={}",
            encode(&group.code),
            encode(&group.route)
        ),
        group,
    };
    let page = ErrorsPage {
        frame: Frame::new(&signed_in.visit, "Errors"),
        rows: groups.into_iter().map(row).collect(),
        logged: app.config.log_requests,
    };
    Ok(frame::page(StatusCode::OK, &page))
}
