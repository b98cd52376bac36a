//! What a stock level is and how it may change.

use crate::products::{ProductId, VariantId};
use platform::clock::Timestamp;
use platform::id_type;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

id_type! { /// A place where stock is kept.
LocationId, "loc" }

id_type! { /// One change of a stock level.
MovementId, "mov" }

/// The location that every installation has.
pub const LOCATION_DEFAULT: &str = "loc_default";

impl LocationId {
    /// [`LOCATION_DEFAULT`].
    pub fn main() -> LocationId {
        LocationId::parse(LOCATION_DEFAULT).expect("the constant is an id")
    }
}

/// A variant of which there was not enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub variant_id: VariantId,
    /// Units that were asked for.
    pub wanted: i64,
    /// Units that are left, never below 0.
    pub available: i64,
}

/// Most units that one level holds.
pub const ON_HAND_MAX: i64 = 1_000_000_000_000;

/// Most units of one adjustment.
pub const ADJUSTMENT_MAX: i64 = 1_000_000_000;

/// The counters of one variant at one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Units on the shelf.
    pub on_hand: i64,
    /// Units of them that are set aside for orders.
    pub allocated: i64,
}

/// What an adjustment does to the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So many more, or fewer when below 0.
    By(i64),
    /// Counted: so many there are.
    To(i64),
}

/// Why an adjustment was refused; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdjustError {
    /// The level is not what the caller believed.
    #[error("{expected} were expected on the shelf, there are {on_hand}")]
    Unexpected { expected: i64, on_hand: i64 },
    /// More would be taken than is free: below 0, or below what is set aside for orders.
    #[error("there are {on_hand} on the shelf, {allocated} of them set aside for orders")]
    NotEnough { on_hand: i64, allocated: i64 },
    /// More than a level holds.
    #[error("a level holds at most {ON_HAND_MAX}")]
    TooMany,
}

impl Counters {
    /// What is on the shelf after `change`. Never below 0; below what is set aside only for variants
    /// that may be backordered.
    pub fn adjusted(
        self,
        change: Change,
        expected_on_hand: Option<i64>,
        allow_backorder: bool,
    ) -> Result<i64, AdjustError> {
        let Counters { on_hand, allocated } = self;
        if let Some(expected) = expected_on_hand
            && expected != on_hand
        {
            return Err(AdjustError::Unexpected { expected, on_hand });
        }
        let after = match change {
            Change::By(delta) => on_hand.checked_add(delta).ok_or(AdjustError::TooMany)?,
            Change::To(count) => count,
        };
        let least = if allow_backorder { 0 } else { allocated };
        if after < on_hand && after < least || after < 0 {
            return Err(AdjustError::NotEnough { on_hand, allocated });
        }
        if after > ON_HAND_MAX {
            return Err(AdjustError::TooMany);
        }
        Ok(after)
    }
}

/// Why stock moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// Came in, or was there when the variant was created.
    Received,
    /// Set aside for an order.
    Allocated,
    /// No longer set aside.
    Released,
    /// Left the shelf with an order.
    Shipped,
    /// Came back from an order.
    Returned,
    /// Corrected.
    Adjusted,
    /// Moved between locations.
    Transferred,
}

impl MovementKind {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            MovementKind::Received => "received",
            MovementKind::Allocated => "allocated",
            MovementKind::Released => "released",
            MovementKind::Shipped => "shipped",
            MovementKind::Returned => "returned",
            MovementKind::Adjusted => "adjusted",
            MovementKind::Transferred => "transferred",
        }
    }
}

/// A level as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "StockLevel")]
pub struct Level {
    pub variant_id: VariantId,
    pub product_id: ProductId,
    pub sku: Option<String>,
    pub location_id: LocationId,
    /// Units on the shelf.
    pub on_hand: i64,
    /// Units set aside for orders that have not been shipped.
    pub allocated: i64,
    /// Units held for carts: 0 until there are carts.
    pub reserved: i64,
    /// `on_hand - allocated - reserved`; below 0 when more was ordered than there is (backorder).
    pub available: i64,
    /// Units on their way from suppliers: 0 until there are purchase orders.
    pub incoming: i64,
    /// Whether stock is counted; if not, the variant is always in stock.
    pub track_inventory: bool,
}

/// A row of the ledger as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Movement {
    pub id: MovementId,
    pub variant_id: VariantId,
    pub location_id: LocationId,
    /// `received`, `allocated`, `released`, `shipped`, `returned`, `adjusted` or `transferred`.
    pub kind: String,
    pub on_hand_delta: i64,
    pub allocated_delta: i64,
    pub order_id: Option<String>,
    pub reason: Option<String>,
    /// The client or part of the program that did it.
    pub actor: String,
    pub created_at: Timestamp,
}

/// A place where stock is kept, as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Location {
    pub id: LocationId,
    pub name: String,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shelf_keeps_what_is_set_aside() {
        let level = Counters {
            on_hand: 10,
            allocated: 4,
        };
        assert_eq!(level.adjusted(Change::By(-6), None, false), Ok(4));
        assert!(level.adjusted(Change::By(-7), None, false).is_err());
        assert_eq!(level.adjusted(Change::To(0), None, true), Ok(0));
        assert!(level.adjusted(Change::By(-11), None, true).is_err());
        let unexpected = AdjustError::Unexpected {
            expected: 9,
            on_hand: 10,
        };
        assert_eq!(
            level.adjusted(Change::To(3), Some(9), false),
            Err(unexpected)
        );
        let short = Counters {
            on_hand: 1,
            allocated: 4,
        };
        assert_eq!(short.adjusted(Change::By(1), None, false), Ok(2)); // less short is always allowed
    }

    proptest! {
        #[test]
        fn no_adjustment_leaves_the_bounds(
            on_hand in 0..=ON_HAND_MAX, allocated in 0..=ON_HAND_MAX, delta: i64, to: i64, backorder: bool,
        ) {
            let level = Counters { on_hand, allocated };
            for change in [Change::By(delta), Change::To(to)] {
                if let Ok(after) = level.adjusted(change, None, backorder) {
                    prop_assert!((0..=ON_HAND_MAX).contains(&after));
                    prop_assert!(backorder || after >= allocated || after >= on_hand);
                }
            }
        }
    }
}
