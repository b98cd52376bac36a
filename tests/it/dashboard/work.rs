//! Jobs as people see them.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use platform::db::DbError;
use platform::jobs::{self, NewJob};
use serde_json::json;
use std::time::Duration;

async fn owner(app: &TestApp) -> Browser {
    browser::set_up(app).await;
    let mut owner = Browser::new(app);
    owner.sign_in(OWNER, PASSWORD).await;
    owner
}

/// A notification whose job was given up after its first try.
async fn dead_notification(app: &TestApp) -> String {
    let api = app
        .client("users:write notifications:write notifications:read")
        .await;
    let user = json!({ "username": "ada", "email": "ada@example.com" });
    let user = api.post("/v2/users", user).await.json();
    let body = json!({ "user_id": user["id"], "message": "It has left.", "type": "email" });
    let made = api.post("/v2/notifications", body).await;
    assert!(made.status < 300, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let now = app.clock.now();
    let claimed = jobs::claim(&app.db, "notification.send", "me", now, 1).await;
    let job = claimed.unwrap().pop().unwrap();
    let notification = id.clone();
    let done: Result<(), DbError> = app
        .db
        .write(async move |tx| {
            use tradepost::notifications::notification::{Reason, Status};
            use tradepost::notifications::store::{Step, advance, pending};
            let found = pending(tx, &notification).await?.unwrap();
            let step = Step {
                reason: Some(Reason::Refused),
                ..Step::to(Status::Dead)
            };
            assert!(advance(tx, &notification, found.version, &step, now).await?);
            jobs::fail(tx, &job, "refused", None).await.map(drop)
        })
        .await;
    done.unwrap();
    id
}

#[tokio::test]
async fn what_was_given_up_is_seen_and_tried_again() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let empty = owner.get("/dashboard/jobs").await.text();
    assert!(empty.contains("Nothing is waiting"), "{empty}");
    let id = dead_notification(&app).await;
    let page = owner.get("/dashboard/jobs?state=dead").await.text();
    assert!(
        page.contains("Notification send") && page.contains("refused") && page.contains("1 of "),
        "{page}"
    );
    assert!(!page.contains(&id) && !page.contains("It has left"));
    let path = browser::between(&page, "action=\"/dashboard/jobs/", "\"");
    let path = format!("/dashboard/jobs/{path}");
    let done = owner.post(&path, &[]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let page = owner.get("/dashboard/jobs").await.text();
    assert!(
        page.contains("in its queue again") && page.contains("Waiting"),
        "{page}"
    );
    let api = app.client("notifications:read").await;
    let notification = api.get(&format!("/v2/notifications/{id}")).await.json();
    assert_eq!(notification["status"], "retrying", "{notification}");
    let twice = owner.post(&path, &[]).await;
    assert_eq!(twice.status, 404, "it is not dead any more");
    let audit = owner.get("/dashboard/audit").await.text();
    assert_eq!(audit.matches("Job retried").count(), 1, "{audit}");
}

#[tokio::test]
async fn what_is_too_old_is_not_sent_after_all() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    dead_notification(&app).await;
    app.clock.advance(Duration::from_secs(400 * 24 * 3600));
    owner.sign_in(OWNER, PASSWORD).await;
    let page = owner.get("/dashboard/jobs?state=dead").await.text();
    let path = browser::between(&page, "action=\"/dashboard/jobs/", "\"");
    let refused = owner.post(&format!("/dashboard/jobs/{path}"), &[]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("too old to be sent"));
    let page = owner.get("/dashboard/jobs?state=dead").await.text();
    assert!(page.contains(&path), "nothing was changed");
}

#[tokio::test]
async fn jobs_are_paged_newest_first() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let now = app.clock.now();
    let done: Result<(), DbError> = app
        .db
        .write(async move |tx| {
            for _ in 0..30 {
                let job = NewJob {
                    kind: "test",
                    payload: "{}",
                    priority: 2,
                    run_at: now,
                    attempts_max: 2,
                };
                jobs::enqueue(tx, &job, now).await?;
            }
            Ok(())
        })
        .await;
    done.unwrap();
    let first = owner.get("/dashboard/jobs").await.text();
    assert_eq!(first.matches(">job_").count(), 25);
    assert!(first.contains("data-label=\"Jobs\">30</td>"), "{first}");
    let next = browser::between(&first, "href=\"/dashboard/jobs?cursor=", "\"");
    let next = format!("/dashboard/jobs?cursor={}", next.replace("&#38;", "&"));
    let second = owner.get(&next).await.text();
    assert_eq!(second.matches(">job_").count(), 5, "{second}");
}
