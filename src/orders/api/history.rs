//! What an order tells of itself.

use super::parse_id;
use crate::app::App;
use crate::error::{Result, not_found};
use crate::orders::store;
use axum::extract::State;
use axum::http::StatusCode;
use platform::clock::Timestamp;
use platform::events;
use platform::http::{Operation, Path, Query, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parameters of a history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryQuery {
    /// Maximum number of events to return.
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<i64>,
    /// Number of events to skip.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub offset: Option<i64>,
}

/// Something that happened to an order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryEntry {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// The order's version after it.
    pub version: i64,
    /// The client that did it, or `system`.
    pub actor: String,
    pub data: serde_json::Value,
    pub occurred_at: Timestamp,
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
}

/// `GET /v2/orders/{id}/history`.
pub async fn history(
    State(app): State<App>,
    Path(id): Path,
    Query(query): Query<HistoryQuery>,
) -> Result<Reply> {
    let id = parse_id(&id)?;
    let mut tx = app.db.read().await?;
    let (limit, offset) = (query.limit.unwrap_or(50), query.offset.unwrap_or(0));
    let events = events::of_object(&mut tx, "order", id.as_str(), limit, offset).await?;
    if events.is_empty() && store::find(&mut tx, &id).await?.is_none() {
        return Err(not_found("order", id.as_str()));
    }
    let entries: Vec<HistoryEntry> = events
        .into_iter()
        .map(|event| HistoryEntry {
            id: event.id,
            kind: event.kind,
            version: event.object_version,
            actor: event.actor,
            data: serde_json::from_str(&event.data).unwrap_or_default(),
            occurred_at: event.at,
        })
        .collect();
    Ok(Reply::json(StatusCode::OK, &entries))
}
