//! A simple REST client for the tests.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::support::Person;
use crate::support::client::http;

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A request that is being built.
pub struct Rest {
    request: Request<Full<Bytes>>,
}

impl Rest {
    /// A request without a body, with the key of the person if there is one.
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

    /// Adds one more header of this name.
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
        let answer = http().request(self.request).await.expect("the server responds");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("the response is complete").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}

/// Sends a request without a body.
pub async fn send(person: &Person, method: &str, path: &str) -> Answer {
    Rest::new(person, method, path).send().await
}

/// Sends a request with a JSON body.
pub async fn send_json(person: &Person, method: &str, path: &str, body: &Value) -> Answer {
    Rest::new(person, method, path).json(body).send().await
}

impl Answer {
    /// The JSON body of a response with this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// Checks that the response has this status and no body.
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

    /// The parts of a response that can show a client a difference between two cases: all
    /// except the request id and the date.
    pub fn comparable(&self) -> (StatusCode, HeaderMap, String) {
        let mut headers = self.headers.clone();
        let id = headers.remove("x-request-id").expect("an x-request-id header");
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
