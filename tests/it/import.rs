//! `tradepost import`, and what the API then says.

use crate::app::{Client, START, TestApp};
use platform::clock::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tradepost::import::{Counts, Kinds, Options, Summary, run_orders, run_products};

const SCOPES: &str = "users:read products:read orders:read";

/// 198 invoices of the data set; see the file beside it.
fn extract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/online-retail-extract.csv")
}

fn chunks_of(chunk: usize) -> Options {
    Options {
        chunk,
        ..Options::default()
    }
}

async fn import(app: &TestApp, path: &Path, options: &Options) -> Summary {
    run_orders(&app.db, path, options, app.clock.now())
        .await
        .expect("imported")
}

/// All orders with their items, page by page, along the cursors.
async fn all_orders(shop: &Client) -> Vec<Value> {
    let mut path = "/v2/orders?expand=items&limit=50&sort=created_at".to_owned();
    let mut all = Vec::new();
    loop {
        let reply = shop.get(&path).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        all.extend(reply.json().as_array().expect("a list").iter().cloned());
        let link = reply.header("link").to_owned();
        let next = link.split(", ").find(|part| part.contains("rel=\"next\""));
        match next.and_then(|part| part.split(['<', '>']).nth(1)) {
            Some(url) => path = url[url.find("/v2/").expect("a path")..].to_owned(),
            None => return all,
        }
    }
}

/// Sums of `total` by what `key` says.
fn totals_by(orders: &[Value], key: impl Fn(&Value) -> String) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for order in orders {
        *sums.entry(key(order)).or_insert(0) +=
            order["totals"]["total"].as_i64().expect("an integer");
    }
    sums
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_totals_of_a_file_are_found_again() {
    let app = TestApp::start().await;
    let summary = import(&app, &extract(), &chunks_of(50)).await;
    assert_eq!((summary.rows, summary.bad_rows), (3_755, 0));
    assert_eq!(
        summary.documents,
        Some(Counts {
            new: 198,
            present: 0
        })
    );
    assert_eq!(
        summary.kinds,
        Some(Kinds {
            orders: 168,
            credit_notes: 27,
            adjustments: 3
        })
    );
    assert_eq!(
        summary.customers,
        Some(Counts {
            new: 141,
            present: 0
        })
    );
    assert_eq!(
        summary.products,
        Counts {
            new: 1_565,
            present: 0
        }
    );
    assert_eq!(summary.total_minor, Some(6_133_978));

    let orders = all_orders(&app.client(SCOPES).await).await;
    assert_eq!(orders.len(), 198);
    let countries = totals_by(&orders, |order| text(&order["country"]));
    assert_eq!(countries.len(), 38);
    let some = [
        ("GB", 5_068_116),
        ("JP", 379_440),
        ("IE", 55_538),
        ("XC", 29_300),
        ("EU", 4_500),
        ("ZZ", 25_290),
    ];
    for (code, total) in some {
        assert_eq!(countries[code], total, "{code}");
    }
    let days = totals_by(&orders, |order| text(&order["placed_at"])[..10].to_owned());
    assert_eq!(days["2010-12-01"], 5_863_556);
    let net: i64 = countries.values().sum();
    assert_eq!(net, 6_133_978);
    let lines: usize = orders
        .iter()
        .map(|order| order["items"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(lines, 3_755);

    let proof = tradepost::doctor::examine(&app.db).await.expect("examined");
    assert_eq!(
        (proof.findings, proof.orders, proof.order_items),
        (Vec::new(), 198, 3_755)
    );
    assert_eq!(proof.totals_minor["GBP"], 6_133_978);
}

#[tokio::test]
async fn documents_are_what_they_were() {
    let app = TestApp::start().await;
    import(&app, &extract(), &Options::default()).await;
    let shop = app.client(SCOPES).await;
    let document = async |invoice: &str| {
        let list = shop
            .get(&format!("/v2/orders?external_id={invoice}&expand=items"))
            .await
            .json();
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{invoice}");
        list[0].clone()
    };
    let order = document("536365").await;
    let shown = json!({
        "number": "UCI-536365", "document": "order", "status": "completed", "payment_status": "paid",
        "fulfillment_status": "fulfilled", "currency": "GBP", "country": "GB", "email": null,
        "placed_at": "2010-12-01T08:26:00Z", "created_at": "2010-12-01T08:26:00Z", "channel": "online-retail",
        "metadata": { "country_name": "United Kingdom" },
    });
    for (field, value) in shown.as_object().expect("an object") {
        assert_eq!(order[field], *value, "{field}");
    }
    assert_eq!(
        (&order["totals"]["total"], &order["totals"]["due"]),
        (&json!(13_912), &json!(0))
    );
    let customer = shop
        .get(&format!("/v2/users/{}", text(&order["user_id"])))
        .await
        .json();
    assert_eq!(
        (&customer["external_id"], &customer["created_at"]),
        (&json!("17850"), &order["placed_at"])
    );

    let credit = document("C536379").await;
    assert_eq!(
        (text(&credit["document"]), text(&credit["payment_status"])),
        ("credit_note".into(), "refunded".into())
    );
    assert_eq!(
        (&credit["totals"]["total"], &credit["totals"]["refunded"]),
        (&json!(-2_750), &json!(2_750))
    );
    assert_eq!(
        (&credit["items"][0]["quantity"], &credit["totals"]["due"]),
        (&json!(-1), &json!(0))
    );
    assert_eq!(credit["fulfillment_status"], "unfulfilled");
    assert_eq!(document("A563186").await["totals"]["total"], -1_106_206);
    // Its lines stand apart in the file and have two times.
    let apart = document("542806").await;
    assert_eq!(text(&apart["placed_at"]), "2011-02-01T11:19:00Z");
    // A tenth of a penny is kept beside the rounded price.
    let tiny = document("550193").await;
    let items = tiny["items"].as_array().expect("items");
    let tiny = items
        .iter()
        .find(|item| item["sku"] == "PADS")
        .expect("the line");
    assert_eq!(
        (&tiny["unit_price"], &tiny["metadata"]["unit_price_exact"]),
        (&json!(0), &json!("0.001"))
    );
    // British summer time.
    assert_eq!(
        text(&document("568375").await["placed_at"]),
        "2011-09-26T16:01:00Z"
    );
    // A guest.
    assert_eq!(document("A563185").await["user_id"], Value::Null);
}

#[tokio::test]
async fn skus_that_differ_only_in_letter_case_are_two_products() {
    let app = TestApp::start().await;
    import(&app, &extract(), &Options::default()).await;
    let shop = app.client(SCOPES).await;
    let mut pairs: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for order in all_orders(&shop).await {
        for item in order["items"].as_array().expect("items") {
            let (sku, product) = (text(&item["sku"]), text(&item["product_id"]));
            let known = pairs.entry(sku.to_lowercase()).or_default();
            if !known.contains(&(sku.clone(), product.clone())) {
                known.push((sku, product));
            }
        }
    }
    pairs.retain(|_, known| known.len() > 1);
    assert!(pairs.len() >= 3, "the extract has at least three pairs");
    for known in pairs.values() {
        assert!(
            known[0].0 != known[1].0 && known[0].1 != known[1].1,
            "{known:?}"
        );
    }
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    let app = TestApp::start().await;
    import(&app, &extract(), &chunks_of(30)).await;
    let shop = app.client(SCOPES).await;
    let before = all_orders(&shop).await;
    let head = platform::events::head_of(&app.db).await.expect("a log");
    app.clock.advance(Duration::from_secs(600));
    let again = import(&app, &extract(), &chunks_of(70)).await;
    assert_eq!(
        again.documents,
        Some(Counts {
            new: 0,
            present: 198
        })
    );
    assert_eq!(
        again.customers,
        Some(Counts {
            new: 0,
            present: 141
        })
    );
    assert_eq!(
        again.products,
        Counts {
            new: 0,
            present: 1_565
        }
    );
    assert!(!again.is_news());
    assert_eq!(all_orders(&shop).await, before);
    let after = platform::events::head_of(&app.db).await.expect("a log");
    assert_eq!(head.seq, after.seq, "no event either");
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_writes_nothing() {
    let app = TestApp::start().await;
    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let would = import(&app, &extract(), &dry).await;
    assert_eq!(
        all_orders(&app.client(SCOPES).await).await,
        Vec::<Value>::new()
    );
    let did = import(&app, &extract(), &Options::default()).await;
    let same = |summary: Summary| Summary {
        elapsed_ms: 0,
        dry_run: false,
        ..summary
    };
    assert_eq!(same(would), same(did));
}

/// The import is dropped between two chunks, as a killed process leaves it: each chunk is there as a whole or not at all.
#[tokio::test]
async fn an_import_that_was_stopped_goes_on_to_the_same_totals() {
    let app = TestApp::start().await;
    let (extract, options) = (extract(), chunks_of(10));
    let mut stopped = 0;
    for patience_ms in [60, 120, 240, 400] {
        let part = run_orders(&app.db, &extract, &options, START);
        let part = tokio::time::timeout(Duration::from_millis(patience_ms), part).await;
        stopped += usize::from(part.is_err());
    }
    let last = import(&app, &extract, &options).await;
    println!(
        "stopped {stopped} times; the last import found {:?}",
        last.documents
    );
    let orders = all_orders(&app.client(SCOPES).await).await;
    assert_eq!(orders.len(), 198);
    assert_eq!(totals_by(&orders, |_| String::new())[""], 6_133_978);
    let lines: usize = orders
        .iter()
        .map(|order| order["items"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(lines, 3_755);
}

#[tokio::test]
async fn bad_rows_are_named_and_their_documents_come_when_the_file_is_mended() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("shop.csv");
    let head =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let good = "1,A,Mug,2,2011-01-04 10:00:00,2.50,12346.0,United Kingdom\n";
    let rest =
        "2,A,Mug,1,2011-01-04 10:01:00,2.50,,EIRE\n2,B,Cup,{},2011-01-04 10:01:00,1.00,,EIRE\n";
    let cut = "\"9\",\"A\n";
    std::fs::write(
        &path,
        format!("{head}{good}{}{cut}", rest.replace("{}", "one")),
    )
    .expect("written");
    let summary = import(&app, &path, &Options::default()).await;
    let bad: Vec<String> = summary.bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        bad[0],
        "line 4: Quantity: expected a whole number of at most a billion, found `one`"
    );
    assert_eq!(
        (bad.len(), bad[1].as_str()),
        (2, "line 5: expected 8 columns, found 2")
    );
    assert_eq!(
        (summary.documents, summary.documents_left_out),
        (Some(Counts { new: 1, present: 0 }), Some(2))
    );
    assert!(!summary.is_clean());
    std::fs::write(&path, format!("{head}{good}{}", rest.replace("{}", "3"))).expect("written");
    let summary = import(&app, &path, &Options::default()).await;
    assert_eq!(summary.documents, Some(Counts { new: 1, present: 1 }));
    assert!(summary.is_clean());
    let total = |order: &Value| order["totals"]["total"].clone();
    let orders = all_orders(&app.client(SCOPES).await).await;
    assert_eq!(
        orders.iter().map(total).collect::<Vec<_>>(),
        [json!(500), json!(550)]
    );

    std::fs::write(&path, "a,b\n1,2\n").expect("written");
    let error = run_orders(&app.db, &path, &Options::default(), START)
        .await
        .expect_err("another file");
    assert!(
        error
            .to_string()
            .contains("expected the first line to be InvoiceNo,"),
        "{error}"
    );
}

#[tokio::test]
async fn products_come_from_csv_and_from_ndjson_once() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (csv, ndjson) = (dir.path().join("a.csv"), dir.path().join("b.ndjson.zst"));
    let rows = "title,sku,price,currency,inventory_quantity,tags\n\
        Blue Mug,MUG-1,19.99,GBP,5,blue;mugs\n\
        Red Mug,MUG-2,19.999,GBP,5,\n\
        \"Mug, green\",MUG-3,29.99,GBP,,\n\
        Copy,MUG-1,1,GBP,,\n";
    std::fs::write(&csv, rows).expect("written");
    let bodies = "{\"title\":\"Blue Mug\",\"sku\":\"MUG-1\"}\n\n{\"title\":\"Cup\",\"external_id\":\"c1\",\"options\":[{\"name\":\"Size\",\
        \"values\":[\"S\",\"L\"]}],\"variants\":[{\"sku\":\"C-S\",\"option_values\":{\"Size\":\"S\"}},{\"sku\":\"C-L\",\
        \"option_values\":{\"Size\":\"L\"}}]}\nnot json\n{\"titel\":\"Cup\"}\n";
    std::fs::write(
        &ndjson,
        zstd::encode_all(bodies.as_bytes(), 1).expect("packed"),
    )
    .expect("written");
    let run = async |path: &Path| {
        run_products(&app.db, path, &Options::default(), START)
            .await
            .expect("imported")
    };
    let first = run(&csv).await;
    let reasons: Vec<String> = first.bad.iter().map(ToString::to_string).collect();
    assert_eq!(first.products, Counts { new: 2, present: 0 });
    assert_eq!(
        reasons[0],
        "line 3: price: expected at most 2 decimals, as GBP has"
    );
    assert_eq!(
        reasons[1],
        "line 5: sku: `MUG-1` stands in a row before this one"
    );
    let again = run(&csv).await;
    assert_eq!(again.products, Counts { new: 0, present: 2 });
    assert_eq!(again.bad, first.bad, "the faults of the file are the same");
    let second = run(&ndjson).await;
    assert_eq!(
        (second.rows, second.bad_rows, second.products),
        (4, 2, Counts { new: 1, present: 1 })
    );
    let shop = app.client(SCOPES).await;
    let mug = shop.get("/v2/products?sku=MUG-1").await.json();
    assert_eq!(
        (&mug[0]["title"], &mug[0]["price"]["amount"]),
        (&json!("Blue Mug"), &json!(1999))
    );
    assert_eq!(
        (&mug[0]["inventory"]["on_hand"], &mug[0]["tags"]),
        (&json!(5), &json!(["blue", "mugs"]))
    );
}

/// Across chunks too, and in a dry run: what is wrong with a file does not depend on how it is imported.
#[tokio::test]
async fn a_repeated_key_is_a_bad_row_however_the_file_is_imported() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let csv = dir.path().join("a.csv");
    std::fs::write(&csv, "title,sku\nMug,M-1\nCup,C-1\nMug again,M-1\n").expect("written");
    let mut seen = Vec::new();
    for (dry_run, chunk) in [(true, 1), (true, 500), (false, 1), (false, 500)] {
        let options = Options {
            dry_run,
            ..chunks_of(chunk)
        };
        let summary = run_products(&app.db, &csv, &options, START).await;
        let summary = summary.expect("imported");
        assert!(!summary.is_clean());
        seen.push(summary.bad);
    }
    assert_eq!(
        seen[0][0].to_string(),
        "line 4: sku: `M-1` stands in a row before this one"
    );
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[tokio::test]
async fn a_file_without_a_header_is_refused() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let csv = dir.path().join("a.csv");
    for text in ["", "\n", "\n\n"] {
        std::fs::write(&csv, text).expect("written");
        let refused = run_products(&app.db, &csv, &Options::default(), START).await;
        let said = refused.expect_err("nothing in it").to_string();
        assert!(said.contains("expected a first line"), "{said}");
        let refused = run_orders(&app.db, &csv, &Options::default(), START).await;
        let said = refused.expect_err("nothing in it").to_string();
        assert!(said.contains("expected the first line"), "{said}");
    }
}

#[tokio::test]
async fn a_document_that_is_left_out_leaves_no_product_and_no_customer() {
    let app = TestApp::start().await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("shop.csv");
    let head =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let left_out = "1,A,Mug,2,2011-01-04 10:00:00,2.50,12346.0,United Kingdom\n\
        1,B,Cup,one,2011-01-04 10:00:00,1.00,12346.0,United Kingdom\n\
        2,C,Jar,1,2011-01-04 10:01:00,2.50,12347.0,EIRE\n2,C,Jar,1,2011-01-04 10:01:00,2.50,12348.0,EIRE\n";
    std::fs::write(&path, format!("{head}{left_out}")).expect("written");
    let nothing = Counts::default();
    let summary = import(&app, &path, &Options::default()).await;
    assert_eq!(
        (summary.documents, summary.documents_left_out),
        (Some(nothing), Some(2))
    );
    assert_eq!(
        (summary.products, summary.customers),
        (nothing, Some(nothing))
    );
    let shop = app.client(SCOPES).await;
    for path in ["/v2/products", "/v2/users", "/v2/orders"] {
        assert_eq!(shop.get(path).await.json(), json!([]), "{path}");
    }
    // What another document has, too, is called as that one says.
    let whole = "3,A,Big mug,1,2010-01-04 10:00:00,3.50,12346.0,United Kingdom\n";
    std::fs::write(&path, format!("{head}{left_out}{whole}")).expect("written");
    import(&app, &path, &Options::default()).await;
    let products = shop.get("/v2/products").await.json();
    assert_eq!(products.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&products[0]["title"], &products[0]["price"]["amount"]),
        (&json!("Big mug"), &json!(350))
    );
}

/// The whole file, when `TRADEPOST_ONLINE_RETAIL` names it: `cargo test --release --test it import::the_whole`.
#[tokio::test]
async fn the_whole_data_set_has_its_published_totals() {
    let Ok(path) = std::env::var("TRADEPOST_ONLINE_RETAIL") else {
        // Past the capture of the test runner, which hides what a passing test prints.
        let said =
            "SKIPPED: TRADEPOST_ONLINE_RETAIL names no file; the whole data set was NOT imported";
        let _ = writeln!(std::io::stderr(), "{said}");
        return;
    };
    let app = TestApp::start().await;
    let summary = import(&app, Path::new(&path), &Options::default()).await;
    println!("{summary}");
    assert_eq!((summary.rows, summary.bad_rows), (541_909, 0));
    assert_eq!(
        summary.documents,
        Some(Counts {
            new: 25_900,
            present: 0
        })
    );
    assert_eq!(
        summary.kinds,
        Some(Kinds {
            orders: 22_061,
            credit_notes: 3_836,
            adjustments: 3
        })
    );
    assert_eq!(
        summary.customers,
        Some(Counts {
            new: 4_372,
            present: 0
        })
    );
    assert_eq!(
        summary.products,
        Counts {
            new: 4_070,
            present: 0
        }
    );
    assert_eq!(summary.total_minor, Some(974_774_793));
    let orders = all_orders(&app.client(SCOPES).await).await;
    let countries = totals_by(&orders, |order| text(&order["country"]));
    assert_eq!(countries.len(), 38);
    let some = [
        ("GB", 818_780_636),
        ("NL", 28_466_154),
        ("IE", 26_327_682),
        ("DE", 22_169_821),
        ("FR", 19_740_390),
    ];
    for (code, total) in some {
        assert_eq!(countries[code], total, "{code}");
    }
    let months: Vec<i64> = totals_by(&orders, |order| london(&order["placed_at"])[..7].to_owned())
        .into_values()
        .collect();
    let expected = [
        74_895_702,
        56_000_026,
        49_806_265,
        68_326_708,
        49_320_712,
        72_333_351,
        69_112_312,
        68_130_011,
        68_268_051,
        101_968_762,
        107_070_467,
        146_175_625,
        43_366_801,
    ];
    assert_eq!(months, expected);
    let days = totals_by(&orders, |order| {
        london(&order["placed_at"])[..10].to_owned()
    });
    assert_eq!(
        (days["2011-11-14"], days["2011-01-05"]),
        (11_214_111, -156_623)
    );
    let credits: Vec<Value> = orders
        .into_iter()
        .filter(|order| order["document"] == "credit_note")
        .collect();
    assert_eq!(totals_by(&credits, |_| String::new())[""], -89_681_249);
}

fn london(at: &Value) -> String {
    let at = Timestamp::parse(&text(at)).expect("a time");
    let london = jiff::tz::TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").expect("the rule of the UK");
    london.to_datetime(at.to_jiff()).to_string()
}
