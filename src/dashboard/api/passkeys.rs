//! Passkeys: added and removed by their owner, and asked for at the sign-in.

use super::sign_in::{self, pause_page, span};
use crate::app::App;
use crate::dashboard::fields::next_page;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::passkeys::authenticator::{Assertion, Use};
use crate::dashboard::passkeys::{
    self, Challenge, PASSKEYS_MAX, Passkey, Purpose, Question, parse_name, parse_transports,
};
use crate::dashboard::staff::Staff;
use crate::dashboard::visit::{Form, SignedIn, Visit};
use crate::dashboard::{accounts, guard, store};
use crate::error::{Result, not_found};
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use platform::db::DbError;
use platform::http::{Path, Problem, codes};
use platform::secrets::Secret;

#[derive(Template)]
#[template(path = "passkey.html")]
struct NewPage<'a> {
    frame: Frame,
    question: Question,
    name: &'a str,
    wrong: &'a str,
}

/// Asks the browser to make a passkey.
async fn ask(app: &App, signed_in: &SignedIn, name: &str, wrong: &str) -> Result<Response> {
    let mut tx = app.db.read().await?;
    let known = passkeys::store::list(&mut tx, &signed_in.staff.id).await?;
    drop(tx);
    if known.len() as i64 >= PASSKEYS_MAX {
        let detail = "An account has at most 20 passkeys: remove one that is not used any more";
        return Err(Problem::new(&codes::CONFLICT, detail));
    }
    let visit = &signed_in.visit;
    let question = app
        .dashboard
        .ask_new_passkey(visit, &signed_in.staff, &known);
    let page = NewPage {
        frame: Frame::new(visit, "Add a passkey"),
        question: question.ok_or_else(no_site)?,
        name,
        wrong,
    };
    let status = match wrong {
        "" => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(frame::page(status, &page))
}

fn no_site() -> Problem {
    let detail =
        "Browsers offer passkeys to sites with a name and HTTPS: set --public-url https://…";
    Problem::new(&codes::CONFLICT, detail)
}

/// `POST /dashboard/security/passkeys/new`.
pub async fn begin(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let name = super::security::device(&signed_in.visit.device().user_agent);
    ask(&app, &signed_in, &name, "").await
}

/// `POST /dashboard/security/passkeys`. That it is them was shown when the question was asked, which is in the ticket:
/// to ask again would cost the passkey that was just made.
pub async fn add(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let (visit, name) = (&signed_in.visit, typed.get("name"));
    let Some(challenge) = app.dashboard.challenge(visit, Purpose::Register, &typed) else {
        return Ok(frame::done("/dashboard/security", "late"));
    };
    let parsed = match parse_name(name) {
        Ok(parsed) => parsed,
        Err(wrong) => return ask(&app, &signed_in, name, wrong).await,
    };
    let new = match challenge.register(&typed) {
        Ok(new) => new,
        Err(refused) => {
            tracing::info!(staff = %signed_in.staff.id, %refused, "a new passkey was not taken");
            let wrong =
                "Your browser's answer could not be read, or is not of this site. Try again.";
            return ask(&app, &signed_in, name, wrong).await;
        }
    };
    let transports = parse_transports(typed.get("passkey_transports"));
    let (now, doer) = (visit.now(), signed_in.clone());
    let added: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            if !passkeys::store::use_challenge(tx, &challenge, now).await? {
                return Ok(false);
            }
            let id = &doer.staff.id;
            let text = (parsed.as_str(), transports.as_str());
            let added = passkeys::store::insert(tx, id, text, &new, now).await?;
            if added {
                let object = ("staff", id.as_str());
                store::note(tx, doer.doer(), "staff.passkey_added", object).await?;
            }
            Ok(added)
        })
        .await;
    match added {
        Ok(true) => Ok(frame::done("/dashboard/security", "passkey")),
        Ok(false) => Ok(frame::done("/dashboard/security", "late")),
        Err(error) if error.is_unique("staff_passkeys_credential_id") => {
            let wrong = "This passkey is known here already.";
            ask(&app, &signed_in, name, wrong).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /dashboard/security/passkeys/{id}/remove`.
pub async fn remove(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    let passkey = id.clone();
    let removed: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            let staff = &signed_in.staff.id;
            let removed = passkeys::store::remove(tx, staff, &passkey).await?;
            if removed {
                let object = ("staff", staff.as_str());
                store::note(tx, signed_in.doer(), "staff.passkey_removed", object).await?;
            }
            Ok(removed)
        })
        .await;
    match removed? {
        true => Ok(frame::done("/dashboard/security", "removed")),
        false => Err(not_found("passkey", &id)),
    }
}

/// `POST /dashboard/sign-in/passkey`. The authenticator found out who is there: neither a password nor a code is asked
/// for.
pub async fn sign_in(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    Form(typed): Form,
) -> Result<Response> {
    let Some(challenge) = app.dashboard.challenge(&visit, Purpose::SignIn, &typed) else {
        return Ok(frame::done("/dashboard/sign-in", "late"));
    };
    let refuse = |wrong: &str| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        sign_in::again(&app, &visit, &typed, status, wrong)
    };
    let Some(given) = passkeys::assertion(&typed) else {
        return Ok(refuse(
            "Your browser's answer could not be read. Try again.",
        ));
    };
    let Some((staff, passkey)) = holder(&app, &given).await? else {
        return Ok(refuse("Nobody here has this passkey. Was it removed?"));
    };
    let (throttle, now) = (&app.dashboard.throttle, visit.now());
    if let Some(seconds) = throttle.pause_seconds(&staff.email, visit.address(), now) {
        let wrong = format!(
            "Too many failures from here. Try again in {}.",
            span(seconds)
        );
        let page = sign_in::again(&app, &visit, &typed, StatusCode::TOO_MANY_REQUESTS, &wrong);
        return Ok(pause_page(page, seconds));
    }
    let seen = match challenge.authenticate(&passkey, &given) {
        Ok(seen) => seen,
        Err(refused) => {
            tracing::info!(staff = %staff.id, %refused, "a passkey was refused");
            throttle.failed(&staff.email, visit.address(), now);
            sign_in::note_failure(&app, &visit, Some(staff));
            return Ok(refuse("This passkey was refused. Try again."));
        }
    };
    throttle.succeeded(&staff.email, visit.address());
    let used = Used {
        staff,
        passkey: passkey.id,
        challenge,
        seen,
    };
    let Some(token) = begin_session(&app, &visit, &headers, used).await? else {
        return Ok(refuse("This answer was used already. Try again."));
    };
    let mut response = frame::after_sign_in(&visit, next_page(typed.get("next")));
    guard::begin_session(&mut response, token.expose());
    Ok(response)
}

/// Whose passkey an answer names, unless their account is closed.
async fn holder(app: &App, given: &Assertion) -> Result<Option<(Staff, Passkey)>> {
    let mut tx = app.db.read().await?;
    let Some(passkey) = passkeys::store::find(&mut tx, &given.credential_id).await? else {
        return Ok(None);
    };
    let staff = store::find_open(&mut tx, passkey.staff_id.as_str()).await?;
    Ok(staff.map(|staff| (staff, passkey)))
}

/// A passkey that answered.
struct Used {
    staff: Staff,
    passkey: String,
    challenge: Challenge,
    seen: Use,
}

/// Uses the answer up and begins a session in one transaction; `None` when it was used before.
async fn begin_session(
    app: &App,
    visit: &Visit,
    headers: &HeaderMap,
    used: Used,
) -> Result<Option<Secret<String>>> {
    let brought = guard::session_hash(headers);
    let (device, now) = (visit.device().clone(), visit.now());
    let begun: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            let staff = &used.staff;
            let answer = (&used.challenge, used.passkey.as_str(), used.seen);
            if !passkeys::store::use_answer(tx, answer, now).await? {
                return Ok(None);
            }
            let (deed, place) = ("staff.signed_in_by_passkey", (brought.as_deref(), &device));
            let token = accounts::sign_in(tx, staff, deed, place, now).await?;
            Ok(Some(token))
        })
        .await;
    Ok(begun?)
}
