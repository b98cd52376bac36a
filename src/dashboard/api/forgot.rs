//! `/dashboard/forgot`: a link by mail for who forgot their password.

use super::sign_in::{pause_page, span};
use crate::app::App;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::jobs::{self, To};
use crate::dashboard::staff::EMAIL_BYTES_MAX;
use crate::dashboard::visit::{Form, Visit};
use crate::error::Result;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::db::DbError;

#[derive(Template)]
#[template(path = "forgot.html")]
struct ForgotPage<'a> {
    frame: Frame,
    mail: bool,
    asked: bool,
    wrong: &'a str,
}

fn show(app: &App, visit: &Visit, status: StatusCode, (asked, wrong): (bool, &str)) -> Response {
    let page = ForgotPage {
        frame: Frame::new(visit, "Forgot your password?"),
        mail: app.config.smtp_url.is_some(),
        asked,
        wrong,
    };
    frame::page(status, &page)
}

/// `GET /dashboard/forgot`.
pub async fn get(State(app): State<App>, visit: Visit) -> Response {
    show(&app, &visit, StatusCode::OK, (false, ""))
}

/// `POST /dashboard/forgot`. Whoever has the email, if anybody: the answer is the same and takes as long, for nobody
/// looks until the mail is sent.
pub async fn ask(State(app): State<App>, visit: Visit, Form(typed): Form) -> Result<Response> {
    if app.config.smtp_url.is_none() {
        return Ok(show(&app, &visit, StatusCode::CONFLICT, (false, "")));
    }
    // No stricter than this: accounts may be older than the rule for new ones.
    let email = typed.get("email").to_owned();
    if !email.contains('@') || email.len() > EMAIL_BYTES_MAX {
        let (status, wrong) = (StatusCode::UNPROCESSABLE_ENTITY, "Give your email address.");
        return Ok(show(&app, &visit, status, (false, wrong)));
    }
    let (throttle, now) = (&app.dashboard.throttle, visit.now());
    let counted = format!("forgot {email}");
    if let Some(seconds) = throttle.pause_seconds(&counted, visit.address(), now) {
        let wrong = format!(
            "Too many questions from here. Try again in {}.",
            span(seconds)
        );
        let page = show(&app, &visit, StatusCode::TOO_MANY_REQUESTS, (false, &wrong));
        return Ok(pause_page(page, seconds));
    }
    throttle.failed(&counted, visit.address(), now);
    let address = visit.device().address.clone();
    let queued: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            let to = To::Forgotten {
                email: &email,
                address: &address,
            };
            jobs::enqueue(tx, to, now).await
        })
        .await;
    queued?;
    app.nudge.send();
    Ok(show(&app, &visit, StatusCode::OK, (true, "")))
}
