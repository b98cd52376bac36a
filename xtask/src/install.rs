//! What a fresh machine lacks: installed where we may, named exactly where we may not.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{find, is_root, output, run, target};

/// Installs Debian packages, as root; otherwise the error is the line to type.
pub fn debian_packages(packages: &[&str], what_for: &str) -> Result {
    let names = packages.join(" ");
    if find("apt-get").is_none() {
        return Err(format!(
            "{what_for} is missing: install {names} (names as in Debian)"
        ));
    }
    if !is_root() {
        return Err(format!(
            "{what_for} is missing: run `sudo apt-get install -y {names}`, then this again"
        ));
    }
    println!("installing {names} with apt-get, for {what_for}");
    apt_get(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(packages);
    apt_get(&install)
}

fn apt_get(args: &[&str]) -> Result {
    run(Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null()))
}

/// The directory of programs of a Python package from PyPI, in a virtual environment of its own under
/// the build directory. Made once per version.
pub fn from_pypi(package: &str, version: &str) -> Result<PathBuf> {
    python_packages(
        &format!("{package}-{version}"),
        &[&format!("{package}=={version}")],
    )
}

/// The folder of oauth4webapi, which the tests in a browser and the OAuth clients share.
pub fn oauth4webapi() -> Result<PathBuf> {
    from_npm("oauth4webapi", "3.8.8")
}

/// One environment for the tests in a browser and for the OAuth clients: what drives the browser, the judge of
/// accessibility, and OAuth clients written by others.
const PYTHON_PACKAGES: [&str; 5] = [
    "playwright==1.65.2",
    "axe-playwright-python==0.1.8",
    "authlib==1.9.10",
    "requests==2.34.2",
    "requests-oauthlib==2.0.0",
];

/// The programs of that environment, `python` among them.
pub fn python() -> Result<PathBuf> {
    python_packages("browser", &PYTHON_PACKAGES)
}

/// The same for several packages, each named with its version.
fn python_packages(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let venv = target()?.join(format!("judges/{name}"));
    let complete = venv.join("complete");
    let all = packages.join("\n");
    if std::fs::read_to_string(&complete).is_ok_and(|known| known == all) {
        return Ok(venv.join("bin"));
    }
    // Debian ships Python without the two modules that make a virtual environment.
    let can_make_venv = || output(Command::new("python3").args(["-c", "import venv, ensurepip"]));
    if can_make_venv().is_err() {
        debian_packages(&["python3", "python3-venv"], name)?;
        can_make_venv()?;
    }
    println!(
        "installing {} from PyPI into {}",
        packages.join(", "),
        venv.display()
    );
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(packages)
        .stdin(Stdio::null()))?;
    // Written last, so that an interrupted installation is begun again and not trusted.
    std::fs::write(&complete, all).map_err(|e| format!("{}: {e}", complete.display()))?;
    Ok(venv.join("bin"))
}

/// A folder whose `node_modules` has a package from npm. Made once per version.
pub fn from_npm(package: &str, version: &str) -> Result<PathBuf> {
    let folder = target()?.join(format!("judges/{package}-{version}"));
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(folder);
    }
    if find("node").is_none() || find("npm").is_none() {
        debian_packages(&["nodejs", "npm"], package)?;
    }
    println!(
        "installing {package} {version} from npm into {}",
        folder.display()
    );
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    run(Command::new("npm")
        .args(["install", "--no-save", "--no-audit", "--no-fund"])
        .args(["--ignore-scripts", "--loglevel", "error", "--prefix"])
        .arg(&folder)
        .arg(format!("{package}@{version}"))
        .stdin(Stdio::null()))?;
    std::fs::write(&complete, "").map_err(|e| format!("{}: {e}", complete.display()))?;
    Ok(folder)
}
