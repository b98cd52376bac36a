//! `/v2/integrations`: what this server can be connected with, as it really is. Nothing is listed that
//! does not work; settings are made where the server is started, not here.

pub mod api;
pub mod integration;

pub use integration::Integration;
