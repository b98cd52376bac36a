//! `/v2/products`: catalog, inventory, pricing, search.
//!
//! A product is sold as variants: a product without options has exactly one. What a variant costs is
//! decided by [`pricing`], what is left of it by [`inventory`].

pub mod api;
pub mod changes;
pub mod draft;
mod examples;
pub mod input;
pub mod inventory;
pub mod pricing;
pub mod product;
pub mod search;
pub mod shown;
pub mod slug;
pub mod store;

pub use product::{ProductId, ProductStatus, Sellable, VariantId, VariantRef};
pub use shown::Shelf;
