//! `/dashboard/account`: one's own account, its colours, and the apps that act for it.

use super::apps::{self, AppRow};
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
    apps: Vec<AppRow>,
    done: &'static str,
    themes: [(&'static str, &'static str, bool); 3],
}

/// `GET /dashboard/account`.
pub async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let done = match signed_in.visit.done() {
        "app" => "Access revoked; the app's tokens no longer work.",
        _ => "",
    };
    let apps = apps::rows(&mut app.db.read().await?, &signed_in).await?;
    let chosen = |theme: Theme| signed_in.staff.theme == theme;
    let page = AccountPage {
        frame: Frame::new(&signed_in.visit, "Your account"),
        role: signed_in.staff.role.shown(),
        apps,
        done,
        themes: [
            ("system", "As on this device", chosen(Theme::System)),
            ("light", "Light", chosen(Theme::Light)),
            ("dark", "Dark", chosen(Theme::Dark)),
        ],
    };
    Ok(frame::page(StatusCode::OK, &page))
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
