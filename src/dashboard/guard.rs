//! What stands before every page: who looks, whether they may, whether a form comes from us; and what every
//! answer carries.

use super::confirm::{self, Confirmed};
use super::fields::{encode, next_page};
use super::forms::{Sent, text};
use super::frame;
use super::routes::{Needs, Route, Trace};
use super::show::sentence;
use super::staff::{SESSION_MAX, USE_GRAIN};
use super::store::{self, Device};
use super::visit::{
    Asked, DONE_COOKIE, FORM_COOKIE, Form, SESSION_COOKIE, Visit, new_token, token_hash,
};
use crate::app::App;
use crate::error::Result;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use http_body_util::BodyExt;
use platform::clock::Timestamp;
use platform::http::{Answered, ClientAddress, Problem, codes, to_the_end};
use platform::secrets::Secret;
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
    once: Option<Trace>,
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

/// The answer to a method that no page has.
pub fn wrong_method(app: &App, route: &'static str) -> Response {
    let detail = "pages are looked at with GET, and their forms are sent with POST";
    let mut response = Problem::new(&codes::METHOD_NOT_ALLOWED, detail).into_response();
    finish(app, Needs::Nobody, response.headers_mut());
    let client = None;
    response.extensions_mut().insert(Answered { route, client });
    response
}

/// The answer to somebody who looks.
async fn visited(gate: &Gate, request: Request, next: Next) -> Response {
    let (parts, mut body) = request.into_parts();
    // Before anything is looked up: a body can take its time, and who sends it may be closed out meanwhile.
    let sent = match parts.method {
        Method::POST => Some(Sent::read(&parts, std::mem::take(&mut body)).await),
        _ => None,
    };
    match visit_of(&gate.app, &parts).await {
        Ok((mut visit, mut cookie)) => {
            let request = Request::from_parts(parts, body);
            let entered = enter(gate, (&mut visit, &mut cookie), (request, sent), next).await;
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
        let key = app.dashboard.form_key(&session);
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
    (mut request, sent): (Request, Option<Result<Sent>>),
    next: Next,
) -> Result<Response> {
    if let Some(least) = gate.needs.role() {
        let Some(staff) = visit.staff() else {
            return to_sign_in(gate, visit, sent.map(Result::ok)).await;
        };
        if !staff.role.covers(least) {
            let detail = format!(
                "Your role is {}; this page is for: {}.",
                staff.role.shown(),
                least.and_above().join(", ")
            );
            let status = StatusCode::FORBIDDEN;
            return Ok(frame::message(visit, status, "Not allowed", &detail));
        }
    }
    let Some(sent) = sent.transpose()? else {
        request.extensions_mut().insert(visit.clone());
        return Ok(next.run(request).await);
    };
    if let Some(refusal) = sent.refusal(&gate.app, visit, gate.once).await? {
        return Ok(refusal);
    }
    if matches!(gate.needs, Needs::Fresh(_)) {
        match confirm::confirm(&gate.app, visit, &sent.fields).await? {
            Confirmed::Already => {}
            Confirmed::Now(proved, session) => (*visit, *cookie) = (proved, Some(session)),
            Confirmed::Asked(response) => return Ok(response),
        }
    }
    request.extensions_mut().insert(visit.clone());
    request.extensions_mut().insert(Form(sent.fields.clone()));
    match gate.once {
        Some(trace) => run_once(gate, visit, (sent, trace), (request, next)).await,
        None => Ok(next.run(request).await),
    }
}

/// The answer to a form that is taken once. One that was refused can be corrected and sent again; one that was taken is
/// carried out, though its browser has gone on.
async fn run_once(
    gate: &Gate,
    visit: &Visit,
    (sent, trace): (Sent, Trace),
    (request, next): (Request, Next),
) -> Result<Response> {
    let (app, visit) = (gate.app.clone(), visit.clone());
    let carried_out = to_the_end(async move {
        if let Some(refusal) = sent.take(&app, &visit, trace).await? {
            return Ok(refusal);
        }
        let response = next.run(request).await;
        let refused = response.status().is_client_error();
        if refused || Problem::is_of(&response, &codes::OVERLOADED) {
            sent.give_back(&app).await?;
        }
        Ok(response)
    });
    carried_out.await.unwrap_or_else(|| {
        let detail = "the cause is in the server's log under the request id";
        Err(Problem::new(&codes::INTERNAL, detail))
    })
}

/// What to answer to who is not signed in: the way in, from which they get where they wanted to go.
async fn to_sign_in(gate: &Gate, visit: &Visit, sent: Option<Option<Sent>>) -> Result<Response> {
    const SIGN_IN: &str = "/dashboard/sign-in";
    let place = |next: &str| format!("{SIGN_IN}?next={}", encode(next));
    if !store::has_staff(&mut gate.app.db.read().await?).await? {
        return Ok(frame::see_other(SIGN_IN));
    }
    let Some(sent) = sent else {
        return Ok(match visit.path() {
            "/dashboard" => frame::see_other(SIGN_IN),
            path => frame::see_other(&place(path)),
        });
    };
    // A form of who was signed in when its page was shown.
    let kept = sent.and_then(|sent| sent.ask_again(visit, "You are signed out"));
    Ok(kept.unwrap_or_else(|| {
        let mut response = match visit.back() {
            "" => frame::see_other(SIGN_IN),
            back => frame::see_other(&place(back)),
        };
        tell_done(&mut response, "over", SIGN_IN);
        response
    }))
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
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let body = http_body_util::Limited::new(response.into_body(), PROBLEM_BYTES_MAX);
    let body = body.collect().await.map(|body| body.to_bytes());
    let problem: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let member = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let (mut title, mut detail) = (member("title"), sentence(&member("detail")));
    // The codes' own words are about the bodies of the API.
    match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "A form is expected".clone_into(&mut title),
        StatusCode::UNPROCESSABLE_ENTITY => "Nothing was saved".clone_into(&mut title),
        StatusCode::PAYLOAD_TOO_LARGE => {
            "This is too large".clone_into(&mut title);
            detail = "A form takes 1 MB with the file in it. A larger file of products is imported on the command line: \
                tradepost import products FILE."
                .to_owned();
        }
        _ => {}
    }
    if status.is_server_error() {
        detail = format!("{detail} (request {})", member("request_id"));
    }
    let title = title.trim_end_matches('.');
    let mut page = frame::message(visit, status, title, &detail);
    if let Some(after) = retry_after {
        page.headers_mut().insert(header::RETRY_AFTER, after);
    }
    page
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
