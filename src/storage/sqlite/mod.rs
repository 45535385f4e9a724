//! SQLite inside the process, by rusqlite.
//!
//! sqlx passes each statement of SQLite to a thread, which costs several times as much as
//! the statement. Here a statement that reads runs on the caller's thread; one thread runs
//! the changes (`storage/write/sqlite.rs`).

mod connection;
mod copy;
mod files;
mod lists;
mod readers;

pub use connection::Connection;
pub use copy::Rows;
pub(super) use copy::{check, detach};
pub(super) use files::Files;
pub(super) use readers::Readers;
