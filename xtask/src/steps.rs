//! The steps of `cargo xtask test`: a line when one starts, a line when it ends, a table at the end.

use std::time::{Duration, Instant};

use crate::Result;

/// How a step ended that did not fail.
pub enum Outcome {
    Done,
    /// Not run, and why: what is left out is always said.
    Skipped(String),
}

enum Ended {
    Ok(Duration),
    Failed(Duration, String),
    Skipped(String),
}

/// Runs steps in order. After a failure the rest is not run, unless `keep_going`.
pub struct Steps {
    keep_going: bool,
    ended: Vec<(String, Ended)>,
}

impl Steps {
    pub fn new(keep_going: bool) -> Steps {
        Steps {
            keep_going,
            ended: Vec::new(),
        }
    }

    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Outcome>) {
        let ended = if self.failed() && !self.keep_going {
            Ended::Skipped("an earlier step failed (--keep-going runs it)".into())
        } else {
            println!("==> {name}");
            let started = Instant::now();
            match step() {
                Ok(Outcome::Done) => Ended::Ok(started.elapsed()),
                Ok(Outcome::Skipped(why)) => Ended::Skipped(why),
                Err(why) => Ended::Failed(started.elapsed(), why),
            }
        };
        println!("{}", line(name, &ended));
        self.ended.push((name.to_owned(), ended));
    }

    /// For a step that the caller was asked to leave out.
    pub fn skip(&mut self, name: &str, why: &str) {
        let ended = Ended::Skipped(why.into());
        println!("{}", line(name, &ended));
        self.ended.push((name.to_owned(), ended));
    }

    fn failed(&self) -> bool {
        self.ended
            .iter()
            .any(|(_, ended)| matches!(ended, Ended::Failed(..)))
    }

    /// Prints one line per step; false if one failed.
    pub fn summary(self) -> bool {
        println!("\nsummary");
        for (name, ended) in &self.ended {
            println!("{}", line(name, ended));
        }
        !self.failed()
    }
}

fn line(name: &str, ended: &Ended) -> String {
    match ended {
        Ended::Ok(took) => format!("    {name}: ok ({:.1} s)", took.as_secs_f32()),
        Ended::Failed(took, why) => {
            format!("    {name}: FAILED ({:.1} s): {why}", took.as_secs_f32())
        }
        Ended::Skipped(why) => format!("    {name}: skipped: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_three(keep_going: bool) -> (Vec<&'static str>, bool) {
        let mut ran = Vec::new();
        let mut steps = Steps::new(keep_going);
        steps.run("first", || {
            ran.push("first");
            Ok(Outcome::Done)
        });
        steps.run("second", || {
            ran.push("second");
            Err("broken".into())
        });
        steps.run("third", || {
            ran.push("third");
            Ok(Outcome::Done)
        });
        let passed = steps.summary();
        (ran, passed)
    }

    #[test]
    fn a_failure_stops_the_rest_and_fails_the_whole() {
        let (ran, passed) = run_three(false);
        assert_eq!(ran, ["first", "second"]);
        assert!(!passed);
    }

    #[test]
    fn with_keep_going_the_rest_runs_and_the_whole_still_fails() {
        let (ran, passed) = run_three(true);
        assert_eq!(ran, ["first", "second", "third"]);
        assert!(!passed);
    }
}
