//! `/oauth/authorize`: an app asks somebody to let it act for them (RFC 6749 §4.1). Who is not signed in signs in
//! first: nobody is sent anywhere by a link alone.

use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::{guard, store as dashboard};
use crate::error::Result;
use crate::oauth::client::Client;
use crate::oauth::flows::authorize::{self, AuthorizationRequest, Refused, WayBack};
use crate::oauth::flows::grant::{self, CODE_LIFE, GrantId, UserGrant, new_code};
use crate::oauth::flows::revoke::forget;
use crate::oauth::flows::store;
use crate::oauth::{Scope, Scopes};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// What is sent along from the page to its form, as it came.
const CARRIED: [&str; 10] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "resource",
    "dpop_jkt",
];

/// A scope in words, its name, and whether it is chosen.
pub(super) type Asked = (&'static str, &'static str, bool);

#[derive(Template)]
#[template(path = "authorize.html")]
struct ConsentPage<'a> {
    frame: Frame,
    client: &'a str,
    registered_itself: bool,
    /// Where the browser goes afterwards.
    place: String,
    carried: Vec<(&'static str, String)>,
    scopes: Vec<Asked>,
    /// What is asked for and the person may not do.
    beyond: Vec<&'static str>,
    wrong: &'static str,
}

/// What somebody may let an app do, of what it asks for.
pub(super) fn offered(signed_in: &SignedIn, asked: Scopes) -> Scopes {
    asked.and(signed_in.staff.role.scopes())
}

/// The scopes as the page lists them.
pub(super) fn listed(scopes: Scopes, chosen: impl Fn(Scope) -> bool) -> Vec<Asked> {
    let entry = |scope: Scope| (scope.description(), scope.name(), chosen(scope));
    scopes.iter().map(entry).collect()
}

/// What the person may not do, in words.
pub(super) fn beyond(asked: Scopes, offered: Scopes) -> Vec<&'static str> {
    let missing = asked.iter().filter(|scope| !offered.contains(*scope));
    missing.map(Scope::description).collect()
}

/// `GET /oauth/authorize`.
pub async fn get(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let Some(fields) = Fields::parse(uri.query().unwrap_or_default()) else {
        return Ok(here(&signed_in, "The address is not well-formed."));
    };
    Ok(match read(&app, &signed_in, &fields).await? {
        Ok((client, request)) => {
            let place = (&*client, &request);
            consent(&signed_in, &fields, place, StatusCode::OK, "")
        }
        Err(refused) => answer(&signed_in, refused),
    })
}

/// `POST /oauth/authorize`: what somebody decided. The request is read again as if it had just come.
pub async fn decide(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let (client, request) = match read(&app, &signed_in, &typed).await? {
        Ok(read) => read,
        Err(refused) => return Ok(answer(&signed_in, refused)),
    };
    if typed.get("decision") != "allow" {
        let text = "the user did not allow it";
        return Ok(frame::see_other(
            &request.back.with_error("access_denied", text),
        ));
    }
    let chosen: Scopes = typed.all("allowed").filter_map(Scope::from_name).collect();
    let scopes = offered(&signed_in, request.scopes).and(chosen);
    if scopes.is_empty() {
        let wrong = "Leave at least one scope ticked, or deny.";
        let place = (&*client, &request);
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Ok(consent(&signed_in, &typed, place, status, wrong));
    }
    let (code, back) = (new_code(), request.back.clone());
    let hash = grant::hash(&code);
    let made: std::result::Result<Vec<GrantId>, DbError> = app
        .db
        .write(async move |tx| {
            let now = signed_in.visit.now();
            let (grant, ended) = allow(tx, &signed_in, &client, (scopes, CODE_LIFE)).await?;
            store::insert_code(tx, &hash, &grant, &request, now + CODE_LIFE).await?;
            Ok(ended)
        })
        .await;
    forget(&app, &made?);
    app.nudge.send();
    Ok(frame::see_other(&back.with_code(code.expose())))
}

/// Lets `client` act for whoever is signed in, if it comes within `life` for its first token. Returns the grant, and those that ended to make room.
pub(super) async fn allow(
    tx: &mut Tx,
    signed_in: &SignedIn,
    client: &Client,
    (scopes, life): (Scopes, Duration),
) -> std::result::Result<(GrantId, Vec<GrantId>), DbError> {
    let now = signed_in.visit.now();
    let grant = UserGrant {
        id: GrantId::new(),
        client_id: client.id.clone(),
        staff_id: signed_in.staff.id.clone(),
        scopes,
        created_at: now,
        ends_at: now + life,
        refresh_number: 0,
        revoked_at: None,
        bound_to: None,
    };
    let ended = store::insert_grant(tx, &grant).await?;
    let object = ("grant", grant.id.as_str());
    let told = format!("{}: {scopes}", client.name);
    dashboard::note_change(tx, signed_in.doer(), "grant.created", object, &told).await?;
    let data = json!({ "client_id": grant.client_id, "user_id": grant.staff_id, "scopes": scopes });
    let event = NewEvent {
        kind: "grant.created",
        object_type: "grant",
        object_id: grant.id.as_str(),
        object_version: 1,
        actor: grant.staff_id.as_str(),
        data: &data.to_string(),
        at: now,
    };
    events::append(tx, &event).await?;
    Ok((grant.id, ended))
}

type Read = std::result::Result<(Arc<Client>, AuthorizationRequest), Refused>;

async fn read(app: &App, signed_in: &SignedIn, fields: &Fields) -> Result<Read> {
    let id = match authorize::client_id(fields) {
        Ok(id) => id,
        Err(refused) => return Ok(Err(refused)),
    };
    let now = signed_in.visit.now();
    let client = app.oauth.client_afresh(&app.db, &id, now).await?;
    let signer = &app.oauth.signer;
    let names = (signer.issuer(), signer.audience());
    let request = authorize::read(fields, client.as_deref(), names, now);
    let client = client.ok_or(Refused::Here("This app is not registered here."));
    Ok(request.and_then(|request| Ok((client?, request))))
}

fn here(signed_in: &SignedIn, detail: &str) -> Response {
    let title = "This app cannot be authorized";
    frame::message(&signed_in.visit, StatusCode::BAD_REQUEST, title, detail)
}

fn answer(signed_in: &SignedIn, refused: Refused) -> Response {
    match refused {
        Refused::Here(detail) => here(signed_in, detail),
        Refused::There(back, code, text) => frame::see_other(&back.with_error(code, &text)),
    }
}

fn consent(
    signed_in: &SignedIn,
    fields: &Fields,
    (client, request): (&Client, &AuthorizationRequest),
    status: StatusCode,
    wrong: &'static str,
) -> Response {
    let offered = offered(signed_in, request.scopes);
    if offered.is_empty() {
        let text = "the role of the user allows none of the scopes";
        return frame::see_other(&request.back.with_error("access_denied", text));
    }
    let carried = CARRIED.into_iter();
    let carried = carried.map(|name| (name, fields.exact(name).to_owned()));
    let page = ConsentPage {
        frame: Frame::new(&signed_in.visit, format!("Allow {}?", client.name)),
        client: &client.name,
        registered_itself: client.registered_with.is_some(),
        place: place(&request.back),
        carried: carried.filter(|(_, value)| !value.is_empty()).collect(),
        scopes: listed(offered, |_| wrong.is_empty()),
        beyond: beyond(request.scopes, offered),
        wrong,
    };
    let mut response = frame::page(status, &page);
    guard::lead_on_to(&mut response, &request.back.source());
    response
}

fn place(back: &WayBack) -> String {
    let source = back.source();
    match source.strip_prefix("https://") {
        Some(host) => host.to_owned(),
        None if source.starts_with("http:") => "a program on this device".to_owned(),
        None => format!("the app of {source} on this device"),
    }
}
