//! Behaviour from outside, over HTTP, by the reference's own words. One binary; each test has a fresh
//! database: SQLite in a temporary folder, or PostgreSQL when `TEST_DATABASE_URL` names a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test may stop at once, and tells its story from beginning to end"
)]

mod app;
mod program;

mod cli;
mod contract;
mod dashboard;
mod doctor;
mod durability;
mod examples;
mod hostile;
mod import;
mod integrations;
mod inventory;
mod jobs;
mod notifications;
mod oauth;
mod operations;
mod order_changes;
mod order_explain;
mod order_lists;
mod orders;
mod products;
mod recorded;
mod reference;
mod reports;
mod search;
mod smoke;
mod users;
