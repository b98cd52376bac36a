//! `/v2/reports`: figures over orders, users and stock. A report is asked for, runs as a job on one
//! consistent snapshot that blocks no writer, and its file is kept for seven days.
//!
//! What the sales figures mean:
//! - An order counts on the local day, in the report's time zone, on which it was placed. Days and
//!   months are half-open: an order at midnight belongs to the day that begins.
//! - Drafts do not count. An order that was cancelled without ever being confirmed does not count. One
//!   that was cancelled after it was confirmed counts when it was placed and is taken back, as a
//!   reversal, when it was cancelled: a closed month does not change.
//! - Credit notes and adjustments (documents of their own, as an import makes them) are reversals on
//!   their own date, never negative sales.
//! - `gross_sales - discounts - sales_reversals = net_sales`, and `net_sales + shipping + taxes =
//!   total_sales`, which over any range is the sum of the documents' totals.
//! - Amounts of two currencies are never added.

mod activity;
pub mod api;
mod build;
mod download;
mod file;
pub mod jobs;
mod period;
pub mod report;
pub mod run;
mod sales;
pub mod store;

pub use report::{ReportKind, ReportType};
pub use run::{NewReport, Run, RunId, RunStatus};
