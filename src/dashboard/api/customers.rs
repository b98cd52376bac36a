//! `/dashboard/customers`: the users of the API, as a shop calls them.

use super::orders::{Row as OrderRow, address, rows as order_rows};
use super::{next_link, page_of};
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::show::{Badge, When, count, money};
use crate::dashboard::visit::SignedIn;
use crate::error::{Result, not_found};
use crate::orders::api::{ListOrders, OrderFilters, OrderSort};
use crate::orders::{person, store as orders};
use crate::users::api::{ListUsers, UserSort};
use crate::users::{User, UserId, UserItem, store};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::Path;

/// Longest text that is looked for, in characters.
const Q_CHARS_MAX: usize = 254;

#[derive(Debug)]
struct Row {
    id: String,
    username: String,
    email: String,
    status: Badge,
    since: When,
}

#[derive(Template)]
#[template(path = "customers.html")]
struct CustomersPage<'a> {
    frame: Frame,
    rows: Vec<Row>,
    q: &'a str,
    next: String,
    first: bool,
}

/// `GET /dashboard/customers`. `q` is the beginning of a username or email.
pub async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let page = page_of(&app, &uri, asked.some("cursor"))?;
    let q: String = asked.get("q").chars().take(Q_CHARS_MAX).collect();
    let query = ListUsers {
        q: Some(q.clone()).filter(|q| !q.is_empty()),
        sort: UserSort::CreatedAtDescending,
        ..ListUsers::default()
    };
    let mut found = store::list(&mut app.db.read().await?, &query, &page).await?;
    let more = page.cut(&mut found);
    let last = found.last().filter(|_| more);
    let last = last.map(|user| vec![user.created_at.micros().to_string(), user.id.to_string()]);
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |user: &UserItem| Row {
        id: user.id.to_string(),
        username: user.username.clone(),
        email: user.email.clone(),
        status: Badge(user.status.as_str()),
        since: When::new(user.created_at, now, &zone),
    };
    let page = CustomersPage {
        frame: Frame::new(&signed_in.visit, "Customers"),
        rows: found.iter().map(row).collect(),
        q: &q,
        next: next_link(&app, &page, last),
        first: asked.some("cursor").is_none(),
    };
    Ok(frame::page(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "customer.html")]
struct CustomerPage<'a> {
    frame: Frame,
    user: &'a User,
    name: String,
    status: Badge,
    since: When,
    anonymized: bool,
    /// Name and value of what is known beside the email.
    profile: Vec<(&'static str, String)>,
    addresses: Vec<(String, Vec<String>)>,
    orders_count: String,
    spent: Vec<String>,
    orders: Vec<OrderRow>,
    next: String,
    first: bool,
}

/// `GET /dashboard/customers/{id}`.
pub async fn get(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let user_id = UserId::parse(&id).ok_or_else(|| not_found("user", &id))?;
    let mut tx = app.db.read().await?;
    let user = store::find(&mut tx, &user_id).await?;
    let user = user.ok_or_else(|| not_found("user", &id))?;
    let spending = person::store::spending(&mut tx, &user_id).await?;
    let query = ListOrders {
        orders: OrderFilters {
            sort: Some(OrderSort::CreatedAtDescending),
            ..OrderFilters::default()
        },
        user_id: Some(user_id),
    };
    let page = page_of(&app, &uri, asked.some("cursor"))?;
    let mut found = orders::list(&mut tx, &query, &page).await?;
    let more = page.cut(&mut found);
    let last = found.last().filter(|_| more);
    let last = last.map(|order| orders::sort_key(order, OrderSort::CreatedAtDescending));
    let next = next_link(&app, &page, last);
    let spent = spending.total_spent.iter();
    let page = CustomerPage {
        frame: Frame::new(&signed_in.visit, user.username.clone()),
        name: name(&user),
        status: Badge(user.status.as_str()),
        since: When::new(
            user.created_at,
            signed_in.visit.now(),
            &signed_in.shop.zone(),
        ),
        anonymized: user.anonymized_at.is_some(),
        profile: profile(&user),
        addresses: addresses(&user),
        orders_count: count(spending.orders_count),
        spent: spent.map(|sum| money(sum.amount, sum.currency)).collect(),
        orders: order_rows(&found, &signed_in),
        next,
        first: asked.some("cursor").is_none(),
        user: &user,
    };
    Ok(frame::page(StatusCode::OK, &page))
}

fn name(user: &User) -> String {
    let parts = [&user.profile.first_name, &user.profile.last_name];
    let parts: Vec<&str> = parts
        .into_iter()
        .filter_map(|part| part.as_deref())
        .collect();
    match parts.is_empty() {
        true => user.username.clone(),
        false => parts.join(" "),
    }
}

fn profile(user: &User) -> Vec<(&'static str, String)> {
    let profile = &user.profile;
    let all = [
        ("Phone", &profile.phone),
        ("Company", &profile.company),
        ("Language", &profile.locale),
        ("Time zone", &profile.timezone),
        ("External id", &user.external_id),
    ];
    let known = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)));
    known.collect()
}

fn addresses(user: &User) -> Vec<(String, Vec<String>)> {
    let named = user.addresses.iter().map(|one| {
        let label = one.label.clone();
        (
            label.unwrap_or_else(|| "Address".to_owned()),
            address(&one.address),
        )
    });
    named.collect()
}
