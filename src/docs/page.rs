//! The frame every documentation page stands in, and the files it loads.

use super::html::Html;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::LazyLock;

/// The header to send with every page of this chapter: nothing inline, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A file the pages load. Its name changes with its content, so it may be cached forever
/// (`Cache-Control: public, max-age=31536000, immutable`).
#[derive(Debug)]
pub struct Asset {
    /// Path on this server, e.g. `/docs/reference.1f0c….css`.
    pub path_with_hash: String,
    pub content_type: &'static str,
    pub body: &'static str,
}

/// Every file the pages load.
pub fn assets() -> &'static [Asset] {
    &*ASSETS
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset(
            "reference",
            "css",
            "text/css; charset=utf-8",
            concat!(
                include_str!("assets/reference.css"),
                include_str!("assets/contents.css"),
                include_str!("assets/examples.css")
            ),
        ),
        asset(
            "reference",
            "js",
            "text/javascript; charset=utf-8",
            include_str!("assets/reference.js"),
        ),
        asset(
            "theme",
            "js",
            "text/javascript; charset=utf-8",
            include_str!("assets/theme.js"),
        ),
        asset(
            "icon",
            "svg",
            "image/svg+xml",
            include_str!("assets/icon.svg"),
        ),
    ]
});

fn asset(stem: &str, suffix: &str, content_type: &'static str, body: &'static str) -> Asset {
    let hash = digest(&SHA256, body.as_bytes());
    let hash: String = hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Asset {
        path_with_hash: format!("/docs/{stem}.{hash}.{suffix}"),
        content_type,
        body,
    }
}

/// A whole page. `head` writes into the top bar, `body` what is below it.
pub fn render(title: &str, bar: impl FnOnce(&mut Html), body: impl FnOnce(&mut Html)) -> String {
    let [css, js, theme, icon] = &*ASSETS;
    let mut h = Html::default();
    h.el("html", &[("lang", "en")], |h| {
        h.el("head", &[], |h| {
            h.void("meta", &[("charset", "utf-8")]);
            h.leaf("title", &[], title);
            h.void(
                "meta",
                &[
                    ("name", "viewport"),
                    ("content", "width=device-width, initial-scale=1"),
                ],
            );
            h.void(
                "meta",
                &[("name", "color-scheme"), ("content", "light dark")],
            );
            h.void("link", &[("rel", "icon"), ("href", &icon.path_with_hash)]);
            // Before anything is painted, hence no module.
            h.el("script", &[("src", &theme.path_with_hash)], |_| {});
            h.void(
                "link",
                &[("rel", "stylesheet"), ("href", &css.path_with_hash)],
            );
            h.el(
                "script",
                &[("type", "module"), ("src", &js.path_with_hash)],
                |_| {},
            );
        });
        h.el("body", &[], |h| {
            h.leaf(
                "a",
                &[("class", "skip"), ("href", "#content")],
                "Skip to content",
            );
            h.el("header", &[("class", "bar")], |h| {
                h.el("a", &[("class", "brand"), ("href", "/docs")], |h| {
                    h.void(
                        "img",
                        &[
                            ("src", &icon.path_with_hash),
                            ("alt", ""),
                            ("width", "24"),
                            ("height", "24"),
                        ],
                    );
                    h.text("Tradepost");
                });
                bar(h);
            });
            body(h);
        });
    });
    h.into_document()
}
