//! `/v2/products`: catalog, inventory, pricing, search.

pub mod pricing;
pub mod slug;
