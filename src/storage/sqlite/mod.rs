//! SQLite inside the process: SeaORM's statements over rusqlite.
//!
//! sqlx hands every statement of SQLite to a thread, which costs several times
//! what the statement does. Here a reader runs where it is asked, and one thread
//! writes whatever has come together as one group.
//!
//! The row and result types of SeaORM's feature `proxy` are how values get into it,
//! here and in [`postgres`](super::postgres).

mod connection;
mod errors;
mod lists;
mod place;
mod readers;
mod values;
mod writer;

pub use connection::Connection;
pub(super) use place::Place;
pub(super) use readers::Readers;
pub(super) use writer::Writer;
