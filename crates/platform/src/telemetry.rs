//! What the running program tells of itself: metrics in the Prometheus text format, and panics.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Duration;

/// Upper bounds of the buckets of every `…_seconds` histogram.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];
/// How often recorded values are folded into the buckets when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The metrics of this process.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// The metrics of this process, installed at the first call. That call belongs before anything is
/// counted (before [`crate::http::Stack::new`]): what was counted earlier went nowhere.
pub fn metrics() -> &'static Metrics {
    static INSTALLED: OnceLock<Metrics> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the list of buckets is not empty")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::error!(
                "another part of the program records the metrics: /metrics stays empty"
            );
        }
        Metrics(handle)
    })
}

impl Metrics {
    /// All metrics in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = self.0.render();
        if let Some(bytes) = resident_bytes() {
            gauge(
                &mut text,
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                &[(String::new(), bytes as f64)],
            );
        }
        text
    }

    /// Keeps the memory of unscraped histograms bounded; runs for as long as the program.
    pub async fn upkeep(&self) {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            self.0.run_upkeep();
        }
    }
}

/// Appends a gauge to `text`: each sample is its labels (`{kind="x"}`, or nothing) and its value. For
/// what is looked up when it is asked for; a recorded gauge would keep its last value for ever.
pub fn gauge(text: &mut String, name: &str, help: &str, samples: &[(String, f64)]) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge"); // writing to a String cannot fail
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// The memory that this process holds in RAM, where the system says so (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Makes every panic one line of the log, with where it happened, instead of text on standard error.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic
            .payload_as_str()
            .unwrap_or("a panic without a message");
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let request_id = crate::http::current_request_id();
        metrics::counter!("panics_total").increment(1);
        tracing::error!(%request_id, thread, location, "panicked: {message}");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = metrics();
        metrics::counter!("tests_total", "kind" => "unit").increment(2);
        metrics::histogram!("test_duration_seconds").record(0.003);
        let text = metrics.render();
        for line in [
            "tests_total{kind=\"unit\"} 2",
            "test_duration_seconds_bucket{le=\"0.0025\"} 0",
            "test_duration_seconds_bucket{le=\"0.005\"} 1",
            "# TYPE process_resident_memory_bytes gauge",
        ] {
            assert!(
                text.lines().any(|one| one == line),
                "{line} is not in\n{text}"
            );
        }
    }
}
