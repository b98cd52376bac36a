//! Where each minor unit of an order's totals comes from. Nothing is priced again: what is stored is taken
//! apart, and the parts of each sum add up to it exactly. A stored figure that its parts do not give is not
//! smoothed over: the difference is shown as [`Origin::Unexplained`].

use super::body::{Item, ItemId, Order, OrderId};
use super::order::OrderStatus;
use crate::money::Currency;
use crate::products::VariantId;
use crate::products::product::{KnownPrice, PriceRow, PriceState};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;

/// How an order's totals came about.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OrderExplanation {
    pub order_id: OrderId,
    pub number: Option<String>,
    /// The version of the order that is explained.
    pub version: i64,
    pub currency: Currency,
    /// Digits after the point of major units: 1999 with 2 is 19.99.
    pub exponent: u8,
    /// The client that placed or imported it, or `null` where the log begins later.
    pub placed_by: Option<String>,
    pub lines: Vec<ExplainedLine>,
    pub totals: ExplainedTotals,
}

/// How one line came about.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainedLine {
    pub item_id: ItemId,
    pub variant_id: Option<VariantId>,
    pub sku: Option<String>,
    pub title: String,
    pub quantity: i64,
    pub unit_price: ExplainedPrice,
    pub subtotal: Sum,
    pub total: Sum,
}

/// Where a unit price comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainedPrice {
    /// What one unit cost.
    pub amount: i64,
    pub source: PriceSource,
    /// The price row; `null` for a price that was not the catalogue's.
    pub price: Option<UsedPrice>,
    /// Units of this variant in the whole order: what the row's `min_quantity` was compared with.
    pub priced_quantity: i64,
    /// The everyday price beside it.
    pub list_amount: i64,
    /// Where `list_amount` comes from; `null` when the row that would tell is gone.
    pub list_source: Option<ListSource>,
    /// `list_amount` less `amount`, for all units of the line; negative for a price by hand above the list.
    pub saved: i64,
}

/// Who decided a unit price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// The lowest price row of the catalogue that applied when the order was placed.
    PriceRow,
    /// The caller named it, by the scope `orders:price`.
    ByHand,
    /// The order was imported with it.
    Imported,
}

/// Where a list price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ListPriceSource")]
pub enum ListSource {
    /// It is the unit price itself: nothing was reduced.
    UnitPrice,
    /// The row's `compare_at_amount`.
    CompareAtAmount,
    /// The lowest price row without a window that applied too.
    EverydayPrice,
    /// What the catalogue asked when the price was set by hand.
    CataloguePrice,
}

/// The price row that was used, as far as it is still known.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UsedPrice {
    pub id: String,
    pub state: PriceState,
    /// The row; of a retired one `starts_at` and `ends_at` are when it was in force. `null` when it is unknown.
    pub row: Option<PriceRow>,
}

/// A stored amount and what it is made of: `terms` add up to `amount` exactly.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedSum")]
pub struct Sum {
    pub amount: i64,
    pub terms: Vec<Term>,
}

/// A part of a [`Sum`].
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedTerm")]
pub struct Term {
    pub of: Origin,
    /// Negative for what is taken off.
    pub amount: i64,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ExplainedTermOrigin")]
pub enum Origin {
    /// Of a line: quantity times unit price.
    QuantityTimesUnitPrice,
    /// Of a line whose unit price had more digits than the currency: it was rounded after multiplying.
    Rounding,
    /// Of a line: its subtotal.
    Subtotal,
    /// What is taken off.
    Discount,
    /// The tax, where it comes on top of the prices.
    Tax,
    /// What delivery costs.
    Shipping,
    /// Of an order: the sum of the lines' subtotals.
    LineSubtotals,
    /// Of an order: the sum of the lines' discounts.
    LineDiscounts,
    /// Of an order: the sum of the lines' taxes.
    LineTaxes,
    /// Of an order: the sum of the lines' totals.
    LineTotals,
    /// Of what is due: the order's total.
    Total,
    /// Of what is due: what was taken already.
    Captured,
    /// Of what is due: what was given back of what was taken too much.
    Refunded,
    /// Of what is due: nothing is owed for a cancelled order.
    Cancelled,
    /// What no rule gives. There is none unless the stored order is damaged; `tradepost doctor` reports it.
    Unexplained,
}

/// The totals of the order, by their names there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainedTotals {
    pub items: Sum,
    pub discount: Sum,
    pub shipping: Sum,
    pub tax: Sum,
    /// Whether the prices contain the tax; then it is no term of `total`.
    pub tax_included: bool,
    pub total: Sum,
    pub due: Sum,
}

/// How the order began: the actor of its first event, and whether that was an import.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    pub actor: Option<String>,
    pub imported: bool,
}

/// Takes `order` apart. `prices` are the price rows of its lines that are still known, by id.
pub fn explain(
    order: &Order,
    prices: &HashMap<String, KnownPrice>,
    beginning: &Beginning,
) -> OrderExplanation {
    let items: Vec<&Item> = order.items.iter().flatten().collect();
    let mut quantities: HashMap<&VariantId, i64> = HashMap::new();
    for item in &items {
        if let Some(id) = &item.variant_id {
            let sum = quantities.entry(id).or_default();
            *sum = sum.saturating_add(item.quantity);
        }
    }
    let lines = items.iter().map(|item| {
        let together = item.variant_id.as_ref().and_then(|id| quantities.get(id));
        let unit_price = ExplainedPrice {
            priced_quantity: together.copied().unwrap_or(item.quantity),
            ..unit_price(item, prices, beginning)
        };
        line(item, unit_price, order.totals.tax_included)
    });
    OrderExplanation {
        order_id: order.id.clone(),
        number: order.number.clone(),
        version: order.version,
        currency: order.currency,
        exponent: order.currency.exponent(),
        placed_by: beginning.actor.clone(),
        lines: lines.collect(),
        totals: totals(order, &items),
    }
}

fn line(item: &Item, unit_price: ExplainedPrice, tax_included: bool) -> ExplainedLine {
    let added_tax = if tax_included { 0 } else { item.tax };
    ExplainedLine {
        item_id: item.id.clone(),
        variant_id: item.variant_id.clone(),
        sku: item.sku.clone(),
        title: item.title.clone(),
        quantity: item.quantity,
        unit_price,
        subtotal: subtotal(item),
        total: sum(
            item.total,
            &[
                (Origin::Subtotal, item.subtotal.into()),
                (Origin::Discount, -i128::from(item.discount)),
                (Origin::Tax, added_tax.into()),
            ],
        ),
    }
}

/// A unit price that was rounded to the minor unit is off by half of one at most, and so is each unit's part
/// of the subtotal; the subtotal itself was rounded once more.
fn subtotal(item: &Item) -> Sum {
    let product = i128::from(item.quantity) * i128::from(item.unit_price);
    let rounding = i128::from(item.subtotal) - product;
    let explained = rounding.unsigned_abs() <= u128::from(item.quantity.unsigned_abs()).div_ceil(2);
    sum(
        item.subtotal,
        &[
            (Origin::QuantityTimesUnitPrice, product),
            (Origin::Rounding, if explained { rounding } else { 0 }),
        ],
    )
}

fn unit_price(
    item: &Item,
    prices: &HashMap<String, KnownPrice>,
    beginning: &Beginning,
) -> ExplainedPrice {
    let known = item.price_id.as_ref().and_then(|id| prices.get(id));
    let source = match &item.price_id {
        Some(_) => PriceSource::PriceRow,
        None if beginning.imported => PriceSource::Imported,
        None => PriceSource::ByHand,
    };
    let saved = i128::from(item.quantity)
        * (i128::from(item.list_unit_price) - i128::from(item.unit_price));
    ExplainedPrice {
        amount: item.unit_price,
        source,
        price: item.price_id.as_ref().map(|id| UsedPrice {
            id: id.clone(),
            state: known.map_or(PriceState::Unknown, |known| known.state),
            row: known.map(|known| known.row.clone()),
        }),
        priced_quantity: item.quantity,
        list_amount: item.list_unit_price,
        list_source: list_source(item, source, known),
        saved: bounded(saved),
    }
}

fn list_source(item: &Item, source: PriceSource, known: Option<&KnownPrice>) -> Option<ListSource> {
    if item.list_unit_price == item.unit_price {
        return Some(ListSource::UnitPrice);
    }
    match (source, known) {
        (PriceSource::ByHand, _) => Some(ListSource::CataloguePrice),
        (PriceSource::PriceRow, Some(known)) if known.state == PriceState::Current => {
            let compared = known.row.compare_at_amount == Some(item.list_unit_price);
            Some(if compared {
                ListSource::CompareAtAmount
            } else {
                ListSource::EverydayPrice
            })
        }
        _ => None,
    }
}

fn totals(order: &Order, items: &[&Item]) -> ExplainedTotals {
    let of_lines = |figure: fn(&Item) -> i64| -> i128 {
        items.iter().map(|item| i128::from(figure(item))).sum()
    };
    let stored = &order.totals;
    ExplainedTotals {
        items: sum(
            stored.items,
            &[(Origin::LineSubtotals, of_lines(|item| item.subtotal))],
        ),
        discount: sum(
            stored.discount,
            &[(Origin::LineDiscounts, of_lines(|item| item.discount))],
        ),
        shipping: sum(
            stored.shipping,
            &[(Origin::Shipping, stored.shipping.into())],
        ),
        tax: sum(
            stored.tax,
            &[(Origin::LineTaxes, of_lines(|item| item.tax))],
        ),
        tax_included: stored.tax_included,
        total: sum(
            stored.total,
            &[
                (Origin::LineTotals, of_lines(|item| item.total)),
                (Origin::Shipping, stored.shipping.into()),
            ],
        ),
        due: due(order),
    }
}

/// A refund settles only what was taken too much: it never makes the buyer owe the order again.
fn due(order: &Order) -> Sum {
    let stored = &order.totals;
    let open = i128::from(stored.total) - i128::from(stored.captured);
    let nothing_owed = order.status == OrderStatus::Cancelled && stored.captured == 0;
    let settled = match open {
        open if open < 0 && !nothing_owed => (-open).min(stored.refunded.into()),
        _ => 0,
    };
    sum(
        stored.due,
        &[
            (Origin::Total, stored.total.into()),
            (Origin::Captured, -i128::from(stored.captured)),
            (Origin::Refunded, settled),
            (Origin::Cancelled, if nothing_owed { -open } else { 0 }),
        ],
    )
}

/// `amount` as the sum of `terms`. The first term is always shown, the others when they are something.
fn sum(amount: i64, terms: &[(Origin, i128)]) -> Sum {
    let rest = i128::from(amount) - terms.iter().map(|(_, amount)| amount).sum::<i128>();
    let terms = terms.iter().copied().chain([(Origin::Unexplained, rest)]);
    let shown = terms
        .enumerate()
        .filter(|(n, (_, amount))| *n == 0 || *amount != 0);
    Sum {
        amount,
        terms: shown
            .map(|(_, (of, amount))| Term {
                of,
                amount: bounded(amount),
            })
            .collect(),
    }
}

/// Stored amounts are bounded; only of a damaged order could a product be larger than it can be shown.
fn bounded(amount: i128) -> i64 {
    amount.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests;
