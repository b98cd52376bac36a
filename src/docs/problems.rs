//! `/problems/<code>`: the page that the `type` of a problem points to (RFC 9457 §3.1.1).

use super::html::Html;
use super::reference::status_class;
use super::schema::{list, text};
use super::{page, prose};
use serde_json::Value;

/// One entry of the error catalogue, `x-error-codes` of the OpenAPI document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    /// Stable snake_case name, never renamed.
    pub code: &'a str,
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// The same for every problem of this type.
    pub title: &'a str,
    /// What it means and what to do about it; simple CommonMark.
    pub description: &'a str,
}

/// The whole catalogue in document order; entries without a code or a status are left out.
pub fn catalogue(openapi: &Value) -> Vec<ErrorCode<'_>> {
    let read = |entry| {
        Some(ErrorCode {
            code: text(entry, "code")?,
            status: entry.get("status")?.as_u64()?.try_into().ok()?,
            title: text(entry, "title").unwrap_or_default(),
            description: text(entry, "description").unwrap_or_default(),
        })
    };
    list(openapi, "x-error-codes")
        .iter()
        .filter_map(read)
        .collect()
}

/// The page of one code.
pub fn render(entry: &ErrorCode<'_>) -> String {
    let title = format!("{} · {}", entry.title, entry.code);
    let bar = |h: &mut Html| {
        h.leaf("a", &[("href", "/docs#errors")], "All errors");
    };
    page::render(&title, bar, |h| {
        h.el("main", &[("id", "content"), ("class", "problem")], |h| {
            h.leaf("p", &[("class", "eyebrow")], "Problem type");
            h.leaf("h1", &[], entry.title);
            h.el("p", &[("class", "facts")], |h| {
                let status = entry.status.to_string();
                h.leaf("code", &[("class", &status_class(&status))], &status);
                h.text(" ").leaf("code", &[], entry.code);
            });
            prose::write(h, entry.description);
            h.leaf("h2", &[], "How it looks");
            h.el(
                "pre",
                &[
                    ("class", "code"),
                    ("tabindex", "0"),
                    ("data-language", "json"),
                ],
                |h| {
                    h.text(&example(entry));
                },
            );
            h.leaf("h2", &[], "May I try again?");
            h.el("p", &[], |h| prose::inline(h, retry(entry.status)));
            h.el("p", &[], |h| {
                h.leaf("a", &[("href", "/docs#errors")], "How errors work")
                    .text(" · ");
                h.leaf("a", &[("href", "/docs")], "API reference");
            });
        });
    })
}

fn example(entry: &ErrorCode<'_>) -> String {
    super::samples::pretty(&serde_json::json!({
        "type": format!("/problems/{}", entry.code),
        "title": entry.title,
        "status": entry.status,
        "detail": "what was wrong with this very request",
        "code": entry.code,
        "request_id": "0192f3a0-7c1e-7000-8000-000000000000",
    }))
}

/// Advice that holds for every problem of a status.
fn retry(status: u16) -> &'static str {
    match status {
        401 => "Yes, with a valid token.",
        403 => "Not with this token: ask for one that has the scope.",
        409 => "Yes, once the state has changed. Read the object again first.",
        412 => "Yes: read the object again, repeat your change on it, and send its new `ETag`.",
        429 | 503 => "Yes, after the seconds in `Retry-After`. Send the same `Idempotency-Key`.",
        500..=599 => {
            "Yes, after a pause that grows with each try. Send the same `Idempotency-Key`: nothing is done twice."
        }
        _ => "Not unchanged: the same request gets the same answer.",
    }
}
