//! What must hold, as pure comparisons of stored figures.

use crate::orders::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use serde::Serialize;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which proof failed: `stock`, `held_stock`, `order_totals`, `order_status` or `order_items`.
    pub check: &'static str,
    /// What it is about.
    pub object: String,
    /// What is wrong.
    pub detail: String,
}

/// The counters of a variant at a location, and the sums of its movements.
#[derive(Clone, Debug, Default)]
pub struct StockLevel {
    pub variant_id: String,
    pub location_id: String,
    pub on_hand: i64,
    pub allocated: i64,
    pub on_hand_moved: i64,
    pub allocated_moved: i64,
}

/// The counters are the sums of the movements, and none is below zero.
pub fn check_stock(level: &StockLevel) -> Vec<Finding> {
    let pairs = [
        ("on_hand", level.on_hand, level.on_hand_moved),
        ("allocated", level.allocated, level.allocated_moved),
    ];
    let mut found = Vec::new();
    for (name, counter, moved) in pairs {
        if counter != moved {
            found.push(format!(
                "{name} is {counter}, its movements add up to {moved}"
            ));
        } else if counter < 0 {
            found.push(format!("{name} is {counter}"));
        }
    }
    let object = format!("{} at {}", level.variant_id, level.location_id);
    finding_each("stock", &object, found)
}

/// The units of a variant that an order's items say they hold, and what the ledger set aside for it.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub order_id: String,
    pub variant_id: String,
    pub held: i64,
    pub moved: i64,
}

/// An order holds exactly what was set aside for it.
pub fn check_held(held: &Held) -> Vec<Finding> {
    let Held {
        order_id,
        variant_id,
        held,
        moved,
    } = held;
    let wrong = (held != moved)
        .then(|| format!("the items hold {held} of {variant_id}, the ledger set {moved} aside"));
    finding_each("held_stock", order_id, wrong)
}

/// An order as it is stored.
#[derive(Clone, Debug, Default)]
pub struct OrderRow {
    pub id: String,
    /// An order, not a credit note or an adjustment: those give back what another document took.
    pub is_order: bool,
    pub status: String,
    pub payment_status: String,
    pub fulfillment_status: String,
    pub currency: String,
    pub items: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    pub tax_included: bool,
    pub total: i64,
    pub authorized: i64,
    pub captured: i64,
    pub refunded: i64,
    pub is_confirmed: bool,
    pub is_completed: bool,
    pub is_cancelled: bool,
    pub expires: bool,
}

/// What an order's items add up to.
#[derive(Clone, Debug, Default)]
pub struct OrderSums {
    pub lines: i64,
    pub subtotal: i64,
    pub discount: i64,
    pub tax: i64,
    pub total: i64,
    /// Units on all lines.
    pub quantity: i64,
    pub allocated: i64,
    pub fulfilled: i64,
    pub returned: i64,
    /// Lines whose own figures do not agree with each other.
    pub wrong_lines: i64,
}

/// Totals are sums of the items, and the three axes agree with the figures.
pub fn check_order(order: &OrderRow, sums: &OrderSums) -> Vec<Finding> {
    let mut found = finding_each("order_totals", &order.id, wrong_totals(order, sums));
    found.extend(finding_each(
        "order_status",
        &order.id,
        wrong_status(order, sums),
    ));
    found
}

fn wrong_totals(order: &OrderRow, sums: &OrderSums) -> Vec<String> {
    let mut wrong = Vec::new();
    let pairs = [
        ("items", order.items, sums.subtotal),
        ("discount", order.discount, sums.discount),
        ("tax", order.tax, sums.tax),
    ];
    for (name, stored, summed) in pairs {
        if stored != summed {
            wrong.push(format!("{name} is {stored}, the items add up to {summed}"));
        }
    }
    let wide = |amount: i64| i128::from(amount);
    let summed = wide(sums.total) + wide(order.shipping);
    if wide(order.total) != summed {
        wrong.push(format!(
            "total is {}, items and shipping add up to {summed}",
            order.total
        ));
    }
    let added_tax = if order.tax_included {
        0
    } else {
        wide(order.tax)
    };
    let formula = wide(order.items) - wide(order.discount) + wide(order.shipping) + added_tax;
    if wide(order.total) != formula {
        wrong.push(format!(
            "total is {}, its parts give {formula}",
            order.total
        ));
    }
    if sums.wrong_lines > 0 {
        wrong.push(format!(
            "{} items have figures that do not agree",
            sums.wrong_lines
        ));
    }
    if order.is_order && order.refunded > order.captured {
        wrong.push(format!(
            "{} was refunded of {} captured",
            order.refunded, order.captured
        ));
    }
    wrong
}

fn wrong_status(order: &OrderRow, sums: &OrderSums) -> Vec<String> {
    let (Some(status), Some(payment), Some(fulfillment)) = (
        OrderStatus::parse(&order.status),
        PaymentStatus::parse(&order.payment_status),
        FulfillmentStatus::parse(&order.fulfillment_status),
    ) else {
        return vec!["a status has an unknown name".into()];
    };
    use OrderStatus::*;
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what} (it is {})", order.status));
        }
    };
    must(
        order.is_cancelled == (status == Cancelled),
        "an order has a time of cancellation if it is cancelled, and only then",
    );
    must(
        order.is_completed == (status == Completed),
        "an order has a time of completion if it is completed, and only then",
    );
    must(
        order.is_confirmed || !matches!(status, Confirmed | Completed),
        "a confirmed order has a time of confirmation",
    );
    must(
        !order.expires || status == Pending,
        "only a pending order expires",
    );
    must(
        sums.allocated == 0 || matches!(status, Pending | Confirmed),
        "an order that is not live holds stock",
    );
    must(
        (fulfillment == FulfillmentStatus::Unfulfilled) == (sums.fulfilled == 0),
        "the fulfilment status disagrees with the fulfilled units",
    );
    must(
        sums.returned <= sums.fulfilled,
        "more units were returned than fulfilled",
    );
    let is_paid = matches!(
        payment,
        PaymentStatus::PartiallyPaid | PaymentStatus::PartiallyRefunded
    );
    must(
        !is_paid || order.captured != 0,
        "the payment status disagrees with what was captured",
    );
    must(
        payment != PaymentStatus::Unpaid || order.captured == 0,
        "an unpaid order has captured money",
    );
    wrong
}

fn finding_each(
    check: &'static str,
    object: &str,
    wrong: impl IntoIterator<Item = String>,
) -> Vec<Finding> {
    let finding = |detail| Finding {
        check,
        object: object.to_owned(),
        detail,
    };
    wrong.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> (OrderRow, OrderSums) {
        let order = OrderRow {
            id: "order_1".into(),
            is_order: true,
            status: "pending".into(),
            payment_status: "unpaid".into(),
            fulfillment_status: "unfulfilled".into(),
            currency: "EUR".into(),
            items: 1_000,
            discount: 100,
            shipping: 50,
            tax: 90,
            total: 1_040,
            expires: true,
            ..OrderRow::default()
        };
        let sums = OrderSums {
            lines: 2,
            subtotal: 1_000,
            discount: 100,
            tax: 90,
            total: 990,
            quantity: 3,
            allocated: 3,
            ..OrderSums::default()
        };
        (order, sums)
    }

    fn found(change: impl FnOnce(&mut OrderRow, &mut OrderSums)) -> Vec<String> {
        let (mut order, mut sums) = order();
        change(&mut order, &mut sums);
        let found = check_order(&order, &sums);
        found
            .into_iter()
            .map(|finding| format!("{}: {}", finding.check, finding.detail))
            .collect()
    }

    #[test]
    fn a_healthy_order_is_found_healthy() {
        assert_eq!(found(|_, _| {}), Vec::<String>::new());
        let included = found(|order, sums| {
            order.tax_included = true;
            order.total = 950;
            sums.total = 900;
        });
        assert_eq!(included, Vec::<String>::new());
    }

    #[test]
    fn every_figure_is_compared() {
        assert_eq!(found(|order, _| order.items = 999).len(), 2);
        assert_eq!(found(|order, _| order.discount = 99).len(), 2);
        assert_eq!(found(|order, _| order.tax = 91).len(), 2);
        assert_eq!(found(|order, _| order.shipping = 51).len(), 2);
        assert_eq!(found(|order, _| order.total = 1_041).len(), 2);
        assert_eq!(
            found(|_, sums| sums.wrong_lines = 1),
            ["order_totals: 1 items have figures that do not agree"]
        );
        assert_eq!(found(|order, _| order.refunded = 1).len(), 1);
        let credit_note = found(|order, _| {
            order.is_order = false;
            order.refunded = 1;
        });
        assert_eq!(credit_note, Vec::<String>::new());
        assert_eq!(found(|order, _| order.total = i64::MIN).len(), 2);
    }

    #[test]
    fn every_axis_is_compared() {
        assert_eq!(found(|order, _| order.status = "lost".into()).len(), 1);
        assert_eq!(
            found(|order, _| order.status = "cancelled".into()),
            [
                "order_status: an order has a time of cancellation if it is cancelled, and only then (it is cancelled)",
                "order_status: only a pending order expires (it is cancelled)",
                "order_status: an order that is not live holds stock (it is cancelled)",
            ]
        );
        assert_eq!(found(|order, _| order.is_completed = true).len(), 1);
        assert_eq!(
            found(|order, _| {
                order.status = "confirmed".into();
                order.expires = false;
            })
            .len(),
            1
        );
        assert_eq!(found(|_, sums| sums.fulfilled = 1).len(), 1);
        assert_eq!(found(|order, _| order.captured = 5).len(), 1);
    }

    #[test]
    fn counters_are_compared_with_their_movements() {
        let level = StockLevel {
            on_hand: 5,
            on_hand_moved: 5,
            allocated: 2,
            allocated_moved: 2,
            ..StockLevel::default()
        };
        assert!(check_stock(&level).is_empty());
        let off = StockLevel {
            on_hand: 4,
            allocated: -1,
            allocated_moved: -1,
            ..level
        };
        let found: Vec<String> = check_stock(&off)
            .into_iter()
            .map(|one| one.detail)
            .collect();
        assert_eq!(
            found,
            ["on_hand is 4, its movements add up to 5", "allocated is -1"]
        );
        let held = Held {
            held: 2,
            moved: 3,
            ..Held::default()
        };
        assert_eq!(check_held(&held).len(), 1);
        assert!(check_held(&Held { moved: 2, ..held }).is_empty());
    }
}
