//! Makes the file of a plan out of one snapshot.

use super::activity::ByActivity;
use super::file::{Cell, File, FileError, FileWriter};
use super::report::ReportKind;
use super::run::Plan;
use super::sales::{ByCountry, ByPeriod, ByProduct};
use super::store;
use platform::clock::Timestamp;
use platform::db::{DbError, Tx};

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The database failed: another try may succeed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The file cannot be made: another try would meet the same.
    #[error(transparent)]
    File(#[from] FileError),
    /// A day of the range is none in the zone.
    #[error(transparent)]
    Calendar(#[from] jiff::Error),
}

/// Reads what `plan` asks for and writes its file. Rows of the database are not kept: what is held is a
/// sum for each row of the report, and the file.
pub async fn build(tx: &mut Tx, plan: &Plan, as_of: Timestamp) -> Result<File, BuildError> {
    let mut file = FileWriter::begin(plan, as_of)?;
    match plan.kind {
        ReportKind::SalesByPeriod | ReportKind::SalesByDay | ReportKind::SalesByMonth => {
            let periods = plan.periods()?;
            let range = periods.range();
            let mut sales = ByPeriod::new(periods, plan.currency);
            store::each_fact(tx, range, plan.currency, |fact| sales.add(fact)).await?;
            sales.write(&mut file)?;
        }
        ReportKind::SalesByProduct => {
            let mut sales = ByProduct::default();
            store::each_line(tx, plan.range()?, plan.currency, |line| sales.add(line)).await?;
            sales.write(&mut file)?;
        }
        ReportKind::SalesByCountry => {
            let mut sales = ByCountry::default();
            store::each_fact(tx, plan.range()?, plan.currency, |fact| sales.add(fact)).await?;
            sales.write(&mut file)?;
        }
        ReportKind::UserActivity => {
            let periods = plan.periods()?;
            let range = periods.range();
            let mut activity = ByActivity::new(periods);
            store::each_new_user(tx, range, |at| activity.add_user(at)).await?;
            store::each_buyer(tx, range, |at, user_id| activity.add_order(at, user_id)).await?;
            activity.write(&mut file)?;
        }
        ReportKind::InventoryOnHand => inventory(tx, &mut file).await?,
    }
    Ok(file.finish()?)
}

async fn inventory(tx: &mut Tx, file: &mut FileWriter) -> Result<(), BuildError> {
    let mut totals = [0_i128; 3];
    store::each_stock(tx, |stock| {
        let counts = [
            stock.on_hand,
            stock.allocated,
            stock.on_hand - stock.allocated,
        ];
        for (total, count) in totals.iter_mut().zip(counts) {
            *total += i128::from(count);
        }
        let [on_hand, allocated, available] = counts.map(Cell::Int);
        file.row(&[
            Cell::text(stock.sku),
            Cell::Text(stock.variant_id),
            Cell::Text(stock.product_id),
            Cell::Text(stock.title),
            Cell::text(stock.variant_title),
            on_hand,
            allocated,
            available,
        ])
    })
    .await??;
    let null = Cell::Null;
    let [on_hand, allocated, available] = totals.map(Cell::int);
    file.total(&[
        null, null, null, null, null, on_hand?, allocated?, available?,
    ])?;
    Ok(())
}
