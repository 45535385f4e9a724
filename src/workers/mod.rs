//! Background tasks.

pub mod event_lag;
pub mod expiry;
pub mod key_usage;
pub mod mail;
mod periodic;
pub mod pruning;
pub mod public_keys;
pub mod removal;
pub mod retention;
