//! The flows in which a person lets an app act for them.

mod attacks;
mod devices;
mod refreshing;
mod revoking;

use super::dpop::proof;
use super::signing::Key;
use super::*;
use crate::dashboard::browser::{self, Browser, OWNER, PASSWORD};
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::secrets::sha256;
use tradepost::dashboard::Role;
use tradepost::oauth::flows::redirect::RedirectUri;
use tradepost::oauth::flows::registration::{Registration, register as set_flows};
use tradepost::oauth::request::GrantType;

const PLACE: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const WANTED: &str = "orders:read products:read";

/// A client that people are sent here by. Without a secret it is public.
#[derive(Clone)]
struct Visited {
    id: String,
    secret: Option<String>,
}

impl Visited {
    async fn start(app: &TestApp, scopes: &str, is_public: bool) -> Visited {
        let (id, secret) = register(app, new_client(scopes)).await;
        let uris = [
            PLACE,
            "https://app.example/two?x=1",
            "http://127.0.0.1/cb",
            "http://[::1]/cb",
        ];
        let uris = uris.map(|uri| RedirectUri::parse(uri).unwrap()).to_vec();
        let flows = [GrantType::AuthorizationCode, GrantType::RefreshToken];
        let visited = Visited {
            id,
            secret: (!is_public).then_some(secret),
        };
        visited
            .set(app, Registration::new(flows, uris, is_public).unwrap())
            .await;
        visited
    }

    async fn set(&self, app: &TestApp, registration: Registration) {
        let (id, now) = (self.id.parse().unwrap(), app.clock.now());
        let set = app
            .db
            .write(async move |tx| set_flows(tx, &id, &registration, now).await);
        set.await.unwrap();
        app.clock.advance(SECOND); // clients are remembered for a second
    }

    /// Where it sends people, with `changes` to what it says.
    fn address(&self, changes: &[(&str, &str)]) -> String {
        let challenge = challenge(VERIFIER);
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", PLACE),
            ("scope", WANTED),
            ("state", "s t&te"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.push((name, value));
        }
        format!("/oauth/authorize?{}", form(&fields))
    }

    /// A token request.
    async fn ask(&self, app: &TestApp, fields: &[(&str, &str)]) -> Reply {
        let mut fields = fields.to_vec();
        fields.push(("client_id", &self.id));
        if let Some(secret) = &self.secret {
            fields.push(("client_secret", secret));
        }
        ask(app, "/oauth/token", FORM, None, &form(&fields)).await
    }

    /// A token request with a proof of `key`.
    async fn ask_with(&self, app: &TestApp, fields: &[(&str, &str)], key: Option<&Key>) -> Reply {
        let mut fields = fields.to_vec();
        fields.push(("client_id", &self.id));
        if let Some(secret) = &self.secret {
            fields.push(("client_secret", secret));
        }
        let mut call = app.anonymous().request(Method::POST, "/oauth/token");
        if let Some(key) = key {
            call = call.header("dpop", &proof(app, key, "POST", "/oauth/token", None));
        }
        let call = call.header("content-type", FORM);
        call.body(form(&fields).as_str()).send().await
    }

    async fn exchange(&self, app: &TestApp, code: &str) -> Reply {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", PLACE),
            ("code_verifier", VERIFIER),
        ];
        self.ask(app, &fields).await
    }

    async fn refresh(&self, app: &TestApp, token: &str) -> Reply {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.ask(app, &fields).await
    }

    /// A code from somebody who allows all that is asked.
    async fn code(&self, somebody: &mut Browser) -> String {
        let back = allow(somebody, &self.address(&[])).await;
        field(&back, "code").unwrap()
    }

    /// The access token and the refresh token of a new grant.
    async fn tokens(&self, app: &TestApp, somebody: &mut Browser) -> (String, String) {
        let code = self.code(somebody).await;
        let reply = self.exchange(app, &code).await;
        (access_token(&reply), refresh_token(&reply))
    }
}

fn challenge(verifier: &str) -> String {
    BASE64URL.encode(sha256(verifier.as_bytes()))
}

fn form(fields: &[(&str, &str)]) -> String {
    use tradepost::dashboard::fields::encode;
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn refresh_token(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["refresh_token"].as_str().unwrap().to_owned()
}

/// A field of the address that a browser is sent to.
fn field(address: &str, name: &str) -> Option<String> {
    use tradepost::dashboard::fields::Fields;
    let fields = Fields::parse(address.split_once('?')?.1)?;
    fields.some(name).map(str::to_owned)
}

/// What the consent page at `address` would send, all ticked.
async fn consent(somebody: &mut Browser, address: &str) -> Vec<(String, String)> {
    let page = somebody.get(address).await;
    assert_eq!(page.status, 200, "{address}: {}", page.text());
    let text = page.text();
    let inside = text.split_once("action=\"/oauth/authorize\"").unwrap().1;
    let inputs = inside.split("<input ").skip(1);
    let inputs = inputs.filter(|input| !input.starts_with("type=\"hidden\" name=\"form\""));
    let value = |input: &str, name: &str| {
        let text = browser::between(input, &format!("{name}=\""), "\"");
        text.replace("&#38;", "&").replace("&#39;", "'")
    };
    inputs
        .map(|input| (value(input, "name"), value(input, "value")))
        .collect()
}

async fn decide(somebody: &mut Browser, fields: &[(String, String)], decision: &str) -> Reply {
    let mut fields: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    fields.push(("decision", decision.to_owned()));
    somebody.post("/oauth/authorize", &fields).await
}

/// The address that somebody is sent to who allows all that is asked at `address`.
async fn allow(somebody: &mut Browser, address: &str) -> String {
    let fields = consent(somebody, address).await;
    let reply = decide(somebody, &fields, "allow").await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    reply.header("location").to_owned()
}

/// A shop, its owner signed in, and a confidential client.
async fn shop() -> (TestApp, Browser, Visited) {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    assert_eq!(owner.sign_in(OWNER, PASSWORD).await.status, 303);
    let visited = Visited::start(&app, "orders:read products:read products:write", false).await;
    (app, owner, visited)
}

/// What a token says.
fn claims(token: &str) -> Value {
    let payload = BASE64URL.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn somebody_who_allows_it_is_acted_for() {
    let (app, mut owner, visited) = shop().await;
    let page = owner.get(&visited.address(&[])).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    assert!(
        text.contains("Read orders.") && text.contains("app.example"),
        "{text}"
    );
    assert!(!text.contains("products:write"), "it was not asked for");
    let back = allow(&mut owner, &visited.address(&[])).await;
    assert!(
        back.starts_with("https://app.example/cb?code=ac_"),
        "{back}"
    );
    assert_eq!(field(&back, "state").as_deref(), Some("s t&te"));
    assert_eq!(field(&back, "iss"), Some(app.config.public_url.clone()));
    let reply = visited.exchange(&app, &field(&back, "code").unwrap()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("cache-control"), "no-store");
    let body = reply.json();
    assert_eq!(
        (&body["scope"], &body["expires_in"]),
        (&json!("products:read orders:read"), &json!(3600))
    );
    let token = access_token(&reply);
    let said = claims(&token);
    assert!(said["sub"].as_str().unwrap().starts_with("stf_"), "{said}");
    assert_eq!(said["client_id"], visited.id);
    let api = bearer(&app, &token);
    assert_eq!(api.get("/v2/orders").await.status, 200);
    assert_eq!(api.get("/v2/users").await.status, 403);
    let next = visited.refresh(&app, &refresh_token(&reply)).await;
    assert_eq!(claims(&access_token(&next))["sub"], said["sub"]);
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains("App connected") || audit.contains("grant.created"),
        "{audit}"
    );
}

#[tokio::test]
async fn a_public_client_needs_no_secret_and_may_listen_on_any_port() {
    let (app, mut owner, _) = shop().await;
    let visited = Visited::start(&app, WANTED, true).await;
    let place = "http://127.0.0.1:51234/cb";
    let address = visited.address(&[("redirect_uri", place)]);
    let page = owner.get(&address).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(
        policy.contains("form-action 'self' http://127.0.0.1:51234;"),
        "{policy}"
    );
    // A policy can name no IPv6 address: browsers would hold the form back.
    let six = visited.address(&[("redirect_uri", "http://[::1]:51234/cb")]);
    let page = owner.get(&six).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' http:;"), "{policy}");
    assert!(page.text().contains("a program on this device"));
    let back = allow(&mut owner, &six).await;
    assert!(back.starts_with("http://[::1]:51234/cb?code="), "{back}");
    let back = allow(&mut owner, &address).await;
    assert!(back.starts_with(&format!("{place}?code=")), "{back}");
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &field(&back, "code").unwrap()),
        ("code_verifier", VERIFIER),
    ];
    let reply = visited.ask(&app, &fields).await;
    assert_eq!(
        reply.status,
        200,
        "the address may be left away: {}",
        reply.text()
    );
    let next = visited.refresh(&app, &refresh_token(&reply)).await;
    assert_eq!(next.status, 200, "{}", next.text());
    let body = json!({ "grant_type": "client_credentials", "client_id": visited.id });
    let reply = app.anonymous().post("/oauth/token", body).await;
    assert_refused(&reply, 401, "invalid_client");
}

#[tokio::test]
async fn what_is_unticked_is_not_allowed() {
    let (app, mut owner, visited) = shop().await;
    let mut fields = consent(&mut owner, &visited.address(&[])).await;
    fields.retain(|(_, value)| value != "orders:read");
    let reply = decide(&mut owner, &fields, "allow").await;
    let code = field(reply.header("location"), "code").unwrap();
    let reply = visited.exchange(&app, &code).await;
    assert_eq!(reply.json()["scope"], "products:read");
    fields.retain(|(name, _)| name != "allowed");
    let reply = decide(&mut owner, &fields, "allow").await;
    assert_eq!(reply.status, 422);
    assert!(
        reply.text().contains("at least one scope"),
        "{}",
        reply.text()
    );
    let reply = decide(&mut owner, &fields, "deny").await;
    let back = reply.header("location");
    assert_eq!(reply.status, 303);
    assert!(back.starts_with(PLACE), "{back}");
    assert_eq!(field(back, "error").as_deref(), Some("access_denied"));
    assert_eq!(field(back, "state").as_deref(), Some("s t&te"));
    assert_eq!(field(back, "iss"), Some(app.config.public_url.clone()));
    assert_eq!(field(back, "code"), None);
}

#[tokio::test]
async fn who_is_not_signed_in_comes_back_after_the_sign_in() {
    let (app, _, visited) = shop().await;
    let mut somebody = Browser::new(&app);
    let address = visited.address(&[]);
    let away = somebody.get(&address).await;
    assert_eq!(away.status, 303);
    let page = somebody.get(away.header("location")).await;
    assert_eq!(page.status, 200);
    let next = browser::between(&page.text(), "name=\"next\" value=\"", "\"");
    let next = next.replace("&#38;", "&");
    assert_eq!(next, address);
    let fields = [("email", OWNER), ("password", PASSWORD), ("next", &next)];
    let fields = fields.map(|(name, value)| (name, value.to_owned()));
    let reply = somebody.post("/dashboard/sign-in", &fields).await;
    // By a page: browsers hold what follows a redirect after a form to the policy of the form.
    assert_eq!((reply.status, reply.header("location")), (200, ""));
    let onward = format!("content=\"0; url={}\"", address.replace('&', "&#38;"));
    assert!(reply.text().contains(&onward), "{}", reply.text());
    assert!(allow(&mut somebody, &address).await.contains("code=ac_"));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_to_the_app() {
    let (app, mut owner, visited) = shop().await;
    for (changes, error) in [
        (&[("response_type", "")][..], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (
            &[("response_type", "code id_token")],
            "unsupported_response_type",
        ),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("scope", "users:write")], "invalid_scope"),
        (&[("scope", "everything")], "invalid_scope"),
        (
            &[("resource", "https://elsewhere.example")],
            "invalid_target",
        ),
        (&[("request", "eyJ")], "request_not_supported"),
        (
            &[("request_uri", "https://app.example/r")],
            "request_uri_not_supported",
        ),
    ] {
        let address = visited.address(changes);
        let reply = owner.get(&address).await;
        let back = reply.header("location");
        assert_eq!(reply.status, 303, "{changes:?}: {}", reply.text());
        assert!(back.starts_with("https://app.example/cb?error="), "{back}");
        assert_eq!(field(back, "error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(
            field(back, "state").as_deref(),
            Some("s t&te"),
            "{changes:?}"
        );
        assert_eq!(field(back, "iss"), Some(app.config.public_url.clone()));
    }
    let twice = format!("{}&scope=orders:read", visited.address(&[]));
    let reply = owner.get(&twice).await;
    assert_eq!(
        field(reply.header("location"), "error").as_deref(),
        Some("invalid_request")
    );
    let two = visited.address(&[
        ("redirect_uri", "https://app.example/two?x=1"),
        ("scope", "x"),
    ]);
    let reply = owner.get(&two).await;
    assert!(
        reply
            .header("location")
            .starts_with("https://app.example/two?x=1&error=")
    );
}

#[tokio::test]
async fn flows_are_set_on_the_page_of_the_credentials() {
    let (app, mut owner, _) = shop().await;
    let (id, _) = app.credentials("orders:read").await;
    let path = format!("/dashboard/credentials/{id}/flows");
    let fields = |uris: &str, public: &str| {
        [
            ("grant_type", "authorization_code".to_owned()),
            ("grant_type", "refresh_token".to_owned()),
            ("redirect_uris", uris.to_owned()),
            ("public", public.to_owned()),
        ]
    };
    for (uris, said) in [
        ("", "needs a redirect URI"),
        ("http://app.example/", "use https"),
        ("https://app.example/<b>", "printable ASCII"),
    ] {
        let reply = owner.post(&path, &fields(uris, "yes")).await;
        assert_eq!(reply.status, 422, "{uris}");
        assert!(reply.text().contains(said), "{uris}: {}", reply.text());
        assert!(!reply.text().contains("<b>"));
    }
    let both = "https://app.example/cb\r\ncom.example.app:/cb";
    let reply = owner.post(&path, &fields(both, "yes")).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let page = owner.get(reply.header("location")).await.text();
    assert!(
        page.contains("com.example.app:/cb") && page.contains("is changed"),
        "{page}"
    );
    let client = listed(&app, &id).await;
    assert!(client.registration.is_public());
    assert_eq!(client.registration.redirect_uris().len(), 2);
}
