//! What a browser sends: the fields of a form or of an address.

use std::fmt::Write;

/// Most fields of one form: a variant has up to 100 prices of 7 fields, each beside what its page showed.
const FIELDS_MAX: usize = 2_000;

/// Fields in the order in which they were sent. A name may come more than once (check boxes).
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`; `None` for what is no such text, or too many fields.
    pub fn parse(text: &str) -> Option<Fields> {
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decode(name)?, decode(value)?));
        }
        Fields::new(fields)
    }

    /// Fields that were read elsewhere; `None` when they are too many.
    pub fn new(fields: Vec<(String, String)>) -> Option<Fields> {
        (fields.len() <= FIELDS_MAX).then_some(Fields(fields))
    }

    /// The value of a field without white space around it; empty when it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.exact(name).trim()
    }

    /// The value of a field as it was sent: a password may begin with a space.
    pub fn exact(&self, name: &str) -> &str {
        let named = self.0.iter().find(|(known, _)| known == name);
        named.map_or("", |(_, value)| value)
    }

    /// The value of a field, if it is there and not empty.
    pub fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// The fields but those named, as they were sent.
    pub fn without<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let others = self
            .0
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()));
        others.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// All values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next()?, rest.next()?);
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()?
            }
            other => other,
        });
    }
    // PostgreSQL cannot store U+0000.
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

/// `text` as the value of a query parameter.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                let _ = write!(encoded, "%{other:02X}"); // a String takes everything
            }
        }
    }
    encoded
}

/// Pages outside of the dashboard that ask who looks.
const OTHER_PAGES: [&str; 2] = ["/oauth/authorize", "/device"];
/// Longest address that is kept during the sign-in.
const NEXT_BYTES_MAX: usize = 4_000;

/// Where to go after signing in: a page of ours as it was asked for, else the first page of the dashboard. Anything
/// that a browser could read as another place (`//host`, `/\host`, a scheme) is not taken.
pub fn next_page(wanted: &str) -> &str {
    let path = wanted.split('?').next().unwrap_or_default();
    let inside = path == "/dashboard" || path.starts_with("/dashboard/");
    let known = inside || OTHER_PAGES.contains(&path);
    let plain = wanted
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let bounded = wanted.len() <= NEXT_BYTES_MAX && !path.contains("//");
    let climbs = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .split('/')
        .any(|part| part == "..");
    match known && plain && bounded && !climbs {
        true => wanted,
        false => "/dashboard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields = Fields::parse("a=1+2&b=%C3%A9&scope=x&scope=y&empty=&+p=+").unwrap();
        assert_eq!(fields.get("a"), "1 2");
        assert_eq!(fields.get("b"), "\u{e9}");
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((fields.some("empty"), fields.get("none")), (None, ""));
        assert_eq!(fields.exact(" p"), " ");
        for bad in ["a=%", "a=%zz", "a=%ff", "a=%00", &"a=1&".repeat(2_001)] {
            assert!(Fields::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_pages_of_the_dashboard_are_gone_to() {
        for good in [
            "/dashboard",
            "/dashboard/orders?status=pending&q=a%20b",
            "/oauth/authorize?redirect_uri=https://app.example/cb",
            "/device?user_code=WDJB-MJHT",
        ] {
            assert_eq!(next_page(good), good);
        }
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/dashboard",
            "/dashboardx",
            "/dashboard//evil.example",
            "/dashboard/../v2/users",
            "/dashboard/.%2E/v2/users",
            "/dashboard/%2e%2e/v2/users",
            "/dashboard/\r\nSet-Cookie: a=b",
            "javascript:alert(1)",
            "/v2/users",
            "/oauth/authorize/x",
            "/oauth/authorize//evil.example",
            "/oauth/authorize@evil.example",
            "/oauth/authorizex",
            "/oauth/authorize\\?x",
        ] {
            assert_eq!(next_page(bad), "/dashboard", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[^\0]{0,40}") {
            let fields = Fields::parse(&format!("a={}", encode(&text))).unwrap();
            prop_assert_eq!(fields.exact("a"), text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(text in ".{0,80}") {
            let _ = Fields::parse(&text);
            let next = next_page(&text);
            let ours = ["/dashboard", "/oauth/authorize", "/device"];
            prop_assert!(ours.iter().any(|page| next.starts_with(page)));
        }
    }
}
