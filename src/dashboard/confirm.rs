//! Before what matters most the password (and a code, where codes are on) or a passkey is asked for once more. The question
//! carries the form that it interrupts, so that nothing typed is lost. The password needs no JavaScript.

use super::api::sign_in::pause_page;
use super::fields::Fields;
use super::frame::{self, Frame};
use super::passkeys::authenticator::Assertion;
use super::passkeys::{self, Purpose, Question};
use super::second::{Code, use_code};
use super::staff::{PASSWORD_BYTES_MAX, Session, Staff};
use super::visit::{Visit, new_token, token_hash};
use super::{guard, password, store};
use crate::app::App;
use crate::error::Result;
use askama::Template;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::secrets::Secret;
use std::sync::Arc;
use std::time::Duration;

/// The field in which the password is given.
const FIELD: &str = "confirm_password";
/// The field in which a code is given.
const CODE_FIELD: &str = "confirm_code";
const WRONG: &str = "The password is wrong.";
const REFUSED: &str = "The passkey was refused: try again, or give the password.";
const WRONG_CODE: &str = "This code is wrong, or was used already: wait for the next one.";

/// The fields in which the question is answered.
pub fn fields() -> impl Iterator<Item = &'static str> {
    [FIELD, CODE_FIELD].into_iter().chain(passkeys::FIELDS)
}

/// What became of the question.
pub enum Confirmed {
    /// It was shown lately.
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
    /// It is right, and the code that goes with it is not.
    WrongCode,
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

/// Looks at the code that goes with the password, if codes are on, and uses it up.
async fn own_code(app: &App, visit: &Visit, staff: &Staff, typed: &str) -> Result<Own> {
    if staff.totp_since.is_none() {
        return Ok(Own::Right);
    }
    let (throttle, now) = (&app.dashboard.throttle, visit.now());
    let pause = throttle.code_pause_seconds(&staff.email, now);
    let (seal, owner, typed) = (
        Arc::clone(&app.dashboard.seal),
        staff.clone(),
        typed.to_owned(),
    );
    let device = visit.device().clone();
    let used: std::result::Result<Code, DbError> = app
        .db
        .write(async move |tx| {
            let code = use_code(tx, &seal, &owner, (&typed, pause.is_some()), now).await?;
            let deed = match code {
                Code::Wrong => "staff.code_refused",
                Code::Recovery(_) => "staff.recovery_code_used",
                Code::Right => return Ok(code),
            };
            let object = ("staff", owner.id.as_str());
            store::note(tx, owner.doer(&device, now), deed, object).await?;
            Ok(code)
        })
        .await;
    Ok(match (used?, pause) {
        (Code::Right | Code::Recovery(_), _) => {
            throttle.code_succeeded(&staff.email);
            Own::Right
        }
        (Code::Wrong, Some(seconds)) => Own::Paused(seconds),
        (Code::Wrong, None) => {
            throttle.code_failed(&staff.email, now);
            Own::WrongCode
        }
    })
}

/// Looks at a passkey of somebody who is signed in, and uses its answer up.
async fn own_passkey(
    app: &App,
    visit: &Visit,
    staff: &Staff,
    (fields, given): (&Fields, &Assertion),
) -> Result<Own> {
    let known = passkeys::store::find(&mut app.db.read().await?, &given.credential_id).await?;
    let own = known.filter(|known| known.staff_id == staff.id);
    let challenge = app.dashboard.challenge(visit, Purpose::Confirm, fields);
    let (Some(own), Some(challenge)) = (own, challenge) else {
        return Ok(Own::Wrong);
    };
    let seen = match challenge.authenticate(&own, given) {
        Ok(seen) => seen,
        Err(refused) => {
            tracing::info!(staff = %staff.id, %refused, "a passkey was refused");
            return Ok(Own::Wrong);
        }
    };
    let now = visit.now();
    let used: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            let answer = (&challenge, own.id.as_str(), seen);
            passkeys::store::use_answer(tx, answer, now).await
        })
        .await;
    Ok(if used? { Own::Right } else { Own::Wrong })
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    /// Where the form was going.
    action: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    wrong: &'a str,
    /// Whether it is the code that is wrong.
    is_of_code: bool,
    /// Whether a code is asked for too.
    codes: bool,
    /// Asks for a passkey in place of both, if they have one.
    passkey: Option<Question>,
}

async fn ask(
    app: &App,
    visit: &Visit,
    fields: &Fields,
    (status, wrong): (StatusCode, &str),
) -> Result<Confirmed> {
    let known = match visit.staff() {
        Some(staff) => passkeys::store::list(&mut app.db.read().await?, &staff.id).await?,
        None => Vec::new(),
    };
    let question = app.dashboard.ask_passkey(visit, Purpose::Confirm, &known);
    let own: Vec<&str> = self::fields().chain(["form"]).collect();
    let page = ConfirmPage {
        frame: Frame::new(visit, "Confirm it is you"),
        action: visit.path(),
        fields: fields.without(&own).collect(),
        wrong,
        is_of_code: wrong == WRONG_CODE,
        codes: visit
            .staff()
            .is_some_and(|staff| staff.totp_since.is_some()),
        passkey: question.filter(|_| !known.is_empty()),
    };
    Ok(Confirmed::Asked(frame::page(status, &page)))
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
    let assertion = passkeys::assertion(fields);
    let wrong = if assertion.is_some() { REFUSED } else { WRONG };
    let answered = match assertion {
        Some(given) => own_passkey(app, visit, staff, (fields, &given)).await?,
        None if given.is_empty() => {
            return ask(app, visit, fields, (StatusCode::FORBIDDEN, "")).await;
        }
        None => match own_password(app, visit, staff, given).await? {
            Own::Right => own_code(app, visit, staff, fields.get(CODE_FIELD)).await?,
            other => other,
        },
    };
    let refuse = StatusCode::UNPROCESSABLE_ENTITY;
    match answered {
        Own::Right => {}
        Own::Wrong => return ask(app, visit, fields, (refuse, wrong)).await,
        Own::WrongCode => return ask(app, visit, fields, (refuse, WRONG_CODE)).await,
        Own::Paused(seconds) => {
            let wrong = "Too many wrong answers: try again in a while.";
            let asked = ask(app, visit, fields, (StatusCode::TOO_MANY_REQUESTS, wrong)).await?;
            return Ok(match asked {
                Confirmed::Asked(page) => Confirmed::Asked(pause_page(page, seconds)),
                other => other,
            });
        }
    }
    go_on(app, visit, (staff, session)).await
}

/// The session goes on under another token: whoever learned the old one is out.
async fn go_on(
    app: &App,
    visit: &Visit,
    (staff, session): (&Staff, &Session),
) -> Result<Confirmed> {
    let (token, now) = (new_token(), visit.now());
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
    Ok(Confirmed::Now(visit.proved(), cookie))
}
