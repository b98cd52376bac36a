//! Signing in and out, and choosing a password by a link.

use super::second;
use crate::app::App;
use crate::dashboard::accounts::{self, AccountError};
use crate::dashboard::fields::{Fields, next_page};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::passkeys::{Purpose, Question};
use crate::dashboard::role::Role;
use crate::dashboard::staff::{LinkKind, Staff, check_password};
use crate::dashboard::store::{self, Doer};
use crate::dashboard::visit::{Form, SignedIn, Visit, token_hash};
use crate::dashboard::{guard, password};
use crate::error::Result;
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use platform::db::DbError;
use platform::http::Problem;
use platform::secrets::Secret;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    email: &'a str,
    next: &'a str,
    wrong: &'a str,
    done: &'a str,
    /// Nobody has an account yet.
    empty: bool,
    /// Asks for a passkey in place of a password, where browsers offer any.
    passkey: Option<Question>,
}

fn query_of(uri: &axum::http::Uri) -> Fields {
    Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default()
}

/// `GET /dashboard/sign-in`.
pub async fn get(
    State(app): State<App>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let query = query_of(&uri);
    let next = next_page(query.get("next"));
    if visit.may(Role::ReadOnly) {
        return Ok(frame::see_other(next));
    }
    let done = match visit.done() {
        "out" => "You are signed out.",
        "late" => "That took too long: begin again.",
        "over" => "Your session is over, and nothing was saved. Sign in and send the form again.",
        "password" => "Your password is changed. Sign in with it and a code.",
        _ => "",
    };
    let page = SignInPage {
        frame: Frame::new(&visit, "Sign in"),
        email: "",
        next,
        wrong: "",
        done,
        empty: !store::has_staff(&mut app.db.read().await?).await?,
        passkey: app.dashboard.ask_passkey(&visit, Purpose::SignIn, &[]),
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// `POST /dashboard/sign-in`. Whether the account does not exist, has no password, is closed or the password is
/// wrong: the answer is the same and takes as long.
pub async fn sign_in(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    Form(typed): Form,
) -> Result<Response> {
    let (email, now) = (typed.get("email"), visit.now());
    let again = |status, wrong: &str| again(&app, &visit, &typed, status, wrong);
    let throttle = &app.dashboard.throttle;
    let address = visit.address();
    if let Some(seconds) = throttle.pause_seconds(email, address, now) {
        let wrong = format!(
            "Too many wrong passwords from here. Try again in {}.",
            span(seconds)
        );
        let page = again(StatusCode::TOO_MANY_REQUESTS, &wrong);
        return Ok(pause_page(page, seconds));
    }
    let known = store::find_by_email(&mut app.db.read().await?, email).await?;
    let hash = known.as_ref().and_then(|(_, hash)| hash.clone());
    let right = password::verify(Secret::new(password_of(&typed)), hash.clone()).await?;
    let staff = known.map(|(staff, _)| staff);
    let open = staff
        .as_ref()
        .filter(|staff| right && staff.disabled_at.is_none());
    let Some(staff) = open.cloned() else {
        throttle.failed(email, address, now);
        note_failure(&app, &visit, staff);
        let wrong = "Email or password is wrong.";
        return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, wrong));
    };
    throttle.succeeded(email, address);
    if staff.totp_since.is_some() {
        let next = next_page(typed.get("next"));
        let known = (&staff, hash.as_deref().unwrap_or_default());
        return Ok(second::ask(&app, &visit, known, next));
    }
    let token = begin(&app, &visit, &headers, staff).await?;
    let mut response = frame::after_sign_in(&visit, next_page(typed.get("next")));
    guard::begin_session(&mut response, token.expose());
    Ok(response)
}

/// The page as it was sent, and what was wrong with it.
pub fn again(
    app: &App,
    visit: &Visit,
    typed: &Fields,
    status: StatusCode,
    wrong: &str,
) -> Response {
    let page = SignInPage {
        frame: Frame::new(visit, "Sign in"),
        email: typed.get("email"),
        next: next_page(typed.get("next")),
        wrong,
        done: "",
        empty: false,
        passkey: app.dashboard.ask_passkey(visit, Purpose::SignIn, &[]),
    };
    frame::page(status, &page)
}

/// A password longer than any can be is wrong, whatever it begins with.
fn password_of(typed: &Fields) -> String {
    let password = typed.exact("password");
    let fits = password.len() <= crate::dashboard::staff::PASSWORD_BYTES_MAX;
    if fits { password } else { "" }.to_owned()
}

/// A page that says how long to wait, also for programs.
pub fn pause_page(mut page: Response, seconds: u64) -> Response {
    let headers = page.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    page
}

pub fn span(seconds: u64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        more => format!("{} minutes", more.div_ceil(60)),
    }
}

/// Only what happened to an account is noted: unknown emails may be passwords typed into the wrong field. The
/// answer does not wait for it, or its time would tell who has an account.
pub fn note_failure(app: &App, visit: &Visit, staff: Option<Staff>) {
    let Some(staff) = staff else { return };
    let (db, device, now) = (app.db.clone(), visit.device().clone(), visit.now());
    tokio::spawn(async move {
        let noted: std::result::Result<(), DbError> = db
            .write(async move |tx| {
                let doer = Doer {
                    actor: "anonymous",
                    who: "somebody",
                    address: &device.address,
                    now,
                };
                let object = ("staff", staff.id.as_str());
                store::note(tx, doer, "staff.sign_in_refused", object).await
            })
            .await;
        if let Err(error) = noted {
            tracing::error!(%error, "a refused sign-in was not written to the audit log");
        }
    });
}

/// Begins a session; one that the browser brought along ends.
async fn begin(
    app: &App,
    visit: &Visit,
    headers: &HeaderMap,
    staff: Staff,
) -> Result<Secret<String>> {
    let brought = guard::session_hash(headers);
    let (device, now) = (visit.device().clone(), visit.now());
    let begun: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            let place = (brought.as_deref(), &device);
            accounts::sign_in(tx, &staff, "staff.signed_in", place, now).await
        })
        .await;
    Ok(begun?)
}

/// `POST /dashboard/sign-out`.
pub async fn sign_out(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let ended: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            store::end_session(tx, &signed_in.staff.id, &signed_in.session.id).await?;
            let object = ("staff", signed_in.staff.id.as_str());
            store::note(tx, signed_in.doer(), "staff.signed_out", object).await
        })
        .await;
    ended?;
    let mut response = frame::done("/dashboard/sign-in", "out");
    guard::end_session(&mut response);
    Ok(response)
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    frame: Frame,
    token: &'a str,
    email: &'a str,
    wrong: &'a str,
}

fn gone(visit: &Visit) -> Response {
    let detail = "It was used, is too old, or was replaced by another one. Ask for a new one: the owner or an admin of the \
        shop makes it on the page Team, and on the server tradepost users reset-password YOUR@EMAIL prints one.";
    let title = "This link no longer works";
    frame::message(visit, StatusCode::GONE, title, detail)
}

/// Whose link a token is, and its stored form.
async fn link(app: &App, visit: &Visit, token: &str) -> Result<Option<(String, Staff)>> {
    let Some(hash) = token_hash(token) else {
        return Ok(None);
    };
    let found = store::find_link(&mut app.db.read().await?, &hash, visit.now()).await?;
    Ok(match found {
        Some((LinkKind::Invitation | LinkKind::Reset, Some(owner))) => Some((hash, owner)),
        _ => None,
    })
}

/// `GET /dashboard/password`.
pub async fn password(
    State(app): State<App>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let query = query_of(&uri);
    let token = query.get("token");
    let Some((_, owner)) = link(&app, &visit, token).await? else {
        return Ok(gone(&visit));
    };
    let page = PasswordPage {
        frame: Frame::new(&visit, "Choose a password"),
        token,
        email: &owner.email,
        wrong: "",
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// `POST /dashboard/password`.
pub async fn choose_password(
    State(app): State<App>,
    visit: Visit,
    headers: HeaderMap,
    Form(typed): Form,
) -> Result<Response> {
    let token = typed.get("token");
    let Some((hash, owner)) = link(&app, &visit, token).await? else {
        return Ok(gone(&visit));
    };
    let chosen = typed.exact("password");
    if let Err(wrong) = check_password(chosen, &owner.email) {
        let page = PasswordPage {
            frame: Frame::new(&visit, "Choose a password"),
            token,
            email: &owner.email,
            wrong,
        };
        return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let password_hash = password::hash(Secret::new(chosen.to_owned())).await?;
    let (device, now) = (visit.device().clone(), visit.now());
    let brought = guard::session_hash(&headers);
    let begun = app
        .db
        .write(async move |tx| {
            // A session that the browser brought along ends, whoever it was of.
            if let Some(brought) = &brought {
                store::end_session_of(tx, brought).await?;
            }
            let place = (&device, now);
            accounts::choose_password(tx, &hash, &owner, &password_hash, place).await
        })
        .await;
    match begun {
        Ok(None) => Ok(frame::done("/dashboard/sign-in", "password")),
        Ok(Some(token)) => {
            let mut response = frame::see_other("/dashboard");
            guard::begin_session(&mut response, token.expose());
            Ok(response)
        }
        Err(AccountError::Db(error)) => Err(Problem::from(error)),
        Err(_) => Ok(gone(&visit)),
    }
}
