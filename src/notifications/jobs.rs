//! The delivery of queued notifications.
//!
//! A job is claimed, the transition to `sending` committed, the message sent outside any
//! transaction, and the outcome committed together with the end of the job. When the worker dies in
//! between, the lease ends and the message is sent again with the same Message-ID: late or twice
//! recognisably, never lost.

use super::email::{Email, Mailer, Sending, deliverable};
use super::notification::{Category, Channel, Reason, Status, TRIES_MAX, TURNS, retry_at, subject};
use super::store::{self, Pending, Step};
use crate::app::App;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, NewEvent};
use platform::jobs::{self, Job};
use platform::secrets::random_bytes;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// The kind of job that delivers one notification.
pub const KIND: &str = "notification.send";
/// Deliveries at the same time.
pub const DELIVERIES_MAX: usize = 4;
/// Whom the event log names for what happens here.
const ACTOR: &str = "notifications";
/// How often an idle worker looks without being nudged: retries fall due, other nodes enqueue.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a nudged worker waits before it looks: every write of the product nudges, and looking
/// after each one would cost more than the deliveries.
const LOOK_DELAY: Duration = Duration::from_millis(50);

/// Delivers what falls due until `stop` is ready, then finishes what it has begun.
pub async fn run(app: App, stop: impl Future<Output = ()>) {
    let mailer = mailer(&app);
    let mut deliveries = JoinSet::new();
    let mut turn = 0;
    let mut stop = std::pin::pin!(stop);
    loop {
        while deliveries.len() < DELIVERIES_MAX {
            let Some(job) = take(&app, &mut turn).await else {
                break;
            };
            let (app, mailer) = (app.clone(), mailer.clone());
            deliveries.spawn(async move { deliver(&app, mailer.as_ref(), &job).await });
        }
        tokio::select! {
            () = &mut stop => break,
            Some(_) = deliveries.join_next() => {}
            () = nudged(&app), if deliveries.len() < DELIVERIES_MAX => {}
        }
    }
    // Each is bounded by the time of one delivery.
    while deliveries.join_next().await.is_some() {}
}

/// Delivers everything that is due now, one after the other, and returns how many jobs were run.
pub async fn run_due(app: &App) -> usize {
    let mailer = mailer(app);
    let (mut turn, mut done) = (0, 0);
    while let Some(job) = take(app, &mut turn).await {
        deliver(app, mailer.as_ref(), &job).await;
        done += 1;
    }
    done
}

async fn nudged(app: &App) {
    app.nudge.wait(LOOK_EVERY).await;
    tokio::time::sleep(LOOK_DELAY).await;
}

fn mailer(app: &App) -> Option<Mailer> {
    Mailer::new(&app.config).unwrap_or_else(|error| {
        tracing::error!(%error, "no email is sent");
        None
    })
}

/// Claims one job: of the lane whose turn it is, or else the most urgent one.
async fn take(app: &App, turn: &mut usize) -> Option<Job> {
    let lane = TURNS[*turn % TURNS.len()].lane();
    *turn = turn.wrapping_add(1);
    let now = app.clock.now();
    let claimed = async {
        let own = jobs::claim_lane(&app.db, KIND, lane, ACTOR, now, 1).await?;
        if !own.is_empty() {
            return Ok(own);
        }
        jobs::claim(&app.db, KIND, ACTOR, now, 1).await
    };
    let claimed: Result<Vec<Job>, DbError> = claimed.await;
    match claimed {
        Ok(mut jobs) => jobs.pop(),
        Err(error) => {
            tracing::error!(%error, "notifications could not be claimed; trying again soon");
            None
        }
    }
}

async fn deliver(app: &App, mailer: Option<&Mailer>, job: &Job) {
    let outcome = async {
        let begun = begin(app, mailer.is_some(), job).await?;
        if let (Some((pending, email)), Some(mailer)) = (begun, mailer) {
            let sending = mailer.send(&email).await;
            record(app, job, pending, sending).await?;
        }
        Ok::<(), DbError>(())
    };
    if let Err(error) = outcome.await {
        tracing::error!(%error, job = job.id, "a notification is tried again when its lease ends");
    }
    app.nudge.send();
}

/// Why a message is held back: first whether the channel exists at all, then whether the user agreed to
/// such messages, then whether there is an address.
fn held_back(pending: &Pending, mail_is_set: bool) -> Result<lettre::Address, Reason> {
    if pending.channel != Channel::Email || !mail_is_set {
        return Err(Reason::ChannelNotConfigured);
    }
    let consent: Value = pending
        .consent
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let agreed = consent[pending.channel.as_str()] == json!(true);
    if pending.category == Category::Marketing && !agreed {
        return Err(Reason::OptedOut);
    }
    pending
        .email
        .as_deref()
        .and_then(deliverable)
        .ok_or(Reason::NoAddress)
}

/// Decides whether the message leaves. `Some` when it does: it is `sending` then.
async fn begin(
    app: &App,
    mail_is_set: bool,
    job: &Job,
) -> Result<Option<(Pending, Email)>, DbError> {
    let now = app.clock.now();
    let job = job.clone();
    let payload: Value = serde_json::from_str(&job.payload).unwrap_or_default();
    let id = payload["notification_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    app.db
        .write(async move |tx| {
            let pending = store::pending(tx, &id)
                .await?
                .filter(|pending| !pending.status.is_final());
            let Some(mut pending) = pending else {
                jobs::finish(tx, &job).await?; // a worker that lost its lease has ended it
                return Ok(None);
            };
            let end = match (pending.expires_at <= now, job.attempt > TRIES_MAX) {
                (true, _) => Some(Reason::Expired),
                (_, true) => Some(Reason::TriesUsedUp),
                _ => None,
            };
            if let Some(reason) = end {
                end_dead(tx, &job, &pending, (reason, "not tried again"), now).await?;
                return Ok(None);
            }
            match held_back(&pending, mail_is_set) {
                Err(reason) => {
                    let step = Step {
                        reason: Some(reason),
                        ..Step::to(Status::Suppressed)
                    };
                    transition(tx, &pending, &step, Some("notification.suppressed"), now).await?;
                    jobs::finish(tx, &job).await?;
                    Ok(None)
                }
                Ok(to) => {
                    if !transition(tx, &pending, &Step::to(Status::Sending), None, now).await? {
                        return Ok(None);
                    }
                    pending.version += 1;
                    let email = Email {
                        notification_id: pending.id.clone(),
                        to,
                        subject: subject(pending.title.as_deref(), &pending.message),
                        text: pending.message.clone(),
                        at: pending.created_at,
                    };
                    Ok(Some((pending, email)))
                }
            }
        })
        .await
}

/// Writes down what came of a try and ends the job or puts it off.
async fn record(app: &App, job: &Job, pending: Pending, sending: Sending) -> Result<(), DbError> {
    let now = app.clock.now();
    let job = job.clone();
    let dice = u64::from_le_bytes(random_bytes());
    app.db
        .write(async move |tx| match sending {
            Sending::Accepted(detail) => {
                let step = Step {
                    detail: Some(detail),
                    ..Step::to(Status::Sent)
                };
                if transition(tx, &pending, &step, Some("notification.sent"), now).await? {
                    jobs::finish(tx, &job).await?;
                }
                Ok(())
            }
            Sending::Refused(detail) => {
                end_dead(tx, &job, &pending, (Reason::Refused, &detail), now).await
            }
            Sending::Failed(detail) => {
                let Some(again_at) = retry_at(job.attempt, dice, now, pending.expires_at) else {
                    let last = job.attempt >= TRIES_MAX;
                    let reason = if last {
                        Reason::TriesUsedUp
                    } else {
                        Reason::Expired
                    };
                    return end_dead(tx, &job, &pending, (reason, &detail), now).await;
                };
                let step = Step {
                    detail: Some(detail),
                    ..Step::to(Status::Retrying)
                };
                if transition(tx, &pending, &step, None, now).await? {
                    jobs::fail(tx, &job, Status::Retrying.as_str(), Some(again_at)).await?;
                }
                Ok(())
            }
        })
        .await
}

/// The end that is not wished for; the job stays, dead, where operators see it. It holds the reason alone: what
/// the receiving side said often names the person, and is kept only where it can be forgotten.
async fn end_dead(
    tx: &mut Tx,
    job: &Job,
    pending: &Pending,
    (reason, detail): (Reason, &str),
    now: Timestamp,
) -> Result<(), DbError> {
    let step = Step {
        status: Status::Dead,
        reason: Some(reason),
        detail: Some(detail.to_owned()),
    };
    if transition(tx, pending, &step, Some("notification.failed"), now).await? {
        jobs::fail(tx, job, reason.as_str(), None).await?;
    }
    Ok(())
}

/// Why a message that was given up is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRevived {
    #[error("its message was sent, held back or forgotten meanwhile")]
    Gone,
    #[error("its message is too old to be sent")]
    Expired,
}

/// Lets the message of a dead job be sent after all, in the transaction that puts the job back into its queue. Whether
/// its person still agrees to it is looked at when it is its turn.
pub async fn revive(
    tx: &mut Tx,
    payload: &str,
    now: Timestamp,
) -> Result<Result<(), NotRevived>, DbError> {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let id = payload["notification_id"].as_str().unwrap_or_default();
    let dead = store::pending(tx, id).await?;
    let dead = dead.filter(|found| found.status == Status::Dead && !found.message.is_empty());
    let Some(dead) = dead else {
        return Ok(Err(NotRevived::Gone));
    };
    if dead.expires_at <= now {
        return Ok(Err(NotRevived::Expired));
    }
    let step = Step {
        detail: Some("an operator asked for it".to_owned()),
        ..Step::to(Status::Retrying)
    };
    match transition(tx, &dead, &step, None, now).await? {
        true => Ok(Ok(())),
        false => Ok(Err(NotRevived::Gone)),
    }
}

/// Makes a transition and tells the event log, if it is of interest outside. Returns false, with
/// nothing changed, when another worker has taken over.
async fn transition(
    tx: &mut Tx,
    pending: &Pending,
    step: &Step,
    kind: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    if !store::advance(tx, &pending.id, pending.version, step, now).await? {
        return Ok(false);
    }
    if let Some(kind) = kind {
        let data = json!({
            "user_id": pending.user_id, "type": pending.channel, "priority": pending.priority, "reason": step.reason
        });
        event(
            tx,
            kind,
            (&pending.id, pending.version + 1),
            ACTOR,
            &data,
            now,
        )
        .await?;
    }
    Ok(true)
}

/// Appends an event about the notification `(id, version)`. Texts and addresses stay out of the log.
pub(super) async fn event(
    tx: &mut Tx,
    kind: &str,
    (id, version): (&str, i64),
    actor: &str,
    data: &Value,
    at: Timestamp,
) -> Result<(), DbError> {
    let data = data.to_string();
    let event = NewEvent {
        kind,
        object_type: "notification",
        object_id: id,
        object_version: version,
        actor,
        data: &data,
        at,
    };
    events::append(tx, &event).await
}
