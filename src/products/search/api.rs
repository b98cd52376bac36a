//! Handlers of `/v2/products/search`.

use super::follow::{catch_up, failed, follow_stock, take_sales};
use super::{Error, Facet, FacetRequest, Facets, Filters, Highlighter, PriceFilter, Results, Sort};
use crate::app::App;
use crate::error::Result;
use crate::money::Currency;
use crate::products::product::{Asked, Product, ProductStatus};
use crate::products::shown::{Showing, Shown};
use crate::products::{ProductId, store};
use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use platform::http::{Command, Operation, Problem, Query, Reply, codes, given};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// What is searched for; the same as parameters of `GET` and as body of `POST`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("x-rules" = [compared_in_a_currency()]))]
pub struct SearchQuery {
    /// Words; all must be in the product, the last one may be unfinished. Left away: every product.
    #[schemars(length(min = 1, max = 256))]
    pub q: Option<String>,
    pub status: Option<ProductStatus>,
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 120))]
    pub kind: Option<String>,
    #[schemars(length(min = 1, max = 120))]
    pub vendor: Option<String>,
    #[schemars(length(min = 1, max = 120))]
    pub brand: Option<String>,
    #[schemars(length(min = 1, max = 64))]
    pub category: Option<String>,
    #[schemars(length(min = 1, max = 64))]
    pub tag: Option<String>,
    #[schemars(length(min = 1, max = 100))]
    pub sku: Option<String>,
    /// Only the one with this external id.
    #[schemars(length(min = 1, max = 255))]
    pub external_id: Option<String>,
    /// Attribute values: `attributes[color]=red`; several values of one key are separated by commas.
    #[schemars(extend("maxProperties" = 20))]
    pub attributes: Option<BTreeMap<String, String>>,
    /// The currency of `min_price`, `max_price`, `sort=price` and the prices shown.
    pub currency: Option<Currency>,
    /// Minor units of `currency`.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub min_price: Option<i64>,
    /// Minor units of `currency`.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub max_price: Option<i64>,
    /// Only what can (or cannot) be ordered now.
    pub in_stock: Option<bool>,
    pub sort: Option<SearchSort>,
    /// Whether words of like spelling are tried when the words as typed find nothing.
    pub typo: Option<Typo>,
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<i64>,
    /// `offset + limit` is at most 10,000.
    #[schemars(range(min = 0, max = 9999))]
    pub offset: Option<i64>,
}

/// Prices are compared in one currency.
fn compared_in_a_currency() -> Value {
    let by_price =
        json!({ "required": ["sort"], "properties": { "sort": { "enum": ["price", "-price"] } } });
    let compared = [given("min_price"), given("max_price"), by_price];
    json!({ "if": { "anyOf": compared }, "then": given("currency") })
}

/// The order of hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SearchSort {
    #[default]
    #[serde(rename = "relevance")]
    Relevance,
    #[serde(rename = "price")]
    Price,
    #[serde(rename = "-price")]
    PriceDown,
    #[serde(rename = "newest")]
    Newest,
    #[serde(rename = "best_selling")]
    BestSelling,
    #[serde(rename = "title")]
    Title,
}

/// Typo tolerance: one edit from 4 letters, two from 8, never in words with digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Typo {
    Auto,
    Off,
}

/// A found product: what the list shows, and why it was found.
#[derive(Debug, JsonSchema)]
#[expect(
    dead_code,
    reason = "the shape of a hit, which is written from text that is kept"
)]
pub struct Hit {
    #[serde(flatten)]
    product: Product,
    #[serde(flatten)]
    found: Found,
}

/// Why a product was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    /// For comparison within one answer; 0 without `q`.
    pub score: f32,
    /// HTML with `<em>` around what was found; everything else is escaped.
    pub highlight: Highlight,
}

/// Where the words were found.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Highlight {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The answer of `POST /v2/products/search`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SearchAnswer {
    #[schemars(with = "Vec<Hit>")]
    pub hits: Box<RawValue>,
    /// All matches, exactly.
    pub total: u64,
    /// For each facet its values with the number of matches, most frequent first. A facet is counted
    /// without its own filter.
    pub facets: BTreeMap<String, Vec<FacetCount>>,
    /// `q` in the spelling that the hits have, when they were only found so.
    pub corrected_query: Option<String>,
    pub took_ms: u64,
}

/// A value and how many matches have it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FacetCount {
    pub value: String,
    pub count: u64,
}

/// What `GET /v2/products/search` promises.
pub fn search_operation() -> Operation {
    Operation::new(
        "searchProducts",
        "Products",
        "Searches products by words, filters and attributes.",
    )
    .describe(
        "A product is found as soon as its POST has returned. `X-Total-Count` counts all matches.",
    )
    .query::<SearchQuery>()
    .returns::<Vec<Hit>>(200, "The found products, best first.")
    .example(crate::products::examples::of("hits"))
}

/// `GET /v2/products/search`.
pub async fn search(State(app): State<App>, Query(query): Query<SearchQuery>) -> Result<Reply> {
    let found = run(&app, &query, FacetRequest::default()).await?;
    let hits = hits(&app, &query, &found).await?;
    let total = found.total.to_string();
    Ok(
        Reply::raw_json(StatusCode::OK, hits)
            .with(HeaderName::from_static("x-total-count"), &total),
    )
}

/// What `POST /v2/products/search` promises.
pub fn post_operation() -> Operation {
    Operation::new(
        "searchProductsWithFacets",
        "Products",
        "Searches products and counts facets.",
    )
    .body::<SearchQuery>()
    .body_example(json!({ "q": "mug", "in_stock": true, "sort": "relevance", "limit": 2 }))
    .returns::<SearchAnswer>(200, "Hits, their total and the facets.")
    .example(crate::products::examples::of("search"))
}

/// `POST /v2/products/search`.
pub async fn post(State(app): State<App>, command: Command<SearchQuery>) -> Result<Reply> {
    let (query, started) = (command.body, Instant::now());
    let facets = FacetRequest {
        facets: vec![
            Facet::Status,
            Facet::Type,
            Facet::Vendor,
            Facet::Brand,
            Facet::Category,
            Facet::Tag,
        ],
        all_attributes: true,
        price_currency: query.currency.map(|currency| currency.as_str().to_owned()),
    };
    let found = run(&app, &query, facets).await?;
    let answer = SearchAnswer {
        hits: RawValue::from_string(hits(&app, &query, &found).await?)
            .expect("an array of objects"),
        total: found.total,
        facets: facets_body(&found.facets),
        corrected_query: found.corrected_query,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    Ok(Reply::json(StatusCode::OK, &answer))
}

fn facets_body(facets: &Facets) -> BTreeMap<String, Vec<FacetCount>> {
    let mut body: BTreeMap<String, Vec<FacetCount>> = BTreeMap::new();
    for counts in &facets.counts {
        let values = counts.values.iter().map(|one| FacetCount {
            value: one.value.clone(),
            count: one.count,
        });
        body.insert(facet_name(&counts.facet), values.collect());
    }
    if let Some(price) = &facets.price {
        let ranges = price.ranges.iter().map(|range| FacetCount {
            value: format!("{}-{}", range.from_minor, range.below_minor - 1),
            count: range.count,
        });
        body.insert("price".into(), ranges.collect());
    }
    body
}

fn facet_name(facet: &Facet) -> String {
    match facet {
        Facet::Status => "status".into(),
        Facet::Type => "type".into(),
        Facet::Vendor => "vendor".into(),
        Facet::Brand => "brand".into(),
        Facet::Category => "category".into(),
        Facet::Tag => "tag".into(),
        Facet::Attribute(key) => format!("attributes.{key}"),
    }
}

/// What is found for `query`.
pub async fn run(app: &App, query: &SearchQuery, facets: FacetRequest) -> Result<Results> {
    let now = app.clock.now();
    let wanted = engine_query(query, facets)?;
    catch_up(app, now).await?;
    if query.in_stock.is_some() {
        follow_stock(app).await?;
    }
    if wanted.sort == Sort::BestSelling {
        take_sales(app, now).await?;
    }
    let Some(in_stock) = query.in_stock else {
        return app
            .search
            .index
            .search(&wanted)
            .map_err(|error| refused(&error));
    };
    let keys = app.search.in_stock();
    let predicate = |key: u64| keys.contains(&key) == in_stock;
    let wanted = super::Query {
        predicate: Some(&predicate),
        ..wanted
    };
    app.search
        .index
        .search(&wanted)
        .map_err(|error| refused(&error))
}

fn refused(error: &Error) -> Problem {
    match error {
        Error::QueryTooLong => Problem::new(&codes::INVALID_PARAMETER, error.to_string())
            .parameter("q", "too_long", "expected at most 256 characters"),
        Error::WindowTooLarge => Problem::new(&codes::INVALID_PARAMETER, error.to_string())
            .parameter(
                "offset",
                "too_large",
                "expected offset + limit of at most 10,000",
            ),
        other => failed(other),
    }
}

/// The currency that prices are compared in.
fn compared_currency(query: &SearchQuery) -> Result<String> {
    query
        .currency
        .map(|currency| currency.as_str().to_owned())
        .ok_or_else(|| {
            Problem::new(
                &codes::INVALID_PARAMETER,
                "prices are compared in one currency",
            )
            .parameter(
                "currency",
                "required",
                "expected a currency beside min_price, max_price and sort=price",
            )
        })
}

fn filters(query: &SearchQuery) -> Result<Filters> {
    let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<String>>();
    let status = query.status.iter().map(|status| status.as_str().to_owned());
    let mut any_of = vec![
        (Facet::Status, status.collect()),
        (Facet::Type, one(&query.kind)),
        (Facet::Vendor, one(&query.vendor)),
        (Facet::Brand, one(&query.brand)),
        (Facet::Category, one(&query.category)),
        (Facet::Tag, one(&query.tag)),
    ];
    for (key, values) in query.attributes.iter().flatten() {
        let values = values.split(',').map(str::to_owned).collect();
        any_of.push((Facet::Attribute(key.clone()), values));
    }
    let price = match (query.min_price, query.max_price) {
        (None, None) => None,
        (min_minor, max_minor) => {
            let currency = compared_currency(query)?;
            Some(PriceFilter {
                currency,
                min_minor,
                max_minor,
            })
        }
    };
    Ok(Filters {
        any_of,
        skus: one(&query.sku),
        external_id: query.external_id.clone(),
        price,
    })
}

fn engine_query(query: &SearchQuery, facets: FacetRequest) -> Result<super::Query<'static>> {
    let sort = match query.sort.unwrap_or_default() {
        SearchSort::Relevance => Sort::Relevance,
        SearchSort::Price => Sort::PriceAscending {
            currency: compared_currency(query)?,
        },
        SearchSort::PriceDown => Sort::PriceDescending {
            currency: compared_currency(query)?,
        },
        SearchSort::Newest => Sort::Newest,
        SearchSort::BestSelling => Sort::BestSelling,
        SearchSort::Title => Sort::Title,
    };
    Ok(super::Query {
        q: query.q.clone(),
        typos: query.typo != Some(Typo::Off),
        filters: filters(query)?,
        predicate: None,
        sort,
        offset: usize::try_from(query.offset.unwrap_or(0)).unwrap_or(0),
        limit: usize::try_from(query.limit.unwrap_or(50)).unwrap_or(50),
        facets,
    })
}

/// The products of the page, as the database has them, in the order found: an array of [`Hit`] as text.
async fn hits(app: &App, query: &SearchQuery, found: &Results) -> Result<String> {
    let now = app.clock.now();
    let asked = Asked {
        currency: query.currency,
        ..Asked::plain(now)
    };
    let showing = Showing {
        app,
        asked: &asked,
        now,
    };
    let ids = found
        .hits
        .iter()
        .filter_map(|hit| ProductId::parse(&hit.product_id));
    let mut tx = app.db.read().await?;
    let heads = store::heads_of(&mut tx, &ids.collect::<Vec<_>>()).await?;
    let mut shown = showing.of_heads(&mut tx, heads).await?;
    shown.sort_by(|a, b| a.id.cmp(&b.id));
    let mut body = String::with_capacity(2 + found.hits.len() * 2048);
    for hit in &found.hits {
        let product = shown.binary_search_by(|one| one.id.as_str().cmp(&hit.product_id));
        let Ok(product) = product else { continue }; // deleted since: not shown
        body.push(if body.is_empty() { '[' } else { ',' });
        write_hit(&shown[product], hit.score, &found.highlighter, &mut body);
    }
    if body.is_empty() {
        body.push('[');
    }
    body.push(']');
    Ok(body)
}

/// Appends a [`Hit`]: the product, and before its end what else is known of it.
fn write_hit(product: &Shown, score: f32, highlighter: &Highlighter, out: &mut String) {
    product.write(out);
    out.truncate(out.len() - 1);
    let found = Found {
        score,
        highlight: Highlight {
            title: highlighter.mark(product.title()),
            description: highlighter.fragment(product.description()),
        },
    };
    let found = serde_json::to_string(&found).expect("our own types serialise");
    out.push(',');
    out.push_str(&found[1..]);
}

/// The parameters of suggestions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuggestQuery {
    /// What was typed so far.
    #[schemars(length(min = 1, max = 256))]
    pub q: Option<String>,
    #[schemars(range(min = 1, max = 20))]
    pub limit: Option<i64>,
}

/// What could be meant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SuggestAnswer {
    /// Queries that go on from what was typed, the one that finds most first.
    pub completions: Vec<CompletionBody>,
    pub products: Vec<ProductSuggestion>,
}

/// A finished query and how much it finds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CompletionBody {
    pub q: String,
    pub total: u64,
}

/// A product that was perhaps meant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProductSuggestion {
    pub id: String,
    pub title: String,
}

/// What `GET /v2/products/search/suggest` promises.
pub fn suggest_operation() -> Operation {
    Operation::new(
        "suggestProducts",
        "Products",
        "Completes what is being typed.",
    )
    .query::<SuggestQuery>()
    .returns::<SuggestAnswer>(
        200,
        "Completions and products, best first; only active products.",
    )
    .example(crate::products::examples::of("suggestions"))
}

/// `GET /v2/products/search/suggest`.
pub async fn suggest(State(app): State<App>, Query(query): Query<SuggestQuery>) -> Result<Reply> {
    catch_up(&app, app.clock.now()).await?;
    let active = vec![(Facet::Status, vec!["active".to_owned()])];
    let filters = Filters {
        any_of: active,
        ..Filters::default()
    };
    let limit = usize::try_from(query.limit.unwrap_or(10)).unwrap_or(10);
    let typed = query.q.as_deref().unwrap_or_default();
    let found = app
        .search
        .index
        .suggest(typed, &filters, limit)
        .map_err(|error| refused(&error))?;
    let completions = found.completions.into_iter().map(|one| CompletionBody {
        q: one.q,
        total: one.total,
    });
    let products = found.titles.into_iter().map(|one| ProductSuggestion {
        id: one.product_id,
        title: one.title,
    });
    let answer = SuggestAnswer {
        completions: completions.collect(),
        products: products.collect(),
    };
    Ok(Reply::json(StatusCode::OK, &answer))
}
