//! Tests Guestlist from outside: one test binary, which runs the real server in the same process.
//!
//! `support/` has the harness: databases, people, and a client for each protocol
//! behind one trait. A test with a property in its name (`p07_…`) checks that property.

mod bounds;
mod layers;
mod matrix;
mod support;

mod auth;
mod cli;
#[cfg(target_os = "linux")]
mod durability;
mod expiry;
mod fuzz;
#[cfg(target_os = "linux")]
mod hostile;
mod joining;
mod lifecycle;
mod limits;
mod mail;
mod protocols;
mod rest;
mod rpc;
mod settings_page;
mod storage;
mod tls;
mod trail;
mod webhooks;
