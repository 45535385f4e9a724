//! Reads the message of a GET request from its query.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use connectrpc::CodecFormat;
use percent_encoding::percent_decode_str;
use tonic::Status;

use super::message::{UnaryMessage, decompress};
use crate::error::Error;
use crate::transport::status::to_status;

/// The query parameters of Connect.
#[derive(Default)]
struct Query<'a> {
    message: Option<&'a str>,
    encoding: Option<&'a str>,
    base64: bool,
    compression: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// Ignores other parameters.
    fn read(query: &'a str) -> Self {
        let mut read = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "message" => read.message = Some(value),
                "encoding" => read.encoding = Some(value),
                "base64" => read.base64 = value == "1",
                "compression" => read.compression = Some(value),
                "connect" => read.version = Some(value),
                _ => {}
            }
        }
        read
    }
}

/// Reads the message of a query; it has at most `max_bytes`.
pub fn read(query: &str, max_bytes: usize) -> Result<UnaryMessage, Status> {
    let query = Query::read(query);
    let invalid = |field: &str, what: &str| to_status(Error::invalid(field, what));
    let encoding = query.encoding.ok_or_else(|| invalid("encoding", "must be json or proto"))?;
    if query.version.is_some_and(|version| version != "v1") {
        return Err(invalid("connect", "must be v1"));
    }
    let message = match query.message {
        None => Bytes::new(),
        Some(text) => {
            let message = if query.base64 { from_base64(text) } else { Some(decoded(text)) };
            let message =
                message.ok_or_else(|| invalid("message", "must be base64 as URLs have it"))?;
            decompress(query.compression, message.into(), max_bytes, || {
                invalid("message", "cannot be decompressed as compression says")
            })?
        }
    };
    Ok(UnaryMessage { message, codec: CodecFormat::from_codec(encoding) })
}

/// Accepts base64 with and without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let decoded = if text.contains('%') { decoded(text) } else { text.into() };
    URL_SAFE_NO_PAD.decode(&decoded).or_else(|_| URL_SAFE.decode(&decoded)).ok()
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::protocol::transcode::COMPRESSION;
    use tonic::Code;

    const MAX_BYTES: usize = 64;

    #[test]
    fn a_query_contains_a_message() {
        let packed = URL_SAFE.encode(COMPRESSION.compress("gzip", b"{}").unwrap());
        for (query, message) in [
            ("encoding=json", &b""[..]),
            ("connect=v1&encoding=json&message=%7B%7d&other=x", b"{}"),
            ("encoding=json&message=a+b%2Bc%", b"a b+c%"),
            ("encoding=json&message=%7B%7D&base64=0", b"{}"),
            ("encoding=json&base64=1&message=_-8=", b"\xff\xef"),
            ("encoding=json&base64=1&message=_-8", b"\xff\xef"),
            ("encoding=json&base64=1&message=_-8%3D", b"\xff\xef"),
            (&format!("encoding=json&base64=1&compression=gzip&message={packed}"), b"{}"),
            ("encoding=json&compression=identity&message=x", b"x"),
        ] {
            let read = read(query, MAX_BYTES).unwrap();
            assert_eq!((&read.message[..], read.codec), (message, Some(CodecFormat::Json)));
        }
        assert_eq!(read("encoding=xml", MAX_BYTES).unwrap().codec, None);
    }

    #[test]
    fn a_malformed_query_is_rejected() {
        let bomb = URL_SAFE.encode(COMPRESSION.compress("gzip", &[b' '; 1 << 16]).unwrap());
        for (query, code) in [
            ("", Code::InvalidArgument),
            ("message=%7B%7D", Code::InvalidArgument),
            ("connect=v2&encoding=json", Code::InvalidArgument),
            ("encoding=json&base64=1&message=*", Code::InvalidArgument),
            ("encoding=json&compression=gzip&message=x", Code::InvalidArgument),
            ("encoding=json&compression=br&message=x", Code::Unimplemented),
            (&format!("encoding=json&message={}", "x".repeat(65)), Code::ResourceExhausted),
            (
                &format!("encoding=json&base64=1&compression=gzip&message={bomb}"),
                Code::ResourceExhausted,
            ),
        ] {
            assert_eq!(
                read(query, MAX_BYTES).err().map(|status| status.code()),
                Some(code),
                "{query}"
            );
        }
    }
}
