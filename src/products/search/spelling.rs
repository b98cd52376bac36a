//! Words of a like spelling: one edit from four letters, two from eight, never for words with
//! digits. An edit is a letter more, less or different, or two neighbours swapped.

use std::collections::{BTreeMap, HashMap};

use tantivy::query::FuzzyTermQuery;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocSet, Searcher, Term};

use super::Error;
use super::document::Fields;
use super::query::{Spellings, Typed};
use super::text::Word;

const ONE_EDIT_LETTERS_MIN: usize = 4;
const TWO_EDIT_LETTERS_MIN: usize = 8;
/// Longer words have one spelling: their automata would be large, and nobody mistypes them twice.
const LETTERS_MAX: usize = 24;
/// Words of a query that are tried in other spellings; the rest are taken as typed.
const WORDS_MAX: usize = 8;
/// Spellings of a word, the nearest and most frequent ones.
const NEIGHBOURS_MAX: usize = 64;

/// A word of the index that is spelt like a typed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub word: String,
    pub edits: u8,
    /// Products it is in.
    pub doc_freq: u64,
}

/// How far a search goes when the words as typed find nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tolerance {
    /// Other spellings for words no product has.
    UnknownWords,
    /// Other spellings for all words: each one exists, but not together.
    AllWords,
}

impl Tolerance {
    /// What is tried in turn until something is found.
    pub const IN_ORDER: [Tolerance; 2] = [Tolerance::UnknownWords, Tolerance::AllWords];
}

/// The spellings to accept beside the typed ones; empty where the tolerance adds none.
pub(super) fn spellings(
    searcher: &Searcher,
    fields: &Fields,
    typed: &Typed<'_>,
    tolerance: Tolerance,
) -> Result<Spellings, Error> {
    let mut spellings = Spellings::new();
    for word in typed.words().filter(|word| edits_of(word) > 0) {
        if spellings.len() == WORDS_MAX || spellings.contains_key(&word.folded) {
            continue;
        }
        let field = typed.field(word, fields);
        let known = searcher.doc_freq(&Term::from_field_text(field, &word.folded))? > 0;
        if known && tolerance == Tolerance::UnknownWords {
            continue;
        }
        let mut neighbours = neighbours(searcher, fields.word, word, Match::Whole)?;
        if neighbours.is_empty() && field == fields.prefix {
            neighbours = self::neighbours(searcher, fields.word, word, Match::Beginning)?;
        }
        if !neighbours.is_empty() {
            spellings.insert(word.folded.clone(), neighbours);
        }
    }
    Ok(spellings)
}

/// What was typed, with the spellings that the best hit has in place of the typed ones.
pub(super) fn corrected(
    searcher: &Searcher,
    fields: &Fields,
    typed: &Typed<'_>,
    spellings: &Spellings,
    best: DocAddress,
) -> Result<Option<String>, Error> {
    let mut corrected = String::with_capacity(typed.q.len());
    let mut copied = 0;
    for word in typed.words() {
        let Some(neighbours) = spellings.get(&word.folded) else {
            continue;
        };
        if contains(searcher, best, typed.field(word, fields), &word.folded)? {
            continue;
        }
        for neighbour in neighbours {
            if contains(searcher, best, fields.word, &neighbour.word)? {
                corrected.push_str(&typed.q[copied..word.range.start]);
                corrected.push_str(&neighbour.word);
                copied = word.range.end;
                break;
            }
        }
    }
    corrected.push_str(&typed.q[copied..]);
    Ok((copied > 0).then_some(corrected))
}

/// Whether the neighbours are like the whole word, or begin like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Whole,
    Beginning,
}

/// The words of a field that are spelt like `word`, nearest and most frequent first.
pub(super) fn neighbours(
    searcher: &Searcher,
    field: Field,
    word: &Word,
    how: Match,
) -> Result<Vec<Neighbour>, Error> {
    let mut found: BTreeMap<String, Neighbour> = BTreeMap::new();
    for edits in 1..=edits_of(word) {
        for (neighbour, doc_freq) in within(searcher, field, &word.folded, edits, how)? {
            if neighbour == word.folded || neighbour.bytes().any(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let word = neighbour.clone();
            found.entry(neighbour).or_insert(Neighbour {
                word,
                edits,
                doc_freq,
            });
        }
    }
    let mut found: Vec<Neighbour> = found.into_values().collect();
    found.sort_by_key(|neighbour| (neighbour.edits, std::cmp::Reverse(neighbour.doc_freq)));
    found.truncate(NEIGHBOURS_MAX);
    Ok(found)
}

fn within(
    searcher: &Searcher,
    field: Field,
    word: &str,
    edits: u8,
    how: Match,
) -> Result<HashMap<String, u64>, Error> {
    let term = Term::from_field_text(field, word);
    let query = match how {
        Match::Whole => FuzzyTermQuery::new(term, edits, true),
        Match::Beginning => FuzzyTermQuery::new_prefix(term, edits, true),
    };
    let automaton = query.automaton()?;
    let mut found: HashMap<String, u64> = HashMap::new();
    for reader in searcher.segment_readers() {
        let index = reader.inverted_index(field)?;
        let mut words = index.terms().search(&automaton).into_stream()?;
        while let Some((word, info)) = words.next() {
            let word = String::from_utf8_lossy(word).into_owned();
            *found.entry(word).or_default() += u64::from(info.doc_freq);
        }
    }
    Ok(found)
}

fn contains(
    searcher: &Searcher,
    address: DocAddress,
    field: Field,
    word: &str,
) -> Result<bool, Error> {
    let index = searcher
        .segment_reader(address.segment_ord)
        .inverted_index(field)?;
    let term = Term::from_field_text(field, word);
    let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else {
        return Ok(false);
    };
    Ok(postings.doc() == address.doc_id
        || postings.doc() < address.doc_id && postings.seek(address.doc_id) == address.doc_id)
}

/// How many edits a word may be away. Digits are never mistaken for others: they are SKUs, sizes
/// and models, and the next one is another product.
fn edits_of(word: &Word) -> u8 {
    let letters = word.folded.chars().count();
    if word.has_digit() || !(ONE_EDIT_LETTERS_MIN..=LETTERS_MAX).contains(&letters) {
        0
    } else if letters < TWO_EDIT_LETTERS_MIN {
        1
    } else {
        2
    }
}
