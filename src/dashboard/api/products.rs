//! `/dashboard/products`.

use super::orders::{Choice, choices};
use super::{ROWS, next_link, page_of};
use crate::app::App;
use crate::dashboard::fields::{Fields, encode};
use crate::dashboard::figures::{LOW_STOCK, store as figures};
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::role::Role;
use crate::dashboard::show::{Badge, When, count, money};
use crate::dashboard::store as dashboard;
use crate::dashboard::views::{PRODUCTS, Tabs};
use crate::dashboard::visit::SignedIn;
use crate::error::{Result, not_found};
use crate::products::api::{ListProducts, Sort};
use crate::products::product::{Asked, PriceRow, Product, Variant};
use crate::products::search::FacetRequest;
use crate::products::search::api::{SearchQuery, run};
use crate::products::{ProductId, ProductStatus, store};
use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use platform::db::Tx;
use platform::http::{Page, PageQuery, Path};

/// Longest text that is searched for, in characters, and how far a search can be paged.
const Q_CHARS_MAX: usize = 256;
const FOUND_MAX: i64 = 9_000;

/// In the order in which they are shown.
pub const STATUSES: [&str; 3] = ["active", "draft", "archived"];

#[derive(Debug)]
struct Row {
    id: String,
    title: String,
    sku: String,
    status: Badge,
    price: String,
    stock: String,
    /// Nothing is left, or less.
    gone: bool,
    updated: When,
}

#[derive(Template)]
#[template(path = "products.html")]
struct ProductsPage<'a> {
    frame: Frame,
    rows: Vec<Row>,
    q: &'a str,
    /// The status that is looked for.
    status: &'a str,
    filtered: bool,
    statuses: Vec<Choice>,
    found: Option<String>,
    corrected: String,
    next: String,
    first: bool,
    may_edit: bool,
    done: &'static str,
    views: Tabs,
}

/// Products to be listed, and the address of those after them.
struct Found {
    products: Vec<Product>,
    total: Option<i64>,
    corrected: String,
    next: String,
}

fn status_of(text: &str) -> Option<ProductStatus> {
    let known = STATUSES.contains(&text);
    known.then(|| ProductStatus::from_stored(text))
}

/// What the filters of the list look for in words; empty when they do not.
fn words_of(asked: &Fields) -> String {
    asked.get("q").chars().take(Q_CHARS_MAX).collect()
}

/// The filters of the list beside its words.
fn listing(asked: &Fields) -> ListProducts {
    ListProducts {
        status: status_of(asked.get("status")),
        sort: Some(Sort::UpdatedDown),
        ..ListProducts::default()
    }
}

/// The ids of those that fit the filters, best first; with how many there are and what was searched for in place of `q`.
async fn hits(
    app: &App,
    q: &str,
    asked: &Fields,
    (limit, offset): (i64, i64),
) -> Result<(Vec<ProductId>, i64, String)> {
    let query = SearchQuery {
        q: Some(q.to_owned()),
        status: status_of(asked.get("status")),
        limit: Some(limit),
        offset: Some(offset),
        ..SearchQuery::default()
    };
    let results = run(app, &query, FacetRequest::default()).await?;
    let ids = results.hits.iter();
    let ids = ids.filter_map(|hit| ProductId::parse(&hit.product_id));
    let total = i64::try_from(results.total).unwrap_or(i64::MAX);
    let corrected = results.corrected_query.unwrap_or_default();
    Ok((ids.collect(), total, corrected))
}

/// `GET /dashboard/products`.
pub async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let asked = Fields::parse(uri.query().unwrap_or_default()).unwrap_or_default();
    if asked.get("stock") == "low" {
        return low(&app, &signed_in, &uri, &asked).await;
    }
    let q = words_of(&asked);
    let found = match q.is_empty() {
        true => listed(&app, &uri, &asked).await?,
        false => searched(&app, &q, &asked).await?,
    };
    let (now, zone) = (signed_in.visit.now(), signed_in.shop.zone());
    let row = |product: &Product| Row {
        id: product.id.to_string(),
        title: product.title.clone(),
        sku: match &product.sku {
            Some(sku) => sku.clone(),
            None if product.variants.len() > 1 => format!("{} variants", product.variants.len()),
            None => String::new(),
        },
        status: Badge(product.status.as_str()),
        price: price_of(product),
        stock: stock_of(product),
        gone: is_gone(product),
        updated: When::new(product.updated_at, now, &zone),
    };
    let own = dashboard::views(
        &mut app.db.read().await?,
        &signed_in.staff.id,
        PRODUCTS.name,
    )
    .await?;
    let page = ProductsPage {
        frame: Frame::new(&signed_in.visit, "Products"),
        rows: found.products.iter().map(row).collect(),
        q: &q,
        status: asked.get("status"),
        filtered: asked.some("q").is_some() || asked.some("status").is_some(),
        statuses: choices(STATUSES.into_iter(), asked.get("status")),
        found: found.total.map(count),
        corrected: found.corrected,
        next: found.next,
        first: asked.some("cursor").is_none() && asked.some("offset").is_none(),
        may_edit: signed_in.visit.may(Role::Operator),
        views: Tabs::new(&PRODUCTS, &asked, own),
        done: match signed_in.visit.done() {
            "deleted" => "The product is deleted. Orders keep their copy of it.",
            "none" => "Tick the products that are to change first.",
            _ => "",
        },
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// A variant of which few units are left.
#[derive(Debug)]
struct LowRow {
    product: String,
    variant: String,
    title: String,
    name: String,
    sku: String,
    left: String,
    gone: bool,
}

#[derive(Template)]
#[template(path = "products_low.html")]
struct LowPage {
    frame: Frame,
    views: Tabs,
    rows: Vec<LowRow>,
    limit: i64,
    next: String,
    first: bool,
}

/// Variants that are for sale and nearly gone, least first.
async fn low(app: &App, signed_in: &SignedIn, uri: &Uri, asked: &Fields) -> Result<Response> {
    let page = page_of(app, uri, asked.some("cursor"))?;
    let mut tx = app.db.read().await?;
    let mut found = figures::low_stock(&mut tx, page.after_time_and_id(), page.fetch()).await?;
    let own = dashboard::views(&mut tx, &signed_in.staff.id, PRODUCTS.name).await?;
    let more = page.cut(&mut found);
    let last = found.last().filter(|_| more);
    let last = last.map(|low| vec![low.available.to_string(), low.variant_id.to_string()]);
    let row = |low: figures::Low| LowRow {
        product: low.product_id.to_string(),
        variant: low.variant_id.to_string(),
        title: low.title,
        name: low.variant.unwrap_or_default(),
        sku: low.sku.unwrap_or_default(),
        left: count(low.available),
        gone: low.available <= 0,
    };
    let page = LowPage {
        frame: Frame::new(&signed_in.visit, "Low stock"),
        views: Tabs::new(&PRODUCTS, asked, own),
        limit: LOW_STOCK,
        next: next_link(app, &page, last),
        first: asked.some("cursor").is_none(),
        rows: found.into_iter().map(row).collect(),
    };
    Ok(frame::page(StatusCode::OK, &page))
}

/// The product called `id`, as everyone buys it now.
pub async fn find(app: &App, signed_in: &SignedIn, id: &str) -> Result<Product> {
    let asked = Asked::plain(signed_in.visit.now());
    let found = store::find(&mut app.db.read().await?, id, &asked).await?;
    found.ok_or_else(|| not_found("product", id))
}

/// Its price as lists show it.
pub fn price_of(product: &Product) -> String {
    match &product.price {
        Some(price) if product.variants.len() > 1 => {
            format!("from {}", money(price.amount, price.currency))
        }
        Some(price) => money(price.amount, price.currency),
        None => "no price".to_owned(),
    }
}

fn is_tracked(variant: &&Variant) -> bool {
    variant.track_inventory
}

fn stock_of(product: &Product) -> String {
    match product.variants.iter().any(|variant| is_tracked(&variant)) {
        true => count(product.inventory.available),
        false => "not tracked".to_owned(),
    }
}

fn is_gone(product: &Product) -> bool {
    let mut tracked = product.variants.iter().filter(is_tracked).peekable();
    tracked.peek().is_some() && product.inventory.available <= 0
}

/// Products by the time of their last change.
async fn listed(app: &App, uri: &Uri, asked: &Fields) -> Result<Found> {
    let page = page_of(app, uri, asked.some("cursor"))?;
    let now = app.clock.now();
    let mut tx = app.db.read().await?;
    let mut heads = store::list(&mut tx, &listing(asked), &page, now).await?;
    let more = page.cut(&mut heads);
    let last = heads.last().filter(|_| more);
    let last = last.map(|head| vec![head.sort_key.clone(), head.id.to_string()]);
    let ids: Vec<ProductId> = heads.into_iter().map(|head| head.id).collect();
    Ok(Found {
        products: loaded(&mut tx, &ids, &Asked::plain(now)).await?,
        total: None,
        corrected: String::new(),
        next: next_link(app, &page, last),
    })
}

/// Products by words, best first.
async fn searched(app: &App, q: &str, asked: &Fields) -> Result<Found> {
    let offset = asked.get("offset").parse().unwrap_or(0).clamp(0, FOUND_MAX);
    let (ids, total, corrected) = hits(app, q, asked, (ROWS, offset)).await?;
    let mut tx = app.db.read().await?;
    let after = offset + ROWS;
    let next = match after < total && after <= FOUND_MAX {
        true => format!(
            "/dashboard/products?q={}&status={}&offset={after}",
            encode(q),
            encode(asked.get("status"))
        ),
        false => String::new(),
    };
    Ok(Found {
        products: loaded(&mut tx, &ids, &Asked::plain(app.clock.now())).await?,
        total: Some(total),
        corrected,
        next,
    })
}

/// At most `most` products of the list that `asked` filters, in its order, and whether there are more.
pub async fn fitting(
    app: &App,
    uri: &Uri,
    asked: &Fields,
    most: usize,
) -> Result<(Vec<ProductId>, bool)> {
    let limit = i64::try_from(most).unwrap_or(ROWS);
    let q = words_of(asked);
    if !q.is_empty() {
        let (ids, total, _) = hits(app, &q, asked, (limit, 0)).await?;
        return Ok((ids, total > limit));
    }
    let query = PageQuery {
        limit: Some(limit),
        ..PageQuery::default()
    };
    let page = Page::new(&query, uri, &app.cursors)?;
    let mut tx = app.db.read().await?;
    let mut heads = store::list(&mut tx, &listing(asked), &page, app.clock.now()).await?;
    let more = page.cut(&mut heads);
    Ok((heads.into_iter().map(|head| head.id).collect(), more))
}

/// The products called `ids`, in their order.
pub async fn loaded(tx: &mut Tx, ids: &[ProductId], asked: &Asked) -> Result<Vec<Product>> {
    let mut products = store::load(tx, ids, asked).await?;
    let place = |product: &Product| ids.iter().position(|id| *id == product.id);
    products.sort_by_key(place);
    Ok(products)
}

#[derive(Debug)]
struct VariantRow {
    id: String,
    name: String,
    sku: String,
    prices: Vec<PriceShown>,
    on_hand: String,
    allocated: String,
    available: String,
    tracked: bool,
    gone: bool,
}

#[derive(Debug)]
struct PriceShown {
    amount: String,
    /// The struck price, if there is one.
    before: Option<String>,
    /// From how many, and for whom.
    terms: String,
}

#[derive(Template)]
#[template(path = "product.html")]
struct ProductPage<'a> {
    frame: Frame,
    product: &'a Product,
    status: Badge,
    price: String,
    stock: String,
    variants: Vec<VariantRow>,
    categories: String,
    tags: String,
    created: When,
    updated: When,
    may_edit: bool,
    done: &'static str,
}

/// `GET /dashboard/products/{id}`.
pub async fn get(State(app): State<App>, signed_in: SignedIn, Path(id): Path) -> Result<Response> {
    let now = signed_in.visit.now();
    let product = find(&app, &signed_in, &id).await?;
    let zone = signed_in.shop.zone();
    let list = |stored: std::result::Result<Vec<String>, _>| -> Result<String> {
        Ok(stored.map(|all: Vec<String>| all.join(", "))?)
    };
    let page = ProductPage {
        frame: Frame::new(&signed_in.visit, product.title.clone()),
        status: Badge(product.status.as_str()),
        price: price_of(&product),
        stock: stock_of(&product),
        variants: product
            .variants
            .iter()
            .map(|variant| variant_row(variant, &zone))
            .collect(),
        categories: list(product.categories.read())?,
        tags: list(product.tags.read())?,
        created: When::new(product.created_at, now, &zone),
        updated: When::new(product.updated_at, now, &zone),
        may_edit: signed_in.visit.may(Role::Operator),
        done: match signed_in.visit.done() {
            "created" => "The product was created.",
            "changed" => "The product was saved.",
            _ => "",
        },
        product: &product,
    };
    Ok(frame::page(StatusCode::OK, &page))
}

fn variant_row(variant: &Variant, zone: &TimeZone) -> VariantRow {
    let stock = &variant.inventory;
    let name = variant.title.clone();
    VariantRow {
        id: variant.id.to_string(),
        name: name.unwrap_or_else(|| "Default variant".to_owned()),
        sku: variant.sku.clone().unwrap_or_default(),
        prices: variant
            .prices
            .iter()
            .map(|row| price_shown(row, zone))
            .collect(),
        on_hand: count(stock.on_hand),
        allocated: count(stock.allocated),
        available: count(stock.available),
        tracked: variant.track_inventory,
        gone: variant.track_inventory && stock.available <= 0,
    }
}

fn price_shown(row: &PriceRow, zone: &TimeZone) -> PriceShown {
    let from = (row.min_quantity > 1).then(|| format!("from {} units", row.min_quantity));
    let group = row.group.as_ref().map(|group| format!("for {group}"));
    let day = |at: Timestamp| {
        let at = at.to_jiff().to_zoned_datetime(zone.clone());
        at.strftime("%-d %b %Y %H:%M").to_string()
    };
    let starts = row.starts_at.map(|at| format!("starts {}", day(at)));
    let ends = row.ends_at.map(|at| format!("ends {}", day(at)));
    let terms: Vec<String> = [from, group, starts, ends].into_iter().flatten().collect();
    // One that is not higher is no former price.
    let before = row.compare_at_amount.filter(|before| *before > row.amount);
    PriceShown {
        amount: money(row.amount, row.currency),
        before: before.map(|amount| money(amount, row.currency)),
        terms: terms.join(", "),
    }
}
