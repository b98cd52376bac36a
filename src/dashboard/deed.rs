//! What the audit log says of a change beside its name. No I/O, no clock.

use serde_json::Value;

/// Longest detail, in characters.
const DETAIL_CHARS_MAX: usize = 500;
/// Longer values are named, not shown.
const VALUE_CHARS_MAX: usize = 60;
/// Members that follow from others, or change with every change.
const FOLLOWS: [&str; 6] = ["version", "updated_at", "price", "sku", "inventory", "slug"];

/// `detail` within its bound.
pub fn bounded(detail: &str) -> String {
    match detail.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail.to_owned(),
    }
}

/// `title: Mug → Cup; description; tags`: the members in which two objects differ, with their values where these are
/// short.
pub fn differences(before: &Value, after: &Value) -> String {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return String::new();
    };
    let changed = after
        .iter()
        .filter(|(name, now)| !FOLLOWS.contains(&name.as_str()) && before.get(*name) != Some(now));
    let told = changed.map(|(name, now)| {
        let was = before.get(name).unwrap_or(&Value::Null);
        match (short(was), short(now)) {
            (Some(was), Some(now)) => format!("{name}: {was} → {now}"),
            _ => name.clone(),
        }
    });
    told.collect::<Vec<_>>().join("; ")
}

/// A plain value, if it is short.
fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => return None,
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
            "title: Mug → Cup; vendor: none → Ada; tags; description"
        );
        assert_eq!(differences(&after, &after), "");
    }

    #[test]
    fn a_detail_is_cut_between_characters() {
        assert_eq!(bounded("short"), "short");
        let cut = bounded(&"é".repeat(600));
        assert_eq!(cut.chars().count(), DETAIL_CHARS_MAX + 1);
    }
}
