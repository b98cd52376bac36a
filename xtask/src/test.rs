//! `cargo xtask test`: all that CI checks, in the order in which a mistake is cheapest to find.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use crate::postgres::{Cluster, Purpose};
use crate::process::{cargo, run as run_command};
use crate::steps::{Outcome, Steps};
use crate::{Result, browser, deny, disk, fuzz, judges, openapi, tidy};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub fn parse(name: &str) -> Result<Engine> {
        match name {
            "sqlite" => Ok(Engine::Sqlite),
            "postgres" => Ok(Engine::Postgres),
            other => Err(format!("no engine `{other}`: sqlite or postgres")),
        }
    }
}

/// The steps that `--skip-STEP` can name.
const STEPS: [&str; 10] = [
    "fmt", "tidy", "clippy", "fuzz", "build", "sqlite", "postgres", "deny", "contract", "browser",
];

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    filter: Option<String>,
    /// `None` for both.
    engine: Option<Engine>,
    keep_going: bool,
    install_deny: bool,
    skipped: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--engine" => {
                    let name = args
                        .next()
                        .ok_or("--engine takes sqlite, postgres or both")?;
                    options.engine = match name.as_str() {
                        "both" => None,
                        one => Some(Engine::parse(one)?),
                    };
                }
                "--keep-going" => options.keep_going = true,
                "--deny" => options.install_deny = true,
                flag if flag.starts_with('-') => {
                    let step = flag
                        .strip_prefix("--skip-")
                        .filter(|step| STEPS.contains(step));
                    let step = step.ok_or_else(|| format!("no option `{flag}`"))?;
                    options.skipped.push(step.to_owned());
                }
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                second => return Err(format!("one filter only, `{second}` is the second")),
            }
        }
        Ok(options)
    }

    fn uses(&self, engine: Engine) -> bool {
        self.engine.is_none_or(|only| only == engine)
    }

    /// Why a step is left out, if it is.
    fn skip(&self, step: &str) -> Option<String> {
        if self.skipped.iter().any(|skipped| skipped == step) {
            return Some(format!("by --skip-{step}"));
        }
        match step {
            "sqlite" if !self.uses(Engine::Sqlite) => Some("by --engine".into()),
            "postgres" if !self.uses(Engine::Postgres) => Some("by --engine".into()),
            "sqlite" | "postgres" => None,
            _ => self
                .filter
                .as_ref()
                .map(|_| "with a filter, only tests are run".into()),
        }
    }
}

/// Ends with the sum of the tests as the last line, whether they passed or not.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    disk::warn()?;
    let install_deny = options.install_deny || std::env::var("CI").is_ok_and(|ci| ci == "true");
    let mut steps = Steps::new(options.keep_going);
    let mut counts = Counts::default();
    // Started by the first step that needs it, stopped when this function returns.
    let mut cluster = None;
    for name in STEPS {
        if let Some(why) = options.skip(name) {
            steps.skip(name, &why);
            continue;
        }
        steps.run(name, || match name {
            "fmt" => done(run_command(cargo().args(["fmt", "--all", "--check"]))),
            "tidy" => done(tidy::run()),
            "clippy" => done(run_command(&mut clippy())),
            "fuzz" => done(fuzz::check()),
            "build" => done(run_command(&mut build())),
            "sqlite" => done(counts.count(&mut tests_on_sqlite(&options.filter))),
            "postgres" => {
                let url = started(&mut cluster)?.url();
                done(counts.count(&mut tests_on_postgres(&options.filter, &url)))
            }
            "deny" => deny::check(install_deny),
            "contract" => done(contract(&options, &mut cluster)),
            "browser" => done(in_a_browser(&options, &mut cluster)),
            other => Err(format!("the step `{other}` has no code")),
        });
    }
    drop(cluster);
    let passed = steps.summary();
    // A filter with a slip in it must not look like success.
    let found = options.filter.is_none() || counts.passed + counts.failed > 0;
    println!(
        "{}",
        if found {
            counts.line()
        } else {
            "no test matches the filter".into()
        }
    );
    let code = if passed && found {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    Ok(code)
}

fn done(result: Result) -> Result<Outcome> {
    result.map(|()| Outcome::Done)
}

fn started(cluster: &mut Option<Cluster>) -> Result<&Cluster> {
    let running = match cluster.take() {
        Some(running) => running,
        None => Cluster::start(Purpose::Tests)?,
    };
    Ok(cluster.insert(running))
}

fn clippy() -> Command {
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--"]);
    clippy.args(["-D", "warnings", "-D", "clippy::too_many_lines"]);
    clippy
}

/// Programs and tests in one call: built apart, crates that both need with other features would be
/// compiled twice.
fn build() -> Command {
    let mut build = cargo();
    build.args(["build", "--workspace", "--bins", "--tests", "--locked"]);
    build
}

fn tests_on_sqlite(filter: &Option<String>) -> Command {
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    // One that is left in the terminal would choose the other engine.
    tests.env_remove("TEST_DATABASE_URL");
    tests.args(filter);
    tests
}

/// All but xtask, which has no database; documentation examples have none either.
fn tests_on_postgres(filter: &Option<String>, url: &str) -> Command {
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--exclude", "xtask", "--tests"]);
    tests.args(["--locked", "--no-fail-fast"]);
    tests.env("TEST_DATABASE_URL", url).args(filter);
    tests
}

/// The committed document is the served one, and the judges find nothing on either engine.
fn contract(options: &Options, cluster: &mut Option<Cluster>) -> Result {
    openapi::check()?;
    if options.uses(Engine::Sqlite) {
        judges::check(None)?;
    }
    if options.uses(Engine::Postgres) {
        judges::check(Some(started(cluster)?))?;
    }
    Ok(())
}

fn in_a_browser(options: &Options, cluster: &mut Option<Cluster>) -> Result {
    if options.uses(Engine::Sqlite) {
        browser::check(None)?;
    }
    if options.uses(Engine::Postgres) {
        browser::check(Some(started(cluster)?))?;
    }
    Ok(())
}

/// Passed and failed tests, as the test programs themselves report them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    /// Test programs that began and that reported. When one more began, it died, and the sum would be
    /// a wrong number.
    began: u64,
    reported: u64,
}

impl Counts {
    /// Runs `cargo test`, passes its output on and adds up its reports.
    fn count(&mut self, tests: &mut Command) -> Result {
        let mut child = tests
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cargo test does not start: {e}"))?;
        let stdout = child.stdout.take().expect("piped above");
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|e| format!("reading from cargo test: {e}"))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            if is_beginning(&line) {
                self.began += 1;
            }
            if let Some((passed, failed)) = parse_report(&line) {
                self.reported += 1;
                self.passed += passed;
                self.failed += failed;
            }
        }
        let status = child.wait().map_err(|e| format!("cargo test: {e}"))?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("cargo test: {status}")),
        }
    }

    fn line(&self) -> String {
        if self.reported == 0 {
            "no tests were run".into()
        } else if self.began != self.reported {
            let died = self.began.abs_diff(self.reported);
            format!("not counted: {died} test programs ended without a report")
        } else {
            format!("{} passed, {} failed", self.passed, self.failed)
        }
    }
}

/// `running 12 tests`, the first line of a test program.
fn is_beginning(line: &str) -> bool {
    let number = line.strip_prefix("running ").and_then(|rest| {
        rest.strip_suffix(" tests")
            .or_else(|| rest.strip_suffix(" test"))
    });
    number.is_some_and(|number| number.parse::<u64>().is_ok())
}

/// 12 and 1 of `test result: FAILED. 12 passed; 1 failed; 0 ignored; …`.
fn parse_report(line: &str) -> Option<(u64, u64)> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut parts = numbers.split("; ");
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some((passed, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn a_filter_leaves_only_the_tests() {
        let options = parse("orders --engine sqlite").unwrap();
        assert_eq!(options.filter.as_deref(), Some("orders"));
        let run: Vec<&str> = STEPS
            .into_iter()
            .filter(|s| options.skip(s).is_none())
            .collect();
        assert_eq!(run, ["sqlite"]);
    }

    #[test]
    fn without_options_nothing_is_left_out() {
        let options = parse("").unwrap();
        assert!(STEPS.iter().all(|step| options.skip(step).is_none()));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for line in [
            "--engine mysql",
            "--engine",
            "--skip-everything",
            "--fast",
            "a b",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_report_is_read() {
        let line =
            "test result: FAILED. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out";
        assert_eq!(parse_report(line), Some((12, 1)));
        assert_eq!(parse_report("test orders::total ... ok"), None);
    }

    fn counted(script: &str) -> (Counts, Result) {
        let mut counts = Counts::default();
        let result = counts.count(Command::new("sh").args(["-c", script]));
        (counts, result)
    }

    const OK: &str = "echo running 2 tests; echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";

    #[test]
    fn reports_are_added_up() {
        let (counts, result) = counted(&format!("{OK}; {OK}"));
        assert!(result.is_ok());
        assert_eq!(counts.line(), "4 passed, 0 failed");
    }

    #[test]
    fn a_test_program_that_died_leaves_no_count() {
        let (counts, result) = counted(&format!("{OK}; echo running 1 test; exit 101"));
        assert!(result.is_err());
        assert_eq!(
            counts.line(),
            "not counted: 1 test programs ended without a report"
        );
    }
}
