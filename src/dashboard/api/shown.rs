//! The page that shows credentials once, with programs to paste.

use crate::app::App;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::visit::Visit;
use crate::oauth::{Scope, Scopes};
use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

/// What a snippet asks for, by the scope that lets it.
const READABLE: [(Scope, &str); 6] = [
    (Scope::ProductsRead, "/v2/products?limit=3"),
    (Scope::OrdersRead, "/v2/orders?limit=3"),
    (Scope::UsersRead, "/v2/users?limit=3"),
    (Scope::InventoryRead, "/v2/inventory?limit=3"),
    (Scope::ReportsRead, "/v2/reports"),
    (Scope::IntegrationsRead, "/v2/integrations"),
];

/// Credentials, shown this once.
#[derive(Debug)]
pub struct Shown {
    id: String,
    secret: String,
    scopes: Scopes,
    url: String,
    /// What is said above them.
    note: String,
}

#[derive(Template)]
#[template(path = "credentials_shown.html")]
struct ShownPage<'a> {
    frame: Frame,
    shown: &'a Shown,
    snippets: [(&'static str, String); 4],
}

impl Shown {
    pub fn new(app: &App, id: &str, secret: &str, scopes: Scopes) -> Shown {
        Shown {
            id: id.to_owned(),
            secret: secret.to_owned(),
            scopes,
            url: app.config.public_url.clone(),
            note: String::new(),
        }
    }

    pub fn note(mut self, note: String) -> Shown {
        self.note = note;
        self
    }

    /// The page that shows them.
    pub fn response(&self, visit: &Visit, title: &str) -> Response {
        let page = ShownPage {
            frame: Frame::new(visit, title),
            shown: self,
            snippets: [
                ("curl", self.curl()),
                ("JavaScript", self.javascript()),
                ("Python", self.python()),
                ("Rust", self.rust()),
            ],
        };
        frame::page(StatusCode::OK, &page)
    }

    /// What they may read, to have something to show.
    fn path(&self) -> Option<&'static str> {
        let readable = READABLE.iter();
        let mut allowed = readable.filter(|(scope, _)| self.scopes.contains(*scope));
        allowed.next().map(|(_, path)| *path)
    }

    fn curl(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let body =
            json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
        let token = format!(
            "TOKEN=$(curl -s {url}/oauth/token -H 'Content-Type: application/json' \\\n  -d '{body}' \\\n  | sed -n 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/p')"
        );
        match self.path() {
            Some(path) => {
                format!("{token}\ncurl -s '{url}{path}' -H \"Authorization: Bearer $TOKEN\"")
            }
            None => format!("{token}\necho \"$TOKEN\""),
        }
    }

    fn javascript(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let call = self.path().map_or_else(
            || "console.log(access_token);".to_owned(),
            |path| format!("const answer = await fetch(`${{base}}{path}`, {{\n  headers: {{ Authorization: `Bearer ${{access_token}}` }},\n}});\nconsole.log(await answer.json());"),
        );
        format!(
            "const base = \"{url}\";\nconst token = await fetch(`${{base}}/oauth/token`, {{\n  method: \"POST\",\n  body: new URLSearchParams({{\n    grant_type: \"client_credentials\",\n    client_id: \"{id}\",\n    client_secret: \"{secret}\",\n  }}),\n}});\nconst {{ access_token }} = await token.json();\n{call}"
        )
    }

    fn python(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let call = self.path().map_or_else(
            || "print(token[\"access_token\"])".to_owned(),
            |path| format!("headers = {{\"Authorization\": f\"Bearer {{token['access_token']}}\"}}\nprint(requests.get(f\"{{base}}{path}\", headers=headers).json())"),
        );
        format!(
            "import requests\n\nbase = \"{url}\"\ntoken = requests.post(f\"{{base}}/oauth/token\", data={{\n    \"grant_type\": \"client_credentials\",\n    \"client_id\": \"{id}\",\n    \"client_secret\": \"{secret}\",\n}}).json()\n{call}"
        )
    }

    fn rust(&self) -> String {
        let (url, id, secret) = (&self.url, &self.id, &self.secret);
        let call = self.path().map_or_else(
            || "    println!(\"{token}\");".to_owned(),
            |path| format!("    let answer = http.get(format!(\"{{base}}{path}\")).bearer_auth(token).send().await?;\n    println!(\"{{}}\", answer.text().await?);"),
        );
        format!(
            "// cargo add reqwest --features form,json && cargo add serde_json && cargo add tokio --features full\n#[tokio::main]\nasync fn main() -> Result<(), reqwest::Error> {{\n    let (base, http) = (\"{url}\", reqwest::Client::new());\n    let form = [\n        (\"grant_type\", \"client_credentials\"),\n        (\"client_id\", \"{id}\"),\n        (\"client_secret\", \"{secret}\"),\n    ];\n    let answer = http.post(format!(\"{{base}}/oauth/token\")).form(&form).send().await?;\n    let answer: serde_json::Value = answer.json().await?;\n    let token = answer[\"access_token\"].as_str().unwrap_or_default();\n{call}\n    Ok(())\n}}"
        )
    }
}
