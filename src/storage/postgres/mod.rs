//! PostgreSQL: SeaORM's statements over tokio-postgres.
//!
//! Its connections are pipelined: a statement goes out without waiting for the
//! answers to those before it. So short reads share a few connections, and a change
//! sends what depends on nothing together (see `transaction`). A driver that waits
//! for each answer spends more on waiting than on everything else.

mod address;
mod connection;
mod errors;
mod pool;
mod readers;
mod tls;
mod transaction;
mod turns;
mod unread;
mod values;
mod writes;

pub use address::Address;
pub use connection::Connection;
pub(super) use pool::Pool;
pub(super) use readers::Readers;
pub(super) use transaction::{Transaction, Uncommitted};
pub(super) use writes::Write;
