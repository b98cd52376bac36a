//! Handlers and wire types of `/v2/notifications`.

use super::jobs::{KIND, event};
use super::notification::{
    Category, Channel, LIFE, Notification, NotificationBody, NotificationId, Priority, Status,
    TRIES_MAX,
};
use super::store;
use crate::app::App;
use crate::error::{self, Result};
use crate::metadata::Metadata;
use crate::oauth::Caller;
use crate::users::store::Remembered;
use crate::users::{self, UserId};
use axum::extract::{OriginalUri, State};
use platform::http::{
    Command, Operation, Page, PageQuery, Path, Problem, Query, Reply, codes, given,
};
use platform::jobs::NewJob;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// A message to be sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-rules" = [{ "not": { "allOf": [given("title"), given("subject")] } }]))]
pub struct NewNotification {
    /// Who gets it.
    pub user_id: UserId,
    /// The text, as it is.
    #[schemars(length(min = 1, max = 10_000))]
    pub message: String,
    /// The way it takes.
    #[serde(rename = "type")]
    pub channel: Channel,
    /// How urgent it is; `normal` when left away.
    #[serde(default)]
    pub priority: Priority,
    /// What it is about; `transactional` when left away.
    #[serde(default)]
    pub category: Category,
    /// The heading, of an email its subject; made from the message when left away. One line.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^\x00-\x1f\x7f]*$"))]
    pub title: Option<String>,
    /// The same as `title`; not together with it.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[^\x00-\x1f\x7f]*$"))]
    pub subject: Option<String>,
    /// The caller's own keys and values, given back with the notification.
    #[serde(default)]
    pub metadata: Metadata,
}

impl NewNotification {
    /// The title, under whichever name it came.
    pub fn heading(&self) -> Option<&str> {
        self.title.as_deref().or(self.subject.as_deref())
    }

    fn check(&self) -> Result<()> {
        if self.title.is_none() || self.subject.is_none() {
            return Ok(());
        }
        let detail = "title and subject are two names of one field: send one";
        Err(Problem::new(&codes::INVALID_BODY, detail).at("#/subject", "excluded", detail))
    }
}

fn unknown_user(id: &UserId) -> Problem {
    let detail = format!("there is no user `{id}`");
    Problem::new(&error::UNKNOWN_USER, detail.clone()).at("#/user_id", "unknown_user", detail)
}

fn forgotten_user(id: &UserId) -> Problem {
    let detail = format!("`{id}` was anonymized: nothing can be sent to them");
    Problem::new(&error::USER_ANONYMIZED, detail.clone()).at("#/user_id", "user_anonymized", detail)
}

/// What `POST /v2/notifications` promises.
pub fn create_operation() -> Operation {
    Operation::new("createNotification", "Notifications", "Sends a notification.")
        .describe(
            "The message is queued and delivered right after; `GET /v2/notifications/{id}` tells what became of it. \
             It ends as `sent`, as `suppressed` with a `reason` (`channel_not_configured`, `no_address`, for marketing also `opted_out`) \
             or, after up to eight tries within 72 hours, as `dead`. A receiver's final refusal ends it at once.\n\n\
             Urgent messages go first, but not for ever: of 15 deliveries that could all begin, 8 are `critical`, \
             4 `high`, 2 `normal` and 1 `low`.",
        )
        .body::<NewNotification>()
        .body_example(json!({
            "user_id": "user_123", "message": "Your order has been shipped!", "type": "email", "priority": "high"
        }))
        .returns::<Notification>(202, "It is queued; `Location` is where it can be watched.")
        .example(example())
        .errors(&[&error::UNKNOWN_USER, &error::USER_ANONYMIZED])
}

fn example() -> serde_json::Value {
    json!({
        "id": "ntf_01jd3v9m2n8q4r6t0w5y7z1c3e", "user_id": "user_123", "type": "email", "priority": "high",
        "status": "queued", "created_at": "2023-10-27T10:00:00Z"
    })
}

/// The same one some seconds later: greylisted at first, then taken.
fn example_delivered() -> serde_json::Value {
    json!({
        "id": "ntf_01jd3v9m2n8q4r6t0w5y7z1c3e", "user_id": "user_123", "type": "email", "priority": "high",
        "status": "sent", "created_at": "2023-10-27T10:00:00Z", "category": "transactional", "title": null,
        "message": "Your order has been shipped!", "metadata": {}, "reason": null, "sent_at": "2023-10-27T10:00:02Z",
        "expires_at": "2023-10-30T10:00:00Z",
        "attempts": [
            { "number": 1, "started_at": "2023-10-27T10:00:01Z", "ended_at": "2023-10-27T10:00:01Z", "outcome": "failed",
              "detail": "451 4.7.1 Greylisted, come back later" },
            { "number": 2, "started_at": "2023-10-27T10:00:02Z", "ended_at": "2023-10-27T10:00:02Z", "outcome": "sent",
              "detail": "250 2.0.0 Ok" }
        ],
        "updated_at": "2023-10-27T10:00:02Z", "version": 5
    })
}

/// `POST /v2/notifications`: the message, its job and its event commit together or not at all.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    command: Command<NewNotification>,
) -> Result<Reply> {
    let Command { body: new, once } = command;
    new.check()?;
    let now = app.clock.now();
    app.write_once(once, async move |tx| {
        match users::store::hold(tx, &new.user_id).await? {
            None => return Err(unknown_user(&new.user_id)),
            Some(Remembered::No) => return Err(forgotten_user(&new.user_id)),
            Some(Remembered::Yes) => {}
        }
        let queued = Notification {
            id: NotificationId::new(),
            user_id: new.user_id.clone(),
            channel: new.channel,
            priority: new.priority,
            status: Status::Queued,
            created_at: now,
            created_micros: now.micros(),
        };
        let id = queued.id.as_str();
        store::insert(tx, &queued, &new, now + LIFE).await?;
        let job = NewJob {
            kind: KIND,
            payload: &json!({ "notification_id": id }).to_string(),
            priority: queued.priority.lane(),
            run_at: now,
            attempts_max: TRIES_MAX,
        };
        platform::jobs::enqueue(tx, &job, now).await?;
        let data = json!({ "user_id": queued.user_id, "type": queued.channel, "priority": queued.priority });
        event(tx, "notification.queued", (id, 1), &caller.client_id, &data, now).await?;
        // The answer names nobody, but the key's fingerprint is made of the message.
        Ok(Reply::accepted(&format!("/v2/notifications/{id}"), &queued).about(new.user_id.as_str()))
    })
    .await
}

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListNotifications {
    #[serde(flatten)]
    pub page: PageQuery,
    /// Only those to this user.
    pub user_id: Option<UserId>,
    /// Only those that are in this state.
    pub status: Option<Status>,
    /// Only those that take this way.
    #[serde(rename = "type")]
    pub channel: Option<Channel>,
}

/// What `GET /v2/notifications` promises.
pub fn list_operation() -> Operation {
    Operation::new(
        "listNotifications",
        "Notifications",
        "Retrieves a list of notifications.",
    )
    .query::<ListNotifications>()
    .returns::<Vec<Notification>>(200, "The notifications, oldest first.")
    .example(json!([example()]))
}

/// `GET /v2/notifications`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListNotifications>,
) -> Result<Reply> {
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let rows = store::list(&mut tx, &query, &page).await?;
    let total = match page.include_total {
        true => Some(store::count(&mut tx, &query).await?),
        false => None,
    };
    Ok(
        page.reply(rows, total, &app.config.public_url, &app.cursors, |row| {
            vec![row.created_micros.to_string(), row.id.to_string()]
        }),
    )
}

/// What `GET /v2/notifications/{id}` promises.
pub fn get_operation() -> Operation {
    Operation::new(
        "getNotification",
        "Notifications",
        "Retrieves a specific notification by its ID.",
    )
    .returns::<NotificationBody>(200, "The notification and each try to deliver it.")
    .example(example_delivered())
}

/// `GET /v2/notifications/{id}`.
pub async fn get(State(app): State<App>, Path(id): Path) -> Result<Reply> {
    let missing = || error::not_found("notification", &id);
    let parsed = NotificationId::parse(&id).ok_or_else(missing)?;
    let mut tx = app.db.read().await?;
    let body: NotificationBody = store::find(&mut tx, &parsed).await?.ok_or_else(missing)?;
    Ok(Reply::entity(body.version, &body))
}
