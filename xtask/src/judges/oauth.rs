//! OAuth clients written by others, unmodified, against a running server: authlib, requests-oauthlib and
//! oauth4webapi. What they check stands in `oauth/judge.py` and `oauth/judge.mjs`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Server, write_file};
use crate::postgres::Cluster;
use crate::process::{output, target, tradepost};
use crate::{Result, install, process};

const JUDGE_PY: &str = include_str!("oauth/judge.py");
const JUDGE_MJS: &str = include_str!("oauth/judge.mjs");
/// What their clients may do; they ask for less.
const SCOPES: [&str; 4] = ["--scope", "products:read", "--scope", "tokens:introspect"];

/// Runs them all. SQLite without a cluster.
pub(super) fn judge(cluster: Option<&Cluster>) -> Result {
    let python = install::python()?.join("python");
    let node = install::oauth4webapi()?;
    let dir = target()?.join("judges/oauth");
    let server = Server::start(&dir, cluster)?;
    let script = dir.join("judge.py");
    write_file(&script, JUDGE_PY)?;
    // Beside its node_modules, where Node looks for what it imports.
    let module = node.join("judge.mjs");
    write_file(&module, JUDGE_MJS)?;
    run(Command::new(&python).arg(&script).arg("keys").arg(&dir))?;
    let jwks = dir.join("jwks.json").display().to_string();
    let signing = ["--jwks", &jwks, "--signing-alg", "ES256"];
    let settings = json!({
        "url": server.url,
        "secret_client": client(&server, &[])?,
        "signing_client": client(&server, &signing)?,
        "dpop_client": client(&server, &["--dpop"])?,
        "registration_token": registration_token(&server)?,
        "private_keys": read(&dir.join("private.json"))?,
    });
    let path = dir.join("settings.json");
    write_file(&path, &settings.to_string())?;
    let judged = run(Command::new(&python).arg(&script).arg("run").arg(&path))
        .and_then(|()| run(Command::new("node").arg(&module).arg(&path)));
    judged.map_err(|why| format!("{why}; the server's log is {}", server.log.display()))
}

/// A new client, as `tradepost clients create --json` prints it.
fn client(server: &Server, more: &[&str]) -> Result<Value> {
    let mut create = Command::new(tradepost()?);
    create.args(["clients", "create", "--name", "judge", "--json"]);
    let printed = output(create.args(SCOPES).args(more).args(&server.storage))?;
    serde_json::from_str(&printed)
        .map_err(|e| format!("`tradepost clients create --json` does not print JSON: {e}"))
}

/// With which clients register themselves.
fn registration_token(server: &Server) -> Result<Value> {
    let mut create = Command::new(tradepost()?);
    create.args(["registration-tokens", "create", "--name", "judge", "--json"]);
    create.args(["--uses", "10", "--for-machines"]);
    let printed = output(create.args(SCOPES).args(&server.storage))?;
    let made: Value = serde_json::from_str(&printed)
        .map_err(|e| format!("`registration-tokens create --json` does not print JSON: {e}"))?;
    Ok(made["token"].clone())
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn run(command: &mut Command) -> Result {
    process::run(command.stdin(Stdio::null()))
}
