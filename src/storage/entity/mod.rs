//! The tables as SeaORM entities, and the conversion of their rows to domain values.
//!
//! Columns have only the types `i64` (times in microseconds since the Unix epoch), `String`,
//! `bool`, `Uuid` and bytes, which both engines have.

pub mod account;
pub mod api_key;
pub mod audit_event;
pub mod grant;
pub mod invite;
pub mod join_request;
pub mod member;
pub mod notice;
pub mod organization;
pub mod organization_domain;
pub mod outbox;
pub mod removal;
pub mod request;
pub mod setting;
pub mod webhook;
pub mod webhook_delivery;

use std::str::FromStr;

use crate::domain::Attributes;
use crate::error::{Error, Result};

/// The due time of a row that is never due, in columns that are sorted by time.
pub const NEVER: i64 = i64::MAX;

/// Parses the value of a text column. Values are checked before they are stored, so an error means
/// a bug in this program, or a row that was edited by hand.
pub(super) fn stored<T>(column: &str, text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e| Error::internal(format!("column {column}: {e}")))
}

/// The values of the columns `metadata` and `external_id`.
pub(super) fn attributes(metadata: Option<&str>, external_id: Option<&str>) -> Result<Attributes> {
    let metadata = metadata.map(|json| stored("metadata", json)).transpose()?;
    let external_id = external_id.map(|id| stored("external_id", id)).transpose()?;
    Ok(Attributes { metadata: metadata.unwrap_or_default(), external_id })
}
