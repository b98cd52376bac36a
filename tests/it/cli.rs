//! The command line: exit codes 0 done, 1 failed, 2 usage.

use crate::program::{Place, eventually, told};
use serde_json::{Value, json};

#[tokio::test]
async fn settings_come_from_flags_environment_and_file() {
    let place = Place::new().await;
    let file = "listen = \"127.0.0.1:1\"\nsmtp_url = \"smtp://shop:hunter2@mail.example:25\"\nlog_requests = false\n";
    std::fs::write(place.dir().join("tradepost.toml"), file).expect("written");
    let mut command = place.tradepost(&["check-config", "--order-hold-minutes", "5", "--demo"]);
    command
        .env("TRADEPOST_ROLE", "all")
        .env("TRADEPOST_MAIL_FROM", "");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    for line in [
        "# with tradepost.toml",
        "listen = \"127.0.0.1:1\" # file",
        "public_url = \"http://127.0.0.1:1\" # default",
        "smtp_url = \"smtp://shop:***@mail.example:25\" # file",
        "log_requests = false # file",
        "role = \"all\" # TRADEPOST_ROLE",
        "mail_from = \"Tradepost <tradepost@localhost>\" # default",
        "order_hold_minutes = 5 # --order-hold-minutes",
        "demo = true # --demo",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} in\n{shown}"
        );
    }
    let again = place.dir().join("again.toml");
    std::fs::write(&again, place.run_well(&["check-config", "--manual"])).expect("written");
    place.run_well(&["check-config", "--config", "again.toml"]);
}

#[tokio::test]
async fn wrong_use_ends_with_2_and_says_everything_at_once() {
    let place = Place::new().await;
    let output = place.run(&[
        "check-config",
        "--listen",
        "x",
        "--role",
        "boss",
        "--rate-limit-per-second=-1",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 3, "{said}");
    for wrong in [
        &["nonsense"][..],
        &[],
        &["serve", "--lisen", "x"],
        &["check-config", "--config", "missing.toml"],
        &["clients", "create"],
        &["clients", "create", "--name", "x", "--scope", "orders:eat"],
        &[
            "clients",
            "create",
            "--name",
            "x",
            "--ip-allow",
            "10.0.0.5/8",
        ],
        &["clients", "create", "--name", " "],
        &["clients", "rotate", "cli_x", "--overlap-hours", "169"],
        &["clients", "revoke", "user_1"],
        &[
            "clients",
            "flows",
            "cli_x",
            "--redirect-uri",
            "http://shop.example",
        ],
        &["clients", "flows", "cli_x", "--grant-type", "password"],
        &[
            "clients",
            "flows",
            "cli_x",
            "--grant-type",
            "authorization_code",
        ],
        &["clients", "create", "--name", "x", "--public"],
        &["check-config", "--master-key", "1234"],
    ] {
        let output = place.run(wrong);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{wrong:?}: {}",
            told(&output)
        );
    }
    for right in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        assert_eq!(place.run(right).status.code(), Some(0), "{right:?}");
    }
    if place.database_url.is_none() {
        let output = place.run(&["serve", "--role", "worker"]);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    }
}

#[tokio::test]
async fn a_client_is_made_while_a_server_runs() {
    let place = Place::new().await;
    let server = place.serve(&["--log-requests=false"]);
    let printed = place.run_well(&[
        "clients",
        "create",
        "--name",
        "Shop",
        "--scope",
        "users:read",
        "--scope",
        "orders:read",
        "--signing-alg",
        "ES256",
        "--ip-allow",
        "127.0.0.0/8",
        "--expires-in-days",
        "30",
        "--json",
    ]);
    let client: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(client["scopes"], json!(["users:read", "orders:read"]));
    let text = |member: &str| client[member].as_str().expect("text").to_owned();
    let token = server.token(&(text("client_id"), text("client_secret")));
    let bearer = format!("Bearer {token}");
    let answer = server
        .connect()
        .send("GET", "/v2/users", &[("Authorization", &bearer)], None);
    assert_eq!(answer.expect("an answer").status, 200);
    let told = place.run_well(&["clients", "create", "--name", "Shop"]);
    assert!(
        told.contains("client_secret  cs_") && told.contains("not shown again"),
        "{told}"
    );
}

#[tokio::test]
async fn a_client_says_how_its_users_come() {
    let place = Place::new().await;
    place.run_well(&["migrate"]);
    let uri = "http://127.0.0.1/cb";
    let create = [
        "clients",
        "create",
        "--name",
        "Terminal",
        "--scope",
        "orders:read",
    ];
    let public = ["--redirect-uri", uri, "--public", "--json"];
    let printed = place.run_well(&[&create[..], &public[..]].concat());
    let client: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(client.get("client_secret"), None, "it can keep none");
    let id = client["client_id"].as_str().expect("text");
    let listed = || -> Value {
        serde_json::from_str(&place.run_well(&["clients", "list", "--json"])).expect("JSON")
    };
    let flows = json!(["authorization_code", "refresh_token"]);
    let first = listed();
    assert_eq!(
        (&first[0]["grant_types"], &first[0]["public"]),
        (&flows, &json!(true))
    );
    assert_eq!(first[0]["redirect_uris"], json!([uri]));
    let told = place.run_well(&["clients", "flows", id]);
    assert!(told.contains("is changed"), "{told}");
    let second = listed();
    assert_eq!(second[0]["grant_types"], json!(["client_credentials"]));
    assert_eq!(second[0]["public"], json!(false));
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let told = place.run_well(&["clients", "flows", id, "--grant-type", device, "--public"]);
    assert!(told.contains(device) && told.contains("(public)"), "{told}");
    let told = place.run_well(&["clients", "dpop", id, "always"]);
    assert!(told.contains("bound to a key always"), "{told}");
    assert_eq!(listed()[0]["dpop_bound"], true);
    place.run_well(&["clients", "dpop", id, "optional"]);
    assert_eq!(listed()[0]["dpop_bound"], false);
    let output = place.run(&["clients", "flows", "cli_nobody"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        crate::program::told(&output)
    );
}

#[tokio::test]
async fn tokens_to_register_with_are_made_listed_and_revoked() {
    let place = Place::new().await;
    place.run_well(&["migrate"]);
    let create = [
        "registration-tokens",
        "create",
        "--name",
        "Partners",
        "--scope",
        "orders:read",
    ];
    let told = place.run_well(&create);
    assert!(
        told.contains("token   reg_") && told.contains("1 client until"),
        "{told}"
    );
    assert!(told.contains("--client-registration"), "it is off: {told}");
    let more = ["--uses", "5", "--for-machines", "--json"];
    let printed = place.run_well(&[&create[..], &more[..]].concat());
    let made: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(
        (&made["uses_left"], &made["scopes"]),
        (&json!(5), &json!(["orders:read"]))
    );
    assert!(
        made["token"]
            .as_str()
            .is_some_and(|token| token.starts_with("reg_"))
    );
    let listed = || -> Value {
        let printed = place.run_well(&["registration-tokens", "list", "--json"]);
        serde_json::from_str(&printed).expect("JSON")
    };
    let before = listed();
    assert_eq!(
        (
            before[0]["for_machines"].clone(),
            before[1]["for_machines"].clone()
        ),
        (json!(true), json!(false))
    );
    assert!(
        before
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one.get("token").is_none())
    );
    let id = made["id"].as_str().expect("text");
    place.run_well(&["registration-tokens", "revoke", id]);
    assert!(listed()[0]["revoked_at"].is_string());
    assert!(
        place
            .run_well(&["registration-tokens", "list"])
            .contains("revoked")
    );
    let nobody = place.run(&["registration-tokens", "revoke", "rgt_nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    let none = place.run(&create[..4]);
    assert_eq!(none.status.code(), Some(2), "a token without scopes");
}

#[tokio::test]
async fn secrets_are_exchanged_and_clients_revoked_under_a_running_server() {
    let place = Place::new().await;
    let (id, old) = place.credentials();
    let server = place.serve(&["--log-requests=false"]);
    let token = server.token(&(id.clone(), old.clone()));
    let rotated = |hours: &str| {
        let printed =
            place.run_well(&["clients", "rotate", &id, "--overlap-hours", hours, "--json"]);
        let client: Value = serde_json::from_str(&printed).expect("JSON");
        client["client_secret"].as_str().expect("text").to_owned()
    };
    let newer = rotated("1");
    eventually("the new secret works", || {
        server.ask_token(&(id.clone(), newer.clone())).status == 200
    });
    server.token(&(id.clone(), old.clone()));
    let newest = rotated("0");
    eventually("the newest secret works", || {
        server.ask_token(&(id.clone(), newest.clone())).status == 200
    });
    for ended in [&old, &newer] {
        assert_eq!(server.ask_token(&(id.clone(), ended.clone())).status, 401);
    }

    let listed: Value =
        serde_json::from_str(&place.run_well(&["clients", "list", "--json"])).expect("JSON");
    assert_eq!(listed[0]["client_id"], json!(id));
    assert_eq!(listed[0]["disabled_at"], json!(null));
    let shown = place.run_well(&["clients", "list"]);
    assert!(
        shown.contains("(active)") && shown.contains(&newest[newest.len() - 4..]),
        "{shown}"
    );
    assert!(!shown.contains(&newest));

    place.run_well(&["clients", "revoke", &id]);
    let bearer = format!("Bearer {token}");
    let users = || {
        let answer = server
            .connect()
            .send("GET", "/v2/users", &[("Authorization", &bearer)], None);
        answer.expect("an answer").status
    };
    eventually("its token is refused", || users() == 401);
    eventually("it gets no token", || {
        server.ask_token(&(id.clone(), newest.clone())).status == 401
    });
    let unknown = place.run(&["clients", "revoke", "cli_nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        told(&unknown).contains("there is no client cli_nobody"),
        "{}",
        told(&unknown)
    );
}

#[tokio::test]
async fn the_schema_is_brought_up_to_date_once() {
    let place = Place::new().await;
    assert!(place.run_well(&["migrate"]).contains("steps were applied"));
    assert!(place.run_well(&["migrate"]).contains("already"));
    assert!(place.run_well(&["doctor"]).contains("All is well."));
}

#[tokio::test]
async fn the_document_of_the_api_is_printed() {
    let place = Place::new().await;
    let document: Value = serde_json::from_str(&place.run_well(&["openapi"])).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "http://127.0.0.1:8080");
    assert!(document["paths"]["/v2/orders"]["post"].is_object());
}

#[tokio::test]
async fn a_backup_is_a_database() {
    let place = Place::new().await;
    let credentials = place.credentials();
    let server = place.serve(&["--log-requests=false"]);
    if place.database_url.is_some() {
        let output = place.run(&["backup", "copy.db"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(told(&output).contains("pg_dump"), "{}", told(&output));
        return;
    }
    let restored = place.dir().join("restored");
    std::fs::create_dir(&restored).expect("a folder");
    place.run_well(&["backup", "restored/tradepost.db"]);
    let output = place.run(&["backup", "restored/tradepost.db"]);
    assert_eq!(output.status.code(), Some(1), "nothing is overwritten");
    std::fs::copy(
        place.data_dir().join("master.key"),
        restored.join("master.key"),
    )
    .expect("copied");
    drop(server);
    let server = place.serve(&["--log-requests=false", "--data-dir", "restored"]);
    server.token(&credentials);
}

#[tokio::test]
async fn what_works_on_a_database_makes_none() {
    let place = Place::new().await;
    for command in [
        &["doctor"][..],
        &["doctor", "--repair"],
        &["clients", "list"],
        &["clients", "create", "--name", "Shop"],
        &["clients", "rotate", "cli_x"],
        &["clients", "revoke", "cli_x"],
    ] {
        let output = place.run(command);
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("there is no database in "), "{said}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
        assert!(!place.data_dir().exists(), "{command:?}");
    }
}

#[tokio::test]
async fn a_revoked_client_gets_no_new_secret() {
    let place = Place::new().await;
    let (id, _) = place.credentials();
    place.run_well(&["clients", "revoke", &id]);
    let output = place.run(&["clients", "rotate", &id]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("is revoked") && !said.contains("cs_"),
        "{said}"
    );
    let listed: Value =
        serde_json::from_str(&place.run_well(&["clients", "list", "--json"])).expect("JSON");
    assert_eq!(listed[0]["secrets"].as_array().map(Vec::len), Some(1));
}

/// Whatever the umask says.
#[tokio::test]
async fn what_is_kept_is_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new().await;
    let program = env!("CARGO_BIN_EXE_tradepost");
    let envs: Vec<_> = place
        .tradepost(&[])
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    let open_handed = |command: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("umask 000; exec {program} {command}")]);
        shell.current_dir(place.dir());
        for (name, value) in &envs {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.output().expect("it runs");
        assert!(output.status.success(), "{}", told(&output));
    };
    open_handed("migrate");
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&place.data_dir()), 0o700);
    if place.database_url.is_none() {
        open_handed("backup copy.db");
        assert_eq!(mode(&place.dir().join("copy.db")), 0o600);
    }
    let _server = place.serve(&["--log-requests=false"]);
    for entry in std::fs::read_dir(place.data_dir()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn a_database_without_its_master_key_gets_no_other() {
    let place = Place::new().await;
    drop(place.serve(&["--log-requests=false"]));
    let key = place.data_dir().join("master.key");
    let kept = std::fs::read(&key).expect("a key");
    for present in [None, Some("")] {
        std::fs::remove_file(&key).expect("removed");
        if let Some(text) = present {
            std::fs::write(&key, text).expect("written");
        }
        let output = place.run(&["serve", "--listen", "127.0.0.1:0"]);
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("master.key") && said.contains("put it back"),
            "{said}"
        );
        assert_eq!(
            std::fs::read(&key).unwrap_or_default(),
            b"",
            "none was made"
        );
        std::fs::write(&key, &kept).expect("written");
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, mode).expect("changed");
    drop(place.serve(&["--log-requests=false"]));
}

#[tokio::test]
async fn public_keys_are_registered_from_files() {
    let place = Place::new().await;
    place.run_well(&["migrate"]);
    let key = |kid: &str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let write = |name: &str, set: Value| {
        let path = place.dir().join(name);
        std::fs::write(&path, set.to_string()).expect("written");
        path.display().to_string()
    };
    let first = write("first.json", json!({ "keys": [key("first")] }));
    let second = write("second.json", json!({ "keys": [key("second")] }));
    let mut private = key("private");
    private["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    let private = write("private.json", json!({ "keys": [private] }));
    let made = place.run_well(&[
        "clients", "create", "--name", "Robot", "--jwks", &first, "--json",
    ]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    assert!(made.get("client_secret").is_none());
    let id = made["client_id"].as_str().expect("an id").to_owned();
    let told = place.run_well(&["clients", "keys", &id, &second, "--overlap-hours", "0"]);
    assert!(told.contains("signs with 1 keys"), "{told}");
    let listed = place.run_well(&["clients", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed[0]["secrets"], json!([]));
    assert_eq!(
        listed[0]["keys"],
        json!([{ "kid": "second", "alg": "EdDSA", "thumbprint": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" }])
    );
    for wrong in [private.as_str(), "missing.json"] {
        let output = place.run(&["clients", "keys", &id, wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}
