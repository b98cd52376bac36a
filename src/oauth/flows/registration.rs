//! What a client may do at these endpoints, as an operator registers it (the names are those of RFC 7591).

use super::super::admin::AdminError;
use super::super::client::ClientId;
use super::super::request::GrantType;
use super::super::store as clients;
use super::redirect::RedirectUri;
use super::store;
use platform::clock::Timestamp;
use platform::db::Tx;
use platform::events::{self, NewEvent};
use serde_json::json;

/// Most redirect URIs of one client.
pub const REDIRECT_URIS_MAX: usize = 20;

/// The flows of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    grant_types: Vec<GrantType>,
    redirect_uris: Vec<RedirectUri>,
    is_public: bool,
}

/// Why flows do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("choose at least one grant type")]
    Nothing,
    #[error("authorization_code needs a redirect URI")]
    NoRedirect,
    #[error("a client has at most 20 redirect URIs")]
    TooManyRedirects,
    #[error("refresh_token goes with authorization_code or the device flow")]
    OnlyRefresh,
    #[error("a public client has no secret and cannot use client_credentials")]
    PublicSecret,
}

impl Default for Registration {
    /// A program that acts for itself.
    fn default() -> Registration {
        Registration {
            grant_types: vec![GrantType::ClientCredentials],
            redirect_uris: Vec::new(),
            is_public: false,
        }
    }
}

impl Registration {
    /// Flows that go together.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn new(
        grant_types: impl IntoIterator<Item = GrantType>,
        redirect_uris: Vec<RedirectUri>,
        is_public: bool,
    ) -> Result<Registration, Unfit> {
        let chosen: Vec<GrantType> = grant_types.into_iter().collect();
        let all = GrantType::ALL.into_iter();
        let grant_types: Vec<GrantType> = all.filter(|known| chosen.contains(known)).collect();
        let has = |wanted| grant_types.contains(&wanted);
        let for_users = has(GrantType::AuthorizationCode) || has(GrantType::DeviceCode);
        if grant_types.is_empty() {
            Err(Unfit::Nothing)
        } else if has(GrantType::AuthorizationCode) && redirect_uris.is_empty() {
            Err(Unfit::NoRedirect)
        } else if redirect_uris.len() > REDIRECT_URIS_MAX {
            Err(Unfit::TooManyRedirects)
        } else if has(GrantType::RefreshToken) && !for_users {
            Err(Unfit::OnlyRefresh)
        } else if is_public && has(GrantType::ClientCredentials) {
            Err(Unfit::PublicSecret)
        } else {
            Ok(Registration {
                grant_types,
                redirect_uris,
                is_public,
            })
        }
    }

    /// Whether the client may use this flow.
    pub fn allows(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Its flows, in the order of [`GrantType::ALL`].
    pub fn grant_types(&self) -> &[GrantType] {
        &self.grant_types
    }

    /// Where its users may be sent back to.
    pub fn redirect_uris(&self) -> &[RedirectUri] {
        &self.redirect_uris
    }

    /// Whether it can keep no secret: an app on somebody's own device. It says who it is and proves nothing.
    pub fn is_public(&self) -> bool {
        self.is_public
    }
}

/// Gives a client other flows.
pub async fn register(
    tx: &mut Tx,
    id: &ClientId,
    registration: &Registration,
    now: Timestamp,
) -> Result<(), AdminError> {
    register_over(tx, id, registration, |_| true, now).await
}

/// Gives a client other flows, if those that it has are as `fits` wants them. Nobody else changes them in between.
///
/// # Errors
/// [`AdminError::Changed`] when they are not; the transaction is to be rolled back then.
pub async fn register_over(
    tx: &mut Tx,
    id: &ClientId,
    registration: &Registration,
    fits: impl FnOnce(&Registration) -> bool,
    now: Timestamp,
) -> Result<(), AdminError> {
    let touched = clients::touch_client(tx, id, now).await?;
    let version = touched.ok_or_else(|| AdminError::NoClient(id.clone()))?;
    let client = clients::find_client(tx, id).await?;
    let Some(client) = client.filter(|client| client.disabled_at.is_none()) else {
        return Err(AdminError::Revoked(id.clone()));
    };
    if !fits(&client.registration) {
        return Err(AdminError::Changed(id.clone()));
    }
    store::set_registration(tx, id, registration).await?;
    let names = registration.grant_types().iter().map(|one| one.name());
    let data =
        json!({ "grant_types": names.collect::<Vec<_>>(), "public": registration.is_public() });
    let event = NewEvent {
        kind: "client.flows_changed",
        object_type: "client",
        object_id: id.as_str(),
        object_version: version,
        actor: "operator",
        data: &data.to_string(),
        at: now,
    };
    Ok(events::append(tx, &event).await?)
}

#[cfg(test)]
mod tests {
    use super::super::super::request::GrantType::*;
    use super::*;

    #[test]
    fn flows_go_together_or_are_refused() {
        let uri = || vec![RedirectUri::parse("https://app.example/cb").unwrap()];
        for (grant_types, uris, public, expected) in [
            (vec![], uri(), false, Err(Unfit::Nothing)),
            (
                vec![AuthorizationCode],
                vec![],
                false,
                Err(Unfit::NoRedirect),
            ),
            (
                vec![AuthorizationCode],
                vec![uri()[0].clone(); 21],
                true,
                Err(Unfit::TooManyRedirects),
            ),
            (
                vec![ClientCredentials, RefreshToken],
                uri(),
                false,
                Err(Unfit::OnlyRefresh),
            ),
            (
                vec![ClientCredentials],
                vec![],
                true,
                Err(Unfit::PublicSecret),
            ),
            (vec![RefreshToken, AuthorizationCode], uri(), true, Ok(2)),
            (vec![DeviceCode, RefreshToken], vec![], true, Ok(2)),
            (vec![ClientCredentials], vec![], false, Ok(1)),
        ] {
            let made = Registration::new(grant_types, uris, public);
            assert_eq!(made.map(|made| made.grant_types().len()), expected);
        }
        let made = Registration::new([RefreshToken, AuthorizationCode], uri(), true).unwrap();
        assert_eq!(made.grant_types(), [AuthorizationCode, RefreshToken]);
        assert!(made.allows(RefreshToken) && !made.allows(ClientCredentials) && made.is_public());
    }
}
