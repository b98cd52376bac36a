//! What an order amounts to. A line's figures are made once and stored; an order's are sums of the stored
//! ones, never recomputed from prices and rates. All amounts are minor units of the order's one currency.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::AMOUNT_MAX;

/// 422 `amount_out_of_range`: a line or a total is beyond ±[`AMOUNT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount of the order is larger than {AMOUNT_MAX}")]
pub struct AmountOutOfRange;

/// What a line is made of. `discount` and `tax` are for the whole line and already rounded; both may be 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAmounts {
    /// Units; negative on a credit document.
    pub quantity: i64,
    /// Price of one unit.
    pub unit_price: i64,
    /// What is taken off, as a positive number.
    pub discount: i64,
    /// The tax of the line.
    pub tax: i64,
    /// Whether `unit_price` contains the tax already. One answer per order.
    pub tax_included: bool,
}

/// The stored figures of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineTotals {
    /// Quantity times unit price, before discount.
    pub subtotal: i64,
    /// What is taken off, as a positive number.
    pub discount: i64,
    /// The tax of the line, contained in `subtotal` or not.
    pub tax: i64,
    /// What the line costs: subtotal less discount, plus the tax if it is not contained.
    pub total: i64,
}

impl LineAmounts {
    /// The figures to store.
    pub fn totals(self) -> Result<LineTotals, AmountOutOfRange> {
        let subtotal = i128::from(self.quantity) * i128::from(self.unit_price);
        LineTotals::of(
            bounded(subtotal)?,
            self.discount,
            self.tax,
            self.tax_included,
        )
    }
}

impl LineTotals {
    /// The figures of a line whose `subtotal` is known, because its unit price has more digits than the
    /// currency and was rounded after multiplying ([`crate::money::parse_decimal_times`]).
    pub fn of(
        subtotal: i64,
        discount: i64,
        tax: i64,
        tax_included: bool,
    ) -> Result<LineTotals, AmountOutOfRange> {
        let added_tax = if tax_included { 0 } else { i128::from(tax) };
        Ok(LineTotals {
            subtotal: bounded(subtotal.into())?,
            discount: bounded(discount.into())?,
            tax: bounded(tax.into())?,
            total: bounded(i128::from(subtotal) - i128::from(discount) + added_tax)?,
        })
    }
}

/// Sums over an order's payment rows, each as a positive number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaymentSums {
    /// Promised by the payer's bank.
    pub authorized: i64,
    /// Taken.
    pub captured: i64,
    /// Given back.
    pub refunded: i64,
}

/// `totals` of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderTotals {
    /// Sum of the lines' subtotals.
    pub items: i64,
    /// Sum of the lines' discounts.
    pub discount: i64,
    /// What delivery costs.
    pub shipping: i64,
    /// Sum of the lines' taxes.
    pub tax: i64,
    /// Whether the prices contain the tax.
    pub tax_included: bool,
    /// Sum of the lines' totals, plus shipping.
    pub total: i64,
    /// Sum of what was promised.
    pub authorized: i64,
    /// Sum of what was taken.
    pub captured: i64,
    /// Sum of what was given back.
    pub refunded: i64,
    /// What the buyer still has to pay; below zero what we still have to give back. A refund settles only
    /// what we owe: it never makes the buyer owe the order again.
    pub due: i64,
}

/// Sums the stored lines. The order of the lines does not matter, and no sum fails half-way: only the
/// results are bounded.
pub fn order_totals(
    lines: &[LineTotals],
    shipping: i64,
    tax_included: bool,
    payments: PaymentSums,
) -> Result<OrderTotals, AmountOutOfRange> {
    let sum = |figure: fn(&LineTotals) -> i64| {
        lines
            .iter()
            .map(|line| i128::from(figure(line)))
            .sum::<i128>()
    };
    let total = bounded(sum(|line| line.total) + i128::from(shipping))?;
    Ok(OrderTotals {
        items: bounded(sum(|line| line.subtotal))?,
        discount: bounded(sum(|line| line.discount))?,
        shipping: bounded(shipping.into())?,
        tax: bounded(sum(|line| line.tax))?,
        tax_included,
        total,
        authorized: bounded(payments.authorized.into())?,
        captured: bounded(payments.captured.into())?,
        refunded: bounded(payments.refunded.into())?,
        due: due(total, payments)?,
    })
}

/// What the buyer still owes; below zero what we owe the buyer. A refund does not reopen the debt.
pub fn due(total: i64, payments: PaymentSums) -> Result<i64, AmountOutOfRange> {
    let unpaid = i128::from(total) - i128::from(payments.captured);
    if unpaid >= 0 {
        return bounded(unpaid);
    }
    bounded((unpaid + i128::from(payments.refunded)).min(0))
}

fn bounded(amount: i128) -> Result<i64, AmountOutOfRange> {
    let amount = i64::try_from(amount).map_err(|_| AmountOutOfRange)?;
    if (-AMOUNT_MAX..=AMOUNT_MAX).contains(&amount) {
        Ok(amount)
    } else {
        Err(AmountOutOfRange)
    }
}

/// The quantities of one variant add up beyond a signed 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quantities of one variant are too large to add")]
pub struct QuantityOutOfRange;

/// How many of each variant an order takes, whatever the number of lines that name it. Stock is checked
/// against these: two lines of one item would each pass alone. The map's order is the one in which rows are
/// locked, so two orders cannot wait for each other.
pub fn merge_quantities<Id: Ord + Clone>(
    lines: &[(Id, i64)],
) -> Result<BTreeMap<Id, i64>, QuantityOutOfRange> {
    let mut merged: BTreeMap<Id, i64> = BTreeMap::new();
    for (variant_id, quantity) in lines {
        let sum = merged.entry(variant_id.clone()).or_default();
        *sum = sum.checked_add(*quantity).ok_or(QuantityOutOfRange)?;
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(quantity: i64, unit_price: i64, discount: i64, tax: i64) -> LineAmounts {
        LineAmounts {
            quantity,
            unit_price,
            discount,
            tax,
            tax_included: false,
        }
    }

    #[test]
    fn a_tax_is_added_or_contained() {
        let added = line(3, 1000, 500, 475);
        let expected = LineTotals {
            subtotal: 3000,
            discount: 500,
            tax: 475,
            total: 2975,
        };
        assert_eq!(added.totals(), Ok(expected));
        let contained = LineAmounts {
            tax_included: true,
            ..added
        };
        assert_eq!(
            contained.totals(),
            Ok(LineTotals {
                total: 2500,
                ..expected
            })
        );
    }

    #[test]
    fn due_is_what_is_open_and_a_refund_does_not_reopen_it() {
        let due = |total, captured, refunded| {
            let lines = [line(1, total, 0, 0).totals().unwrap()];
            let payments = PaymentSums {
                authorized: 0,
                captured,
                refunded,
            };
            order_totals(&lines, 0, false, payments).unwrap().due
        };
        assert_eq!(due(100, 0, 0), 100);
        assert_eq!(due(100, 60, 0), 40);
        assert_eq!(due(100, 100, 30), 0);
        assert_eq!(due(100, 120, 0), -20);
        assert_eq!(due(100, 120, 20), 0);
        assert_eq!(due(100, 120, 50), 0);
        assert_eq!(due(-100, 0, 0), -100); // a credit document
        assert_eq!(due(-100, 0, 100), 0);
    }

    #[test]
    fn amounts_stay_exact_for_json_readers() {
        assert!(line(1, AMOUNT_MAX, 0, 0).totals().is_ok());
        assert!(line(-1, AMOUNT_MAX, 0, 0).totals().is_ok());
        assert_eq!(line(1, AMOUNT_MAX, 0, 1).totals(), Err(AmountOutOfRange));
        assert_eq!(
            line(i64::MIN, i64::MIN, i64::MAX, i64::MIN).totals(),
            Err(AmountOutOfRange)
        );
        let largest = line(1, AMOUNT_MAX, 0, 0).totals().unwrap();
        let none = PaymentSums::default();
        assert_eq!(
            order_totals(&[largest, largest], 0, false, none),
            Err(AmountOutOfRange)
        );
        assert_eq!(
            order_totals(&[largest], 1, false, none),
            Err(AmountOutOfRange)
        );
        let credit = line(-1, AMOUNT_MAX, 0, 0).totals().unwrap();
        let sums = order_totals(&[largest, largest, credit], 0, false, none).unwrap();
        assert_eq!(sums.total, AMOUNT_MAX);
    }

    #[test]
    fn quantities_of_one_variant_are_summed() {
        let merged = merge_quantities(&[("b", 2), ("a", 1), ("b", 3)]).unwrap();
        assert_eq!(merged.into_iter().collect::<Vec<_>>(), [("a", 1), ("b", 5)]);
        assert_eq!(
            merge_quantities(&[("a", i64::MAX), ("a", 1)]),
            Err(QuantityOutOfRange)
        );
    }

    fn any_lines() -> impl Strategy<Value = Vec<LineAmounts>> {
        let figures = (
            -1_000_i64..1_000_000,
            -10_000_i64..10_000_000,
            0_i64..10_000,
            0_i64..10_000,
        );
        let line = figures.prop_map(|(quantity, unit_price, discount, tax)| {
            line(quantity, unit_price, discount, tax)
        });
        prop::collection::vec(line, 0..60)
    }

    fn any_payments() -> impl Strategy<Value = PaymentSums> {
        (
            0_i64..1_000_000_000,
            0_i64..1_000_000_000,
            0_i64..1_000_000_000,
        )
            .prop_map(|(authorized, captured, refunded)| PaymentSums {
                authorized,
                captured,
                refunded,
            })
    }

    proptest! {
        #[test]
        fn the_order_is_the_sum_of_its_lines(
            lines in any_lines(), shipping in 0_i64..100_000, tax_included: bool, payments in any_payments(),
        ) {
            let stored: Vec<LineTotals> =
                lines.iter().map(|l| LineAmounts { tax_included, ..*l }.totals().unwrap()).collect();
            let totals = order_totals(&stored, shipping, tax_included, payments).unwrap();
            prop_assert_eq!(totals.items, lines.iter().map(|l| l.quantity * l.unit_price).sum::<i64>());
            prop_assert_eq!(totals.discount, lines.iter().map(|l| l.discount).sum::<i64>());
            prop_assert_eq!(totals.tax, lines.iter().map(|l| l.tax).sum::<i64>());
            let added_tax = if tax_included { 0 } else { totals.tax };
            prop_assert_eq!(totals.total, totals.items - totals.discount + shipping + added_tax);

            let reversed: Vec<LineTotals> = stored.into_iter().rev().collect();
            prop_assert_eq!(order_totals(&reversed, shipping, tax_included, payments), Ok(totals));
        }

        #[test]
        fn the_buyer_never_owes_more_than_is_uncaptured(
            lines in any_lines(), payments in any_payments(), more in 0_i64..1_000_000,
        ) {
            let stored: Vec<LineTotals> = lines.iter().map(|l| l.totals().unwrap()).collect();
            let totals = order_totals(&stored, 0, false, payments).unwrap();
            prop_assert!(totals.due <= (totals.total - totals.captured).max(0));
            let refunded = PaymentSums { refunded: payments.refunded + more, ..payments };
            let after = order_totals(&stored, 0, false, refunded).unwrap();
            prop_assert!(after.due >= totals.due && after.due <= totals.due.max(0));
        }

        #[test]
        fn no_figure_panics_or_leaves_the_bound(
            quantity: i64, unit_price: i64, discount: i64, tax: i64, tax_included: bool, shipping: i64,
            authorized: i64, captured: i64, refunded: i64,
        ) {
            let _ = LineAmounts { quantity, unit_price, discount, tax, tax_included }.totals();
            let raw = LineTotals { subtotal: quantity, discount, tax, total: unit_price };
            let payments = PaymentSums { authorized, captured, refunded };
            if let Ok(totals) = order_totals(&[raw, raw], shipping, tax_included, payments) {
                prop_assert!(totals.total.abs() <= AMOUNT_MAX && totals.due.abs() <= AMOUNT_MAX);
            }
        }

        #[test]
        fn merging_keeps_every_unit(lines in prop::collection::vec((0_u8..6, 1_i64..1_000_000), 0..100)) {
            let merged = merge_quantities(&lines).unwrap();
            prop_assert_eq!(merged.values().sum::<i64>(), lines.iter().map(|(_, q)| q).sum::<i64>());
            for (id, quantity) in &merged {
                let alone: i64 = lines.iter().filter(|(other, _)| other == id).map(|(_, q)| q).sum();
                prop_assert_eq!(*quantity, alone);
            }
        }
    }
}
