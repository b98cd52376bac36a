//! Where an order is in its life: three axes, and the moves between their states that are legal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The order itself. It only moves along [`OrderStatus::advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Being put together; holds no stock.
    Draft,
    /// Placed, and holds stock until it is confirmed or expires.
    Pending,
    /// Accepted: it will be delivered.
    Confirmed,
    /// Done; what comes back from here on is a return.
    Completed,
    /// Called off; final.
    Cancelled,
}

/// 409 `invalid_transition`: there is no such move. [`OrderStatus::allowed`] of `from` says what is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {} cannot become {}", .from.as_str(), .to.as_str())]
pub struct IllegalMove {
    /// Where the order is.
    pub from: OrderStatus,
    /// Where it was asked to go.
    pub to: OrderStatus,
}

impl OrderStatus {
    /// Every state, in the order of an order's life.
    pub const ALL: [OrderStatus; 5] = [
        Self::Draft,
        Self::Pending,
        Self::Confirmed,
        Self::Completed,
        Self::Cancelled,
    ];

    /// The one table of legal moves.
    pub fn allowed(self) -> &'static [OrderStatus] {
        match self {
            Self::Draft => &[Self::Pending, Self::Cancelled],
            Self::Pending => &[Self::Confirmed, Self::Cancelled],
            Self::Confirmed => &[Self::Completed, Self::Cancelled],
            Self::Completed | Self::Cancelled => &[],
        }
    }

    /// The state after the move. To stay where it is, is not a move.
    pub fn advance(self, to: OrderStatus) -> Result<OrderStatus, IllegalMove> {
        if self.allowed().contains(&to) {
            Ok(to)
        } else {
            Err(IllegalMove { from: self, to })
        }
    }

    /// The stored and documented name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<OrderStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What has been paid. Derived from the payment rows and stored; only payments write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// No money promised or received.
    Unpaid,
    /// Promised in full, not yet taken.
    Authorized,
    /// Less than the total was taken.
    PartiallyPaid,
    /// The total was taken.
    Paid,
    /// A part of what was taken went back.
    PartiallyRefunded,
    /// All that was taken went back.
    Refunded,
    /// The promise was released before anything was taken.
    Voided,
}

impl PaymentStatus {
    /// Every state, in documented order.
    pub const ALL: [PaymentStatus; 7] = [
        Self::Unpaid,
        Self::Authorized,
        Self::PartiallyPaid,
        Self::Paid,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Voided,
    ];

    /// The stored and documented name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Authorized => "authorized",
            Self::PartiallyPaid => "partially_paid",
            Self::Paid => "paid",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Voided => "voided",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<PaymentStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What has left the shelf. Derived from the fulfilment rows and stored; only fulfilments write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FulfillmentStatus {
    /// Nothing has shipped.
    Unfulfilled,
    /// Some units have shipped.
    PartiallyFulfilled,
    /// All units have shipped.
    Fulfilled,
    /// All units have arrived.
    Delivered,
    /// Some units came back.
    PartiallyReturned,
    /// All units came back.
    Returned,
}

impl FulfillmentStatus {
    /// Every state, in documented order.
    pub const ALL: [FulfillmentStatus; 6] = [
        Self::Unfulfilled,
        Self::PartiallyFulfilled,
        Self::Fulfilled,
        Self::Delivered,
        Self::PartiallyReturned,
        Self::Returned,
    ];

    /// The stored and documented name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unfulfilled => "unfulfilled",
            Self::PartiallyFulfilled => "partially_fulfilled",
            Self::Fulfilled => "fulfilled",
            Self::Delivered => "delivered",
            Self::PartiallyReturned => "partially_returned",
            Self::Returned => "returned",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<FulfillmentStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Why an order cannot be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefused {
    /// The order is completed or already cancelled.
    #[error(transparent)]
    IllegalMove(#[from] IllegalMove),
    /// Something has left the shelf: it comes back as a return, not by a cancellation.
    #[error("an order that is {} cannot be cancelled", .0.as_str())]
    AlreadyShipped(FulfillmentStatus),
}

/// The status of an order after it is cancelled: refused once anything has shipped.
pub fn cancel(
    status: OrderStatus,
    fulfillment: FulfillmentStatus,
) -> Result<OrderStatus, CancelRefused> {
    let cancelled = status.advance(OrderStatus::Cancelled)?;
    match fulfillment {
        FulfillmentStatus::Unfulfilled => Ok(cancelled),
        shipped => Err(CancelRefused::AlreadyShipped(shipped)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Debug;

    #[test]
    fn the_moves_are_those_of_the_table() {
        use OrderStatus::*;
        let legal = [
            (Draft, Pending),
            (Draft, Cancelled),
            (Pending, Confirmed),
            (Pending, Cancelled),
            (Confirmed, Completed),
            (Confirmed, Cancelled),
        ];
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                let expected = if legal.contains(&(from, to)) {
                    Ok(to)
                } else {
                    Err(IllegalMove { from, to })
                };
                assert_eq!(from.advance(to), expected);
            }
        }
        let refused = Completed.advance(Pending).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "an order that is completed cannot become pending"
        );
    }

    #[test]
    fn only_what_has_not_shipped_can_be_cancelled() {
        for status in OrderStatus::ALL {
            for fulfillment in FulfillmentStatus::ALL {
                let open = !matches!(status, OrderStatus::Completed | OrderStatus::Cancelled);
                let expected = open && fulfillment == FulfillmentStatus::Unfulfilled;
                assert_eq!(cancel(status, fulfillment).is_ok(), expected);
            }
        }
    }

    /// Stored name, JSON and parser must be one and the same word.
    fn check_names<T>(all: &[T], as_str: fn(T) -> &'static str, parse: fn(&str) -> Option<T>)
    where
        T: Copy + Debug + PartialEq + Serialize + for<'de> Deserialize<'de>,
    {
        for &status in all {
            let name = as_str(status);
            assert_eq!(parse(name), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), name);
            assert_eq!(serde_json::from_value::<T>(name.into()).unwrap(), status);
        }
        assert_eq!(parse("Draft"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn names_are_the_same_in_storage_and_json() {
        check_names(&OrderStatus::ALL, OrderStatus::as_str, OrderStatus::parse);
        check_names(
            &PaymentStatus::ALL,
            PaymentStatus::as_str,
            PaymentStatus::parse,
        );
        check_names(
            &FulfillmentStatus::ALL,
            FulfillmentStatus::as_str,
            FulfillmentStatus::parse,
        );
    }

    proptest! {
        #[test]
        fn every_life_ends_within_three_moves(wishes in prop::collection::vec(0_usize..5, 0..40)) {
            let mut status = OrderStatus::Draft;
            let mut moves = 0;
            for wish in wishes {
                if let Ok(next) = status.advance(OrderStatus::ALL[wish]) {
                    status = next;
                    moves += 1;
                }
            }
            prop_assert!(moves <= 3);
        }
    }
}
