//! What the audit log says of a change beside its name. No I/O, no clock.

use super::show::{money, words};
use crate::money::Currency;
use serde_json::Value;

/// Longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 500;
/// Longer values are named, not shown.
const VALUE_CHARS_MAX: usize = 60;
/// Members that follow from others, or change with every change.
const FOLLOWS: [&str; 7] = [
    "version",
    "updated_at",
    "price",
    "lowest_price_30d",
    "sku",
    "inventory",
    "slug",
];
/// The same of variants, whose SKU is their own.
const VARIANT_FOLLOWS: [&str; 3] = ["price", "lowest_price_30d", "inventory"];
/// What makes a price row another one.
const TERMS: [&str; 5] = ["currency", "min_quantity", "group", "starts_at", "ends_at"];

/// What people call a deed; those that are plain by themselves are called by their words.
pub fn name(action: &str) -> String {
    let name = match action {
        "client.changed" => "Credentials changed",
        "client.created" => "Credentials created",
        "client.flows_changed" => "OAuth settings changed",
        "client.keys_set" => "Public keys set",
        "client.registered" => "App registered itself",
        "client.revoked" => "Credentials revoked",
        "client.rotated" => "Secret rotated",
        "client.tried" => "Token for trying made",
        "device.refused" => "Device refused",
        "grant.created" => "App connected",
        "grant.revoked" => "App disconnected",
        "grant.reuse_detected" => "App disconnected: a used token came again",
        "shop.changed" => "Settings changed",
        "shop.set_up" => "Shop set up",
        "staff.code_refused" => "Code refused",
        "staff.codes_turned_off" => "Two-factor turned off",
        "staff.codes_turned_on" => "Two-factor turned on",
        "staff.confirmed" => "Identity confirmed",
        "staff.disabled" => "Account closed",
        "staff.invited" => "Teammate invited",
        "staff.made_admin" => "Role changed to Admin",
        "staff.made_developer" => "Role changed to Developer",
        "staff.made_operator" => "Role changed to Operator",
        "staff.made_owner" => "Role changed to Owner",
        "staff.made_read_only" => "Role changed to Read only",
        "staff.passkey_added" => "Passkey added",
        "staff.passkey_removed" => "Passkey removed",
        "staff.passkeys_removed" => "All passkeys removed",
        "staff.password_changed" => "Password changed",
        "staff.password_chosen" => "Password chosen by a link",
        "staff.recovery_code_used" => "Recovery code used",
        "staff.recovery_codes_made" => "Recovery codes made",
        "staff.reopened" => "Account opened again",
        "staff.reset_asked" => "Link for a password asked for",
        "staff.session_ended" => "Session ended",
        "staff.sessions_ended" => "Other sessions ended",
        "staff.sign_in_refused" => "Sign-in refused",
        "staff.signed_in" => "Signed in",
        "staff.signed_in_by_passkey" => "Signed in by a passkey",
        "staff.signed_out" => "Signed out",
        other => return words(other),
    };
    name.to_owned()
}

/// `detail` within its bound.
pub fn bounded(detail: &str) -> String {
    match detail.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail.to_owned(),
    }
}

/// `title: Mug → Cup; description; price: 12.50 USD → 13.75 USD`: the members in which two objects differ, with their
/// values where these are short. Variants are looked into.
pub fn differences(before: &Value, after: &Value) -> String {
    let mut told = Vec::new();
    for (name, was, now) in changed(before, after, &FOLLOWS) {
        match (name, was.as_array(), now.as_array()) {
            ("variants", Some(was), Some(now)) => variants(was, now, &mut told),
            _ => told.push(turn(name, was, now)),
        }
    }
    told.join("; ")
}

/// The members of `after` that are others in `before`, but those that follow from others.
fn changed<'a>(
    before: &'a Value,
    after: &'a Value,
    follows: &[&str],
) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let members = after.as_object().into_iter().flatten();
    let members = members.map(|(name, now)| (name.as_str(), &before[name], now));
    let differs = |(name, was, now): &(&str, &Value, &Value)| !follows.contains(name) && was != now;
    members.filter(differs).collect()
}

fn turn(name: &str, was: &Value, now: &Value) -> String {
    let name = name.replace('_', " ");
    match (short(was), short(now)) {
        (Some(was), Some(now)) => format!("{name}: {was} → {now}"),
        _ => name,
    }
}

fn variants(before: &[Value], after: &[Value], told: &mut Vec<String>) {
    let several = before.len().max(after.len()) > 1;
    for now in after {
        let Some(was) = before.iter().find(|was| was["id"] == now["id"]) else {
            told.push(format!("variant {} added", name_of(now)));
            continue;
        };
        let of = match several {
            true => format!("{}, ", name_of(now)),
            false => String::new(),
        };
        for (name, was, now) in changed(was, now, &VARIANT_FOLLOWS) {
            match (name, was.as_array(), now.as_array()) {
                ("prices", Some(was), Some(now)) => prices(&of, was, now, told),
                _ => told.push(format!("{of}{}", turn(name, was, now))),
            }
        }
    }
    let gone = |was: &&Value| !after.iter().any(|now| now["id"] == was["id"]);
    let gone = before.iter().filter(gone);
    told.extend(gone.map(|was| format!("variant {} removed", name_of(was))));
}

fn name_of(variant: &Value) -> &str {
    let names = ["sku", "title", "id"].into_iter();
    let mut names = names.filter_map(|name| variant[name].as_str());
    names.next().unwrap_or_default()
}

fn prices(of: &str, before: &[Value], after: &[Value], told: &mut Vec<String>) {
    let same = |one: &Value, other: &Value| TERMS.iter().all(|term| one[term] == other[term]);
    for now in after {
        match before.iter().find(|was| same(was, now)) {
            None => told.push(format!("{of}price added: {}", price(now, "amount"))),
            Some(was) => {
                for (member, name) in [
                    ("amount", "price"),
                    ("compare_at_amount", "compare-at price"),
                ] {
                    if was[member] != now[member] {
                        let (was, now) = (price(was, member), price(now, member));
                        told.push(format!("{of}{name}: {was} → {now}"));
                    }
                }
            }
        }
    }
    let gone = before
        .iter()
        .filter(|was| !after.iter().any(|now| same(was, now)));
    told.extend(gone.map(|was| format!("{of}price removed: {}", price(was, "amount"))));
}

/// `12.50 USD`, the `member` of a price row, with what it takes to get it.
fn price(row: &Value, member: &str) -> String {
    let code = row["currency"].as_str().unwrap_or_default();
    let Some(amount) = row[member].as_i64() else {
        return "none".to_owned();
    };
    let mut told =
        Currency::parse(code).map_or_else(|_| code.to_owned(), |code| money(amount, code));
    if row["min_quantity"].as_i64().is_some_and(|least| least > 1) {
        told.push_str(&format!(" from {} units", row["min_quantity"]));
    }
    if let Some(group) = row["group"].as_str() {
        told.push_str(&format!(" for {group}"));
    }
    for (member, word) in [("starts_at", "from"), ("ends_at", "until")] {
        if let Some(at) = row[member].as_str() {
            told.push_str(&format!(" {word} {at}"));
        }
    }
    told
}

/// A plain value, if it is short.
fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) if all.is_empty() => "none".to_owned(),
        Value::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            texts?.join(", ")
        }
        Value::Object(_) => return None,
    };
    let plain = text.chars().count() <= VALUE_CHARS_MAX && !text.chars().any(char::is_control);
    plain.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn short_values_are_shown_and_others_named() {
        let before = json!({ "title": "Mug", "vendor": null, "tags": ["a"], "description": "x", "version": 1, "same": 1 });
        let after = json!({ "title": "Cup", "vendor": "Ada", "tags": ["b"], "description": "y".repeat(61), "version": 2, "same": 1 });
        let told = differences(&before, &after);
        assert_eq!(
            told,
            "title: Mug → Cup; vendor: none → Ada; tags: a → b; description"
        );
        assert_eq!(differences(&after, &after), "");
    }

    #[test]
    fn variants_and_prices_are_looked_into() {
        let price = |amount: i64, from: i64| json!({ "id": amount, "currency": "USD", "amount": amount, "min_quantity": from });
        let sale = |amount: i64, before: i64| {
            let before = (before > 0).then_some(before);
            json!({ "id": "s", "currency": "USD", "amount": amount, "compare_at_amount": before, "ends_at": "2027-01-01T00:00:00Z" })
        };
        let variant = |id: &str, prices: Vec<Value>| json!({ "id": id, "sku": id.to_uppercase(), "prices": prices, "barcode": null });
        let product = |variants: Vec<Value>| json!({ "time_zone": "UTC", "variants": variants });
        for (before, after, told) in [
            (
                product(vec![variant("a", vec![price(1250, 1), price(1000, 10)])]),
                product(vec![variant("a", vec![price(1375, 1), price(1000, 10)])]),
                "price: 12.50 USD → 13.75 USD",
            ),
            (
                product(vec![
                    variant("a", vec![price(1250, 1)]),
                    variant("b", vec![]),
                ]),
                product(vec![
                    variant("a", vec![price(1250, 1), price(999, 5)]),
                    variant("c", vec![]),
                ]),
                "A, price added: 9.99 USD from 5 units; variant C added; variant B removed",
            ),
            (
                product(vec![variant("a", vec![price(1250, 1)])]),
                product(vec![variant("a", vec![])]),
                "price removed: 12.50 USD",
            ),
            (
                product(vec![variant("a", vec![sale(1250, 0)])]),
                product(vec![variant("a", vec![sale(1250, 1500)])]),
                "compare-at price: none → 15.00 USD until 2027-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(differences(&before, &after).replace('\u{a0}', " "), told);
        }
        let (utc, tokyo) = (
            json!({ "time_zone": "UTC" }),
            json!({ "time_zone": "Asia/Tokyo" }),
        );
        assert_eq!(differences(&utc, &tokyo), "time zone: UTC → Asia/Tokyo");
    }

    #[test]
    fn a_detail_is_cut_between_characters() {
        assert_eq!(bounded("short"), "short");
        let cut = bounded(&"é".repeat(600));
        assert_eq!(cut.chars().count(), DETAIL_CHARS_MAX + 1);
    }
}
