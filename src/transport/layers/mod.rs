//! The middleware of the stack. `stack.rs` has their order and the reasons for it.

mod access_log;
pub mod admission;
pub mod authenticate;
mod call_trace;
pub mod client_network;
mod concurrency_limit;
pub mod cors;
pub mod deadline;
pub mod drain_request_body;
mod forwarded;
pub mod map_tonic_status;
pub mod observe;
pub mod panic;
pub mod request_id;
pub mod waiting;
