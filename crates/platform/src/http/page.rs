//! Lists: a bare JSON array; what there is to say about the page travels in headers.

use super::cursor::CursorKey;
use super::problem::{Problem, codes};
use super::query::decode;
use super::reply::Reply;
use axum::http::{HeaderName, StatusCode, Uri, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LIMIT_DEFAULT: i64 = 50;
/// 2^53 − 1: what every JSON reader keeps exactly.
const OFFSET_MAX: i64 = 9_007_199_254_740_991;

/// The parameters that every list takes; flatten it into the list's own query type.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PageQuery {
    /// Maximum number of rows to return; 50 when left away.
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<i64>,
    /// Number of rows to skip before starting to collect the result set.
    #[schemars(range(min = 0, max = OFFSET_MAX))]
    pub offset: Option<i64>,
    /// Opaque, from the `Link` header of the page before; not together with `offset`.
    #[schemars(length(min = 1, max = 1024))]
    pub cursor: Option<String>,
    /// Count all rows into `X-Total-Count`; costs time on large lists.
    pub include_total: Option<bool>,
}

/// One page of one list.
#[derive(Debug)]
pub struct Page {
    /// Rows wanted; the store fetches [`Page::fetch`] of them to learn whether more follow.
    pub limit: i64,
    /// Rows to skip.
    pub offset: i64,
    /// The sort key of the row before this page, when it was asked for by cursor.
    pub after: Option<Vec<String>>,
    /// Whether to count all rows.
    pub include_total: bool,
    by_offset: bool,
    scope: String,
    /// Path and query without the paging parameters that the links replace.
    base: String,
}

impl Page {
    /// Reads the page that `uri` asks for.
    ///
    /// # Errors
    /// 400 when `cursor` comes with `offset` or is not ours for this query.
    pub fn new(query: &PageQuery, uri: &Uri, key: &CursorKey) -> Result<Page, Problem> {
        if query.cursor.is_some() && query.offset.is_some() {
            return Err(Problem::new(
                &codes::INVALID_PARAMETER,
                "cursor and offset exclude each other",
            )
            .parameter("cursor", "excluded", "not together with offset"));
        }
        let base = without(uri, &["cursor", "offset"]);
        let scope = without_all_paging(uri);
        let after = query
            .cursor
            .as_ref()
            .map(|cursor| key.open(&scope, cursor))
            .transpose()?;
        Ok(Page {
            limit: query.limit.unwrap_or(LIMIT_DEFAULT),
            offset: query.offset.unwrap_or(0),
            after,
            include_total: query.include_total.unwrap_or(false),
            by_offset: query.offset.is_some(),
            scope,
            base,
        })
    }

    /// How many rows to fetch: one more than wanted.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// The answer: at most `limit` of `rows`, `Link` to the neighbours, `X-Total-Count` if counted.
    /// `sort_key` gives what the list is sorted by, ending in the id. `public_url` has no slash at its end.
    pub fn reply<T: Serialize>(
        &self,
        mut rows: Vec<T>,
        total: Option<i64>,
        public_url: &str,
        key: &CursorKey,
        sort_key: impl Fn(&T) -> Vec<String>,
    ) -> Reply {
        let more = self.cut(&mut rows);
        let last = rows.last().filter(|_| more).map(sort_key);
        let body = serde_json::to_string(&rows).expect("our own types serialise");
        self.answer(body, total, self.neighbours(last, public_url, key))
    }

    /// Takes the rows beyond the page away; whether there were any.
    pub fn cut<T>(&self, rows: &mut Vec<T>) -> bool {
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        more
    }

    /// The value of `Link`. `last` is the sort key of the page's last row when more follow.
    pub fn neighbours(
        &self,
        last: Option<Vec<String>>,
        public_url: &str,
        key: &CursorKey,
    ) -> String {
        let join = if self.base.contains('?') { '&' } else { '?' };
        let link = |part: String, rel: &str| {
            format!("<{public_url}{}{join}{part}>; rel=\"{rel}\"", self.base)
        };
        let mut links = Vec::with_capacity(3);
        match last {
            Some(_) if self.by_offset => {
                let next = self.offset.saturating_add(self.limit);
                if next <= OFFSET_MAX {
                    links.push(link(format!("offset={next}"), "next"));
                }
            }
            Some(last) => {
                links.push(link(
                    format!("cursor={}", key.seal(&self.scope, &last)),
                    "next",
                ));
            }
            None => {}
        }
        if self.by_offset && self.offset > 0 {
            links.push(link(
                format!("offset={}", (self.offset - self.limit).max(0)),
                "prev",
            ));
        }
        if self.by_offset || self.after.is_some() {
            links.push(format!("<{public_url}{}>; rel=\"first\"", self.base));
        }
        links.join(", ")
    }

    /// The answer whose rows are the JSON array `body`.
    pub fn answer(&self, body: String, total: Option<i64>, links: String) -> Reply {
        let mut reply = Reply::raw_json(StatusCode::OK, body);
        if !links.is_empty() {
            reply = reply.with(header::LINK, &links);
        }
        match total {
            Some(total) => reply.with(HeaderName::from_static("x-total-count"), &total.to_string()),
            None => reply,
        }
    }
}

fn without_all_paging(uri: &Uri) -> String {
    without(uri, &["cursor", "offset", "limit", "include_total"])
}

/// Path and query of `uri` without some parameters, the others as they were sent.
fn without(uri: &Uri, names: &[&str]) -> String {
    let mut base = uri.path().to_owned();
    let mut join = '?';
    for pair in uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        // `%6Fffset` is `offset` too, and a link with both would be refused.
        let name = decode(pair.split('=').next().unwrap_or_default());
        if !name.is_some_and(|name| names.contains(&&*name)) {
            base.push(join);
            base.push_str(pair);
            join = '&';
        }
    }
    base
}

impl Page {
    /// The sort key of a list that is sorted by an instant and an id.
    pub fn after_time_and_id(&self) -> Option<(i64, &str)> {
        let parts = self.after.as_ref()?;
        Some((parts.first()?.parse().ok()?, parts.get(1)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_replaces_a_parameter_however_its_name_is_written() {
        let uri: Uri = "/v2/users?%6Fffset=1&status=active&limit=1"
            .parse()
            .expect("a URI");
        let query = PageQuery {
            limit: Some(1),
            offset: Some(1),
            ..PageQuery::default()
        };
        let key = CursorKey::new(&[7; 32]);
        let page = Page::new(&query, &uri, &key).expect("a page");
        let reply = page.reply(vec!["a", "b"], None, "", &key, |row| {
            vec![(*row).to_owned()]
        });
        let links = reply.header(&header::LINK).expect("links");
        let next = "</v2/users?status=active&limit=1&offset=2>; rel=\"next\"";
        assert!(links.starts_with(next), "{links}");
    }

    #[test]
    fn no_link_leads_beyond_what_is_accepted() {
        let uri: Uri = format!("/v2/users?offset={OFFSET_MAX}&limit=1")
            .parse()
            .expect("a URI");
        let query = PageQuery {
            limit: Some(1),
            offset: Some(OFFSET_MAX),
            ..PageQuery::default()
        };
        let key = CursorKey::new(&[7; 32]);
        let page = Page::new(&query, &uri, &key).expect("a page");
        let reply = page.reply(vec!["a", "b"], None, "", &key, |row| {
            vec![(*row).to_owned()]
        });
        let links = reply.header(&header::LINK).expect("links");
        assert!(!links.contains("next"), "{links}");
    }
}
