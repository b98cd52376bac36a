//! `private_key_jwt`: clients that sign, and those who would like to be them.

use super::signing::{Key, encode, hmac};
use super::*;
use tradepost::oauth::jwk::KeySet;
use tradepost::oauth::{create_signing_client, revoke_client, set_keys};

const TYPE: &str = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

fn key_set(keys: &[&Key]) -> KeySet {
    let keys: Vec<&Value> = keys.iter().map(|key| &key.jwk).collect();
    KeySet::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

async fn signing_client(app: &TestApp, new: NewClient, keys: &[&Key]) -> String {
    let (keys, now) = (key_set(keys), app.clock.now());
    app.db
        .write(async move |tx| create_signing_client(tx, &new, &keys, now).await)
        .await
        .unwrap()
        .to_string()
}

fn now(app: &TestApp) -> i64 {
    app.clock.now().micros() / 1_000_000
}

/// What a right assertion of `id` says.
fn claims(app: &TestApp, id: &str, jti: &str) -> Value {
    json!({ "iss": id, "sub": id, "aud": app.config.public_url, "jti": jti, "iat": now(app), "exp": now(app) + 60 })
}

fn header(key: &Key) -> Value {
    json!({ "alg": key.alg, "typ": "JWT" })
}

fn form(assertion: &str) -> String {
    format!(
        "grant_type=client_credentials&client_assertion_type={TYPE}&client_assertion={assertion}"
    )
}

async fn show(app: &TestApp, assertion: &str) -> Reply {
    ask(app, "/oauth/token", FORM, None, &form(assertion)).await
}

#[tokio::test]
async fn a_client_that_signs_gets_a_token_without_a_secret() {
    let app = TestApp::start().await;
    for key in [Key::ec(), Key::ed(), Key::rsa()] {
        let id = signing_client(&app, new_client("users:read"), &[&key]).await;
        let reply = show(&app, &key.sign(&header(&key), &claims(&app, &id, "1"))).await;
        let issued = access_token(&reply);
        assert_eq!(bearer(&app, &issued).get("/v2/users").await.status, 200);

        // As JSON, with a client id beside it, an audience in a list, and without iat and typ.
        let claims = json!({ "iss": id, "sub": id, "aud": [app.config.public_url], "jti": "2", "exp": now(&app) + 300 });
        let assertion = key.sign(&json!({ "alg": key.alg }), &claims);
        let body = json!({ "grant_type": "client_credentials", "client_id": id, "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" });
        let reply = app.anonymous().post("/oauth/token", body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(listed(&app, &id).await.secrets.is_empty());
        app.oauth.write_uses(&app.db).await.unwrap();
        let used = listed(&app, &id).await.last_used_at;
        assert_eq!(used, Some(app.clock.now()), "without a secret too");
    }
}

#[tokio::test]
async fn it_revokes_and_introspects_by_signing_too() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let id = signing_client(&app, new_client("users:read tokens:introspect"), &[&key]).await;
    let sign = |jti: &str| key.sign(&header(&key), &claims(&app, &id, jti));
    let issued = access_token(&show(&app, &sign("1")).await);
    let about = |jti: &str| {
        let assertion = sign(jti);
        format!("token={issued}&client_assertion_type={TYPE}&client_assertion={assertion}")
    };
    let reply = ask(&app, "/oauth/introspect", FORM, None, &about("2")).await;
    assert_eq!(reply.json()["active"], true);
    let reply = ask(&app, "/oauth/revoke", FORM, None, &about("3")).await;
    assert_eq!(reply.status, 200);
    let reply = ask(&app, "/oauth/introspect", FORM, None, &about("4")).await;
    assert_eq!(reply.json(), json!({ "active": false }));
    let reply = ask(&app, "/oauth/introspect", FORM, None, &about("4")).await;
    assert_refused(&reply, 401, "invalid_client");
}

#[tokio::test]
async fn foreign_changed_and_stale_assertions_are_all_refused_alike() {
    let app = TestApp::start().await;
    let (key, other) = (Key::ec(), Key::ec());
    let id = signing_client(&app, new_client("users:read"), &[&key]).await;
    let neighbour = signing_client(&app, new_client("users:read"), &[&other]).await;
    let (with_secret, secret) = app.credentials("users:read").await;
    let good = claims(&app, &id, "good");
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        key.sign(&header(&key), &claims)
    };
    let without = |claim: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        key.sign(&header(&key), &claims)
    };
    let (t, url) = (now(&app), &app.config.public_url);
    let none = json!({ "alg": "none" });
    let hs = json!({ "alg": "HS256", "typ": "JWT" });
    let mut attacks = vec![
        ("alg none", format!("{}.{}.", encode(&none), encode(&good))),
        ("alg none, signed", key.sign(&none, &good)),
        ("alg HS256, signed", key.sign(&hs, &good)),
        (
            "alg RS256, signed",
            key.sign(&json!({ "alg": "RS256" }), &good),
        ),
        ("another's key", other.sign(&header(&other), &good)),
        (
            "a key of its own",
            other.sign(&json!({ "alg": "ES256", "jwk": other.jwk }), &good),
        ),
        (
            "a neighbour's name",
            key.sign(&header(&key), &claims(&app, &neighbour, "1")),
        ),
        (
            "of a client with a secret",
            key.sign(&header(&key), &claims(&app, &with_secret, "1")),
        ),
        (
            "of no client",
            key.sign(&header(&key), &claims(&app, "cli_nobody", "1")),
        ),
        ("iss of another", with("iss", json!(neighbour))),
        ("no iss", without("iss")),
        ("no sub", without("sub")),
        (
            "another audience",
            with("aud", json!("https://other.example")),
        ),
        (
            "the token endpoint",
            with("aud", json!(format!("{url}/oauth/token"))),
        ),
        ("the API", with("aud", json!(format!("{url}/v2")))),
        (
            "two audiences",
            with("aud", json!([url, "https://other.example"])),
        ),
        ("no audience", without("aud")),
        ("expired", with("exp", json!(t))),
        ("too long", with("exp", json!(t + 301))),
        ("before time", with("exp", json!(i64::MIN))),
        ("after time", with("exp", json!(u64::MAX))),
        ("no exp", without("exp")),
        ("exp as text", with("exp", json!((t + 60).to_string()))),
        ("from the future", with("nbf", json!(t + 61))),
        ("issued in the future", with("iat", json!(t + 61))),
        ("no jti", without("jti")),
        ("empty jti", with("jti", json!(""))),
        ("long jti", with("jti", json!("x".repeat(256)))),
        (
            "an access token's type",
            key.sign(&json!({ "alg": "ES256", "typ": "at+jwt" }), &good),
        ),
        (
            "a proof's type",
            key.sign(&json!({ "alg": "ES256", "typ": "dpop+jwt" }), &good),
        ),
        (
            "crit",
            key.sign(&json!({ "alg": "ES256", "crit": ["exp"] }), &good),
        ),
        (
            "another kid",
            key.sign(&json!({ "alg": "ES256", "kid": "x" }), &good),
        ),
        ("no JWT", "nonsense".to_owned()),
        (
            "its own access token",
            access_token(&token(&app, &with_secret, &secret).await),
        ),
    ];
    let whole = key.sign(&header(&key), &good);
    let (message, _) = whole.rsplit_once('.').unwrap();
    attacks.push(("no signature", format!("{message}.")));
    for public in key.public_bytes() {
        attacks.push(("the public key as a secret", hmac(&public, &hs, &good)));
    }
    let expected = ask(
        &app,
        "/oauth/token",
        FORM,
        None,
        "grant_type=client_credentials&client_id=cli_nobody&client_secret=x",
    )
    .await;
    for (what, assertion) in attacks {
        app.clock.advance(Duration::from_millis(1)); // the second stays
        let reply = show(&app, &assertion).await;
        assert_refused(&reply, 401, "invalid_client");
        assert_eq!(fingerprint(&reply), fingerprint(&expected), "{what}");
        app.oauth
            .throttle
            .succeeded(&id.parse().unwrap(), IpAddr::from([127, 0, 0, 1]));
        app.oauth
            .throttle
            .succeeded(&neighbour.parse().unwrap(), IpAddr::from([127, 0, 0, 1]));
    }
    assert_eq!(
        show(&app, &whole).await.status,
        200,
        "none of them used it up"
    );
}

#[tokio::test]
async fn an_assertion_works_once_on_all_nodes_and_is_forgotten_when_it_has_expired() {
    let app = TestApp::start().await;
    let (key, second) = (Key::ec(), Key::ed());
    let id = signing_client(&app, new_client("users:read"), &[&key, &second]).await;
    let assertion = key.sign(&header(&key), &claims(&app, &id, "once"));
    assert_eq!(show(&app, &assertion).await.status, 200);
    assert_refused(&show(&app, &assertion).await, 401, "invalid_client");
    let again = second.sign(&header(&second), &claims(&app, &id, "once"));
    assert_refused(&show(&app, &again).await, 401, "invalid_client");
    let fresh = key.sign(&header(&key), &claims(&app, &id, "twice"));
    assert_eq!(show(&app, &fresh).await.status, 200);

    // Another node on the same database, with a memory of its own.
    let elsewhere = node(&app, master_key(&app)).await.unwrap();
    let expires = app.clock.now() + Duration::from_secs(60);
    for (jti, is_new) in [
        ("once", false),
        ("twice", false),
        ("thrice", true),
        ("thrice", false),
    ] {
        let taken = elsewhere
            .take_proof(&app.db, ("assertion", &id, jti), expires)
            .await;
        assert_eq!(taken.is_ok(), is_new, "{jti}");
    }
    // A neighbour may call its assertions the same.
    let neighbour = signing_client(&app, new_client("users:read"), &[&key]).await;
    let same = key.sign(&header(&key), &claims(&app, &neighbour, "once"));
    assert_eq!(show(&app, &same).await.status, 200);

    // Many at once: one wins.
    let race = key.sign(&header(&key), &claims(&app, &id, "race"));
    let (a, b, c) = tokio::join!(show(&app, &race), show(&app, &race), show(&app, &race));
    let won = [&a, &b, &c]
        .iter()
        .filter(|reply| reply.status == 200)
        .count();
    assert_eq!(won, 1);

    app.clock.advance(Duration::from_secs(60));
    app.oauth
        .forget_proofs(&app.db, app.clock.now())
        .await
        .unwrap();
    let left = elsewhere
        .take_proof(&app.db, ("assertion", &id, "once"), app.clock.now())
        .await;
    assert!(left.is_ok(), "expired ones are forgotten");
    assert_refused(&show(&app, &assertion).await, 401, "invalid_client");
}

#[tokio::test]
async fn keys_replace_secrets_and_keys() {
    let app = TestApp::start().await;
    let (old, new) = (Key::ec(), Key::ec());
    let (id, secret) = app.credentials("users:read").await;
    let exchange = async |keys: KeySet, overlap: Duration| {
        let (id, now) = (id.parse().unwrap(), app.clock.now());
        app.db
            .write(async move |tx| set_keys(tx, &id, &keys, overlap, now).await)
            .await
    };
    exchange(key_set(&[&old]), Duration::from_secs(3600))
        .await
        .unwrap();
    let sign = |key: &Key, jti: &str| key.sign(&header(key), &claims(&app, &id, jti));
    assert_eq!(show(&app, &sign(&old, "1")).await.status, 200);
    assert_eq!(token(&app, &id, &secret).await.status, 200, "for an hour");
    exchange(key_set(&[&new]), Duration::ZERO).await.unwrap();
    assert_refused(&show(&app, &sign(&old, "2")).await, 401, "invalid_client");
    assert_eq!(show(&app, &sign(&new, "3")).await.status, 200);
    app.oauth.refresh(&app.db, app.clock.now()).await.unwrap();
    assert_refused(&token(&app, &id, &secret).await, 401, "invalid_client");
    let too_long = exchange(key_set(&[&new]), Duration::from_secs(169 * 3600)).await;
    assert!(too_long.is_err());

    let (client, now) = (id.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| revoke_client(tx, &client, now).await)
        .await
        .unwrap();
    assert_refused(&show(&app, &sign(&new, "4")).await, 401, "invalid_client");
    assert!(
        exchange(key_set(&[&new]), Duration::ZERO).await.is_err(),
        "revoked for good"
    );
}

#[tokio::test]
async fn limits_of_the_client_hold_for_who_signs() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let expired = NewClient {
        expires_at: Some(app.clock.now()),
        ..new_client("users:read")
    };
    let elsewhere = NewClient {
        ip_allow: vec!["192.0.2.0/24".parse().unwrap()],
        ..new_client("users:read")
    };
    for new in [expired, elsewhere] {
        let id = signing_client(&app, new, &[&key]).await;
        let reply = show(&app, &key.sign(&header(&key), &claims(&app, &id, "1"))).await;
        assert_refused(&reply, 401, "invalid_client");
    }
    let id = signing_client(&app, new_client("users:read"), &[&key]).await;
    let foreign = key.sign(&json!({ "alg": "none" }), &claims(&app, &id, "1"));
    for _ in 0..10 {
        assert_eq!(show(&app, &foreign).await.status, 401);
    }
    assert_eq!(
        show(&app, &foreign).await.status,
        429,
        "guessing is slowed down"
    );
}

#[tokio::test]
async fn one_way_to_prove_who_it_is_and_a_whole_one() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let id = signing_client(&app, new_client("users:read"), &[&key]).await;
    let assertion = key.sign(&header(&key), &claims(&app, &id, "1"));
    let whole = form(&assertion);
    let header = basic(&id, "x");
    let both = ask(&app, "/oauth/token", FORM, Some(&header), &whole).await;
    assert_refused(&both, 400, "invalid_request");
    for (body, status, error) in [
        (format!("{whole}&client_secret=x"), 400, "invalid_request"),
        (
            format!("{whole}&client_id=cli_other"),
            401,
            "invalid_client",
        ),
        (
            format!("grant_type=client_credentials&client_assertion={assertion}"),
            400,
            "invalid_request",
        ),
        (
            format!("grant_type=client_credentials&client_id={id}&client_assertion_type={TYPE}"),
            400,
            "invalid_request",
        ),
        (
            whole.replace("jwt-bearer", "saml2-bearer"),
            400,
            "invalid_request",
        ),
    ] {
        assert_refused(
            &ask(&app, "/oauth/token", FORM, None, &body).await,
            status,
            error,
        );
    }
    assert_eq!(show(&app, &assertion).await.status, 200);
}

#[tokio::test]
async fn the_metadata_lists_how_clients_may_sign() {
    let app = TestApp::start().await;
    let server = app
        .anonymous()
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &server[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(
            methods
                .as_array()
                .unwrap()
                .contains(&json!("private_key_jwt"))
        );
        let algorithms = &server[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(*algorithms, json!(["ES256", "EdDSA", "Ed25519", "RS256"]));
    }
}
