//! `/oauth/*`: who may call, and with which rights.
//!
//! The chapter's rules are pure and take `now` as an argument:
//! - [`scope`]: what a caller may do.
//! - [`client`]: who a caller is: identifiers, secrets, addresses.
//! - [`request`] and [`error`]: what the endpoints read and how they refuse.
//! - [`assertion`]: clients that sign instead of showing a secret; [`jwk`] and [`proof`]: their keys, and what
//!   they may show once.
//! - [`dpop`]: tokens that are bound to a key of their holder.
//! - [`key`]: signing keys, their life and their public halves.
//! - [`token`]: access tokens: issuing, verifying, revoking.
//! - [`introspection`]: who may ask whether a token is alive.
//! - [`revocation`]: tokens that died before their time.
//! - [`throttle`]: guessing, slowed down.
//! - [`mint`]: short tokens for the forms of the API reference.
//! - [`admin`]: what an operator does with clients.
//! - [`flows`]: what people let clients do for them: codes, refresh tokens.
//!
//! A further grant is a variant of [`request::GrantType`], a further way to prove who the client is a
//! variant of [`request::Method`]; tokens are issued the same way for all of them.
//!
//! [`OAuth`] holds what is asked at every request; [`guard`] stands before every endpoint of `/v2`.

pub mod admin;
pub mod api;
pub mod assertion;
pub mod client;
pub mod dpop;
pub mod dynamic;
pub mod error;
pub mod flows;
pub mod guard;
pub mod introspection;
pub mod jobs;
pub mod jwk;
pub mod key;
mod memory;
pub mod mint;
pub mod proof;
pub mod request;
pub mod revocation;
pub mod scope;
pub mod store;
pub mod throttle;
pub mod token;

pub use admin::{
    AdminError, ListedClient, ListedSecret, NewClient, OVERLAP_DEFAULT, OVERLAP_MAX, bind_client,
    create_client, create_signing_client, end_of_secret, list_clients, revoke_client,
    rotate_secret, set_keys,
};
pub use guard::Caller;
pub use memory::{OAuth, OpenError, has_signing_keys};
pub use scope::{Scope, Scopes};
