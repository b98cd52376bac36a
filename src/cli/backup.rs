//! `tradepost backup FILE`.

use super::{Failure, print};
use crate::app::open_existing_database;
use crate::config::Config;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file to write; it must not exist yet
    file: PathBuf,
}

pub(super) async fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    if config.database_url.is_some() {
        return Err(Failure::new(
            "a PostgreSQL database is backed up with its own tools: pg_dump, or pg_basebackup for a whole server",
        ));
    }
    let shown = args.file.display();
    if args.file.exists() {
        return Err(Failure::new(format!(
            "{shown} exists already and is not overwritten"
        )));
    }
    let db = open_existing_database(config).await?;
    db.backup_to(&args.file).await?;
    std::fs::File::open(&args.file)?.sync_all()?;
    print(format_args!(
        "Written to {shown}. Keep {} with it: it opens the signing keys.\n",
        config.data_dir.join("master.key").display()
    ));
    Ok(ExitCode::SUCCESS)
}
