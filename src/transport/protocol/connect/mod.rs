//! Connect: each call becomes one tonic call. The `connectrpc` crate has the errors,
//! codecs and packing. Its service is not used: there a stream's trailers are fixed
//! before its first message, and its way around ours is as long as ours.
//!
//! Nothing here knows what an organization is; methods and messages come from
//! the descriptors.

pub mod error;

mod query;
mod stream;
mod unary;

use std::sync::Arc;

use connectrpc::CodecFormat;
use http::HeaderName;

use super::transcode::Transcode;
use super::{CallInfo, Protocol, message_bound};
use crate::transport::Request;
use crate::transport::layers::{BoxFuture, Handler, deadline};

const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// Connect in front of a tonic service.
pub struct Connect<S> {
    rpc: S,
    json: Transcode<S>,
    max_request_bytes: usize,
}

impl<S: Handler> Connect<S> {
    /// See the module. `max_request_bytes` bounds a message on the wire and after
    /// decompression.
    pub fn new(rpc: S, max_request_bytes: usize) -> Self {
        Self { json: Transcode::new(rpc.clone(), max_request_bytes), rpc, max_request_bytes }
    }

    /// Answers one call of a method.
    pub fn run(&self, call: Arc<CallInfo>, mut request: Request) -> BoxFuture {
        deadline::connect_as_grpc(request.headers_mut());
        let limit = message_bound(&request, self.max_request_bytes);
        let rpc = self.rpc.clone();
        match call.protocol {
            Protocol::ConnectStream(CodecFormat::Json) => {
                let json = self.json.clone();
                Box::pin(async move { Ok(stream::run(json, request).await) })
            }
            Protocol::ConnectStream(_) => {
                Box::pin(async move { Ok(stream::run(rpc, request).await) })
            }
            _ => Box::pin(async move { Ok(unary::run(rpc, call, request, limit).await) }),
        }
    }
}
