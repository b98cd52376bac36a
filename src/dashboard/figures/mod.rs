//! Figures over the shop for the first page.

pub mod store;

use super::chart::{Bars, Value};
use super::show;
use crate::money::{Currency, Money};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;

/// Days in the plot, today included.
pub const DAYS: usize = 14;
/// A variant with so many units left, or fewer, is low.
pub const LOW_STOCK: i64 = 5;

/// What was ordered in a span of time. Drafts and cancelled orders do not count; credit notes reduce the sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    pub orders: i64,
    /// One sum for each currency, by its code.
    pub revenue: Vec<Money>,
}

impl Ordered {
    fn revenue_in(&self, currency: Currency) -> i64 {
        let sums = self.revenue.iter();
        sums.filter(|sum| sum.currency == currency)
            .map(|sum| sum.amount)
            .sum()
    }
}

/// The spans that the first page asks for: each of [`DAYS`] days, then yesterday until the same time of day.
#[derive(Clone, Debug)]
pub struct Spans {
    pub spans: Vec<(i64, i64)>,
    labels: Vec<String>,
}

impl Spans {
    /// `now` on the calendar of `zone`.
    ///
    /// # Errors
    /// When a day is outside of what the calendar can hold.
    pub fn new(now: Timestamp, zone: &TimeZone) -> Result<Spans, jiff::Error> {
        let local = now.to_jiff().to_zoned_datetime(zone.clone());
        let (mut spans, mut labels) = (Vec::new(), Vec::new());
        for back in (0..DAYS as i64).rev() {
            let day = local.date().checked_sub(back.days())?;
            let end = first_instant(zone, day.tomorrow()?)?;
            spans.push((first_instant(zone, day)?, end));
            labels.push(day.strftime("%-d %b").to_string());
        }
        let same_time = local.checked_sub(1.day())?.timestamp().as_microsecond();
        let yesterday = spans[DAYS - 2].0;
        spans.push((yesterday, same_time));
        Ok(Spans { spans, labels })
    }
}

/// The first instant of `day` in `zone`, in microseconds.
fn first_instant(zone: &TimeZone, day: Date) -> Result<i64, jiff::Error> {
    Ok(day
        .to_zoned_datetime(zone.clone())?
        .timestamp()
        .as_microsecond())
}

/// A tile: what is today, and how it compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    pub name: String,
    pub value: String,
    pub compared: String,
}

/// The tiles of today against yesterday: orders, and sales for each currency, the shop's own first.
pub fn tiles(figures: &[Ordered], own: Currency) -> Vec<Tile> {
    let nothing = Ordered::default();
    let today = figures.get(DAYS - 1).unwrap_or(&nothing);
    let before = figures.get(DAYS).unwrap_or(&nothing);
    let mut currencies = vec![own];
    for sum in today.revenue.iter().chain(&before.revenue) {
        if !currencies.contains(&sum.currency) {
            currencies.push(sum.currency);
        }
    }
    let orders = Tile {
        name: "Orders today".to_owned(),
        value: show::count(today.orders),
        compared: format!("{} yesterday by this time", show::count(before.orders)),
    };
    let sums = currencies.into_iter().map(|currency| Tile {
        name: format!("Sales today, {currency}"),
        value: show::money(today.revenue_in(currency), currency),
        compared: format!(
            "{} yesterday by this time",
            show::money(before.revenue_in(currency), currency)
        ),
    });
    std::iter::once(orders).chain(sums).collect()
}

/// Orders by day.
pub fn plot(figures: &[Ordered], spans: &Spans) -> Bars {
    let days = spans.labels.iter().zip(figures);
    let values = days.map(|(label, ordered)| -> Value {
        let sums: Vec<String> = ordered
            .revenue
            .iter()
            .map(|sum| show::money(sum.amount, sum.currency))
            .collect();
        let noun = if ordered.orders == 1 {
            "order"
        } else {
            "orders"
        };
        let told = match sums.is_empty() {
            true => format!("{label}: no orders"),
            false => format!("{label}: {} {noun}, {}", ordered.orders, sums.join(", ")),
        };
        (label.clone(), told, ordered.orders)
    });
    Bars::new(values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_shop_and_yesterday_ends_at_this_time() {
        let now = Timestamp::parse("2026-03-29T12:00:00Z").unwrap(); // clocks went forward that morning
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let spans = Spans::new(now, &zone).unwrap();
        assert_eq!(spans.labels.last().unwrap(), "29 Mar");
        let hours = |(from, to): (i64, i64)| (to - from) / 3_600_000_000;
        assert_eq!(hours(spans.spans[DAYS - 1]), 23);
        assert_eq!(hours(spans.spans[DAYS - 2]), 24);
        assert_eq!(
            hours(spans.spans[DAYS]),
            14,
            "14:00 by the wall, the day before"
        );
    }

    #[test]
    fn the_shops_own_currency_comes_first() {
        let [eur, usd] = ["EUR", "USD"].map(|code| Currency::parse(code).unwrap());
        let mut figures = vec![Ordered::default(); DAYS + 1];
        figures[DAYS - 1] = Ordered {
            orders: 2,
            revenue: vec![Money::new(500, eur)],
        };
        let tiles = tiles(&figures, usd);
        let shown: Vec<_> = tiles.iter().map(|tile| tile.value.as_str()).collect();
        assert_eq!(shown, ["2", "0.00\u{a0}USD", "5.00\u{a0}EUR"]);
    }
}
