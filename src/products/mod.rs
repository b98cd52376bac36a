//! `/v2/products`: the catalogue and its search.

pub mod search;
