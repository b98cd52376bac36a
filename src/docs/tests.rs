//! The page as a whole, on a document of the size and shapes of the real one.

use super::operation::operations;
use super::problems::{self, catalogue};
use super::recorded::Recorded;
use super::{assets, reference};
use serde_json::{Value, json};

const HOSTILE: &str = "</pre></textarea><script>alert(1)</script>\"'><img src=x onerror=alert(1)>`x` [l](javascript:x)";

fn sample() -> Value {
    serde_json::from_str(include_str!("testdata/sample.json")).unwrap()
}

/// Every start tag of a page, as written.
fn start_tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<')
        .skip(1)
        .filter(|tag| !tag.starts_with(['/', '!']))
        .map(|tag| tag.split_once('>').unwrap().0)
}

/// Fails if anything on the page needs a laxer policy than
/// [`CONTENT_SECURITY_POLICY`](super::CONTENT_SECURITY_POLICY).
fn check_policy(html: &str) {
    for tag in start_tags(html) {
        // Values are escaped, so a quote in a tag always delimits one.
        let names: String = tag.split('"').step_by(2).collect();
        let name = names.split_whitespace().next().unwrap();
        assert!(
            !matches!(name, "style" | "iframe" | "object" | "base"),
            "{tag}"
        );
        assert!(name != "script" || names.contains("src="), "{tag}");
        for attribute in names.split_whitespace().skip(1) {
            assert!(
                !attribute.starts_with("on") && !attribute.starts_with("style"),
                "{tag}"
            );
        }
        assert!(!tag.contains("=\"javascript:"), "{tag}");
    }
    assert_eq!(html.matches("</script>").count(), 2);
}

/// Every element is closed, in order. Void elements and the doctype apart.
fn check_balance(html: &str) {
    let mut open = Vec::new();
    for tag in html
        .split('<')
        .skip(1)
        .map(|tag| tag.split_once('>').unwrap().0)
    {
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if matches!(name, "meta" | "link" | "img" | "input" | "wbr" | "!doctype") => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn every_operation_has_its_anchor_once() {
    let document = sample();
    let html = reference::render(&document, &Recorded::default());
    let operations = operations(&document);
    assert_eq!(operations.len(), 40);
    for operation in &operations {
        assert_eq!(
            html.matches(&format!("<section id=\"{}\"", operation.id))
                .count(),
            1,
            "{}",
            operation.id
        );
        assert!(html.contains(&format!("href=\"#{}\"", operation.id)));
    }
    check_balance(&html);
    check_policy(&html);
}

#[test]
fn ids_are_unique_and_every_fragment_leads_somewhere() {
    let html = reference::render(&sample(), &Recorded::default());
    let values = |mark: &str| -> Vec<String> {
        html.split(mark)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    let ids = values(" id=\"");
    let unique: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len());
    for fragment in values(" href=\"#") {
        assert!(unique.contains(&fragment), "#{fragment} leads nowhere");
    }
}

#[test]
fn what_an_operation_needs_is_told() {
    let html = reference::render(&sample(), &Recorded::default());
    let section = html
        .split("<section id=\"createOrder\"")
        .nth(1)
        .unwrap()
        .split("</section>")
        .next()
        .unwrap();
    for part in [
        "Needs scope <code>orders:write</code>",
        "<code class=\"name\">Idempotency-Key</code>",
        "<b class=\"required\">required</b>",
        "1 to 2,000 items",
        "curl https://shop.example/v2/orders",
        "fetch(&quot;https://shop.example/v2/orders&quot;",
        "requests.post(",
        "reqwest::Client::new()",
        "<a href=\"#object-Order\">Order</a>",
        "insufficient_stock",
    ] {
        assert!(section.contains(part), "{part} not in {section}");
    }
    assert!(html.contains("Public: no token needed"));
    assert!(html.contains("<a href=\"/problems/insufficient_stock\">"));
}

/// The document with `HOSTILE` in place of every text, and as a property and parameter name.
fn poison(value: &mut Value) {
    match value {
        Value::String(text) if !text.starts_with("#/") => *text = HOSTILE.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(poison),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                // What the reader branches on stays, so that it goes everywhere it can.
                if !matches!(key.as_str(), "in" | "type" | "url") {
                    poison(value);
                }
            }
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                properties.insert(
                    HOSTILE.to_owned(),
                    json!({ "type": HOSTILE, "const": HOSTILE }),
                );
            }
        }
        _ => {}
    }
}

#[test]
fn hostile_text_is_escaped_everywhere() {
    let mut document = sample();
    poison(&mut document);
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas.insert(
        HOSTILE.to_owned(),
        json!({ "properties": { "a": { "enum": [HOSTILE] } } }),
    );
    document["paths"].as_object_mut().unwrap().insert(
        format!("/{HOSTILE}"),
        json!({ "get": { "responses": { HOSTILE: { "description": HOSTILE, "content": { HOSTILE: {} } } } } }),
    );
    document["webhooks"] = json!({ HOSTILE: { "post": { "summary": HOSTILE } } });
    let html = reference::render(&document, &Recorded::default());
    assert!(html.matches("&lt;script&gt;").count() > 1000);
    check_policy(&html);
    check_balance(&html);
    for entry in catalogue(&document) {
        let html = problems::render(&entry);
        check_policy(&html);
        check_balance(&html);
    }
}

#[test]
fn a_document_of_any_shape_renders() {
    for document in [
        json!(null),
        json!([1]),
        json!({ "paths": 3, "tags": {}, "components": { "schemas": [] } }),
        json!({ "paths": { "/a": { "get": null, "post": { "parameters": [{}], "requestBody": { "$ref": "#/x" },
            "responses": { "200": { "$ref": "#/paths/~1a/post/responses/200" } }, "security": [{}] } } } }),
        json!({ "servers": [{ "url": "javascript:alert(1)" }], "x-error-codes": [{ "code": 1 }, { "status": 400 }] }),
    ] {
        check_policy(&reference::render(&document, &Recorded::default()));
    }
}

#[test]
fn problem_pages_say_what_to_do() {
    let document = sample();
    let codes = catalogue(&document);
    assert_eq!(codes.len(), 21);
    let entry = codes
        .iter()
        .find(|c| c.code == "insufficient_stock")
        .unwrap();
    let html = problems::render(entry);
    check_policy(&html);
    check_balance(&html);
    for part in [
        "<h1>Not enough stock</h1>",
        "409",
        "<li>ask for fewer, or wait for stock</li>",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn the_first_visit_is_small() {
    // The goal is 60 KB of gzip. No dependency of ours exposes gzip, and zstd at its default level
    // made this page a sixth smaller than gzip did: hence 50,000.
    let compressed = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap().len();
    let page = compressed(&reference::render(&sample(), &Recorded::default()));
    let files: usize = assets().iter().map(|asset| compressed(asset.body)).sum();
    assert!(page + files < 50_000, "page {page}, files {files}");
}

/// What was recorded costs bytes: few enough for a page that is read from end to end.
#[test]
fn the_page_of_this_program_stays_small() {
    let document = crate::openapi::build("http://127.0.0.1:8080");
    let page = reference::render(&document, Recorded::ours());
    let compressed = zstd::encode_all(page.as_bytes(), 3).unwrap().len();
    assert!(compressed < 80_000, "{compressed} of {}", page.len());
    check_policy(&page);
    check_balance(&page);
}

#[test]
fn what_was_recorded_is_shown_and_made_into_code() {
    let document = crate::openapi::build("http://127.0.0.1:8080");
    let page = reference::render(&document, Recorded::ours());
    let section = page.split("<section id=\"createOrder\"").nth(1).unwrap();
    let section = section.split("</section>").next().unwrap();
    for part in [
        "Recorded from a running server",
        ">201</label>",
        ">409 insufficient_stock</label>",
        ">422 idempotency_key_reused</label>",
        "Idempotency-Key: cart-1001",
        "HTTP/1.1 409\n",
    ] {
        assert!(section.contains(part), "{part}");
    }
    let other = page.split("<section id=\"registerClient\"").nth(1).unwrap();
    let curl = other.split("data-language=\"curl\">").nth(1).unwrap();
    let curl = curl.split("</pre>").next().unwrap();
    assert!(
        curl.contains("YOUR_INITIAL_TOKEN") && !curl.contains("$TOKEN"),
        "{curl}"
    );
}

#[test]
fn a_name_tells_the_content() {
    for asset in assets() {
        let parts: Vec<&str> = asset.path_with_hash.split('.').collect();
        assert_eq!(parts[1].len(), 16);
        assert!(
            reference::render(&json!({}), &Recorded::default()).contains(&asset.path_with_hash)
        );
    }
}

/// Writes the pages and their files below `$TRADEPOST_DOCS_OUT`, to be looked at in a browser.
#[test]
fn pages_for_the_eye() {
    let Some(root) = std::env::var_os("TRADEPOST_DOCS_OUT").map(std::path::PathBuf::from) else {
        return;
    };
    let document = sample();
    let write = |path: &str, body: &str| {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    };
    write(
        "docs/index.html",
        &reference::render(&document, &Recorded::default()),
    );
    for entry in catalogue(&document) {
        write(
            &format!("problems/{}.html", entry.code),
            &problems::render(&entry),
        );
    }
    for asset in assets() {
        write(&asset.path_with_hash, asset.body);
    }
}
