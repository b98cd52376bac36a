//! `/v2/notifications`: what is promised, and what a real SMTP counterpart sees of it.

pub mod smtp;

pub use smtp::MailServer;

use crate::app::{Client, TestApp};
use platform::db::DbError;
use platform::params;
use serde_json::{Value, json};
use std::time::Duration;
use tradepost::notifications::jobs::run_due;

/// A user with this address and consent, as the users chapter stores one.
pub async fn user(app: &TestApp, id: &str, email: &str, consent: &str) {
    let now = app.clock.now();
    let [id, email, consent] = [id, email, consent].map(str::to_owned);
    let stored: Result<u64, DbError> = app
        .db
        .write(async move |tx| {
            let sql = "INSERT INTO users (id, username, username_folded, email, email_folded, status, profile, addresses,
                consent, metadata, created_at, updated_at, version)
                VALUES ($1, $1, $1, $2, $2, 'active', '{}', '[]', $3, '{}', $4, $4, 1)";
            tx.execute(sql, params![id, email, consent, now]).await
        })
        .await;
    stored.expect("a user");
}

/// A shop with a mail server, alice, and a client that may send.
async fn shop() -> (TestApp, MailServer, Client) {
    let server = MailServer::start().await;
    let url = server.url();
    let app = TestApp::start_with(|config| {
        config.smtp_url = Some(url);
        config.mail_from = "Shop <shop@shop.example>".into();
    })
    .await;
    // What is stored for whoever was never asked.
    let nothing = r#"{"email":false,"sms":false,"push":false}"#;
    user(&app, "user_123", "alice@example.com", nothing).await;
    let client = app.client("notifications:read notifications:write").await;
    (app, server, client)
}

fn documented() -> Value {
    json!({ "user_id": "user_123", "message": "Your order has been shipped!", "type": "email", "priority": "high" })
}

async fn send(client: &Client, body: Value) -> String {
    let reply = client.post("/v2/notifications", body).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.header("location").to_owned()
}

#[tokio::test]
async fn the_documented_example_is_queued_and_then_delivered() {
    let (app, server, client) = shop().await;
    let reply = client.post("/v2/notifications", documented()).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let body = reply.json();
    let fields: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(
        fields,
        ["id", "user_id", "type", "priority", "status", "created_at"]
    );
    assert_eq!(
        (&body["status"], &body["created_at"]),
        (&"queued".into(), &"2023-10-27T10:00:00Z".into())
    );
    let id = body["id"].as_str().expect("an id");
    assert_eq!(reply.header("location"), format!("/v2/notifications/{id}"));
    assert_eq!(
        client.get(reply.header("location")).await.json()["attempts"],
        json!([])
    );

    assert_eq!(run_due(&app).await, 1);
    let now = client.get(reply.header("location")).await.json();
    assert_eq!(
        (&now["status"], &now["sent_at"]),
        (&"sent".into(), &"2023-10-27T10:00:00Z".into()),
        "{now}"
    );
    assert_eq!(
        (
            &now["attempts"][0]["number"],
            &now["attempts"][0]["outcome"]
        ),
        (&1.into(), &"sent".into())
    );
    assert_eq!(run_due(&app).await, 0, "sent once");

    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        (mails[0].from.as_str(), mails[0].to.as_str()),
        ("<shop@shop.example>", "<alice@example.com>")
    );
    let text = &mails[0].text;
    for line in [
        "From: Shop <shop@shop.example>",
        "To: alice@example.com",
        "Subject: Your order has been shipped!",
        "Date: Fri, 27 Oct 2023 10:00:00 +0000",
        &format!("Message-ID: <{id}@shop.example>"),
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Your order has been shipped!",
    ] {
        assert!(
            text.lines().any(|one| one == line),
            "{line} is not in\n{text}"
        );
    }
}

#[tokio::test]
async fn a_retry_with_the_same_key_sends_one_message() {
    let (app, server, client) = shop().await;
    for _ in 0..2 {
        let call = client.request(axum::http::Method::POST, "/v2/notifications");
        let reply = call
            .header("idempotency-key", "k1")
            .json(&documented())
            .send()
            .await;
        assert_eq!(reply.status, 202);
    }
    run_due(&app).await;
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_temporary_refusal_is_tried_again_later_with_the_same_message() {
    let (app, server, client) = shop().await;
    let location = send(&client, documented()).await;
    server.answer_next(&["451 4.7.1 Greylisted, come back later"]);
    assert_eq!(run_due(&app).await, 1);
    let now = client.get(&location).await.json();
    assert_eq!(
        (&now["status"], &now["sent_at"]),
        (&"retrying".into(), &Value::Null)
    );
    assert_eq!(now["attempts"][0]["outcome"], "failed");
    assert!(
        now["attempts"][0]["detail"]
            .as_str()
            .is_some_and(|text| text.contains("Greylisted")),
        "{now}"
    );
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(run_due(&app).await, 1, "the first wait is at most a second");
    let now = client.get(&location).await.json();
    assert_eq!(
        (&now["status"], &now["attempts"][1]["outcome"]),
        (&"sent".into(), &"sent".into()),
        "{now}"
    );
    let [refused, taken] = &server.mails()[..] else {
        panic!("two tries")
    };
    assert_eq!(
        refused.text, taken.text,
        "byte for byte, Message-ID and Date included"
    );
}

#[tokio::test]
async fn eight_temporary_refusals_are_the_end() {
    let (app, server, client) = shop().await;
    let location = send(&client, documented()).await;
    server.answer_next(&["421 4.3.2 Shutting down"; 9]);
    let mut tries = 0;
    for _ in 0..12 {
        tries += run_due(&app).await;
        app.clock.advance(Duration::from_secs(600));
    }
    let client = app.client("notifications:read").await; // the first token has expired
    let now = client.get(&location).await.json();
    assert_eq!(
        (tries, &now["status"], &now["reason"]),
        (8, &"dead".into(), &"tries_used_up".into()),
        "{now}"
    );
    assert_eq!(now["attempts"].as_array().map(Vec::len), Some(8));
}

#[tokio::test]
async fn a_final_refusal_is_the_end_at_once() {
    let (app, server, client) = shop().await;
    let location = send(&client, documented()).await;
    server.answer_next(&["550 5.1.1 No such user here"]);
    assert_eq!(run_due(&app).await, 1);
    let now = client.get(&location).await.json();
    assert_eq!(
        (&now["status"], &now["reason"]),
        (&"dead".into(), &"refused".into()),
        "{now}"
    );
    app.clock.advance(Duration::from_secs(3600));
    assert_eq!(run_due(&app).await, 0);
    let kinds = event_kinds(&app, &location).await;
    assert_eq!(kinds, ["notification.queued", "notification.failed"]);
}

async fn event_kinds(app: &TestApp, location: &str) -> Vec<String> {
    let id = location.rsplit('/').next().expect("an id");
    let mut tx = app.db.read().await.expect("a reader");
    let events = platform::events::of_object(&mut tx, "notification", id, 100, 0)
        .await
        .expect("events");
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_worker_that_dies_between_sending_and_writing_leaves_a_message_that_is_recognised() {
    let (app, server, client) = shop().await;
    let location = send(&client, documented()).await;
    // The server takes the message but never answers: the worker is killed while it waits.
    server.answer_next(&[smtp::SILENCE]);
    let (killed, watched) = (app.app.clone(), server.clone());
    let worker = tokio::spawn(async move { run_due(&killed).await });
    while watched.mails().is_empty() && !worker.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.abort();
    assert!(worker.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(client.get(&location).await.json()["status"], "sending");
    assert_eq!(run_due(&app).await, 0, "the lease still runs");
    app.clock
        .advance(platform::jobs::LEASE + Duration::from_secs(1));
    assert_eq!(run_due(&app).await, 1);
    let now = client.get(&location).await.json();
    assert_eq!(
        (&now["status"], &now["attempts"][0]["outcome"]),
        (&"sent".into(), &"interrupted".into()),
        "{now}"
    );
    assert_eq!(now["attempts"][1]["outcome"], "sent");
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].text, mails[1].text);
}

#[tokio::test]
async fn what_cannot_leave_says_why() {
    let (app, server, client) = shop().await;
    user(
        &app,
        "user_2",
        "bob@example.com",
        r#"{"email":false,"sms":true}"#,
    )
    .await;
    user(&app, "user_3", "12345@guest.invalid", "{}").await;
    user(&app, "user_4", "carol@example.com", r#"{"email":null}"#).await;
    user(&app, "user_5", "dave@example.com", r#"{"email":true}"#).await;
    let none = json!(null);
    for (user, kind, category, status, reason) in [
        (
            "user_123",
            "sms",
            "transactional",
            "suppressed",
            json!("channel_not_configured"),
        ),
        (
            "user_2",
            "push",
            "marketing",
            "suppressed",
            json!("channel_not_configured"),
        ),
        (
            "user_2",
            "email",
            "marketing",
            "suppressed",
            json!("opted_out"),
        ),
        ("user_2", "email", "transactional", "sent", none.clone()),
        (
            "user_3",
            "email",
            "transactional",
            "suppressed",
            json!("no_address"),
        ),
        (
            "user_4",
            "email",
            "marketing",
            "suppressed",
            json!("opted_out"),
        ),
        ("user_5", "email", "marketing", "sent", none),
    ] {
        let location = send(
            &client,
            json!({ "user_id": user, "message": "m", "type": kind, "category": category }),
        )
        .await;
        assert_eq!(run_due(&app).await, 1);
        let now = client.get(&location).await.json();
        assert_eq!(
            (&now["status"], &now["reason"]),
            (&status.into(), &reason),
            "{user} {kind} {category}"
        );
        assert_eq!(now["category"], category);
        let last = event_kinds(&app, &location).await.pop();
        assert_eq!(
            last.as_deref(),
            Some(format!("notification.{status}").as_str())
        );
    }
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test]
async fn without_a_mail_server_email_is_suppressed() {
    let app = TestApp::start().await;
    user(&app, "user_123", "alice@example.com", "{}").await;
    let client = app.client("notifications:read notifications:write").await;
    let location = send(&client, documented()).await;
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(
        client.get(&location).await.json()["reason"],
        "channel_not_configured"
    );
}

#[tokio::test]
async fn an_old_message_is_not_sent_late() {
    let (app, server, client) = shop().await;
    let location = send(&client, documented()).await;
    app.clock.advance(Duration::from_secs(72 * 3600));
    run_due(&app).await;
    let client = app.client("notifications:read").await; // the first token has expired
    let now = client.get(&location).await.json();
    assert_eq!(
        (&now["status"], &now["reason"]),
        (&"dead".into(), &"expired".into())
    );
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn urgent_messages_go_first_and_low_ones_still_go() {
    let app = TestApp::start().await;
    user(&app, "user_123", "alice@example.com", "{}").await;
    let client = app.client("notifications:write").await;
    for priority in ["low", "normal", "high", "critical"] {
        for _ in 0..16 {
            let body = json!({ "user_id": "user_123", "message": "m", "type": "sms", "priority": priority });
            send(&client, body).await;
        }
    }
    assert_eq!(run_due(&app).await, 64);
    let sql = "SELECT data FROM events WHERE kind = 'notification.suppressed' ORDER BY seq";
    let mut tx = app.db.read().await.expect("a reader");
    let events = tx
        .fetch_all(sql, &[], |row| row.get::<String>(0))
        .await
        .expect("events");
    let data = |text: &String| serde_json::from_str::<Value>(text).expect("JSON");
    let order: Vec<String> = events
        .iter()
        .map(|text| data(text)["priority"].to_string().replace('"', ""))
        .collect();
    let share = |part: &[String], wanted: &str| part.iter().filter(|one| *one == wanted).count();
    for turn in [&order[..15], &order[15..30]] {
        let shares = ["critical", "high", "normal", "low"].map(|wanted| share(turn, wanted));
        assert_eq!(shares, [8, 4, 2, 1]);
    }
    assert_eq!(order[0], "critical");
    assert_eq!(
        share(&order[30..34], "critical"),
        0,
        "all sixteen have gone; their turns go to the next urgent"
    );
    assert_eq!(share(&order[30..38], "high"), 6);
}

#[tokio::test]
async fn headers_cannot_be_injected() {
    let (app, server, client) = shop().await;
    for name in ["title", "subject"] {
        let mut body = documented();
        body[name] = "Hi\r\nBcc: eve@example.com".into();
        let reply = client.post("/v2/notifications", body).await;
        assert_eq!(
            (reply.status, &reply.json()["errors"][0]["pointer"]),
            (422, &format!("#/{name}").into())
        );
    }
    let mut body = documented();
    body["subject"] = "Schöne Grüße".into();
    body["message"] = "Hello\r\nBcc: eve@example.com\r\n.\r\nMAIL FROM:<eve@example.com>".into();
    send(&client, body).await;
    run_due(&app).await;
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let head = mails[0].text.split("\r\n\r\n").next().expect("a head");
    assert!(
        !head.contains("Bcc") && head.contains("Subject: =?utf-8?"),
        "{head}"
    );
    assert!(
        mails[0].text.contains("MAIL FROM:<eve@example.com>"),
        "it stays text: {}",
        mails[0].text
    );
}

#[tokio::test]
async fn every_fault_of_a_request_is_named() {
    let (_app, _server, client) = shop().await;
    let unknown = client
        .post(
            "/v2/notifications",
            json!({ "user_id": "user_9", "message": "m", "type": "email" }),
        )
        .await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (422, "unknown_user".into())
    );
    assert_eq!(unknown.json()["errors"][0]["pointer"], "#/user_id");
    let body = json!({ "user_id": "nobody", "message": "", "type": "fax", "priority": "urgent", "when": 1, "title": "x".repeat(256) });
    let reply = client.post("/v2/notifications", body).await;
    assert_eq!(reply.code(), "invalid_body");
    let mut pointers: Vec<String> = reply.json()["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|e| e["pointer"].as_str().expect("text").into())
        .collect();
    pointers.sort();
    assert_eq!(
        pointers,
        [
            "#/message",
            "#/priority",
            "#/title",
            "#/type",
            "#/user_id",
            "#/when"
        ]
    );
    let both = json!({ "user_id": "user_123", "message": "m", "type": "email", "title": "a", "subject": "b" });
    assert_eq!(
        client.post("/v2/notifications", both).await.json()["errors"][0]["pointer"],
        "#/subject"
    );
    let long = json!({ "user_id": "user_123", "message": "ü".repeat(10_001), "type": "email" });
    assert_eq!(client.post("/v2/notifications", long).await.status, 422);
    let full = json!({ "user_id": "user_123", "message": "ü".repeat(10_000), "type": "email" });
    assert_eq!(client.post("/v2/notifications", full).await.status, 202);
    assert_eq!(client.get("/v2/notifications/ntf_none").await.status, 404);
    assert_eq!(client.get("/v2/notifications/other").await.status, 404);
}

#[tokio::test]
async fn the_list_is_filtered_paged_and_counted() {
    let (app, _server, client) = shop().await;
    user(&app, "user_2", "bob@example.com", "{}").await;
    for (user, kind) in [
        ("user_123", "email"),
        ("user_2", "sms"),
        ("user_2", "email"),
        ("user_123", "push"),
    ] {
        send(&client, json!({ "user_id": user, "message": "m", "type": kind, "metadata": { "order": "1001" } })).await;
        app.clock.advance(Duration::from_secs(1));
    }
    let ids = |reply: &Value| -> Vec<String> {
        reply
            .as_array()
            .expect("an array")
            .iter()
            .map(|one| format!("{} {}", one["user_id"], one["type"]).replace('"', ""))
            .collect()
    };
    let all = client.get("/v2/notifications?include_total=true").await;
    assert_eq!(
        ids(&all.json()),
        [
            "user_123 email",
            "user_2 sms",
            "user_2 email",
            "user_123 push"
        ]
    );
    assert_eq!(all.header("x-total-count"), "4");
    assert_eq!(
        ids(&client
            .get("/v2/notifications?user_id=user_2&type=email")
            .await
            .json()),
        ["user_2 email"]
    );
    run_due(&app).await;
    let suppressed = client
        .get("/v2/notifications?status=suppressed&include_total=true")
        .await;
    assert_eq!(
        (ids(&suppressed.json()), suppressed.header("x-total-count")),
        (vec!["user_2 sms".into(), "user_123 push".into()], "2")
    );
    let first = client.get("/v2/notifications?limit=3").await;
    let next = first
        .header("link")
        .trim_start_matches('<')
        .split('>')
        .next()
        .expect("a link")
        .to_owned();
    let second = client
        .get(next.trim_start_matches(&app.config.public_url))
        .await;
    assert_eq!(ids(&second.json()), ["user_123 push"]);
    assert_eq!(
        client.get("/v2/notifications?status=gone").await.code(),
        "invalid_parameter"
    );
    assert_eq!(
        client.get("/v2/notifications?typ=email").await.code(),
        "invalid_parameter"
    );
}

#[tokio::test]
async fn the_running_worker_delivers_when_nudged_and_stops_when_asked() {
    let (app, server, client) = shop().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tokio::spawn(tradepost::notifications::jobs::run(
        app.app.clone(),
        async {
            let _ = stopped.await;
        },
    ));
    for _ in 0..10 {
        send(&client, documented()).await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while server.mails().len() < 10 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(()).expect("it runs");
    worker.await.expect("it stops");
    assert_eq!(server.mails().len(), 10);
    let sent = client
        .get("/v2/notifications?status=sent&include_total=true")
        .await;
    assert_eq!(sent.header("x-total-count"), "10");
}

/// The reference's own body, for a person who agreed to nothing beyond what an order needs.
#[tokio::test]
async fn the_documented_example_is_delivered_to_a_new_user() {
    let (app, server, _) = shop().await;
    let client = app
        .client("users:write notifications:read notifications:write")
        .await;
    let new = json!({ "username": "carl", "email": "carl@example.com" });
    let made = client.post("/v2/users", new).await.json();
    let mut body = documented();
    body["user_id"] = made["id"].clone();
    let location = send(&client, body).await;
    assert_eq!(run_due(&app).await, 1);
    assert_eq!(client.get(&location).await.json()["status"], "sent");
    assert_eq!(server.mails().len(), 1);
}

/// All text of the tables that could tell what was said to whom.
async fn everything_said(app: &TestApp) -> String {
    let sql = "SELECT COALESCE(title, '') || message || metadata FROM notifications
        UNION ALL SELECT COALESCE(detail, '') FROM notification_events
        UNION ALL SELECT payload || COALESCE(last_error, '') FROM jobs
        UNION ALL SELECT data FROM events
        UNION ALL SELECT fingerprint || body FROM idempotency_keys";
    let mut tx = app.db.read().await.expect("a reader");
    let texts = tx.fetch_all(sql, &[], |row| row.get::<String>(0)).await;
    texts.expect("rows").join("\n").to_lowercase()
}

#[tokio::test]
async fn what_was_said_to_a_forgotten_person_is_gone() {
    let (app, server, _) = shop().await;
    let client = app
        .client("users:read users:write orders:read notifications:read notifications:write")
        .await;
    for (name, forget) in [("carl", "delete"), ("dora", "anonymize")] {
        let new = json!({ "username": name, "email": format!("{name}@example.com") });
        let made = client.post("/v2/users", new).await.json();
        let id = made["id"].as_str().expect("an id").to_owned();
        let said = json!({ "user_id": id, "message": "Dear secret", "title": "Secret", "type": "email",
            "metadata": { "about": "secret" } });
        let sent = send(&client, said.clone()).await;
        run_due(&app).await;
        let refused = send(&client, said.clone()).await;
        let refusal = format!("550 5.1.1 <{name}@example.com>: no such user");
        server.answer_next(&[refusal.leak()]);
        run_due(&app).await;
        let retried = send(&client, said.clone()).await;
        let full = format!("452 4.2.2 <{name}@example.com>: mailbox full");
        server.answer_next(&[full.leak()]);
        run_due(&app).await;
        let once = async |key: &str| {
            let call = client.request(axum::http::Method::POST, "/v2/notifications");
            call.header("idempotency-key", key).json(&said).send().await
        };
        let waiting = once(name).await;
        assert_eq!(waiting.status, 202);
        let before = client.get(&sent).await;
        assert!(everything_said(&app).await.contains("secret"));

        let forgotten = match forget {
            "delete" => client.delete(&format!("/v2/users/{id}")).await,
            _ => {
                client
                    .post(&format!("/v2/users/{id}/anonymize"), json!({}))
                    .await
            }
        };
        assert!(forgotten.status < 300, "{}", forgotten.text());
        let stored = everything_said(&app).await;
        assert!(
            !stored.contains("secret") && !stored.contains(name),
            "{stored}"
        );
        let again = once(name).await;
        assert_eq!((again.status, again.code()), (410, "answer_erased".into()));
        let more = client.post("/v2/notifications", said.clone()).await;
        let (status, code) = match forget {
            "delete" => (422, "unknown_user"),
            _ => (409, "user_anonymized"),
        };
        assert_eq!((more.status, more.code()), (status, code.into()));
        let after = client.get(&sent).await;
        assert_ne!(before.header("etag"), after.header("etag"), "it shows less");
        let after = after.json();
        assert_eq!(
            (
                &after["status"],
                &after["title"],
                &after["message"],
                &after["metadata"]
            ),
            (&json!("sent"), &Value::Null, &json!(""), &json!({}))
        );
        assert_eq!(client.get(&refused).await.json()["reason"], "refused");

        let mails = server.mails().len();
        app.clock.advance(Duration::from_secs(60));
        assert_eq!(run_due(&app).await, 2, "the retried and the waiting one");
        assert_eq!(server.mails().len(), mails, "nothing is sent any more");
        for location in [retried, waiting.header("location").to_owned()] {
            let ended = client.get(&location).await.json();
            assert_eq!(
                (&ended["status"], &ended["reason"]),
                (&json!("suppressed"), &json!("no_address"))
            );
        }
    }
}

/// The server answers while the person is being forgotten: what it says of them is not kept.
#[tokio::test]
async fn a_delivery_that_was_on_its_way_tells_nothing_of_a_forgotten_person() {
    use tradepost::notifications::Status;
    use tradepost::notifications::store::{Step, advance};
    let (app, _server, _) = shop().await;
    let client = app
        .client("users:write notifications:read notifications:write")
        .await;
    let location = send(&client, documented()).await;
    let id = location.rsplit('/').next().expect("an id").to_owned();
    let now = app.clock.now();
    let step = async |version: i64, step: Step| {
        let id = id.clone();
        let made: Result<bool, DbError> = app
            .db
            .write(async move |tx| advance(tx, &id, version, &step, now).await)
            .await;
        assert!(made.expect("written"), "the delivery still counts");
    };
    step(1, Step::to(Status::Sending)).await;
    assert_eq!(client.delete("/v2/users/user_123").await.status, 204);
    let answer = Step {
        detail: Some("250 queued for alice@example.com".into()),
        ..Step::to(Status::Sent)
    };
    step(2, answer).await;
    let shown = client.get(&location).await.json();
    assert_eq!(
        (&shown["status"], &shown["attempts"][0]["detail"]),
        (&json!("sent"), &Value::Null)
    );
    assert!(!everything_said(&app).await.contains("alice"));
}
