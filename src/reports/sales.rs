//! Sums of sales, by bucket, by country and by product. Everything is summed in 128 bits, so that only
//! a figure that is shown can be out of range.

use super::file::{Cell, FileError, FileWriter};
use super::period::Periods;
use crate::money::Currency;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactKind {
    /// An order was placed.
    Sale,
    /// A credit note or adjustment was made; its amounts carry their own sign.
    Correction,
    /// An order was cancelled; its amounts are taken back.
    Cancellation,
}

/// Amounts of a document or of one of its lines, in minor units.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    pub units: i64,
    /// Unit price times quantity.
    pub items: i64,
    pub discount: i64,
    pub shipping: i64,
    pub tax: i64,
    /// Whether `items` contains the tax.
    pub tax_included: bool,
}

/// A document that counts, at the instant at which it does.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    pub kind: FactKind,
    /// Microseconds.
    pub at: i64,
    pub currency: Currency,
    pub country: Option<&'a str>,
    pub amounts: Amounts,
}

/// A line of a document that counts.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub kind: FactKind,
    pub order_id: &'a str,
    pub currency: Currency,
    pub product_id: Option<&'a str>,
    pub sku: Option<&'a str>,
    pub title: &'a str,
    pub amounts: Amounts,
}

/// The figures of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub orders: i64,
    pub units: i128,
    pub gross: i128,
    pub discounts: i128,
    pub reversals: i128,
    pub shipping: i128,
    pub taxes: i128,
}

impl Sums {
    fn add(&mut self, kind: FactKind, amounts: &Amounts) {
        let sign = if kind == FactKind::Cancellation {
            -1
        } else {
            1
        };
        let included_tax = if amounts.tax_included { amounts.tax } else { 0 };
        let gross = i128::from(amounts.items) - i128::from(included_tax);
        let discount = i128::from(amounts.discount);
        if kind == FactKind::Sale {
            self.gross += gross;
            self.discounts += discount;
        } else {
            self.reversals -= sign * (gross - discount);
        }
        self.units += sign * i128::from(amounts.units);
        self.shipping += sign * i128::from(amounts.shipping);
        self.taxes += sign * i128::from(amounts.tax);
    }

    fn merge(&mut self, other: &Sums) {
        self.orders += other.orders;
        self.units += other.units;
        self.gross += other.gross;
        self.discounts += other.discounts;
        self.reversals += other.reversals;
        self.shipping += other.shipping;
        self.taxes += other.taxes;
    }

    fn add_document(&mut self, fact: &Fact<'_>) {
        self.add(fact.kind, &fact.amounts);
        self.orders += i64::from(fact.kind == FactKind::Sale);
    }

    fn of<'a>(parts: impl IntoIterator<Item = &'a Sums>) -> Sums {
        let mut sums = Sums::default();
        parts.into_iter().for_each(|part| sums.merge(part));
        sums
    }

    /// Goods sold, after discounts and reversals.
    pub fn net(&self) -> i128 {
        self.gross - self.discounts - self.reversals
    }

    /// Everything charged.
    pub fn total(&self) -> i128 {
        self.net() + self.shipping + self.taxes
    }

    /// Average order value, half a minor unit away from zero.
    fn aov(&self) -> Option<i128> {
        let orders = i128::from(self.orders);
        let value = self.gross - self.discounts;
        (orders > 0).then(|| {
            let magnitude = (value.abs() * 2 + orders) / (orders * 2);
            if value < 0 { -magnitude } else { magnitude }
        })
    }
}

/// Sales of each bucket and currency.
#[derive(Debug)]
pub struct ByPeriod {
    periods: Periods,
    sums: BTreeMap<Currency, Vec<Sums>>,
}

impl ByPeriod {
    /// With rows of zeros for `currency` even if nothing is sold in it. Not for other currencies that the shop knows:
    /// what is sold later in a new one must not change the file of a range that is over.
    pub fn new(periods: Periods, currency: Option<Currency>) -> ByPeriod {
        let empty = vec![Sums::default(); periods.labels().len()];
        let sums = currency
            .map(|currency| (currency, empty))
            .into_iter()
            .collect();
        ByPeriod { periods, sums }
    }

    /// Counts `fact`; one outside of the buckets is left out.
    pub fn add(&mut self, fact: &Fact<'_>) {
        let Some(index) = self.periods.index_of(fact.at) else {
            return;
        };
        let count = self.periods.labels().len();
        let buckets = self
            .sums
            .entry(fact.currency)
            .or_insert_with(|| vec![Sums::default(); count]);
        buckets[index].add_document(fact);
    }

    /// Writes a row for each bucket of each currency, and a total for each currency.
    pub fn write(&self, file: &mut FileWriter) -> Result<(), FileError> {
        for (currency, buckets) in &self.sums {
            for (label, sums) in self.periods.labels().iter().zip(buckets) {
                file.row(&period_row(Cell::Text(label), currency, sums)?)?;
            }
        }
        for (currency, buckets) in &self.sums {
            file.total(&period_row(Cell::Null, currency, &Sums::of(buckets))?)?;
        }
        Ok(())
    }
}

/// The columns of sales by period.
fn period_row<'a>(
    label: Cell<'a>,
    currency: &'a Currency,
    sums: &Sums,
) -> Result<[Cell<'a>; 12], FileError> {
    let money = |amount| Cell::money(amount, *currency);
    Ok([
        label,
        Cell::Text(currency.as_str()),
        Cell::Int(sums.orders),
        Cell::int(sums.units)?,
        money(sums.gross)?,
        money(sums.discounts)?,
        money(sums.reversals)?,
        money(sums.net())?,
        money(sums.shipping)?,
        money(sums.taxes)?,
        money(sums.total())?,
        sums.aov().map_or(Ok(Cell::Null), money)?,
    ])
}

/// Sales of each currency and country.
#[derive(Debug, Default)]
pub struct ByCountry {
    sums: HashMap<Currency, HashMap<Option<Box<str>>, Sums>>,
}

impl ByCountry {
    /// Counts `fact`.
    pub fn add(&mut self, fact: &Fact<'_>) {
        let countries = self.sums.entry(fact.currency).or_default();
        countries
            .entry(fact.country.map(Box::from))
            .or_default()
            .add_document(fact);
    }

    /// Writes a row for each country, the largest total first, and a total for each currency.
    pub fn write(&self, file: &mut FileWriter) -> Result<(), FileError> {
        let currencies: BTreeMap<_, _> = self.sums.iter().collect();
        for (currency, countries) in &currencies {
            let mut rows: Vec<_> = countries.iter().collect();
            rows.sort_by_key(|(country, sums)| (Reverse(sums.total()), *country));
            for (country, sums) in rows {
                file.row(&country_row(
                    Cell::text(country.as_deref()),
                    currency,
                    sums,
                )?)?;
            }
        }
        for (currency, countries) in &currencies {
            file.total(&country_row(
                Cell::Null,
                currency,
                &Sums::of(countries.values()),
            )?)?;
        }
        Ok(())
    }
}

/// The columns of sales by country.
fn country_row<'a>(
    country: Cell<'a>,
    currency: &'a Currency,
    sums: &Sums,
) -> Result<[Cell<'a>; 6], FileError> {
    Ok([
        country,
        Cell::Text(currency.as_str()),
        Cell::Int(sums.orders),
        Cell::int(sums.units)?,
        Cell::money(sums.net(), *currency)?,
        Cell::money(sums.total(), *currency)?,
    ])
}

#[derive(Debug)]
struct Product {
    product_id: Option<Box<str>>,
    sku: Option<Box<str>>,
    title: Box<str>,
    sums: Sums,
    /// The number of the last order that was counted.
    counted: u64,
}

/// Sales of each currency, product and SKU. The lines of one document must follow each other, and
/// documents come oldest first, so that each order is counted once and the title is the last one.
#[derive(Debug, Default)]
pub struct ByProduct {
    /// By currency and [`ByProduct::key`].
    products: HashMap<Currency, HashMap<Box<str>, Product>>,
    order_id: String,
    order_number: u64,
    key: String,
}

impl ByProduct {
    /// Counts `line`.
    pub fn add(&mut self, line: &Line<'_>) {
        if self.order_id != line.order_id || self.order_number == 0 {
            line.order_id.clone_into(&mut self.order_id);
            self.order_number += 1;
        }
        // One buffer for all lines: a product that is known already costs no allocation.
        self.key.clear();
        for part in [line.product_id, line.sku] {
            self.key.push(if part.is_some() { '=' } else { '-' });
            self.key.push_str(part.unwrap_or_default());
            self.key.push('\0'); // in no id and no SKU
        }
        let products = self.products.entry(line.currency).or_default();
        if !products.contains_key(self.key.as_str()) {
            products.insert(self.key.as_str().into(), Product::of(line));
        }
        let Some(product) = products.get_mut(self.key.as_str()) else {
            return; // it was inserted above
        };
        product.sums.add(line.kind, &line.amounts);
        if line.kind == FactKind::Sale && product.counted != self.order_number {
            product.counted = self.order_number;
            product.sums.orders += 1;
        }
        if line.kind != FactKind::Cancellation && *product.title != *line.title {
            product.title = line.title.into();
        }
    }

    /// Writes a row for each product, the largest net sales first, and a total for each currency.
    pub fn write(&self, file: &mut FileWriter) -> Result<(), FileError> {
        let currencies: BTreeMap<_, _> = self.products.iter().collect();
        for (currency, products) in &currencies {
            let mut rows: Vec<&Product> = products.values().collect();
            rows.sort_by_key(|product| {
                (
                    Reverse(product.sums.net()),
                    &product.sku,
                    &product.product_id,
                )
            });
            for product in rows {
                let names = [
                    product.product_id.as_deref(),
                    product.sku.as_deref(),
                    Some(&*product.title),
                ];
                file.row(&product_row(
                    names,
                    currency,
                    &product.sums,
                    Cell::Int(product.sums.orders),
                )?)?;
            }
        }
        for (currency, products) in &currencies {
            let sums = Sums::of(products.values().map(|product| &product.sums));
            // An order with two products is one order: the column does not add up.
            file.total(&product_row([None; 3], currency, &sums, Cell::Null)?)?;
        }
        Ok(())
    }
}

impl Product {
    fn of(line: &Line<'_>) -> Product {
        Product {
            product_id: line.product_id.map(Box::from),
            sku: line.sku.map(Box::from),
            title: line.title.into(),
            sums: Sums::default(),
            counted: 0,
        }
    }
}

/// The columns of sales by product.
fn product_row<'a>(
    names: [Option<&'a str>; 3],
    currency: &'a Currency,
    sums: &Sums,
    orders: Cell<'a>,
) -> Result<[Cell<'a>; 10], FileError> {
    let money = |amount| Cell::money(amount, *currency);
    let [product_id, sku, title] = names.map(Cell::text);
    Ok([
        product_id,
        sku,
        title,
        Cell::Text(currency.as_str()),
        Cell::int(sums.units)?,
        money(sums.gross)?,
        money(sums.discounts)?,
        money(sums.reversals)?,
        money(sums.net())?,
        orders,
    ])
}

#[cfg(test)]
mod tests;
