//! `tradepost import`: orders and products out of files.
//!
//! An import can be repeated and interrupted: it is written in chunks, each a transaction, and what is there already is
//! left as it is. A file is read as a stream; what is held of it are its customers, products and document numbers.
//! Everything that cannot be taken is reported with its line and left out; the rest is imported.

pub mod cli;
mod input;
pub mod online_retail;
mod orders;
mod parties;
mod products;
mod progress;
mod store;
mod summary;

pub use orders::run_orders;
pub use products::{run_products, run_products_text};
pub use progress::Progress;
pub use summary::{BadRow, Counts, Kinds, Read, Summary};

use crate::app::StartError;
use platform::db::{Db, DbError, Tx};
use std::path::PathBuf;

/// Documents or products in one transaction when nothing else is said.
pub const CHUNK_DEFAULT: usize = 500;
/// Most documents or products in one transaction.
pub const CHUNK_MAX: usize = 5_000;
/// Who did it, in the event log.
const ACTOR: &str = "import";

/// How to import.
#[derive(Clone, Debug)]
pub struct Options {
    /// Read and compare, but write nothing.
    pub dry_run: bool,
    /// Documents or products in one transaction, 1 to [`CHUNK_MAX`].
    pub chunk: usize,
    /// Where to say how far it is.
    pub progress: Progress,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dry_run: false,
            chunk: CHUNK_DEFAULT,
            progress: Progress::silent(),
        }
    }
}

/// Why an import stopped. What was written until then stays, and the next import goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0} cannot be read")]
    File(PathBuf, #[source] std::io::Error),
    #[error("{0}: {1}")]
    Format(PathBuf, String),
    #[error(transparent)]
    TooMany(#[from] online_retail::TooMany),
    #[error(transparent)]
    Group(#[from] online_retail::GroupError),
    #[error("the reading of the file was stopped")]
    Stopped,
    #[error("the database refused a chunk; is another import running?")]
    Db(#[from] DbError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs a unit that writes, or in a dry run one that only reads.
async fn unit<T, F>(db: &Db, dry_run: bool, work: F) -> Result<T, DbError>
where
    F: AsyncFnOnce(&mut Tx) -> Result<T, DbError> + Send + 'static,
    T: Send + 'static,
{
    if dry_run {
        work(&mut db.read().await?).await
    } else {
        db.write(work).await
    }
}
