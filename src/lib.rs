//! Tradepost: the commerce backend of an e-commerce company in one binary.

pub mod money;
pub mod orders;
pub mod products;
