//! cargo-deny: licences, sources and banned crates, as `deny.toml` says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{cargo, find, root, run, target};
use crate::steps::Outcome;

/// Built from crates.io; the copy on PyPI (0.14.2) cannot read the metadata of today's cargo.
const VERSION: &str = "0.20.2";

/// Checks what depends on this commit alone. Without cargo-deny, and unless it `may_install` it, says
/// so and is skipped: building it takes minutes.
pub fn check(may_install: bool) -> Result<Outcome> {
    let Some(deny) = find_or_install(may_install)? else {
        let how = "cargo-deny is not installed; --deny installs it (some minutes, once)";
        return Ok(Outcome::Skipped(how.into()));
    };
    run(command(&deny).args(["check", "bans", "licenses", "sources"]))?;
    Ok(Outcome::Done)
}

/// `cargo xtask advisories`: known vulnerabilities and yanked releases as of now.
pub fn advisories() -> Result {
    let deny = find_or_install(true)?.expect("installed, or an error was returned");
    run(command(&deny).args(["check", "advisories"]))
}

fn command(deny: &Path) -> Command {
    let mut command = Command::new(deny);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

fn find_or_install(may_install: bool) -> Result<Option<PathBuf>> {
    let tools = target()?.join("tools");
    let installed = tools.join("bin/cargo-deny");
    if installed.is_file() {
        return Ok(Some(installed));
    }
    if let Some(on_path) = find("cargo-deny") {
        return Ok(Some(on_path));
    }
    if !may_install {
        return Ok(None);
    }
    println!("installing cargo-deny {VERSION} from crates.io (some minutes, once)");
    // A debug build: it checks for a second and would be optimised for minutes.
    run(cargo()
        .args(["install", "cargo-deny", "--version", VERSION])
        .args(["--locked", "--debug", "--quiet", "--root"])
        .arg(&tools)
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    // Hundreds of megabytes that nothing reads again; a leftover would be harmless.
    let _ = std::fs::remove_dir_all(tools.join("build"));
    Ok(Some(installed))
}
