//! Tradepost: the commerce backend of an e-commerce company in one binary. The modules, in reading
//! order, are the chapters of the API reference after what they stand on.

pub mod address;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod metadata;
pub mod migrations;
pub mod money;
pub mod openapi;
pub mod operations;
pub mod router;
pub mod sent_back;
pub mod tasks;
pub mod telemetry;
pub mod text;

pub mod import;
pub mod integrations;
pub mod notifications;
pub mod oauth;
pub mod orders;
pub mod products;
pub mod reports;
pub mod users;

pub mod dashboard;
pub mod docs;
