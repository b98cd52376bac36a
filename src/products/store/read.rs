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
use std::time::Duration;

const COLUMNS: &str = "id, title, slug, description, status, type, vendor, brand, categories, tags, options, \
    tax_category, images, seo, attributes, external_id, metadata, version, created_at, updated_at, archived_at";

/// How far back the history of prices is read: the 30 days before a reduction that began up to a year
/// ago.
const HISTORY: Duration = Duration::from_secs(395 * 24 * 60 * 60);

fn product(row: &Row<'_>) -> Result<Product, DbError> {
    Ok(Product {
        id: row.get(0)?,
        title: row.get(1)?,
        slug: row.get(2)?,
        description: row.get(3)?,
        status: ProductStatus::from_stored(row.get(4)?),
        kind: row.get(5)?,
        vendor: row.get(6)?,
        brand: row.get(7)?,
        categories: row.get(8)?,
        tags: row.get(9)?,
        options: row.get(10)?,
        variants: Vec::with_capacity(1),
        sku: None,
        price: None,
        lowest_price_30d: None,
        tax_category: row.get(11)?,
        inventory: Inventory::default(),
        images: row.get(12)?,
        seo: Stored::optional(row, 13)?,
        attributes: row.get(14)?,
        external_id: row.get(15)?,
        metadata: row.get(16)?,
        version: row.get(17)?,
        created_at: row.get(18)?,
        updated_at: row.get(19)?,
        archived_at: row.get(20)?,
    })
}

/// The live product `id`. Two statements.
pub async fn find(tx: &mut Tx, id: &str, asked: &Asked) -> Result<Option<Product>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM products WHERE id = $1 AND deleted_at IS NULL");
    let found = tx.fetch_optional(&sql, &[Param::Text(id)], product).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let mut products = [found];
    fill(tx, &mut products, asked).await?;
    let [found] = products;
    Ok(Some(found))
}

/// One more than the page holds, in the order asked for. Two statements.
pub async fn list(
    tx: &mut Tx,
    query: &ListProducts,
    page: &Page,
    asked: &Asked,
) -> Result<Vec<Product>, DbError> {
    let at = asked.at.micros();
    let mut products = list_select(query, page, at).fetch_all(tx, product).await?;
    // The row beyond the page only says that there is one.
    let shown = products
        .len()
        .min(usize::try_from(page.limit).unwrap_or(usize::MAX));
    fill(tx, &mut products[..shown], asked).await?;
    Ok(products)
}

/// How many products the filters of `query` let through.
pub async fn count(tx: &mut Tx, query: &ListProducts, at_micros: i64) -> Result<i64, DbError> {
    let mut select = Select::new("SELECT COUNT(*) FROM products WHERE deleted_at IS NULL");
    filter(&mut select, query, at_micros);
    tx.fetch_one(select.sql(), select.params(), |row| row.get(0))
        .await
}

/// The statement behind [`list`].
pub fn list_select<'a>(query: &'a ListProducts, page: &'a Page, at_micros: i64) -> Select<'a> {
    let mut select = Select::new(&format!(
        "SELECT {COLUMNS} FROM products WHERE deleted_at IS NULL"
    ));
    filter(&mut select, query, at_micros);
    let sort = query.sort.unwrap_or_default();
    let column = sort.column();
    let (compare, direction) = if sort.is_descending() {
        ("<", " DESC")
    } else {
        (">", "")
    };
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
        .bind(
            "LIMIT {} OFFSET {}",
            &[Param::Int(page.fetch()), Param::Int(page.offset)],
        );
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

/// Where a row of [`fill`]'s statement comes from.
const VARIANT: i64 = 0;
const STOCK: i64 = 1;
const PRICE: i64 = 2;

/// Variants, stock, prices and gone prices of some products, in one statement. Four parts under each
/// other rather than a join: joined, each price would repeat for each location. The first part's
/// casts tell PostgreSQL the types of columns that it leaves empty. Written without line breaks: the
/// text is what prepared statements are found by, at every read.
fn below_sql(count: usize) -> String {
    let ids = placeholders(2, count);
    format!(
        "SELECT CAST(0 AS BIGINT), v.product_id, v.id, v.title, v.sku, v.barcode, v.dimensions_mm, v.option_values, \
        v.tax_category, v.metadata, v.position, v.weight_grams, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), \
        CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), v.track_inventory, v.allow_backorder \
        FROM variants v WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL \
        UNION ALL SELECT 1, v.product_id, v.id, s.location_id, NULL, NULL, NULL, NULL, NULL, NULL, \
        s.on_hand, s.allocated, NULL, NULL, NULL, NULL, NULL, NULL \
        FROM variants v JOIN stock s ON s.variant_id = v.id WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL \
        UNION ALL SELECT 2, v.product_id, v.id, r.id, r.currency, r.price_group, NULL, NULL, NULL, NULL, \
        r.amount, r.compare_at_amount, r.min_quantity, r.starts_at, r.ends_at, r.created_at, NULL, NULL \
        FROM variants v JOIN prices r ON r.variant_id = v.id WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL \
        UNION ALL SELECT 3, v.product_id, v.id, NULL, h.currency, NULL, NULL, NULL, NULL, NULL, \
        h.amount, NULL, NULL, h.starts_at, h.ends_at, NULL, NULL, NULL \
        FROM variants v JOIN price_history h ON h.variant_id = v.id AND h.ends_at > $1 \
        WHERE v.product_id IN ({ids}) AND v.deleted_at IS NULL AND h.price_group IS NULL AND h.min_quantity = 1"
    )
}

/// [`below_sql`] for one product.
static BELOW_ONE: LazyLock<String> = LazyLock::new(|| below_sql(1));

/// What lies below one variant until all rows have been read: they may come in any order.
#[derive(Default)]
struct Below {
    product: usize,
    variant: Option<Variant>,
    levels: Vec<LocationLevel>,
    priced: Priced,
}

async fn fill(tx: &mut Tx, products: &mut [Product], asked: &Asked) -> Result<(), DbError> {
    if products.is_empty() {
        return Ok(());
    }
    let index_of: HashMap<&str, usize> = products
        .iter()
        .enumerate()
        .map(|(index, product)| (product.id.as_str(), index))
        .collect();
    let mut below: HashMap<String, Below> = HashMap::with_capacity(products.len());
    let since = asked.at - HISTORY;
    let mut params = Vec::with_capacity(products.len() + 1);
    params.push(Param::Int(since.micros()));
    params.extend(
        products
            .iter()
            .map(|product| Param::Text(product.id.as_str())),
    );
    let sql = match products.len() {
        1 => Cow::Borrowed(BELOW_ONE.as_str()),
        count => Cow::Owned(below_sql(count)),
    };
    // Each row adds to `below`; the vector that comes back holds nothing.
    tx.fetch_all(&sql, &params, |row| {
        let id: &str = row.get(2)?;
        if !below.contains_key(id) {
            let product = index_of
                .get(row.get::<&str>(1)?)
                .copied()
                .unwrap_or_default();
            below.insert(
                id.to_owned(),
                Below {
                    product,
                    ..Below::default()
                },
            );
        }
        match below.get_mut(id) {
            Some(below) => below.take(row),
            None => Ok(()),
        }
    })
    .await?;
    let mut below: Vec<Below> = below.into_values().collect();
    below.sort_by_key(|below| {
        (
            below.product,
            below.variant.as_ref().map(|variant| variant.position),
        )
    });
    for part in below.chunk_by_mut(|a, b| a.product == b.product) {
        let product = &mut products[part[0].product];
        dress(product, part, asked);
    }
    Ok(())
}

impl Below {
    fn take(&mut self, row: &Row<'_>) -> Result<(), DbError> {
        match row.get::<i64>(0)? {
            VARIANT => self.variant = Some(variant(row)?),
            STOCK => {
                let (on_hand, allocated) = (row.get(10)?, row.get(11)?);
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
                    .push(price(row, [3, 4, 10, 11, 12, 5, 13, 14])?);
                self.priced.made_micros.push(row.get(15)?);
            }
            _ => self.priced.gone.push(Span {
                currency: currency(row, 4)?,
                amount: row.get(10)?,
                from_micros: row.get(13)?,
                until_micros: row.get(14)?,
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
        weight_grams: row.get(11)?,
        dimensions_mm: Stored::optional(row, 6)?,
        option_values: row.get(7)?,
        prices: Vec::new(),
        price: None,
        lowest_price_30d: None,
        inventory: Inventory::default(),
        tax_category: row.get(8)?,
        track_inventory: row.get(16)?,
        allow_backorder: row.get(17)?,
        metadata: row.get(9)?,
        position: row.get(10)?,
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

/// The live products among `ids`, in no particular order. Two statements.
pub async fn fill_all(tx: &mut Tx, ids: &[String], asked: &Asked) -> Result<Vec<Product>, DbError> {
    let mut select = Select::new(&format!(
        "SELECT {COLUMNS} FROM products WHERE deleted_at IS NULL"
    ));
    let ids: Vec<Param<'_>> = ids.iter().map(|id| Param::Text(id)).collect();
    select.and_in("id", &ids);
    let mut products = select.fetch_all(tx, product).await?;
    fill(tx, &mut products, asked).await?;
    Ok(products)
}
