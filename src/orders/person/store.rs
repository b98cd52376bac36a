//! SQL over the orders of one person, all by the index `orders_user`.

use super::{COPY_ORDERS_MAX, ItemCopy, OrderCopy, Spending};
use crate::money::{Currency, Money};
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::db::{DbError, Row, Tx};
use platform::params;
use serde_json::value::RawValue;

/// What the orders of `user_id` come to, in one statement.
pub async fn spending(tx: &mut Tx, user_id: &UserId) -> Result<Spending, DbError> {
    let sql = "SELECT currency, CAST(SUM(CASE WHEN document = 'order' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(total) AS BIGINT)
        FROM orders WHERE user_id = $1 AND status NOT IN ('draft', 'cancelled') GROUP BY currency ORDER BY currency";
    let mut spending = Spending::default();
    // At most one row for each currency that there is.
    tx.for_each(sql, params![user_id], |row| {
        let code: &str = row.get(0)?;
        let currency = Currency::parse(code).map_err(|error| DbError::Column { index: 0, reason: error.to_string() })?;
        spending.orders_count += row.get::<i64>(1)?;
        spending.total_spent.push(Money { amount: row.get(2)?, currency });
        Ok(())
    })
    .await?;
    Ok(spending)
}

/// The first orders of `user_id` with their lines, at most [`COPY_ORDERS_MAX`]. Belongs in a snapshot.
pub async fn copies(tx: &mut Tx, user_id: &UserId) -> Result<Vec<OrderCopy>, DbError> {
    let sql = "SELECT id, number, document, status, payment_status, fulfillment_status, email, currency,
            shipping_address, billing_address, note, total, placed_at, created_at
        FROM orders WHERE user_id = $1 ORDER BY created_at, id LIMIT $2";
    let mut orders = tx.fetch_all(sql, params![user_id, COPY_ORDERS_MAX], order_copy).await?;
    let sql = "SELECT sku, title, quantity, unit_price, total FROM order_items WHERE order_id = $1 ORDER BY position LIMIT 2000";
    for order in &mut orders {
        order.items = tx.fetch_all(sql, params![order.id], item_copy).await?;
    }
    Ok(orders)
}

fn order_copy(row: &Row<'_>) -> Result<OrderCopy, DbError> {
    Ok(OrderCopy {
        id: row.get(0)?,
        number: row.get(1)?,
        document: row.get(2)?,
        status: row.get(3)?,
        payment_status: row.get(4)?,
        fulfillment_status: row.get(5)?,
        email: row.get(6)?,
        currency: row.get(7)?,
        shipping_address: json(row, 8)?,
        billing_address: json(row, 9)?,
        note: row.get(10)?,
        total: row.get(11)?,
        placed_at: row.get(12)?,
        created_at: row.get(13)?,
        items: Vec::new(),
    })
}

fn item_copy(row: &Row<'_>) -> Result<ItemCopy, DbError> {
    Ok(ItemCopy { sku: row.get(0)?, title: row.get(1)?, quantity: row.get(2)?, unit_price: row.get(3)?, total: row.get(4)? })
}

fn json(row: &Row<'_>, index: usize) -> Result<Option<Box<RawValue>>, DbError> {
    let text: Option<String> = row.get(index)?;
    text.map(RawValue::from_string).transpose().map_err(|error| DbError::Column { index, reason: error.to_string() })
}

/// Removes what says who placed the orders of `user_id`; the ids and new versions of those that it changed.
pub async fn erase(tx: &mut Tx, user_id: &UserId, now: Timestamp) -> Result<Vec<(String, i64)>, DbError> {
    let sql = "UPDATE orders SET email = NULL, shipping_address = NULL, billing_address = NULL, note = NULL,
            updated_at = $2, version = version + 1
        WHERE user_id = $1 AND (email IS NOT NULL OR shipping_address IS NOT NULL OR billing_address IS NOT NULL OR note IS NOT NULL)
        RETURNING id, version";
    tx.fetch_all(sql, params![user_id, now], |row| Ok((row.get(0)?, row.get(1)?))).await
}
