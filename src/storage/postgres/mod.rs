//! PostgreSQL, by tokio-postgres.
//!
//! Its connections are pipelined: a statement is sent before the results of earlier ones arrive. So
//! short reads share a few connections, and a change sends statements that do not depend on each
//! other together (see `transaction`). A driver that waits for each result spends more time on
//! waiting than on everything else.

mod address;
mod checks;
mod connection;
mod epoch;
mod errors;
mod pool;
mod preparing;
mod readers;
mod tls;
mod transaction;
mod unread;

pub use address::Address;
pub use connection::Connection;
pub(super) use epoch::{RAISE_EPOCH, SETTLED};
pub(super) use pool::{Exclusive, Pool};
pub(super) use readers::Readers;
pub(super) use transaction::Transaction;
