//! The engine for those who outgrow one machine: pooled connections for transactions, a few shared
//! ones on which short reads of many requests are pipelined.

use super::tx::TxEngine;
use super::{DbError, Param, Row, Tx};
use deadpool::managed::{self, Metrics, Object, Pool, RecycleError, Timeouts};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Connections for transactions: on two cores 16 were faster than 32.
const POOL_MAX: usize = 16;
/// How long a request waits for a connection before it is told that the database is busy.
const POOL_WAIT: Duration = Duration::from_secs(5);
/// Shared connections for short reads.
const READERS: usize = 4;
/// Prepared statements kept per connection; generated ones beyond it are prepared each time.
const STATEMENTS_MAX: usize = 512;
/// Session limits, so that no statement, lock or forgotten transaction holds others up for ever.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '30s'; SET application_name = 'tradepost'; SET jit = off";
/// Short reads want few rows by an index. Where the planner must guess how many (a table that was not analysed yet, a
/// plan for all values) it is told not to read whole tables in order to join them.
const SHORT_READS: &str =
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off";

pub(super) struct Postgres {
    pool: Pool<Connector>,
    connector: Connector,
    readers: [Mutex<Option<Arc<PgConn>>>; READERS],
    next_reader: AtomicUsize,
}

/// A connection and its prepared statements.
pub(super) struct PgConn {
    client: Client,
    statements: RwLock<HashMap<Box<str>, Statement>>,
}

#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: Option<tokio_postgres_rustls::MakeRustlsConnect>,
}

/// The PostgreSQL side of a [`Tx`].
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack of one request"
)]
pub(super) enum PgTx {
    /// Plain reads on a shared connection.
    Shared(Arc<PgConn>),
    /// A transaction on a connection of its own. `open` until it was committed or rolled back.
    Own {
        conn: Option<Object<Connector>>,
        open: bool,
    },
}

impl Postgres {
    pub(super) async fn connect(url: &str) -> Result<Postgres, DbError> {
        let mut config: Config = url.parse().map_err(failed)?;
        config.connect_timeout(Duration::from_secs(5));
        let tls = if wants_tls(&config) {
            Some(tls_connector()?)
        } else {
            None
        };
        let connector = Connector { config, tls };
        let pool = Pool::builder(connector.clone())
            .max_size(POOL_MAX)
            .runtime(deadpool::Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(POOL_WAIT),
                create: Some(POOL_WAIT),
                recycle: None,
            })
            .build()
            .map_err(|e| DbError::Failed(e.into()))?;
        drop(own_connection(&pool).await?); // fail now, with the reason, if it cannot be reached
        let (readers, next_reader) = (Default::default(), AtomicUsize::new(0));
        Ok(Postgres {
            pool,
            connector,
            readers,
            next_reader,
        })
    }

    pub(super) fn writes_waiting(&self) -> usize {
        self.pool.status().waiting
    }

    pub(super) async fn reader(&self) -> Result<Tx, DbError> {
        let index = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        let mut slot = self.readers[index].lock().await;
        let conn = match slot.as_ref() {
            Some(conn) if !conn.client.is_closed() => conn.clone(),
            _ => {
                let conn = self.connector.open().await?;
                let set = conn.client.batch_execute(SHORT_READS).await;
                set.map_err(failed)?;
                slot.insert(Arc::new(conn)).clone()
            }
        };
        Ok(Tx::new(TxEngine::Postgres(PgTx::Shared(conn))))
    }

    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
        E: From<DbError>,
    {
        self.transaction("BEGIN", work).await
    }

    pub(super) async fn snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
        E: From<DbError>,
    {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '10min'";
        self.transaction(begin, work).await
    }

    async fn transaction<T, E, F>(&self, begin: &str, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, E>,
        E: From<DbError>,
    {
        let conn = own_connection(&self.pool).await?;
        let pg = PgTx::Own {
            conn: Some(conn),
            open: true,
        };
        let mut tx = Tx::new(TxEngine::Postgres(pg));
        tx.control(begin).await?;
        let outcome = work(&mut tx).await;
        tx.control(if outcome.is_ok() {
            "COMMIT"
        } else {
            "ROLLBACK"
        })
        .await?;
        if let TxEngine::Postgres(PgTx::Own { open, .. }) = tx.engine() {
            *open = false;
        }
        drop(tx.into_engine());
        outcome
    }
}

impl Drop for PgTx {
    /// A transaction that was neither committed nor rolled back (its request was dropped) must not go
    /// back to the pool: its connection is closed, and the server rolls back.
    fn drop(&mut self) {
        if let PgTx::Own { conn, open: true } = self
            && let Some(conn) = conn.take()
        {
            drop(Object::take(conn));
        }
    }
}

async fn own_connection(pool: &Pool<Connector>) -> Result<Object<Connector>, DbError> {
    pool.get().await.map_err(|error| match error {
        managed::PoolError::Timeout(_) => DbError::Busy("no free connection"),
        managed::PoolError::Backend(error) => error,
        other => DbError::Failed(other.to_string().into()),
    })
}

// ---- statements --------------------------------------------------------------------------------

impl PgTx {
    fn conn(&self) -> Result<&PgConn, DbError> {
        match self {
            PgTx::Shared(conn) => Ok(conn),
            PgTx::Own {
                conn: Some(conn), ..
            } => Ok(conn),
            PgTx::Own { conn: None, .. } => Err(DbError::Busy("the connection is gone")),
        }
    }

    pub(super) async fn execute(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<u64, DbError> {
        let conn = self.conn()?;
        let statement = conn.statement(sql).await?;
        conn.client
            .execute_raw(&statement, bound(params))
            .await
            .map_err(failed)
    }

    pub(super) async fn query(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, DbError> {
        let conn = self.conn()?;
        let statement = conn.statement(sql).await?;
        let params: Vec<&(dyn ToSql + Sync)> = bound(params).collect();
        conn.client.query(&statement, &params).await.map_err(failed)
    }

    pub(super) async fn for_each<F>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut visit: F,
    ) -> Result<(), DbError>
    where
        F: FnMut(&Row<'_>) -> Result<(), DbError>,
    {
        let conn = self.conn()?;
        let statement = conn.statement(sql).await?;
        let rows = conn
            .client
            .query_raw(&statement, bound(params))
            .await
            .map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = next_row(&mut rows).await {
            visit(&Row::Postgres(&row.map_err(failed)?))?;
        }
        Ok(())
    }

    /// Sends all before it reads the first answer: one round trip instead of one each.
    pub(super) async fn execute_each(
        &mut self,
        sql: &str,
        lists: &[Vec<Param<'_>>],
    ) -> Result<Vec<u64>, DbError> {
        let conn = self.conn()?;
        let statement = conn.statement(sql).await?;
        let mut sent = Vec::with_capacity(lists.len());
        for params in lists {
            sent.push(Box::pin(conn.client.execute_raw(&statement, bound(params))));
        }
        // The first poll of each puts it on the wire, in order; then the answers are collected.
        let mut done: Vec<Option<Result<u64, tokio_postgres::Error>>> =
            lists.iter().map(|_| None).collect();
        std::future::poll_fn(|cx| {
            let mut pending = false;
            for (slot, request) in done.iter_mut().zip(&mut sent) {
                if slot.is_none() {
                    match request.as_mut().poll(cx) {
                        std::task::Poll::Ready(answer) => *slot = Some(answer),
                        std::task::Poll::Pending => pending = true,
                    }
                }
            }
            if pending {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(())
            }
        })
        .await;
        done.into_iter()
            .flatten()
            .map(|answer| answer.map_err(failed))
            .collect()
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.conn()?.client.batch_execute(sql).await.map_err(failed)
    }
}

async fn next_row(
    rows: &mut std::pin::Pin<&mut tokio_postgres::RowStream>,
) -> Option<Result<tokio_postgres::Row, tokio_postgres::Error>> {
    std::future::poll_fn(|cx| futures_core::Stream::poll_next(rows.as_mut(), cx)).await
}

fn bound<'p>(
    params: &'p [Param<'p>],
) -> impl ExactSizeIterator<Item = &'p (dyn ToSql + Sync)> + Clone {
    params.iter().map(|param| param as &(dyn ToSql + Sync))
}

impl PgConn {
    async fn statement(&self, sql: &str) -> Result<Statement, DbError> {
        let known = self
            .statements
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sql)
            .cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await.map_err(failed)?;
        let mut statements = self
            .statements
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if statements.len() < STATEMENTS_MAX {
            statements.insert(sql.into(), statement.clone());
        }
        Ok(statement)
    }
}

fn failed(error: tokio_postgres::Error) -> DbError {
    let Some(cause) = error.as_db_error() else {
        return DbError::Failed(error.into());
    };
    let code = cause.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        let name = cause.constraint().unwrap_or_default();
        let key = name.strip_suffix("_key").unwrap_or(name).to_owned();
        return DbError::Unique { key };
    }
    if *code == SqlState::CHECK_VIOLATION || *code == SqlState::FOREIGN_KEY_VIOLATION {
        return DbError::Constraint(cause.message().to_owned());
    }
    let waits = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::TOO_MANY_CONNECTIONS,
    ];
    if waits.contains(code) {
        return DbError::Busy("a lock was not had in time");
    }
    DbError::Failed(error.into())
}

// ---- connecting --------------------------------------------------------------------------------

impl Connector {
    async fn open(&self) -> Result<PgConn, DbError> {
        let client = match &self.tls {
            Some(tls) => {
                let (client, connection) =
                    self.config.connect(tls.clone()).await.map_err(failed)?;
                tokio::spawn(connection);
                client
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                tokio::spawn(connection);
                client
            }
        };
        client.batch_execute(SESSION).await.map_err(failed)?;
        Ok(PgConn {
            client,
            statements: RwLock::default(),
        })
    }
}

impl managed::Manager for Connector {
    type Type = PgConn;
    type Error = DbError;

    async fn create(&self) -> Result<PgConn, DbError> {
        self.open().await
    }

    async fn recycle(&self, conn: &mut PgConn, _: &Metrics) -> managed::RecycleResult<DbError> {
        if conn.client.is_closed() {
            return Err(RecycleError::message("the server closed the connection"));
        }
        Ok(())
    }
}

/// Plain text on this machine, TLS with a verified certificate to any other, as `sslmode` says
/// otherwise (`disable`, `require`).
fn wants_tls(config: &Config) -> bool {
    let local = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    match config.get_ssl_mode() {
        SslMode::Disable => false,
        SslMode::Require => true,
        _ => !local,
    }
}

fn tls_connector() -> Result<tokio_postgres_rustls::MakeRustlsConnect, DbError> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| DbError::Failed(e.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}
