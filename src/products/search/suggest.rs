//! As you type: how the query may go on, and the products it already means.

use std::collections::HashMap;

use tantivy::query::{EnableScoring, Query as _};
use tantivy::schema::{Field, Value};
use tantivy::{Searcher, TantivyDocument};

use super::query::{self, Filters, Query, Spellings, Typed};
use super::spelling::{self, Match};
use super::text::Word;
use super::view::View;
use super::{Error, Index};

/// Most completions and most products of an answer.
const LIMIT_MAX: usize = 20;
/// Words of a segment that are looked at for one beginning, in alphabetical order.
const WORDS_MAX: usize = 10_000;

/// The answer to [`Index::suggest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// Queries that go on from what was typed, the one that finds most first.
    pub completions: Vec<Completion>,
    /// The best products for what was typed.
    pub titles: Vec<TitleSuggestion>,
}

/// What was typed with its last word completed, or corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub q: String,
    /// Products it finds.
    pub total: u64,
}

/// A product, with its title as last indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TitleSuggestion {
    pub product_id: String,
    pub title: String,
}

impl Index {
    /// Completes what is being typed, among the products that pass the filters (the price apart):
    /// the last word by words of titles, in another spelling if none goes on from it. At most
    /// `limit` completions and titles, and never more than 20.
    ///
    /// # Errors
    /// [`Error::QueryTooLong`]; any other text is fine.
    pub fn suggest(
        &self,
        typed: &str,
        filters: &Filters,
        limit: usize,
    ) -> Result<Suggestions, Error> {
        let limit = limit.min(LIMIT_MAX);
        query::check_q(typed)?;
        let words = Typed::parse(typed);
        let Some(last) = words.last() else {
            return Ok(Suggestions::default());
        };
        let view = self.view();
        let query = Query {
            q: Some(typed.to_owned()),
            filters: filters.clone(),
            limit,
            ..Query::default()
        };
        let answer = self.answer(&view, &query)?;
        let found = answer.results.hits.into_iter().zip(answer.addresses);
        let titles = found.map(|(hit, address)| {
            let doc: TantivyDocument = view.searcher.doc(address)?;
            let title = doc.get_first(self.fields.title);
            let title = title.and_then(|title| title.as_str()).unwrap_or_default();
            Ok(TitleSuggestion {
                product_id: hit.product_id,
                title: title.to_owned(),
            })
        });
        let titles = titles.collect::<Result<_, Error>>()?;

        let mut completions = Vec::new();
        for word in completions_of(&view.searcher, self.fields.title_word, last, limit)? {
            let start = &typed[..last.range.start];
            let end = &typed[last.range.end..];
            let q = format!("{start}{word}{end}");
            let total = self.total(&view, &q, &answer.spellings, filters)?;
            if total > 0 {
                completions.push(Completion { q, total });
            }
        }
        completions.sort_by_key(|completion| std::cmp::Reverse(completion.total));
        Ok(Suggestions {
            completions,
            titles,
        })
    }

    fn total(
        &self,
        view: &View,
        q: &str,
        spellings: &Spellings,
        filters: &Filters,
    ) -> Result<u64, Error> {
        let searcher = &view.searcher;
        let typed = Typed::parse(q);
        let query = query::compile(&self.fields, searcher, Some(&typed), spellings, filters)?;
        let weight = query.weight(EnableScoring::disabled_from_searcher(searcher))?;
        let mut total = 0;
        for reader in searcher.segment_readers() {
            total += u64::from(weight.count(reader)?);
        }
        Ok(total)
    }
}

/// The most frequent words that begin like `word`, or else almost like it.
fn completions_of(
    searcher: &Searcher,
    field: Field,
    word: &Word,
    limit: usize,
) -> Result<Vec<String>, Error> {
    let mut frequency: HashMap<String, u64> = HashMap::new();
    for reader in searcher.segment_readers() {
        let index = reader.inverted_index(field)?;
        let mut words = index.terms().range().ge(&word.folded).into_stream()?;
        for _ in 0..WORDS_MAX {
            let Some((longer, info)) = words.next() else {
                break;
            };
            if !longer.starts_with(word.folded.as_bytes()) {
                break;
            }
            let longer = String::from_utf8_lossy(longer).into_owned();
            *frequency.entry(longer).or_default() += u64::from(info.doc_freq);
        }
    }
    let mut words: Vec<(String, u64)> = frequency.into_iter().collect();
    words.sort_unstable_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
    let mut words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
    if words.is_empty() {
        let neighbours = spelling::neighbours(searcher, field, word, Match::Beginning)?;
        words = neighbours.into_iter().map(|near| near.word).collect();
    }
    words.truncate(limit);
    Ok(words)
}
