//! Turns a panic into INTERNAL in the protocol of the client. The panic hook (`telemetry`) logs the
//! text of the panic; the client never sees it.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::error::{Error, Kind};
use crate::transport::call::CallInfo;
use crate::transport::middleware::{Handler, Middleware, Next};
use crate::transport::refuse::refuse;
use crate::transport::{Request, Response};

pub struct CatchPanic;

impl Middleware for CatchPanic {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let call = CallInfo::of(&request);
        // Unwind safe: the future is dropped right after a panic, so no code uses its state.
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => refuse(&call, Error::new(Kind::Internal, "internal error")),
        }
    }
}
