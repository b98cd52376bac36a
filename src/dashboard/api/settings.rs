//! `/dashboard/settings`: the shop, as it was set up.

use crate::app::App;
use crate::dashboard::deed::differences;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::staff::Shop;
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::error::Result;
use crate::money::Currency;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::db::DbError;
use serde_json::json;

const FIELDS: [&str; 3] = ["shop", "currency", "time_zone"];
/// What the page showed in each.
const SEEN: [&str; 3] = ["was.shop", "was.currency", "was.time_zone"];

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage<'a> {
    frame: Frame,
    shop: &'a str,
    currency: &'a str,
    time_zone: &'a str,
    stored: &'a Shop,
    currencies: Vec<&'static str>,
    /// The field at fault and what was expected.
    wrong: (&'a str, &'a str),
    done: bool,
}

fn show(
    signed_in: &SignedIn,
    typed: (&str, &str, &str),
    wrong: (&str, &str),
    done: bool,
) -> Response {
    let (shop, currency, time_zone) = typed;
    let stored = &signed_in.shop;
    let page = SettingsPage {
        frame: Frame::new(&signed_in.visit, "Settings"),
        shop,
        currency,
        time_zone,
        stored,
        currencies: Currency::codes(),
        wrong,
        done,
    };
    let status = match wrong.1 {
        "" => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    frame::page(status, &page)
}

/// `GET /dashboard/settings`.
pub async fn get(signed_in: SignedIn) -> Response {
    let shop = &signed_in.shop;
    let stored = (&*shop.name, shop.currency.as_str(), &*shop.time_zone);
    let done = signed_in.visit.done() == "saved";
    show(&signed_in, stored, ("", ""), done)
}

/// `POST /dashboard/settings`.
pub async fn save(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let stored = &signed_in.shop;
    let stored = [&*stored.name, stored.currency.as_str(), &*stored.time_zone];
    let mut given = FIELDS.map(|name| typed.get(name));
    // What was left alone stays as somebody else may have made it meanwhile.
    for (index, name) in SEEN.into_iter().enumerate() {
        if typed.some(name) == Some(given[index]) {
            given[index] = stored[index];
        }
    }
    let shop = match Shop::parse(given[0], given[1], given[2]) {
        Ok(shop) => shop,
        Err(wrong) => {
            let typed = (given[0], given[1], given[2]);
            return Ok(show(&signed_in, typed, wrong, false));
        }
    };
    let now = signed_in.visit.now();
    let of = |shop: &Shop| json!({ "name": shop.name, "currency": shop.currency, "time_zone": shop.time_zone });
    let changed = differences(&of(&signed_in.shop), &of(&shop));
    let saved: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            store::set_shop(tx, &shop, now).await?;
            let object = ("shop", "shop");
            store::note_change(tx, signed_in.doer(), "shop.changed", object, &changed).await
        })
        .await;
    saved?;
    Ok(frame::done("/dashboard/settings", "saved"))
}
