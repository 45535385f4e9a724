//! Connect's unary calls: the message is the whole body, or stands in the query.

use std::sync::Arc;

use bytes::Bytes;
use connectrpc::{CodecFormat, CompressionPolicy, ErrorCode};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tonic::body::Body;
use tonic::{Code, Status};

use super::{VERSION, error, query};
use crate::error::Error;
use crate::transport::layers::Handler;
use crate::transport::layers::refine::too_large;
use crate::transport::protocol::methods::Method;
use crate::transport::protocol::paging::Paging;
use crate::transport::protocol::transcode::{PACKERS, text};
use crate::transport::protocol::{CallInfo, NO_SUCH_METHOD, Route, frame, json};
use crate::transport::status::to_status;
use crate::transport::{Request, Response};

/// How tonic writes that a call went well.
const OK: &str = "0";

/// What is asked of a method.
pub struct Asked {
    /// The message, unpacked.
    pub message: Bytes,
    /// Of this codec; none that we have.
    pub codec: Option<CodecFormat>,
}

/// Answers a call of a unary method by one of `rpc`. A message has at most `limit`
/// bytes, packed and not.
pub async fn run<S: Handler>(
    rpc: S,
    call: Arc<CallInfo>,
    request: Request,
    limit: usize,
) -> Response {
    let Route::Rpc(method) = &call.route else {
        return call.answer(Status::unimplemented(NO_SUCH_METHOD));
    };
    let answer = answer(rpc, method, request, limit).await;
    answer.unwrap_or_else(|status| call.answer(status))
}

async fn answer<S: Handler>(
    mut rpc: S,
    method: &Method,
    request: Request,
    limit: usize,
) -> Result<Response, Status> {
    // By its length alone: what is promised need not come.
    if request.body().size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let paging = paging(&request).map_err(to_status)?;
    let (head, body) = request.into_parts();
    let body = whole(body, limit).await?;
    let asked = match head.method {
        HttpMethod::GET => query::read(head.uri.query().unwrap_or_default(), limit)?,
        _ => from_body(&head.headers, body, limit)?,
    };
    let Some(codec) = asked.codec else {
        let message = "encoding: must be json or proto";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Ok(error::http(status, ErrorCode::Unknown, message));
    };
    let packed = PACKERS.negotiate_encoding(
        text(&head.headers, &header::ACCEPT_ENCODING),
        text(&head.headers, &header::CONTENT_ENCODING),
    );
    let message = match codec {
        CodecFormat::Json => {
            json::decode(method.input(), &asked.message, paging.as_ref()).map_err(to_status)?
        }
        _ => asked.message,
    };

    // A statement of its own: a future that has the request in it is large.
    let answer = rpc.call(tonic_request(head, method, &message)?);
    let response = match answer.await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (message, headers, trailers) = read(response).await?;
    let message = match codec {
        CodecFormat::Json => json::encode(method.output(), &message).map_err(to_status)?,
        _ => message,
    };
    Ok(whole_answer(codec, packed, message, headers, &trailers))
}

/// What the JSON SDKs have in the query of a POST.
fn paging(request: &Request) -> crate::error::Result<Option<Paging>> {
    match is_json(request.headers()) && request.method() == HttpMethod::POST {
        true => Paging::from_query(request.uri().query()),
        false => Ok(None),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json")
}

/// The body, which a GET may have too, though nobody looks at it.
async fn whole(body: Body, limit: usize) -> Result<Bytes, Status> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(to_status(Error::invalid("body", "ends before its message does"))),
    }
}

fn from_body(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Asked, Status> {
    let invalid = |field: &str, what: &str| to_status(Error::invalid(field, what));
    if text(headers, &VERSION).is_some_and(|version| version != "1") {
        return Err(invalid(VERSION.as_str(), "must be 1"));
    }
    let message = unpacked(text(headers, &header::CONTENT_ENCODING), body, limit, || {
        invalid("body", "cannot be decompressed as content-encoding says")
    })?;
    let codec = if is_json(headers) { CodecFormat::Json } else { CodecFormat::Proto };
    Ok(Asked { message, codec: Some(codec) })
}

/// A message as it was before it was packed. `broken` is what to say of one that was
/// packed otherwise.
pub fn unpacked(
    encoding: Option<&str>,
    message: Bytes,
    limit: usize,
    broken: impl FnOnce() -> Status,
) -> Result<Bytes, Status> {
    let unpacked = PACKERS.decompress_with_limit(encoding.unwrap_or("identity"), message, limit);
    unpacked.map_err(|error| match error.code {
        ErrorCode::ResourceExhausted => too_large(),
        ErrorCode::Unimplemented => {
            Status::unimplemented("a message may be compressed with gzip, or not at all")
        }
        _ => broken(),
    })
}

fn tonic_request(mut head: Parts, method: &Method, message: &[u8]) -> Result<Request, Status> {
    head.method = HttpMethod::POST;
    head.version = http::Version::HTTP_2;
    head.uri = method.uri();
    head.headers = frame::request_headers(&head.headers);
    Ok(Request::from_parts(head, Body::new(Full::new(frame::pack(0, message)?))))
}

/// Reads a unary answer: message, header metadata, trailer metadata.
async fn read(response: Response) -> Result<(Bytes, HeaderMap, HeaderMap), Status> {
    let (head, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        // Trailers only. An OK without a message cannot be told in Connect.
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

/// A good answer, packed as was agreed if that is worth it.
fn whole_answer(
    codec: CodecFormat,
    packed: Option<&'static str>,
    message: Bytes,
    metadata: HeaderMap,
    trailers: &HeaderMap,
) -> Response {
    let mut headers = HeaderMap::with_capacity(4 + metadata.len() + trailers.len());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(codec.content_type()));
    let packed = packed.filter(|_| CompressionPolicy::default().should_compress(message.len()));
    let smaller =
        packed.and_then(|encoding| Some((encoding, PACKERS.compress(encoding, &message).ok()?)));
    let message = match smaller {
        Some((encoding, smaller)) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            smaller
        }
        None => message,
    };
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static(PACKERS.accept_encoding_header()),
    );
    headers.extend(metadata);
    for (name, value) in trailers {
        // Too long for a name, if at all.
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            headers.append(name, value.clone());
        }
    }
    let mut response = Response::new(Body::new(Full::new(message)));
    *response.headers_mut() = headers;
    response
}
