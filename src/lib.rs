//! Guestlist: organizations, their members and the invites that bring people in.
//!
//! # The house
//!
//! | room | what is in it |
//! |---|---|
//! | [`app`] | the composition root: settings → store, keys, operations → server and workers |
//! | [`transport`] | the door: connections, layers, protocols, one thin method an RPC |
//! | [`operations`] | what the service does: one file an operation, named as the RPC |
//! | [`auth`] | who asks: API keys and JSON Web Tokens → a caller |
//! | [`storage`] | the store, and the only home of SeaORM |
//! | [`domain`] | the vocabulary and the rules: pure values |
//! | [`workers`] | what runs beside the requests |
//! | [`mail`] | what mails say, and how they get away |
//! | [`config`] | the settings; `default.toml` is their reference |
//! | [`limits`] | how often something may be done, counted in this process |
//! | [`keyring`], [`certificates`], [`clock`], [`error`], [`proto`], [`telemetry`] | small things many rooms use |
//! | [`cli`] | the command line |
//!
//! One way down: transport → operations → auth → storage → domain. Nobody knows
//! transport but the composition root, and the domain knows nobody. A test reads
//! the sources and keeps it so (`tests/it/layers.rs`).

pub mod app;
pub mod auth;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
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
pub mod workers;
