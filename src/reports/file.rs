//! The file of a report: JSON or CSV, written row by row into chunks that the database keeps.

use super::report::{Column, Format, ReportKind};
use super::run::{Parameters, Plan};
use crate::money::{AMOUNT_MAX, Currency, format_major};
use aws_lc_rs::digest;
use platform::clock::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// Rows of one report.
pub const ROWS_MAX: u64 = 1_000_000;
/// Bytes of one report.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of one stored part of a file.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Why a file cannot be made: the same would happen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("the report has more than 1,000,000 rows")]
    TooManyRows,
    #[error("the report is larger than 64 MiB")]
    TooLarge,
    #[error("a sum is beyond 9,007,199,254,740,991 minor units")]
    OutOfRange,
}

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Text(&'a str),
    Int(i64),
    /// Minor units.
    Money(i64, Currency),
}

impl<'a> Cell<'a> {
    /// A text that may be absent.
    pub fn text(text: Option<&'a str>) -> Cell<'a> {
        text.map_or(Cell::Null, Cell::Text)
    }

    /// A sum, if every JSON reader can hold it.
    pub fn int(sum: i128) -> Result<Cell<'a>, FileError> {
        bounded(sum).map(Cell::Int)
    }

    /// An amount in minor units, if every JSON reader can hold it.
    pub fn money(amount: i128, currency: Currency) -> Result<Cell<'a>, FileError> {
        bounded(amount).map(|amount| Cell::Money(amount, currency))
    }

    /// As CSV shows it: amounts in major units, absent values empty.
    fn to_csv(self) -> Cow<'a, str> {
        match self {
            Cell::Null => Cow::Borrowed(""),
            Cell::Text(text) => harmless(text),
            Cell::Int(number) => Cow::Owned(number.to_string()),
            Cell::Money(amount, currency) => Cow::Owned(format_major(amount, currency.exponent())),
        }
    }
}

fn bounded(sum: i128) -> Result<i64, FileError> {
    i64::try_from(sum)
        .ok()
        .filter(|sum| sum.abs() <= AMOUNT_MAX)
        .ok_or(FileError::OutOfRange)
}

/// A text that no spreadsheet takes for a formula (OWASP "CSV Injection"): one that begins like a
/// formula gets an apostrophe before it.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Null => serializer.serialize_none(),
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Int(number) | Cell::Money(number, _) => serializer.serialize_i64(*number),
        }
    }
}

struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Cell<'a>],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            map.serialize_entry(column.name, cell)?;
        }
        map.end()
    }
}

/// What stands before the rows in JSON.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: ReportKind,
    version: i64,
    parameters: &'a Parameters,
    timezone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    as_of: Timestamp,
    columns: &'a [Column],
}

/// A finished file.
#[derive(Debug)]
pub struct File {
    /// Its text in order, each part at most [`CHUNK_BYTES_MAX`].
    pub chunks: Vec<String>,
    /// Bytes.
    pub size: u64,
    pub rows: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

/// Writes the file of one report: all rows, then all totals (which only JSON has).
pub struct FileWriter {
    columns: &'static [Column],
    body: Body,
    rows: u64,
    totals: u64,
}

enum Body {
    Json(Chunks),
    Csv(Box<csv::Writer<Chunks>>),
}

impl FileWriter {
    /// Begins the file of `plan`.
    pub fn begin(plan: &Plan, as_of: Timestamp) -> Result<FileWriter, FileError> {
        let columns = plan.kind.columns();
        let mut chunks = Chunks::default();
        let body = match plan.format {
            Format::Json => {
                let head = Head {
                    kind: plan.kind,
                    version: plan.kind.version(),
                    parameters: &plan.parameters,
                    timezone: &plan.timezone,
                    currency: plan.currency,
                    as_of,
                    columns,
                };
                let head = serde_json::to_string(&head).unwrap_or_default();
                chunks.put(head.trim_end_matches('}'))?;
                // The columns end in `]`, so only the object's own brace was cut.
                chunks.put(",\"rows\":[")?;
                Body::Json(chunks)
            }
            Format::Csv => {
                let mut builder = csv::WriterBuilder::new();
                builder.terminator(csv::Terminator::CRLF); // RFC 4180
                let mut writer = builder.from_writer(chunks);
                let names = columns.iter().map(|column| column.name);
                writer
                    .write_record(names)
                    .map_err(|_| FileError::TooLarge)?;
                Body::Csv(Box::new(writer))
            }
        };
        Ok(FileWriter {
            columns,
            body,
            rows: 0,
            totals: 0,
        })
    }

    /// Writes a row; `cells` are in the order of the report's columns.
    pub fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), FileError> {
        debug_assert!(cells.len() == self.columns.len() && self.totals == 0);
        if self.rows == ROWS_MAX {
            return Err(FileError::TooManyRows);
        }
        self.rows += 1;
        match &mut self.body {
            Body::Json(out) => {
                let join = if self.rows > 1 { ",\n" } else { "\n" };
                out.put_row(
                    join,
                    Row {
                        columns: self.columns,
                        cells,
                    },
                )
            }
            // The writer below fails only when it is full.
            Body::Csv(out) => out
                .write_record(cells.iter().map(|cell| cell.to_csv().into_owned()))
                .map_err(|_| FileError::TooLarge),
        }
    }

    /// Writes a total, after the last row: null in each column that does not add up.
    pub fn total(&mut self, cells: &[Cell<'_>]) -> Result<(), FileError> {
        debug_assert!(cells.len() == self.columns.len());
        self.totals += 1;
        match &mut self.body {
            Body::Json(out) => {
                let join = if self.totals > 1 {
                    ",\n"
                } else {
                    "\n],\"totals\":[\n"
                };
                out.put_row(
                    join,
                    Row {
                        columns: self.columns,
                        cells,
                    },
                )
            }
            Body::Csv(_) => Ok(()),
        }
    }

    /// Ends the file.
    pub fn finish(self) -> Result<File, FileError> {
        let chunks = match self.body {
            Body::Json(mut out) => {
                out.put(if self.totals > 0 {
                    "\n]}\n"
                } else {
                    "\n],\"totals\":[]}\n"
                })?;
                out
            }
            Body::Csv(out) => out.into_inner().map_err(|_| FileError::TooLarge)?,
        };
        Ok(chunks.finish(self.rows))
    }
}

/// Collects bytes of UTF-8 text in parts that end between characters, and digests them.
struct Chunks {
    full: Vec<String>,
    open: Vec<u8>,
    size: u64,
    digest: digest::Context,
}

impl Default for Chunks {
    fn default() -> Self {
        let digest = digest::Context::new(&digest::SHA256);
        Chunks {
            full: Vec::new(),
            open: Vec::new(),
            size: 0,
            digest,
        }
    }
}

impl Chunks {
    fn put(&mut self, text: &str) -> Result<(), FileError> {
        self.write_all(text.as_bytes())
            .map_err(|_| FileError::TooLarge)
    }

    fn put_row(&mut self, join: &str, row: Row<'_>) -> Result<(), FileError> {
        self.put(join)?;
        serde_json::to_writer(self, &row).map_err(|_| FileError::TooLarge)
    }

    /// Moves the first `length` bytes to the full parts.
    fn cut(&mut self, length: usize) {
        let rest = self.open.split_off(length);
        let part = std::mem::replace(&mut self.open, rest);
        self.full.push(
            String::from_utf8(part)
                .expect("only whole UTF-8 text is written, and it is cut between characters"),
        );
    }

    fn finish(mut self, rows: u64) -> File {
        if !self.open.is_empty() {
            self.cut(self.open.len());
        }
        let digest = self.digest.finish();
        let sha256 = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        File {
            chunks: self.full,
            size: self.size,
            rows,
            sha256,
        }
    }
}

impl Write for Chunks {
    /// Takes all of `bytes`, or nothing when the file would be too large.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.size + bytes.len() as u64;
        if size > FILE_BYTES_MAX {
            return Err(io::Error::other(FileError::TooLarge));
        }
        self.size = size;
        self.digest.update(bytes);
        self.open.extend_from_slice(bytes);
        while self.open.len() > CHUNK_BYTES_MAX {
            let continues = |at: &usize| self.open[*at] & 0b1100_0000 == 0b1000_0000;
            let boundary = (1..=CHUNK_BYTES_MAX).rev().find(|at| !continues(at));
            self.cut(boundary.unwrap_or(CHUNK_BYTES_MAX));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::run::NewReport;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn plan(format: &str) -> Plan {
        let body = json!({ "type": "sales_by_country", "format": format });
        let new: NewReport = serde_json::from_value(body).unwrap();
        Plan::new(&new, Timestamp::from_micros(0)).unwrap()
    }

    fn written(format: &str, country: &str, count: u64) -> File {
        let currency = Currency::parse("KWD").unwrap();
        let mut file = FileWriter::begin(&plan(format), Timestamp::from_micros(0)).unwrap();
        let money = Cell::Money(-5, currency);
        let row = [
            Cell::Text(country),
            Cell::Text("KWD"),
            Cell::Int(-1),
            Cell::Null,
            money,
            money,
        ];
        for _ in 0..count {
            file.row(&row).unwrap();
        }
        file.total(&row).unwrap();
        file.finish().unwrap()
    }

    #[test]
    fn json_keeps_minor_units_and_csv_shows_major_ones() {
        let json: Value =
            serde_json::from_str(&written("json", "=1+1", 2).chunks.concat()).unwrap();
        let row = json!({ "country": "=1+1", "currency": "KWD", "orders": -1, "units": null, "net_sales": -5, "total_sales": -5 });
        assert_eq!(json["rows"], json!([row, row]));
        assert_eq!(json["totals"], json!([row]));
        assert_eq!(json["columns"][0]["name"], "country");
        let csv = written("csv", "=1+1", 1).chunks.concat();
        assert_eq!(
            csv,
            "country,currency,orders,units,net_sales,total_sales\r\n'=1+1,KWD,-1,,-0.005,-0.005\r\n"
        );
    }

    #[test]
    fn a_file_without_rows_is_whole() {
        let json: Value = serde_json::from_str(&written("json", "", 0).chunks.concat()).unwrap();
        assert_eq!(json["rows"], json!([]));
        let mut none = FileWriter::begin(&plan("json"), Timestamp::from_micros(0))
            .unwrap()
            .finish()
            .unwrap();
        let json: Value = serde_json::from_str(&none.chunks.remove(0)).unwrap();
        assert_eq!(
            (json["rows"].clone(), json["totals"].clone()),
            (json!([]), json!([]))
        );
    }

    #[test]
    fn parts_are_bounded_and_cut_between_characters() {
        for format in ["json", "csv"] {
            let file = written(format, &"€".repeat(70_001), 5);
            assert!(file.chunks.len() > 3);
            assert!(file.chunks.iter().all(|part| part.len() <= CHUNK_BYTES_MAX));
            let whole = file.chunks.concat();
            assert_eq!(file.size, whole.len() as u64);
            assert_eq!(file.sha256, platform::secrets::sha256_hex(whole.as_bytes()));
        }
    }

    #[test]
    fn a_file_that_would_be_too_large_is_refused() {
        for format in ["json", "csv"] {
            let mut file = FileWriter::begin(&plan(format), Timestamp::from_micros(0)).unwrap();
            let text = "x".repeat(1_000_000);
            let row = [
                Cell::Text(&text),
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
                Cell::Null,
            ];
            let refused = (0..100).find_map(|_| file.row(&row).err());
            assert_eq!(refused, Some(FileError::TooLarge));
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back_from_csv_and_is_no_formula(text in "[=+@\\-\\t\\r\\n\"',; a-zé€]{0,12}") {
            let csv = written("csv", &text, 1).chunks.concat();
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let cell = &record[0];
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
            prop_assert!(cell == text || cell.strip_prefix('\'') == Some(&text));
        }
    }
}
