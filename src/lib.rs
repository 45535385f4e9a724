//! Guestlist: organizations, their members and invites.
//!
//! # Modules
//!
//! | module | content |
//! |---|---|
//! | [`app`] | the composition root: builds the store, the operations, the server and the workers from the settings |
//! | [`transport`] | connections, layers (middleware), protocols, and one thin method for each RPC |
//! | [`operations`] | one file for each operation, with the RPC's name |
//! | [`auth`] | authenticates API keys and JSON Web Tokens |
//! | [`storage`] | SQLite and PostgreSQL; the only module that uses SeaORM |
//! | [`domain`] | value types and business rules, without I/O |
//! | [`workers`] | background tasks |
//! | [`mail`] | mail templates, and sending by SMTP or to files |
//! | [`webhooks`] | signs and sends events to endpoints, and checks where it may send |
//! | [`dns`] | reads TXT records |
//! | [`config`] | the settings; `default.toml` is their reference |
//! | [`limits`] | rate limits, counted by each server process |
//! | [`keyring`], [`certificates`], [`clock`], [`error`], [`proto`], [`telemetry`] | shared utilities |
//! | [`cli`] | the command line |
//!
//! Dependencies point one way: transport → operations → auth → storage → domain. Only
//! [`app`] and [`cli`] use transport, and domain uses no other module. The test
//! `tests/it/layers.rs` reads the sources and enforces this.

pub mod app;
pub mod auth;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dns;
pub mod domain;
pub mod error;
pub mod keyring;
pub mod limits;
pub mod mail;
pub mod operations;
pub mod proto;
pub mod storage;
pub mod telemetry;
pub mod transport;
pub mod webhooks;
pub mod workers;
