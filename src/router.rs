//! One line per endpoint, in the order of the API reference. The same table is the router and the
//! OpenAPI document, and each line names the scope that it needs: an endpoint cannot be added without
//! saying who may call it.

use crate::app::App;
use crate::oauth::Scope;
use crate::oauth::guard::guarded;
use crate::products::{self, inventory};
use crate::{oauth, orders, users};
use axum::Router;
use platform::http::{Access, Endpoint, Problem, codes, delete, get, patch, post, put};

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
        // Products
        get("/v2/products", needs(Scope::ProductsRead), products::api::list, products::api::list_operation()),
        post("/v2/products", needs(Scope::ProductsWrite), products::api::create, products::api::create_operation()),
        get("/v2/products/{id}", needs(Scope::ProductsRead), products::api::get, products::api::get_operation()),
        put("/v2/products/{id}", needs(Scope::ProductsWrite), products::api::update, products::api::update_operation()),
        patch("/v2/products/{id}", needs(Scope::ProductsWrite), products::api::update, products::api::patch_operation()),
        delete("/v2/products/{id}", needs(Scope::ProductsWrite), products::api::delete, products::api::delete_operation()),
        get("/v2/inventory", needs(Scope::InventoryRead), inventory::api::list, inventory::api::list_operation()),
        post("/v2/inventory/adjustments", needs(Scope::InventoryWrite), inventory::api::adjust, inventory::api::adjust_operation()),
        get("/v2/inventory/movements", needs(Scope::InventoryRead), inventory::api::movements, inventory::api::movements_operation()),
        get("/v2/locations", needs(Scope::InventoryRead), inventory::api::locations, inventory::api::locations_operation()),
        // Orders
        get("/v2/orders", needs(Scope::OrdersRead), orders::api::list, orders::api::list_operation()),
        post("/v2/orders", needs(Scope::OrdersWrite), orders::api::create, orders::api::create_operation()),
        get("/v2/orders/{id}", needs(Scope::OrdersRead), orders::api::get, orders::api::get_operation()),
        post("/v2/orders/{id}/confirm", needs(Scope::OrdersWrite), orders::api::confirm, orders::api::confirm_operation()),
        post("/v2/orders/{id}/complete", needs(Scope::OrdersWrite), orders::api::complete, orders::api::complete_operation()),
        post("/v2/orders/{id}/cancel", needs(Scope::OrdersWrite), orders::api::cancel, orders::api::cancel_operation()),
        get("/v2/orders/{id}/history", needs(Scope::OrdersRead), orders::api::history, orders::api::history_operation()),
    ]
}

/// The router of all endpoints.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints() {
        router = router.route(endpoint.path, guarded(&app, &endpoint)); // axum merges the methods of a path
    }
    router
        .fallback(async || Problem::new(&codes::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(async || Problem::new(&codes::METHOD_NOT_ALLOWED, "see Allow"))
        .with_state(app)
}
