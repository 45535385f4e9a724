//! A request to a REST route, as its handler reads it.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{RestError, body};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::transport::maybe_caller;

/// The state of the router.
#[derive(Clone)]
pub struct Shared {
    pub cx: Context,
    pub max_request_bytes: usize,
    pub max_response_bytes: usize,
}

/// A request with its authenticated caller.
pub struct RestRequest {
    pub cx: Context,
    pub call: RequestContext,
    pub max_response_bytes: usize,
    parts: Parts,
    segments: RawPathParams,
    body: Body,
    max_request_bytes: usize,
}

impl FromRequest<Shared> for RestRequest {
    type Rejection = RestError;

    async fn from_request(
        request: axum::extract::Request,
        shared: &Shared,
    ) -> std::result::Result<Self, RestError> {
        let (mut parts, body) = request.into_parts();
        let segments = RawPathParams::from_request_parts(&mut parts, shared)
            .await
            .map_err(|_| Error::invalid("path", "must be UTF-8 once its % codes are read"))?;
        let call = maybe_caller::authenticated(&mut parts.extensions)?;
        Ok(Self {
            cx: shared.cx.clone(),
            call,
            max_response_bytes: shared.max_response_bytes,
            parts,
            segments,
            body,
            max_request_bytes: shared.max_request_bytes,
        })
    }
}

impl RestRequest {
    /// A path parameter by its name in the route.
    pub fn path_parameter(&self, name: &'static str) -> &str {
        // A handler reads only parameters of its own route, so the parameter exists. The default
        // is empty, which is never a valid id.
        self.segments.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// A path parameter, parsed.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if it does not parse.
    pub fn id<T: FromStr<Err = Invalid>>(&self, name: &'static str) -> Result<T> {
        self.path_parameter(name).parse().map_err(|wrong: Invalid| Error::invalid(name, wrong.0))
    }

    /// The query parameters.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if a parameter is repeated.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let query = Query::try_from_uri(&self.parts.uri);
        let Query(query) =
            query.map_err(|_| Error::invalid("query", "must name each parameter once"))?;
        Ok(query)
    }

    /// The value of a header, if the request has it.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the header is repeated or is not printable ASCII.
    pub fn header(&self, name: &'static str) -> Result<Option<&str>> {
        let mut values = self.parts.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Error::invalid(name, "must stand once"));
        }
        let text = value.to_str().map_err(|_| Error::invalid(name, "must be printable ASCII"))?;
        Ok(Some(text))
    }

    /// The body. A second call reads an empty one.
    ///
    /// # Errors
    /// If the body is too large, is not JSON, or does not have the type `T`.
    pub async fn json<T: DeserializeOwned>(&mut self) -> std::result::Result<T, RestError> {
        let body = std::mem::take(&mut self.body);
        body::read(&self.parts.headers, body, self.max_request_bytes).await
    }
}
