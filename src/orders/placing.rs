//! The rules of placing an order: which variant a line means, what it costs, what stock it takes.

use super::body::{Item, ItemId, Order, OrderId};
use super::new_order::{NewItem, NewOrder};
use super::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use super::totals::{
    AmountOutOfRange, LineAmounts, LineTotals, PaymentSums, merge_quantities, order_totals,
};
use crate::money::Currency;
use crate::products::pricing::{self, Resolved};
use crate::products::product::ProductStatus;
use crate::products::{Sellable, VariantId, VariantRef};
use platform::clock::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Why an order is not placed. Code and status are chosen in `error.rs`.
#[derive(Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// Lines that cannot be sold as asked: each with the member at fault, a code and a sentence.
    Lines(Vec<LineFault>),
    /// A sum is beyond ±(2^53 − 1).
    AmountOutOfRange,
}

/// What is wrong with one line.
#[derive(Debug, PartialEq, Eq)]
pub struct LineFault {
    /// Position in `items`, from 0.
    pub line: usize,
    pub member: &'static str,
    pub code: &'static str,
    pub detail: String,
}

impl From<AmountOutOfRange> for PlaceError {
    fn from(_: AmountOutOfRange) -> Self {
        PlaceError::AmountOutOfRange
    }
}

/// Who buys.
#[derive(Debug)]
pub struct Buyer {
    pub email: String,
}

/// A placed order, without a number yet, and the stock that it takes: (variant, units, guarded), sorted, summed.
#[derive(Debug)]
pub struct Placed {
    pub order: Order,
    pub takes: Vec<(VariantId, i64, bool)>,
}

/// Places `new` with what the catalog offers.
pub fn place(
    new: NewOrder,
    buyer: Buyer,
    offered: &[Sellable],
    hold_default: Duration,
    now: Timestamp,
) -> Result<Placed, PlaceError> {
    let chosen = choose(&new.items, offered)?;
    let quantities: Vec<(VariantId, i64)> = new
        .items
        .iter()
        .zip(&chosen)
        .map(|(item, sold)| (sold.variant_id.clone(), item.quantity))
        .collect();
    let wanted = merge_quantities(&quantities).map_err(|_| PlaceError::AmountOutOfRange)?;
    let prices = price(&new.items, &chosen, &wanted, new.currency, now)?;
    let mut items = Vec::with_capacity(new.items.len());
    let mut lines = Vec::with_capacity(new.items.len());
    for ((item, sold), price) in new.items.iter().zip(&chosen).zip(prices) {
        let (item, totals) = line(item, sold, price)?;
        items.push(item);
        lines.push(totals);
    }
    let shipping = new.shipping.as_ref().map_or(0, |shipping| shipping.amount);
    let totals = order_totals(&lines, shipping, false, PaymentSums::default())?;
    let hold = new.hold_minutes.map_or(hold_default, |minutes| {
        Duration::from_secs(u64::from(minutes) * 60)
    });
    let order = Order {
        id: OrderId::new(),
        number: None,
        document: "order".into(),
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Unpaid,
        fulfillment_status: FulfillmentStatus::Unfulfilled,
        user_id: new.user_id,
        email: Some(buyer.email),
        currency: new.currency,
        items: Some(items),
        totals,
        country: new
            .shipping_address
            .as_ref()
            .or(new.billing_address.as_ref())
            .map(|address| address.country.as_str().to_owned()),
        shipping_address: new.shipping_address,
        billing_address: new.billing_address,
        shipping_method: new.shipping.map(|shipping| shipping.method),
        note: new.note,
        external_id: new.external_id,
        channel: new.channel,
        cancel_reason: None,
        tags: new.tags,
        metadata: new.metadata,
        placed_at: Some(now),
        confirmed_at: None,
        completed_at: None,
        cancelled_at: None,
        expires_at: Some(now + hold),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    Ok(Placed {
        order,
        takes: takes(wanted, &chosen),
    })
}

/// One line and what it adds to the totals.
fn line(
    item: &NewItem,
    sold: &Sellable,
    price: Resolved,
) -> Result<(Item, LineTotals), PlaceError> {
    let amounts = LineAmounts {
        quantity: item.quantity,
        unit_price: price.amount,
        discount: 0,
        tax: 0,
        tax_included: false,
    };
    let totals = amounts.totals()?;
    let item = Item {
        id: ItemId::new(),
        variant_id: Some(sold.variant_id.clone()),
        product_id: Some(sold.product_id.clone()),
        sku: sold.sku.clone(),
        title: sold.title.clone(),
        quantity: item.quantity,
        unit_price: price.amount,
        list_unit_price: price.list_amount,
        discount: totals.discount,
        tax: totals.tax,
        tax_rate_ppm: 0,
        subtotal: totals.subtotal,
        total: totals.total,
        allocated: if sold.track_inventory {
            item.quantity
        } else {
            0
        },
        fulfilled: 0,
        returned: 0,
        refunded: 0,
        metadata: item.metadata.clone(),
        price_id: Some(price.price_id).filter(|id| !id.is_empty()),
    };
    Ok((item, totals))
}

/// The variant that each line means.
fn choose<'a>(items: &[NewItem], offered: &'a [Sellable]) -> Result<Vec<&'a Sellable>, PlaceError> {
    let mut chosen = Vec::with_capacity(items.len());
    let mut faults = Vec::new();
    for (line, item) in items.iter().enumerate() {
        match choose_one(item, offered) {
            Ok(sold) => chosen.push(sold),
            Err((member, code, detail)) => faults.push(LineFault {
                line,
                member,
                code,
                detail,
            }),
        }
    }
    if faults.is_empty() {
        Ok(chosen)
    } else {
        Err(PlaceError::Lines(faults))
    }
}

type Fault = (&'static str, &'static str, String);

fn choose_one<'a>(item: &NewItem, offered: &'a [Sellable]) -> Result<&'a Sellable, Fault> {
    let Some(reference) = item.reference() else {
        let detail = "expected exactly one of variant_id, product_id and sku".to_owned();
        return Err(("", "invalid_value", detail));
    };
    let (member, mut matching): (_, Vec<&Sellable>) = match &reference {
        VariantRef::Variant(id) => ("variant_id", by_variant(offered, id).into_iter().collect()),
        VariantRef::Product(id) => (
            "product_id",
            offered.iter().filter(|s| s.product_id == *id).collect(),
        ),
        VariantRef::Sku(sku) => (
            "sku",
            offered
                .iter()
                .filter(|s| s.sku.as_ref() == Some(sku))
                .collect(),
        ),
    };
    match (matching.pop(), matching.is_empty()) {
        (None, _) => Err((
            member,
            "unknown_product",
            format!("there is no such {member}"),
        )),
        (Some(_), false) => Err((
            member,
            "ambiguous_product",
            "the product has several variants: name one by variant_id or sku".into(),
        )),
        (Some(sold), true) if sold.status != ProductStatus::Active => Err((
            member,
            "not_for_sale",
            format!("`{}` is not active", sold.title),
        )),
        (Some(sold), true) => Ok(sold),
    }
}

fn by_variant<'a>(offered: &'a [Sellable], id: &VariantId) -> Option<&'a Sellable> {
    // `sellable` answers sorted by variant.
    offered
        .binary_search_by(|sold| sold.variant_id.cmp(id))
        .ok()
        .and_then(|index| offered.get(index))
}

/// The price of each line. Quantity steps count all units of the variant in the order.
fn price(
    items: &[NewItem],
    chosen: &[&Sellable],
    wanted: &BTreeMap<VariantId, i64>,
    currency: Currency,
    now: Timestamp,
) -> Result<Vec<Resolved>, PlaceError> {
    let mut faults = Vec::new();
    let mut prices = Vec::with_capacity(items.len());
    for (line, (item, sold)) in items.iter().zip(chosen).enumerate() {
        let quantity = wanted
            .get(&sold.variant_id)
            .copied()
            .unwrap_or(item.quantity);
        let resolved = pricing::resolve(&sold.prices, currency, None, quantity, now.micros());
        match (item.unit_price, resolved) {
            (Some(amount), resolved) => prices.push(Resolved {
                amount,
                currency,
                list_amount: resolved.map_or(amount, |price| price.list_amount),
                on_sale: false,
                price_id: String::new(),
            }),
            (None, Some(price)) => prices.push(price),
            (None, None) => faults.push(LineFault {
                line,
                member: "",
                code: "no_price",
                detail: format!(
                    "`{}` has no price in {currency} for {quantity} units",
                    sold.title
                ),
            }),
        }
    }
    if faults.is_empty() {
        Ok(prices)
    } else {
        Err(PlaceError::Lines(faults))
    }
}

fn takes(wanted: BTreeMap<VariantId, i64>, chosen: &[&Sellable]) -> Vec<(VariantId, i64, bool)> {
    let sold: HashMap<&VariantId, &&Sellable> =
        chosen.iter().map(|sold| (&sold.variant_id, sold)).collect();
    wanted
        .into_iter()
        .filter_map(|(id, quantity)| {
            let sold = sold.get(&id)?;
            sold.track_inventory
                .then(|| (id.clone(), quantity, !sold.allow_backorder))
        })
        .collect()
}
