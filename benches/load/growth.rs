//! Rows by the hundred thousand, written beside the API: what is measured is what a large table does
//! to requests, not how it came about.

use crate::shop::Shop;
use std::path::Path;

/// Rows of one statement: bounds what the write-ahead log must hold.
const CHUNK: usize = 50_000;

/// `{n}` runs over the numbers of a chunk; each new row is a copy of one product with a new name.
const STATEMENTS: [&str; 4] = [
    "INSERT INTO products (id, title, slug, description, status, type, vendor, categories, tags, options, images, attributes, metadata, created_at, updated_at, version)
     SELECT 'prod_grown' || n, title || ' ' || n, 'grown-' || n, description, status, type, vendor, categories, tags, options, images, attributes, metadata, created_at + 1000000 + n, updated_at + 1000000 + n, 1",
    "INSERT INTO variants (id, product_id, position, sku, option_values, track_inventory, allow_backorder, metadata, created_at, updated_at)
     SELECT 'var_grown' || n, 'prod_grown' || n, position, 'GROWN-' || n, option_values, track_inventory, allow_backorder, metadata, created_at, updated_at",
    "INSERT INTO prices (id, variant_id, currency, amount, min_quantity, created_at)
     SELECT 'price_grown' || n, 'var_grown' || n, currency, amount, min_quantity, created_at",
    "INSERT INTO stock (variant_id, location_id, on_hand, allocated)
     SELECT 'var_grown' || n, location_id, 1000000000, 0",
];
const SOURCES: [(&str, &str); 4] = [
    ("products", "id"),
    ("variants", "product_id"),
    ("prices", "variant_id"),
    ("stock", "variant_id"),
];

/// Adds products until there are `wanted`; how many were added.
pub async fn grow(dir: &Path, url: Option<&str>, shop: &Shop, wanted: usize) -> usize {
    let added = wanted.saturating_sub(shop.products.len());
    let (product, variant) = (&shop.products[0], &shop.variants[0]);
    let statements = (0..added).step_by(CHUNK).flat_map(|first| {
        let last = (first + CHUNK).min(added) - 1;
        STATEMENTS.iter().zip(SOURCES).map(move |(insert, (table, column))| {
            let id = if column == "variant_id" { variant } else { product };
            format!("WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) {insert} FROM {table}, numbers WHERE {table}.{column} = '{id}'")
        })
    });
    let statements: Vec<String> = statements
        .map(with_first)
        .chain(["ANALYZE".to_owned()])
        .collect();
    match url {
        None => {
            let connection =
                rusqlite::Connection::open(dir.join("tradepost.db")).expect("the database");
            connection
                .busy_timeout(std::time::Duration::from_secs(30))
                .expect("a timeout");
            for statement in statements {
                connection.execute_batch(&statement).expect("rows");
            }
        }
        Some(url) => {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                .await
                .expect("connects");
            tokio::spawn(connection);
            for statement in statements {
                client.batch_execute(&statement).await.expect("rows");
            }
        }
    }
    added
}

/// Tells PostgreSQL how large its tables have become.
pub async fn analyze(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("connects");
    tokio::spawn(connection);
    client.batch_execute("ANALYZE").await.expect("statistics");
}

/// PostgreSQL wants `WITH` after `INSERT INTO …`, SQLite takes it in both places.
fn with_first(statement: String) -> String {
    let insert = statement.find("INSERT").expect("an insert");
    let select = statement.find("SELECT '").expect("a select");
    format!(
        "{}{}{}",
        &statement[insert..select],
        &statement[..insert],
        &statement[select..]
    )
}
