//! Proofs over a whole database: the stock counters are the sums of their movements, the orders hold
//! what the ledger says they hold, and every total is the sum of its lines.
//!
//! It reads one consistent snapshot, streaming, so it can run beside a busy server; its memory does
//! not grow with the tables but with what it finds, of which it keeps [`FINDINGS_MAX`].

mod proof;
mod store;

pub use proof::{Finding, OrderRow, OrderSums};
pub use store::repair;

use platform::db::{Db, DbError};
use proof::{check_held, check_order, check_stock};
use serde::Serialize;
use std::collections::BTreeMap;

/// Findings that are described; more are only counted.
pub const FINDINGS_MAX: usize = 1_000;

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Counters of variants at locations.
    pub stock_levels: u64,
    /// Orders, credit notes and adjustments.
    pub orders: u64,
    /// Their lines.
    pub order_items: u64,
    /// Sum of the totals of all documents that are not cancelled, in minor units by currency.
    pub totals_minor: BTreeMap<String, i128>,
    /// How many things are wrong.
    pub wrong: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, found: impl IntoIterator<Item = Finding>) {
        for finding in found {
            self.wrong += 1;
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(finding);
            }
        }
    }
}

/// Checks everything.
pub async fn examine(db: &Db) -> Result<Report, DbError> {
    db.snapshot(async move |tx| {
        let mut report = Report::default();
        store::stock_levels(tx, |level| {
            report.stock_levels += 1;
            report.add(check_stock(level));
        })
        .await?;
        store::held_by_orders(tx, |held| report.add(check_held(held))).await?;
        store::orders(tx, |order, items| {
            report.orders += 1;
            report.order_items += u64::try_from(items.lines).unwrap_or(0);
            if order.status != "cancelled" {
                *report
                    .totals_minor
                    .entry(order.currency.clone())
                    .or_default() += i128::from(order.total);
            }
            report.add(check_order(order, items));
        })
        .await?;
        let strays = store::stray_items(tx).await?;
        report.add(strays.into_iter().map(|order_id| Finding {
            check: "order_items",
            object: order_id,
            detail: "items of an order that does not exist".into(),
        }));
        Ok(report)
    })
    .await
}
