//! One HTTP connection, requests of any form, and whole responses with headers and
//! trailers.

use std::net::SocketAddr;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// One connection, for one request after another.
pub struct Connection {
    addr: SocketAddr,
    sender: Sender,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The trailers of HTTP, not those that gRPC-Web puts in the body.
    pub trailers: HeaderMap,
}

impl Connection {
    pub async fn open(addr: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the server accepts connections");
        stream.set_nodelay(true).unwrap();
        Self::over(stream, addr, version).await
    }

    /// On a stream of any kind that is connected to `addr`.
    pub async fn over<IO>(stream: IO, addr: SocketAddr, version: Version) -> Self
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        // Errors of the connection need no check here: the request that they end fails.
        let sender = if version == Version::HTTP_2 {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Sender::Http1(sender)
        };
        Self { addr, sender }
    }

    /// Sends a request whose URI is a path, and reads the whole response.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Answer {
        let authority = self.addr.to_string();
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.expect("the connection is open");
                request.headers_mut().entry(header::HOST).or_insert(authority.parse().unwrap());
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.expect("the connection is open");
                let uri = format!("http://{authority}{}", request.uri());
                *request.uri_mut() = uri.parse().unwrap();
                sender.send_request(request).await
            }
        };
        let (head, body) = answer.expect("the server responds").into_parts();
        let body = body.collect().await.expect("the response is whole");
        let trailers = body.trailers().cloned().unwrap_or_default();
        Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert_eq!(values.next(), None, "one {name}");
        Some(value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {} {:?}", self.status, self.body))
    }

    /// Whether the response contains a text anywhere, as it is or in base64.
    pub fn contains(&self, text: &str) -> bool {
        let headers = [&self.headers, &self.trailers].into_iter().flatten();
        let mut all = String::from_utf8_lossy(&self.body).into_owned();
        for (name, value) in headers {
            let value = percent_decode_str(std::str::from_utf8(value.as_bytes()).unwrap());
            all += &format!("\n{name}: {}", value.decode_utf8_lossy());
        }
        all.contains(text) || without_base64(&all).any(|plain| plain.contains(text))
    }
}

/// The decoded form of each part of a text that may be base64.
fn without_base64(text: &str) -> impl Iterator<Item = String> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, lenient);
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '='))
        .filter_map(move |part| engine.decode(part).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
