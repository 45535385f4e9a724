//! Connect: the `connectrpc` crate speaks the protocol, the bridge turns each
//! message into one tonic call.
//!
//! Nothing here knows what an organization is; methods and messages come from
//! the descriptors.

pub mod error;

mod bridge;
mod frame;
mod json;
mod paging;
mod refine;

use std::convert::Infallible;

use connectrpc::{ConnectRpcService, Limits};
use http::{HeaderValue, Method, header};
use tower::ServiceExt;

use self::bridge::Bridge;
use self::paging::Paging;
use super::Call;
use super::methods::Methods;
use crate::transport::layers::{Handler, deadline};
use crate::transport::{Request, Response};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Connect in front of a tonic service.
pub struct Connect<S>(ConnectRpcService<Bridge<S>>);

impl<S> Clone for Connect<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Handler> Connect<S> {
    /// See the module. `max_request_bytes` bounds a message on the wire and after
    /// decompression.
    pub fn new(rpc: S, methods: Methods, max_request_bytes: usize) -> Self {
        let limits = Limits::default()
            .with_max_request_body_size(max_request_bytes)
            .with_max_message_size(max_request_bytes);
        Self(ConnectRpcService::new(Bridge::new(rpc, methods)).with_limits(limits))
    }

    /// Answers one call of a known method.
    pub async fn run(self, mut request: Request) -> Result<Response, Infallible> {
        if is_json_post(&request) {
            match Paging::from_query(request.uri().query()) {
                Ok(None) => {}
                Ok(Some(paging)) => {
                    request.extensions_mut().insert(paging);
                }
                Err(error) => return Ok(Call::of(&request).refuse(error)),
            }
        }
        // Kept already, and refused in our words.
        request.headers_mut().remove(deadline::CONNECT);
        let (call, method) = (Call::of(&request), request.method().clone());
        let response = self.0.oneshot(request).await?;
        let mut response = match refine::refined(&method, response).await {
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
