//! `/dashboard/audit`: who did what.

use super::{next_link, page_of};
use crate::app::App;
use crate::dashboard::deed::name;
use crate::dashboard::fields::{Fields, encode};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::show::When;
use crate::dashboard::store::{self, Deed, Sought};
use crate::dashboard::visit::SignedIn;
use crate::error::Result;
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;

#[derive(Debug)]
struct Row {
    at: When,
    who: String,
    what: String,
    object: String,
    /// Where the object is shown; empty when there is no page for it.
    link: String,
    address: String,
    detail: String,
    /// The same list of this person, of such deeds, of this object.
    of_who: String,
    of_action: String,
    of_object: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    asked: Fields,
    filtered: bool,
    rows: Vec<Row>,
    next: String,
    first: bool,
}

const FILTERS: [&str; 5] = ["who", "action", "object", "from", "to"];

/// What an address looks for; a time that cannot be read is none. Times are those of `zone`.
fn sought(asked: &Fields, zone: &TimeZone) -> Sought {
    let text = |name| asked.some(name).map(str::to_owned);
    let time = |name| {
        let at: DateTime = asked.some(name)?.parse().ok()?;
        let at = zone.to_timestamp(at).ok()?;
        Some(Timestamp::from_micros(at.as_microsecond()))
    };
    Sought {
        who: text("who"),
        action: text("action"),
        object_id: text("object"),
        from: time("from"),
        to: time("to"),
    }
}

/// `GET /dashboard/audit`.
pub async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let page = page_of(&app, &uri, asked.some("cursor"))?;
    let mut tx = app.db.read().await?;
    let sought = sought(&asked, &signed_in.shop.zone());
    let mut deeds = store::deeds(&mut tx, &sought, &page).await?;
    let staff = store::list(&mut tx).await?;
    let more = page.cut(&mut deeds);
    let last = deeds.last().filter(|_| more);
    let last = last.map(|deed| vec![deed.at.micros().to_string(), deed.id.clone()]);
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |deed: &Deed| {
        let known = staff.iter().find(|one| one.id.as_str() == deed.object_id);
        Row {
            at: When::new(deed.at, now, &zone),
            who: deed.who.clone(),
            what: name(&deed.action),
            object: known.map_or_else(|| deed.object_id.clone(), |one| one.email.clone()),
            link: match deed.object_type.as_str() {
                "order" => format!("/dashboard/orders/{}", deed.object_id),
                "staff" => format!("/dashboard/team/{}", deed.object_id),
                "client" => format!("/dashboard/credentials/{}", deed.object_id),
                "product" => format!("/dashboard/products/{}", deed.object_id),
                _ => String::new(),
            },
            address: deed.address.clone(),
            detail: deed.detail.clone(),
            of_who: format!("/dashboard/audit?who={}", encode(&deed.who)),
            of_action: format!("/dashboard/audit?action={}", encode(&deed.action)),
            of_object: format!("/dashboard/audit?object={}", encode(&deed.object_id)),
        }
    };
    let page = AuditPage {
        frame: Frame::new(&signed_in.visit, "Audit log"),
        rows: deeds.iter().map(row).collect(),
        next: next_link(&app, &page, last),
        first: asked.some("cursor").is_none(),
        filtered: FILTERS.iter().any(|name| asked.some(name).is_some()),
        asked,
    };
    Ok(frame::page(StatusCode::OK, &page))
}
