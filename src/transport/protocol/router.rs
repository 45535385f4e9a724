//! Sends each call to the translator of its protocol.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use connectrpc::CodecFormat;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, ServiceExt};

use super::connect::Connect;
use super::refuse::with_content_type;
use super::transcode::Transcode;
use crate::transport::call::{CallInfo, Protocol};
use crate::transport::middleware::{BoxFuture, Handler};
use crate::transport::{Request, Response};

/// The translators in front of one tonic service. Clones share them: a call clones only the
/// translator that it needs.
pub struct ProtocolRouter<S>(Arc<Translators<S>>);

impl<S> Clone for ProtocolRouter<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Translators<S> {
    grpc: S,
    grpc_json: Transcode<S>,
    grpc_web: GrpcWebService<S>,
    grpc_web_json: GrpcWebService<Transcode<S>>,
    connect: Connect<S>,
}

impl<S: Handler> ProtocolRouter<S> {
    /// Sends to `rpc` the calls that `refuse` has not rejected. `max_request_bytes` bounds a JSON
    /// or Connect message, before and after decompression; tonic bounds the others.
    pub fn new(rpc: S, max_request_bytes: usize) -> Self {
        let json = Transcode::new(rpc.clone(), max_request_bytes);
        Self(Arc::new(Translators {
            grpc_web: GrpcWebLayer::new().layer(rpc.clone()),
            grpc_web_json: GrpcWebLayer::new().layer(json.clone()),
            grpc_json: json,
            connect: Connect::new(rpc.clone(), max_request_bytes),
            grpc: rpc,
        }))
    }
}

impl<S: Handler<Future = BoxFuture>> Service<Request> for ProtocolRouter<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let call = CallInfo::of(&request);
        let protocol = call.protocol;
        match protocol {
            Protocol::Grpc(CodecFormat::Json) => {
                let response = self.0.grpc_json.clone().oneshot(request);
                Box::pin(async move { Ok(with_content_type(protocol, response.await?)) })
            }
            Protocol::Grpc(_) => self.0.grpc.clone().call(request),
            Protocol::GrpcWeb(CodecFormat::Json) | Protocol::GrpcWebText(CodecFormat::Json) => {
                let response = self.0.grpc_web_json.clone().oneshot(request);
                Box::pin(async move { Ok(with_content_type(protocol, response.await?)) })
            }
            Protocol::GrpcWeb(_) | Protocol::GrpcWebText(_) => {
                Box::pin(self.0.grpc_web.clone().oneshot(request))
            }
            Protocol::Connect | Protocol::ConnectStream(_) | Protocol::Rest(_) | Protocol::Http => {
                self.0.connect.run(call, request)
            }
        }
    }
}
