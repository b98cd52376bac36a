//! `/v2/inventory` and `/v2/locations`: how much there is of each variant, and why.
//!
//! Levels are counters per (variant, location). Every change of a counter appends a movement in the
//! same transaction, so the counters are checked sums of the movements. Check and change are one
//! statement: nothing can be oversold between two of them.

pub mod api;
pub mod stock;
pub mod store;

pub use stock::{AdjustError, LOCATION_DEFAULT, Shortage};
