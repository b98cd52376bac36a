//! Judges written by others: schemathesis, which reads the served OpenAPI document and then tries to prove
//! it wrong, and OAuth clients that know nothing of us but the standards.

mod oauth;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::postgres::{Cluster, Purpose};
use crate::process::{cargo, output, target, tied_to_us, tradepost};
use crate::test::Engine;
use crate::{Result, install, openapi, process};

const SCHEMATHESIS: &str = "4.32.5";
/// Enough to meet each rule of each operation some times, and to end within minutes.
const EXAMPLES: u32 = 20;
const HOOKS: &str = include_str!("judges/hooks.py");
/// 413, 414 and 431 refuse what is too large before its parts are looked at; schemathesis does not list
/// them by itself.
const SETTINGS: &str = "[generation]\nallow-x00 = false\n[checks.negative_data_rejection]\n\
    expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 414, 415, 422, 428, 429, 431]\n";
const START_TIMEOUT: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT_S: &str = "10";

/// `cargo xtask judge`: other data at every run; the seed is printed by schemathesis.
pub fn run(args: &[String]) -> Result {
    let (args, only_oauth) = match args {
        [first, rest @ ..] if first == "oauth" => (rest, true),
        all => (all, false),
    };
    let (mut engine, mut examples) = (Engine::Sqlite, EXAMPLES);
    for pair in args.chunks(2) {
        match pair {
            [flag, value] if flag == "--engine" => engine = Engine::parse(value)?,
            [flag, value] if flag == "--examples" => {
                let why = format!("--examples takes a whole number, not `{value}`");
                examples = value.parse().map_err(|_| why)?;
            }
            _ => {
                let usage = "cargo xtask judge [oauth] [--engine sqlite|postgres] [--examples N]";
                return Err(format!("usage: {usage}"));
            }
        }
    }
    process::run(cargo().args(["build", "--bin", "tradepost"]))?;
    let cluster = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(Cluster::start(Purpose::Tests)?),
    };
    if only_oauth {
        return oauth::judge(cluster.as_ref());
    }
    let examples = examples.to_string();
    let options = ["--max-examples", &examples, "--generation-database", "none"];
    schemathesis(cluster.as_ref(), &options)
}

/// The same data every time, so that a commit that passed passes again. SQLite without a cluster.
pub fn check(cluster: Option<&Cluster>) -> Result {
    oauth::judge(cluster)?;
    let examples = EXAMPLES.to_string();
    schemathesis(
        cluster,
        &["--max-examples", &examples, "--generation-deterministic"],
    )
}

fn schemathesis(cluster: Option<&Cluster>, options: &[&str]) -> Result {
    let programs = install::from_pypi("schemathesis", SCHEMATHESIS)?;
    let dir = target()?.join("judges");
    let server = Server::start(&dir, cluster)?;
    let config = dir.join("schemathesis.toml");
    // U+0000 is refused everywhere (PostgreSQL cannot store it), which JSON Schema cannot say of all texts.
    let settings = format!(
        "{}{SETTINGS}{}",
        server.login()?,
        acceptance(&openapi::read()?)
    );
    write_file(&config, &settings)?;
    write_file(&dir.join("tradepost_hooks.py"), HOOKS)?;
    let judged = process::run(
        Command::new(programs.join("schemathesis"))
            .arg("--config-file")
            .arg(&config)
            .arg("run")
            .arg(format!("{}/openapi.json", server.url))
            .args(["--workers", "1", "--request-timeout", REQUEST_TIMEOUT_S])
            .env("SCHEMATHESIS_HOOKS", "tradepost_hooks")
            .env("PYTHONPATH", &dir)
            .args(options)
            .current_dir(&dir)
            .stdin(Stdio::null()),
    );
    judged.map_err(|why| format!("{why}; the server's log is {}", server.log.display()))
}

/// A Tradepost with sample data and no rate limit, on a free port. Killed when dropped, which it must
/// survive by its own promise.
struct Server {
    url: String,
    log: PathBuf,
    storage: Vec<String>,
    process: Child,
}

impl Server {
    fn start(dir: &Path, cluster: Option<&Cluster>) -> Result<Server> {
        let data = dir.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
        }
        fs::create_dir_all(&data).map_err(|e| format!("{}: {e}", data.display()))?;
        let mut storage = vec!["--data-dir".to_owned(), data.display().to_string()];
        if let Some(cluster) = cluster {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let database = format!("{name}{}", std::process::id());
            storage.extend([
                "--database-url".to_owned(),
                cluster.create_database(&database)?,
            ]);
        }
        let log = dir.join("server.log");
        let opened = fs::File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) = opened.map_err(|e| format!("{}: {e}", log.display()))?;
        let process = tied_to_us(&tradepost()?, None)?
            .args(["serve", "--demo", "--listen", "127.0.0.1:0"])
            .args(["--rate-limit-per-second", "0", "--client-registration"])
            .args(&storage)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|e| format!("tradepost: {e}"))?;
        let mut server = Server {
            url: String::new(),
            log,
            storage,
            process,
        };
        server.url = server.wait_for_url()?;
        Ok(server)
    }

    fn wait_for_url(&mut self) -> Result<String> {
        let started = Instant::now();
        while started.elapsed() < START_TIMEOUT {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some(url) = served_url(&log) {
                return Ok(url);
            }
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("tradepost serve ended: {status}\n{log}"));
            }
            sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let waited = START_TIMEOUT.as_secs();
        Err(format!(
            "tradepost serve printed no address in {waited} s\n{log}"
        ))
    }

    /// Makes a client with every scope and returns the configuration with which schemathesis fetches
    /// its tokens: by the request of the API reference, as JSON.
    fn login(&self) -> Result<String> {
        let security = openapi::security()?;
        let mut create = Command::new(tradepost()?);
        create.args(["clients", "create", "--name", "judge", "--json"]);
        for scope in &security.scopes {
            create.args(["--scope", scope]);
        }
        let printed = output(create.args(&self.storage))?;
        let client: Value = serde_json::from_str(&printed)
            .map_err(|e| format!("`tradepost clients create --json` does not print JSON: {e}"))?;
        let scope = security.scopes.join(" ");
        Ok(security
            .schemes
            .iter()
            .map(|scheme| token_config(scheme, &client, &scope))
            .collect())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first `http://127.0.0.1:PORT` of a log, once the line that has it is complete.
fn served_url(log: &str) -> Option<String> {
    const ORIGIN: &str = "http://127.0.0.1:";
    let (complete, _) = log.rsplit_once('\n')?;
    let port = &complete[complete.find(ORIGIN)? + ORIGIN.len()..];
    let digits = port
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(port.len());
    match &port[..digits] {
        "" | "0" => None,
        port => Some(format!("{ORIGIN}{port}")),
    }
}

/// What may be answered to valid data: success, 404 where the path names something, and what the operation
/// itself lists. `hooks.py` looks closer: with such a status comes a code that the operation lists.
fn acceptance(document: &Value) -> String {
    let codes: Vec<&Value> = document["x-error-codes"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let status_of =
        |name: &Value| codes.iter().find(|code| code["code"] == *name)?["status"].as_u64();
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let each = item.as_object().into_iter().flatten();
        each.map(move |(_, operation)| (path, operation))
    });
    let mut settings =
        "[checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\"]\n".to_owned();
    for (path, operation) in operations {
        let own = operation["x-error-codes"].as_array().into_iter().flatten();
        let mut statuses: BTreeSet<u64> = own.filter_map(status_of).collect();
        if path.contains('{') {
            statuses.insert(404);
        }
        // Guessing is slowed down there, and the judge guesses.
        if path.starts_with("/oauth/") {
            statuses.insert(429);
        }
        let statuses: String = statuses
            .iter()
            .map(|status| format!(", {status}"))
            .collect();
        settings.push_str(&format!(
            "[[operations]]\ninclude-operation-id = {}\n\
             [operations.checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\"{statuses}]\n",
            operation["operationId"]
        ));
    }
    settings
}

/// A JSON string of such text is a TOML string too.
fn token_config(scheme: &str, client: &Value, scope: &str) -> String {
    let (id, secret, scope) = (&client["client_id"], &client["client_secret"], json!(scope));
    format!(
        "[auth.dynamic.openapi.{scheme}]\n\
         path = \"/oauth/token\"\n\
         extract_selector = \"/access_token\"\n\
         [auth.dynamic.openapi.{scheme}.payload]\n\
         grant_type = \"client_credentials\"\n\
         client_id = {id}\n\
         client_secret = {secret}\n\
         scope = {scope}\n",
        scheme = json!(scheme),
    )
}

fn write_file(path: &Path, text: &str) -> Result {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_a_complete_line_only() {
        let log = "Tradepost\nlistening on http://127.0.0.1:43121/ (sqlite)\n";
        assert_eq!(served_url(log).as_deref(), Some("http://127.0.0.1:43121"));
        assert_eq!(served_url("listening on http://127.0.0.1:431"), None);
        assert_eq!(served_url("asked for http://127.0.0.1:0\n"), None);
    }

    #[test]
    fn valid_data_may_meet_only_what_its_operation_lists() {
        let document = json!({
            "x-error-codes": [{ "code": "duplicate", "status": 409 }, { "code": "gone", "status": 410 }],
            "paths": {
                "/v2/users": { "post": { "operationId": "createUser", "x-error-codes": ["duplicate"] } },
                "/v2/users/{id}": { "get": { "operationId": "getUser" } },
            },
        });
        let settings = acceptance(&document);
        assert!(settings.contains("\"createUser\"\n[operations.checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\", 409]\n"));
        assert!(settings.contains("\"getUser\"\n[operations.checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\", 404]\n"));
    }

    #[test]
    fn the_login_is_the_request_of_the_reference() {
        let client = json!({ "client_id": "c", "client_secret": "s\"" });
        let config = token_config("oauth", &client, "orders:read orders:write");
        assert!(config.starts_with("[auth.dynamic.openapi.\"oauth\"]\npath = \"/oauth/token\"\n"));
        assert!(
            config.contains("client_secret = \"s\\\"\"\nscope = \"orders:read orders:write\"\n")
        );
    }
}
