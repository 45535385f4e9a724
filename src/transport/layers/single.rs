//! One message, where a method takes one: tonic takes the first of several and
//! goes on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use crate::transport::Request;
use crate::transport::protocol::frame::PREFIX_LEN;
use crate::transport::protocol::method_of;

/// Counts messages in front of the methods. The body's type changes instead of
/// being erased, so that counting costs no allocation.
#[derive(Clone)]
pub struct Single<S>(pub S);

impl<S: Service<http::Request<Counted>>> Service<Request> for Single<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let counts = method_of(&request).is_some_and(|method| !method.takes_stream());
        self.0.call(request.map(|body| Counted { body, counts, state: State::Start }))
    }
}

/// A body in gRPC's framing. If it counts, anything but one message in it is
/// UNIMPLEMENTED, as gRPC wants it.
pub struct Counted {
    body: Body,
    counts: bool,
    state: State,
}

/// How much of the one message has been seen.
enum State {
    /// Nothing.
    Start,
    /// Some bytes of its prefix, which begins so.
    Prefix([u8; PREFIX_LEN], usize),
    /// All but this many of its bytes.
    Message(usize),
}

impl State {
    /// Whether all of `data` belongs to the one message.
    fn takes(&mut self, data: &[u8]) -> bool {
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
                        *self = State::Message(usize::try_from(length).unwrap_or(usize::MAX));
                    }
                }
                State::Message(missing) => {
                    let Some(left) = missing.checked_sub(rest.len()) else {
                        return false;
                    };
                    *missing = left;
                    return true;
                }
            }
        }
        true
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_right = match &frame {
            _ if !self.counts => true,
            Some(Ok(frame)) => frame.data_ref().is_none_or(|data| self.state.takes(data)),
            Some(Err(_)) => true,
            None => !matches!(self.state, State::Start),
        };
        if is_right {
            return Poll::Ready(frame);
        }
        // Said once.
        self.counts = false;
        let message = "the method takes one message, no more and no less";
        Poll::Ready(Some(Err(Status::unimplemented(message))))
    }

    fn is_end_stream(&self) -> bool {
        // A body of nothing has something to say yet.
        !self.counts && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a body is one message, however it is cut.
    fn is_one(body: &[u8]) -> bool {
        let verdicts = [1, 2, 3, 7, usize::MAX].map(|size| {
            let mut state = State::Start;
            let is_one = body.chunks(size.min(body.len().max(1))).all(|data| state.takes(data));
            is_one && !matches!(state, State::Start)
        });
        assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{body:?}");
        verdicts[0]
    }

    #[test]
    fn one_is_told_from_none_and_from_two() {
        assert!(is_one(b"\0\0\0\0\0"));
        assert!(is_one(b"\0\0\0\0\x03abc"));
        assert!(!is_one(b""));
        assert!(!is_one(b"\0\0\0\0\0\0\0\0\0\0"));
        assert!(!is_one(b"\0\0\0\0\x03abcd"));
        // Not whole: for others to say.
        assert!(is_one(b"\0\0"));
        assert!(is_one(b"\0\0\0\0\x03ab"));
        assert!(is_one(b"\0\xff\xff\xff\xffab"));
    }
}
