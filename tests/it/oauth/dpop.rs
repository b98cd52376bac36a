//! DPoP: tokens that are bound to a key, and what a thief of one can do with it.

use super::signing::{Key, encode, hmac};
use super::*;
use tradepost::oauth::bind_client;
use tradepost::oauth::jwk::PublicKey;

const USERS: &str = "/v2/users";

fn now(app: &TestApp) -> i64 {
    app.clock.now().micros() / 1_000_000
}

fn nonce(app: &TestApp) -> String {
    app.oauth.nonces.at(app.clock.now())
}

fn header(key: &Key) -> Value {
    json!({ "typ": "dpop+jwt", "alg": key.alg, "jwk": key.jwk })
}

/// What a right proof says; each has a jti of its own.
fn claims(app: &TestApp, method: &str, path: &str, token: Option<&str>) -> Value {
    let mut claims = json!({ "htm": method, "htu": format!("{}{path}", app.config.public_url), "iat": now(app),
        "jti": platform::secrets::random_base62(22), "nonce": nonce(app) });
    if let Some(token) = token {
        let hash = platform::secrets::sha256(token.as_bytes());
        claims["ath"] = json!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash));
    }
    claims
}

pub(super) fn proof(
    app: &TestApp,
    key: &Key,
    method: &str,
    path: &str,
    token: Option<&str>,
) -> String {
    key.sign(&header(key), &claims(app, method, path, token))
}

async fn ask_with(app: &TestApp, id: &str, secret: &str, proofs: &[&str]) -> Reply {
    let mut call = app
        .anonymous()
        .request(Method::POST, "/oauth/token")
        .header("content-type", FORM);
    for proof in proofs {
        call = call.header("dpop", proof);
    }
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    call.body(body.as_str()).send().await
}

/// A token that is bound to `key`.
async fn bound(app: &TestApp, key: &Key, scopes: &str) -> String {
    let (id, secret) = app.credentials(scopes).await;
    let proof = proof(app, key, "POST", "/oauth/token", None);
    let reply = ask_with(app, &id, &secret, &[&proof]).await;
    let issued = access_token(&reply);
    assert_eq!(reply.json()["token_type"], "DPoP");
    assert_eq!(reply.header("dpop-nonce"), nonce(app));
    issued
}

async fn get_with(app: &TestApp, path: &str, authorization: &str, proofs: &[&str]) -> Reply {
    let mut call = app
        .anonymous()
        .request(Method::GET, path)
        .header("authorization", authorization);
    for proof in proofs {
        call = call.header("dpop", proof);
    }
    call.send().await
}

fn assert_challenged(reply: &Reply, error: &str, what: &str) {
    assert_eq!(reply.status, 401, "{what}: {}", reply.text());
    assert_eq!(reply.code(), "unauthorized", "{what}");
    let challenge = reply.header("www-authenticate");
    assert!(
        challenge.starts_with(&format!("DPoP realm=\"api\", error=\"{error}\", ")),
        "{what}: {challenge}"
    );
    assert!(challenge.contains("algs=\"ES256 EdDSA Ed25519 RS256\", resource_metadata="));
    assert_eq!(
        reply.header("dpop-nonce").is_empty(),
        error != "use_dpop_nonce",
        "{what}"
    );
}

#[tokio::test]
async fn a_token_is_bound_to_the_key_of_the_proof_and_works_with_it_alone() {
    let app = TestApp::start().await;
    for key in [Key::ec(), Key::ed(), Key::rsa()] {
        let issued = bound(&app, &key, "users:read").await;
        let authorization = format!("DPoP {issued}");
        for path in [USERS, "/v2/users?limit=1"] {
            let proof = proof(&app, &key, "GET", USERS, Some(&issued));
            let reply = get_with(&app, path, &authorization, &[&proof]).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert_eq!(reply.header("dpop-nonce"), nonce(&app));
            assert!(
                reply
                    .header("access-control-expose-headers")
                    .contains("DPoP-Nonce")
            );
        }
        let head = proof(&app, &key, "HEAD", USERS, Some(&issued));
        let reply = app
            .anonymous()
            .request(Method::HEAD, USERS)
            .header("authorization", &authorization);
        assert_eq!(reply.header("dpop", &head).send().await.status, 200);
        let missing = proof(&app, &key, "GET", "/v2/orders", Some(&issued));
        let reply = get_with(&app, "/v2/orders", &authorization, &[&missing]).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "insufficient_scope")
        );
        let challenge = reply.header("www-authenticate");
        assert!(challenge.starts_with(
            "DPoP realm=\"api\", error=\"insufficient_scope\", scope=\"orders:read\""
        ));
    }
}

#[tokio::test]
async fn the_first_proof_is_answered_with_a_nonce_on_both_sides() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let (id, secret) = app.credentials("users:read").await;
    let mut first = claims(&app, "POST", "/oauth/token", None);
    first.as_object_mut().unwrap().remove("nonce");
    let reply = ask_with(&app, &id, &secret, &[&key.sign(&header(&key), &first)]).await;
    assert_refused(&reply, 400, "use_dpop_nonce");
    first["nonce"] = json!(reply.header("dpop-nonce"));
    let reply = ask_with(&app, &id, &secret, &[&key.sign(&header(&key), &first)]).await;
    let issued = access_token(&reply);

    app.clock.advance(Duration::from_secs(300)); // the nonce is too old by now
    let mut second = claims(&app, "GET", USERS, Some(&issued));
    second["nonce"] = first["nonce"].clone();
    let authorization = format!("DPoP {issued}");
    let reply = get_with(
        &app,
        USERS,
        &authorization,
        &[&key.sign(&header(&key), &second)],
    )
    .await;
    assert_challenged(&reply, "use_dpop_nonce", "an old nonce");
    second["nonce"] = json!(reply.header("dpop-nonce"));
    let reply = get_with(
        &app,
        USERS,
        &authorization,
        &[&key.sign(&header(&key), &second)],
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    // Nonces are the same on a node with the same master key.
    let elsewhere = node(&app, master_key(&app)).await.unwrap();
    assert_eq!(elsewhere.nonces.at(app.clock.now()), nonce(&app));
}

/// Every way in which a proof can be wrong, for a request with `token` or for the token endpoint.
fn wrong_proofs(app: &TestApp, key: &Key, good: &Value) -> Vec<(&'static str, String)> {
    let with = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        key.sign(&header(key), &claims)
    };
    let headed = |header: Value| key.sign(&header, good);
    let (t, url) = (now(app), &app.config.public_url);
    let mut private = key.jwk.clone();
    private["d"] = json!("AAAA");
    let none = json!({ "typ": "dpop+jwt", "alg": "none", "jwk": key.jwk });
    let hs = json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": key.jwk });
    let other = Key::ec();
    let mut wrong = vec![
        ("another method", with("htm", json!("PUT"))),
        (
            "a method in small letters",
            with("htm", json!(good["htm"].as_str().unwrap().to_lowercase())),
        ),
        (
            "another path",
            with("htu", json!(format!("{url}/v2/products"))),
        ),
        (
            "another host",
            with("htu", json!("https://other.example/v2/users")),
        ),
        ("a path alone", with("htu", json!("/v2/users"))),
        ("no address", with("htu", Value::Null)),
        ("made long ago", with("iat", json!(t - 61))),
        ("made in the future", with("iat", json!(t + 61))),
        ("made before time", with("iat", json!(i64::MIN))),
        ("made never", with("iat", Value::Null)),
        ("no jti", with("jti", Value::Null)),
        ("an empty jti", with("jti", json!(""))),
        ("a long jti", with("jti", json!("x".repeat(256)))),
        ("alg none", format!("{}.{}.", encode(&none), encode(good))),
        ("alg none, signed", headed(none)),
        ("alg HS256, signed", headed(hs.clone())),
        (
            "another alg",
            headed(json!({ "typ": "dpop+jwt", "alg": "RS256", "jwk": key.jwk })),
        ),
        (
            "another type",
            headed(json!({ "typ": "JWT", "alg": key.alg, "jwk": key.jwk })),
        ),
        ("no type", headed(json!({ "alg": key.alg, "jwk": key.jwk }))),
        (
            "no key",
            headed(json!({ "typ": "dpop+jwt", "alg": key.alg, "kid": "1" })),
        ),
        (
            "a private key",
            headed(json!({ "typ": "dpop+jwt", "alg": key.alg, "jwk": private })),
        ),
        (
            "a secret for a key",
            hmac(
                b"AAAA",
                &json!({ "typ": "dpop+jwt", "alg": "HS256", "jwk": { "kty": "oct", "k": "QUFBQQ" } }),
                good,
            ),
        ),
        ("signed by another", other.sign(&header(key), good)),
        ("no JWT", "nonsense".to_owned()),
    ];
    for public in key.public_bytes() {
        wrong.push(("the public key as a secret", hmac(&public, &hs, good)));
    }
    wrong
}

#[tokio::test]
async fn a_stolen_token_is_worth_nothing() {
    let app = TestApp::start().await;
    let (key, thief) = (Key::ec(), Key::ec());
    let issued = bound(&app, &key, "users:read").await;
    let second = bound(&app, &key, "users:read").await;
    let authorization = format!("DPoP {issued}");
    for scheme in ["Bearer", "bearer"] {
        let whole = proof(&app, &key, "GET", USERS, Some(&issued));
        for proofs in [&[][..], &[whole.as_str()]] {
            let reply = get_with(&app, USERS, &format!("{scheme} {issued}"), proofs).await;
            assert_challenged(&reply, "invalid_token", "as Bearer");
        }
    }
    let none = get_with(&app, USERS, &authorization, &[]).await;
    assert_challenged(&none, "invalid_dpop_proof", "no proof");
    let (a, b) = (
        proof(&app, &key, "GET", USERS, Some(&issued)),
        proof(&app, &key, "GET", USERS, Some(&issued)),
    );
    let two = get_with(&app, USERS, &authorization, &[&a, &b]).await;
    assert_challenged(&two, "invalid_dpop_proof", "two proofs");

    let good = claims(&app, "GET", USERS, Some(&issued));
    let mut wrong = wrong_proofs(&app, &key, &good);
    wrong.push((
        "of another token",
        proof(&app, &key, "GET", USERS, Some(&second)),
    ));
    wrong.push(("of no token", proof(&app, &key, "GET", USERS, None)));
    for (what, proof) in wrong {
        let reply = get_with(&app, USERS, &authorization, &[&proof]).await;
        assert_challenged(&reply, "invalid_dpop_proof", what);
    }
    for foreign in ["", "nonsense", "AAAAAAAAAAAAAAAAAAAAAA"] {
        let mut claims = good.clone();
        claims["nonce"] = json!(foreign);
        let reply = get_with(
            &app,
            USERS,
            &authorization,
            &[&key.sign(&header(&key), &claims)],
        )
        .await;
        assert_challenged(&reply, "use_dpop_nonce", "a foreign nonce");
    }
    let other = thief.sign(&header(&thief), &good);
    let reply = get_with(&app, USERS, &authorization, &[&other]).await;
    assert_challenged(&reply, "invalid_token", "the key of the thief");

    let once = key.sign(&header(&key), &good);
    let reply = get_with(&app, USERS, &authorization, &[&once]).await;
    assert_eq!(
        reply.status,
        200,
        "none of them used it up: {}",
        reply.text()
    );
    for _ in 0..2 {
        let reply = get_with(&app, USERS, &authorization, &[&once]).await;
        assert_challenged(&reply, "invalid_dpop_proof", "replayed");
    }
}

#[tokio::test]
async fn tokens_that_are_not_bound_foreign_or_dead_do_not_get_in() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let (id, secret) = app.credentials("users:read").await;
    let plain = access_token(&token(&app, &id, &secret).await);
    let neighbour =
        TestApp::start_with(|config| config.public_url = "https://other.example".into()).await;
    let foreign = bound(&neighbour, &key, "users:read").await;
    for (what, token) in [
        ("not bound", plain.as_str()),
        ("foreign", &foreign),
        ("nonsense", "nonsense"),
    ] {
        let proof = proof(&app, &key, "GET", USERS, Some(token));
        let reply = get_with(&app, USERS, &format!("DPoP {token}"), &[&proof]).await;
        assert_challenged(&reply, "invalid_token", what);
    }
    assert_eq!(bearer(&app, &plain).get(USERS).await.status, 200);
    assert_eq!(bearer(&app, &foreign).get(USERS).await.status, 401);

    let issued = bound(&app, &key, "users:read").await;
    app.clock.advance(Duration::from_secs(3600));
    let proof = proof(&app, &key, "GET", USERS, Some(&issued));
    let reply = get_with(&app, USERS, &format!("DPoP {issued}"), &[&proof]).await;
    assert_challenged(&reply, "invalid_token", "expired");
}

#[tokio::test]
async fn the_token_endpoint_looks_at_proofs_as_closely() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let (id, secret) = app.credentials("users:read").await;
    let good = claims(&app, "POST", "/oauth/token", None);
    for (what, proof) in wrong_proofs(&app, &key, &good) {
        let reply = ask_with(&app, &id, &secret, &[&proof]).await;
        assert_eq!(reply.json()["error"], "invalid_dpop_proof", "{what}");
        assert_refused(&reply, 400, "invalid_dpop_proof");
    }
    let once = key.sign(&header(&key), &good);
    let guess = ask_with(&app, &id, "wrong", &[&once]).await;
    assert_refused(&guess, 401, "invalid_client");
    let two = ask_with(&app, &id, &secret, &[&once, &once]).await;
    assert_refused(&two, 400, "invalid_dpop_proof");
    assert_eq!(ask_with(&app, &id, &secret, &[&once]).await.status, 200);
    assert_refused(
        &ask_with(&app, &id, &secret, &[&once]).await,
        400,
        "invalid_dpop_proof",
    );
}

#[tokio::test]
async fn a_client_may_be_held_to_it() {
    let app = TestApp::start().await;
    let key = Key::ec();
    let (id, secret) = app.credentials("users:read").await;
    let (client, at) = (id.parse().unwrap(), app.clock.now());
    app.db
        .write(async move |tx| bind_client(tx, &client, true, at).await)
        .await
        .unwrap();
    assert!(listed(&app, &id).await.dpop_bound);
    assert_refused(
        &ask_with(&app, &id, &secret, &[]).await,
        400,
        "invalid_dpop_proof",
    );
    let proof = proof(&app, &key, "POST", "/oauth/token", None);
    let reply = ask_with(&app, &id, &secret, &[&proof]).await;
    let issued = access_token(&reply);

    // Whoever asks about the token is told which key it needs; it is revoked like any other.
    let (judge, judge_secret) = app.credentials("tokens:introspect").await;
    let about =
        |id: &str, secret: &str| format!("token={issued}&client_id={id}&client_secret={secret}");
    let told = ask(
        &app,
        "/oauth/introspect",
        FORM,
        None,
        &about(&judge, &judge_secret),
    )
    .await
    .json();
    let public = PublicKey::parse(key.jwk.as_object().unwrap()).unwrap();
    assert_eq!(told["token_type"], "DPoP");
    assert_eq!(told["cnf"], json!({ "jkt": public.thumbprint() }));
    let revoked = ask(&app, "/oauth/revoke", FORM, None, &about(&id, &secret)).await;
    assert_eq!(revoked.status, 200);
    let told = ask(
        &app,
        "/oauth/introspect",
        FORM,
        None,
        &about(&judge, &judge_secret),
    )
    .await;
    assert_eq!(told.json(), json!({ "active": false }));
}

#[tokio::test]
async fn the_metadata_says_how_proofs_are_signed_and_browsers_may_send_them() {
    let app = TestApp::start().await;
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/v2",
    ] {
        let metadata = app.anonymous().get(path).await.json();
        assert_eq!(
            metadata["dpop_signing_alg_values_supported"],
            json!(["ES256", "EdDSA", "Ed25519", "RS256"])
        );
    }
    let reply = app.anonymous().request(Method::OPTIONS, USERS).send().await;
    assert!(
        reply
            .header("access-control-allow-headers")
            .contains("DPoP")
    );
}
