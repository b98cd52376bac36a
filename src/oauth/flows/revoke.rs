//! What ends a grant before its time. All tokens that were got for it are dead with it.

use super::super::api::unavailable;
use super::super::client::ClientId;
use super::super::error::OAuthError;
use super::grant::{GrantId, RefreshToken, UserGrant};
use super::store;
use crate::app::App;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use serde_json::json;

/// Ends a grant and says why in the event log; whether it was alive.
pub async fn revoke(
    tx: &mut Tx,
    grant: &UserGrant,
    (kind, actor): (&str, &str),
    now: Timestamp,
) -> Result<bool, DbError> {
    if !store::revoke_grant(tx, &grant.id, now).await? {
        return Ok(false);
    }
    let data = json!({ "client_id": grant.client_id, "user_id": grant.staff_id });
    let event = NewEvent {
        kind,
        object_type: "grant",
        object_id: grant.id.as_str(),
        object_version: 2,
        actor,
        data: &data.to_string(),
        at: now,
    };
    events::append(tx, &event).await?;
    Ok(true)
}

/// Kills the tokens of grants that ended; on other nodes they die when these look.
pub fn forget(app: &App, ended: &[GrantId]) {
    let now = app.clock.now().to_jiff();
    for id in ended {
        let revocations = app.oauth.signer.revocations();
        revocations.revoke_grant(id.as_str(), now, now);
    }
}

/// Ends the grant of a refresh token, used or not. One that is not known is dead already (RFC 7009 §2.2).
///
/// # Errors
/// When the token belongs to another client.
pub async fn revoke_family(
    app: &App,
    client_id: &ClientId,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<(), OAuthError> {
    let (hash, client_id) = (token.hash(), client_id.clone());
    let ended: Result<Result<Option<GrantId>, OAuthError>, DbError> = app
        .db
        .write(async move |tx| {
            let Some(known) = store::find_refresh(tx, &hash).await? else {
                return Ok(Ok(None));
            };
            let Some(grant) = store::hold_grant(tx, &known.grant_id).await? else {
                return Ok(Ok(None));
            };
            if grant.client_id != client_id {
                return Ok(Err(OAuthError::UnauthorizedClient));
            }
            let why = ("grant.revoked", client_id.as_str());
            let ended = revoke(tx, &grant, why, now).await?;
            Ok(Ok(ended.then_some(grant.id)))
        })
        .await;
    if let Some(id) = ended.map_err(|error| unavailable(&error))?? {
        forget(app, &[id]);
        app.nudge.send();
    }
    Ok(())
}
