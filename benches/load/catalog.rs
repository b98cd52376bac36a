//! The products that are measured: made from their number alone, so that the bare search engine and
//! Tradepost hold the same words.

use serde_json::{Value, json};

const SYLLABLES: [&str; 12] = [
    "ba", "co", "di", "fer", "gu", "hal", "ki", "lo", "mar", "ni", "ru", "ven",
];
/// Words of three syllables.
const VOCABULARY: u64 = 12 * 12 * 12;

/// The `rank`-th most used word.
fn word(rank: u64) -> String {
    let syllable = |place: u64| SYLLABLES[((rank * 7 + 5) / place % 12) as usize];
    format!("{}{}{}", syllable(1), syllable(12), syllable(144))
}

/// A number that looks random, from `seed` (SplitMix64).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The word at `place` of product `number`. Few words are frequent and many rare, as in real catalogs.
fn word_of(number: usize, place: u64) -> String {
    let share = mixed(number as u64 * 64 + place) as f64 / u64::MAX as f64;
    word((share.powi(3) * VOCABULARY as f64) as u64 % VOCABULARY)
}

fn words(number: usize, places: std::ops::Range<u64>) -> String {
    let words: Vec<String> = places.map(|place| word_of(number, place)).collect();
    words.join(" ")
}

/// Everything of a product that a search looks at.
pub fn text(number: usize) -> String {
    format!("{} {number} SKU-{number:06}", words(number, 0..16))
}

/// The body that creates it.
pub fn body(number: usize) -> Value {
    json!({ "title": format!("{} No. {number}", words(number, 0..4)), "status": "active",
        "description": format!("A {} for every {}.", words(number, 4..9), words(number, 9..13)),
        "type": word_of(number, 13), "vendor": word_of(number, 14), "tags": [word_of(number, 15)],
        "sku": format!("SKU-{number:06}"), "price": 500 + number % 5_000, "currency": "USD",
        "inventory_quantity": 1_000_000_000i64 })
}

/// What is searched for: one word, or two of one product, so that each finds something.
pub fn query(turn: usize, products: usize) -> String {
    let number = mixed(turn as u64) as usize % products;
    match turn % 2 {
        0 => word_of(number, 0),
        _ => format!("{}+{}", word_of(number, 0), word_of(number, 3)),
    }
}
