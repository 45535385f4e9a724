//! A request of a contract, as its handlers read it.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::{Refusal, body};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::operations::{Context, RequestContext};
use crate::transport::maybe_caller;

/// What every handler works with.
#[derive(Clone)]
pub struct Shared {
    /// What operations work with.
    pub cx: Context,
    /// The bound of a body.
    pub max_request_bytes: usize,
    /// The bound of an answer.
    pub max_response_bytes: usize,
}

/// A request with its caller. All that is wrong with it is told by [`Error`]s.
pub struct Asked {
    /// What operations work with.
    pub cx: Context,
    /// Who asks.
    pub call: RequestContext,
    /// The bound of the answer.
    pub max_response_bytes: usize,
    parts: Parts,
    segments: RawPathParams,
    body: Body,
    max_request_bytes: usize,
}

impl FromRequest<Shared> for Asked {
    type Rejection = Refusal;

    async fn from_request(
        request: axum::extract::Request,
        shared: &Shared,
    ) -> std::result::Result<Self, Refusal> {
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

impl Asked {
    /// A segment of the path, by its name in the route.
    pub fn segment(&self, name: &'static str) -> &str {
        // A route has what its handler asks for; nothing fits an empty text.
        self.segments.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// The same, as its type.
    ///
    /// # Errors
    /// If it is not of that type.
    pub fn id<T: FromStr<Err = Invalid>>(&self, name: &'static str) -> Result<T> {
        self.segment(name).parse().map_err(|wrong: Invalid| Error::invalid(name, wrong.0))
    }

    /// The query.
    ///
    /// # Errors
    /// If a parameter stands twice.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let query = Query::try_from_uri(&self.parts.uri);
        let Query(query) =
            query.map_err(|_| Error::invalid("query", "must name each parameter once"))?;
        Ok(query)
    }

    /// A header that is printable text; it stands once or not at all.
    ///
    /// # Errors
    /// If it stands twice, or is something else.
    pub fn header(&self, name: &'static str) -> Result<Option<&str>> {
        let mut values = self.parts.headers.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Error::invalid(name, "must stand once"));
        }
        let text = value.to_str().map_err(|_| Error::invalid(name, "must be printable ASCII"))?;
        Ok(Some(text))
    }

    /// The body.
    ///
    /// # Errors
    /// If it is not JSON, not what is asked for, or too large.
    pub async fn json<T: DeserializeOwned>(&mut self) -> std::result::Result<T, Refusal> {
        let body = std::mem::take(&mut self.body);
        body::read(&self.parts.headers, body, self.max_request_bytes).await
    }
}
