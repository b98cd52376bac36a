//! The query string of every GET: through the strict parser into the parameters of the list, then the
//! page with its cursor, and the links of the answer. The first byte chooses the list.

#![no_main]

use axum::extract::FromRequestParts;
use axum::http::{Request, Uri};
use libfuzzer_sys::fuzz_target;
use platform::http::{CursorKey, Page, PageQuery, Query};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tradepost::integrations::api::ListIntegrations;
use tradepost::notifications::api::ListNotifications;
use tradepost::orders::api::{HistoryQuery, ListOrders};
use tradepost::products::api::{ListProducts, PriceQuery};
use tradepost::products::inventory::api::{ListLevels, ListLocations, ListMovements};
use tradepost::products::search::api::{SearchQuery, SuggestQuery};
use tradepost::reports::api::{ListReports, ListRuns};
use tradepost::users::api::ListUsers;
use tradepost_fuzz::{accepted, run};

const PUBLIC_URL: &str = "http://127.0.0.1:8080";

fuzz_target!(|data: &[u8]| {
    let Some((choice, query)) = data.split_first() else {
        return;
    };
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    // What is no URI is refused by hyper before anything of ours sees it.
    let Ok(uri) = format!("/v2/fuzz?{query}").parse::<Uri>() else {
        return;
    };
    match choice % 13 {
        0 => list::<ListUsers>(&uri, |query| &query.page),
        1 => list::<ListProducts>(&uri, |query| &query.page),
        2 => list::<ListOrders>(&uri, |query| &query.orders.page),
        3 => list::<ListNotifications>(&uri, |query| &query.page),
        4 => list::<ListLevels>(&uri, |query| &query.page),
        5 => list::<ListMovements>(&uri, |query| &query.page),
        6 => list::<ListLocations>(&uri, |query| &query.page),
        7 => list::<ListRuns>(&uri, |query| &query.page),
        8 => list::<ListReports>(&uri, |query| &query.page),
        9 => list::<ListIntegrations>(&uri, |query| &query.page),
        10 => drop(read::<SearchQuery>(&uri)),
        11 => drop(read::<SuggestQuery>(&uri)),
        _ => drop((read::<PriceQuery>(&uri), read::<HistoryQuery>(&uri))),
    }
});

fn read<T>(uri: &Uri) -> Option<T>
where
    T: DeserializeOwned + JsonSchema + Default + 'static,
{
    let (mut parts, ()) = Request::get(uri).body(()).expect("a request").into_parts();
    accepted(run(Query::<T>::from_request_parts(&mut parts, &()))).map(|Query(query)| query)
}

/// The pages of a list of texts: the first as it was asked for, and the one that its link leads to.
fn list<T>(uri: &Uri, page_of: fn(&T) -> &PageQuery)
where
    T: DeserializeOwned + JsonSchema + Default + 'static,
{
    let Some(query) = read::<T>(uri) else {
        return;
    };
    let key = CursorKey::new(&[7; 32]);
    let Some(page) = accepted(Page::new(page_of(&query), uri, &key)) else {
        return;
    };
    let rows = vec!["row"; usize::try_from(page.fetch()).expect("at least one")];
    let sort_key = |row: &&str| vec![(*row).to_owned()];
    let reply = page.reply(rows, None, PUBLIC_URL, &key, sort_key);
    let Some(next) = next_of(reply.header(&axum::http::header::LINK).unwrap_or_default()) else {
        return;
    };
    let next: Uri = next.parse().expect("a link is a URI");
    let query = read::<T>(&next).expect("a link of ours is accepted");
    let followed = accepted(Page::new(page_of(&query), &next, &key)).expect("and its cursor too");
    assert_eq!(followed.limit, page.limit);
}

/// The target of `rel="next"`, without our own origin.
fn next_of(links: &str) -> Option<&str> {
    let (before, _) = links.split_once(">; rel=\"next\"")?;
    let (_, target) = before.rsplit_once('<')?;
    target.strip_prefix(PUBLIC_URL)
}
