//! Handlers of `/openapi.json`, `/docs` and `/problems/<code>`. Everything is rendered once.

use super::recorded::Recorded;
use super::{CONTENT_SECURITY_POLICY, assets, problems, reference};
use crate::app::App;
use crate::error::Result;
use crate::openapi;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use platform::http::{Operation, Path, Problem, codes};
use platform::secrets::sha256_hex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;

const TAG: &str = "Documentation";
const HTML: &str = "text/html; charset=utf-8";
/// Pages change with the program only: keep them, and ask whether they are still the same.
const REVALIDATE: &str = "public, no-cache";

/// The rendered reference; made when the first reader asks.
#[derive(Default)]
pub struct Reference(OnceLock<Rendered>);

struct Rendered {
    openapi: Page,
    html: Page,
    problems: HashMap<String, Page>,
}

struct Page {
    body: Bytes,
    etag: String,
}

impl Page {
    fn new(text: String) -> Page {
        let hash = sha256_hex(text.as_bytes());
        Page {
            etag: format!("\"{}\"", &hash[..16]),
            body: text.into(),
        }
    }
}

impl Reference {
    fn rendered(&self, public_url: &str) -> &Rendered {
        self.0.get_or_init(|| {
            let document = openapi::build(public_url);
            let problems = problems::catalogue(&document).into_iter();
            Rendered {
                problems: problems
                    .map(|entry| (entry.code.to_owned(), Page::new(problems::render(&entry))))
                    .collect(),
                // What was recorded leads to where it is read.
                html: Page::new(
                    reference::render(&document, Recorded::ours())
                        .replace(reference::BASE_DEFAULT, public_url),
                ),
                openapi: Page::new(openapi::print(&document)),
            }
        })
    }
}

fn rendered(app: &App) -> &Rendered {
    app.reference.rendered(&app.config.public_url)
}

fn answer(content_type: &'static str, cache: &'static str, page: &Page) -> Response {
    let etag = HeaderValue::from_str(&page.etag).expect("hexadecimal digits in quotes");
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(CONTENT_SECURITY_POLICY),
        ),
        (header::ETAG, etag),
    ];
    (headers, page.body.clone()).into_response()
}

/// What `GET /openapi.json` promises.
pub fn openapi_operation() -> Operation {
    Operation::new("getOpenApi", TAG, "This reference for programs.")
        .describe("The OpenAPI 3.1 document of this server.")
        .returns::<Value>(200, "The document.")
}

/// `GET /openapi.json`.
pub async fn openapi(State(app): State<App>) -> Response {
    answer("application/json", REVALIDATE, &rendered(&app).openapi)
}

/// What `GET /docs` promises.
pub fn docs_operation() -> Operation {
    Operation::new("getDocs", TAG, "This reference for people.").returns_other(
        200,
        "A page.",
        "text/html",
    )
}

/// `GET /docs`.
pub async fn docs(State(app): State<App>) -> Response {
    answer(HTML, REVALIDATE, &rendered(&app).html)
}

/// `/docs/`, which people type: no part of the API.
pub async fn with_slash() -> Redirect {
    Redirect::permanent("/docs")
}

/// What `GET /docs/{file}` promises.
pub fn asset_operation() -> Operation {
    Operation::new("getDocsFile", TAG, "A file that the pages load.")
        .path(
            "file",
            "Its name, which changes with its content.",
            "^[a-z]{1,32}\\.[0-9a-f]{16}\\.[a-z]{2,4}$",
        )
        .returns_other(200, "The file.", "text/css")
        .returns_other(200, "The file.", "text/javascript")
        .returns_other(200, "The file.", "image/svg+xml")
}

/// `GET /docs/{file}`.
pub async fn asset(Path(file): Path) -> Result<Response> {
    let named = |path: &str| path.strip_prefix("/docs/") == Some(file.as_str());
    let asset = assets()
        .iter()
        .find(|asset| named(&asset.path_with_hash))
        .ok_or_else(|| Problem::new(&codes::NOT_FOUND, "no such file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.body).into_response())
}

/// What `GET /problems/{code}` promises.
pub fn problem_operation() -> Operation {
    Operation::new("getProblem", TAG, "What an error code means.")
        .describe("The page that the `type` of a problem points to.")
        .path("code", "An error code.", "^[a-z_]{1,64}$")
        .returns_other(200, "A page.", "text/html")
}

/// `GET /problems/{code}`.
pub async fn problem(State(app): State<App>, Path(code): Path) -> Result<Response> {
    match rendered(&app).problems.get(&code) {
        Some(page) => Ok(answer(HTML, REVALIDATE, page)),
        None => Err(Problem::new(
            &codes::NOT_FOUND,
            "there is no such error code",
        )),
    }
}
