//! Counting what the matches have in common.

use std::collections::{BTreeMap, HashMap};

use tantivy::columnar::{Column, RowId, StrColumn};
use tantivy::{DocId, SegmentReader};

use super::Error;
use super::document::SEPARATOR;
use super::query::{Facet, Filters};
use super::run::price_column;
use super::view::{Columns, strings};

/// Values of a facet in an answer: the most frequent ones.
const VALUES_MAX: usize = 100;
/// Attributes in an answer, when all are asked for: those of the most products.
const ATTRIBUTES_MAX: usize = 50;
/// Matches that are counted together.
const BLOCK_DOCS: usize = 256;
/// Values of a facet that are counted exactly. Of more, each segment gives its most frequent ones.
const EXACT_VALUES_MAX: usize = 10_000;

/// Which facets to count; none by default. Each one costs a little for every match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FacetRequest {
    pub facets: Vec<Facet>,
    /// Every attribute the matches have, beside those in `facets`.
    pub all_attributes: bool,
    /// Price ranges in this currency.
    pub price_currency: Option<String>,
}

/// Counts over all matches, not only the page. A facet that is filtered by is counted as if it
/// were not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facets {
    /// In the order of the request, then all attributes by key.
    pub counts: Vec<FacetCounts>,
    pub price: Option<PriceFacet>,
}

/// The values of a facet, the most frequent first, at most 100.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCounts {
    pub facet: Facet,
    pub values: Vec<FacetValue>,
}

/// Products with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetValue {
    pub value: String,
    pub count: u64,
}

/// The prices of the matches that have one in the currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceFacet {
    pub currency: String,
    /// The lowest and highest price; `None` when nothing has a price.
    pub min_minor: Option<i64>,
    pub max_minor: Option<i64>,
    /// Ascending, without empty ones. Bounds are 0, 1, 2, 5, 10, 20, 50 … in minor units.
    pub ranges: Vec<PriceRange>,
}

/// Products that cost `from_minor` or more and less than `below_minor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRange {
    pub from_minor: i64,
    pub below_minor: i64,
    pub count: u64,
}

/// A facet that is filtered by, and so needs a count of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Own {
    Facet(Facet),
    Price,
}

/// The requested facets that are filtered by.
pub(super) fn filtered(request: &FacetRequest, filters: &Filters) -> Vec<Own> {
    let mut own: Vec<Own> = Vec::new();
    let all_attributes = filters
        .any_of
        .iter()
        .map(|(facet, _)| facet)
        .filter(|facet| request.all_attributes && matches!(facet, Facet::Attribute(_)));
    for facet in request.facets.iter().chain(all_attributes) {
        let facet_is = Own::Facet(facet.clone());
        if filters.has(facet) && !own.contains(&facet_is) {
            own.push(facet_is);
        }
    }
    if request.price_currency.is_some() && filters.price.is_some() {
        own.push(Own::Price);
    }
    own
}

/// Counts under way, over all segments.
pub(super) struct Counters<'a> {
    request: &'a FacetRequest,
    /// The facets counted here; attributes are counted together.
    facets: Vec<Facet>,
    attributes: bool,
    /// Only this attribute is kept.
    only_attribute: Option<String>,
    price_currency: Option<&'a str>,
    counts: BTreeMap<Facet, HashMap<String, u64>>,
    prices: PriceCounts,
}

/// Counts under way in one segment. Matches are counted a block at a time, which reads a column four
/// times as fast as a match at a time.
pub(super) struct Counting<'s> {
    facets: Vec<(Facet, OrdCounts<'s>)>,
    attributes: Option<OrdCounts<'s>>,
    price: Option<(Column<i64>, PriceCounts)>,
    /// Matches that are not counted yet, less than [`BLOCK_DOCS`].
    block: Vec<DocId>,
    values: BlockValues,
}

struct OrdCounts<'s> {
    column: &'s StrColumn,
    /// By ordinal.
    counts: Vec<u32>,
}

/// Where the values of a block are read to.
#[derive(Default)]
struct BlockValues {
    docs: Vec<DocId>,
    rows: Vec<RowId>,
    ords: Vec<u64>,
    prices: Vec<i64>,
}

impl BlockValues {
    fn rows<T>(&mut self, column: &Column<T>, block: &[DocId]) -> &[RowId]
    where
        T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static,
    {
        self.docs.clear();
        self.rows.clear();
        column.row_ids_for_docs(block, &mut self.docs, &mut self.rows);
        &self.rows
    }
}

impl Counting<'_> {
    /// Whether there is anything to count.
    pub fn is_idle(&self) -> bool {
        self.facets.is_empty() && self.attributes.is_none() && self.price.is_none()
    }

    /// Counts a match. Matches come in ascending order.
    pub fn count(&mut self, doc: DocId) {
        self.block.push(doc);
        if self.block.len() == BLOCK_DOCS {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let values = &mut self.values;
        let facets = self.facets.iter_mut().map(|(_, counts)| counts);
        for counts in facets.chain(&mut self.attributes) {
            counts.count(&self.block, values);
        }
        if let Some((column, prices)) = &mut self.price {
            let rows = values.rows(column, &self.block).len();
            values.prices.resize(rows, 0);
            column.values.get_vals(&values.rows, &mut values.prices);
            values.prices.iter().for_each(|&price| prices.count(price));
        }
        self.block.clear();
    }
}

impl<'s> OrdCounts<'s> {
    fn new(column: Option<&'s StrColumn>) -> Option<OrdCounts<'s>> {
        column.map(|column| OrdCounts {
            column,
            counts: vec![0; column.num_terms()],
        })
    }

    fn count(&mut self, block: &[DocId], values: &mut BlockValues) {
        let column = self.column.ords();
        let rows = values.rows(column, block).len();
        values.ords.resize(rows, 0);
        column.values.get_vals(&values.rows, &mut values.ords);
        for &ord in &values.ords {
            // An ordinal fits its dictionary, and that is as long as `counts`.
            self.counts[ord as usize] += 1;
        }
    }

    /// The values that were seen with their counts.
    fn values(self) -> Result<Vec<(String, u64)>, Error> {
        let counts = (0u64..).zip(self.counts);
        let mut seen: Vec<(u64, u32)> = counts.filter(|&(_, count)| count > 0).collect();
        if seen.len() > EXACT_VALUES_MAX {
            seen.select_nth_unstable_by_key(EXACT_VALUES_MAX, |&(_, count)| !count);
            seen.truncate(EXACT_VALUES_MAX);
            seen.sort_unstable();
        }
        let ords: Vec<u64> = seen.iter().map(|&(ord, _)| ord).collect();
        let values = strings(Some(self.column), &ords)?;
        let counts = seen.into_iter().map(|(_, count)| u64::from(count));
        Ok(values.into_iter().zip(counts).collect())
    }
}

impl<'a> Counters<'a> {
    /// For the main visit: everything requested that is not filtered by.
    pub fn new(request: &'a FacetRequest, filters: Option<&Filters>) -> Counters<'a> {
        let unfiltered = |facet: &&Facet| filters.is_none_or(|filters| !filters.has(facet));
        let facets = request.facets.iter().filter(unfiltered);
        let is_attribute = |facet: &Facet| matches!(facet, Facet::Attribute(_));
        let by_price = filters.is_some_and(|filters| filters.price.is_some());
        Counters {
            request,
            attributes: request.all_attributes || facets.clone().any(is_attribute),
            facets: facets
                .filter(|facet| !is_attribute(facet))
                .cloned()
                .collect(),
            only_attribute: None,
            price_currency: request.price_currency.as_deref().filter(|_| !by_price),
            counts: BTreeMap::new(),
            prices: PriceCounts::default(),
        }
    }

    /// For a visit without its own filter.
    pub fn only(own: &Own, request: &'a FacetRequest) -> Counters<'a> {
        let (facets, only_attribute) = match own {
            Own::Facet(Facet::Attribute(key)) => (vec![], Some(key.clone())),
            Own::Facet(facet) => (vec![facet.clone()], None),
            Own::Price => (vec![], None),
        };
        Counters {
            request,
            facets,
            attributes: only_attribute.is_some(),
            only_attribute,
            price_currency: request
                .price_currency
                .as_deref()
                .filter(|_| *own == Own::Price),
            counts: BTreeMap::new(),
            prices: PriceCounts::default(),
        }
    }

    /// Begins a segment.
    pub fn segment<'s>(
        &self,
        reader: &SegmentReader,
        columns: &'s Columns,
    ) -> Result<Counting<'s>, Error> {
        let facets = self.facets.iter().filter_map(|facet| {
            OrdCounts::new(columns.facet(facet)).map(|counts| (facet.clone(), counts))
        });
        let attributes = columns.attribute.as_ref().filter(|_| self.attributes);
        let price = match self.price_currency {
            Some(currency) => price_column(reader, currency)?,
            None => None,
        };
        Ok(Counting {
            facets: facets.collect(),
            attributes: OrdCounts::new(attributes),
            price: price.map(|column| (column, PriceCounts::default())),
            block: Vec::new(),
            values: BlockValues::default(),
        })
    }

    /// Ends a segment.
    pub fn add(&mut self, mut counting: Counting<'_>) -> Result<(), Error> {
        counting.flush();
        for (facet, counts) in counting.facets {
            let sums = self.counts.entry(facet).or_default();
            for (value, count) in counts.values()? {
                *sums.entry(value).or_default() += count;
            }
        }
        for (value, count) in counting.attributes.map_or(Ok(vec![]), OrdCounts::values)? {
            let Some((key, value)) = value.split_once(SEPARATOR) else {
                continue;
            };
            if self.only_attribute.as_ref().is_some_and(|only| only != key) {
                continue;
            }
            let sums = self.counts.entry(Facet::Attribute(key.to_owned()));
            *sums.or_default().entry(value.to_owned()).or_default() += count;
        }
        if let Some((_, prices)) = counting.price {
            self.prices.merge(prices);
        }
        Ok(())
    }

    /// Takes over the counts of a visit without its own filter, in place of those with it.
    pub fn merge(&mut self, only: Counters<'_>) {
        self.counts.extend(only.counts);
        if only.price_currency.is_some() {
            self.prices = only.prices;
        }
    }

    pub fn finish(mut self) -> Facets {
        let mut counts: Vec<FacetCounts> = Vec::new();
        for facet in &self.request.facets {
            if counts.iter().all(|done| done.facet != *facet) {
                let values = self.counts.remove(facet).unwrap_or_default();
                counts.push(most_frequent(facet.clone(), values));
            }
        }
        if self.request.all_attributes {
            let mut rest: Vec<_> = std::mem::take(&mut self.counts).into_iter().collect();
            rest.sort_by_key(|(_, values)| std::cmp::Reverse(values.values().sum::<u64>()));
            rest.truncate(ATTRIBUTES_MAX);
            rest.sort_by(|(one, _), (other, _)| one.cmp(other));
            let rest = rest.into_iter();
            counts.extend(rest.map(|(facet, values)| most_frequent(facet, values)));
        }
        let currency = self.request.price_currency.as_ref();
        Facets {
            counts,
            price: currency.map(|currency| self.prices.finish(currency)),
        }
    }
}

fn most_frequent(facet: Facet, values: HashMap<String, u64>) -> FacetCounts {
    let values = values.into_iter();
    let mut values: Vec<FacetValue> = values
        .map(|(value, count)| FacetValue { value, count })
        .collect();
    values.sort_unstable_by(|one, other| (other.count, &one.value).cmp(&(one.count, &other.value)));
    values.truncate(VALUES_MAX);
    FacetCounts { facet, values }
}

/// Ranges of prices: 0, and three to a power of ten.
const PRICE_RANGES: usize = 1 + 3 * 19;

#[derive(Debug)]
struct PriceCounts {
    min_max: Option<(i64, i64)>,
    ranges: [u64; PRICE_RANGES],
}

impl Default for PriceCounts {
    fn default() -> Self {
        PriceCounts {
            min_max: None,
            ranges: [0; PRICE_RANGES],
        }
    }
}

impl PriceCounts {
    fn count(&mut self, price: i64) {
        let (min, max) = self.min_max.unwrap_or((price, price));
        self.min_max = Some((min.min(price), max.max(price)));
        self.ranges[range_of(price)] += 1;
    }

    fn merge(&mut self, other: PriceCounts) {
        if let Some((other_min, other_max)) = other.min_max {
            let (min, max) = self.min_max.unwrap_or((other_min, other_max));
            self.min_max = Some((min.min(other_min), max.max(other_max)));
        }
        for (sum, count) in self.ranges.iter_mut().zip(other.ranges) {
            *sum += count;
        }
    }

    fn finish(self, currency: &str) -> PriceFacet {
        let ranges = self.ranges.into_iter().enumerate();
        let ranges = ranges.filter(|&(_, count)| count > 0);
        let ranges = ranges.map(|(range, count)| PriceRange {
            from_minor: range_start(range),
            below_minor: range_start(range + 1),
            count,
        });
        PriceFacet {
            currency: currency.to_owned(),
            min_minor: self.min_max.map(|(min, _)| min),
            max_minor: self.min_max.map(|(_, max)| max),
            ranges: ranges.collect(),
        }
    }
}

/// The range of a price; there are no negative ones.
fn range_of(price: i64) -> usize {
    if price < 1 {
        return 0;
    }
    let power = price.ilog10();
    let digit = match price / 10i64.pow(power) {
        1 => 0,
        2..=4 => 1,
        _ => 2,
    };
    1 + 3 * power as usize + digit
}

/// The lowest price of a range.
fn range_start(range: usize) -> i64 {
    let Some(step) = range.checked_sub(1) else {
        return 0;
    };
    let power = 10i64.checked_pow((step / 3) as u32);
    let start = power.and_then(|power| power.checked_mul([1, 2, 5][step % 3]));
    start.unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn price_ranges_meet_and_never_overflow() {
        for (price, range) in [
            (0, (0, 1)),
            (1, (1, 2)),
            (4, (2, 5)),
            (999, (500, 1_000)),
            (1_000, (1_000, 2_000)),
            (4_999, (2_000, 5_000)),
            (i64::MAX, (5_000_000_000_000_000_000, i64::MAX)),
        ] {
            let at = range_of(price);
            assert_eq!((range_start(at), range_start(at + 1)), range, "{price}");
        }
    }
}
