//! One read through the whole stack in each protocol: layers, API key, translation, store.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BatchSize, Criterion};
use guestlist::proto::gitpod::v1::GetOrganizationInviteSummaryRequest;
use http::{Method, Request, StatusCode, Version, header};
use http_body_util::{BodyExt, Full};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use tower::ServiceExt;

use crate::fixture::{Fixture, NAME};

const SUMMARY: &str = "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary";

pub fn bench(criterion: &mut Criterion, fixture: &Fixture) {
    let message = GetOrganizationInviteSummaryRequest { invite_id: fixture.token.expose() };
    let framed = frame(&message);
    let json = serde_json::json!({ "inviteId": message.invite_id }).to_string();
    let query = utf8_percent_encode(&json, NON_ALPHANUMERIC);
    let get = format!("{SUMMARY}?connect=v1&encoding=json&message={query}");

    let post = |content_type, body| request(fixture, Method::POST, SUMMARY, content_type, body);
    let mut group = criterion.benchmark_group("GetOrganizationInviteSummary");
    for (name, request) in [
        ("gRPC", post("application/grpc", framed.clone())),
        ("gRPC-Web", post("application/grpc-web+proto", framed)),
        ("Connect JSON", post("application/json", json.into())),
        ("Connect GET", request(fixture, Method::GET, &get, "", Bytes::new())),
    ] {
        // Checks the answer first, because an error takes less time.
        let (status, body) = answer(fixture, request.clone());
        let named = body.windows(NAME.len()).any(|part| part == NAME.as_bytes());
        assert!(status == StatusCode::OK && named, "{name}: {status} {body:?}");

        group.bench_function(name, |bencher| {
            let once = |request| answer(fixture, request);
            bencher.iter_batched(|| request.clone(), once, BatchSize::SmallInput);
        });
    }
}

fn request(
    fixture: &Fixture,
    method: Method,
    path: &str,
    content_type: &'static str,
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .version(Version::HTTP_2)
        .header(header::AUTHORIZATION, &fixture.authorization);
    if !content_type.is_empty() {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    if content_type == "application/grpc" {
        request = request.header(header::TE, "trailers");
    }
    request.body(Full::new(body)).expect("a request")
}

/// Sends a request, and returns the status and the whole body.
fn answer(fixture: &Fixture, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
    fixture.runtime.block_on(async {
        let response: Result<_, Infallible> = fixture.stack.clone().oneshot(request).await;
        let (head, body) = response.unwrap_or_else(|never| match never {}).into_parts();
        let body = body.collect().await.expect("a whole answer");
        (head.status, body.to_bytes())
    })
}

/// An uncompressed message in the frame of gRPC.
fn frame(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a short message"));
    framed.put_slice(&message);
    framed.freeze()
}
