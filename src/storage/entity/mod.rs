//! The tables as SeaORM entities, and their rows as values of the domain.
//!
//! Columns are `i64` (moments as microseconds since the epoch), `String`, `bool`,
//! `Uuid` and bytes, and nothing else, so that both engines agree on them.

pub mod account;
pub mod api_key;
pub mod audit_event;
pub mod grant;
pub mod invite;
pub mod member;
pub mod organization;
pub mod outbox;
pub mod removal;
pub mod request;
pub mod setting;

use std::str::FromStr;

use crate::error::{Error, Result};

/// Reads a text column into its type. What a row holds was checked when it was
/// written, so anything else is a fault of ours (or somebody's editing).
pub(super) fn stored<T>(column: &str, text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e| Error::internal(format!("column {column}: {e}")))
}
