//! What a stock level is and how it may change.

use crate::products::VariantId;
use platform::id_type;

id_type! { /// A place where stock is kept.
LocationId, "loc" }

id_type! { /// One change of a stock level.
MovementId, "mov" }

/// The location that every installation has.
pub const LOCATION_DEFAULT: &str = "loc_default";

/// A variant of which there was not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub variant_id: VariantId,
    /// Units that were asked for.
    pub wanted: i64,
    /// Units that are left, never below 0.
    pub available: i64,
}
