//! What users do, by bucket.

use super::file::{Cell, FileError, FileWriter};
use super::period::Periods;
use std::collections::HashSet;

#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    new_users: i64,
    ordering_users: i64,
    orders: i64,
}

/// User activity of each bucket. Orders must come oldest first: only the users of one bucket are held.
#[derive(Debug)]
pub struct ByActivity {
    periods: Periods,
    buckets: Vec<Activity>,
    /// The bucket whose users are in `seen`.
    bucket: usize,
    seen: HashSet<Box<str>>,
}

impl ByActivity {
    /// Nothing happened yet.
    pub fn new(periods: Periods) -> ByActivity {
        let buckets = vec![Activity::default(); periods.labels().len()];
        ByActivity {
            periods,
            buckets,
            bucket: 0,
            seen: HashSet::new(),
        }
    }

    /// A user was created at `at`, in microseconds.
    pub fn add_user(&mut self, at: i64) {
        if let Some(index) = self.periods.index_of(at) {
            self.buckets[index].new_users += 1;
        }
    }

    /// An order was placed at `at`, in microseconds, by a user or a guest.
    pub fn add_order(&mut self, at: i64, user_id: Option<&str>) {
        let Some(index) = self.periods.index_of(at) else {
            return;
        };
        if index != self.bucket {
            self.bucket = index;
            self.seen.clear();
        }
        self.buckets[index].orders += 1;
        if let Some(user_id) = user_id.filter(|user_id| !self.seen.contains(*user_id)) {
            self.seen.insert(user_id.into());
            self.buckets[index].ordering_users += 1;
        }
    }

    /// Writes a row for each bucket, and the total of what adds up.
    pub fn write(&self, file: &mut FileWriter) -> Result<(), FileError> {
        let mut total = Activity::default();
        for (label, bucket) in self.periods.labels().iter().zip(&self.buckets) {
            total.new_users += bucket.new_users;
            total.orders += bucket.orders;
            let counts = [bucket.new_users, bucket.ordering_users, bucket.orders].map(Cell::Int);
            file.row(&[Cell::Text(label), counts[0], counts[1], counts[2]])?;
        }
        file.total(&[
            Cell::Null,
            Cell::Int(total.new_users),
            Cell::Null,
            Cell::Int(total.orders),
        ])
    }
}
