//! Products and variants as forms show them, and the merge patches that such forms mean. No I/O, no clock.

use super::edited::Values;
use crate::money::{Currency, format_major, read_amount};
use crate::products::product::{PriceRow, Product, ProductOption, Variant};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::http::{FieldError, Place};
use platform::secrets::sha256_hex;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The texts of a product, in the order of the form.
pub const TEXTS: [&str; 6] = ["title", "description", "status", "type", "vendor", "brand"];
/// Fields with one name a line.
pub const LISTS: [&str; 2] = ["categories", "tags"];
/// The fields of a price row.
pub const PRICE_FIELDS: [&str; 7] = [
    "amount",
    "currency",
    "compare_at",
    "min_quantity",
    "group",
    "starts_at",
    "ends_at",
];
/// Empty price rows that a form offers.
const NEW_PRICES: usize = 2;
/// As the browser's field of day and time has it, with seconds only where there are any.
const MINUTE: &str = "%Y-%m-%dT%H:%M";
const SECOND: &str = "%Y-%m-%dT%H:%M:%S";

/// What is wrong with a field of a form.
fn fault(field: &str, code: &'static str, detail: impl Into<String>) -> FieldError {
    FieldError {
        place: Place::Pointer(format!("#/{field}")),
        code,
        detail: detail.into(),
    }
}

/// A field without anything in it clears what is stored.
fn text_or_null(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => text.into(),
    }
}

fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}

/// A product as its form shows it.
pub fn product_values(product: &Product) -> Result<Values, DbError> {
    let mut values = Values::default();
    values.set("title", &product.title);
    values.set("description", &product.description);
    values.set("status", product.status.as_str());
    values.set("type", product.kind.as_deref().unwrap_or_default());
    values.set("vendor", product.vendor.as_deref().unwrap_or_default());
    values.set("brand", product.brand.as_deref().unwrap_or_default());
    values.set("categories", product.categories.read()?.join("\n"));
    values.set("tags", product.tags.read()?.join("\n"));
    Ok(values)
}

/// What a form changes of `present`, as a merge patch. What was not touched is not in it.
pub fn product_patch(typed: &Values, present: &Values) -> Map<String, Value> {
    let mut patch = Map::new();
    let touched = |name: &&&str| typed.of(name) != present.of(name).trim();
    for name in TEXTS.iter().filter(touched) {
        let value = match *name {
            "title" | "status" => typed.of(name).into(),
            name => text_or_null(typed.of(name)),
        };
        patch.insert((*name).to_owned(), value);
    }
    for name in LISTS.iter().filter(touched) {
        patch.insert((*name).to_owned(), lines(typed.of(name)).into());
    }
    patch
}

/// The body of a new product: its own fields, and the short form of its only variant.
pub fn new_product(typed: &Values) -> Result<Map<String, Value>, Vec<FieldError>> {
    let mut body = product_patch(typed, &Values::default());
    body.insert("title".to_owned(), typed.of("title").into());
    if !typed.of("sku").is_empty() {
        body.insert("sku".to_owned(), typed.of("sku").into());
    }
    let mut faults = Vec::new();
    if !typed.of("price").is_empty() {
        match amount(typed.of("price"), typed.of("currency")) {
            Ok((amount, currency)) => {
                body.insert("price".to_owned(), amount.into());
                body.insert("currency".to_owned(), currency.as_str().into());
            }
            Err(detail) => faults.push(fault("price", "invalid", detail)),
        }
    }
    if !typed.of("inventory_quantity").is_empty() {
        match whole(typed.of("inventory_quantity")) {
            Some(units) => {
                body.insert("inventory_quantity".to_owned(), units.into());
            }
            None => faults.push(fault(
                "inventory_quantity",
                "invalid",
                "expected a whole number",
            )),
        }
    }
    if faults.is_empty() {
        Ok(body)
    } else {
        Err(faults)
    }
}

/// A whole number, with or without marks between its thousands: `1,500` is one, and `1,5` is none.
pub fn whole(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let groups: Vec<&str> = digits.split([',', ' ', '\u{a0}', '\u{202f}']).collect();
    let plain = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let (first, others) = groups.split_first()?;
    let thousands = others.iter().all(|group| group.len() == 3)
        && (others.is_empty() || (1..=3).contains(&first.len()));
    let sound = thousands && groups.iter().all(|group| plain(group));
    let number = format!("{sign}{}", groups.concat());
    sound.then(|| number.parse().ok()).flatten()
}

/// `19.99` of `USD` in minor units.
pub fn amount(text: &str, code: &str) -> Result<(i64, Currency), String> {
    let currency = Currency::parse(code).map_err(|_| "expected a currency such as USD")?;
    Ok((read_amount(text, currency)?, currency))
}

/// The name of a field of the price row `key`.
pub fn price_field(key: &str, field: &str) -> String {
    format!("price.{key}.{field}")
}

/// The key of a stored price row: of when it applies, which no two rows of a variant share. Its id is another one with
/// each amount, and somebody else's new amount is to be found beside what was typed.
fn price_key(row: &PriceRow) -> String {
    let terms = json!([
        row.currency,
        row.min_quantity,
        row.group,
        row.starts_at,
        row.ends_at
    ]);
    sha256_hex(terms.to_string().as_bytes())[..12].to_owned()
}

/// The keys of the price rows in a form: those that are stored, then empty ones.
pub fn price_keys(variant: Option<&Variant>) -> Vec<String> {
    let stored = variant.into_iter().flat_map(|variant| &variant.prices);
    stored
        .map(price_key)
        .chain((1..=NEW_PRICES).map(new_price_key))
        .collect()
}

/// The key of the `n`th new price row, from 1 on.
pub fn new_price_key(n: usize) -> String {
    format!("new{n}")
}

/// A variant as its form shows it; `None` is one that is to be made.
pub fn variant_values(
    variant: Option<&Variant>,
    options: &[ProductOption],
    zone: &TimeZone,
) -> Result<Values, DbError> {
    let mut values = Values::default();
    let of = |text: Option<&String>| text.cloned().unwrap_or_default();
    values.set("title", of(variant.and_then(|one| one.title.as_ref())));
    values.set("sku", of(variant.and_then(|one| one.sku.as_ref())));
    values.set("barcode", of(variant.and_then(|one| one.barcode.as_ref())));
    let weight = variant.and_then(|one| one.weight_grams);
    let weight = weight.map_or_else(String::new, |grams| grams.to_string());
    values.set("weight_grams", weight);
    let yes = |is: bool| if is { "yes" } else { "" };
    let tracked = variant.is_none_or(|one| one.track_inventory);
    values.set("track_inventory", yes(tracked));
    let backorder = variant.is_some_and(|one| one.allow_backorder);
    values.set("allow_backorder", yes(backorder));
    let chosen = variant.map(|one| one.option_values.read()).transpose()?;
    let chosen: BTreeMap<String, String> = chosen.unwrap_or_default();
    for option in options {
        let value = chosen.get(&option.name);
        values.set(format!("option.{}", option.name), of(value));
    }
    for row in variant.into_iter().flat_map(|one| &one.prices) {
        for (field, text) in price_texts(row, zone) {
            values.set(price_field(&price_key(row), field), text);
        }
    }
    for key in price_keys(None) {
        for field in PRICE_FIELDS {
            values.set(price_field(&key, field), "");
        }
    }
    Ok(values)
}

fn price_texts(row: &PriceRow, zone: &TimeZone) -> [(&'static str, String); 7] {
    let major = |amount| format_major(amount, row.currency.exponent());
    let local = |at: Option<Timestamp>| {
        at.map_or_else(String::new, |at| {
            let at = at.to_jiff().to_zoned_datetime(zone.clone());
            let form = if at.second() == 0 { MINUTE } else { SECOND };
            at.strftime(form).to_string()
        })
    };
    let group = row.group.clone().unwrap_or_default();
    let compare_at = row.compare_at_amount.map_or_else(String::new, major);
    [
        ("amount", major(row.amount)),
        ("currency", row.currency.as_str().to_owned()),
        ("compare_at", compare_at),
        ("min_quantity", row.min_quantity.to_string()),
        ("group", group),
        ("starts_at", local(row.starts_at)),
        ("ends_at", local(row.ends_at)),
    ]
}

/// What the form of a variant means: members of a `VariantInput`. Of a variant that exists only what was touched.
pub fn variant_patch(
    typed: &Values,
    variant: Option<&Variant>,
    options: &[ProductOption],
    zone: &TimeZone,
) -> Result<Map<String, Value>, Vec<FieldError>> {
    let present = variant_values(variant, options, zone)
        .map_err(|error| vec![fault("variant", "invalid", error.to_string())])?;
    let touched = |name: &str| typed.of(name) != present.of(name).trim();
    let (mut patch, mut faults) = (Map::new(), Vec::new());
    for name in ["title", "sku", "barcode"]
        .into_iter()
        .filter(|n| touched(n))
    {
        patch.insert(name.to_owned(), text_or_null(typed.of(name)));
    }
    if touched("weight_grams") {
        match (typed.of("weight_grams"), whole(typed.of("weight_grams"))) {
            ("", _) => drop(patch.insert("weight_grams".to_owned(), Value::Null)),
            (_, Some(grams)) => drop(patch.insert("weight_grams".to_owned(), grams.into())),
            _ => faults.push(fault("weight_grams", "invalid", "expected whole grams")),
        }
    }
    for name in ["track_inventory", "allow_backorder"] {
        if touched(name) || variant.is_none() {
            patch.insert(name.to_owned(), (typed.of(name) == "yes").into());
        }
    }
    let chosen = options.iter().map(|option| {
        let value = typed.of(&format!("option.{}", option.name));
        (option.name.clone(), Value::from(value))
    });
    let chosen: Map<String, Value> = chosen.collect();
    let names = options
        .iter()
        .map(|option| format!("option.{}", option.name));
    if names.into_iter().any(|name| touched(&name)) {
        patch.insert("option_values".to_owned(), chosen.into());
    }
    let any_price = typed
        .iter()
        .any(|(name, _)| name.starts_with("price.") && touched(name));
    if any_price {
        let (rows, wrong) = prices(typed, &present, variant, zone);
        faults.extend(wrong);
        patch.insert("prices".to_owned(), rows.into());
    }
    if faults.is_empty() {
        Ok(patch)
    } else {
        Err(faults)
    }
}

/// All price rows after the change: those that were left alone exactly as they are, the others as typed; one
/// without an amount is gone.
fn prices(
    typed: &Values,
    present: &Values,
    variant: Option<&Variant>,
    zone: &TimeZone,
) -> (Vec<Value>, Vec<FieldError>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut keys = price_keys(variant);
    let more = typed.price_keys().into_iter();
    let more = more.filter(|key| key.starts_with("new") && !keys.contains(key));
    keys.extend(more.collect::<Vec<_>>());
    for key in &keys {
        let field = |name: &str| price_field(key, name);
        let same = |name: &str| typed.of(&field(name)) == present.of(&field(name)).trim();
        let stored = variant.into_iter().flat_map(|one| &one.prices);
        let stored = stored.into_iter().find(|row| price_key(row) == *key);
        match stored {
            Some(row) if PRICE_FIELDS.iter().all(|name| same(name)) => rows.push(json!(row)),
            _ if typed.of(&field("amount")).is_empty() => {
                let others = [
                    "compare_at",
                    "min_quantity",
                    "group",
                    "starts_at",
                    "ends_at",
                ];
                let filled = others.iter().any(|name| !typed.of(&field(name)).is_empty());
                if stored.is_none() && filled {
                    let detail = "expected an amount beside the rest of the price";
                    faults.push(fault(&field("amount"), "required", detail));
                }
            }
            _ => {
                let (row, wrong) = price(typed, key, zone);
                rows.push(row);
                faults.extend(
                    wrong
                        .into_iter()
                        .map(|(member, detail)| fault(&field(member), "invalid", detail)),
                );
            }
        }
    }
    (rows, faults)
}

/// One price row; and the members at fault, each with what was expected.
fn price(typed: &Values, key: &str, zone: &TimeZone) -> (Value, Vec<(&'static str, String)>) {
    let of = |name| typed.of(&price_field(key, name));
    let (mut row, mut faults) = (json!({}), Vec::new());
    let mut take = |name: &'static str, member: &str, read: Result<Value, String>| match read {
        Ok(value) => row[member] = value,
        Err(detail) => faults.push((name, detail)),
    };
    match Currency::parse(of("currency")) {
        Ok(currency) => {
            let amount = |text| read_amount(text, currency).map(Value::from);
            take("currency", "currency", Ok(json!(currency)));
            take("amount", "amount", amount(of("amount")));
            if !of("compare_at").is_empty() {
                take("compare_at", "compare_at_amount", amount(of("compare_at")));
            }
        }
        Err(_) => take(
            "currency",
            "currency",
            Err("expected a currency such as USD".to_owned()),
        ),
    }
    if !of("min_quantity").is_empty() {
        let units = whole(of("min_quantity")).map(Value::from);
        let units = units.ok_or_else(|| "expected a whole number of units".to_owned());
        take("min_quantity", "min_quantity", units);
    }
    if !of("group").is_empty() {
        take("group", "group", Ok(of("group").into()));
    }
    for name in ["starts_at", "ends_at"] {
        if !of(name).is_empty() {
            let at = instant(of(name), zone).map(|at| json!(at));
            take(name, name, at);
        }
    }
    (row, faults)
}

/// Years of prices; others are mistyped.
const YEARS: RangeInclusive<i16> = 2000..=9000;

/// A day and a time of `zone`.
fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    let at: DateTime = text
        .parse()
        .map_err(|_| "expected a day and a time".to_owned())?;
    if !YEARS.contains(&at.year()) {
        return Err("expected a year from 2000 to 9000".to_owned());
    }
    let at = zone.to_ambiguous_timestamp(at);
    if matches!(at.offset(), AmbiguousOffset::Gap { .. }) {
        return Err("there is no such time: clocks are put forward then".to_owned());
    }
    // Of an hour that comes twice the first is meant.
    let at = at.compatible().map_err(|error| error.to_string())?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        for (name, value) in pairs {
            values.set(*name, value);
        }
        values
    }

    #[test]
    fn only_what_was_touched_is_changed() {
        let present = values(&[("title", "Mug"), ("vendor", "A"), ("tags", "x\ny")]);
        let typed = values(&[("title", "Mug"), ("vendor", ""), ("tags", "x\n\n z ")]);
        let patch = product_patch(&typed, &present);
        let expected = json!({ "vendor": null, "tags": ["x", "z"] });
        assert_eq!(Value::Object(patch), expected);
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        assert_eq!(amount("19.99", "USD").map(|(minor, _)| minor), Ok(1999));
        assert_eq!(amount("20", "JPY").map(|(minor, _)| minor), Ok(20));
        for (text, code) in [
            ("19.999", "USD"),
            ("1.5", "JPY"),
            ("1,000", "EUR"),
            ("1", ""),
        ] {
            assert!(amount(text, code).is_err(), "{text} {code}");
        }
    }

    #[test]
    fn whole_numbers_have_thousands_and_no_decimals() {
        for (text, read) in [
            ("0", Some(0)),
            ("-12", Some(-12)),
            ("1500", Some(1500)),
            ("1,500", Some(1500)),
            ("12 500 000", Some(12_500_000)),
            ("1,5", None),
            ("1,50", None),
            ("1.5", None),
            ("1,5000", None),
            ("1234,500", None),
            (",500", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(whole(text), read, "{text}");
        }
    }

    #[test]
    fn all_faults_of_a_price_are_told_and_no_time_is_made_up() {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let typed = values(&[
            ("price.new1.amount", "abc"),
            ("price.new1.currency", "EUR"),
            ("price.new1.compare_at", "x"),
            ("price.new1.min_quantity", "1,5"),
            ("price.new1.starts_at", "2027-03-28T02:30"),
            ("price.new1.ends_at", "2027-10-31T02:30"),
        ]);
        let (row, faults) = price(&typed, "new1", &zone);
        let named: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
        let expected = ["amount", "compare_at", "min_quantity", "starts_at"];
        assert_eq!(named, expected);
        assert!(faults[3].1.contains("put forward"));
        for mistyped in ["0026-03-01T00:00", "9999-12-31T23:59"] {
            let told = instant(mistyped, &zone).unwrap_err();
            assert!(told.contains("expected a year"), "{told}");
        }
        // The hour that comes twice: its first half past two is in summer time.
        assert_eq!(row["ends_at"], "2027-10-31T00:30:00Z");
    }

    #[test]
    fn a_price_is_read_in_the_zone_of_the_shop() {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let typed = values(&[
            ("price.new1.amount", "10.00"),
            ("price.new1.currency", "EUR"),
            ("price.new1.starts_at", "2026-07-01T00:00"),
        ]);
        let row = variant_patch(&typed, None, &[], &zone).unwrap()["prices"][0].clone();
        assert_eq!(row["amount"], 1000);
        let start = row["starts_at"].as_str().unwrap();
        assert!(start.starts_with("2026-06-30T22:00:00"), "{start}");
        let typed = values(&[("price.new1.group", "wholesale")]);
        assert!(variant_patch(&typed, None, &[], &zone).is_err());
    }
}
