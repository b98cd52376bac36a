//! Reading products: one statement for the rows, one for everything below them.

use super::{currency, price};
use crate::money::Currency;
use crate::products::api::{ListProducts, Sort};
use crate::products::pricing::Span;
use crate::products::product::*;
use platform::clock::Timestamp;
use platform::db::{DbError, Param, Row, Select, Tx, placeholders};
use platform::http::Page;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

fn product(row: &Row<'_>) -> Result<Product, DbError> {
    Ok(Product {
        id: row.get(1)?,
        title: row.get(3)?,
        slug: row.get(4)?,
        description: row.get(5)?,
        status: ProductStatus::from_stored(row.get(6)?),
        kind: row.get(7)?,
        vendor: row.get(8)?,
        brand: row.get(9)?,
        categories: row.get(10)?,
        tags: row.get(11)?,
        options: row.get(12)?,
        variants: Vec::with_capacity(1),
        sku: None,
        price: None,
        lowest_price_30d: None,
        tax_category: row.get(13)?,
        inventory: Inventory::default(),
        images: row.get(14)?,
        seo: Stored::optional(row, 15)?,
        attributes: row.get(16)?,
        external_id: row.get(17)?,
        metadata: row.get(18)?,
        version: row.get(19)?,
        created_at: row.get(20)?,
        updated_at: row.get(21)?,
        archived_at: row.get(22)?,
        fresh_until_micros: i64::MAX,
    })
}

/// The live product `id`. One statement.
pub async fn find(tx: &mut Tx, id: &str, asked: &Asked) -> Result<Option<Product>, DbError> {
    match ProductId::parse(id) {
        Some(id) => Ok(load(tx, &[id], asked).await?.pop()),
        None => Ok(None),
    }
}

/// What tells whether a text of a product still holds, and what changes too often to be part of it.
#[derive(Debug)]
pub struct Head {
    pub id: ProductId,
    pub version: i64,
    /// The value that the list is sorted by; empty outside of lists.
    pub sort_key: String,
    pub levels: Vec<Level>,
}

/// How many units of a variant there are.
#[derive(Debug)]
pub struct Level {
    pub variant_id: String,
    pub on_hand: i64,
    pub allocated: i64,
}

const HEAD_COLUMNS: &str = "v.id, s.on_hand, s.allocated, p.id, p.version";
const WITH_LEVELS: &str = "LEFT JOIN variants v ON v.product_id = p.id AND v.deleted_at IS NULL LEFT JOIN stock s ON s.variant_id = v.id";

/// Adds a row of a head: there is one for each level, those of one product together.
fn add_head(heads: &mut Vec<Head>, row: &Row<'_>, sort_key: String) -> Result<(), DbError> {
    let id: &str = row.get(3)?;
    if heads.last().is_none_or(|last| last.id.as_str() != id) {
        heads.push(Head {
            id: row.get(3)?,
            version: row.get(4)?,
            sort_key,
            levels: Vec::new(),
        });
    }
    if let (Some(head), Some(on_hand)) = (heads.last_mut(), row.get::<Option<i64>>(1)?) {
        head.levels.push(Level {
            variant_id: row.get(0)?,
            on_hand,
            allocated: row.get(2)?,
        });
    }
    Ok(())
}

/// One more than the page holds, in the order asked for. One statement.
pub async fn list(
    tx: &mut Tx,
    query: &ListProducts,
    page: &Page,
    at: Timestamp,
) -> Result<Vec<Head>, DbError> {
    let sort = query.sort.unwrap_or_default();
    let (column, direction) = (sort.column(), direction(sort));
    let by_text = matches!(sort, Sort::Title | Sort::TitleDown);
    let inner = list_select(query, page, at.micros());
    let products = match page.offset {
        0 => format!("({}) p", inner.sql()),
        _ => format!("({}) page JOIN products p ON p.id = page.id", inner.sql()),
    };
    let sql = format!(
        "SELECT {HEAD_COLUMNS}, p.{column} FROM {products} {WITH_LEVELS} ORDER BY p.{column}{direction}, p.id{direction}"
    );
    let mut heads = Vec::new();
    tx.for_each(&sql, inner.params(), |row| {
        let sort_key = match by_text {
            true => row.get(5)?,
            false => row.get::<i64>(5)?.to_string(),
        };
        add_head(&mut heads, row, sort_key)
    })
    .await?;
    Ok(heads)
}

/// The live ones among `ids`, by id. One statement.
pub async fn heads_of(tx: &mut Tx, ids: &[ProductId]) -> Result<Vec<Head>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {HEAD_COLUMNS} FROM products p {WITH_LEVELS} WHERE p.id IN ({}) AND p.deleted_at IS NULL ORDER BY p.id",
        placeholders(1, ids.len())
    );
    let ids: Vec<Param<'_>> = ids.iter().map(|id| Param::Text(id.as_str())).collect();
    let mut heads = Vec::new();
    tx.for_each(&sql, &ids, |row| add_head(&mut heads, row, String::new()))
        .await?;
    Ok(heads)
}

fn direction(sort: Sort) -> &'static str {
    if sort.is_descending() { " DESC" } else { "" }
}

/// How many products the filters of `query` let through.
pub async fn count(tx: &mut Tx, query: &ListProducts, at_micros: i64) -> Result<i64, DbError> {
    let mut select = Select::new("SELECT COUNT(*) FROM products WHERE deleted_at IS NULL");
    filter(&mut select, query, at_micros);
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

/// The page of [`list`]: which products, in which order. Where rows are skipped it takes no more than the index of the
/// order holds, so that what is only skipped is not looked at.
pub fn list_select<'a>(query: &'a ListProducts, page: &'a Page, at_micros: i64) -> Select<'a> {
    let sort = query.sort.unwrap_or_default();
    let (column, direction) = (sort.column(), direction(sort));
    let compare = if sort.is_descending() { "<" } else { ">" };
    let columns = match page.offset {
        0 => format!("id, version, {column}"),
        _ => "id".to_owned(),
    };
    let mut select = Select::new(&format!(
        "SELECT {columns} FROM products WHERE deleted_at IS NULL"
    ));
    filter(&mut select, query, at_micros);
    let key = match sort {
        Sort::Title | Sort::TitleDown => page.after.as_deref().and_then(|after| match after {
            [title, id] => Some([Param::Text(title), Param::Text(id)]),
            _ => None,
        }),
        _ => page
            .after_time_and_id()
            .map(|(time, id)| [Param::Int(time), Param::Text(id)]),
    };
    if let Some(key) = key {
        select
            .push("AND")
            .bind(&format!("({column}, id) {compare} ({{}}, {{}})"), &key);
    }
    select
        .push(&format!("ORDER BY {column}{direction}, id{direction}"))
        .window(page.fetch(), page.offset);
    select
}

fn filter<'a>(select: &mut Select<'a>, query: &'a ListProducts, at_micros: i64) {
    let text = |value: &'a Option<String>| value.as_deref().map(Param::Text);
    let time = |value: Option<Timestamp>| value.map(|at| Param::Int(at.micros()));
    select
        .and_some(
            "status = {}",
            query.status.map(|status| Param::Text(status.as_str())),
        )
        .and_some("type = {}", text(&query.kind))
        .and_some("vendor = {}", text(&query.vendor))
        .and_some("external_id = {}", text(&query.external_id))
        .and_some(
            "id IN (SELECT product_id FROM product_labels WHERE kind = 'category' AND label = {})",
            text(&query.category),
        )
        .and_some(
            "id IN (SELECT product_id FROM product_labels WHERE kind = 'tag' AND label = {})",
            text(&query.tag),
        )
        .and_some(
            "id IN (SELECT product_id FROM variants WHERE sku = {} AND deleted_at IS NULL)",
            text(&query.sku),
        )
        .and_some("created_at > {}", time(query.created_after))
        .and_some("created_at < {}", time(query.created_before))
        .and_some("updated_at > {}", time(query.updated_after));
    if let Some(ids) = &query.ids {
        let ids: Vec<Param<'_>> = ids.iter().map(|id| Param::Text(id)).collect();
        select.and_in("id", &ids);
    }
    if let Some(in_stock) = query.in_stock {
        select
            .push(if in_stock {
                "AND EXISTS"
            } else {
                "AND NOT EXISTS"
            })
            .push(
                "(SELECT 1 FROM variants v JOIN stock s ON s.variant_id = v.id
              WHERE v.product_id = products.id AND v.deleted_at IS NULL
              AND (NOT v.track_inventory OR v.allow_backorder OR s.on_hand > s.allocated))",
            );
    }
    if let (Some(currency), true) = (
        &query.priced.currency,
        query.min_price.or(query.max_price).is_some(),
    ) {
        let mut bound = |exists: &str, condition: &str, amount: i64| {
            select.push(exists).bind(
                &format!(
                    "(SELECT 1 FROM variants v JOIN prices r ON r.variant_id = v.id
                      WHERE v.product_id = products.id AND v.deleted_at IS NULL AND r.currency = {{}}
                      AND r.price_group IS NULL AND r.min_quantity = 1
                      AND (r.starts_at IS NULL OR r.starts_at <= {{}}) AND (r.ends_at IS NULL OR r.ends_at > {{}})
                      AND r.amount {condition} {{}})"
                ),
                &[Param::Text(currency.as_str()), Param::Int(at_micros), Param::Int(at_micros), Param::Int(amount)],
            );
        };
        // The lowest price decides, as it is the one that is shown.
        bound("AND EXISTS", "<=", query.max_price.unwrap_or(i64::MAX));
        if let Some(min) = query.min_price {
            bound("AND NOT EXISTS", "<", min);
        }
    }
}

/// Where a row of [`load`]'s statement comes from.
const PRODUCT: i64 = 0;
const VARIANT: i64 = 1;
const STOCK: i64 = 2;
const PRICE: i64 = 3;

/// Some products with their variants, stock, prices and gone prices, in one statement. Five parts under
/// each other rather than a join: joined, each price would repeat for each location. Columns 1 and 2 are the
/// product's and the variant's id, up to 18 texts, up to 24 integers, then two truths; the first part's casts
/// tell PostgreSQL the types of what it leaves empty. Written without line breaks: the text is what
/// prepared statements are found by, at every read.
fn load_sql(count: usize) -> String {
    let ids = placeholders(2, count);
    let nulls = |count: usize| vec!["NULL"; count].join(", ");
    let (n2, n4, n5, n6) = (nulls(2), nulls(4), nulls(5), nulls(6));
    let (n9, n13, n14, n15) = (nulls(9), nulls(13), nulls(14), nulls(15));
    format!(
        "SELECT CAST(0 AS BIGINT), p.id, CAST(NULL AS TEXT), p.title, p.slug, p.description, p.status, p.type, p.vendor, \
        p.brand, p.categories, p.tags, p.options, p.tax_category, p.images, p.seo, p.attributes, p.external_id, \
        p.metadata, p.version, p.created_at, p.updated_at, p.archived_at, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), \
        CAST(NULL AS BOOLEAN), CAST(NULL AS BOOLEAN) FROM products p WHERE p.id IN ({ids}) AND p.deleted_at IS NULL \
        UNION ALL SELECT 1, v.product_id, v.id, v.title, v.sku, v.barcode, v.dimensions_mm, v.option_values, \
        v.tax_category, v.metadata, {n9}, v.position, v.weight_grams, {n4}, v.track_inventory, v.allow_backorder \
        FROM variants v WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL \
        UNION ALL SELECT 2, v.product_id, v.id, s.location_id, {n15}, s.on_hand, s.allocated, {n6} \
        FROM variants v JOIN stock s ON s.variant_id = v.id WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL \
        UNION ALL SELECT 3, v.product_id, v.id, r.id, r.currency, r.price_group, {n13}, r.amount, r.compare_at_amount, \
        r.min_quantity, r.starts_at, r.ends_at, r.created_at, {n2} \
        FROM variants v JOIN prices r ON r.variant_id = v.id WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL \
        UNION ALL SELECT 4, v.product_id, v.id, NULL, h.currency, {n14}, h.amount, h.starts_at, h.ends_at, {n5} \
        FROM variants v JOIN price_history h ON h.variant_id = v.id AND h.ends_at > $1 \
        WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL AND h.price_group IS NULL AND h.min_quantity = 1"
    )
}

/// [`load_sql`] for one product.
static LOAD_ONE: LazyLock<String> = LazyLock::new(|| load_sql(1));

/// What lies below one variant until all rows have been read: they may come in any order.
struct Below {
    product: String,
    variant: Option<Variant>,
    levels: Vec<LocationLevel>,
    priced: Priced,
}

/// The live products among `ids`, whole, in no particular order. One statement.
pub async fn load(tx: &mut Tx, ids: &[ProductId], asked: &Asked) -> Result<Vec<Product>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let since = asked.at.micros().saturating_sub(HISTORY_MICROS);
    let mut params = Vec::with_capacity(ids.len() + 1);
    params.push(Param::Int(since));
    params.extend(ids.iter().map(|id| Param::Text(id.as_str())));
    let sql = match ids.len() {
        1 => Cow::Borrowed(LOAD_ONE.as_str()),
        count => Cow::Owned(load_sql(count)),
    };
    // The rows may come in any order.
    let mut products: Vec<Product> = Vec::with_capacity(ids.len());
    let mut below: HashMap<String, Below> = HashMap::with_capacity(ids.len());
    tx.for_each(&sql, &params, |row| {
        let kind = row.get::<i64>(0)?;
        if kind == PRODUCT {
            products.push(product(row)?);
            return Ok(());
        }
        let variant: &str = row.get(2)?;
        match below.get_mut(variant) {
            Some(known) => known.take(kind, row),
            None => {
                let mut new = Below::of(row.get(1)?);
                new.take(kind, row)?;
                below.insert(variant.to_owned(), new);
                Ok(())
            }
        }
    })
    .await?;
    let mut below: Vec<Below> = below.into_values().collect();
    below.sort_by(|a, b| (&a.product, a.position()).cmp(&(&b.product, b.position())));
    products.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    for parts in below.chunk_by_mut(|a, b| a.product == b.product) {
        let owner = products.binary_search_by(|product| product.id.as_str().cmp(&parts[0].product));
        if let Ok(owner) = owner {
            dress(&mut products[owner], parts, asked);
        }
    }
    Ok(products)
}

impl Below {
    fn of(product: &str) -> Below {
        Below {
            product: product.to_owned(),
            variant: None,
            levels: Vec::new(),
            priced: Priced::default(),
        }
    }

    fn position(&self) -> Option<i64> {
        self.variant.as_ref().map(|variant| variant.position)
    }

    fn take(&mut self, kind: i64, row: &Row<'_>) -> Result<(), DbError> {
        match kind {
            VARIANT => self.variant = Some(variant(row)?),
            STOCK => {
                let (on_hand, allocated) = (row.get(19)?, row.get(20)?);
                let available = on_hand - allocated;
                let location_id = row.get(3)?;
                self.levels.push(LocationLevel {
                    location_id,
                    on_hand,
                    allocated,
                    available,
                });
            }
            PRICE => {
                self.priced
                    .rows
                    .push(price(row, [3, 4, 19, 20, 21, 5, 22, 23])?);
                self.priced.made_micros.push(row.get(24)?);
            }
            _ => self.priced.gone.push(Span {
                currency: currency(row, 4)?,
                amount: row.get(19)?,
                from_micros: row.get(20)?,
                until_micros: row.get(21)?,
            }),
        }
        Ok(())
    }
}

fn variant(row: &Row<'_>) -> Result<Variant, DbError> {
    Ok(Variant {
        id: row.get(2)?,
        title: row.get(3)?,
        sku: row.get(4)?,
        barcode: row.get(5)?,
        weight_grams: row.get(20)?,
        dimensions_mm: Stored::optional(row, 6)?,
        option_values: row.get(7)?,
        prices: Vec::new(),
        price: None,
        lowest_price_30d: None,
        inventory: Inventory::default(),
        tax_category: row.get(8)?,
        track_inventory: row.get(25)?,
        allow_backorder: row.get(26)?,
        metadata: row.get(9)?,
        position: row.get(19)?,
    })
}

/// Puts the variants into their product, priced and counted.
fn dress(product: &mut Product, parts: &mut [Below], asked: &Asked) {
    for part in parts.iter_mut() {
        sort_prices(&mut part.priced);
    }
    let oldest = parts
        .iter()
        .flat_map(|part| part.priced.rows.first())
        .min_by(|a, b| a.id.cmp(&b.id));
    let currency: Option<Currency> = asked.currency.or(oldest.map(|price| price.currency));
    for part in parts {
        let Some(mut variant) = part.variant.take() else {
            continue;
        };
        let changes = part.priced.changes_after(asked.at);
        product.fresh_until_micros = product.fresh_until_micros.min(changes);
        if let Some(currency) = currency {
            (variant.price, variant.lowest_price_30d) = part.priced.resolve(currency, asked);
        }
        variant.prices = std::mem::take(&mut part.priced.rows)
            .into_iter()
            .map(PriceRow::from)
            .collect();
        for level in &part.levels {
            variant.inventory.add(level.on_hand, level.allocated);
            product.inventory.add(level.on_hand, level.allocated);
            if asked.by_location {
                variant.inventory.add_at(level);
                product.inventory.add_at(level);
            }
        }
        let is_lower = match (&variant.price, &product.price) {
            (Some(own), Some(lowest)) => own.amount < lowest.amount,
            (own, _) => own.is_some(),
        };
        if is_lower {
            product.price = variant.price.clone();
            product.lowest_price_30d = variant.lowest_price_30d;
        }
        product.variants.push(variant);
    }
    if let [only] = product.variants.as_slice() {
        product.sku = only.sku.clone();
    }
}

/// Oldest first: ids grow with time.
fn sort_prices(priced: &mut Priced) {
    if priced.rows.is_sorted_by(|a, b| a.id <= b.id) {
        return;
    }
    let rows = std::mem::take(&mut priced.rows);
    let made = std::mem::take(&mut priced.made_micros);
    let mut both: Vec<_> = rows.into_iter().zip(made).collect();
    both.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    (priced.rows, priced.made_micros) = both.into_iter().unzip();
}
