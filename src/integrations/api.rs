//! Handlers of `/v2/integrations`, and the look at the mail server.

use super::integration::{Health, HealthState, Integration, Status, all};
use crate::app::App;
use crate::config::Config;
use crate::error::{Result, not_found};
use crate::notifications::email::Mailer;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use platform::clock::Timestamp;
use platform::http::{Operation, Page, PageQuery, Path, Query, Reply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the last look at the mail server is good for.
const LOOK_LIFE: Duration = Duration::from_secs(30);

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListIntegrations {
    #[serde(flatten)]
    pub page: PageQuery,
}

/// What `GET /v2/integrations` promises.
pub fn list_operation() -> Operation {
    Operation::new("listIntegrations", "Integrations", "Lists available integrations.")
        .describe("Only what really works with this server is listed. The mail server is asked at most every 30 seconds.")
        .query::<ListIntegrations>()
        .returns::<Vec<Integration>>(200, "The integrations, by id.")
        .example(json!(examples()))
}

/// All of them where a mail server answers.
fn examples() -> Vec<Integration> {
    let health = Health {
        state: HealthState::Ok,
        checked_at: Timestamp::parse("2023-10-27T10:00:00Z").ok(),
        detail: "the server answers".to_owned(),
    };
    all((Status::Connected, health), "https://shop.example.com")
}

/// `GET /v2/integrations`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListIntegrations>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let all = current(&app).await;
    let total = page.include_total.then_some(all.len() as i64);
    let after = page
        .after
        .as_ref()
        .and_then(|key| key.first())
        .map_or("", String::as_str);
    let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let fetch = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
    let rows = all
        .into_iter()
        .filter(|one| one.id > after)
        .skip(skip)
        .take(fetch)
        .collect();
    Ok(page.reply(
        rows,
        total,
        &app.config.public_url,
        &app.cursors,
        |one: &Integration| vec![one.id.to_owned()],
    ))
}

/// What `GET /v2/integrations/{id}` promises.
pub fn get_operation() -> Operation {
    Operation::new(
        "getIntegration",
        "Integrations",
        "Retrieves a specific integration by its ID.",
    )
    .returns::<Integration>(200, "The integration.")
    .example(json!(examples().pop()))
}

/// `GET /v2/integrations/{id}`.
pub async fn get(State(app): State<App>, Path(id): Path) -> Result<Reply> {
    let found = current(&app).await.into_iter().find(|one| one.id == id);
    let integration = found.ok_or_else(|| not_found("integration", &id))?;
    Ok(Reply::json(StatusCode::OK, &integration))
}

async fn current(app: &App) -> Vec<Integration> {
    all(
        smtp(&app.config, app.clock.now()).await,
        &app.config.public_url,
    )
}

type Look = (Status, Health);

/// What is known of the mail server; asked again after 30 seconds. Who comes meanwhile waits for the
/// one question (2 s at most) instead of asking too.
async fn smtp(config: &Config, now: Timestamp) -> Look {
    // Of the process, by the URL in its settings: one entry, but for tests that run many programs.
    static LOOKS: Mutex<BTreeMap<Option<String>, (Timestamp, Look)>> =
        Mutex::const_new(BTreeMap::new());
    let mut looks = LOOKS.lock().await;
    if let Some((looked_at, look)) = looks.get(&config.smtp_url)
        && *looked_at <= now
        && now < *looked_at + LOOK_LIFE
    {
        return look.clone();
    }
    let look = look_at_smtp(config, now).await;
    looks.insert(config.smtp_url.clone(), (now, look.clone()));
    look
}

async fn look_at_smtp(config: &Config, now: Timestamp) -> Look {
    let health = |state, checked_at, detail: String| Health {
        state,
        checked_at,
        detail,
    };
    let mailer = match Mailer::new(config) {
        Ok(Some(mailer)) => mailer,
        Ok(None) => {
            let detail = "not configured: email is suppressed with channel_not_configured";
            return (
                Status::Available,
                health(HealthState::Unknown, None, detail.to_owned()),
            );
        }
        Err(error) => {
            return (
                Status::Error,
                health(HealthState::Failing, None, error.to_string()),
            );
        }
    };
    match mailer.probe().await {
        Ok(()) => (
            Status::Connected,
            health(HealthState::Ok, Some(now), "the server answers".to_owned()),
        ),
        Err(reason) => (
            Status::Error,
            health(HealthState::Failing, Some(now), reason),
        ),
    }
}
