//! The tests in `tests/browser`: a real Chromium uses the dashboard and the API reference, and OAuth clients
//! written by others get tokens.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::postgres::Cluster;
use crate::process::{find, root, run, target, tradepost};
use crate::{Result, install};

/// Names under which Debian, others and people who install by hand have it.
const CHROMIUM: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Every flow, on SQLite without a cluster. Pictures of the pages are left under the build directory.
pub fn check(cluster: Option<&Cluster>) -> Result {
    let programs = install::python()?;
    let modules = install::oauth4webapi()?;
    let chromium = chromium()?;
    let pictures = target()?.join("pictures");
    let mut tests = Command::new(programs.join("python"));
    tests
        .args(["-B", "-m", "unittest", "discover", "--verbose"])
        .current_dir(root().join("tests/browser"))
        .env("TRADEPOST", tradepost()?)
        .env("CHROMIUM", chromium)
        .env("NODE_PACKAGES", modules.join("node_modules"))
        .env("PICTURES", &pictures)
        .stdin(Stdio::null());
    if let Some(cluster) = cluster {
        tests.env("DATABASE_URL", cluster.url());
        tests.env("CREATEDB", cluster.path_of("createdb"));
    }
    run(&mut tests)?;
    println!("pictures of the pages are in {}", pictures.display());
    Ok(())
}

fn chromium() -> Result<PathBuf> {
    let found = || CHROMIUM.iter().find_map(|name| find(name));
    if let Some(path) = found() {
        return Ok(path);
    }
    // The browser brings no letters of its own.
    install::debian_packages(&["chromium", "fonts-liberation"], "Chromium")?;
    found().ok_or_else(|| "Chromium was installed and is not in PATH".into())
}
