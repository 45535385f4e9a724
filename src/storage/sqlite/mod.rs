//! SQLite inside the process: SeaORM's statements over rusqlite.
//!
//! sqlx hands every statement of SQLite to a thread, which costs several times
//! what the statement does. Here a reader runs where it is asked, and one thread
//! writes whatever has come together as one group.
//!
//! The only user of SeaORM's feature `proxy`: its row and result types are how
//! values get into SeaORM, and its connection runs the migrations. Nothing is
//! written through that connection's own transactions, whose COMMIT answers
//! nothing.

mod connection;
mod errors;
mod migrator;
mod readers;
mod values;
mod writer;

pub use connection::Connection;
pub(super) use migrator::database_connection;
pub(super) use readers::Readers;
pub(super) use writer::Writer;
