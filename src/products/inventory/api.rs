//! Handlers and wire types of `/v2/inventory` and `/v2/locations`.

use super::stock::*;
use super::store::{self, Adjusted, Counted};
use crate::app::App;
use crate::error::{INSUFFICIENT_STOCK, Result, STOCK_CHANGED};
use crate::oauth::Caller;
use crate::products::{ProductId, VariantId};
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use platform::clock::Timestamp;
use platform::db::Tx;
use platform::http::{Command, Operation, Page, PageQuery, Problem, Query, Reply, codes, given};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The parameters of the list of levels.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListLevels {
    #[serde(flatten)]
    pub page: PageQuery,
    /// Only of this variant.
    pub variant_id: Option<VariantId>,
    /// Only of the variant with this SKU.
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    /// Only of this product's variants.
    pub product_id: Option<ProductId>,
    /// Only at this location.
    pub location_id: Option<LocationId>,
}

/// What `GET /v2/inventory` promises.
pub fn list_operation() -> Operation {
    Operation::new("listInventory", "Inventory", "Retrieves stock levels.")
        .describe("One row for each variant and location, by variant.")
        .query::<ListLevels>()
        .returns::<Vec<Level>>(200, "The levels.")
        .example(crate::products::examples::of("levels"))
}

/// `GET /v2/inventory`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListLevels>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let levels = store::levels(&mut tx, &query, &page).await?;
    let total = match page.include_total {
        true => Some(store::count_levels(&mut tx, &query).await?),
        false => None,
    };
    Ok(page.reply(
        levels,
        total,
        &app.config.public_url,
        &app.cursors,
        |level| vec![level.variant_id.to_string(), level.location_id.to_string()],
    ))
}

/// The parameters of the list of movements.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListMovements {
    #[serde(flatten)]
    pub page: PageQuery,
    /// Only of this variant, which may have been deleted.
    pub variant_id: Option<VariantId>,
    /// Only of this kind.
    pub kind: Option<MovementKind>,
    /// Only for this order.
    #[schemars(length(min = 1, max = 77))]
    pub order_id: Option<String>,
    /// Only after this instant.
    pub created_after: Option<Timestamp>,
    /// Only before this instant.
    pub created_before: Option<Timestamp>,
}

/// What `GET /v2/inventory/movements` promises.
pub fn movements_operation() -> Operation {
    Operation::new("listStockMovements", "Inventory", "Retrieves the ledger of stock movements.")
        .describe("Oldest first. The ledger only grows: levels are its sums, and it outlives deleted products.")
        .query::<ListMovements>()
        .returns::<Vec<Movement>>(200, "The movements.").example(crate::products::examples::of("movements"))
}

/// `GET /v2/inventory/movements`.
pub async fn movements(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListMovements>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let movements = store::movements(&mut tx, &query, &page).await?;
    let total = match page.include_total {
        true => Some(store::count_movements(&mut tx, &query).await?),
        false => None,
    };
    Ok(page.reply(
        movements,
        total,
        &app.config.public_url,
        &app.cursors,
        |movement| {
            vec![
                movement.created_at.micros().to_string(),
                movement.id.to_string(),
            ]
        },
    ))
}

/// The parameters of the list of locations.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListLocations {
    #[serde(flatten)]
    pub page: PageQuery,
}

/// What `GET /v2/locations` promises.
pub fn locations_operation() -> Operation {
    Operation::new(
        "listLocations",
        "Inventory",
        "Retrieves the places where stock is kept.",
    )
    .query::<ListLocations>()
    .returns::<Vec<Location>>(200, "The locations.")
    .example(crate::products::examples::of("locations"))
}

/// `GET /v2/locations`.
pub async fn locations(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListLocations>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let locations = store::locations(&mut tx, &page).await?;
    let total = match page.include_total {
        true => Some(store::count_locations(&mut tx).await?),
        false => None,
    };
    Ok(page.reply(
        locations,
        total,
        &app.config.public_url,
        &app.cursors,
        |location| {
            vec![
                location.created_at.micros().to_string(),
                location.id.to_string(),
            ]
        },
    ))
}

/// A correction of one level. Exactly one of `variant_id` and `sku`, exactly one of `delta` and `set_to`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-rules" = [
    { "oneOf": [given("variant_id"), given("sku")] },
    { "oneOf": [given("delta"), given("set_to")] },
]))]
pub struct NewAdjustment {
    #[serde(default)]
    pub variant_id: Option<VariantId>,
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    /// The default location when it is left away.
    #[serde(default)]
    pub location_id: Option<LocationId>,
    /// So many more on the shelf, or fewer when below 0.
    #[serde(default)]
    #[schemars(range(min = -ADJUSTMENT_MAX, max = ADJUSTMENT_MAX))]
    pub delta: Option<i64>,
    /// Counted: so many are on the shelf.
    #[serde(default)]
    #[schemars(range(min = 0, max = ADJUSTMENT_MAX))]
    pub set_to: Option<i64>,
    /// Why, for the ledger: `damaged`, `stocktake`, a delivery note.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,
    /// Refuse the adjustment unless so many are on the shelf now.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000_000_i64))]
    pub expected_on_hand: Option<i64>,
}

/// What an adjustment did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Adjustment {
    /// The ledger's row.
    pub movement_id: MovementId,
    /// How many more, or fewer, are on the shelf.
    pub delta: i64,
    pub reason: String,
    /// The level afterwards.
    pub level: Level,
    pub created_at: Timestamp,
}

/// What `POST /v2/inventory/adjustments` promises.
pub fn adjust_operation() -> Operation {
    Operation::new("adjustInventory", "Inventory", "Corrects a stock level.")
        .describe(
            "Never below 0, nor below what is set aside for orders unless the variant allows backorders. The first \
             adjustment of a variant whose stock was not counted starts counting it (`track_inventory`). A `variant_id`, \
             `sku` or `location_id` that names nothing is an `invalid_body`.",
        )
        .body::<NewAdjustment>()
        .body_example(json!({ "sku": "MUG-BLUE", "delta": 12, "reason": "delivery 4711", "expected_on_hand": 3 }))
        .returns::<Adjustment>(201, "What was done, and the level afterwards.").example(crate::products::examples::of("adjustment"))
        .errors(&[&INSUFFICIENT_STOCK, &STOCK_CHANGED, &codes::INVALID_BODY])
}

/// `POST /v2/inventory/adjustments`.
pub async fn adjust(
    State(app): State<App>,
    caller: Caller,
    command: Command<NewAdjustment>,
) -> Result<Reply> {
    let Command { body, once } = command;
    let change = check(&body)?;
    let now = app.clock.now();
    app.write_once(once, async move |tx| {
        let done = make(tx, &body, change, &caller.client_id, now).await?;
        let place = format!("/v2/inventory?variant_id={}", done.level.variant_id);
        Ok(Reply::json(StatusCode::CREATED, &done).with(header::LOCATION, &place))
    })
    .await
}

/// Makes an adjustment whose `change` is that of `wanted`, see [`check`].
pub async fn make(
    tx: &mut Tx,
    wanted: &NewAdjustment,
    change: Change,
    actor: &str,
    now: Timestamp,
) -> Result<Adjustment> {
    let variant = find(tx, wanted).await?;
    if !variant.track_inventory {
        // Before the level is locked: a change of the product takes its locks in this order too.
        store::start_tracking(tx, &variant, actor, now).await?;
    }
    let location = wanted.location_id.clone().unwrap_or_else(LocationId::main);
    let Some(level) = store::lock(tx, &variant.variant_id, &location).await? else {
        return Err(unknown("location_id"));
    };
    let after = level.adjusted(change, wanted.expected_on_hand, variant.allow_backorder)?;
    let adjusted = Adjusted {
        variant_id: &variant.variant_id,
        product_id: &variant.product_id,
        level,
        after,
        reason: &wanted.reason,
    };
    let movement_id = store::write_adjusted(tx, &adjusted, actor, now).await?;
    let level = Counters {
        on_hand: after,
        ..level
    };
    Ok(Adjustment {
        movement_id,
        delta: after - adjusted.level.on_hand,
        reason: wanted.reason.clone(),
        level: shown(&variant, location, level),
        created_at: now,
    })
}

fn shown(variant: &Counted, location_id: LocationId, level: Counters) -> Level {
    Level {
        variant_id: variant.variant_id.clone(),
        product_id: variant.product_id.clone(),
        sku: variant.sku.clone(),
        location_id,
        on_hand: level.on_hand,
        allocated: level.allocated,
        reserved: 0,
        available: level.on_hand - level.allocated,
        incoming: 0,
        track_inventory: true,
    }
}

async fn find(tx: &mut Tx, body: &NewAdjustment) -> Result<Counted> {
    let found = store::find_variant(tx, body.variant_id.as_ref(), body.sku.as_deref()).await?;
    found.ok_or_else(|| {
        unknown(if body.variant_id.is_some() {
            "variant_id"
        } else {
            "sku"
        })
    })
}

fn unknown(field: &str) -> Problem {
    Problem::new(&codes::INVALID_BODY, format!("there is no such {field}")).at(
        &format!("#/{field}"),
        "not_found",
        "names nothing that exists",
    )
}

/// The two choices that a schema cannot say plainly.
pub fn check(body: &NewAdjustment) -> Result<Change> {
    let mut problem = None;
    let mut refuse = |field: &str, code: &'static str, detail: &str| {
        let known = problem
            .take()
            .unwrap_or_else(|| Problem::new(&codes::INVALID_BODY, detail));
        problem = Some(known.at(&format!("#/{field}"), code, detail));
    };
    match (&body.variant_id, &body.sku) {
        (None, None) => refuse("variant_id", "required", "variant_id or sku is required"),
        (Some(_), Some(_)) => refuse("sku", "excluded", "not together with variant_id"),
        _ => {}
    }
    let change = match (body.delta, body.set_to) {
        (Some(delta), None) => Some(Change::By(delta)),
        (None, Some(count)) => Some(Change::To(count)),
        (None, None) => {
            refuse("delta", "required", "delta or set_to is required");
            None
        }
        (Some(_), Some(_)) => {
            refuse("set_to", "excluded", "not together with delta");
            None
        }
    };
    match (problem, change) {
        (None, Some(change)) => Ok(change),
        (problem, _) => {
            Err(problem.unwrap_or_else(|| Problem::new(&codes::INVALID_BODY, "nothing to do")))
        }
    }
}
