//! What goes into the index: a product as the search sees it, and the tantivy document made of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tantivy::schema::{
    Field, IndexRecordOption, JsonObjectOptions, NumericOptions, OwnedValue, STORED, Schema,
    TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{TantivyDocument, Term};

use super::Facet;
use super::text::{self, chunks};

/// Raised with every change of the schema or of how text becomes words: an index written by
/// another version is thrown away and rebuilt.
pub(super) const FORMAT_VERSION: u32 = 2;

/// Between the parts of a term of several; cut out of all but the last.
pub(super) const SEPARATOR: char = '\u{1f}';

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
    pub external_id: Option<String>,
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
/// probability below 10⁻⁷. A set of keys needs no hashing of its own.
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

/// The fields of the index. Those that are searched are few, because each one costs every commit a
/// dictionary; those that are only read by document cost little.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    /// Whole words, their frequency being what they count for.
    pub word: Field,
    /// Every beginning of every word: any prefix is one posting list, however many words share it.
    pub prefix: Field,
    /// Whole words of titles, for completion.
    pub title_word: Field,
    /// All that is matched as a whole: see [`Exact`].
    pub exact: Field,
    /// The product id: the documents of a segment are in its order, since it ends every sort.
    pub id: Field,
    /// The product id again, eight bytes a number: read from the dictionary of `id`, the ids of a
    /// page would cost as much as the search.
    pub id_part: Field,
    /// [`product_key`].
    pub key: Field,
    pub status: Field,
    pub product_type: Field,
    pub vendor: Field,
    pub brand: Field,
    pub category: Field,
    pub tag: Field,
    pub attribute: Field,
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

/// A term of the field `exact`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Exact<'a> {
    /// The product id; deletes go by it.
    Id(&'a str),
    /// A SKU, case and all.
    Sku(&'a str),
    /// The caller's own key, case and all.
    ExternalId(&'a str),
    /// A SKU, barcode, slug or id in lower case: a query that is one of them wins.
    Code(&'a str),
    Facet(&'a Facet, &'a str),
}

impl Fields {
    /// The schema and its fields.
    pub fn schema() -> (Schema, Fields) {
        // No field norms: how long a description is says nothing about a product.
        let indexing = |tokenizer: &str, option| {
            let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer);
            let indexing = indexing.set_fieldnorms(false).set_index_option(option);
            TextOptions::default().set_indexing_options(indexing)
        };
        let weighted = indexing(IMPACTS, IndexRecordOption::WithFreqs);
        let unweighted = indexing(IMPACTS, IndexRecordOption::Basic);
        let exact = indexing(RAW, IndexRecordOption::Basic);
        let text = TextOptions::default().set_fast(RAW);
        let number = NumericOptions::default().set_fast();

        let mut schema = Schema::builder();
        let fields = Fields {
            word: schema.add_text_field("word", weighted.clone()),
            prefix: schema.add_text_field("prefix", weighted),
            title_word: schema.add_text_field("title_word", unweighted),
            exact: schema.add_text_field("exact", exact),
            id: schema.add_text_field("id", text.clone()),
            id_part: schema.add_u64_field("id_part", number.clone()),
            key: schema.add_u64_field("key", number.clone()),
            status: schema.add_text_field("status", text.clone()),
            product_type: schema.add_text_field("type", text.clone()),
            vendor: schema.add_text_field("vendor", text.clone()),
            brand: schema.add_text_field("brand", text.clone()),
            category: schema.add_text_field("category", text.clone()),
            tag: schema.add_text_field("tag", text.clone()),
            attribute: schema.add_text_field("attribute", text.clone()),
            title: schema.add_text_field("title", STORED),
            title_sort: schema.add_text_field("title_sort", text),
            price: schema.add_json_field("price", JsonObjectOptions::default().set_fast(RAW)),
            reprice_at: schema.add_i64_field("reprice_at", number.clone()),
            created_at: schema.add_i64_field("created_at", number.clone()),
            sold_count: schema.add_u64_field("sold_count", number),
        };
        (schema.build(), fields)
    }

    /// The posting list of what is matched as a whole.
    pub fn exact(&self, exact: Exact<'_>) -> Term {
        Term::from_field_text(self.exact, &exact.text())
    }

    /// The column a facet is counted in.
    fn facet(&self, facet: &Facet) -> Field {
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
        for part in id_parts(&product.product_id) {
            doc.add_u64(self.id_part, part);
        }
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
        self.add_exact(&mut doc, product);
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

    fn add_exact(&self, doc: &mut TantivyDocument, product: &ProductDoc) {
        let mut exact = vec![Exact::Id(&product.product_id).text()];
        exact.extend(product.skus.iter().map(|sku| Exact::Sku(sku).text()));
        let external_id = product.external_id.iter();
        exact.extend(external_id.map(|id| Exact::ExternalId(id).text()));
        let codes = product.skus.iter().chain(&product.barcodes);
        let codes = codes.chain([&product.slug, &product.product_id]);
        exact.extend(codes.map(|code| Exact::Code(&code.to_lowercase()).text()));
        for (facet, value) in facets(product) {
            exact.push(Exact::Facet(&facet, &value).text());
            let column = self.facet(&facet);
            match &facet {
                Facet::Attribute(key) => doc.add_text(column, attribute_text(key, &value)),
                _ => doc.add_text(column, value),
            }
        }
        for term in exact {
            doc.add_text(self.exact, term);
        }
    }
}

impl Exact<'_> {
    fn text(&self) -> String {
        let kind = match self {
            Exact::Id(_) => "id",
            Exact::Sku(_) => "sku",
            Exact::ExternalId(_) => "external_id",
            Exact::Code(_) => "code",
            Exact::Facet(facet, _) => match facet {
                Facet::Status => "status",
                Facet::Type => "type",
                Facet::Vendor => "vendor",
                Facet::Brand => "brand",
                Facet::Category => "category",
                Facet::Tag => "tag",
                Facet::Attribute(_) => "attribute",
            },
        };
        match self {
            Exact::Facet(Facet::Attribute(key), value) => {
                format!("{kind}{SEPARATOR}{}", attribute_text(key, value))
            }
            Exact::Id(value)
            | Exact::Sku(value)
            | Exact::ExternalId(value)
            | Exact::Code(value)
            | Exact::Facet(_, value) => {
                format!("{kind}{SEPARATOR}{value}")
            }
        }
    }
}

/// The values of all facets, each once: a facet counts products, not mentions.
fn facets(product: &ProductDoc) -> BTreeSet<(Facet, String)> {
    let mut facets = BTreeSet::from([(Facet::Status, product.status.clone())]);
    for (facet, value) in [
        (Facet::Type, &product.product_type),
        (Facet::Vendor, &product.vendor),
        (Facet::Brand, &product.brand),
    ] {
        facets.extend(value.iter().map(|value| (facet.clone(), value.clone())));
    }
    for (facet, values) in [
        (Facet::Category, &product.categories),
        (Facet::Tag, &product.tags),
    ] {
        facets.extend(values.iter().map(|value| (facet.clone(), value.clone())));
    }
    let attributes = product.attributes.iter();
    facets
        .extend(attributes.map(|(key, value)| (Facet::Attribute(key.clone()), value.to_string())));
    facets
}

/// An attribute and its value in one.
fn attribute_text(key: &str, value: &str) -> String {
    format!("{}{SEPARATOR}{value}", key.replace(SEPARATOR, ""))
}

/// The bytes of an id, eight to a number, filled up with zeros.
fn id_parts(id: &str) -> impl Iterator<Item = u64> {
    id.as_bytes().chunks(8).map(|bytes| {
        let mut part = [0; 8];
        part[..bytes.len()].copy_from_slice(bytes);
        u64::from_be_bytes(part)
    })
}

/// The id of its [`id_parts`].
pub(super) fn id_of_parts(parts: impl Iterator<Item = u64>) -> String {
    let mut bytes: Vec<u8> = parts.flat_map(u64::to_be_bytes).collect();
    let end = bytes.iter().rposition(|&byte| byte != 0);
    bytes.truncate(end.map_or(0, |end| end + 1));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The tokenizers the schema names.
pub(super) fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(IMPACTS, TextAnalyzer::from(Impacts::default()));
    tokenizers
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
    fn ids_are_read_from_their_parts() {
        for id in [
            "",
            "a",
            "prod_123",
            "prod_1234",
            "prod_0192f0c1-7a3b-7000-8000-000000000001",
        ] {
            assert_eq!(id_of_parts(id_parts(id)), id);
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
