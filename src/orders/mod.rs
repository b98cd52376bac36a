//! `/v2/orders`: placing and moving orders.
//!
//! An order, its allocated stock, its number, its event and the stored answer commit together or not
//! at all. Payments, fulfilments, refunds and returns will be rows of their own from which the two
//! derived axes (`payment_status`, `fulfillment_status`) are computed; both stand in the schema.

pub mod api;
pub mod body;
pub mod change;
mod examples;
pub mod explain;
pub mod jobs;
pub mod moves;
pub mod new_order;
pub mod order;
pub mod person;
pub mod placing;
pub mod store;
pub mod totals;

pub use body::{Order, OrderId};
