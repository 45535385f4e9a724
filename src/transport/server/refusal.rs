//! Requests that are refused for what their connection or their head is, before
//! anything reads what they ask for. Plain text and a status in every protocol: there
//! may be no knowing which one is spoken, and clients of each map the status to a code.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tonic::body::Body;

use super::Peer;
use super::places::Access;
use crate::transport::Response;

/// The value of `connection` in an answer that is its connection's last.
pub const CLOSE: HeaderValue = HeaderValue::from_static("close");

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What probes ask for.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/grpc.health.v1.Health/Check"];

/// What HTTP/2 counts for a field beside its name and its value (RFC 9113 §6.5.2).
const FIELD_BYTES: usize = 32;

/// Bytes still read from a peer after the answer that ends its connection, and the
/// time spent on it.
const MAX_LAST_BYTES: u64 = 1 << 20;
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(2);

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    status: StatusCode,
    text: &'static str,
}

/// The head is larger than it may be.
pub const HEAD_TOO_LARGE: Refused = Refused {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    text: "the headers of the request are larger than http.max_header_bytes\n",
};

/// The head has more fields than hyper reads, which answers it.
pub const TOO_MANY_HEADERS: Refused = Refused {
    status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    text: "the request has more than 100 headers\n",
};

const WRONG_HOST: Refused = Refused {
    status: StatusCode::BAD_REQUEST,
    text: "the request needs exactly one valid Host header\n",
};

const PROBES_ONLY: Refused = Refused {
    status: StatusCode::SERVICE_UNAVAILABLE,
    text: "there are too many connections; try again later\n",
};

impl Refused {
    /// The answer.
    pub fn response(self) -> Response {
        let mut response =
            Response::new(Body::new(Full::new(Bytes::from_static(self.text.as_bytes()))));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, TEXT);
        response
    }
}

/// Why this request is refused, if it is. `max_head_bytes` is for HTTP/2 alone; over
/// HTTP/1 a larger head does not get here.
pub fn of<B>(request: &Request<B>, access: Access, max_head_bytes: usize) -> Option<Refused> {
    if request.version() == Version::HTTP_2 {
        if list_bytes(request) > max_head_bytes {
            return Some(HEAD_TOO_LARGE);
        }
    } else if !has_right_host(request.version(), request.headers()) {
        return Some(WRONG_HOST);
    }
    (access == Access::Probe && !PROBES.contains(&request.uri().path())).then_some(PROBES_ONLY)
}

/// What the header list takes.
fn list_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    target + fields.sum::<usize>()
}

/// Whether there is one `Host` that names a host, as RFC 9112 §3.2 wants it: what
/// stands between two readings of a request is how requests are smuggled.
fn has_right_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => {
            // Empty for a target without an authority.
            host.is_empty()
                || Authority::try_from(host.as_bytes())
                    .is_ok_and(|authority| !authority.as_str().contains('@'))
        }
        (Some(_), Some(_)) => false,
    }
}

/// Writes a refusal into the log. That a connection is for probes alone stands there
/// already, once for all such.
pub fn tell(peer: &Peer, refused: Refused) {
    if refused == PROBES_ONLY {
        return;
    }
    let (status, why) = (refused.status.as_u16(), refused.text.trim_end());
    tracing::info!(peer = &*peer.text, status, why, "a request is refused unread");
}

/// Answers over HTTP/1 what hyper does not, and ends the connection so that the peer
/// can read the answer: closed with something left to read it would be reset.
pub async fn send_last(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), refused: Refused) {
    let (status, text) = (refused.status, refused.text);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{text}",
        text.len()
    );
    let sent = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MAX_LAST_BYTES), &mut tokio::io::sink()).await
    };
    match tokio::time::timeout(LAST_WORDS, sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the refusal of a request was not taken"),
        Err(_) => tracing::debug!("a peer went on sending after its request was refused"),
    }
}

#[cfg(test)]
mod tests;
