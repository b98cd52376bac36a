//! Before what matters most the password is asked for once more. The question carries the form that it interrupts, so
//! that nothing typed is lost and no JavaScript is needed.

use super::fields::Fields;
use super::frame::{self, Frame};
use super::staff::{PASSWORD_BYTES_MAX, Session, Staff};
use super::visit::{Visit, new_token, token_hash};
use super::{guard, password, store};
use crate::app::App;
use crate::error::Result;
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::secrets::Secret;
use std::time::Duration;

/// The field in which the password is given.
const FIELD: &str = "confirm_password";

/// What became of the question.
pub enum Confirmed {
    /// The password was given lately.
    Already,
    /// It came with the form; the session goes on under another token.
    Now(Visit, HeaderValue),
    /// It is asked for.
    Asked(Response),
}

/// What somebody's own password turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    Right,
    Wrong,
    /// It was not looked at: so many seconds are to pass first.
    Paused(u64),
}

/// Looks at the password of somebody who is signed in, as slowly as at the sign-in.
pub async fn own_password(app: &App, visit: &Visit, staff: &Staff, given: &str) -> Result<Own> {
    let (throttle, now) = (&app.dashboard.throttle, visit.now());
    if let Some(seconds) = throttle.pause_seconds(&staff.email, visit.address(), now) {
        return Ok(Own::Paused(seconds));
    }
    let known = store::find_by_email(&mut app.db.read().await?, &staff.email).await?;
    let hash = known.and_then(|(_, hash)| hash);
    let given = if given.len() <= PASSWORD_BYTES_MAX {
        given
    } else {
        ""
    };
    match password::verify(Secret::new(given.to_owned()), hash).await? {
        true => {
            throttle.succeeded(&staff.email, visit.address());
            Ok(Own::Right)
        }
        false => {
            throttle.failed(&staff.email, visit.address(), now);
            Ok(Own::Wrong)
        }
    }
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    /// Where the form was going.
    action: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    wrong: &'a str,
}

fn ask(visit: &Visit, fields: &Fields, status: StatusCode, wrong: &str) -> Confirmed {
    let page = ConfirmPage {
        frame: Frame::new(visit, "Confirm that it is you"),
        action: visit.path(),
        fields: fields.without(&["form", FIELD]).collect(),
        wrong,
    };
    Confirmed::Asked(frame::page(status, &page))
}

/// How long a session can still last.
pub fn left(session: &Session, now: Timestamp) -> Duration {
    let left = session.expires_at.micros() - now.micros();
    Duration::from_micros(u64::try_from(left).unwrap_or_default())
}

/// Whether a form of somebody who is signed in may do what it says, or what to answer instead.
pub async fn confirm(app: &App, visit: &Visit, fields: &Fields) -> Result<Confirmed> {
    let (Some(staff), Some(session)) = (visit.staff(), visit.session()) else {
        return Ok(Confirmed::Asked(frame::see_other("/dashboard/sign-in")));
    };
    let now = visit.now();
    if session.is_fresh(now) {
        return Ok(Confirmed::Already);
    }
    let given = fields.exact(FIELD);
    if given.is_empty() {
        return Ok(ask(visit, fields, StatusCode::FORBIDDEN, ""));
    }
    match own_password(app, visit, staff, given).await? {
        Own::Right => {}
        Own::Wrong => {
            let wrong = "Your password is another one.";
            return Ok(ask(visit, fields, StatusCode::UNPROCESSABLE_ENTITY, wrong));
        }
        Own::Paused(seconds) => {
            let wrong = "Too many wrong passwords: try again in a while.";
            let mut asked = ask(visit, fields, StatusCode::TOO_MANY_REQUESTS, wrong);
            if let Confirmed::Asked(response) = &mut asked {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            return Ok(asked);
        }
    }
    let token = new_token();
    let hash = token_hash(&token).unwrap_or_default();
    let (id, staff, device) = (session.id.clone(), staff.clone(), visit.device().clone());
    let proved: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            let object = ("staff", staff.id.as_str());
            let doer = staff.doer(&device, now);
            store::note(tx, doer, "staff.confirmed", object).await?;
            store::prove_session(tx, &id, &hash, now).await
        })
        .await;
    if !proved? {
        return Ok(Confirmed::Asked(frame::see_other("/dashboard/sign-in")));
    }
    let cookie = guard::session_cookie(&token, left(session, now));
    Ok(Confirmed::Now(visit.proved(Secret::new(token)), cookie))
}
