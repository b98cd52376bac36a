use super::*;
use crate::reports::period::Interval;
use crate::reports::run::{NewReport, Plan};
use jiff::civil::date;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

fn gbp() -> Currency {
    Currency::parse("GBP").unwrap()
}

fn amounts(items: i64, discount: i64, shipping: i64, tax: i64, tax_included: bool) -> Amounts {
    Amounts {
        units: 2,
        items,
        discount,
        shipping,
        tax,
        tax_included,
    }
}

fn total_of(amounts: &Amounts) -> i128 {
    let added = if amounts.tax_included { 0 } else { amounts.tax };
    [amounts.items, -amounts.discount, amounts.shipping, added]
        .into_iter()
        .map(i128::from)
        .sum()
}

fn shown(kind: &str, write: impl FnOnce(&mut FileWriter) -> Result<(), FileError>) -> Value {
    let new: NewReport = serde_json::from_value(json!({ "type": kind })).unwrap();
    let plan = Plan::new(&new, Timestamp::from_micros(0)).unwrap();
    let mut file = FileWriter::begin(&plan, Timestamp::from_micros(0)).unwrap();
    write(&mut file).unwrap();
    serde_json::from_str(&file.finish().unwrap().chunks.concat()).unwrap()
}

#[test]
fn included_tax_is_taken_out_of_gross_and_the_total_is_the_same() {
    let mut sums = Sums::default();
    sums.add(FactKind::Sale, &amounts(1_200, 0, 300, 200, true));
    sums.add(FactKind::Sale, &amounts(1_000, 0, 300, 200, false));
    assert_eq!((sums.gross, sums.taxes, sums.total()), (2_000, 400, 3_000));
}

#[test]
fn a_cancelled_order_and_a_credit_note_are_reversals_and_never_negative_sales() {
    let order = amounts(1_000, 100, 50, 190, false);
    let mut sums = Sums::default();
    sums.add(FactKind::Sale, &order);
    sums.add(FactKind::Cancellation, &order);
    assert_eq!(
        (sums.gross, sums.discounts, sums.reversals),
        (1_000, 100, 900)
    );
    assert_eq!(
        (sums.total(), sums.units, sums.shipping, sums.taxes),
        (0, 0, 0, 0)
    );
    let mut credit = amounts(-500, 0, 0, 0, false);
    credit.units = -1;
    sums.add(FactKind::Correction, &credit);
    assert_eq!(
        (sums.gross, sums.reversals, sums.net(), sums.units),
        (1_000, 1_400, -500, -1)
    );
}

#[test]
fn the_average_order_value_is_rounded_half_away_from_zero() {
    let aov = |gross: i128, orders: i64| {
        let sums = Sums {
            gross,
            orders,
            ..Sums::default()
        };
        sums.aov()
    };
    assert_eq!(
        [aov(5, 2), aov(-5, 2), aov(10, 3), aov(11, 3)],
        [Some(3), Some(-3), Some(3), Some(4)]
    );
    assert_eq!(aov(0, 0), None);
}

#[test]
fn products_count_an_order_once_and_show_the_last_title() {
    let mut sales = ByProduct::default();
    let mut line = |kind, order_id, sku, title| {
        sales.add(&Line {
            kind,
            order_id,
            currency: gbp(),
            product_id: Some("prod_1"),
            sku,
            title,
            amounts: amounts(100, 0, 0, 0, false),
        });
    };
    line(FactKind::Sale, "ord_1", Some("85123A"), "Lantern");
    line(FactKind::Sale, "ord_1", Some("85123A"), "Lantern");
    line(FactKind::Sale, "ord_1", Some("85123a"), "lantern");
    line(FactKind::Sale, "ord_2", Some("85123A"), "White lantern");
    line(FactKind::Sale, "ord_2", None, "Postage");
    let report = shown("sales_by_product", |file| sales.write(file));
    let row = |index: usize| {
        let row = &report["rows"][index];
        (
            row["sku"].clone(),
            row["title"].clone(),
            row["orders"].clone(),
            row["net_sales"].clone(),
        )
    };
    assert_eq!(
        row(0),
        (
            json!("85123A"),
            json!("White lantern"),
            json!(2),
            json!(300)
        )
    );
    assert_eq!(
        row(1),
        (json!(null), json!("Postage"), json!(1), json!(100))
    );
    assert_eq!(
        row(2),
        (json!("85123a"), json!("lantern"), json!(1), json!(100))
    );
    assert_eq!(report["totals"][0]["net_sales"], 500);
    assert_eq!(report["totals"][0]["orders"], json!(null));
}

fn any_fact() -> impl Strategy<Value = (FactKind, i64, &'static str, Option<&'static str>, Amounts)>
{
    let kind = prop::sample::select(vec![
        FactKind::Sale,
        FactKind::Correction,
        FactKind::Cancellation,
    ]);
    let currency = prop::sample::select(vec!["GBP", "EUR", "JPY"]);
    let country = prop::sample::select(vec![None, Some("GB"), Some("EIRE")]);
    let amount = -1_000_000_i64..1_000_000;
    let amounts = (
        amount.clone(),
        0..1_000_i64,
        0..1_000_i64,
        0..1_000_i64,
        any::<bool>(),
    );
    let amounts = amounts.prop_map(|(items, discount, shipping, tax, included)| {
        super::tests::amounts(items, discount, shipping, tax, included)
    });
    // 2011, by the second.
    (
        kind,
        1_293_840_000_i64..1_325_376_000,
        currency,
        country,
        amounts,
    )
}

proptest! {
    /// Whatever happened, in whatever zone, however long the buckets: the buckets sum to the whole, and
    /// so do the countries.
    #[test]
    fn buckets_sum_to_the_total_of_all_documents(
        facts in prop::collection::vec(any_fact(), 0..40),
        zone in prop::sample::select(vec!["UTC", "Europe/London", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo"]),
        interval in prop::sample::select(vec![Interval::Day, Interval::Month]),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let periods = Periods::new(&zone, (date(2010, 12, 31), date(2012, 1, 2)), interval).unwrap();
        let (mut by_period, mut by_country) = (ByPeriod::new(periods, None), ByCountry::default());
        let mut expected: BTreeMap<&str, (i64, i128)> = BTreeMap::new();
        for (kind, second, currency, country, amounts) in &facts {
            let fact = Fact {
                kind: *kind,
                at: second * 1_000_000,
                currency: Currency::parse(currency).unwrap(),
                country: *country,
                amounts: *amounts,
            };
            by_period.add(&fact);
            by_country.add(&fact);
            let sum = expected.entry(currency).or_default();
            sum.0 += i64::from(*kind == FactKind::Sale);
            sum.1 += if *kind == FactKind::Cancellation { -total_of(amounts) } else { total_of(amounts) };
        }
        let reports = [
            shown("sales_by_period", |file| by_period.write(file)),
            shown("sales_by_country", |file| by_country.write(file)),
        ];
        for report in reports {
            for part in ["rows", "totals"] {
                let mut found: BTreeMap<&str, (i64, i128)> = BTreeMap::new();
                for row in report[part].as_array().unwrap() {
                    let sum = found.entry(row["currency"].as_str().unwrap()).or_default();
                    sum.0 += row["orders"].as_i64().unwrap();
                    sum.1 += i128::from(row["total_sales"].as_i64().unwrap());
                }
                prop_assert_eq!(&found, &expected);
            }
        }
    }
}
