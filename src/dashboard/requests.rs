//! The lines of the request log as people look for them. No I/O, no clock.

use super::fields::Fields;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use platform::http::Batch;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;

/// Groups of errors that are shown.
const GROUPS_MAX: usize = 200;

/// A line of the request log. It names the route, never the path: what callers wrote is not in it.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    pub at: Cow<'a, str>,
    pub method: Cow<'a, str>,
    pub route: Cow<'a, str>,
    pub status: u16,
    pub duration_ms: f64,
    pub statements: u64,
    pub bytes: u64,
    /// `-` when nobody was known.
    pub client: Cow<'a, str>,
    pub address: Cow<'a, str>,
    /// `-` when it went well.
    pub code: Cow<'a, str>,
    pub request_id: Cow<'a, str>,
}

impl Line<'_> {
    pub fn at(&self) -> Timestamp {
        Timestamp::parse(&self.at).unwrap_or(Timestamp::from_micros(0))
    }
}

/// Which statuses are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    All,
    /// `4` for 400 to 499.
    Class(u16),
    One(u16),
}

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Filter {
    client: String,
    route: String,
    id: String,
    code: String,
    statuses: Statuses,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Pages of the dashboard too.
    pages: bool,
}

/// The names of the fields that filter.
pub const FILTERS: [&str; 8] = [
    "client", "route", "id", "code", "status", "from", "to", "pages",
];

impl Filter {
    /// Reads a filter out of an address; what cannot be read filters nothing. Times are those of `zone`.
    pub fn of(asked: &Fields, zone: &TimeZone) -> Filter {
        let time = |name| {
            let at: DateTime = asked.some(name)?.parse().ok()?;
            let at = zone.to_timestamp(at).ok()?;
            Some(Timestamp::from_micros(at.as_microsecond()))
        };
        let statuses = match asked.get("status") {
            text @ ("2xx" | "3xx" | "4xx" | "5xx") => {
                Statuses::Class(u16::from(text.as_bytes()[0] - b'0'))
            }
            text => text.parse().map_or(Statuses::All, Statuses::One),
        };
        Filter {
            client: asked.get("client").to_owned(),
            route: asked.get("route").to_owned(),
            id: asked.get("id").to_owned(),
            code: asked.get("code").to_owned(),
            statuses,
            from: time("from"),
            to: time("to"),
            pages: asked.get("pages") == "yes",
        }
    }

    /// The line as a request, if it is wanted.
    fn wants<'a>(&self, line: &'a str) -> Option<Line<'a>> {
        let texts = [&self.client, &self.route, &self.id, &self.code];
        // Reading JSON costs more than looking at the text.
        if texts.iter().any(|text| !line.contains(text.as_str())) {
            return None;
        }
        let line: Line<'a> = serde_json::from_str(line).ok()?;
        let exact = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let status = match self.statuses {
            Statuses::All => true,
            Statuses::Class(class) => line.status / 100 == class,
            Statuses::One(status) => line.status == status,
        };
        let timed = self.from.is_none_or(|from| line.at() >= from)
            && self.to.is_none_or(|to| line.at() < to);
        let wanted = status
            && timed
            && exact(&self.client, &line.client)
            && exact(&self.id, &line.request_id)
            && exact(&self.code, &line.code)
            && line.route.contains(&self.route)
            && (self.pages || !line.route.starts_with("/dashboard"));
        wanted.then_some(line)
    }
}

/// Where a line is: its batch and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot(pub u64, pub usize);

impl Spot {
    pub fn parse(text: &str) -> Option<Spot> {
        let (batch, place) = text.split_once('.')?;
        Some(Spot(batch.parse().ok()?, place.parse().ok()?))
    }
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The newest `limit` lines that are wanted, newest first, of those before `before`.
pub fn newest<'a>(
    batches: &'a [Batch],
    filter: &Filter,
    before: Option<Spot>,
    limit: usize,
) -> Vec<(Spot, Line<'a>)> {
    let mut found = Vec::new();
    for batch in batches.iter().rev() {
        if before.is_some_and(|before| Spot(batch.number, 0) >= before) {
            continue;
        }
        let lines: Vec<&str> = batch.lines.lines().collect();
        for (place, line) in lines.iter().enumerate().rev() {
            let spot = Spot(batch.number, place);
            if before.is_some_and(|before| spot >= before) {
                continue;
            }
            if let Some(line) = filter.wants(line) {
                found.push((spot, line));
                if found.len() == limit {
                    return found;
                }
            }
        }
    }
    found
}

/// The line of one request.
pub fn find<'a>(batches: &'a [Batch], id: &str) -> Option<Line<'a>> {
    let filter = Filter {
        id: id.to_owned(),
        pages: true,
        ..Filter::of(&Fields::default(), &TimeZone::UTC)
    };
    let mut found = newest(batches, &filter, None, 1);
    Some(found.pop()?.1)
}

/// Requests that were refused for the same reason at the same route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub code: String,
    pub status: u16,
    pub route: String,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The last one.
    pub request_id: String,
}

/// What went wrong, the most frequent first.
pub fn errors(batches: &[Batch]) -> Vec<Group> {
    let mut groups: HashMap<(String, String), Group> = HashMap::new();
    let all = Filter::of(&Fields::default(), &TimeZone::UTC);
    let lines = batches.iter().flat_map(|batch| batch.lines.lines());
    // The code stands in the line of whatever was refused.
    let lines = lines.filter(|line| !line.contains("\"code\":\"-\""));
    for line in lines.filter_map(|line| all.wants(line)) {
        let (at, key) = (line.at(), (line.code.to_string(), line.route.to_string()));
        let group = groups.entry(key).or_insert_with(|| Group {
            code: line.code.to_string(),
            status: line.status,
            route: line.route.to_string(),
            count: 0,
            first: at,
            last: at,
            request_id: String::new(),
        });
        group.count += 1;
        group.last = at;
        group.request_id = line.request_id.to_string();
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        let by_count = b.count.cmp(&a.count);
        by_count.then_with(|| (&a.code, &a.route).cmp(&(&b.code, &b.route)))
    });
    groups.truncate(GROUPS_MAX);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(second: u32, route: &str, status: u16, code: &str, id: &str) -> String {
        format!(
            "{{\"at\":\"2026-11-25T12:00:{second:02}Z\",\"level\":\"info\",\"message\":\"request\",\"method\":\"GET\",\"route\":\"{route}\",\"status\":{status},\"duration_ms\":1.500,\"statements\":2,\"bytes\":10,\"client\":\"client_a\",\"address\":\"127.0.0.1\",\"code\":\"{code}\",\"request_id\":\"{id}\"}}\n"
        )
    }

    fn batches() -> Vec<Batch> {
        let lines = [
            line(1, "/v2/orders", 200, "-", "r1") + &line(2, "/v2/orders", 404, "not_found", "r2"),
            line(3, "/dashboard", 200, "-", "r3") + &line(4, "/v2/users", 404, "not_found", "r4"),
            line(5, "/v2/orders", 404, "not_found", "r5"),
        ];
        let numbered = lines.iter().zip(7..);
        let batch = |(lines, number): (&String, u64)| Batch {
            number,
            lines: lines.as_str().into(),
        };
        numbered.map(batch).collect()
    }

    fn ids(query: &str, before: Option<Spot>, limit: usize) -> Vec<String> {
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let filter = Filter::of(&Fields::parse(query).unwrap(), &zone);
        let batches = batches();
        let found = newest(&batches, &filter, before, limit);
        let ids = found.iter().map(|(_, line)| line.request_id.to_string());
        ids.collect()
    }

    #[test]
    fn requests_are_found_by_what_the_log_says_of_them() {
        for (query, expected) in [
            ("", &["r5", "r4", "r2", "r1"][..]),
            ("pages=yes", &["r5", "r4", "r3", "r2", "r1"]),
            ("status=4xx&route=/v2/orders", &["r5", "r2"]),
            ("status=200", &["r1"]),
            ("id=r4", &["r4"]),
            ("id=r", &[]),
            ("client=client_a&code=not_found", &["r5", "r4", "r2"]),
            ("client=client", &[]),
            ("from=2026-11-25T13:00:03&to=2026-11-25T13:00:05", &["r4"]),
            ("status=nonsense&from=yesterday", &["r5", "r4", "r2", "r1"]),
        ] {
            assert_eq!(ids(query, None, 10), expected, "{query}");
        }
        assert_eq!(ids("", None, 2), ["r5", "r4"]);
        assert_eq!(ids("", Some(Spot(8, 1)), 2), ["r2", "r1"]);
    }

    #[test]
    fn errors_are_grouped_by_code_and_route() {
        let groups = errors(&batches());
        let told: Vec<_> = groups
            .iter()
            .map(|group| (&*group.route, group.count, &*group.request_id))
            .collect();
        assert_eq!(told, [("/v2/orders", 2, "r5"), ("/v2/users", 1, "r4")]);
        assert!(groups[0].first < groups[0].last);
        assert_eq!(find(&batches(), "r3").unwrap().route, "/dashboard");
        assert!(find(&batches(), "r").is_none());
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_left_out(text in ".{0,60}") {
            let batch = Batch { number: 0, lines: text.as_str().into() };
            let batches = [batch];
            prop_assert!(errors(&batches).is_empty());
            let _ = Spot::parse(&text);
        }
    }
}
