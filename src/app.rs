//! What every handler holds.

use crate::config::Config;
use crate::oauth::OAuth;
use platform::clock::Clock;
use platform::db::{Db, Tx};
use platform::events::Nudge;
use platform::http::{CursorKey, Once, Problem, Reply};
use std::ops::Deref;
use std::sync::Arc;

/// The running program. Cloning it is cheap.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What [`App`] is made of.
pub struct Parts {
    pub db: Db,
    pub clock: Clock,
    pub config: Config,
    pub oauth: OAuth,
    /// Authenticates list cursors.
    pub cursors: CursorKey,
    /// Wakes followers and workers after a commit.
    pub nudge: Nudge,
}

impl App {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> App {
        App(Arc::new(parts))
    }

    /// Runs a write request once (see [`Once::run`]) and wakes who follows the event log.
    pub async fn write_once<F>(&self, once: Once, work: F) -> Result<Reply, Problem>
    where
        F: AsyncFnOnce(&mut Tx) -> Result<Reply, Problem> + Send + 'static,
    {
        let reply = once.run(&self.db, self.clock.now(), work).await?;
        self.nudge.send();
        Ok(reply)
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}
