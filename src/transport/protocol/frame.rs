//! Messages in gRPC's framing, which is Connect's too, and the headers that may
//! cross from one protocol to the other.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::Status;

use crate::transport::layers::deadline;

/// Bytes before a message: a flag and its length.
pub const PREFIX_LEN: usize = 5;

/// The flag of a message that is packed as a header says.
pub const COMPRESSED: u8 = 1;

/// Headers that a request has for tonic beside the caller's own.
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

/// The length that the message at the front of `buffer` says it has, if its prefix
/// is there.
pub fn length(buffer: &[u8]) -> Option<usize> {
    let (prefix, _) = buffer.split_first_chunk::<PREFIX_LEN>()?;
    let [_, length @ ..] = *prefix;
    Some(usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX))
}

/// Takes the first message out of `buffer`, with its flag, if it is there whole.
pub fn next(buffer: &mut BytesMut) -> Option<(u8, Bytes)> {
    let whole = length(buffer)?.checked_add(PREFIX_LEN)?;
    if buffer.len() < whole {
        return None;
    }
    let mut message = buffer.split_to(whole).freeze();
    let flag = message.get_u8();
    message.advance(PREFIX_LEN - 1);
    Some((flag, message))
}

/// Takes the one uncompressed message out of its frame.
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

/// The request's metadata for the tonic side, with what tonic wants added. Its
/// deadline crosses as it is: it is gRPC's already.
pub fn request_headers(given: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(given.len() + ADDED);
    copy_metadata(given, &mut headers);
    if let Some(timeout) = given.get(deadline::GRPC) {
        headers.insert(deadline::GRPC, timeout.clone());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers
}

/// A status as the trailers that end a body.
pub fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // It fails on a message that no header can hold, and then has written the code.
    if status.add_header(&mut trailers).is_err() {
        tracing::warn!("a status had to be told without its message");
    }
    trailers
}

/// The headers that say something about the call rather than about one of the
/// two messages that carry it.
pub fn metadata(given: &HeaderMap) -> HeaderMap {
    // Answers have none as a rule, and then it costs nothing.
    let mut kept = HeaderMap::new();
    copy_metadata(given, &mut kept);
    kept
}

fn copy_metadata(given: &HeaderMap, kept: &mut HeaderMap) {
    for (name, value) in given.iter().filter(|(name, _)| is_metadata(name)) {
        kept.append(name, value.clone());
    }
}

/// Whether a header may cross.
pub fn is_metadata(name: &HeaderName) -> bool {
    // Of one connection or one body, or a protocol's own: gRPC's would be taken
    // for the translation's, Connect's are spent.
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
    fn a_message_survives_its_frame() {
        for message in [&b""[..], b"x", &[7; 300]] {
            assert_eq!(unpack(pack(0, message).unwrap()).unwrap(), message);
        }
        for bad in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\0", b"\0\0\0\0\x02x", b"\0\0\0\0\0x"] {
            assert!(unpack(Bytes::copy_from_slice(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_metadata_crosses() {
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
