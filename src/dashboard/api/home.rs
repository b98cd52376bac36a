//! `/dashboard`: today.

use super::orders::{Row, rows};
use crate::app::App;
use crate::dashboard::chart::Bars;
use crate::dashboard::figures::store::{Failing, Low};
use crate::dashboard::figures::{self, Spans, Tile};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::show::When;
use crate::dashboard::visit::SignedIn;
use crate::error::Result;
use crate::orders::api::{ListOrders, OrderFilters};
use crate::orders::order::OrderStatus;
use crate::orders::{Order, store as orders};
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::http::{Page, PageQuery, Problem, codes};
use std::time::Duration;

/// Rows of each short list.
const SHORT: i64 = 6;
/// Messages that failed longer ago are no news.
const FAILING_SINCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A message that did not arrive.
struct FailingRow {
    what: String,
    user_id: String,
    goes_on: bool,
    why: String,
    at: When,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    frame: Frame,
    tiles: Vec<Tile>,
    plot: Bars,
    /// Nothing was ordered in the days of the plot.
    quiet: bool,
    pending: Vec<Row>,
    confirmed: Vec<Row>,
    low: Vec<Low>,
    failing: Vec<FailingRow>,
    zone: String,
    may_make_credentials: bool,
}

/// `GET /`: whoever types the bare address into a browser.
pub async fn enter() -> Response {
    frame::see_other("/dashboard")
}

/// `GET /dashboard`.
pub async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let now = signed_in.visit.now();
    let spans = Spans::new(now, &signed_in.shop.zone())
        .map_err(|error| Problem::new(&codes::INTERNAL, error.to_string()))?;
    let asked = spans.spans.clone();
    let page = first_rows(&app)?;
    let read: std::result::Result<_, DbError> = app
        .db
        .snapshot(async move |tx| {
            let ordered = figures::store::ordered(tx, &asked).await?;
            let pending = in_status(tx, OrderStatus::Pending, &page).await?;
            let confirmed = in_status(tx, OrderStatus::Confirmed, &page).await?;
            let low = figures::store::low_stock(tx, None, SHORT).await?;
            let failing = figures::store::failing(tx, now - FAILING_SINCE, SHORT).await?;
            Ok((ordered, pending, confirmed, low, failing))
        })
        .await;
    let (ordered, pending, confirmed, low, failing) = read?;
    let zone = signed_in.shop.zone();
    let page = HomePage {
        frame: Frame::new(&signed_in.visit, "Home"),
        tiles: figures::tiles(&ordered, signed_in.shop.currency),
        plot: figures::plot(&ordered, &spans),
        quiet: ordered.iter().all(|one| one.orders == 0),
        pending: rows(&pending, &signed_in),
        confirmed: rows(&confirmed, &signed_in),
        low,
        failing: failing
            .into_iter()
            .map(|one| failing_row(one, now, &zone))
            .collect(),
        zone: signed_in.shop.time_zone.clone(),
        may_make_credentials: signed_in.visit.may(crate::dashboard::Role::Developer),
    };
    Ok(frame::page(StatusCode::OK, &page))
}

fn failing_row(one: Failing, now: Timestamp, zone: &TimeZone) -> FailingRow {
    let what = match one.channel.as_str() {
        "sms" => "SMS",
        "push" => "Push message",
        _ => "Email",
    };
    FailingRow {
        what: what.to_owned(),
        user_id: one.user_id,
        goes_on: one.goes_on,
        why: one.why.unwrap_or_default().replace('_', " "),
        at: When::new(one.created_at, now, zone),
    }
}

fn first_rows(app: &App) -> Result<Page> {
    let query = PageQuery {
        limit: Some(SHORT),
        ..PageQuery::default()
    };
    Page::new(&query, &Uri::from_static("/dashboard"), &app.cursors)
}

/// The oldest orders in a status.
async fn in_status(
    tx: &mut Tx,
    status: OrderStatus,
    page: &Page,
) -> std::result::Result<Vec<Order>, DbError> {
    let query = ListOrders {
        orders: OrderFilters {
            status: Some(status),
            ..OrderFilters::default()
        },
        user_id: None,
    };
    let mut found = orders::list(tx, &query, page).await?;
    page.cut(&mut found);
    Ok(found)
}
