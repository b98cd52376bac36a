//! SQL over the orders of one person, by the index `orders_user`, a guest's by `orders_email`.

use super::{OrderId, Spending};
use crate::money::{Currency, Money};
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::params;

/// What the orders of `user_id` come to, in one statement.
pub async fn spending(tx: &mut Tx, user_id: &UserId) -> Result<Spending, DbError> {
    let sql = "SELECT currency, CAST(SUM(CASE WHEN document = 'order' THEN 1 ELSE 0 END) AS BIGINT), CAST(SUM(total) AS BIGINT)
        FROM orders WHERE user_id = $1 AND status NOT IN ('draft', 'cancelled') GROUP BY currency ORDER BY currency";
    let mut spending = Spending::default();
    // At most one row for each currency that there is.
    tx.for_each(sql, params![user_id], |row| {
        let code: &str = row.get(0)?;
        let currency = Currency::parse(code).map_err(|error| DbError::Column {
            index: 0,
            reason: error.to_string(),
        })?;
        spending.orders_count += row.get::<i64>(1)?;
        spending.total_spent.push(Money {
            amount: row.get(2)?,
            currency,
        });
        Ok(())
    })
    .await?;
    Ok(spending)
}

/// The first `limit` orders of `user_id`, oldest first.
pub async fn ids(tx: &mut Tx, user_id: &UserId, limit: i64) -> Result<Vec<OrderId>, DbError> {
    let sql = "SELECT id FROM orders WHERE user_id = $1 ORDER BY created_at, id LIMIT $2";
    tx.fetch_all(sql, params![user_id, limit], |row| row.get(0))
        .await
}

/// Takes out what says who placed an order.
const ERASE: &str =
    "UPDATE orders SET email = NULL, shipping_address = NULL, billing_address = NULL, note = NULL,
    updated_at = $2, version = version + 1";

/// Removes what says who placed the orders of `user_id`; the ids and new versions of those that it changed.
pub async fn erase(
    tx: &mut Tx,
    user_id: &UserId,
    now: Timestamp,
) -> Result<Vec<(OrderId, i64)>, DbError> {
    let sql = format!(
        "{ERASE} WHERE user_id = $1
            AND (email IS NOT NULL OR shipping_address IS NOT NULL OR billing_address IS NOT NULL OR note IS NOT NULL)
        RETURNING id, version"
    );
    tx.fetch_all(&sql, params![user_id, now], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .await
}

/// The same for the orders that belong to no user and were placed with `email`, whatever its case.
pub async fn erase_guest(
    tx: &mut Tx,
    email: &str,
    now: Timestamp,
) -> Result<Vec<(OrderId, i64)>, DbError> {
    let sql = format!(
        "{ERASE} WHERE email IS NOT NULL AND lower(email) = lower($1) AND user_id IS NULL RETURNING id, version"
    );
    tx.fetch_all(&sql, params![email, now], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .await
}
