//! The same call as curl, JavaScript, Python and Rust.

use super::operation::{Operation, is_json};
use super::recorded::Exchange;
use super::schema::Schemas;
use serde_json::Value;
use std::fmt::Write;

/// What the example tabs show: label and source text. The recorded request, or one made from the document.
pub fn all(
    operation: &Operation<'_>,
    schemas: Schemas<'_>,
    base: &str,
    recorded: Option<Exchange<'_>>,
) -> [(&'static str, String); 4] {
    let call = match recorded {
        Some(exchange) => Call::recorded(operation, exchange, base),
        None => Call::new(operation, schemas, base),
    };
    [
        ("curl", call.curl()),
        ("JavaScript", call.javascript()),
        ("Python", call.python()),
        ("Rust", call.rust()),
    ]
}

struct Call<'a> {
    method: &'a str,
    url: String,
    needs_token: bool,
    headers: Vec<(&'a str, String)>,
    json: Option<&'a Value>,
    /// A body that is not JSON, sent as it is.
    text: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// Path parameters, what is required, and whatever the document gives an example for.
    fn new(operation: &'a Operation<'a>, schemas: Schemas<'a>, base: &str) -> Call<'a> {
        let (mut path, mut query, mut headers) =
            (operation.path.to_owned(), String::new(), Vec::new());
        for p in &operation.parameters {
            if !p.is_required && p.example.is_none() {
                continue;
            }
            let value = p.example_text(schemas);
            match p.place {
                "path" => path = path.replace(&format!("{{{}}}", p.name), &percent_encode(&value)),
                "query" => {
                    let mark = if query.is_empty() { '?' } else { '&' };
                    let (name, value) = (percent_encode(p.name), percent_encode(&value));
                    query.extend([&mark.to_string(), name.as_str(), "=", value.as_str()]);
                }
                "header" => headers.push((p.name, value)),
                _ => {}
            }
        }
        if operation.own_token.is_some() {
            headers.push(("Authorization", "Bearer YOUR_TOKEN".to_owned()));
        }
        let media = operation.body.as_ref().map(|b| &b.media);
        let json = media.filter(|m| is_json(m.content_type));
        if let Some(media) = media {
            headers.push(("Content-Type", media.content_type.to_owned()));
        }
        Call {
            method: &operation.method,
            url: format!("{}{path}{query}", base.trim_end_matches('/')),
            needs_token: operation.scopes.is_some(),
            headers,
            json: json.map(|m| &m.example),
            text: if json.is_some() {
                None
            } else {
                media.and_then(|m| m.example.as_str())
            },
        }
    }

    fn recorded(operation: &'a Operation<'a>, exchange: Exchange<'a>, base: &str) -> Call<'a> {
        let headers = exchange.headers();
        Call {
            method: &operation.method,
            url: format!("{}{}", base.trim_end_matches('/'), exchange.target()),
            needs_token: exchange.has_token(),
            headers: headers
                .map(|(name, value)| (name, value.to_owned()))
                .collect(),
            json: exchange.body(),
            text: None,
        }
    }

    fn has_body(&self) -> bool {
        self.json.is_some() || self.text.is_some()
    }

    fn curl(&self) -> String {
        let default = if self.has_body() { "POST" } else { "GET" };
        let mut parts = vec![match self.method {
            method if method == default => format!("curl {}", shell(&self.url)),
            method => format!("curl -X {method} {}", shell(&self.url)),
        }];
        if self.needs_token {
            parts.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
        }
        for (name, value) in &self.headers {
            parts.push(format!("-H {}", shell(&format!("{name}: {value}"))));
        }
        if let Some(body) = self.json {
            parts.push(format!("-d {}", shell(&pretty(body))));
        }
        if let Some(body) = self.text {
            parts.push(format!("--data-binary {}", shell(body)));
        }
        parts.join(" \\\n  ")
    }

    fn javascript(&self) -> String {
        let mut options = String::new();
        let _ = writeln!(options, "  method: {},", quote(self.method)); // a String takes every write
        if self.needs_token || !self.headers.is_empty() {
            options.push_str("  headers: {\n");
            if self.needs_token {
                options.push_str("    Authorization: `Bearer ${token}`,\n");
            }
            for (name, value) in &self.headers {
                let _ = writeln!(options, "    {}: {},", quote(name), quote(value));
            }
            options.push_str("  },\n");
        }
        if let Some(body) = self.json {
            let body = Literal::JavaScript.write(body, 1);
            let _ = writeln!(options, "  body: JSON.stringify({body}),");
        }
        if let Some(body) = self.text {
            let _ = writeln!(options, "  body: {},", quote(body));
        }
        let url = quote(&self.url);
        format!(
            "const response = await fetch({url}, {{\n{options}}});\n\
             if (!response.ok) throw new Error(await response.text());\n\
             console.log(await response.text());"
        )
    }

    /// Headers to write out; both libraries below set the type of a plain JSON body themselves.
    fn headers_beside_json(&self) -> impl Iterator<Item = &(&'a str, String)> {
        let is_set = |value: &str| self.json.is_some() && value == "application/json";
        self.headers
            .iter()
            .filter(move |(name, value)| *name != "Content-Type" || !is_set(value))
    }

    fn python(&self) -> String {
        let (function, mut arguments) = match self.method {
            "TRACE" => ("request".to_owned(), "    \"TRACE\",\n".to_owned()), // has no function of its own
            method => (method.to_lowercase(), String::new()),
        };
        let _ = writeln!(arguments, "    {},", quote(&self.url));
        if self.needs_token || self.headers_beside_json().next().is_some() {
            arguments.push_str("    headers={\n");
            if self.needs_token {
                arguments.push_str("        \"Authorization\": f\"Bearer {token}\",\n");
            }
            for (name, value) in self.headers_beside_json() {
                let _ = writeln!(arguments, "        {}: {},", quote(name), quote(value));
            }
            arguments.push_str("    },\n");
        }
        if let Some(body) = self.json {
            let _ = writeln!(arguments, "    json={},", Literal::Python.write(body, 1));
        }
        if let Some(body) = self.text {
            let _ = writeln!(arguments, "    data={},", quote(body));
        }
        format!(
            "import requests\n\nresponse = requests.{function}(\n{arguments})\n\
             response.raise_for_status()\nprint(response.text)"
        )
    }

    fn rust(&self) -> String {
        let mut chain = match self.method {
            "OPTIONS" | "TRACE" => {
                format!(
                    "    .request(reqwest::Method::{}, {:?})\n",
                    self.method, self.url
                )
            }
            method => format!("    .{}({:?})\n", method.to_lowercase(), self.url),
        };
        if self.needs_token {
            chain.push_str("    .bearer_auth(&token)\n");
        }
        for (name, value) in self.headers_beside_json() {
            let _ = writeln!(chain, "    .header({name:?}, {value:?})");
        }
        if let Some(body) = self.json {
            let body = Literal::Rust.write(body, 1);
            let _ = writeln!(chain, "    .json(&serde_json::json!({body}))");
        }
        if let Some(body) = self.text {
            let _ = writeln!(chain, "    .body({body:?})");
        }
        format!(
            "let response = reqwest::Client::new()\n{chain}    .send()\n    .await?\n    \
             .error_for_status()?;\nprintln!(\"{{}}\", response.text().await?);"
        )
    }
}

/// A JSON value as a literal of another language.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Literal {
    JavaScript,
    Python,
    Rust,
}

impl Literal {
    /// Four columns per level, two in JavaScript; `level` is that of the line it starts on.
    fn write(self, value: &Value, level: usize) -> String {
        let step = if self == Literal::JavaScript { 2 } else { 4 };
        let (inner, outer) = (" ".repeat(step * (level + 1)), " ".repeat(step * level));
        let around = |open: char, parts: Vec<String>, close: char| match parts.is_empty() {
            true => format!("{open}{close}"),
            false => format!(
                "{open}\n{inner}{}\n{outer}{close}",
                parts.join(&format!(",\n{inner}"))
            ),
        };
        match (self, value) {
            (_, Value::Array(items)) => around(
                '[',
                items.iter().map(|v| self.write(v, level + 1)).collect(),
                ']',
            ),
            (_, Value::Object(map)) => {
                let entry = |(k, v): (&String, &Value)| {
                    format!("{}: {}", self.string(k), self.write(v, level + 1))
                };
                around('{', map.iter().map(entry).collect(), '}')
            }
            (_, Value::String(text)) => self.string(text),
            (Literal::Python, Value::Null) => "None".to_owned(),
            (Literal::Python, Value::Bool(true)) => "True".to_owned(),
            (Literal::Python, Value::Bool(false)) => "False".to_owned(),
            // A bare literal is an i32 to the compiler.
            (Literal::Rust, Value::Number(n))
                if n.as_i64().is_some_and(|n| i32::try_from(n).is_err()) =>
            {
                format!("{n}_i64")
            }
            (_, other) => other.to_string(),
        }
    }

    fn string(self, text: &str) -> String {
        match self {
            Literal::Rust => format!("{text:?}"),
            Literal::JavaScript | Literal::Python => quote(text),
        }
    }
}

/// A JSON string, which is a string of JavaScript and Python too.
fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// One word of a POSIX shell. Plain words stay bare.
fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// JSON with two columns per level.
pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() // a Value always serialises
}

/// A value as it stands in a URL or a header: a string without its quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into())
            }
            byte => {
                let _ = write!(out, "%{byte:02X}"); // a String takes every write
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::operation::operations;
    use serde_json::json;

    fn document() -> Value {
        json!({ "paths": { "/v2/orders/{id}": { "put": {
            "security": [{ "oauth2": ["orders:write"] }],
            "parameters": [
                { "name": "id", "in": "path", "schema": { "type": "string" }, "example": "ord/1" },
                { "name": "q", "in": "query", "required": true, "example": "a b" },
                { "name": "limit", "in": "query", "schema": { "type": "integer" } },
            ],
            "requestBody": { "content": { "application/json": {
                "example": { "note": "it's \"fine\"", "big": 3_000_000_000_u64, "none": null, "yes": true, "list": [] }
            } } },
        } } } })
    }

    #[test]
    fn every_language_quotes_in_its_own_way() {
        let document = document();
        let operations = operations(&document);
        let [curl, js, python, rust] = all(
            &operations[0],
            Schemas {
                document: &document,
            },
            "https://s.example/",
            None,
        );
        assert!(curl.1.starts_with(
            "curl -X PUT 'https://s.example/v2/orders/ord%2F1?q=a%20b' \\\n  -H \"Authorization: Bearer $TOKEN\""
        ));
        assert!(curl.1.contains(r#""note": "it'\''s \"fine\"""#));
        assert!(js.1.contains("Authorization: `Bearer ${token}`"));
        assert!(js.1.contains("\"none\": null"));
        assert!(
            python
                .1
                .contains("\"none\": None,\n        \"yes\": True,\n        \"list\": []\n    },")
        );
        assert!(rust.1.contains("\"big\": 3000000000_i64"));
    }
}
