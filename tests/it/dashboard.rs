//! The dashboard, as browsers meet it.

mod attacks;
pub mod browser;
mod bulk;
mod catalog;
mod credentials;
mod hostile;
mod pages;
mod passkeys;
mod requests;
mod shop;
mod signing;
mod team;
mod together;
mod work;

use crate::app::TestApp;
use crate::program::{Place, told};
use browser::{Browser, OWNER, PASSWORD};
use std::time::Duration;
use tradepost::dashboard::Role;

#[tokio::test]
async fn the_first_run_makes_an_owner_and_credentials_that_work() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    let link = browser::setup_link(&app).await;
    let page = browser.get(&link).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let done = browser.submit(&link, &browser::setup_form(&link)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.header("cache-control"), "no-store");
    let text = done.text();
    let shown = |id: &str| browser::between(&text, &format!("id=\"{id}\">"), "<");
    let (id, secret) = (shown("client-id"), shown("client-secret"));
    assert_eq!(
        text.matches(&secret).count(),
        5,
        "once by itself, once in each snippet"
    );
    let body = serde_json::json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    let token = app.anonymous().post("/oauth/token", body).await;
    assert_eq!(token.status, 200, "{}", token.text());
    let home = browser.get("/dashboard").await;
    assert_eq!(home.status, 200);
    assert!(home.text().contains("Teapots &#38; more") && home.text().contains(OWNER));
}

/// Reloading the page of the first credentials sends the setup again.
#[tokio::test]
async fn a_setup_that_is_sent_again_is_told_that_it_was_taken() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    let link = browser::setup_link(&app).await;
    let (token, form) = (browser.form_token().await, browser::setup_form(&link));
    let same = [("sec-fetch-site", "same-origin")];
    let path = "/dashboard/setup";
    let done = browser.post_with(path, &form, &token, &same).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let again = browser.post_with(path, &form, &token, &same).await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("was taken then"), "{}", again.text());
    let gone = browser.get(&link).await;
    assert_eq!(gone.status, 410);
    assert!(gone.text().contains("you are signed in") && gone.text().contains("rotate it"));
    // The page of the credentials belongs to the session that began with it.
    let theme = [("theme", "dark".to_owned())];
    let shown = browser::between(&done.text(), "name=\"form\" value=\"", "\"");
    let sent = browser.post_with("/dashboard/account/theme", &theme, &shown, &same);
    assert_eq!(sent.await.status, 303);
}

#[tokio::test]
async fn setup_happens_once() {
    let app = TestApp::start().await;
    let (first, second) = (
        browser::setup_link(&app).await,
        browser::setup_link(&app).await,
    );
    let mut browser = Browser::new(&app);
    browser.submit(&first, &browser::setup_form(&first)).await;
    for link in [&first, &second] {
        let mut other = Browser::new(&app);
        let sign_in = other.get("/dashboard/sign-in").await;
        assert_eq!(sign_in.status, 200);
        assert_eq!(other.get(link).await.status, 410);
        let again = other.post(link, &browser::setup_form(link)).await;
        assert_eq!(again.status, 410, "{}", again.text());
    }
    let now = app.clock.now();
    let link = tradepost::dashboard::accounts::setup_link(&app.db, now).await;
    assert!(link.unwrap().is_none());
}

#[tokio::test]
async fn of_two_setups_at_once_one_wins() {
    let app = TestApp::start().await;
    let links = [
        browser::setup_link(&app).await,
        browser::setup_link(&app).await,
    ];
    let setup = async |link: &str| {
        let mut browser = Browser::new(&app);
        browser
            .submit(link, &browser::setup_form(link))
            .await
            .status
    };
    let (one, other) = tokio::join!(setup(&links[0]), setup(&links[1]));
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
}

#[tokio::test]
async fn a_setup_link_is_too_old_after_a_day() {
    let app = TestApp::start().await;
    let link = browser::setup_link(&app).await;
    app.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(Browser::new(&app).get(&link).await.status, 410);
    assert_eq!(
        Browser::new(&app)
            .get("/dashboard/setup?token=x")
            .await
            .status,
        410
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_setup_is_said_and_nothing_is_lost() {
    let app = TestApp::start().await;
    let link = browser::setup_link(&app).await;
    let mut browser = Browser::new(&app);
    for (field, value, said) in [
        ("email", "nobody", "email address such as"),
        ("password", "short", "at least 12 characters"),
        (
            "password",
            "owner-owner-owner",
            "little more than your email address",
        ),
        ("shop", " ", "name of 1 to 100"),
        ("currency", "usd", "one of the currencies"),
        ("time_zone", "Mars/Olympus", "time zone such as"),
    ] {
        let mut form = browser::setup_form(&link);
        form.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value.to_owned();
        let page = browser.submit(&link, &form).await;
        assert_eq!(page.status, 422, "{field}");
        assert!(page.text().contains(said), "{field}: {}", page.text());
        assert!(
            !page.text().contains(PASSWORD),
            "a password is never sent back"
        );
    }
    assert_eq!(
        browser
            .submit(&link, &browser::setup_form(&link))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn the_cookie_of_a_session_is_bound_to_host_and_https() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut browser = Browser::new(&app);
    let reply = browser.sign_in(OWNER, PASSWORD).await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, "/dashboard")
    );
    let set: Vec<&str> = reply
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    let session = set
        .iter()
        .find(|one| one.starts_with("__Host-tradepost="))
        .unwrap();
    for part in [
        "; Path=/",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Lax",
        "; Max-Age=1209600",
    ] {
        assert!(session.contains(part), "{part} in {session}");
    }
    assert!(!session.contains("Domain"));
}

#[tokio::test]
async fn a_session_ends_when_idle_when_old_and_when_signed_out() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut browser = Browser::new(&app);
    browser.sign_in(OWNER, PASSWORD).await;
    app.clock.advance(Duration::from_secs(11 * 3600));
    assert_eq!(browser.get("/dashboard").await.status, 200);
    app.clock.advance(Duration::from_secs(11 * 3600));
    assert_eq!(
        browser.get("/dashboard").await.status,
        200,
        "it was used meanwhile"
    );
    app.clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(browser.get("/dashboard").await.status, 303, "idle");

    browser.sign_in(OWNER, PASSWORD).await;
    for _ in 0..(14 * 24 / 8 - 1) {
        app.clock.advance(Duration::from_secs(8 * 3600));
        assert_eq!(browser.get("/dashboard").await.status, 200);
    }
    app.clock.advance(Duration::from_secs(8 * 3600));
    assert_eq!(browser.get("/dashboard").await.status, 303, "old");

    browser.sign_in(OWNER, PASSWORD).await;
    let cookies = browser.cookies.clone();
    let out = browser.submit("/dashboard/sign-out", &[]).await;
    assert_eq!(browser::landed(&out), "/dashboard/sign-in, out");
    browser.cookies = cookies;
    assert_eq!(
        browser.get("/dashboard").await.status,
        303,
        "the old cookie is worth nothing"
    );
}

#[tokio::test]
async fn sessions_are_listed_and_can_be_ended() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let (mut here, mut there) = (Browser::new(&app), Browser::new(&app));
    here.sign_in(OWNER, PASSWORD).await;
    there.sign_in(OWNER, PASSWORD).await;
    let page = here.get("/dashboard/security").await.text();
    assert!(
        page.contains("Unnamed program") && page.contains("just now"),
        "{page}"
    );
    let path = browser::between(&page, "action=\"/dashboard/security/sessions/ses_", "\"");
    let path = format!("/dashboard/security/sessions/ses_{path}");
    assert_eq!(
        page.matches("/end\"").count(),
        2,
        "those of setup and there, not this one"
    );
    here.submit("/dashboard/security/sessions/end-others", &[])
        .await;
    assert_eq!(there.get("/dashboard").await.status, 303);
    assert_eq!(here.get("/dashboard").await.status, 200);
    assert_eq!(
        here.submit(&path, &[]).await.status,
        404,
        "it is gone already"
    );
}

#[tokio::test]
async fn a_password_is_changed_with_the_present_one_and_ends_other_sessions() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let (mut here, mut there) = (Browser::new(&app), Browser::new(&app));
    here.sign_in(OWNER, PASSWORD).await;
    there.sign_in(OWNER, PASSWORD).await;
    let next = "another long passphrase";
    let form = |present: &str| {
        [
            ("present", present.to_owned()),
            ("password", next.to_owned()),
        ]
    };
    let path = "/dashboard/security/password";
    assert_eq!(here.submit(path, &form("wrong")).await.status, 422);
    let same = [("present", PASSWORD), ("password", PASSWORD)];
    let same = same.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(here.submit(path, &same).await.status, 422);
    let mut stolen = Browser::new(&app);
    stolen.cookies = here.cookies.clone();
    assert_eq!(here.submit(path, &form(PASSWORD)).await.status, 303);
    assert_ne!(here.cookies, stolen.cookies);
    let gone = stolen.get("/dashboard").await;
    assert_eq!(gone.status, 303, "the old token of this session");
    assert_eq!(there.get("/dashboard").await.status, 303);
    assert_eq!(here.get("/dashboard").await.status, 200);
    assert_eq!(
        Browser::new(&app).sign_in(OWNER, PASSWORD).await.status,
        422
    );
    assert_eq!(Browser::new(&app).sign_in(OWNER, next).await.status, 303);
}

#[tokio::test]
async fn who_is_invited_chooses_a_password_once() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let link = browser::invite(&app, "dev@example.com", Role::Developer).await;
    assert_eq!(
        Browser::new(&app)
            .sign_in("dev@example.com", "")
            .await
            .status,
        422
    );
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = [("token", token), ("password", PASSWORD.to_owned())];
    let mut browser = Browser::new(&app);
    assert!(browser.get(&link).await.text().contains("dev@example.com"));
    assert_eq!(browser.submit(&link, &form).await.status, 303);
    assert_eq!(browser.get("/dashboard/credentials").await.status, 200);
    let mut other = Browser::new(&app);
    other.get("/dashboard/sign-in").await;
    assert_eq!(other.get(&link).await.status, 410);
    assert_eq!(other.post("/dashboard/password", &form).await.status, 410);
}

#[tokio::test]
async fn a_reset_ends_sessions_and_a_closed_account_stays_out() {
    use tradepost::dashboard::accounts;
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    browser::member(&app, "op@example.com", Role::Operator).await;
    let mut before = Browser::new(&app);
    before.sign_in("op@example.com", PASSWORD).await;
    let now = app.clock.now();
    let link = app
        .db
        .write(async move |tx| accounts::reset(tx, "OP@example.com", now).await)
        .await;
    let link = link.unwrap().address("");
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = [
        ("token", token),
        ("password", "something else entirely".to_owned()),
    ];
    assert_eq!(Browser::new(&app).submit(&link, &form).await.status, 303);
    assert_eq!(
        before.get("/dashboard").await.status,
        303,
        "the old session is over"
    );
    let mut after = Browser::new(&app);
    after
        .sign_in("op@example.com", "something else entirely")
        .await;
    assert_eq!(after.get("/dashboard").await.status, 200);
    app.db
        .write(async move |tx| accounts::disable(tx, "op@example.com", now).await)
        .await
        .unwrap();
    assert_eq!(after.get("/dashboard").await.status, 303);
    let again = Browser::new(&app)
        .sign_in("op@example.com", "something else entirely")
        .await;
    assert_eq!(again.status, 422);
    let last = app
        .db
        .write(async move |tx| accounts::disable(tx, OWNER, now).await)
        .await;
    assert!(matches!(last, Err(accounts::AccountError::LastOwner(_))));
}

#[tokio::test]
async fn nothing_secret_is_stored_in_clear() {
    let app = TestApp::start().await;
    let link = browser::setup_link(&app).await;
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let mut browser = Browser::new(&app);
    let page = browser
        .submit(&link, &browser::setup_form(&link))
        .await
        .text();
    let secret = browser::between(&page, "id=\"client-secret\">", "<");
    let session = browser.cookies["__Host-tradepost"].clone();
    let tables = [
        ("staff", "id || email || COALESCE(password_hash, '')"),
        ("staff_sessions", "id || token_hash || user_agent"),
        ("staff_links", "token_hash || kind"),
        ("oauth_client_secrets", "id || hash || hint"),
        ("audit_log", "id || actor || who || action || object_id"),
        ("events", "id || kind || data"),
    ];
    let mut tx = app.db.read().await.unwrap();
    for (table, columns) in tables {
        let sql = format!("SELECT {columns} FROM {table} LIMIT 1000");
        let rows = tx
            .fetch_all(&sql, &[], |row| row.get::<String>(0))
            .await
            .unwrap();
        assert!(!rows.is_empty(), "{table}");
        for row in rows {
            for secret in [&token, &secret, &session, PASSWORD] {
                assert!(!row.contains(secret), "{table}: {row}");
            }
        }
    }
}

#[tokio::test]
async fn the_program_prints_the_way_in_until_somebody_has_an_account() {
    use std::io::BufRead;
    let place = Place::new().await;
    let early = place.run(&["users", "create", "kim@example.com", "--as", "operator"]);
    assert_eq!(early.status.code(), Some(1), "{}", told(&early));
    let mut server = place.serve(&["--public-url", "http://shop.example.com"]);
    let mut line = String::new();
    let mut printed = String::new();
    while !line.contains("/dashboard/setup?token=") {
        line.clear();
        assert!(server.lines.read_line(&mut line).unwrap() > 0, "{printed}");
        printed.push_str(&line);
    }
    assert!(printed.contains("Nobody can sign in to the dashboard at http://shop.example.com"));
    assert!(
        line.trim()
            .starts_with(&format!("http://127.0.0.1:{}/", server.port)),
        "{line}"
    );
    let link = line.trim().split_once("/dashboard").unwrap().1;
    let answer = server
        .connect()
        .send("GET", &format!("/dashboard{link}"), &[], None);
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn accounts_are_managed_on_the_command_line() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tradepost"));
        command
            .args(args)
            .current_dir(app.data_dir())
            .env("TRADEPOST_DATA_DIR", app.data_dir());
        if let Some(url) = &app.config.database_url {
            command.env("TRADEPOST_DATABASE_URL", url);
        }
        command.output().expect("the program starts")
    };
    let kim = "kim@example.com";
    let made = run(&["users", "create", kim, "--as", "operator"]);
    assert!(made.status.success(), "{}", told(&made));
    let link = String::from_utf8(made.stdout).unwrap();
    let link = format!(
        "/dashboard/password?token={}",
        browser::between(&link, "token=", "\n")
    );
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = [("token", token), ("password", PASSWORD.to_owned())];
    let mut browser = Browser::new(&app);
    assert_eq!(browser.submit(&link, &form).await.status, 303);
    assert_eq!(browser.get("/dashboard/orders").await.status, 200);
    let twice = run(&["users", "create", "KIM@example.com", "--as", "admin"]);
    assert_eq!(twice.status.code(), Some(1));
    assert!(told(&twice).contains("there is an account with the email"));
    let listed = run(&["users", "list"]);
    assert!(
        told(&listed).contains("kim@example.com  operator"),
        "{}",
        told(&listed)
    );
    let json = run(&["users", "list", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json[0]["role"], &json[1]["email"]),
        (&"owner".into(), &kim.into())
    );
    assert!(told(&run(&["users", "reset-password", kim])).contains("/dashboard/password?token="));
    let none = told(&run(&["users", "reset-passkeys", kim]));
    assert!(
        none.contains("0 passkeys of kim@example.com removed"),
        "{none}"
    );
    assert!(run(&["users", "disable", kim]).status.success());
    assert_eq!(browser.get("/dashboard/orders").await.status, 303);
    assert_eq!(
        run(&["users", "reset-password", kim]).status.code(),
        Some(1)
    );
    let last = run(&["users", "disable", OWNER]);
    assert!(told(&last).contains("is the last owner"), "{}", told(&last));
}
