//! `/oauth/*`: who may call, and with which rights.
//!
//! The chapter's rules are pure and take `now` as an argument:
//! - [`scope`]: what a caller may do.
//! - [`client`]: who a caller is: identifiers, secrets, addresses.
//! - [`key`]: signing keys, their life and their public halves.
//! - [`token`]: access tokens: issuing, verifying, revoking.
//!

pub mod client;
pub mod key;
pub mod revocation;
pub mod scope;
pub mod token;
