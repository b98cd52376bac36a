//! Handlers that change an order.

use super::{parse_id, subject};
use crate::app::App;
use crate::error::{self, Result, duplicate, not_found};
use crate::oauth::Caller;
use crate::orders::body::{CancelOrder, Order};
use crate::orders::change::OrderPatch;
use crate::orders::moves::{self, Move, Mover};
use crate::orders::store;
use crate::users;
use axum::extract::State;
use platform::db::Tx;
use platform::http::{Command, MergePatch, NoFields, Once, Operation, Path, Problem, Reply};
use serde_json::json;

/// What `PATCH /v2/orders/{id}` promises.
pub fn patch_operation() -> Operation {
    Operation::new("patchOrder", "Orders", "Changes some fields of an order.")
        .describe(
            "Fields that are sent are changed, `null` clears, `tags` and addresses are replaced, keys of `metadata` that \
             are not sent stay. `note`, `tags`, `metadata` and `external_id` can be changed at any time; `email` and \
             `billing_address` until the order is completed or cancelled; `shipping_address` until then or until something \
             has shipped. What was bought, for how much and by whom never changes: read-only fields are accepted when they \
             are sent back unchanged. A request that changes nothing makes no new version. The event is `order.updated`.",
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

/// `PATCH /v2/orders/{id}`.
pub async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
    MergePatch { fields, once }: MergePatch,
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
        let shown = serde_json::to_value(&order)
            .expect("our own types serialise: string keys, no failing impls");
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

fn move_operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "Orders", summary)
        .returns::<Order>(200, "The order after the move.")
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
    move_operation("confirmOrder", summary).body::<NoFields>()
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
    move_operation("completeOrder", "Completes a confirmed order.").body::<NoFields>()
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
    move_operation("cancelOrder", summary).body::<CancelOrder>()
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
