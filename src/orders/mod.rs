//! `/v2/orders`: placing, payments, fulfilments, refunds.

pub mod order;
pub mod person;
pub mod totals;
