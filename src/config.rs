//! Settings. Flags win over the environment, the environment over `tradepost.toml`, the file over
//! the defaults.

use platform::secrets::Secret;
use std::path::PathBuf;

/// Every setting, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// `address:port` to listen on; port 0 takes a free one.
    pub listen: String,
    /// Where the embedded database, the search index and the master key live.
    pub data_dir: PathBuf,
    /// `postgres://…` for PostgreSQL; `None` for the embedded SQLite.
    pub database_url: Option<String>,
    /// 64 hexadecimal digits that encrypt the signing keys; all nodes on one database need the same.
    /// `None` for the file `master.key` in the data directory, made when it is missing.
    pub master_key: Option<Secret<String>>,
    /// The URL under which clients reach this server, without a slash at its end: issuer of the
    /// access tokens and base of all links.
    pub public_url: String,
    /// Requests per second for each client, with a burst of twice that; 0 is no limit.
    pub rate_limit_per_second: u32,
    /// Life of an access token, 60 to 86,400 seconds.
    pub access_token_ttl_seconds: u32,
    /// `smtp://user:password@host:port` for email; `None` when no mailer is set.
    pub smtp_url: Option<String>,
    /// The sender of email, such as `Shop <shop@example.com>`.
    pub mail_from: String,
    /// Whether `POST /v2/orders` must carry an `Idempotency-Key`.
    pub require_idempotency_key: bool,
    /// Minutes that an unpaid order holds its stock when the request does not say.
    pub order_hold_minutes: u32,
    /// Whether each request is logged on standard output.
    pub log_requests: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: "127.0.0.1:8080".into(),
            data_dir: "./tradepost-data".into(),
            database_url: None,
            master_key: None,
            public_url: "http://127.0.0.1:8080".into(),
            rate_limit_per_second: 100,
            access_token_ttl_seconds: 3_600,
            smtp_url: None,
            mail_from: "Tradepost <tradepost@localhost>".into(),
            require_idempotency_key: false,
            order_hold_minutes: 60,
            log_requests: true,
        }
    }
}
