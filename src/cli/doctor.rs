//! `tradepost doctor`.

use super::{Failure, database, print};
use crate::config::Config;
use crate::doctor::{Report, examine, repair};
use platform::clock::Clock;
use platform::db::Db;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Args {
    /// First set the stock counters to the sums of their movements
    #[arg(long)]
    repair: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, config: &Config) -> Result<ExitCode, Failure> {
    let db: Db = database(config).await?;
    let repaired = match args.repair {
        true => Some(repair(&db, Clock::system().now()).await?),
        false => None,
    };
    let report = examine(&db).await?;
    match args.json {
        true => show_json(&report, repaired)?,
        false => show(&report, repaired),
    }
    Ok(match report.wrong {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn show_json(report: &Report, repaired: Option<u64>) -> Result<(), Failure> {
    let mut report = serde_json::to_value(report)?;
    if let Some(repaired) = repaired {
        report["repaired"] = repaired.into();
    }
    print(format_args!("{report}\n"));
    Ok(())
}

fn show(report: &Report, repaired: Option<u64>) {
    if let Some(repaired) = repaired {
        print(format_args!("{repaired} stock counters were set right.\n"));
    }
    for finding in &report.findings {
        print(format_args!(
            "{}  {}: {}\n",
            finding.check, finding.object, finding.detail
        ));
    }
    print(format_args!(
        "Checked {} stock levels, {} orders and {} items.\n",
        report.stock_levels, report.orders, report.order_items
    ));
    for (currency, total) in &report.totals_minor {
        print(format_args!(
            "Not cancelled: {total} minor units of {currency}.\n"
        ));
    }
    match report.wrong {
        0 => print(format_args!("All is well.\n")),
        wrong => print(format_args!("{wrong} things are wrong.\n")),
    }
}
