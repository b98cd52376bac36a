//! What README.md and docs/IMPORT.md show is what happens: each line for a shell is run, and each answer
//! that is printed below one is held against the real one.

use crate::app::TestApp;
use crate::program::{Place, Server, told};
use axum::http::Method;
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Output};
use tradepost::oauth::Scopes;
use tradepost::openapi;

const README: &str = include_str!("../../README.md");
const IMPORT: &str = include_str!("../../docs/IMPORT.md");

/// A line for a shell, and what the document shows as its output.
struct Example {
    command: String,
    output: String,
}

/// The fenced blocks of a document, without their fences.
fn blocks(document: &str) -> impl Iterator<Item = &str> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n').map(|(_, text)| text))
}

/// The blocks that begin with `$ `.
fn examples(document: &str) -> Vec<Example> {
    let commands = blocks(document).filter_map(|block| block.strip_prefix("$ "));
    let each = commands.map(|block| {
        let (mut command, mut output) = (String::new(), String::new());
        let mut in_command = true;
        for line in block.lines() {
            assert!(!line.starts_with("$ "), "one command in each block: {line}");
            let into = if in_command {
                &mut command
            } else {
                &mut output
            };
            in_command = in_command && line.ends_with('\\');
            into.push_str(line);
            into.push('\n');
        }
        Example { command, output }
    });
    each.collect()
}

/// The program's place with a `tradepost` in the path.
struct Shell {
    place: Place,
    bin: std::path::PathBuf,
}

impl Shell {
    async fn new() -> Shell {
        let place = Place::new().await;
        let bin = place.dir().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tradepost"), bin.join("tradepost"))
            .expect("a link");
        Shell { place, bin }
    }

    fn run(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        let program = self.place.tradepost(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.place.dir());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("PATH", format!("{}:{path}", self.bin.display()));
        shell.envs(variables.iter().copied());
        shell.output().expect("a shell")
    }
}

/// `text` with what differs at every run (ids, secrets, instants, spaces at the end) made equal.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.trim_end();
    while let Some(first) = rest.chars().next() {
        let length = variable(rest, out.chars().next_back());
        match length {
            0 => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
            length => {
                out.push('*');
                rest = &rest[length..];
            }
        }
    }
    out
}

/// How long the varying text is that `text` begins with.
fn variable(text: &str, before: Option<char>) -> usize {
    let run = |from: usize| {
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        from + text[from..].find(|c| !name(c)).unwrap_or(text.len() - from)
    };
    if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
        return 0;
    }
    // An id: a prefix and 26 characters; a client's and a secret are of other lengths.
    if let Some(at) = text.find('_')
        && text[..at].bytes().all(|b| b.is_ascii_lowercase())
        && (2..=12).contains(&at)
        && run(at + 1) - at > 20
    {
        return run(at + 1);
    }
    // An instant of these years; those of the sample data stay.
    let bytes = text.as_bytes();
    let instant = bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[..4].iter().all(u8::is_ascii_digit);
    let sample = text.starts_with("2023-");
    match instant && !sample {
        true => text.find('Z').map_or(0, |at| at + 1),
        false => 0,
    }
}

#[track_caller]
fn held_against(command: &str, shown: &str, real: &Output) {
    let told = told(real);
    assert!(real.status.success(), "{command}: {told}");
    let real = masked(&String::from_utf8_lossy(&real.stdout));
    match shown.trim_end().strip_suffix('…') {
        Some(beginning) => {
            let beginning = masked(beginning);
            assert!(
                real.starts_with(&beginning),
                "{command}\nshown: {beginning}\nreal: {real}"
            );
        }
        None if shown.is_empty() => {}
        None => assert_eq!(real, masked(shown), "{command}"),
    }
}

/// What `serve --demo` prints up to the three lines for a shell, which are returned.
fn greeting(server: &mut Server) -> (String, Vec<String>) {
    let (mut text, mut lines) = (server.first.clone(), Vec::new());
    while lines.len() < 3 {
        let mut line = String::new();
        assert_ne!(server.lines.read_line(&mut line).expect("a line"), 0);
        match line.contains("curl") {
            true => lines.push(line),
            false if lines.is_empty() => text.push_str(&line),
            false => {}
        }
    }
    (text, lines)
}

#[tokio::test]
async fn the_tour_of_the_readme_is_true_line_by_line() {
    let shell = Shell::new().await;
    std::fs::write(
        shell.place.dir().join("online-retail.csv.zst"),
        compressed_extract(),
    )
    .expect("a file");
    let mut server = shell.place.serve(&["--demo", "--log-requests=false"]);
    let url = format!("http://127.0.0.1:{}", server.port);
    let (greeting, lines) = greeting(&mut server);
    let shown = blocks(README)
        .find(|block| block.starts_with("Tradepost 0.1.0 listening"))
        .expect("what is printed");
    let shown = shown
        .trim_end()
        .strip_suffix('…')
        .expect("the three lines are left out");
    let beginning = |text: &str| {
        let text = masked(&text.replace(&url, "http://127.0.0.1:8080"));
        let (first, rest) = text.split_once('\n').expect("lines");
        // The engine and the folder are the test's own.
        let (listening, _) = first.split_once(" (").expect("a place");
        format!("{listening}\n{}", rest.trim_end())
    };
    assert_eq!(beginning(&greeting), beginning(shown));

    let pasted = shell.run(&format!("{}printf '\\n%s' \"$TOKEN\"", lines.concat()), &[]);
    let pasted = String::from_utf8(pasted.stdout).expect("text");
    assert!(pasted.contains(r#""number":"1001""#), "{pasted}");
    let token = pasted.lines().last().expect("the token");
    assert!(token.starts_with("eyJ"), "{token}");
    let mut server = Some(server);
    let examples = examples(README);
    assert_eq!(
        examples.len(),
        5,
        "a new example is tried as it comes; the number is to be seen"
    );
    for Example { command, output } in &examples {
        if command.starts_with("tradepost doctor")
            && let Some(server) = server.take()
        {
            server.kill(); // as the text above it says
        }
        let script = command.replace("http://127.0.0.1:8080", &url);
        let real = shell.run(&script, &[("TOKEN", token)]);
        held_against(command, output, &real);
        if command.contains("Idempotency-Key") {
            let again = shell.run(
                &script.replacen("curl -s", "curl -si", 1),
                &[("TOKEN", token)],
            );
            let again = String::from_utf8_lossy(&again.stdout).into_owned();
            let (head, body) = again.split_once("\r\n\r\n").expect("a head");
            assert_eq!(body, String::from_utf8_lossy(&real.stdout), "byte for byte");
            assert!(
                head.to_ascii_lowercase()
                    .contains("idempotent-replayed: true"),
                "{head}"
            );
        }
    }
}

/// The extract of the data set that the tests of the import use, as it is published: compressed.
fn compressed_extract() -> Vec<u8> {
    let extract =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/online-retail-extract.csv");
    let extract = std::fs::read(extract).expect("the extract");
    zstd::encode_all(&extract[..], 3).expect("compressed")
}

/// The acceptance run of an import, with the extract: killed or not, it ends at the same totals.
#[tokio::test]
async fn the_runs_of_the_import_page_end_as_it_says() {
    let shell = Shell::new().await;
    let file = shell.place.dir().join("online-retail.csv.zst");
    std::fs::write(&file, compressed_extract()).expect("a file");
    let lines: Vec<&str> = IMPORT
        .lines()
        .filter(|line| line.starts_with("    ") && line.contains("tradepost --data-dir"))
        .collect();
    assert_eq!(lines.len(), 3);
    let folder = shell.place.dir().display().to_string();
    let file = file.display().to_string();
    let script = lines
        .join("\n")
        .replace("/usr/bin/time -v ", "")
        .replace("/tmp/", &format!("{folder}/"))
        .replace("sleep 5", "sleep 0.2");
    // Each run is to have a database of its own, which only the folder gives.
    let own = format!("unset TRADEPOST_DATABASE_URL TRADEPOST_DATA_DIR\n{script}\nwait");
    let real = shell.run(&own, &[("TRADEPOST_ONLINE_RETAIL", &file)]);
    assert!(real.status.success(), "{}", told(&real));
    let proved = |name: &str| {
        let proof = shell.run(
            &format!("unset TRADEPOST_DATABASE_URL\ntradepost --data-dir {folder}/{name} doctor"),
            &[],
        );
        assert!(proof.status.success(), "{}", told(&proof));
        String::from_utf8_lossy(&proof.stdout).into_owned()
    };
    assert_eq!(proved("a"), proved("b"));
}

/// Each command that the text names in passing is one that the program has.
#[tokio::test]
async fn each_command_that_is_named_exists() {
    let place = Place::new().await;
    let spans = [README, IMPORT]
        .into_iter()
        .flat_map(|text| text.split('`').skip(1).step_by(2));
    let mut seen = 0;
    for span in spans {
        let Some(arguments) = span.strip_prefix("tradepost ") else {
            continue;
        };
        let words = arguments.split_whitespace();
        let command = words.take_while(|word| {
            word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-')
        });
        let mut command: Vec<&str> = command.collect();
        let flags = arguments
            .split_whitespace()
            .filter(|word| word.starts_with("--"));
        command.push("--help");
        let help = place.run_well(&command);
        for flag in flags {
            assert!(
                help.contains(flag),
                "`tradepost {arguments}`: there is no {flag}"
            );
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
    let table = README.lines().filter_map(|line| line.strip_prefix("| `--"));
    let help = place.run_well(&["serve", "--help"]);
    for row in table {
        let (flag, _) = row.split_once('`').expect("a flag");
        assert!(help.contains(&format!("--{flag} ")), "--{flag}");
    }
}

/// What `/docs` shows as the body of a request can be sent as it is: it succeeds, or meets what the sample
/// data already has, with an error that the operation lists.
#[tokio::test]
async fn each_body_that_the_reference_shows_can_be_sent() {
    let app = TestApp::start_with(|config| config.client_registration = true).await;
    let told = tradepost::demo::fill(&app, &app.config.public_url).await;
    told.expect("sample data");
    let shop = app.client(&Scopes::all().to_string()).await;
    let (id, secret) = app
        .credentials_for_devices("users:read tokens:introspect")
        .await;
    let (initial, _) = crate::oauth::dynamic::initial(&app, "products:read", 9, false).await;
    let mut registered = Value::Null;
    // One with a single variant, as the example of a change has it.
    let product = shop.get("/v2/products?sku=PEN-FOUNTAIN").await.json()[0]["id"].clone();
    let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "MUG-BLUE", "quantity": 1 }] });
    let order = shop.post("/v2/orders", order).await.json()["id"].clone();
    let document: Value =
        serde_json::from_str(&openapi::document(&app.config.public_url)).expect("JSON");
    let mut sent = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let example = operation.pointer("/requestBody/content/application~1json/example");
            let Some(example) = example else { continue };
            let named = match path.split('/').nth(2) {
                Some("products") => &product,
                Some("orders") => &order,
                _ => &json!("user_456"),
            };
            let target = path.replace("{id}", named.as_str().expect("an id"));
            let body = example
                .to_string()
                .replace("YOUR_CLIENT_ID", &id)
                .replace("YOUR_CLIENT_SECRET", &secret);
            let method: Method = method.to_uppercase().parse().expect("a method");
            let own = |member: &str| registered[member].as_str().unwrap_or_default();
            let target = target.replace("{client_id}", own("client_id"));
            let body = body.replace("cli_5sVBDBpmVCTq4zGsWPjKSD", own("client_id"));
            let caller = match path.starts_with("/oauth/") {
                true => &app.anonymous(),
                false => &shop,
            };
            let mut call = caller.request(method.clone(), &target);
            if path.starts_with("/oauth/register") {
                let token = match method {
                    Method::POST => &initial,
                    _ => own("registration_access_token"),
                };
                call = call.header("authorization", &format!("Bearer {token}"));
            }
            let call = call.header("content-type", "application/json");
            let reply = call.body(body).send().await;
            if path == "/oauth/register" {
                registered = reply.json();
            }
            let listed = |code: &str| {
                operation["x-error-codes"]
                    .as_array()
                    .is_some_and(|all| all.contains(&json!(code)))
            };
            let met = reply.status == 409 && listed(&reply.code());
            assert!(
                reply.status < 300 || met,
                "{method} {path}: {}",
                reply.text()
            );
            sent += 1;
        }
    }
    assert!(sent >= 10, "{sent}");
}
