//! Clients that register themselves (RFC 7591 and 7592).

use super::*;
use crate::dashboard::browser::{self, Browser, OWNER, PASSWORD};
use tradepost::oauth::dynamic::store::{StoredToken, insert_token, revoke_token, tokens};
use tradepost::oauth::dynamic::token::InitialToken;
use tradepost::oauth::dynamic::{UNUSED_MAX, forget_unused};

const PATH: &str = "/oauth/register";
const PLACE: &str = "https://clock.example/callback";

async fn shop() -> TestApp {
    TestApp::start_with(|config| config.client_registration = true).await
}

/// A token as the command line makes it.
pub async fn initial(
    app: &TestApp,
    scopes: &str,
    uses: i64,
    for_machines: bool,
) -> (String, String) {
    let (token, now) = (InitialToken::generate(), app.clock.now());
    let stored = StoredToken {
        id: platform::id::new_id("rgt"),
        name: "Partners".to_owned(),
        scopes: Scopes::parse(scopes).unwrap(),
        for_machines,
        uses_left: uses,
        created_at: now,
        expires_at: now + Duration::from_secs(7 * 24 * 3600),
        revoked_at: None,
    };
    let (id, hash) = (stored.id.clone(), token.hash());
    let made = app
        .db
        .write(async move |tx| insert_token(tx, &stored, &hash).await);
    made.await.unwrap();
    (token.expose().to_owned(), id)
}

async fn call(app: &TestApp, method: Method, path: &str, token: &str, body: Value) -> Reply {
    let call = app.anonymous().request(method, path);
    let call = call.header("authorization", &format!("Bearer {token}"));
    match body {
        Value::Null => call.send().await,
        body => {
            let call = call.header("content-type", JSON);
            call.body(body.to_string()).send().await
        }
    }
}

async fn register(app: &TestApp, token: &str, body: Value) -> Reply {
    call(app, Method::POST, PATH, token, body).await
}

fn metadata() -> Value {
    json!({ "client_name": "Stock <clock>", "redirect_uris": [PLACE], "grant_types": ["authorization_code", "refresh_token"],
        "scope": "products:read", "client_uri": "https://clock.example/", "contacts": ["ada@clock.example"], "shoe_size": 43 })
}

fn error(reply: &Reply) -> (u16, String) {
    let code = reply.json()["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reply.status, code)
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn nobody_registers_unless_it_is_turned_on() {
    let app = TestApp::start().await;
    let (token, _) = initial(&app, "products:read", 1, false).await;
    let reply = register(&app, &token, metadata()).await;
    assert_eq!(error(&reply), refused(404, "registration_disabled"));
    let path = format!("{PATH}/cli_1");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let reply = call(&app, method, &path, &token, Value::Null).await;
        assert_eq!(error(&reply), refused(404, "registration_disabled"));
    }
    let server = "/.well-known/oauth-authorization-server";
    assert!(
        app.anonymous()
            .get(server)
            .await
            .json()
            .get("registration_endpoint")
            .is_none()
    );
    let open = shop().await;
    let told = open.anonymous().get(server).await.json();
    assert!(
        told["registration_endpoint"]
            .as_str()
            .unwrap()
            .ends_with("/oauth/register")
    );
}

#[tokio::test]
async fn a_client_registers_is_let_in_and_looks_after_itself() {
    let app = shop().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    owner.sign_in(OWNER, PASSWORD).await;
    let (token, _) = initial(&app, "products:read orders:read", 1, false).await;
    let reply = register(&app, &token, metadata()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    let made = reply.json();
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(made["client_id_issued_at"], 1_698_400_800);
    assert_eq!(made["client_secret_expires_at"], 0);
    assert_eq!(made["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(
        made["grant_types"],
        json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(
        (text("scope"), text("client_name")),
        ("products:read".into(), "Stock <clock>".into())
    );
    assert!(
        made.get("shoe_size").is_none(),
        "what is not known is left away"
    );
    let (id, secret, own) = (
        text("client_id"),
        text("client_secret"),
        text("registration_access_token"),
    );
    assert!(text("registration_client_uri").ends_with(&format!("/oauth/register/{id}")));

    // People see that nobody has checked it.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let asked = format!(
        "/oauth/authorize?response_type=code&client_id={id}&redirect_uri=https%3A%2F%2Fclock.example%2Fcallback&code_challenge={challenge}&code_challenge_method=S256&state=s"
    );
    let page = owner.get(&asked).await.text();
    assert!(
        page.contains("registered itself") && page.contains("Stock &#60;clock&#62;"),
        "{page}"
    );
    let fields: Vec<(&str, String)> = [
        ("response_type", "code"),
        ("client_id", &id),
        ("redirect_uri", PLACE),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("state", "s"),
        ("allowed", "products:read"),
        ("decision", "allow"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec();
    let back = owner.post("/oauth/authorize", &fields).await;
    let code = browser::between(back.header("location"), "code=", "&");
    let body = json!({ "grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": PLACE,
        "client_id": id, "client_secret": secret });
    let tokens = app.anonymous().post("/oauth/token", body).await;
    assert_eq!(tokens.status, 200, "{}", tokens.text());
    for page in ["/dashboard/credentials", "/dashboard/audit"] {
        let shown = owner.get(page).await.text();
        assert!(
            shown.contains("Registered itself") || shown.contains("App registered itself"),
            "{shown}"
        );
    }

    let path = format!("{PATH}/{id}");
    let read = call(&app, Method::GET, &path, &own, Value::Null).await;
    assert_eq!(
        (read.status, read.json()["client_name"].clone()),
        (200, json!("Stock <clock>"))
    );
    assert!(
        read.json().get("client_secret").is_none(),
        "it is stored as a hash"
    );
    let mut changed = metadata();
    changed["client_id"] = json!(id);
    changed["client_secret"] = json!(secret);
    changed["client_name"] = json!("Clock");
    changed["scope"] = json!("products:read orders:read");
    let reply = call(&app, Method::PUT, &path, &own, changed.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        (&reply.json()["client_name"], &reply.json()["scope"]),
        (&json!("Clock"), &json!("products:read orders:read"))
    );
    for (name, value) in [
        ("client_id", json!("cli_other")),
        ("client_secret", json!("cs_wrong")),
        ("registration_access_token", json!(own)),
        ("client_id_issued_at", json!(1)),
    ] {
        let mut wrong = changed.clone();
        wrong[name] = value;
        let reply = call(&app, Method::PUT, &path, &own, wrong).await;
        assert_eq!(error(&reply), refused(400, "invalid_request"), "{name}");
    }
    changed["token_endpoint_auth_method"] = json!("none");
    let reply = call(&app, Method::PUT, &path, &own, changed).await;
    assert_eq!(error(&reply), refused(400, "invalid_client_metadata"));

    // In the end it goes, and all that it had with it.
    let gone = call(&app, Method::DELETE, &path, &own, Value::Null).await;
    assert_eq!(gone.status, 204);
    app.clock.advance(SECOND);
    let access = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let call_after = app.anonymous().request(Method::GET, "/v2/products");
    let call_after = call_after.header("authorization", &format!("Bearer {access}"));
    assert_eq!(call_after.send().await.status, 401);
    for method in [Method::GET, Method::DELETE] {
        let reply = call(&app, method, &path, &own, Value::Null).await;
        assert_eq!(error(&reply), refused(401, "invalid_token"));
        assert!(reply.header("www-authenticate").starts_with("Bearer"));
    }
    let refresh = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
    let body = json!({ "grant_type": "refresh_token", "refresh_token": refresh, "client_id": id, "client_secret": secret });
    assert_eq!(app.anonymous().post("/oauth/token", body).await.status, 401);
}

#[tokio::test]
async fn the_token_says_how_many_until_when_and_what() {
    let app = shop().await;
    let (token, token_id) = initial(&app, "products:read", 2, false).await;
    for wrong in ["", "reg_nothing", InitialToken::generate().expose()] {
        let reply = register(&app, wrong, metadata()).await;
        assert_eq!(error(&reply), refused(401, "invalid_token"), "{wrong}");
    }
    let mut beyond = metadata();
    beyond["scope"] = json!("products:read products:write");
    let reply = register(&app, &token, beyond).await;
    assert_eq!(error(&reply), refused(400, "invalid_client_metadata"));
    let mut machine = metadata();
    machine["grant_types"] = json!(["client_credentials"]);
    let reply = register(&app, &token, machine.clone()).await;
    assert_eq!(
        error(&reply),
        refused(400, "invalid_client_metadata"),
        "{}",
        reply.text()
    );
    for status in [201, 201, 401] {
        assert_eq!(
            register(&app, &token, metadata()).await.status,
            status,
            "refusals used nothing up"
        );
    }
    let (machines, _) = initial(&app, "products:read", 1, true).await;
    let made = register(&app, &machines, machine).await.json();
    let body = json!({ "grant_type": "client_credentials", "client_id": made["client_id"], "client_secret": made["client_secret"] });
    assert_eq!(app.anonymous().post("/oauth/token", body).await.status, 200);

    let (revoked, id) = initial(&app, "products:read", 2, false).await;
    let now = app.clock.now();
    let done = app
        .db
        .write(async move |tx| revoke_token(tx, &id, now).await);
    assert!(done.await.unwrap());
    assert_eq!(register(&app, &revoked, metadata()).await.status, 401);
    let (old, _) = initial(&app, "products:read", 2, false).await;
    app.clock.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(register(&app, &old, metadata()).await.status, 401);
    let listed = tokens(&mut app.db.read().await.unwrap()).await.unwrap();
    let used_up = listed.iter().find(|one| one.id == token_id).unwrap();
    assert_eq!(used_up.uses_left, 0);
}

#[tokio::test]
async fn twenty_at_once_with_a_token_for_five_are_five() {
    let app = shop().await;
    let (token, _) = initial(&app, "products:read", 5, false).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = app.anonymous();
        let token = token.clone();
        tasks.spawn(async move {
            let call = client.request(Method::POST, PATH);
            let call = call.header("authorization", &format!("Bearer {token}"));
            let call = call.header("content-type", JSON);
            call.body(metadata().to_string()).send().await.status
        });
    }
    let statuses = tasks.join_all().await;
    let made = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(made, 5, "{statuses:?}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let app = shop().await;
    let (token, _) = initial(&app, "products:read", 1_000, true).await;
    let redirect = "invalid_redirect_uri";
    let other = "invalid_client_metadata";
    for (name, value, code) in [
        ("redirect_uris", json!([]), redirect),
        (
            "redirect_uris",
            json!(["http://clock.example/cb"]),
            redirect,
        ),
        (
            "redirect_uris",
            json!(["https://clock.example/cb#x"]),
            redirect,
        ),
        ("redirect_uris", json!(["https://*.example/cb"]), redirect),
        (
            "redirect_uris",
            json!(["https://a@clock.example/cb"]),
            redirect,
        ),
        ("redirect_uris", json!(["javascript:alert(1)"]), redirect),
        (
            "redirect_uris",
            json!(["https://clock.example/a/../cb"]),
            redirect,
        ),
        ("redirect_uris", json!(vec![PLACE; 21]), redirect),
        ("redirect_uris", json!(PLACE), other),
        ("grant_types", json!(["password"]), other),
        ("grant_types", json!(["implicit"]), other),
        ("grant_types", json!(["refresh_token"]), other),
        ("response_types", json!(["token"]), other),
        ("response_types", json!([]), other),
        (
            "token_endpoint_auth_method",
            json!("client_secret_jwt"),
            other,
        ),
        (
            "token_endpoint_auth_method",
            json!("private_key_jwt"),
            other,
        ),
        ("jwks", json!({ "keys": [] }), other),
        ("jwks_uri", json!("https://169.254.169.254/keys"), other),
        ("client_uri", json!("javascript:alert(1)"), other),
        ("logo_uri", json!("http://clock.example/logo.png"), other),
        (
            "policy_uri",
            json!(format!("https://clock.example/{}", "x".repeat(500))),
            other,
        ),
        ("client_name", json!(""), other),
        ("client_name", json!("n".repeat(101)), other),
        ("client_name", json!("Tradepost\u{202e}"), other),
        ("client_name", json!("two\nlines"), other),
        ("client_name", json!(1), other),
        ("contacts", json!(vec!["a"; 6]), other),
        ("scope", json!("products:read everything"), other),
        ("dpop_bound_access_tokens", json!("yes"), other),
    ] {
        let mut body = metadata();
        body[name] = value.clone();
        let reply = register(&app, &token, body).await;
        assert_eq!(
            error(&reply),
            refused(400, code),
            "{name} {value}: {}",
            reply.text()
        );
        let said = reply.json()["error_description"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(!said.is_empty() && !said.contains('<'), "{said}");
    }
    let mut public = metadata();
    public["token_endpoint_auth_method"] = json!("none");
    public["grant_types"] = json!(["client_credentials"]);
    assert_eq!(
        error(&register(&app, &token, public).await),
        refused(400, other)
    );
    let huge = json!({ "client_name": "x".repeat(20_000), "redirect_uris": [PLACE] });
    assert_eq!(
        error(&register(&app, &token, huge).await),
        refused(400, "invalid_request")
    );
    for (kind, body) in [
        (FORM, "client_name=x"),
        (JSON, "[]"),
        (JSON, "{"),
        (JSON, ""),
        (JSON, r#"{"client_name":"a","client_name":"b"}"#),
    ] {
        let call = app.anonymous().request(Method::POST, PATH);
        let call = call.header("authorization", &format!("Bearer {token}"));
        let reply = call.header("content-type", kind).body(body).send().await;
        assert_eq!(error(&reply), refused(400, "invalid_request"), "{body}");
    }
}

#[tokio::test]
async fn one_client_does_not_look_after_another() {
    let app = shop().await;
    let (token, _) = initial(&app, "products:read", 2, false).await;
    let first = register(&app, &token, metadata()).await.json();
    let second = register(&app, &token, metadata()).await.json();
    let path = |made: &Value| format!("{PATH}/{}", made["client_id"].as_str().unwrap());
    let own = |made: &Value| {
        made["registration_access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for (path, token) in [
        (path(&first), own(&second)),
        (path(&first), token.clone()),
        (format!("{PATH}/cli_none"), own(&first)),
        (format!("{PATH}/..%2Fx"), own(&first)),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let reply = call(&app, method.clone(), &path, &token, metadata()).await;
            assert_eq!(
                error(&reply),
                refused(401, "invalid_token"),
                "{method} {path}"
            );
        }
    }
    let made_by_people = app.credentials("products:read").await.0;
    let reply = call(
        &app,
        Method::GET,
        &format!("{PATH}/{made_by_people}"),
        &own(&first),
        Value::Null,
    )
    .await;
    assert_eq!(error(&reply), refused(401, "invalid_token"));
}

#[tokio::test]
async fn who_never_gets_a_token_is_forgotten() {
    let app = shop().await;
    let (token, _) = initial(&app, "products:read", 2, true).await;
    let mut machine = metadata();
    machine["grant_types"] = json!(["client_credentials"]);
    machine["redirect_uris"] = json!([]);
    let used = register(&app, &token, machine.clone()).await.json();
    let unused = register(&app, &token, machine).await.json();
    let status = async |made: &Value| {
        let body = json!({ "grant_type": "client_credentials", "client_id": made["client_id"],
            "client_secret": made["client_secret"] });
        app.anonymous().post("/oauth/token", body).await.status
    };
    assert_eq!(status(&used).await, 200);
    forget_unused(&app, app.clock.now()).await.unwrap();
    app.clock.advance(UNUSED_MAX + SECOND);
    forget_unused(&app, app.clock.now()).await.unwrap();
    app.clock.advance(SECOND);
    assert_eq!(status(&used).await, 200);
    assert_eq!(status(&unused).await, 401);
    let listed = list_clients(&mut app.db.read().await.unwrap())
        .await
        .unwrap();
    let ids: Vec<String> = listed.iter().map(|client| client.id.to_string()).collect();
    assert!(ids.contains(&used["client_id"].as_str().unwrap().to_owned()));
    assert!(!ids.contains(&unused["client_id"].as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn guessing_a_registration_token_is_slowed_down() {
    let app = shop().await;
    let mut last = 0;
    for _ in 0..101 {
        let wrong = InitialToken::generate();
        last = register(&app, wrong.expose(), metadata()).await.status;
    }
    assert_eq!(last, 429);
    // Who shows nothing guesses nothing.
    for _ in 0..2 {
        let bare = app.anonymous().post(PATH, metadata()).await;
        assert_eq!(bare.status, 401, "{}", bare.text());
    }
}

/// Member for member: what is at a bound of the OpenAPI document is taken, what is beyond it is refused, and answers
/// hold what the document says and nothing else.
#[tokio::test]
async fn the_document_says_what_a_registration_may_hold() {
    let app = shop().await;
    let (token, _) = initial(&app, "products:read", 900, true).await;
    let document = app.anonymous().get("/openapi.json").await.json();
    let schemas = &document["components"]["schemas"];
    let operation = &document["paths"][PATH]["post"];
    let scheme = operation["security"][0].as_object().unwrap().keys().next();
    assert_eq!(
        document["components"]["securitySchemes"][scheme.unwrap()]["scheme"],
        "bearer"
    );
    let known = &schemas["ClientMetadata"]["properties"];
    let with = |name: &str, value: Value| {
        let mut body = json!({ "redirect_uris": [PLACE] });
        body[name] = value;
        body
    };
    let long = |length: u64, start: &str| format!("{start:a<0$}", length as usize);
    let mut bounds = 0;
    for (name, schema) in known.as_object().unwrap() {
        assert_eq!(
            register(&app, &token, with(name, Value::Null)).await.status,
            if name == "redirect_uris" { 400 } else { 201 },
            "{name} null"
        );
        let wrong = register(&app, &token, with(name, json!({ "keys": 7 }))).await;
        assert_eq!(wrong.status, 400, "{name} of another type");
        if let Some(most) = schema["maxLength"].as_u64() {
            let start = if schema["pattern"] == "^https://" {
                "https://a.example/"
            } else {
                ""
            };
            for (length, status) in [(most, 201), (most + 1, 400)] {
                let reply = register(&app, &token, with(name, json!(long(length, start)))).await;
                assert_eq!(reply.status, status, "{name} of {length}");
            }
            bounds += 1;
        }
        if schema["minLength"] == 1 || schema["pattern"] == "^https://" {
            let reply = register(&app, &token, with(name, json!(""))).await;
            assert_eq!(reply.status, 400, "{name} empty");
        }
        let Some(most) = schema["maxItems"].as_u64().filter(|most| *most > 1) else {
            continue;
        };
        let longest = schema["items"]["maxLength"].as_u64().unwrap();
        let start = if name == "redirect_uris" {
            "https://a.example/"
        } else {
            ""
        };
        for (items, length, status) in [
            (most, 20, 201),
            (most + 1, 20, 400),
            (1, longest, 201),
            (1, longest + 1, 400),
        ] {
            let items: Vec<_> = (0..items)
                .map(|n| long(length, &format!("{start}{n}")))
                .collect();
            let reply = register(&app, &token, with(name, json!(items))).await;
            assert_eq!(reply.status, status, "{} {name} of {length}", items.len());
        }
        bounds += 1;
    }
    assert_eq!(bounds, 9);
    for method in schemas["AuthMethodName"]["enum"].as_array().unwrap() {
        let mut body = with("token_endpoint_auth_method", method.clone());
        if method == "private_key_jwt" {
            body["jwks"] = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] });
        }
        assert_eq!(register(&app, &token, body).await.status, 201, "{method}");
    }
    for name in schemas["GrantTypeName"]["enum"].as_array().unwrap() {
        let grants = json!(["authorization_code", name]);
        assert_eq!(
            register(&app, &token, with("grant_types", grants))
                .await
                .status,
            201,
            "{name}"
        );
    }
    let mut full = metadata();
    for name in ["logo_uri", "tos_uri", "policy_uri"] {
        full[name] = json!("https://clock.example/page");
    }
    full["software_id"] = json!("clock");
    full["software_version"] = json!("1");
    let made = register(&app, &token, full).await.json();
    let shape = &schemas["Registration"];
    for name in made.as_object().unwrap().keys() {
        assert!(
            shape["properties"][name].is_object(),
            "{name} is not in the document"
        );
    }
    for name in shape["required"].as_array().unwrap() {
        assert!(
            !made[name.as_str().unwrap()].is_null(),
            "{name} is not answered"
        );
    }
}
