//! For each fuzz target: what it does with an input, and what must hold then. `cargo test`
//! replays the stored inputs through these same functions.

pub mod connect;
pub mod credential;
pub mod http_request;
pub mod json;
pub mod page_token;
pub mod timeout;

mod answer;
mod disk;
mod fixture;

pub use fixture::Fixture;
