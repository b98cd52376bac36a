use super::*;
use crate::metadata::Metadata;
use crate::orders::order::{FulfillmentStatus, PaymentStatus};
use crate::orders::totals::{LineAmounts, LineTotals, PaymentSums, order_totals};
use platform::clock::Timestamp;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_micros(1_698_400_800_000_000);

fn item(amounts: LineAmounts, totals: LineTotals, list_unit_price: i64) -> Item {
    Item {
        id: ItemId::new(),
        variant_id: VariantId::parse("var_1"),
        product_id: None,
        sku: None,
        title: "Mug".into(),
        quantity: amounts.quantity,
        unit_price: amounts.unit_price,
        list_unit_price,
        discount: totals.discount,
        tax: totals.tax,
        tax_rate_ppm: 0,
        subtotal: totals.subtotal,
        total: totals.total,
        allocated: 0,
        fulfilled: 0,
        returned: 0,
        refunded: 0,
        metadata: Metadata::default(),
        price_id: Some("price_1".into()),
    }
}

fn order(lines: &[LineAmounts], shipping: i64, payments: PaymentSums) -> Order {
    let tax_included = lines.first().is_some_and(|line| line.tax_included);
    let stored: Vec<LineTotals> = lines.iter().map(|line| line.totals().unwrap()).collect();
    let items = lines.iter().zip(&stored);
    Order {
        id: OrderId::new(),
        number: Some("1001".into()),
        document: "order".into(),
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Unpaid,
        fulfillment_status: FulfillmentStatus::Unfulfilled,
        user_id: None,
        email: None,
        currency: Currency::parse("USD").unwrap(),
        items: Some(
            items
                .map(|(amounts, totals)| item(*amounts, *totals, amounts.unit_price))
                .collect(),
        ),
        totals: order_totals(&stored, shipping, tax_included, payments).unwrap(),
        country: None,
        shipping_address: None,
        billing_address: None,
        shipping_method: None,
        note: None,
        external_id: None,
        channel: None,
        cancel_reason: None,
        tags: Vec::new(),
        metadata: Metadata::default(),
        placed_at: Some(NOW),
        confirmed_at: None,
        completed_at: None,
        cancelled_at: None,
        expires_at: None,
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

fn explained(order: &Order) -> OrderExplanation {
    explain(order, &HashMap::new(), &Beginning::default())
}

fn sums(explanation: &OrderExplanation) -> impl Iterator<Item = &Sum> {
    let totals = &explanation.totals;
    let lines = explanation.lines.iter();
    lines
        .flat_map(|line| [&line.subtotal, &line.total])
        .chain([&totals.items, &totals.discount, &totals.shipping])
        .chain([&totals.tax, &totals.total, &totals.due])
}

fn adds_up(sum: &Sum) -> bool {
    sum.terms
        .iter()
        .map(|term| i128::from(term.amount))
        .sum::<i128>()
        == i128::from(sum.amount)
}

fn origins(sum: &Sum) -> Vec<(Origin, i64)> {
    sum.terms
        .iter()
        .map(|term| (term.of, term.amount))
        .collect()
}

fn amounts(quantity: i64, unit_price: i64) -> LineAmounts {
    LineAmounts {
        quantity,
        unit_price,
        discount: 0,
        tax: 0,
        tax_included: false,
    }
}

#[test]
fn what_was_rounded_after_multiplying_is_rounding() {
    // 12 × 0.345 = 4.14, and 0.345 is 35 minor units.
    let mut order = order(&[amounts(12, 35)], 0, PaymentSums::default());
    let line = &mut order.items.as_mut().unwrap()[0];
    (line.subtotal, line.total) = (414, 414);
    (order.totals.items, order.totals.total, order.totals.due) = (414, 414, 414);
    let explanation = explained(&order);
    assert_eq!(
        origins(&explanation.lines[0].subtotal),
        [
            (Origin::QuantityTimesUnitPrice, 420),
            (Origin::Rounding, -6)
        ]
    );
    assert!(sums(&explanation).all(adds_up));
}

#[test]
fn what_no_rule_gives_is_not_smoothed_over() {
    let mut order = order(&[amounts(2, 1000)], 500, PaymentSums::default());
    order.totals.total += 7;
    order.items.as_mut().unwrap()[0].subtotal += 2;
    let explanation = explained(&order);
    assert_eq!(
        origins(&explanation.totals.total),
        [
            (Origin::LineTotals, 2000),
            (Origin::Shipping, 500),
            (Origin::Unexplained, 7)
        ]
    );
    assert_eq!(
        origins(&explanation.lines[0].subtotal).last(),
        Some(&(Origin::Unexplained, 2)) // rounding two units moves one minor unit at most
    );
    assert!(sums(&explanation).all(adds_up));
}

#[test]
fn nothing_is_due_for_what_was_called_off() {
    let mut order = order(&[amounts(2, 1000)], 0, PaymentSums::default());
    order.status = OrderStatus::Cancelled;
    order.totals.due = 0;
    let due = explained(&order).totals.due;
    assert_eq!(
        origins(&due),
        [(Origin::Total, 2000), (Origin::Cancelled, -2000)]
    );
}

#[test]
fn a_price_tells_who_decided_it() {
    let mut order = order(
        &[amounts(2, 1000), amounts(3, 1000)],
        0,
        PaymentSums::default(),
    );
    let items = order.items.as_mut().unwrap();
    items[1].price_id = None;
    items[1].list_unit_price = 1200;
    let explanation = explained(&order);
    let price = &explanation.lines[0].unit_price;
    assert_eq!(
        (price.source, price.list_source, price.priced_quantity),
        (PriceSource::PriceRow, Some(ListSource::UnitPrice), 5)
    );
    assert_eq!(price.price.as_ref().unwrap().state, PriceState::Unknown);
    order.items.as_mut().unwrap()[0].list_unit_price = 1100;
    let unknown = &explained(&order).lines[0].unit_price;
    assert_eq!((unknown.list_source, unknown.saved), (None, 200));
    let price = &explanation.lines[1].unit_price;
    assert_eq!(
        (price.source, price.list_source, price.saved),
        (PriceSource::ByHand, Some(ListSource::CataloguePrice), 600)
    );
    let imported = Beginning {
        actor: Some("import".into()),
        imported: true,
    };
    let explanation = explain(&order, &HashMap::new(), &imported);
    assert_eq!(
        explanation.lines[1].unit_price.source,
        PriceSource::Imported
    );
}

fn any_lines() -> impl Strategy<Value = Vec<LineAmounts>> {
    let figures = (
        -1_000_i64..1_000_000,
        -10_000_i64..10_000_000,
        0_i64..10_000,
        0_i64..10_000,
    );
    (prop::collection::vec(figures, 0..40), any::<bool>()).prop_map(|(lines, tax_included)| {
        let line = |(quantity, unit_price, discount, tax)| LineAmounts {
            quantity,
            unit_price,
            discount,
            tax,
            tax_included,
        };
        lines.into_iter().map(line).collect()
    })
}

proptest! {
    #[test]
    fn every_sum_is_made_of_its_terms_and_nothing_is_unexplained(
        lines in any_lines(), shipping in 0_i64..100_000, captured in 0_i64..1_000_000_000,
        refunded in 0_i64..1_000_000_000, cancelled: bool,
    ) {
        let payments = PaymentSums { authorized: 0, captured, refunded };
        let mut order = order(&lines, shipping, payments);
        if cancelled && captured == 0 {
            order.status = OrderStatus::Cancelled;
            order.totals.due = 0;
        }
        let explanation = explained(&order);
        for sum in sums(&explanation) {
            prop_assert!(adds_up(sum), "{sum:?}");
            prop_assert!(sum.terms.iter().all(|term| term.of != Origin::Unexplained), "{sum:?}");
        }
        let totals = &explanation.totals;
        let shown = [&totals.items, &totals.discount, &totals.shipping, &totals.tax, &totals.total, &totals.due];
        let stored = &order.totals;
        let wanted = [stored.items, stored.discount, stored.shipping, stored.tax, stored.total, stored.due];
        prop_assert_eq!(shown.map(|sum| sum.amount), wanted);
        let of_lines: i64 = explanation.lines.iter().map(|line| line.total.amount).sum();
        prop_assert_eq!(totals.total.amount, of_lines + totals.shipping.amount);
    }

    #[test]
    fn whatever_is_stored_the_terms_add_up(
        quantity in -1_000_000_i64..1_000_000, unit_price in -10_000_000_i64..10_000_000, subtotal in any::<i32>(),
        discount in any::<i32>(), tax in any::<i32>(), total in any::<i32>(), tax_included: bool,
    ) {
        let mut order = order(&[amounts(quantity, unit_price)], 0, PaymentSums::default());
        order.totals.tax_included = tax_included;
        let line = &mut order.items.as_mut().unwrap()[0];
        (line.subtotal, line.discount) = (subtotal.into(), discount.into());
        (line.tax, line.total) = (tax.into(), total.into());
        prop_assert!(sums(&explained(&order)).all(adds_up));
    }
}
