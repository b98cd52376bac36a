//! `tradepost import products`: a CSV file with the short form of a product, or the bodies of `POST /v2/products`, one
//! JSON object a line.
//!
//! A product is known by its SKUs, its external id and its slug: one that has any of these already is left as it is.

use super::input::Input;
use super::online_retail::TooMany;
use super::orders::finished;
use super::summary::{BadRow, Counts, READ_MAX, Read};
use super::{ACTOR, ImportError, Options, Summary, unit};
use crate::money::{Currency, read_amount};
use crate::products::ProductId;
use crate::products::draft::Draft;
use crate::products::input::NewProduct;
use crate::products::store::{NewRow, find_duplicate, insert_many};
use csv::StringRecord;
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use platform::http::{FieldError, Place, Schema};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::sync::mpsc;

/// Most SKUs, external ids and slugs of one file: they are held in memory.
const KEYS_MAX: usize = 1_000_000;

/// How a cell of a column becomes a member of the request body.
#[derive(Clone, Copy)]
enum Cell {
    Text,
    Integer,
    /// Of the row's currency, in major units.
    Amount,
    /// Separated by `;`.
    List,
}

/// The columns that a CSV file may have, in any order; an empty cell is left away. As in any spreadsheet, `price` is in
/// major units: `19.99`.
const COLUMNS: [(&str, Cell); 15] = [
    ("title", Cell::Text),
    ("sku", Cell::Text),
    ("price", Cell::Amount),
    ("currency", Cell::Text),
    ("inventory_quantity", Cell::Integer),
    ("description", Cell::Text),
    ("status", Cell::Text),
    ("type", Cell::Text),
    ("vendor", Cell::Text),
    ("brand", Cell::Text),
    ("slug", Cell::Text),
    ("tax_category", Cell::Text),
    ("external_id", Cell::Text),
    ("categories", Cell::List),
    ("tags", Cell::List),
];

/// A row of the file: its line and the product, or what is wrong.
type Row = (u64, Result<Draft, String>);

/// Imports products from a `.csv` or `.ndjson` (`.jsonl`) file, plain or `.zst`.
///
/// # Errors
/// When the file cannot be read or the database refuses; what was written until then stays. Bad rows are no error: they
/// are in the summary.
pub async fn run_products(
    db: &Db,
    path: &Path,
    options: &Options,
    now: Timestamp,
) -> Result<Summary, ImportError> {
    run(db, Source::File(path.to_owned()), options, now).await
}

/// Imports products from the text of a CSV file that was called `name`.
///
/// # Errors
/// See [`run_products`].
pub async fn run_products_text(
    db: &Db,
    (name, text): (&str, String),
    options: &Options,
    now: Timestamp,
) -> Result<Summary, ImportError> {
    let source = Source::Csv(PathBuf::from(name), text);
    run(db, source, options, now).await
}

/// Where products come from.
enum Source {
    File(PathBuf),
    /// Its name, for messages, and the text.
    Csv(PathBuf, String),
}

async fn run(
    db: &Db,
    source: Source,
    options: &Options,
    now: Timestamp,
) -> Result<Summary, ImportError> {
    let started = Instant::now();
    let (Source::File(path) | Source::Csv(path, _)) = &source;
    let mut summary = Summary {
        file: path.display().to_string(),
        format: "tradepost",
        dry_run: options.dry_run,
        ..Summary::default()
    };
    options.progress.begin("Importing", 0);
    let (sender, mut rows) = mpsc::channel(options.chunk);
    let reading = tokio::task::spawn_blocking(move || match source {
        Source::File(path) => send_rows(&path, &sender),
        Source::Csv(path, text) => send_csv(&path, Input::text(text), &sender),
    });
    let mut chunk: Vec<Draft> = Vec::with_capacity(options.chunk);
    let mut seen = Seen::default();
    while let Some((line, row)) = rows.recv().await {
        summary.rows += 1;
        options.progress.at(summary.rows);
        let fresh = match row {
            Ok(draft) => seen.first_time(&draft)?.map(|()| draft),
            Err(reason) => Err(reason),
        };
        match fresh {
            Ok(draft) => chunk.push(draft),
            Err(reason) => bad(&mut summary, options, BadRow { line, reason }),
        }
        if chunk.len() == options.chunk {
            write(db, std::mem::take(&mut chunk), options, &mut summary, now).await?;
        }
    }
    reading.await.map_err(|_| ImportError::Stopped)??;
    write(db, chunk, options, &mut summary, now).await?;
    options.progress.end();
    summary.elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if summary.is_news() && !options.dry_run {
        let told = summary.clone();
        db.write(async move |tx| finished(tx, &told, now).await)
            .await?;
    }
    Ok(summary)
}

/// How a row was understood.
fn read_of(draft: &Draft) -> Read {
    let variant = draft.variants.first();
    let price = variant.and_then(|variant| variant.prices.first());
    Read {
        title: draft.title.clone(),
        sku: variant.and_then(|variant| variant.sku.clone()),
        price: price.map(|price| (price.amount, price.currency)),
        on_hand: variant.and_then(|variant| variant.on_hand),
        status: draft.status,
    }
}

fn bad(summary: &mut Summary, options: &Options, row: BadRow) {
    options.progress.bad_row(&row);
    summary.add_bad(row);
}

// ---- reading -------------------------------------------------------------------------------------------------------

fn send_rows(path: &Path, sender: &mpsc::Sender<Row>) -> Result<(), ImportError> {
    let input = Input::open(path).map_err(|error| ImportError::File(path.to_owned(), error))?;
    let name: PathBuf = if path.extension().is_some_and(|end| end == "zst") {
        path.with_extension("")
    } else {
        path.into()
    };
    match name.extension().and_then(|end| end.to_str()) {
        Some("csv") => send_csv(path, input, sender),
        Some("ndjson" | "jsonl") => send_ndjson(path, input, sender),
        _ => Err(ImportError::Format(
            path.to_owned(),
            "expected a name that ends in .csv, .ndjson or .jsonl".to_owned(),
        )),
    }
}

fn send(
    sender: &mpsc::Sender<Row>,
    line: u64,
    value: Result<Value, String>,
) -> Result<(), ImportError> {
    let draft = value.and_then(draft_of);
    sender
        .blocking_send((line, draft))
        .map_err(|_| ImportError::Stopped)
}

fn send_csv(path: &Path, input: Input, sender: &mpsc::Sender<Row>) -> Result<(), ImportError> {
    let unreadable = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => ImportError::File(path.to_owned(), error),
        other => ImportError::Format(path.to_owned(), format!("{other:?}")),
    };
    let budget = input.budget();
    let mut input = BufReader::new(input);
    let delimiter = delimiter_of(
        input
            .fill_buf()
            .map_err(|error| ImportError::File(path.to_owned(), error))?,
    );
    let mut rows = csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(input);
    let columns = columns_of(rows.headers().map_err(unreadable)?)
        .map_err(|expected| ImportError::Format(path.to_owned(), expected))?;
    let mut record = StringRecord::new();
    loop {
        budget.renew();
        let line = rows.position().line();
        match rows.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => send(sender, line, body_of(&columns, &record))?,
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                send(sender, line, Err("the row is not UTF-8".to_owned()))?;
            }
            Err(error) => return Err(unreadable(error)),
        }
    }
}

/// What stands between the columns of a file that begins with `start`: where a comma is in numbers, spreadsheets write
/// semicolons.
fn delimiter_of(start: &[u8]) -> u8 {
    let header = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let holds = |mark: &u8| header.contains(mark);
    let mark = [b',', b';', b'\t'].into_iter().find(holds);
    mark.unwrap_or(b',')
}

fn columns_of(header: &StringRecord) -> Result<Vec<(&'static str, Cell)>, String> {
    if header.is_empty() {
        return Err("expected a first line with the names of the columns, such as title,sku,price,currency; the file is empty".to_owned());
    }
    let mut columns: Vec<(&'static str, Cell)> = Vec::new();
    for name in header {
        let known = COLUMNS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        let column = known.ok_or_else(|| {
            let all: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
            format!(
                "the first line names the columns, and there is no column `{name}`; expected some of {}",
                all.join(", ")
            )
        })?;
        if columns.iter().any(|(present, _)| *present == column.0) {
            return Err(format!("the column `{name}` stands twice"));
        }
        columns.push(*column);
    }
    Ok(columns)
}

/// The request body that a row is the short form of.
fn body_of(columns: &[(&'static str, Cell)], record: &StringRecord) -> Result<Value, String> {
    if record.len() != columns.len() {
        return Err(format!(
            "expected {} columns, found {}",
            columns.len(),
            record.len()
        ));
    }
    let cells = || columns.iter().zip(record);
    let currency = cells().find(|((name, _), _)| *name == "currency");
    let currency = currency.map_or("", |(_, code)| code);
    let mut body = Map::new();
    for ((name, cell), text) in cells().filter(|(_, text)| !text.is_empty()) {
        let value = match cell {
            Cell::Text => text.into(),
            Cell::Integer => text
                .parse::<i64>()
                .map_err(|_| format!("{name}: expected a whole number"))?
                .into(),
            Cell::Amount => amount_of(text, currency)
                .map_err(|expected| format!("{name}: {expected}"))?
                .into(),
            Cell::List => text
                .split(';')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect(),
        };
        body.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(body))
}

fn amount_of(text: &str, code: &str) -> Result<i64, String> {
    let currency = Currency::parse(code).map_err(|_| match code {
        "" => "expected a currency beside it, such as USD".to_owned(),
        other => format!("`{other}` beside it is no currency such as USD"),
    })?;
    read_amount(text, currency)
}

fn send_ndjson(path: &Path, input: Input, sender: &mpsc::Sender<Row>) -> Result<(), ImportError> {
    let unreadable = |error| ImportError::File(path.to_owned(), error);
    let budget = input.budget();
    let (mut lines, mut text, mut number) = (BufReader::new(input), Vec::new(), 0);
    loop {
        budget.renew();
        text.clear();
        number += 1;
        if lines.read_until(b'\n', &mut text).map_err(unreadable)? == 0 {
            return Ok(());
        }
        if !text.trim_ascii().is_empty() {
            let value = serde_json::from_slice(&text)
                .map_err(|error| format!("not a JSON object: {error}"));
            send(sender, number, value)?;
        }
    }
}

/// The product that `body` asks for, by the rules of `POST /v2/products`.
fn draft_of(body: Value) -> Result<Draft, String> {
    let said = |errors: Vec<FieldError>| errors.iter().map(explain).collect::<Vec<_>>().join("; ");
    let violations = Schema::of::<NewProduct>().violations(&body);
    if !violations.is_empty() {
        return Err(said(violations));
    }
    let input: NewProduct = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let mut draft = Draft::empty();
    let errors = draft.change(input.0);
    if !errors.is_empty() {
        return Err(said(errors));
    }
    if keys(&draft).next().is_none() {
        return Err("expected a sku, an external_id or a slug by which the product is known when it is imported again".into());
    }
    Ok(draft)
}

fn explain(error: &FieldError) -> String {
    match &error.place {
        Place::Pointer(pointer) => {
            format!("{}: {}", pointer.trim_start_matches("#/"), error.detail)
        }
        _ => error.detail.clone(),
    }
}

/// What a product is known by.
fn keys(draft: &Draft) -> impl Iterator<Item = (&'static str, &str)> {
    let slug = draft.slug.as_deref().map(|slug| ("slug", slug));
    let external = draft.external_id.as_deref().map(|id| ("external_id", id));
    let skus = draft
        .variants
        .iter()
        .filter_map(|variant| variant.sku.as_deref());
    slug.into_iter()
        .chain(external)
        .chain(skus.map(|sku| ("sku", sku)))
}

/// What the products of the file so far are known by. That a row repeats one before it is a fault of the file: it is
/// told alike at every import, whatever is in the database by then.
#[derive(Default)]
struct Seen(HashSet<(&'static str, String)>);

impl Seen {
    /// `Ok(Err(_))` when a product before it has a key of `draft`.
    fn first_time(&mut self, draft: &Draft) -> Result<Result<(), String>, TooMany> {
        let own: Vec<(&'static str, String)> = keys(draft)
            .map(|(name, key)| (name, key.to_owned()))
            .collect();
        if let Some((name, key)) = own.iter().find(|key| self.0.contains(*key)) {
            return Ok(Err(format!(
                "{name}: `{key}` stands in a row before this one"
            )));
        }
        if self.0.len() + own.len() > KEYS_MAX {
            return Err(TooMany("SKUs, external ids and slugs", KEYS_MAX));
        }
        self.0.extend(own);
        Ok(Ok(()))
    }
}

// ---- writing -------------------------------------------------------------------------------------------------------

async fn write(
    db: &Db,
    chunk: Vec<Draft>,
    options: &Options,
    summary: &mut Summary,
    now: Timestamp,
) -> Result<(), ImportError> {
    if chunk.is_empty() {
        return Ok(());
    }
    let dry_run = options.dry_run;
    let work = async move |tx: &mut Tx| write_chunk(tx, chunk, dry_run, now).await;
    let (counts, read) = unit(db, dry_run, work).await?;
    summary.add_read(read);
    summary.products.new += counts.new;
    summary.products.present += counts.present;
    Ok(())
}

/// Writes the products of `chunk` that are not there yet. In a dry run it says how the first of them were read.
async fn write_chunk(
    tx: &mut Tx,
    chunk: Vec<Draft>,
    dry_run: bool,
    now: Timestamp,
) -> Result<(Counts, Vec<Read>), DbError> {
    let (mut new, mut counts) = (Vec::new(), Counts::default());
    for draft in chunk {
        let row = NewRow {
            id: ProductId::new(),
            draft,
        };
        if find_duplicate(tx, &row.id, &row.draft).await?.is_some() {
            counts.present += 1;
        } else {
            counts.new += 1;
            new.push(row);
        }
    }
    if dry_run {
        let read = new.iter().take(READ_MAX).map(|row| read_of(&row.draft));
        return Ok((counts, read.collect()));
    }
    insert_many(tx, &new, ACTOR, now).await?;
    Ok((counts, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(header: &str, cells: &[&str]) -> Result<Value, String> {
        let columns = columns_of(&StringRecord::from(header.split(',').collect::<Vec<_>>()))?;
        body_of(&columns, &StringRecord::from(cells.to_vec()))
    }

    #[test]
    fn a_row_is_the_short_form_of_a_body() {
        let body = row(
            "title,sku,price,currency,tags,vendor",
            &["Mug", "M-1", "19.99", "GBP", "red; blue;", ""],
        );
        let expected = json!({ "title": "Mug", "sku": "M-1", "price": 1999, "currency": "GBP", "tags": ["red", "blue"] });
        assert_eq!(body, Ok(expected.clone()));
        let draft = draft_of(expected).expect("a good product");
        assert_eq!(
            (draft.variants[0].prices[0].amount, draft.tags.len()),
            (1999, 2)
        );
    }

    #[test]
    fn the_mark_between_columns_is_seen_in_the_header() {
        for (start, mark) in [
            ("title,sku\nA;B,1\n", b','),
            ("title;sku;price\nA,B;1\n", b';'),
            ("title\tsku\n", b'\t'),
            ("title\nA;B\n", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter_of(start.as_bytes()), mark, "{start}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        for (header, cells, said) in [
            (
                "title,colour",
                &["Mug", "red"][..],
                "there is no column `colour`",
            ),
            ("title,title", &["Mug", "Mug"], "stands twice"),
            ("title,sku", &["Mug"], "expected 2 columns, found 1"),
            (
                "title,price",
                &["Mug", "19.99"],
                "price: expected a currency",
            ),
            (
                "title,price,currency",
                &["Mug", "19.999", "USD"],
                "price: expected at most 2 decimals",
            ),
            (
                "title,inventory_quantity",
                &["Mug", "1.5"],
                "inventory_quantity: expected a whole number",
            ),
        ] {
            let error = row(header, cells).expect_err(said);
            assert!(error.contains(said), "{error}");
        }
        let missing = draft_of(json!({ "sku": "M-1" })).expect_err("no title");
        assert!(missing.contains("title"), "{missing}");
        let nameless = draft_of(json!({ "title": "Mug" })).expect_err("no key");
        assert!(nameless.contains("expected a sku"), "{nameless}");
    }
}
