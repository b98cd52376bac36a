//! A browser as far as the dashboard notices: it keeps cookies, reads the token of a form, and says where a
//! form comes from.

use crate::app::{Client, Reply, TestApp};
use axum::http::Method;
use std::collections::BTreeMap;
use tradepost::dashboard::{Role, accounts};

pub const OWNER: &str = "owner@example.com";
pub const PASSWORD: &str = "correct horse battery";

pub struct Browser {
    client: Client,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new(app: &TestApp) -> Browser {
        Browser {
            client: app.anonymous(),
            cookies: BTreeMap::new(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        let call = self.client.request(Method::GET, path);
        let reply = call.header("cookie", &self.cookie_header()).send().await;
        self.keep(reply)
    }

    /// Sends a form as it stands on the page that this browser saw last.
    pub async fn post(&mut self, path: &str, fields: &[(&str, String)]) -> Reply {
        let token = self.form_token().await;
        self.post_with(path, fields, &token, &[("sec-fetch-site", "same-origin")])
            .await
    }

    /// Looks at the page and sends a form from it.
    pub async fn submit(&mut self, path: &str, fields: &[(&str, String)]) -> Reply {
        self.post(path.split('?').next().unwrap(), fields).await
    }

    pub async fn post_with(
        &mut self,
        path: &str,
        fields: &[(&str, String)],
        token: &str,
        headers: &[(&str, &str)],
    ) -> Reply {
        let all = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let all = all.chain([("form", token)]);
        let body: Vec<String> = all
            .map(|(name, value)| {
                let value: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
                format!("{name}={value}")
            })
            .collect();
        let mut call = self
            .client
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", &self.cookie_header());
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let reply = call.body(body.join("&")).send().await;
        self.keep(reply)
    }

    /// Sends a form with a file in it.
    pub async fn upload(
        &mut self,
        path: &str,
        fields: &[(&str, String)],
        (name, file): (&str, &[u8]),
    ) -> Reply {
        let token = self.form_token().await;
        let mut body = Vec::new();
        for (field, value) in fields.iter().chain([&("form", token)]) {
            let part = format!(
                "--fold\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
            );
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--fold\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/csv\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--fold--\r\n");
        let call = self
            .client
            .request(Method::POST, path)
            .header("content-type", "multipart/form-data; boundary=fold")
            .header("sec-fetch-site", "same-origin")
            .header("cookie", &self.cookie_header());
        let reply = call.body(body).send().await;
        self.keep(reply)
    }

    /// A token for forms of this browser, from a page that everyone may see.
    pub async fn form_token(&mut self) -> String {
        let page = self.get("/dashboard/account").await;
        let page = match page.status {
            200 => page,
            _ => {
                // Until somebody has an account the page of signing in has no form.
                let page = self.get("/dashboard/sign-in").await;
                if page.text().contains("name=\"form\"") {
                    page
                } else {
                    let link = self.get("/dashboard/nothing").await;
                    assert_eq!(link.status, 404);
                    return self.token_of_cookie();
                }
            }
        };
        between(&page.text(), "name=\"form\" value=\"", "\"")
    }

    /// What the server would put into a form for the cookie of this browser.
    fn token_of_cookie(&self) -> String {
        use platform::secrets::Secret;
        use tradepost::dashboard::store::Device;
        use tradepost::dashboard::visit::{Asked, Visit};
        let key = self.cookies["__Host-tradepost-form"].clone();
        let device = Device {
            user_agent: String::new(),
            address: String::new(),
        };
        let asked = Asked::new("/", crate::app::START);
        Visit::new(None, None, Secret::new(key), device, asked).form_token()
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> Reply {
        let fields = [
            ("email", email.to_owned()),
            ("password", password.to_owned()),
        ];
        self.post("/dashboard/sign-in", &fields).await
    }

    pub fn cookie_header(&self) -> String {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, reply: Reply) -> Reply {
        for set in reply.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, rest) = set.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            match set.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        reply
    }
}

/// Where a form led, and what its page is told was done.
pub fn landed(reply: &Reply) -> String {
    let place = reply.header("location");
    let set = reply.headers.get_all("set-cookie").iter();
    let mut set = set.filter_map(|cookie| cookie.to_str().ok());
    let told = set.find_map(|cookie| cookie.strip_prefix("__Host-tradepost-done="));
    let told = told
        .and_then(|told| told.strip_suffix("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"));
    let told = told.and_then(|told| told.strip_suffix(&format!(":{place}")));
    format!("{place}, {}", told.unwrap_or("nothing"))
}

/// What stands between two texts.
pub fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"))
        .1;
    rest.split_once(after).unwrap().0.to_owned()
}

/// What a page says, without the frame around it.
pub fn main_of(page: &str) -> String {
    between(page, "<main", "</main>")
}

pub async fn setup_link(app: &TestApp) -> String {
    let link = accounts::setup_link(&app.db, app.clock.now())
        .await
        .unwrap();
    link.unwrap().address("")
}

pub fn setup_form(link: &str) -> Vec<(&'static str, String)> {
    let token = link.split("token=").nth(1).unwrap();
    [
        ("token", token),
        ("email", OWNER),
        ("password", PASSWORD),
        ("shop", "Teapots & more"),
        ("currency", "USD"),
        ("time_zone", "Europe/Vienna"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// A shop with its owner.
pub async fn set_up(app: &TestApp) {
    let link = setup_link(app).await;
    let done = Browser::new(app).submit(&link, &setup_form(&link)).await;
    assert_eq!(done.status, 200, "{}", done.text());
}

pub async fn invite(app: &TestApp, email: &'static str, role: Role) -> String {
    let now = app.clock.now();
    let made = app
        .db
        .write(async move |tx| accounts::invite(tx, email, role, now).await)
        .await;
    made.unwrap().address("")
}

/// A member of staff with [`PASSWORD`], signed in.
pub async fn member(app: &TestApp, email: &'static str, role: Role) -> Browser {
    let link = invite(app, email, role).await;
    let token = link.split("token=").nth(1).unwrap().to_owned();
    let form = [("token", token), ("password", PASSWORD.to_owned())];
    let mut browser = Browser::new(app);
    assert_eq!(browser.submit(&link, &form).await.status, 303);
    browser
}
