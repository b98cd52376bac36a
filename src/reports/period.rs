//! Time buckets: days and months as a clock on the wall in one time zone shows them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a bucket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Interval {
    #[default]
    Day,
    Month,
}

/// The first instant of `day` in `zone`, in microseconds: midnight, or where the clocks skip midnight
/// the instant at which they do.
pub fn first_instant(zone: &TimeZone, day: Date) -> Result<i64, jiff::Error> {
    let midnight = day.to_zoned_datetime(zone.clone())?;
    Ok(midnight.timestamp().as_microsecond())
}

/// Consecutive half-open buckets that cover `[start, end)`; the first and last month may be cut.
#[derive(Debug)]
pub struct Periods {
    /// Where each bucket begins, and last where the last one ends.
    bounds: Vec<i64>,
    labels: Vec<String>,
}

impl Periods {
    /// The buckets of the local days from `start` up to, not including, `end`.
    ///
    /// # Errors
    /// When a day is outside of what the calendar can hold.
    pub fn new(
        zone: &TimeZone,
        (start, end): (Date, Date),
        interval: Interval,
    ) -> Result<Periods, jiff::Error> {
        let (mut bounds, mut labels) = (Vec::new(), Vec::new());
        let mut day = start;
        while day < end {
            bounds.push(first_instant(zone, day)?);
            match interval {
                Interval::Day => labels.push(day.to_string()),
                Interval::Month => labels.push(format!("{:04}-{:02}", day.year(), day.month())),
            }
            day = match interval {
                Interval::Day => day.tomorrow()?,
                Interval::Month => day.last_of_month().tomorrow()?,
            };
        }
        bounds.push(first_instant(zone, end)?);
        Ok(Periods { bounds, labels })
    }

    /// The names of the buckets in order: `2011-03-27` or `2011-03`.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The instants `[from, to)` that the buckets cover, in microseconds.
    pub fn range(&self) -> (i64, i64) {
        let last = self.bounds.len() - 1; // the end is always there
        (self.bounds[0], self.bounds[last])
    }

    /// The bucket that holds the instant `at`; `None` outside of all.
    pub fn index_of(&self, at: i64) -> Option<usize> {
        let begun = self.bounds.partition_point(|bound| *bound <= at);
        (begun > 0 && begun < self.bounds.len()).then(|| begun - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn hours(periods: &Periods) -> Vec<i64> {
        periods
            .bounds
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 3_600_000_000)
            .collect()
    }

    #[test]
    fn days_of_a_clock_change_have_23_and_25_hours() {
        let london = zone("Europe/London");
        let days = |from: Date, to: Date| Periods::new(&london, (from, to), Interval::Day).unwrap();
        let spring = days(date(2011, 3, 26), date(2011, 3, 29));
        assert_eq!(hours(&spring), [24, 23, 24]);
        let autumn = days(date(2011, 10, 29), date(2011, 11, 1));
        assert_eq!(hours(&autumn), [24, 25, 24]);
        assert_eq!(
            autumn.labels(),
            ["2011-10-29", "2011-10-30", "2011-10-31"].map(str::to_owned)
        );
    }

    #[test]
    fn a_skipped_midnight_and_a_skipped_day_lose_no_instant() {
        // Midnight of 2018-11-04 does not exist in São Paulo, the whole of 2011-12-30 not in Apia.
        let sao_paulo = zone("America/Sao_Paulo");
        let days = (date(2018, 11, 3), date(2018, 11, 6));
        assert_eq!(
            hours(&Periods::new(&sao_paulo, days, Interval::Day).unwrap()),
            [24, 23, 24]
        );
        let days = (date(2011, 12, 29), date(2012, 1, 1));
        let apia = Periods::new(&zone("Pacific/Apia"), days, Interval::Day).unwrap();
        assert_eq!(hours(&apia), [24, 0, 24]);
        let (from, to) = apia.range();
        assert_eq!(apia.index_of(from), Some(0));
        assert_eq!(apia.index_of(apia.bounds[1]), Some(2));
        assert_eq!((apia.index_of(from - 1), apia.index_of(to)), (None, None));
    }

    #[test]
    fn zones_need_no_files_of_the_system() {
        let bundled = jiff::tz::TimeZoneDatabase::bundled();
        let zone = bundled.get("Europe/London").unwrap();
        let days = (date(2011, 3, 27), date(2011, 3, 28));
        let spring = Periods::new(&zone, days, Interval::Day).unwrap();
        assert_eq!(hours(&spring), [23]);
    }

    #[test]
    fn months_are_cut_at_both_ends() {
        let days = (date(2010, 12, 15), date(2011, 2, 2));
        let months = Periods::new(&TimeZone::UTC, days, Interval::Month).unwrap();
        assert_eq!(
            months.labels(),
            ["2010-12", "2011-01", "2011-02"].map(str::to_owned)
        );
        assert_eq!(hours(&months), [17 * 24, 31 * 24, 24]);
    }

    proptest! {
        #[test]
        fn every_instant_falls_into_the_day_that_the_local_clock_shows(
            zone_name in prop::sample::select(vec!["UTC", "Europe/London", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"]),
            second in 1_293_840_000_i64..1_325_376_000, // 2011
        ) {
            let zone = zone(zone_name);
            let days = (date(2010, 12, 31), date(2012, 1, 2));
            let periods = Periods::new(&zone, days, Interval::Day).unwrap();
            let local = jiff::Timestamp::from_second(second).unwrap().to_zoned_datetime(zone);
            let index = periods.index_of(second * 1_000_000).unwrap();
            prop_assert_eq!(&periods.labels()[index], &local.date().to_string());
        }
    }
}
