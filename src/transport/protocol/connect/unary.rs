//! Connect's unary calls: the message is the whole body, or is in the query.

use std::sync::Arc;

use bytes::Bytes;
use connectrpc::{CodecFormat, CompressionPolicy, ErrorCode};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tonic::body::Body;
use tonic::{Code, Status};

use super::message::{UnaryMessage, decompress};
use super::{VERSION, error, query};
use crate::error::Error;
use crate::transport::call::{CallInfo, Route};
use crate::transport::methods::Method;
use crate::transport::middleware::Handler;
use crate::transport::protocol::paging::Paging;
use crate::transport::protocol::transcode::{COMPRESSION, text};
use crate::transport::protocol::{NO_SUCH_METHOD, frame, json, refuse};
use crate::transport::status::{message_too_large, to_status};
use crate::transport::{Request, Response};

/// The value of `grpc-status` for success.
const OK: &str = "0";

/// Serves a call of a unary method with `rpc`. A message has at most `max_bytes`, before and after
/// decompression.
pub async fn run<S: Handler>(
    rpc: S,
    call: Arc<CallInfo>,
    request: Request,
    max_bytes: usize,
) -> Response {
    let Route::Rpc(method) = &call.route else {
        return refuse::with_status(call.protocol, &Status::unimplemented(NO_SUCH_METHOD));
    };
    let response = serve(rpc, method, request, max_bytes).await;
    response.unwrap_or_else(|status| refuse::with_status(call.protocol, &status))
}

async fn serve<S: Handler>(
    mut rpc: S,
    method: &Method,
    request: Request,
    max_bytes: usize,
) -> Result<Response, Status> {
    // Checks the announced length, before the body arrives.
    if request.body().size_hint().lower() > max_bytes as u64 {
        return Err(message_too_large());
    }
    let paging = paging(&request).map_err(to_status)?;
    let (head, body) = request.into_parts();
    let body = read_body(body, max_bytes).await?;
    let unary = match head.method {
        HttpMethod::GET => query::read(head.uri.query().unwrap_or_default(), max_bytes)?,
        _ => from_body(&head.headers, body, max_bytes)?,
    };
    let Some(codec) = unary.codec else {
        let message = "encoding: must be json or proto";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(error::http_response(status, ErrorCode::Unknown, message));
    };
    let encoding = COMPRESSION.negotiate_encoding(
        text(&head.headers, &header::ACCEPT_ENCODING),
        text(&head.headers, &header::CONTENT_ENCODING),
    );
    let message = match codec {
        CodecFormat::Json => {
            json::decode(method.input(), &unary.message, paging.as_ref()).map_err(to_status)?
        }
        _ => unary.message,
    };

    // A separate statement: otherwise this future would hold the request during the call.
    let response = rpc.call(tonic_request(head, method, &message)?);
    let response = match response.await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (message, headers, trailers) = read_response(response).await?;
    let message = match codec {
        CodecFormat::Json => json::encode(method.output(), &message).map_err(to_status)?,
        _ => message,
    };
    Ok(write_response(codec, encoding, message, headers, &trailers))
}

/// The page that the JSON SDKs send in the query of a POST.
fn paging(request: &Request) -> crate::error::Result<Option<Paging>> {
    match is_json(request.headers()) && request.method() == HttpMethod::POST {
        true => Paging::from_query(request.uri().query()),
        false => Ok(None),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json")
}

/// Reads the body. A GET may have one too; its content is ignored.
async fn read_body(body: Body, max_bytes: usize) -> Result<Bytes, Status> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(message_too_large()),
        Err(_) => Err(to_status(Error::invalid("body", "ends before its message does"))),
    }
}

fn from_body(headers: &HeaderMap, body: Bytes, max_bytes: usize) -> Result<UnaryMessage, Status> {
    let invalid = |field: &str, what: &str| to_status(Error::invalid(field, what));
    if text(headers, &VERSION).is_some_and(|version| version != "1") {
        return Err(invalid(VERSION.as_str(), "must be 1"));
    }
    let message = decompress(text(headers, &header::CONTENT_ENCODING), body, max_bytes, || {
        invalid("body", "cannot be decompressed as content-encoding says")
    })?;
    let codec = if is_json(headers) { CodecFormat::Json } else { CodecFormat::Proto };
    Ok(UnaryMessage { message, codec: Some(codec) })
}

fn tonic_request(mut head: Parts, method: &Method, message: &[u8]) -> Result<Request, Status> {
    head.method = HttpMethod::POST;
    head.version = http::Version::HTTP_2;
    head.uri = method.uri();
    head.headers = frame::request_headers(&head.headers);
    Ok(Request::from_parts(head, Body::new(Full::new(frame::pack(0, message)?))))
}

/// Reads a unary response from tonic. Returns its message, header metadata and trailer metadata.
async fn read_response(response: Response) -> Result<(Bytes, HeaderMap, HeaderMap), Status> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        // The response has only trailers. Connect cannot express an OK without a message.
        return Err(not_ok(status));
    }
    let collected = body.collect().await?;
    let none = HeaderMap::new();
    let trailers = collected.trailers().unwrap_or(&none);
    if trailers.get(Status::GRPC_STATUS).is_none_or(|code| code != OK) {
        let status = Status::from_header_map(trailers).map(not_ok);
        return Err(status.unwrap_or_else(|| Status::internal("internal error")));
    }
    let trailers = frame::metadata(trailers);
    let message = frame::unpack(collected.to_bytes())?;
    Ok((message, frame::metadata(&head.headers), trailers))
}

fn not_ok(status: Status) -> Status {
    match status.code() {
        Code::Ok => Status::internal("internal error"),
        _ => status,
    }
}

/// A successful response, compressed with `encoding` if it is large enough.
fn write_response(
    codec: CodecFormat,
    encoding: Option<&'static str>,
    message: Bytes,
    metadata: HeaderMap,
    trailers: &HeaderMap,
) -> Response {
    let mut headers = HeaderMap::with_capacity(4 + metadata.len() + trailers.len());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(codec.content_type()));
    let encoding = encoding.filter(|_| CompressionPolicy::default().should_compress(message.len()));
    let compressed = encoding
        .and_then(|encoding| Some((encoding, COMPRESSION.compress(encoding, &message).ok()?)));
    let message = match compressed {
        Some((encoding, compressed)) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            compressed
        }
        None => message,
    };
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static(COMPRESSION.accept_encoding_header()),
    );
    headers.extend(metadata);
    for (name, value) in trailers {
        // This fails only if the name becomes too long.
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            headers.append(name, value.clone());
        }
    }
    let mut response = Response::new(Body::new(Full::new(message)));
    *response.headers_mut() = headers;
    response
}
