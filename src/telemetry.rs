//! What the program tells about itself on standard error: text for a person at a terminal, JSON lines
//! for everyone else. The line of each request goes to standard output, see [`platform::http::Stack`].

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Starts logging what passes `filter` (`info`, or `info,tradepost::oauth=debug`). A second start in
/// the same process changes nothing.
pub fn start(filter: &str) {
    let filter = EnvFilter::new(filter); // checked with the other settings
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when a subscriber is set already.
    let _ = if std::io::stderr().is_terminal() {
        builder.try_init().is_ok()
    } else {
        builder.json().flatten_event(true).try_init().is_ok()
    };
}
