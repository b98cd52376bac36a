//! The transaction as chapters see it.

use super::{DbError, Param, Row, note_statements, postgres::PgTx, sqlite::SqliteTx};

/// A transaction, or a sequence of plain reads ([`super::Db::read`]). The store functions of every
/// chapter take `&mut Tx`, so that the same function serves inside and outside a transaction.
pub struct Tx {
    engine: TxEngine,
    statements: u64,
}

pub(super) enum TxEngine {
    Sqlite(SqliteTx),
    Postgres(PgTx),
}

/// Bound parameters in one generated `INSERT`: PostgreSQL allows 65,535, SQLite 32,766. Small enough
/// that a statement of this width is prepared once and reused for every full chunk.
const INSERT_PARAMS_MAX: usize = 1_600;

impl Tx {
    pub(super) fn new(engine: TxEngine) -> Tx {
        Tx {
            engine,
            statements: 0,
        }
    }

    pub(super) fn engine(&mut self) -> &mut TxEngine {
        &mut self.engine
    }

    pub(super) fn into_engine(self) -> TxEngine {
        self.engine
    }

    /// Statements sent through this `Tx` so far.
    pub(super) fn take_statements(&mut self) -> u64 {
        std::mem::take(&mut self.statements)
    }

    fn count(&mut self, statements: u64) {
        self.statements += statements;
        // Reads and PostgreSQL run on the request's own task; on the SQLite writer thread there is
        // no request, and `Db::write` reports the sum when the unit is answered.
        note_statements(statements);
    }

    /// Takes the lock called `name` until this transaction ends: another transaction that asks for it
    /// waits, at most as long as for any lock. On SQLite there is one writer anyway.
    pub async fn lock(&mut self, name: &str) -> Result<(), DbError> {
        match &mut self.engine {
            TxEngine::Sqlite(_) => Ok(()),
            TxEngine::Postgres(tx) => {
                self.statements += 1;
                note_statements(1);
                let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
                tx.execute(sql, &[Param::Text(name)]).await.map(drop)
            }
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub async fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64, DbError> {
        self.count(1);
        match &mut self.engine {
            TxEngine::Sqlite(tx) => tx.execute(sql, params),
            TxEngine::Postgres(tx) => tx.execute(sql, params).await,
        }
    }

    /// Runs one statement for each parameter list: a loop on SQLite, a pipeline on PostgreSQL.
    /// Returns the rows changed by each.
    pub async fn execute_each(
        &mut self,
        sql: &str,
        lists: &[Vec<Param<'_>>],
    ) -> Result<Vec<u64>, DbError> {
        self.count(lists.len() as u64);
        match &mut self.engine {
            TxEngine::Sqlite(tx) => lists.iter().map(|params| tx.execute(sql, params)).collect(),
            TxEngine::Postgres(tx) => tx.execute_each(sql, lists).await,
        }
    }

    /// All rows, mapped. The statement must carry a LIMIT or another bound.
    pub async fn fetch_all<T, F>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut map: F,
    ) -> Result<Vec<T>, DbError>
    where
        F: FnMut(&Row<'_>) -> Result<T, DbError>,
    {
        self.count(1);
        match &mut self.engine {
            TxEngine::Sqlite(tx) => {
                let mut all = Vec::new();
                tx.for_each(sql, params, |row| {
                    all.push(map(row)?);
                    Ok(true)
                })?;
                Ok(all)
            }
            TxEngine::Postgres(tx) => {
                let rows = tx.query(sql, params).await?;
                rows.iter().map(|row| map(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Gives each row to `visit` as it comes, without collecting them: for exports and proofs over
    /// whole tables.
    pub async fn for_each<F>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        mut visit: F,
    ) -> Result<(), DbError>
    where
        F: FnMut(&Row<'_>) -> Result<(), DbError>,
    {
        self.count(1);
        match &mut self.engine {
            TxEngine::Sqlite(tx) => tx.for_each(sql, params, |row| visit(row).map(|()| true)),
            TxEngine::Postgres(tx) => tx.for_each(sql, params, visit).await,
        }
    }

    /// The first row, mapped, if there is one.
    pub async fn fetch_optional<T, F>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: F,
    ) -> Result<Option<T>, DbError>
    where
        F: FnOnce(&Row<'_>) -> Result<T, DbError>,
    {
        self.count(1);
        match &mut self.engine {
            TxEngine::Sqlite(tx) => {
                let (mut map, mut first) = (Some(map), None);
                tx.for_each(sql, params, |row| {
                    if let Some(map) = map.take() {
                        first = Some(map(row)?);
                    }
                    Ok(false)
                })?;
                Ok(first)
            }
            TxEngine::Postgres(tx) => {
                let rows = tx.query(sql, params).await?;
                rows.first().map(|row| map(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// As [`Tx::fetch_optional`], and no other transaction changes the row that comes back until this one ends: it
    /// waits. Many may hold one row. `sql` selects from one table, by a key. On SQLite there is one writer anyway.
    pub async fn fetch_held<T, F>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: F,
    ) -> Result<Option<T>, DbError>
    where
        F: FnOnce(&Row<'_>) -> Result<T, DbError>,
    {
        match &self.engine {
            TxEngine::Sqlite(_) => self.fetch_optional(sql, params, map).await,
            TxEngine::Postgres(_) => {
                self.fetch_optional(&format!("{sql} FOR SHARE"), params, map)
                    .await
            }
        }
    }

    /// The first row, mapped.
    ///
    /// # Errors
    /// [`DbError::NoRow`] when there is none.
    pub async fn fetch_one<T, F>(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
        map: F,
    ) -> Result<T, DbError>
    where
        F: FnOnce(&Row<'_>) -> Result<T, DbError>,
    {
        self.fetch_optional(sql, params, map)
            .await?
            .ok_or(DbError::NoRow)
    }

    /// Inserts many rows of `columns` values each with as few statements as fit. `head` is
    /// `INSERT INTO t (a, b)`, `tail` what follows the values (`ON CONFLICT …` or empty).
    /// Returns the rows changed.
    pub async fn insert_many(
        &mut self,
        head: &str,
        columns: usize,
        values: &[Param<'_>],
        tail: &str,
    ) -> Result<u64, DbError> {
        debug_assert!(columns > 0 && values.len().is_multiple_of(columns));
        let chunk = (INSERT_PARAMS_MAX / columns).max(1) * columns;
        let mut changed = 0;
        for part in values.chunks(chunk) {
            let sql = insert_sql(head, columns, part.len() / columns, tail);
            changed += self.execute(&sql, part).await?;
        }
        Ok(changed)
    }

    /// The next value of the sequence `name`: unique and growing; gaps are fine.
    pub async fn next_number(&mut self, name: &str) -> Result<i64, DbError> {
        let sql = match &self.engine {
            TxEngine::Sqlite(_) => {
                "UPDATE sequences SET value = value + 1 WHERE name = $1 RETURNING value"
            }
            TxEngine::Postgres(_) => "SELECT nextval(CAST(CAST($1 AS TEXT) AS REGCLASS))",
        };
        self.fetch_one(sql, &[Param::Text(name)], |row| row.get(0))
            .await
    }

    /// What of the event log stands behind the transaction `$1` and the number `$2`, in its order. Where commits are in
    /// sequence the number alone says it, and has to: SQLite would read and sort the whole log otherwise.
    pub(crate) fn log_behind(&self) -> &'static str {
        match &self.engine {
            TxEngine::Sqlite(_) => "seq > $2 ORDER BY seq",
            TxEngine::Postgres(_) => "(tx, seq) > ($1, $2) ORDER BY tx, seq",
        }
    }

    /// The order of the event log from its newest end.
    pub(crate) fn log_newest(&self) -> &'static str {
        match &self.engine {
            TxEngine::Sqlite(_) => "ORDER BY seq DESC",
            TxEngine::Postgres(_) => "ORDER BY tx DESC, seq DESC",
        }
    }

    /// Runs `work` so that its failure undoes only what it did and leaves the transaction usable.
    pub async fn savepoint<T, E>(
        &mut self,
        work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<Result<T, E>, DbError> {
        self.control("SAVEPOINT part").await?;
        let outcome = work(self).await;
        if outcome.is_err() {
            self.control("ROLLBACK TO SAVEPOINT part").await?;
        }
        self.control("RELEASE SAVEPOINT part").await?;
        Ok(outcome)
    }

    /// Transaction control and schema scripts: several statements, no parameters, not counted.
    pub(super) async fn control(&mut self, sql: &str) -> Result<(), DbError> {
        match &mut self.engine {
            TxEngine::Sqlite(tx) => tx.batch(sql),
            TxEngine::Postgres(tx) => tx.batch(sql).await,
        }
    }

    pub(super) async fn explain(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<String>, DbError> {
        match &mut self.engine {
            TxEngine::Sqlite(_) => {
                let sql = format!("EXPLAIN QUERY PLAN {sql}");
                self.fetch_all(&sql, params, |row| row.get(3)).await
            }
            TxEngine::Postgres(_) => {
                let sql = format!("EXPLAIN {sql}");
                self.fetch_all(&sql, params, |row| row.get(0)).await
            }
        }
    }
}

fn insert_sql(head: &str, columns: usize, rows: usize, tail: &str) -> String {
    let mut sql = String::with_capacity(head.len() + tail.len() + rows * (columns * 6 + 4) + 8);
    sql.push_str(head);
    sql.push_str(" VALUES ");
    for row in 0..rows {
        if row > 0 {
            sql.push_str(", ");
        }
        sql.push('(');
        sql.push_str(&super::placeholders(row * columns + 1, columns));
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sql
}
