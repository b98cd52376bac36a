//! `docs/openapi.json`: the document that the program serves, committed so that a change of the
//! contract shows up as a diff in review.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::Result;
use crate::process::{cargo, output, root, run, tradepost};

/// `cargo xtask openapi`: builds the program and writes the file.
pub fn write() -> Result {
    run(cargo().args(["build", "--bin", "tradepost"]))?;
    fs::write(file(), document()?).map_err(|e| format!("{}: {e}", file().display()))
}

/// `cargo xtask record`: writes `src/docs/recorded.json`, the examples of `/docs`, from what the program answers.
pub fn record() -> Result {
    let mut recording = cargo();
    recording.args(["test", "--test", "it", "recorded::every_operation"]);
    recording.env_remove("TEST_DATABASE_URL");
    run(recording.env("TRADEPOST_RECORD", "1"))
}

/// Fails if the committed file is not what the built program prints, byte for byte.
pub fn check() -> Result {
    let document = document()?;
    match fs::read_to_string(file()) {
        Ok(committed) if committed == document => Ok(()),
        Ok(_) => Err("docs/openapi.json is not what the program prints: run `cargo xtask openapi` and review the diff".into()),
        Err(e) => Err(format!("{}: {e}", file().display())),
    }
}

/// What a client of the document needs to log in.
pub struct Security {
    /// The names of the security schemes that take an access token.
    pub schemes: Vec<String>,
    /// Every scope there is.
    pub scopes: Vec<String>,
}

/// Reads the security schemes of the built program's document.
pub fn security() -> Result<Security> {
    read_security(&read()?)
}

/// The document of the built program.
pub fn read() -> Result<Value> {
    serde_json::from_str(&document()?)
        .map_err(|e| format!("`tradepost openapi` does not print JSON: {e}"))
}

fn read_security(document: &Value) -> Result<Security> {
    let schemes = document["components"]["securitySchemes"].as_object();
    let mut found = Security {
        schemes: Vec::new(),
        scopes: Vec::new(),
    };
    for (name, scheme) in schemes.into_iter().flatten() {
        let takes_token = scheme["type"] == "oauth2" || scheme["scheme"] == "bearer";
        if takes_token {
            found.schemes.push(name.clone());
        }
        let scopes = scheme["flows"]["clientCredentials"]["scopes"].as_object();
        found
            .scopes
            .extend(scopes.into_iter().flatten().map(|(scope, _)| scope.clone()));
    }
    if found.schemes.is_empty() || found.scopes.is_empty() {
        return Err("the OpenAPI document names no client_credentials scheme with scopes".into());
    }
    Ok(found)
}

fn document() -> Result<String> {
    let document = output(Command::new(tradepost()?).arg("openapi"))?;
    match document.trim().is_empty() {
        true => Err("`tradepost openapi` prints nothing".into()),
        false => Ok(document),
    }
}

fn file() -> PathBuf {
    root().join("docs/openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_scheme_and_its_scopes_are_found() {
        let document = json!({ "components": { "securitySchemes": {
            "oauth": { "type": "oauth2", "flows": { "clientCredentials": {
                "tokenUrl": "/oauth/token", "scopes": { "orders:read": "", "orders:write": "" } } } },
            "client": { "type": "http", "scheme": "basic" },
        } } });
        let security = read_security(&document).unwrap();
        assert_eq!(security.schemes, ["oauth"]);
        assert_eq!(security.scopes, ["orders:read", "orders:write"]);
    }

    #[test]
    fn a_document_without_a_way_in_is_an_error() {
        assert!(read_security(&json!({})).is_err());
    }
}
