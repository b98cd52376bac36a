//! What can be asked, and its translation into posting lists.

use std::collections::HashMap;

use tantivy::query::{
    AllQuery, Bm25StatisticsProvider, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery,
    Query as TantivyQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use super::document::{Exact, Fields};
use super::spelling::Neighbour;
use super::text::{Chunk, Word, chunks};
use super::{Error, Q_CHARS_MAX, WINDOW_MAX};

/// Added to the score of a product with the SKU, barcode, slug or id that was searched for: above
/// what any number of words can reach.
const CODE_SCORE: f32 = 10_000.0;
/// What a word of like spelling counts, by the number of edits.
const NEIGHBOUR_BOOST: [f32; 3] = [1.0, 0.5, 0.25];

/// A search. Filters are AND-ed; `Default` asks for the first 50 of everything.
#[derive(Clone)]
pub struct Query<'a> {
    /// At most [`Q_CHARS_MAX`] characters; `None` matches every product, text without a letter or
    /// digit none.
    pub q: Option<String>,
    /// Whether other spellings are tried when the words as typed find nothing.
    pub typos: bool,
    pub filters: Filters,
    /// Whether a product may be in the result, by its [`super::product_key`]: for what changes too
    /// often to be indexed, such as stock. Called once per match, so it must be fast.
    pub predicate: Option<&'a (dyn Fn(u64) -> bool + Sync)>,
    pub sort: Sort,
    pub offset: usize,
    /// `offset + limit` is at most [`WINDOW_MAX`].
    pub limit: usize,
    pub facets: super::FacetRequest,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Query {
            q: None,
            typos: true,
            filters: Filters::default(),
            predicate: None,
            sort: Sort::Relevance,
            offset: 0,
            limit: 50,
            facets: super::FacetRequest::default(),
        }
    }
}

impl Query<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.offset.saturating_add(self.limit) > WINDOW_MAX {
            return Err(Error::WindowTooLarge);
        }
        self.q.as_deref().map_or(Ok(()), check_q)
    }
}

pub(super) fn check_q(q: &str) -> Result<(), Error> {
    if q.chars().nth(Q_CHARS_MAX).is_some() {
        return Err(Error::QueryTooLong);
    }
    Ok(())
}

/// The order of hits. Every order ends in the product id; products without a price, or without a
/// title, come last either way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sort {
    /// Best match first; without `q` by product id.
    #[default]
    Relevance,
    PriceAscending {
        currency: String,
    },
    PriceDescending {
        currency: String,
    },
    Newest,
    BestSelling,
    /// By folded title, so without regard to case and accents.
    Title,
}

/// A property products are filtered by and counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facet {
    Status,
    Type,
    Vendor,
    Brand,
    Category,
    Tag,
    /// One attribute, by its key.
    Attribute(String),
}

/// What a product must satisfy. All of them are AND-ed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// The product has one of the values; no values means no condition.
    pub any_of: Vec<(Facet, Vec<String>)>,
    /// One of its variants has one of these SKUs exactly; empty means no condition.
    pub skus: Vec<String>,
    pub external_id: Option<String>,
    pub price: Option<PriceFilter>,
}

impl Filters {
    pub(super) fn has(&self, facet: &Facet) -> bool {
        let mut active = self.any_of.iter().filter(|(_, any)| !any.is_empty());
        active.any(|(active, _)| active == facet)
    }

    /// The same filters but those of one facet.
    pub(super) fn without(&self, facet: &Facet) -> Filters {
        let mut filters = self.clone();
        filters.any_of.retain(|(active, _)| active != facet);
        filters
    }

    /// The filters that are posting lists, each to be AND-ed; the price is a predicate.
    fn queries(&self, fields: &Fields) -> Vec<Box<dyn TantivyQuery>> {
        let facets = self.any_of.iter().map(|(facet, values)| {
            let values = values.iter();
            values
                .map(|value| fields.exact(Exact::Facet(facet, value)))
                .collect()
        });
        let skus = self.skus.iter();
        let skus = skus.map(|sku| fields.exact(Exact::Sku(sku))).collect();
        let external_id = self.external_id.iter();
        let external_id = external_id.map(|id| fields.exact(Exact::ExternalId(id)));
        let codes = [skus, external_id.collect()];
        facets.chain(codes).filter_map(one_of).collect()
    }
}

/// A price range in one currency, bounds included. A product without a price in it is out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceFilter {
    pub currency: String,
    pub min_minor: Option<i64>,
    pub max_minor: Option<i64>,
}

fn one_of(mut terms: Vec<Term>) -> Option<Box<dyn TantivyQuery>> {
    let query: Box<dyn TantivyQuery> = match terms.len() {
        0 => return None,
        1 => Box::new(TermQuery::new(terms.remove(0), IndexRecordOption::Basic)),
        _ => Box::new(TermSetQuery::new(terms)),
    };
    Some(Box::new(ConstScoreQuery::new(query, 0.0)))
}

/// The words of a `q`.
#[derive(Debug)]
pub(super) struct Typed<'q> {
    pub q: &'q str,
    pub chunks: Vec<Chunk>,
}

impl<'q> Typed<'q> {
    pub fn parse(q: &'q str) -> Typed<'q> {
        let chunks = chunks(q).collect();
        Typed { q, chunks }
    }

    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.chunks.iter().flat_map(|chunk| &chunk.words)
    }

    /// The last word: it may be unfinished.
    pub fn last(&self) -> Option<&Word> {
        self.chunks.last().and_then(|chunk| chunk.words.last())
    }

    /// The field a word is looked up in.
    pub fn field(&self, word: &Word, fields: &Fields) -> Field {
        let last = self.last().is_some_and(|last| last.range == word.range);
        if last { fields.prefix } else { fields.word }
    }
}

/// Accepted spellings beside the typed one, by the typed word.
pub(super) type Spellings = HashMap<String, Vec<Neighbour>>;

/// Products that match what was typed and the filters.
pub(super) fn compile(
    fields: &Fields,
    searcher: &Searcher,
    typed: Option<&Typed<'_>>,
    spellings: &Spellings,
    filters: &Filters,
) -> Result<Box<dyn TantivyQuery>, Error> {
    let mut all = filters.queries(fields);
    if let Some(typed) = typed {
        let words = Words {
            fields,
            typed,
            spellings,
        };
        words.push_queries(searcher, &mut all)?;
    }
    Ok(match all.len() {
        0 => Box::new(AllQuery),
        1 => all.remove(0),
        _ => Box::new(BooleanQuery::intersection(all)),
    })
}

struct Words<'a> {
    fields: &'a Fields,
    typed: &'a Typed<'a>,
    spellings: &'a Spellings,
}

impl Words<'_> {
    fn push_queries(
        &self,
        searcher: &Searcher,
        all: &mut Vec<Box<dyn TantivyQuery>>,
    ) -> Result<(), Error> {
        let mut words: Vec<_> = self
            .typed
            .chunks
            .iter()
            .map(|chunk| self.chunk(chunk))
            .collect();
        let code = self.typed.q.trim().to_lowercase();
        let code = self.fields.exact(Exact::Code(&code));
        // Looked up first, because a union costs even where one side of it is empty.
        if searcher.doc_freq(&code)? > 0 {
            let code = Box::new(TermQuery::new(code, IndexRecordOption::Basic));
            let mut either: Vec<Box<dyn TantivyQuery>> =
                vec![Box::new(ConstScoreQuery::new(code, CODE_SCORE))];
            if !words.is_empty() {
                either.push(Box::new(BooleanQuery::intersection(words)));
            }
            all.push(Box::new(BooleanQuery::union(either)));
        } else if words.is_empty() {
            all.push(Box::new(EmptyQuery));
        } else {
            all.append(&mut words);
        }
        Ok(())
    }

    /// All words of the chunk, or its joined form.
    fn chunk(&self, chunk: &Chunk) -> Box<dyn TantivyQuery> {
        let mut words: Vec<_> = chunk.words.iter().map(|word| self.word(word)).collect();
        if words.len() == 1 {
            return words.remove(0);
        }
        let words = Box::new(BooleanQuery::intersection(words));
        match (&chunk.joined, chunk.words.last()) {
            (Some(joined), Some(last)) => {
                let field = self.typed.field(last, self.fields);
                Box::new(BooleanQuery::union(vec![words, term(field, joined)]))
            }
            _ => words,
        }
    }

    fn word(&self, word: &Word) -> Box<dyn TantivyQuery> {
        let as_typed = term(self.typed.field(word, self.fields), &word.folded);
        let Some(neighbours) = self.spellings.get(&word.folded) else {
            return as_typed;
        };
        let mut spellings = vec![as_typed];
        spellings.extend(neighbours.iter().map(|neighbour| {
            let boost = NEIGHBOUR_BOOST[usize::from(neighbour.edits.min(2))];
            let query = term(self.fields.word, &neighbour.word);
            Box::new(BoostQuery::new(query, boost)) as Box<dyn TantivyQuery>
        }));
        Box::new(BooleanQuery::union(spellings))
    }
}

fn term(field: Field, word: &str) -> Box<dyn TantivyQuery> {
    let term = Term::from_field_text(field, word);
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

/// The statistics the scores are made from: BM25 with an average length of a fifth of a word, which
/// without field norms means `tf / (tf + 4.8)`. So the places a word stands in stay far apart,
/// where the usual `tf / (tf + 0.3)` would level them.
pub(super) struct Statistics<'a>(pub &'a Searcher);

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Bm25StatisticsProvider::total_num_docs(self.0)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(5 * Bm25StatisticsProvider::total_num_docs(self.0)?)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.0.doc_freq(term)
    }
}
