//! Background tasks.

mod backlog;
mod backoff;
pub mod domains;
pub mod event_lag;
pub mod expiry;
pub mod key_usage;
mod lease;
pub mod mail;
pub mod notices;
mod periodic;
pub mod pruning;
pub mod public_keys;
pub mod removal;
pub mod retention;
pub mod schedule;
pub mod webhooks;
