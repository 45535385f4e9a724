//! Bodies that change or watch the frames of another body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// The result of polling a body.
pub type PollFrame = Poll<Option<Result<Frame<Bytes>, Status>>>;

/// Changes or watches the frames of a body.
pub trait Adapt: Send + Unpin + 'static {
    /// The next frame of the adapted body; by default that of `body`.
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self, body: &Body) -> bool {
        body.is_end_stream()
    }

    fn size_hint(&self, body: &Body) -> SizeHint {
        body.size_hint()
    }
}

/// A body with an adapter around it.
pub struct Adapted<A> {
    body: Body,
    adapter: A,
}

impl<A: Adapt> Adapted<A> {
    pub fn new(body: Body, adapter: A) -> Self {
        Self { body, adapter }
    }
}

impl<A: Adapt> HttpBody for Adapted<A> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> PollFrame {
        let this = &mut *self;
        this.adapter.poll_frame(&mut this.body, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.adapter.is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        self.adapter.size_hint(&self.body)
    }
}

/// The body with an adapter around it, its type erased.
pub fn adapted(body: Body, adapter: impl Adapt) -> Body {
    Body::new(Adapted::new(body, adapter))
}

/// The body with `held` attached: `held` is dropped when the body is dropped.
pub fn holding<T: Send + Unpin + 'static>(body: Body, held: T) -> Body {
    adapted(body, Holding(held))
}

struct Holding<T>(T);

impl<T: Send + Unpin + 'static> Adapt for Holding<T> {}
