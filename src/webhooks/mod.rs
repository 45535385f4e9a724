//! Sends events to endpoints. The worker passes the message and the URL to this module, decides
//! when to send, and handles the result.
//!
//! A request has the headers and the body of Standard Webhooks 1.0
//! (<https://www.standardwebhooks.com>), and the headers of the binary mode of CloudEvents.

mod address;
mod message;
mod secret;
mod sender;
mod target;

pub use address::AllowedAddresses;
pub use message::Message;
pub use secret::Secret;
pub use sender::{Attempt, Lookup, Sender, TIMEOUT, system_lookup};
pub use target::Targets;
