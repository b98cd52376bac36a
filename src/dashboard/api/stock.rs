//! `/dashboard/products/{id}/stock/{variant}`: how much there is of a variant, and why.

use super::product_edit::is_of_form;
use super::products::find;
use super::variants::name_of;
use super::{next_link, page_of};
use crate::app::App;
use crate::dashboard::actors::Actors;
use crate::dashboard::fields::Fields;
use crate::dashboard::figures::store as figures;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::product_form::whole;
use crate::dashboard::role::Role;
use crate::dashboard::show::{When, count, words};
use crate::dashboard::store as own;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::error::{Result, STOCK_CHANGED, not_found};
use crate::products::inventory::api::{ListLevels, NewAdjustment, check, make};
use crate::products::inventory::stock::{ADJUSTMENT_MAX, Level, LocationId, Movement};
use crate::products::inventory::store as inventory;
use crate::products::product::{Product, VariantId};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use platform::db::Tx;
use platform::http::{Page, PageQuery, PathPair, Problem, Schema, codes, field_errors_to_problem};
use serde_json::json;

/// Locations of one variant that are shown.
const LOCATIONS_MAX: i64 = 100;

#[derive(Debug)]
struct Row {
    at: When,
    what: String,
    on_hand: String,
    allocated: String,
    order: Option<String>,
    reason: String,
    who: String,
    /// Empty while there is one location.
    location: String,
}

#[derive(Template)]
#[template(path = "stock.html")]
struct StockPage<'a> {
    frame: Frame,
    product: &'a Product,
    path: String,
    name: String,
    sku: String,
    tracked: bool,
    backorder: bool,
    may_adjust: bool,
    levels: Vec<Level>,
    rows: Vec<Row>,
    next: String,
    first: bool,
    typed: Fields,
    wrong: Wrong,
    done: &'a str,
}

fn signed(delta: i64) -> String {
    match delta {
        0 => String::new(),
        delta if delta > 0 => format!("+{}", count(delta)),
        delta => count(delta),
    }
}

/// What a page of stock is made from.
struct Shown<'a> {
    app: &'a App,
    signed_in: &'a SignedIn,
    uri: &'a Uri,
    ids: (&'a str, &'a str),
}

impl Shown<'_> {
    /// What is where.
    async fn levels(&self, tx: &mut Tx, variant: &VariantId) -> Result<Vec<Level>> {
        let all = PageQuery {
            limit: Some(LOCATIONS_MAX),
            ..PageQuery::default()
        };
        let all = Page::new(&all, self.uri, &self.app.cursors)?;
        let query = ListLevels {
            variant_id: Some(variant.clone()),
            ..ListLevels::default()
        };
        let mut levels = inventory::levels(tx, &query, &all).await?;
        all.cut(&mut levels);
        Ok(levels)
    }

    async fn page(&self, status: StatusCode, typed: Fields, wrong: Wrong) -> Result<Response> {
        let Shown {
            app,
            signed_in,
            uri,
            ids: (id, variant),
        } = self;
        let product = find(app, signed_in, id).await?;
        let found = product
            .variants
            .iter()
            .find(|one| one.id.as_str() == *variant);
        let variant = found.ok_or_else(|| not_found("variant", variant))?;
        let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
        let page = page_of(app, uri, asked.some("cursor"))?;
        let mut tx = app.db.read().await?;
        let levels = self.levels(&mut tx, &variant.id).await?;
        let mut movements = figures::movements(&mut tx, &variant.id, &page).await?;
        let by = movements.iter().map(|movement| movement.actor.as_str());
        let actors = Actors::of(&mut tx, by).await?;
        let more = page.cut(&mut movements);
        let last = movements.last().filter(|_| more);
        let last = last.map(|row| vec![row.created_at.micros().to_string(), row.id.to_string()]);
        let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
        let row = |movement: &Movement| Row {
            at: When::new(movement.created_at, now, &zone),
            what: words(&movement.kind),
            on_hand: signed(movement.on_hand_delta),
            allocated: signed(movement.allocated_delta),
            order: movement.order_id.clone(),
            reason: movement.reason.clone().unwrap_or_default(),
            who: actors.name(&movement.actor).to_owned(),
            location: match levels.len() {
                0 | 1 => String::new(),
                _ => movement.location_id.to_string(),
            },
        };
        let page = StockPage {
            frame: Frame::new(&signed_in.visit, format!("Stock of {}", product.title)),
            path: format!("/dashboard/products/{}/stock/{}", product.id, variant.id),
            name: name_of(variant),
            sku: variant.sku.clone().unwrap_or_default(),
            tracked: variant.track_inventory,
            backorder: variant.allow_backorder,
            may_adjust: signed_in.visit.may(Role::Operator),
            rows: movements.iter().map(row).collect(),
            next: next_link(app, &page, last),
            first: asked.some("cursor").is_none(),
            done: match signed_in.visit.done() {
                "adjusted" => "The stock is adjusted; the ledger says by whom and why.",
                _ => "",
            },
            product: &product,
            levels,
            typed,
            wrong,
        };
        Ok(frame::page(status, &page))
    }
}

/// `GET /dashboard/products/{id}/stock/{variant}`.
pub async fn get(
    State(app): State<App>,
    signed_in: SignedIn,
    PathPair(id, variant): PathPair,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let shown = Shown {
        app: &app,
        signed_in: &signed_in,
        uri: &uri,
        ids: (&id, &variant),
    };
    shown
        .page(StatusCode::OK, Fields::default(), Wrong::default())
        .await
}

/// `POST /dashboard/products/{id}/stock/{variant}`.
pub async fn adjust(
    State(app): State<App>,
    signed_in: SignedIn,
    PathPair(id, variant): PathPair,
    OriginalUri(uri): OriginalUri,
    Form(typed): Form,
) -> Result<Response> {
    let product = find(&app, &signed_in, &id).await?;
    let known = product
        .variants
        .iter()
        .find(|one| one.id.as_str() == variant);
    let known = known.ok_or_else(|| not_found("variant", &variant))?;
    let name = known.sku.as_deref().unwrap_or(&product.title);
    let problem = match adjusted(&app, &signed_in, (&variant, name), &typed).await {
        Ok(()) => {
            let place = format!("/dashboard/products/{id}/stock/{variant}");
            return Ok(frame::done(&place, "adjusted"));
        }
        Err(problem) if is_of_form(&problem) => problem,
        Err(problem) => return Err(problem),
    };
    let wrong = match problem.code() == &STOCK_CHANGED {
        true => Wrong::line(&format!(
            "Somebody else changed this stock while you were here: {}. Nothing was changed; look at the figures below and send it again if it still holds.",
            problem.detail()
        )),
        false => Wrong::of(&problem, &[]),
    };
    let shown = Shown {
        app: &app,
        signed_in: &signed_in,
        uri: &uri,
        ids: (&id, &variant),
    };
    shown.page(problem.status(), typed, wrong).await
}

/// The adjustment that the form describes. It always says what its page showed on the shelf, so that a form that is
/// sent twice, or after somebody else's, is refused.
fn wanted(variant: &str, typed: &Fields) -> Result<NewAdjustment> {
    let refused = |field: &str, detail: &str| {
        Problem::new(&codes::INVALID_BODY, detail).at(&format!("#/{field}"), "invalid", detail)
    };
    let least = i64::from(typed.get("how") != "count");
    let units = whole(typed.get("units")).filter(|units| (least..=ADJUSTMENT_MAX).contains(units));
    let expected = format!(
        "expected a whole number from {least} to {}",
        count(ADJUSTMENT_MAX)
    );
    let units = units.ok_or_else(|| refused("units", &expected))?;
    let (location, expected) = typed.get("location").split_once(':').unwrap_or_default();
    let location = LocationId::parse(location).unwrap_or_else(LocationId::main);
    let expected = whole(expected).ok_or_else(|| refused("location", "the form has no stock"))?;
    let (member, value) = match typed.get("how") {
        "receive" => ("delta", units),
        "take" => ("delta", -units),
        "count" => ("set_to", units),
        _ => return Err(refused("how", "choose what happened")),
    };
    let body = json!({ "variant_id": variant, "location_id": location, member: value,
        "reason": typed.get("reason"), "expected_on_hand": expected });
    let violations = Schema::of::<NewAdjustment>().violations(&body);
    if !violations.is_empty() {
        return Err(field_errors_to_problem(violations));
    }
    let read = serde_json::from_value(body);
    read.map_err(|error| Problem::new(&codes::INVALID_BODY, error.to_string()))
}

async fn adjusted(
    app: &App,
    signed_in: &SignedIn,
    (variant, name): (&str, &str),
    typed: &Fields,
) -> Result<()> {
    let wanted = wanted(variant, typed)?;
    let change = check(&wanted)?;
    let (by, variant) = (signed_in.clone(), variant.to_owned());
    let before = wanted.expected_on_hand.unwrap_or_default();
    let after = match (wanted.delta, wanted.set_to) {
        (Some(delta), _) => before.saturating_add(delta),
        (None, set_to) => set_to.unwrap_or_default(),
    };
    let (before, after, reason) = (count(before), count(after), typed.get("reason"));
    let told = format!("{name}, on hand: {before} → {after}; {reason}");
    let done: Result<()> = app
        .db
        .write(async move |tx| {
            let (actor, now) = (by.staff.id.as_str(), by.visit.now());
            make(tx, &wanted, change, actor, now).await?;
            let object = ("variant", variant.as_str());
            own::note_change(tx, by.doer(), "stock.adjusted", object, &told).await?;
            Ok(())
        })
        .await;
    app.nudge.send();
    done
}
