//! All SQL of the orders.

use super::api::{ListOrders, OrderSort};
use super::body::{Item, Order, OrderId};
use super::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use super::totals::{OrderTotals, PaymentSums, due};
use crate::money::Currency;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, Tx};
use platform::http::Page;
use platform::params;
use serde::Serialize;
use serde::de::DeserializeOwned;

const COLUMNS: &str = "id, number, document, status, payment_status, fulfillment_status, user_id, email, currency,
    items_total, discount_total, shipping_total, tax_total, tax_included, total, authorized, captured, refunded,
    shipping_address, billing_address, shipping_method, note, external_id, channel, cancel_reason, tags, metadata,
    placed_at, confirmed_at, completed_at, cancelled_at, expires_at, created_at, updated_at, version, country";

const ITEM_COLUMNS: &str = "id, variant_id, product_id, sku, title, quantity, unit_price, list_unit_price, price_id,
    discount, tax, tax_rate_ppm, subtotal, total, allocated, fulfilled, returned, refunded, metadata";

fn unreadable(index: usize, reason: impl std::fmt::Display) -> DbError {
    DbError::Column {
        index,
        reason: reason.to_string(),
    }
}

fn named<T>(row: &Row<'_>, index: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, DbError> {
    let name: &str = row.get(index)?;
    parse(name).ok_or_else(|| unreadable(index, format!("unknown name `{name}`")))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<T, DbError> {
    serde_json::from_str(row.get::<&str>(index)?).map_err(|error| unreadable(index, error))
}

fn json_or_null<T: DeserializeOwned>(row: &Row<'_>, index: usize) -> Result<Option<T>, DbError> {
    let text: Option<&str> = row.get(index)?;
    text.map(serde_json::from_str)
        .transpose()
        .map_err(|error| unreadable(index, error))
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types serialise")
}

fn order(row: &Row<'_>) -> Result<Order, DbError> {
    let status = named(row, 3, OrderStatus::parse)?;
    let paid = PaymentSums {
        authorized: row.get(15)?,
        captured: row.get(16)?,
        refunded: row.get(17)?,
    };
    let totals = OrderTotals {
        items: row.get(9)?,
        discount: row.get(10)?,
        shipping: row.get(11)?,
        tax: row.get(12)?,
        tax_included: row.get(13)?,
        total: row.get(14)?,
        authorized: paid.authorized,
        captured: paid.captured,
        refunded: paid.refunded,
        due: match status {
            OrderStatus::Cancelled if paid.captured == 0 => 0,
            _ => due(row.get(14)?, paid).map_err(|error| unreadable(14, error))?,
        },
    };
    Ok(Order {
        id: row.get(0)?,
        number: row.get(1)?,
        document: row.get(2)?,
        status,
        payment_status: named(row, 4, PaymentStatus::parse)?,
        fulfillment_status: named(row, 5, FulfillmentStatus::parse)?,
        user_id: row.get(6)?,
        email: row.get(7)?,
        currency: named(row, 8, |code| Currency::parse(code).ok())?,
        items: None,
        totals,
        country: row.get(35)?,
        shipping_address: json_or_null(row, 18)?,
        billing_address: json_or_null(row, 19)?,
        shipping_method: row.get(20)?,
        note: row.get(21)?,
        external_id: row.get(22)?,
        channel: row.get(23)?,
        cancel_reason: row.get(24)?,
        tags: json(row, 25)?,
        metadata: json(row, 26)?,
        placed_at: row.get(27)?,
        confirmed_at: row.get(28)?,
        completed_at: row.get(29)?,
        cancelled_at: row.get(30)?,
        expires_at: row.get(31)?,
        created_at: row.get(32)?,
        updated_at: row.get(33)?,
        version: row.get(34)?,
    })
}

/// Reads an item whose columns begin at `from`.
fn item(row: &Row<'_>, from: usize) -> Result<Item, DbError> {
    Ok(Item {
        id: row.get(from)?,
        variant_id: row.get(from + 1)?,
        product_id: row.get(from + 2)?,
        sku: row.get(from + 3)?,
        title: row.get(from + 4)?,
        quantity: row.get(from + 5)?,
        unit_price: row.get(from + 6)?,
        list_unit_price: row.get(from + 7)?,
        price_id: row.get(from + 8)?,
        discount: row.get(from + 9)?,
        tax: row.get(from + 10)?,
        tax_rate_ppm: row.get(from + 11)?,
        subtotal: row.get(from + 12)?,
        total: row.get(from + 13)?,
        allocated: row.get(from + 14)?,
        fulfilled: row.get(from + 15)?,
        returned: row.get(from + 16)?,
        refunded: row.get(from + 17)?,
        metadata: json(row, from + 18)?,
    })
}

/// Inserts orders and their items; for one order two statements.
pub async fn insert(tx: &mut Tx, orders: &[Order]) -> Result<(), DbError> {
    insert_orders(tx, orders).await?;
    insert_items(tx, orders).await
}

async fn insert_orders(tx: &mut Tx, orders: &[Order]) -> Result<(), DbError> {
    let texts: Vec<[Option<String>; 4]> = orders
        .iter()
        .map(|order| {
            let address = |address: &Option<_>| address.as_ref().map(to_json);
            [
                address(&order.shipping_address),
                address(&order.billing_address),
                Some(to_json(&order.tags)),
                Some(order.metadata.to_json()),
            ]
        })
        .collect();
    let mut values = Vec::with_capacity(orders.len() * 36);
    for (order, [shipping, billing, tags, metadata]) in orders.iter().zip(&texts) {
        let totals = &order.totals;
        let time = |at: Option<Timestamp>| at.map_or(Param::Null, |at| Param::Int(at.micros()));
        values.extend([
            Param::Text(order.id.as_str()),
            optional(&order.number),
            Param::Text(&order.document),
            Param::Text(order.status.as_str()),
            Param::Text(order.payment_status.as_str()),
            Param::Text(order.fulfillment_status.as_str()),
            order
                .user_id
                .as_ref()
                .map_or(Param::Null, |id| Param::Text(id.as_str())),
            optional(&order.email),
            Param::Text(order.currency.as_str()),
            Param::Int(totals.items),
            Param::Int(totals.discount),
            Param::Int(totals.shipping),
            Param::Int(totals.tax),
            Param::Bool(totals.tax_included),
            Param::Int(totals.total),
            Param::Int(totals.authorized),
            Param::Int(totals.captured),
            Param::Int(totals.refunded),
            optional(shipping),
            optional(billing),
            optional(&order.shipping_method),
            optional(&order.note),
            optional(&order.external_id),
            optional(&order.channel),
            optional(&order.cancel_reason),
            optional(tags),
            optional(metadata),
            time(order.placed_at),
            time(order.confirmed_at),
            time(order.completed_at),
            time(order.cancelled_at),
            time(order.expires_at),
            Param::Int(order.created_at.micros()),
            Param::Int(order.updated_at.micros()),
            Param::Int(order.version),
            optional(&order.country),
        ]);
    }
    let head = format!("INSERT INTO orders ({COLUMNS})");
    tx.insert_many(&head, 36, &values, "").await.map(drop)
}

fn optional(text: &Option<String>) -> Param<'_> {
    text.as_deref().map_or(Param::Null, Param::Text)
}

async fn insert_items(tx: &mut Tx, orders: &[Order]) -> Result<(), DbError> {
    let lines = || {
        orders.iter().flat_map(|order| {
            order
                .items
                .iter()
                .flatten()
                .enumerate()
                .map(move |line| (order, line))
        })
    };
    let metadata: Vec<String> = lines()
        .map(|(_, (_, item))| item.metadata.to_json())
        .collect();
    let mut values = Vec::with_capacity(metadata.len() * 21);
    for ((order, (position, item)), metadata) in lines().zip(&metadata) {
        values.extend([
            Param::Text(order.id.as_str()),
            Param::Int(position as i64),
            Param::Text(item.id.as_str()),
            item.variant_id
                .as_ref()
                .map_or(Param::Null, |id| Param::Text(id.as_str())),
            item.product_id
                .as_ref()
                .map_or(Param::Null, |id| Param::Text(id.as_str())),
            optional(&item.sku),
            Param::Text(&item.title),
            Param::Int(item.quantity),
            Param::Int(item.unit_price),
            Param::Int(item.list_unit_price),
            optional(&item.price_id),
            Param::Int(item.discount),
            Param::Int(item.tax),
            Param::Int(item.tax_rate_ppm),
            Param::Int(item.subtotal),
            Param::Int(item.total),
            Param::Int(item.allocated),
            Param::Int(item.fulfilled),
            Param::Int(item.returned),
            Param::Int(item.refunded),
            Param::Text(metadata),
        ]);
    }
    let head = format!("INSERT INTO order_items (order_id, position, {ITEM_COLUMNS})");
    tx.insert_many(&head, 21, &values, "").await.map(drop)
}

/// The order called `id` with its items.
pub async fn find(tx: &mut Tx, id: &OrderId) -> Result<Option<Order>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM orders WHERE id = $1");
    let Some(mut found) = tx.fetch_optional(&sql, params![id], order).await? else {
        return Ok(None);
    };
    found.items = Some(items_of(tx, id).await?);
    Ok(Some(found))
}

async fn items_of(tx: &mut Tx, id: &OrderId) -> Result<Vec<Item>, DbError> {
    let sql =
        format!("SELECT {ITEM_COLUMNS} FROM order_items WHERE order_id = $1 ORDER BY position");
    tx.fetch_all(&sql, params![id], |row| item(row, 0)).await
}

/// Takes the order for a change: its version grows and, on PostgreSQL, its row is locked until the end
/// of the transaction. Comes with its items.
pub async fn take(tx: &mut Tx, id: &OrderId, now: Timestamp) -> Result<Option<Order>, DbError> {
    let sql = format!(
        "UPDATE orders SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING {COLUMNS}"
    );
    let Some(mut found) = tx.fetch_optional(&sql, params![id, now], order).await? else {
        return Ok(None);
    };
    found.items = Some(items_of(tx, id).await?);
    Ok(Some(found))
}

/// The order called `id` with its items, held against other writers until the unit of work ends. (Setting a row
/// to itself is the lock that both engines know; the row that comes back is the newest.)
pub async fn find_and_lock(tx: &mut Tx, id: &OrderId) -> Result<Option<Order>, DbError> {
    let sql = format!("UPDATE orders SET version = version WHERE id = $1 RETURNING {COLUMNS}");
    let Some(mut found) = tx.fetch_optional(&sql, params![id], order).await? else {
        return Ok(None);
    };
    found.items = Some(items_of(tx, id).await?);
    Ok(Some(found))
}

/// Writes what a `PATCH` can change; the caller holds the order by [`find_and_lock`].
pub async fn save_change(tx: &mut Tx, order: &Order) -> Result<(), DbError> {
    let sql = "UPDATE orders SET email = $2, shipping_address = $3, billing_address = $4, country = $5, note = $6,
        external_id = $7, tags = $8, metadata = $9, updated_at = $10, version = $11 WHERE id = $1";
    tx.execute(
        sql,
        params![
            order.id,
            order.email,
            order.shipping_address.as_ref().map(to_json),
            order.billing_address.as_ref().map(to_json),
            order.country,
            order.note,
            order.external_id,
            to_json(&order.tags),
            order.metadata.to_json(),
            order.updated_at,
            order.version
        ],
    )
    .await
    .map(drop)
}

/// Writes what a move of status changes; the order was taken before.
pub async fn save_move(tx: &mut Tx, order: &Order) -> Result<(), DbError> {
    let sql =
        "UPDATE orders SET status = $2, cancel_reason = $3, confirmed_at = $4, completed_at = $5,
        cancelled_at = $6, expires_at = $7, fulfillment_status = $8 WHERE id = $1";
    tx.execute(
        sql,
        params![
            order.id,
            order.status.as_str(),
            order.cancel_reason,
            order.confirmed_at,
            order.completed_at,
            order.cancelled_at,
            order.expires_at,
            order.fulfillment_status.as_str()
        ],
    )
    .await
    .map(drop)
}

/// The items hold no stock any more.
pub async fn clear_allocations(tx: &mut Tx, id: &OrderId) -> Result<(), DbError> {
    tx.execute(
        "UPDATE order_items SET allocated = 0 WHERE order_id = $1",
        params![id],
    )
    .await
    .map(drop)
}

/// All units of the items have left, those that they held among them.
pub async fn fulfil(tx: &mut Tx, id: &OrderId) -> Result<(), DbError> {
    let sql = "UPDATE order_items SET fulfilled = quantity, allocated = 0 WHERE order_id = $1";
    tx.execute(sql, params![id]).await.map(drop)
}

/// The id of the order with this `external_id`.
pub async fn find_external(tx: &mut Tx, external_id: &str) -> Result<Option<OrderId>, DbError> {
    tx.fetch_optional(
        "SELECT id FROM orders WHERE external_id = $1",
        params![external_id],
        |row| row.get(0),
    )
    .await
}

/// Pending orders whose time is over, the oldest first.
pub async fn expired(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<OrderId>, DbError> {
    let sql = "SELECT id FROM orders WHERE status = 'pending' AND expires_at IS NOT NULL AND expires_at <= $1
        ORDER BY expires_at LIMIT $2";
    tx.fetch_all(sql, params![now, limit], |row| row.get(0))
        .await
}

/// `base` and the conditions that the query asks for.
fn filtered<'a>(base: &str, list: &'a ListOrders) -> Select<'a> {
    let mut select = Select::new(base);
    let query = &list.orders;
    let of_one_buyer = list.user_id.is_some() || query.email.is_some();
    let time = |at: Option<Timestamp>| at.map(|at| Param::Int(at.micros()));
    let text = |text: &'a Option<String>| text.as_deref().map(Param::Text);
    select
        .and_some(
            if of_one_buyer {
                "status || '' = {}"
            } else {
                "status = {}"
            },
            query.status.map(|status| Param::Text(status.as_str())),
        )
        .and_some(
            "payment_status = {}",
            query
                .payment_status
                .map(|status| Param::Text(status.as_str())),
        )
        .and_some(
            "fulfillment_status = {}",
            query
                .fulfillment_status
                .map(|status| Param::Text(status.as_str())),
        )
        .and_some(
            "user_id = {}",
            list.user_id.as_ref().map(|id| Param::Text(id.as_str())),
        )
        .and_some(
            "email IS NOT NULL AND lower(email) = lower({})",
            text(&query.email),
        )
        .and_some("number = {}", text(&query.number))
        .and_some("external_id = {}", text(&query.external_id))
        .and_some(
            "id IN (SELECT order_id FROM order_items WHERE sku = {})",
            text(&query.sku),
        )
        .and_some("placed_at > {}", time(query.placed_after))
        .and_some("placed_at < {}", time(query.placed_before))
        .and_some("created_at > {}", time(query.created_after))
        .and_some("created_at < {}", time(query.created_before))
        .and_some("updated_at > {}", time(query.updated_after))
        .and_some("total >= {}", query.min_total.map(Param::Int));
    let ids: Vec<Param<'_>> = query
        .ids
        .iter()
        .flatten()
        .map(|id| Param::Text(id.as_str()))
        .collect();
    select.and_in("id", &ids);
    select
}

/// The statement of a list page.
///
/// The orders of one buyer are few: they are found by the buyer's index and then sorted. The sign before the
/// column keeps the planner from walking all orders in the order of the sort instead, as the empty text behind
/// `status` keeps it from walking all orders of that status.
pub fn list_statement<'a>(list: &'a ListOrders, page: &'a Page) -> Select<'a> {
    let mut select = filtered(&format!("SELECT {COLUMNS} FROM orders WHERE TRUE"), list);
    let sort = list.orders.sort.unwrap_or_default();
    let of_one_buyer = list.user_id.is_some() || list.orders.email.is_some();
    let column = match sort.column() {
        column if of_one_buyer && column != "created_at" => format!("+{column}"),
        column => column.to_owned(),
    };
    let (sign, order) = (sort.comparison(), sort.direction());
    if let Some((at, id)) = page.after_time_and_id() {
        select.push("AND").bind(
            &format!("({column}, id) {sign} ({{}}, {{}})"),
            &[Param::Int(at), Param::Text(id)],
        );
    }
    select
        .push(&format!("ORDER BY {column} {order}, id {order}"))
        .window(page.fetch(), page.offset);
    select
}

/// A page of orders, with their items when asked for.
pub async fn list(tx: &mut Tx, query: &ListOrders, page: &Page) -> Result<Vec<Order>, DbError> {
    let mut orders = list_statement(query, page).fetch_all(tx, order).await?;
    if query.orders.expands_items() && !orders.is_empty() {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id.clone()).collect();
        let ids: Vec<Param<'_>> = ids.iter().map(|id| Param::Text(id.as_str())).collect();
        let sql = format!(
            "SELECT order_id, {ITEM_COLUMNS} FROM order_items WHERE order_id IN ({}) ORDER BY order_id, position",
            platform::db::placeholders(1, ids.len())
        );
        let mut lines = tx
            .fetch_all(&sql, &ids, |row| {
                Ok((row.get::<OrderId>(0)?, item(row, 1)?))
            })
            .await?;
        for order in &mut orders {
            let (own, rest) = lines.into_iter().partition(|(id, _)| *id == order.id);
            let own: Vec<(OrderId, Item)> = own;
            order.items = Some(own.into_iter().map(|(_, item)| item).collect());
            lines = rest;
        }
    }
    Ok(orders)
}

/// How many orders the list has on all its pages.
pub async fn count(tx: &mut Tx, query: &ListOrders) -> Result<i64, DbError> {
    let select = filtered("SELECT COUNT(*) FROM orders WHERE TRUE", query);
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

/// The sort key of the last row of a page.
pub fn sort_key(order: &Order, sort: OrderSort) -> Vec<String> {
    let at = match sort {
        OrderSort::CreatedAt | OrderSort::CreatedAtDescending => order.created_at,
        OrderSort::PlacedAt | OrderSort::PlacedAtDescending => {
            order.placed_at.unwrap_or(order.created_at)
        }
        OrderSort::UpdatedAt => order.updated_at,
    };
    vec![at.micros().to_string(), order.id.to_string()]
}
