//! What runs beside the requests.

pub mod key_usage;
pub mod mail;
