//! Rejects requests because of their connection or the form of their head, before other code reads
//! their route. The response is plain text with an HTTP status: the protocol may not be known, and
//! the clients of every protocol map the status to a code.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tonic::body::Body;

use super::connection_limit::Access;
use crate::transport::Response;
use crate::transport::peer::Peer;

/// The value of `connection` in the last response of a connection.
pub const CLOSE: HeaderValue = HeaderValue::from_static("close");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The paths of probes.
const PROBE_PATHS: [&str; 3] = ["/healthz", "/readyz", "/grpc.health.v1.Health/Check"];

/// HTTP/2 counts this many bytes for a field in addition to its name and value (RFC 9113 §6.5.2).
const FIELD_BYTES: usize = 32;

/// After the last response of a connection, up to this many bytes are read from the peer, for at
/// most this time.
const MAX_LAST_BYTES: u64 = 1 << 20;
const LAST_RESPONSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// The response to a rejected request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    status: StatusCode,
    text: &'static str,
}

pub const HEAD_TOO_LARGE: Rejection = Rejection {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    text: "the headers of the request are larger than http.max_header_bytes\n",
};

/// The head has more fields than hyper reads; hyper sends the response.
pub const TOO_MANY_HEADERS: Rejection = Rejection {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    text: "the request has more than 100 headers\n",
};

const INVALID_HOST: Rejection = Rejection {
    status: StatusCode::BAD_REQUEST,
    text: "the request needs exactly one valid Host header\n",
};

const PROBES_ONLY: Rejection = Rejection {
    status: StatusCode::SERVICE_UNAVAILABLE,
    text: "there are too many connections; try again later\n",
};

impl Rejection {
    pub fn response(self) -> Response {
        let mut response =
            Response::new(Body::new(Full::new(Bytes::from_static(self.text.as_bytes()))));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, TEXT);
        response
    }
}

/// Checks the head of a request. `max_head_bytes` is for HTTP/2; over HTTP/1 a larger head does not
/// reach this function.
pub fn check<B>(request: &Request<B>, access: Access, max_head_bytes: usize) -> Option<Rejection> {
    if request.version() == Version::HTTP_2 {
        if list_bytes(request) > max_head_bytes {
            return Some(HEAD_TOO_LARGE);
        }
    } else if !has_valid_host(request.version(), request.headers()) {
        return Some(INVALID_HOST);
    }
    (access == Access::Probe && !PROBE_PATHS.contains(&request.uri().path())).then_some(PROBES_ONLY)
}

/// The size of the header list as HTTP/2 counts it.
fn list_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    target + fields.sum::<usize>()
}

/// Whether there is exactly one valid `Host`, as RFC 9112 §3.2 requires: if two servers read a
/// request differently, a client can smuggle it past the first server.
fn has_valid_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => {
            // `Host` is empty for a target without an authority.
            host.is_empty()
                || Authority::try_from(host.as_bytes())
                    .is_ok_and(|authority| !authority.as_str().contains('@'))
        }
        (Some(_), Some(_)) => false,
    }
}

/// Logs a rejection. `ConnectionLimit` has already logged a connection for probes.
pub fn log(peer: &Peer, rejection: Rejection) {
    if rejection == PROBES_ONLY {
        return;
    }
    let (status, why) = (rejection.status.as_u16(), rejection.text.trim_end());
    tracing::info!(peer = &*peer.text, status, why, "a request is rejected by its head");
}

/// Sends a response over HTTP/1 that hyper does not send, and closes the connection so that the
/// peer can read the response: a close with unread bytes would reset the connection.
pub async fn send_last(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), rejection: Rejection) {
    let (status, text) = (rejection.status, rejection.text);
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
    let sent = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MAX_LAST_BYTES), &mut tokio::io::sink()).await
    };
    match tokio::time::timeout(LAST_RESPONSE_TIMEOUT, sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::debug!(%error, "sending the last response failed; closing the connection")
        }
        Err(_) => tracing::debug!(
            "the peer keeps sending after the last response; closing the connection"
        ),
    }
}

#[cfg(test)]
mod tests;
