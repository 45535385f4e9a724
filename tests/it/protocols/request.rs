//! Builds HTTP requests, valid or not, and sends them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde_json::Value;

use super::connection::{Answer, Connection};
use super::transport::Transport;
use crate::support::{Person, TestApp};

/// A request that a test builds step by step and then sends.
#[derive(Debug, Clone)]
pub struct TestRequest {
    pub transport: Transport,
    pub path: String,
    verb: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl TestRequest {
    /// A call of the method at `path`.
    pub fn new(transport: Transport, path: &str, request: &Value) -> Self {
        Self::raw(transport, path, transport.body(path, request))
    }

    /// The same with any bytes as the body.
    pub fn raw(transport: Transport, path: &str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(transport.content_type()));
        Self { transport, path: path.to_owned(), verb: Method::POST, headers, body: body.into() }
    }

    pub fn by(self, person: &Person) -> Self {
        let key = person.key.as_deref().expect("the person has a key");
        self.with("authorization", &format!("Bearer {key}"))
    }

    pub fn verb(self, verb: Method) -> Self {
        Self { verb, ..self }
    }

    pub fn with(self, name: &'static str, value: &str) -> Self {
        self.header(name, value.parse().unwrap())
    }

    pub fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds one more header with this name.
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub async fn send(self, connection: &mut Connection) -> Answer {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.verb;
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers;
        connection.send(request).await
    }

    /// Sends it on a connection of its own.
    pub async fn once(self, app: &TestApp) -> Answer {
        let mut connection = self.transport.connect(app).await;
        self.send(&mut connection).await
    }
}
