//! What an order tells of itself.

use super::parse_id;
use crate::app::App;
use crate::error::{Result, not_found};
use crate::orders::explain::{self, Beginning, OrderExplanation};
use crate::orders::store;
use crate::products::{self, VariantId};
use axum::extract::{OriginalUri, State};
use platform::clock::Timestamp;
use platform::events;
use platform::http::{Operation, Page, PageQuery, Path, Query, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The parameters of a history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryQuery {
    #[serde(flatten)]
    pub page: PageQuery,
}

/// Something that happened to an order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryEntry {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// The order's version after it.
    pub version: i64,
    /// The client or the member of staff that did it, or `system`.
    pub actor: String,
    pub data: serde_json::Value,
    pub occurred_at: Timestamp,
    /// Its place in the log, for the page behind it; not shown.
    #[serde(skip)]
    pub seq: i64,
}

/// What `GET /v2/orders/{id}/history` promises.
pub fn history_operation() -> Operation {
    Operation::new(
        "getOrderHistory",
        "Orders",
        "Lists what happened to an order, with who did it, oldest first.",
    )
    .query::<HistoryQuery>()
    .returns::<Vec<HistoryEntry>>(200, "The events.")
    .example(json!([{
        "id": "evt_1", "type": "order.placed", "version": 1, "actor": "cli_shop", "occurred_at": "2023-10-27T10:10:00Z",
        "data": { "number": "1001", "total": 3499, "currency": "USD", "user_id": "user_123" }
    }]))
}

/// `GET /v2/orders/{id}/history`.
pub async fn history(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path,
    Query(query): Query<HistoryQuery>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let id = parse_id(&id)?;
    let mut tx = app.db.read().await?;
    let after = page
        .after
        .as_ref()
        .and_then(|key| key.first()?.parse().ok());
    let object = ("order", id.as_str());
    let (seq, fetch, offset) = (after.unwrap_or(0), page.fetch(), page.offset);
    let events = events::of_object_after(&mut tx, object, seq, fetch, offset).await?;
    if events.is_empty() && store::find(&mut tx, &id).await?.is_none() {
        return Err(not_found("order", id.as_str()));
    }
    let total = match page.include_total {
        true => Some(events::count_of_object(&mut tx, "order", id.as_str()).await?),
        false => None,
    };
    let entries: Vec<HistoryEntry> = events
        .into_iter()
        .map(|event| HistoryEntry {
            id: event.id,
            kind: event.kind,
            version: event.object_version,
            actor: event.actor,
            data: serde_json::from_str(&event.data).unwrap_or_default(),
            occurred_at: event.at,
            seq: event.position.seq,
        })
        .collect();
    let (public_url, cursors) = (&app.config.public_url, &app.cursors);
    Ok(page.reply(entries, total, public_url, cursors, |entry| {
        vec![entry.seq.to_string()]
    }))
}

/// What `GET /v2/orders/{id}/explain` promises.
pub fn explain_operation() -> Operation {
    Operation::new(
        "explainOrder",
        "Orders",
        "Tells where each minor unit of an order's totals comes from.",
    )
    .describe(
        "For each line the price row that was used with its window, beside the list price, or that the price was set by hand \
         (`orders:price`) or imported; what the quantity and the rounding make of it; and what each total is the sum of. The \
         terms of every sum add up to its amount exactly. Nothing is priced again: the order is told as it is stored, and \
         price rows as far as they are still known.",
    )
    .returns::<OrderExplanation>(200, "The order, taken apart.")
    .example(explained())
}

fn explained() -> Value {
    let sum = |amount: i64, terms: &[(&str, i64)]| {
        let terms: Vec<Value> = terms
            .iter()
            .map(|(of, amount)| json!({ "of": of, "amount": amount }))
            .collect();
        json!({ "amount": amount, "terms": terms })
    };
    json!({
        "order_id": "ord_1001", "number": "1001", "version": 1, "currency": "USD", "exponent": 2, "placed_by": "cli_shop",
        "lines": [{
            "item_id": "item_1", "variant_id": "var_mug_blue", "sku": "MUG-BLUE", "title": "Blue mug", "quantity": 2,
            "unit_price": {
                "amount": 1500, "source": "price_row",
                "price": { "id": "price_autumn", "state": "current", "row": {
                    "id": "price_autumn", "currency": "USD", "amount": 1500, "compare_at_amount": null, "min_quantity": 1,
                    "group": null, "starts_at": "2023-10-01T00:00:00Z", "ends_at": "2023-11-01T00:00:00Z"
                } },
                "priced_quantity": 2, "list_amount": 1999, "list_source": "everyday_price", "saved": 998
            },
            "subtotal": sum(3000, &[("quantity_times_unit_price", 3000)]),
            "total": sum(3000, &[("subtotal", 3000)])
        }],
        "totals": {
            "items": sum(3000, &[("line_subtotals", 3000)]), "discount": sum(0, &[("line_discounts", 0)]),
            "shipping": sum(499, &[("shipping", 499)]), "tax": sum(0, &[("line_taxes", 0)]), "tax_included": false,
            "total": sum(3499, &[("line_totals", 3000), ("shipping", 499)]), "due": sum(3499, &[("total", 3499)])
        }
    })
}

/// `GET /v2/orders/{id}/explain`.
pub async fn explain(State(app): State<App>, Path(id): Path) -> Result<Reply> {
    let id = parse_id(&id)?;
    let mut tx = app.db.read().await?;
    let order = store::find(&mut tx, &id).await?;
    let order = order.ok_or_else(|| not_found("order", id.as_str()))?;
    let used: Vec<(&VariantId, &str)> = order
        .items
        .iter()
        .flatten()
        .filter_map(|item| Some((item.variant_id.as_ref()?, item.price_id.as_deref()?)))
        .collect();
    let prices = products::store::known_prices(&mut tx, &used).await?;
    let first = events::of_object(&mut tx, "order", id.as_str(), 1, 0).await?;
    let beginning = first
        .into_iter()
        .next()
        .map_or_else(Beginning::default, |event| Beginning {
            imported: event.kind == "order.imported",
            actor: Some(event.actor),
        });
    let explanation = explain::explain(&order, &prices, &beginning);
    Ok(Reply::entity(explanation.version, &explanation))
}
