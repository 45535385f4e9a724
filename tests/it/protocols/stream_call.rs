//! Calls of streaming methods: messages are sent and received one by one, over every protocol that
//! has streams.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::channel::mpsc;
use http::{HeaderMap, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use super::transport::{frame, web_trailers};
use super::{gunzip, gzip};
use crate::support::TestApp;
use crate::support::client::Failure;

/// A timeout: no step takes longer unless it hangs.
const HANG_TIMEOUT: Duration = Duration::from_secs(30);

static STANDARD: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
    pool.decode_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET).unwrap();
    pool
});

/// A protocol for streams over a version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTransport {
    pub content_type: &'static str,
    pub version: Version,
}

const fn transport(content_type: &'static str, version: Version) -> StreamTransport {
    StreamTransport { content_type, version }
}

impl StreamTransport {
    pub const ALL: [StreamTransport; 10] = [
        transport("application/grpc", Version::HTTP_2),
        transport("application/grpc+json", Version::HTTP_2),
        transport("application/grpc-web+proto", Version::HTTP_11),
        transport("application/grpc-web+proto", Version::HTTP_2),
        transport("application/grpc-web+json", Version::HTTP_11),
        transport("application/grpc-web+json", Version::HTTP_2),
        transport("application/connect+proto", Version::HTTP_11),
        transport("application/connect+proto", Version::HTTP_2),
        transport("application/connect+json", Version::HTTP_11),
        transport("application/connect+json", Version::HTTP_2),
    ];

    pub fn is_connect(self) -> bool {
        self.content_type.starts_with("application/connect")
    }

    fn is_json(self) -> bool {
        self.content_type.ends_with("json")
    }

    /// The header that names the compression of messages, in either direction.
    pub fn encoding(self) -> &'static str {
        if self.is_connect() { "connect-content-encoding" } else { "grpc-encoding" }
    }

    /// A header for a deadline.
    pub fn timeout(self, millis: u32) -> (&'static str, String) {
        match self.is_connect() {
            true => ("connect-timeout-ms", millis.to_string()),
            false => ("grpc-timeout", format!("{millis}m")),
        }
    }
}

/// The next event that the client receives.
#[derive(Debug, PartialEq)]
pub enum Received {
    Message(Value),
    /// The end of the stream: success or failure.
    End(Result<(), Failure>),
}

/// A running call. Dropping it disconnects the client.
pub struct StreamCall {
    transport: StreamTransport,
    method: MethodDescriptor,
    body_sender: mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>,
    answer: Response<Incoming>,
    buffer: BytesMut,
}

impl StreamCall {
    /// Calls the method at `path`. The messages of `begin` are sent at once, since a server may
    /// wait for them before it responds. If `all` is true, the request ends after them.
    pub async fn open(
        app: &TestApp,
        transport: StreamTransport,
        path: &str,
        headers: &[(&'static str, String)],
        begin: &[Value],
        all: bool,
    ) -> Self {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = STANDARD.get_service_by_name(service).unwrap();
        let method = service.methods().find(|m| m.name() == method).unwrap();
        let (body_sender, body) = mpsc::unbounded();
        let mut request = Request::post(path).body(StreamBody::new(body)).unwrap();
        let mut request_headers = HeaderMap::new();
        request_headers.insert("content-type", transport.content_type.parse().unwrap());
        request_headers.insert("host", app.addr().to_string().parse().unwrap());
        for (name, value) in headers {
            request_headers.insert(*name, value.parse().unwrap());
        }
        let compresses = request_headers.get(transport.encoding()).is_some_and(|how| how == "gzip");
        *request.headers_mut() = request_headers;

        let stream = TokioIo::new(TcpStream::connect(app.addr()).await.unwrap());
        let send = |value: &Value| {
            let message = encode(transport, &method, value);
            let framed = if compresses { frame(1, &gzip(&message)) } else { frame(0, &message) };
            body_sender.unbounded_send(Ok(Frame::data(framed))).unwrap();
        };
        begin.iter().for_each(send);
        if all {
            body_sender.close_channel();
        }
        let answer = if transport.version == Version::HTTP_2 {
            request.headers_mut().remove("host");
            *request.uri_mut() = format!("http://{}{path}", app.addr()).parse().unwrap();
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            tokio::time::timeout(HANG_TIMEOUT, sender.send_request(request)).await
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            tokio::time::timeout(HANG_TIMEOUT, sender.send_request(request)).await
        };
        let answer = answer.expect("a response in time").unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], transport.content_type);
        Self { transport, method, body_sender, answer, buffer: BytesMut::new() }
    }

    pub fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    pub fn send(&self, value: &Value) {
        let framed = frame(0, &encode(self.transport, &self.method, value));
        self.body_sender.unbounded_send(Ok(Frame::data(framed))).unwrap();
    }

    /// Ends the request: no more messages follow.
    pub fn finish(&self) {
        self.body_sender.close_channel();
    }

    pub async fn receive(&mut self) -> Received {
        tokio::time::timeout(HANG_TIMEOUT, self.next()).await.expect("a message or the end in time")
    }

    async fn next(&mut self) -> Received {
        if let Some(status) = Status::from_header_map(self.answer.headers()) {
            let rest = self.answer.body_mut().frame().await;
            assert!(rest.is_none(), "{:?} trailers only: {rest:?}", self.transport);
            return end(status);
        }
        loop {
            if let Some((flag, message)) = take(&mut self.buffer) {
                return match flag {
                    0 => Received::Message(self.decode(&message)),
                    1 => Received::Message(self.decode(&gunzip(&message))),
                    0x80 => end(Status::from_header_map(&web_trailers(&message)).unwrap()),
                    2 => end_of_connect(&message),
                    other => panic!("flag {other}"),
                };
            }
            let frame = self.answer.body_mut().frame().await.expect("a status at the end").unwrap();
            match frame.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(frame) => {
                    assert_eq!(
                        self.transport.content_type.split('+').next(),
                        Some("application/grpc")
                    );
                    let trailers = frame.into_trailers().unwrap();
                    return end(Status::from_header_map(&trailers).unwrap());
                }
            }
        }
    }

    fn decode(&self, message: &[u8]) -> Value {
        if self.transport.is_json() {
            return serde_json::from_slice(message).unwrap();
        }
        let message = DynamicMessage::decode(self.method.output(), message).unwrap();
        serde_json::to_value(&message).unwrap()
    }
}

fn encode(transport: StreamTransport, method: &MethodDescriptor, value: &Value) -> Vec<u8> {
    match transport.is_json() {
        true => value.to_string().into_bytes(),
        false => DynamicMessage::deserialize(method.input(), value).unwrap().encode_to_vec(),
    }
}

/// The first whole frame of a buffer.
fn take(buffer: &mut BytesMut) -> Option<(u8, Bytes)> {
    let prefix: [u8; 5] = buffer.get(..5)?.try_into().unwrap();
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
    let whole = buffer.get(..5 + length)?.len();
    Some((prefix[0], buffer.split_to(whole).freeze().slice(5..)))
}

fn end(status: Status) -> Received {
    Received::End(match status.code() {
        Code::Ok => Ok(()),
        _ => Err(status.into()),
    })
}

fn end_of_connect(message: &[u8]) -> Received {
    let end: Value = serde_json::from_slice(message).unwrap();
    Received::End(match end.get("error") {
        Some(error) => Err(Failure::from_connect(&Bytes::from(error.to_string()))),
        None => Ok(()),
    })
}
