//! "Connected apps": what somebody allowed apps to do for them, and how they take it back.

use crate::app::App;
use crate::dashboard::show::When;
use crate::dashboard::visit::SignedIn;
use crate::dashboard::{frame, store as dashboard};
use crate::error::{Result, not_found};
use crate::oauth::Scope;
use crate::oauth::flows::grant::GrantId;
use crate::oauth::flows::revoke::{forget, revoke};
use crate::oauth::flows::store::{self, ListedGrant};
use axum::extract::State;
use axum::response::Response;
use platform::db::{DbError, Tx};
use platform::http::Path;

/// An app that acts for somebody.
#[derive(Debug)]
pub(super) struct AppRow {
    pub id: String,
    pub name: String,
    pub scopes: Vec<&'static str>,
    pub since: When,
    pub used: Option<When>,
    pub ends: When,
}

/// The apps that act for whoever is signed in.
pub(super) async fn rows(
    tx: &mut Tx,
    signed_in: &SignedIn,
) -> std::result::Result<Vec<AppRow>, DbError> {
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let grants = store::grants_of(tx, &signed_in.staff.id, now).await?;
    let row = |grant: ListedGrant| AppRow {
        id: grant.id.to_string(),
        name: grant.name,
        scopes: grant.scopes.iter().map(Scope::name).collect(),
        since: When::new(grant.created_at, now, &zone),
        used: grant.last_used_at.map(|at| When::new(at, now, &zone)),
        ends: When::new(grant.ends_at, now, &zone),
    };
    Ok(grants.into_iter().map(row).collect())
}

/// `POST /dashboard/account/apps/{id}/revoke`.
pub async fn revoke_app(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    let grant_id = GrantId::parse(&id).ok_or_else(|| not_found("grant", &id))?;
    let ended: std::result::Result<Option<GrantId>, DbError> = app
        .db
        .write(async move |tx| {
            let grant = store::hold_grant(tx, &grant_id).await?;
            let own = grant.filter(|grant| grant.staff_id == signed_in.staff.id);
            let Some(grant) = own else {
                return Ok(None);
            };
            let now = signed_in.visit.now();
            let why = ("grant.revoked", signed_in.staff.id.as_str());
            if revoke(tx, &grant, why, now).await? {
                let object = ("grant", grant.id.as_str());
                dashboard::note(tx, signed_in.doer(), "grant.revoked", object).await?;
            }
            Ok(Some(grant.id))
        })
        .await;
    let ended = ended?.ok_or_else(|| not_found("grant", &id))?;
    forget(&app, &[ended]);
    app.nudge.send();
    Ok(frame::done("/dashboard/account", "app"))
}
