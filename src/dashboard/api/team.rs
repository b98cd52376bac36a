//! `/dashboard/team`: who works here, and what they may.

use crate::app::App;
use crate::dashboard::accounts::{self, AccountError, OneTimeLink};
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::jobs::{self, To};
use crate::dashboard::role::Role;
use crate::dashboard::show::{Badge, When};
use crate::dashboard::staff::{LinkKind, Staff, parse_email};
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::error::{Result, not_found};
use crate::oauth::Scopes;
use crate::oauth::flows::revoke::forget;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::{Path, Problem, codes};

#[derive(Debug)]
struct Row {
    id: String,
    email: String,
    role: &'static str,
    state: Badge,
    codes: bool,
    signed_in: Option<When>,
}

#[derive(Template)]
#[template(path = "team.html")]
struct TeamPage<'a> {
    frame: Frame,
    rows: Vec<Row>,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    /// Whether invitations can go by mail.
    mail: bool,
    said: Said<'a>,
}

/// What its form holds, and what is said above it.
#[derive(Debug, Default)]
struct Said<'a> {
    email: &'a str,
    /// The role that was chosen.
    role: &'a str,
    wrong: Wrong,
    /// The account that has this email already.
    taken: String,
    done: &'a str,
}

fn state(staff: &Staff) -> Badge {
    Badge(match (staff.disabled_at, staff.signed_in_at) {
        (Some(_), _) => "disabled",
        (None, None) => "pending",
        (None, Some(_)) => "active",
    })
}

/// The roles that somebody may give, none that may more than their own, the least first: value, name and what it may.
fn roles(by: Role) -> Vec<(&'static str, &'static str, &'static str)> {
    let roles = Role::ALL.into_iter().filter(|role| by.covers(*role)).rev();
    roles
        .map(|role| (role.as_str(), role.shown(), role.told()))
        .collect()
}

async fn show(app: &App, signed_in: &SignedIn, said: Said<'_>) -> Result<Response> {
    let status = match said.wrong.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let staff = store::list(&mut app.db.read().await?).await?;
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |one: &Staff| Row {
        id: one.id.to_string(),
        email: one.email.clone(),
        role: one.role.shown(),
        state: state(one),
        codes: one.totp_since.is_some(),
        signed_in: one.signed_in_at.map(|at| When::new(at, now, &zone)),
    };
    let page = TeamPage {
        frame: Frame::new(&signed_in.visit, "Team"),
        rows: staff.iter().map(row).collect(),
        roles: roles(signed_in.staff.role),
        mail: app.config.smtp_url.is_some(),
        said,
    };
    Ok(frame::page(status, &page))
}

/// `GET /dashboard/team`.
pub async fn list(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let done = match signed_in.visit.done() {
        "invited" => "The invitation is on its way.",
        "reset" => "A link to choose another password is on its way.",
        "role" => "The role is changed, and their sessions are ended.",
        "disabled" => "The account is closed, and its sessions are ended.",
        _ => "",
    };
    let said = Said {
        done,
        ..Said::default()
    };
    show(&app, &signed_in, said).await
}

#[derive(Template)]
#[template(path = "member.html")]
struct MemberPage {
    frame: Frame,
    id: String,
    role: &'static str,
    /// The role that the form was shown with.
    was: &'static str,
    state: Badge,
    codes: bool,
    signed_in: Option<When>,
    since: When,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    mail: bool,
    /// Whether who looks may change this account.
    changes: bool,
    own: bool,
    closed: bool,
    /// Whether they never signed in.
    pending: bool,
    wrong: Wrong,
    done: &'static str,
}

/// `GET /dashboard/team/{id}`.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    member(&app, &signed_in, id, Wrong::default()).await
}

async fn member(app: &App, signed_in: &SignedIn, id: String, wrong: Wrong) -> Result<Response> {
    let staff = store::find(&mut app.db.read().await?, &id).await?;
    let staff = staff.ok_or_else(|| not_found("member", &id))?;
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let page = MemberPage {
        frame: Frame::new(&signed_in.visit, staff.email.clone()),
        role: staff.role.shown(),
        was: staff.role.as_str(),
        state: state(&staff),
        codes: staff.totp_since.is_some(),
        signed_in: staff.signed_in_at.map(|at| When::new(at, now, &zone)),
        since: When::new(staff.created_at, now, &zone),
        roles: roles(signed_in.staff.role),
        mail: app.config.smtp_url.is_some(),
        changes: may_change(signed_in, &staff) && staff.disabled_at.is_none(),
        own: staff.id.as_str() == signed_in.staff.id.as_str(),
        closed: staff.disabled_at.is_some(),
        pending: staff.signed_in_at.is_none(),
        done: match signed_in.visit.done() {
            "role" => {
                "The role is changed. The invitation from before does not work any more: create another link for them."
            }
            "same" => "This is their role already: nothing is changed.",
            _ => "",
        },
        wrong,
        id,
    };
    let status = match page.wrong.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(frame::page(status, &page))
}

/// Nobody changes themselves, or who may more than they.
fn may_change(signed_in: &SignedIn, staff: &Staff) -> bool {
    let own = staff.id.as_str() == signed_in.staff.id.as_str();
    !own && signed_in.staff.role.covers(staff.role)
}

/// What the role of who is signed in covers at this moment, not when the page was asked for.
async fn role_now(
    tx: &mut platform::db::Tx,
    signed_in: &SignedIn,
) -> std::result::Result<Role, Refused> {
    store::hold_team(tx).await?;
    let by = store::find_open(tx, signed_in.staff.id.as_str()).await?;
    let role = by.map(|by| by.role);
    role.filter(|role| role.covers(Role::Admin))
        .ok_or(Refused::NotYours)
}

/// The account to be changed, or why not; within the transaction that changes it.
async fn changeable(
    tx: &mut platform::db::Tx,
    signed_in: &SignedIn,
    id: &str,
) -> std::result::Result<(Role, Staff), Refused> {
    let by = role_now(tx, signed_in).await?;
    let staff = store::find(tx, id).await?;
    let staff = staff.ok_or_else(|| AccountError::Unknown(id.to_owned()))?;
    match by.covers(staff.role) && may_change(signed_in, &staff) {
        true => Ok((by, staff)),
        false => Err(Refused::NotYours),
    }
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("one's own account, or one that may more")]
    NotYours,
    #[error("somebody else changed it meanwhile")]
    Changed,
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl From<platform::db::DbError> for Refused {
    fn from(error: platform::db::DbError) -> Refused {
        Refused::Account(error.into())
    }
}

fn refusal(signed_in: &SignedIn, refused: Refused) -> Result<Response> {
    match refused {
        Refused::NotYours => {
            let detail =
                "You can change neither your own account here nor one that may more than yours.";
            let status = StatusCode::FORBIDDEN;
            Ok(frame::message(
                &signed_in.visit,
                status,
                "Not allowed",
                detail,
            ))
        }
        Refused::Changed => Err(Problem::new(&codes::CONFLICT, refused.to_string())),
        Refused::Account(AccountError::Db(error)) => Err(error.into()),
        Refused::Account(AccountError::Unknown(id)) => Err(not_found("member", &id)),
        Refused::Account(error) => Err(Problem::new(&codes::CONFLICT, error.to_string())),
    }
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    frame: Frame,
    email: &'a str,
    address: &'a str,
    life: &'static str,
}

fn link_page(app: &App, signed_in: &SignedIn, email: &str, link: &OneTimeLink) -> Response {
    let (title, life) = match link.kind() {
        LinkKind::Invitation => ("The invitation", "7 days"),
        LinkKind::Setup | LinkKind::Reset => ("The link", "an hour"),
    };
    let page = LinkPage {
        frame: Frame::new(&signed_in.visit, title),
        email,
        address: &link.address(&app.config.public_url),
        life,
    };
    frame::page(StatusCode::OK, &page)
}

/// By mail if there is a mailer, unless the link itself is asked for.
fn by_mail(app: &App, typed: &Fields) -> bool {
    app.config.smtp_url.is_some() && typed.get("by") != "link"
}

/// `POST /dashboard/team/invite`.
pub async fn invite(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let mut said = Said {
        email: typed.get("email"),
        role: typed.get("role"),
        ..Said::default()
    };
    let email = parse_email(said.email).map_err(|wrong| said.wrong.add("email", "Email", wrong));
    let role = Role::parse(said.role).filter(|role| signed_in.staff.role.covers(*role));
    if role.is_none() {
        let wrong = "choose one of the list";
        said.wrong.add("role", "Role", wrong);
    }
    let (Ok(email), Some(role)) = (email, role) else {
        return show(&app, &signed_in, said).await;
    };
    let (mail, by, to, now) = (
        by_mail(&app, &typed),
        signed_in.clone(),
        email.clone(),
        signed_in.visit.now(),
    );
    let made = app
        .db
        .write(async move |tx| {
            if !role_now(tx, &by).await?.covers(role) {
                return Err(Refused::NotYours);
            }
            let staff = accounts::make(tx, by.doer(), &to, role).await?;
            link_or_mail(tx, &staff, mail, now).await
        })
        .await;
    app.nudge.send();
    match made {
        Ok(Some(link)) => Ok(link_page(&app, &signed_in, &email, &link)),
        Ok(None) => Ok(frame::done("/dashboard/team", "invited")),
        Err(Refused::Account(AccountError::Taken(_))) => {
            let known = store::find_by_email(&mut app.db.read().await?, &email).await?;
            said.taken = known.map_or_else(String::new, |(staff, _)| staff.id.to_string());
            let wrong = "there is an account with it already";
            said.wrong.add("email", "Email", wrong);
            show(&app, &signed_in, said).await
        }
        Err(refused) => refusal(&signed_in, refused),
    }
}

async fn link_or_mail(
    tx: &mut platform::db::Tx,
    staff: &Staff,
    mail: bool,
    now: platform::clock::Timestamp,
) -> std::result::Result<Option<OneTimeLink>, Refused> {
    if mail {
        jobs::enqueue(tx, To::Staff(staff.id.as_str()), now).await?;
        return Ok(None);
    }
    Ok(Some(accounts::link_for(tx, staff, now).await?))
}

/// `POST /dashboard/team/{id}/reset`: another link to choose a password.
pub async fn reset(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let (mail, by) = (by_mail(&app, &typed), signed_in.clone());
    let now = signed_in.visit.now();
    let made = app
        .db
        .write(async move |tx| {
            let (_, staff) = changeable(tx, &by, &id).await?;
            accounts::ask_reset(tx, by.doer(), &staff).await?;
            let link = link_or_mail(tx, &staff, mail, now).await?;
            Ok::<_, Refused>((staff.email, link))
        })
        .await;
    app.nudge.send();
    match made {
        Ok((email, Some(link))) => Ok(link_page(&app, &signed_in, &email, &link)),
        Ok((_, None)) => Ok(frame::done("/dashboard/team", "reset")),
        Err(refused) => refusal(&signed_in, refused),
    }
}

/// `POST /dashboard/team/{id}/role`.
pub async fn role(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let role = Role::parse(typed.get("role"));
    let (by, page, was) = (signed_in.clone(), id.clone(), Role::parse(typed.get("was")));
    let changed = app
        .db
        .write(async move |tx| {
            let (covers, staff) = changeable(tx, &by, &id).await?;
            if was.is_some_and(|was| was != staff.role) {
                return Err(Refused::Changed);
            }
            let role = role.filter(|role| covers.covers(*role));
            let role = role.ok_or(Refused::NotYours)?;
            accounts::change_role(tx, by.doer(), staff.id.as_str(), role).await?;
            Ok::<_, Refused>((staff, role))
        })
        .await;
    match changed {
        Ok((staff, role)) => {
            // Here at once; other nodes hear of it when they look.
            app.oauth.caps.set(staff.id.as_str(), role.scopes());
            let page = format!("/dashboard/team/{}", staff.id);
            Ok(match staff.signed_in_at {
                _ if staff.role == role => frame::done(&page, "same"),
                // Their invitation ended: the page has the button for another link.
                None => frame::done(&page, "role"),
                Some(_) => frame::done("/dashboard/team", "role"),
            })
        }
        Err(Refused::Changed) => {
            let mut wrong = Wrong::default();
            let detail = "somebody else changed it meanwhile: this is what it is now";
            wrong.add("role", "Role", detail);
            member(&app, &signed_in, page, wrong).await
        }
        Err(refused) => refusal(&signed_in, refused),
    }
}

/// `POST /dashboard/team/{id}/disable`.
pub async fn disable(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let (by, name, member_id) = (signed_in.clone(), typed.get("email").to_owned(), id.clone());
    let closed = app
        .db
        .write(async move |tx| {
            let (_, staff) = changeable(tx, &by, &id).await?;
            if !staff.email.eq_ignore_ascii_case(&name) {
                return Ok(None);
            }
            let ended = accounts::close(tx, by.doer(), staff.id.as_str()).await?;
            Ok::<_, Refused>(Some((staff.id, ended)))
        })
        .await;
    match closed {
        Ok(Some((id, ended))) => {
            // Here at once; other nodes hear of it when they look.
            app.oauth.caps.set(id.as_str(), Scopes::NONE);
            forget(&app, &ended);
            app.nudge.send();
            Ok(frame::done("/dashboard/team", "disabled"))
        }
        Ok(None) => {
            let mut wrong = Wrong::default();
            wrong.add("email", "Email", "this is not theirs: nothing was closed");
            member(&app, &signed_in, member_id, wrong).await
        }
        Err(refused) => refusal(&signed_in, refused),
    }
}
