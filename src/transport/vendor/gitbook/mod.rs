//! GitBook's contract: invitations by mail, invite links, and joining by them.

pub mod error;
mod model;
mod requests;
mod routes;

pub use routes::routes;
