//! All SQL of the notifications.

use super::api::{ListNotifications, NewNotification};
use super::notification::{
    Category, Channel, Notification, NotificationBody, NotificationId, Reason, Status, Transition,
    attempts,
};
use crate::metadata::Metadata;
use crate::users::UserId;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, Tx};
use platform::http::Page;
use platform::params;

/// Transitions read of one notification: eight tries make 17, and a lost lease adds one each time.
const TRANSITIONS_MAX: i64 = 200;

/// Inserts a queued notification with its first transition.
pub async fn insert(
    tx: &mut Tx,
    queued: &Notification,
    new: &NewNotification,
    expires_at: Timestamp,
) -> Result<(), DbError> {
    let created_at = Timestamp::from_micros(queued.created_micros);
    let sql = "INSERT INTO notifications (id, user_id, type, priority, status, category, title, message,
        metadata, created_at, updated_at, expires_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, 1)";
    let (title, metadata) = (new.heading(), new.metadata.to_json());
    let params = params![
        queued.id,
        queued.user_id,
        queued.channel,
        queued.priority,
        queued.status,
        new.category,
        title,
        new.message,
        metadata,
        created_at,
        expires_at
    ];
    tx.execute(sql, params).await?;
    insert_event(
        tx,
        queued.id.as_str(),
        1,
        &Step::to(queued.status),
        created_at,
    )
    .await
}

/// The change that a transition makes.
#[derive(Clone, Debug)]
pub struct Step {
    pub status: Status,
    pub reason: Option<Reason>,
    /// What the receiving side answered.
    pub detail: Option<String>,
}

impl Step {
    /// To `status`, with nothing more to say.
    pub fn to(status: Status) -> Step {
        Step {
            status,
            reason: None,
            detail: None,
        }
    }
}

async fn insert_event(
    tx: &mut Tx,
    id: &str,
    version: i64,
    step: &Step,
    at: Timestamp,
) -> Result<(), DbError> {
    let sql = "INSERT INTO notification_events (notification_id, version, status, reason, detail, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    tx.execute(
        sql,
        params![id, version, step.status, step.reason, step.detail, at],
    )
    .await
    .map(drop)
}

/// Makes the transition if the notification is still at `version`; otherwise another worker, which
/// took over when the lease ended, was faster, and nothing changes. Returns whether it was made. What the
/// receiving side said of somebody who was forgotten meanwhile is not kept.
pub async fn advance(
    tx: &mut Tx,
    id: &str,
    version: i64,
    step: &Step,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sent_at = (step.status == Status::Sent).then_some(now);
    let sql = "UPDATE notifications SET status = $3, reason = $4, sent_at = COALESCE($5, sent_at), updated_at = $6,
        version = version + 1 WHERE id = $1 AND version = $2 RETURNING message";
    let forgotten = tx
        .fetch_optional(
            sql,
            params![id, version, step.status, step.reason, sent_at, now],
            |row| Ok(row.get::<&str>(0)?.is_empty()),
        )
        .await?;
    let Some(forgotten) = forgotten else {
        return Ok(false);
    };
    let mut step = step.clone();
    step.detail = step.detail.filter(|_| !forgotten);
    insert_event(tx, id, version + 1, &step, now).await?;
    Ok(true)
}

/// What a worker needs to know of a notification.
#[derive(Clone, Debug)]
pub struct Pending {
    pub id: String,
    pub channel: Channel,
    pub status: Status,
    pub title: Option<String>,
    pub message: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub version: i64,
    /// `None` when the user was deleted meanwhile.
    pub email: Option<String>,
    /// The user's consent, JSON.
    pub consent: Option<String>,
    pub user_id: String,
    pub priority: String,
    pub category: Category,
}

/// The notification `id` and its recipient.
pub async fn pending(tx: &mut Tx, id: &str) -> Result<Option<Pending>, DbError> {
    let sql = "SELECT n.id, n.type, n.status, n.title, n.message, n.created_at, n.expires_at, n.version,
            u.email, u.consent, n.user_id, n.priority, n.category
        FROM notifications n LEFT JOIN users u ON u.id = n.user_id AND u.deleted_at IS NULL WHERE n.id = $1";
    tx.fetch_optional(sql, params![id], |row| {
        Ok(Pending {
            id: row.get(0)?,
            channel: row.get(1)?,
            status: row.get(2)?,
            title: row.get(3)?,
            message: row.get(4)?,
            created_at: row.get(5)?,
            expires_at: row.get(6)?,
            version: row.get(7)?,
            email: row.get(8)?,
            consent: row.get(9)?,
            user_id: row.get(10)?,
            priority: row.get(11)?,
            category: row.get(12)?,
        })
    })
    .await
}

fn notification(row: &Row<'_>) -> Result<Notification, DbError> {
    let created_at: Timestamp = row.get(5)?;
    Ok(Notification {
        id: row.get(0)?,
        user_id: row.get(1)?,
        channel: row.get(2)?,
        priority: row.get(3)?,
        status: row.get(4)?,
        created_at,
        created_micros: created_at.micros(),
    })
}

fn filtered<'a>(base: &str, query: &'a ListNotifications) -> Select<'a> {
    let mut select = Select::new(base);
    select.and_some(
        "user_id = {}",
        query.user_id.as_ref().map(|id| Param::Text(id.as_str())),
    );
    select.and_some(
        "status = {}",
        query.status.map(|status| Param::Text(status.as_str())),
    );
    select.and_some(
        "type = {}",
        query.channel.map(|channel| Param::Text(channel.as_str())),
    );
    select
}

/// One more than the page holds, oldest first.
pub async fn list(
    tx: &mut Tx,
    query: &ListNotifications,
    page: &Page,
) -> Result<Vec<Notification>, DbError> {
    let base =
        "SELECT id, user_id, type, priority, status, created_at FROM notifications WHERE 0 = 0";
    let mut select = filtered(base, query);
    let after = page.after_time_and_id();
    if let Some((time, id)) = &after {
        select.push("AND").bind(
            "(created_at, id) > ({}, {})",
            &[Param::Int(*time), Param::Text(id)],
        );
    }
    select
        .push("ORDER BY created_at, id")
        .window(page.fetch(), page.offset);
    select.fetch_all(tx, notification).await
}

/// Those to one user, oldest first, at most `limit`.
pub async fn ids_of(
    tx: &mut Tx,
    user_id: &UserId,
    limit: i64,
) -> Result<Vec<NotificationId>, DbError> {
    let sql = "SELECT id FROM notifications WHERE user_id = $1 ORDER BY created_at, id LIMIT $2";
    tx.fetch_all(sql, params![user_id, limit], |row| row.get(0))
        .await
}

/// How many the filter lets through.
pub async fn count(tx: &mut Tx, query: &ListNotifications) -> Result<i64, DbError> {
    let select = filtered("SELECT COUNT(*) FROM notifications WHERE 0 = 0", query);
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

/// The notification with its tries.
pub async fn find(tx: &mut Tx, id: &NotificationId) -> Result<Option<NotificationBody>, DbError> {
    let sql =
        "SELECT id, user_id, type, priority, status, created_at, title, message, metadata, reason,
        sent_at, expires_at, updated_at, version, category FROM notifications WHERE id = $1";
    let found = tx
        .fetch_optional(sql, params![id], |row| {
            Ok(NotificationBody {
                notification: notification(row)?,
                category: row.get(14)?,
                title: row.get(6)?,
                message: row.get(7)?,
                metadata: row.get::<Metadata>(8)?,
                reason: row
                    .get::<Option<&str>>(9)?
                    .map(|word| Reason::from_word(word, 9))
                    .transpose()?,
                sent_at: row.get(10)?,
                expires_at: row.get(11)?,
                attempts: Vec::new(),
                updated_at: row.get(12)?,
                version: row.get(13)?,
            })
        })
        .await?;
    let Some(mut body) = found else {
        return Ok(None);
    };
    // The version again, so that a transition made meanwhile is not shown half.
    let sql = "SELECT status, detail, created_at FROM notification_events
        WHERE notification_id = $1 AND version <= $2 ORDER BY version LIMIT $3";
    let transitions = tx
        .fetch_all(sql, params![id, body.version, TRANSITIONS_MAX], |row| {
            Ok(Transition {
                status: row.get(0)?,
                detail: row.get(1)?,
                at: row.get(2)?,
            })
        })
        .await?;
    body.attempts = attempts(&transitions);
    Ok(Some(body))
}

/// Takes what was said to the user, and what receivers answered, out of their notifications. That there were
/// messages, and what became of them, stays. One that is being sent keeps its version, by which its worker
/// knows it; [`advance`] sees that its message is gone.
pub async fn forget(tx: &mut Tx, user_id: &UserId, now: Timestamp) -> Result<(), DbError> {
    // First the messages: a worker that writes down an answer holds its row, and is waited for here.
    let sql =
        "UPDATE notifications SET title = NULL, message = '', metadata = '{}', updated_at = $2,
        version = version + CASE WHEN status = 'sending' THEN 0 ELSE 1 END WHERE user_id = $1";
    tx.execute(sql, params![user_id, now]).await?;
    let sql = "UPDATE notification_events SET detail = NULL WHERE detail IS NOT NULL
        AND notification_id IN (SELECT id FROM notifications WHERE user_id = $1)";
    tx.execute(sql, params![user_id]).await.map(drop)
}
