//! What happens to orders by itself: unpaid ones give their stock back when their hold ends.

use super::{moves, store};
use crate::app::App;
use crate::error::Result;
use std::time::Duration;
use tokio::sync::watch;

/// How late an expired order may be noticed.
const EVERY: Duration = Duration::from_secs(5);
/// Orders looked up at a time.
const BATCH: i64 = 100;

/// Expires orders until `stop` becomes true.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(problem) = expire_due(&app).await {
            tracing::error!(
                code = problem.code().code,
                ?problem,
                "expired orders could not be cancelled; tried again"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Cancels the orders whose hold is over, each in its own transaction; returns how many.
pub async fn expire_due(app: &App) -> Result<usize> {
    let now = app.clock.now();
    let mut cancelled = 0;
    loop {
        let due = store::expired(&mut app.db.read().await?, now, BATCH).await?;
        for id in &due {
            let id = id.clone();
            if app
                .db
                .write(async move |tx| moves::expire(tx, &id, now).await)
                .await?
            {
                cancelled += 1;
            }
        }
        if due.is_empty() {
            break;
        }
    }
    if cancelled > 0 {
        app.nudge.send();
    }
    Ok(cancelled)
}
