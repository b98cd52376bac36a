//! What came of an import.

use crate::money::{Currency, format_major};
use crate::products::ProductStatus;
use serde::Serialize;
use std::fmt;

/// Most bad rows that a [`Summary`] lists; all are counted, and told to the progress as they come.
pub const BAD_ROWS_MAX: usize = 1_000;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// 1 is the first line of the file.
    pub line: u64,
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Good rows of which a dry run says how they were understood.
pub const READ_MAX: usize = 10;

/// A product as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub title: String,
    pub sku: Option<String>,
    /// In minor units.
    pub price: Option<(i64, Currency)>,
    pub on_hand: Option<i64>,
    pub status: ProductStatus,
}

/// How many were added, and how many of those in the file were there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub new: usize,
    pub present: usize,
}

/// The documents of the file that were taken or present, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kinds {
    pub orders: usize,
    pub credit_notes: usize,
    pub adjustments: usize,
}

/// The end of an import. In a dry run `new` is what would be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub file: String,
    pub format: &'static str,
    pub dry_run: bool,
    /// Rows of the file without its header.
    pub rows: u64,
    pub bad_rows: u64,
    /// The first 1,000 of the bad rows.
    pub bad: Vec<BadRow>,
    /// In a dry run of products the first that would be added.
    #[serde(skip)]
    pub read: Vec<Read>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<Counts>,
    /// Documents with a bad row: they are left out as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents_left_out: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Kinds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customers: Option<Counts>,
    pub products: Counts,
    /// Sum of the documents' totals, new and present, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_minor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    pub elapsed_ms: u64,
}

impl Summary {
    /// Whether all of the file was taken.
    pub fn is_clean(&self) -> bool {
        self.bad_rows == 0 && self.documents_left_out.unwrap_or(0) == 0
    }

    /// Whether anything was added.
    pub fn is_news(&self) -> bool {
        let new = |counts: Option<Counts>| counts.map_or(0, |counts| counts.new);
        new(self.documents) + new(self.customers) + self.products.new > 0
    }

    /// Adds products as they were read, as long as there is room for them.
    pub(super) fn add_read(&mut self, read: Vec<Read>) {
        let room = READ_MAX - self.read.len();
        self.read.extend(read.into_iter().take(room));
    }

    pub(super) fn add_bad(&mut self, row: BadRow) {
        self.bad_rows += 1;
        if self.bad.len() < BAD_ROWS_MAX {
            self.bad.push(row);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed_ms as f64 / 1_000.0;
        let would = if self.dry_run {
            " (dry run: nothing was written)"
        } else {
            ""
        };
        writeln!(
            f,
            "{}: {} rows in {seconds:.1} s{would}",
            self.file, self.rows
        )?;
        let mut counts = |name: &str, counts: Option<Counts>| match counts {
            Some(Counts { new, present }) => {
                writeln!(f, "  {name:<10} {new:>9} new {present:>9} present already")
            }
            None => Ok(()),
        };
        counts("documents", self.documents)?;
        counts("lines", self.lines)?;
        counts("customers", self.customers)?;
        counts("products", Some(self.products))?;
        if let Some(Kinds {
            orders,
            credit_notes,
            adjustments,
        }) = self.kinds
        {
            writeln!(
                f,
                "  {orders} orders, {credit_notes} credit notes, {adjustments} adjustments"
            )?;
        }
        if let (Some(total), Some(currency)) = (self.total_minor, self.currency) {
            writeln!(
                f,
                "  total {currency} {}",
                format_major(total, currency.exponent())
            )?;
        }
        match (self.bad_rows, self.documents_left_out.unwrap_or(0)) {
            (0, 0) => write!(f, "  no bad rows"),
            (bad, 0) => write!(f, "  {bad} bad rows were left out"),
            (bad, left_out) => write!(
                f,
                "  {bad} bad rows; {left_out} documents were left out with them"
            ),
        }
    }
}
