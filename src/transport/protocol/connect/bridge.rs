//! The bridge: one unary Connect call becomes one call of the tonic service.
//! Streams do not come this way: see `stream`.

use bytes::Bytes;
use connectrpc::dispatcher::{MethodDescriptor, RequestStream, StreamingResult, UnaryResult};
use connectrpc::{
    CodecFormat, ConnectError, Dispatcher, EncodedBody, EncodedResponse, Payload, RequestContext,
};
use http::Method as HttpMethod;
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt;

use super::error::from_status;
use crate::transport::layers::Handler;
use crate::transport::protocol::methods::{Method, Methods};
use crate::transport::protocol::paging::Paging;
use crate::transport::protocol::{frame, json};
use crate::transport::status::to_status;
use crate::transport::{Request, Response};

/// Calls `rpc` with what Connect hands over.
pub struct Bridge<S> {
    rpc: S,
    methods: Methods,
}

impl<S: Handler> Bridge<S> {
    /// Knows the given methods.
    pub fn new(rpc: S, methods: Methods) -> Self {
        Self { rpc, methods }
    }
}

impl<S: Handler> Dispatcher for Bridge<S> {
    fn lookup(&self, path: &str) -> Option<MethodDescriptor> {
        self.methods.named(path).map(|method| method.lookup())
    }

    fn call_unary(
        &self,
        path: &str,
        ctx: RequestContext,
        request: Payload,
        format: CodecFormat,
    ) -> UnaryResult {
        let method = self.methods.named(path).cloned();
        let rpc = self.rpc.clone();
        Box::pin(async move {
            let Some(method) = method else {
                return Err(ConnectError::unimplemented("there is no such method"));
            };
            unary(rpc, &method, ctx, request.bytes(), format)
                .await
                .map_err(|status| from_status(&status))
        })
    }

    fn call_server_streaming(
        &self,
        _: &str,
        _: RequestContext,
        _: Bytes,
        _: CodecFormat,
    ) -> StreamingResult {
        Box::pin(async { Err(no_streams()) })
    }

    fn call_client_streaming(
        &self,
        _: &str,
        _: RequestContext,
        _: RequestStream,
        _: CodecFormat,
    ) -> UnaryResult {
        Box::pin(async { Err(no_streams()) })
    }

    fn call_bidi_streaming(
        &self,
        _: &str,
        _: RequestContext,
        _: RequestStream,
        _: CodecFormat,
    ) -> StreamingResult {
        Box::pin(async { Err(no_streams()) })
    }
}

fn no_streams() -> ConnectError {
    ConnectError::unimplemented("a stream is no unary call")
}

async fn unary<S: Handler>(
    rpc: S,
    method: &Method,
    ctx: RequestContext,
    message: &Bytes,
    format: CodecFormat,
) -> Result<EncodedResponse, Status> {
    let message = match format {
        CodecFormat::Json => {
            let paging = ctx.extensions().get::<Paging>();
            json::decode(method.input(), message, paging).map_err(to_status)?
        }
        _ => message.clone(),
    };

    let response = match rpc.oneshot(tonic_request(method, ctx, &message)?).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (message, headers, trailers) = read(response).await?;

    let message = match format {
        CodecFormat::Json => json::encode(method.output(), &message).map_err(to_status)?,
        _ => message,
    };
    let mut answer = EncodedResponse::new(EncodedBody::from(message));
    answer.headers = headers;
    answer.trailers = trailers;
    Ok(answer)
}

fn tonic_request(
    method: &Method,
    mut ctx: RequestContext,
    message: &[u8],
) -> Result<Request, Status> {
    let mut request = Request::new(Body::new(Full::new(frame::pack(0, message)?)));
    *request.method_mut() = HttpMethod::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = method.uri();
    *request.headers_mut() = frame::request_headers(ctx.headers());
    *request.extensions_mut() = std::mem::take(ctx.extensions_mut());
    Ok(request)
}

/// Reads a unary answer: message, header metadata, trailer metadata.
async fn read(response: Response) -> Result<(Bytes, http::HeaderMap, http::HeaderMap), Status> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        // Trailers only. An OK without a message cannot be told in Connect.
        return Err(not_ok(status));
    }
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    match Status::from_header_map(&trailers) {
        Some(status) if status.code() != Code::Ok => return Err(status),
        Some(_) => {}
        None => return Err(Status::internal("internal error")),
    }
    let message = frame::unpack(collected.to_bytes())?;
    Ok((message, frame::metadata(&head.headers), frame::metadata(&trailers)))
}

fn not_ok(status: Status) -> Status {
    match status.code() {
        Code::Ok => Status::internal("internal error"),
        _ => status,
    }
}
