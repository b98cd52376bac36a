use super::*;
use crate::address::Country;
use proptest::prelude::*;
use std::collections::HashSet;

const GOOD: [&str; 8] = [
    "536365",
    "85123A",
    " WHITE HOLDER ",
    "6",
    "2010-12-01 08:26:00",
    "2.55",
    "17850.0",
    "United Kingdom",
];

fn read(fields: &[&str]) -> Result<Line, BadLine> {
    LineReader::default().read(&StringRecord::from(fields.to_vec()))
}

fn with(column: usize, text: &str) -> Result<Line, BadLine> {
    let mut fields = GOOD;
    fields[column] = text;
    read(&fields)
}

fn line(change: impl FnOnce(&mut Line)) -> Line {
    let mut line = read(&GOOD).expect("a good line");
    change(&mut line);
    line
}

#[test]
fn a_line_is_read_exactly() {
    let line = line(|_| {});
    assert_eq!(
        (line.kind, &*line.sku, &*line.description),
        (Kind::Order, "85123A", "WHITE HOLDER")
    );
    assert_eq!(
        (line.quantity, line.unit_price_minor, line.total_minor),
        (6, 255, 1530)
    );
    assert_eq!(
        (line.customer, COUNTRIES[line.country].1),
        (Some(17850), "GB")
    );
    assert_eq!(line.at.to_string(), "2010-12-01T08:26:00Z");
    assert_eq!(line.unit_price_exact, None);
    assert_eq!(
        with(4, "2011-07-01 09:00:00")
            .expect("summer")
            .at
            .to_string(),
        "2011-07-01T08:00:00Z"
    );
    assert_eq!(with(0, "C536379").expect("credit").kind, Kind::CreditNote);
    assert_eq!(
        with(0, "A563185").expect("adjustment").kind,
        Kind::Adjustment
    );
    assert_eq!(with(6, "").expect("a guest").customer, None);
    assert_eq!(
        with(5, "-11062.06").expect("negative").total_minor,
        -6_637_236
    );
    let tiny = with(5, "0.001").expect("below a penny");
    assert_eq!(
        (
            tiny.unit_price_minor,
            tiny.total_minor,
            tiny.unit_price_exact.as_deref()
        ),
        (0, 1, Some("0.001"))
    );
}

#[test]
fn a_bad_line_says_which_column_and_what_was_expected() {
    for (column, text) in [
        (0, ""),
        (0, "B12"),
        (0, "C"),
        (1, " "),
        (3, "1.5"),
        (3, "1000000001"),
        (4, "01/12/2010 08:26"),
        (4, "2010-13-01 08:26:00"),
        (5, "2,55"),
        (5, "1e3"),
        (6, ".0"),
        (6, "17850.5"),
        (7, "Atlantis"),
    ] {
        let error = with(column, text).expect_err(text).to_string();
        assert!(
            error.starts_with(HEADER[column]) && error.contains(&format!("`{text}`")),
            "{error}"
        );
    }
    assert_eq!(
        read(&GOOD[..7]).expect_err("short").to_string(),
        "expected 8 columns, found 7"
    );
}

#[test]
fn every_country_has_a_code_of_its_own() {
    assert!(COUNTRIES.is_sorted());
    let codes: HashSet<&str> = COUNTRIES.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes.len(), 38);
    let others = codes.iter().filter(|code| Country::parse(code).is_none());
    let others: HashSet<&str> = others.copied().collect();
    assert_eq!(others, HashSet::from(["EU", "XC", "ZZ"]));
}

#[test]
fn a_product_is_called_and_priced_as_it_was_last_sold() {
    let mut census = Census::default();
    let mut add = |minute: i64, quantity: i64, price: i64, description: &str| {
        let line = line(|line| {
            line.at = Timestamp::from_micros(minute * 60_000_000);
            (line.quantity, line.unit_price_minor) = (quantity, price);
            line.description = description.into();
        });
        census.add(&line).expect("room").expect("consistent");
    };
    add(3, 1, 300, "MUG");
    add(1, 1, 100, "OLD MUG");
    add(9, -4, 0, "damaged");
    add(5, 1, 500, "");
    let sold = &census.products["85123A"];
    assert_eq!((&*sold.title, sold.price_minor), ("MUG", Some(500)));
    assert_eq!(census.customers[&17850], Timestamp::from_micros(60_000_000));
}

#[test]
fn a_document_with_a_contradiction_or_a_bad_line_is_left_out() {
    let (mut census, mut grouper) = (Census::default(), Grouper::default());
    let other = |invoice: &str| line(|line| line.invoice = invoice.into());
    let guest = line(|line| line.customer = None);
    census.leave_out("2");
    for line in [&line(|_| {}), &guest, &other("1"), &other("2")] {
        let _ = census.add(line).expect("room");
    }
    assert_eq!(census.documents(), (3, 2));
    assert!(grouper.add(guest, &census).expect("known").is_none());
    assert!(grouper.add(other("2"), &census).expect("known").is_none());
    assert_eq!(
        grouper
            .add(other("1"), &census)
            .expect("known")
            .expect("whole")
            .lines
            .len(),
        1
    );
    assert_eq!(
        grouper.add(other("3"), &census).expect_err("new"),
        GroupError::FileChanged
    );
    assert_eq!(grouper.finish(), Ok(()));
}

proptest! {
    #[test]
    fn each_document_comes_once_and_whole(invoices in prop::collection::vec(0_u8..12, 0..80)) {
        let lines: Vec<Line> = invoices
            .iter()
            .enumerate()
            .map(|(at, invoice)| line(|line| {
                line.invoice = invoice.to_string().into();
                line.quantity = at as i64;
            }))
            .collect();
        let (mut census, mut grouper) = (Census::default(), Grouper::default());
        for line in &lines {
            prop_assert_eq!(census.add(line), Ok(Ok(())));
        }
        let mut seen = HashSet::new();
        let mut count = 0;
        for line in lines {
            if let Some(document) = grouper.add(line, &census).expect("known") {
                prop_assert!(seen.insert(document.lines[0].invoice.clone()));
                prop_assert!(document.lines.is_sorted_by_key(|line| line.quantity));
                prop_assert!(document.lines.iter().all(|line| line.invoice == document.lines[0].invoice));
                count += document.lines.len();
            }
        }
        prop_assert_eq!(count, invoices.len());
        prop_assert_eq!(seen.len(), census.documents().0);
        prop_assert_eq!(grouper.finish(), Ok(()));
    }

    #[test]
    fn no_text_panics(fields in prop::collection::vec(".{0,20}", 8)) {
        let _ = LineReader::default().read(&StringRecord::from(fields));
    }
}
