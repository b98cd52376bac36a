//! What runs beside the requests, in one list. A task ends when it is asked to stop; one that panics is
//! started again.

use crate::app::App;
use crate::config::Role;
use crate::products::search;
use crate::{dashboard, notifications, oauth, orders, reports};
use platform::http::forget_expired_keys;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Becomes ready when the program is to end.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long a task that panicked rests before it is started again.
const REST: Duration = Duration::from_secs(1);
/// How often what has expired is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Keys removed in one transaction: few enough that no request waits for them.
const SWEEP_MAX: i64 = 500;

/// Starts what belongs to the role of this process.
pub fn spawn(app: &App, stopped: watch::Receiver<bool>) -> JoinSet<()> {
    let mut tasks = Tasks {
        app,
        stopped,
        running: JoinSet::new(),
    };
    tasks.add("tokens and keys", |app, stopped, _| {
        oauth::jobs::run(app, stopped)
    });
    if app.config.role != Role::Api {
        tasks.add("order expiry", |app, stopped, _| {
            orders::jobs::run(app, stopped)
        });
        tasks.add("sales", |app, _, stop| search::follow::run(app, stop));
        tasks.add("notifications", |app, _, stop| {
            notifications::jobs::run(app, stop)
        });
        tasks.add("mail of the dashboard", |app, _, stop| {
            dashboard::jobs::run(app, stop)
        });
        tasks.add("reports", |app, _, stop| reports::jobs::run(app, stop));
        tasks.add("sweeping", |app, _, stop| sweep(app, stop));
    }
    tasks.running
}

/// Ready when `stopped` becomes true.
pub fn stop_of(mut stopped: watch::Receiver<bool>) -> Stop {
    Box::pin(async move {
        let _ = stopped.wait_for(|stopped| *stopped).await; // without a sender nothing can ask any more
    })
}

struct Tasks<'a> {
    app: &'a App,
    stopped: watch::Receiver<bool>,
    running: JoinSet<()>,
}

impl Tasks<'_> {
    fn add<F, T>(&mut self, name: &'static str, run: F)
    where
        F: Fn(App, watch::Receiver<bool>, Stop) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (app, stopped) = (self.app.clone(), self.stopped.clone());
        self.running.spawn(async move {
            loop {
                let stop = stop_of(stopped.clone());
                let Err(error) = tokio::spawn(run(app.clone(), stopped.clone(), stop)).await else {
                    return;
                };
                tracing::error!(%error, task = name, "a task failed and is started again");
                let rest = tokio::time::timeout(REST, stop_of(stopped.clone()));
                if rest.await.is_ok() {
                    return;
                }
            }
        });
    }
}

/// Removes answers that were kept for repeated requests, once their time is over.
async fn sweep(app: App, mut stop: Stop) {
    loop {
        match forget_expired_keys(&app.db, app.clock.now(), SWEEP_MAX).await {
            Ok(removed) if removed >= SWEEP_MAX.unsigned_abs() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "expired idempotency keys were not removed; tried again")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            () = &mut stop => return,
        }
    }
}
