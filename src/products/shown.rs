//! Products as they are answered: JSON that is kept as text until the product changes.
//!
//! Catalogs are read far more often than they change, and to put a product together from its rows costs
//! several times what it costs to find it. So the text is kept with the version that it was made from, and
//! a read only asks the database for versions and stock: nothing is ever shown that the database does not
//! confirm, on any node. Stock moves with every order, so it is not part of the kept text but set into it.

use super::ProductId;
use super::product::{Asked, Inventory, Product};
use super::store::{self, Head, Level};
use crate::app::App;
use crate::error::{Result, not_found};
use crate::money::Currency;
use platform::clock::Timestamp;
use platform::db::Tx;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Text kept, in bytes.
const KEPT_BYTES_MAX: u64 = 24 * 1024 * 1024;
/// About the text of a product with one variant.
const KEPT_BYTES_EACH: u64 = 2_000;

/// The texts that this process keeps. Left out first is what was not asked for lately.
pub struct Shelf(Cache<Key, Arc<Text>, ByBytes>);

/// A product, and the currency that its prices are shown in if one was asked for.
type Key = (ProductId, Option<Currency>);

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Text>> for ByBytes {
    fn weight(&self, (id, _): &Key, text: &Arc<Text>) -> u64 {
        let parts = [id.as_str(), &text.json, &text.title, &text.description];
        let holes = text.holes.len() * size_of::<Hole>();
        (parts.iter().map(|part| part.len()).sum::<usize>() + holes + size_of::<Text>()) as u64
    }
}

impl Default for Shelf {
    fn default() -> Shelf {
        let each = usize::try_from(KEPT_BYTES_MAX / KEPT_BYTES_EACH).unwrap_or(1);
        Shelf(Cache::with_weighter(each, KEPT_BYTES_MAX, ByBytes))
    }
}

/// One product as JSON, with holes where its stock belongs.
struct Text {
    version: i64,
    /// From when on, and until before when, its prices are those that apply.
    from_micros: i64,
    until_micros: i64,
    json: String,
    holes: Vec<Hole>,
    title: String,
    description: String,
}

/// A place for stock: that of a variant, or of the whole product.
struct Hole {
    at: usize,
    variant: Option<String>,
}

/// What stands where stock belongs while the holes are looked for. In a text of the product's own the quotes would be
/// escaped.
const STOCK_NAME: &str = "\"inventory\":";
const NO_STOCK: &str =
    "\"inventory\":{\"on_hand\":0,\"allocated\":0,\"reserved\":0,\"available\":0,\"incoming\":0}";

impl Text {
    /// All of `product` as it is, for one answer.
    fn whole(product: Product) -> Text {
        Text {
            version: product.version,
            from_micros: 0,
            until_micros: 0,
            json: serde_json::to_string(&product).expect("our own types serialise"),
            holes: Vec::new(),
            title: product.title,
            description: product.description,
        }
    }

    /// `product` without its stock, for any answer from `at` on, and its stock. A product that has a field of its own that
    /// looks like stock is only good for one answer.
    fn to_keep(mut product: Product, at: Timestamp) -> (Text, Vec<Level>) {
        let variants = product.variants.iter_mut().map(|variant| {
            let stock = std::mem::take(&mut variant.inventory);
            Level {
                variant_id: variant.id.to_string(),
                on_hand: stock.on_hand,
                allocated: stock.allocated,
            }
        });
        let levels: Vec<Level> = variants.collect();
        product.inventory = Inventory::default();
        let until_micros = product.fresh_until_micros;
        let mut text = Text::whole(product);
        let owners = levels.iter().map(|level| Some(level.variant_id.clone()));
        let owners: Vec<_> = owners.chain([None]).collect();
        if text.json.matches(NO_STOCK).count() == owners.len() {
            text.dig(owners);
            (text.from_micros, text.until_micros) = (at.micros(), until_micros);
        }
        (text, levels)
    }

    /// Makes the holes, whose owners are given in their order.
    fn dig(&mut self, owners: Vec<Option<String>>) {
        let mut json = String::with_capacity(self.json.len());
        let mut owners = owners.into_iter();
        for (index, part) in self.json.split(NO_STOCK).enumerate() {
            if index > 0 {
                json.push_str(STOCK_NAME);
                let variant = owners.next().flatten();
                self.holes.push(Hole {
                    at: json.len(),
                    variant,
                });
            }
            json.push_str(part);
        }
        self.json = json;
    }

    fn holds(&self, version: i64, at: Timestamp) -> bool {
        self.version == version && (self.from_micros..self.until_micros).contains(&at.micros())
    }

    fn write(&self, levels: &[Level], out: &mut String) {
        let mut written = 0;
        for hole in &self.holes {
            out.push_str(&self.json[written..hole.at]);
            written = hole.at;
            let mine = |level: &&Level| {
                hole.variant
                    .as_ref()
                    .is_none_or(|id| *id == level.variant_id)
            };
            let mut stock = Inventory::default();
            for level in levels.iter().filter(mine) {
                stock.add(level.on_hand, level.allocated);
            }
            let Inventory {
                on_hand,
                allocated,
                reserved,
                available,
                incoming,
                ..
            } = stock;
            let _ = write!(
                out,
                "{{\"on_hand\":{on_hand},\"allocated\":{allocated},\"reserved\":{reserved},\"available\":{available},\"incoming\":{incoming}}}"
            ); // a String takes everything
        }
        out.push_str(&self.json[written..]);
    }
}

/// A product to be answered.
pub struct Shown {
    pub id: ProductId,
    /// The value that the list is sorted by.
    pub sort_key: String,
    text: Arc<Text>,
    levels: Vec<Level>,
}

impl Shown {
    /// Grows with every change of the product.
    pub fn version(&self) -> i64 {
        self.text.version
    }

    /// Appends the product as JSON.
    pub fn write(&self, out: &mut String) {
        self.text.write(&self.levels, out);
    }

    pub fn title(&self) -> &str {
        &self.text.title
    }

    pub fn description(&self) -> &str {
        &self.text.description
    }
}

/// How products are to be shown, and when.
#[derive(Clone, Copy)]
pub struct Showing<'a> {
    pub app: &'a App,
    pub asked: &'a Asked,
    pub now: Timestamp,
}

impl Showing<'_> {
    /// What is kept holds for one unit, for everyone, now, and without stock by location.
    fn keeps(&self) -> bool {
        let Asked {
            group,
            quantity,
            at,
            by_location,
            ..
        } = self.asked;
        group.is_none() && *quantity == 1 && *at == self.now && !by_location
    }

    /// The product `id`. One statement, or two when it changed since it was last read here.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn one(&self, tx: &mut Tx, id: &str) -> Result<Shown> {
        let missing = || not_found("product", id);
        let id = ProductId::parse(id).ok_or_else(missing)?;
        let known = self.keeps()
            && self
                .app
                .shelf
                .0
                .peek(&(id.clone(), self.asked.currency))
                .is_some();
        let shown = if known {
            let heads = store::heads_of(tx, &[id]).await?;
            self.of_heads(tx, heads).await?.pop()
        } else {
            store::load(tx, &[id], self.asked)
                .await?
                .pop()
                .map(|product| self.show(product, String::new()))
        };
        shown.ok_or_else(missing)
    }

    /// The products of `heads` in their order; those that are gone since are left out. One statement for
    /// all that are not kept.
    pub async fn of_heads(&self, tx: &mut Tx, heads: Vec<Head>) -> Result<Vec<Shown>> {
        let keeps = self.keeps();
        let kept = |head: &Head| {
            let text = self
                .app
                .shelf
                .0
                .get(&(head.id.clone(), self.asked.currency))?;
            (keeps && text.holds(head.version, self.now)).then_some(text)
        };
        let texts: Vec<Option<Arc<Text>>> = heads.iter().map(kept).collect();
        let missing = heads.iter().zip(&texts).filter(|(_, text)| text.is_none());
        let missing: Vec<ProductId> = missing.map(|(head, _)| head.id.clone()).collect();
        let loaded = store::load(tx, &missing, self.asked).await?;
        let mut loaded: HashMap<ProductId, Product> = loaded
            .into_iter()
            .map(|product| (product.id.clone(), product))
            .collect();
        let shown = heads
            .into_iter()
            .zip(texts)
            .filter_map(|(head, text)| match text {
                Some(text) => Some(Shown {
                    id: head.id,
                    sort_key: head.sort_key,
                    text,
                    levels: head.levels,
                }),
                None => Some(self.show(loaded.remove(&head.id)?, head.sort_key)),
            });
        Ok(shown.collect())
    }

    fn show(&self, product: Product, sort_key: String) -> Shown {
        let id = product.id.clone();
        if !self.keeps() {
            let text = Arc::new(Text::whole(product));
            return Shown {
                id,
                sort_key,
                text,
                levels: Vec::new(),
            };
        }
        let (text, levels) = Text::to_keep(product, self.now);
        let text = Arc::new(text);
        self.app
            .shelf
            .0
            .insert((id.clone(), self.asked.currency), text.clone());
        Shown {
            id,
            sort_key,
            text,
            levels,
        }
    }
}

/// A bare array of products.
pub fn list(shown: &[Shown]) -> String {
    let mut body = String::with_capacity(2 + shown.len() * 2048);
    body.push('[');
    for (index, one) in shown.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        one.write(&mut body);
    }
    body.push(']');
    body
}
