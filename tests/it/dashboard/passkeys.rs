//! Passkeys, with an authenticator of the test's own.

use super::browser::{self, Browser, OWNER, PASSWORD, between};
use crate::app::{Reply, TestApp};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use platform::secrets::sha256;
use serde_json::{Value, json};
use std::time::Duration;
use tradepost::dashboard::Role;

const NEW: &str = "/dashboard/security/passkeys/new";
const ADD: &str = "/dashboard/security/passkeys";
const SIGN_IN: &str = "/dashboard/sign-in/passkey";
const CLIENTS: &str = "/dashboard/credentials/new";
/// The default `public_url` is a loopback address: passkeys are for its name.
const ORIGIN: &str = "http://localhost:8080";

const PRESENT_AND_VERIFIED: u8 = 0b101;
const SYNCED: u8 = 0b1_1000;
const ATTESTED: u8 = 0b100_0000;

/// A device with one passkey, and what it says when it is asked.
#[derive(Debug)]
struct Device {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    user: Vec<u8>,
    count: u32,
    flags: u8,
    origin: String,
    rp_id: String,
}

impl Device {
    fn new(id: u8) -> Device {
        Device {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(),
            id: vec![id; 32],
            user: Vec::new(),
            count: 0,
            flags: PRESENT_AND_VERIFIED | SYNCED,
            origin: ORIGIN.to_owned(),
            rp_id: "localhost".to_owned(),
        }
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false }).to_string()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = sha256(self.rp_id.as_bytes()).to_vec();
        data.push(self.flags | flags);
        data.extend_from_slice(&self.count.to_be_bytes());
        data
    }

    /// Makes the passkey: the fields that the page would send.
    fn create(&mut self, question: &Question) -> Vec<(&'static str, String)> {
        let options = &question.options;
        self.user = BASE64URL
            .decode(options["user"]["id"].as_str().unwrap())
            .unwrap();
        let mut data = self.data(ATTESTED);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&[0, 32]);
        data.extend_from_slice(&self.id);
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        let point = self.key.public_key().as_ref();
        data.extend_from_slice(&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend_from_slice(&point[1..33]);
        data.extend_from_slice(&[0x22, 0x58, 32]);
        data.extend_from_slice(&point[33..]);
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend_from_slice(&data);
        vec![
            ("name", "Telephone <b>".to_owned()),
            ("passkey_ticket", question.ticket.clone()),
            ("passkey_id", BASE64URL.encode(&self.id)),
            (
                "passkey_client_data",
                BASE64URL.encode(self.client_data("webauthn.create", options)),
            ),
            ("passkey_attestation", BASE64URL.encode(object)),
            ("passkey_transports", "internal,hybrid".to_owned()),
        ]
    }

    /// Signs: the fields that the page would send.
    fn sign(&self, question: &Question) -> Vec<(&'static str, String)> {
        let client_data = self.client_data("webauthn.get", &question.options);
        let data = self.data(0);
        let message = [data.as_slice(), &sha256(client_data.as_bytes())].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message).unwrap();
        vec![
            ("passkey_ticket", question.ticket.clone()),
            ("passkey_id", BASE64URL.encode(&self.id)),
            ("passkey_client_data", BASE64URL.encode(client_data)),
            ("passkey_authenticator_data", BASE64URL.encode(data)),
            ("passkey_signature", BASE64URL.encode(signature)),
            ("passkey_user", BASE64URL.encode(&self.user)),
        ]
    }
}

/// What a page asks the browser.
struct Question {
    options: Value,
    ticket: String,
}

impl Question {
    fn on(page: &Reply) -> Question {
        let text = page.text();
        let options = between(&text, "data-options=\"", "\"").replace("&#34;", "\"");
        Question {
            options: serde_json::from_str(&options).unwrap(),
            ticket: between(&text, "name=\"passkey_ticket\" value=\"", "\""),
        }
    }
}

/// An owner who has just signed in, and their device with a passkey.
async fn owner_with(app: &TestApp, device: &mut Device) -> Browser {
    browser::set_up(app).await;
    let mut owner = Browser::new(app);
    owner.sign_in(OWNER, PASSWORD).await;
    let added = add(&mut owner, device).await;
    assert_eq!(
        browser::landed(&added),
        "/dashboard/security, passkey",
        "{}",
        added.text()
    );
    owner
}

async fn add(browser: &mut Browser, device: &mut Device) -> Reply {
    let page = browser.post(NEW, &[]).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let fields = device.create(&Question::on(&page));
    browser.post(ADD, &fields).await
}

async fn question(browser: &mut Browser) -> Question {
    Question::on(
        &browser
            .get("/dashboard/sign-in?next=/dashboard/orders")
            .await,
    )
}

#[tokio::test]
async fn a_passkey_signs_in_without_a_password() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    let mut owner = owner_with(&app, &mut device).await;
    let page = owner.get("/dashboard/security").await.text();
    assert!(
        page.contains("Telephone &#60;b&#62;") && page.contains("Synced"),
        "{page}"
    );
    assert!(page.contains("Not used yet"));

    app.clock.advance(Duration::from_secs(3600));
    let mut browser = Browser::new(&app);
    let asked = question(&mut browser).await;
    assert_eq!(asked.options["rpId"], "localhost");
    assert_eq!(asked.options["userVerification"], "required");
    assert_eq!(asked.options["allowCredentials"], json!([]));
    let mut fields = device.sign(&asked);
    fields.push(("next", "/dashboard/orders".to_owned()));
    let entered = browser.post(SIGN_IN, &fields).await;
    assert_eq!(
        (entered.status, entered.header("location")),
        (303, "/dashboard/orders"),
        "{}",
        entered.text()
    );
    let home = browser.get("/dashboard").await;
    assert!(home.status == 200 && home.text().contains(OWNER));
    let audit = browser.get("/dashboard/audit").await.text();
    for deed in ["Passkey added", "Signed in by a passkey"] {
        assert!(audit.contains(deed), "{deed} in {audit}");
    }
    assert!(
        !browser
            .get("/dashboard/security")
            .await
            .text()
            .contains("Not used yet")
    );
}

#[tokio::test]
async fn a_passkey_stands_for_password_and_code() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    let mut owner = owner_with(&app, &mut device).await;
    super::signing::enrol(&app, &mut owner).await;
    let mut browser = Browser::new(&app);
    let fields = device.sign(&question(&mut browser).await);
    assert_eq!(browser.post(SIGN_IN, &fields).await.status, 303);
    assert_eq!(browser.get("/dashboard").await.status, 200);

    // And it is what is asked for before what matters.
    app.clock.advance(Duration::from_secs(5 * 60));
    let form = [
        ("name", "Till".to_owned()),
        ("scope", "orders:read".to_owned()),
    ];
    let asked = browser.post(CLIENTS, &form).await;
    assert_eq!(asked.status, 403);
    let asked = Question::on(&asked);
    assert_eq!(
        asked.options["allowCredentials"][0]["id"],
        BASE64URL.encode(&device.id)
    );
    assert_eq!(
        asked.options["allowCredentials"][0]["transports"],
        json!(["internal", "hybrid"])
    );
    let answer: Vec<_> = form.iter().cloned().chain(device.sign(&asked)).collect();
    let made = browser.post(CLIENTS, &answer).await;
    assert!(
        made.status == 200 && made.text().contains("id=\"client-secret\""),
        "{}",
        made.text()
    );
    app.clock.advance(Duration::from_secs(5 * 60));
    let again = browser.post(CLIENTS, &answer).await;
    assert_eq!(again.status, 422, "an answer counts once");
    assert!(
        !again.text().contains(&device.sign(&asked)[2].1),
        "and is not carried on"
    );
}

#[tokio::test]
async fn an_answer_counts_once_and_in_one_browser() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    owner_with(&app, &mut device).await;
    let (mut first, mut other) = (Browser::new(&app), Browser::new(&app));
    let fields = device.sign(&question(&mut first).await);
    other.get("/dashboard/sign-in").await;
    let stolen = other.post(SIGN_IN, &fields).await;
    assert_eq!(
        browser::landed(&stolen),
        "/dashboard/sign-in, late",
        "another browser"
    );
    let cookies = first.cookies.clone();
    assert_eq!(
        first.post(SIGN_IN, &fields).await.header("location"),
        "/dashboard"
    );
    let mut replayed = Browser::new(&app);
    replayed.cookies = cookies;
    let again = replayed.post(SIGN_IN, &fields).await;
    assert!(
        again.status == 422 && again.text().contains("used already"),
        "{}",
        again.text()
    );

    let mut slow = Browser::new(&app);
    let fields = device.sign(&question(&mut slow).await);
    app.clock.advance(Duration::from_secs(10 * 60));
    let late = slow.post(SIGN_IN, &fields).await;
    assert_eq!(browser::landed(&late), "/dashboard/sign-in, late");
}

#[tokio::test]
async fn twenty_copies_of_one_answer_begin_one_session() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    owner_with(&app, &mut device).await;
    let mut browser = Browser::new(&app);
    let fields = device.sign(&question(&mut browser).await);
    let token = browser.form_token().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut copy = Browser::new(&app);
        copy.cookies = browser.cookies.clone();
        let (fields, token) = (fields.clone(), token.clone());
        tasks.spawn(async move {
            let same = [("sec-fetch-site", "same-origin")];
            copy.post_with(SIGN_IN, &fields, &token, &same).await.status
        });
    }
    let statuses = tasks.join_all().await;
    let entered = statuses.iter().filter(|status| **status == 303).count();
    assert_eq!(entered, 1, "{statuses:?}");
}

#[tokio::test]
async fn what_no_authenticator_of_ours_says_is_refused() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    owner_with(&app, &mut device).await;
    let mut browser = Browser::new(&app);
    type Change = fn(&mut Device);
    let changes: [(&str, Change); 6] = [
        ("another site", |device| {
            device.origin = "http://evil.example".to_owned()
        }),
        ("another port", |device| {
            device.origin = "http://localhost:9090".to_owned()
        }),
        ("another relying party", |device| {
            device.rp_id = "evil.example".to_owned()
        }),
        ("nobody verified", |device| device.flags = 0b001 | SYNCED),
        ("another account", |device| {
            device.user = b"stf_other".to_vec()
        }),
        ("another key", |device| device.key = Device::new(1).key),
    ];
    for (why, change) in changes {
        let mut other = Device {
            key: copy(&device.key),
            id: device.id.clone(),
            user: device.user.clone(),
            origin: device.origin.clone(),
            rp_id: device.rp_id.clone(),
            ..device
        };
        change(&mut other);
        let fields = other.sign(&question(&mut browser).await);
        let refused = browser.post(SIGN_IN, &fields).await;
        assert!(
            refused.status == 422 && refused.text().contains("was refused"),
            "{why}: {}",
            refused.text()
        );
        app.clock.advance(Duration::from_secs(16 * 60)); // past every pause
    }
    let unknown = Device::new(9).sign(&question(&mut browser).await);
    let refused = browser.post(SIGN_IN, &unknown).await;
    assert!(
        refused.status == 422 && refused.text().contains("Nobody here"),
        "{}",
        refused.text()
    );
    let mut fields = device.sign(&question(&mut browser).await);
    for (name, value) in &mut fields {
        if *name == "passkey_signature" {
            *value = "%%%".to_owned();
        }
    }
    assert_eq!(browser.post(SIGN_IN, &fields).await.status, 422);
    assert_eq!(
        browser.get("/dashboard").await.status,
        303,
        "nobody was let in"
    );
}

fn copy(key: &EcdsaKeyPair) -> EcdsaKeyPair {
    let pkcs8 = key.to_pkcs8v1().unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap()
}

#[tokio::test]
async fn a_count_that_does_not_grow_shows_a_copy() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    device.flags = PRESENT_AND_VERIFIED;
    device.count = 5;
    owner_with(&app, &mut device).await;
    for (count, status) in [(6, 303), (6, 422), (5, 422), (0, 422), (9, 303)] {
        device.count = count;
        let mut browser = Browser::new(&app);
        let fields = device.sign(&question(&mut browser).await);
        assert_eq!(
            browser.post(SIGN_IN, &fields).await.status,
            status,
            "{count}"
        );
    }
}

#[tokio::test]
async fn a_passkey_is_made_for_who_asked_and_once() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    let mut owner = owner_with(&app, &mut device).await;
    // The same passkey a second time, by the owner and by somebody else.
    let again = add(&mut owner, &mut device).await;
    assert!(
        again.status == 422 && again.text().contains("known here already"),
        "{}",
        again.text()
    );
    let mut ada = browser::member(&app, "ada@example.com", Role::ReadOnly).await;
    let page = ada.post(NEW, &[]).await;
    let asked = Question::on(&page);
    assert_eq!(
        asked.options["excludeCredentials"],
        json!([]),
        "those of others are not told"
    );
    assert_eq!(asked.options["user"]["name"], "ada@example.com");
    let stolen = ada.post(ADD, &device.create(&asked)).await;
    assert!(stolen.status == 422 && stolen.text().contains("known here already"));
    // A question of one account is not answered by another.
    let asked = Question::on(&owner.post(NEW, &[]).await);
    assert_eq!(
        asked.options["excludeCredentials"][0]["id"],
        BASE64URL.encode(&device.id)
    );
    let mut second = Device::new(2);
    let foreign = ada.post(ADD, &second.create(&asked)).await;
    assert_eq!(browser::landed(&foreign), "/dashboard/security, late");
    // Nor twice by its own.
    let sent = owner.post(ADD, &second.create(&asked)).await;
    assert_eq!(browser::landed(&sent), "/dashboard/security, passkey");
    let mut third = Device::new(3);
    let sent = owner.post(ADD, &third.create(&asked)).await;
    assert_eq!(browser::landed(&sent), "/dashboard/security, late");
    // One that verifies nobody is not taken, nor a name that is none.
    third.flags = 0b001;
    let refused = add(&mut owner, &mut third).await;
    assert_eq!(refused.status, 422);
    let asked = Question::on(&owner.post(NEW, &[]).await);
    let mut fields = Device::new(4).create(&asked);
    fields[0].1 = "n".repeat(61);
    let refused = owner.post(ADD, &fields).await;
    assert!(
        refused.status == 422 && refused.text().contains("1 to 60"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn what_is_removed_signs_in_no_more() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    let mut owner = owner_with(&app, &mut device).await;
    let page = owner.get("/dashboard/security").await.text();
    let path = between(&page, "action=\"/dashboard/security/passkeys/psk_", "\"");
    let path = format!("/dashboard/security/passkeys/psk_{path}");
    let mut ada = browser::member(&app, "ada@example.com", Role::Admin).await;
    assert_eq!(ada.post(&path, &[]).await.status, 404, "of somebody else");
    let removed = owner.post(&path, &[]).await;
    assert_eq!(browser::landed(&removed), "/dashboard/security, removed");
    let mut browser = Browser::new(&app);
    let fields = device.sign(&question(&mut browser).await);
    assert_eq!(browser.post(SIGN_IN, &fields).await.status, 422);
    assert_eq!(owner.post(&path, &[]).await.status, 404);
}

#[tokio::test]
async fn a_closed_account_has_no_passkeys() {
    let app = TestApp::start().await;
    browser::set_up(&app).await;
    let mut ada = browser::member(&app, "ada@example.com", Role::Operator).await;
    let mut device = Device::new(1);
    add(&mut ada, &mut device).await;
    let now = app.clock.now();
    let closed = app.db.write(async move |tx| {
        tradepost::dashboard::accounts::disable(tx, "ada@example.com", now).await
    });
    closed.await.unwrap();
    let mut browser = Browser::new(&app);
    let fields = device.sign(&question(&mut browser).await);
    let refused = browser.post(SIGN_IN, &fields).await;
    assert!(refused.status == 422 && refused.text().contains("Nobody here"));
}

#[tokio::test]
async fn the_operator_removes_them_all() {
    let app = TestApp::start().await;
    let mut device = Device::new(1);
    let mut owner = owner_with(&app, &mut device).await;
    add(&mut owner, &mut Device::new(2)).await;
    let now = app.clock.now();
    let forgotten = app.db.write(async move |tx| {
        tradepost::dashboard::accounts::forget_passkeys(tx, OWNER, now).await
    });
    assert_eq!(forgotten.await.unwrap(), 2);
    let mut browser = Browser::new(&app);
    let fields = device.sign(&question(&mut browser).await);
    assert_eq!(browser.post(SIGN_IN, &fields).await.status, 422);
    assert!(
        owner
            .get("/dashboard/audit")
            .await
            .text()
            .contains("All passkeys removed")
    );
}

#[tokio::test]
async fn an_account_has_at_most_twenty() {
    let app = TestApp::start().await;
    let mut device = Device::new(0);
    let mut owner = owner_with(&app, &mut device).await;
    for id in 1..20 {
        let added = add(&mut owner, &mut Device::new(id)).await;
        assert_eq!(added.status, 303, "{id}");
    }
    let refused = owner.post(NEW, &[]).await;
    assert!(
        refused.status == 409 && refused.text().contains("at most 20"),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn without_a_name_and_https_no_passkey_is_offered() {
    let app =
        TestApp::start_with(|config| config.public_url = "http://192.0.2.1:8080".to_owned()).await;
    browser::set_up(&app).await;
    let mut owner = Browser::new(&app);
    assert!(
        !owner
            .get("/dashboard/sign-in")
            .await
            .text()
            .contains("data-passkey")
    );
    owner.sign_in(OWNER, PASSWORD).await;
    assert!(
        owner
            .get("/dashboard/security")
            .await
            .text()
            .contains("--public-url")
    );
    let refused = owner.post(NEW, &[]).await;
    assert!(
        refused.status == 409 && refused.text().contains("--public-url"),
        "{}",
        refused.text()
    );
}
