//! Connect: each call becomes one tonic call. Errors, codecs and compression come from the
//! `connectrpc` crate. Its service is not used: it fixes the trailers of a stream before the first
//! message, and adapting it to tonic takes as much code as this module.

pub mod error;
mod message;
mod query;
pub mod stream;
mod unary;

use std::sync::Arc;

use connectrpc::CodecFormat;
use http::HeaderName;

use super::timeout;
use super::transcode::Transcode;
use crate::transport::Request;
use crate::transport::call::{CallInfo, Protocol, max_message_bytes};
use crate::transport::middleware::{BoxFuture, Handler};

const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// Translates Connect's calls for a tonic service.
pub struct Connect<S> {
    rpc: S,
    json: Transcode<S>,
    max_request_bytes: usize,
}

impl<S: Handler> Connect<S> {
    /// `max_request_bytes` bounds a message, before and after decompression.
    pub fn new(rpc: S, max_request_bytes: usize) -> Self {
        Self { json: Transcode::new(rpc.clone(), max_request_bytes), rpc, max_request_bytes }
    }

    pub fn run(&self, call: Arc<CallInfo>, mut request: Request) -> BoxFuture {
        timeout::connect_as_grpc(request.headers_mut());
        let max_bytes = max_message_bytes(&request, self.max_request_bytes);
        let rpc = self.rpc.clone();
        match call.protocol {
            Protocol::ConnectStream(CodecFormat::Json) => {
                let json = self.json.clone();
                Box::pin(async move { Ok(stream::run(json, request).await) })
            }
            Protocol::ConnectStream(_) => {
                Box::pin(async move { Ok(stream::run(rpc, request).await) })
            }
            _ => Box::pin(async move { Ok(unary::run(rpc, call, request, max_bytes).await) }),
        }
    }
}
