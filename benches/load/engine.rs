//! The search engine alone, behind the thinnest HTTP: what a search could cost.

use crate::catalog;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, STRING, Schema, TEXT};
use tantivy::{Index, IndexReader, Term, doc};

struct Engine {
    reader: IndexReader,
    words: Field,
}

/// Serves `/?q=one+two&size=1000`: the best 20 of `products` that have all words, by BM25, and then a
/// body of `size` bytes. Prints its port and never returns.
pub async fn serve(products: usize) {
    let engine = Arc::new(build(products).expect("an index in memory"));
    let app = Router::new().route("/", get(search)).with_state(engine);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    println!("{}", listener.local_addr().expect("an address").port());
    axum::serve(listener, app)
        .await
        .expect("serves until it is killed");
}

fn build(products: usize) -> tantivy::Result<Engine> {
    let mut schema = Schema::builder();
    let id = schema.add_text_field("id", STRING | STORED);
    let words = schema.add_text_field("words", TEXT);
    let index = Index::create_in_ram(schema.build());
    let mut writer = index.writer_with_num_threads(1, 50_000_000)?;
    for number in 0..products {
        writer
            .add_document(doc!(id => format!("prod_{number}"), words => catalog::text(number)))?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    Ok(Engine {
        reader: index.reader()?,
        words,
    })
}

async fn search(State(engine): State<Arc<Engine>>, RawQuery(query): RawQuery) -> impl IntoResponse {
    let query = query.unwrap_or_default();
    let (words, size) = query
        .trim_start_matches("q=")
        .split_once("&size=")
        .expect("q and size");
    let terms = words.split('+').map(|word| {
        let term = Term::from_field_text(engine.words, word);
        Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)) as Box<dyn Query>
    });
    let query = BooleanQuery::intersection(terms.collect());
    // The total is part of every answer, so all matches are visited here too.
    let wanted = (TopDocs::with_limit(20).order_by_score(), Count);
    let (best, total) = engine
        .reader
        .searcher()
        .search(&query, &wanted)
        .expect("a search");
    let filler = "x".repeat(size.parse::<usize>().expect("a number").saturating_sub(16));
    (
        [(header::CONTENT_TYPE, "application/json")],
        format!("[{:>2},{total:>7},\"{filler}\"]", best.len()),
    )
}
