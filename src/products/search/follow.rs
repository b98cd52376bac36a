//! The index as a projection of the event log: a search first catches up with the log's head, so a
//! product is found as soon as its POST has returned, on any node.
//!
//! What changes with every order is kept out of the index: which products are in stock is a set in
//! memory that follows the log too, and units sold are a table that a worker follows the log with;
//! `best_selling` takes changed figures over into the index at most once a minute.

use super::{AttributeValue, Change, Error, Index, ProductDoc, Watermark, product_key};
use crate::app::App;
use crate::products::pricing::{self, Price};
use crate::products::product::{Asked, Product};
use crate::products::store::search as store;
use crate::products::{self, ProductId};
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};
use platform::events::{self, Eager, Event, Position};
use platform::http::{Problem, codes};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use tokio::sync::Mutex;

/// Products read and indexed together.
const CHUNK: usize = 500;
/// How often changed sales are taken over into the index.
const SALES_EVERY: Duration = Duration::from_secs(60);
/// How long the counting of sales rests when it has reached the head of the log.
const SALES_PAUSE: Duration = Duration::from_secs(1);
/// The follower that counts units sold.
const SALES_FOLLOWER: &str = "product_sales";

/// The index of this process and what belongs to it.
pub struct Search {
    pub index: Arc<Index>,
    /// How often somebody has begun to look at the log.
    looks: AtomicU64,
    /// Held while the index is brought up to date.
    turn: Mutex<Turn>,
    /// Keys of the products that are in stock.
    in_stock: RwLock<HashSet<u64>>,
}

#[derive(Default)]
struct Turn {
    /// The last look at the log that came to its end.
    looked: u64,
    /// When a price changes next by time alone.
    reprice_at: Option<Timestamp>,
    /// Whether `reprice_at` was asked for since the last change.
    reprice_known: bool,
    /// The place of the index in the log; `None`: not asked yet in this process.
    log: Option<Eager>,
    /// The place of `in_stock` in the log; `None`: not loaded yet.
    stock: Option<Eager>,
    /// Changes of sales up to here are in the index, and when that was done.
    sales: Option<(Timestamp, Timestamp)>,
}

impl Search {
    /// Opens the index in `dir`; one that is damaged or of another version is rebuilt at the first
    /// search.
    pub fn open(dir: &Path) -> Result<Search, Error> {
        let index = Arc::new(Index::open(dir)?);
        Ok(Search {
            index,
            looks: AtomicU64::new(0),
            turn: Mutex::default(),
            in_stock: RwLock::default(),
        })
    }

    /// Keys of the products that are in stock, as of the last [`follow_stock`].
    pub fn in_stock(&self) -> RwLockReadGuard<'_, HashSet<u64>> {
        self.in_stock.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn position(&self) -> Position {
        let Watermark { tx, seq } = self.index.watermark();
        Position { tx, seq }
    }

    async fn apply(&self, changes: Vec<Change>, to: Position) -> Result<(), Problem> {
        let index = self.index.clone();
        let watermark = Watermark {
            tx: to.tx,
            seq: to.seq,
        };
        if changes.is_empty() && index.advance(watermark) {
            return Ok(());
        }
        let applied = tokio::task::spawn_blocking(move || index.apply(changes, watermark)).await;
        match applied {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(Problem::new(&codes::INTERNAL, "the search index failed")),
        }
    }
}

/// What a caller learns when the index fails.
pub fn failed(error: &Error) -> Problem {
    tracing::error!(%error, "the search index failed");
    Problem::new(
        &codes::INTERNAL,
        "the search index failed; the cause is in the server's log",
    )
}

/// Brings the index up to the head of the log, and prices up to now.
pub async fn catch_up(app: &App, now: Timestamp) -> Result<(), Problem> {
    let search = &app.search;
    let arrived = search.looks.load(Ordering::Acquire);
    let mut turn = search.turn.lock().await;
    if turn.looked > arrived {
        return Ok(()); // somebody looked who began after this search had arrived
    }
    let look = search.looks.fetch_add(1, Ordering::AcqRel) + 1;
    let mut tx = app.db.read().await?;
    if search.position() == Position::default() {
        let head = events::head(&mut tx).await?;
        rebuild(search, &mut tx, head, now).await?;
        turn.log = None;
    }
    let mut log = turn
        .log
        .take()
        .unwrap_or_else(|| Eager::new(search.position()));
    loop {
        let events = log.next(&mut tx).await?;
        if events.is_empty() {
            break;
        }
        turn.reprice_known = false;
        let changed: BTreeSet<String> = events.iter().filter_map(changed_product).collect();
        let changes = changes(&mut tx, changed.into_iter().collect(), now).await?;
        search.apply(changes, log.position()).await?;
    }
    // Kept only now: a caller that left in between makes the next one read these events again.
    turn.log = Some(log);
    while !turn.reprice_known || turn.reprice_at.is_some_and(|at| at <= now) {
        let due = search
            .index
            .reprice_due(now.micros(), CHUNK)
            .map_err(|error| failed(&error))?;
        let stale = changes(&mut tx, due.product_ids, now).await?;
        turn.reprice_known = stale.is_empty();
        turn.reprice_at = due.next_micros.map(Timestamp::from_micros);
        if !stale.is_empty() {
            search.apply(stale, search.position()).await?;
        } else if turn.reprice_at.is_some_and(|at| at <= now) {
            break; // nothing more to do about it now; asked again at the next search
        }
    }
    turn.looked = look;
    Ok(())
}

/// Indexes everything there is; what changes meanwhile is read from the log afterwards.
async fn rebuild(
    search: &Search,
    tx: &mut Tx,
    head: Position,
    now: Timestamp,
) -> Result<(), Problem> {
    let mut after = String::new();
    loop {
        let ids = store::ids_after(tx, &after, CHUNK as i64).await?;
        let Some(last) = ids.last().cloned() else {
            break;
        };
        let changes = changes(tx, ids, now).await?;
        search.apply(changes, Position::default()).await?;
        after = last;
    }
    search.apply(Vec::new(), head).await
}

fn changed_product(event: &Event) -> Option<String> {
    (event.object_type == "product").then(|| event.object_id.clone())
}

/// What became of `ids`: those that are not live any more are deleted.
async fn changes(tx: &mut Tx, ids: Vec<String>, now: Timestamp) -> Result<Vec<Change>, DbError> {
    let mut changes = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let known: Vec<ProductId> = ids.iter().filter_map(|id| ProductId::parse(id)).collect();
        let products = products::store::load(tx, &known, &Asked::plain(now)).await?;
        let sold: HashMap<String, i64> = store::sales(tx, ids).await?.into_iter().collect();
        let mut gone: BTreeSet<&String> = ids.iter().collect();
        for product in products {
            let id = product.id.as_str().to_owned();
            let units = sold.get(&id).copied().unwrap_or(0);
            gone.remove(&id);
            changes.push(Change::Upsert(Box::new(document(product, units, now)?)));
        }
        changes.extend(gone.into_iter().cloned().map(Change::Delete));
    }
    Ok(changes)
}

fn document(product: Product, units: i64, now: Timestamp) -> Result<ProductDoc, DbError> {
    let rows: Vec<Vec<Price>> = product
        .variants
        .iter()
        .map(|variant| variant.prices.iter().map(Price::from).collect())
        .collect();
    let mut prices_minor: BTreeMap<String, i64> = BTreeMap::new();
    let mut reprice_at_micros: Option<i64> = None;
    for rows in &rows {
        let currencies: BTreeSet<_> = rows.iter().map(|price| price.currency).collect();
        for currency in currencies {
            if let Some(price) = pricing::resolve(rows, currency, None, 1, now.micros()) {
                let lowest = prices_minor
                    .entry(currency.as_str().to_owned())
                    .or_insert(price.amount);
                *lowest = (*lowest).min(price.amount);
            }
        }
        let next = pricing::next_boundary(rows, now.micros());
        reprice_at_micros = [reprice_at_micros, next].into_iter().flatten().min();
    }
    let attributes = product.attributes.read()?.0;
    Ok(ProductDoc {
        product_id: product.id.as_str().to_owned(),
        title: product.title,
        description: product.description,
        slug: product.slug,
        status: product.status.as_str().to_owned(),
        product_type: product.kind,
        vendor: product.vendor,
        brand: product.brand,
        categories: product.categories.read()?,
        tags: product.tags.read()?,
        skus: product
            .variants
            .iter()
            .filter_map(|variant| variant.sku.clone())
            .collect(),
        barcodes: product
            .variants
            .iter()
            .filter_map(|variant| variant.barcode.clone())
            .collect(),
        external_id: product.external_id,
        attributes: attributes
            .into_iter()
            .filter_map(|(key, value)| Some((key, attribute(&value)?)))
            .collect(),
        prices_minor,
        reprice_at_micros,
        created_at_micros: product.created_at.micros(),
        sold_count: u64::try_from(units).unwrap_or(0),
    })
}

/// A list of texts is found by each of them as words of one text.
fn attribute(value: &Value) -> Option<AttributeValue> {
    match value {
        Value::String(text) => Some(AttributeValue::Text(text.clone())),
        Value::Bool(value) => Some(AttributeValue::Bool(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(AttributeValue::Integer(integer)),
            None => number.as_f64().map(AttributeValue::Decimal),
        },
        Value::Array(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Some(AttributeValue::Text(texts.join(", ")))
        }
        _ => None,
    }
}

/// Brings the set of products in stock up to the head of the log.
pub async fn follow_stock(app: &App) -> Result<(), Problem> {
    let search = &app.search;
    let mut turn = search.turn.lock().await;
    let mut tx = app.db.read().await?;
    let Some(mut log) = turn.stock.take() else {
        let head = events::head(&mut tx).await?;
        let mut keys = HashSet::new();
        store::all_in_stock(&mut tx, |id| {
            keys.insert(product_key(id));
        })
        .await?;
        *search
            .in_stock
            .write()
            .unwrap_or_else(PoisonError::into_inner) = keys;
        turn.stock = Some(Eager::new(head));
        return Ok(());
    };
    loop {
        let events = log.next(&mut tx).await?;
        if events.is_empty() {
            break;
        }
        let touched = touched_products(&mut tx, &events).await?;
        for touched in touched.chunks(CHUNK) {
            let stocked = store::in_stock(&mut tx, touched).await?;
            let stocked: HashSet<String> = stocked.into_iter().collect();
            let mut keys = search
                .in_stock
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            for id in touched {
                match stocked.contains(id) {
                    true => keys.insert(product_key(id)),
                    false => keys.remove(&product_key(id)),
                };
            }
        }
    }
    turn.stock = Some(log);
    Ok(())
}

/// Products whose stock may have changed with `events`.
async fn touched_products(tx: &mut Tx, events: &[Event]) -> Result<Vec<String>, DbError> {
    let mut products: BTreeSet<String> = events.iter().filter_map(changed_product).collect();
    for event in events.iter().filter(|event| event.object_type == "variant") {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        products.extend(data["product_id"].as_str().map(str::to_owned));
    }
    let orders = order_ids(events, |kind| kind.starts_with("order."));
    products.extend(store::of_orders(tx, &orders).await?);
    Ok(products.into_iter().collect())
}

fn order_ids(events: &[Event], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let of_orders = events
        .iter()
        .filter(|event| event.object_type == "order" && wanted(&event.kind));
    of_orders.map(|event| event.object_id.clone()).collect()
}

/// Takes changed sales over into the index, at most once a minute.
pub async fn take_sales(app: &App, now: Timestamp) -> Result<(), Problem> {
    let search = &app.search;
    let mut turn = search.turn.lock().await;
    let since = match turn.sales {
        Some((_, taken)) if taken + SALES_EVERY > now => return Ok(()),
        Some((since, _)) => since,
        None => Timestamp::from_micros(0),
    };
    let mut tx = app.db.read().await?;
    let mut since = since;
    loop {
        let sold = store::sold_since(&mut tx, since, CHUNK as i64).await?;
        let last = sold.last().map(|(_, at)| *at);
        let full = sold.len() == CHUNK;
        let changes = changes(&mut tx, sold.into_iter().map(|(id, _)| id).collect(), now).await?;
        search.apply(changes, search.position()).await?;
        // All of one instant are read again with the next chunk unless the chunk was the last.
        match last {
            Some(at) if full && at > since => since = at,
            Some(at) => {
                since = at;
                break;
            }
            None => break,
        }
    }
    turn.sales = Some((since, now));
    Ok(())
}

/// Counts the units that were sold since the last time, exactly once; returns how many events it read.
pub async fn follow_sales(app: &App) -> Result<usize, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.read().await?;
    let from = events::watermark(&mut tx, SALES_FOLLOWER).await?;
    let events = events::after(&mut tx, from).await?;
    let Some(last) = events.last().map(|event| event.position) else {
        return Ok(0);
    };
    drop(tx);
    let count = events.len();
    let placed = order_ids(&events, |kind| {
        kind == "order.placed" || kind == "order.imported"
    });
    let cancelled = order_ids(&events, |kind| kind == "order.cancelled");
    app.db
        .write(async move |tx| {
            // Another worker may have been faster: then its watermark stands and this does nothing.
            if events::watermark(tx, SALES_FOLLOWER).await? != from {
                return Ok::<_, DbError>(());
            }
            events::set_watermark(tx, SALES_FOLLOWER, last).await?;
            store::add_sales(tx, &placed, 1, now).await?;
            store::add_sales(tx, &cancelled, -1, now).await
        })
        .await?;
    Ok(count)
}

/// Follows sales until `stop` is ready.
pub async fn run(app: App, mut stop: impl Future<Output = ()> + Unpin) {
    loop {
        match follow_sales(&app).await {
            Ok(read) if read > 0 => continue,
            Ok(_) => {}
            Err(problem) => {
                tracing::error!(
                    code = problem.code().code,
                    "sales could not be counted; tried again"
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SALES_PAUSE) => {}
            () = &mut stop => return,
        }
    }
}
