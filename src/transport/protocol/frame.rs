//! gRPC's message framing, which Connect's streams share, and the headers that are copied from one
//! protocol to the other.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::Status;

use super::timeout;

/// Bytes in front of a message: a flag and the length.
pub const PREFIX_LEN: usize = 5;

/// The flag of a compressed message; a header names the encoding.
pub const COMPRESSED: u8 = 1;

/// The maximum number of headers that [`request_headers`] adds.
const ADDED: usize = 3;

/// Frames one message.
pub fn pack(flag: u8, message: &[u8]) -> Result<Bytes, Status> {
    let len = u32::try_from(message.len())
        .map_err(|_| Status::resource_exhausted("the message is larger than 4 GiB"))?;
    let mut framed = BytesMut::with_capacity(PREFIX_LEN + message.len());
    framed.put_u8(flag);
    framed.put_u32(len);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// Reads gRPC's framing as its bytes arrive. It buffers only the prefix of a message.
#[derive(Debug, Default)]
pub struct FrameReader {
    prefix: [u8; PREFIX_LEN],
    /// Bytes of the prefix that have arrived.
    seen: usize,
    /// Bytes of the message that have not arrived.
    missing: usize,
}

/// A part of the input of a [`FrameReader`].
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A message begins.
    Prefix { flag: u8, length: usize },
    /// Bytes of the message.
    Data(&'a [u8]),
}

impl FrameReader {
    /// Takes the next piece from the front of `input`; `None` once it is used up.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        if self.missing > 0 && !input.is_empty() {
            let (data, rest) = input.split_at(input.len().min(self.missing));
            self.missing -= data.len();
            *input = rest;
            return Some(Piece::Data(data));
        }
        let (part, rest) = input.split_at(input.len().min(PREFIX_LEN - self.seen));
        self.prefix[self.seen..self.seen + part.len()].copy_from_slice(part);
        self.seen += part.len();
        *input = rest;
        if self.seen < PREFIX_LEN {
            return None;
        }
        let [flag, length @ ..] = self.prefix;
        self.seen = 0;
        self.missing = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        Some(Piece::Prefix { flag, length: self.missing })
    }

    /// Whether the last message is complete and no other one has begun.
    pub fn is_between_messages(&self) -> bool {
        self.seen == 0 && self.missing == 0
    }
}

/// The message of a body that consists of one uncompressed message.
pub fn unpack(mut framed: Bytes) -> Result<Bytes, Status> {
    let malformed = || Status::internal("internal error");
    if framed.len() < PREFIX_LEN || framed.get_u8() != 0 {
        return Err(malformed());
    }
    let len = usize::try_from(framed.get_u32()).map_err(|_| malformed())?;
    if framed.len() != len {
        return Err(malformed());
    }
    Ok(framed)
}

/// The headers of a request to tonic: the metadata, gRPC's time-out, and the headers that tonic
/// requires.
pub fn request_headers(given: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(given.len() + ADDED);
    copy_metadata(given, &mut headers);
    if let Some(timeout) = given.get(timeout::GRPC) {
        headers.insert(timeout::GRPC, timeout.clone());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers
}

/// A status as the trailers that end a body.
pub fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // This fails if a header cannot contain the message; the code is already written then.
    if status.add_header(&mut trailers).is_err() {
        tracing::warn!(
            "the message of a status does not fit into a header; the client gets the code alone"
        );
    }
    trailers
}

/// The headers that belong to the call and not to one connection or body.
pub fn metadata(given: &HeaderMap) -> HeaderMap {
    // Most responses have none; an empty map does not allocate.
    let mut kept = HeaderMap::new();
    copy_metadata(given, &mut kept);
    kept
}

fn copy_metadata(given: &HeaderMap, kept: &mut HeaderMap) {
    for (name, value) in given.iter().filter(|(name, _)| is_metadata(name)) {
        kept.append(name, value.clone());
    }
}

/// Whether a header belongs to the call.
pub fn is_metadata(name: &HeaderName) -> bool {
    // Headers of a connection, of a body, or of a protocol. The translator itself sets gRPC's and
    // reads Connect's.
    let own = ["grpc-", "connect-", "content-", "accept-", "access-control-", "proxy-"];
    let hop = [
        header::ACCEPT,
        header::CONNECTION,
        header::DATE,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let name_text = name.as_str();
    name_text != "keep-alive"
        && !own.iter().any(|prefix| name_text.starts_with(prefix))
        && !hop.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_message_unpacks() {
        for message in [&b""[..], b"x", &[7; 300]] {
            assert_eq!(unpack(pack(0, message).unwrap()).unwrap(), message);
        }
        for bad in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\0", b"\0\0\0\0\x02x", b"\0\0\0\0\0x"] {
            assert!(unpack(Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reader_finds_the_same_messages_for_every_chunk_size() {
        let bytes = b"\0\0\0\0\x03abc\x01\0\0\0\0\0\0\0\0\x02de";
        for size in 1..=bytes.len() {
            let (mut reader, mut messages) = (FrameReader::default(), Vec::new());
            for mut chunk in bytes.chunks(size) {
                while let Some(piece) = reader.next(&mut chunk) {
                    match piece {
                        Piece::Prefix { flag, .. } => messages.push((flag, Vec::new())),
                        Piece::Data(data) => messages.last_mut().unwrap().1.extend(data),
                    }
                }
            }
            assert!(reader.is_between_messages());
            assert_eq!(messages, [(0, b"abc".to_vec()), (1, vec![]), (0, b"de".to_vec())]);
        }
    }

    #[test]
    fn only_metadata_headers_are_forwarded() {
        let mut given = HeaderMap::new();
        for name in [
            "authorization",
            "guestlist-on-behalf-of",
            "user-agent",
            "x-request-id",
            "x-custom",
            "grpc-timeout",
            "grpc-encoding",
            "connect-timeout-ms",
            "content-type",
            "content-length",
            "content-encoding",
            "accept",
            "accept-encoding",
            "connection",
            "host",
            "te",
            "transfer-encoding",
            "keep-alive",
            "expect",
            "upgrade",
        ] {
            given.insert(name, HeaderValue::from_static("v"));
        }
        given.append("x-custom", HeaderValue::from_static("w"));
        let kept = metadata(&given);
        let mut names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["authorization", "guestlist-on-behalf-of", "user-agent", "x-custom", "x-request-id"]
        );
        assert_eq!(kept.get_all("x-custom").iter().count(), 2);
    }
}
