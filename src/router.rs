//! One line per endpoint, in the order of the API reference. The same table is the router and the
//! OpenAPI document, and each line names the scope that it needs: an endpoint cannot be added without
//! saying who may call it.

use crate::app::App;
use crate::oauth::Scope;
use crate::oauth::guard::guarded;
use crate::{integrations, notifications, oauth, operations, users};
use axum::Router;
use platform::http::{Access, Endpoint, Problem, codes, get, post};

fn needs(scope: Scope) -> Access {
    Access::Scope(scope.name())
}

/// Every endpoint.
#[rustfmt::skip]
pub fn endpoints() -> Vec<Endpoint<App>> {
    vec![
        // Authentication
        post("/oauth/token", Access::Public, oauth::api::token, oauth::api::token_operation()),
        // Users
        get("/v2/users", needs(Scope::UsersRead), users::api::list, users::api::list_operation()),

        // Notifications
        post("/v2/notifications", needs(Scope::NotificationsWrite), notifications::api::create, notifications::api::create_operation()),
        get("/v2/notifications", needs(Scope::NotificationsRead), notifications::api::list, notifications::api::list_operation()),
        get("/v2/notifications/{id}", needs(Scope::NotificationsRead), notifications::api::get, notifications::api::get_operation()),

        // Integrations
        get("/v2/integrations", needs(Scope::IntegrationsRead), integrations::api::list, integrations::api::list_operation()),
        get("/v2/integrations/{id}", needs(Scope::IntegrationsRead), integrations::api::get, integrations::api::get_operation()),

        // Operations
        get("/healthz", Access::Public, operations::alive, operations::alive_operation()),
        get("/readyz", Access::Public, operations::ready, operations::ready_operation()),
        get("/metrics", Access::Public, operations::metrics, operations::metrics_operation()),
    ]
}

/// The router of all endpoints.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        router = router.route(endpoint.path, guarded(&app, &endpoint));
    }
    router
        .fallback(async || Problem::new(&codes::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(async || Problem::new(&codes::METHOD_NOT_ALLOWED, "see Allow"))
        .with_state(app)
}
