//! The rules of the search, through its public face.

use std::collections::HashSet;
use std::fs;

use proptest::prelude::*;

use super::*;

fn product(id: &str, title: &str) -> ProductDoc {
    ProductDoc {
        product_id: id.to_owned(),
        title: title.to_owned(),
        status: "active".to_owned(),
        ..ProductDoc::default()
    }
}

fn upsert(product: ProductDoc) -> Change {
    Change::Upsert(Box::new(product))
}

fn at(seq: i64) -> Watermark {
    Watermark { tx: 0, seq }
}

/// An index of the products, one commit each, so that there are several segments.
fn index_of(products: impl IntoIterator<Item = ProductDoc>) -> Index {
    let index = Index::in_memory().unwrap();
    for (seq, product) in (1..).zip(products) {
        index.apply(vec![upsert(product)], at(seq)).unwrap();
    }
    index
}

fn titled(titles: &[&str]) -> Index {
    let ids = (1..).map(|number| format!("prod_{number}"));
    index_of(ids.zip(titles).map(|(id, title)| product(&id, title)))
}

fn ask(q: &str) -> Query<'static> {
    Query {
        q: Some(q.to_owned()),
        ..Query::default()
    }
}

fn ids(results: &Results) -> Vec<&str> {
    let hits = results.hits.iter();
    hits.map(|hit| hit.product_id.as_str()).collect()
}

/// Ids found by a `q`, without their `prod_`.
fn found(index: &Index, q: &str) -> Vec<String> {
    let results = index.search(&ask(q)).unwrap();
    assert_eq!(results.total, results.hits.len() as u64);
    let ids = ids(&results).into_iter();
    ids.map(|id| id.trim_start_matches("prod_").to_owned())
        .collect()
}

fn filtered(facet: Facet, values: &[&str]) -> Filters {
    Filters {
        any_of: vec![(facet, values.iter().map(ToString::to_string).collect())],
        ..Filters::default()
    }
}

#[test]
fn all_words_must_be_there_and_the_last_may_be_unfinished() {
    let index = titled(&["Red desk lamp", "Red lampshade", "Blue lamp", "Desk"]);
    assert_eq!(found(&index, "red lamp"), ["1", "2"]);
    assert_eq!(found(&index, "lamp red"), ["1"]);
    assert_eq!(found(&index, "blue l"), ["3"]);
    assert_eq!(found(&index, "lam red"), Vec::<String>::new());
    assert_eq!(found(&index, "LAMPSHÁDE"), ["2"]);
}

#[test]
fn without_q_everything_matches() {
    let index = titled(&["b", "a"]);
    let results = index.search(&Query::default()).unwrap();
    assert_eq!(ids(&results), ["prod_1", "prod_2"]);
    assert_eq!((results.total, results.hits[0].score), (2, 0.0));
    assert_eq!(results.corrected_query, None);
}

#[test]
fn title_ranks_before_brand_before_tag_before_description() {
    let mut described = product("prod_1", "one");
    described.description = "with anglepoise in it".into();
    let mut tagged = product("prod_2", "two");
    tagged.tags = vec!["anglepoise".into()];
    let mut branded = product("prod_3", "three");
    branded.brand = Some("Anglepoise".into());
    let in_title = product("prod_4", "Anglepoise in a title of many words");
    let short = product("prod_5", "Anglepoise");
    let index = index_of([described, tagged, branded, in_title, short]);
    assert_eq!(found(&index, "anglepoise"), ["5", "4", "3", "2", "1"]);
    assert_eq!(found(&index, "angle"), ["5", "4", "3", "2", "1"]);
}

#[test]
fn a_whole_word_ranks_before_a_longer_one() {
    let index = titled(&["Lampshade", "Lamp"]);
    assert_eq!(found(&index, "lamp"), ["2", "1"]);
}

#[test]
fn everything_about_a_product_is_searched() {
    let mut full = product("prod_1", "Title");
    full.description = "described".into();
    full.product_type = Some("typed".into());
    full.vendor = Some("vended".into());
    full.brand = Some("branded".into());
    full.categories = vec!["categorised".into()];
    full.tags = vec!["tagged".into()];
    full.skus = vec!["SKU-77x".into(), "B".into()];
    full.barcodes = vec!["4006381333931".into()];
    full.attributes = [("color".into(), AttributeValue::Text("crimson".into()))].into();
    let index = index_of([full, product("prod_2", "Other")]);
    for q in [
        "described",
        "typed",
        "vended",
        "branded",
        "categorised",
        "tagged",
        "sku",
        "77x",
        "sku77x",
        "4006381333931",
        "40063",
        "crimson",
        "title described tagged",
    ] {
        assert_eq!(found(&index, q), ["1"], "{q}");
    }
}

#[test]
fn typos_are_accepted_by_length_of_the_word() {
    let index = titled(&["Lantern", "Headphones", "Cup"]);
    // A letter more, less, different, and two swapped; the first letter too.
    for q in ["lanntern", "lntern", "lantarn", "lnatern", "kantern"] {
        assert_eq!(found(&index, q), ["1"], "{q}");
    }
    assert_eq!(
        found(&index, "headfones"),
        ["2"],
        "two edits from eight letters"
    );
    assert_eq!(
        found(&index, "lanxexn"),
        Vec::<String>::new(),
        "not of seven"
    );
    assert_eq!(found(&index, "cop"), Vec::<String>::new(), "none of three");
    assert_eq!(found(&index, "hedpho"), ["2"], "also while typing");
}

#[test]
fn typos_can_be_switched_off() {
    let index = titled(&["Lantern"]);
    let query = Query {
        typos: false,
        ..ask("lantarn")
    };
    assert_eq!(index.search(&query).unwrap().total, 0);
}

#[test]
fn a_correction_is_told() {
    let index = titled(&["Wireless mouse", "Red lamp"]);
    let corrected = |q: &str| index.search(&ask(q)).unwrap().corrected_query;
    assert_eq!(
        corrected("Wirelss mouse!").as_deref(),
        Some("wireless mouse!")
    );
    assert_eq!(corrected("red lmap").as_deref(), Some("red lamp"));
    assert_eq!(corrected("wireless"), None);
    assert_eq!(corrected("unheard of"), None);
}

#[test]
fn what_is_spelt_right_is_not_watered_down() {
    let index = titled(&["Shirt", "Skirt", "Short", "Red skirt"]);
    assert_eq!(found(&index, "shirt"), ["1"]);
    // "red shirt" does not exist, though both words do.
    let results = index.search(&ask("red shirt")).unwrap();
    assert_eq!(ids(&results), ["prod_4"]);
    assert_eq!(results.corrected_query.as_deref(), Some("red skirt"));
}

#[test]
fn only_unknown_words_are_corrected_where_that_is_enough() {
    let index = titled(&["Wireless shirt", "Wireless skirt"]);
    assert_eq!(found(&index, "wirless shirt"), ["1"]);
}

#[test]
fn digits_are_never_mistaken() {
    let mut one = product("prod_1", "Cable");
    one.skus = vec!["TP-1001".into()];
    let mut two = product("prod_2", "Cable");
    two.skus = vec!["TP-1002".into()];
    let index = index_of([one, two]);
    assert_eq!(found(&index, "tp-1003"), Vec::<String>::new());
    assert_eq!(found(&index, "TP-1002"), ["2"]);
    assert_eq!(found(&index, "tp1001"), ["1"]);
    assert_eq!(found(&index, "TP-100"), ["1", "2"]);
    assert_eq!(found(&index, "tpp1001"), Vec::<String>::new());
}

#[test]
fn an_exact_code_comes_first() {
    let loud = product("prod_1", "AB-1 AB-1");
    let mut meant = product("prod_2", "Something else");
    meant.skus = vec!["ab-1".into()];
    meant.barcodes = vec!["4006381333931".into()];
    let index = index_of([loud, meant]);
    assert_eq!(found(&index, " AB-1 "), ["2", "1"]);
    assert_eq!(found(&index, "4006381333931"), ["2"]);
    assert_eq!(found(&index, "prod_1"), ["1"]);
}

#[test]
fn hyphens_do_not_matter() {
    let index = titled(&["WiFi plug", "Wi-Fi plug", "T-light"]);
    assert_eq!(found(&index, "wifi"), ["1", "2"]);
    // As written comes first.
    assert_eq!(found(&index, "wi-fi"), ["2", "1"]);
    assert_eq!(found(&index, "wi-fi plug"), ["2", "1"]);
    assert_eq!(found(&index, "t light"), ["3"]);
    assert_eq!(found(&index, "tlight"), ["3"]);
}

#[test]
fn filters_are_anded_and_their_values_ored() {
    let with = |id: &str, brand: &str, color: &str| {
        let mut product = product(id, "Lamp");
        product.brand = Some(brand.into());
        product.tags = vec!["new".into(), color.into()];
        product.skus = vec![format!("SKU-{id}")];
        product.attributes = [("color".into(), AttributeValue::Text(color.into()))].into();
        product
    };
    let index = index_of([
        with("prod_1", "A", "red"),
        with("prod_2", "A", "blue"),
        with("prod_3", "B", "red"),
    ]);
    let search = |filters: Filters| {
        let query = Query {
            filters,
            ..ask("lamp")
        };
        let results = index.search(&query).unwrap();
        results
            .hits
            .into_iter()
            .map(|hit| hit.product_id)
            .collect::<Vec<_>>()
    };
    let color = Facet::Attribute("color".into());
    assert_eq!(search(filtered(Facet::Brand, &["A"])), ["prod_1", "prod_2"]);
    assert_eq!(search(filtered(Facet::Brand, &["a"])), Vec::<String>::new());
    assert_eq!(search(filtered(Facet::Brand, &[])).len(), 3);
    assert_eq!(search(filtered(Facet::Tag, &["red"])), ["prod_1", "prod_3"]);
    assert_eq!(search(filtered(color.clone(), &["red", "blue"])).len(), 3);
    let both = Filters {
        any_of: vec![
            (Facet::Brand, vec!["A".into()]),
            (color, vec!["red".into(), "green".into()]),
        ],
        ..Filters::default()
    };
    assert_eq!(search(both), ["prod_1"]);
    let sku = |sku: &str| Filters {
        skus: vec![sku.into()],
        ..Filters::default()
    };
    assert_eq!(search(sku("SKU-prod_2")), ["prod_2"]);
    assert_eq!(search(sku("sku-prod_2")), Vec::<String>::new());
    let unknown = Facet::Attribute("colour".into());
    assert_eq!(search(filtered(unknown, &["red"])), Vec::<String>::new());
    assert_eq!(
        search(filtered(Facet::Status, &["draft"])),
        Vec::<String>::new()
    );
}

fn priced(id: &str, prices: &[(&str, i64)]) -> ProductDoc {
    let mut product = product(id, "Lamp");
    let prices = prices.iter();
    product.prices_minor = prices.map(|&(code, minor)| (code.into(), minor)).collect();
    product
}

fn price(currency: &str, min_minor: Option<i64>, max_minor: Option<i64>) -> Filters {
    Filters {
        price: Some(PriceFilter {
            currency: currency.into(),
            min_minor,
            max_minor,
        }),
        ..Filters::default()
    }
}

#[test]
fn prices_are_filtered_within_their_currency() {
    let index = index_of([
        priced("prod_1", &[("USD", 1_000), ("EUR", 900)]),
        priced("prod_2", &[("USD", 2_000)]),
        priced("prod_3", &[]),
    ]);
    let search = |filters| {
        let query = Query {
            filters,
            ..Query::default()
        };
        index.search(&query).unwrap().total
    };
    assert_eq!(search(price("USD", Some(1_000), Some(2_000))), 2);
    assert_eq!(search(price("USD", Some(1_001), None)), 1);
    assert_eq!(search(price("USD", None, Some(999))), 0);
    assert_eq!(search(price("EUR", Some(0), None)), 1);
    assert_eq!(search(price("JPY", Some(0), None)), 0);
    assert_eq!(search(price("not.a\"currency", Some(0), None)), 0);
}

#[test]
fn a_predicate_of_the_caller_filters_without_reindexing() {
    let index = titled(&["Lamp one", "Lamp two"]);
    let in_stock: HashSet<u64> = [product_key("prod_2")].into();
    let predicate = |key| in_stock.contains(&key);
    let query = Query {
        predicate: Some(&predicate),
        ..ask("lamp")
    };
    let results = index.search(&query).unwrap();
    assert_eq!((ids(&results), results.total), (vec!["prod_2"], 1));
}

#[test]
fn sorts_end_in_the_product_id_and_what_has_no_value_comes_last() {
    let mut products = vec![
        priced("prod_4", &[("USD", 200)]),
        priced("prod_3", &[("USD", 100)]),
        priced("prod_2", &[]),
        priced("prod_1", &[("USD", 100)]),
    ];
    for (number, product) in (0..).zip(&mut products) {
        product.title = ["Zebra", "äpfel", "Banane", "Apfel"][number].into();
        product.created_at_micros = [-5, 10, 10, 20][number];
        product.sold_count = [7, 0, 7, 3][number];
    }
    let one_segment = Index::in_memory().unwrap();
    let changes = products.iter().cloned().map(upsert).collect();
    one_segment.apply(changes, at(1)).unwrap();
    for index in [index_of(products), one_segment] {
        let sorted = |sort: Sort| {
            let query = Query {
                sort,
                ..Query::default()
            };
            let results = index.search(&query).unwrap();
            let ids = ids(&results).into_iter();
            ids.map(|id| id.trim_start_matches("prod_"))
                .collect::<String>()
        };
        let currency = || "USD".to_owned();
        assert_eq!(sorted(Sort::Relevance), "1234");
        assert_eq!(
            sorted(Sort::PriceAscending {
                currency: currency()
            }),
            "1342"
        );
        assert_eq!(
            sorted(Sort::PriceDescending {
                currency: currency()
            }),
            "4132"
        );
        assert_eq!(sorted(Sort::Newest), "1234");
        assert_eq!(sorted(Sort::BestSelling), "2413");
        assert_eq!(sorted(Sort::Title), "1324");
    }
}

#[test]
fn pages_neither_repeat_nor_skip() {
    let index = Index::in_memory().unwrap();
    for batch in 0..7 {
        let numbers = (0..30).map(|number| (number * 37 + batch * 11) % 1_000);
        let lamps = numbers.map(|number| upsert(product(&format!("prod_{number:03}"), "Lamp")));
        index.apply(lamps.collect(), at(batch + 1)).unwrap();
    }
    let all = index
        .search(&Query {
            limit: 300,
            ..ask("lamp")
        })
        .unwrap();
    let mut sorted = ids(&all);
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids(&all), sorted);
    assert_eq!(all.total, sorted.len() as u64);
    for offset in (0..sorted.len()).step_by(7) {
        let query = Query {
            offset,
            limit: 7,
            ..ask("lamp")
        };
        let page = index.search(&query).unwrap();
        assert_eq!(ids(&page), &sorted[offset..(offset + 7).min(sorted.len())]);
        assert_eq!(page.total, all.total);
    }
}

#[test]
fn bounds_are_errors_and_nothing_else_is() {
    let index = titled(&["Lamp"]);
    let deep = |offset, limit| Query {
        offset,
        limit,
        ..Query::default()
    };
    assert!(matches!(
        index.search(&deep(9_999, 2)),
        Err(Error::WindowTooLarge)
    ));
    assert!(matches!(
        index.search(&deep(usize::MAX, 2)),
        Err(Error::WindowTooLarge)
    ));
    assert!(index.search(&deep(9_999, 1)).unwrap().hits.is_empty());
    assert_eq!(index.search(&deep(0, 0)).unwrap().total, 1);
    let long = "ü".repeat(Q_CHARS_MAX);
    assert_eq!(index.search(&ask(&long)).unwrap().total, 0);
    let longer = long + "l";
    assert!(matches!(
        index.search(&ask(&longer)),
        Err(Error::QueryTooLong)
    ));
    let no_filters = Filters::default();
    assert!(matches!(
        index.suggest(&longer, &no_filters, 5),
        Err(Error::QueryTooLong)
    ));
}

#[test]
fn hostile_queries_are_only_words() {
    let index = titled(&["Lamp", "Tricky OR title:(\"x\")"]);
    let stars = "*".repeat(256);
    let long_word = "a".repeat(256);
    let many_words = "lamp ".repeat(51);
    let many_chunks = "a-".repeat(128);
    for q in [
        "",
        " ",
        &stars,
        &long_word,
        &many_words,
        &many_chunks,
        "\"",
        "\"lamp",
        "lamp\"~2",
        "+",
        "-lamp",
        "title:lamp",
        "lamp AND",
        "(lamp",
        "lamp^5",
        "[a TO z]",
        "/la.*/",
        "lamp\\",
        "{}",
        "\u{202e}lamp",
        "\u{feff}",
        "😀🏳️‍🌈",
        "ﷺ",
        "İı",
        "Ⅷ½²",
        "\u{10ffff}",
        "'; drop table products;--",
        "%00",
        "<script>",
        "无线",
        "ｆｕｌｌ",
        "\u{1f}",
        "\n5lamp\n",
    ] {
        index.search(&ask(q)).unwrap();
        index.suggest(q, &Filters::default(), 5).unwrap();
    }
    assert_eq!(found(&index, "lamp\""), ["1"]);
    assert_eq!(found(&index, "(lamp)^5 AND"), Vec::<String>::new());
    assert_eq!(found(&index, "title:(\"x\")"), ["2"]);
    assert_eq!(found(&index, &many_words), ["1"]);
    assert_eq!(found(&index, &stars), Vec::<String>::new());
}

fn counts(results: &Results, facet: &Facet) -> Vec<(String, u64)> {
    let counted = results
        .facets
        .counts
        .iter()
        .find(|counts| counts.facet == *facet);
    let values = counted.unwrap().values.iter();
    values
        .map(|value| (value.value.clone(), value.count))
        .collect()
}

fn shirts() -> Index {
    let shirt = |id: &str, brand: &str, color: &str, size: i64, minor: i64| {
        let mut shirt = priced(id, &[("USD", minor)]);
        shirt.title = "Shirt".into();
        shirt.brand = Some(brand.into());
        shirt.categories = vec!["clothing".into(), "clothing".into()];
        shirt.attributes = [
            ("color".into(), AttributeValue::Text(color.into())),
            ("size".into(), AttributeValue::Integer(size)),
        ]
        .into();
        shirt
    };
    index_of([
        shirt("prod_1", "A", "red", 38, 1_000),
        shirt("prod_2", "A", "blue", 40, 2_500),
        shirt("prod_3", "B", "red", 40, 2_600),
        product("prod_4", "Shirt without anything"),
        product("prod_5", "Skirt"),
    ])
}

fn pairs(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts
        .iter()
        .map(|&(value, count)| (value.to_owned(), count))
        .collect()
}

#[test]
fn facets_count_all_matches() {
    let index = shirts();
    let query = Query {
        limit: 1,
        facets: FacetRequest {
            facets: vec![Facet::Brand, Facet::Category, Facet::Vendor],
            all_attributes: true,
            price_currency: Some("USD".into()),
        },
        ..ask("shirt")
    };
    let results = index.search(&query).unwrap();
    assert_eq!((results.total, results.hits.len()), (4, 1));
    assert_eq!(
        counts(&results, &Facet::Brand),
        pairs(&[("A", 2), ("B", 1)])
    );
    assert_eq!(
        counts(&results, &Facet::Category),
        pairs(&[("clothing", 3)])
    );
    assert_eq!(counts(&results, &Facet::Vendor), []);
    let color = Facet::Attribute("color".into());
    assert_eq!(counts(&results, &color), pairs(&[("red", 2), ("blue", 1)]));
    let size = Facet::Attribute("size".into());
    assert_eq!(counts(&results, &size), pairs(&[("40", 2), ("38", 1)]));
    let price = results.facets.price.unwrap();
    assert_eq!(
        (price.min_minor, price.max_minor),
        (Some(1_000), Some(2_600))
    );
    let ranges = price.ranges.iter();
    let ranges: Vec<_> = ranges
        .map(|r| (r.from_minor, r.below_minor, r.count))
        .collect();
    assert_eq!(ranges, [(1_000, 2_000, 1), (2_000, 5_000, 2)]);
    assert_eq!(
        index.search(&ask("shirt")).unwrap().facets,
        Facets::default()
    );
}

#[test]
fn a_facet_is_counted_without_its_own_filter() {
    let index = shirts();
    let color = Facet::Attribute("color".into());
    let mut filters = price("USD", Some(2_000), None);
    filters.any_of = vec![
        (Facet::Brand, vec!["A".into()]),
        (color.clone(), vec!["blue".into()]),
    ];
    let query = Query {
        filters,
        facets: FacetRequest {
            facets: vec![Facet::Brand, color.clone(), Facet::Category],
            all_attributes: true,
            price_currency: Some("USD".into()),
        },
        ..ask("shirt")
    };
    let results = index.search(&query).unwrap();
    assert_eq!(ids(&results), ["prod_2"]);
    // Blue from 20 dollars: only of A. Of A from 20 dollars: only blue. Blue of A: one price.
    assert_eq!(counts(&results, &Facet::Brand), pairs(&[("A", 1)]));
    assert_eq!(counts(&results, &color), pairs(&[("blue", 1)]));
    assert_eq!(
        counts(&results, &Facet::Category),
        pairs(&[("clothing", 1)])
    );
    assert_eq!(results.facets.price.unwrap().min_minor, Some(2_500));

    let query = Query {
        filters: filtered(color.clone(), &["red"]),
        facets: query.facets,
        ..ask("shirt")
    };
    let results = index.search(&query).unwrap();
    assert_eq!(results.total, 2);
    assert_eq!(counts(&results, &color), pairs(&[("red", 2), ("blue", 1)]));
    assert_eq!(
        counts(&results, &Facet::Brand),
        pairs(&[("A", 1), ("B", 1)])
    );
    let size = Facet::Attribute("size".into());
    assert_eq!(counts(&results, &size), pairs(&[("38", 1), ("40", 1)]));
}

#[test]
fn marks_follow_the_spelling_that_was_found() {
    let index = titled(&["Wireless Mouse"]);
    let marked = |q: &str| {
        let results = index.search(&ask(q)).unwrap();
        results.highlighter.mark("Wireless Mouse & more").unwrap()
    };
    assert_eq!(
        marked("wireless mo"),
        "<em>Wireless</em> <em>Mouse</em> &amp; <em>more</em>"
    );
    assert_eq!(marked("wirless"), "<em>Wireless</em> Mouse &amp; more");
}

#[test]
fn suggestions_complete_the_last_word() {
    let index = titled(&[
        "Wireless mouse",
        "Wireless mouse pad",
        "Wired Möbel",
        "Mouse trap",
    ]);
    let suggest = |typed: &str| index.suggest(typed, &Filters::default(), 5).unwrap();
    let completions = |typed: &str| {
        let found = suggest(typed).completions.into_iter();
        found
            .map(|found| (found.q, found.total))
            .collect::<Vec<_>>()
    };
    assert_eq!(completions("wir"), pairs(&[("wireless", 2), ("wired", 1)]));
    assert_eq!(completions("Wireless mo"), pairs(&[("Wireless mouse", 2)]));
    assert_eq!(completions("wirelss mo"), pairs(&[("wirelss mouse", 2)]));
    assert_eq!(completions("wirele"), pairs(&[("wireless", 2)]));
    assert_eq!(
        completions("wierle"),
        pairs(&[("wireless", 2)]),
        "typo while typing"
    );
    let titles = suggest("möb").titles.into_iter();
    let titles: Vec<_> = titles.map(|found| found.title).collect();
    assert_eq!(titles, ["Wired Möbel"]);
    assert_eq!(suggest("  "), Suggestions::default());
    let drafts = filtered(Facet::Status, &["draft"]);
    assert_eq!(
        index.suggest("wir", &drafts, 5).unwrap(),
        Suggestions::default()
    );
    assert_eq!(
        index
            .suggest("wir", &Filters::default(), 1)
            .unwrap()
            .completions
            .len(),
        1
    );
}

#[test]
fn the_last_change_counts_and_is_seen_at_once() {
    let index = titled(&["Lamp"]);
    index
        .apply(vec![upsert(product("prod_1", "Chair"))], at(2))
        .unwrap();
    assert_eq!(found(&index, "lamp"), Vec::<String>::new());
    assert_eq!(found(&index, "chair"), ["1"]);
    let changes = vec![
        upsert(product("prod_2", "Table")),
        Change::Delete("prod_1".into()),
        upsert(product("prod_2", "Desk")),
        Change::Delete("prod_3".into()),
    ];
    index.apply(changes, at(3)).unwrap();
    assert_eq!(found(&index, "table"), Vec::<String>::new());
    assert_eq!(found(&index, "desk"), ["2"]);
    assert_eq!(index.len(), 1);
    index.clear().unwrap();
    assert_eq!((index.len(), index.watermark()), (0, Watermark::default()));
}

#[test]
fn it_survives_a_restart_with_its_watermark() {
    let dir = tempfile::tempdir().unwrap();
    let mark = Watermark { tx: 7, seq: 42 };
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.watermark(), Watermark::default());
    index
        .apply(vec![upsert(product("prod_1", "Lamp"))], mark)
        .unwrap();
    assert!(matches!(Index::open(dir.path()), Err(Error::Busy)));
    // Events without a product move the watermark; on disk it follows later.
    index.apply(vec![], Watermark { tx: 7, seq: 43 }).unwrap();
    assert_eq!(index.watermark().seq, 43);
    drop(index);
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.watermark(), mark);
    assert_eq!(found(&index, "lamp"), ["1"]);
    let far = Watermark { tx: 8, seq: 50_000 };
    index.apply(vec![], far).unwrap();
    drop(index);
    assert_eq!(Index::open(dir.path()).unwrap().watermark(), far);
}

#[test]
fn a_damaged_index_begins_anew() {
    let damages: [fn(&std::path::Path); 5] = [
        |dir| fs::write(dir.join("meta.json"), "{").unwrap(),
        |dir| fs::remove_file(dir.join("meta.json")).unwrap(),
        |dir| {
            let meta = fs::read_to_string(dir.join("meta.json")).unwrap();
            let present = format!("\"{} 0 5\"", document::FORMAT_VERSION);
            assert!(meta.contains(&present));
            fs::write(dir.join("meta.json"), meta.replace(&present, "\"0 0 5\"")).unwrap();
        },
        |dir| {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "fast")
                {
                    fs::write(path, "short").unwrap();
                }
            }
        },
        |dir| {
            // As a power failure leaves it: the right length, but not the right bytes.
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "idx") {
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[40] ^= 0xff;
                    fs::write(path, bytes).unwrap();
                }
            }
        },
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path()).unwrap();
        index
            .apply(vec![upsert(product("prod_1", "Lamp"))], at(5))
            .unwrap();
        drop(index);
        damage(dir.path());
        let index = Index::open(dir.path()).unwrap();
        assert_eq!((index.watermark(), index.len()), (Watermark::default(), 0));
        index
            .apply(vec![upsert(product("prod_1", "Lamp"))], at(5))
            .unwrap();
        assert_eq!(found(&index, "lamp"), ["1"]);
    }
}

#[test]
fn prices_that_change_by_time_are_known() {
    let due = |id: &str, at: Option<i64>| ProductDoc {
        reprice_at_micros: at,
        ..product(id, "Lamp")
    };
    let index = index_of([
        due("prod_1", Some(100)),
        due("prod_2", None),
        due("prod_3", Some(300)),
        due("prod_4", Some(200)),
    ]);
    let ask = |now, limit| {
        let mut due = index.reprice_due(now, limit).unwrap();
        due.product_ids.sort_unstable();
        (due.product_ids.join(" "), due.next_micros)
    };
    assert_eq!(ask(99, 10), (String::new(), Some(100)));
    assert_eq!(ask(200, 10), ("prod_1 prod_4".into(), Some(300)));
    assert_eq!(ask(300, 10).1, None);
    assert_eq!(ask(300, 0), (String::new(), Some(100)));
    index
        .apply(vec![upsert(due("prod_1", None))], at(9))
        .unwrap();
    assert_eq!(ask(200, 10).0, "prod_4");
}

/// Titles of one to five words, letters of several scripts and digits among them.
fn title() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-zA-Zäöüßéñçøœжлк0-9]{1,12}", 1..6)
        .prop_map(|words| words.join(" "))
}

/// One edit of a word: `kind` of deletion, insertion, substitution, swap at `place`.
fn edited(word: &str, kind: u8, place: usize, letter: char) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let place = place % letters.len();
    match kind % 4 {
        0 => {
            letters.remove(place);
        }
        1 => letters.insert(place, letter),
        2 => letters[place] = letter,
        _ => {
            let place = place % (letters.len() - 1);
            letters.swap(place, place + 1);
        }
    }
    letters.into_iter().collect()
}

fn finds(index: &Index, q: &str, id: &str) -> bool {
    let query = Query {
        limit: 100,
        ..ask(q)
    };
    let results = index.search(&query).unwrap();
    results.hits.iter().any(|hit| hit.product_id == id)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_product_is_found_by_any_word_of_its_title(
        titles in proptest::collection::vec(title(), 1..8),
    ) {
        let index = Index::in_memory().unwrap();
        let ids = (1..).map(|number| format!("prod_{number}"));
        let products: Vec<_> = ids.zip(&titles).map(|(id, title)| product(&id, title)).collect();
        index.apply(products.iter().cloned().map(upsert).collect(), at(1)).unwrap();
        for product in &products {
            prop_assert!(finds(&index, &product.title, &product.product_id));
            for word in product.title.split(' ') {
                prop_assert!(finds(&index, word, &product.product_id), "{word}");
                for (end, _) in word.char_indices().skip(2) {
                    prop_assert!(finds(&index, &word[..end], &product.product_id), "{word} {end}");
                }
            }
        }
    }

    #[test]
    fn a_product_is_found_by_a_misspelt_word_of_its_title(
        words in proptest::collection::vec("[a-z]{5,12}", 1..6),
        kind: u8, place: usize, letter in proptest::char::range('a', 'z'),
    ) {
        let index = titled(&[&words.join(" ")]);
        for word in &words {
            let typed = edited(word, kind, place, letter);
            prop_assert!(finds(&index, &typed, "prod_1"), "{word} {typed}");
        }
    }

    #[test]
    fn no_text_breaks_it(title in "\\PC{1,60}", q in "\\PC{0,256}") {
        let index = titled(&[&title, "Lamp"]);
        let results = index.search(&ask(&q)).unwrap();
        results.highlighter.mark(&title);
        results.highlighter.fragment(&title);
        index.suggest(&q, &Filters::default(), 5).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    // Through deletions and merges of segments the index holds what a map would.
    #[test]
    fn it_is_the_sum_of_its_changes(
        commits in proptest::collection::vec(
            proptest::collection::vec((0..20u8, proptest::option::of(0..5u8)), 1..6),
            1..25,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut index = Index::open(dir.path()).unwrap();
        let mut model = std::collections::BTreeMap::new();
        for (seq, commit) in (1..).zip(commits) {
            let mut changes = Vec::new();
            for (number, word) in commit {
                let id = format!("prod_{number}");
                match word {
                    Some(word) => {
                        changes.push(upsert(product(&id, &format!("Lamp word{word}"))));
                        model.insert(id, word);
                    }
                    None => {
                        model.remove(&id);
                        changes.push(Change::Delete(id));
                    }
                }
            }
            index.apply(changes, at(seq)).unwrap();
            if seq % 8 == 0 {
                drop(index);
                index = Index::open(dir.path()).unwrap();
            }
            prop_assert_eq!(index.watermark(), at(seq));
            let all: Vec<&str> = model.keys().map(String::as_str).collect();
            let found = index.search(&ask("lamp")).unwrap();
            prop_assert_eq!(ids(&found), all);
            for asked in 0..5 {
                let some = model.iter().filter(|(_, word)| **word == asked);
                let some: Vec<&str> = some.map(|(id, _)| id.as_str()).collect();
                let q = format!("word{asked}");
                let query = Query { typos: false, ..ask(&q) };
                let found = index.search(&query).unwrap();
                prop_assert_eq!(ids(&found), some);
            }
        }
    }
}
