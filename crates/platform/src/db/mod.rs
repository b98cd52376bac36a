//! One SQL text, one transaction function, two engines.
//!
//! [`Db`] is an embedded SQLite file or a PostgreSQL server. A statement is written once, with `$1`
//! parameters, in the SQL that both engines speak; the unit of work is one async closure over
//! `&mut Tx`. Nothing outside this module names a driver or asks which engine is behind it.
//!
//! Inside a unit of work await nothing but the [`Tx`]: on SQLite the writer thread polls the unit to
//! completion and a foreign await would never become ready (it is refused, see
//! [`DbError::ForeignAwait`]).

mod migrate;
mod postgres;
mod select;
mod sqlite;
pub mod testing;
mod tx;
mod value;

pub use migrate::{MigrateError, Migration};
pub use select::Select;
pub use tx::Tx;
pub use value::{FromColumn, Param, Row, ToParam};

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

/// A handle to the database; cloning it is cheap.
#[derive(Clone)]
pub struct Db(Arc<Engine>);

#[expect(
    clippy::large_enum_variant,
    reason = "one for the process, behind an Arc"
)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// Why a database call failed. Causes are for the log, never for the caller of the API.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A unique index refused a row. `key` is `table_column[_column…]`, the same on both engines:
    /// every unique index is named `<table>_<columns>_key`.
    #[error("unique index {key} refused the row")]
    Unique { key: String },
    /// A CHECK or foreign key refused a row.
    #[error("constraint refused the row: {0}")]
    Constraint(String),
    /// The bounded write queue or pool is full, or a lock was not had in time: try again later.
    #[error("the database is busy: {0}")]
    Busy(&'static str),
    /// The engine could not be reached or gave up.
    #[error("the database failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A column did not hold what the code expects.
    #[error("column {index}: {reason}")]
    Column { index: usize, reason: String },
    /// A row that must exist did not.
    #[error("no row where one must be")]
    NoRow,
    /// A unit of work awaited something other than its `Tx`.
    #[error("a unit of work awaited something other than its Tx")]
    ForeignAwait,
    /// The unit of work panicked; it was rolled back.
    #[error("a unit of work panicked")]
    Panicked,
}

impl DbError {
    fn column(index: usize, reason: impl std::fmt::Display) -> Self {
        let reason = reason.to_string();
        DbError::Column { index, reason }
    }

    /// Whether the unique index `key` (`table_column`) refused the row.
    pub fn is_unique(&self, wanted: &str) -> bool {
        matches!(self, DbError::Unique { key } if key == wanted)
    }
}

tokio::task_local! {
    /// Statements sent for the current request; see [`count_statements`].
    static STATEMENTS: Cell<u64>;
}

/// Runs `future` and says how many SQL statements (transaction control apart) were sent for it.
pub async fn count_statements<F: Future>(future: F) -> (F::Output, u64) {
    STATEMENTS
        .scope(Cell::new(0), async {
            let output = future.await;
            (output, STATEMENTS.with(Cell::get))
        })
        .await
}

pub(crate) fn note_statements(count: u64) {
    let _ = STATEMENTS.try_with(|cell| cell.set(cell.get() + count));
}

impl Db {
    /// Opens (or creates) the SQLite database at `path` and starts its writer thread.
    pub fn open_sqlite(path: &Path) -> Result<Db, DbError> {
        Ok(Db(Arc::new(Engine::Sqlite(sqlite::Sqlite::open(path)?))))
    }

    /// Connects to the PostgreSQL at `url` (`postgres://user:password@host:port/database`).
    pub async fn connect_postgres(url: &str) -> Result<Db, DbError> {
        Ok(Db(Arc::new(Engine::Postgres(
            postgres::Postgres::connect(url).await?,
        ))))
    }

    /// `"sqlite"` or `"postgresql"`, for people: log lines, `/readyz`, `doctor`.
    pub fn engine_name(&self) -> &'static str {
        match &*self.0 {
            Engine::Sqlite(_) => "sqlite",
            Engine::Postgres(_) => "postgresql",
        }
    }

    /// A [`Tx`] for short reads outside a transaction: each statement sees what is committed when it
    /// runs. On SQLite it executes on the calling thread, so keep it to microseconds; what may take
    /// longer belongs in [`Db::snapshot`].
    pub async fn read(&self) -> Result<Tx, DbError> {
        match &*self.0 {
            Engine::Sqlite(sqlite) => sqlite.reader(),
            Engine::Postgres(postgres) => postgres.reader().await,
        }
    }

    /// Runs `work` in one write transaction: all of it is durable when this returns `Ok`, none of it
    /// when it returns `Err`. If the caller goes away first, the work is dropped.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        match &*self.0 {
            Engine::Sqlite(sqlite) => sqlite.write(work).await,
            Engine::Postgres(postgres) => postgres.write(work).await,
        }
    }

    /// How many units of work wait to be written, for the metrics: for the writer thread, or for a connection.
    pub fn writes_waiting(&self) -> usize {
        match &*self.0 {
            Engine::Sqlite(sqlite) => sqlite.writes_waiting(),
            Engine::Postgres(postgres) => postgres.writes_waiting(),
        }
    }

    /// Runs a long read (report, export, rebuild, proof) on one consistent snapshot, away from the
    /// request threads.
    pub async fn snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        match &*self.0 {
            Engine::Sqlite(sqlite) => sqlite.snapshot(work).await,
            Engine::Postgres(postgres) => postgres.snapshot(work).await,
        }
    }

    /// Brings the schema up to the last of `migrations`, each in its own transaction, one node at a
    /// time. Returns how many were applied.
    ///
    /// # Errors
    /// [`MigrateError::Newer`] when the database was written by a newer program, and
    /// [`MigrateError::Changed`] when an applied migration is not the one in this program.
    pub async fn migrate(
        &self,
        migrations: &'static [Migration],
        now_micros: i64,
    ) -> Result<usize, MigrateError> {
        migrate::run(self, migrations, now_micros).await
    }

    /// Whether [`migrate`](Db::migrate) was ever run on this database.
    pub async fn has_schema(&self) -> Result<bool, DbError> {
        migrate::has_schema(self).await
    }

    /// Whether the schema is exactly the one of `migrations`.
    pub async fn is_migrated(
        &self,
        migrations: &'static [Migration],
    ) -> Result<bool, MigrateError> {
        migrate::is_current(self, migrations).await
    }

    /// The engine's own plan for `sql`, one line per step, for the test that refuses full scans.
    pub async fn explain(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<String>, DbError> {
        let mut tx = self.read().await?;
        tx.explain(sql, params).await
    }

    /// Writes a consistent copy of a SQLite database to `path` while it is in use. On PostgreSQL
    /// backups belong to the server's own tools, which the error says.
    pub async fn backup_to(&self, path: &Path) -> Result<(), DbError> {
        match &*self.0 {
            Engine::Sqlite(sqlite) => sqlite.backup_to(path),
            Engine::Postgres(_) => Err(DbError::Failed(
                "a PostgreSQL database is backed up with pg_dump or pg_basebackup".into(),
            )),
        }
    }
}

/// `$start, $start+1, …` (`count` of them), for `IN (…)` lists.
pub fn placeholders(start: usize, count: usize) -> String {
    let mut list = String::with_capacity(count * 5);
    for index in start..start + count {
        if index > start {
            list.push_str(", ");
        }
        list.push('$');
        list.push_str(&index.to_string());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    fn is_send<F: Future + Send>(future: F) -> F {
        future
    }

    async fn double(tx: &mut Tx, name: &str) -> Result<i64, DbError> {
        tx.fetch_one(
            "UPDATE t SET n = n * 2 WHERE name = $1 RETURNING n",
            params![name],
            |row| row.get(0),
        )
        .await
    }

    #[tokio::test]
    async fn a_failing_unit_is_undone_and_its_neighbours_are_kept() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open_sqlite(&dir.path().join("t.db")).expect("a fresh database");
        db.write(async |tx| {
            tx.control("CREATE TABLE t (name TEXT PRIMARY KEY, n BIGINT CHECK (n < 100))")
                .await
        })
        .await
        .expect("created");
        let name = String::from("a");
        is_send(db.write(async move |tx| {
            tx.insert_many(
                "INSERT INTO t (name, n)",
                2,
                params![name, 3i64, "b", 60i64],
                "",
            )
            .await?;
            let kept = tx.savepoint(async |tx| double(tx, "b").await).await?;
            assert!(matches!(kept, Err(DbError::Constraint(_))));
            double(tx, &name).await
        }))
        .await
        .expect("committed");
        let failed: Result<(), DbError> = db
            .write(async |tx| {
                double(tx, "a").await?;
                Err(DbError::NoRow)
            })
            .await;
        assert!(failed.is_err());
        let twice = db
            .write(async |tx| {
                tx.execute("INSERT INTO t VALUES ($1, $2)", params!["a", 1i64])
                    .await
            })
            .await;
        assert!(twice.expect_err("refused").is_unique("t_name"));
        let mut tx = db.read().await.expect("a reader");
        let rows = tx
            .fetch_all("SELECT name, n FROM t ORDER BY name", &[], |row| {
                Ok((row.get::<String>(0)?, row.get::<i64>(1)?))
            })
            .await
            .expect("rows");
        assert_eq!(rows, [("a".to_owned(), 6), ("b".to_owned(), 60)]);
    }

    #[tokio::test]
    async fn awaiting_anything_else_inside_a_unit_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Db::open_sqlite(&dir.path().join("t.db")).expect("a fresh database");
        let outcome: Result<(), DbError> = db
            .write(async |_tx| {
                tokio::task::yield_now().await;
                Ok(())
            })
            .await;
        assert!(matches!(outcome, Err(DbError::ForeignAwait)));
    }
}
