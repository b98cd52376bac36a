//! What stands before every page: who looks, whether they may, whether a form comes from us; and what every
//! answer carries.

use super::confirm::{self, Confirmed};
use super::fields::{Fields, encode, next_page};
use super::frame;
use super::multipart;
use super::routes::{Needs, Route};
use super::show::sentence;
use super::staff::{SESSION_MAX, USE_GRAIN};
use super::store::{self, Device};
use super::visit::{
    Asked, DONE_COOKIE, FORM_COOKIE, Form, SESSION_COOKIE, Visit, new_token, token_hash,
};
use crate::app::App;
use crate::error::Result;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http_body_util::BodyExt;
use platform::clock::Timestamp;
use platform::db::DbError;
use platform::http::{Answered, ClientAddress, Problem, codes, read_body};
use platform::secrets::{Secret, sha256_hex};
use serde_json::Value;
use std::time::Duration;

/// Nothing inline, nothing from elsewhere, in nobody's frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Largest body of a problem that is read to show it on a page.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

/// How long a page is waited for that tells what was done.
const DONE_SECONDS: u64 = 60;

#[derive(Clone)]
struct Gate {
    app: App,
    needs: Needs,
    once: bool,
    route: &'static str,
}

/// The handler of a page behind its guard.
pub fn guarded(app: &App, route: &Route) -> MethodRouter<App> {
    let gate = Gate {
        app: app.clone(),
        needs: route.needs,
        once: route.once,
        route: route.path,
    };
    route
        .handler
        .clone()
        .route_layer(from_fn_with_state(gate, pass))
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut response = match gate.needs {
        Needs::Nothing => next.run(request).await,
        Needs::Nobody | Needs::Role(_) | Needs::Fresh(_) => visited(&gate, request, next).await,
    };
    finish(&gate.app, gate.needs, response.headers_mut());
    response.extensions_mut().insert(Answered {
        route: gate.route,
        client: None,
    });
    response
}

/// The answer to somebody who looks.
async fn visited(gate: &Gate, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match visit_of(&gate.app, &parts).await {
        Ok((mut visit, mut cookie)) => {
            let entered = enter(gate, (&mut visit, &mut cookie), (parts, body), next).await;
            let mut response = match entered {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            };
            if is_problem(&response) {
                response = page_of_problem(&visit, response).await;
            }
            // A session that the handler began or ended goes before.
            if let (Some(cookie), false) = (cookie, sets_session(&response)) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            if !visit.done().is_empty() && response.status() == StatusCode::OK {
                let told = set_cookie(DONE_COOKIE, "", Some(0));
                response.headers_mut().append(header::SET_COOKIE, told);
            }
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who looks; and the cookie that a browser without one is to keep.
async fn visit_of(app: &App, request: &Parts) -> Result<(Visit, Option<HeaderValue>)> {
    let now = app.clock.now();
    let headers = &request.headers;
    let address = request.extensions.get::<ClientAddress>();
    let device = Device {
        user_agent: text(headers, header::USER_AGENT).to_owned(),
        address: address.map_or_else(String::new, |client| client.0.to_canonical().to_string()),
    };
    let asked = asked(request, now);
    let mut tx = app.db.read().await?;
    let shop = store::shop(&mut tx).await?;
    let token = cookie(headers, SESSION_COOKIE);
    if let Some(hash) = token.and_then(token_hash)
        && let Some((staff, session)) = store::find_session(&mut tx, &hash).await?
        && !session.is_over(now)
    {
        if session.last_used_at + USE_GRAIN <= now {
            let id = session.id.clone();
            app.db
                .write(async move |tx| store::touch_session(tx, &id, now).await)
                .await?;
        }
        let key = Secret::new(token.unwrap_or_default().to_owned());
        let visit = Visit::new(Some((staff, session)), shop, key, device, asked);
        return Ok((visit, None));
    }
    let known = cookie(headers, FORM_COOKIE).filter(|token| token_hash(token).is_some());
    let (key, fresh) = match known {
        Some(token) => (token.to_owned(), None),
        None => {
            let token = new_token();
            let cookie = set_cookie(FORM_COOKIE, &token, None);
            (token, Some(cookie))
        }
    };
    let visit = Visit::new(None, shop, Secret::new(key), device, asked);
    Ok((visit, fresh))
}

fn asked(request: &Parts, now: Timestamp) -> Asked {
    let headers = &request.headers;
    let place = request.uri.path_and_query();
    let place = place.map_or("/dashboard", |place| place.as_str());
    let done = cookie(headers, DONE_COOKIE).and_then(|done| done.split_once(':'));
    let done = done.filter(|(_, told_at)| *told_at == request.uri.path());
    let from = text(headers, header::REFERER).split_once("://");
    let from = from.and_then(|(_, rest)| rest.strip_prefix(text(headers, header::HOST)));
    let here = |back: &str| request.method == Method::GET && back == place;
    let back = from.filter(|back| next_page(back) == *back && !here(back));
    Asked {
        back: back.unwrap_or_default().to_owned(),
        done: done.map_or("", |(what, _)| what).to_owned(),
        ..Asked::new(place, now)
    }
}

/// The handler's answer, if the visitor may have it.
async fn enter(
    gate: &Gate,
    (visit, cookie): (&mut Visit, &mut Option<HeaderValue>),
    (mut parts, mut body): (Parts, Body),
    next: Next,
) -> Result<Response> {
    if let Some(least) = gate.needs.role() {
        let Some(staff) = visit.staff() else {
            return to_sign_in(gate, visit, &parts.method).await;
        };
        if !staff.role.covers(least) {
            let detail = format!(
                "Your role is {}; this page is for: {}.",
                staff.role.shown(),
                least.and_above().join(", ")
            );
            return Ok(frame::message(
                visit,
                StatusCode::FORBIDDEN,
                "Not allowed",
                &detail,
            ));
        }
    }
    if parts.method == Method::POST {
        let fields = form(&parts.headers, std::mem::take(&mut body)).await?;
        if !comes_from_us(&parts.headers) || !visit.knows(fields.exact("form")) {
            let detail = "It did not come from a page of this browser, or that page is from before you signed in or out. \
                It was not taken: open the page anew if something is left to do.";
            return Ok(frame::message(
                visit,
                StatusCode::FORBIDDEN,
                "This form is out of date",
                detail,
            ));
        }
        if matches!(gate.needs, Needs::Fresh(_)) {
            match confirm::confirm(&gate.app, visit, &fields).await? {
                Confirmed::Already => {}
                Confirmed::Now(proved, session) => (*visit, *cookie) = (proved, Some(session)),
                Confirmed::Asked(response) => return Ok(response),
            }
        }
        if gate.once && !is_first(gate, visit.now(), fields.exact("form")).await? {
            let detail = "This form was sent before, and what it asked for was done then. It was not done again: go back to send a new one.";
            let status = StatusCode::CONFLICT;
            return Ok(frame::message(visit, status, "Already sent", detail));
        }
        parts.extensions.insert(Form(fields));
    }
    parts.extensions.insert(visit.clone());
    let request = Request::from_parts(parts, body);
    Ok(next.run(request).await)
}

/// Whether a form with this token was never taken before. Tokens are new on each page.
async fn is_first(gate: &Gate, now: Timestamp, token: &str) -> Result<bool> {
    let hash = sha256_hex(token.as_bytes());
    let (db, until) = (&gate.app.db, now + SESSION_MAX);
    let first: std::result::Result<bool, DbError> = db
        .write(async move |tx| store::use_once(tx, &hash, until, now).await)
        .await;
    Ok(first?)
}

async fn to_sign_in(gate: &Gate, visit: &Visit, method: &Method) -> Result<Response> {
    if !store::has_staff(&mut gate.app.db.read().await?).await? {
        return Ok(frame::see_other("/dashboard/sign-in"));
    }
    Ok(match *method {
        Method::GET | Method::HEAD if visit.path() != "/dashboard" => {
            frame::see_other(&format!("/dashboard/sign-in?next={}", encode(visit.path())))
        }
        Method::GET | Method::HEAD => frame::see_other("/dashboard/sign-in"),
        // A form of who was signed in when its page was shown: back to that page, where it can be sent again.
        _ => {
            let next = match visit.back() {
                "" => String::new(),
                back => format!("?next={}", encode(back)),
            };
            let mut response = frame::see_other(&format!("/dashboard/sign-in{next}"));
            tell_done(&mut response, "over", "/dashboard/sign-in");
            response
        }
    })
}

async fn form(headers: &HeaderMap, body: Body) -> Result<Fields> {
    let kind = text(headers, header::CONTENT_TYPE);
    let whole = kind;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("multipart/form-data") {
        let bytes = read_body(headers, body).await?;
        let read = multipart::parse(whole, &bytes);
        return read.map_err(|fault| Problem::new(&codes::INVALID_BODY, fault.to_string()));
    }
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::new(
            &codes::UNSUPPORTED_MEDIA_TYPE,
            "a body of application/x-www-form-urlencoded or multipart/form-data is expected",
        ));
    }
    let bytes = read_body(headers, body).await?;
    let fields = std::str::from_utf8(&bytes).ok().and_then(Fields::parse);
    fields.ok_or_else(|| Problem::new(&codes::INVALID_BODY, "this is not a form of the dashboard"))
}

/// What browsers say of the page that sent a form. Each of them says one of the two.
fn comes_from_us(headers: &HeaderMap) -> bool {
    if headers.contains_key("sec-fetch-site") {
        return text(headers, HeaderName::from_static("sec-fetch-site")) == "same-origin";
    }
    let origin = text(headers, header::ORIGIN);
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority == text(headers, header::HOST))
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// The value of a cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// `Set-Cookie` for a token that lives `seconds`, or as long as the browser is open.
fn set_cookie(name: &str, token: &str, seconds: Option<u64>) -> HeaderValue {
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = format!("{name}={token}; Path=/; Secure; HttpOnly; SameSite=Lax{age}");
    HeaderValue::from_str(&text).expect("letters, digits and punctuation")
}

/// What is stored of the session that a request brings along.
pub fn session_hash(headers: &HeaderMap) -> Option<String> {
    cookie(headers, SESSION_COOKIE).and_then(token_hash)
}

/// The cookie of a session that ends at a time that was set when it began.
pub fn session_cookie(token: &str, left: Duration) -> HeaderValue {
    set_cookie(SESSION_COOKIE, token, Some(left.as_secs()))
}

/// Lets the browser keep a session, and forget what stood in for it.
pub fn begin_session(response: &mut Response, token: &str) {
    let headers = response.headers_mut();
    let session = set_cookie(SESSION_COOKIE, token, Some(SESSION_MAX.as_secs()));
    headers.append(header::SET_COOKIE, session);
    headers.append(header::SET_COOKIE, set_cookie(FORM_COOKIE, "", Some(0)));
}

/// Lets the page at `place` tell once that `what` is done.
pub fn tell_done(response: &mut Response, what: &str, place: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte);
    if place.bytes().all(plain) {
        let done = set_cookie(DONE_COOKIE, &format!("{what}:{place}"), Some(DONE_SECONDS));
        response.headers_mut().append(header::SET_COOKIE, done);
    }
}

fn sets_session(response: &Response) -> bool {
    let set = response.headers().get_all(header::SET_COOKIE).iter();
    set.filter_map(|cookie| cookie.to_str().ok())
        .any(|cookie| !cookie.starts_with(DONE_COOKIE))
}

/// Lets the browser forget its session.
pub fn end_session(response: &mut Response) {
    let gone = set_cookie(SESSION_COOKIE, "", Some(0));
    response.headers_mut().append(header::SET_COOKIE, gone);
}

fn is_problem(response: &Response) -> bool {
    text(response.headers(), header::CONTENT_TYPE).starts_with("application/problem+json")
}

/// What a handler refused, as a page.
async fn page_of_problem(visit: &Visit, response: Response) -> Response {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), PROBLEM_BYTES_MAX);
    let body = body.collect().await.map(|body| body.to_bytes());
    let problem: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let member = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let (mut title, mut detail) = (member("title"), sentence(&member("detail")));
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        "A form is expected".clone_into(&mut title); // the code's own words are about JSON
    }
    if status.is_server_error() {
        detail = format!("{detail} (request {})", member("request_id"));
    }
    let title = title.trim_end_matches('.');
    frame::message(visit, status, title, &detail)
}

/// Lets the form of this page lead on to `source`, scheme and host of an app.
pub fn lead_on_to(response: &mut Response, source: &str) {
    let own = "form-action 'self'";
    let policy = CONTENT_SECURITY_POLICY.replace(own, &format!("{own} {source}"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// What every answer of the dashboard carries.
fn finish(app: &App, needs: Needs, headers: &mut HeaderMap) {
    const SAME: [(HeaderName, HeaderValue); 2] = [
        // Not `no-referrer`: under it browsers send forms with `Origin: null`, and those that say nothing else of
        // where a form comes from could not send any.
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    headers.extend(SAME);
    // A page whose form leads to an app says so itself.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    let vary = match needs {
        Needs::Nothing => "Accept-Encoding",
        Needs::Nobody | Needs::Role(_) | Needs::Fresh(_) => "Cookie, Accept-Encoding",
    };
    headers.insert(header::VARY, HeaderValue::from_static(vary));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if app.config.public_url.starts_with("https://") {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
}
