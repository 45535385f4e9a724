//! SQLite inside the process, by rusqlite.
//!
//! sqlx passes each statement of SQLite to a thread, which costs several times as much as
//! the statement. Here a statement that reads runs on the caller's thread, and one thread
//! writes all changes that have arrived as one group.

mod connection;
mod files;
mod lists;
mod readers;
mod writer;

pub use connection::Connection;
pub(super) use files::Files;
pub(super) use readers::Readers;
pub(super) use writer::Writer;
