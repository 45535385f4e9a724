//! The message of a unary call.

use bytes::Bytes;
use connectrpc::{CodecFormat, ErrorCode};
use tonic::Status;

use crate::transport::protocol::transcode::COMPRESSION;
use crate::transport::status::message_too_large;

/// The message of a unary call, from its body or its query.
pub struct UnaryMessage {
    /// Uncompressed.
    pub message: Bytes,
    /// `None` if the codec is unknown.
    pub codec: Option<CodecFormat>,
}

/// Decompresses a message to at most `max_bytes`. `broken` makes the error for a message that is
/// not valid in `encoding`.
pub fn decompress(
    encoding: Option<&str>,
    message: Bytes,
    max_bytes: usize,
    broken: impl FnOnce() -> Status,
) -> Result<Bytes, Status> {
    let encoding = encoding.unwrap_or("identity");
    let message = COMPRESSION.decompress_with_limit(encoding, message, max_bytes);
    message.map_err(|error| match error.code {
        ErrorCode::ResourceExhausted => message_too_large(),
        ErrorCode::Unimplemented => {
            Status::unimplemented("a message may be compressed with gzip, or not at all")
        }
        _ => broken(),
    })
}
