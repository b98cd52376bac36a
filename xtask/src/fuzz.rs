//! `cargo xtask fuzz`: each target of `fuzz/`, for a while.

use std::fs;
use std::process::{Command, Stdio};

use crate::Result;
use crate::process::{output, root, run as run_command};

const SECONDS_EACH: u64 = 60;

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
        let time = format!("-max_total_time={seconds}");
        run_command(&mut nightly(&["run", &target, "--", &time]))?;
    }
    Ok(())
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
