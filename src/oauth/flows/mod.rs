//! The flows in which a person lets an app act for them.
//!
//! - [`registration`] and [`redirect`]: what a client may do here, and where its users are sent back to.
//! - [`authorize`] and [`pkce`]: what an app asks for when it sends somebody to `/oauth/authorize`.
//! - [`grant`]: what was allowed, by whom and for how long; the texts of codes and refresh tokens.
//! - [`device`]: devices without a browser, let in from elsewhere.
//! - [`exchange`]: codes and refresh tokens become access tokens.
//! - [`revoke`]: what ends a grant before its time.
//! - [`cap`]: no app may do more than the person it acts for.
//!
//! The pages on which people decide are those of the dashboard (`dashboard::api::authorize`).

pub mod authorize;
pub mod cap;
pub mod device;
pub mod exchange;
pub mod grant;
pub mod pkce;
pub mod redirect;
pub mod registration;
pub mod revoke;
pub mod store;
