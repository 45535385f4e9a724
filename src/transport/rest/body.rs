//! Reads a JSON body. Errors name the place and never repeat the input, which may contain a token.

use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use tonic::Code;

use super::RestError;
use crate::error::Error;

/// Reads a body of at most `max` bytes as JSON.
pub async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: axum::body::Body,
    max: usize,
) -> Result<T, RestError> {
    require_json(headers)?;
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let bytes = match Limited::new(body, max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => {
            return Err(Error::invalid("body", "breaks off").with_source(error).into());
        }
    };
    parse(&bytes).map_err(RestError::from)
}

fn require_json(headers: &HeaderMap) -> Result<(), RestError> {
    let unsupported = |message| {
        Err(RestError::of_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Unknown, message))
    };
    let essence = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    if essence.as_deref() != Some("application/json") {
        return unsupported("send application/json");
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            unsupported("send the body without a content-encoding")
        }
        _ => Ok(()),
    }
}

fn too_large() -> RestError {
    let message = "the body is larger than the server takes";
    RestError::of_http(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, message)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::invalid("body", format!("is not JSON, at line {line}, column {column}"))
    })?;
    // serde reads an array as the values of the fields in order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Error::invalid("body", "must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        // The path contains names of known fields only: unknown fields are ignored.
        let place = match error.path().to_string() {
            path if path == "." => "body".to_owned(),
            path => path,
        };
        Error::invalid(place, expectation(&error.inner().to_string()))
    })
}

/// The part of serde's message with the expected value. The other parts may repeat the input.
fn expectation(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    let message = &message[..end];
    if let Some(begin) = message.rfind(", expected ") {
        return format!("must be {}", &message[begin + ", expected ".len()..]);
    }
    // These messages contain the name of a known field only.
    for fixed in ["missing field ", "duplicate field "] {
        if message.starts_with(fixed) {
            return message.to_owned();
        }
    }
    "has a wrong value".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Outer {
        inner: Vec<Inner>,
        #[serde(default)]
        flag: bool,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Inner {
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Red,
        Blue,
    }

    #[test]
    fn errors_name_the_place_and_do_not_repeat_the_input() {
        for (json, message) in [
            ("", "body: is not JSON, at line 1, column 0"),
            ("{", "body: is not JSON, at line 1, column 1"),
            (r#"{"s3cret": s3cret}"#, "body: is not JSON, at line 1, column 12"),
            (r#"{"inner": []} s3cret"#, "body: is not JSON, at line 1, column 15"),
            ("{}", "body: missing field `inner`"),
            (r#"{"inner": [], "inner": []}"#, "body: duplicate field `inner`"),
            (r#""s3cret""#, "body: must be an object"),
            (r#" [[], true]"#, "body: must be an object"),
            (r#"{"inner": "s3cret, expected s3cret"}"#, "inner: must be a sequence"),
            (r#"{"inner": [{"kind": "s3cret"}]}"#, "inner[0].kind: must be `red` or `blue`"),
            (r#"{"inner": [{"kind": "red"}, {"kind": 5}]}"#, "inner[1].kind: has a wrong value"),
            (r#"{"inner": [], "flag": "s3cret at line 1"}"#, "flag: must be a boolean"),
            (r#"{"s3cret": {"s3cret": "\ud800"}, "inner": 1}"#, "inner: must be a sequence"),
        ] {
            let error = parse::<Outer>(json.as_bytes()).unwrap_err();
            assert_eq!(error.message, message, "{json}");
        }
        parse::<Outer>(br#"{"inner": [{"kind": "red"}], "more": 1}"#).unwrap();
    }
}
