//! GitBook's contract: email invitations, invite links, and joining with them.

pub mod error;
mod links;
mod model;
mod requests;
mod roles;
mod routes;

pub use routes::routes;
