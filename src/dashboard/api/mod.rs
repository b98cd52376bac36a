//! Handlers, one file per group of pages.

pub mod account;
pub mod apps;
pub mod audit;
pub mod authorize;
pub mod bulk;
pub mod credentials;
pub mod customers;
pub mod device;
pub mod flows;
pub mod forgot;
pub mod home;
pub mod imports;
pub mod jobs;
pub mod order_moves;
pub mod orders;
pub mod passkeys;
pub mod product_edit;
pub mod products;
pub mod requests;
pub mod search;
pub mod second;
pub mod security;
pub mod settings;
pub mod setup;
pub mod shown;
pub mod sign_in;
pub mod stock;
pub mod tail;
pub mod team;
pub mod try_it;
pub mod variants;
pub mod views;

use crate::app::App;
use crate::error::Result;
use axum::http::Uri;
use platform::http::{Page, PageQuery};

/// Rows on a page of a list.
const ROWS: i64 = 25;

/// The page of a list that `uri` asks for with `cursor`.
fn page_of(app: &App, uri: &Uri, cursor: Option<&str>) -> Result<Page> {
    let query = PageQuery {
        limit: Some(ROWS),
        cursor: cursor.map(str::to_owned),
        ..PageQuery::default()
    };
    Page::new(&query, uri, &app.cursors)
}

/// The address of the page after one whose last row has this sort key; empty when no more follow.
fn next_link(app: &App, page: &Page, last: Option<Vec<String>>) -> String {
    let links = page.neighbours(last, "", &app.cursors);
    let next = links
        .split(", ")
        .find(|link| link.ends_with("rel=\"next\""));
    next.and_then(|link| link.strip_prefix('<')?.split('>').next())
        .unwrap_or_default()
        .to_owned()
}
