//! ClickHouse Cloud's contract: invitations by mail, and the organizations they
//! are to.

pub mod error;
mod model;
mod routes;

pub use routes::routes;
