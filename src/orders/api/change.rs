//! Handlers that change an order.

use super::parse_id;
use crate::app::App;
use crate::error::{self, Result};
use crate::oauth::Caller;
use crate::orders::body::{CancelOrder, Order};
use crate::orders::moves::{self, Move, Mover};
use axum::extract::State;
use platform::http::{Command, NoFields, Once, Operation, Path, Reply};

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
        Ok(Reply::entity(order.version, &order))
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
