//! Tests the whole stack in this process, with a service that fails or hangs on request.

mod connect;
mod contracts;
mod grpc;
mod order;
mod unfinished;

use std::sync::Arc;

use super::*;
use bytes::{Buf, BufMut, BytesMut};
use http::header::{self, HeaderMap};
use http::{Method, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use serde_json::Value as Json;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tower::ServiceExt;
use uuid::Uuid;

use crate::config::Config;
use crate::domain::{
    Account, AccountKind, Brand, Caller, Credential, Language, LoginProviderKind, Profile,
    RequestId, Timestamp,
};
use crate::error::{Kind, reason};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::guestlist::v1 as pb;
use crate::proto::guestlist::v1::account_service_server::{AccountService, AccountServiceServer};
use crate::transport::status::to_status;

const GET_CALLER: &str = "/guestlist.v1.AccountService/GetCaller";
const RESOLVE: &str = "/guestlist.v1.AccountService/ResolveAccount";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

const ACCOUNT: Uuid = Uuid::from_u128(7);

/// Must not appear in any response.
const SECRET: &str = "s3cret-s3cret";

/// Returns data from the request. The `issuer` in a `ResolveAccount` request selects its behavior.
struct Fake;

#[tonic::async_trait]
impl AccountService for Fake {
    async fn get_caller(
        &self,
        request: tonic::Request<pb::GetCallerRequest>,
    ) -> Result<tonic::Response<pb::GetCallerResponse>, Status> {
        let caller = request.extensions().get::<Arc<Caller>>().expect("the request has a caller");
        let request_id = request.extensions().get::<RequestId>().expect("the request has an id");
        let custom = request.metadata().get("x-custom").and_then(|value| value.to_str().ok());
        let mut response = tonic::Response::new(pb::GetCallerResponse {
            account: Some(pb::Account { id: caller.account.id.to_string(), ..Default::default() }),
            scope: custom.unwrap_or_default().to_owned(),
            key_id: request_id.0.to_string(),
            ..Default::default()
        });
        response.metadata_mut().insert("x-answer", "metadata".parse().expect("ascii"));
        Ok(response)
    }

    async fn resolve_account(
        &self,
        request: tonic::Request<pb::ResolveAccountRequest>,
    ) -> Result<tonic::Response<pb::ResolveAccountResponse>, Status> {
        let message = request.into_inner();
        match message.issuer.as_str() {
            "panic" => panic!("{SECRET}"),
            "slow" => std::future::pending().await,
            "internal" => Err(to_status(Error::internal(SECRET))),
            "taken" => Err(to_status(
                Error::new(Kind::AlreadyExists, "taken").with_reason(reason::ALREADY_MEMBER),
            )),
            _ => {
                let account = pb::Account { subject: message.subject, ..Default::default() };
                let response = pb::ResolveAccountResponse { account: Some(account), created: true };
                Ok(tonic::Response::new(response))
            }
        }
    }
}

/// Accepts `Bearer good`, and never returns for `Bearer hangs`.
pub(in crate::transport) struct OneKey;

impl Authenticate for OneKey {
    async fn authenticate(
        &self,
        authorization: Option<&http::HeaderValue>,
        _: Option<&http::HeaderValue>,
        _: &RequestId,
    ) -> Result<Option<Arc<Caller>>, Error> {
        match authorization.map(http::HeaderValue::as_bytes) {
            None => Ok(None),
            Some(b"Bearer good") => Ok(Some(Arc::new(caller()))),
            Some(b"Bearer hangs") => std::future::pending().await,
            Some(_) => Err(Error::unauthenticated("the credential is not valid")),
        }
    }
}

fn caller() -> Caller {
    let profile = Profile {
        email: None,
        email_verified: false,
        name: String::new(),
        picture: String::new(),
        login_provider: String::new(),
        login_provider_kind: LoginProviderKind::Other,
    };
    let account = Account {
        id: ACCOUNT.into(),
        issuer: "i".to_owned(),
        subject: "s".to_owned(),
        kind: AccountKind::Person,
        profile,
        created_at: Timestamp::from_micros(0),
        updated_at: None,
    };
    Caller { account, acting: None, credential: Credential::Jwt }
}

fn bounds() -> Http {
    Http {
        max_requests: 8,
        max_request_bytes: 1024,
        max_response_bytes: 4096,
        ..Config::reference().http
    }
}

struct Built {
    stack: Stack,
    metrics: Metrics,
    readiness: Readiness,
}

fn build_with(http: &Http, origins: &[&str]) -> Built {
    let service = AccountServiceServer::new(Fake)
        .max_decoding_message_size(http.max_request_bytes)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let stack = build(Parts {
        services: Services::default().with(service),
        descriptors: &[FILE_DESCRIPTOR_SET],
        contracts: contracts::routes(),
        authenticator: OneKey,
        anonymous_methods: Vec::new(),
        metrics: metrics.clone(),
        metrics_access: MetricsAccess::Loopback,
        readiness: readiness.clone(),
        pages: Pages::new(&Brand::built_in(), Language::En, true),
        waiting_methods: &[],
        http,
        events: &Config::reference().events,
        cors: &Cors {
            allowed_origins: origins.iter().map(|&o| o.to_owned()).collect(),
            allowed_headers: vec!["X-Tenant".to_owned()],
        },
    })
    .unwrap();
    Built { stack, metrics, readiness }
}

fn stack() -> Stack {
    build_with(&bounds(), &[]).stack
}

/// A request with a valid credential, which `headers` may replace.
fn new_request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::new(Full::new(Bytes::copy_from_slice(body)));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, "Bearer good".parse().unwrap());
    for (name, value) in headers {
        let name: header::HeaderName = name.parse().unwrap();
        if *value == "-" {
            request.headers_mut().remove(name);
        } else {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    request
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

async fn send(stack: &Stack, request: http::Request<Full<Bytes>>) -> Answer {
    let response = match stack.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{} {:?}", self.status, self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status in the headers or the trailers.
    fn grpc_status(&self) -> Status {
        Status::from_header_map(&self.headers)
            .or_else(|| Status::from_header_map(&self.trailers))
            .expect("a gRPC status")
    }
}

fn frame(message: &impl prost::Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap());
    framed.put_slice(&message);
    framed.freeze()
}

/// The flag and content of each frame of a body.
fn frames(mut body: Bytes) -> Vec<(u8, Bytes)> {
    let mut frames = Vec::new();
    while body.has_remaining() {
        let flag = body.get_u8();
        let len = usize::try_from(body.get_u32()).unwrap();
        frames.push((flag, body.split_to(len)));
    }
    frames
}

fn resolve(issuer: &str) -> pb::ResolveAccountRequest {
    pb::ResolveAccountRequest {
        issuer: issuer.to_owned(),
        subject: "subject".to_owned(),
        ..Default::default()
    }
}
