//! Writing products. Every function is one part of the caller's unit of work.

use super::variants::{NewVariant, insert_variants, update_variants};
use crate::products::draft::Draft;
use crate::products::inventory::AdjustError;
use crate::products::slug::SLUG_LEN_MAX;
use crate::products::{ProductId, VariantId};
use platform::clock::Timestamp;
use platform::db::{DbError, Param, ToParam, Tx, placeholders};
use platform::events::{self, NewEvent};
use platform::params;
use serde_json::json;
use std::collections::HashSet;

/// A product to be inserted.
#[derive(Clone, Debug)]
pub struct NewRow {
    pub id: ProductId,
    pub draft: Draft,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The product was changed or deleted while the change was being made.
    #[error("the product has just been changed by another request")]
    Changed,
    /// A variant that is left away still has units on the shelf or set aside.
    #[error("variant {0} still has stock")]
    VariantHasStock(VariantId),
    #[error(transparent)]
    Stock(#[from] AdjustError),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The JSON columns of a product.
struct Texts {
    slug: String,
    categories: String,
    tags: String,
    options: String,
    images: String,
    seo: Option<String>,
    attributes: String,
    metadata: String,
}

pub(super) fn text<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types serialise: string keys, no failing impls")
}

impl Texts {
    fn of(draft: &Draft) -> Texts {
        Texts {
            slug: draft.wanted_slug().into_owned(),
            categories: text(&draft.categories),
            tags: text(&draft.tags),
            options: text(&draft.options),
            images: text(&draft.images),
            seo: draft.seo.as_ref().map(text),
            attributes: text(&draft.attributes),
            metadata: draft.metadata.to_json(),
        }
    }
}

/// The first of the values that must be unique which another live product has: the pointer to the
/// field and the value. One statement.
pub async fn find_duplicate(
    tx: &mut Tx,
    own: &ProductId,
    draft: &Draft,
) -> Result<Option<(String, String)>, DbError> {
    let skus: Vec<&str> = draft
        .variants
        .iter()
        .filter_map(|variant| variant.sku.as_deref())
        .collect();
    let mut params = vec![
        own.to_param(),
        draft.slug.to_param(),
        draft.external_id.to_param(),
    ];
    params.extend(skus.iter().map(|sku| Param::Text(sku)));
    let mut sql =
        "SELECT 'slug', slug FROM products WHERE slug = $2 AND id <> $1 AND deleted_at IS NULL
        UNION ALL SELECT 'external_id', external_id FROM products
        WHERE external_id = $3 AND id <> $1 AND deleted_at IS NULL"
            .to_owned();
    if !skus.is_empty() {
        sql.push_str(&format!(
            " UNION ALL SELECT 'sku', sku FROM variants WHERE sku IN ({}) AND product_id <> $1 AND deleted_at IS NULL",
            placeholders(4, skus.len())
        ));
    }
    let found = tx
        .fetch_optional(&sql, &params, |row| {
            Ok((row.get::<String>(0)?, row.get::<String>(1)?))
        })
        .await?;
    let Some((field, value)) = found else {
        return Ok(None);
    };
    let index = draft
        .variants
        .iter()
        .position(|variant| variant.sku.as_ref() == Some(&value));
    let pointer = match (field.as_str(), index) {
        ("sku", Some(index)) if draft.variants.len() > 1 => format!("variants/{index}/sku"),
        _ => field,
    };
    Ok(Some((pointer, value)))
}

/// Inserts products with all that is below them: a handful of statements however many there are.
/// A slug that was made from the title and is taken gets the end of the product's id; all other
/// values that must be unique are the caller's to check ([`find_duplicate`]).
///
/// # Errors
/// [`DbError::Unique`] `products_slug`, `products_external_id` or `variants_sku`.
pub async fn insert_many(
    tx: &mut Tx,
    rows: &[NewRow],
    actor: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut texts: Vec<Texts> = rows.iter().map(|row| Texts::of(&row.draft)).collect();
    free_slugs(tx, rows, &mut texts).await?;
    let mut values = Vec::with_capacity(rows.len() * 22);
    for (NewRow { id, draft }, texts) in rows.iter().zip(&texts) {
        let archived_at = (draft.status.as_str() == "archived").then_some(now);
        values.extend([id.to_param(), Param::Int(now.micros()), Param::Int(1)]);
        values.extend(product_values(draft, texts));
        values.extend([
            Param::Int(now.micros()),
            archived_at.map_or(Param::Null, |at| Param::Int(at.micros())),
        ]);
    }
    let head = "INSERT INTO products (id, created_at, version, title, slug, description, status, type, vendor, brand,
        categories, tags, options, tax_category, images, seo, attributes, external_id, metadata, updated_at, archived_at)";
    tx.insert_many(head, 21, &values, "").await?;
    let labelled: Vec<(&ProductId, &Draft)> =
        rows.iter().map(|row| (&row.id, &row.draft)).collect();
    insert_labels(tx, &labelled).await?;
    let variants: Vec<NewVariant<'_>> = rows
        .iter()
        .flat_map(|row| {
            row.draft
                .variants
                .iter()
                .enumerate()
                .map(|(at, variant)| (&row.id, at, variant))
        })
        .collect();
    insert_variants(tx, &variants, actor, now).await?;
    let data: Vec<String> = rows
        .iter()
        .map(|row| json!({ "product_id": row.id }).to_string())
        .collect();
    let made: Vec<NewEvent<'_>> = rows
        .iter()
        .zip(&data)
        .map(|(row, data)| event("product.created", &row.id, 1, actor, data, now))
        .collect();
    events::append_all(tx, &made).await
}

async fn free_slugs(tx: &mut Tx, rows: &[NewRow], texts: &mut [Texts]) -> Result<(), DbError> {
    let wanted: Vec<Param<'_>> = rows
        .iter()
        .zip(texts.iter())
        .filter(|(row, _)| row.draft.slug.is_none())
        .map(|(_, texts)| Param::Text(&texts.slug))
        .collect();
    let mut taken: HashSet<String> = HashSet::new();
    for part in wanted.chunks(500) {
        let sql = format!(
            "SELECT slug FROM products WHERE deleted_at IS NULL AND slug IN ({})",
            placeholders(1, part.len())
        );
        taken.extend(tx.fetch_all(&sql, part, |row| row.get::<String>(0)).await?);
    }
    for (row, texts) in rows.iter().zip(texts) {
        let mine = row.draft.slug.is_none() && taken.contains(&texts.slug);
        if mine {
            texts.slug = slug_of_its_own(&texts.slug, &row.id);
        }
        taken.insert(texts.slug.clone());
    }
    Ok(())
}

/// `blue-mug` → `blue-mug-4t9x2c7e`: the last characters of an id are random.
fn slug_of_its_own(slug: &str, id: &ProductId) -> String {
    let id: Vec<char> = id
        .as_str()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let end: String = id[id.len().saturating_sub(8)..].iter().collect();
    let room = SLUG_LEN_MAX - end.len() - 1;
    let base: String = slug.chars().take(room).collect();
    format!(
        "{}-{}",
        base.trim_end_matches('-'),
        end.to_ascii_lowercase()
    )
}

/// The sixteen columns that a change can touch, `title` first.
fn product_values<'a>(draft: &'a Draft, texts: &'a Texts) -> [Param<'a>; 16] {
    [
        draft.title.to_param(),
        texts.slug.to_param(),
        draft.description.to_param(),
        Param::Text(draft.status.as_str()),
        draft.kind.to_param(),
        draft.vendor.to_param(),
        draft.brand.to_param(),
        texts.categories.to_param(),
        texts.tags.to_param(),
        texts.options.to_param(),
        draft.tax_category.to_param(),
        texts.images.to_param(),
        texts.seo.to_param(),
        texts.attributes.to_param(),
        draft.external_id.to_param(),
        texts.metadata.to_param(),
    ]
}

async fn insert_labels(tx: &mut Tx, products: &[(&ProductId, &Draft)]) -> Result<(), DbError> {
    let mut values = Vec::new();
    for (id, draft) in products {
        let categories = draft.categories.iter().map(|label| ("category", label));
        for (kind, label) in categories.chain(draft.tags.iter().map(|label| ("tag", label))) {
            values.extend([Param::Text(kind), Param::Text(label), id.to_param()]);
        }
    }
    if !values.is_empty() {
        let head = "INSERT INTO product_labels (kind, label, product_id)";
        tx.insert_many(head, 3, &values, "").await?;
    }
    Ok(())
}

/// Makes the live product `id`, which is at `version`, from `before` what `after` says.
pub async fn update(
    tx: &mut Tx,
    (id, version): (&ProductId, i64),
    (before, after): (&Draft, &Draft),
    actor: &str,
    now: Timestamp,
) -> Result<(), UpdateError> {
    update_own(tx, (id, version), after, now).await?;
    if (&before.categories, &before.tags) != (&after.categories, &after.tags) {
        tx.execute(
            "DELETE FROM product_labels WHERE product_id = $1",
            params![id],
        )
        .await?;
        insert_labels(tx, &[(id, after)]).await?;
    }
    update_variants(tx, id, (before, after), actor, now).await?;
    let data = json!({ "product_id": id }).to_string();
    events::append(
        tx,
        &event("product.updated", id, version + 1, actor, &data, now),
    )
    .await?;
    Ok(())
}

async fn update_own(
    tx: &mut Tx,
    (id, version): (&ProductId, i64),
    after: &Draft,
    now: Timestamp,
) -> Result<(), UpdateError> {
    let texts = Texts::of(after);
    let mut values = vec![id.to_param(), Param::Int(version), Param::Int(now.micros())];
    values.extend(product_values(after, &texts));
    let sql = "UPDATE products SET version = version + 1, updated_at = $3, title = $4, slug = $5, description = $6,
            status = $7, type = $8, vendor = $9, brand = $10, categories = $11, tags = $12, options = $13,
            tax_category = $14, images = $15, seo = $16, attributes = $17, external_id = $18, metadata = $19,
            archived_at = CASE WHEN $7 <> 'archived' THEN NULL ELSE COALESCE(archived_at, $3) END
        WHERE id = $1 AND version = $2 AND deleted_at IS NULL";
    match tx.execute(sql, &values).await? {
        0 => Err(UpdateError::Changed),
        _ => Ok(()),
    }
}

/// The version of the live product `id`.
pub async fn find_version(tx: &mut Tx, id: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT version FROM products WHERE id = $1 AND deleted_at IS NULL";
    tx.fetch_optional(sql, params![id], |row| row.get(0)).await
}

/// Deletes the live product `id`, which is at `version`: it is out of every list, and its slug,
/// external id and SKUs are free again. Its rows stay for the ledger and for orders that hold stock.
pub async fn delete(
    tx: &mut Tx,
    (id, version): (&ProductId, i64),
    actor: &str,
    now: Timestamp,
) -> Result<(), UpdateError> {
    let sql = "UPDATE products SET deleted_at = $3, updated_at = $3, version = version + 1
        WHERE id = $1 AND version = $2 AND deleted_at IS NULL";
    if tx.execute(sql, params![id, version, now]).await? == 0 {
        return Err(UpdateError::Changed);
    }
    let sql = "UPDATE variants SET deleted_at = $2 WHERE product_id = $1 AND deleted_at IS NULL";
    tx.execute(sql, params![id, now]).await?;
    tx.execute(
        "DELETE FROM product_labels WHERE product_id = $1",
        params![id],
    )
    .await?;
    let data = json!({ "product_id": id }).to_string();
    events::append(
        tx,
        &event("product.deleted", id, version + 1, actor, &data, now),
    )
    .await?;
    Ok(())
}

fn event<'a>(
    kind: &'a str,
    id: &'a ProductId,
    version: i64,
    actor: &'a str,
    data: &'a str,
    at: Timestamp,
) -> NewEvent<'a> {
    NewEvent {
        kind,
        object_type: "product",
        object_id: id.as_str(),
        object_version: version,
        actor,
        data,
        at,
    }
}
