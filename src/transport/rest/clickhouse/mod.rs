//! ClickHouse Cloud's contract: invitations by mail, and the organizations they
//! are to.

pub mod error;
mod model;
mod roles;
mod routes;

pub use routes::routes;
