//! `/dashboard/orders/{id}/confirm`, `…/complete` and `…/cancel`: what a step would do, and the step.

use super::orders::id_of;
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::figures::store as figures;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::show::{Badge, count, money};
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::error::{Result, not_found};
use crate::orders::moves::{self, Move, Mover};
use crate::orders::order::{self, OrderStatus};
use crate::orders::{Order, store as orders};
use crate::products::VariantId;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{IfMatch, Path, Problem, codes};
use std::collections::BTreeMap;

/// Longest reason of a cancellation, in characters.
const REASON_CHARS_MAX: usize = 255;

/// A step, as its page tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Confirm,
    Complete,
    Cancel,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Confirm => "confirm",
            Step::Complete => "complete",
            Step::Cancel => "cancel",
        }
    }

    /// What becomes of the order, in one sentence.
    fn told(self) -> &'static str {
        match self {
            Step::Confirm => {
                "The order is accepted. Its stock stays allocated to it and no longer expires."
            }
            Step::Complete => {
                "Its allocated stock leaves the warehouse, and all its lines count as fulfilled. It cannot be cancelled afterwards."
            }
            Step::Cancel => {
                "The order is cancelled for good, and its allocated stock is available again."
            }
        }
    }

    /// The same refusals as the step itself meets, before anybody is asked.
    fn check(self, order: &Order) -> Result<()> {
        match self {
            Step::Confirm => order.status.advance(OrderStatus::Confirmed)?,
            Step::Complete => order.status.advance(OrderStatus::Completed)?,
            Step::Cancel => order::cancel(order.status, order.fulfillment_status)?,
        };
        Ok(())
    }
}

/// What a step does to the stock of one variant.
#[derive(Debug)]
struct Effect {
    title: String,
    sku: String,
    units: String,
    /// On hand, allocated, available: before and after.
    levels: [(String, String); 3],
}

#[derive(Template)]
#[template(path = "order_move.html")]
struct MovePage<'a> {
    frame: Frame,
    order: &'a Order,
    number: &'a str,
    status: Badge,
    payment: Badge,
    step: &'static str,
    told: &'static str,
    effects: Vec<Effect>,
    /// Names and amounts: before, and after when it differs.
    sums: Vec<(&'static str, String, Option<String>)>,
    /// Money was taken that cancelling does not give back.
    taken: bool,
}

/// What is set aside for the order, the lines of one variant summed.
fn held(order: &Order) -> BTreeMap<VariantId, (String, String, i64)> {
    let mut held = BTreeMap::new();
    let lines = order.items.iter().flatten();
    for item in lines.filter(|item| item.allocated > 0) {
        let Some(id) = &item.variant_id else { continue };
        let sku = item.sku.clone().unwrap_or_default();
        let entry = held.entry(id.clone());
        entry.or_insert((item.title.clone(), sku, 0)).2 += item.allocated;
    }
    held
}

fn effects(
    step: Step,
    held: BTreeMap<VariantId, (String, String, i64)>,
    levels: &BTreeMap<VariantId, (i64, i64)>,
) -> Vec<Effect> {
    let effect = |(id, (title, sku, units)): (VariantId, (String, String, i64))| {
        let (on_hand, allocated) = levels.get(&id).copied().unwrap_or_default();
        let (shelf_after, allocated_after) = match step {
            Step::Confirm => (on_hand, allocated),
            Step::Complete => (on_hand - units, allocated - units),
            Step::Cancel => (on_hand, allocated - units),
        };
        Effect {
            title,
            sku,
            units: count(units),
            levels: [
                (on_hand, shelf_after),
                (allocated, allocated_after),
                (on_hand - allocated, shelf_after - allocated_after),
            ]
            .map(|(before, after)| (count(before), count(after))),
        }
    };
    held.into_iter().map(effect).collect()
}

/// The page of a step: what exactly it does to money and stock.
async fn asked(app: &App, signed_in: &SignedIn, id: &str, step: Step) -> Result<Response> {
    let id = id_of(id)?;
    let mut tx = app.db.read().await?;
    let order = orders::find(&mut tx, &id).await?;
    let order = order.ok_or_else(|| not_found("order", id.as_str()))?;
    step.check(&order)?;
    let held = held(&order);
    let ids: Vec<&VariantId> = held.keys().collect();
    let levels = figures::levels(&mut tx, &ids).await?;
    let amount = |amount| money(amount, order.currency);
    let due_after = match step {
        Step::Cancel if order.totals.due != 0 => Some(amount(0)),
        _ => None,
    };
    let taken = order.totals.total - order.totals.due;
    let number = order.number.as_deref().unwrap_or_default();
    let page = MovePage {
        frame: Frame::new(
            &signed_in.visit,
            format!(
                "{} order {number}",
                crate::dashboard::show::words(step.name())
            ),
        ),
        number,
        status: Badge(order.status.as_str()),
        payment: Badge(order.payment_status.as_str()),
        step: step.name(),
        told: step.told(),
        effects: effects(step, held, &levels),
        sums: vec![
            ("Total", amount(order.totals.total), None),
            ("Due", amount(order.totals.due), due_after),
        ],
        taken: step == Step::Cancel && taken != 0,
        order: &order,
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// `GET /dashboard/orders/{id}/confirm`.
pub async fn ask_confirm(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    asked(&app, &signed_in, &id, Step::Confirm).await
}

/// `GET /dashboard/orders/{id}/complete`.
pub async fn ask_complete(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    asked(&app, &signed_in, &id, Step::Complete).await
}

/// `GET /dashboard/orders/{id}/cancel`.
pub async fn ask_cancel(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    asked(&app, &signed_in, &id, Step::Cancel).await
}

/// `POST /dashboard/orders/{id}/confirm`.
pub async fn confirm(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    moved(&app, signed_in, &id, &typed, (Move::Confirm, "confirmed")).await
}

/// `POST /dashboard/orders/{id}/complete`.
pub async fn complete(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    moved(&app, signed_in, &id, &typed, (Move::Complete, "completed")).await
}

/// `POST /dashboard/orders/{id}/cancel`.
pub async fn cancel(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let reason = typed.some("reason").unwrap_or("requested").to_owned();
    if reason.chars().count() > REASON_CHARS_MAX {
        return Err(Problem::new(
            &codes::INVALID_BODY,
            "a reason has at most 255 characters",
        ));
    }
    let step = (Move::Cancel { reason }, "cancelled");
    moved(&app, signed_in, &id, &typed, step).await
}

/// Makes a step as the API does. The form brings the version that its page showed, so that nobody moves an order
/// that has changed under their eyes.
async fn moved(
    app: &App,
    signed_in: SignedIn,
    id: &str,
    typed: &Fields,
    (step, done): (Move, &'static str),
) -> Result<Response> {
    let id = id_of(id)?;
    let seen = typed.get("version").parse();
    let seen = seen.map_err(|_| Problem::new(&codes::INVALID_BODY, "the form has no version"))?;
    let back = format!("/dashboard/orders/{id}");
    let outcome: Result<()> = app
        .db
        .write(async move |tx| {
            let mover = Mover {
                actor: signed_in.staff.id.to_string(),
                if_match: IfMatch::version(seen),
                now: signed_in.visit.now(),
            };
            let order = moves::make(tx, &id, &step, &mover).await?;
            let action = format!("order.{done}");
            let number = order.number.unwrap_or_default();
            let told = match &step {
                Move::Cancel { reason } => format!("{number}: {reason}"),
                _ => number,
            };
            let object = ("order", id.as_str());
            store::note_change(tx, signed_in.doer(), &action, object, &told).await?;
            Ok(())
        })
        .await;
    match outcome {
        Err(problem) if problem.code() == &codes::PRECONDITION_FAILED => {
            let detail = "The order has changed meanwhile, so nothing was done. Go back and look at it as it is now.";
            return Err(Problem::new(&codes::PRECONDITION_FAILED, detail));
        }
        other => other?,
    }
    app.nudge.send();
    Ok(frame::done(&back, done))
}
