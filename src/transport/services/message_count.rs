//! Counts the messages of a request and checks that each is complete.
//!
//! tonic 0.14 does not do this. For a method that takes one message, it reads the first of several
//! messages and returns INTERNAL if there is none. It also accepts a stream that ends right after
//! the prefix of a message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::Body as HttpBody;
use tonic::Status;
use tonic::body::Body;

use crate::error::Error;
use crate::transport::body::{Adapt, Adapted, PollFrame};
use crate::transport::protocol::{FrameReader, Piece};
use crate::transport::status::{message_too_large, to_status};

/// A request body whose messages are counted. The type is not erased to `Body`, because that would
/// allocate.
pub type Counted = Adapted<MessageCount>;

/// A body adapter. If one message is expected, any other number of messages is UNIMPLEMENTED, as
/// gRPC requires. An incomplete message is INVALID_ARGUMENT. A message that is too large is
/// RESOURCE_EXHAUSTED as soon as its length arrives.
pub struct MessageCount {
    takes_one: bool,
    max_bytes: usize,
    reader: FrameReader,
    seen_one: bool,
    rejected: bool,
}

impl MessageCount {
    pub fn new(takes_one: bool, max_bytes: usize) -> Self {
        let reader = FrameReader::default();
        Self { takes_one, max_bytes, reader, seen_one: false, rejected: false }
    }

    fn check(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.takes_one && self.seen_one && self.reader.is_between_messages() {
                return Err(not_one());
            }
            if let Some(Piece::Prefix { length, .. }) = self.reader.next(&mut data) {
                if length > self.max_bytes {
                    return Err(message_too_large());
                }
                self.seen_one = true;
            }
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), Status> {
        if !self.reader.is_between_messages() {
            return Err(to_status(Error::invalid("body", "ends before its message does")));
        }
        if self.takes_one && !self.seen_one { Err(not_one()) } else { Ok(()) }
    }
}

impl Adapt for MessageCount {
    fn poll_frame(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PollFrame {
        let frame = ready!(Pin::new(body).poll_frame(cx));
        let checked = match &frame {
            _ if self.rejected => Ok(()),
            Some(Ok(frame)) => frame.data_ref().map_or(Ok(()), |data| self.check(data)),
            Some(Err(_)) => Ok(()),
            None => self.check_end(),
        };
        Poll::Ready(match checked {
            Ok(()) => frame,
            Err(status) => {
                self.rejected = true;
                Some(Err(status))
            }
        })
    }

    fn is_end_stream(&self, _: &Body) -> bool {
        // Even after the last frame of the body, `check_end` may return an error.
        self.rejected
    }
}

fn not_one() -> Status {
    Status::unimplemented("the method takes one message, no more and no less")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    use tonic::Code;

    /// The code of the error for a body, which must be the same for every size of its chunks.
    async fn rejection(body: &[u8], takes_one: bool, max_bytes: usize) -> Option<Code> {
        let mut codes = Vec::new();
        for size in [1, 2, 3, 7, 100] {
            let chunks: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
            let frames = futures_util::stream::iter(
                chunks.into_iter().map(|chunk| Ok::<_, Status>(Frame::data(chunk))),
            );
            let body = Body::new(StreamBody::new(frames));
            let counted = Counted::new(body, MessageCount::new(takes_one, max_bytes));
            codes.push(counted.collect().await.err().map(|status| status.code()));
        }
        assert!(codes.iter().all(|code| *code == codes[0]), "{body:?} {codes:?}");
        codes[0]
    }

    #[tokio::test]
    async fn a_unary_call_needs_exactly_one_complete_message() {
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
            assert_eq!(rejection(body, true, usize::MAX).await, of_one, "{body:?}");
            assert_eq!(rejection(body, false, usize::MAX).await, of_many, "{body:?}");
        }
    }

    #[tokio::test]
    async fn p41_a_message_that_is_too_large_is_rejected_by_its_length() {
        for (body, code) in [
            (&b"\0\0\0\0\x03abc"[..], None),
            (b"\0\0\0\0\x04", Some(Code::ResourceExhausted)),
            (b"\0\xff\xff\xff\xff", Some(Code::ResourceExhausted)),
        ] {
            assert_eq!(rejection(body, true, 3).await, code, "{body:?}");
            assert_eq!(rejection(body, false, 3).await, code, "{body:?}");
        }
    }
}
