//! Handlers that change an order.

use super::{parse_id, subject};
use crate::app::App;
use crate::error::{self, Result, duplicate, not_found};
use crate::oauth::Caller;
use crate::orders::body::{CancelOrder, Order};
use crate::orders::change::OrderPatch;
use crate::orders::moves::{self, Move, Mover};
use crate::orders::store;
use crate::sent_back::leave_computed_out;
use crate::users;
use axum::extract::State;
use platform::db::Tx;
use platform::http::{Command, MergePatch, NoFields, Once, Operation, Path, Problem, Reply};
use serde_json::{Value, json};

/// What `PATCH /v2/orders/{id}` promises.
pub fn patch_operation() -> Operation {
    Operation::new("patchOrder", "Orders", "Changes some fields of an order.")
        .describe(
            "Fields that are sent are changed, `null` clears, `tags` and addresses are replaced, keys of `metadata` that \
             are not sent stay. `note`, `tags`, `metadata` and `external_id` can be changed at any time; `email` and \
             `billing_address` until the order is completed or cancelled; `shipping_address` until then or until something \
             has shipped. What was bought, for how much and by whom never changes, and the states have operations of their own. \
             An object as it was read can be sent back: what the server computes (`totals`, `country`, the counters of the lines, times of \
             changes, `version`) is ignored; another read-only field is refused when it differs (`read_only`). \
             `If-Match` guards against changes that happened meanwhile. A request that changes nothing makes no new version. The event is `order.updated`.",
        )
        .body::<OrderPatch>()
        .body_example(json!({
            "note": "Leave it with the neighbour.", "tags": ["gift"], "metadata": { "wrapped_by": "Kim" },
            "shipping_address": { "name": "Alice Smith", "line1": "2 High Street", "city": "Springfield", "country": "US" }
        }))
        .returns::<Order>(200, "The order after the change.")
        .example(super::example())
        .errors(&[&error::DUPLICATE, &error::NOT_CHANGEABLE, &error::USER_ANONYMIZED])
}

/// What the server computes of an order.
const COMPUTED: [&str; 8] = [
    "totals",
    "country",
    "confirmed_at",
    "completed_at",
    "cancelled_at",
    "expires_at",
    "updated_at",
    "version",
];

/// A line's counters move with the order; the rest of a line never changes.
fn leave_counters_out(items: Option<&mut Value>) {
    for item in items.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(item) = item {
            leave_computed_out(item, &["allocated", "fulfilled", "returned", "refunded"]);
        }
    }
}

/// `PATCH /v2/orders/{id}`.
pub async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    MergePatch { mut fields, once }: MergePatch,
) -> Result<Reply> {
    let id = parse_id(&id)?;
    let mover = Mover {
        actor: caller.client_id.to_string(),
        if_match: once.if_match(),
        now: app.clock.now(),
    };
    app.write_once(once, async move |tx| {
        let order = store::find_and_lock(tx, &id).await?;
        let mut order = order.ok_or_else(|| not_found("order", id.as_str()))?;
        moves::refuse_stale(&order, &mover)?;
        let mut shown = serde_json::to_value(&order)
            .expect("our own types serialise: string keys, no failing impls");
        leave_computed_out(&mut fields, &COMPUTED);
        leave_counters_out(fields.get_mut("items"));
        leave_counters_out(shown.get_mut("items"));
        let change = MergePatch::read_against::<OrderPatch>(&fields, &shown)?;
        let changed = order.apply(change, mover.now)?;
        if !changed.is_empty() {
            save(tx, &order, &changed, &mover).await?;
        }
        Ok(Reply::entity(order.version, &order).about(subject(&order)))
    })
    .await
}

/// Stores what [`Order::apply`] changed and tells the log.
async fn save(tx: &mut Tx, order: &Order, changed: &[&'static str], mover: &Mover) -> Result<()> {
    if let (true, Some(user_id)) = (order.tells_more_of_the_buyer(changed), &order.user_id)
        && !users::store::is_known(tx, user_id).await?
    {
        let detail = format!("the user `{user_id}` was forgotten, and this would tell who it was");
        return Err(Problem::new(&error::USER_ANONYMIZED, detail));
    }
    if let (true, Some(external_id)) = (changed.contains(&"external_id"), &order.external_id)
        && store::find_external(tx, external_id).await?.is_some()
    {
        return Err(duplicate("external_id", external_id));
    }
    store::save_change(tx, order)
        .await
        .map_err(super::taken_external_id)?;
    let data = json!({ "number": order.number, "changed": changed }).to_string();
    moves::tell(tx, order, "order.updated", &data, mover).await
}

fn move_operation(id: &'static str, summary: &'static str, example: &str) -> Operation {
    Operation::new(id, "Orders", summary)
        .returns::<Order>(200, "The order after the move.")
        .example(crate::orders::examples::of(example))
        .errors(&[&error::INVALID_TRANSITION])
}

/// Makes one step as one write request.
async fn moved(app: App, caller: Caller, id: &str, once: Once, step: Move) -> Result<Reply> {
    let id = parse_id(id)?;
    let mover = Mover {
        actor: caller.client_id.to_string(),
        if_match: once.if_match(),
        now: app.clock.now(),
    };
    app.write_once(once, async move |tx| {
        let order = moves::make(tx, &id, &step, &mover).await?;
        Ok(Reply::entity(order.version, &order).about(subject(&order)))
    })
    .await
}

/// What `POST /v2/orders/{id}/confirm` promises.
pub fn confirm_operation() -> Operation {
    let summary = "Confirms a pending order: its stock is kept for it without end.";
    move_operation("confirmOrder", summary, "confirmed")
        .body::<NoFields>()
        .body_example(json!({}))
}

/// `POST /v2/orders/{id}/confirm`.
pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    command: Command<NoFields>,
) -> Result<Reply> {
    moved(app, caller, &id, command.once, Move::Confirm).await
}

/// What `POST /v2/orders/{id}/complete` promises.
pub fn complete_operation() -> Operation {
    move_operation("completeOrder", "Completes a confirmed order: what it still holds is shipped.", "completed",)
        .describe(
            "The stock that is set aside for it leaves the shelf (`shipped` movements: `on_hand` and `allocated` fall \
             together), all its lines become `fulfilled`, and so does `fulfillment_status`; of lines whose stock is not tracked \
             nothing moves. Refused with `insufficient_stock` when units that were sold on \
             backorder are not on the shelf yet. Payment is not asked for.",
        )
        .body::<NoFields>()
        .body_example(json!({}))
        .errors(&[&error::INSUFFICIENT_STOCK])
}

/// `POST /v2/orders/{id}/complete`.
pub async fn complete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    command: Command<NoFields>,
) -> Result<Reply> {
    moved(app, caller, &id, command.once, Move::Complete).await
}

/// What `POST /v2/orders/{id}/cancel` promises.
pub fn cancel_operation() -> Operation {
    let summary = "Cancels an order of which nothing has shipped, and gives its stock back.";
    move_operation("cancelOrder", summary, "cancelled")
        .body::<CancelOrder>()
        .body_example(json!({ "reason": "changed their mind" }))
}

/// `POST /v2/orders/{id}/cancel`.
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    command: Command<CancelOrder>,
) -> Result<Reply> {
    let reason = command.body.reason;
    let reason = reason.unwrap_or_else(|| "requested".to_owned());
    moved(app, caller, &id, command.once, Move::Cancel { reason }).await
}
