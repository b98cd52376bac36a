//! Product search: an in-process index over tantivy that knows nothing of SQL or HTTP.
//!
//! [`Index`] is a projection: it is fed [`Change`]s in the order of the event log, keeps the
//! [`Watermark`] of the last one in the same commit, and can be thrown away and rebuilt. It answers
//! [`Query`]s with product ids, scores, counts and marks, never with products: prices, stock and
//! titles in an answer come fresh from the database in one statement for the page, so nothing shown
//! can be older than the database, and selling changes nothing here.
//!
//! How it finds things:
//! - Words are folded (`text`), and all words of a query must be in the product. Beside its words
//!   the index holds every beginning of every word, so the last word, which may be unfinished, is
//!   one posting list like any other.
//! - A word counts by where it stands: title, brand, tags, description. This is written into the
//!   term frequencies (`document`), so ranking is one posting list per word too.
//! - Only where the words as typed find nothing are words of a like spelling accepted
//!   (`spelling`), and the answer says so in `corrected_query`. A shop that shows skirts to those
//!   who ask for a shirt has wrong totals, wrong facets and a wrong cheapest hit.
//! - Every match is visited once: for the total, the best page and the facets (`run`). Ties are
//!   broken by product id, so pages neither repeat nor skip.

pub mod api;
mod directory;
mod document;
mod facets;
pub mod follow;
mod highlight;
mod index;
mod query;
mod run;
mod spelling;
mod suggest;
mod text;
mod view;

pub use document::{AttributeValue, ProductDoc, product_key};
pub use facets::{FacetCounts, FacetRequest, FacetValue, Facets, PriceFacet, PriceRange};
pub use follow::Search;
pub use highlight::Highlighter;
pub use index::{Change, Index, RepriceDue, Watermark};
pub use query::{Facet, Filters, PriceFilter, Query, Sort};
pub use run::{Hit, Results};
pub use suggest::{Completion, Suggestions, TitleSuggestion};

/// Characters of `q`, counted after it was decoded.
pub const Q_CHARS_MAX: usize = 256;
/// `offset + limit`: how deep a result can be paged into.
pub const WINDOW_MAX: usize = 10_000;

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("q has more than {Q_CHARS_MAX} characters")]
    QueryTooLong,
    #[error("offset + limit is more than {WINDOW_MAX}")]
    WindowTooLarge,
    /// Another process has this index open for writing.
    #[error("the search index is in use by another process")]
    Busy,
    #[error("the search index failed")]
    Engine(#[from] tantivy::TantivyError),
    #[error("the search index could not be read")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
