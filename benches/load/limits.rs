//! What the machine can do at best: a constant answer over HTTP, and the statements of an order sent
//! raw through the drivers. Every ratio is taken against these, measured in the same run.

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::routing::get;
use std::time::{Duration, Instant};

/// Serves `/{size}`: a constant JSON body of that many bytes. Prints its port and never returns.
pub async fn serve_constant() {
    let handler = async |Path(size): Path<usize>| {
        let body = format!(
            "{{\"constant\":\"{}\"}}",
            "x".repeat(size.saturating_sub(15))
        );
        ([(header::CONTENT_TYPE, "application/json")], body)
    };
    let app = Router::new().route("/{size}", get(handler).post(handler));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    println!("{}", listener.local_addr().expect("an address").port());
    axum::serve(listener, app)
        .await
        .expect("serves until it is killed");
}

/// A bound value of a raw statement.
#[derive(Clone, Debug)]
pub enum Bound {
    Int(i64),
    Text(String),
    Bool(bool),
    Null,
}

impl Bound {
    fn to_sql(&self) -> &(dyn tokio_postgres::types::ToSql + Sync) {
        match self {
            Bound::Int(value) => value,
            Bound::Text(value) => value,
            Bound::Bool(value) => value,
            Bound::Null => &None::<String>,
        }
    }
}

/// The statements of one order of three lines with an idempotency key, as the product sends them.
#[expect(
    clippy::too_many_lines,
    reason = "a list of statements and their values"
)]
pub fn order_statements(turn: i64, variants: &[String]) -> Vec<(String, Vec<Bound>)> {
    let text = |text: &str| Bound::Text(text.to_owned());
    let id = |prefix: &str, part: i64| Bound::Text(format!("{prefix}_raw{turn:012}x{part}"));
    let now = 1_700_000_000_000_000 + turn;
    let mut statements = vec![
        (
            "SELECT fingerprint, expires_at, status, location, etag, content_type, body FROM idempotency_keys WHERE client_id = $1 AND key = $2".to_owned(),
            vec![text("cli_raw"), Bound::Text(format!("k{turn}"))],
        ),
        (
            "SELECT v.id, v.product_id, v.sku, p.title, v.title, p.status, v.track_inventory, v.allow_backorder, r.id, r.currency, r.amount, r.min_quantity
             FROM variants v JOIN products p ON p.id = v.product_id LEFT JOIN prices r ON r.variant_id = v.id
             WHERE v.deleted_at IS NULL AND v.id IN ($1, $2, $3) ORDER BY v.id, r.id".to_owned(),
            variants.iter().map(|v| text(v)).collect(),
        ),
    ];
    for variant in variants {
        let sql = "UPDATE stock SET allocated = allocated + $2 WHERE variant_id = $1 AND location_id = 'loc_default' AND ($3 OR on_hand - allocated >= $2)";
        statements.push((
            sql.to_owned(),
            vec![text(variant), Bound::Int(1), Bound::Bool(false)],
        ));
    }
    let mut movements = Vec::new();
    for (line, variant) in variants.iter().enumerate() {
        movements.extend([
            id("mov", line as i64),
            text(variant),
            text("loc_default"),
            text("allocated"),
            Bound::Int(0),
            Bound::Int(1),
            id("ord", 0),
            Bound::Null,
            text("cli_raw"),
            Bound::Int(now),
        ]);
    }
    statements.push((
        format!("INSERT INTO stock_movements (id, variant_id, location_id, kind, on_hand_delta, allocated_delta, order_id, reason, actor, created_at) VALUES {}", rows(10, 3)),
        movements,
    ));
    statements.push((
        format!("INSERT INTO orders (id, number, document, status, payment_status, fulfillment_status, email, currency, items_total, discount_total, shipping_total, tax_total, tax_included, total, authorized, captured, refunded, tags, metadata, placed_at, expires_at, created_at, updated_at, version) VALUES {}", rows(24, 1)),
        vec![
            id("ord", 0), Bound::Text(format!("raw{turn}")), text("order"), text("pending"), text("unpaid"), text("unfulfilled"),
            text("guest@example.com"), text("USD"), Bound::Int(3000), Bound::Int(0), Bound::Int(0), Bound::Int(0), Bound::Bool(false),
            Bound::Int(3000), Bound::Int(0), Bound::Int(0), Bound::Int(0), text("[]"), text("{}"), Bound::Int(now),
            Bound::Int(now + 3_600_000_000), Bound::Int(now), Bound::Int(now), Bound::Int(1),
        ],
    ));
    let mut items = Vec::new();
    for (line, variant) in variants.iter().enumerate() {
        items.extend([
            id("ord", 0),
            Bound::Int(line as i64),
            id("item", line as i64),
            text(variant),
            text("prod_x"),
            text("SKU"),
            text("A product of some title"),
            Bound::Int(1),
            Bound::Int(1000),
            Bound::Int(1000),
            text("price_x"),
            Bound::Int(0),
            Bound::Int(0),
            Bound::Int(0),
            Bound::Int(1000),
            Bound::Int(1000),
            Bound::Int(1),
            Bound::Int(0),
            Bound::Int(0),
            Bound::Int(0),
            text("{}"),
        ]);
    }
    statements.push((
        format!("INSERT INTO order_items (order_id, position, id, variant_id, product_id, sku, title, quantity, unit_price, list_unit_price, price_id, discount, tax, tax_rate_ppm, subtotal, total, allocated, fulfilled, returned, refunded, metadata) VALUES {}", rows(21, 3)),
        items,
    ));
    statements.push((
        format!("INSERT INTO events (id, kind, object_type, object_id, object_version, actor, data, occurred_at) VALUES {}", rows(8, 1)),
        vec![id("evt", 0), text("order.placed"), text("order"), id("ord", 0), Bound::Int(1), text("cli_raw"), text("{\"number\":\"1001\",\"total\":3000,\"currency\":\"USD\",\"user_id\":null}"), Bound::Int(now)],
    ));
    statements.push((
        format!("INSERT INTO idempotency_keys (client_id, key, fingerprint, expires_at, status, location, etag, content_type, body) VALUES {}", rows(9, 1)),
        vec![text("cli_raw"), Bound::Text(format!("k{turn}")), Bound::Text("f".repeat(64)), Bound::Int(now), Bound::Int(201), text("/v2/orders/ord_x"), text("\"1.abcdef01\""), text("application/json"), Bound::Text("x".repeat(2200))],
    ));
    statements
}

fn rows(columns: usize, rows: usize) -> String {
    let row = |row: usize| {
        let marks: Vec<String> = (1..=columns)
            .map(|column| format!("${}", row * columns + column))
            .collect();
        format!("({})", marks.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Orders per second through rusqlite alone, 32 in each commit, `synchronous = FULL`, for `time`.
pub fn raw_sqlite(
    path: &std::path::Path,
    variants: &[Vec<String>],
    time: Duration,
    first_turn: i64,
) -> f64 {
    let connection = rusqlite::Connection::open(path).expect("the seeded database");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 10000; PRAGMA cache_size = -16384;")
        .expect("pragmas");
    connection.set_prepared_statement_cache_capacity(64);
    let (started, mut turn) = (Instant::now(), first_turn);
    while started.elapsed() < time {
        connection.execute_batch("BEGIN IMMEDIATE").expect("begins");
        for _ in 0..32 {
            raw_sqlite_order(&connection, turn, &variants[turn as usize % variants.len()]);
            turn += 1;
        }
        connection.execute_batch("COMMIT").expect("commits");
    }
    (turn - first_turn) as f64 / started.elapsed().as_secs_f64()
}

fn raw_sqlite_order(connection: &rusqlite::Connection, turn: i64, variants: &[String]) {
    connection
        .prepare_cached(
            "UPDATE sequences SET value = value + 1 WHERE name = 'order_number' RETURNING value",
        )
        .and_then(|mut s| s.query_row([], |row| row.get::<_, i64>(0)))
        .expect("a number");
    for (sql, values) in order_statements(turn, variants) {
        let mut statement = connection
            .prepare_cached(&sql.replace('$', "?"))
            .expect("prepares");
        for (index, value) in values.iter().enumerate() {
            match value {
                Bound::Int(value) => statement.raw_bind_parameter(index + 1, value),
                Bound::Text(value) => statement.raw_bind_parameter(index + 1, value),
                Bound::Bool(value) => statement.raw_bind_parameter(index + 1, value),
                Bound::Null => statement.raw_bind_parameter(index + 1, rusqlite::types::Null),
            }
            .expect("binds");
        }
        let mut rows = statement.raw_query();
        while rows.next().expect("runs").is_some() {}
    }
}

/// Orders per second through tokio-postgres alone: 16 connections, each order pipelined in a transaction.
pub async fn raw_postgres(
    url: &str,
    variants: &[Vec<String>],
    time: Duration,
    first_turn: i64,
) -> f64 {
    let started = Instant::now();
    let turns = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(first_turn));
    let variants = std::sync::Arc::new(variants.to_vec());
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (url, turns, variants) = (url.to_owned(), turns.clone(), variants.clone());
            tokio::spawn(async move {
                let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
                    .await
                    .expect("connects");
                tokio::spawn(connection);
                let mut known = std::collections::HashMap::new();
                let mut done = 0;
                while started.elapsed() < time {
                    let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    raw_postgres_order(
                        &client,
                        &mut known,
                        turn,
                        &variants[turn as usize % variants.len()],
                    )
                    .await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("a connection's task");
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}

async fn raw_postgres_order(
    client: &tokio_postgres::Client,
    known: &mut std::collections::HashMap<String, tokio_postgres::Statement>,
    turn: i64,
    variants: &[String],
) {
    use tokio_postgres::types::ToSql;
    let statements = order_statements(turn, variants);
    for (sql, _) in &statements {
        if !known.contains_key(sql) {
            known.insert(sql.clone(), client.prepare(sql).await.expect("prepares"));
        }
    }
    let begin = client.batch_execute("BEGIN");
    let number = client.query_one("SELECT nextval('order_number')", &[]);
    let bound: Vec<Vec<&(dyn ToSql + Sync)>> = statements
        .iter()
        .map(|(_, values)| values.iter().map(Bound::to_sql).collect())
        .collect();
    let work: Vec<_> = statements
        .iter()
        .zip(&bound)
        .map(|((sql, _), bound)| client.query(&known[sql], bound))
        .collect();
    let all = async {
        for outcome in join_in_order(work).await {
            outcome.expect("a statement");
        }
    };
    // One flight: everything is on the wire before the first answer is awaited.
    let (begun, numbered, (), committed) =
        tokio::join!(begin, number, all, client.batch_execute("COMMIT"));
    begun.and(committed).expect("a transaction");
    numbered.expect("a number");
}

async fn join_in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (slot, future) in done.iter_mut().zip(&mut futures) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
