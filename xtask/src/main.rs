//! `cargo xtask`: everything a developer or CI does with this repository, as one program.
//!
//! CI has no checks of its own: `.ci/run` is `cargo xtask test`, so what fails there fails here too.

mod bench;
mod browser;
mod deny;
mod disk;
mod fuzz;
mod install;
mod judges;
mod openapi;
mod postgres;
mod process;
mod steps;
mod test;
mod tidy;

use std::process::ExitCode;

/// What went wrong, in words for the person at the terminal. Nothing in xtask reacts to the kind of
/// a failure, so there is no enum.
type Result<T = ()> = std::result::Result<T, String>;

const USAGE: &str = "\
cargo xtask test [FILTER] [--engine sqlite|postgres|both] [--keep-going] [--deny] [--skip-STEP]…
    Everything CI checks. With FILTER, only the tests whose name contains it.
    Steps: fmt tidy clippy fuzz build sqlite postgres deny contract browser.
    --deny installs cargo-deny if it is missing (minutes); CI=true implies it.
cargo xtask tidy
    Only our own source rules (docs/STYLE.md); under a second.
cargo xtask postgres
    A throw-away PostgreSQL in the foreground; prints its URL for TEST_DATABASE_URL.
cargo xtask bench [--quick] [ARGS]…
    The load benchmark, with a PostgreSQL that really syncs to disk.
cargo xtask judge [oauth] [--engine sqlite|postgres] [--examples N]
    Schemathesis against a running server, with random data; `test` runs it with fixed data. With `oauth`
    the OAuth clients of others instead; `test` runs both.
cargo xtask openapi
    Writes docs/openapi.json from the program.
cargo xtask record
    Writes src/docs/recorded.json, the examples of /docs, from what the program answers.
cargo xtask advisories
    Asks RustSec about our dependencies (needs github.com).
cargo xtask fuzz [--seconds N]
    Each target in fuzz/ for N seconds (60); needs nightly and cargo-fuzz.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, args) = match args.split_first() {
        Some((command, args)) => (command.as_str(), args),
        None => ("help", &[][..]),
    };
    let done = match command {
        "test" => return test::run(args).unwrap_or_else(|message| fail(&message)),
        "tidy" => tidy::run(),
        "postgres" => postgres::run_in_foreground(),
        "bench" => bench::run(args),
        "judge" => judges::run(args),
        "openapi" => openapi::write(),
        "record" => openapi::record(),
        "advisories" => deny::advisories(),
        "fuzz" => fuzz::run(args),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("no command `{other}`\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("xtask: {message}");
    ExitCode::FAILURE
}
