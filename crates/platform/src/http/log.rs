//! The request log: one line per request, written by a thread of its own.
//!
//! A request only copies its line into a buffer. Waking the writer for each line would cost two context
//! switches a request (measured: a quarter of the time of a small read): it is woken once, waits for more
//! and then writes all of them.

use super::recent::Recent;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes that may wait for a slow disk; lines beyond are counted and dropped.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a line waits at most before it is written.
const PAUSE: Duration = Duration::from_millis(20);

/// Where lines wait for the writer. Dropping it writes those that still do.
pub(super) struct RequestLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: String,
    /// The writer sleeps until it is woken.
    asleep: bool,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestLog {
    /// Starts the writer to `out`; what it has written last is kept in `recent`.
    pub(super) fn start(out: Box<dyn Write + Send>, recent: Recent) -> RequestLog {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let spawned = std::thread::Builder::new()
            .name("request-log".into())
            .spawn(move || write_all(&theirs, out, &recent));
        if let Err(error) = &spawned {
            tracing::error!(%error, "no request log: its thread did not start");
        }
        RequestLog {
            shared,
            writer: spawned.ok(),
        }
    }

    /// Adds a line, which brings its own end.
    pub(super) fn write(&self, line: std::fmt::Arguments<'_>) {
        let mut waiting = self.shared.lock();
        if waiting.lines.len() > WAITING_BYTES_MAX {
            drop(waiting);
            metrics::counter!("log_lines_dropped_total").increment(1);
            return;
        }
        let _ = waiting.lines.write_fmt(line); // a String takes everything
        if std::mem::take(&mut waiting.asleep) {
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join(); // a writer that panicked has nothing left to write
        }
    }
}

fn write_all(shared: &Shared, mut out: Box<dyn Write + Send>, recent: &Recent) {
    let mut lines = String::new();
    loop {
        let mut waiting = shared.lock();
        while waiting.lines.is_empty() && !waiting.ended {
            waiting.asleep = true;
            waiting = shared
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.ended {
            drop(waiting);
            std::thread::sleep(PAUSE);
            waiting = shared.lock();
        }
        std::mem::swap(&mut waiting.lines, &mut lines);
        let ended = waiting.ended;
        drop(waiting);
        let _ = out.write_all(lines.as_bytes()).and_then(|()| out.flush()); // nowhere left to say so
        recent.keep(&lines);
        lines.clear();
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_last_lines_are_written_before_the_log_is_gone() {
        let sink = Sink::default();
        let log = RequestLog::start(Box::new(sink.clone()), Recent::default());
        for number in 0..1000 {
            log.write(format_args!("line {number}\n"));
        }
        drop(log);
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1000);
        assert_eq!(text.lines().last(), Some("line 999"));
    }
}
