//! Two-factor authentication: asked for after the password, set up and turned off.

use super::sign_in::{pause_page, span};
use crate::app::App;
use crate::dashboard::fields::next_page;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::guard;
use crate::dashboard::qr::Qr;
use crate::dashboard::second::{self, Code, Holder, new_recovery_codes, use_code};
use crate::dashboard::staff::Staff;
use crate::dashboard::visit::{Form, SignedIn, Visit};
use crate::dashboard::{accounts, store, totp};
use crate::error::Result;
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use platform::db::DbError;
use platform::http::{Problem, codes};
use platform::secrets::Secret;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "second.html")]
struct CodePage<'a> {
    frame: Frame,
    ticket: &'a str,
    next: &'a str,
    wrong: &'a str,
}

/// The page that asks for the code of somebody whose password was right.
pub fn ask(
    app: &App,
    visit: &Visit,
    (staff, password_hash): (&Staff, &str),
    next: &str,
) -> Response {
    let page = CodePage {
        frame: Frame::new(visit, "Two-factor code"),
        ticket: &app.dashboard.ticket(visit, staff, password_hash),
        next,
        wrong: "",
    };
    frame::page(StatusCode::OK, &page)
}

/// `POST /dashboard/sign-in/code`.
pub async fn sign_in(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    Form(typed): Form,
) -> Result<Response> {
    let ticket = typed.get("ticket");
    let Some(holder) = app.dashboard.holder(&visit, ticket) else {
        return Ok(frame::done("/dashboard/sign-in", "late"));
    };
    let Some(staff) = open_account(&app, &holder).await? else {
        return Ok(frame::see_other("/dashboard/sign-in"));
    };
    let (throttle, now) = (&app.dashboard.throttle, visit.now());
    let pause = throttle.code_pause_seconds(&staff.email, now);
    let tried = Attempt {
        staff: staff.clone(),
        typed: typed.get("code").to_owned(),
        paused: pause.is_some(),
    };
    let begun = begin_session(&app, &visit, &headers, tried).await?;
    let Some(token) = begun else {
        let again = |status, wrong: &str| {
            let page = CodePage {
                frame: Frame::new(&visit, "Two-factor code"),
                ticket,
                next: next_page(typed.get("next")),
                wrong,
            };
            frame::page(status, &page)
        };
        if let Some(seconds) = pause {
            let wrong = format!("Too many wrong codes. Try again in {}.", span(seconds));
            let page = again(StatusCode::TOO_MANY_REQUESTS, &wrong);
            return Ok(pause_page(page, seconds));
        }
        throttle.code_failed(&staff.email, now);
        let wrong = "This code is wrong, or was used already: wait for the next one.";
        return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, wrong));
    };
    throttle.code_succeeded(&staff.email);
    let mut response = frame::after_sign_in(&visit, next_page(typed.get("next")));
    guard::begin_session(&mut response, token.expose());
    Ok(response)
}

/// The account of who gave its password, unless it was closed or has another one since.
async fn open_account(app: &App, holder: &Holder) -> Result<Option<Staff>> {
    let mut tx = app.db.read().await?;
    let Some(staff) = store::find_open(&mut tx, &holder.id).await? else {
        return Ok(None);
    };
    let known = store::find_by_email(&mut tx, &staff.email).await?;
    let hash = known.and_then(|(_, hash)| hash);
    Ok(hash
        .is_some_and(|hash| holder.knows(&hash))
        .then_some(staff))
}

struct Attempt {
    staff: Staff,
    typed: String,
    paused: bool,
}

/// Uses the code up and begins a session in one transaction; `None` when the code is not right.
async fn begin_session(
    app: &App,
    visit: &Visit,
    headers: &HeaderMap,
    tried: Attempt,
) -> Result<Option<Secret<String>>> {
    let brought = guard::session_hash(headers);
    let (device, now) = (visit.device().clone(), visit.now());
    let seal = Arc::clone(&app.dashboard.seal);
    let begun: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            let staff = &tried.staff;
            let (doer, object) = (staff.doer(&device, now), ("staff", staff.id.as_str()));
            let given = (tried.typed.as_str(), tried.paused);
            match use_code(tx, &seal, staff, given, now).await? {
                Code::Wrong if tried.paused => return Ok(None),
                Code::Wrong => {
                    store::note(tx, doer, "staff.code_refused", object).await?;
                    return Ok(None);
                }
                Code::Recovery(_) => {
                    store::note(tx, doer, "staff.recovery_code_used", object).await?;
                }
                Code::Right => {}
            }
            let place = (brought.as_deref(), &device);
            let token = accounts::sign_in(tx, staff, "staff.signed_in", place, now).await?;
            Ok(Some(token))
        })
        .await;
    Ok(begun?)
}

#[derive(Template)]
#[template(path = "totp.html")]
struct KeyPage<'a> {
    frame: Frame,
    qr: Option<Qr>,
    key: String,
    sealed: &'a str,
    wrong: &'a str,
}

fn key_page(signed_in: &SignedIn, (key, sealed): (&[u8], &str), wrong: &str) -> Response {
    let letters = totp::base32(key);
    let groups: Vec<&str> = (0..letters.len())
        .step_by(4)
        .map(|at| &letters[at..letters.len().min(at + 4)])
        .collect();
    let address = totp::address(key, &signed_in.shop.name, &signed_in.staff.email);
    let page = KeyPage {
        frame: Frame::new(&signed_in.visit, "Two-factor authentication"),
        qr: Qr::new(&address),
        key: groups.join(" "),
        sealed,
        wrong,
    };
    let status = match wrong {
        "" => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    frame::page(status, &page)
}

/// `POST /dashboard/security/totp`. The key is shown here alone; until a code shows that it arrived it is stored
/// nowhere.
pub async fn begin(State(app): State<App>, signed_in: SignedIn) -> Response {
    let key = totp::new_key();
    let sealed = app.dashboard.seal_key(&signed_in.staff.id, &key);
    key_page(&signed_in, (&key, &sealed), "")
}

#[derive(Template)]
#[template(path = "recovery.html")]
struct RecoveryPage {
    frame: Frame,
    codes: Vec<String>,
}

/// `POST /dashboard/security/totp/confirm`. Whoever is signed in elsewhere did so without a code: they are out.
pub async fn turn_on(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let id = signed_in.staff.id.clone();
    let sealed = typed.get("key").to_owned();
    let Some(key) = app.dashboard.open_key(&id, &sealed) else {
        return Ok(frame::see_other("/dashboard/security"));
    };
    let (now, visit) = (signed_in.visit.now(), signed_in.visit.clone());
    let seal = app.dashboard.seal.clone();
    let Some(step) = totp::step_of(&key, typed.get("code"), 0, now) else {
        let wrong = "This is not the code of this key. Is it the one that you scanned last, and is the clock of your phone right?";
        return Ok(key_page(&signed_in, (&key, &sealed), wrong));
    };
    let made: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            // A form of its own each, and yet the same key: it was turned on already, and its recovery codes were shown.
            if second::is_on_with(tx, &seal, &id, &key).await? {
                return Ok(None);
            }
            let stored = Some((sealed.as_str(), step));
            second::store::set_totp(tx, &id, stored, now).await?;
            store::end_sessions(tx, &id, Some(&signed_in.session.id)).await?;
            let object = ("staff", id.as_str());
            store::note(tx, signed_in.doer(), "staff.codes_turned_on", object).await?;
            Ok(Some(new_recovery_codes(tx, &id).await?))
        })
        .await;
    let Some(codes) = made? else {
        return Ok(frame::see_other("/dashboard/security"));
    };
    let page = RecoveryPage {
        frame: Frame::new(&visit, "Two-factor authentication is on"),
        codes,
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// `POST /dashboard/security/totp/off`.
pub async fn turn_off(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let now = signed_in.visit.now();
    let done: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            let id = &signed_in.staff.id;
            second::turn_off(tx, id, now).await?;
            let object = ("staff", id.as_str());
            store::note(tx, signed_in.doer(), "staff.codes_turned_off", object).await
        })
        .await;
    done?;
    Ok(frame::done("/dashboard/security", "off"))
}

/// `POST /dashboard/security/recovery`.
pub async fn renew(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    if signed_in.staff.totp_since.is_none() {
        let detail = "recovery codes belong to two-factor authentication: set it up first";
        return Err(Problem::new(&codes::CONFLICT, detail));
    }
    let visit = signed_in.visit.clone();
    let made: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            let id = &signed_in.staff.id;
            let object = ("staff", id.as_str());
            store::note(tx, signed_in.doer(), "staff.recovery_codes_made", object).await?;
            new_recovery_codes(tx, id).await
        })
        .await;
    let page = RecoveryPage {
        frame: Frame::new(&visit, "New recovery codes"),
        codes: made?,
    };
    Ok(frame::page(StatusCode::OK, &page))
}
