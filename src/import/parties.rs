//! The customers and products that imported documents name: found, or made.

use super::online_retail::{Census, Sold, currency};
use super::summary::Counts;
use super::{ACTOR, Options, store, unit};
use crate::metadata::Metadata;
use crate::money::Money;
use crate::products::draft::Draft;
use crate::products::store::{NewRow, insert_many};
use crate::products::{ProductId, VariantId};
use crate::users::user::{Profile, User, UserStatus};
use crate::users::{self, UserId};
use platform::clock::Timestamp;
use platform::db::{Db, DbError, Tx};
use std::collections::HashMap;

/// Everyone and everything that the documents of a file name.
#[derive(Debug, Default)]
pub(super) struct Parties {
    pub customers: HashMap<u64, UserId>,
    pub products: HashMap<Box<str>, (ProductId, VariantId)>,
}

/// Finds the customers of the file and makes those that are missing, a chunk at a time.
pub(super) async fn customers(
    db: &Db,
    census: &Census,
    options: &Options,
    now: Timestamp,
) -> Result<(HashMap<u64, UserId>, Counts), DbError> {
    let wanted: Vec<(u64, Timestamp)> = census
        .customers
        .iter()
        .map(|(number, first)| (*number, *first))
        .collect();
    let (mut all, mut counts) = (HashMap::with_capacity(wanted.len()), Counts::default());
    let dry_run = options.dry_run;
    for part in wanted.chunks(options.chunk) {
        let part = part.to_vec();
        let work = async move |tx: &mut Tx| customer_chunk(tx, &part, dry_run, now).await;
        let (chunk, new) = unit(db, dry_run, work).await?;
        counts.new += new;
        counts.present += chunk.len() - new;
        all.extend(chunk);
    }
    Ok((all, counts))
}

async fn customer_chunk(
    tx: &mut Tx,
    wanted: &[(u64, Timestamp)],
    dry_run: bool,
    now: Timestamp,
) -> Result<(Vec<(u64, UserId)>, usize), DbError> {
    let numbers: Vec<String> = wanted
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    let texts: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let mut known = store::known_users(tx, &texts).await?;
    let (mut all, mut new) = (Vec::with_capacity(wanted.len()), Vec::new());
    for ((number, first), text) in wanted.iter().zip(numbers) {
        let id = known.remove(&text).unwrap_or_else(|| {
            new.push(customer(text, *first));
            new[new.len() - 1].id.clone()
        });
        all.push((*number, id));
    }
    if !dry_run && !new.is_empty() {
        users::add(tx, &new, ACTOR, now).await?;
    }
    Ok((all, new.len()))
}

/// The file knows a number only. `.invalid` is a domain that never receives mail (RFC 2606 §2).
fn customer(number: String, first: Timestamp) -> User {
    User {
        id: UserId::new(),
        username: format!("customer-{number}"),
        email: format!("customer-{number}@import.invalid"),
        status: UserStatus::Active,
        created_at: first,
        profile: Profile::default(),
        addresses: Vec::new(),
        consent: Default::default(),
        external_id: Some(number),
        metadata: Metadata::default(),
        updated_at: first,
        version: 1,
        anonymized_at: None,
    }
}

/// A StockCode, its product and its variant.
type Found = (Box<str>, (ProductId, VariantId));

/// Finds the products of the file by SKU and makes those that are missing, a chunk at a time.
pub(super) async fn products(
    db: &Db,
    census: &Census,
    options: &Options,
    now: Timestamp,
) -> Result<(HashMap<Box<str>, (ProductId, VariantId)>, Counts), DbError> {
    let wanted: Vec<(&Box<str>, &Sold)> = census.products.iter().collect();
    let (mut all, mut counts) = (HashMap::with_capacity(wanted.len()), Counts::default());
    let dry_run = options.dry_run;
    for part in wanted.chunks(options.chunk) {
        let part: Vec<(Box<str>, Sold)> = part
            .iter()
            .map(|(sku, sold)| ((*sku).clone(), (*sold).clone()))
            .collect();
        let work = async move |tx: &mut Tx| product_chunk(tx, &part, dry_run, now).await;
        let (chunk, new) = unit(db, dry_run, work).await?;
        counts.new += new;
        counts.present += chunk.len() - new;
        all.extend(chunk);
    }
    Ok((all, counts))
}

async fn product_chunk(
    tx: &mut Tx,
    wanted: &[(Box<str>, Sold)],
    dry_run: bool,
    now: Timestamp,
) -> Result<(Vec<Found>, usize), DbError> {
    let skus: Vec<&str> = wanted.iter().map(|(sku, _)| &**sku).collect();
    let mut known = store::known_variants(tx, &skus).await?;
    let (mut all, mut new) = (Vec::with_capacity(wanted.len()), Vec::new());
    for (sku, sold) in wanted {
        let ids = known.remove(&**sku).unwrap_or_else(|| {
            let row = product(sku, sold);
            let ids = (row.id.clone(), row.draft.variants[0].id.clone());
            new.push(row);
            ids
        });
        all.push((sku.clone(), ids));
    }
    if !dry_run {
        insert_many(tx, &new, ACTOR, now).await?;
    }
    Ok((all, new.len()))
}

/// A product with one variant whose stock is not counted: the file does not tell what was on the shelf.
fn product(sku: &str, sold: &Sold) -> NewRow {
    let title = if sold.title.is_empty() {
        sku
    } else {
        &sold.title
    };
    let price = sold
        .price_minor
        .map(|amount| Money::new(amount, currency()));
    NewRow {
        id: ProductId::new(),
        draft: Draft::simple(title, Some(sku), price),
    }
}
