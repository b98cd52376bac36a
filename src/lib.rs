//! Tradepost: the commerce backend of an e-commerce company in one binary.

pub mod products;
