//! `/dashboard/security`: one's own password, second factor and sessions.

use crate::app::App;
use crate::dashboard::confirm::{self, Own};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::passkeys::{self, Passkey};
use crate::dashboard::show::When;
use crate::dashboard::staff::{Session, check_password};
use crate::dashboard::visit::{Form, SignedIn, new_token, token_hash};
use crate::dashboard::{guard, password as passwords, second, store};
use crate::error::{Result, not_found};
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use platform::db::DbError;
use platform::http::Path;
use platform::secrets::Secret;

#[derive(Debug)]
struct Row {
    id: String,
    device: String,
    address: String,
    used: When,
    begun: When,
    here: bool,
}

#[derive(Debug)]
struct PasskeyRow {
    id: String,
    name: String,
    synced: bool,
    made: When,
    used: Option<When>,
}

#[derive(Template)]
#[template(path = "security.html")]
struct SecurityPage<'a> {
    frame: Frame,
    sessions: Vec<Row>,
    /// Since when codes are asked for.
    codes_since: Option<When>,
    /// Recovery codes that were not used.
    codes_left: i64,
    passkeys: Vec<PasskeyRow>,
    /// Where the dashboard is to be opened for passkeys; empty when browsers offer none.
    passkey_site: &'a str,
    wrong: &'a str,
    done: &'a str,
}

/// A browser in a few words, for people who look for the one that is not theirs.
pub fn device(user_agent: &str) -> String {
    let first = |names: &[(&'static str, &'static str)]| {
        let found = names.iter().find(|(sign, _)| user_agent.contains(sign));
        found.map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        _ if user_agent.is_empty() => "Unnamed program".to_owned(),
        _ => user_agent.chars().take(60).collect(),
    }
}

async fn show(
    app: &App,
    signed_in: &SignedIn,
    status: StatusCode,
    (wrong, done): (&str, &str),
) -> Result<Response> {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let mut tx = app.db.read().await?;
    let sessions = store::sessions(&mut tx, &signed_in.staff.id).await?;
    let codes_left = second::store::recovery_codes_left(&mut tx, &signed_in.staff.id).await?;
    let passkeys = passkeys::store::list(&mut tx, &signed_in.staff.id).await?;
    drop(tx);
    let row = |session: &Session| Row {
        id: session.id.clone(),
        device: device(&session.user_agent),
        address: session.address.clone(),
        used: When::new(session.last_used_at, now, &zone),
        begun: When::new(session.created_at, now, &zone),
        here: session.id == signed_in.session.id,
    };
    let passkey_row = |passkey: &Passkey| PasskeyRow {
        id: passkey.id.clone(),
        name: passkey.name.clone(),
        synced: passkey.credential.is_synced,
        made: When::new(passkey.created_at, now, &zone),
        used: passkey.last_used_at.map(|at| When::new(at, now, &zone)),
    };
    let site = app.dashboard.site.as_ref();
    let alive = sessions.iter().filter(|session| !session.is_over(now));
    let page = SecurityPage {
        frame: Frame::new(&signed_in.visit, "Security"),
        sessions: alive.map(row).collect(),
        codes_since: signed_in
            .staff
            .totp_since
            .map(|at| When::new(at, now, &zone)),
        codes_left,
        passkeys: passkeys.iter().map(passkey_row).collect(),
        passkey_site: site.map_or("", |site| &site.origin),
        wrong,
        done,
    };
    Ok(frame::page(status, &page))
}

/// `GET /dashboard/security`.
pub async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let done = match signed_in.visit.done() {
        "password" => "Your password is changed, and your other sessions are ended.",
        "off" => "Two-factor authentication is off.",
        "passkey" => "The passkey is added: the next time it signs you in.",
        "removed" => "The passkey is removed. Your device may still offer it: delete it there too.",
        "late" => "That took too long, or was answered already: begin again.",
        "ended" => "The session is ended.",
        "others" => "Your other sessions are signed out.",
        _ => "",
    };
    show(&app, &signed_in, StatusCode::OK, ("", done)).await
}

/// `POST /dashboard/security/password`. Asks for the present one: a screen left alone must not be enough. Other sessions
/// end, and this one goes on under another token: whoever learned the old one is out.
pub async fn password(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let (email, now) = (signed_in.staff.email.clone(), signed_in.visit.now());
    let refuse = StatusCode::UNPROCESSABLE_ENTITY;
    let chosen = typed.exact("password");
    if let Err(wrong) = check_password(chosen, &email) {
        return show(&app, &signed_in, refuse, (wrong, "")).await;
    }
    let present = typed.exact("present");
    match confirm::own_password(&app, &signed_in.visit, &signed_in.staff, present).await? {
        Own::Right => {}
        Own::Wrong | Own::WrongCode => {
            let wrong = "The current password is wrong.";
            return show(&app, &signed_in, refuse, (wrong, "")).await;
        }
        Own::Paused(_) => {
            let wrong = "Too many wrong passwords: try again in a while.";
            return show(&app, &signed_in, StatusCode::TOO_MANY_REQUESTS, (wrong, "")).await;
        }
    }
    if chosen == present {
        let wrong = "The new password is the current one.";
        return show(&app, &signed_in, refuse, (wrong, "")).await;
    }
    let hash = passwords::hash(Secret::new(chosen.to_owned())).await?;
    let token = new_token();
    let token_hash = token_hash(&token).unwrap_or_default();
    let left = confirm::left(&signed_in.session, now);
    let changed: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            let id = &signed_in.staff.id;
            store::set_password(tx, id, &hash, now).await?;
            store::end_sessions(tx, id, Some(&signed_in.session.id)).await?;
            store::prove_session(tx, &signed_in.session.id, &token_hash, now).await?;
            let object = ("staff", id.as_str());
            store::note(tx, signed_in.doer(), "staff.password_changed", object).await
        })
        .await;
    changed?;
    let mut response = frame::done("/dashboard/security", "password");
    let cookie = guard::session_cookie(&token, left);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// `POST /dashboard/security/sessions/{id}/end`.
pub async fn end_session(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    let session = id.clone();
    let ended: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            let staff = &signed_in.staff.id;
            let ended = store::end_session(tx, staff, &session).await?;
            if ended {
                let object = ("staff", staff.as_str());
                store::note(tx, signed_in.doer(), "staff.session_ended", object).await?;
            }
            Ok(ended)
        })
        .await;
    match ended? {
        true => Ok(frame::done("/dashboard/security", "ended")),
        false => Err(not_found("session", &id)),
    }
}

/// `POST /dashboard/security/sessions/end-others`.
pub async fn end_others(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let ended: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            let id = &signed_in.staff.id;
            store::end_sessions(tx, id, Some(&signed_in.session.id)).await?;
            let object = ("staff", id.as_str());
            store::note(tx, signed_in.doer(), "staff.sessions_ended", object).await
        })
        .await;
    ended?;
    Ok(frame::done("/dashboard/security", "others"))
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn browsers_are_named() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome on Linux");
        assert_eq!(device("curl/8.0"), "curl/8.0");
        assert_eq!(device(""), "Unnamed program");
    }
}
