//! Values as people read them.

use crate::money::{Currency, format_major};
use askama::filters::HtmlSafe;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use std::fmt;

/// An amount with its currency: `1,499.00 USD`.
pub fn money(amount: i64, currency: Currency) -> String {
    let plain = format_major(amount, currency.exponent());
    let (whole, fraction) = match plain.split_once('.') {
        Some((whole, fraction)) => (whole, format!(".{fraction}")),
        None => (plain.as_str(), String::new()),
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", whole),
    };
    format!("{sign}{}{fraction}\u{a0}{currency}", grouped(digits))
}

/// A count: `12,345`.
pub fn count(number: i64) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    format!("{sign}{}", grouped(&number.unsigned_abs().to_string()))
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `partially_paid` as `Partially paid`.
pub fn words(name: &str) -> String {
    let text = name.replace(['_', '.'], " ");
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// A detail of a problem as a sentence: `the name is long` as `The name is long.` What is the name of something, such as
/// `refresh_token`, begins as it does.
pub fn sentence(detail: &str) -> String {
    let word = detail.split(' ').next().unwrap_or_default();
    let is_name = word.contains(['_', '/', '.']);
    let mut characters = detail.chars();
    let first = characters.next().map(|first| match is_name {
        true => first,
        false => first.to_ascii_uppercase(),
    });
    let mut text: String = first.into_iter().chain(characters).collect();
    if text.ends_with(|last: char| last.is_alphanumeric()) {
        text.push('.');
    }
    text
}

/// An instant in the shop's zone: how long ago or how soon, and exactly in the title.
#[derive(Clone, Debug)]
pub struct When {
    exact: String,
    iso: String,
    shown: String,
}

impl When {
    pub fn new(at: Timestamp, now: Timestamp, zone: &TimeZone) -> When {
        let local = at.to_jiff().to_zoned_datetime(zone.clone());
        let today = now.to_jiff().to_zoned_datetime(zone.clone());
        let seconds = (now.micros() - at.micros()) / 1_000_000;
        let shown = match seconds {
            -4..=59 => "just now".to_owned(),
            -59..=-5 => format!("in {} s", -seconds),
            -3_599..=-60 => format!("in {} min", -seconds / 60),
            60..=3_599 => format!("{} min ago", seconds / 60),
            _ if local.date() == today.date() => local.strftime("today %H:%M").to_string(),
            _ if local.year() == today.year() => local.strftime("%-d %b %H:%M").to_string(),
            _ => local.strftime("%-d %b %Y").to_string(),
        };
        When {
            exact: local.strftime("%Y-%m-%d %H:%M:%S %Q").to_string(),
            iso: at.to_string(),
            shown,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let When { exact, iso, shown } = self;
        write!(
            f,
            "<time datetime=\"{iso}\" title=\"{exact}\">{shown}</time>"
        )
    }
}

// Digits, names of months and of zones that jiff knows: nothing that HTML could read.
impl HtmlSafe for When {}

/// A state in its colour. Only for names of our own enums.
#[derive(Clone, Copy, Debug)]
pub struct Badge(pub &'static str);

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tone = match self.0 {
            "confirmed" | "running" | "completed" | "paid" | "fulfilled" | "delivered"
            | "active" => "ok",
            "pending" | "authorized" | "partially_paid" | "partially_fulfilled" | "expiring" => {
                "warn"
            }
            "cancelled" | "failed" | "voided" | "revoked" | "disabled" | "expired" => "danger",
            "refunded" | "partially_refunded" | "returned" | "partially_returned" => "info",
            _ => "neutral",
        };
        write!(f, "<span class=\"badge {tone}\">{}</span>", words(self.0))
    }
}

impl HtmlSafe for Badge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_the_digits_of_their_currency() {
        let shown = |amount, code| money(amount, Currency::parse(code).unwrap());
        assert_eq!(shown(149_900, "USD"), "1,499.00\u{a0}USD");
        assert_eq!(shown(-5, "USD"), "\u{2212}0.05\u{a0}USD");
        assert_eq!(shown(1_234_567, "JPY"), "1,234,567\u{a0}JPY");
        assert_eq!(shown(999, "KWD"), "0.999\u{a0}KWD");
        assert_eq!(
            (count(0), count(-1_000)),
            ("0".into(), "\u{2212}1,000".into())
        );
    }

    #[test]
    fn instants_are_told_from_now() {
        let now = Timestamp::parse("2026-11-25T12:00:00Z").unwrap();
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let shown = |at| When::new(Timestamp::parse(at).unwrap(), now, &zone).shown;
        assert_eq!(shown("2026-11-25T11:59:30Z"), "just now");
        assert_eq!(shown("2026-11-25T11:20:00Z"), "40 min ago");
        assert_eq!(shown("2026-11-25T12:00:30Z"), "in 30 s");
        assert_eq!(shown("2026-11-25T12:45:00Z"), "in 45 min");
        assert_eq!(shown("2026-11-25T01:00:00Z"), "today 02:00");
        assert_eq!(shown("2026-11-24T22:30:00Z"), "24 Nov 23:30");
        assert_eq!(shown("2025-11-24T22:30:00Z"), "24 Nov 2025");
        let whole = When::new(now, now, &zone).to_string();
        assert!(
            whole.contains("title=\"2026-11-25 13:00:00 Europe/Vienna\""),
            "{whole}"
        );
    }
}
