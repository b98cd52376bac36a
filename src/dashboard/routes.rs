//! One line per page. Each names the least role that it needs: a page cannot be added without saying who may
//! see it.

use super::api::{account, audit, credentials, customers, home, orders, products, setup, sign_in};
use super::guard::guarded;
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
}

/// A page, or what a form is sent to.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub needs: Needs,
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
            Route { method: Method::$method, path, needs, handler: routing::$of(handler) }
        }
    )*};
}
route_of!(page get GET "A page.", form post POST "What a form is sent to.");

/// Every page.
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    use Needs::{Nobody, Nothing};
    const READ_ONLY: Needs = Needs::Role(Role::ReadOnly);
    const OPERATOR: Needs = Needs::Role(Role::Operator);
    const DEVELOPER: Needs = Needs::Role(Role::Developer);
    const ADMIN: Needs = Needs::Role(Role::Admin);
    vec![
        page("/dashboard/assets/{file}", Nothing, assets::get),
        page("/dashboard/setup", Nobody, setup::get),
        form("/dashboard/setup", Nobody, setup::set_up),
        page("/dashboard/sign-in", Nobody, sign_in::get),
        form("/dashboard/sign-in", Nobody, sign_in::sign_in),
        page("/dashboard/password", Nobody, sign_in::password),
        form("/dashboard/password", Nobody, sign_in::choose_password),
        form("/dashboard/sign-out", READ_ONLY, sign_in::sign_out),

        page("/dashboard", READ_ONLY, home::get),
        page("/dashboard/orders", READ_ONLY, orders::list),
        page("/dashboard/orders/{id}", READ_ONLY, orders::get),
        form("/dashboard/orders/{id}/confirm", OPERATOR, orders::confirm),
        form("/dashboard/orders/{id}/complete", OPERATOR, orders::complete),
        form("/dashboard/orders/{id}/cancel", OPERATOR, orders::cancel),
        page("/dashboard/products", READ_ONLY, products::list),
        page("/dashboard/products/{id}", READ_ONLY, products::get),
        page("/dashboard/customers", READ_ONLY, customers::list),
        page("/dashboard/customers/{id}", READ_ONLY, customers::get),

        page("/dashboard/credentials", DEVELOPER, credentials::list),
        page("/dashboard/credentials/new", DEVELOPER, credentials::new),
        form("/dashboard/credentials/new", DEVELOPER, credentials::create),
        page("/dashboard/credentials/{id}", DEVELOPER, credentials::get),
        form("/dashboard/credentials/{id}/rotate", DEVELOPER, credentials::rotate),
        form("/dashboard/credentials/{id}/keys", DEVELOPER, credentials::set_public_keys),
        form("/dashboard/credentials/{id}/revoke", DEVELOPER, credentials::revoke),

        page("/dashboard/audit", ADMIN, audit::list),

        page("/dashboard/account", READ_ONLY, account::get),
        form("/dashboard/account/theme", READ_ONLY, account::theme),
        form("/dashboard/account/password", READ_ONLY, account::password),
        form("/dashboard/account/sessions/{id}/end", READ_ONLY, account::end_session),
        form("/dashboard/account/sessions/end-others", READ_ONLY, account::end_others),
    ]
}

/// The router of all pages.
pub fn router(app: &App) -> Router<App> {
    let mut paths: Vec<(&'static str, MethodRouter<App>)> = Vec::new();
    for route in routes() {
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
            handler: routing::get(nothing_here),
        },
    );
    let start = Router::new().route("/dashboard/{*rest}", missing);
    paths.into_iter().fold(start, |router, (path, handlers)| {
        router.route(path, handlers)
    })
}

async fn nothing_here(visit: Visit) -> Response {
    let detail = "There is no page at this address. It may have been moved, or mistyped.";
    frame::message(&visit, StatusCode::NOT_FOUND, "Nothing here", detail)
}
