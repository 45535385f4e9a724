//! What is done with the bytes of each fuzz target, and what must hold then. The
//! kept inputs are replayed by `cargo test` through these same functions.

pub mod connect;
pub mod credential;
pub mod http_request;
pub mod json;
pub mod page_token;
pub mod timeout;

mod answer;
mod disk;
mod world;

pub use world::World;
