//! The command `tradepost import`.

use super::{
    CHUNK_DEFAULT, CHUNK_MAX, ImportError, Options, Progress, Summary, run_orders, run_products,
};
use crate::app::{StartError, open_database};
use crate::config::Config;
use clap::{Args, Subcommand, ValueEnum};
use platform::clock::Clock;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to import.
#[derive(Args, Debug)]
pub struct ImportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Import documents with their customers and products; what is there already stays as it is
    Orders {
        #[command(flatten)]
        how: How,
        /// The format of the file
        #[arg(long, value_enum)]
        format: OrdersFormat,
    },
    /// Import products; one whose sku, external id or slug is taken stays as it is
    Products {
        #[command(flatten)]
        how: How,
        /// The format of the file
        #[arg(long, value_enum, default_value = "tradepost")]
        format: ProductsFormat,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OrdersFormat {
    /// The CSV of the UCI data set "Online Retail"
    OnlineRetail,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProductsFormat {
    /// CSV with the short form of a product, or NDJSON with bodies of POST /v2/products
    Tradepost,
}

#[derive(Args, Debug)]
struct How {
    /// The file; a name that ends in .zst is decompressed
    file: PathBuf,
    /// Read and compare, but write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// Documents or products in one transaction
    #[arg(long, default_value_t = CHUNK_DEFAULT, value_parser = chunk)]
    chunk: usize,
}

fn chunk(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=CHUNK_MAX) => Ok(count),
        _ => Err(format!("expected 1 to {CHUNK_MAX}")),
    }
}

/// Runs the command: the summary goes to standard output, all else to standard error.
/// Exit code 1 when something of the file was left out.
///
/// # Errors
/// When the database cannot be opened, or see [`run_orders`] and [`run_products`].
pub async fn run(args: ImportArgs, config: &Config) -> Result<ExitCode, ImportError> {
    let clock = Clock::system();
    let db = open_database(config).await?;
    db.migrate(crate::migrations::MIGRATIONS, clock.now().micros())
        .await
        .map_err(StartError::from)?;
    let (What::Orders { how, .. } | What::Products { how, .. }) = &args.what;
    let options = Options {
        dry_run: how.dry_run,
        chunk: how.chunk,
        progress: Progress::on_stderr(),
    };
    let summary = match &args.what {
        What::Orders {
            how,
            format: OrdersFormat::OnlineRetail,
        } => run_orders(&db, &how.file, &options, clock.now()).await?,
        What::Products {
            how,
            format: ProductsFormat::Tradepost,
        } => run_products(&db, &how.file, &options, clock.now()).await?,
    };
    print(&summary, how.json);
    Ok(if summary.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whoever reads standard output may stop reading: that is no error.
fn print(summary: &Summary, json: bool) {
    let text = if json {
        serde_json::to_string_pretty(summary)
            .expect("our own types serialise: string keys, no failing impls")
    } else {
        summary.to_string()
    };
    let _ = writeln!(std::io::stdout(), "{text}");
}
