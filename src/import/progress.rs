//! How far an import is: a bar at a terminal, plain lines elsewhere; always on standard error.

use super::summary::BadRow;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows between two plain lines.
const LINE_EVERY: u64 = 100_000;
/// Rows between two updates of the bar.
const BAR_EVERY: u64 = 1_000;

/// Where progress is told. Clones tell the same place.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Form>);

#[derive(Debug)]
enum Form {
    Silent,
    Lines { total: AtomicU64 },
    Bar(ProgressBar),
}

impl Progress {
    /// Nowhere.
    pub fn silent() -> Progress {
        Progress(Arc::new(Form::Silent))
    }

    /// On standard error.
    pub fn on_stderr() -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress(Arc::new(Form::Lines {
                total: AtomicU64::new(0),
            }));
        }
        let style = ProgressStyle::with_template(
            "{msg:<12} {wide_bar} {human_pos}/{human_len} rows {elapsed}",
        );
        let bar = ProgressBar::new(0);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress(Arc::new(Form::Bar(bar)))
    }

    /// A part begins. `total` is how many rows it has, 0 when that is not known.
    pub(super) fn begin(&self, what: &'static str, total: u64) {
        match &*self.0 {
            Form::Silent => {}
            Form::Lines { total: known } => {
                known.store(total, Ordering::Relaxed);
                eprintln!("{what}");
            }
            Form::Bar(bar) => {
                bar.reset();
                bar.set_length(total);
                bar.set_message(what);
            }
        }
    }

    /// So many rows of the part are done.
    pub(super) fn at(&self, rows: u64) {
        match &*self.0 {
            Form::Lines { total } if rows.is_multiple_of(LINE_EVERY) => {
                match total.load(Ordering::Relaxed) {
                    0 => eprintln!("  {rows} rows"),
                    total => eprintln!("  {rows} of {total} rows"),
                }
            }
            Form::Bar(bar) if rows.is_multiple_of(BAR_EVERY) => bar.set_position(rows),
            _ => {}
        }
    }

    pub(super) fn bad_row(&self, row: &BadRow) {
        match &*self.0 {
            Form::Silent => {}
            Form::Lines { .. } => eprintln!("{row}"),
            Form::Bar(bar) => bar.suspend(|| eprintln!("{row}")),
        }
    }

    /// It is over.
    pub(super) fn end(&self) {
        if let Form::Bar(bar) = &*self.0 {
            bar.finish_and_clear();
        }
    }
}
