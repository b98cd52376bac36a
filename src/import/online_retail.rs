//! The format `online-retail`: the UCI data set "Online Retail" (D. Chen, doi 10.1057/dbm.2012.17, CC BY 4.0), the
//! order lines of a UK shop. Reading and grouping; no I/O.
//!
//! What the columns mean here:
//! - `InvoiceNo`: all lines with one number are one document, wherever in the file they stand. Digits are an order, `C`
//!   and digits a credit note (the data says which goods came back, not from which order), `A` and digits an adjustment.
//! - `InvoiceDate`: UK local time. A document was placed at the earliest time of its lines.
//! - `StockCode`: the SKU, exactly: `85123A` and `85123a` are two products.
//! - `UnitPrice`: pounds, with up to 24 digits. A line costs price × quantity, rounded once.
//! - `CustomerID`: `17850.0`, or empty for a guest.
//! - `Country`: one of the names in [`COUNTRIES`].

use crate::money::{Currency, Rounding, parse_decimal_times};
use csv::StringRecord;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use platform::clock::Timestamp;
use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};

/// The first line of the file.
pub const HEADER: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// The countries of the data set and what `orders.country` says for each: no two share a code, so that sums by country
/// are sums by name. ISO 3166-1 alpha-2, but for three names that are no country: `EU` is the exceptionally reserved code
/// of the European Union, and `XC` and `ZZ` are of the codes that ISO leaves to users (§8.1.3).
pub const COUNTRIES: [(&str, &str); 38] = [
    ("Australia", "AU"),
    ("Austria", "AT"),
    ("Bahrain", "BH"),
    ("Belgium", "BE"),
    ("Brazil", "BR"),
    ("Canada", "CA"),
    ("Channel Islands", "XC"),
    ("Cyprus", "CY"),
    ("Czech Republic", "CZ"),
    ("Denmark", "DK"),
    ("EIRE", "IE"),
    ("European Community", "EU"),
    ("Finland", "FI"),
    ("France", "FR"),
    ("Germany", "DE"),
    ("Greece", "GR"),
    ("Hong Kong", "HK"),
    ("Iceland", "IS"),
    ("Israel", "IL"),
    ("Italy", "IT"),
    ("Japan", "JP"),
    ("Lebanon", "LB"),
    ("Lithuania", "LT"),
    ("Malta", "MT"),
    ("Netherlands", "NL"),
    ("Norway", "NO"),
    ("Poland", "PL"),
    ("Portugal", "PT"),
    ("RSA", "ZA"),
    ("Saudi Arabia", "SA"),
    ("Singapore", "SG"),
    ("Spain", "ES"),
    ("Sweden", "SE"),
    ("Switzerland", "CH"),
    ("USA", "US"),
    ("United Arab Emirates", "AE"),
    ("United Kingdom", "GB"),
    ("Unspecified", "ZZ"),
];

/// Most documents, customers and products of one file, each: what is known of them is held in memory.
const KNOWN_MAX: usize = 500_000;
/// Most lines of documents that are still open, because the file names them again further down.
const OPEN_LINES_MAX: usize = 50_000;
/// Longest StockCode and Description, in characters: the bounds of a SKU and of a title.
const SKU_LENGTH_MAX: usize = 100;
const TITLE_LENGTH_MAX: usize = 255;
/// Largest quantity of a line, either way.
const QUANTITY_MAX: i64 = 1_000_000_000;
/// Largest total of a line, either way: a billion pounds. 50,000 such lines are still an amount that can be shown.
const LINE_TOTAL_MAX_MINOR: i64 = 100_000_000_000;

/// What kind of document an invoice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Order,
    CreditNote,
    Adjustment,
}

impl Kind {
    /// As orders store it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Order => "order",
            Kind::CreditNote => "credit_note",
            Kind::Adjustment => "adjustment",
        }
    }
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub invoice: Box<str>,
    pub kind: Kind,
    pub sku: Box<str>,
    /// Trimmed; may be empty.
    pub description: Box<str>,
    pub quantity: i64,
    pub at: Timestamp,
    /// Rounded to whole pence.
    pub unit_price_minor: i64,
    /// The price as it stands in the file, when rounding changed it.
    pub unit_price_exact: Option<Box<str>>,
    /// Price × quantity, rounded once.
    pub total_minor: i64,
    pub customer: Option<u64>,
    /// Index into [`COUNTRIES`].
    pub country: usize,
}

/// Why a line cannot be taken. The text names the column and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLine(pub String);

/// Reads lines; holds what every line needs.
#[derive(Debug)]
pub struct LineReader {
    uk: TimeZone,
    currency: Currency,
}

impl Default for LineReader {
    fn default() -> Self {
        LineReader {
            // The rule of the UK since 1996, so that no time zone database is needed (POSIX.1-2024 §8.3).
            uk: TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").expect("a constant that a test reads"),
            currency: currency(),
        }
    }
}

/// All amounts are pounds sterling.
pub fn currency() -> Currency {
    Currency::parse("GBP").expect("the pound is in ISO 4217")
}

impl LineReader {
    /// The line that `record` is.
    ///
    /// # Errors
    /// The first column that is not what it must be.
    pub fn read(&self, record: &StringRecord) -> Result<Line, BadLine> {
        if record.len() != HEADER.len() {
            let found = record.len();
            return Err(BadLine(format!(
                "expected {} columns, found {found}",
                HEADER.len()
            )));
        }
        let bad = |column: usize, expected: &str| {
            let shown: String = record[column].chars().take(40).collect();
            BadLine(format!(
                "{}: expected {expected}, found `{shown}`",
                HEADER[column]
            ))
        };
        let kind = kind_of(&record[0]).ok_or_else(|| bad(0, "digits, alone or after C or A"))?;
        let sku = &record[1];
        if sku.trim().is_empty() || sku.chars().count() > SKU_LENGTH_MAX {
            return Err(bad(1, "1 to 100 characters"));
        }
        let description = record[2].trim();
        if description.chars().count() > TITLE_LENGTH_MAX {
            return Err(bad(2, "at most 255 characters"));
        }
        let quantity: Option<i64> = record[3].parse().ok();
        let quantity = quantity
            .filter(|quantity| (-QUANTITY_MAX..=QUANTITY_MAX).contains(quantity))
            .ok_or_else(|| bad(3, "a whole number of at most a billion"))?;
        let at = self
            .time(&record[4])
            .ok_or_else(|| bad(4, "a time such as 2010-12-01 08:26:00"))?;
        let pence = |quantity| {
            parse_decimal_times(
                &record[5],
                quantity,
                self.currency.exponent(),
                Rounding::HalfUp,
            )
            .ok()
            .filter(|amount| (-LINE_TOTAL_MAX_MINOR..=LINE_TOTAL_MAX_MINOR).contains(amount))
            .ok_or_else(|| {
                bad(
                    5,
                    "a decimal number such as 2.55 that makes at most a billion pounds",
                )
            })
        };
        let (unit_price_minor, total_minor) = (pence(1)?, pence(quantity)?);
        let fraction = record[5].split_once('.').map_or("", |(_, digits)| digits);
        let rounded = fraction.trim_end_matches('0').len() > usize::from(self.currency.exponent());
        let customer =
            customer_of(&record[6]).map_err(|()| bad(6, "a number such as 17850.0, or nothing"))?;
        let country = COUNTRIES.binary_search_by_key(&&record[7], |(name, _)| name);
        Ok(Line {
            invoice: record[0].into(),
            kind,
            sku: sku.into(),
            description: description.into(),
            quantity,
            at,
            unit_price_minor,
            unit_price_exact: rounded.then(|| record[5].into()),
            total_minor,
            customer,
            country: country.map_err(|_| bad(7, "a country name of the data set"))?,
        })
    }

    fn time(&self, text: &str) -> Option<Timestamp> {
        let local: DateTime = text.parse().ok()?;
        // An hour that a change of the clock repeats or skips is read as before the change.
        let instant = self
            .uk
            .to_ambiguous_zoned_datetime(local)
            .compatible()
            .ok()?;
        Some(Timestamp::from_micros(instant.timestamp().as_microsecond()))
    }
}

fn kind_of(invoice: &str) -> Option<Kind> {
    let (kind, digits) = match invoice.as_bytes() {
        [b'C', digits @ ..] => (Kind::CreditNote, digits),
        [b'A', digits @ ..] => (Kind::Adjustment, digits),
        digits => (Kind::Order, digits),
    };
    let is_number = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then_some(kind)
}

fn customer_of(text: &str) -> Result<Option<u64>, ()> {
    let digits = text.strip_suffix(".0").unwrap_or(text);
    match digits.as_bytes() {
        [] if text.is_empty() => Ok(None),
        digits_only if digits_only.len() <= 18 && digits_only.iter().all(u8::is_ascii_digit) => {
            digits.parse().map(Some).map_err(drop)
        }
        _ => Err(()),
    }
}

/// What a first reading of the file tells: enough to know at a second reading when a document is complete, who its
/// customer is and what its lines sold.
#[derive(Debug, Default)]
pub struct Census {
    documents: BTreeMap<Box<str>, DocumentFacts>,
    /// Each customer and the time of the first document.
    pub customers: BTreeMap<u64, Timestamp>,
    /// What is known of each StockCode.
    pub products: BTreeMap<Box<str>, Sold>,
}

#[derive(Debug)]
struct DocumentFacts {
    lines: usize,
    customer: Option<u64>,
    country: usize,
    /// A line of it is bad: the document is left out as a whole, so that it is whole once the file is mended.
    bad: bool,
}

/// What the latest lines of a product say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sold {
    /// The description of the latest sale, else of the latest line that has one; empty if none has.
    pub title: Box<str>,
    /// The latest price above zero of a sale.
    pub price_minor: Option<i64>,
    titled_by: (bool, Option<Timestamp>),
    priced_at: Option<Timestamp>,
}

/// The file holds more than an import can know at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {1} {0} in one file: split it, an order in one part")]
pub struct TooMany(pub &'static str, pub usize);

impl Census {
    /// Takes a line into account.
    ///
    /// # Errors
    /// `Ok(Err(_))` when the line contradicts earlier ones of its document, which is then left out.
    pub fn add(&mut self, line: &Line) -> Result<Result<(), BadLine>, TooMany> {
        let first = DocumentFacts {
            lines: 0,
            customer: line.customer,
            country: line.country,
            bad: false,
        };
        let known = self.documents.len();
        let entry = self.documents.entry(line.invoice.clone());
        let facts = bounded(known, "documents", entry, first)?;
        facts.lines += 1;
        if (facts.customer, facts.country) != (line.customer, line.country) {
            facts.bad = true;
            let said =
                "CustomerID and Country: expected those of the earlier lines of this InvoiceNo";
            return Ok(Err(BadLine(said.to_owned())));
        }
        self.add_parties(line).map(Ok)
    }

    /// Takes the customer and the product of a line into account.
    fn add_parties(&mut self, line: &Line) -> Result<(), TooMany> {
        if let Some(number) = line.customer {
            let first = bounded(
                self.customers.len(),
                "customers",
                self.customers.entry(number),
                line.at,
            )?;
            *first = line.at.min(*first);
        }
        let known = self.products.len();
        bounded(
            known,
            "products",
            self.products.entry(line.sku.clone()),
            Sold::default(),
        )?
        .add(line);
        Ok(())
    }

    /// Forgets all customers and products, so that those of whole documents can be found by [`Self::add_again`].
    pub fn forget_parties(&mut self) {
        self.customers.clear();
        self.products.clear();
    }

    /// Takes the customer and the product of a line into account if its document is not left out.
    pub fn add_again(&mut self, line: &Line) -> Result<(), TooMany> {
        match self.documents.get(&line.invoice) {
            Some(facts) if !facts.bad => self.add_parties(line),
            _ => Ok(()),
        }
    }

    /// A line of `invoice` could not be read.
    pub fn leave_out(&mut self, invoice: &str) {
        if let Some(facts) = self.documents.get_mut(invoice) {
            facts.bad = true;
        } else if self.documents.len() < KNOWN_MAX {
            let facts = DocumentFacts {
                lines: 0,
                customer: None,
                country: 0,
                bad: true,
            };
            self.documents.insert(invoice.into(), facts);
        }
    }

    /// How many documents there are, and how many of them are left out.
    pub fn documents(&self) -> (usize, usize) {
        let bad = self.documents.values().filter(|facts| facts.bad).count();
        (self.documents.len(), bad)
    }
}

fn bounded<'a, K: Ord, V>(
    known: usize,
    what: &'static str,
    entry: Entry<'a, K, V>,
    first: V,
) -> Result<&'a mut V, TooMany> {
    match entry {
        Entry::Occupied(present) => Ok(present.into_mut()),
        Entry::Vacant(_) if known >= KNOWN_MAX => Err(TooMany(what, KNOWN_MAX)),
        Entry::Vacant(free) => Ok(free.insert(first)),
    }
}

impl Sold {
    fn add(&mut self, line: &Line) {
        // What is not sold is often described by what happened to it: `damaged`, `?`, `wrongly marked`.
        let sale = line.quantity > 0 && line.unit_price_minor > 0;
        let rank = (sale, Some(line.at));
        if !line.description.is_empty() && rank >= self.titled_by {
            self.title.clone_from(&line.description);
            self.titled_by = rank;
        }
        if sale && Some(line.at) >= self.priced_at {
            (self.price_minor, self.priced_at) = (Some(line.unit_price_minor), Some(line.at));
        }
    }
}

/// All lines of one invoice, in the order of the file; never empty.
#[derive(Clone, Debug)]
pub struct Document {
    pub lines: Vec<Line>,
}

impl Document {
    /// The earliest time of its lines.
    pub fn placed_at(&self) -> Timestamp {
        let earliest = self.lines.iter().map(|line| line.at).min();
        earliest.expect("a document is made of at least one line")
    }
}

/// Puts lines together to documents.
#[derive(Debug, Default)]
pub struct Grouper {
    open: HashMap<Box<str>, Vec<Line>>,
    open_lines: usize,
}

/// Why lines cannot be grouped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("the file changed while it was read")]
    FileChanged,
    #[error("more than {OPEN_LINES_MAX} lines of unfinished documents: sort the file by InvoiceNo")]
    Scattered,
}

impl Grouper {
    /// Takes the next line of the file that `census` was made of; gives the document that it completes.
    pub fn add(&mut self, line: Line, census: &Census) -> Result<Option<Document>, GroupError> {
        let facts = census
            .documents
            .get(&line.invoice)
            .ok_or(GroupError::FileChanged)?;
        if facts.bad {
            return Ok(None);
        }
        let invoice = line.invoice.clone();
        let lines = self.open.entry(invoice.clone()).or_default();
        lines.push(line);
        self.open_lines += 1;
        if lines.len() < facts.lines {
            let scattered = self.open_lines > OPEN_LINES_MAX;
            return if scattered {
                Err(GroupError::Scattered)
            } else {
                Ok(None)
            };
        }
        let lines = self.open.remove(&invoice).unwrap_or_default();
        self.open_lines -= lines.len();
        Ok(Some(Document { lines }))
    }

    /// The file is at its end.
    pub fn finish(self) -> Result<(), GroupError> {
        if self.open.is_empty() {
            Ok(())
        } else {
            Err(GroupError::FileChanged)
        }
    }
}

#[cfg(test)]
mod tests;
