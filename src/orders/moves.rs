//! Moving an order along its status axis: each move is one unit of work that locks the order first.

use super::body::{Order, OrderId};
use super::order::{self, CancelRefused, FulfillmentStatus, IllegalMove, OrderStatus};
use super::store;
use super::totals::merge_quantities;
use crate::error::{Result, not_found};
use crate::products::{VariantId, inventory};
use platform::clock::Timestamp;
use platform::db::Tx;
use platform::events::{self, NewEvent};
use platform::http::{IfMatch, Problem, Reply};
use serde_json::json;

/// `cancel_reason` of an order whose hold ended.
pub const PAYMENT_TIMEOUT: &str = "payment_timeout";

/// Who moves an order, when, and the version that they have seen.
#[derive(Clone, Debug)]
pub struct Mover {
    pub actor: String,
    pub if_match: IfMatch,
    pub now: Timestamp,
}

/// A step that a caller can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// `pending → confirmed`: the stock stays set aside and does not expire any more.
    Confirm,
    /// `confirmed → completed`: what it still holds is shipped.
    Complete,
    /// Gives the stock back. Refused once anything has shipped: then it is a return.
    Cancel { reason: String },
}

/// Makes the step.
pub async fn make(tx: &mut Tx, id: &OrderId, step: &Move, mover: &Mover) -> Result<Order> {
    let mut order = taken(tx, id, mover).await?;
    let kind = match step {
        Move::Confirm => {
            order.status = order.status.advance(OrderStatus::Confirmed)?;
            order.confirmed_at = Some(mover.now);
            order.expires_at = None;
            "order.confirmed"
        }
        Move::Complete => {
            order.status = order.status.advance(OrderStatus::Completed)?;
            order.completed_at = Some(mover.now);
            ship(tx, &mut order, mover).await?;
            "order.completed"
        }
        Move::Cancel { reason } => {
            order.status = order::cancel(order.status, order.fulfillment_status)?;
            call_off(tx, &mut order, reason, mover).await?;
            "order.cancelled"
        }
    };
    saved(tx, order, kind, mover).await
}

/// Cancels a pending order whose hold is over; `false` when it was confirmed or cancelled meanwhile.
pub async fn expire(tx: &mut Tx, id: &OrderId, now: Timestamp) -> Result<bool> {
    let mover = Mover {
        actor: "system".into(),
        if_match: IfMatch::default(),
        now,
    };
    let order = taken(tx, id, &mover).await?;
    if order.status != OrderStatus::Pending || order.expires_at.is_none_or(|end| end > now) {
        return Ok(false);
    }
    let mut order = Order {
        status: OrderStatus::Cancelled,
        ..order
    };
    call_off(tx, &mut order, PAYMENT_TIMEOUT, &mover).await?;
    saved(tx, order, "order.cancelled", &mover).await?;
    Ok(true)
}

async fn taken(tx: &mut Tx, id: &OrderId, mover: &Mover) -> Result<Order> {
    if mover.if_match != IfMatch::default() {
        let order = store::find_and_lock(tx, id).await?;
        let order = order.ok_or_else(|| not_found("order", id.as_str()))?;
        refuse_stale(&order, mover)?;
    }
    let order = store::take(tx, id, mover.now).await?;
    order.ok_or_else(|| not_found("order", id.as_str()))
}

/// Refuses to change `order` when the mover has seen another version of it.
pub fn refuse_stale(order: &Order, mover: &Mover) -> Result<()> {
    match mover.if_match.holds(order.version) {
        true => Ok(()),
        false => Err(mover.if_match.refused(&Reply::entity(order.version, order))),
    }
}

/// What every cancellation does.
async fn call_off(tx: &mut Tx, order: &mut Order, reason: &str, mover: &Mover) -> Result<()> {
    release(tx, order, mover).await?;
    order.cancel_reason = Some(reason.to_owned());
    order.cancelled_at = Some(mover.now);
    order.expires_at = None;
    order.totals.due = 0;
    Ok(())
}

async fn release(tx: &mut Tx, order: &mut Order, mover: &Mover) -> Result<()> {
    let gives = held(order)?;
    if gives.is_empty() {
        return Ok(());
    }
    inventory::store::release(tx, &gives, order.id.as_str(), &mover.actor, mover.now).await?;
    store::clear_allocations(tx, &order.id).await?;
    for item in order.items.iter_mut().flatten() {
        item.allocated = 0;
    }
    Ok(())
}

/// What the order still holds leaves the shelf, and every line is fulfilled, those too whose stock is not tracked.
async fn ship(tx: &mut Tx, order: &mut Order, mover: &Mover) -> Result<()> {
    let sends = held(order)?;
    let id = order.id.as_str();
    let short = inventory::store::ship(tx, &sends, id, &mover.actor, mover.now).await?;
    if !short.is_empty() {
        return Err(crate::error::short_of(&short));
    }
    store::fulfil(tx, &order.id).await?;
    for item in order.items.iter_mut().flatten() {
        (item.fulfilled, item.allocated) = (item.quantity, 0);
    }
    order.fulfillment_status = FulfillmentStatus::Fulfilled;
    Ok(())
}

/// (variant, units) that the order holds, sorted, the lines of one variant summed.
fn held(order: &Order) -> Result<Vec<(VariantId, i64)>> {
    let lines = order.items.iter().flatten();
    let held: Vec<(VariantId, i64)> = lines
        .filter(|item| item.allocated > 0)
        .filter_map(|item| Some((item.variant_id.clone()?, item.allocated)))
        .collect();
    let held =
        merge_quantities(&held).map_err(|_| Problem::from(super::totals::AmountOutOfRange))?;
    Ok(held.into_iter().collect())
}

async fn saved(tx: &mut Tx, order: Order, kind: &str, mover: &Mover) -> Result<Order> {
    store::save_move(tx, &order).await?;
    let data =
        json!({ "status": order.status, "number": order.number, "reason": order.cancel_reason })
            .to_string();
    tell(tx, &order, kind, &data, mover).await?;
    Ok(order)
}

/// Tells the log what `mover` did to `order`.
pub async fn tell(tx: &mut Tx, order: &Order, kind: &str, data: &str, mover: &Mover) -> Result<()> {
    let event = NewEvent {
        kind,
        object_type: "order",
        object_id: order.id.as_str(),
        object_version: order.version,
        actor: &mover.actor,
        data,
        at: mover.now,
    };
    Ok(events::append(tx, &event).await?)
}

impl From<IllegalMove> for Problem {
    fn from(refused: IllegalMove) -> Problem {
        let allowed: Vec<&str> = refused
            .from
            .allowed()
            .iter()
            .map(|status| status.as_str())
            .collect();
        let detail = format!(
            "an order that is {} cannot become {}",
            refused.from.as_str(),
            refused.to.as_str()
        );
        Problem::new(&crate::error::INVALID_TRANSITION, detail).with("allowed", allowed)
    }
}

impl From<CancelRefused> for Problem {
    fn from(refused: CancelRefused) -> Problem {
        match refused {
            CancelRefused::IllegalMove(refused) => refused.into(),
            CancelRefused::AlreadyShipped(_) => {
                let detail = "something of this order has shipped: take it back as a return";
                Problem::new(&crate::error::INVALID_TRANSITION, detail)
                    .with("allowed", Vec::<String>::new())
            }
        }
    }
}
