//! Transports: each protocol over each version of HTTP. A transport writes a call and reads its
//! response exactly as the protocol defines it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value;
use tonic::{Code, Status};

use super::connection::{Answer, Connection};
use crate::support::TestApp;
use crate::support::client::Failure;
use crate::support::client::method;

/// How messages are encoded and framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Grpc,
    Web,
    WebText,
    Proto,
    Json,
    /// JSON in gRPC's framing. This form and the next two are not in [`Transport::ALL`].
    GrpcJson,
    WebJson,
    WebTextJson,
}

/// A protocol over a version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    pub form: Form,
    pub version: Version,
}

const fn over(form: Form, version: Version) -> Transport {
    Transport { form, version }
}

impl Transport {
    pub const ALL: [Transport; 9] = [
        over(Form::Grpc, Version::HTTP_2),
        over(Form::Web, Version::HTTP_11),
        over(Form::Web, Version::HTTP_2),
        over(Form::WebText, Version::HTTP_11),
        over(Form::WebText, Version::HTTP_2),
        over(Form::Proto, Version::HTTP_11),
        over(Form::Proto, Version::HTTP_2),
        over(Form::Json, Version::HTTP_11),
        over(Form::Json, Version::HTTP_2),
    ];

    /// JSON in gRPC's framing.
    pub const JSON_IN_FRAMES: [Transport; 4] = [
        over(Form::GrpcJson, Version::HTTP_2),
        over(Form::WebJson, Version::HTTP_11),
        over(Form::WebJson, Version::HTTP_2),
        over(Form::WebTextJson, Version::HTTP_11),
    ];

    /// The transports of [`Transport::ALL`] with this form.
    pub fn of(form: Form) -> impl Iterator<Item = Transport> {
        Self::ALL.into_iter().filter(move |transport| transport.form == form)
    }

    /// The transports of gRPC and gRPC-Web: messages are in frames, and a failure has HTTP status
    /// 200.
    pub fn framed() -> impl Iterator<Item = Transport> {
        Self::ALL.into_iter().filter(|transport| transport.is_framed())
    }

    /// The transports of Connect.
    pub fn plain() -> impl Iterator<Item = Transport> {
        Self::ALL.into_iter().filter(|transport| !transport.is_framed())
    }

    pub fn is_framed(self) -> bool {
        !matches!(self.form, Form::Proto | Form::Json)
    }

    fn is_json_in_frames(self) -> bool {
        Self::JSON_IN_FRAMES.contains(&self)
    }

    pub async fn connect(self, app: &TestApp) -> Connection {
        Connection::open(app.addr(), self.version).await
    }

    /// The content type of a request; a successful response has the same.
    pub fn content_type(self) -> &'static str {
        match self.form {
            Form::Grpc => "application/grpc",
            Form::Web => "application/grpc-web+proto",
            Form::WebText => "application/grpc-web-text+proto",
            Form::Proto => "application/proto",
            Form::Json => "application/json",
            Form::GrpcJson => "application/grpc+json",
            Form::WebJson => "application/grpc-web+json",
            Form::WebTextJson => "application/grpc-web-text+json",
        }
    }

    /// The HTTP body of a request to the method at `path`; `request` is the message in JSON.
    pub fn body(self, path: &str, request: &Value) -> Bytes {
        match self.form {
            Form::Json => request.to_string().into(),
            Form::Proto => encode(path, request).into(),
            _ if self.is_json_in_frames() => self.wrap(&frame(0, request.to_string().as_bytes())),
            _ => self.wrap(&frame(0, &encode(path, request))),
        }
    }

    /// The HTTP body of a request with these frames.
    pub fn wrap(self, frames: &[u8]) -> Bytes {
        match self.form {
            Form::WebText | Form::WebTextJson => STANDARD.encode(frames).into(),
            _ => Bytes::copy_from_slice(frames),
        }
    }

    /// Reads a response: the message of a success, in JSON, or the failure.
    pub fn read(self, path: &str, answer: &Answer) -> Result<Value, Failure> {
        assert!(answer.headers.contains_key("x-request-id"), "{answer:?}");
        let message = match self.form {
            Form::Grpc | Form::GrpcJson => self.read_grpc(answer)?,
            Form::Web | Form::WebText | Form::WebJson | Form::WebTextJson => {
                self.read_web(answer)?
            }
            Form::Proto => self.read_connect(answer)?,
            Form::Json => {
                let json = self.read_connect(answer)?;
                return Ok(serde_json::from_slice(&json).expect("JSON"));
            }
        };
        if self.is_json_in_frames() {
            return Ok(serde_json::from_slice(&message).expect("JSON"));
        }
        Ok(decode(path, &message))
    }

    fn read_grpc(self, answer: &Answer) -> Result<Bytes, Failure> {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, Some(self.content_type()))
        );
        if let Some(status) = Status::from_header_map(&answer.headers) {
            assert!(answer.body.is_empty() && answer.trailers.is_empty(), "trailers only");
            return Err(status.into());
        }
        let status = Status::from_header_map(&answer.trailers).expect("a status in the trailers");
        one_message(status, frames(answer.body.clone()))
    }

    fn read_web(self, answer: &Answer) -> Result<Bytes, Failure> {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, Some(self.content_type()))
        );
        assert!(answer.trailers.is_empty(), "gRPC-Web has no HTTP trailers");
        if let Some(status) = Status::from_header_map(&answer.headers) {
            assert!(answer.body.is_empty(), "trailers only");
            return Err(status.into());
        }
        let body = match self.form {
            Form::WebText | Form::WebTextJson => without_base64(&answer.body),
            _ => answer.body.clone(),
        };
        let mut frames = frames(body);
        let (flag, trailers) = frames.pop().expect("a frame with the trailers");
        assert_eq!(flag, 0x80, "the last frame has the trailers");
        let trailers = web_trailers(&trailers);
        one_message(Status::from_header_map(&trailers).expect("a status"), frames)
    }

    fn read_connect(self, answer: &Answer) -> Result<Bytes, Failure> {
        assert!(answer.trailers.is_empty(), "Connect has no HTTP trailers");
        if answer.status == StatusCode::OK {
            assert_eq!(answer.header("content-type"), Some(self.content_type()));
            return Ok(answer.body.clone());
        }
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let failure = Failure::from_connect(&answer.body);
        assert_eq!(answer.status.as_u16(), http_status(failure.code), "{failure:?}");
        let is_final = matches!(answer.status.as_u16(), 409 | 501);
        assert_eq!(answer.header("x-should-retry"), is_final.then_some("false"));
        Err(failure)
    }
}

/// The HTTP status of each code in Connect; a copy of the table, so that the server's is checked.
fn http_status(code: Code) -> u16 {
    match code {
        Code::Cancelled => 499,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::DeadlineExceeded => 504,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::PermissionDenied => 403,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::Unauthenticated => 401,
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => 500,
    }
}

fn one_message(status: Status, mut frames: Vec<(u8, Bytes)>) -> Result<Bytes, Failure> {
    if status.code() != Code::Ok {
        return Err(status.into());
    }
    let message = frames.pop().expect("a message");
    assert!(frames.is_empty() && message.0 == 0, "one message, not compressed");
    Ok(message.1)
}

/// One message in gRPC's framing.
pub fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(flag);
    framed.put_u32(message.len().try_into().unwrap());
    framed.put_slice(message);
    framed.freeze()
}

/// The frames of a body: the flag and the content of each.
pub fn frames(mut body: Bytes) -> Vec<(u8, Bytes)> {
    let mut frames = Vec::new();
    while body.has_remaining() {
        let flag = body.get_u8();
        let len = usize::try_from(body.get_u32()).unwrap();
        frames.push((flag, body.split_to(len)));
    }
    frames
}

/// Parses the trailers in a frame of gRPC-Web: header lines as in HTTP/1, with names in lower case.
pub fn web_trailers(text: &[u8]) -> HeaderMap {
    let text = std::str::from_utf8(text).unwrap();
    let pairs = text.split_terminator("\r\n").map(|line| {
        let (name, value) = line.split_once(':').expect("a name and a value");
        assert_eq!(name, name.to_lowercase());
        (name.parse::<HeaderName>().unwrap(), value.trim().parse::<HeaderValue>().unwrap())
    });
    pairs.collect()
}

/// Decodes base64 that may consist of several pieces, each with its own padding.
pub fn without_base64(body: &[u8]) -> Bytes {
    let pieces = body.chunks(4).map(|four| STANDARD.decode(four).expect("base64 in groups of 4"));
    pieces.flatten().collect::<Vec<u8>>().into()
}

/// A request to the method at `path` as protobuf.
pub fn encode(path: &str, request: &Value) -> Vec<u8> {
    DynamicMessage::deserialize(method(path).input(), request).unwrap().encode_to_vec()
}

/// A response of the method at `path` as JSON, with zero values.
pub fn decode(path: &str, message: &[u8]) -> Value {
    let message = DynamicMessage::decode(method(path).output(), message).unwrap();
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}
