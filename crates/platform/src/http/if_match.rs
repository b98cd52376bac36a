//! `If-Match`: the versions that a write is meant for (RFC 9110 §13.1.1).

use super::command::invalid_header;
use super::problem::{Problem, codes};
use super::reply::Reply;
use axum::http::{HeaderMap, header};

/// Tags in one request.
const TAGS_MAX: usize = 100;

/// What an `If-Match` looks like, for the OpenAPI document.
pub const IF_MATCH_PATTERN: &str = r#"^(\*|(W/)?("[!#-~]*"|[0-9]{1,18}([.-][!#-+\--~]{0,64})?)( ?, ?(W/)?("[!#-~]*"|[0-9]{1,18}([.-][!#-+\--~]{0,64})?)){0,20})$"#;

/// The versions named by `If-Match`. Tags that are none of ours name no version: nothing matches them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfMatch(Option<Vec<i64>>);

impl IfMatch {
    /// Reads the header. `*` asks only that the object exists, as no header at all does. Of a tag the version
    /// part counts; a proxy's `W/` or encoding suffix is tolerated, and so are missing quotes.
    pub(super) fn read(headers: &HeaderMap) -> Result<IfMatch, Problem> {
        let mut versions = None;
        for line in headers.get_all(header::IF_MATCH) {
            let read = line.to_str().ok().and_then(tags);
            let Some(tags) = read else {
                let expected =
                    "expected ETags as they were answered, with commas between them, or *";
                return Err(invalid_header("If-Match", expected));
            };
            match tags {
                Tags::Any => return Ok(IfMatch(None)),
                Tags::These(some) => versions.get_or_insert_with(Vec::new).extend(some),
            }
        }
        Ok(IfMatch(versions))
    }

    /// As a form that shows `version` means it.
    pub fn version(version: i64) -> IfMatch {
        IfMatch(Some(vec![version]))
    }

    /// Whether a write may change an object that is at `version`.
    pub fn holds(&self, version: i64) -> bool {
        self.0
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&version))
    }

    /// 412 `precondition_failed` with the `ETag` of the object as it is: `current` is how a GET shows it.
    pub fn refused(&self, current: &Reply) -> Problem {
        let detail = "the object is at another version than `If-Match` names";
        let problem = Problem::new(&codes::PRECONDITION_FAILED, detail);
        match current.header(&header::ETAG) {
            Some(tag) => problem.header(header::ETAG, tag),
            None => problem,
        }
    }
}

enum Tags {
    Any,
    These(Vec<i64>),
}

/// The versions in a list of tags; `None` when it is not one.
fn tags(text: &str) -> Option<Tags> {
    let mut rest = text.trim();
    if rest == "*" {
        return Some(Tags::Any);
    }
    let mut versions = Vec::new();
    for _ in 0..TAGS_MAX {
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let (inner, after) = match tag.strip_prefix('"') {
            Some(quoted) => {
                let (inner, after) = quoted.split_once('"')?;
                (inner, after)
            }
            None => {
                let end = tag.find(',').unwrap_or(tag.len());
                let (inner, after) = tag.split_at(end);
                version(inner.trim())?; // without quotes it must be one of ours
                (inner.trim(), after)
            }
        };
        if !inner.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        versions.extend(version(inner));
        match after.trim_start() {
            "" => return Some(Tags::These(versions)),
            more => rest = more.strip_prefix(',')?.trim_start(),
        }
    }
    None
}

/// The version part of a tag of ours.
fn version(tag: &str) -> Option<i64> {
    let (version, suffix) = match tag.find(['.', '-']) {
        Some(at) => (&tag[..at], &tag[at + 1..]),
        None => (tag, ""),
    };
    let plain = suffix.len() <= 64 && suffix.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    let digits = (1..=18).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit());
    (plain && digits).then(|| version.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Result<IfMatch, Problem> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, line.parse().expect("a header"));
        }
        IfMatch::read(&headers)
    }

    #[test]
    fn a_list_matches_when_one_of_its_tags_does() {
        for (lines, versions) in [
            (&["\"3\""][..], &[3][..]),
            (&["\"3.9f8e7d6c\""], &[3]),
            (&["W/\"3.9f8e7d6c-gzip\""], &[3]),
            (&["3"], &[3]),
            (&["3.9f8e7d6c"], &[3]),
            (&["\"1\", \"3\""], &[1, 3]),
            (&["\"1\",W/\"3\" , 5"], &[1, 3, 5]),
            (&["\"1\"", "\"3\""], &[1, 3]),
            (&["\"foreign\""], &[]),
            (&["\"\""], &[]),
            (&["\"a,b\", \"3\""], &[3]),
            (&["\"9223372036854775808\""], &[]),
        ] {
            let read = read(lines).expect("tags");
            assert_eq!(read, IfMatch(Some(versions.to_vec())), "{lines:?}");
            assert_eq!(read.holds(3), versions.contains(&3));
            assert!(!read.holds(2));
        }
        for lines in [&["*"][..], &[], &["\"1\"", "*"]] {
            assert!(read(lines).expect("any").holds(7), "{lines:?}");
        }
        for text in [
            "",
            "\"",
            "foreign",
            "\"1\" \"2\"",
            "\"1\",",
            "*, \"1\"",
            "9223372036854775808",
            "\"a b\"",
        ] {
            assert!(read(&[text]).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~]{0,60}") {
            let _ = tags(&text).is_some();
        }
    }
}
