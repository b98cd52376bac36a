//! Where people are sent back to: compared as text, so that nothing that only looks alike is taken.

use std::fmt;

/// Longest redirect URI.
pub const REDIRECT_URI_MAX_BYTES: usize = 1_000;

/// A redirect URI as a client registers it: `https`, `http` on a loopback address (RFC 8252 §7.3), or a scheme of the
/// app's own that is a reversed domain name (§7.1). No fragment, no user, no wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Why a text is no redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARedirectUri {
    #[error("a redirect URI has at most 1,000 characters, all of them printable ASCII")]
    Text,
    #[error("a redirect URI has no fragment (#)")]
    Fragment,
    #[error("http is for 127.0.0.1 and [::1] alone: use https")]
    Http,
    #[error("a scheme of an app's own is a reversed domain name such as com.example.app:/callback")]
    Scheme,
    #[error(
        "the host is missing or not plain: letters, digits, dots and hyphens, without a user and without *"
    )]
    Host,
    #[error("the path has . or .. in it: browsers would go elsewhere")]
    Path,
}

impl RedirectUri {
    /// The redirect URI in `text`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<RedirectUri, NotARedirectUri> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>'));
        if text.is_empty() || text.len() > REDIRECT_URI_MAX_BYTES || !plain {
            return Err(NotARedirectUri::Text);
        }
        if text.contains('#') {
            return Err(NotARedirectUri::Fragment);
        }
        let (scheme, rest) = text.split_once(':').ok_or(NotARedirectUri::Scheme)?;
        match scheme {
            "https" => check_authority(rest)?,
            "http" if loopback(text).is_some() => {}
            "http" => return Err(NotARedirectUri::Http),
            own => {
                let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
                let named = own.starts_with(|c: char| c.is_ascii_lowercase()) && own.contains('.');
                if !named || !own.bytes().all(plain) || !rest.starts_with('/') {
                    return Err(NotARedirectUri::Scheme);
                }
            }
        }
        let path = rest.split('?').next().unwrap_or_default();
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(NotARedirectUri::Path);
        }
        Ok(RedirectUri(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `asked` is this one: the same text, or the same loopback address at another port.
    pub fn matches(&self, asked: &str) -> bool {
        self.0 == asked
            || loopback(&self.0)
                .zip(loopback(asked))
                .is_some_and(|(known, asked)| known == asked)
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_authority(rest: &str) -> Result<(), NotARedirectUri> {
    let authority = rest.strip_prefix("//").ok_or(NotARedirectUri::Host)?;
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let whole = !host.is_empty() && host.bytes().all(plain) && is_port(port);
    whole.then_some(()).ok_or(NotARedirectUri::Host)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Host and what follows the port of `http` on a loopback address: an app that listens there cannot choose its port.
fn loopback(uri: &str) -> Option<(&'static str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let hosts = ["127.0.0.1", "[::1]"].into_iter();
    let (host, rest) = hosts
        .filter_map(|host| Some((host, rest.strip_prefix(host)?)))
        .next()?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (port, path) = rest.split_at(end);
    let whole = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    whole.then_some((host, path))
}

/// Scheme and host of a redirect URI that was matched, as a source of a content security policy: browsers look at
/// `form-action` also when the answer to a form leads on.
pub fn source(uri: &str) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    match (scheme, rest.strip_prefix("//")) {
        ("http" | "https", Some(rest)) => {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            // A policy can name no IPv6 address (CSP Level 3 §2.3.1): the scheme alone is left.
            match authority.starts_with('[') {
                true => format!("{scheme}:"),
                false => format!("{scheme}://{authority}"),
            }
        }
        _ => format!("{scheme}:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_places_of_the_client_itself_are_registered() {
        for good in [
            "https://app.example",
            "https://app.example:8443/cb?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]:7000/",
            "com.example.app:/cb",
            "com.example.app://cb",
        ] {
            assert_eq!(RedirectUri::parse(good).unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", NotARedirectUri::Text),
            ("https://a.example/\u{e9}", NotARedirectUri::Text),
            ("https://a.example\\@b.example", NotARedirectUri::Text),
            ("https://a.example/#", NotARedirectUri::Fragment),
            ("http://a.example/", NotARedirectUri::Http),
            ("http://localhost/", NotARedirectUri::Http),
            ("http://127.0.0.1.evil.example/", NotARedirectUri::Http),
            ("http://127.0.0.1:80@evil.example/", NotARedirectUri::Http),
            ("http://127.0.0.1:0/", NotARedirectUri::Http),
            ("javascript:alert(1)", NotARedirectUri::Scheme),
            ("data:/text", NotARedirectUri::Scheme),
            ("/callback", NotARedirectUri::Scheme),
            ("Com.Example:/cb", NotARedirectUri::Scheme),
            ("https:app.example", NotARedirectUri::Host),
            ("https:///cb", NotARedirectUri::Host),
            ("https://user@a.example/", NotARedirectUri::Host),
            ("https://*.example/", NotARedirectUri::Host),
            ("https://a.example:x/", NotARedirectUri::Host),
            ("https://a.example/x/../y", NotARedirectUri::Path),
        ] {
            assert_eq!(RedirectUri::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_loopback_address_may_have_any_port_and_nothing_else() {
        let known = RedirectUri::parse("http://127.0.0.1/cb").unwrap();
        for same in ["http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"] {
            assert!(known.matches(same), "{same}");
        }
        for other in [
            "http://127.0.0.1:51004/cb/",
            "http://127.0.0.1:51004/CB",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.2/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
            "https://127.0.0.1/cb",
        ] {
            assert!(!known.matches(other), "{other}");
        }
    }

    #[test]
    fn a_policy_names_scheme_and_host() {
        assert_eq!(source("https://a.example:1/cb?x"), "https://a.example:1");
        assert_eq!(source("http://127.0.0.1:7/cb"), "http://127.0.0.1:7");
        assert_eq!(source("http://[::1]:7/cb"), "http:");
        assert_eq!(source("com.example.app:/cb"), "com.example.app:");
        assert_eq!(source("com.example.app://cb"), "com.example.app:");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "(https://|http://127.0.0.1)?.{0,40}") {
            if let Ok(uri) = RedirectUri::parse(&text) {
                prop_assert!(uri.matches(&text));
                prop_assert!(!source(&text).contains([' ', ';', ',']));
            }
        }
    }
}
