//! Responses, and what must hold for each: it is complete in its own protocol, and it
//! never reports a fault of the server.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use guestlist::transport::Response;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tonic::{Code, Status};

/// A complete response.
pub struct Answer {
    pub head: http::response::Parts,
    pub body: Bytes,
    pub trailers: HeaderMap,
    /// Whether the response continues until its client disconnects. Only its head is read then.
    endless: bool,
}

/// What a caller receives in any protocol: a code with its text, and messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub code: Code,
    pub text: String,
    pub messages: Vec<Bytes>,
}

/// The flags of the last frame of a Connect stream and of a gRPC-Web response.
const CONNECT_END: u8 = 2;
const WEB_END: u8 = 0x80;

impl Answer {
    /// Reads the response to its end. Of an endless response, reads only the first frame.
    pub async fn read(response: Response, endless: bool) -> Self {
        let (head, mut body) = response.into_parts();
        if endless {
            if let Some(first) = body.frame().await {
                first.expect("the first frame arrives");
            }
            return Self { head, body: Bytes::new(), trailers: HeaderMap::new(), endless };
        }
        let whole = body.collect().await.expect("the body is read to its end");
        let trailers = whole.trailers().cloned().unwrap_or_default();
        Self { head, body: whole.to_bytes(), trailers, endless }
    }

    /// Asserts what must hold for every response.
    pub fn check(&self) {
        let status = self.head.status;
        // Not implemented, deadline exceeded, and gRPC over HTTP/1.1: the caller is the cause.
        let is_clients_fault = [501, 504, 505].contains(&status.as_u16());
        assert!(!status.is_server_error() || is_clients_fault, "{self:?}");
        assert!(self.head.headers.contains_key("x-request-id"), "{self:?}");
        let compressed = self.head.headers.contains_key(header::CONTENT_ENCODING);
        if self.content_type() == "application/json" && !self.body.is_empty() && !compressed {
            let value: Result<Value, _> = serde_json::from_slice(&self.body);
            assert!(value.is_ok(), "{value:?}: {self:?}");
        }
        if let Some(outcome) = self.outcome() {
            let server_faults = [Code::Internal, Code::DataLoss, Code::Unknown];
            // gRPC's compression.md requires INTERNAL here, although the caller is the cause.
            let is_clients_fault =
                outcome.text == "a message is compressed, but no header says how";
            assert!(
                is_clients_fault || !server_faults.contains(&outcome.code),
                "{outcome:?} in {self:?}"
            );
        }
    }

    fn content_type(&self) -> &str {
        let value = self.head.headers.get(header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The response as a client of its RPC protocol reads it. `None` if the response is endless,
    /// or in no RPC protocol: a page, or an error of a REST contract or of plain HTTP.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.endless {
            return None;
        }
        let content_type = self.content_type();
        let body = self.body.clone();
        if content_type.starts_with("application/grpc-web-text") {
            return Some(self.grpc_web_outcome(unpack_text(&body)));
        }
        if content_type.starts_with("application/grpc-web") {
            return Some(self.grpc_web_outcome(body));
        }
        if content_type.starts_with("application/grpc") {
            let statuses = [&self.head.headers, &self.trailers].map(Status::from_header_map);
            return Some(self.grpc_outcome(statuses, frames(body)));
        }
        if content_type.starts_with("application/connect+") {
            return Some(connect_stream_outcome(body));
        }
        match content_type {
            "application/proto" => {
                Some(Outcome { code: Code::Ok, text: String::new(), messages: vec![body] })
            }
            "application/json" if self.head.status == StatusCode::OK => {
                Some(Outcome { code: Code::Ok, text: String::new(), messages: vec![body] })
            }
            "application/json" => {
                let error: Value = serde_json::from_slice(&body).ok()?;
                // The REST contracts and plain HTTP have other formats for errors.
                let is_plain_http = matches!(self.head.status.as_u16(), 405 | 415 | 505);
                let code = connect_code(error["code"].as_str().filter(|_| !is_plain_http)?);
                Some(Outcome { code, text: text(&error), messages: Vec::new() })
            }
            _ => None,
        }
    }

    fn grpc_web_outcome(&self, body: Bytes) -> Outcome {
        let mut frames = frames(body);
        let trailers = frames.pop_if(|(flag, _)| *flag & WEB_END != 0).map(|(_, text)| {
            let text = std::str::from_utf8(&text).expect("trailers are text").to_owned();
            let lines = text.split("\r\n").filter(|line| !line.is_empty());
            let fields = lines.map(|line| line.split_once(':').expect("a field"));
            let field = |(name, value): (&str, &str)| {
                let name: http::HeaderName = name.parse().expect("a name");
                (name, value.trim().parse().expect("a value"))
            };
            fields.map(field).collect::<HeaderMap>()
        });
        let in_body = trailers.as_ref().and_then(Status::from_header_map);
        self.grpc_outcome([Status::from_header_map(&self.head.headers), in_body], frames)
    }

    /// The outcome of a gRPC or gRPC-Web response, which must have exactly one status.
    fn grpc_outcome(&self, statuses: [Option<Status>; 2], frames: Vec<(u8, Bytes)>) -> Outcome {
        let ([Some(status), None] | [None, Some(status)]) = statuses else {
            panic!("not exactly one status: {self:?}")
        };
        let compressed = self.head.headers.contains_key("grpc-encoding");
        let is_valid_flag = |flag| flag == 0 || (flag == 1 && compressed);
        assert!(frames.iter().all(|(flag, _)| is_valid_flag(*flag)), "{self:?}");
        let messages = frames.into_iter().map(|(_, message)| message).collect();
        Outcome { code: status.code(), text: status.message().to_owned(), messages }
    }
}

fn connect_stream_outcome(body: Bytes) -> Outcome {
    let mut frames = frames(body);
    let (flag, end) = frames.pop().expect("a stream has a last frame");
    assert_eq!(flag, CONNECT_END, "the last frame ends the stream");
    let end: Value = serde_json::from_slice(&end).expect("the last frame is JSON");
    let error = &end["error"];
    let code = match error {
        Value::Null => Code::Ok,
        error => connect_code(error["code"].as_str().expect("an error has a code")),
    };
    let messages = frames.into_iter().map(|(_, message)| message).collect();
    Outcome { code, text: text(error), messages }
}

fn text(error: &Value) -> String {
    error["message"].as_str().unwrap_or_default().to_owned()
}

/// The flag and the content of each frame.
fn frames(mut body: Bytes) -> Vec<(u8, Bytes)> {
    let mut frames = Vec::new();
    while body.has_remaining() {
        assert!(body.len() >= 5, "half a frame at the end");
        let flag = body.get_u8();
        let len = usize::try_from(body.get_u32()).expect("64 bits");
        assert!(body.len() >= len, "a frame ends early");
        frames.push((flag, body.split_to(len)));
    }
    frames
}

/// Decodes base64, possibly of several pieces with their own padding.
fn unpack_text(body: &[u8]) -> Bytes {
    assert!(body.len().is_multiple_of(4), "the length of base64 is a multiple of 4");
    let piece = |four: &[u8]| STANDARD.decode(four).expect("base64");
    body.chunks(4).flat_map(piece).collect()
}

/// The code with this name in Connect.
fn connect_code(name: &str) -> Code {
    let number = match name {
        "canceled" => 1,
        "unknown" => 2,
        "invalid_argument" => 3,
        "deadline_exceeded" => 4,
        "not_found" => 5,
        "already_exists" => 6,
        "permission_denied" => 7,
        "resource_exhausted" => 8,
        "failed_precondition" => 9,
        "aborted" => 10,
        "out_of_range" => 11,
        "unimplemented" => 12,
        "internal" => 13,
        "unavailable" => 14,
        "data_loss" => 15,
        "unauthenticated" => 16,
        other => panic!("{other} is not a code of Connect"),
    };
    Code::from(number)
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, body, trailers, .. } = self;
        write!(f, "{} {:?} {body:?} {trailers:?}", head.status, head.headers)
    }
}
