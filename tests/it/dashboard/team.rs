//! The team: who is let in, what they may, and how they are let out.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use crate::notifications::smtp::MailServer;
use std::time::Duration;
use tradepost::dashboard::Role;
use tradepost::dashboard::jobs::run_due;

async fn owner(app: &TestApp) -> Browser {
    browser::set_up(app).await;
    let mut owner = Browser::new(app);
    owner.sign_in(OWNER, PASSWORD).await;
    owner
}

async fn with_mail() -> (TestApp, MailServer) {
    let server = MailServer::start().await;
    let url = server.url();
    let app = TestApp::start_with(|config| {
        config.smtp_url = Some(url);
        config.mail_from = "Shop <shop@shop.example>".into();
    })
    .await;
    (app, server)
}

fn fields(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let owned = pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    owned.collect()
}

/// The path of somebody's page.
async fn path_of(browser: &mut Browser, email: &str) -> String {
    let list = browser.get("/dashboard/team").await.text();
    let (before, _) = list.split_once(&format!("\">{email}</a>")).unwrap();
    before.rsplit_once("href=\"").unwrap().1.to_owned()
}

/// Chooses a password by a link.
async fn choose(app: &TestApp, link: &str, password: &str) -> (Browser, crate::app::Reply) {
    let token = link.split("token=").nth(1).unwrap();
    let form = fields(&[("token", token), ("password", password)]);
    let mut browser = Browser::new(app);
    let reply = browser.submit("/dashboard/password", &form).await;
    (browser, reply)
}

/// The link in the newest mail, whose long lines are folded (RFC 2045 §6.7).
fn mailed(server: &MailServer) -> String {
    let mails = server.mails();
    let text = &mails.last().expect("a mail").text;
    let unfolded = text
        .replace("\r\n", "\n")
        .replace("=\n", "")
        .replace("=3D", "=");
    let mut lines = unfolded.lines();
    let line = lines.find(|line| line.contains("/dashboard/password?token="));
    line.expect("a link").trim().to_owned()
}

const INVITE: &str = "/dashboard/team/invite";

#[tokio::test]
async fn without_a_mailer_an_invitation_is_shown_once() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let form = fields(&[("email", "kim@example.com"), ("role", "operator")]);
    let shown = owner.post(INVITE, &form).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    assert_eq!(shown.header("cache-control"), "no-store");
    let link = browser::between(&shown.text(), "id=\"link\">", "<");
    let list = owner.get("/dashboard/team").await.text();
    assert!(
        list.contains("kim@example.com") && list.contains("badge warn\">Pending"),
        "{list}"
    );
    let again = owner.post(INVITE, &form).await;
    assert_eq!(again.status, 422);
    let page = again.text();
    let path = path_of(&mut owner, "kim@example.com").await;
    assert!(
        page.contains("Email: there is an account with it already")
            && page.contains(&format!("<a href=\"{path}\">Open that account</a>")),
        "{page}"
    );
    let (mut kim, done) = choose(&app, &link, PASSWORD).await;
    assert_eq!(done.status, 303);
    assert_eq!(kim.get("/dashboard/orders").await.status, 200);
    assert_eq!(kim.get("/dashboard/team").await.status, 403);
    let (_, used) = choose(&app, &link, PASSWORD).await;
    assert_eq!(used.status, 410);
    for (email, role) in [("nobody", "operator"), ("a@example.com", "king"), ("", "")] {
        let form = fields(&[("email", email), ("role", role)]);
        assert_eq!(
            owner.post(INVITE, &form).await.status,
            422,
            "{email} {role}"
        );
    }
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(audit.contains("Teammate invited") && audit.contains("href=\"/dashboard/team/stf_"));
}

#[tokio::test]
async fn with_a_mailer_it_is_mailed_and_the_queue_holds_no_link() {
    let (app, server) = with_mail().await;
    let mut owner = owner(&app).await;
    let form = fields(&[("email", "kim@example.com"), ("role", "read_only")]);
    let sent = owner.post(INVITE, &form).await;
    assert_eq!(browser::landed(&sent), "/dashboard/team, invited");
    let mut tx = app.db.read().await.unwrap();
    let sql = "SELECT payload FROM jobs WHERE kind = 'staff.mail' LIMIT 9";
    let queued = tx
        .fetch_all(sql, &[], |row| row.get::<String>(0))
        .await
        .unwrap();
    drop(tx);
    assert!(
        queued.len() == 1 && !queued[0].contains("token"),
        "{queued:?}"
    );
    assert_eq!(run_due(&app).await, 1);
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].to.contains("kim@example.com") && mails[0].text.contains("7 days"));
    let (_, done) = choose(&app, &mailed(&server), PASSWORD).await;
    assert_eq!(done.status, 303);
    let shown = fields(&[
        ("email", "lee@example.com"),
        ("role", "admin"),
        ("by", "link"),
    ]);
    let shown = owner.post(INVITE, &shown).await;
    assert!(
        shown.text().contains("id=\"link\">"),
        "the link itself can be asked for"
    );
    assert_eq!(run_due(&app).await, 0);
}

#[tokio::test]
async fn a_mail_that_fails_is_tried_again_with_another_link() {
    let (app, server) = with_mail().await;
    let mut owner = owner(&app).await;
    server.answer_next(&["451 4.3.0 later", "250 2.0.0 taken"]);
    let form = fields(&[("email", "kim@example.com"), ("role", "read_only")]);
    owner.post(INVITE, &form).await;
    assert_eq!(run_due(&app).await, 1);
    let first = mailed(&server);
    assert_eq!(run_due(&app).await, 0, "not at once");
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(run_due(&app).await, 1);
    let second = mailed(&server);
    assert_ne!(first, second);
    assert_eq!(choose(&app, &first, PASSWORD).await.1.status, 410);
    assert_eq!(choose(&app, &second, PASSWORD).await.1.status, 303);
}

#[tokio::test]
async fn who_forgot_the_password_gets_a_link_and_nobody_learns_who_has_an_account() {
    let (app, server) = with_mail().await;
    let mut owner = owner(&app).await;
    let mut visitor = Browser::new(&app);
    assert!(
        visitor
            .get("/dashboard/sign-in")
            .await
            .text()
            .contains("/dashboard/forgot")
    );
    let mut said = Vec::new();
    for email in ["OWNER@example.com", "stranger@example.com"] {
        let reply = visitor
            .post("/dashboard/forgot", &fields(&[("email", email)]))
            .await;
        assert_eq!(reply.status, 200);
        said.push(browser::between(&reply.text(), "role=\"status\">", "</p>"));
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].contains("If there is an account"));
    assert_eq!(
        run_due(&app).await,
        2,
        "either is queued; nobody looks before"
    );
    assert_eq!(server.mails().len(), 1);
    assert!(server.mails()[0].to.contains(OWNER));
    let link = mailed(&server);
    assert_eq!(
        Browser::new(&app).sign_in(OWNER, PASSWORD).await.status,
        303,
        "it works until then"
    );

    visitor
        .post("/dashboard/forgot", &fields(&[("email", OWNER)]))
        .await;
    run_due(&app).await;
    assert_eq!(server.mails().len(), 1, "a mailbox is not flooded");
    let (_, done) = choose(&app, &link, "another long passphrase").await;
    assert_eq!(
        done.status, 303,
        "and its link is not ended by asking again"
    );
    assert_eq!(owner.get("/dashboard").await.status, 303, "sessions end");
    owner.sign_in(OWNER, "another long passphrase").await;
    assert!(
        owner
            .get("/dashboard/audit")
            .await
            .text()
            .contains("Link for a password asked for")
    );
    let wrong = visitor
        .post("/dashboard/forgot", &fields(&[("email", "nobody")]))
        .await;
    assert_eq!(wrong.status, 422);
    for _ in 0..3 {
        visitor
            .post("/dashboard/forgot", &fields(&[("email", OWNER)]))
            .await;
    }
    let paused = visitor
        .post("/dashboard/forgot", &fields(&[("email", OWNER)]))
        .await;
    assert_eq!((paused.status, paused.header("retry-after")), (429, "15"));
}

#[tokio::test]
async fn without_a_mailer_the_command_is_named() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut visitor = Browser::new(&app);
    let page = visitor.get("/dashboard/forgot").await.text();
    assert!(page.contains("tradepost users reset-password"));
    let asked = visitor
        .post("/dashboard/forgot", &fields(&[("email", OWNER)]))
        .await;
    assert_eq!(asked.status, 409);
}

/// Who chooses another password may fear that somebody has a link.
#[tokio::test]
async fn a_link_from_before_another_password_is_worth_nothing() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut kim = browser::member(&app, "kim@example.com", Role::Operator).await;
    let path = path_of(&mut owner, "kim@example.com").await;
    let shown = owner.post(&format!("{path}/reset"), &[]).await;
    let link = browser::between(&shown.text(), "id=\"link\">", "<");
    let form = fields(&[
        ("present", PASSWORD),
        ("password", "another long passphrase"),
    ]);
    let changed = kim.post("/dashboard/security/password", &form).await;
    assert_eq!(changed.status, 303, "{}", changed.text());
    assert_eq!(Browser::new(&app).get(&link).await.status, 410);
}

/// An admin hands an invitation on; whoever holds it must not become what the owner makes of that account later.
#[tokio::test]
async fn a_link_from_before_another_role_is_worth_nothing() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let link = browser::invite(&app, "kim@example.com", Role::Operator).await;
    let path = path_of(&mut owner, "kim@example.com").await;
    let page = owner.get(&path).await.text();
    assert!(page.contains("This ends the link that they were invited by"));
    // The role that they have is no change.
    let same = fields(&[("role", "operator")]);
    owner.post(&format!("{path}/role"), &same).await;
    assert_eq!(Browser::new(&app).get(&link).await.status, 200);
    let made = fields(&[("role", "owner")]);
    let changed = owner.post(&format!("{path}/role"), &made).await;
    assert_eq!(browser::landed(&changed), format!("{path}, role"));
    let page = owner.get(&path).await.text();
    assert!(
        page.contains("The invitation from before does not work any more")
            && page.contains("Create another link"),
        "{page}"
    );
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = [("token", token), ("password", PASSWORD.to_owned())];
    let mut thief = Browser::new(&app);
    assert_eq!(thief.get(&link).await.status, 410);
    assert_eq!(thief.submit(&link, &form).await.status, 410);
    // The owner makes another one.
    let again = owner.post(&format!("{path}/reset"), &fields(&[])).await;
    assert_eq!(again.status, 200, "{}", again.text());
}

#[tokio::test]
async fn a_changed_role_holds_at_once_and_ends_sessions() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut kim = browser::member(&app, "kim@example.com", Role::Admin).await;
    assert_eq!(kim.get("/dashboard/team").await.status, 200);
    let path = path_of(&mut owner, "kim@example.com").await;
    let role = format!("{path}/role");
    let changed = owner.post(&role, &fields(&[("role", "operator")])).await;
    assert_eq!(browser::landed(&changed), "/dashboard/team, role");
    assert_eq!(kim.get("/dashboard").await.status, 303, "the session ended");
    // From a page that shows another role nobody undoes what was done meanwhile.
    let stale = fields(&[("role", "developer"), ("was", "admin")]);
    let told = owner.post(&role, &stale).await;
    assert_eq!(told.status, 422);
    assert!(told.text().contains("somebody else changed it meanwhile"));
    assert!(told.text().contains("name=\"was\" value=\"operator\""));
    kim.sign_in("kim@example.com", PASSWORD).await;
    assert_eq!(kim.get("/dashboard/team").await.status, 403);
    assert_eq!(
        owner.post(&role, &fields(&[("role", "king")])).await.status,
        403
    );
    assert!(
        owner
            .get("/dashboard/audit")
            .await
            .text()
            .contains("Role changed to Operator")
    );
}

#[tokio::test]
async fn nobody_changes_who_may_more_or_gives_more_than_they_have() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut admin = browser::member(&app, "admin@example.com", Role::Admin).await;
    let (of_owner, own) = (
        path_of(&mut owner, OWNER).await,
        path_of(&mut owner, "admin@example.com").await,
    );
    let page = admin.get(&of_owner).await.text();
    assert!(
        !page.contains("/reset\"") && !page.contains("/disable\""),
        "no form that is refused"
    );
    for path in [&of_owner, &own] {
        let typed = if *path == own {
            "admin@example.com"
        } else {
            OWNER
        };
        for (action, form) in [
            ("role", fields(&[("role", "read_only")])),
            ("reset", fields(&[("by", "link")])),
            ("disable", fields(&[("email", typed)])),
        ] {
            let refused = admin.post(&format!("{path}/{action}"), &form).await;
            assert_eq!(refused.status, 403, "{path} {action}");
            assert!(!refused.text().contains("token="), "{path} {action}");
        }
    }
    let king = fields(&[("email", "me-too@example.com"), ("role", "owner")]);
    assert_eq!(admin.post(INVITE, &king).await.status, 422);
    browser::member(&app, "dev@example.com", Role::Developer).await;
    let dev = path_of(&mut admin, "dev@example.com").await;
    let made = admin
        .post(&format!("{dev}/role"), &fields(&[("role", "owner")]))
        .await;
    assert_eq!(made.status, 403);
    assert_eq!(owner.get("/dashboard").await.status, 200);
}

#[tokio::test]
async fn the_last_owner_stays_even_when_two_end_each_other_at_once() {
    let app = TestApp::start().await;
    let mut first = owner(&app).await;
    let mut second = browser::member(&app, "second@example.com", Role::Owner).await;
    let (of_first, of_second) = (
        path_of(&mut first, OWNER).await,
        path_of(&mut first, "second@example.com").await,
    );
    let demote = fields(&[("role", "admin")]);
    let close = fields(&[("email", OWNER)]);
    let (demoting, closing) = (format!("{of_second}/role"), format!("{of_first}/disable"));
    let (a, b) = tokio::join!(
        first.post(&demoting, &demote),
        second.post(&closing, &close)
    );
    let done = [a.status, b.status]
        .iter()
        .filter(|status| **status == 303)
        .count();
    assert!(done <= 2, "{} {}", a.status, b.status);
    let mut tx = app.db.read().await.unwrap();
    let sql = "SELECT email FROM staff WHERE role = 'owner' AND disabled_at IS NULL LIMIT 9";
    let owners = tx
        .fetch_all(sql, &[], |row| row.get::<String>(0))
        .await
        .unwrap();
    assert_eq!(owners.len(), 1, "{owners:?}: {} {}", a.status, b.status);
}

#[tokio::test]
async fn who_was_closed_out_is_invited_again_with_nothing_of_before() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut kim = browser::member(&app, "kim@example.com", Role::Admin).await;
    let path = path_of(&mut owner, "kim@example.com").await;
    let email = fields(&[("email", "kim@example.com")]);
    let closed = owner.post(&format!("{path}/disable"), &email).await;
    assert_eq!(browser::landed(&closed), "/dashboard/team, disabled");
    let again = fields(&[("email", "Kim@example.com"), ("role", "operator")]);
    let invited = owner.post("/dashboard/team/invite", &again).await;
    let link = browser::between(&invited.text(), "id=\"link\">", "<");
    assert_eq!(kim.sign_in("kim@example.com", PASSWORD).await.status, 422);
    let (mut kim, done) = choose(&app, &link, "another long passphrase").await;
    assert_eq!(done.status, 303);
    assert_eq!(kim.get("/dashboard/orders").await.status, 200);
    assert_eq!(
        kim.get("/dashboard/team").await.status,
        403,
        "an operator now"
    );
    assert_eq!(path_of(&mut owner, "kim@example.com").await, path);
}

/// Whoever types into a form while the session ends is told, and led back to the page.
#[tokio::test]
async fn a_form_that_comes_after_the_session_says_that_nothing_was_saved() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let token = owner.form_token().await;
    owner.cookies.remove("__Host-tradepost");
    let headers = [
        ("sec-fetch-site", "same-origin"),
        ("host", "shop.example"),
        ("referer", "http://shop.example/dashboard/products/new"),
    ];
    let sent = owner
        .post_with("/dashboard/products/new", &[], &token, &headers)
        .await;
    let place = sent.header("location").to_owned();
    assert_eq!(
        place,
        "/dashboard/sign-in?next=%2Fdashboard%2Fproducts%2Fnew"
    );
    let page = owner.get(&place).await.text();
    assert!(page.contains("Your session is over"), "{page}");
    let foreign = [
        ("sec-fetch-site", "same-origin"),
        ("host", "shop.example"),
        ("referer", "http://shop.example.evil.example/dashboard"),
    ];
    let sent = owner
        .post_with("/dashboard/products/new", &[], &token, &foreign)
        .await;
    assert_eq!(sent.header("location"), "/dashboard/sign-in");
}

#[tokio::test]
async fn what_was_typed_outlives_the_session() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let token = owner.form_token().await;
    owner.cookies.remove("__Host-tradepost");
    let path = "/dashboard/products/new";
    let form = fields(&[
        ("title", "Teapot \"Nº 7\""),
        ("sku", "TEAPOT-7"),
        ("description", "One line,\r\nanother <one>."),
        ("status", "draft"),
    ]);
    let ours = [("sec-fetch-site", "same-origin")];
    let over = owner.post_with(path, &form, &token, &ours).await;
    assert_eq!(over.status, 403);
    let text = over.text();
    assert!(text.contains("You are signed out") && text.contains("href=\"/dashboard/sign-in\""));
    // Signed in again in another tab, it is sent from here: the browser's forms are new ones since.
    owner.sign_in(OWNER, PASSWORD).await;
    let kept = |page: &str| -> Vec<(String, String)> {
        let inputs = page.split("<input type=\"hidden\" name=\"").skip(1);
        let plain = |text: &str| {
            text.replace("&#34;", "\"")
                .replace("&#60;", "<")
                .replace("&#62;", ">")
        };
        let field = |input: &str| {
            let name = input.split('"').next().unwrap().to_owned();
            (name, plain(&browser::between(input, "value=\"", "\"")))
        };
        inputs.map(field).collect()
    };
    let send = async |owner: &mut Browser, page: &str| {
        let all = kept(page);
        let token = all
            .iter()
            .find(|(name, _)| name == "form")
            .unwrap()
            .1
            .clone();
        let form: Vec<(&str, String)> = all
            .iter()
            .filter(|(name, _)| name != "form")
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        owner.post_with(path, &form, &token, &ours).await
    };
    let asked = send(&mut owner, &browser::main_of(&text)).await;
    assert_eq!(asked.status, 403);
    assert!(
        asked.text().contains(&format!("send it as {OWNER}?")),
        "{}",
        asked.text()
    );
    let made = send(&mut owner, &browser::main_of(&asked.text())).await;
    assert_eq!(made.status, 303, "{}", made.text());
    let page = owner.get(made.header("location")).await.text();
    assert!(page.contains("Teapot &#34;Nº 7&#34;") && page.contains("another &#60;one&#62;."));

    let variant = fields(&[("barcode", "4006381333931")]);
    let shown = Browser::new(&app)
        .post_with(
            "/dashboard/products/prod_1/variants/var_1",
            &variant,
            "",
            &ours,
        )
        .await;
    assert!(shown.text().contains("4006381333931"), "{}", shown.text());

    // Nobody else's page brings a form along, and no page shows a password.
    let foreign = [("sec-fetch-site", "cross-site")];
    let refused = owner.post_with(path, &form, &token, &foreign).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.text().contains("TEAPOT-7"));
    let secret = fields(&[
        ("password", "a long passphrase"),
        ("new_password", "another one"),
    ]);
    let refused = owner
        .post_with("/dashboard/security/password", &secret, &token, &ours)
        .await;
    assert!(
        !refused.text().contains("another one"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn a_closed_account_is_out_at_once_and_a_reset_link_replaces_a_password() {
    let app = TestApp::start().await;
    let mut owner = owner(&app).await;
    let mut kim = browser::member(&app, "kim@example.com", Role::Operator).await;
    let path = path_of(&mut owner, "kim@example.com").await;
    let shown = owner.post(&format!("{path}/reset"), &[]).await;
    let link = browser::between(&shown.text(), "id=\"link\">", "<");
    let (mut again, done) = choose(&app, &link, "another long passphrase").await;
    assert_eq!(done.status, 303);
    assert_eq!(
        kim.get("/dashboard").await.status,
        303,
        "the old sessions are over"
    );
    assert_eq!(again.get("/dashboard").await.status, 200);

    let close = format!("{path}/disable");
    let mistyped = owner.post(&close, &fields(&[("email", "kim")])).await;
    assert_eq!(mistyped.status, 422, "{}", mistyped.text());
    assert!(mistyped.text().contains("aria-describedby=\"wrong-email\""));
    assert_eq!(again.get("/dashboard").await.status, 200);
    let closed = owner
        .post(&close, &fields(&[("email", "KIM@example.com")]))
        .await;
    assert_eq!(browser::landed(&closed), "/dashboard/team, disabled");
    assert_eq!(again.get("/dashboard").await.status, 303);
    let page = owner.get(&path).await.text();
    assert!(page.contains("Disabled") && !page.contains("/reset\""));
    assert_eq!(owner.post(&format!("{path}/reset"), &[]).await.status, 409);
    let role = fields(&[("role", "admin")]);
    assert_eq!(owner.post(&format!("{path}/role"), &role).await.status, 409);
    assert_eq!(owner.get("/dashboard/team/none_1").await.status, 404);
}
