//! One line per endpoint, in the order of the API reference. The same table is the router and the
//! OpenAPI document, and each line names the scope that it needs: an endpoint cannot be added without
//! saying who may call it.

use crate::app::App;
use crate::oauth::Scope;
use crate::oauth::error::OAuthError;
use crate::oauth::guard::guarded;
use crate::products::{self, inventory, search};
use crate::{
    dashboard, docs, integrations, notifications, oauth, operations, orders, reports, users,
};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use platform::http::{
    Access, Answered, Endpoint, Front, PATCH_TYPES, Problem, Stack, codes, delete, get, patch,
    post, put,
};

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

fn needs(scope: Scope) -> Access {
    Access::Scope(scope.name())
}

/// Every endpoint, chapter by chapter.
pub fn endpoints() -> Vec<Endpoint<App>> {
    [
        authentication(),
        users(),
        products(),
        orders(),
        notifications(),
        reports(),
        integrations(),
        operations(),
        documentation(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[rustfmt::skip]
fn authentication() -> Vec<Endpoint<App>> {
    vec![
        post("/oauth/token", Access::Public, oauth::api::token, oauth::api::token_operation()),
        post("/oauth/revoke", Access::Public, oauth::api::revoke, oauth::api::revoke_operation()),
        post("/oauth/introspect", Access::Public, oauth::introspection::introspect, oauth::introspection::introspect_operation()),
        post("/oauth/device_authorization", Access::Public, oauth::flows::device::api::authorize_device, oauth::flows::device::api::operation()),
        post("/oauth/register", Access::Public, oauth::dynamic::api::register, oauth::dynamic::api::register_operation()),
        get("/oauth/register/{client_id}", Access::Public, oauth::dynamic::api::get, oauth::dynamic::api::get_operation()),
        put("/oauth/register/{client_id}", Access::Public, oauth::dynamic::api::update, oauth::dynamic::api::update_operation()),
        delete("/oauth/register/{client_id}", Access::Public, oauth::dynamic::api::delete, oauth::dynamic::api::delete_operation()),
        get("/.well-known/jwks.json", Access::Public, oauth::api::keys, oauth::api::keys_operation()),
        get("/.well-known/oauth-authorization-server", Access::Public, oauth::api::server, oauth::api::server_operation()),
        get("/.well-known/oauth-protected-resource", Access::Public, oauth::api::resource, oauth::api::resource_operation()),
        get("/.well-known/oauth-protected-resource/v2", Access::Public, oauth::api::resource, oauth::api::resource_v2_operation()),
    ]
}

#[rustfmt::skip]
fn users() -> Vec<Endpoint<App>> {
    vec![
        get("/v2/users", needs(Scope::UsersRead), users::api::list, users::api::list_operation()),
        post("/v2/users", needs(Scope::UsersWrite), users::api::create, users::api::create_operation()),
        get("/v2/users/{id}", needs(Scope::UsersRead), users::api::get, users::api::get_operation()),
        put("/v2/users/{id}", needs(Scope::UsersWrite), users::api::update, users::api::put_operation()),
        patch("/v2/users/{id}", needs(Scope::UsersWrite), users::api::update, users::api::patch_operation()),
        delete("/v2/users/{id}", needs(Scope::UsersWrite), users::api::delete, users::api::delete_operation()),
        post("/v2/users/{id}/anonymize", needs(Scope::UsersWrite), users::api::anonymize, users::api::anonymize_operation()),
        get("/v2/users/{id}/orders", needs(Scope::OrdersRead), orders::api::list_of_user, orders::api::list_of_user_operation()),
        get("/v2/users/{id}/export", needs(Scope::UsersRead), users::api::export, users::api::export_operation()),
    ]
}

#[rustfmt::skip]
fn products() -> Vec<Endpoint<App>> {
    vec![
        get("/v2/products", needs(Scope::ProductsRead), products::api::list, products::api::list_operation()),
        post("/v2/products", needs(Scope::ProductsWrite), products::api::create, products::api::create_operation()),
        get("/v2/products/search", needs(Scope::ProductsRead), search::api::search, search::api::search_operation()),
        post("/v2/products/search", needs(Scope::ProductsRead), search::api::post, search::api::post_operation()),
        get("/v2/products/search/suggest", needs(Scope::ProductsRead), search::api::suggest, search::api::suggest_operation()),
        get("/v2/products/{id}", needs(Scope::ProductsRead), products::api::get, products::api::get_operation()),
        put("/v2/products/{id}", needs(Scope::ProductsWrite), products::api::update, products::api::update_operation()),
        patch("/v2/products/{id}", needs(Scope::ProductsWrite), products::api::update, products::api::patch_operation()),
        delete("/v2/products/{id}", needs(Scope::ProductsWrite), products::api::delete, products::api::delete_operation()),
        get("/v2/inventory", needs(Scope::InventoryRead), inventory::api::list, inventory::api::list_operation()),
        post("/v2/inventory/adjustments", needs(Scope::InventoryWrite), inventory::api::adjust, inventory::api::adjust_operation()),
        get("/v2/inventory/movements", needs(Scope::InventoryRead), inventory::api::movements, inventory::api::movements_operation()),
        get("/v2/locations", needs(Scope::InventoryRead), inventory::api::locations, inventory::api::locations_operation()),
    ]
}

#[rustfmt::skip]
fn orders() -> Vec<Endpoint<App>> {
    vec![
        get("/v2/orders", needs(Scope::OrdersRead), orders::api::list, orders::api::list_operation()),
        post("/v2/orders", needs(Scope::OrdersWrite), orders::api::create, orders::api::create_operation()),
        get("/v2/orders/{id}", needs(Scope::OrdersRead), orders::api::get, orders::api::get_operation()),
        patch("/v2/orders/{id}", needs(Scope::OrdersWrite), orders::api::update, orders::api::patch_operation()),
        post("/v2/orders/{id}/confirm", needs(Scope::OrdersWrite), orders::api::confirm, orders::api::confirm_operation()),
        post("/v2/orders/{id}/complete", needs(Scope::OrdersWrite), orders::api::complete, orders::api::complete_operation()),
        post("/v2/orders/{id}/cancel", needs(Scope::OrdersWrite), orders::api::cancel, orders::api::cancel_operation()),
        get("/v2/orders/{id}/history", needs(Scope::OrdersRead), orders::api::history, orders::api::history_operation()),
        get("/v2/orders/{id}/explain", needs(Scope::OrdersRead), orders::api::explain, orders::api::explain_operation()),
    ]
}

#[rustfmt::skip]
fn notifications() -> Vec<Endpoint<App>> {
    vec![
        post("/v2/notifications", needs(Scope::NotificationsWrite), notifications::api::create, notifications::api::create_operation()),
        get("/v2/notifications", needs(Scope::NotificationsRead), notifications::api::list, notifications::api::list_operation()),
        get("/v2/notifications/{id}", needs(Scope::NotificationsRead), notifications::api::get, notifications::api::get_operation()),
    ]
}

#[rustfmt::skip]
fn reports() -> Vec<Endpoint<App>> {
    vec![
        get("/v2/reports", needs(Scope::ReportsRead), reports::api::list, reports::api::list_operation()),
        post("/v2/reports/generate", needs(Scope::ReportsWrite), reports::api::generate, reports::api::generate_operation()),
        get("/v2/reports/runs", needs(Scope::ReportsRead), reports::api::list_runs, reports::api::list_runs_operation()),
        get("/v2/reports/runs/{id}", needs(Scope::ReportsRead), reports::api::get_run, reports::api::get_run_operation()),
        get("/v2/reports/runs/{id}/download", needs(Scope::ReportsRead), reports::api::download, reports::api::download_operation()),
    ]
}

#[rustfmt::skip]
fn integrations() -> Vec<Endpoint<App>> {
    vec![
        get("/v2/integrations", needs(Scope::IntegrationsRead), integrations::api::list, integrations::api::list_operation()),
        get("/v2/integrations/{id}", needs(Scope::IntegrationsRead), integrations::api::get, integrations::api::get_operation()),
    ]
}

#[rustfmt::skip]
fn operations() -> Vec<Endpoint<App>> {
    vec![
        get("/healthz", Access::Public, operations::alive, operations::alive_operation()),
        get("/readyz", Access::Public, operations::ready, operations::ready_operation()),
        get("/metrics", Access::Public, operations::metrics, operations::metrics_operation()),
    ]
}

#[rustfmt::skip]
fn documentation() -> Vec<Endpoint<App>> {
    vec![
        get("/openapi.json", Access::Public, docs::api::openapi, docs::api::openapi_operation()),
        get("/docs", Access::Public, docs::api::docs, docs::api::docs_operation()),
        get("/docs/{file}", Access::Public, docs::api::asset, docs::api::asset_operation()),
        get("/problems/{code}", Access::Public, docs::api::problem, docs::api::problem_operation()),
    ]
}

/// The router of all endpoints and of the pages of the dashboard, which are no part of the API and have a table of
/// their own ([`dashboard::routes`]). A path answers to the methods of its endpoints, to HEAD where it answers
/// to GET, and to OPTIONS; every other method, known or invented, gets 405 with `Allow`.
pub fn router(app: App) -> Router {
    let mut paths: Vec<(&'static str, Vec<Method>, MethodRouter<App>)> = Vec::new();
    for endpoint in endpoints() {
        let handler = guarded(&app, &endpoint);
        match paths.iter_mut().find(|(path, ..)| *path == endpoint.path) {
            Some((_, methods, handlers)) => {
                methods.push(endpoint.method);
                *handlers = std::mem::take(handlers).merge(handler);
            }
            None => paths.push((endpoint.path, vec![endpoint.method], handler)),
        }
    }
    let mut router = Router::new();
    for (path, methods, handlers) in paths {
        let allow = allow(&methods);
        let refusal = allow.clone();
        let patchable = methods.contains(&Method::PATCH);
        let handlers = handlers
            .options(async move || answered(path, preflight(&allow, patchable)))
            .fallback(async move |State(app): State<App>| {
                answered(path, refuse_method(&app, path, &refusal))
            });
        router = router.route(path, handlers);
    }
    router
        .route("/docs/", axum::routing::any(docs::api::with_slash))
        .merge(dashboard::router(&app))
        .fallback(async || Problem::new(&codes::NOT_FOUND, "no such path"))
        .with_state(app)
}

/// The whole HTTP face of `app`; `log` is where the line of each request goes.
pub fn stack(app: &App, log: Option<Box<dyn std::io::Write + Send>>) -> Stack {
    let front = Front {
        trusted_proxies: app.config.trusted_proxies.clone(),
        https: app.config.public_url.starts_with("https://"),
    };
    let log = log.map(|out| (out, app.dashboard.requests.clone()));
    Stack::new(router(app.clone()), app.clock.clone(), log, front)
}

/// The methods of a path as `Allow` lists them.
fn allow(methods: &[Method]) -> HeaderValue {
    let mut names = Vec::new();
    for method in methods {
        names.push(method.as_str());
        if *method == Method::GET {
            names.push("HEAD");
        }
    }
    names.push("OPTIONS");
    HeaderValue::from_str(&names.join(", ")).expect("method names and commas")
}

/// Tells request log and metrics which route answered.
fn answered(route: &'static str, mut response: Response) -> Response {
    let client = None;
    response.extensions_mut().insert(Answered { route, client });
    response
}

/// What a path can do, and what a page of another origin may send to it (Fetch §3.3). It needs no token:
/// browsers ask without one.
fn preflight(allow: &HeaderValue, patchable: bool) -> Response {
    const HEADERS: HeaderValue = HeaderValue::from_static(
        "Authorization, Content-Type, Accept, Idempotency-Key, If-Match, If-None-Match, Prefer, DPoP, X-Request-Id, traceparent",
    );
    let headers = [
        (header::ALLOW, allow.clone()),
        (header::ACCESS_CONTROL_ALLOW_METHODS, allow.clone()),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static("7200"),
        ),
    ];
    let mut response = (StatusCode::NO_CONTENT, headers).into_response();
    if patchable {
        let types = HeaderValue::from_static(PATCH_TYPES);
        response.headers_mut().insert(ACCEPT_PATCH, types);
    }
    response
}

fn refuse_method(app: &App, path: &str, allow: &HeaderValue) -> Response {
    let mut response = if path.starts_with("/oauth/") {
        OAuthError::MethodNotAllowed.response(&app.config.public_url)
    } else {
        Problem::new(&codes::METHOD_NOT_ALLOWED, "`Allow` lists the methods").into_response()
    };
    response.headers_mut().insert(header::ALLOW, allow.clone());
    response
}
