//! What Tradepost stands on and what knows nothing of commerce: the database seam, the event log,
//! jobs, HTTP rules, clock, ids and secrets. The compiler enforces it: this crate cannot name a chapter.

pub mod clock;
pub mod db;
pub mod events;
pub mod http;
pub mod id;
pub mod jobs;
pub mod private;
pub mod secrets;
pub mod telemetry;
