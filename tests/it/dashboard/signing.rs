//! Who is who: the password asked for again, second factors, sessions.

use super::browser::{self, Browser, OWNER, PASSWORD};
use crate::app::TestApp;
use std::time::Duration;

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
    assert!(audit.contains("Staff confirmed"), "{audit}");
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
