//! How a client gets tokens, as a form of the page of its credentials.

use super::credentials::{Said, beyond_role, find, refused, show};
use crate::app::App;
use crate::dashboard::deed::differences;
use crate::dashboard::fields::Fields;
use crate::dashboard::visit::{Form, SignedIn};
use crate::dashboard::wrong::Wrong;
use crate::dashboard::{frame, store};
use crate::error::Result;
use crate::oauth::flows::redirect::RedirectUri;
use crate::oauth::flows::registration::{Registration, Unfit, register_over};
use crate::oauth::request::GrantType;
use crate::oauth::{AdminError, ListedClient};
use axum::extract::State;
use axum::response::Response;
use platform::http::Path;
use platform::secrets::sha256_hex;
use serde_json::{Value, json};

/// The field of the redirect URIs.
const REDIRECTS: &str = "redirect_uris";

/// The flows of a client as its form shows them.
#[derive(Debug)]
pub(super) struct FlowsForm {
    pub grant_types: Vec<(&'static str, &'static str, bool)>,
    pub redirect_uris: String,
    pub is_public: bool,
    /// What the form's page showed, to be compared with when it comes back.
    pub seen: String,
}

impl FlowsForm {
    pub fn of(registration: &Registration) -> FlowsForm {
        let uris = registration.redirect_uris().iter().map(RedirectUri::as_str);
        FlowsForm {
            grant_types: grant_types(|one| registration.allows(one)),
            redirect_uris: uris.collect::<Vec<_>>().join("\n"),
            is_public: registration.is_public(),
            seen: mark(registration),
        }
    }

    /// As it was typed, over what is stored now.
    fn again(typed: &Fields, stored: &Registration) -> FlowsForm {
        FlowsForm {
            grant_types: grant_types(|one| typed.all("grant_type").any(|name| name == one.name())),
            redirect_uris: typed.get("redirect_uris").to_owned(),
            is_public: typed.get("public") == "yes",
            seen: mark(stored),
        }
    }
}

fn grant_types(chosen: impl Fn(GrantType) -> bool) -> Vec<(&'static str, &'static str, bool)> {
    let entry = |one: GrantType| {
        let words = match one {
            GrantType::ClientCredentials => "It acts for itself, with its secret.",
            GrantType::AuthorizationCode => "People are sent here and allow it to act for them.",
            GrantType::DeviceCode => "Devices without a browser show a code that people type here.",
            GrantType::RefreshToken => "It goes on acting for them while they are away.",
        };
        (one.name(), words, chosen(one))
    };
    GrantType::ALL.into_iter().map(entry).collect()
}

/// The flows that were typed.
fn read_flows(typed: &Fields) -> std::result::Result<Registration, Wrong> {
    let mut wrong = Wrong::default();
    let mut uris = Vec::new();
    for uri in typed.get("redirect_uris").split_whitespace() {
        match RedirectUri::parse(uri) {
            Ok(uri) => uris.push(uri),
            Err(error) => wrong.add(REDIRECTS, "Redirect URIs", &format!("{uri}: {error}")),
        }
    }
    let chosen = typed.all("grant_type").filter_map(GrantType::from_name);
    match Registration::new(chosen, uris, typed.get("public") == "yes") {
        Ok(registration) => wrong.or(registration),
        Err(_) if !wrong.is_empty() => Err(wrong),
        Err(unfit @ (Unfit::NoRedirect | Unfit::TooManyRedirects)) => {
            wrong.add(REDIRECTS, "Redirect URIs", &unfit.to_string());
            Err(wrong)
        }
        Err(unfit) => {
            wrong.add("grant_type", "Flows", &unfit.to_string());
            Err(wrong)
        }
    }
}

/// What tells one registration from another.
fn mark(registration: &Registration) -> String {
    sha256_hex(told(registration).to_string().as_bytes())[..16].to_owned()
}

/// What is wrong when somebody else changed the settings since the form's page was shown.
fn changed_meanwhile(stored: &Registration) -> Wrong {
    let now = told(stored);
    let shown = |name: &str| match now[name].as_str().unwrap_or_default() {
        "" => "none".to_owned(),
        shown => shown.to_owned(),
    };
    let public = if stored.is_public() { "yes" } else { "no" };
    Wrong::line(&format!(
        "somebody else changed these settings meanwhile: now the flows are {}, the redirect URIs {}, public {public}. The form \
        holds yours: look at it and save it again",
        shown("flows"),
        shown("redirect_uris"),
    ))
}

/// A registration for the log.
fn told(registration: &Registration) -> Value {
    let chosen = GrantType::ALL
        .into_iter()
        .filter(|one| registration.allows(*one));
    let chosen: Vec<&str> = chosen.map(GrantType::name).collect();
    let uris = registration.redirect_uris().iter().map(RedirectUri::as_str);
    let uris: Vec<&str> = uris.collect();
    let public = registration.is_public();
    json!({ "flows": chosen.join(", "), "redirect_uris": uris.join(" "), "public": public })
}

/// `POST /dashboard/credentials/{id}/flows`.
pub async fn set_flows(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(id): Path,
    Form(typed): Form,
) -> Result<Response> {
    let client = find(&app, &id).await?;
    // Where people are sent is where what they allow goes.
    if let Some(refusal) = beyond_role(&signed_in, client.scopes) {
        return Ok(refusal);
    }
    let set = match read_flows(&typed) {
        Ok(registration) => set(&app, &signed_in, (&client, registration), &typed).await?,
        Err(wrong) => Err((client.clone(), wrong)),
    };
    match set {
        Ok(()) => {
            app.nudge.send();
            let place = format!("/dashboard/credentials/{}", client.id);
            Ok(frame::done(&place, "flows"))
        }
        Err((client, wrong)) => {
            let said = Said {
                flows: FlowsForm::again(&typed, &client.registration),
                wrong,
                ..Said::of(&client)
            };
            Ok(show(&app, &signed_in, &client, said))
        }
    }
}

/// Stores the settings, unless somebody else changed them since the form's page was shown: then what they are now, and
/// what to say.
async fn set(
    app: &App,
    signed_in: &SignedIn,
    (client, registration): (&ListedClient, Registration),
    typed: &Fields,
) -> Result<std::result::Result<(), (ListedClient, Wrong)>> {
    let (id, now, by) = (client.id.clone(), signed_in.visit.now(), signed_in.clone());
    let (before, after) = (told(&client.registration), told(&registration));
    let seen = typed.get("seen").to_owned();
    let set: std::result::Result<(), AdminError> = app
        .db
        .write(async move |tx| {
            let fits = |stored: &Registration| {
                seen.is_empty() || seen == mark(stored) || told(stored) == after
            };
            register_over(tx, &id, &registration, fits, now).await?;
            let object = ("client", id.as_str());
            let changed = differences(&before, &after);
            if !changed.is_empty() {
                let deed = "client.flows_changed";
                store::note_change(tx, by.doer(), deed, object, &changed).await?;
            }
            Ok(())
        })
        .await;
    match set {
        Err(AdminError::Changed(id)) => {
            let client = find(app, id.as_str()).await?;
            let wrong = changed_meanwhile(&client.registration);
            Ok(Err((client, wrong)))
        }
        other => Ok(Ok(other.map_err(refused)?)),
    }
}
