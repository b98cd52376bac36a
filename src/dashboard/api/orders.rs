//! `/dashboard/orders`.

use super::{next_link, page_of};
use crate::address::Address;
use crate::app::App;
use crate::dashboard::actors::Actors;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::role::Role;
use crate::dashboard::show::{Badge, When, count, money, words};
use crate::dashboard::store;
use crate::dashboard::views::{ORDERS, Tabs};
use crate::dashboard::visit::SignedIn;
use crate::error::{Result, not_found};
use crate::orders::api::{ListOrders, OrderFilters, OrderSort};
use crate::orders::moves::PAYMENT_TIMEOUT;
use crate::orders::order::{self, FulfillmentStatus, OrderStatus, PaymentStatus};
use crate::orders::{Order, OrderId, store as orders};
use crate::products::{ProductId, store as products};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::events::{self, Event};
use platform::http::Path;

/// Events of one order that are shown.
const TIMELINE_MAX: i64 = 200;

/// An order in a list.
#[derive(Debug)]
pub struct Row {
    pub id: String,
    pub number: String,
    pub placed: When,
    pub buyer: String,
    pub status: Badge,
    pub payment: Badge,
    pub fulfillment: Badge,
    pub total: String,
}

/// Orders as lists show them.
pub fn rows(orders: &[Order], signed_in: &SignedIn) -> Vec<Row> {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |order: &Order| Row {
        id: order.id.to_string(),
        number: order.number.clone().unwrap_or_default(),
        placed: When::new(order.placed_at.unwrap_or(order.created_at), now, &zone),
        buyer: buyer(order),
        status: Badge(order.status.as_str()),
        payment: Badge(order.payment_status.as_str()),
        fulfillment: Badge(order.fulfillment_status.as_str()),
        total: money(order.totals.total, order.currency),
    };
    orders.iter().map(row).collect()
}

/// Who bought, as lists name them.
pub fn buyer(order: &Order) -> String {
    let user_id = || order.user_id.as_ref().map(ToString::to_string);
    order
        .email
        .clone()
        .or_else(user_id)
        .unwrap_or_else(|| "\u{2014}".to_owned())
}

/// A choice of a filter: its value, its name, and whether it is in force.
#[derive(Debug)]
pub struct Choice {
    pub value: &'static str,
    pub name: String,
    pub chosen: bool,
}

/// The choices of a filter, of which one may be in force.
pub fn choices(names: impl Iterator<Item = &'static str>, chosen: &str) -> Vec<Choice> {
    names
        .map(|value| Choice {
            value,
            name: words(value),
            chosen: value == chosen,
        })
        .collect()
}

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage<'a> {
    frame: Frame,
    rows: Vec<Row>,
    next: String,
    statuses: Vec<Choice>,
    payments: Vec<Choice>,
    fulfillments: Vec<Choice>,
    q: &'a str,
    filtered: bool,
    first: bool,
    views: Tabs,
}

/// `GET /dashboard/orders`. `q` is a number, an id, an email or a SKU.
pub async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let page = page_of(&app, &uri, asked.some("cursor"))?;
    let mut filters = OrderFilters {
        status: OrderStatus::parse(asked.get("status")),
        payment_status: PaymentStatus::parse(asked.get("payment")),
        fulfillment_status: FulfillmentStatus::parse(asked.get("fulfillment")),
        sort: Some(OrderSort::CreatedAtDescending),
        ..OrderFilters::default()
    };
    let q = asked.get("q");
    match (q, OrderId::parse(q)) {
        ("", _) => {}
        (_, Some(id)) => filters.ids = Some(vec![id]),
        (q, None) if q.contains('@') => filters.email = Some(q.to_owned()),
        (q, None) if q.bytes().all(|byte| byte.is_ascii_digit()) => {
            filters.number = Some(q.to_owned());
        }
        (q, None) => filters.sku = Some(q.to_owned()),
    }
    let query = ListOrders {
        orders: filters,
        user_id: None,
    };
    let mut tx = app.db.read().await?;
    let mut found = orders::list(&mut tx, &query, &page).await?;
    let own = store::views(&mut tx, &signed_in.staff.id, ORDERS.name).await?;
    drop(tx);
    let more = page.cut(&mut found);
    let last = found.last().filter(|_| more);
    let last = last.map(|order| orders::sort_key(order, OrderSort::CreatedAtDescending));
    let page = OrdersPage {
        frame: Frame::new(&signed_in.visit, "Orders"),
        rows: rows(&found, &signed_in),
        next: next_link(&app, &page, last),
        statuses: choices(
            OrderStatus::ALL.iter().map(|one| one.as_str()),
            asked.get("status"),
        ),
        payments: choices(
            PaymentStatus::ALL.iter().map(|one| one.as_str()),
            asked.get("payment"),
        ),
        fulfillments: choices(
            FulfillmentStatus::ALL.iter().map(|one| one.as_str()),
            asked.get("fulfillment"),
        ),
        q,
        filtered: !ORDERS.query(&asked).is_empty(),
        first: asked.some("cursor").is_none(),
        views: Tabs::new(&ORDERS, &asked, own),
    };
    Ok(frame::page(StatusCode::OK, &page))
}

#[derive(Debug)]
struct Line {
    title: String,
    sku: String,
    product: Option<String>,
    quantity: String,
    unit_price: String,
    discount: Option<String>,
    total: String,
}

#[derive(Debug)]
struct Moment {
    what: String,
    who: String,
    at: When,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage<'a> {
    frame: Frame,
    order: &'a Order,
    status: Badge,
    payment: Badge,
    fulfillment: Badge,
    placed: When,
    buyer: String,
    lines: Vec<Line>,
    /// Names and amounts, in the order in which they add up.
    sums: Vec<(&'static str, String)>,
    total: String,
    due: String,
    /// When an order that nobody confirms expires.
    held_until: Option<When>,
    /// Why it was.
    cancelled: Option<&'a str>,
    shipping: Vec<String>,
    billing: Vec<String>,
    timeline: Vec<Moment>,
    may_confirm: bool,
    may_complete: bool,
    may_cancel: bool,
    done: &'static str,
}

pub fn id_of(text: &str) -> Result<OrderId> {
    OrderId::parse(text).ok_or_else(|| not_found("order", text))
}

/// `GET /dashboard/orders/{id}`.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    let id = id_of(&id)?;
    let mut tx = app.db.read().await?;
    let order = orders::find(&mut tx, &id).await?;
    let order = order.ok_or_else(|| not_found("order", id.as_str()))?;
    let events = events::of_object(&mut tx, "order", id.as_str(), TIMELINE_MAX, 0).await?;
    let actors = Actors::of(&mut tx, events.iter().map(|event| event.actor.as_str())).await?;
    let sold = order.items.iter().flatten();
    let sold: Vec<ProductId> = sold.filter_map(|item| item.product_id.clone()).collect();
    let alive = products::heads_of(&mut tx, &sold).await?;
    let mut page = order_page(&signed_in, &order, events, &actors);
    for line in &mut page.lines {
        let there = |id: &String| alive.iter().any(|head| head.id.as_str() == id);
        line.product = line.product.take().filter(there);
    }
    Ok(frame::page(StatusCode::OK, &page))
}

fn order_page<'a>(
    signed_in: &SignedIn,
    order: &'a Order,
    events: Vec<Event>,
    actors: &Actors,
) -> OrderPage<'a> {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let operator = signed_in.visit.may(Role::Operator);
    let to = |status| operator && order.status.allowed().contains(&status);
    OrderPage {
        frame: Frame::new(
            &signed_in.visit,
            format!("Order {}", order.number.as_deref().unwrap_or_default()),
        ),
        status: Badge(order.status.as_str()),
        payment: Badge(order.payment_status.as_str()),
        fulfillment: Badge(order.fulfillment_status.as_str()),
        placed: When::new(order.placed_at.unwrap_or(order.created_at), now, &zone),
        buyer: buyer(order),
        lines: lines(order),
        sums: sums(order),
        total: money(order.totals.total, order.currency),
        due: money(order.totals.due, order.currency),
        cancelled: order.cancel_reason.as_deref().map(|reason| match reason {
            PAYMENT_TIMEOUT => "not paid in time",
            other => other,
        }),
        held_until: order.expires_at.map(|at| When::new(at, now, &zone)),
        shipping: order
            .shipping_address
            .as_ref()
            .map(address)
            .unwrap_or_default(),
        billing: order
            .billing_address
            .as_ref()
            .map(address)
            .unwrap_or_default(),
        timeline: events
            .into_iter()
            .rev()
            .map(|event| Moment {
                what: words(event.kind.trim_start_matches("order.")),
                who: actors.name(&event.actor).to_owned(),
                at: When::new(event.at, now, &zone),
            })
            .collect(),
        may_confirm: to(OrderStatus::Confirmed),
        may_complete: to(OrderStatus::Completed),
        may_cancel: operator && order::cancel(order.status, order.fulfillment_status).is_ok(),
        done: match signed_in.visit.done() {
            "confirmed" => "The order is confirmed: its stock is kept for it.",
            "completed" => "The order is completed.",
            "cancelled" => "The order is cancelled and its stock is free again.",
            _ => "",
        },
        order,
    }
}

fn lines(order: &Order) -> Vec<Line> {
    let items = order.items.iter().flatten();
    items
        .map(|item| Line {
            title: item.title.clone(),
            sku: item.sku.clone().unwrap_or_default(),
            product: item.product_id.as_ref().map(ToString::to_string),
            quantity: count(item.quantity),
            unit_price: money(item.unit_price, order.currency),
            discount: (item.discount != 0).then(|| money(-item.discount, order.currency)),
            total: money(item.total, order.currency),
        })
        .collect()
}

fn sums(order: &Order) -> Vec<(&'static str, String)> {
    let totals = &order.totals;
    let tax = if totals.tax_included {
        "of which tax"
    } else {
        "Tax"
    };
    let all = [
        ("Items", totals.items),
        ("Discount", -totals.discount),
        ("Shipping", totals.shipping),
        (tax, totals.tax),
    ];
    let shown = all
        .into_iter()
        .filter(|(name, amount)| *amount != 0 || *name == "Items");
    shown
        .map(|(name, amount)| (name, money(amount, order.currency)))
        .collect()
}

/// The lines of an address as it is written on an envelope.
pub fn address(address: &Address) -> Vec<String> {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let place = format!("{} {}", optional(&address.postal_code), address.city);
    let lines = [
        optional(&address.name),
        address.line1.clone(),
        optional(&address.line2),
        place.trim().to_owned(),
        optional(&address.region),
        address.country.as_str().to_owned(),
        optional(&address.phone),
    ];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}
