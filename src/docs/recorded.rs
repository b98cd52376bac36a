//! What a server really answered, recorded by `cargo xtask record` from the requests of `tests/it/recorded.rs`.

use super::samples::pretty;
use super::schema::{list, text};
use serde_json::Value;
use std::fmt::Write;
use std::sync::LazyLock;

/// Written by `cargo xtask record`, and held against the program by a test on both engines.
const RECORDED: &str = include_str!("recorded.json");
/// How requests with an access token are recorded; other tokens stand for themselves.
const ACCESS_TOKEN: (&str, &str) = ("Authorization", "Bearer $TOKEN");
static OURS: LazyLock<Recorded> =
    LazyLock::new(|| Recorded(serde_json::from_str(RECORDED).unwrap_or_default()));

/// The recorded exchanges by `operationId`; empty for a document that is not ours.
#[derive(Debug, Default)]
pub struct Recorded(Value);

impl Recorded {
    /// Of this program.
    pub fn ours() -> &'static Recorded {
        &OURS
    }

    /// The exchanges of an operation, in the order in which they are shown.
    pub fn of(&self, operation: &str) -> impl Iterator<Item = Exchange<'_>> {
        list(&self.0, operation).iter().map(Exchange)
    }

    /// The one whose request the page shows: the first that succeeded.
    pub fn success(&self, operation: &str) -> Option<Exchange<'_>> {
        self.of(operation).find(Exchange::is_success)
    }
}

/// One request and its answer.
#[derive(Clone, Copy)]
pub struct Exchange<'a>(&'a Value);

impl<'a> Exchange<'a> {
    pub fn status(&self) -> u64 {
        self.0["status"].as_u64().unwrap_or_default()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// Path and query.
    pub fn target(&self) -> &'a str {
        text(self.0, "target").unwrap_or_default()
    }

    /// The headers of the request, without the access token.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        headers(self.0, "headers").filter(|header| *header != ACCESS_TOKEN)
    }

    pub fn has_token(&self) -> bool {
        headers(self.0, "headers").any(|header| header == ACCESS_TOKEN)
    }

    pub fn body(&self) -> Option<&'a Value> {
        self.0.get("body")
    }

    /// `201`, `201 replayed`, or `409 duplicate`.
    pub fn label(&self) -> String {
        let answer = self.0.get("answer").unwrap_or(&Value::Null);
        let code = text(answer, "code").or_else(|| text(answer, "error"));
        match code.filter(|_| !self.is_success()) {
            Some(code) => format!("{} {code}", self.status()),
            None if headers(self.0, "answer_headers")
                .any(|(name, _)| name == "idempotent-replayed") =>
            {
                format!("{} replayed", self.status())
            }
            None => self.status().to_string(),
        }
    }

    /// The answer as it was sent; for a refusal after the request that met it.
    pub fn transcript(&self, method: &str) -> String {
        let mut out = String::new();
        if !self.is_success() {
            let _ = writeln!(out, "{method} {}", self.target()); // a String takes every write
            for (name, value) in headers(self.0, "headers") {
                let _ = writeln!(out, "{name}: {value}");
            }
            if let Some(body) = self.body() {
                let _ = writeln!(out, "\n{}", pretty(body));
            }
            out.push('\n');
        }
        let _ = writeln!(out, "HTTP/1.1 {}", self.status());
        for (name, value) in headers(self.0, "answer_headers") {
            let _ = writeln!(out, "{name}: {value}");
        }
        match self.0.get("answer") {
            None => {}
            Some(Value::String(body)) => out.extend(["\n", body]),
            Some(body) => out.extend(["\n", &pretty(body)]),
        }
        out.truncate(out.trim_end().len());
        out
    }
}

fn headers<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    super::operation::entries(value, key).filter_map(|(name, value)| Some((name, value.as_str()?)))
}
