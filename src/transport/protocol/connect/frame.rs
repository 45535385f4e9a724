//! One message in gRPC's framing, and the headers that may cross the bridge.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::Status;

/// Flag and length.
const PREFIX_LEN: usize = 5;

/// Frames one uncompressed message.
pub fn pack(message: &[u8]) -> Result<Bytes, Status> {
    let len = u32::try_from(message.len())
        .map_err(|_| Status::resource_exhausted("the message is larger than 4 GiB"))?;
    let mut framed = BytesMut::with_capacity(PREFIX_LEN + message.len());
    framed.put_u8(0);
    framed.put_u32(len);
    framed.put_slice(message);
    Ok(framed.freeze())
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

/// The request's metadata for the tonic side, with what tonic wants added.
pub fn request_headers(given: &HeaderMap) -> HeaderMap {
    let mut headers = metadata(given);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers
}

/// The headers that say something about the call rather than about one of the
/// two messages that carry it.
pub fn metadata(given: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(given.len());
    for (name, value) in given.iter().filter(|(name, _)| is_metadata(name)) {
        kept.append(name, value.clone());
    }
    kept
}

/// Whether a header may cross.
pub fn is_metadata(name: &HeaderName) -> bool {
    // Of one connection or one body, or a protocol's own: gRPC's would be taken
    // for the bridge's, Connect's are spent.
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
            assert_eq!(unpack(pack(message).unwrap()).unwrap(), message);
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
