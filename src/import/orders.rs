//! `tradepost import orders`.
//!
//! The file is read twice: first for its customers and products, and to know of how many lines each document consists
//! (once more when documents are left out, for the customers and products of the others); then for the documents, which are written in chunks. A chunk leaves out the documents that are there already, by
//! `external_id`, so an import that was killed goes on where it was.

use super::input::Input;
use super::online_retail::{
    COUNTRIES, Census, Document, Grouper, HEADER, Kind, Line, LineReader, currency,
};
use super::parties::{self, Parties};
use super::summary::{BadRow, Counts, Kinds};
use super::{ACTOR, ImportError, Options, Progress, Summary, store, unit};
use crate::metadata::Metadata;
use crate::orders::body::{Item, ItemId};
use crate::orders::order::{FulfillmentStatus, OrderStatus, PaymentStatus};
use crate::orders::totals::{LineTotals, PaymentSums, order_totals};
use crate::orders::{self, Order, OrderId};
use csv::StringRecord;
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use platform::events::{self, NewEvent};
use platform::id::new_id;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::sync::mpsc;

/// Lines after which a chunk is written, however few documents they belong to.
const CHUNK_LINES_MAX: usize = 20_000;

/// Imports the documents of an `online-retail` file with their customers and products.
///
/// # Errors
/// When the file cannot be read or the database refuses; what was written until then stays. Bad rows are no error: they
/// are in the summary.
pub async fn run_orders(
    db: &Db,
    path: &Path,
    options: &Options,
    now: Timestamp,
) -> Result<Summary, ImportError> {
    let started = Instant::now();
    let (census, mut summary) = take_census(path.to_owned(), options.progress.clone()).await?;
    summary.dry_run = options.dry_run;
    let (customers, counts) = parties::customers(db, &census, options, now).await?;
    summary.customers = Some(counts);
    let (products, counts) = parties::products(db, &census, options, now).await?;
    summary.products = counts;
    summary.documents_left_out = Some(census.documents().1);
    let parties = Parties {
        customers,
        products,
    };
    options.progress.begin("Importing", summary.rows);
    import_documents(db, path, options, (census, parties), &mut summary, now).await?;
    options.progress.end();
    summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if summary.is_news() && !options.dry_run {
        let told = summary.clone();
        db.write(async move |tx| finished(tx, &told, now).await)
            .await?;
    }
    Ok(summary)
}

/// Says in the log what an import has added.
pub(super) async fn finished(
    tx: &mut Tx,
    summary: &Summary,
    now: Timestamp,
) -> Result<(), DbError> {
    let data = json!({
        "format": summary.format,
        "documents": summary.documents,
        "customers": summary.customers,
        "products": summary.products,
        "bad_rows": summary.bad_rows,
    });
    let event = NewEvent {
        kind: "import.finished",
        object_type: "import",
        object_id: &new_id("imp"),
        object_version: 1,
        actor: ACTOR,
        data: &data.to_string(),
        at: now,
    };
    events::append(tx, &event).await
}

// ---- reading -------------------------------------------------------------------------------------------------------

/// Gives each row of the file to `visit`, with the number of its line: the line it is, or what is wrong with it and
/// the text of its first column.
fn for_each_row(
    path: &Path,
    mut visit: impl FnMut(u64, Result<Line, (String, &str)>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let unreadable = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => ImportError::File(path.to_owned(), error),
        other => ImportError::Format(path.to_owned(), format!("{other:?}")),
    };
    let input = Input::open(path).map_err(|error| ImportError::File(path.to_owned(), error))?;
    let budget = input.budget();
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(input);
    if rows.headers().map_err(unreadable)? != HEADER[..] {
        let expected = format!("expected the first line to be {}", HEADER.join(","));
        return Err(ImportError::Format(path.to_owned(), expected));
    }
    let (reader, mut record) = (LineReader::default(), StringRecord::new());
    loop {
        budget.renew();
        let line = rows.position().line();
        match rows.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let read = reader
                    .read(&record)
                    .map_err(|bad| (bad.to_string(), record.get(0).unwrap_or_default()));
                visit(line, read)?;
            }
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                visit(line, Err(("the row is not UTF-8".to_owned(), "")))?;
            }
            Err(error) => return Err(unreadable(error)),
        }
    }
}

/// The first reading.
async fn take_census(path: PathBuf, progress: Progress) -> Result<(Census, Summary), ImportError> {
    let read = move || {
        progress.begin("Reading", 0);
        let mut census = Census::default();
        let file = path.display().to_string();
        let mut summary = Summary {
            file,
            format: "online-retail",
            ..Summary::default()
        };
        for_each_row(&path, |line, read| {
            summary.rows += 1;
            progress.at(summary.rows);
            let reason = match read {
                Ok(read) => census.add(&read)?.err().map(|bad| bad.to_string()),
                Err((reason, invoice)) => {
                    census.leave_out(invoice);
                    Some(reason)
                }
            };
            if let Some(reason) = reason {
                let row = BadRow { line, reason };
                progress.bad_row(&row);
                summary.add_bad(row);
            }
            Ok(())
        })?;
        if census.documents().1 > 0 {
            // Only now is it known which documents are left out, and with them whoever is in no other.
            census.forget_parties();
            for_each_row(&path, |_, read| match read {
                Ok(line) => Ok(census.add_again(&line)?),
                Err(_) => Ok(()),
            })?;
        }
        Ok((census, summary))
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| ImportError::Stopped)?
}

/// The second reading: puts documents together and sends them, as orders, in chunks. Ends early when nobody receives.
fn send_chunks(
    path: &Path,
    census: &Census,
    parties: &Parties,
    options: &Options,
    now: Timestamp,
    sender: &mpsc::Sender<Vec<Order>>,
) -> Result<(), ImportError> {
    let (mut grouper, mut chunk, mut lines, mut rows) = (Grouper::default(), Vec::new(), 0, 0);
    for_each_row(path, |_, read| {
        rows += 1;
        options.progress.at(rows);
        let Ok(line) = read else { return Ok(()) };
        if let Some(document) = grouper.add(line, census)? {
            lines += document.lines.len();
            chunk.push(order_of(&document, parties, now));
            if chunk.len() >= options.chunk || lines >= CHUNK_LINES_MAX {
                lines = 0;
                sender
                    .blocking_send(std::mem::take(&mut chunk))
                    .map_err(|_| ImportError::Stopped)?;
            }
        }
        Ok(())
    })?;
    grouper.finish()?;
    if chunk.is_empty() {
        return Ok(());
    }
    sender
        .blocking_send(chunk)
        .map_err(|_| ImportError::Stopped)
}

// ---- writing -------------------------------------------------------------------------------------------------------

async fn import_documents(
    db: &Db,
    path: &Path,
    options: &Options,
    (census, parties): (Census, Parties),
    summary: &mut Summary,
    now: Timestamp,
) -> Result<(), ImportError> {
    // One chunk waits while one is written and one is put together.
    let (sender, mut chunks) = mpsc::channel(1);
    let (own_path, own_options) = (path.to_owned(), options.clone());
    let reading = tokio::task::spawn_blocking(move || {
        send_chunks(&own_path, &census, &parties, &own_options, now, &sender)
    });
    let (mut documents, mut lines) = (Counts::default(), Counts::default());
    let (mut kinds, mut total_minor) = (Kinds::default(), 0_i64);
    let dry_run = options.dry_run;
    while let Some(chunk) = chunks.recv().await {
        for order in &chunk {
            // A file is far from 2^63 pence: lines are bounded, and so are those of 500,000 documents.
            total_minor = total_minor.saturating_add(order.totals.total);
            match order.document.as_str() {
                "credit_note" => kinds.credit_notes += 1,
                "adjustment" => kinds.adjustments += 1,
                _ => kinds.orders += 1,
            }
        }
        let written = unit(db, dry_run, async move |tx: &mut Tx| {
            write_chunk(tx, chunk, dry_run, now).await
        })
        .await?;
        documents.new += written[0].new;
        documents.present += written[0].present;
        lines.new += written[1].new;
        lines.present += written[1].present;
    }
    reading.await.map_err(|_| ImportError::Stopped)??;
    (summary.documents, summary.lines, summary.kinds) = (Some(documents), Some(lines), Some(kinds));
    (summary.total_minor, summary.currency) = (Some(total_minor), Some(currency()));
    Ok(())
}

/// Writes those orders of `chunk` that are not there yet. Counts documents and lines.
async fn write_chunk(
    tx: &mut Tx,
    chunk: Vec<Order>,
    dry_run: bool,
    now: Timestamp,
) -> Result<[Counts; 2], DbError> {
    let numbers: Vec<&str> = chunk
        .iter()
        .filter_map(|order| order.external_id.as_deref())
        .collect();
    let known = store::known_orders(tx, &numbers).await?;
    let is_known = |order: &Order| {
        order
            .external_id
            .as_ref()
            .is_some_and(|number| known.contains(number))
    };
    let (present, new): (Vec<Order>, Vec<Order>) = chunk.into_iter().partition(is_known);
    let lines = |orders: &[Order]| {
        orders
            .iter()
            .flat_map(|order| &order.items)
            .map(Vec::len)
            .sum()
    };
    let counts = [
        Counts {
            new: new.len(),
            present: present.len(),
        },
        Counts {
            new: lines(&new),
            present: lines(&present),
        },
    ];
    if !dry_run && !new.is_empty() {
        orders::store::insert(tx, &new).await?;
        tell(tx, &new, now).await?;
    }
    Ok(counts)
}

/// `order.imported` is not `order.placed`: nobody is to be thanked by mail for what was bought years ago.
async fn tell(tx: &mut Tx, new: &[Order], now: Timestamp) -> Result<(), DbError> {
    let data: Vec<String> = new
        .iter()
        .map(|order| json!({ "number": order.number, "document": order.document }).to_string())
        .collect();
    let events: Vec<NewEvent<'_>> = new
        .iter()
        .zip(&data)
        .map(|(order, data)| NewEvent {
            kind: "order.imported",
            object_type: "order",
            object_id: order.id.as_str(),
            object_version: 1,
            actor: ACTOR,
            data,
            at: now,
        })
        .collect();
    events::append_all(tx, &events).await
}

// ---- what a document becomes ---------------------------------------------------------------------------------------

/// The order that `document` is. It is over and done: completed, paid or refunded; what was sold has left the shelf.
///
/// - `number` is the InvoiceNo after `UCI-`, so that it never meets a number of our own; `external_id` is the InvoiceNo.
/// - What was charged was paid (`captured`); what is negative was given back (`refunded`).
/// - Guests have neither `user_id` nor `email`: the data knows nothing of them.
/// - `tax` is 0 and contained: the data has prices as they were paid.
/// - It was created when it was placed, and updated now: whoever follows `updated_at` sees it.
fn order_of(document: &Document, parties: &Parties, now: Timestamp) -> Order {
    let first = &document.lines[0]; // a document has at least one
    let (items, lines): (Vec<Item>, Vec<LineTotals>) = document
        .lines
        .iter()
        .map(|line| item(line, parties))
        .unzip();
    let net: i64 = lines.iter().map(|line| line.total).sum();
    let given_back = net < 0 || first.kind == Kind::CreditNote;
    let payments = PaymentSums {
        authorized: 0,
        captured: net.max(0),
        refunded: (-net).max(0),
    };
    let totals = order_totals(&lines, 0, true, payments)
        .expect("50,000 lines of at most a billion pounds are in range");
    let fulfillment_status = if items.iter().any(|item| item.fulfilled > 0) {
        FulfillmentStatus::Fulfilled
    } else {
        FulfillmentStatus::Unfulfilled
    };
    let placed_at = document.placed_at();
    let (country_name, country) = COUNTRIES[first.country];
    let metadata = [("country_name".to_owned(), country_name.to_owned())];
    Order {
        id: OrderId::new(),
        number: Some(format!("UCI-{}", first.invoice)),
        document: first.kind.as_str().into(),
        status: OrderStatus::Completed,
        payment_status: if given_back {
            PaymentStatus::Refunded
        } else {
            PaymentStatus::Paid
        },
        fulfillment_status,
        user_id: first
            .customer
            .and_then(|number| parties.customers.get(&number).cloned()),
        email: None,
        currency: currency(),
        country: Some(country.to_owned()),
        items: Some(items),
        totals,
        shipping_address: None,
        billing_address: None,
        shipping_method: None,
        note: None,
        external_id: Some(first.invoice.to_string()),
        channel: Some("online-retail".to_owned()),
        cancel_reason: None,
        tags: Vec::new(),
        metadata: Metadata::from_iter(metadata),
        placed_at: Some(placed_at),
        confirmed_at: Some(placed_at),
        completed_at: Some(placed_at),
        cancelled_at: None,
        expires_at: None,
        created_at: placed_at,
        updated_at: now,
        version: 1,
    }
}

/// The line as it was sold: its own price and title, whatever the product costs and is called today.
fn item(line: &Line, parties: &Parties) -> (Item, LineTotals) {
    let (product_id, variant_id) = parties.products.get(&line.sku).cloned().unzip();
    let exact = line
        .unit_price_exact
        .as_ref()
        .map(|price| ("unit_price_exact".to_owned(), price.to_string()));
    let item = Item {
        id: ItemId::new(),
        variant_id,
        product_id,
        sku: Some(line.sku.to_string()),
        title: if line.description.is_empty() {
            line.sku.to_string()
        } else {
            line.description.to_string()
        },
        quantity: line.quantity,
        unit_price: line.unit_price_minor,
        list_unit_price: line.unit_price_minor,
        discount: 0,
        tax: 0,
        tax_rate_ppm: 0,
        subtotal: line.total_minor,
        total: line.total_minor,
        allocated: 0,
        fulfilled: if line.kind == Kind::Order {
            line.quantity.max(0)
        } else {
            0
        },
        returned: 0,
        refunded: 0,
        metadata: exact.into_iter().collect(),
        price_id: None,
    };
    let totals = LineTotals {
        subtotal: line.total_minor,
        discount: 0,
        tax: 0,
        total: line.total_minor,
    };
    (item, totals)
}
