//! What goes into the index: a product as the search sees it, and the tantivy document made of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use tantivy::TantivyDocument;
use tantivy::schema::{
    Field, INDEXED, IndexRecordOption, JsonObjectOptions, NumericOptions, OwnedValue, STORED,
    Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};

use super::Facet;
use super::text::{self, chunks};

/// Raised with every change of the schema or of how text becomes words: an index written by
/// another version is thrown away and rebuilt.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Between the key and the value of an attribute in the index; cut out of both.
pub(super) const ATTRIBUTE_SEPARATOR: char = '\u{1f}';

const IMPACTS: &str = "impacts";
const RAW: &str = "raw";

/// What a word counts for by the best place it stands in. A whole word counts twice its weight, a
/// word that only begins with what was typed counts once: so "lamp" ranks lamps before lampshades.
const TITLE_WEIGHT: u8 = 5;
/// For titles of up to [`SHORT_TITLE_WORDS`] words: a word says more where it is one of few.
const SHORT_TITLE_WEIGHT: u8 = 6;
const SHORT_TITLE_WORDS: usize = 3;
const BRAND_WEIGHT: u8 = 3;
const TAG_WEIGHT: u8 = 2;
const DESCRIPTION_WEIGHT: u8 = 1;

/// A product as the search sees it. Bounds are those of the products API; they are checked there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductDoc {
    pub product_id: String,
    pub title: String,
    pub description: String,
    pub slug: String,
    /// `draft`, `active` or `archived`.
    pub status: String,
    pub product_type: Option<String>,
    pub vendor: Option<String>,
    pub brand: Option<String>,
    pub categories: Vec<String>,
    pub tags: Vec<String>,
    /// Of all variants.
    pub skus: Vec<String>,
    /// Of all variants.
    pub barcodes: Vec<String>,
    pub attributes: BTreeMap<String, AttributeValue>,
    /// Per currency the lowest price of its variants in minor units, as resolved when indexed.
    pub prices_minor: BTreeMap<String, i64>,
    /// When a price above can next differ, because a sale window opens or closes:
    /// see [`super::Index::reprice_due`].
    pub reprice_at_micros: Option<i64>,
    pub created_at_micros: i64,
    /// Units sold, for the `best_selling` sort. As of the last indexing: selling does not reindex.
    pub sold_count: u64,
}

/// The value of an attribute. Filters and facets use its text form.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    Text(String),
    Integer(i64),
    Decimal(f64),
    Bool(bool),
}

impl std::fmt::Display for AttributeValue {
    /// `red`, `5`, `2.5`, `true`; a decimal without a fraction reads like an integer.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AttributeValue::Text(text) => f.write_str(text),
            AttributeValue::Integer(number) => write!(f, "{number}"),
            AttributeValue::Decimal(number) => write!(f, "{number}"),
            AttributeValue::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// The number by which predicates such as "in stock" know a product: a 64-bit hash of its id, the
/// same on every machine and in every release. Two of a million products collide with a
/// probability below 10⁻⁷.
pub fn product_key(product_id: &str) -> u64 {
    // FNV-1a, then the finaliser of MurmurHash3 so that near ids differ in every bit.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in product_id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The fields of the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// The product id; deletes go by it, and it ends every sort.
    pub id: Field,
    /// [`product_key`].
    pub key: Field,
    /// Whole words, their frequency being what they count for.
    pub word: Field,
    /// Every beginning of every word: any prefix is one posting list, however many words share it.
    pub prefix: Field,
    /// Whole words of titles, for completion.
    pub title_word: Field,
    /// Whole SKUs, barcodes, slugs and ids, lower case: a query that is one of them wins.
    pub code: Field,
    pub status: Field,
    pub product_type: Field,
    pub vendor: Field,
    pub brand: Field,
    pub category: Field,
    pub tag: Field,
    pub attribute: Field,
    pub sku: Field,
    /// The title as written, for completion.
    pub title: Field,
    /// The folded title, for sorting.
    pub title_sort: Field,
    /// Minor units by currency.
    pub price: Field,
    pub reprice_at: Field,
    pub created_at: Field,
    pub sold_count: Field,
}

impl Fields {
    /// The schema and its fields.
    pub fn schema() -> (Schema, Fields) {
        let raw_index = TextFieldIndexing::default()
            .set_tokenizer(RAW)
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic);
        let exact = TextOptions::default().set_indexing_options(raw_index);
        let facet = exact.clone().set_fast(RAW);
        // No field norms: how long a description is says nothing about a product.
        let impacts = TextFieldIndexing::default()
            .set_tokenizer(IMPACTS)
            .set_fieldnorms(false);
        let weighted = TextOptions::default().set_indexing_options(
            impacts
                .clone()
                .set_index_option(IndexRecordOption::WithFreqs),
        );
        let unweighted = TextOptions::default()
            .set_indexing_options(impacts.set_index_option(IndexRecordOption::Basic));
        let number = NumericOptions::default().set_fast();

        let mut schema = Schema::builder();
        let fields = Fields {
            id: schema.add_text_field("id", facet.clone()),
            key: schema.add_u64_field("key", number.clone()),
            word: schema.add_text_field("word", weighted.clone()),
            prefix: schema.add_text_field("prefix", weighted),
            title_word: schema.add_text_field("title_word", unweighted),
            code: schema.add_text_field("code", exact.clone()),
            status: schema.add_text_field("status", facet.clone()),
            product_type: schema.add_text_field("type", facet.clone()),
            vendor: schema.add_text_field("vendor", facet.clone()),
            brand: schema.add_text_field("brand", facet.clone()),
            category: schema.add_text_field("category", facet.clone()),
            tag: schema.add_text_field("tag", facet.clone()),
            attribute: schema.add_text_field("attribute", facet),
            sku: schema.add_text_field("sku", exact),
            title: schema.add_text_field("title", STORED),
            title_sort: schema.add_text_field("title_sort", TextOptions::default().set_fast(RAW)),
            price: schema.add_json_field("price", JsonObjectOptions::default().set_fast(RAW)),
            reprice_at: schema.add_i64_field("reprice_at", number.clone() | INDEXED),
            created_at: schema.add_i64_field("created_at", number.clone()),
            sold_count: schema.add_u64_field("sold_count", number),
        };
        (schema.build(), fields)
    }

    /// The field a facet filters on.
    pub fn facet(&self, facet: &Facet) -> Field {
        match facet {
            Facet::Status => self.status,
            Facet::Type => self.product_type,
            Facet::Vendor => self.vendor,
            Facet::Brand => self.brand,
            Facet::Category => self.category,
            Facet::Tag => self.tag,
            Facet::Attribute(_) => self.attribute,
        }
    }

    /// The document of a product.
    pub fn document(&self, product: &ProductDoc) -> TantivyDocument {
        let mut doc = TantivyDocument::default();
        doc.add_text(self.id, &product.product_id);
        doc.add_u64(self.key, product_key(&product.product_id));
        doc.add_text(self.title, &product.title);
        doc.add_text(self.title_sort, text::fold(&product.title));
        doc.add_i64(self.created_at, product.created_at_micros);
        doc.add_u64(self.sold_count, product.sold_count);
        if let Some(at) = product.reprice_at_micros {
            doc.add_i64(self.reprice_at, at);
        }
        let prices = product
            .prices_minor
            .iter()
            .map(|(currency, &amount)| (currency.clone(), OwnedValue::I64(amount)));
        doc.add_object(self.price, prices.collect());
        self.add_words(&mut doc, product);
        self.add_facets(&mut doc, product);
        doc
    }

    fn add_words(&self, doc: &mut TantivyDocument, product: &ProductDoc) {
        let words = weighted_words(product);
        let mut encoded = String::new();
        for (word, &weight) in &words {
            encode(&mut encoded, word, weight * 2);
        }
        doc.add_text(self.word, std::mem::take(&mut encoded));

        let mut beginnings: HashMap<&str, u8> = HashMap::with_capacity(words.len() * 4);
        for (word, &weight) in &words {
            for (end, _) in word.char_indices().skip(1) {
                let count = beginnings.entry(&word[..end]).or_default();
                *count = weight.max(*count);
            }
            let count = beginnings.entry(word).or_default();
            *count = (weight * 2).max(*count);
        }
        for (beginning, weight) in beginnings {
            encode(&mut encoded, beginning, weight);
        }
        doc.add_text(self.prefix, std::mem::take(&mut encoded));

        for word in words_of([product.title.as_str()]) {
            encode(&mut encoded, &word, 1);
        }
        doc.add_text(self.title_word, encoded);
    }

    fn add_facets(&self, doc: &mut TantivyDocument, product: &ProductDoc) {
        doc.add_text(self.status, &product.status);
        for (field, value) in [
            (self.product_type, &product.product_type),
            (self.vendor, &product.vendor),
            (self.brand, &product.brand),
        ] {
            if let Some(value) = value {
                doc.add_text(field, value);
            }
        }
        for category in distinct(&product.categories) {
            doc.add_text(self.category, category);
        }
        for tag in distinct(&product.tags) {
            doc.add_text(self.tag, tag);
        }
        for (key, value) in &product.attributes {
            doc.add_text(self.attribute, attribute_term(key, &value.to_string()));
        }
        for sku in distinct(&product.skus) {
            doc.add_text(self.sku, sku);
        }
        let codes = product.skus.iter().chain(&product.barcodes);
        for code in codes.chain([&product.slug, &product.product_id]) {
            doc.add_text(self.code, code.to_lowercase());
        }
    }
}

/// The term of an attribute with a value.
pub(super) fn attribute_term(key: &str, value: &str) -> String {
    let clean = |text: &str| text.replace(ATTRIBUTE_SEPARATOR, "");
    format!("{}{ATTRIBUTE_SEPARATOR}{}", clean(key), clean(value))
}

/// The tokenizers the schema names.
pub(super) fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(IMPACTS, TextAnalyzer::from(Impacts::default()));
    tokenizers
}

/// Each value once: a facet counts products, not mentions.
fn distinct(values: &[String]) -> HashSet<&String> {
    values.iter().collect()
}

/// Every word of the product with what it counts for: the sum over the places it stands in.
fn weighted_words(product: &ProductDoc) -> HashMap<String, u8> {
    let title = words_of([product.title.as_str()]);
    let title_words: usize = chunks(&product.title).map(|chunk| chunk.words.len()).sum();
    let title_weight = if title_words <= SHORT_TITLE_WORDS {
        SHORT_TITLE_WEIGHT
    } else {
        TITLE_WEIGHT
    };
    let codes = product.skus.iter().chain(&product.barcodes);
    let brand = codes.chain(&product.brand).chain(&product.vendor);
    let attributes: Vec<String> = product
        .attributes
        .values()
        .filter(|value| !matches!(value, AttributeValue::Bool(_)))
        .map(ToString::to_string)
        .collect();
    let tags = product.tags.iter().chain(&product.categories);
    let tags = tags.chain(&product.product_type).chain(&attributes);

    let mut weights: HashMap<String, u8> = HashMap::new();
    for (words, weight) in [
        (title, title_weight),
        (words_of(brand.map(String::as_str)), BRAND_WEIGHT),
        (words_of(tags.map(String::as_str)), TAG_WEIGHT),
        (words_of([product.description.as_str()]), DESCRIPTION_WEIGHT),
    ] {
        for word in words {
            *weights.entry(word).or_default() += weight;
        }
    }
    weights
}

/// The distinct words of the texts, joined forms among them.
fn words_of<'t>(texts: impl IntoIterator<Item = &'t str>) -> HashSet<String> {
    let mut words = HashSet::new();
    for chunk in texts.into_iter().flat_map(chunks) {
        words.extend(chunk.joined);
        words.extend(chunk.words.into_iter().map(|word| word.folded));
    }
    words
}

/// Appends a word for [`Impacts`] to read: its count as one byte, then its letters, then a newline.
fn encode(text: &mut String, word: &str, count: u8) {
    text.push(char::from(b'0' + count));
    text.push_str(word);
    text.push('\n');
}

/// Reads what [`encode`] wrote, repeating every word as often as it counts: the only way to tell
/// tantivy a term frequency.
#[derive(Debug, Clone, Default)]
struct Impacts {
    token: Token,
}

impl Tokenizer for Impacts {
    type TokenStream<'a> = ImpactStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ImpactStream<'a> {
        self.token.reset();
        // Nothing here has positions; the reset leaves one that must be advanced.
        self.token.position = 0;
        ImpactStream {
            rest: text,
            repeats: 0,
            token: &mut self.token,
        }
    }
}

struct ImpactStream<'a> {
    rest: &'a str,
    repeats: u8,
    token: &'a mut Token,
}

impl TokenStream for ImpactStream<'_> {
    fn advance(&mut self) -> bool {
        if self.repeats > 0 {
            self.repeats -= 1;
            return true;
        }
        let Some((entry, rest)) = self.rest.split_once('\n') else {
            return false;
        };
        self.rest = rest;
        let count = entry.as_bytes().first().map_or(1, |&byte| byte - b'0');
        self.repeats = count.saturating_sub(1);
        self.token.text.clear();
        self.token.text.push_str(entry.get(1..).unwrap_or_default());
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_for_the_places_it_stands_in() {
        let product = ProductDoc {
            title: "Red desk lamp by Anglepoise".into(),
            brand: Some("Anglepoise".into()),
            tags: vec!["lamp".into()],
            description: "A lamp for your desk.".into(),
            ..ProductDoc::default()
        };
        let words = weighted_words(&product);
        assert_eq!(words["red"], TITLE_WEIGHT);
        assert_eq!(words["anglepoise"], TITLE_WEIGHT + BRAND_WEIGHT);
        assert_eq!(
            words["lamp"],
            TITLE_WEIGHT + TAG_WEIGHT + DESCRIPTION_WEIGHT
        );
        assert_eq!(words["your"], DESCRIPTION_WEIGHT);
    }

    #[test]
    fn the_tokenizer_repeats_what_counts_more() {
        let mut encoded = String::new();
        encode(&mut encoded, "lamp", 3);
        encode(&mut encoded, "red", 1);
        let mut impacts = Impacts::default();
        let mut stream = impacts.token_stream(&encoded);
        let mut seen = Vec::new();
        while stream.advance() {
            seen.push(stream.token().text.clone());
        }
        assert_eq!(seen, ["lamp", "lamp", "lamp", "red"]);
    }

    #[test]
    fn attribute_values_read_alike_whatever_their_type() {
        for (value, text) in [
            (AttributeValue::Text("red".into()), "red"),
            (AttributeValue::Integer(5), "5"),
            (AttributeValue::Decimal(5.0), "5"),
            (AttributeValue::Decimal(2.5), "2.5"),
            (AttributeValue::Bool(true), "true"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn product_keys_are_stable() {
        // Held in the index and by whoever asks for predicates: a change needs a new FORMAT_VERSION.
        assert_eq!(product_key("prod_1"), product_key("prod_1"));
        assert_ne!(product_key("prod_1"), product_key("prod_2"));
        assert_eq!(product_key(""), 0xefd0_1f60_ba99_2926);
    }
}
