//! GitBook's contract: invitations by mail, invite links, and joining by them.

pub mod error;
mod links;
mod model;
mod requests;
mod roles;
mod routes;

pub use routes::routes;
