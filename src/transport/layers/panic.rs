//! A panic is answered as INTERNAL in the caller's own protocol. Its text goes
//! to the log through the panic hook (`telemetry`), never to the client.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind};
use crate::transport::protocol::CallInfo;
use crate::transport::{Request, Response};

/// See the module.
pub struct CatchPanic;

impl Middleware for CatchPanic {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        // The future is dropped right after a panic, so nothing sees what the
        // unwinding may have left half done.
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => call.refuse(Error::new(Kind::Internal, "internal error")),
        }
    }
}
