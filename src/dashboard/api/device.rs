//! `/device`: somebody types the code that a device shows, and lets it in or not (RFC 8628 §3.3).

use super::authorize::{Asked, allow, beyond, listed, offered};
use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::store as dashboard;
use crate::dashboard::visit::{Form, SignedIn};
use crate::error::Result;
use crate::oauth::client::Client;
use crate::oauth::flows::device::{DEVICE_LIFE, Device, UserCode, store};
use crate::oauth::flows::revoke::forget;
use crate::oauth::{Scope, Scopes};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use platform::db::DbError;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "device.html")]
struct CodePage<'a> {
    frame: Frame,
    code: &'a str,
    wrong: &'a str,
    done: &'a str,
}

#[derive(Template)]
#[template(path = "device_consent.html")]
struct ConsentPage<'a> {
    frame: Frame,
    client: &'a str,
    registered_itself: bool,
    code: String,
    scopes: Vec<Asked>,
    beyond: Vec<&'static str>,
    wrong: &'a str,
}

fn ask_code(signed_in: &SignedIn, status: StatusCode, (code, wrong): (&str, &str)) -> Response {
    let page = CodePage {
        frame: Frame::new(&signed_in.visit, "Connect a device"),
        code,
        wrong,
        done: match signed_in.visit.done() {
            "connected" => {
                "The device is connected and goes on by itself in a few seconds. You can end this under “Your account”."
            }
            "refused" => "The device gets no access. You can close this page.",
            _ => "",
        },
    };
    frame::page(status, &page)
}

/// `GET /device`. A code in the address is written into the field and no more: somebody else may have sent the link.
pub async fn get(signed_in: SignedIn, OriginalUri(uri): OriginalUri) -> Response {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let code = UserCode::parse(asked.get("user_code"));
    let code = code.map_or_else(String::new, |code| code.to_string());
    ask_code(&signed_in, StatusCode::OK, (&code, ""))
}

/// `POST /device`: the code alone asks what it is for; with a decision it is done.
pub async fn decide(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let (now, throttle) = (signed_in.visit.now(), &app.dashboard.device_throttle);
    let address = signed_in.visit.device().address.parse();
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let who = signed_in.staff.id.as_str();
    let code = typed.get("user_code");
    if let Some(seconds) = throttle.pause_seconds(who, address, now) {
        let wrong = "Too many wrong codes. Wait a while and try again.";
        let mut response = ask_code(&signed_in, StatusCode::TOO_MANY_REQUESTS, (code, wrong));
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    let Some((code, device, client)) = find(&app, &signed_in, code).await? else {
        throttle.failed(who, address, now);
        let wrong =
            "No device waits with this code. It may be mistyped, or older than ten minutes.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(ask_code(&signed_in, status, (code, wrong)));
    };
    throttle.succeeded(who, address);
    let chosen: Scopes = typed.all("allowed").filter_map(Scope::from_name).collect();
    let scopes = offered(&signed_in, device.scopes).and(chosen);
    match typed.get("decision") {
        "allow" if !scopes.is_empty() => let_in(&app, signed_in, code, client, scopes).await,
        "allow" => {
            let wrong = "Leave at least one scope ticked, or deny.";
            let shown = (StatusCode::UNPROCESSABLE_ENTITY, wrong);
            Ok(consent(&signed_in, &code, (&device, &client), shown))
        }
        "deny" => refuse(&app, signed_in, code, client).await,
        _ => Ok(consent(
            &signed_in,
            &code,
            (&device, &client),
            (StatusCode::OK, ""),
        )),
    }
}

/// The device that waits with the code that was typed, and its client.
async fn find(
    app: &App,
    signed_in: &SignedIn,
    typed: &str,
) -> Result<Option<(UserCode, Device, Arc<Client>)>> {
    let now = signed_in.visit.now();
    let Some(code) = UserCode::parse(typed) else {
        return Ok(None);
    };
    let found = store::find_by_user_code(&mut app.db.read().await?, &code).await?;
    let Some(device) = found.filter(|device| device.waits(now)) else {
        return Ok(None);
    };
    let client = app.oauth.client_afresh(&app.db, &device.client_id, now);
    let client = client.await?.filter(|client| client.disabled_at.is_none());
    Ok(client.map(|client| (code, device, client)))
}

fn consent(
    signed_in: &SignedIn,
    code: &UserCode,
    (device, client): (&Device, &Client),
    (status, wrong): (StatusCode, &str),
) -> Response {
    let offered = offered(signed_in, device.scopes);
    let page = ConsentPage {
        frame: Frame::new(&signed_in.visit, format!("Allow {}?", client.name)),
        client: &client.name,
        registered_itself: client.registered_with.is_some(),
        code: code.to_string(),
        scopes: listed(offered, |_| wrong.is_empty()),
        beyond: beyond(device.scopes, offered),
        wrong,
    };
    frame::page(status, &page)
}

fn too_late(signed_in: &SignedIn) -> Response {
    let detail = "The code is too old, or somebody has decided already. Start again on the device.";
    frame::message(&signed_in.visit, StatusCode::GONE, "Too late", detail)
}

async fn let_in(
    app: &App,
    signed_in: SignedIn,
    code: UserCode,
    client: Arc<Client>,
    scopes: Scopes,
) -> Result<Response> {
    let (now, person) = (signed_in.visit.now(), signed_in.clone());
    let done: std::result::Result<_, DbError> = app
        .db
        .write(async move |tx| {
            if !store::hold_waiting(tx, &code, now).await? {
                return Ok(None);
            }
            let (grant, ended) = allow(tx, &signed_in, &client, (scopes, DEVICE_LIFE)).await?;
            store::allow_device(tx, &code, &grant).await?;
            Ok(Some(ended))
        })
        .await;
    let Some(ended) = done? else {
        return Ok(too_late(&person));
    };
    forget(app, &ended);
    app.nudge.send();
    Ok(frame::done("/device", "connected"))
}

async fn refuse(
    app: &App,
    signed_in: SignedIn,
    code: UserCode,
    client: Arc<Client>,
) -> Result<Response> {
    let (now, person) = (signed_in.visit.now(), signed_in.clone());
    let done: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            if !store::hold_waiting(tx, &code, now).await? {
                return Ok(false);
            }
            store::deny_device(tx, &code, now).await?;
            let object = ("staff", signed_in.staff.id.as_str());
            let doer = signed_in.doer();
            dashboard::note_change(tx, doer, "device.refused", object, &client.name).await?;
            Ok(true)
        })
        .await;
    if !done? {
        return Ok(too_late(&person));
    }
    Ok(frame::done("/device", "refused"))
}
