//! Views of one's own: kept and removed.

use crate::app::App;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::{frame, store, views};
use crate::error::{Result, not_found};
use axum::extract::State;
use axum::response::Response;
use platform::db::DbError;
use platform::http::{Path, Problem, codes};

/// `POST /dashboard/views`.
pub async fn keep(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let (listed, name, query) =
        views::parse(&typed).map_err(|wrong| Problem::new(&codes::INVALID_BODY, wrong))?;
    let (now, stored) = (signed_in.visit.now(), query.clone());
    let kept: std::result::Result<bool, DbError> = app
        .db
        .write(async move |tx| {
            let view = (listed.name, name.as_str(), stored.as_str());
            store::insert_view(tx, &signed_in.staff.id, view, now).await
        })
        .await;
    match kept? {
        true => Ok(frame::see_other(&format!("{}?{query}", listed.path))),
        false => {
            let detail = "You have 20 views of this list: remove one first";
            Err(Problem::new(&codes::CONFLICT, detail))
        }
    }
}

/// `POST /dashboard/views/{id}/remove`.
pub async fn remove(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
) -> Result<Response> {
    let view = id.clone();
    let removed: std::result::Result<Option<String>, DbError> = app
        .db
        .write(async move |tx| store::remove_view(tx, &signed_in.staff.id, &view).await)
        .await;
    let list = removed?.ok_or_else(|| not_found("view", &id))?;
    let listed = views::LISTS.into_iter().find(|one| one.name == list);
    Ok(frame::see_other(
        listed.map_or("/dashboard", |one| one.path),
    ))
}
