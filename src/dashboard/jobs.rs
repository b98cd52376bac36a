//! Mail with one-time links. A queued job says for whom and why; the link is made when the mail is sent, so that the
//! queue holds no secret, and a job that is tried again sends another link.

use super::accounts::{self, OneTimeLink};
use super::staff::{LinkKind, Staff};
use super::store::{self, Doer};
use crate::app::App;
use crate::notifications::email::{Email, Mailer, Sending, deliverable};
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::jobs::{self, Job, NewJob};
use serde_json::{Value, json};
use std::time::Duration;

/// The kind of job that sends one mail.
pub const KIND: &str = "staff.mail";
const OWNER: &str = "dashboard";
/// Urgent: somebody waits in front of a screen.
const LANE: i64 = 0;
/// Tries before a mail is given up.
const TRIES_MAX: i64 = 6;
/// Pause before the second try, and the longest one.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(30 * 60));
/// How often an idle worker looks without being nudged.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a nudged worker waits before it looks: every write nudges.
const LOOK_DELAY: Duration = Duration::from_millis(50);
/// Links to one mailbox that strangers ask for are so far apart.
const FORGOT_EVERY: Duration = Duration::from_secs(5 * 60);

/// Whom a mail is for.
#[derive(Clone, Copy, Debug)]
pub enum To<'a> {
    /// A member of staff, asked for by another one.
    Staff(&'a str),
    /// Whoever has this email, if anybody has. Nobody looks before the mail is sent: asking takes as long for an
    /// email that nobody has.
    Forgotten { email: &'a str, address: &'a str },
}

/// Queues a mail with a link.
pub async fn enqueue(tx: &mut Tx, to: To<'_>, now: Timestamp) -> Result<(), DbError> {
    let payload = match to {
        To::Staff(id) => json!({ "staff_id": id }),
        To::Forgotten { email, address } => json!({ "email": email, "address": address }),
    };
    let job = NewJob {
        kind: KIND,
        payload: &payload.to_string(),
        priority: LANE,
        run_at: now,
        attempts_max: TRIES_MAX,
    };
    jobs::enqueue(tx, &job, now).await.map(drop)
}

/// Sends what falls due until `stop` is ready.
pub async fn run(app: App, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        run_due(&app).await;
        tokio::select! {
            () = &mut stop => return,
            () = nudged(&app) => {}
        }
    }
}

async fn nudged(app: &App) {
    app.nudge.wait(LOOK_EVERY).await;
    tokio::time::sleep(LOOK_DELAY).await;
}

/// Sends all mails that are due now and returns how many jobs were run.
pub async fn run_due(app: &App) -> usize {
    let mailer = Mailer::new(&app.config).unwrap_or_else(|error| {
        tracing::error!(%error, "no email is sent");
        None
    });
    let mut done = 0;
    loop {
        let now = app.clock.now();
        let job = match jobs::claim_lane(&app.db, KIND, LANE, OWNER, now, 1).await {
            Ok(mut claimed) => claimed.pop(),
            Err(error) => {
                tracing::error!(%error, "mails could not be claimed; trying again soon");
                None
            }
        };
        let Some(job) = job else { return done };
        if let Err(error) = deliver(app, mailer.as_ref(), &job).await {
            tracing::error!(%error, job = job.id, "a mail is tried again when its lease ends");
        }
        done += 1;
    }
}

async fn deliver(app: &App, mailer: Option<&Mailer>, job: &Job) -> Result<(), DbError> {
    let (now, owned) = (app.clock.now(), job.clone());
    let Some(mailer) = mailer else {
        let write = async move |tx: &mut Tx| jobs::fail(tx, &owned, "no mailer", None).await;
        return app.db.write(write).await.map(drop);
    };
    let made = app
        .db
        .write(async move |tx| make_link(tx, &owned, now).await);
    let Some((staff, link)) = made.await? else {
        return Ok(());
    };
    let Some(to) = deliverable(&staff.email) else {
        return Ok(());
    };
    let shop = store::shop(&mut app.db.read().await?).await?;
    let (subject, text) = words(
        &shop.unwrap_or_default().name,
        &link,
        &app.config.public_url,
    );
    let sending = mailer
        .send(&Email {
            notification_id: format!("{}-{}", job.id, job.attempt),
            to,
            subject,
            text,
            at: now,
        })
        .await;
    let owned = job.clone();
    app.db
        .write(async move |tx| {
            let wait = jobs::backoff(owned.attempt, PAUSE.0, PAUSE.1);
            match sending {
                Sending::Accepted(_) => jobs::finish(tx, &owned).await,
                Sending::Failed(why) => jobs::fail(tx, &owned, &why, Some(now + wait))
                    .await
                    .map(drop),
                Sending::Refused(why) => jobs::fail(tx, &owned, &why, None).await.map(drop),
            }
        })
        .await
}

/// The link to be sent; `None`, and the job is done, when nobody is to get one.
async fn make_link(
    tx: &mut Tx,
    job: &Job,
    now: Timestamp,
) -> Result<Option<(Staff, OneTimeLink)>, DbError> {
    let payload: Value = serde_json::from_str(&job.payload).unwrap_or_default();
    let text = |name: &str| payload[name].as_str();
    let staff = match (text("staff_id"), text("email")) {
        (Some(id), _) => store::find_open(tx, id).await?,
        (None, Some(email)) => forgotten(tx, email, now).await?,
        _ => None,
    };
    let Some(staff) = staff.filter(|staff| deliverable(&staff.email).is_some()) else {
        jobs::finish(tx, job).await?;
        return Ok(None);
    };
    if let (Some(address), 1) = (text("address"), job.attempt) {
        let doer = Doer {
            actor: "anonymous",
            who: "somebody",
            address,
            now,
        };
        let object = ("staff", staff.id.as_str());
        store::note(tx, doer, "staff.reset_asked", object).await?;
    }
    let link = accounts::link_for(tx, &staff, now).await?;
    Ok(Some((staff, link)))
}

/// Who has this email, unless a link was sent there a moment ago.
async fn forgotten(tx: &mut Tx, email: &str, now: Timestamp) -> Result<Option<Staff>, DbError> {
    let found = store::find_by_email(tx, email).await?;
    let Some((staff, _)) = found.filter(|(staff, _)| staff.disabled_at.is_none()) else {
        return Ok(None);
    };
    let last = store::link_made_at(tx, &staff.id).await?;
    Ok(last
        .is_none_or(|last| last + FORGOT_EVERY <= now)
        .then_some(staff))
}

fn words(shop: &str, link: &OneTimeLink, url: &str) -> (String, String) {
    let address = link.address(url);
    match link.kind() {
        LinkKind::Invitation => (
            format!("Your account at {shop}"),
            format!(
                "You were invited to the dashboard of {shop}.\n\nChoose your password here within 7 days; the link works once:\n\n{address}\n"
            ),
        ),
        LinkKind::Setup | LinkKind::Reset => (
            format!("Choose another password at {shop}"),
            format!(
                "Somebody asked for another password for your account at {shop}.\n\nIf it was you, choose it here within an hour; the link works once:\n\n{address}\n\nIf not, there is nothing to do: your password stays as it is.\n"
            ),
        ),
    }
}
