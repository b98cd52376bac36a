//! What a variant costs: one pure function over its price rows. No price is switched on or off by a job,
//! so a sale starts and ends at the microsecond its window says.

use crate::money::Currency;
use schemars::JsonSchema;
use serde::Serialize;

/// One price row of a variant. Amounts are minor units of `currency`; instants are microseconds UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Unique among the rows of the variant; decides between equal amounts.
    pub id: String,
    /// The only currency this row answers for; nothing is converted.
    pub currency: Currency,
    /// Price of one unit.
    pub amount: i64,
    /// The price to show struck through, if the shop names one.
    pub compare_at_amount: Option<i64>,
    /// Applies from this quantity of the line on (1: always).
    pub min_quantity: i64,
    /// Only for callers who ask for this group; `None` is for everyone.
    pub group: Option<String>,
    /// First instant at which the row applies; `None` is since ever.
    pub starts_at_micros: Option<i64>,
    /// First instant at which the row no longer applies; `None` is for good.
    pub ends_at_micros: Option<i64>,
}

/// The answer of [`resolve`]: what one unit costs, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ResolvedPrice")]
pub struct Resolved {
    /// Price of one unit in minor units.
    pub amount: i64,
    /// The currency that was asked for.
    pub currency: Currency,
    /// The price without the sale, in minor units; never below `amount`.
    pub list_amount: i64,
    /// Whether `amount` is below `list_amount`.
    pub on_sale: bool,
    /// The row that won.
    pub price_id: String,
}

impl Price {
    fn applies(
        &self,
        currency: Currency,
        group: Option<&str>,
        quantity: i64,
        at_micros: i64,
    ) -> bool {
        self.currency == currency
            && (self.group.is_none() || self.group.as_deref() == group)
            && self.min_quantity <= quantity
            && self.starts_at_micros.is_none_or(|start| start <= at_micros)
            && self.ends_at_micros.is_none_or(|end| at_micros < end)
    }

    fn is_everyday(&self) -> bool {
        self.starts_at_micros.is_none() && self.ends_at_micros.is_none()
    }
}

/// The price of one unit when `quantity` are bought at `at_micros`; `None` when no row applies.
///
/// The lowest amount wins, ties by id, whatever the order of the rows. A group's rows compete with those
/// for everyone, so membership never makes a thing dearer. `list_amount` is the winner's
/// `compare_at_amount` if that is larger, else the lowest applicable amount without a window (the everyday
/// price), else the amount itself.
pub fn resolve(
    prices: &[Price],
    currency: Currency,
    group: Option<&str>,
    quantity: i64,
    at_micros: i64,
) -> Option<Resolved> {
    let applicable = || {
        prices
            .iter()
            .filter(|price| price.applies(currency, group, quantity, at_micros))
    };
    let winner = applicable().min_by_key(|price| (price.amount, price.id.as_str()))?;
    let everyday = applicable()
        .filter(|price| price.is_everyday())
        .map(|price| price.amount)
        .min();
    let list_amount = winner
        .compare_at_amount
        .filter(|compare_at| *compare_at > winner.amount)
        .or(everyday)
        .unwrap_or(winner.amount);
    Some(Resolved {
        amount: winner.amount,
        currency,
        list_amount,
        on_sale: winner.amount < list_amount,
        price_id: winner.id.clone(),
    })
}

/// The earliest instant after `at_micros` at which [`resolve`] can answer differently, for any currency, group
/// and quantity; `None` when it never will. Nothing derived from a price may be kept beyond it.
pub fn next_boundary(prices: &[Price], at_micros: i64) -> Option<i64> {
    prices
        .iter()
        .flat_map(|price| [price.starts_at_micros, price.ends_at_micros])
        .flatten()
        .filter(|boundary| *boundary > at_micros)
        .min()
}

/// A time during which a price for everyone and for one unit was (or will be) in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub currency: Currency,
    /// Minor units of `currency`.
    pub amount: i64,
    /// Its first instant, in microseconds.
    pub from_micros: i64,
    /// The first instant after it; `None` while no end is known.
    pub until_micros: Option<i64>,
}

pub const DAYS_30_MICROS: i64 = 30 * 24 * 60 * 60 * 1_000_000;

/// The lowest amount that was asked for within 30 days, as the EU wants it beside a price reduction
/// (Directive 98/6/EC art. 6a): the 30 days before the reduction began at `reduced_since_micros`, or
/// those up to and including `at_micros` when nothing is reduced. `None` when nothing was asked for.
pub fn lowest_of_30_days(
    spans: impl IntoIterator<Item = Span>,
    currency: Currency,
    reduced_since_micros: Option<i64>,
    at_micros: i64,
) -> Option<i64> {
    // The instant at which a reduction begins is not before it; the present one belongs to the days.
    let end = reduced_since_micros.unwrap_or(at_micros.saturating_add(1));
    let start = end.saturating_sub(DAYS_30_MICROS);
    spans
        .into_iter()
        .filter(|span| span.currency == currency && span.from_micros < end)
        .filter(|span| span.until_micros.is_none_or(|until| until > start))
        .map(|span| span.amount)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn price(id: &str, amount: i64) -> Price {
        Price {
            id: id.to_owned(),
            currency: currency("USD"),
            amount,
            compare_at_amount: None,
            min_quantity: 1,
            group: None,
            starts_at_micros: None,
            ends_at_micros: None,
        }
    }

    fn usd(
        prices: &[Price],
        group: Option<&str>,
        quantity: i64,
        at_micros: i64,
    ) -> Option<Resolved> {
        resolve(prices, currency("USD"), group, quantity, at_micros)
    }

    #[test]
    fn a_sale_holds_from_its_start_until_just_before_its_end() {
        let sale = Price {
            starts_at_micros: Some(100),
            ends_at_micros: Some(200),
            ..price("b", 1500)
        };
        let prices = [price("a", 2000), sale];
        for (at, amount) in [(99, 2000), (100, 1500), (199, 1500), (200, 2000)] {
            let resolved = usd(&prices, None, 1, at).unwrap();
            assert_eq!(
                (resolved.amount, resolved.list_amount),
                (amount, 2000),
                "at {at}"
            );
            assert_eq!(resolved.on_sale, amount == 1500);
        }
        assert_eq!(next_boundary(&prices, 99), Some(100));
        assert_eq!(next_boundary(&prices, 100), Some(200));
        assert_eq!(next_boundary(&prices, 200), None);
    }

    #[test]
    fn the_struck_price_counts_only_when_it_is_higher() {
        let struck = |compare_at| {
            [Price {
                compare_at_amount: Some(compare_at),
                ..price("a", 1000)
            }]
        };
        let resolved = usd(&struck(1200), None, 1, 0).unwrap();
        assert_eq!((resolved.list_amount, resolved.on_sale), (1200, true));
        let resolved = usd(&struck(900), None, 1, 0).unwrap();
        assert_eq!((resolved.list_amount, resolved.on_sale), (1000, false));
    }

    #[test]
    fn groups_and_quantities_open_further_prices() {
        let trade = Price {
            group: Some("trade".to_owned()),
            ..price("b", 800)
        };
        let bulk = Price {
            min_quantity: 10,
            ..price("c", 900)
        };
        let prices = [price("a", 1000), trade, bulk];
        let amount = |group, quantity| usd(&prices, group, quantity, 0).unwrap().amount;
        assert_eq!(amount(None, 9), 1000);
        assert_eq!(amount(None, 10), 900);
        assert_eq!(amount(Some("trade"), 1), 800);
        assert_eq!(amount(Some("press"), 1), 1000);
        assert_eq!(resolve(&prices, currency("EUR"), None, 1, 0), None);
    }

    #[test]
    fn equal_amounts_are_decided_by_id() {
        assert_eq!(
            usd(&[price("b", 5), price("a", 5)], None, 1, 0)
                .unwrap()
                .price_id,
            "a"
        );
    }

    const INSTANT: std::ops::Range<i64> = -20..20;

    /// Rows with unique ids in a small world, so that boundaries, groups and ties meet often.
    fn any_prices() -> impl Strategy<Value = Vec<Price>> {
        let row = (
            prop_oneof![Just("USD"), Just("EUR")],
            0_i64..6,
            prop::option::of(0_i64..10),
            1_i64..4,
            prop::option::of(prop_oneof![Just("trade"), Just("press")]),
            prop::option::of(INSTANT),
            prop::option::of(INSTANT),
        );
        prop::collection::vec(row, 0..8).prop_map(|rows| {
            let numbered = rows.into_iter().enumerate();
            numbered
                .map(
                    |(n, (code, amount, compare_at_amount, min_quantity, group, start, end))| {
                        Price {
                            id: format!("price_{n}"),
                            currency: currency(code),
                            amount,
                            compare_at_amount,
                            min_quantity,
                            group: group.map(str::to_owned),
                            starts_at_micros: start,
                            ends_at_micros: end,
                        }
                    },
                )
                .collect()
        })
    }

    fn any_group() -> impl Strategy<Value = Option<&'static str>> {
        prop_oneof![Just(None), Just(Some("trade")), Just(Some("nobody"))]
    }

    #[test]
    fn the_lowest_of_30_days_is_that_before_the_reduction() {
        const DAY: i64 = 24 * 60 * 60 * 1_000_000;
        let span = |amount, from: i64, until: Option<i64>| Span {
            currency: currency("EUR"),
            amount,
            from_micros: from * DAY,
            until_micros: until.map(|day| day * DAY),
        };
        let spans = [
            span(900, 0, Some(5)),
            span(1500, 5, Some(20)),
            span(2000, 20, None),
            span(1200, 40, Some(50)),
        ];
        let lowest = |since: Option<i64>, at: i64| {
            lowest_of_30_days(spans, currency("EUR"), since.map(|day| day * DAY), at * DAY)
        };
        assert_eq!(lowest(Some(40), 45), Some(1500)); // the sale from day 40, days 10 to 40
        assert_eq!(lowest(None, 60), Some(1200));
        assert_eq!(lowest(None, 34), Some(900)); // day 4 is the first of 30
        assert_eq!(lowest(None, 36), Some(1500));
        assert_eq!(lowest(Some(0), 3), None); // nothing was asked for before
        assert_eq!(
            lowest_of_30_days(spans, currency("USD"), None, 60 * DAY),
            None
        );
    }

    proptest! {
        #[test]
        fn the_order_of_the_rows_does_not_matter(
            (prices, shuffled) in any_prices().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
            group in any_group(), quantity in 1_i64..5, at in INSTANT,
        ) {
            prop_assert_eq!(usd(&prices, group, quantity, at), usd(&shuffled, group, quantity, at));
            prop_assert_eq!(next_boundary(&prices, at), next_boundary(&shuffled, at));
        }

        #[test]
        fn nothing_changes_before_the_next_boundary(
            prices in any_prices(), group in any_group(), quantity in 1_i64..5, at in INSTANT,
        ) {
            let now = usd(&prices, group, quantity, at);
            let boundary = next_boundary(&prices, at);
            prop_assert!(boundary.is_none_or(|b| b > at));
            for later in at..boundary.unwrap_or(INSTANT.end + 1) {
                prop_assert_eq!(&usd(&prices, group, quantity, later), &now);
            }
        }

        #[test]
        fn the_winner_is_an_open_row_and_none_is_lower(
            prices in any_prices(), group in any_group(), quantity in 1_i64..5, at in INSTANT,
        ) {
            let open: Vec<&Price> = prices.iter().filter(|p| {
                let within = p.starts_at_micros.unwrap_or(i64::MIN)..p.ends_at_micros.unwrap_or(i64::MAX);
                within.contains(&at) && p.currency == currency("USD") && quantity >= p.min_quantity
                    && (p.group.is_none() || p.group.as_deref() == group)
            }).collect();
            let Some(resolved) = usd(&prices, group, quantity, at) else {
                prop_assert!(open.is_empty());
                return Ok(());
            };
            let winner = open.iter().find(|p| p.id == resolved.price_id).unwrap();
            prop_assert_eq!(winner.amount, resolved.amount);
            prop_assert!(open.iter().all(|p| (p.amount, &p.id) >= (winner.amount, &winner.id)));
            prop_assert!(resolved.list_amount >= resolved.amount);
            prop_assert_eq!(resolved.on_sale, resolved.list_amount > resolved.amount);
        }

        #[test]
        fn a_group_or_a_larger_quantity_never_costs_more(
            prices in any_prices(), quantity in 1_i64..5, at in INSTANT,
        ) {
            if let Some(single) = usd(&prices, None, quantity, at) {
                prop_assert!(usd(&prices, Some("trade"), quantity, at).unwrap().amount <= single.amount);
                prop_assert!(usd(&prices, None, quantity + 1, at).unwrap().amount <= single.amount);
            }
        }
    }
}
