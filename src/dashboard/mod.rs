//! `/dashboard`: what people see of the shop. Server-rendered pages that work without JavaScript.
//!
//! - [`routes`]: one line per page, each with the least role that it needs.
//! - [`guard`]: what stands before every page: session, role, the origin of forms; and what every answer carries.
//! - [`forms`]: how forms are taken, and once where twice would do harm.
//! - [`confirm`]: asks for the password again before what matters most.
//! - [`visit`]: who looks, and what their forms must prove.
//! - [`jobs`]: mail with one-time links.
//! - [`second`], [`totp`]: codes after the password.
//! - [`passkeys`]: signing in without one.
//! - [`staff`], [`role`], [`throttle`], [`fields`]: rules without I/O.
//! - [`edited`], [`wrong`]: forms over what others change too, and what is wrong with them.
//! - [`deed`], [`actors`]: what the audit log says, and who did it.
//! - [`views`]: the tabs over lists.
//! - [`frame`], [`show`], [`chart`]: how pages look; their text is in `templates/`, their style in `assets/`.
//!
//! What a page changes it changes by the same functions as the API and the command line.

pub mod accounts;
pub mod actors;
pub mod api;
pub mod assets;
pub mod bulk;
pub mod chart;
pub mod confirm;
pub mod deed;
pub mod edited;
pub mod fields;
pub mod figures;
pub mod forms;
pub mod frame;
pub mod guard;
pub mod jobs;
pub mod multipart;
pub mod passkeys;
pub mod password;
pub mod product_form;
pub mod qr;
pub mod requests;
pub mod role;
pub mod routes;
pub mod second;
pub mod show;
pub mod staff;
pub mod store;
pub mod throttle;
pub mod totp;
pub mod views;
pub mod visit;
pub mod wrong;

pub use guard::CONTENT_SECURITY_POLICY;
pub use role::Role;
pub use routes::{Needs, router, routes};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use platform::http::Recent;
use platform::secrets::{MasterKey, Secret};
use std::sync::Arc;

/// What the chapter keeps in memory; one for the process.
#[derive(Debug)]
pub struct Dashboard {
    pub throttle: throttle::Throttle,
    /// The last requests to this process.
    pub requests: Recent,
    pub tails: api::tail::Tails,
    /// Wrong codes of devices, by who typed them.
    pub device_throttle: throttle::Throttle,
    /// Seals what is stored of second factors, and what browsers keep for us.
    pub seal: Arc<MasterKey>,
    /// For what site passkeys are made; none where browsers offer none.
    pub site: Option<passkeys::Site>,
}

impl Dashboard {
    /// For the server that is reached at `public_url`.
    pub fn new(master: &MasterKey, public_url: &str) -> Dashboard {
        Dashboard {
            throttle: throttle::Throttle::default(),
            requests: Recent::default(),
            tails: api::tail::Tails::default(),
            device_throttle: throttle::Throttle::default(),
            seal: Arc::new(MasterKey::new(&master.derive("dashboard"))),
            site: passkeys::Site::at(public_url),
        }
    }

    /// What the forms of a session are bound to. It stays the same when the session goes on under another token: forms
    /// that are open in other tabs then are still taken.
    pub fn form_key(&self, session: &staff::Session) -> Secret<String> {
        let key = self.seal.derive(&format!("forms of {}", session.id));
        Secret::new(BASE64.encode(key))
    }
}

/// What to say at the start about a `public_url` under which browsers refuse the dashboard's cookies; nothing
/// when all is well. They keep a `Secure` cookie over HTTPS, and over HTTP from the machine itself.
pub fn cookie_warning(public_url: &str) -> Option<String> {
    let rest = public_url.strip_prefix("http://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let own = host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    (!own).then(|| {
        format!(
            "Nobody can sign in to the dashboard at {public_url}: over plain HTTP browsers keep its cookie only on the \
            machine itself. Put HTTPS in front and set --public-url https://…, or open it by an SSH tunnel.\n"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::cookie_warning;

    #[test]
    fn plain_http_from_elsewhere_is_warned_of() {
        for fine in [
            "https://shop.example.com",
            "http://127.0.0.1:8080",
            "http://localhost:80",
            "http://[::1]:9",
        ] {
            assert_eq!(cookie_warning(fine), None, "{fine}");
        }
        for refused in [
            "http://shop.example.com",
            "http://192.168.1.7:8080",
            "http://[fd00::1]",
        ] {
            assert!(cookie_warning(refused).is_some(), "{refused}");
        }
    }
}
