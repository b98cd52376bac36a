//! Handlers and wire types of `/v2/products`.

use super::changes::{self, Changer};
use super::input::{NewProduct, ProductInput};
use super::product::*;
use super::shown::{self, Showing};
use super::store;
use crate::app::App;
use crate::error::{DUPLICATE, INSUFFICIENT_STOCK, Result, VARIANT_HAS_STOCK};
use crate::money::Currency;
use crate::oauth::Caller;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use platform::clock::Timestamp;
use platform::http::{
    Command, MergePatch, Operation, Page, PageQuery, Path, Problem, Query, Reply, codes,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// For whom and when prices are shown.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PriceQuery {
    /// Show prices in this currency; nothing is converted. Left away: the currency of the product's
    /// oldest price.
    pub currency: Option<Currency>,
    /// Show the prices of this group of buyers.
    #[schemars(length(min = 1, max = 120))]
    pub group: Option<String>,
    /// Show the price of one unit when so many are bought.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub quantity: Option<i64>,
    /// Show the prices of this instant, such as that of a coming sale, by the present price rows.
    pub at: Option<Timestamp>,
    /// `inventory` adds the stock of each location.
    #[schemars(extend("uniqueItems" = true))]
    pub expand: Option<Vec<Expand>>,
}

/// What can be added to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expand {
    Inventory,
}

impl PriceQuery {
    fn asked(&self, now: Timestamp) -> Asked {
        Asked {
            currency: self.currency,
            group: self.group.clone(),
            quantity: self.quantity.unwrap_or(1),
            at: self.at.unwrap_or(now),
            by_location: self
                .expand
                .as_ref()
                .is_some_and(|expand| expand.contains(&Expand::Inventory)),
        }
    }
}

/// The orders of the list; each ends in the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Sort {
    #[default]
    #[serde(rename = "created_at")]
    Created,
    #[serde(rename = "-created_at")]
    CreatedDown,
    #[serde(rename = "title")]
    Title,
    #[serde(rename = "-title")]
    TitleDown,
    #[serde(rename = "updated_at")]
    Updated,
    #[serde(rename = "-updated_at")]
    UpdatedDown,
}

impl Sort {
    /// The column it sorts by.
    pub fn column(self) -> &'static str {
        match self {
            Sort::Created | Sort::CreatedDown => "created_at",
            Sort::Title | Sort::TitleDown => "title",
            Sort::Updated | Sort::UpdatedDown => "updated_at",
        }
    }

    /// Whether the largest comes first.
    pub fn is_descending(self) -> bool {
        matches!(
            self,
            Sort::CreatedDown | Sort::TitleDown | Sort::UpdatedDown
        )
    }
}

/// The parameters of the list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ListProducts {
    #[serde(flatten)]
    pub page: PageQuery,
    #[serde(flatten)]
    pub priced: PriceQuery,
    /// Only those in this status.
    pub status: Option<ProductStatus>,
    /// Only those of this type.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 120))]
    pub kind: Option<String>,
    /// Only those of this vendor.
    #[schemars(length(min = 1, max = 120))]
    pub vendor: Option<String>,
    /// Only those in this category.
    #[schemars(length(min = 1, max = 64))]
    pub category: Option<String>,
    /// Only those with this tag.
    #[schemars(length(min = 1, max = 64))]
    pub tag: Option<String>,
    /// Only the one that has a variant with this SKU.
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    /// Only the one with this external id.
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Option<String>,
    /// Only those whose lowest price for everyone is at least this many minor units of `currency`.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub min_price: Option<i64>,
    /// Only those whose lowest price for everyone is at most this many minor units of `currency`.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub max_price: Option<i64>,
    /// Only those of which at least one variant can (or none can) be ordered now.
    pub in_stock: Option<bool>,
    /// Only those with one of these ids, separated by commas.
    #[schemars(length(max = 250))]
    pub ids: Option<Vec<String>>,
    /// Only those created after this instant.
    pub created_after: Option<Timestamp>,
    /// Only those created before this instant.
    pub created_before: Option<Timestamp>,
    /// Only those changed after this instant.
    pub updated_after: Option<Timestamp>,
    /// The order; `created_at` when it is left away.
    pub sort: Option<Sort>,
}

/// What `GET /v2/products` promises.
pub fn list_operation() -> Operation {
    Operation::new("listProducts", "Products", "Retrieves a list of products.")
        .query::<ListProducts>()
        .returns::<Vec<Product>>(
            200,
            "The products, oldest first unless `sort` says otherwise.",
        )
        .example(crate::products::examples::of("products"))
}

/// `GET /v2/products`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<ListProducts>,
) -> Result<Reply> {
    if query.min_price.or(query.max_price).is_some() && query.priced.currency.is_none() {
        let detail = "min_price and max_price need a currency";
        return Err(Problem::new(&codes::INVALID_PARAMETER, detail)
            .parameter("currency", "required", detail));
    }
    let page = Page::new(&query.page, &uri, &app.cursors)?;
    let now = app.clock.now();
    let asked = query.priced.asked(now);
    let mut tx = app.db.read().await?;
    let mut heads = store::list(&mut tx, &query, &page, asked.at).await?;
    let total = match page.include_total {
        true => Some(store::count(&mut tx, &query, asked.at.micros()).await?),
        false => None,
    };
    let more = page.cut(&mut heads);
    let showing = Showing {
        app: &app,
        asked: &asked,
        now,
    };
    let shown = showing.of_heads(&mut tx, heads).await?;
    let last = shown
        .last()
        .map(|last| vec![last.sort_key.clone(), last.id.to_string()]);
    let neighbours = page.neighbours(
        more.then_some(last).flatten(),
        &app.config.public_url,
        &app.cursors,
    );
    Ok(page.answer(shown::list(&shown), total, neighbours))
}

/// What `POST /v2/products` promises.
pub fn create_operation() -> Operation {
    Operation::new("createProduct", "Products", "Creates a new product.")
        .describe(
            "A product with one variant is written in the short form: `sku`, `price` (an integer with `currency` beside \
             it, or an object) and `inventory_quantity`. Others have `options` and `variants`. Stock is counted for \
             variants that are given a quantity, unless `track_inventory` says otherwise. Names of options, SKUs and \
             choices differ; each variant chooses one value of every option; two price rows of a variant differ in \
             their conditions.",
        )
        .body::<NewProduct>()
        .body_example(json!({ "title": "Blue mug", "sku": "MUG-BLUE", "price": 1999, "currency": "USD",
            "inventory_quantity": 12, "categories": ["kitchen"], "attributes": { "color": "blue" } }))
        .returns::<Product>(201, "The new product.").example(crate::products::examples::of("product"))
        .errors(&[&DUPLICATE, &codes::INVALID_BODY])
}

/// `POST /v2/products`.
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    command: Command<NewProduct>,
) -> Result<Reply> {
    let Command {
        body: NewProduct(input),
        once,
    } = command;
    let draft = changes::draft_of(input)?;
    let now = app.clock.now();
    app.write_once(once, async move |tx| {
        let id = changes::create(tx, draft, &caller.client_id, now).await?;
        let product = changes::present(tx, id.as_str(), &Asked::plain(now)).await?;
        Ok(Reply::created(
            &format!("/v2/products/{id}"),
            product.version,
            &product,
        ))
    })
    .await
}

/// What `GET /v2/products/{id}` promises.
pub fn get_operation() -> Operation {
    Operation::new(
        "getProduct",
        "Products",
        "Retrieves a specific product by ID.",
    )
    .query::<PriceQuery>()
    .returns::<Product>(200, "The product.")
    .example(crate::products::examples::of("product"))
}

/// `GET /v2/products/{id}`.
pub async fn get(
    State(app): State<App>,
    Path(id): Path,
    Query(query): Query<PriceQuery>,
) -> Result<Reply> {
    let now = app.clock.now();
    let asked = query.asked(now);
    let showing = Showing {
        app: &app,
        asked: &asked,
        now,
    };
    let shown = showing.one(&mut app.db.read().await?, &id).await?;
    let mut body = String::with_capacity(2048);
    shown.write(&mut body);
    Ok(Reply::raw_json(StatusCode::OK, body).tagged(shown.version()))
}

/// What `PUT /v2/products/{id}` promises.
pub fn update_operation() -> Operation {
    changing(Operation::new(
        "updateProduct",
        "Products",
        "Updates an existing product.",
    ))
}

/// What `PATCH /v2/products/{id}` promises.
pub fn patch_operation() -> Operation {
    changing(Operation::new(
        "patchProduct",
        "Products",
        "Changes some fields of a product.",
    ))
}

fn changing(operation: Operation) -> Operation {
    operation
        .describe(
            "The fields that are sent are changed, `null` clears, arrays are replaced; keys of `attributes` and \
             `metadata` that are not sent stay, and a request that changes nothing makes no new \
             version. An object as it was read can be sent back: what the server computes (stock, resolved prices, `lowest_price_30d`, times of \
             changes, `version`) is ignored; another read-only field is refused when it differs (`read_only`). \
             `If-Match` guards against changes that happened meanwhile. A resolved `price` whose amount is changed becomes the everyday price.",
        )
        .body::<ProductInput>()
        .body_example(json!({ "title": "Blue mug, large", "price": { "amount": 2499, "currency": "USD" } }))
        .returns::<Product>(200, "The product after the change.").example(crate::products::examples::of("product"))
        .errors(&[&DUPLICATE, &VARIANT_HAS_STOCK, &INSUFFICIENT_STOCK, &codes::INVALID_BODY])
}

/// `PUT` and `PATCH /v2/products/{id}`.
pub async fn update(
    State(app): State<App>,
    Path(id): Path,
    caller: Caller,
    patch: MergePatch,
) -> Result<Reply> {
    let MergePatch { fields, once } = patch;
    let if_match = once.if_match();
    let now = app.clock.now();
    app.write_once(once, async move |tx| {
        let by = Changer {
            actor: &caller.client_id,
            if_match: &if_match,
            now,
        };
        changes::update(tx, &id, fields, &by).await?;
        let product = changes::present(tx, &id, &Asked::plain(now)).await?;
        Ok(Reply::entity(product.version, &product))
    })
    .await
}

/// What `DELETE /v2/products/{id}` promises.
pub fn delete_operation() -> Operation {
    Operation::new("deleteProduct", "Products", "Deletes a product.")
        .describe(
            "From then on it is not found, and its slug, external id and SKUs are free again. Orders keep their copy, the \
             ledger its rows. To retire a product without deleting it, set `status` to `archived`.",
        )
        .returns_nothing(204, "It is deleted.")
}

/// `DELETE /v2/products/{id}`.
pub async fn delete(
    State(app): State<App>,
    Path(id): Path,
    caller: Caller,
    command: MergePatch,
) -> Result<Reply> {
    let once = command.once;
    let if_match = once.if_match();
    let now = app.clock.now();
    app.write_once(once, async move |tx| {
        let by = Changer {
            actor: &caller.client_id,
            if_match: &if_match,
            now,
        };
        changes::delete(tx, &id, &by).await?;
        Ok(Reply::no_content())
    })
    .await
}
