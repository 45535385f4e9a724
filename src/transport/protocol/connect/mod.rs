//! Connect: for unary calls the `connectrpc` crate speaks the protocol and the
//! bridge turns each message into one tonic call; streams are translated as they
//! are.
//!
//! Nothing here knows what an organization is; methods and messages come from
//! the descriptors.

pub mod error;

mod bridge;
mod refine;
mod stream;

use std::convert::Infallible;

use connectrpc::{CodecFormat, ConnectRpcService, ErrorCode, Limits};
use http::{HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use tower::ServiceExt;

use self::bridge::Bridge;
use super::methods::Methods;
use super::paging::Paging;
use super::transcode::Transcode;
use super::{Call, Protocol};
use crate::transport::layers::refine::too_large;
use crate::transport::layers::{Handler, deadline};
use crate::transport::{Request, Response};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Connect in front of a tonic service.
pub struct Connect<S> {
    unary: ConnectRpcService<Bridge<S>>,
    rpc: S,
    json: Transcode<S>,
    max_request_bytes: usize,
}

impl<S: Clone> Clone for Connect<S> {
    fn clone(&self) -> Self {
        Self {
            unary: self.unary.clone(),
            rpc: self.rpc.clone(),
            json: self.json.clone(),
            max_request_bytes: self.max_request_bytes,
        }
    }
}

impl<S: Handler> Connect<S> {
    /// See the module. `max_request_bytes` bounds a message on the wire and after
    /// decompression.
    pub fn new(rpc: S, methods: Methods, max_request_bytes: usize) -> Self {
        let limits = Limits::default()
            .with_max_request_body_size(max_request_bytes)
            .with_max_message_size(max_request_bytes);
        Self {
            unary: ConnectRpcService::new(Bridge::new(rpc.clone(), methods)).with_limits(limits),
            json: Transcode::new(rpc.clone(), max_request_bytes),
            rpc,
            max_request_bytes,
        }
    }

    /// Answers one call of a known method.
    pub async fn run(self, mut request: Request) -> Result<Response, Infallible> {
        deadline::connect_as_grpc(request.headers_mut());
        Ok(match Call::of(&request).protocol {
            Protocol::ConnectStream(CodecFormat::Json) => stream::run(self.json, request).await,
            Protocol::ConnectStream(_) => stream::run(self.rpc, request).await,
            _ => self.run_unary(request).await?,
        })
    }

    async fn run_unary(self, mut request: Request) -> Result<Response, Infallible> {
        // By its length alone: what is promised need not come.
        if request.body().size_hint().lower() > self.max_request_bytes as u64 {
            return Ok(Call::of(&request).answer(too_large()));
        }
        if is_json_post(&request) {
            match Paging::from_query(request.uri().query()) {
                Ok(None) => {}
                Ok(Some(paging)) => {
                    request.extensions_mut().insert(paging);
                }
                Err(error) => return Ok(Call::of(&request).refuse(error)),
            }
        }
        let (call, method) = (Call::of(&request), request.method().clone());
        let response = self.unary.oneshot(request).await?;
        let mut response = match refine::refined(&method, response).await {
            // The crate's text repeats what the query says.
            Ok(response) if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let message = "encoding: must be json or proto";
                error::http(response.status(), ErrorCode::Unknown, message)
            }
            Ok(response) => error::finish(response),
            Err(status) => call.answer(status),
        };
        if method == Method::GET {
            // A cache would go on answering for an invite that has ended.
            response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        }
        Ok(response)
    }
}

fn is_json_post(request: &Request) -> bool {
    request.method() == Method::POST
        && request.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json")
}
