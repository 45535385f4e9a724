//! P41: peers without a valid credential open requests and do not finish them; meanwhile callers
//! with a key are served.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::join_all;
use http::{Method, Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;
use tonic::Status;

use super::connection::Answer;
use super::request::TestRequest;
use super::transport::{Form, Transport};
use super::{rpc, with_app};
use crate::support::{Engine, Protocol, TestApp};

/// A timeout: no step takes longer unless it hangs.
const HANG_TIMEOUT: Duration = Duration::from_secs(60);

const PREVIEW: &str = "/guestlist.v1.InviteService/Preview";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const REFLECTION_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

type OpenBody = StreamBody<mpsc::UnboundedReceiver<Result<Frame<Bytes>, Infallible>>>;

/// A connection on which requests are opened; their bodies never end.
#[derive(Clone)]
enum Opener {
    Http1,
    Http2(http2::SendRequest<OpenBody>),
}

/// A request that has begun; its body stays open until this value is dropped.
struct Open {
    _body_sender: mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>,
    answer: tokio::task::JoinHandle<Answer>,
}

impl Opener {
    async fn new(addr: SocketAddr, version: Version) -> Self {
        if version != Version::HTTP_2 {
            return Self::Http1;
        }
        let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(sender)
    }

    /// Sends the head of a request and `begin`, the first bytes of its body.
    async fn open(
        &self,
        addr: SocketAddr,
        mut request: http::request::Builder,
        path: &str,
        begin: &Bytes,
    ) -> Open {
        let (body_sender, body) = mpsc::unbounded();
        if !begin.is_empty() {
            body_sender.unbounded_send(Ok(Frame::data(begin.clone()))).unwrap();
        }
        let body = StreamBody::new(body);
        let answer = match self.clone() {
            Self::Http1 => {
                request = request.header("host", addr.to_string());
                let request: Request<OpenBody> = request.uri(path).body(body).unwrap();
                let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
                let (mut sender, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                tokio::spawn(
                    async move { whole(sender.send_request(request).await.unwrap()).await },
                )
            }
            Self::Http2(mut sender) => {
                let uri = format!("http://{addr}{path}");
                let request: Request<OpenBody> = request.uri(uri).body(body).unwrap();
                sender.ready().await.unwrap();
                tokio::spawn(
                    async move { whole(sender.send_request(request).await.unwrap()).await },
                )
            }
        };
        Open { _body_sender: body_sender, answer }
    }
}

impl Open {
    async fn answered(self) -> Answer {
        tokio::time::timeout(HANG_TIMEOUT, self.answer).await.expect("a response in time").unwrap()
    }

    fn is_answered(&self) -> bool {
        self.answer.is_finished()
    }
}

async fn whole(answer: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("the response is whole");
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: body.to_bytes(), trailers }
}

/// A method to call, and how to call it.
#[derive(Clone)]
struct CallTarget {
    version: Version,
    content_type: &'static str,
    path: String,
    method: Method,
}

impl CallTarget {
    fn request(&self) -> http::request::Builder {
        Request::builder()
            .method(self.method.clone())
            .header("content-type", self.content_type)
            .header("te", "trailers")
    }

    /// Whether the response is UNAUTHENTICATED. In gRPC and gRPC-Web the status is in the headers.
    fn is_unauthenticated(&self, answer: &Answer) -> bool {
        match Status::from_header_map(&answer.headers) {
            Some(status) => status.code() == tonic::Code::Unauthenticated,
            None => answer.status == StatusCode::UNAUTHORIZED,
        }
    }
}

/// Every protocol over every version of HTTP, and both REST contracts.
fn call_targets(organization: &str) -> Vec<CallTarget> {
    let rpcs =
        Transport::ALL.into_iter().chain(Transport::JSON_IN_FRAMES).map(|transport| CallTarget {
            version: transport.version,
            content_type: transport.content_type(),
            path: rpc::GET.to_owned(),
            method: Method::POST,
        });
    let mut all: Vec<CallTarget> = rpcs.collect();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let json = |method: Method, path: String| CallTarget {
            version,
            content_type: "application/json",
            path,
            method,
        };
        all.push(json(Method::POST, format!("/v1/organizations/{organization}/invitations")));
        all.push(json(Method::POST, format!("/v1/orgs/{organization}/invites")));
        all.push(json(
            Method::GET,
            format!("{}?connect=v1&encoding=json&message=%7B%7D", rpc::GET),
        ));
    }
    all
}

/// Calls with a person's key over each protocol and both REST contracts; each call must succeed.
async fn assert_served_with_a_key(
    app: &TestApp,
    person: &crate::support::Person,
    organization: &str,
) {
    for transport in Transport::ALL {
        let by_id = json!({"organizationId": organization});
        let answer = TestRequest::new(transport, rpc::GET, &by_id).by(person).once(app).await;
        transport.read(rpc::GET, &answer).expect("callers with a key are served");
    }
    let transport = Transport { form: Form::Json, version: Version::HTTP_11 };
    for path in [format!("/v1/organizations/{organization}/invitations"), "/v1/orgs".to_owned()] {
        let answer =
            TestRequest::raw(transport, &path, "").verb(Method::GET).by(person).once(app).await;
        assert_eq!(answer.status, 200, "{path} {answer:?}");
    }
}

/// The rejection is the same as for a whole request.
#[test]
fn p41_invalid_credentials_are_rejected_before_the_body_arrives() {
    with_app(async |app| {
        let org = app.organization().await;
        let requests = call_targets(&org.id).into_iter().flat_map(|target| {
            [None, Some("Bearer gl_x"), Some("Bearer x.y.z"), Some("Digest x")]
                .map(|key| [true, false].map(|has_length| (target.clone(), key, has_length)))
        });
        let requests = requests.flatten().map(|(target, key, has_length)| async move {
            let mut request = target.request();
            if let Some(key) = key {
                request = request.header("authorization", key);
            }
            if has_length {
                request = request.header("content-length", "100");
            }
            let opener = Opener::new(app.addr(), target.version).await;
            let open = opener.open(app.addr(), request, &target.path, &Bytes::new()).await;
            let answer = open.answered().await;
            assert!(target.is_unauthenticated(&answer), "{} {answer:?}", target.content_type);

            let transport = Transport { form: Form::Json, version: target.version };
            let mut call =
                TestRequest::raw(transport, &target.path, "").verb(target.method.clone());
            call = call.with("content-type", target.content_type);
            if let Some(key) = key {
                call = call.with("authorization", key);
            }
            let of_complete_request = call.once(app).await;
            assert_eq!(plain(&answer), plain(&of_complete_request));
        });
        join_all(requests).await;
    });
}

/// A response without the parts that differ between requests or depend on how much of the request
/// was sent.
fn plain(answer: &Answer) -> (StatusCode, Vec<(String, Vec<u8>)>, Bytes) {
    let own = ["date", "x-request-id", "connection", "content-length", "transfer-encoding"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_owned()))
        .collect();
    headers.sort_unstable();
    // ClickHouse's bodies hold the request's id.
    let is_json = answer.header("content-type") == Some("application/json");
    let body = match is_json.then(|| answer.json()) {
        Some(mut json) if json.get("requestId").is_some() => {
            json["requestId"] = "".into();
            json.to_string().into()
        }
        _ => answer.body.clone(),
    };
    (answer.status, headers, body)
}

/// A small version of `attacks/c24`: callers may have 4 requests at once, and 2,000 requests are
/// open.
#[tokio::test(flavor = "multi_thread")]
async fn p41_2000_open_requests_do_not_block_authenticated_callers() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, |config| {
        config.http.max_requests = 4;
    })
    .await;
    let org = app.organization().await;
    let targets: Vec<CallTarget> = call_targets(&org.id)
        .into_iter()
        .filter(|target| target.version == Version::HTTP_2)
        .collect();
    let connections = (0..20).map(|n| {
        let (app, target) = (&app, &targets[n % targets.len()]);
        async move {
            let opener = Opener::new(app.addr(), Version::HTTP_2).await;
            join_all((0..100).map(|_| async {
                let request = target.request().header("content-length", "100");
                let open = opener.open(app.addr(), request, &target.path, &Bytes::new()).await;
                (target, open)
            }))
            .await
        }
    });
    let open: Vec<_> = join_all(connections).await.into_iter().flatten().collect();
    assert_eq!(open.len(), 2000);
    for _ in 0..3 {
        assert_served_with_a_key(&app, &org.admin, &org.id).await;
    }
    for answer in join_all(open.into_iter().map(|(target, open)| async move {
        let answer = open.answered().await;
        (target.is_unauthenticated(&answer), answer)
    }))
    .await
    {
        assert!(answer.0, "{:?}", answer.1);
    }
    app.stop().await;
}

/// Opens a gRPC request to the method at `path`, with `message` as the first bytes of its body. The
/// server may respond or not.
async fn open_grpc_request(app: &TestApp, path: &str, message: &[u8], key: Option<&str>) -> Open {
    let opener = Opener::new(app.addr(), Version::HTTP_2).await;
    let target = CallTarget {
        version: Version::HTTP_2,
        content_type: "application/grpc",
        path: path.to_owned(),
        method: Method::POST,
    };
    let mut request = target.request();
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let begin = if message.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(message) };
    opener.open(app.addr(), request, path, &begin).await
}

/// Whether the server accepts a gRPC call, that is, does not reject it with RESOURCE_EXHAUSTED.
async fn is_accepted(app: &TestApp, path: &str, key: Option<&str>) -> bool {
    let mut connection = super::connection::Connection::open(app.addr(), Version::HTTP_2).await;
    let transport = Transport { form: Form::Grpc, version: Version::HTTP_2 };
    // These methods cannot decode this message, so that even streams end at once.
    let mut call = TestRequest::raw(transport, path, super::transport::frame(0, b"\xff\xff"));
    if let Some(key) = key {
        call = call.with("authorization", &format!("Bearer {key}"));
    }
    let answer = call.send(&mut connection).await;
    let status = Status::from_header_map(&answer.headers);
    let status = status.or_else(|| Status::from_header_map(&answer.trailers)).unwrap();
    let ends = [tonic::Code::Ok, tonic::Code::InvalidArgument, tonic::Code::ResourceExhausted];
    assert!(ends.contains(&status.code()), "{path} {status:?}");
    status.code() != tonic::Code::ResourceExhausted
}

#[tokio::test(flavor = "multi_thread")]
async fn p41_a_flood_of_one_anonymous_method_blocks_no_other_calls() {
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, |config| {
        config.public_preview = true;
        config.http.max_requests = 2;
        config.http.max_streaming_requests = 2;
        config.http.max_anonymous_requests = 8;
        config.http.max_anonymous_streaming_requests = 8;
    })
    .await;
    let org = app.organization().await;
    let key = org.admin.key.clone().unwrap();
    let kinds = [rpc::PREVIEW, PREVIEW, CHECK, WATCH, REFLECTION, REFLECTION_ALPHA];
    for flooded in kinds {
        // Unary requests are never finished, and streams never end.
        let message: &[u8] = if flooded == WATCH { &[0; 5] } else { &[] };
        let held = join_all((0..20).map(|_| open_grpc_request(&app, flooded, message, None))).await;
        // The server responds to the requests that exceed this network's share of the limit.
        while held.iter().filter(|open| open.is_answered()).count() < 18 {
            tokio::task::yield_now().await;
        }
        assert!(!is_accepted(&app, flooded, None).await, "{flooded}");
        for other in kinds.into_iter().filter(|kind| *kind != flooded) {
            assert!(is_accepted(&app, other, None).await, "{flooded} {other}");
        }
        for kind in kinds {
            assert!(is_accepted(&app, kind, Some(&key)).await, "{flooded} {kind}");
        }
        assert_served_with_a_key(&app, &org.admin, &org.id).await;
        // The clients disconnect; when the server accepts a new call, it has seen that.
        held.iter().for_each(|open| open.answer.abort());
        drop(held);
        while !is_accepted(&app, flooded, None).await {}
    }
    app.stop().await;
}
