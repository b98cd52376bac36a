//! How forms are taken: from a page of ours, for whom it was shown, and once where to do it twice would do harm.

pub mod store;

use super::fields::Fields;
use super::frame::{self, Frame};
use super::routes::Trace;
use super::staff::SESSION_MAX;
use super::visit::Visit;
use super::{confirm, multipart};
use crate::app::App;
use crate::error::Result;
use askama::Template;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use platform::db::DbError;
use platform::http::{Problem, codes, read_body};
use platform::secrets::sha256_hex;

/// Most bytes of names and values that are carried along by a page that asks to send a form again: the longest text of a
/// product, and what its page showed.
const CARRIED_BYTES_MAX: usize = 512 * 1024;

/// A form as it came.
#[derive(Debug)]
pub struct Sent {
    pub fields: Fields,
    /// Whether the browser says that a page of ours sent it.
    from_us: bool,
}

impl Sent {
    pub async fn read(request: &Parts, body: Body) -> Result<Sent> {
        let headers = &request.headers;
        let kind = text(headers, header::CONTENT_TYPE);
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let is_multipart = essence.eq_ignore_ascii_case("multipart/form-data");
        if !is_multipart && !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::new(
                &codes::UNSUPPORTED_MEDIA_TYPE,
                "a body of application/x-www-form-urlencoded or multipart/form-data is expected",
            ));
        }
        let bytes = read_body(headers, body).await?;
        let fields = if is_multipart {
            let read = multipart::parse(kind, &bytes);
            read.map_err(|fault| Problem::new(&codes::INVALID_BODY, fault.to_string()))?
        } else {
            let fields = std::str::from_utf8(&bytes).ok().and_then(Fields::parse);
            fields.ok_or_else(|| {
                Problem::new(&codes::INVALID_BODY, "this is not a form of the dashboard")
            })?
        };
        let from_us = comes_from_us(headers);
        Ok(Sent { fields, from_us })
    }

    fn token(&self) -> &str {
        self.fields.exact("form")
    }

    fn token_hash(&self) -> String {
        sha256_hex(self.token().as_bytes())
    }

    /// Why it is not taken from who looks. That it was taken before is said first: a session may have begun or ended
    /// by it.
    pub async fn refusal(
        &self,
        app: &App,
        visit: &Visit,
        once: Option<Trace>,
    ) -> Result<Option<Response>> {
        if let (Some(trace), true) = (once, self.from_us) {
            let mut tx = app.db.read().await?;
            if store::was_used(&mut tx, &self.token_hash(), visit.now()).await? {
                return Ok(Some(sent_before(visit, trace)));
            }
        }
        if self.from_us && visit.knows(self.token()) {
            return Ok(None);
        }
        let detail = "It did not come from a page of this browser, or that page is from before you signed in or out. \
            It was not taken: open the page anew if something is left to do.";
        let title = "This form is out of date";
        Ok(Some(self.ask_again(visit, title).unwrap_or_else(|| {
            frame::message(visit, StatusCode::FORBIDDEN, title, detail)
        })))
    }

    /// A page with what was typed, to be sent again by hand: for whoever signed in or out since. `None` when nothing
    /// was typed, or something that is better typed again.
    pub fn ask_again(&self, visit: &Visit, title: &str) -> Option<Response> {
        let own: Vec<&str> = confirm::fields().chain(["form"]).collect();
        let fields: Vec<(&str, &str)> = self.fields.without(&own).collect();
        let bytes = fields.iter().map(|(name, value)| name.len() + value.len());
        let is_secret = |name: &str| name.contains("password") || name == "code";
        let carried = self.from_us
            && visit.path().starts_with("/dashboard/")
            && !fields.is_empty()
            && !fields.iter().any(|(name, _)| is_secret(name))
            && bytes.sum::<usize>() <= CARRIED_BYTES_MAX;
        carried.then(|| {
            let page = AgainPage {
                frame: Frame::new(visit, title),
                action: visit.path(),
                fields,
                back: visit.back(),
            };
            frame::page(StatusCode::FORBIDDEN, &page)
        })
    }

    /// Notes that the form is taken now; what to answer when it was before.
    pub async fn take(&self, app: &App, visit: &Visit, trace: Trace) -> Result<Option<Response>> {
        let (hash, now) = (self.token_hash(), visit.now());
        let first: std::result::Result<bool, DbError> = app
            .db
            .write(async move |tx| store::use_once(tx, &hash, now + SESSION_MAX, now).await)
            .await;
        Ok((!first?).then(|| sent_before(visit, trace)))
    }

    /// Forgets that the form was taken: it was refused and changed nothing.
    pub async fn give_back(&self, app: &App) -> Result<()> {
        let hash = self.token_hash();
        let given: std::result::Result<(), DbError> = app
            .db
            .write(async move |tx| store::unuse(tx, &hash).await)
            .await;
        Ok(given?)
    }
}

#[derive(Template)]
#[template(path = "again.html")]
struct AgainPage<'a> {
    frame: Frame,
    /// Where the form was going.
    action: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    /// The page whose form it is.
    back: &'a str,
}

fn sent_before(visit: &Visit, trace: Trace) -> Response {
    let told = trace.told;
    let detail = format!(
        "This form was sent before and was taken then; it was not taken a second time. {told}"
    );
    let (status, place) = (StatusCode::CONFLICT, trace.address(visit.path()));
    frame::message_to(visit, status, "Already sent", (&detail, &place))
}

/// What browsers say of the page that sent a form. Each of them says one of the two.
fn comes_from_us(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin");
    }
    let origin = text(headers, header::ORIGIN);
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority == text(headers, header::HOST))
}

/// The value of a header, if it is text.
pub fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
