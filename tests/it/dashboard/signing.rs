//! Who is who: the password asked for again, second factors, sessions.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use std::time::Duration;
use tradepost::dashboard::Role;
use tradepost::dashboard::totp;

/// An owner who signed in `ago`.
async fn owner(app: &TestApp, ago: Duration) -> Browser {
    browser::set_up(app).await;
    let mut owner = Browser::new(app);
    owner.sign_in(OWNER, PASSWORD).await;
    app.clock.advance(ago);
    owner
}

const NEW: &str = "/dashboard/credentials/new";
const MINUTES_5: Duration = Duration::from_secs(5 * 60);

fn new_client(password: Option<&str>) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("name", "Shop \"front\"".to_owned()),
        ("scope", "products:read".to_owned()),
        ("scope", "orders:read".to_owned()),
    ];
    form.extend(password.map(|password| ("confirm_password", password.to_owned())));
    form
}

#[tokio::test]
async fn the_password_is_asked_for_again_and_what_was_typed_is_kept() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, MINUTES_5 - Duration::from_secs(1)).await;
    assert_eq!(
        owner.post(NEW, &new_client(None)).await.status,
        200,
        "just signed in"
    );
    app.clock.advance(Duration::from_secs(1));
    let asked = owner.post(NEW, &new_client(None)).await;
    assert_eq!(asked.status, 403);
    let text = asked.text();
    for kept in [
        "action=\"/dashboard/credentials/new\"",
        "name=\"name\" value=\"Shop &#34;front&#34;\"",
        "name=\"scope\" value=\"products:read\"",
        "name=\"scope\" value=\"orders:read\"",
        "name=\"confirm_password\"",
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    let wrong = owner
        .post(NEW, &new_client(Some("wrong wrong wrong")))
        .await;
    assert_eq!(wrong.status, 422);
    assert!(
        !wrong.text().contains("wrong wrong wrong"),
        "a password is never sent back"
    );
    let list = owner.get("/dashboard/credentials").await.text();
    assert_eq!(
        list.matches("Shop &#34;front&#34;").count(),
        1,
        "nothing more was made"
    );

    let before = owner.cookies.clone();
    let made = owner.post(NEW, &new_client(Some(PASSWORD))).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(made.text().contains("id=\"client-secret\""));
    assert_ne!(
        owner.cookies, before,
        "the session goes on under another token"
    );
    let mut stolen = Browser::new(&app);
    stolen.cookies = before;
    assert_eq!(
        stolen.get("/dashboard").await.status,
        303,
        "the old token is worth nothing"
    );
    assert_eq!(
        owner.post(NEW, &new_client(None)).await.status,
        200,
        "not asked again"
    );
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(audit.contains("Identity confirmed"), "{audit}");
    app.clock.advance(MINUTES_5);
    assert_eq!(
        owner.post(NEW, &new_client(None)).await.status,
        403,
        "five minutes on"
    );
    app.clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(
        owner.get("/dashboard").await.status,
        303,
        "the session is no longer for it"
    );
}

/// Reloading the page that shows a secret sends its form again.
#[tokio::test]
async fn a_form_that_shows_a_secret_is_taken_once() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let same = [("sec-fetch-site", "same-origin")];
    let token = owner.form_token().await;
    let made = owner
        .post_with(NEW, &new_client(None), &token, &same)
        .await
        .text();
    let id = browser::between(&made, "id=\"client-id\">", "<");
    let (_, codes) = enrol(&app, &mut owner).await;
    let rotate = format!("/dashboard/credentials/{id}/rotate");
    let hours = [("hours", "24".to_owned())];
    let none: &[(&str, String)] = &[];
    for (path, fields) in [
        (rotate.as_str(), &hours[..]),
        ("/dashboard/security/recovery", none),
    ] {
        let token = owner.form_token().await;
        let first = owner.post_with(path, fields, &token, &same).await;
        assert_eq!(first.status, 200, "{path}");
        let again = owner.post_with(path, fields, &token, &same).await;
        assert_eq!(again.status, 409, "{path}: {}", again.text());
        assert!(again.text().contains("sent before"));
        let above = path.rsplit_once('/').unwrap().0;
        let told = format!("href=\"{above}\">Look there");
        assert!(again.text().contains(&told), "{path}: {}", again.text());
    }
    let again = owner.post_with(NEW, &new_client(None), &token, &same).await;
    assert_eq!(again.status, 409);
    let list = owner.get("/dashboard/credentials").await.text();
    assert_eq!(list.matches("Shop &#34;front&#34;").count(), 1);
    let page = owner.get(&format!("/dashboard/credentials/{id}")).await;
    let secrets = page.text().matches("class=\"mono\">…").count();
    assert_eq!(secrets, 2, "{}", page.text());
    assert_eq!(codes.len(), 10);
    // Many at once are one.
    let token = owner.form_token().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut other = Browser::new(&app);
        other.cookies = owner.cookies.clone();
        let token = token.clone();
        tasks.spawn(async move {
            let sent = other.post_with(NEW, &new_client(None), &token, &same).await;
            sent.status
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
}

/// The session goes on under another token then: the forms of its pages are still known.
#[tokio::test]
async fn a_form_is_taken_once_also_when_the_password_was_asked_for_with_it() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, MINUTES_5).await;
    let same = [("sec-fetch-site", "same-origin")];
    let (token, elsewhere) = (owner.form_token().await, owner.form_token().await);
    let form = new_client(Some(PASSWORD));
    let made = owner.post_with(NEW, &form, &token, &same).await;
    assert_eq!(made.status, 200, "{}", made.text());
    for later in [Duration::ZERO, MINUTES_5] {
        app.clock.advance(later);
        let again = owner.post_with(NEW, &form, &token, &same).await;
        assert_eq!(again.status, 409);
        assert!(again.text().contains("sent before and was taken then"));
    }
    let list = owner.get("/dashboard/credentials").await.text();
    assert_eq!(list.matches("Shop &#34;front&#34;").count(), 1);
    // A form that was open in another tab meanwhile.
    let theme = [("theme", "dark".to_owned())];
    let sent = owner
        .post_with("/dashboard/account/theme", &theme, &elsewhere, &same)
        .await;
    assert_eq!(sent.status, 303, "{}", sent.text());
    // One of a session that is over: that it was taken is known, and no other is.
    owner.post("/dashboard/sign-out", &[]).await;
    owner.sign_in(OWNER, PASSWORD).await;
    let again = owner.post_with(NEW, &form, &token, &same).await;
    assert_eq!(again.status, 409);
    let sent = owner
        .post_with("/dashboard/account/theme", &theme, &elsewhere, &same)
        .await;
    assert_eq!(sent.status, 403);
}

/// What was refused was not taken: reloading it says again what is wrong.
#[tokio::test]
async fn a_form_that_was_refused_may_be_sent_again() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let same = [("sec-fetch-site", "same-origin")];
    let token = owner.form_token().await;
    let nameless = [("scope", "products:read".to_owned())];
    for _ in 0..2 {
        let refused = owner.post_with(NEW, &nameless, &token, &same).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    let made = owner.post_with(NEW, &new_client(None), &token, &same).await;
    assert_eq!(made.status, 200);
}

#[tokio::test]
async fn what_is_refused_after_the_password_was_given_keeps_the_session() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, MINUTES_5).await;
    let path = "/dashboard/credentials/none_1/rotate";
    let form = [("confirm_password", PASSWORD.to_owned())];
    assert_eq!(owner.post(path, &form).await.status, 404);
    assert_eq!(owner.get("/dashboard").await.status, 200);
    assert_eq!(owner.post(NEW, &new_client(None)).await.status, 200);
}

#[tokio::test]
async fn guessing_the_password_in_a_session_is_slowed_down() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, MINUTES_5).await;
    for _ in 0..5 {
        let wrong = owner
            .post(NEW, &new_client(Some("wrong wrong wrong")))
            .await;
        assert_eq!(wrong.status, 422);
    }
    let paused = owner.post(NEW, &new_client(Some(PASSWORD))).await;
    assert_eq!((paused.status, paused.header("retry-after")), (429, "15"));
    app.clock.advance(Duration::from_secs(15));
    assert_eq!(
        owner.post(NEW, &new_client(Some(PASSWORD))).await.status,
        200
    );
}

/// What an app does with the key that it was given.
pub struct Phone(Vec<u8>);

impl Phone {
    fn new(page: &str) -> Phone {
        let key = browser::between(page, "id=\"key\">", "<").replace(' ', "");
        let digit = |c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
        let bits: Vec<bool> = key
            .chars()
            .flat_map(|c| (0..5).rev().map(move |bit| digit(c) >> bit & 1 == 1))
            .collect();
        let byte = |bits: &[bool]| {
            bits.iter()
                .fold(0, |value, bit| value << 1 | u8::from(*bit))
        };
        Phone(bits.chunks_exact(8).map(byte).collect())
    }

    fn code(&self, app: &TestApp) -> String {
        totp::code(&self.0, totp::step(app.clock.now()))
    }
}

/// Turns codes on; the phone, and the recovery codes.
pub async fn enrol(app: &TestApp, browser: &mut Browser) -> (Phone, Vec<String>) {
    let page = browser.post("/dashboard/security/totp", &[]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    assert!(text.contains("<svg class=\"qr\"") && text.contains("<path d=\"M4 4h7v1h-7z"));
    let phone = Phone::new(&text);
    let sealed = browser::between(&text, "name=\"key\" value=\"", "\"");
    let form = |code: String| [("key", sealed.clone()), ("code", code)];
    let path = "/dashboard/security/totp/confirm";
    let wrong = browser.post(path, &form("000000".to_owned())).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(
        Phone::new(&wrong.text()).0,
        phone.0,
        "the same key is shown again"
    );
    let done = browser.post(path, &form(phone.code(app))).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let list = browser::between(&done.text(), "id=\"recovery\">", "</code>");
    // The same key once more makes no other recovery codes: those that were shown are the ones that hold.
    let again = browser.post(path, &form(phone.code(app))).await;
    assert_eq!(again.status, 303, "{}", again.text());
    (phone, list.lines().map(str::to_owned).collect())
}

/// Gives the password, and then the code.
async fn with_code(browser: &mut Browser, code: &str) -> crate::app::Reply {
    let asked = browser.sign_in(OWNER, PASSWORD).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    assert!(
        !browser.cookies.contains_key("__Host-tradepost"),
        "not signed in yet"
    );
    let ticket = browser::between(&asked.text(), "name=\"ticket\" value=\"", "\"");
    let form = [("ticket", ticket), ("code", code.to_owned())];
    browser.post("/dashboard/sign-in/code", &form).await
}

const SECONDS_30: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_code_is_asked_for_after_the_password_and_is_good_once() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let mut elsewhere = Browser::new(&app);
    elsewhere.sign_in(OWNER, PASSWORD).await;
    let (phone, codes) = enrol(&app, &mut owner).await;
    assert_eq!(codes.len(), 10);
    assert_eq!(
        elsewhere.get("/dashboard").await.status,
        303,
        "signed in without a code"
    );
    assert_eq!(owner.get("/dashboard").await.status, 200);
    let page = owner.get("/dashboard/security").await.text();
    assert!(page.contains("10 of 10 recovery codes"), "{page}");
    for code in &codes {
        assert!(!page.contains(code));
    }

    let mut browser = Browser::new(&app);
    let used = with_code(&mut browser, &phone.code(&app)).await;
    assert_eq!(used.status, 422, "the code that turned them on");
    app.clock.advance(SECONDS_30);
    let code = phone.code(&app);
    let signed_in = with_code(&mut browser, &code).await;
    assert_eq!(
        (signed_in.status, signed_in.header("location")),
        (303, "/dashboard")
    );
    assert_eq!(browser.get("/dashboard").await.status, 200);
    let mut thief = Browser::new(&app);
    assert_eq!(
        with_code(&mut thief, &code).await.status,
        422,
        "in the same step"
    );
    app.clock.advance(SECONDS_30);
    assert_eq!(
        with_code(&mut thief, &code).await.status,
        422,
        "in the next one"
    );
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(audit.contains("Two-factor turned on") && audit.contains("Code refused"));
}

#[tokio::test]
async fn where_codes_are_on_the_password_alone_confirms_nothing() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let (phone, recovery) = enrol(&app, &mut owner).await;
    app.clock.advance(MINUTES_5);
    let asked = owner.post(NEW, &new_client(None)).await;
    assert!(asked.status == 403 && asked.text().contains("name=\"confirm_code\""));
    let with = |password: &str, code: &str| {
        let mut form = new_client(Some(password));
        form.push(("confirm_code", code.to_owned()));
        form
    };
    for (password, code) in [
        (PASSWORD, ""),
        (PASSWORD, "000000"),
        ("wrong wrong wrong", &phone.code(&app)),
    ] {
        let refused = owner.post(NEW, &with(password, code)).await;
        assert_eq!(refused.status, 422, "{code}");
        let text = refused.text();
        assert!(
            !text.contains(&format!("value=\"{code}\"")) || code.is_empty(),
            "a code is never sent back"
        );
        let field = browser::between(&text, "name=\"confirm_code\"", ">");
        let of_code = field.contains("aria-invalid");
        assert_eq!(of_code, password == PASSWORD, "marked is what is wrong");
        assert_eq!(text.matches("aria-invalid").count(), 1);
    }
    let code = phone.code(&app);
    assert_eq!(owner.post(NEW, &with(PASSWORD, &code)).await.status, 200);
    app.clock.advance(MINUTES_5);
    assert_eq!(
        owner.post(NEW, &with(PASSWORD, &code)).await.status,
        422,
        "used up"
    );
    assert_eq!(
        owner.post(NEW, &with(PASSWORD, &recovery[0])).await.status,
        200
    );
    app.clock.advance(MINUTES_5);
    assert_eq!(
        owner.post(NEW, &with(PASSWORD, &recovery[0])).await.status,
        422
    );
    for _ in 0..5 {
        owner.post(NEW, &with(PASSWORD, "000000")).await;
    }
    let paused = owner.post(NEW, &with(PASSWORD, &phone.code(&app))).await;
    assert_eq!(paused.status, 429, "guessing is slowed down here too");
}

#[tokio::test]
async fn of_two_who_send_one_code_at_once_one_is_let_in() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let (phone, _) = enrol(&app, &mut owner).await;
    app.clock.advance(SECONDS_30);
    let code = phone.code(&app);
    let (mut one, mut other) = (Browser::new(&app), Browser::new(&app));
    let (a, b) = tokio::join!(with_code(&mut one, &code), with_code(&mut other, &code));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422]);
}

#[tokio::test]
async fn a_recovery_code_is_good_once_and_new_ones_end_the_old() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let (_, codes) = enrol(&app, &mut owner).await;
    let mut browser = Browser::new(&app);
    let typed = codes[3].to_uppercase().replace('-', " ");
    assert_eq!(with_code(&mut browser, &typed).await.status, 303);
    assert_eq!(
        with_code(&mut Browser::new(&app), &codes[3]).await.status,
        422
    );
    let page = browser.get("/dashboard/security").await.text();
    assert!(page.contains("9 of 10 recovery codes"), "{page}");
    let renewed = browser.post("/dashboard/security/recovery", &[]).await;
    assert_eq!(renewed.status, 200);
    let list = browser::between(&renewed.text(), "id=\"recovery\">", "</code>");
    assert_eq!(
        with_code(&mut Browser::new(&app), &codes[4]).await.status,
        422
    );
    let fresh = list.lines().next().unwrap();
    assert_eq!(with_code(&mut Browser::new(&app), fresh).await.status, 303);
}

#[tokio::test]
async fn guessing_codes_is_slowed_down_from_wherever() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let (phone, codes) = enrol(&app, &mut owner).await;
    app.clock.advance(SECONDS_30);
    let wrong = if phone.code(&app) == "123456" {
        "654321"
    } else {
        "123456"
    };
    for _ in 0..5 {
        assert_eq!(with_code(&mut Browser::new(&app), wrong).await.status, 422);
    }
    let paused = with_code(&mut Browser::new(&app), &phone.code(&app)).await;
    assert_eq!((paused.status, paused.header("retry-after")), (429, "15"));
    let recovered = with_code(&mut Browser::new(&app), &codes[0]).await;
    assert_eq!(
        recovered.status, 303,
        "what nobody can guess is not held up"
    );
}

#[tokio::test]
async fn a_ticket_is_for_one_browser_and_five_minutes() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let (phone, _) = enrol(&app, &mut owner).await;
    app.clock.advance(SECONDS_30);
    let mut browser = Browser::new(&app);
    let asked = browser.sign_in(OWNER, PASSWORD).await.text();
    let ticket = browser::between(&asked, "name=\"ticket\" value=\"", "\"");
    let form = |code| [("ticket", ticket.clone()), ("code", code)];
    let path = "/dashboard/sign-in/code";
    let other = Browser::new(&app).post(path, &form(phone.code(&app))).await;
    assert_eq!(browser::landed(&other), "/dashboard/sign-in, late");
    app.clock.advance(MINUTES_5);
    let late = browser.post(path, &form(phone.code(&app))).await;
    assert_eq!(browser::landed(&late), "/dashboard/sign-in, late");
    assert_eq!(browser.get("/dashboard").await.status, 303);
    for invented in ["", "x", "AAAA", &"A".repeat(5_000)] {
        let fields = [("ticket", invented.to_owned()), ("code", "1".to_owned())];
        assert_eq!(browser.post(path, &fields).await.status, 303);
    }
}

#[tokio::test]
async fn a_reset_link_does_not_stand_in_for_a_code() {
    use tradepost::dashboard::accounts;
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let (phone, _) = enrol(&app, &mut owner).await;
    app.clock.advance(SECONDS_30);
    let mut thief = Browser::new(&app);
    let asked = thief.sign_in(OWNER, PASSWORD).await.text();
    let ticket = browser::between(&asked, "name=\"ticket\" value=\"", "\"");
    let now = app.clock.now();
    let link = app
        .db
        .write(async move |tx| accounts::reset(tx, OWNER, now).await)
        .await;
    let link = link.unwrap().address("");
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = [
        ("token", token),
        ("password", "another long passphrase".to_owned()),
    ];
    // In a browser in which somebody else is signed in: their session ends with it.
    let mut browser = browser::member(&app, "kim@example.com", Role::ReadOnly).await;
    let mut kim = Browser::new(&app);
    kim.cookies = browser.cookies.clone();
    let done = browser.submit(&link, &form).await;
    assert_eq!(browser::landed(&done), "/dashboard/sign-in, password");
    assert_eq!(browser.get("/dashboard").await.status, 303);
    assert_eq!(kim.get("/dashboard").await.status, 303);
    // Who knew the old password has begun nothing that holds.
    let late = [("ticket", ticket), ("code", phone.code(&app))];
    let late = thief.post("/dashboard/sign-in/code", &late).await;
    assert_eq!(browser::landed(&late), "/dashboard/sign-in, nothing");
    assert_eq!(thief.get("/dashboard").await.status, 303);
    let asked = browser.sign_in(OWNER, "another long passphrase").await;
    assert!(asked.text().contains("name=\"ticket\""));

    app.db
        .write(async move |tx| accounts::forget_codes(tx, OWNER, now).await)
        .await
        .unwrap();
    let signed_in = browser.sign_in(OWNER, "another long passphrase").await;
    assert_eq!(
        signed_in.status, 303,
        "whoever runs the server can turn codes off"
    );
}

#[tokio::test]
async fn codes_are_turned_off_and_keys_are_sealed() {
    let app = TestApp::start().await;
    let mut owner = owner(&app, Duration::ZERO).await;
    let none = owner.post("/dashboard/security/recovery", &[]).await;
    assert_eq!(none.status, 409, "there is nothing to recover from");
    let (phone, codes) = enrol(&app, &mut owner).await;
    let mut tx = app.db.read().await.unwrap();
    let sql = "SELECT s.totp_key || c.code_hash FROM staff s JOIN staff_recovery_codes c ON c.staff_id = s.id LIMIT 20";
    let stored = tx
        .fetch_all(sql, &[], |row| row.get::<String>(0))
        .await
        .unwrap();
    drop(tx);
    assert_eq!(stored.len(), 10);
    let key = totp::base32(&phone.0);
    for row in stored {
        assert!(!row.contains(&key) && codes.iter().all(|code| !row.contains(code.as_str())));
    }
    let off = owner.post("/dashboard/security/totp/off", &[]).await;
    assert_eq!(browser::landed(&off), "/dashboard/security, off");
    assert_eq!(
        Browser::new(&app).sign_in(OWNER, PASSWORD).await.status,
        303
    );
    let foreign = [("key", "AAAA".to_owned()), ("code", "1".to_owned())];
    let foreign = owner
        .post("/dashboard/security/totp/confirm", &foreign)
        .await;
    assert_eq!(
        foreign.status, 303,
        "a key that we did not make is not taken"
    );
}
