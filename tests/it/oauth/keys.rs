//! Keys and metadata as others see them.

use super::*;
use platform::secrets::MasterKey;
use std::time::Duration;
use tradepost::oauth::key::Algorithm;

#[tokio::test]
async fn others_can_verify_tokens_by_the_published_keys() {
    let app = TestApp::start().await;
    let anyone = app.anonymous();
    let metadata = anyone
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        let new = NewClient {
            signing_alg: algorithm,
            ..new_client("users:read")
        };
        let (id, secret) = register(&app, new).await;
        let issued = access_token(&token(&app, &id, &secret).await);
        assert_eq!(bearer(&app, &issued).get("/v2/users").await.status, 200);
        let keys = anyone.get("/.well-known/jwks.json").await;
        assert_eq!(keys.header("cache-control"), "public, max-age=3600");
        assert!(
            !keys.text().contains("\"d\"") && !keys.text().contains("\"oct\""),
            "public halves alone"
        );
        let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(keys.json()).unwrap();
        let header = jsonwebtoken::decode_header(&issued).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
        let mut rules = jsonwebtoken::Validation::new(header.alg);
        rules.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
        rules.set_audience(&[format!("{}/v2", app.config.public_url)]);
        rules.validate_exp = false; // the clock of the test stands in 2023
        let claims = jsonwebtoken::decode::<Value>(&issued, &key, &rules)
            .unwrap()
            .claims;
        assert_eq!(claims["client_id"], id.as_str());
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            3600
        );
    }
}

#[tokio::test]
async fn the_first_key_of_an_algorithm_is_published_when_a_client_asks_for_it() {
    let app = TestApp::start().await;
    let algorithms = async || {
        let keys = app.anonymous().get("/.well-known/jwks.json").await.json();
        let keys = keys["keys"].as_array().unwrap().clone();
        keys.iter()
            .map(|key| key["alg"].to_string())
            .collect::<Vec<_>>()
    };
    app.clock.advance(Duration::from_secs(86_400));
    assert!(!algorithms().await.contains(&"\"RS256\"".to_owned()));
    let new = NewClient {
        signing_alg: Algorithm::Rs256,
        ..new_client("users:read")
    };
    register(&app, new).await;
    app.oauth
        .prepare_keys(&app.db, app.clock.now())
        .await
        .unwrap();
    assert!(
        algorithms().await.contains(&"\"RS256\"".to_owned()),
        "before any token"
    );
}

#[tokio::test]
async fn keys_change_over_without_a_gap() {
    let app = TestApp::start().await;
    let count = || async {
        let keys = app.anonymous().get("/.well-known/jwks.json").await.json();
        keys["keys"].as_array().unwrap().len()
    };
    assert_eq!(
        count().await,
        2,
        "EdDSA and ES256; HS256 is secret, RS256 not asked for"
    );
    app.clock.advance(Duration::from_secs(89 * 86_400));
    let old = app.client("users:read").await;
    app.oauth
        .rotate_keys(&app.db, app.clock.now())
        .await
        .unwrap();
    assert_eq!(count().await, 4, "successors are published a day ahead");
    app.clock.advance(SECOND);
    app.oauth
        .rotate_keys(&app.db, app.clock.now())
        .await
        .unwrap();
    assert_eq!(count().await, 4);
    assert_eq!(old.get("/v2/users").await.status, 200);
    app.clock.advance(Duration::from_secs(86_400));
    let new = app.client("users:read").await;
    assert_eq!(new.get("/v2/users").await.status, 200);
    app.clock.advance(Duration::from_secs(2 * 86_400));
    app.oauth
        .rotate_keys(&app.db, app.clock.now())
        .await
        .unwrap();
    assert_eq!(count().await, 2, "the old ones are gone");
}

#[tokio::test]
async fn the_metadata_is_true() {
    let app = TestApp::start().await;
    let anyone = app.anonymous();
    let reply = anyone.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(reply.header("cache-control"), "public, max-age=3600");
    let server = reply.json();
    let issuer = server["issuer"].as_str().unwrap();
    assert_eq!(issuer, app.config.public_url);
    for (member, method) in [
        ("token_endpoint", Method::POST),
        ("revocation_endpoint", Method::POST),
        ("introspection_endpoint", Method::POST),
        ("authorization_endpoint", Method::GET),
        ("device_authorization_endpoint", Method::POST),
        ("jwks_uri", Method::GET),
        ("service_documentation", Method::GET),
    ] {
        let path = server[member]
            .as_str()
            .unwrap()
            .strip_prefix(issuer)
            .unwrap();
        let reply = anyone.request(method, path).send().await;
        assert!(![404, 405].contains(&reply.status), "{member}");
    }
    let scopes = server["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&json!("users:read")));
    assert_eq!(
        server["grant_types_supported"],
        json!([
            "client_credentials",
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code"
        ])
    );
    for (member, value) in [
        ("response_types_supported", "code"),
        ("response_modes_supported", "query"),
        ("code_challenge_methods_supported", "S256"),
    ] {
        assert_eq!(server[member], json!([value]), "{member}");
    }
    assert_eq!(
        server["authorization_response_iss_parameter_supported"],
        true
    );
    let challenge = anyone.get("/v2/users").await;
    let challenge = challenge.header("www-authenticate").to_owned();
    let url = challenge
        .split("resource_metadata=\"")
        .nth(1)
        .unwrap()
        .trim_end_matches('"');
    let resource = anyone.get(url.strip_prefix(issuer).unwrap()).await.json();
    assert_eq!(resource["resource"], format!("{issuer}/v2"));
    assert_eq!(resource["authorization_servers"], json!([issuer]));
    assert_eq!(resource["scopes_supported"], server["scopes_supported"]);
    let bare = anyone.get("/.well-known/oauth-protected-resource").await;
    assert_eq!(bare.json(), resource);
}

#[tokio::test]
async fn the_master_key_may_come_from_the_settings() {
    let key = |digit: &str| Some(platform::secrets::Secret::new(digit.repeat(64)));
    let app = TestApp::start_with(|config| config.master_key = key("a")).await;
    assert!(!app.data_dir().join("master.key").exists());
    let wrong = MasterKey::parse(&"b".repeat(64)).unwrap();
    let message = node(&app, wrong).await.err().unwrap().to_string();
    assert!(message.contains("is this the master key"), "{message}");
    let right = MasterKey::parse(&"a".repeat(64)).unwrap();
    assert!(node(&app, right).await.is_ok(), "a second node");
}
