//! What the chapter does by itself: it follows revocations and keys, and writes down what was noted.

use super::dynamic;
use crate::app::App;
use std::fmt::Display;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A revoked token is dead on every node within a second: half of it is for looking.
const REFRESH_EVERY: Duration = Duration::from_millis(500);
/// Looks between two writes of the noted uses of secrets: 10 s.
const WRITE_USES_EVERY: u64 = 20;
/// Looks between two rounds of forgetting proofs that have expired: 1 min.
const FORGET_PROOFS_EVERY: u64 = 120;
/// Looks between two rounds of key rotation and clearing up: 5 min.
const ROTATE_EVERY: u64 = 600;

/// Looks after tokens, secrets and keys until `stop` becomes true.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let mut preparing: Option<JoinHandle<()>> = None;
    for look in 1_u64.. {
        tokio::select! {
            () = tokio::time::sleep(REFRESH_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        let (oauth, db, now) = (&app.oauth, &app.db, app.clock.now());
        warn("follow revocations and keys", oauth.refresh(db, now).await);
        // An RSA key may take longer to make than a revocation may wait.
        if preparing.as_ref().is_none_or(JoinHandle::is_finished) {
            let app = app.clone();
            preparing = Some(tokio::spawn(async move {
                let prepared = app.oauth.prepare_keys(&app.db, app.clock.now());
                warn("make signing keys", prepared.await);
            }));
        }
        if look % WRITE_USES_EVERY == 0 {
            warn("write the last use of secrets", oauth.write_uses(db).await);
        }
        if look % FORGET_PROOFS_EVERY == 0 {
            warn("forget used proofs", oauth.forget_proofs(db, now).await);
        }
        if look % ROTATE_EVERY == 0 {
            warn("rotate the signing keys", oauth.rotate_keys(db, now).await);
            warn("clear up", oauth.forget_expired(db, now).await);
            let forgotten = dynamic::forget_unused(&app, now).await;
            warn("forget unused clients", forgotten);
        }
    }
    warn(
        "write the last use of secrets",
        app.oauth.write_uses(&app.db).await,
    );
}

/// A failure here is no request's: it is logged, and the next look tries again.
fn warn<E: Display>(what: &'static str, outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "oauth could not {what}; tried again later");
    }
}
