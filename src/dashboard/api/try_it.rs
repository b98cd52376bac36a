//! `/dashboard/try-it`: tokens for the forms of the API reference, which whoever is signed in may send without
//! typing a secret. Answers are JSON, for the script of that page.

use crate::app::App;
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::error::{Result, not_found};
use crate::oauth::client::ClientId;
use crate::oauth::list_clients;
use crate::oauth::mint::{MintError, mint};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::http::{Problem, Reply, codes};
use serde_json::json;

/// Clients that are offered; whoever has more types the id and the secret of one.
const OFFERED_MAX: usize = 100;

/// `GET /dashboard/try-it`: the clients to choose from, and the token of the form to send.
pub async fn get(State(app): State<App>, signed_in: SignedIn) -> Result<Response> {
    let now = signed_in.visit.now();
    let listed = list_clients(&mut app.db.read().await?).await?;
    let lives = |end: Option<platform::clock::Timestamp>| end.is_none_or(|end| now < end);
    let clients: Vec<_> = listed
        .iter()
        .rev() // the newest first
        .filter(|client| {
            client.disabled_at.is_none() && lives(client.expires_at) && !client.dpop_bound
        })
        .filter(|client| client.secrets.iter().any(|secret| lives(secret.expires_at)))
        .take(OFFERED_MAX)
        .map(|client| json!({ "id": client.id.as_str(), "name": client.name }))
        .collect();
    Ok(answer(
        &json!({ "form": signed_in.visit.form_token(), "clients": clients }),
    ))
}

/// `POST /dashboard/try-it`: a token of the client that was chosen, good for five minutes and for no more than
/// whoever asks may do.
pub async fn token(
    State(app): State<App>,
    signed_in: SignedIn,
    Form(typed): Form,
) -> Result<Response> {
    let now = signed_in.visit.now();
    let id = typed.get("client");
    let missing = || not_found("client", id);
    let id: ClientId = id.parse().map_err(|_| missing())?;
    let client = app.oauth.client_afresh(&app.db, &id, now).await?;
    let client = client.ok_or_else(missing)?;
    let whom = (&signed_in.staff, signed_in.visit.address());
    let minted = mint(&app, &client, whom, now).await.map_err(refused)?;
    app.db
        .write(async move |tx| {
            store::note(
                tx,
                signed_in.doer(),
                "client.tried",
                ("client", id.as_str()),
            )
            .await
        })
        .await?;
    Ok(answer(&minted))
}

fn refused(error: MintError) -> Problem {
    match error {
        MintError::NoSecret | MintError::NoScope | MintError::Bound | MintError::Address => {
            Problem::new(&codes::CONFLICT, error.to_string())
        }
        MintError::Keys(_) | MintError::Issue(_) => {
            tracing::error!(%error, "no token could be issued");
            Problem::new(&codes::INTERNAL, "no token could be issued")
        }
    }
}

fn answer(body: &impl serde::Serialize) -> Response {
    Reply::json(StatusCode::OK, body)
        .with(header::CACHE_CONTROL, "no-store")
        .into_response()
}
