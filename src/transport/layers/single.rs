//! Whole messages, and one of them where a method takes one: tonic 0.14 takes the
//! first of several, calls none INTERNAL, and takes a stream that ends behind a
//! message's prefix for one that has ended well.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use super::BoxFuture;
use super::refine::too_large;
use crate::error::Error;
use crate::transport::protocol::frame::PREFIX_LEN;
use crate::transport::protocol::{message_bound, method_of};
use crate::transport::services::Services;
use crate::transport::status::to_status;
use crate::transport::{Request, Response};

/// Counts messages in front of the methods. The body's type changes instead of
/// being erased, so that counting costs no allocation.
#[derive(Clone)]
pub struct Single(Arc<Services>);

impl Single {
    /// In front of these.
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl Service<Request> for Single {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        let takes_one = method_of(&request).is_some_and(|method| !method.takes_stream());
        // tonic itself keeps the bound that all have.
        let most = message_bound(&request, usize::MAX);
        self.0.call(request.map(|body| Counted { body, takes_one, most, state: State::Start }))
    }
}

/// A body in gRPC's framing. Where one message is taken, any other number of them is
/// UNIMPLEMENTED, as gRPC wants it; half a message is INVALID_ARGUMENT; one of more bytes
/// than the request may send is RESOURCE_EXHAUSTED by its length alone.
pub struct Counted {
    body: Body,
    takes_one: bool,
    most: usize,
    state: State,
}

/// How much has been seen.
enum State {
    /// Nothing.
    Start,
    /// Some bytes of a message's prefix, which begins so.
    Prefix([u8; PREFIX_LEN], usize),
    /// All but this many bytes of a message.
    Message(usize),
    /// What was wrong has been said.
    Refused,
}

impl State {
    /// Takes what comes next; what is wrong with it is the error.
    fn take(&mut self, data: &[u8], takes_one: bool, most: usize) -> Result<(), Status> {
        let mut rest = data;
        while !rest.is_empty() {
            match self {
                State::Start => *self = State::Prefix([0; PREFIX_LEN], 0),
                State::Prefix(prefix, seen) => {
                    let taken = rest.len().min(PREFIX_LEN - *seen);
                    prefix[*seen..*seen + taken].copy_from_slice(&rest[..taken]);
                    *seen += taken;
                    rest.advance(taken);
                    if *seen == PREFIX_LEN {
                        let [_, length @ ..] = *prefix;
                        let length = u32::from_be_bytes(length);
                        let length = usize::try_from(length).unwrap_or(usize::MAX);
                        if length > most {
                            return Err(too_large());
                        }
                        *self = State::Message(length);
                    }
                }
                State::Message(0) if takes_one => return Err(not_one()),
                State::Message(0) => *self = State::Start,
                State::Message(missing) => {
                    let taken = rest.len().min(*missing);
                    *missing -= taken;
                    rest.advance(taken);
                }
                State::Refused => return Ok(()),
            }
        }
        Ok(())
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let (takes_one, most) = (self.takes_one, self.most);
        let refusal = match (&frame, &mut self.state) {
            (Some(Ok(frame)), state) => {
                frame.data_ref().and_then(|data| state.take(data, takes_one, most).err())
            }
            (None, State::Start) if takes_one => Some(not_one()),
            (None, State::Prefix(..) | State::Message(1..)) => Some(half()),
            (None | Some(Err(_)), _) => None,
        };
        Poll::Ready(match refusal {
            Some(refusal) => {
                self.state = State::Refused;
                Some(Err(refusal))
            }
            None => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        // At its end there may still be something to say.
        matches!(self.state, State::Refused)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn not_one() -> Status {
    Status::unimplemented("the method takes one message, no more and no less")
}

fn half() -> Status {
    to_status(Error::invalid("body", "ends before its message does"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};
    use tonic::Code;

    /// What a body is refused with, however it is cut.
    async fn refusal(body: &[u8], takes_one: bool, most: usize) -> Option<Code> {
        let mut refusals = Vec::new();
        for size in [1, 2, 3, 7, 100] {
            let chunks: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
            let frames = futures_util::stream::iter(
                chunks.into_iter().map(|chunk| Ok::<_, Status>(Frame::data(chunk))),
            );
            let body = Body::new(StreamBody::new(frames));
            let counted = Counted { body, takes_one, most, state: State::Start };
            refusals.push(counted.collect().await.err().map(|status| status.code()));
        }
        assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{body:?} {refusals:?}");
        refusals[0]
    }

    #[tokio::test]
    async fn one_is_told_from_none_from_two_and_from_a_half() {
        for (body, of_one, of_many) in [
            (&b"\0\0\0\0\0"[..], None, None),
            (b"\0\0\0\0\x03abc", None, None),
            (b"", Some(Code::Unimplemented), None),
            (b"\0\0\0\0\0\0\0\0\0\0", Some(Code::Unimplemented), None),
            (b"\0\0\0\0\x01a\0\0\0\0\x02bc", Some(Code::Unimplemented), None),
            (b"\0\0\0\0\x01a\0", Some(Code::Unimplemented), Some(Code::InvalidArgument)),
            (b"\0\0", Some(Code::InvalidArgument), Some(Code::InvalidArgument)),
            (b"\0\0\0\0\x03", Some(Code::InvalidArgument), Some(Code::InvalidArgument)),
            (b"\0\0\0\0\x03ab", Some(Code::InvalidArgument), Some(Code::InvalidArgument)),
            (b"\0\xff\xff\xff\xffab", Some(Code::InvalidArgument), Some(Code::InvalidArgument)),
        ] {
            assert_eq!(refusal(body, true, usize::MAX).await, of_one, "{body:?}");
            assert_eq!(refusal(body, false, usize::MAX).await, of_many, "{body:?}");
        }
    }

    #[tokio::test]
    async fn p41_a_message_over_its_bound_is_refused_by_its_length() {
        for (body, code) in [
            (&b"\0\0\0\0\x03abc"[..], None),
            (b"\0\0\0\0\x04", Some(Code::ResourceExhausted)),
            (b"\0\xff\xff\xff\xff", Some(Code::ResourceExhausted)),
        ] {
            assert_eq!(refusal(body, true, 3).await, code, "{body:?}");
            assert_eq!(refusal(body, false, 3).await, code, "{body:?}");
        }
    }
}
