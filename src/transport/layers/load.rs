//! A bound on requests running at a time. Over it the answer comes at once:
//! RESOURCE_EXHAUSTED with the advice to come back.
//!
//! A request runs until its answer has been taken: what it holds, it holds so long.
//! Methods that take callers without a credential have a bound of their own: who
//! sends half a message to them, or never reads, must not hold up the others.

use std::sync::Arc;
use std::time::Duration;

use http_body::Body as _;
use tokio::sync::Semaphore;

use super::authenticate::Access;
use super::holding::holding;
use super::{Handler, Middleware, Next};
use crate::error::{Error, Kind, reason};
use crate::transport::protocol::Call;
use crate::transport::{Request, Response};

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// See the module.
pub struct Load {
    access: Access,
    of_strangers: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Load {
    /// Lets `max` requests run at a time, and as many of methods that `access` opens
    /// to strangers.
    pub fn new(max: usize, access: Access) -> Self {
        let pool = || Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Self { access, of_strangers: pool(), others: pool() }
    }
}

impl Middleware for Load {
    async fn handle<S: Handler>(&self, request: Request, next: Next<S>) -> Response {
        let path = request.uri().path();
        let pool = if self.access.is_open(path) { &self.of_strangers } else { &self.others };
        let Ok(running) = Arc::clone(pool).try_acquire_owned() else {
            let error = Error::new(Kind::ResourceExhausted, "the server is busy; try again later")
                .with_reason(reason::OVERLOADED)
                .with_retry_after(RETRY_AFTER);
            return Call::of(&request).refuse(error);
        };
        let response = next.run(request).await;
        if response.body().is_end_stream() {
            return response;
        }
        response.map(|body| holding(body, running))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::StatusCode;
    use http_body_util::Full;
    use tonic::body::Body;
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;
    use crate::transport::layers::around;

    #[tokio::test]
    async fn p37_a_request_runs_until_its_answer_is_taken_and_strangers_run_apart() {
        let access = Access { public_services: &["a.Public"], anonymous_methods: &["/a.B/Open"] };
        let answer = service_fn(async |_: Request| {
            Ok::<_, Infallible>(Response::new(Body::new(Full::new(Bytes::from_static(b"x")))))
        });
        let load = around(Load::new(1, access)).layer(answer);
        let ask = async |path: &'static str| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = http::Uri::from_static(path);
            let Ok(answer) = load.clone().oneshot(request).await;
            answer
        };
        let (own, open) = (ask("/a.B/C").await, ask("/a.Public/D").await);
        assert_eq!((own.status(), open.status()), (StatusCode::OK, StatusCode::OK));
        for path in ["/a.B/C", "/v1/orgs", "/a.Public/D", "/a.B/Open"] {
            assert_eq!(ask(path).await.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
        drop(own);
        assert_eq!(ask("/a.B/C").await.status(), StatusCode::OK);
        assert_eq!(ask("/a.B/Open").await.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(open);
        assert_eq!(ask("/a.B/Open").await.status(), StatusCode::OK);
    }
}
