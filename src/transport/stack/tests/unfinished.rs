//! Tests requests whose bodies do not end.

use std::pin::Pin;

use http_body::{Frame, SizeHint};

use super::*;

/// A body of known length that never arrives.
struct Never(u64);

impl HttpBody for Never {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const GRPC: (&str, &str) = ("content-type", "application/grpc");
const WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");

/// A call over HTTP/2 with a body of `length` bytes that never arrives.
fn never(path: &str, headers: &[(&str, &str)], length: u64) -> http::Request<Never> {
    let mut request = new_request(Method::POST, path, headers, b"").map(|_| Never(length));
    *request.version_mut() = Version::HTTP_2;
    request
}

async fn answered(stack: &Stack, request: http::Request<Never>) -> Answer {
    let response = stack.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
}

/// The clock is paused: the only time that passes is the two seconds of draining.
#[tokio::test(start_paused = true)]
async fn p41_an_unauthenticated_body_is_not_awaited_and_holds_no_permit() {
    let http = Http { max_requests: 1, ..bounds() };
    let stack = build_with(&http, &[]).stack;
    for (path, content_type, status) in [
        (RESOLVE, JSON, 401),
        (RESOLVE, ("content-type", "application/proto"), 401),
        (RESOLVE, GRPC, 200),
        (RESOLVE, ("content-type", "application/grpc+json"), 200),
        (RESOLVE, WEB, 200),
        (RESOLVE, ("content-type", "application/grpc-web-text"), 200),
        ("/v1/orgs/x/invites", JSON, 401),
        ("/v1/organizations/x", JSON, 401),
    ] {
        for authorization in ["-", "Bearer bad"] {
            let method = if path == "/v1/organizations/x" { Method::GET } else { Method::POST };
            let headers = [content_type, ("authorization", authorization)];
            let mut request = never(path, &headers, 100);
            *request.method_mut() = method;
            let started = tokio::time::Instant::now();
            let call = tokio::spawn({
                let stack = stack.clone();
                async move { answered(&stack, request).await }
            });
            tokio::task::yield_now().await;
            // An authenticated caller is served meanwhile.
            let good = send(&stack, new_request(Method::POST, GET_CALLER, &[JSON], b"{}")).await;
            assert_eq!(good.status, 200, "{path} {content_type:?}");
            let answer = call.await.unwrap();
            assert_eq!(answer.status, status, "{path} {content_type:?}");
            assert!(started.elapsed().as_secs() <= 2, "it does not wait for the deadline");
            if status == 200 {
                assert_eq!(answer.grpc_status().code(), Code::Unauthenticated);
            }
        }
    }
}

/// The head alone causes each error: the announced length is too large, or the encoding is not
/// supported. The error is sent when the body is drained or the drain times out.
#[tokio::test(start_paused = true)]
async fn p41_no_permit_is_held_while_a_rejected_body_is_drained() {
    let http = Http { max_requests: 1, ..bounds() };
    let stack = build_with(&http, &[]).stack;
    let calls = [
        never(RESOLVE, &[JSON], 1 << 20),
        never(RESOLVE, &[GRPC, ("grpc-encoding", "br")], 100),
        never(RESOLVE, &[WEB, ("grpc-encoding", "br")], 100),
    ];
    for request in calls {
        let call = tokio::spawn({
            let stack = stack.clone();
            async move { stack.oneshot(request).await.unwrap() }
        });
        tokio::task::yield_now().await;
        assert!(!call.is_finished(), "the response waits for the body");
        let good = send(&stack, new_request(Method::POST, GET_CALLER, &[JSON], b"{}")).await;
        assert_eq!(good.status, 200);
        call.await.unwrap();
    }
}

/// If the database hangs during authentication, the call ends at its deadline.
#[tokio::test(start_paused = true)]
async fn the_deadline_covers_authentication() {
    for (content_type, status) in [(JSON, 504), (GRPC, 200)] {
        let headers = [content_type, ("authorization", "Bearer hangs")];
        let started = tokio::time::Instant::now();
        let mut request = new_request(Method::POST, RESOLVE, &headers, b"");
        *request.version_mut() = Version::HTTP_2;
        let answer = send(&stack(), request).await;
        assert_eq!((started.elapsed().as_secs(), answer.status.as_u16()), (15, status));
        if status == 200 {
            assert_eq!(answer.grpc_status().code(), Code::DeadlineExceeded);
        }
    }
    // A method without authentication does not wait.
    let headers = [JSON, ("authorization", "Bearer hangs")];
    let started = tokio::time::Instant::now();
    let answer = send(&stack(), new_request(Method::POST, HEALTH, &headers, b"{}")).await;
    assert_eq!((started.elapsed().as_secs(), answer.status.as_u16()), (0, 200));
}

#[tokio::test]
async fn p41_unauthenticated_messages_have_a_lower_size_limit() {
    let http = Http { max_request_bytes: 1024, max_anonymous_request_bytes: 16, ..bounds() };
    let stack = build_with(&http, &[]).stack;
    let body = json_of(64);
    let framed = |message: &[u8]| {
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put_slice(message);
        framed.freeze()
    };
    let health = tonic_health::pb::HealthCheckRequest { service: "x".repeat(64) };
    let proto = prost::Message::encode_to_vec(&health);
    for (path, content_type, body) in [
        (HEALTH, "application/json", Bytes::from(body.clone())),
        (HEALTH, "application/proto", Bytes::from(proto.clone())),
        (HEALTH, "application/grpc", framed(&proto)),
        (HEALTH, "application/grpc+json", framed(body.as_bytes())),
        (HEALTH, "application/grpc-web", framed(&proto)),
        (HEALTH, "application/grpc-web+json", framed(body.as_bytes())),
        (WATCH, "application/connect+proto", framed(&proto)),
        (WATCH, "application/connect+json", framed(body.as_bytes())),
    ] {
        let headers = [("content-type", content_type), ("authorization", "-")];
        let mut request = new_request(Method::POST, path, &headers, &body);
        *request.version_mut() = Version::HTTP_2;
        let answer = send(&stack, request).await;
        let code = match content_type {
            "application/json" | "application/proto" => answer.json()["code"].clone(),
            _ if path == WATCH => {
                let (_, end) = frames(answer.body).pop().unwrap();
                serde_json::from_slice::<Json>(&end).unwrap()["error"]["code"].clone()
            }
            _ => match answer.grpc_status().code() {
                Code::ResourceExhausted => "resource_exhausted".into(),
                other => format!("{other:?}").into(),
            },
        };
        assert_eq!(code, "resource_exhausted", "{content_type}");
    }
    // The usual limit holds for authenticated callers.
    let headers = [JSON];
    let body = format!("{{\"subject\": \"{}\"}}", "x".repeat(64));
    let answer = send(&stack, new_request(Method::POST, RESOLVE, &headers, body.as_bytes())).await;
    assert_eq!(answer.status, 200);
}

const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// The JSON of a health check whose service name has `length` bytes.
fn json_of(length: usize) -> String {
    format!("{{\"service\": \"{}\"}}", "x".repeat(length))
}
