//! Peers without a credential that send all of a body except its end.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::Target;

/// The number of bodies, one on each connection.
const BODIES: usize = 1000;

/// The content length of a body, and the part of it that is sent.
const LENGTH: usize = 1 << 20;
static ALL_BUT_THE_END: [u8; LENGTH - 1] = [b' '; LENGTH - 1];

/// The protocols: content type, path, and whether over HTTP/2.
const PROTOCOLS: [(&str, &str, bool); 6] = [
    ("application/json", "/guestlist.v1.AccountService/GetCaller", false),
    ("application/json", "/guestlist.v1.AccountService/GetCaller", true),
    ("application/grpc-web+proto", "/guestlist.v1.AccountService/GetCaller", false),
    ("application/grpc", "/guestlist.v1.AccountService/GetCaller", true),
    ("application/json", "/v1/orgs/x/invites", false),
    ("application/json", "/v1/orgs/x/invites", true),
];

/// How long the peers keep their connections open after all are rejected.
const HELD: Duration = Duration::from_secs(1);

pub async fn unfinished(target: Target) {
    let (refused, mut so_far) = tokio::sync::watch::channel(0);
    let peers = (0..BODIES).map(|n| {
        let (target, refused) = (&target, &refused);
        async move {
            // If the server closes a connection with an unread body, the response may be lost.
            if let Some((status, grpc)) = refusal(target, PROTOCOLS[n % PROTOCOLS.len()]).await {
                assert!(status == 401 || grpc.as_deref() == Some("16"), "{status} {grpc:?}");
            }
            refused.send_modify(|count| *count += 1);
            // No peer closes its connection before all are rejected.
            let mut all = refused.subscribe();
            all.wait_for(|count| *count == BODIES).await.unwrap();
            tokio::time::sleep(HELD).await;
        }
    });
    let attack_started = async {
        so_far.wait_for(|count| *count > BODIES / 2).await.unwrap();
        target.attack_started();
    };
    futures::join!(join_all(peers), attack_started);
}

/// The HTTP status and the gRPC status, if there is a response. The connection stays open until its
/// client is dropped.
async fn refusal(
    target: &Target,
    (content_type, path, is_http2): (&str, &str, bool),
) -> Option<(u16, Option<String>)> {
    let begin = Ok::<_, Infallible>(Frame::data(Bytes::from_static(&ALL_BUT_THE_END)));
    let body = StreamBody::new(stream::iter([begin]).chain(stream::pending()));
    let uri = if is_http2 { format!("http://x{path}") } else { path.to_owned() };
    let request = http::Request::post(uri)
        .header("host", "x")
        .header("te", "trailers")
        .header("content-type", content_type)
        .header("content-length", LENGTH)
        .body(body)
        .unwrap();
    let stream = TokioIo::new(TcpStream::connect(target.addr).await.ok()?);
    let answer = if is_http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.ok()?;
        tokio::spawn(connection);
        sender.send_request(request).await.ok()?
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.ok()?;
        tokio::spawn(connection);
        sender.send_request(request).await.ok()?
    };
    let (head, body) = answer.into_parts();
    body.collect().await.ok()?;
    let grpc = head.headers.get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
    Some((head.status.as_u16(), grpc))
}
