//! `/dashboard/requests/live`: the request log as it grows, as events sent by the server.

use super::requests::{Row, row};
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::requests::{Filter, newest};
use crate::dashboard::visit::SignedIn;
use crate::error::Result;
use askama::Template;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use jiff::tz::TimeZone;
use platform::http::{Problem, Recent, codes};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Tails that are followed at the same time.
const TAILS_MAX: usize = 20;
/// How long one answer goes on. Then the browser comes again, and whoever may not look any more does not get in; and a
/// server that stops does not wait for long.
const LIFE: Duration = Duration::from_secs(20);
/// Lines that one event brings at most.
const LINES_MAX: usize = 50;
/// Events that may wait for a slow browser.
const WAITING_MAX: usize = 4;

/// How many tails are followed.
#[derive(Debug)]
pub struct Tails(Arc<Semaphore>);

impl Default for Tails {
    fn default() -> Self {
        Tails(Arc::new(Semaphore::new(TAILS_MAX)))
    }
}

#[derive(Template)]
#[template(path = "requests_rows.html")]
struct Rows {
    rows: Vec<Row>,
}

/// What is followed.
struct Tail {
    app: App,
    recent: Recent,
    filter: Filter,
    zone: TimeZone,
    /// The next batch to look at.
    next: u64,
    /// Held as long as it lasts.
    _permit: OwnedSemaphorePermit,
}

/// `GET /dashboard/requests/live`.
pub async fn follow(
    State(app): State<App>,
    signed_in: SignedIn,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    if !app.config.log_requests {
        return Ok(StatusCode::NO_CONTENT.into_response()); // a browser does not come again after it
    }
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let busy = || Problem::new(&codes::OVERLOADED, "too many tails are followed already");
    let permit = app.dashboard.tails.0.clone().try_acquire_owned();
    let recent = app.dashboard.requests.clone();
    let seen = headers.get("last-event-id");
    let seen = seen.and_then(|id| id.to_str().ok());
    let next = seen.unwrap_or(asked.get("after")).parse();
    let zone = signed_in.shop.zone();
    let tail = Tail {
        filter: Filter::of(&asked, &zone),
        next: next.unwrap_or_else(|_| recent.next()),
        _permit: permit.map_err(|_| busy())?,
        recent,
        zone,
        app,
    };
    let (sender, body) = Channel::<_, Infallible>::new(WAITING_MAX);
    tokio::spawn(async move {
        let _ = tokio::time::timeout(LIFE, send(tail, sender)).await; // either way it is over
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (HeaderName::from_static("x-no-compression"), "1"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(body)).into_response())
}

/// Sends what comes until the browser is gone.
async fn send(mut tail: Tail, mut sender: Sender<axum::body::Bytes, Infallible>) {
    let mut news = tail.recent.subscribe();
    if sender.send_data("retry: 500\n\n".into()).await.is_err() {
        return;
    }
    loop {
        if let Some(event) = tail.event()
            && sender.send_data(event.into()).await.is_err()
        {
            return;
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

impl Tail {
    /// What has come since the last time, if anything is wanted of it.
    fn event(&mut self) -> Option<String> {
        let batches = self.recent.since(self.next);
        self.next = batches.last()?.number + 1;
        let now = self.app.clock.now();
        let lines = newest(&batches, &self.filter, None, LINES_MAX);
        let rows: Vec<Row> = lines
            .iter()
            .map(|(_, line)| row(line, now, &self.zone))
            .collect();
        if rows.is_empty() {
            return None;
        }
        let rows = Rows { rows }.render().ok()?.replace('\n', "");
        Some(format!("id: {}\ndata: {rows}\n\n", self.next))
    }
}
