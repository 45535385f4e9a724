//! A complete request to the server, with the real operations behind it:
//!
//! ```text
//! POST /gitpod.v1.OrganizationService/GetOrganization HTTP/2
//! content-type: application/json
//!
//! {"organizationId": "00000000-0000-7000-8000-000000000001"}
//! ```

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};

use super::Fixture;
use super::fixture::Changed;

/// Sends the input as a request. Skips an input that hyper would reject.
pub fn run(fixture: &Fixture, data: &[u8]) {
    let filled = fixture.fill_in(data);
    let Some(request) = request(&filled) else { return };
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (answer, changed) = fixture.send(request);
    answer.check();
    assert!(!(reads && changed == Changed::Yes), "a method that only reads changes the store");
}

fn request(mut text: &[u8]) -> Option<http::Request<Bytes>> {
    let mut line = || {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let line = &text[..end];
        text = &text[end + 1..];
        Some(line)
    };
    let mut words = line()?.split(|byte| *byte == b' ');
    let (method, uri, version) = (words.next()?, words.next()?, words.next()?);
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = Method::from_bytes(method).ok()?;
    *request.uri_mut() = http::Uri::try_from(uri).ok()?;
    *request.version_mut() = match version {
        b"HTTP/2" => Version::HTTP_2,
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => return None,
    };
    loop {
        let field = line()?;
        if field.is_empty() {
            break;
        }
        let colon = field.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&field[..colon]).ok()?;
        let value = HeaderValue::from_bytes(field[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    *request.body_mut() = Bytes::copy_from_slice(text);
    Some(request)
}
