//! `/dashboard/account`: one's own account and its colours.

use crate::app::App;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::staff::Theme;
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::error::Result;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::db::DbError;
use platform::http::{Problem, codes};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    role: &'static str,
    themes: [(&'static str, &'static str, bool); 3],
}

/// `GET /dashboard/account`.
pub async fn get(signed_in: SignedIn) -> Response {
    let chosen = |theme: Theme| signed_in.staff.theme == theme;
    let page = AccountPage {
        frame: Frame::new(&signed_in.visit, "Your account"),
        role: signed_in.staff.role.shown(),
        themes: [
            ("system", "As on this device", chosen(Theme::System)),
            ("light", "Light", chosen(Theme::Light)),
            ("dark", "Dark", chosen(Theme::Dark)),
        ],
    };
    frame::page(StatusCode::OK, &page)
}

/// `POST /dashboard/account/theme`.
pub async fn theme(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let theme = Theme::parse(typed.get("theme"));
    let theme = theme.ok_or_else(|| Problem::new(&codes::INVALID_BODY, "no such theme"))?;
    let set: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| store::set_theme(tx, &signed_in.staff.id, theme).await)
        .await;
    set?;
    Ok(frame::see_other("/dashboard/account"))
}
