//! `/dashboard/products/import`: products out of a CSV file, looked at first.

use crate::app::App;
use crate::dashboard::fields::Fields;
use crate::dashboard::frame::{self, Frame};
use crate::dashboard::show::{Badge, count, money, sentence};
use crate::dashboard::store;
use crate::dashboard::visit::{Form, SignedIn};
use crate::error::Result;
use crate::import::{BadRow, ImportError, Options, Read, Summary, run_products_text};
use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::db::DbError;
use platform::http::{Problem, codes};

/// Largest file: with the rest of the form it stays within the 1 MiB of a body.
const FILE_BYTES_MAX: usize = 1_000_000;
/// A file to begin with.
const EXAMPLE: &str = "title,sku,price,currency,inventory_quantity,status,categories,tags,description\n\
    \"Mug, blue\",MUG-BLUE,12.50,USD,40,active,Kitchen;Mugs,blue,\"Holds 0.3 l.\"\n\
    \"Mug, red\",MUG-RED,12.50,USD,25,draft,Kitchen;Mugs,red,\n";
/// Longest name of a file that is noted, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What came of reading a file.
#[derive(Debug)]
struct Report {
    name: String,
    rows: String,
    new: String,
    present: String,
    bad_rows: String,
    bad: Vec<BadRow>,
    read: Vec<ReadRow>,
    /// Some bad rows are not listed.
    cut: bool,
    /// Something would be, or was, added.
    any: bool,
    dry: bool,
}

/// A product as it was read.
#[derive(Debug)]
struct ReadRow {
    title: String,
    sku: String,
    price: String,
    stock: String,
    status: Badge,
}

#[derive(Template)]
#[template(path = "products_import.html")]
struct ImportPage<'a> {
    frame: Frame,
    report: Option<Report>,
    /// The file once more, for the form that imports it.
    text: &'a str,
    wrong: String,
}

impl<'a> ImportPage<'a> {
    fn new(signed_in: &SignedIn, text: &'a str) -> ImportPage<'a> {
        ImportPage {
            frame: Frame::new(&signed_in.visit, "Import products"),
            report: None,
            text,
            wrong: String::new(),
        }
    }
}

fn report(name: &str, summary: Summary) -> Report {
    let number = |n: usize| count(i64::try_from(n).unwrap_or(i64::MAX));
    let rows = |n: u64| count(i64::try_from(n).unwrap_or(i64::MAX));
    Report {
        name: name.to_owned(),
        rows: rows(summary.rows),
        new: number(summary.products.new),
        present: number(summary.products.present),
        bad_rows: rows(summary.bad_rows),
        cut: summary.bad_rows > summary.bad.len() as u64,
        any: summary.products.new > 0,
        dry: summary.dry_run,
        bad: summary.bad,
        read: summary.read.into_iter().map(read_row).collect(),
    }
}

fn read_row(read: Read) -> ReadRow {
    let none = || "none".to_owned();
    ReadRow {
        title: read.title,
        sku: read.sku.unwrap_or_default(),
        price: read
            .price
            .map_or_else(none, |(amount, currency)| money(amount, currency)),
        stock: read.on_hand.map_or_else(|| "not tracked".to_owned(), count),
        status: Badge(read.status.as_str()),
    }
}

/// `GET /dashboard/products/import/example.csv`: a file to begin with.
pub async fn example() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"products.csv\"",
        ),
    ];
    (headers, EXAMPLE).into_response()
}

/// `GET /dashboard/products/import`.
pub async fn get(signed_in: SignedIn) -> Result<Response> {
    Ok(frame::page(
        StatusCode::OK,
        &ImportPage::new(&signed_in, ""),
    ))
}

/// The file of the form and its name. Lines end alike, whether it comes as a file or out of the form that showed it.
fn file_of(typed: &Fields) -> (String, String) {
    let field = ["file", "text"].map(|name| typed.exact(name));
    let text = field.into_iter().find(|text| !text.is_empty());
    let text = text.unwrap_or_default().trim_start_matches('\u{feff}');
    let name = typed.some("file.filename").or(typed.some("name"));
    let name = name.unwrap_or("products.csv");
    let name = name.chars().filter(|c| !c.is_control());
    (
        name.take(NAME_CHARS_MAX).collect(),
        text.replace("\r\n", "\n"),
    )
}

/// `POST /dashboard/products/import`: reads the file and compares; nothing is written.
pub async fn preview(State(app): State<App>, signed_in: SignedIn, form: Form) -> Result<Response> {
    read(&app, &signed_in, form, true).await
}

/// `POST /dashboard/products/import/apply`: writes what the preview showed.
pub async fn import(State(app): State<App>, signed_in: SignedIn, form: Form) -> Result<Response> {
    read(&app, &signed_in, form, false).await
}

async fn read(
    app: &App,
    signed_in: &SignedIn,
    Form(typed): Form,
    dry_run: bool,
) -> Result<Response> {
    let (name, text) = file_of(&typed);
    let mut page = ImportPage::new(signed_in, &text);
    if text.is_empty() || text.len() > FILE_BYTES_MAX {
        page.wrong = match text.is_empty() {
            true => "Choose a file with at least one line.".to_owned(),
            false => "The file is larger than 1 MB. Larger ones are imported by tradepost import products FILE.".to_owned(),
        };
        page.text = "";
        return Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    if !dry_run {
        // Before the first of its transactions: what is half done is in the log too.
        note(app, signed_in, "products.import_started", &name, "").await?;
    }
    let options = Options {
        dry_run,
        ..Options::default()
    };
    let now = signed_in.visit.now();
    let file = (name.as_str(), text.clone());
    match run_products_text(&app.db, file, &options, now).await {
        Ok(summary) => {
            let report = report(&name, summary);
            if !dry_run {
                let told = format!(
                    "{} added, {} there already, {} invalid",
                    report.new, report.present, report.bad_rows
                );
                note(app, signed_in, "products.imported", &name, &told).await?;
                app.nudge.send();
            }
            page.report = Some(report);
            Ok(frame::page(StatusCode::OK, &page))
        }
        Err(ImportError::Db(error)) => Err(error.into()),
        Err(ImportError::Format(_, detail)) => {
            page.wrong = sentence(&detail);
            page.text = "";
            Ok(frame::page(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(other) => Err(Problem::new(&codes::INVALID_BODY, other.to_string())),
    }
}

async fn note(
    app: &App,
    signed_in: &SignedIn,
    deed: &'static str,
    file: &str,
    told: &str,
) -> Result<()> {
    let (by, file, told) = (signed_in.clone(), file.to_owned(), told.to_owned());
    let noted: std::result::Result<(), DbError> = app
        .db
        .write(async move |tx| {
            store::note_change(tx, by.doer(), deed, ("file", &file), &told).await
        })
        .await;
    Ok(noted?)
}
