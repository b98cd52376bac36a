//! `tradepost serve`: opens everything, says where it listens, and ends gracefully.

use super::{Failure, print};
use crate::app::{App, place};
use crate::config::{Config, Role, Settings, Source};
use crate::router;
use crate::{dashboard, demo, tasks};
use platform::clock::Clock;
use platform::http::{bind, serve};
use platform::private;
use std::fs::File;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long tasks may take to finish what they have begun, once no request is running any more.
const TASKS_TIME: Duration = Duration::from_secs(10);

pub(super) async fn run(settings: Settings) -> Result<ExitCode, Failure> {
    platform::telemetry::metrics(); // before anything is counted
    let own_url = settings.source("public_url") == Source::Default;
    let mut config = settings.config;
    let _lock = lock(&config)?;
    let listener = match config.role {
        Role::Worker => None,
        Role::All | Role::Api => Some(bind(&config.listen).await?),
    };
    let url = match &listener {
        Some(listener) => Some(local_url(&config.listen, listener.local_addr()?)),
        None => None,
    };
    if let (true, Some(url)) = (own_url, &url) {
        config.public_url.clone_from(url);
    }
    let signals = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let app = App::start(config, Clock::system()).await?;
    let sample = match (app.config.demo, &url) {
        (true, Some(url)) => demo::fill(&app, url).await?,
        _ => String::new(),
    };
    announce(&app, url.as_deref());
    print(format_args!("{sample}"));
    if let Some(url) = &url {
        welcome(&app, url).await?;
    }
    work(&app, listener, signals).await;
    Ok(ExitCode::SUCCESS)
}

/// Answers and works until a signal comes; a second one ends the program at once.
async fn work(app: &App, listener: Option<TcpListener>, signals: (Signal, Signal)) {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let (mut terminate, mut interrupt) = signals;
        for last in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if last {
                std::process::exit(1);
            }
            tracing::info!("stopping: running requests are finished first");
            stop.send_replace(true);
        }
    });
    let mut tasks = tasks::spawn(app, stopped.clone());
    match listener {
        Some(listener) => {
            let log: Option<Box<dyn std::io::Write + Send>> = match app.config.log_requests {
                true => Some(Box::new(std::io::stdout())),
                false => None,
            };
            let stack = router::stack(app, log);
            serve(listener, stack, tasks::stop_of(stopped)).await;
        }
        None => tasks::stop_of(stopped).await,
    }
    let finish = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(TASKS_TIME, finish).await.is_err() {
        tracing::warn!("some tasks were still running after 10 s and were cut off");
    }
}

/// The first line, by which people and programs learn the port.
fn announce(app: &App, url: Option<&str>) {
    let doing = url.map_or("working".to_owned(), |url| format!("listening on {url}"));
    print(format_args!(
        "Tradepost {} {doing} ({}, {})\n",
        env!("CARGO_PKG_VERSION"),
        app.db.engine_name(),
        place(&app.config)
    ));
}

/// The way into the dashboard, as long as nobody has an account; and why nobody could sign in, if so. The link is
/// printed only: a log would keep it.
async fn welcome(app: &App, url: &str) -> Result<(), Failure> {
    if let Some(warning) = dashboard::cookie_warning(&app.config.public_url) {
        print(format_args!("{warning}"));
    }
    let link = dashboard::accounts::setup_link(&app.db, app.clock.now()).await?;
    if let Some(link) = link {
        let address = link.address(match dashboard::cookie_warning(&app.config.public_url) {
            Some(_) => url,
            None => &app.config.public_url,
        });
        print(format_args!(
            "Set up the shop and its dashboard (this link works once, for 24 hours):\n\n  {address}\n\n"
        ));
    }
    Ok(())
}

/// The URL of this server on its own machine: the host as it was asked for, the port as it was given.
fn local_url(listen: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1",
        _ => listen.rsplit_once(':').map_or(listen, |(host, _)| host),
    };
    format!("http://{host}:{}", address.port())
}

/// Keeps a second server off the embedded database. The lock ends with the process, however it ends.
fn lock(config: &Config) -> Result<Option<File>, Failure> {
    if config.database_url.is_some() {
        return Ok(None);
    }
    if config.role != Role::All {
        return Err(Failure::usage(
            "a role other than `all` needs --database-url: the embedded database belongs to one process",
        ));
    }
    let folder = &config.data_dir;
    let shown = folder.display();
    let unwritable = |error| {
        Failure::new(format!(
            "the data directory {shown} cannot be written: {error}"
        ))
    };
    private::create_folder(folder).map_err(unwritable)?;
    let file = private::open_or_create(&folder.join("tradepost.lock")).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::new(format!(
            "another Tradepost serves {shown} already: several servers share one PostgreSQL, not one folder"
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::local_url;

    #[test]
    fn the_url_has_the_real_port_and_a_host_that_can_be_called() {
        for (listen, address, url) in [
            ("127.0.0.1:0", "127.0.0.1:4711", "http://127.0.0.1:4711"),
            ("localhost:80", "127.0.0.1:80", "http://localhost:80"),
            ("0.0.0.0:8080", "0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::1]:0", "[::1]:9", "http://[::1]:9"),
        ] {
            assert_eq!(local_url(listen, address.parse().unwrap()), url);
        }
    }
}
