//! The files that pages load, embedded, under names that change with their content.

use crate::error::Result;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use platform::http::{Path, Problem, codes};
use platform::secrets::sha256_hex;
use std::sync::LazyLock;

/// A file.
#[derive(Debug)]
pub struct Asset {
    /// Its path on this server.
    pub path: String,
    content_type: &'static str,
    body: &'static str,
}

/// All there are.
#[derive(Debug)]
pub struct Assets {
    pub css: Asset,
    pub js: Asset,
    /// For pages that ask for a passkey.
    pub passkeys: Asset,
    pub icon: Asset,
}

pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    css: asset(
        ("dashboard", "css", "text/css; charset=utf-8"),
        concat!(
            include_str!("assets/base.css"),
            include_str!("assets/parts.css")
        ),
    ),
    js: asset(
        ("dashboard", "js", "text/javascript; charset=utf-8"),
        concat!(
            include_str!("assets/dashboard.js"),
            include_str!("assets/dialogs.js")
        ),
    ),
    passkeys: asset(
        ("passkeys", "js", "text/javascript; charset=utf-8"),
        include_str!("assets/passkeys.js"),
    ),
    icon: asset(
        ("icon", "svg", "image/svg+xml"),
        include_str!("../docs/assets/icon.svg"),
    ),
});

fn asset((stem, suffix, content_type): (&str, &str, &'static str), body: &'static str) -> Asset {
    let hash = sha256_hex(body.as_bytes());
    Asset {
        path: format!("/dashboard/assets/{stem}.{}.{suffix}", &hash[..16]),
        content_type,
        body,
    }
}

/// `GET /dashboard/assets/{file}`.
pub async fn get(Path(file): Path) -> Result<Response> {
    let all = [&ASSETS.css, &ASSETS.js, &ASSETS.passkeys, &ASSETS.icon];
    let named = |asset: &&Asset| asset.path.rsplit('/').next() == Some(file.as_str());
    let asset = all.into_iter().find(named);
    let asset = asset.ok_or_else(|| Problem::new(&codes::NOT_FOUND, "no such file"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.body).into_response())
}
