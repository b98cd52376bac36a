//! `/dashboard/settings`: the shop, as it was set up.

use crate::app::App;
use crate::dashboard::deed::differences;
use crate::dashboard::edited::{Clash, Edited, Values};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::staff::Shop;
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::error::Result;
use crate::money::Currency;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::db::DbError;
use serde_json::json;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    values: Values,
    /// What the page shows, to be compared with when it comes back.
    seen: Values,
    currencies: Vec<&'static str>,
    clashes: Vec<Clash>,
    wrong: Wrong,
    done: bool,
}

impl SettingsPage {
    fn of(signed_in: &SignedIn) -> SettingsPage {
        let shop = &signed_in.shop;
        let mut stored = Values::default();
        stored.set("shop", &shop.name);
        stored.set("currency", shop.currency.as_str());
        stored.set("time_zone", &shop.time_zone);
        SettingsPage {
            frame: Frame::new(&signed_in.visit, "Settings"),
            values: stored.clone(),
            seen: stored,
            currencies: Currency::codes(),
            clashes: Vec::new(),
            wrong: Wrong::default(),
            done: signed_in.visit.done() == "saved",
        }
    }
}

/// `GET /dashboard/settings`.
pub async fn get(signed_in: SignedIn) -> Response {
    frame::page(StatusCode::OK, &SettingsPage::of(&signed_in))
}

/// `POST /dashboard/settings`. What was left alone stays as somebody else may have made it meanwhile; what both changed
/// is asked for once more.
pub async fn save(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let mut page = SettingsPage::of(&signed_in);
    let (values, clashes) = Edited::of(&typed).merged(&page.seen);
    page.values = values;
    page.clashes = clashes.into_iter().filter(|clash| clash.both).collect();
    if !page.clashes.is_empty() {
        return Ok(frame::page(StatusCode::CONFLICT, &page));
    }
    let [name, currency, zone] = ["shop", "currency", "time_zone"].map(|name| page.values.of(name));
    let shop = match Shop::parse(name, currency, zone) {
        Ok(shop) => shop,
        Err((field, expected)) => {
            page.wrong.add(field, "", expected);
            return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let now = signed_in.visit.now();
    let of = |shop: &Shop| json!({ "name": shop.name, "currency": shop.currency, "time_zone": shop.time_zone });
    let changed = differences(&of(&signed_in.shop), &of(&shop));
    let saved: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            if !store::set_shop(tx, (&signed_in.shop, &shop), now).await? {
                return Ok(false);
            }
            if !changed.is_empty() {
                let object = ("shop", "shop");
                store::note_change(tx, signed_in.doer(), "shop.changed", object, &changed).await?;
            }
            Ok(true)
        })
        .await;
    if !saved? {
        let detail = "somebody else saved the settings in the same moment: send yours again";
        page.wrong = Wrong::line(detail);
        return Ok(frame::page(StatusCode::CONFLICT, &page));
    }
    Ok(frame::done("/dashboard/settings", "saved"))
}
