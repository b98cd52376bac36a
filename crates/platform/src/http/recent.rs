//! The last lines of the request log, for people who look at them.
//!
//! The writer of the log keeps what it has just written, a batch at a time: requests have no part in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Bytes that are kept: about 13,000 requests.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The last lines of this process, none while no log is written. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Recent(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    /// The number of the next batch.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<Batch>,
    bytes: usize,
    next: u64,
}

/// Lines that were written at once, each with its end.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Grows by one with each batch of the process.
    pub number: u64,
    pub lines: Arc<str>,
}

impl Recent {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `lines`, and lets the oldest go when they become too many.
    pub(super) fn keep(&self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let mut kept = self.lock();
        let number = kept.next;
        kept.next += 1;
        kept.bytes += lines.len();
        kept.batches.push_back(Batch {
            number,
            lines: lines.into(),
        });
        while kept.bytes > BYTES_MAX && kept.batches.len() > 1 {
            let oldest = kept.batches.pop_front();
            kept.bytes -= oldest.map_or(0, |oldest| oldest.lines.len());
        }
        let next = kept.next;
        drop(kept);
        self.0.news.send_replace(next);
    }

    /// What is kept from batch `number` on, oldest first.
    pub fn since(&self, number: u64) -> Vec<Batch> {
        let kept = self.lock();
        let later = kept.batches.iter().filter(|batch| batch.number >= number);
        later.cloned().collect()
    }

    /// The number of the next batch.
    pub fn next(&self) -> u64 {
        self.lock().next
    }

    /// Tells the number of the next batch each time when one has come.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_numbers_stay() {
        let recent = Recent::default();
        let batch = "x".repeat(1024 * 1024);
        for _ in 0..6 {
            recent.keep(&batch);
        }
        let numbers: Vec<u64> = recent.since(0).iter().map(|batch| batch.number).collect();
        assert_eq!(numbers, [2, 3, 4, 5]);
        assert_eq!((recent.since(5).len(), recent.next()), (1, 6));
        recent.keep(&"x".repeat(BYTES_MAX + 1));
        assert_eq!(recent.since(0).len(), 1, "the newest is kept however long");
    }
}
