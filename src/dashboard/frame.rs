//! The frame that every page stands in.

use super::assets::ASSETS;
use super::guard;
use super::role::Role;
use super::staff::Theme;
use super::visit::Visit;
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::http::{Problem, codes};

/// An entry of the navigation.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub path: &'static str,
    pub name: &'static str,
    /// Its sign: the name of a path in `layout.html`.
    pub sign: &'static str,
    pub least: Role,
    pub here: bool,
}

const fn entry(path: &'static str, name: &'static str, sign: &'static str, least: Role) -> Entry {
    let here = false;
    Entry {
        path,
        name,
        sign,
        least,
        here,
    }
}

/// The pages that can be gone to from everywhere, in the order in which they are shown.
pub const NAVIGATION: [Entry; 10] = [
    entry("/dashboard", "Home", "home", Role::ReadOnly),
    entry("/dashboard/orders", "Orders", "orders", Role::ReadOnly),
    entry(
        "/dashboard/products",
        "Products",
        "products",
        Role::ReadOnly,
    ),
    entry(
        "/dashboard/customers",
        "Customers",
        "customers",
        Role::ReadOnly,
    ),
    entry(
        "/dashboard/credentials",
        "API credentials",
        "key",
        Role::Developer,
    ),
    entry("/dashboard/team", "Team", "customers", Role::Admin),
    entry(
        "/dashboard/requests",
        "Requests",
        "requests",
        Role::Developer,
    ),
    entry("/dashboard/jobs", "Jobs", "jobs", Role::Admin),
    entry("/dashboard/audit", "Audit log", "audit", Role::Admin),
    entry("/dashboard/settings", "Settings", "settings", Role::Admin),
];

/// What the layout shows around a page.
#[derive(Debug)]
pub struct Frame {
    pub title: String,
    pub theme: Theme,
    pub css: &'static str,
    pub js: &'static str,
    /// The script of pages that ask for a passkey.
    pub passkeys_js: &'static str,
    pub icon: &'static str,
    /// Empty for who is not signed in.
    pub navigation: Vec<Entry>,
    pub email: String,
    pub role: &'static str,
    pub shop: String,
    /// The address of this page at its beginning: with its filters, without where in the list it is.
    pub start: String,
    /// The hidden field of every form on the page.
    pub form: String,
}

impl Frame {
    pub fn new(visit: &Visit, title: impl Into<String>) -> Frame {
        let path = visit.path().split('?').next().unwrap_or_default();
        let is_here = |entry: &Entry| match entry.path {
            "/dashboard" => path == "/dashboard",
            other => path.starts_with(other),
        };
        let entries = NAVIGATION
            .into_iter()
            .filter(|entry| visit.may(entry.least));
        let staff = visit.staff();
        Frame {
            title: title.into(),
            theme: staff.map(|staff| staff.theme).unwrap_or_default(),
            css: &ASSETS.css.path,
            js: &ASSETS.js.path,
            passkeys_js: &ASSETS.passkeys.path,
            icon: &ASSETS.icon.path,
            navigation: entries
                .map(|entry| Entry {
                    here: is_here(&entry),
                    ..entry
                })
                .collect(),
            email: staff.map_or_else(String::new, |staff| staff.email.clone()),
            role: staff.map_or("", |staff| staff.role.shown()),
            shop: visit
                .shop()
                .map_or("Tradepost", |shop| &shop.name)
                .to_owned(),
            start: start(visit.path()),
            form: visit.form_token(),
        }
    }
}

/// `path` without where in a list it is.
fn start(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let place = |pair: &&str| !pair.starts_with("cursor=") && !pair.starts_with("offset=");
    let kept: Vec<&str> = query
        .split('&')
        .filter(place)
        .filter(|pair| !pair.is_empty())
        .collect();
    match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    }
}

/// A page.
pub fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (status, kind, html).into_response()
        }
        Err(error) => Problem::new(&codes::INTERNAL, error.to_string()).into_response(),
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    frame: Frame,
    detail: &'a str,
    /// Where to go from here; empty when there is no such page.
    place: &'a str,
    /// Whether that is the page that led here.
    is_back: bool,
}

/// A page that says one thing, and leads back.
pub fn message(visit: &Visit, status: StatusCode, title: &str, detail: &str) -> Response {
    message_to(visit, status, title, (detail, visit.back()))
}

/// A page that says one thing, and leads to `place`, if it is one.
pub fn message_to(
    visit: &Visit,
    status: StatusCode,
    title: &str,
    (detail, place): (&str, &str),
) -> Response {
    let message = Message {
        frame: Frame::new(visit, title),
        detail,
        place,
        is_back: place == visit.back(),
    };
    page(status, &message)
}

#[derive(Template)]
#[template(path = "onward.html")]
struct Onward<'a> {
    frame: Frame,
    next: &'a str,
}

/// Where whoever signed in wanted to go; `next` is of [`next_page`](super::fields::next_page). To where an app waits a
/// page leads and no redirect: browsers would hold all that follow to the policy of the sign-in's form, which allows no
/// other place.
pub fn after_sign_in(visit: &Visit, next: &str) -> Response {
    if !next.starts_with("/oauth/") {
        return see_other(next);
    }
    let frame = Frame::new(visit, "Continue to the app");
    page(StatusCode::OK, &Onward { frame, next })
}

/// Sends the browser to another page, which tells once that `what` is done.
pub fn done(place: &str, what: &str) -> Response {
    let mut response = see_other(place);
    guard::tell_done(&mut response, what, place);
    response
}

/// Sends the browser to another page with a GET. `place` is a path of ours.
pub fn see_other(place: &str) -> Response {
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/dashboard"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}
