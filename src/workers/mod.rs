//! What runs beside the requests.

mod every;
pub mod expiry;
pub mod key_usage;
pub mod mail;
pub mod pruning;
pub mod public_keys;
pub mod removal;
