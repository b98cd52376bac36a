//! One line per page. Each names the least role that it needs: a page cannot be added without saying who may
//! see it.

use super::api::{
    account, apps, audit, authorize, bulk, credentials, customers, device, flows, forgot, home,
    imports, jobs, order_moves, orders, passkeys, product_edit, products, requests, search, second,
    security, settings, setup, sign_in, stock, tail, team, try_it, variants, views,
};
use super::guard::{guarded, wrong_method};
use super::role::Role;
use super::visit::Visit;
use super::{assets, frame};
use crate::app::App;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{self, MethodRouter};

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anyone, and it does not even matter who: a file, the same for all, without cookies.
    Nothing,
    /// Anyone.
    Nobody,
    /// Who is signed in with this role or one above it.
    Role(Role),
    /// The same, and they gave their password within the last minutes or give it with the form: a screen that was
    /// left alone, or a session that was stolen, is not enough.
    Fresh(Role),
}

impl Needs {
    /// The least role, if one has to be signed in.
    pub fn role(self) -> Option<Role> {
        match self {
            Needs::Nothing | Needs::Nobody => None,
            Needs::Role(least) | Needs::Fresh(least) => Some(least),
        }
    }
}

/// Where something shows that was done.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// A page, as in its route.
    pub page: &'static str,
    /// A sentence about it.
    pub told: &'static str,
}

impl Trace {
    /// Its page, with the ids of `path`, which begins alike.
    pub fn address(&self, path: &str) -> String {
        let parts = self.page.split('/').zip(path.split('/'));
        let parts = parts.map(|(own, asked)| if own.starts_with('{') { asked } else { own });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// A page, or what a form is sent to.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub needs: Needs,
    /// Whether each page's form is taken once, because to send it again, by reloading what it led to, would do it again:
    /// then where to look for what came of it.
    pub once: Option<Trace>,
    pub handler: MethodRouter<App>,
}

macro_rules! route_of {
    ($($name:ident $of:ident $method:ident $what:literal),*) => {$(
        #[doc = $what]
        fn $name<H, T>(path: &'static str, needs: Needs, handler: H) -> Route
        where
            H: axum::handler::Handler<T, App>,
            T: 'static,
        {
            Route { method: Method::$method, path, needs, once: None, handler: routing::$of(handler) }
        }
    )*};
}
route_of!(page get GET "A page.", form post POST "What a form is sent to.");

/// What a form is sent to that is not to be sent twice; who does is told where to look.
fn once<H, T>(
    path: &'static str,
    needs: Needs,
    handler: H,
    (page, told): (&'static str, &'static str),
) -> Route
where
    H: axum::handler::Handler<T, App>,
    T: 'static,
{
    Route {
        once: Some(Trace { page, told }),
        ..form(path, needs, handler)
    }
}

const READ_ONLY: Needs = Needs::Role(Role::ReadOnly);
const OPERATOR: Needs = Needs::Role(Role::Operator);
const DEVELOPER: Needs = Needs::Role(Role::Developer);
const ADMIN: Needs = Needs::Role(Role::Admin);
const FRESH: Needs = Needs::Fresh(Role::ReadOnly);
const FRESH_DEVELOPER: Needs = Needs::Fresh(Role::Developer);
const FRESH_ADMIN: Needs = Needs::Fresh(Role::Admin);

const FIRST_CREDENTIALS: (&str, &str) = (
    "/dashboard/credentials",
    "Its first credentials are in this list. If you did not copy their secret, rotate it there.",
);
const PRODUCT: (&str, &str) = ("/dashboard/products", "Look for the product in the list.");
const IMPORTED: (&str, &str) = (
    "/dashboard/products",
    "Look for what was imported in the list; the audit log has the counts.",
);
const CHANGED: (&str, &str) = (
    "/dashboard/products",
    "Look at the products before you change them once more.",
);
const CREDENTIALS: (&str, &str) = (
    "/dashboard/credentials",
    "Look for the credentials in the list. If you did not copy their secret, rotate it there.",
);
const SECRET: (&str, &str) = (
    "/dashboard/credentials/{id}",
    "Look for the new secret there. If you did not copy it, rotate once more: of three the oldest ends.",
);
const INVITED: (&str, &str) = (
    "/dashboard/team",
    "Look for the account in the list. If you did not copy its link, open the account and create another one.",
);
const LINK: (&str, &str) = (
    "/dashboard/team/{id}",
    "If you did not copy the link, create another one: it replaces the first.",
);
const CODES: (&str, &str) = (
    "/dashboard/security",
    "If you did not keep the recovery codes, make new ones: they replace the first.",
);

const ORDER: (&str, &str) = (
    "/dashboard/orders/{id}",
    "Its page shows how the order is now.",
);
const DELETED: (&str, &str) = (
    "/dashboard/products",
    "Look whether the product is still in the list.",
);
const STOCK: (&str, &str) = (
    "/dashboard/products/{id}/stock/{variant}",
    "The ledger says what was changed.",
);
const ROLE: (&str, &str) = (
    "/dashboard/team/{id}",
    "Their page shows the role that they have now.",
);
const PASSWORD: (&str, &str) = (
    "/dashboard/security",
    "Sign in with the new password from now on.",
);
const VIEW: (&str, &str) = (
    "/dashboard",
    "Look for the view among the tabs of its list.",
);

/// Every page.
pub fn routes() -> Vec<Route> {
    [
        way_in(),
        shop(),
        developers(),
        apps_for_people(),
        administration(),
        own_account(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The way in and out.
#[rustfmt::skip]
fn way_in() -> Vec<Route> {
    use Needs::{Nobody, Nothing};
    vec![
        page("/", Nobody, home::enter),
        page("/dashboard/assets/{file}", Nothing, assets::get),
        page("/dashboard/setup", Nobody, setup::get),
        once("/dashboard/setup", Nobody, setup::set_up, FIRST_CREDENTIALS),
        page("/dashboard/sign-in", Nobody, sign_in::get),
        form("/dashboard/sign-in", Nobody, sign_in::sign_in),
        form("/dashboard/sign-in/code", Nobody, second::sign_in),
        form("/dashboard/sign-in/passkey", Nobody, passkeys::sign_in),
        page("/dashboard/forgot", Nobody, forgot::get),
        form("/dashboard/forgot", Nobody, forgot::ask),
        page("/dashboard/password", Nobody, sign_in::password),
        form("/dashboard/password", Nobody, sign_in::choose_password),
        form("/dashboard/sign-out", READ_ONLY, sign_in::sign_out),
    ]
}

/// What is sold, to whom, and what becomes of it.
#[rustfmt::skip]
fn shop() -> Vec<Route> {
    vec![
        page("/dashboard", READ_ONLY, home::get),
        page("/dashboard/", Needs::Nobody, home::enter),
        page("/dashboard/search", READ_ONLY, search::get),
        page("/dashboard/orders", READ_ONLY, orders::list),
        page("/dashboard/orders/{id}", READ_ONLY, orders::get),
        page("/dashboard/orders/{id}/confirm", OPERATOR, order_moves::ask_confirm),
        once("/dashboard/orders/{id}/confirm", OPERATOR, order_moves::confirm, ORDER),
        page("/dashboard/orders/{id}/complete", OPERATOR, order_moves::ask_complete),
        once("/dashboard/orders/{id}/complete", OPERATOR, order_moves::complete, ORDER),
        page("/dashboard/orders/{id}/cancel", OPERATOR, order_moves::ask_cancel),
        once("/dashboard/orders/{id}/cancel", OPERATOR, order_moves::cancel, ORDER),
        page("/dashboard/products", READ_ONLY, products::list),
        page("/dashboard/products/new", OPERATOR, product_edit::new),
        once("/dashboard/products/new", OPERATOR, product_edit::create, PRODUCT),
        page("/dashboard/products/import", OPERATOR, imports::get),
        form("/dashboard/products/import", OPERATOR, imports::preview),
        once("/dashboard/products/import/apply", OPERATOR, imports::import, IMPORTED),
        page("/dashboard/products/import/example.csv", OPERATOR, imports::example),
        page("/dashboard/products/bulk", OPERATOR, bulk::choose),
        form("/dashboard/products/bulk", OPERATOR, bulk::look),
        once("/dashboard/products/bulk/apply", OPERATOR, bulk::apply, CHANGED),
        page("/dashboard/products/{id}", READ_ONLY, products::get),
        page("/dashboard/products/{id}/edit", OPERATOR, product_edit::edit),
        form("/dashboard/products/{id}/edit", OPERATOR, product_edit::update),
        once("/dashboard/products/{id}/delete", OPERATOR, product_edit::delete, DELETED),
        page("/dashboard/products/{id}/variants/{variant}", OPERATOR, variants::edit),
        form("/dashboard/products/{id}/variants/{variant}", OPERATOR, variants::update),
        form("/dashboard/products/{id}/variants/{variant}/remove", OPERATOR, variants::remove),
        page("/dashboard/products/{id}/stock/{variant}", READ_ONLY, stock::get),
        once("/dashboard/products/{id}/stock/{variant}", OPERATOR, stock::adjust, STOCK),
        page("/dashboard/customers", READ_ONLY, customers::list),
        page("/dashboard/customers/{id}", READ_ONLY, customers::get),
    ]
}

/// The programs that call the API.
#[rustfmt::skip]
fn developers() -> Vec<Route> {
    vec![
        page("/dashboard/credentials", DEVELOPER, credentials::list),
        page("/dashboard/credentials/new", DEVELOPER, credentials::new),
        once("/dashboard/credentials/new", FRESH_DEVELOPER, credentials::create, CREDENTIALS),
        page("/dashboard/credentials/{id}", DEVELOPER, credentials::get),
        once("/dashboard/credentials/{id}/rotate", FRESH_DEVELOPER, credentials::rotate, SECRET),
        form("/dashboard/credentials/{id}/keys", FRESH_DEVELOPER, credentials::set_public_keys),
        form("/dashboard/credentials/{id}/revoke", DEVELOPER, credentials::revoke),
        page("/dashboard/try-it", DEVELOPER, try_it::get),
        form("/dashboard/try-it", DEVELOPER, try_it::token),
        form("/dashboard/credentials/{id}/flows", FRESH_DEVELOPER, flows::set_flows),
        page("/dashboard/requests", DEVELOPER, requests::list),
        page("/dashboard/requests/errors", DEVELOPER, requests::errors),
        page("/dashboard/requests/live", DEVELOPER, tail::follow),
        page("/dashboard/requests/{id}", DEVELOPER, requests::get),
    ]
}

/// Where people let apps act for them.
#[rustfmt::skip]
fn apps_for_people() -> Vec<Route> {
    vec![
        page("/oauth/authorize", READ_ONLY, authorize::get),
        form("/oauth/authorize", READ_ONLY, authorize::decide),
        page("/device", READ_ONLY, device::get),
        form("/device", READ_ONLY, device::decide),
    ]
}

/// What belongs to whoever runs the shop.
#[rustfmt::skip]
fn administration() -> Vec<Route> {
    vec![
        page("/dashboard/team", ADMIN, team::list),
        once("/dashboard/team/invite", FRESH_ADMIN, team::invite, INVITED),
        page("/dashboard/team/{id}", ADMIN, team::get),
        once("/dashboard/team/{id}/role", FRESH_ADMIN, team::role, ROLE),
        once("/dashboard/team/{id}/reset", FRESH_ADMIN, team::reset, LINK),
        form("/dashboard/team/{id}/disable", FRESH_ADMIN, team::disable),
        page("/dashboard/settings", ADMIN, settings::get),
        form("/dashboard/settings", ADMIN, settings::save),
        page("/dashboard/jobs", ADMIN, jobs::list),
        form("/dashboard/jobs/{id}/retry", ADMIN, jobs::retry),
        page("/dashboard/audit", ADMIN, audit::list),
    ]
}

/// One's own account.
#[rustfmt::skip]
fn own_account() -> Vec<Route> {
    vec![
        page("/dashboard/account", READ_ONLY, account::get),
        page("/dashboard/security", READ_ONLY, security::get),
        form("/dashboard/security/totp", FRESH, second::begin),
        once("/dashboard/security/totp/confirm", FRESH, second::turn_on, CODES),
        form("/dashboard/security/totp/off", FRESH, second::turn_off),
        once("/dashboard/security/recovery", FRESH, second::renew, CODES),
        form("/dashboard/security/passkeys/new", FRESH, passkeys::begin),
        form("/dashboard/security/passkeys", READ_ONLY, passkeys::add),
        form("/dashboard/security/passkeys/{id}/remove", FRESH, passkeys::remove),
        once("/dashboard/views", READ_ONLY, views::keep, VIEW),
        form("/dashboard/views/{id}/remove", READ_ONLY, views::remove),
        form("/dashboard/account/theme", READ_ONLY, account::theme),
        form("/dashboard/account/apps/{id}/revoke", READ_ONLY, apps::revoke_app),
        once("/dashboard/security/password", READ_ONLY, security::password, PASSWORD),
        form("/dashboard/security/sessions/{id}/end", READ_ONLY, security::end_session),
        form("/dashboard/security/sessions/end-others", READ_ONLY, security::end_others),
    ]
}

/// The router of all pages.
pub fn router(app: &App) -> Router<App> {
    let mut paths: Vec<(&'static str, MethodRouter<App>)> = Vec::new();
    let all = routes();
    let without_page: Vec<Route> = forms_without_page(&all).collect();
    for route in all.into_iter().chain(without_page) {
        let handler = guarded(app, &route);
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, handlers)) => *handlers = std::mem::take(handlers).merge(handler),
            None => paths.push((route.path, handler)),
        }
    }
    let missing = guarded(
        app,
        &Route {
            method: Method::GET,
            path: "/dashboard/{*rest}",
            needs: Needs::Nobody,
            once: None,
            handler: routing::get(nothing_here),
        },
    );
    let start = Router::new().route("/dashboard/{*rest}", missing);
    paths.into_iter().fold(start, |router, (path, handlers)| {
        let app = app.clone();
        let handlers = handlers.fallback(async move || wrong_method(&app, path));
        router.route(path, handlers)
    })
}

/// For each address that only takes forms, a way to the page above it: the browser's history and *Go back* lead there.
fn forms_without_page(all: &[Route]) -> impl Iterator<Item = Route> {
    let pages = all.iter().filter(|route| route.method == Method::GET);
    let pages: Vec<&'static str> = pages.map(|route| route.path).collect();
    let alone = all.iter().map(|route| route.path);
    let alone: Vec<&'static str> = alone.filter(|path| !pages.contains(path)).collect();
    alone.into_iter().map(move |path| {
        let segments = segments_of_page_above(path, &pages);
        let handler = move |visit: Visit| async move { page_above(&visit, segments) };
        page(path, Needs::Nobody, handler)
    })
}

/// How many segments of `path` are the address of a page.
fn segments_of_page_above(path: &str, pages: &[&str]) -> usize {
    let mut above = path;
    while !above.is_empty() && !pages.contains(&above) {
        above = above.rsplit_once('/').map_or("", |(above, _)| above);
    }
    above.split('/').count()
}

fn page_above(visit: &Visit, segments: usize) -> Response {
    let path = visit.path().split('?').next().unwrap_or_default();
    let above: Vec<&str> = path.split('/').take(segments).collect();
    frame::see_other(&above.join("/"))
}

async fn nothing_here(visit: Visit) -> Response {
    let detail = "There is no page at this address. It may have been moved, or mistyped.";
    frame::message(&visit, StatusCode::NOT_FOUND, "Page not found", detail)
}
