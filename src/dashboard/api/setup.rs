//! `/dashboard/setup`: the first run.

use super::shown::Shown;
use crate::app::App;
use crate::dashboard::accounts::{self, AccountError, Setup};
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::staff::{LinkKind, Shop, check_password, parse_email};
use crate::dashboard::visit::{Asked, Form, Visit, token_hash};
use crate::dashboard::{guard, password, store};
use crate::error::Result;
use crate::money::Currency;
use crate::oauth::Scopes;
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use platform::http::Problem;
use platform::secrets::Secret;

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage<'a> {
    frame: Frame,
    token: &'a str,
    email: &'a str,
    shop: &'a str,
    currency: &'a str,
    time_zone: &'a str,
    currencies: Vec<&'static str>,
    /// The field at fault and what was expected.
    wrong: (&'a str, &'a str),
}

impl<'a> SetupPage<'a> {
    fn new(visit: &Visit, token: &'a str, typed: &'a Fields, wrong: (&'a str, &'a str)) -> Self {
        let or = |text: &'a str, default| if text.is_empty() { default } else { text };
        SetupPage {
            frame: Frame::new(visit, "Set up your shop"),
            token,
            email: typed.get("email"),
            shop: typed.get("shop"),
            currency: or(typed.get("currency"), "USD"),
            time_zone: or(typed.get("time_zone"), "UTC"),
            currencies: Currency::codes(),
            wrong,
        }
    }
}

/// `GET /dashboard/setup`.
pub async fn get(
    State(app): State<App>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let query = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    let token = query.get("token");
    if link(&app, &visit, token).await?.is_none() {
        return Ok(gone(&visit));
    }
    let typed = Fields::default();
    let page = SetupPage::new(&visit, token, &typed, ("", ""));
    Ok(frame::page(StatusCode::OK, &page))
}

/// The stored form of a token that can still be used here.
async fn link(app: &App, visit: &Visit, token: &str) -> Result<Option<String>> {
    let Some(hash) = token_hash(token) else {
        return Ok(None);
    };
    let mut tx = app.db.read().await?;
    let found = store::find_link(&mut tx, &hash, visit.now()).await?;
    let alive = matches!(found, Some((LinkKind::Setup, _)));
    Ok((alive && !store::has_staff(&mut tx).await?).then_some(hash))
}

fn gone(visit: &Visit) -> Response {
    let detail = match visit.staff() {
        Some(_) => {
            "The shop is set up, and you are signed in. The secret of its first credentials was shown once: if you did not \
            copy it, rotate it on the page API credentials."
        }
        None => {
            "This setup link was used already or is older than a day. If the shop has an owner, sign in; if not, start the \
            server again: it prints a new link."
        }
    };
    let title = "This link no longer works";
    frame::message(visit, StatusCode::GONE, title, detail)
}

/// What was typed, checked.
fn read(typed: &Fields) -> std::result::Result<(String, Shop), (&'static str, &'static str)> {
    let email = parse_email(typed.get("email")).map_err(|expected| ("email", expected))?;
    check_password(typed.exact("password"), &email).map_err(|expected| ("password", expected))?;
    let (shop, zone) = (typed.get("shop"), typed.get("time_zone"));
    Ok((email, Shop::parse(shop, typed.get("currency"), zone)?))
}

/// `POST /dashboard/setup`. The answer itself shows the credentials: they are stored nowhere.
pub async fn set_up(State(app): State<App>, visit: Visit, Form(typed): Form) -> Result<Response> {
    let token = typed.get("token");
    let Some(hash) = link(&app, &visit, token).await? else {
        return Ok(gone(&visit));
    };
    let (email, shop) = match read(&typed) {
        Ok(read) => read,
        Err(wrong) => {
            let page = SetupPage::new(&visit, token, &typed, wrong);
            return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let password_hash = password::hash(Secret::new(typed.exact("password").to_owned())).await?;
    let setup = Setup {
        email,
        password_hash,
        shop: shop.clone(),
    };
    let (device, now) = (visit.device().clone(), visit.now());
    let made = app
        .db
        .write(async move |tx| accounts::set_up(tx, &hash, &setup, &device, now).await)
        .await;
    let made = match made {
        Ok(made) => made,
        Err(AccountError::Db(error)) => return Err(Problem::from(error)),
        Err(_) => return Ok(gone(&visit)),
    };
    app.nudge.send();
    // The page already belongs to the new session: its forms must.
    let hash = token_hash(made.session.expose()).unwrap_or_default();
    let signed_in = store::find_session(&mut app.db.read().await?, &hash).await?;
    let asked = Asked::new("/dashboard/credentials", now);
    let device = visit.device().clone();
    let key = match &signed_in {
        Some((_, session)) => app.dashboard.form_key(session),
        None => made.session.clone(),
    };
    let visit = Visit::new(signed_in, Some(shop), key, device, asked);
    let id = made.client_id.as_str();
    let mut response = Shown::new(&app, id, made.secret.expose(), Scopes::all())
        .response(&visit, "Your shop is ready");
    guard::begin_session(&mut response, made.session.expose());
    Ok(response)
}
