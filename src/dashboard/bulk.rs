//! One change of many products: what a form says of it, and what it means for each of them. No I/O, no clock.

use super::fields::Fields;
use super::show::{money, words};
use super::wrong::Wrong;
use crate::money::{
    AMOUNT_MAX, Currency, MoneyError, Rounding, format_major, mul_ratio, parse_decimal, read_amount,
};
use crate::products::ProductStatus;
use crate::products::product::{PriceRow, Product, Variant};
use platform::db::DbError;
use serde_json::{Map, Value, json};

/// Most products of one change: they are shown on one page, and done within one request.
pub const PRODUCTS_MAX: usize = 200;
/// Longest category or tag, in characters, as the API has it.
const LABEL_CHARS_MAX: usize = 64;
/// Lines that are shown of one product; a product can have thousands of prices.
const LINES_MAX: usize = 20;
/// Digits after the point of a percentage, and the parts of a whole that they make with the two of the per cent.
const PERCENT_DIGITS: u8 = 4;
const WHOLE: i64 = 1_000_000;
/// Percentages beyond them are mistyped.
const PERCENT_MAX: i64 = 1_000 * 10_000;
const PERCENT_MIN: i64 = -100 * 10_000;

/// The fields of the form, in the order in which they are sent on.
pub const FIELDS: [&str; 9] = [
    "status",
    "price",
    "by",
    "currency",
    "ending",
    "add_category",
    "remove_category",
    "add_tag",
    "remove_tag",
];

/// How prices change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Adjust {
    /// Times so many millionths.
    Times(i64),
    /// By so many minor units, and only those of this currency.
    By(i64, Currency),
}

/// Where changed prices end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ending {
    /// The nearest minor unit.
    #[default]
    Unit,
    /// The nearest five minor units.
    Five,
    /// The nearest whole: 20.00.
    Whole,
    /// The nearest whole less one minor unit: 19.99.
    BelowWhole,
}

/// What is to be changed of each product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    status: Option<ProductStatus>,
    price: Option<(Adjust, Ending)>,
    /// What to add and what to take away: of the categories, of the tags.
    categories: [Option<String>; 2],
    tags: [Option<String>; 2],
}

/// A value of one product, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub what: String,
    pub before: String,
    pub after: String,
    /// What it would be without rounding, when that is another value.
    pub exactly: Option<String>,
}

/// What the change means for one product.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// A merge patch; empty when the product stays as it is.
    pub patch: Map<String, Value>,
    pub lines: Vec<Line>,
    /// Lines that are not in `lines`.
    pub more: usize,
}

/// Why one product cannot be changed so.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{what}: {before} cannot be changed so; a price {bound}")]
    Price {
        what: String,
        before: String,
        bound: &'static str,
    },
    #[error(transparent)]
    Stored(#[from] DbError),
}

impl Plan {
    fn tell(&mut self, line: Line) {
        match self.lines.len() < LINES_MAX {
            true => self.lines.push(line),
            false => self.more += 1,
        }
    }
}

impl Bulk {
    /// Reads the form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(typed: &Fields) -> Result<Bulk, Wrong> {
        let mut wrong = Wrong::default();
        let status = match typed.get("status") {
            "" => None,
            known @ ("draft" | "active" | "archived") => Some(ProductStatus::from_stored(known)),
            _ => {
                wrong.add("status", "Status", "this is no status");
                None
            }
        };
        let price = price_of(typed).unwrap_or_else(|(field, label, detail)| {
            wrong.add(field, label, &detail);
            None
        });
        let mut labels = |[add, remove]: [(&str, &str); 2]| {
            let read = [add, remove].map(|(field, label)| {
                let value = typed.some(field)?;
                if value.chars().count() > LABEL_CHARS_MAX {
                    wrong.add(field, label, "expected at most 64 characters");
                }
                Some(value.to_owned())
            });
            if read[0].is_some() && read[0] == read[1] {
                let detail = "the same cannot be added and taken away";
                wrong.add(remove.0, remove.1, detail);
            }
            read
        };
        let bulk = Bulk {
            status,
            price,
            categories: labels([
                ("add_category", "Add a category"),
                ("remove_category", "Remove a category"),
            ]),
            tags: labels([("add_tag", "Add a tag"), ("remove_tag", "Remove a tag")]),
        };
        if wrong.is_empty() && bulk == Bulk::default() {
            wrong = Wrong::line("say what is to change: at least one of these");
        }
        wrong.or(bulk)
    }

    /// Why `product` stays as it is, where that is not plain: it has no price that is meant.
    pub fn why_not(&self, product: &Product) -> String {
        let prices = || product.variants.iter().flat_map(|variant| &variant.prices);
        let dated = |row: &&PriceRow| row.starts_at.is_some() || row.ends_at.is_some();
        match self.price {
            None => String::new(),
            Some(_) if prices().next().is_none() => "it has no price".to_owned(),
            Some((Adjust::By(_, currency), _)) if prices().all(|row| row.currency != currency) => {
                format!("it has no price in {currency}")
            }
            Some(_) if prices().all(|row| dated(&row)) => "its prices have dates".to_owned(),
            Some(_) => String::new(),
        }
    }

    /// What it means for `product`.
    pub fn plan(&self, product: &Product) -> Result<Plan, Refused> {
        let mut plan = Plan::default();
        if let Some(status) = self.status.filter(|status| *status != product.status) {
            plan.patch.insert("status".into(), status.as_str().into());
            plan.tell(Line {
                what: "Status".to_owned(),
                before: words(product.status.as_str()),
                after: words(status.as_str()),
                exactly: None,
            });
        }
        let lists = [
            ("categories", &product.categories, &self.categories),
            ("tags", &product.tags, &self.tags),
        ];
        for (name, stored, change) in lists {
            if change.iter().any(Option::is_some) {
                plan.relabel(name, stored.read()?, change);
            }
        }
        if let Some((adjust, ending)) = self.price {
            plan.reprice(product, adjust, ending)?;
        }
        Ok(plan)
    }
}

impl Plan {
    fn relabel(&mut self, name: &str, before: Vec<String>, [add, remove]: &[Option<String>; 2]) {
        let mut after = before.clone();
        after.retain(|label| Some(label) != remove.as_ref());
        after.extend(add.clone().filter(|label| !before.contains(label)));
        if after == before {
            return;
        }
        let shown = |labels: &[String]| match labels.is_empty() {
            true => "none".to_owned(),
            false => labels.join(", "),
        };
        self.tell(Line {
            what: words(name),
            before: shown(&before),
            after: shown(&after),
            exactly: None,
        });
        self.patch.insert(name.to_owned(), after.into());
    }

    fn reprice(
        &mut self,
        product: &Product,
        adjust: Adjust,
        ending: Ending,
    ) -> Result<(), Refused> {
        let several = product.variants.len() > 1;
        let mut variants = Vec::with_capacity(product.variants.len());
        let mut any = false;
        for variant in &product.variants {
            let (mut rows, mut touched) = (Vec::with_capacity(variant.prices.len()), false);
            for row in &variant.prices {
                let mut sent = json!(row);
                if let Some((amount, line)) = repriced(row, adjust, ending, || {
                    name_of(row, several.then_some(variant))
                })? {
                    sent["amount"] = amount.into();
                    touched = true;
                    self.tell(line);
                }
                rows.push(sent);
            }
            any |= touched;
            variants.push(match touched {
                true => json!({ "id": variant.id, "prices": rows }),
                false => json!({ "id": variant.id }),
            });
        }
        if any {
            self.patch.insert("variants".into(), variants.into());
        }
        Ok(())
    }
}

/// The field at fault, what the form calls it, and what was expected.
type PriceFault = (&'static str, &'static str, String);

/// The change of prices that a form names.
fn price_of(typed: &Fields) -> Result<Option<(Adjust, Ending)>, PriceFault> {
    let fault = |field, label, detail: &str| Err((field, label, detail.to_owned()));
    let ending = match typed.get("ending") {
        "" | "unit" => Ending::Unit,
        "five" => Ending::Five,
        "whole" => Ending::Whole,
        "below_whole" => Ending::BelowWhole,
        _ => return fault("ending", "Rounded to", "this is no way to round"),
    };
    let by = typed.get("by").trim_end_matches('%').trim_end();
    let by = by.strip_prefix('+').unwrap_or(by).replace('\u{2212}', "-");
    let told = |detail| ("by", "By", detail);
    let adjust = match typed.get("price") {
        "" if by.is_empty() => return Ok(None),
        "percent" => Adjust::Times(WHOLE + percent(&by).map_err(told)?),
        "amount" => match Currency::parse(typed.get("currency")) {
            Ok(currency) => Adjust::By(read_amount(&by, currency).map_err(told)?, currency),
            Err(_) => return fault("currency", "Currency", "expected a currency such as USD"),
        },
        _ => {
            let detail = "say whether prices change by per cent or by an amount";
            return fault("price", "Prices", detail);
        }
    };
    if matches!(adjust, Adjust::Times(WHOLE) | Adjust::By(0, _)) {
        return fault("by", "By", "by 0 no price changes");
    }
    Ok(Some((adjust, ending)))
}

/// `-12.5` per cent in millionths, with a decimal comma where it can be nothing else.
fn percent(text: &str) -> Result<i64, String> {
    const EXPECTED: &str = "expected per cent above -100 and up to 1000, such as -10 or 2.5";
    let inside = |percent: &i64| *percent > PERCENT_MIN && *percent <= PERCENT_MAX;
    let read = |text: &str| {
        let digits = text
            .split_once('.')
            .map_or(0, |(_, fraction)| fraction.len());
        let read = parse_decimal(text, PERCENT_DIGITS, Rounding::HalfUp).ok();
        read.filter(|_| digits <= usize::from(PERCENT_DIGITS))
            .filter(inside)
    };
    let read = match text.split_once(',') {
        // It could be a thousand.
        Some((_, digits)) if digits.len() == 3 && read(&text.replace(',', "")).is_some() => None,
        Some(_) if !text.contains('.') => read(&text.replace(',', ".")),
        Some(_) => None,
        None => read(text),
    };
    read.ok_or_else(|| EXPECTED.to_owned())
}

/// What a price row is called: its variant when there are several, and its terms.
fn name_of(row: &PriceRow, variant: Option<&Variant>) -> String {
    let variant = variant.map(|one| {
        let name = one.title.clone().or_else(|| one.sku.clone());
        name.unwrap_or_else(|| one.id.to_string())
    });
    let from = (row.min_quantity > 1).then(|| format!("from {} units", row.min_quantity));
    let group = row.group.as_ref().map(|group| format!("for {group}"));
    let parts = [Some("Price".to_owned()), variant, from, group];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The amount that a price row gets; `None` for one that stays: prices with dates do, and those of other currencies.
fn repriced(
    row: &PriceRow,
    adjust: Adjust,
    ending: Ending,
    name: impl Fn() -> String,
) -> Result<Option<(i64, Line)>, Refused> {
    let (base, factor) = match adjust {
        _ if row.starts_at.is_some() || row.ends_at.is_some() => return Ok(None),
        Adjust::Times(factor) => (row.amount, factor),
        Adjust::By(minor, currency) if currency == row.currency => {
            (row.amount.saturating_add(minor), WHOLE)
        }
        Adjust::By(..) => return Ok(None),
    };
    let refused = |bound| Refused::Price {
        what: name(),
        before: money(row.amount, row.currency),
        bound,
    };
    let exact = i128::from(base) * i128::from(factor);
    if row.amount == 0 && exact == 0 {
        return Ok(None); // what is free stays free
    }
    let after = rounded((base, factor), ending, row.currency).unwrap_or(i64::MAX);
    if exact <= 0 || after < 1 {
        return Err(refused("stays above 0"));
    }
    if after > AMOUNT_MAX {
        return Err(refused("has an end, and this is beyond it"));
    }
    if after == row.amount {
        return Ok(None);
    }
    let line = Line {
        what: name(),
        before: money(row.amount, row.currency),
        after: money(after, row.currency),
        exactly: exactly(exact, after, row.currency.exponent()),
    };
    Ok(Some((after, line)))
}

/// `base * factor / WHOLE` at the nearest place where `ending` lets a price end; half goes up.
fn rounded(
    (base, factor): (i64, i64),
    ending: Ending,
    currency: Currency,
) -> Result<i64, MoneyError> {
    let whole = 10_i64.pow(u32::from(currency.exponent()));
    let to = |step: i64| {
        let steps = mul_ratio(base, factor, WHOLE * step, Rounding::HalfUp)?;
        steps.checked_mul(step).ok_or(MoneyError::OutOfRange)
    };
    match ending {
        Ending::Unit => to(1),
        Ending::Five => to(5),
        Ending::Whole => to(whole),
        Ending::BelowWhole if whole == 1 => to(1),
        Ending::BelowWhole => {
            // From the minor unit to the ending: the exact amount between two endings is no minor unit.
            let wholes = mul_ratio(to(1)?.saturating_add(1), 1, whole, Rounding::HalfUp)?;
            let above = wholes.max(1).checked_mul(whole);
            above.map(|above| above - 1).ok_or(MoneyError::OutOfRange)
        }
    }
}

/// `exact` millionths of a minor unit as people write them, when they are not `after` minor units.
fn exactly(exact: i128, after: i64, exponent: u8) -> Option<String> {
    if exact == i128::from(after) * i128::from(WHOLE) {
        return None;
    }
    let mut text = format_major(i64::try_from(exact).ok()?, exponent + 6);
    for _ in 0..6 {
        if text.ends_with('0') {
            text.pop();
        }
    }
    Some(text.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(amount: i64, code: &str) -> PriceRow {
        PriceRow {
            id: "price_1".to_owned(),
            currency: Currency::parse(code).unwrap(),
            amount,
            compare_at_amount: None,
            min_quantity: 1,
            group: None,
            starts_at: None,
            ends_at: None,
        }
    }

    fn bulk(form: &str) -> Result<Bulk, Wrong> {
        Bulk::parse(&Fields::parse(form).unwrap())
    }

    /// The new amount and the exact one.
    fn priced(
        form: &str,
        amount: i64,
        code: &str,
    ) -> Result<Option<(i64, Option<String>)>, String> {
        let (adjust, ending) = bulk(form).unwrap().price.unwrap();
        let row = row(amount, code);
        let made = repriced(&row, adjust, ending, || "Price".to_owned());
        made.map(|made| made.map(|(after, line)| (after, line.exactly)))
            .map_err(|refused| refused.to_string())
    }

    #[test]
    fn prices_are_rounded_once_and_the_exact_amount_is_told() {
        for (form, amount, code, expected) in [
            ("percent&by=10", 1_999, "USD", "2199 (21.989)"),
            ("percent&by=10", 2_000, "USD", "2200"),
            ("percent&by=-12.5%25", 1_000, "USD", "875"),
            ("percent&by=%2B0.5", 100, "USD", "101 (1.005)"),
            ("percent&by=0.4", 100, "USD", "stays"),
            ("percent&by=12,5", 1_000, "USD", "1125"),
            ("percent&by=3,333", 1_000, "USD", "1033 (10.3333)"),
            ("percent&by=10&ending=five", 1_999, "USD", "2200 (21.989)"),
            ("percent&by=10&ending=whole", 1_999, "USD", "2200 (21.989)"),
            (
                "percent&by=20&ending=below_whole",
                1_999,
                "USD",
                "2399 (23.988)",
            ),
            (
                "percent&by=10&ending=below_whole",
                1_000,
                "USD",
                "1099 (11.00)",
            ),
            (
                "percent&by=10&ending=below_whole",
                1_005,
                "JPY",
                "1106 (1105.5)",
            ),
            ("amount&by=-0.50&currency=USD", 1_999, "USD", "1949"),
            ("amount&by=\u{2212}0.50&currency=USD", 1_999, "USD", "1949"),
            (
                "amount&by=1&currency=USD&ending=whole",
                1_950,
                "USD",
                "2100 (20.50)",
            ),
            ("amount&by=1&currency=EUR", 1_999, "USD", "stays"),
            ("percent&by=10", 0, "USD", "stays"),
            ("percent&by=0.1", 1_500, "KWD", "1502 (1.5015)"),
        ] {
            let made = priced(&format!("price={form}"), amount, code).unwrap();
            let told = made.map_or_else(
                || "stays".to_owned(),
                |(after, exactly)| match exactly {
                    Some(exactly) => format!("{after} ({exactly})"),
                    None => after.to_string(),
                },
            );
            assert_eq!(told, expected, "{form} of {amount} {code}");
        }
    }

    #[test]
    fn a_price_stays_above_nothing_and_below_its_bound() {
        for (form, amount) in [
            ("price=amount&by=-19.99&currency=USD", 1_999),
            ("price=amount&by=-30&currency=USD&ending=below_whole", 1_999),
            ("price=percent&by=-99.99", 1),
            ("price=percent&by=-90&ending=whole", 400),
            ("price=percent&by=1000", AMOUNT_MAX),
        ] {
            let refused = priced(form, amount, "USD").unwrap_err();
            let bound = match amount {
                AMOUNT_MAX => "a price has an end",
                _ => "a price stays above 0",
            };
            assert!(refused.contains(bound), "{form}: {refused}");
        }
    }

    #[test]
    fn prices_with_dates_stay() {
        let sale = PriceRow {
            ends_at: Some(platform::clock::Timestamp::from_micros(1)),
            ..row(1_999, "USD")
        };
        let made = repriced(&sale, Adjust::Times(2 * WHOLE), Ending::Unit, String::new);
        assert!(matches!(made, Ok(None)));
    }

    #[test]
    fn a_form_says_something_that_can_be_done() {
        for (form, said) in [
            ("", "Say what is to change: at least one"),
            ("status=sold", "Status: this is no status"),
            ("price=percent", "By: expected per cent"),
            ("price=percent&by=-100", "By: expected per cent"),
            ("price=percent&by=1001", "By: expected per cent"),
            ("price=percent&by=1.00001", "By: expected per cent"),
            ("price=percent&by=1e3", "By: expected per cent"),
            ("price=percent&by=1,000", "By: expected per cent"),
            ("price=percent&by=1,000.5", "By: expected per cent"),
            ("price=percent&by=0", "By: by 0"),
            ("price=amount&by=0.00&currency=USD", "By: by 0"),
            (
                "price=amount&by=0.001&currency=USD",
                "By: expected at most 2 decimals",
            ),
            ("price=amount&by=1&currency=x", "Currency: expected"),
            ("price=amount&by=x&currency=USD", "expected an amount"),
            ("by=10", "per cent or by an amount"),
            ("price=half&by=10", "per cent or by an amount"),
            ("price=percent&by=10&ending=odd", "no way to round"),
            (
                "add_tag=a&remove_tag=a",
                "Remove a tag: the same cannot be added and taken away",
            ),
            (
                &format!("add_category={}", "x".repeat(65)),
                "Add a category: expected at most 64",
            ),
        ] {
            let wrong = bulk(form).expect_err(form).lines().join(" ");
            assert!(wrong.contains(said), "{form}: {wrong}");
        }
        let both = bulk("add_tag=a&remove_tag=b&status=draft").unwrap();
        assert_eq!(both.status, Some(ProductStatus::Draft));
        assert_eq!(
            bulk("currency=USD&ending=five").unwrap_err().lines().len(),
            1
        );
    }

    proptest! {
        #[test]
        fn no_price_is_further_from_the_exact_one_than_its_ending_allows(
            amount in 0..1_000_000_000_i64, percent in -999_999..10_000_000_i64, ending in 0..4_usize,
        ) {
            let endings = [Ending::Unit, Ending::Five, Ending::Whole, Ending::BelowWhole];
            let (row, factor) = (row(amount, "USD"), WHOLE + percent);
            if let Ok(Some((after, _))) = repriced(&row, Adjust::Times(factor), endings[ending], String::new) {
                let exact = i128::from(amount) * i128::from(factor);
                let off = (i128::from(after) * i128::from(WHOLE) - exact).abs();
                // Half a step; the nearest ending of what is below the first one is the first one.
                let half = [500_000, 2_500_000, 50_000_000, 50_500_000][ending];
                prop_assert!(off <= half || (ending == 3 && after == 99), "{} is {}", after, off);
                prop_assert!(after > 0);
            }
        }

        #[test]
        fn any_form_is_read_or_refused(by in ".{0,30}", price in "percent|amount|", code in "USD|JPY|x") {
            let form = format!(
                "price={price}&currency={code}&by={}", crate::dashboard::fields::encode(&by.replace('\0', ""))
            );
            let _ = bulk(&form);
        }
    }
}
