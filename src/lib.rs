//! Guestlist.

pub mod clock;
pub mod config;
pub mod domain;
pub mod error;
pub mod keyring;
pub mod proto;
pub mod storage;
