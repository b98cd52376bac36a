//! The lines of the report: each a ratio to a limit of the same run, or a bound that is kept or not.

use crate::client::Run;
use serde_json::{Value, json};

/// The lines of the report.
#[derive(Default)]
pub struct Report(Vec<Line>);

struct Line {
    engine: &'static str,
    what: String,
    measured: String,
    limit: String,
    ratio: Option<f64>,
    goal: String,
    met: bool,
}

impl Report {
    /// `measured` of `limit`, at least `goal`.
    pub fn ratio(
        &mut self,
        engine: &'static str,
        what: &str,
        measured: &Run,
        limit: f64,
        goal: f64,
    ) -> f64 {
        let ratio = measured.rate / limit;
        self.0.push(Line {
            engine,
            what: what.to_owned(),
            measured: format!("{:.0}/s, p99 {:.1} ms", measured.rate, measured.p99_ms),
            limit: format!("{limit:.0}/s"),
            ratio: Some(ratio),
            goal: format!("≥ {goal:.2}"),
            met: ratio >= goal && measured.unexpected == 0,
        });
        if measured.unexpected > 0 {
            println!("  {what}: {} unexpected answers", measured.unexpected);
        }
        println!("  {what}: {ratio:.2}");
        ratio
    }

    /// How many times as fast as something measured elsewhere, through ratios to limits that both know.
    pub fn multiple(&mut self, engine: &'static str, what: &str, times: f64, goal: f64) {
        self.0.push(Line {
            engine,
            what: what.to_owned(),
            measured: format!("{times:.0} times"),
            limit: String::new(),
            ratio: None,
            goal: format!("≥ {goal} times"),
            met: times >= goal,
        });
    }

    /// A bound that is not a ratio.
    pub fn at_most(&mut self, engine: &'static str, what: &str, value: f64, unit: &str, goal: f64) {
        self.0.push(Line {
            engine,
            what: what.to_owned(),
            measured: format!("{value:.1} {unit}"),
            limit: String::new(),
            ratio: None,
            goal: format!("≤ {goal} {unit}"),
            met: value <= goal,
        });
    }

    /// To the terminal, or as JSON for programs.
    pub fn print(&self, as_json: bool) {
        if as_json {
            let rows: Vec<Value> = self.0.iter().map(|line| json!({ "engine": line.engine, "scenario": line.what,
                "measured": line.measured, "limit": line.limit, "ratio": line.ratio, "goal": line.goal, "met": line.met })).collect();
            println!("{}", json!(rows));
            return;
        }
        println!(
            "\n{:<11} {:<44} {:>28} {:>12} {:>7} {:>14}",
            "engine", "scenario", "measured", "limit", "ratio", "goal"
        );
        for line in &self.0 {
            let ratio = line
                .ratio
                .map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let verdict = if line.met { "met" } else { "MISSED" };
            println!(
                "{:<11} {:<44} {:>28} {:>12} {:>7} {:>14}  {verdict}",
                line.engine, line.what, line.measured, line.limit, ratio, line.goal
            );
        }
        let missed = self.0.iter().filter(|line| !line.met).count();
        println!(
            "\n{} of {} goals met, {missed} missed",
            self.0.len() - missed,
            self.0.len()
        );
    }
}
