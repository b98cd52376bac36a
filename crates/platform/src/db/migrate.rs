//! Schema migrations: numbered SQL embedded in the program, applied once, in order, under a lock.

use super::tx::TxEngine;
use super::{Db, DbError, Param, Tx};

/// One step of the schema. `sqlite` and `postgres` are the same text unless the engines must differ.
#[derive(Debug)]
pub struct Migration {
    /// 1, 2, 3 … without gaps.
    pub version: i64,
    /// The file's name without number and ending.
    pub name: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
    /// The text for PostgreSQL.
    pub postgres: &'static str,
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database was written by a newer program; an older one must not touch it.
    #[error(
        "the database is at schema {found}, this program knows up to {known}: use a newer program"
    )]
    Newer { found: i64, known: i64 },
    /// An applied migration differs from the one in this program.
    #[error("migration {version} ({name}) was changed after it had been applied")]
    Changed { version: i64, name: String },
    #[error(transparent)]
    Db(#[from] DbError),
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";

impl Migration {
    fn text(&self, tx: &mut Tx) -> &'static str {
        match tx.engine() {
            TxEngine::Sqlite(_) => self.sqlite,
            TxEngine::Postgres(_) => self.postgres,
        }
    }
}

pub(super) async fn run(
    db: &Db,
    migrations: &'static [Migration],
    now_micros: i64,
) -> Result<usize, MigrateError> {
    let mut applied = 0;
    // One transaction a step, so that a failing step leaves the ones before it in place. The lock
    // keeps two nodes that start together from applying the same step twice.
    while db
        .write(async move |tx| step(tx, migrations, now_micros).await)
        .await?
    {
        applied += 1;
    }
    Ok(applied)
}

pub(super) async fn has_schema(db: &Db) -> Result<bool, DbError> {
    let mut tx = db.read().await?;
    let sql = match tx.engine() {
        TxEngine::Sqlite(_) => "SELECT name FROM sqlite_master WHERE name = 'schema_migrations'",
        TxEngine::Postgres(_) => {
            "SELECT 'schema_migrations' WHERE to_regclass('schema_migrations') IS NOT NULL"
        }
    };
    let found = tx.fetch_optional(sql, &[], |row| row.get::<String>(0));
    Ok(found.await?.is_some())
}

pub(super) async fn is_current(
    db: &Db,
    migrations: &'static [Migration],
) -> Result<bool, MigrateError> {
    let mut tx = db.read().await?;
    let done = applied_versions(&mut tx).await?;
    check(&mut tx, migrations, &done)?;
    Ok(done.len() == migrations.len())
}

async fn step(
    tx: &mut Tx,
    migrations: &'static [Migration],
    now_micros: i64,
) -> Result<bool, MigrateError> {
    if let TxEngine::Postgres(_) = tx.engine() {
        tx.control("SELECT pg_advisory_xact_lock(7421190)").await?; // any constant, the same on every node
    }
    tx.control(TABLE).await?;
    let done = applied_versions(tx).await?;
    check(tx, migrations, &done)?;
    let Some(next) = migrations.get(done.len()) else {
        return Ok(false);
    };
    let text = next.text(tx);
    tx.control(text).await?;
    let checksum = checksum(text);
    tx.execute(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
        &[Param::Int(next.version), Param::Text(next.name), Param::Text(&checksum), Param::Int(now_micros)],
    )
    .await?;
    Ok(true)
}

async fn applied_versions(tx: &mut Tx) -> Result<Vec<(i64, String)>, DbError> {
    let sql = "SELECT version, checksum FROM schema_migrations ORDER BY version LIMIT 10000";
    tx.fetch_all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

fn check(
    tx: &mut Tx,
    migrations: &'static [Migration],
    done: &[(i64, String)],
) -> Result<(), MigrateError> {
    for (position, (version, applied)) in done.iter().enumerate() {
        let Some(known) = migrations.get(position) else {
            let known = migrations.last().map_or(0, |last| last.version);
            return Err(MigrateError::Newer {
                found: *version,
                known,
            });
        };
        if known.version != *version || checksum(known.text(tx)) != *applied {
            let name = known.name.to_owned();
            return Err(MigrateError::Changed {
                version: *version,
                name,
            });
        }
    }
    Ok(())
}

fn checksum(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
