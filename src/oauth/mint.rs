//! A short token of a client without its secret: for somebody who is trusted to hand out secrets, to try a
//! request in the browser. The token dies with the client's newest secret, as if it had been got with it.

use super::api::TokenAnswer;
use super::client::Client;
use super::memory::OpenError;
use super::token::{Grant, IssueError};
use crate::app::App;
use crate::dashboard::staff::Staff;
use platform::clock::Timestamp;
use std::net::IpAddr;

/// How long it lives.
pub const TTL_SECONDS: u32 = 300;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    #[error("the client is revoked, has expired or has no secret that works")]
    NoSecret,
    #[error("the client may do nothing that you may do")]
    NoScope,
    #[error("the client may not call from your address")]
    Address,
    #[error("tokens of this client are bound to a key that only it has")]
    Bound,
    #[error(transparent)]
    Keys(#[from] OpenError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// A token of `client` for `staff`, good for five minutes, with what both may. It is worth as much as the role is: with
/// another one, or when the account is closed, it may less.
pub async fn mint(
    app: &App,
    client: &Client,
    (staff, address): (&Staff, IpAddr),
    now: Timestamp,
) -> Result<TokenAnswer, MintError> {
    let at = now.to_jiff();
    let is_over = |end: Option<jiff::Timestamp>| end.is_some_and(|end| at >= end);
    let live = client
        .secrets
        .iter()
        .filter(|secret| !is_over(secret.expires_at));
    let secret = live.max_by_key(|secret| secret.created_at);
    let usable = client.disabled_at.is_none() && !is_over(client.expires_at);
    let secret = secret.filter(|_| usable).ok_or(MintError::NoSecret)?;
    if !client.allows(address) {
        return Err(MintError::Address);
    }
    let scopes = client.scopes.and(staff.role.scopes());
    if scopes.is_empty() {
        return Err(MintError::NoScope);
    }
    if client.dpop_bound {
        return Err(MintError::Bound);
    }
    let algorithm = client.signing_alg;
    app.oauth.ensure_key(&app.db, algorithm, now).await?;
    let grant = Grant {
        client_id: &client.id,
        secret_id: &secret.id,
        subject: staff.id.as_str(),
        scopes,
        algorithm,
        ttl_seconds: TTL_SECONDS,
        bound_to: None,
    };
    let (access_token, claims) = app.oauth.signer.issue(grant, at)?;
    Ok(TokenAnswer {
        access_token,
        token_type: "Bearer",
        expires_in: TTL_SECONDS,
        scope: claims.scope.to_string(),
        refresh_token: None,
    })
}
