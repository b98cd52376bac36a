//! `cargo xtask fuzz`: each target of `fuzz/`, for a while.

use std::fs;
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{cargo, output, root, run as run_command};

const SECONDS_EACH: u64 = 60;
/// An input of a length that holds every field of a request.
const LONGEST: &str = "-max_len=8192";
/// Seconds after which one input has taken too long.
const SLOWEST: &str = "-timeout=10";

pub fn run(args: &[String]) -> Result {
    let seconds = match args {
        [] => SECONDS_EACH,
        [flag, number] if flag == "--seconds" => {
            let why = format!("--seconds takes a whole number, not `{number}`");
            number.parse().map_err(|_| why)?
        }
        _ => return Err("usage: cargo xtask fuzz [--seconds N]".into()),
    };
    let targets = targets();
    if targets.is_empty() {
        return Err("there is no fuzz target in fuzz/fuzz_targets".into());
    }
    if output(&mut nightly(&["--version"])).is_err() {
        let how = "rustup toolchain install nightly && cargo install cargo-fuzz --locked";
        return Err(format!("fuzzing needs nightly and cargo-fuzz: run `{how}`"));
    }
    for target in targets {
        println!("==> {target}, {seconds} s");
        // What is found to be interesting is kept in the first folder, which git ignores.
        let (corpus, seeds) = (
            format!("fuzz/corpus/{target}"),
            format!("fuzz/seeds/{target}"),
        );
        fs::create_dir_all(root().join(&corpus)).map_err(|e| format!("{corpus}: {e}"))?;
        let time = format!("-max_total_time={seconds}");
        let limits = [time.as_str(), LONGEST, SLOWEST];
        let run = ["run", &target, &corpus, &seeds, "--"];
        run_command(&mut nightly(&[&run[..], &limits].concat()))?;
    }
    Ok(())
}

/// The targets still compile. Needs neither nightly nor cargo-fuzz: only running them does.
pub fn check() -> Result {
    let mut check = cargo();
    check.args(["check", "--manifest-path", "fuzz/Cargo.toml", "--locked"]);
    run_command(check.current_dir(root()))
}

/// `cargo fuzz` with the nightly compiler: sanitizers are not in the pinned one.
fn nightly(args: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo", "fuzz"]).args(args);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

fn targets() -> Vec<String> {
    let files = fs::read_dir(root().join("fuzz/fuzz_targets"));
    let mut targets: Vec<String> = files
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    targets.sort_unstable();
    targets
}
