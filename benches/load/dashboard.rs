//! The first page of the dashboard, as its owner sees it.

use crate::client::request;
use std::path::Path;
use tradepost::app::open_database;
use tradepost::config::Config;
use tradepost::dashboard::accounts::{self, Setup};
use tradepost::dashboard::staff::Shop;
use tradepost::dashboard::store::Device;
use tradepost::dashboard::visit::{SESSION_COOKIE, token_hash};

/// The page, asked for in a session of its own. The shop gets its owner without a browser.
pub async fn first_page(dir: &Path, url: Option<&str>) -> Vec<u8> {
    let config = Config {
        data_dir: dir.to_owned(),
        database_url: url.map(str::to_owned),
        ..Config::default()
    };
    let db = open_database(&config).await.expect("the database");
    let now = platform::clock::Clock::system().now();
    let link = accounts::setup_link(&db, now).await.expect("a link");
    let address = link.expect("nobody has an account").address("");
    let token = address.split("token=").nth(1).unwrap_or_default();
    let link_hash = token_hash(token).expect("a token");
    let setup = Setup {
        email: "owner@example.com".to_owned(),
        password_hash: "nobody signs in with it".to_owned(),
        shop: Shop::default(),
    };
    let device = Device {
        user_agent: "bench".to_owned(),
        address: "127.0.0.1".to_owned(),
    };
    let made = db
        .write(async move |tx| accounts::set_up(tx, &link_hash, &setup, &device, now).await)
        .await
        .expect("the shop is set up");
    let cookie = format!("cookie: {SESSION_COOKIE}={}\r\n", made.session.expose());
    request("GET", "/dashboard", None, &cookie, "")
}
