//! A REST client as plain as they come.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::support::Person;
use crate::support::client::http;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A request in the making.
pub struct Rest {
    request: Request<Full<Bytes>>,
}

impl Rest {
    /// A request without a body, by somebody with a key or by nobody.
    pub fn new(person: &Person, method: &str, path: &str) -> Self {
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = format!("http://{}{path}", person.client.addr).parse().unwrap();
        let rest = Self { request };
        match &person.key {
            Some(key) => rest.with("authorization", &format!("Bearer {key}")),
            None => rest,
        }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    /// One more header of this name.
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string()).with("content-type", "application/json")
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    pub async fn send(self) -> Answer {
        let answer = http().request(self.request).await.expect("the server answers");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}

/// Asks without a body.
pub async fn ask(person: &Person, method: &str, path: &str) -> Answer {
    Rest::new(person, method, path).send().await
}

/// Asks with a body.
pub async fn give(person: &Person, method: &str, path: &str, body: &Value) -> Answer {
    Rest::new(person, method, path).json(body).send().await
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Checks an answer that its status says all of.
    #[track_caller]
    pub fn empty(&self, status: u16) {
        assert_eq!((self.status.as_u16(), self.body.len()), (status, 0), "{}", self.text());
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// All that a stranger could tell answers apart by: not the request's name, and
    /// not the time.
    pub fn comparable(&self) -> (StatusCode, HeaderMap, String) {
        let mut headers = self.headers.clone();
        let id = headers.remove("x-request-id").expect("a request's name");
        headers.remove("date");
        (self.status, headers, self.text().replace(id.to_str().unwrap(), "$request"))
    }
}

/// The keys of an object, in order.
#[track_caller]
pub fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
