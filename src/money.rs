//! Money: integers of minor units with an ISO 4217 currency, checked arithmetic, never a float.
//!
//! An amount is rounded once, where it is made ([`mul_ratio`], [`share_ppm`], [`parse_decimal_times`]),
//! and split only by [`allocate`], so that the parts sum to the whole.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// Largest magnitude, in minor units, of an amount shown to a caller: 2^53 - 1, the last integer up to
/// which every JSON reader that keeps numbers as doubles is exact (RFC 8259 section 6).
pub const AMOUNT_MAX: i64 = 9_007_199_254_740_991;

/// The active codes of ISO 4217 (list one, as of 2026) by exponent, each list sorted.
/// Left out are the codes without a minor unit (metals, `XDR`, `XTS`, …): nothing is priced in them.
const CODES_BY_EXPONENT: [(u8, &[[u8; 3]]); 4] = [
    (
        2,
        &[
            *b"AED", *b"AFN", *b"ALL", *b"AMD", *b"AOA", *b"ARS", *b"AUD", *b"AWG", *b"AZN",
            *b"BAM", *b"BBD", *b"BDT", *b"BMD", *b"BND", *b"BOB", *b"BOV", *b"BRL", *b"BSD",
            *b"BTN", *b"BWP", *b"BYN", *b"BZD", *b"CAD", *b"CDF", *b"CHE", *b"CHF", *b"CHW",
            *b"CNY", *b"COP", *b"COU", *b"CRC", *b"CUP", *b"CVE", *b"CZK", *b"DKK", *b"DOP",
            *b"DZD", *b"EGP", *b"ERN", *b"ETB", *b"EUR", *b"FJD", *b"FKP", *b"GBP", *b"GEL",
            *b"GHS", *b"GIP", *b"GMD", *b"GTQ", *b"GYD", *b"HKD", *b"HNL", *b"HTG", *b"HUF",
            *b"IDR", *b"ILS", *b"INR", *b"IRR", *b"JMD", *b"KES", *b"KGS", *b"KHR", *b"KPW",
            *b"KYD", *b"KZT", *b"LAK", *b"LBP", *b"LKR", *b"LRD", *b"LSL", *b"MAD", *b"MDL",
            *b"MGA", *b"MKD", *b"MMK", *b"MNT", *b"MOP", *b"MRU", *b"MUR", *b"MVR", *b"MWK",
            *b"MXN", *b"MXV", *b"MYR", *b"MZN", *b"NAD", *b"NGN", *b"NIO", *b"NOK", *b"NPR",
            *b"NZD", *b"PAB", *b"PEN", *b"PGK", *b"PHP", *b"PKR", *b"PLN", *b"QAR", *b"RON",
            *b"RSD", *b"RUB", *b"SAR", *b"SBD", *b"SCR", *b"SDG", *b"SEK", *b"SGD", *b"SHP",
            *b"SLE", *b"SOS", *b"SRD", *b"SSP", *b"STN", *b"SVC", *b"SYP", *b"SZL", *b"THB",
            *b"TJS", *b"TMT", *b"TOP", *b"TRY", *b"TTD", *b"TWD", *b"TZS", *b"UAH", *b"USD",
            *b"USN", *b"UYU", *b"UZS", *b"VED", *b"VES", *b"WST", *b"XAD", *b"XCD", *b"XCG",
            *b"YER", *b"ZAR", *b"ZMW", *b"ZWG",
        ],
    ),
    (
        0,
        &[
            *b"BIF", *b"CLP", *b"DJF", *b"GNF", *b"ISK", *b"JPY", *b"KMF", *b"KRW", *b"PYG",
            *b"RWF", *b"UGX", *b"UYI", *b"VND", *b"VUV", *b"XAF", *b"XOF", *b"XPF",
        ],
    ),
    (
        3,
        &[
            *b"BHD", *b"IQD", *b"JOD", *b"KWD", *b"LYD", *b"OMR", *b"TND",
        ],
    ),
    (4, &[*b"CLF", *b"UYW"]),
];

/// An active ISO 4217 currency. There is no other way to get one than from the list, so holding a
/// `Currency` means that its code and its exponent are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// The text is not the upper-case code of an active currency that has a minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an active ISO 4217 currency code")]
pub struct UnknownCurrency;

impl Currency {
    /// Reads an upper-case code; `usd` is refused, as ISO 4217 knows only `USD`.
    pub fn parse(code: &str) -> Result<Currency, UnknownCurrency> {
        let code: [u8; 3] = code.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        exponent_of(code)
            .map(|_| Currency(code))
            .ok_or(UnknownCurrency)
    }

    /// The three-letter code, e.g. `USD`.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("only codes of the table are stored, and they are ASCII")
    }

    /// All codes, in the order of the alphabet.
    pub fn codes() -> Vec<&'static str> {
        let tables = CODES_BY_EXPONENT.iter().flat_map(|(_, codes)| *codes);
        let mut codes: Vec<&str> = tables
            .map(|code| str::from_utf8(code).expect("the table is ASCII"))
            .collect();
        codes.sort_unstable();
        codes
    }

    /// Decimal digits of the minor unit: JPY 0, USD 2, KWD 3, CLF 4 (the largest).
    pub fn exponent(self) -> u8 {
        exponent_of(self.0).expect("only codes of the table are stored")
    }
}

fn exponent_of(code: [u8; 3]) -> Option<u8> {
    CODES_BY_EXPONENT
        .iter()
        .find(|(_, codes)| codes.binary_search(&code).is_ok())
        .map(|(exponent, _)| *exponent)
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;

        impl Visitor<'_> for Code {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ISO 4217 currency code such as \"USD\"")
            }

            fn visit_str<E: de::Error>(self, code: &str) -> Result<Currency, E> {
                Currency::parse(code).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Code)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "An active ISO 4217 currency code that has a minor unit.",
            "examples": ["USD"],
            "x-rules": [{ "enum": Currency::codes() }],
        })
    }
}

/// An amount in one currency. Amounts of two currencies are never added: that is an error, not a conversion.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Integer of minor units (cents for USD); fractions and strings are refused.
    pub amount: i64,
    /// The currency that says what a minor unit is.
    pub currency: Currency,
}

/// Why an amount could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The two sides are in different currencies; we never convert.
    #[error("{left} and {right} cannot be combined")]
    MixedCurrencies {
        /// Currency of the left side.
        left: Currency,
        /// Currency of the right side.
        right: Currency,
    },
    /// The result does not fit a signed 64-bit integer.
    #[error("the amount is out of range")]
    OutOfRange,
    /// A ratio with denominator 0 has no value.
    #[error("a share of zero parts is not defined")]
    ZeroDenominator,
}

impl Money {
    /// `amount` minor units of `currency`.
    pub fn new(amount: i64, currency: Currency) -> Money {
        Money { amount, currency }
    }

    /// The sum; both sides must be in one currency.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        self.with(self.amount.checked_add(other.amount))
    }

    /// The difference; both sides must be in one currency.
    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        self.with(self.amount.checked_sub(other.amount))
    }

    /// `factor` times the amount, e.g. a unit price times a quantity.
    pub fn checked_mul(self, factor: i64) -> Result<Money, MoneyError> {
        self.with(self.amount.checked_mul(factor))
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::MixedCurrencies {
            left: self.currency,
            right: other.currency,
        })
    }

    fn with(self, amount: Option<i64>) -> Result<Money, MoneyError> {
        let amount = amount.ok_or(MoneyError::OutOfRange)?;
        Ok(Money { amount, ..self })
    }
}

/// An amount that a caller sends: 0 to [`AMOUNT_MAX`] minor units. Its schema names the error for a
/// fraction or a string, `money_must_be_integer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct MinorUnits(pub i64);

impl JsonSchema for MinorUnits {
    fn schema_name() -> Cow<'static, str> {
        "MinorUnits".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The bounds stand outside of `allOf`, so that breaking them keeps its usual code.
        json_schema!({
            "allOf": [{ "type": "integer", "x-code": "money_must_be_integer" }],
            "minimum": 0,
            "maximum": AMOUNT_MAX,
            "description": "Integer of minor units (cents for USD)."
        })
    }
}

/// What becomes of exactly half a minor unit; everything else goes to the nearest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Away from zero: 0.5 is 1 and -0.5 is -1, so that a refund undoes a charge to the cent.
    #[default]
    HalfUp,
    /// To the even neighbour: 0.5 is 0, 1.5 is 2, -2.5 is -2.
    HalfEven,
}

/// `amount * numerator / denominator`, rounded once.
pub fn mul_ratio(
    amount: i64,
    numerator: i64,
    denominator: i64,
    rounding: Rounding,
) -> Result<i64, MoneyError> {
    if denominator == 0 {
        return Err(MoneyError::ZeroDenominator);
    }
    // 2^63 * 2^63 is within i128, and so is every step that follows.
    let product = i128::from(amount) * i128::from(numerator) * i128::from(denominator.signum());
    let quotient = divide(product, i128::from(denominator).abs(), rounding);
    i64::try_from(quotient).map_err(|_| MoneyError::OutOfRange)
}

/// The share of `amount` at `rate_ppm` parts per million, e.g. a tax of 19 % is 190,000 ppm.
pub fn share_ppm(amount: i64, rate_ppm: i64, rounding: Rounding) -> Result<i64, MoneyError> {
    mul_ratio(amount, rate_ppm, 1_000_000, rounding)
}

/// `dividend / divisor` to the nearest integer. `divisor` is positive and below 2^126.
fn divide(dividend: i128, divisor: i128, rounding: Rounding) -> i128 {
    let quotient = dividend / divisor; // toward zero
    let twice_left = (dividend % divisor).abs() * 2;
    let away = match rounding {
        Rounding::HalfUp => twice_left >= divisor,
        Rounding::HalfEven => twice_left > divisor || (twice_left == divisor && quotient % 2 != 0),
    };
    if away {
        quotient + dividend.signum()
    } else {
        quotient
    }
}

/// Splits `total` in proportion to `weights`, by largest remainder: each part is its exact share rounded
/// down or up, and the parts sum to `total` (for an empty `weights` there is no part to hold it).
///
/// Of equal remainders the lower index is served first. A weight below zero counts as 0, because a
/// discount is not spread over a credit line; when no weight is above zero the parts are equal.
/// A negative `total` is split as the positive one, with the sign put back, so a refund mirrors its charge.
pub fn allocate(total: i64, weights: &[i64]) -> Vec<i64> {
    let any_positive = weights.iter().any(|weight| *weight > 0);
    let weight_at = |index: usize| {
        if any_positive {
            i128::from(weights[index].max(0))
        } else {
            1
        }
    };
    let weight_sum: i128 = (0..weights.len()).map(weight_at).sum();
    let whole = i128::from(total).abs();

    let mut parts: Vec<i128> = (0..weights.len())
        .map(|index| whole * weight_at(index) / weight_sum)
        .collect();
    // Fewer units are left over than there are shares with a remainder, so a zero weight never gets one.
    let left_over = usize::try_from(whole - parts.iter().sum::<i128>()).unwrap_or(0);
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&index| Reverse(whole * weight_at(index) % weight_sum)); // stable: ties by index
    for &index in by_remainder.iter().take(left_over) {
        parts[index] += 1;
    }
    let sign = i128::from(total.signum());
    parts
        .into_iter()
        .map(|part| i64::try_from(sign * part).expect("a part is never larger than the whole"))
        .collect()
}

/// Most digits, before and after the point together, of a decimal that is read.
pub const DECIMAL_DIGITS_MAX: usize = 24;

/// Why a decimal text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not `-?digits(.digits)?` of at most [`DECIMAL_DIGITS_MAX`] digits: no blanks, `+`, separators or `1e3`.
    #[error("not a plain decimal number of at most 24 digits")]
    Malformed,
    /// The result does not fit a signed 64-bit integer of minor units.
    #[error("the amount is out of range")]
    OutOfRange,
}

/// The minor units of a decimal of major units: `12.34` with exponent 2 is 1234. Digits beyond the
/// exponent are rounded; the reading itself is exact.
pub fn parse_decimal(text: &str, exponent: u8, rounding: Rounding) -> Result<i64, DecimalError> {
    parse_decimal_times(text, 1, exponent, rounding)
}

/// The minor units of `price * quantity`, rounded once and after multiplying: seven pieces at `0.001` are
/// one cent, although one piece is none.
pub fn parse_decimal_times(
    price: &str,
    quantity: i64,
    exponent: u8,
    rounding: Rounding,
) -> Result<i64, DecimalError> {
    let (unscaled, scale) = unscaled(price)?;
    let product = unscaled
        .checked_mul(i128::from(quantity))
        .ok_or(DecimalError::OutOfRange)?;
    let shift = u32::from(exponent).abs_diff(scale);
    let power = 10_i128.checked_pow(shift).ok_or(DecimalError::OutOfRange)?;
    let minor = if u32::from(exponent) >= scale {
        product.checked_mul(power).ok_or(DecimalError::OutOfRange)?
    } else {
        divide(product, power, rounding)
    };
    i64::try_from(minor).map_err(|_| DecimalError::OutOfRange)
}

/// `-1.50` is (-150, 2): the number is `unscaled / 10^scale`.
fn unscaled(text: &str) -> Result<(i128, u32), DecimalError> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Malformed),
        Some(parts) => parts,
        None => (digits, ""),
    };
    if whole.is_empty() || whole.len() + fraction.len() > DECIMAL_DIGITS_MAX {
        return Err(DecimalError::Malformed);
    }
    let mut unscaled = 0_i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::Malformed);
        }
        unscaled = unscaled * 10 + i128::from(byte - b'0'); // at most 10^24 by the check above
    }
    let scale = u32::try_from(fraction.len()).expect("at most DECIMAL_DIGITS_MAX");
    Ok((sign * unscaled, scale))
}

/// The exact decimal of major units for files and people: -5 with exponent 2 is `-0.05`, with 0 it is `-5`.
pub fn format_major(amount: i64, exponent: u8) -> String {
    let exponent = usize::from(exponent);
    let sign = if amount < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", amount.unsigned_abs(), width = exponent + 1);
    let (whole, fraction) = digits.split_at(digits.len() - exponent);
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// The minor units of an amount as people type it: `19.99`, or `19,99` where that can be nothing else. More digits than
/// the currency has are refused, not rounded.
///
/// # Errors
/// What was expected, in a few words.
pub fn read_amount(text: &str, currency: Currency) -> Result<i64, String> {
    let exponent = currency.exponent();
    let digits_of = |mark| {
        text.split_once(mark)
            .map(|(_, digits): (_, &str)| digits.len())
    };
    let text = match digits_of(',') {
        // Three digits could be thousands.
        Some(1 | 2) if exponent == 2 && !text.contains('.') => text.replace(',', "."),
        Some(_) => {
            let such = if exponent == 0 { "1234" } else { "1234.50" };
            return Err(format!(
                "expected an amount such as {such}, with nothing between thousands"
            ));
        }
        None => text.to_owned(),
    };
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    if digits > usize::from(exponent) {
        return Err(match exponent {
            0 => format!("expected a whole amount: {currency} has no decimals"),
            most => format!("expected at most {most} decimals, as {currency} has"),
        });
    }
    match parse_decimal(&text, exponent, Rounding::HalfUp) {
        Err(DecimalError::Malformed) => Err("expected an amount such as 19.99".to_owned()),
        Ok(amount) if amount.unsigned_abs() <= AMOUNT_MAX.unsigned_abs() => Ok(amount),
        Ok(_) | Err(DecimalError::OutOfRange) => Err(format!(
            "expected at most {}",
            format_major(AMOUNT_MAX, exponent)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn any_rounding() -> impl Strategy<Value = Rounding> {
        prop_oneof![Just(Rounding::HalfUp), Just(Rounding::HalfEven)]
    }

    #[test]
    fn amounts_are_read_as_people_type_them() {
        let read = |text, code| read_amount(text, currency(code));
        for (text, code, minor) in [
            ("19.99", "USD", 1_999),
            ("19,99", "EUR", 1_999),
            ("0,5", "EUR", 50),
            ("-3", "USD", -300),
            ("20", "JPY", 20),
            ("1.5", "KWD", 1_500),
        ] {
            assert_eq!(read(text, code), Ok(minor), "{text} {code}");
        }
        for (text, code, said) in [
            ("1,000", "USD", "nothing between thousands"),
            ("1,000.00", "USD", "nothing between thousands"),
            ("1,5", "KWD", "nothing between thousands"),
            ("1.999", "USD", "at most 2 decimals, as USD has"),
            ("1.0", "JPY", "JPY has no decimals"),
            ("ten", "USD", "such as 19.99"),
            ("", "USD", "such as 19.99"),
        ] {
            let refused = read(text, code).unwrap_err();
            assert!(refused.contains(said), "{text} {code}: {refused}");
        }
    }

    #[test]
    fn the_table_is_sorted_upper_case_and_without_duplicates() {
        let mut seen = std::collections::BTreeSet::new();
        for (_, codes) in CODES_BY_EXPONENT {
            assert!(codes.is_sorted());
            for code in codes {
                assert!(code.iter().all(u8::is_ascii_uppercase));
                assert!(seen.insert(code));
            }
        }
        assert_eq!(seen.len(), 165);
    }

    #[test]
    fn currencies_are_read_with_their_exponent() {
        for (code, exponent) in [
            ("JPY", 0),
            ("USD", 2),
            ("GBP", 2),
            ("XCG", 2),
            ("KWD", 3),
            ("CLF", 4),
        ] {
            assert_eq!(currency(code).exponent(), exponent);
            assert_eq!(currency(code).as_str(), code);
        }
        for code in [
            "", "usd", "US", "USDX", "XTS", "XAU", "DEM", "HRK", "ZZZ", "U\u{e9}",
        ] {
            assert_eq!(Currency::parse(code), Err(UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn money_is_an_object_of_an_integer_and_a_code() {
        let money = Money::new(1999, currency("USD"));
        let text = r#"{"amount":1999,"currency":"USD"}"#;
        assert_eq!(serde_json::to_string(&money).unwrap(), text);
        assert_eq!(serde_json::from_str::<Money>(text).unwrap(), money);
        for bad in [
            r#"{"amount":19.99,"currency":"USD"}"#,
            r#"{"amount":"1999","currency":"USD"}"#,
            r#"{"amount":1999,"currency":"usd"}"#,
            r#"{"amount":1999,"currency":"USD","cents":0}"#,
            r#"{"amount":9223372036854775808,"currency":"USD"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
        let schema = schemars::schema_for!(Currency);
        assert_eq!(schema.get("pattern").unwrap(), "^[A-Z]{3}$");
    }

    #[test]
    fn a_half_goes_where_the_rounding_says() {
        let half = |amount, rounding| mul_ratio(amount, 1, 2, rounding).unwrap();
        for (amount, up, even) in [
            (1, 1, 0),
            (3, 2, 2),
            (5, 3, 2),
            (-1, -1, 0),
            (-3, -2, -2),
            (-5, -3, -2),
        ] {
            assert_eq!(half(amount, Rounding::HalfUp), up);
            assert_eq!(half(amount, Rounding::HalfEven), even);
        }
        assert_eq!(share_ppm(1999, 190_000, Rounding::HalfUp), Ok(380));
        assert_eq!(
            mul_ratio(1, 1, 0, Rounding::HalfUp),
            Err(MoneyError::ZeroDenominator)
        );
        assert_eq!(
            mul_ratio(i64::MAX, 2, 1, Rounding::HalfUp),
            Err(MoneyError::OutOfRange)
        );
        assert_eq!(
            mul_ratio(i64::MIN, i64::MIN, i64::MIN, Rounding::HalfEven),
            Ok(i64::MIN)
        );
    }

    #[test]
    fn shares_go_to_the_largest_remainder_then_to_the_lower_index() {
        assert_eq!(allocate(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(allocate(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(allocate(10, &[1, 0, 5]), [2, 0, 8]);
        assert_eq!(allocate(5, &[0, 0]), [3, 2]);
        assert_eq!(allocate(5, &[-7, 1]), [0, 5]);
        assert_eq!(allocate(i64::MIN, &[i64::MAX]), [i64::MIN]);
        assert!(allocate(5, &[]).is_empty());
    }

    #[test]
    fn decimals_are_read_exactly_and_rounded_once() {
        let read = |text: &str, exponent| parse_decimal(text, exponent, Rounding::HalfUp);
        assert_eq!(read("12.34", 2), Ok(1234));
        assert_eq!(read("-11062.06", 2), Ok(-1_106_206));
        assert_eq!(read("7", 3), Ok(7000));
        assert_eq!(read("1.005", 2), Ok(101)); // a double would say 100
        assert_eq!(read("-0.005", 2), Ok(-1));
        assert_eq!(read("0.5", 0), Ok(1));
        for bad in [
            "", "-", ".5", "5.", "+1", " 1", "1e3", "1,000", "1.2.3", "--1", "NaN", "\u{661}",
        ] {
            assert_eq!(read(bad, 2), Err(DecimalError::Malformed), "{bad}");
        }
        assert_eq!(read(&"1".repeat(25), 2), Err(DecimalError::Malformed));
        assert_eq!(read("92233720368547758.07", 2), Ok(i64::MAX));
        assert_eq!(
            read("92233720368547758.08", 2),
            Err(DecimalError::OutOfRange)
        );
        assert_eq!(read("1", u8::MAX), Err(DecimalError::OutOfRange));
        assert_eq!(parse_decimal_times("0.001", 7, 2, Rounding::HalfUp), Ok(1));
        assert_eq!(
            parse_decimal_times("0.001", 5, 2, Rounding::HalfEven),
            Ok(0)
        );
        assert_eq!(
            parse_decimal_times("2.55", -6, 2, Rounding::HalfUp),
            Ok(-1530)
        );
    }

    proptest! {
        #[test]
        fn a_code_is_read_only_if_it_is_in_the_table(code in "[A-Z]{3}") {
            let listed = CODES_BY_EXPONENT.iter().any(|(_, codes)| codes.iter().any(|c| c == code.as_bytes()));
            prop_assert_eq!(Currency::parse(&code).is_ok(), listed);
        }

        #[test]
        fn adding_then_subtracting_is_nothing(a: i64, b: i64, factor: i64) {
            let (left, right) = (Money::new(a, currency("EUR")), Money::new(b, currency("EUR")));
            match left.checked_add(right) {
                Ok(sum) => prop_assert_eq!(sum.checked_sub(right), Ok(left)),
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::OutOfRange);
                    prop_assert!(a.checked_add(b).is_none());
                }
            }
            prop_assert_eq!(left.checked_mul(factor).ok().map(|m| m.amount), a.checked_mul(factor));
            let yen = Money::new(b, currency("JPY"));
            let mixed = MoneyError::MixedCurrencies { left: left.currency, right: yen.currency };
            prop_assert_eq!(left.checked_add(yen), Err(mixed));
            prop_assert_eq!(left.checked_sub(yen), Err(mixed));
        }

        #[test]
        fn a_ratio_is_the_nearest_integer(
            a: i64, n in -1_000_000_i64..1_000_000, d in 1_i64..1_000_000, rounding in any_rounding(),
        ) {
            let exact = i128::from(a) * i128::from(n);
            match mul_ratio(a, n, d, rounding) {
                Ok(rounded) => {
                    let off = (exact - i128::from(rounded) * i128::from(d)).abs() * 2;
                    prop_assert!(off <= i128::from(d));
                    if off == i128::from(d) {
                        match rounding {
                            Rounding::HalfUp => prop_assert!(i128::from(rounded).abs() * i128::from(d) > exact.abs()),
                            Rounding::HalfEven => prop_assert_eq!(rounded % 2, 0),
                        }
                    }
                    // The sign of the denominator only turns the sign of the result.
                    if let Some(turned) = rounded.checked_neg() {
                        prop_assert_eq!(mul_ratio(a, n, -d, rounding), Ok(turned));
                    }
                }
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::OutOfRange);
                    prop_assert!((exact / i128::from(d)).abs() >= i128::from(i64::MAX));
                }
            }
        }

        #[test]
        fn halves_are_rounded_like_every_share(a in -1_000_i64..1_000, rounding in any_rounding()) {
            let exact = mul_ratio(2 * a, 1, 2, rounding);
            prop_assert_eq!(exact, Ok(a));
            prop_assert_eq!(share_ppm(a, 1_000_000, rounding), Ok(a));
            let half = share_ppm(2 * a + 1, 500_000, rounding).unwrap();
            prop_assert!(half == a || half == a + 1);
            prop_assert_eq!(share_ppm(-(2 * a + 1), 500_000, rounding), Ok(-half));
        }

        #[test]
        fn parts_sum_to_the_whole_and_are_off_by_less_than_one(
            total: i64, weights in prop::collection::vec(prop_oneof![Just(0), any::<i64>(), 0_i64..50], 1..40),
        ) {
            let parts = allocate(total, &weights);
            prop_assert_eq!(parts.iter().map(|p| i128::from(*p)).sum::<i128>(), i128::from(total));
            let sum: i128 = weights.iter().map(|w| i128::from((*w).max(0))).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let (weight, sum) = match sum {
                    0 => (1, i128::try_from(weights.len()).unwrap()),
                    _ => (i128::from((*weight).max(0)), sum),
                };
                let exact = i128::from(total).abs() * weight;
                let floor = exact / sum;
                let ceiling = if exact % sum == 0 { floor } else { floor + 1 };
                prop_assert!((floor..=ceiling).contains(&i128::from(*part).abs()));
            }
            if let Some(turned) = total.checked_neg() {
                let mirrored: Vec<i64> = parts.iter().map(|p| -p).collect();
                prop_assert_eq!(allocate(turned, &weights), mirrored);
            }
        }

        #[test]
        fn of_equal_weights_the_first_get_the_odd_units(total in 0_i64..10_000, count in 1_usize..40) {
            let parts = allocate(total, &vec![3; count]);
            prop_assert!(parts.is_sorted_by(|a, b| a >= b));
            prop_assert!(parts[0] - parts[count - 1] <= 1);
        }

        #[test]
        fn what_is_written_is_read_back(amount: i64, exponent in 0_u8..=4, rounding in any_rounding()) {
            prop_assert_eq!(parse_decimal(&format_major(amount, exponent), exponent, rounding), Ok(amount));
        }

        #[test]
        fn a_line_total_is_the_rounded_exact_product(
            unscaled in -1_000_000_000_i64..1_000_000_000, scale in 0_u8..=6,
            quantity in -1_000_000_i64..1_000_000, exponent in 0_u8..=4, rounding in any_rounding(),
        ) {
            let read = parse_decimal_times(&format_major(unscaled, scale), quantity, exponent, rounding);
            let raised = quantity * 10_i64.pow(u32::from(exponent));
            let expected = mul_ratio(unscaled, raised, 10_i64.pow(u32::from(scale)), rounding);
            prop_assert_eq!(read.ok(), expected.ok());
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", quantity: i64, exponent: u8, rounding in any_rounding()) {
            let _ = parse_decimal_times(&text, quantity, exponent, rounding);
            let _ = Currency::parse(&text);
        }

        #[test]
        fn no_number_panics(
            text in "-?[0-9]{1,20}(\\.[0-9]{1,20})?", quantity: i64, exponent: u8, rounding in any_rounding(),
        ) {
            let _ = parse_decimal_times(&text, quantity, exponent, rounding);
            let _ = format_major(quantity, exponent);
        }
    }
}
