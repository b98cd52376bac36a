//! Handlers of `/v2/orders`: lists, the single order and placing here, what changes one in `change`, what one
//! tells of itself in `history`.

mod change;
mod history;

pub use change::*;
pub use history::*;

use crate::app::App;
use crate::error::{self, Result, duplicate, not_found};
use crate::oauth::{Caller, Scope};
use crate::orders::body::{Order, OrderId};
use crate::orders::new_order::NewOrder;
use crate::orders::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use crate::orders::placing::{Buyer, PlaceError, place};
use crate::orders::store;
use crate::products::{self, VariantRef, inventory};
use crate::users::{self, UserId};
use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use platform::http::{Command, Operation, Page, PageQuery, Path, Problem, Query, Reply, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Orders on a page with `expand=items`: an order may have 2,000 of them.
const EXPANDED_MAX: i64 = 50;

/// The parameters of the list of all orders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListOrders {
    #[serde(flatten)]
    pub orders: OrderFilters,
    /// Orders of this user.
    pub user_id: Option<UserId>,
}

/// The parameters of every list of orders.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrderFilters {
    #[serde(flatten)]
    pub page: PageQuery,
    pub status: Option<OrderStatus>,
    pub payment_status: Option<PaymentStatus>,
    pub fulfillment_status: Option<FulfillmentStatus>,
    /// Orders of this email address, whatever the case.
    #[schemars(length(min = 1, max = 254))]
    pub email: Option<String>,
    #[schemars(length(min = 1, max = 64))]
    pub number: Option<String>,
    /// Orders with a line of this SKU.
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Option<String>,
    /// At most 100 ids, separated by commas.
    #[schemars(length(max = 100))]
    pub ids: Option<Vec<OrderId>>,
    /// Orders placed after this instant.
    pub placed_after: Option<Timestamp>,
    /// Orders placed before this instant.
    pub placed_before: Option<Timestamp>,
    /// Orders created after this instant; imported ones were created when they were placed.
    pub created_after: Option<Timestamp>,
    /// Orders created before this instant.
    pub created_before: Option<Timestamp>,
    /// Orders changed after this instant; on long lists together with `sort=updated_at`.
    pub updated_after: Option<Timestamp>,
    /// Minor units, whatever the currency.
    #[schemars(range(min = -9_007_199_254_740_991_i64, max = 9_007_199_254_740_991_i64))]
    pub min_total: Option<i64>,
    pub sort: Option<OrderSort>,
    /// `items` adds the lines; then `limit` is at most 50.
    pub expand: Option<Vec<OrderExpansion>>,
}

/// What a list may be sorted by; `-` is descending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OrderSort {
    #[default]
    #[serde(rename = "created_at")]
    CreatedAt,
    #[serde(rename = "-created_at")]
    CreatedAtDescending,
    #[serde(rename = "placed_at")]
    PlacedAt,
    #[serde(rename = "-placed_at")]
    PlacedAtDescending,
    #[serde(rename = "updated_at")]
    UpdatedAt,
}

impl OrderSort {
    pub(in crate::orders) fn column(self) -> &'static str {
        match self {
            OrderSort::CreatedAt | OrderSort::CreatedAtDescending => "created_at",
            OrderSort::PlacedAt | OrderSort::PlacedAtDescending => "placed_at",
            OrderSort::UpdatedAt => "updated_at",
        }
    }
    fn is_descending(self) -> bool {
        matches!(
            self,
            OrderSort::CreatedAtDescending | OrderSort::PlacedAtDescending
        )
    }
    pub(in crate::orders) fn direction(self) -> &'static str {
        if self.is_descending() { "DESC" } else { "ASC" }
    }
    pub(in crate::orders) fn comparison(self) -> &'static str {
        if self.is_descending() { "<" } else { ">" }
    }
}

/// What a list may add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderExpansion {
    Items,
}

impl OrderFilters {
    pub(in crate::orders) fn expands_items(&self) -> bool {
        self.expand
            .as_ref()
            .is_some_and(|expand| expand.contains(&OrderExpansion::Items))
    }
}

/// What `GET /v2/orders` promises.
pub fn list_operation() -> Operation {
    Operation::new("listOrders", "Orders", "Retrieves a list of orders.")
        .describe("Orders without their lines, oldest first; `expand=items` adds the lines.")
        .query::<ListOrders>()
        .returns::<Vec<Order>>(200, "The orders.")
        .example(json!([in_a_list(example())]))
        .errors(&[&codes::INVALID_PARAMETER])
}

/// `GET /v2/orders`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListOrders>,
) -> Result<Reply> {
    let page = page(&app, &uri, &query.orders)?;
    listed(&app, &mut app.db.read().await?, &query, &page).await
}

/// What `GET /v2/users/{id}/orders` promises.
pub fn list_of_user_operation() -> Operation {
    Operation::new("listUserOrders", "Users", "Retrieves the orders of a user.")
        .describe("The same rows, filters and pages as `GET /v2/orders`. An anonymized user's orders stay; a deleted user's are in the list of all orders.")
        .query::<OrderFilters>()
        .returns::<Vec<Order>>(200, "The orders, oldest first unless `sort` says otherwise.")
        .example(json!([in_a_list(example())]))
        .errors(&[&codes::INVALID_PARAMETER])
}

/// `GET /v2/users/{id}/orders`.
pub async fn list_of_user(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path,
    Query(orders): Query<OrderFilters>,
) -> Result<Reply> {
    let page = page(&app, &uri, &orders)?;
    let user_id = UserId::parse(&id).ok_or_else(|| not_found("user", &id))?;
    let mut tx = app.db.read().await?;
    if !users::store::exists(&mut tx, &user_id).await? {
        return Err(not_found("user", &id));
    }
    let query = ListOrders {
        orders,
        user_id: Some(user_id),
    };
    listed(&app, &mut tx, &query, &page).await
}

fn page(app: &App, uri: &Uri, query: &OrderFilters) -> Result<Page> {
    let page = Page::new(&query.page, uri, &app.cursors)?;
    if query.expands_items() && page.limit > EXPANDED_MAX && query.page.limit.is_some() {
        return Err(Problem::new(
            &codes::INVALID_PARAMETER,
            "with expand=items a page has at most 50 orders",
        )
        .parameter(
            "limit",
            "too_large",
            "expected at most 50 with expand=items",
        ));
    }
    Ok(page)
}

async fn listed(app: &App, tx: &mut Tx, query: &ListOrders, page: &Page) -> Result<Reply> {
    let total = match page.include_total {
        true => Some(store::count(tx, query).await?),
        false => None,
    };
    let orders = store::list(tx, query, page).await?;
    let sort = query.orders.sort.unwrap_or_default();
    Ok(page.reply(
        orders,
        total,
        &app.config.public_url,
        &app.cursors,
        |order| store::sort_key(order, sort),
    ))
}

/// An order as the document shows it.
fn example() -> Value {
    json!({
        "id": "ord_1001", "number": "1001", "document": "order", "status": "confirmed", "payment_status": "unpaid",
        "fulfillment_status": "unfulfilled", "user_id": "user_123", "email": "alice@example.com", "currency": "USD",
        "items": [{
            "id": "item_1", "variant_id": "var_mug_blue", "product_id": "prod_mug", "sku": "MUG-BLUE", "title": "Blue mug",
            "quantity": 2, "unit_price": 1500, "list_unit_price": 1999, "discount": 0, "tax": 0, "tax_rate_ppm": 0,
            "subtotal": 3000, "total": 3000, "allocated": 2, "fulfilled": 0, "returned": 0, "refunded": 0, "metadata": {}
        }],
        "totals": { "items": 3000, "discount": 0, "shipping": 499, "tax": 0, "tax_included": false, "total": 3499,
            "authorized": 0, "captured": 0, "refunded": 0, "due": 3499 },
        "country": "US",
        "shipping_address": { "name": "Alice Smith", "line1": "2 High Street", "city": "Springfield", "country": "US" },
        "billing_address": null, "shipping_method": "post", "note": "Leave it with the neighbour.", "external_id": null,
        "channel": "web", "cancel_reason": null, "tags": ["gift"], "metadata": { "wrapped_by": "Kim" },
        "placed_at": "2023-10-27T10:10:00Z", "confirmed_at": "2023-10-27T10:11:00Z", "completed_at": null, "cancelled_at": null,
        "expires_at": null, "created_at": "2023-10-27T10:10:00Z", "updated_at": "2023-10-27T10:12:00Z", "version": 3
    })
}

fn in_a_list(mut order: Value) -> Value {
    if let Some(members) = order.as_object_mut() {
        members.shift_remove("items");
    }
    order
}

/// What `GET /v2/orders/{id}` promises.
pub fn get_operation() -> Operation {
    Operation::new("getOrder", "Orders", "Retrieves a specific order by ID.")
        .returns::<Order>(200, "The order.")
        .example(example())
}

/// `GET /v2/orders/{id}`.
pub async fn get(State(app): State<App>, Path(id): Path) -> Result<Reply> {
    let id = parse_id(&id)?;
    let order = store::find(&mut app.db.read().await?, &id).await?;
    let order = order.ok_or_else(|| not_found("order", id.as_str()))?;
    Ok(Reply::entity(order.version, &order))
}

/// Whom an answer that shows `order` tells of: its user, or the guest whom nothing but the order knows.
fn subject(order: &Order) -> &str {
    let user_id = order.user_id.as_ref();
    user_id.map_or(order.id.as_str(), |id| id.as_str())
}

fn parse_id(text: &str) -> Result<OrderId> {
    OrderId::parse(text).ok_or_else(|| not_found("order", text))
}

/// What `POST /v2/orders` promises.
pub fn create_operation() -> Operation {
    Operation::new("createOrder", "Orders", "Creates a new order.")
        .describe("Sets the stock aside at once; an order that is not confirmed by `expires_at` gives it back. `dry_run`, in the body or as a query parameter, answers 200 with the very result, but for the `number`, which is `null`, and changes nothing.")
        .query::<CreateQuery>()
        .body::<NewOrder>()
        .body_example(json!({ "email": "guest@example.com", "currency": "USD", "items": [{ "sku": "MUG-BLUE", "quantity": 2 }] }))
        .returns::<Order>(201, "The order, pending.").example(crate::orders::examples::of("placed"))
        .returns::<Order>(200, "The order that would be placed (`dry_run`).").example(crate::orders::examples::of("rehearsed"))
        .errors(&[&error::INSUFFICIENT_STOCK, &error::DUPLICATE, &error::CANNOT_BE_SOLD, &error::AMOUNT_OUT_OF_RANGE])
}

/// The parameters of `POST /v2/orders`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CreateQuery {
    /// As `dry_run` in the body: answer 200 with the very result, and change nothing.
    dry_run: Option<bool>,
}

/// `POST /v2/orders`: stock, order, event and stored answer commit together or not at all.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<CreateQuery>,
    command: Command<NewOrder>,
) -> Result<Reply> {
    let Command {
        body: mut new,
        once,
    } = command;
    new.dry_run |= query.dry_run == Some(true);
    let rehearse = new.dry_run;
    if app.config.require_idempotency_key && !once.has_key() && !rehearse {
        let detail = "send an Idempotency-Key, so that a retry cannot place the order twice";
        return Err(Problem::new(&codes::IDEMPOTENCY_KEY_REQUIRED, detail));
    }
    check(&new, &caller)?;
    let (now, hold) = (
        app.clock.now(),
        Duration::from_secs(u64::from(app.config.order_hold_minutes) * 60),
    );
    let work = async move |tx: &mut Tx| {
        let order = create_order(tx, new, &caller.client_id, hold, now).await?;
        let reply = match rehearse {
            true => Reply::entity(order.version, &order),
            false => Reply::created(&format!("/v2/orders/{}", order.id), order.version, &order),
        };
        Ok(reply.about(subject(&order)))
    };
    if rehearse {
        return rehearsed(&app, async move |tx| {
            let reply: Result<Reply> = work(tx).await;
            reply
        })
        .await;
    }
    app.write_once(once, work).await
}

/// What can be refused before the database is asked.
fn check(new: &NewOrder, caller: &Caller) -> Result<()> {
    if new.user_id.is_none() && new.email.is_none() {
        return Err(Problem::new(
            &codes::INVALID_BODY,
            "an order needs a user_id, or the email of a guest",
        )
        .at("#/email", "required", "expected user_id or email"));
    }
    if new.items.iter().any(|item| item.unit_price.is_some())
        && !caller.scopes.contains(Scope::OrdersPrice)
    {
        return Err(Problem::new(
            &codes::INSUFFICIENT_SCOPE,
            "unit_price needs the scope orders:price",
        ));
    }
    if let Some(code) = new.discount_codes.first() {
        return Err(Problem::new(
            &codes::INVALID_BODY,
            format!("there is no discount code `{code}`"),
        )
        .at(
            "#/discount_codes/0",
            "unknown_discount_code",
            "no such code",
        ));
    }
    Ok(())
}

/// Places an order: the unit of work behind `POST /v2/orders`. The number is taken when nothing can refuse any more,
/// and not at all in a rehearsal (docs/adr/0007-order-numbers.md).
pub async fn create_order(
    tx: &mut Tx,
    new: NewOrder,
    actor: &str,
    hold: Duration,
    now: Timestamp,
) -> Result<Order> {
    if let Some(external_id) = &new.external_id
        && store::find_external(tx, external_id).await?.is_some()
    {
        return Err(duplicate("external_id", external_id));
    }
    let buyer = buyer(tx, &new).await?;
    let mut wanted: Vec<VariantRef> = new
        .items
        .iter()
        .filter_map(|item| item.reference())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let offered = products::store::sellable(tx, &wanted).await?;
    let rehearse = new.dry_run;
    let mut placed = place(new, buyer, &offered, hold, now)?;
    let short =
        inventory::store::allocate(tx, &placed.takes, placed.order.id.as_str(), actor, now).await?;
    if !short.is_empty() {
        return Err(error::insufficient_stock(&placed.order, &short));
    }
    if rehearse {
        return Ok(placed.order);
    }
    placed.order.number = Some(tx.next_number("order_number").await?.to_string());
    store::insert(tx, std::slice::from_ref(&placed.order))
        .await
        .map_err(taken_external_id)?;
    let order = placed.order;
    let data = json!({ "number": order.number, "total": order.totals.total, "currency": order.currency, "user_id": order.user_id }).to_string();
    let event = NewEvent {
        kind: "order.placed",
        object_type: "order",
        object_id: order.id.as_str(),
        object_version: 1,
        actor,
        data: &data,
        at: now,
    };
    events::append(tx, &event).await?;
    Ok(order)
}

/// Two requests may bring the same key at the same instant; the index decides.
fn taken_external_id(error: DbError) -> Problem {
    match error {
        error if error.is_unique("orders_external_id") => duplicate("external_id", "of this order"),
        error => error.into(),
    }
}

async fn buyer(tx: &mut Tx, new: &NewOrder) -> Result<Buyer> {
    let Some(id) = &new.user_id else {
        return Ok(Buyer {
            email: new.email.clone().unwrap_or_default(),
        });
    };
    let refuse = |code, detail: String| {
        Err(Problem::new(&error::CANNOT_BE_SOLD, detail.clone()).at("#/user_id", code, detail))
    };
    match users::store::buyer(tx, id).await? {
        None => refuse("unknown_user", format!("there is no user `{id}`")),
        Some((_, false)) => refuse("inactive_user", format!("the user `{id}` is not active")),
        Some((email, true)) => Ok(Buyer {
            email: new.email.clone().unwrap_or(email),
        }),
    }
}

/// Runs the work and undoes it: the very result, and nothing changed.
async fn rehearsed<F>(app: &App, work: F) -> Result<Reply>
where
    F: AsyncFnOnce(&mut Tx) -> Result<Reply> + Send + 'static,
{
    enum Undone {
        Reply(Box<Reply>),
        Problem(Problem),
    }
    impl From<DbError> for Undone {
        fn from(error: DbError) -> Self {
            Undone::Problem(error.into())
        }
    }
    let undone = app
        .db
        .write(async move |tx| match work(tx).await {
            Ok(reply) => Err::<(), _>(Undone::Reply(Box::new(reply))),
            Err(problem) => Err(Undone::Problem(problem)),
        })
        .await;
    match undone {
        Err(Undone::Reply(reply)) => Ok(*reply),
        Err(Undone::Problem(problem)) => Err(problem),
        Ok(()) => Ok(Reply::no_content()), // not reached: the unit always undoes itself
    }
}

impl From<PlaceError> for Problem {
    fn from(refused: PlaceError) -> Problem {
        let faults = match refused {
            PlaceError::Lines(faults) => faults,
            PlaceError::AmountOutOfRange => return crate::orders::totals::AmountOutOfRange.into(),
        };
        let detail = faults.first().map_or_else(String::new, |fault| {
            format!("line {}: {}", fault.line, fault.detail)
        });
        faults.into_iter().fold(
            Problem::new(&error::CANNOT_BE_SOLD, detail),
            |problem, fault| {
                let member = if fault.member.is_empty() {
                    String::new()
                } else {
                    format!("/{}", fault.member)
                };
                problem.at(
                    &format!("#/items/{}{member}", fault.line),
                    fault.code,
                    fault.detail,
                )
            },
        )
    }
}

impl From<crate::orders::totals::AmountOutOfRange> for Problem {
    fn from(_: crate::orders::totals::AmountOutOfRange) -> Problem {
        Problem::new(
            &error::AMOUNT_OUT_OF_RANGE,
            "a total would be beyond 2^53 - 1 minor units",
        )
    }
}
