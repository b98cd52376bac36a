//! Devices without a browser (RFC 8628).

use super::*;

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A client of devices; public, as most are.
async fn start(app: &TestApp, scopes: &str, is_public: bool) -> Visited {
    let (id, secret) = register(app, new_client(scopes)).await;
    let secret = (!is_public).then_some(secret);
    let visited = Visited { id, secret };
    let flows = [GrantType::DeviceCode, GrantType::RefreshToken];
    let registration = Registration::new(flows, Vec::new(), is_public).unwrap();
    visited.set(app, registration).await;
    visited
}

async fn begin(app: &TestApp, visited: &Visited, scope: &str) -> Reply {
    let mut fields = vec![("client_id", visited.id.as_str()), ("scope", scope)];
    if let Some(secret) = &visited.secret {
        fields.push(("client_secret", secret));
    }
    let path = "/oauth/device_authorization";
    ask(app, path, FORM, None, &super::form(&fields)).await
}

/// The device code and the user code of a device that began to wait.
async fn codes(app: &TestApp, visited: &Visited, scope: &str) -> (String, String) {
    let reply = begin(app, visited, scope).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let code = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
    (code("device_code"), code("user_code"))
}

async fn poll(app: &TestApp, visited: &Visited, code: &str) -> Reply {
    visited
        .ask(app, &[("grant_type", DEVICE), ("device_code", code)])
        .await
}

async fn decide(somebody: &mut Browser, code: &str, decision: &str, scopes: &str) -> Reply {
    let mut fields = vec![
        ("user_code", code.to_owned()),
        ("decision", decision.to_owned()),
    ];
    for scope in scopes.split(' ') {
        fields.push(("allowed", scope.to_owned()));
    }
    somebody.post("/device", &fields).await
}

#[tokio::test]
async fn a_device_is_let_in_from_elsewhere() {
    for is_public in [true, false] {
        let (app, mut owner, _) = shop().await;
        let visited = start(&app, "orders:read products:read", is_public).await;
        let reply = begin(&app, &visited, "orders:read").await;
        let body = reply.json();
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(
            (&body["expires_in"], &body["interval"]),
            (&json!(600), &json!(5))
        );
        let place = format!("{}/device", app.config.public_url);
        assert_eq!(body["verification_uri"], place);
        let (device, code) = (
            body["device_code"].as_str().unwrap(),
            body["user_code"].as_str().unwrap(),
        );
        assert_eq!(
            body["verification_uri_complete"],
            format!("{place}?user_code={code}")
        );
        assert_refused(
            &poll(&app, &visited, device).await,
            400,
            "authorization_pending",
        );
        let page = owner.get(&format!("/device?user_code={code}")).await.text();
        assert!(page.contains(&format!("value=\"{code}\"")), "{page}");
        assert!(
            !page.contains("Read orders."),
            "nothing is asked before the code is sent"
        );
        let typed = code.to_lowercase().replace('-', " ");
        let page = owner.post("/device", &[("user_code", typed)]).await;
        assert_eq!(page.status, 200);
        let text = page.text();
        assert!(
            text.contains("Read orders.") && text.contains(code),
            "{text}"
        );
        assert_refused(&poll(&app, &visited, device).await, 400, "slow_down");
        let done = decide(&mut owner, code, "allow", "orders:read products:read").await;
        assert_eq!(
            browser::landed(&done),
            "/device, connected",
            "{}",
            done.text()
        );
        let page = owner.get("/device").await.text();
        assert!(page.contains("The device is connected"), "{page}");
        let reply = poll(&app, &visited, device).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(
            reply.json()["scope"],
            "orders:read",
            "what was not asked for is not given"
        );
        let token = access_token(&reply);
        assert!(claims(&token)["sub"].as_str().unwrap().starts_with("stf_"));
        assert_eq!(bearer(&app, &token).get("/v2/orders").await.status, 200);
        let next = visited.refresh(&app, &refresh_token(&reply)).await;
        assert_eq!(next.status, 200, "{}", next.text());
        assert_refused(&poll(&app, &visited, device).await, 400, "invalid_grant");
        assert!(
            owner
                .get("/dashboard/account")
                .await
                .text()
                .contains("orders:read")
        );
    }
}

#[tokio::test]
async fn a_device_that_asks_too_often_waits_longer() {
    let (app, _, _) = shop().await;
    let visited = start(&app, "orders:read", true).await;
    let (device, _) = codes(&app, &visited, "").await;
    for (seconds, error) in [
        (0, "authorization_pending"),
        (4, "slow_down"),
        (9, "slow_down"),
        (15, "authorization_pending"),
        (14, "slow_down"),
        (20, "authorization_pending"),
    ] {
        app.clock.advance(Duration::from_secs(seconds));
        assert_refused(&poll(&app, &visited, &device).await, 400, error);
    }
    app.clock.advance(Duration::from_secs(600));
    assert_refused(&poll(&app, &visited, &device).await, 400, "expired_token");
}

#[tokio::test]
async fn a_device_is_refused() {
    let (app, mut owner, _) = shop().await;
    let visited = start(&app, "orders:read", true).await;
    let (device, code) = codes(&app, &visited, "").await;
    let reply = decide(&mut owner, &code, "allow", "").await;
    assert_eq!(reply.status, 422, "nothing is ticked");
    let denied = decide(&mut owner, &code, "deny", "").await;
    assert_eq!(browser::landed(&denied), "/device, refused");
    assert_refused(&poll(&app, &visited, &device).await, 400, "access_denied");
    let late = decide(&mut owner, &code, "allow", "orders:read").await;
    assert_eq!(late.status, 422, "it waits no more");
    assert_refused(&poll(&app, &visited, &device).await, 400, "access_denied");
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(audit.contains("Device refused"), "{audit}");
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_does() {
    let (app, mut owner, _) = shop().await;
    let visited = start(&app, "orders:read", true).await;
    let (device, code) = codes(&app, &visited, "").await;
    let mut other = browser::member(&app, "dev@example.com", Role::Developer).await;
    let (one, two) = tokio::join!(
        decide(&mut owner, &code, "allow", "orders:read"),
        decide(&mut other, &code, "allow", "orders:read")
    );
    let good = [one.status, two.status]
        .iter()
        .filter(|s| **s == 303)
        .count();
    assert_eq!(good, 1, "{} {}", one.status, two.status);
    assert_eq!(poll(&app, &visited, &device).await.status, 200);
}

#[tokio::test]
async fn what_must_not_work_with_devices() {
    let (app, mut owner, other_flow) = shop().await;
    let visited = start(&app, "orders:read orders:write users:write", true).await;
    // Another client does not get what somebody allowed this one.
    let thief = start(&app, "orders:read", true).await;
    let (device, code) = codes(&app, &visited, "orders:read").await;
    assert_refused(&poll(&app, &thief, &device).await, 400, "invalid_grant");
    for unknown in ["dc_unknown", "x", &device[..45]] {
        assert_refused(&poll(&app, &visited, unknown).await, 400, "invalid_grant");
    }
    let missing = visited.ask(&app, &[("grant_type", DEVICE)]).await;
    assert_refused(&missing, 400, "invalid_request");
    let fields = [("resource", "https://other.example")];
    let fields = [("client_id", visited.id.as_str()), fields[0]];
    let elsewhere = ask(
        &app,
        "/oauth/device_authorization",
        FORM,
        None,
        &form(&fields),
    )
    .await;
    assert_refused(&elsewhere, 400, "invalid_target");
    // The user code is not the device code.
    assert_refused(&poll(&app, &visited, &code).await, 400, "invalid_grant");
    // A client that was not given the flow.
    assert_refused(
        &begin(&app, &other_flow, "").await,
        400,
        "unauthorized_client",
    );
    let nobody = Visited {
        id: "cli_nobody".into(),
        secret: None,
    };
    assert_refused(&begin(&app, &nobody, "").await, 401, "invalid_client");
    assert_refused(
        &begin(&app, &visited, "clients:write").await,
        400,
        "invalid_scope",
    );
    // The role of the person is the limit.
    let mut reader = browser::member(&app, "reader@example.com", Role::ReadOnly).await;
    let (device, code) = codes(&app, &visited, "").await;
    let all = "orders:read orders:write users:write";
    assert_eq!(decide(&mut reader, &code, "allow", all).await.status, 303);
    let reply = poll(&app, &visited, &device).await;
    assert_eq!(reply.json()["scope"], "orders:read");
    // A form from elsewhere decides nothing, and neither does a link.
    let (device, code) = codes(&app, &visited, "").await;
    let fields = [
        ("user_code", code.clone()),
        ("decision", "allow".to_owned()),
        ("allowed", "orders:read".to_owned()),
    ];
    let own = owner.form_token().await;
    let cross = ("sec-fetch-site", "cross-site");
    for (token, site) in [
        (own.as_str(), cross),
        ("", ("sec-fetch-site", "same-origin")),
    ] {
        let reply = owner.post_with("/device", &fields, token, &[site]).await;
        assert_eq!(reply.status, 403);
    }
    owner
        .get(&format!(
            "/device?user_code={code}&decision=allow&allowed=orders:read"
        ))
        .await;
    assert_refused(
        &poll(&app, &visited, &device).await,
        400,
        "authorization_pending",
    );
    let page = owner.get("/device").await;
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(page.header("access-control-allow-origin"), "");
    let page = owner
        .get("/device?user_code=%22%3E%3Cscript%3E")
        .await
        .text();
    assert!(!page.contains("\"><script>"));
}

#[tokio::test]
async fn codes_cannot_be_guessed_and_are_too_old_after_ten_minutes() {
    let (app, mut owner, _) = shop().await;
    let visited = start(&app, "orders:read", true).await;
    let (_, code) = codes(&app, &visited, "").await;
    for guess in ["", "BBBB-BBBB", "CCCC-CCCC", "x", "DDDD-DDDD"] {
        let reply = owner
            .post("/device", &[("user_code", guess.to_owned())])
            .await;
        assert_eq!(reply.status, 422, "{guess}");
    }
    let reply = owner.post("/device", &[("user_code", code.clone())]).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "15"));
    app.clock.advance(Duration::from_secs(15));
    let reply = owner.post("/device", &[("user_code", code.clone())]).await;
    assert_eq!(reply.status, 200);
    app.clock.advance(Duration::from_secs(585));
    let reply = decide(&mut owner, &code, "allow", "orders:read").await;
    assert_eq!(reply.status, 422);
}

#[tokio::test]
async fn who_is_not_signed_in_comes_back_to_the_code() {
    let (app, _, _) = shop().await;
    let mut somebody = Browser::new(&app);
    let away = somebody.get("/device?user_code=WDJB-MJHT").await;
    let place = "/dashboard/sign-in?next=%2Fdevice%3Fuser_code%3DWDJB-MJHT";
    assert_eq!(away.header("location"), place);
    let fields = [
        ("email", OWNER),
        ("password", PASSWORD),
        ("next", "/device?user_code=WDJB-MJHT"),
    ];
    let fields = fields.map(|(name, value)| (name, value.to_owned()));
    let reply = somebody.post("/dashboard/sign-in", &fields).await;
    assert_eq!(reply.header("location"), "/device?user_code=WDJB-MJHT");
}
