//! Answering a query: one visit of every match gives the total, the page and the facets.

use tantivy::columnar::Column;
use tantivy::query::{EnableScoring, Query as TantivyQuery, Weight};
use tantivy::{DocAddress, DocId, SegmentReader};

use super::document::Fields;
use super::facets::{self, Counters, Facets};
use super::highlight::Highlighter;
use super::query::{self, Filters, PriceFilter, Query, Sort, Spellings, Statistics, Typed};
use super::spelling::{self, Tolerance};
use super::view::{Columns, View, strings};
use super::{Error, Index};

/// Candidates gathered beyond twice those wanted before they are cut back.
const TOP_SLACK: usize = 256;

/// A found product.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub product_id: String,
    /// How well it matches `q`, for comparison within one answer; 0 without `q`.
    pub score: f32,
}

/// The answer to a [`Query`].
#[derive(Debug, Default)]
pub struct Results {
    /// From `offset`, at most `limit`.
    pub hits: Vec<Hit>,
    /// All matches, exactly.
    pub total: u64,
    pub facets: Facets,
    /// `q` in the spelling the hits have, where they were only found under another one.
    pub corrected_query: Option<String>,
    /// Marks in titles and descriptions what was found.
    pub highlighter: Highlighter,
}

impl Index {
    /// Answers a query from the last applied state. Microseconds for a word or two; the cost grows
    /// with the number of matches, not of products. Runs on the calling thread.
    ///
    /// # Errors
    /// [`Error::QueryTooLong`] and [`Error::WindowTooLarge`] for what breaks its bounds; any text
    /// in `q` is fine.
    pub fn search(&self, query: &Query<'_>) -> Result<Results, Error> {
        query.check()?;
        Ok(self.answer(&self.view(), query)?.results)
    }

    /// [`Index::search`] of a query within its bounds.
    pub(super) fn answer(&self, view: &View, query: &Query<'_>) -> Result<Answer, Error> {
        let typed = query.q.as_deref().map(Typed::parse);
        let mut run = Run {
            view,
            fields: &self.fields,
            query,
            typed: typed.as_ref(),
            spellings: Spellings::new(),
        };
        let mut found = run.visit()?;
        if let Some(typed) = typed.as_ref().filter(|_| query.typos) {
            for tolerance in Tolerance::IN_ORDER {
                if found.total > 0 {
                    break;
                }
                let spellings =
                    spelling::spellings(&view.searcher, &self.fields, typed, tolerance)?;
                if !spellings.is_empty() && spellings != run.spellings {
                    run.spellings = spellings;
                    found = run.visit()?;
                }
            }
        }
        run.answer(found)
    }
}

/// [`Results`] with what else is known of them inside.
pub(super) struct Answer {
    pub results: Results,
    /// Where the hits are.
    pub addresses: Vec<DocAddress>,
    pub spellings: Spellings,
}

/// A query under way.
struct Run<'a> {
    view: &'a View,
    fields: &'a Fields,
    query: &'a Query<'a>,
    typed: Option<&'a Typed<'a>>,
    spellings: Spellings,
}

/// The outcome of the main visit.
struct Found<'a> {
    total: u64,
    /// The best `offset + limit` of each segment.
    best: Vec<Candidate>,
    counters: Counters<'a>,
}

impl<'a> Run<'a> {
    /// Visits every match.
    fn visit(&self) -> Result<Found<'a>, Error> {
        let query = self.query;
        let weight = self.scored()?;
        let mut counters = Counters::new(&query.facets, Some(&query.filters));
        let mut best = Vec::new();
        let mut total = 0;
        for (ord, (reader, columns)) in (0u32..).zip(self.view.segments()) {
            let accepts = self.predicate(reader, columns, true)?;
            let keys = Keys::open(&query.sort, reader, columns)?;
            let mut counting = counters.segment(reader, columns)?;
            // One at least: a correction is read from the best.
            let mut top = Top::new(ord, (query.offset + query.limit).max(1));
            let count = !counting.is_idle();
            weight.for_each(reader, &mut |doc, score| {
                if accepts.doc(doc) {
                    total += 1;
                    if count {
                        counting.count(doc);
                    }
                    top.offer(keys.key(doc, score), doc, score);
                }
            })?;
            counters.add(counting)?;
            best.extend(top.into_best());
        }
        Ok(Found {
            total,
            best,
            counters,
        })
    }

    fn scored(&self) -> Result<Box<dyn Weight>, Error> {
        let searcher = &self.view.searcher;
        let statistics = Statistics(searcher);
        let query = self.compile(&self.query.filters)?;
        let scoring = EnableScoring::enabled_from_statistics_provider(&statistics, searcher);
        Ok(query.weight(scoring)?)
    }

    fn compile(&self, filters: &Filters) -> Result<Box<dyn TantivyQuery>, Error> {
        query::compile(
            self.fields,
            &self.view.searcher,
            self.typed,
            &self.spellings,
            filters,
        )
    }

    fn predicate<'s>(
        &self,
        reader: &'s SegmentReader,
        columns: &'s Columns,
        with_price: bool,
    ) -> Result<Predicate<'s>, Error>
    where
        'a: 's,
    {
        let price = match &self.query.filters.price {
            Some(filter) if with_price => Some(PriceRange::open(filter, reader)?),
            _ => None,
        };
        Ok(Predicate {
            reader,
            columns,
            price,
            given: self.query.predicate,
        })
    }

    fn answer(self, mut found: Found<'a>) -> Result<Answer, Error> {
        let corrected_query = self.corrected(&found)?;
        self.count_without_own_filter(&mut found.counters)?;
        let (hits, addresses) = self.page(found.best)?.into_iter().unzip();
        let results = Results {
            hits,
            total: found.total,
            facets: found.counters.finish(),
            corrected_query,
            highlighter: Highlighter::new(self.typed, &self.spellings),
        };
        Ok(Answer {
            results,
            addresses,
            spellings: self.spellings,
        })
    }

    fn corrected(&self, found: &Found<'_>) -> Result<Option<String>, Error> {
        let Some(typed) = self.typed.filter(|_| !self.spellings.is_empty()) else {
            return Ok(None);
        };
        let by_score = |one: &&Candidate, other: &&Candidate| one.score.total_cmp(&other.score);
        let Some(best) = found.best.iter().max_by(by_score) else {
            return Ok(None);
        };
        let address = DocAddress::new(best.segment_ord, best.doc);
        spelling::corrected(
            &self.view.searcher,
            self.fields,
            typed,
            &self.spellings,
            address,
        )
    }

    /// Counts each facet that is filtered by as if it were not: so that a shopper who chose one
    /// brand sees what the others would add.
    fn count_without_own_filter(&self, counters: &mut Counters<'a>) -> Result<(), Error> {
        for own in facets::filtered(&self.query.facets, &self.query.filters) {
            let filters = match &own {
                facets::Own::Facet(facet) => self.query.filters.without(facet),
                facets::Own::Price => self.query.filters.clone(),
            };
            let with_price = own != facets::Own::Price;
            let searcher = &self.view.searcher;
            let scoring = EnableScoring::disabled_from_searcher(searcher);
            let weight = self.compile(&filters)?.weight(scoring)?;
            let mut only = Counters::only(&own, &self.query.facets);
            for (reader, columns) in self.view.segments() {
                let accepts = self.predicate(reader, columns, with_price)?;
                let mut counting = only.segment(reader, columns)?;
                weight.for_each_no_score(reader, &mut |docs| {
                    for &doc in docs.iter().filter(|&&doc| accepts.doc(doc)) {
                        counting.count(doc);
                    }
                })?;
                only.add(counting)?;
            }
            counters.merge(only);
        }
        Ok(())
    }

    /// The page out of the best of all segments.
    fn page(&self, mut best: Vec<Candidate>) -> Result<Vec<(Hit, DocAddress)>, Error> {
        let end = self.query.offset + self.query.limit;
        let by_title = self.query.sort == Sort::Title;
        if !by_title && end > 0 && best.len() > end {
            // What cannot be on the page goes before its id is looked up; ties at its end stay.
            let (_, last, _) = best.select_nth_unstable_by_key(end - 1, |best| best.key);
            let last = last.key;
            best.retain(|candidate| candidate.key <= last);
        }
        let mut ranked = Vec::with_capacity(best.len());
        for candidate in best {
            let columns = &self.view.columns()[candidate.segment_ord as usize];
            let id = columns.product_id(candidate.doc);
            let title = if by_title {
                self.title(&candidate)?
            } else {
                None
            };
            ranked.push((candidate, title, id));
        }
        ranked.sort_unstable_by(|(one, one_title, one_id), (other, other_title, other_id)| {
            let by_key = match by_title {
                // Ordinals of titles are of one segment each, so the text decides; none is last.
                true => (one_title.is_none(), one_title).cmp(&(other_title.is_none(), other_title)),
                false => one.key.cmp(&other.key),
            };
            by_key.then_with(|| one_id.cmp(other_id))
        });
        let page = ranked.into_iter().take(end).skip(self.query.offset);
        let page = page.map(|(candidate, _, product_id)| {
            let score = match self.typed {
                Some(_) => candidate.score,
                None => 0.0,
            };
            let address = DocAddress::new(candidate.segment_ord, candidate.doc);
            (Hit { product_id, score }, address)
        });
        Ok(page.collect())
    }

    fn title(&self, candidate: &Candidate) -> Result<Option<String>, Error> {
        let columns = &self.view.columns()[candidate.segment_ord as usize];
        if candidate.key == u64::MAX {
            return Ok(None);
        }
        Ok(strings(columns.title.as_ref(), &[candidate.key])?.pop())
    }
}

/// A match, with the key it is sorted by: less is better.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    key: u64,
    segment_ord: u32,
    doc: DocId,
    score: f32,
}

/// The best matches of one segment: more than are wanted are gathered, then cut back to the best, so
/// that a match costs the same in whatever order they come.
struct Top {
    segment_ord: u32,
    size: usize,
    best: Vec<Candidate>,
    /// Only a key below this is among the best.
    below: u64,
}

impl Top {
    /// `size` is at least 1.
    fn new(segment_ord: u32, size: usize) -> Top {
        Top {
            segment_ord,
            size,
            best: Vec::new(),
            below: u64::MAX,
        }
    }

    /// Matches come in the order of their product ids, so of equal ones the earlier is kept.
    #[inline]
    fn offer(&mut self, key: u64, doc: DocId, score: f32) {
        if key < self.below || self.best.len() < self.size {
            self.best.push(Candidate {
                key,
                segment_ord: self.segment_ord,
                doc,
                score,
            });
            if self.best.len() >= 2 * self.size + TOP_SLACK {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.best.len() > self.size {
            let order = |candidate: &Candidate| (candidate.key, candidate.doc);
            let (_, last, _) = self.best.select_nth_unstable_by_key(self.size - 1, order);
            self.below = last.key;
            self.best.truncate(self.size);
        }
    }

    fn into_best(mut self) -> Vec<Candidate> {
        self.cut();
        self.best
    }
}

/// What a match is sorted by in one segment, as a number that is less for what comes first.
enum Keys<'a> {
    Score,
    Price {
        column: Option<Column<i64>>,
        ascending: bool,
    },
    Newest(&'a Column<i64>),
    BestSelling(&'a Column<u64>),
    Title(Option<&'a Column<u64>>),
}

impl<'a> Keys<'a> {
    fn open(sort: &Sort, reader: &SegmentReader, columns: &'a Columns) -> Result<Self, Error> {
        Ok(match sort {
            Sort::Relevance => Keys::Score,
            Sort::PriceAscending { currency } => Keys::Price {
                column: price_column(reader, currency)?,
                ascending: true,
            },
            Sort::PriceDescending { currency } => Keys::Price {
                column: price_column(reader, currency)?,
                ascending: false,
            },
            Sort::Newest => Keys::Newest(&columns.created_at),
            Sort::BestSelling => Keys::BestSelling(&columns.sold_count),
            Sort::Title => Keys::Title(columns.title.as_ref().map(|title| title.ords())),
        })
    }

    /// `u64::MAX`, which is last, for what has no value.
    #[inline]
    fn key(&self, doc: DocId, score: f32) -> u64 {
        match self {
            // Scores are not negative, so their bits are in their order.
            Keys::Score => u64::from(!score.to_bits()),
            Keys::Price { column, ascending } => {
                let price = column.as_ref().and_then(|column| column.first(doc));
                price.map_or(u64::MAX, |price| match ascending {
                    true => ascending_i64(price),
                    false => !ascending_i64(price),
                })
            }
            Keys::Newest(column) => !ascending_i64(column.first(doc).unwrap_or(i64::MIN)),
            Keys::BestSelling(column) => !column.first(doc).unwrap_or(0),
            Keys::Title(column) => column
                .and_then(|column| column.first(doc))
                .unwrap_or(u64::MAX),
        }
    }
}

fn ascending_i64(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

/// The prices of a segment in a currency; `None` where no product has one.
pub(super) fn price_column(
    reader: &SegmentReader,
    currency: &str,
) -> Result<Option<Column<i64>>, Error> {
    let name = format!("price.{currency}");
    Ok(reader.fast_fields().column_opt::<i64>(&name)?)
}

/// What is no posting list: deletion, the price range, and what the caller gave.
struct Predicate<'a> {
    reader: &'a SegmentReader,
    columns: &'a Columns,
    price: Option<PriceRange>,
    given: Option<&'a (dyn Fn(u64) -> bool + Sync)>,
}

impl Predicate<'_> {
    #[inline]
    fn doc(&self, doc: DocId) -> bool {
        !self.reader.is_deleted(doc)
            && self.price.as_ref().is_none_or(|price| price.contains(doc))
            && self
                .given
                .is_none_or(|given| given(self.columns.key.first(doc).unwrap_or_default()))
    }
}

struct PriceRange {
    column: Option<Column<i64>>,
    min: i64,
    max: i64,
}

impl PriceRange {
    fn open(filter: &PriceFilter, reader: &SegmentReader) -> Result<PriceRange, Error> {
        Ok(PriceRange {
            column: price_column(reader, &filter.currency)?,
            min: filter.min_minor.unwrap_or(i64::MIN),
            max: filter.max_minor.unwrap_or(i64::MAX),
        })
    }

    fn contains(&self, doc: DocId) -> bool {
        let price = self.column.as_ref().and_then(|column| column.first(doc));
        price.is_some_and(|price| (self.min..=self.max).contains(&price))
    }
}
