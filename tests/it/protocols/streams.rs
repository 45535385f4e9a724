//! Streams of the standard services over every protocol that has streams: messages before the
//! request ends, the status at the end, deadlines.

use std::time::Duration;

use futures::future::join_all;
use http::{Method, Version};
use serde_json::json;

use super::request::TestRequest;
use super::stream_call::{Received, StreamCall, StreamTransport};
use super::transport::{Form, Transport};
use super::with_app;
use crate::support::{Code, Engine, Protocol, TestApp};

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn failed(received: Received) -> Code {
    match received {
        Received::End(Err(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

async fn watch(
    app: &TestApp,
    transport: StreamTransport,
    headers: &[(&'static str, String)],
    service: &str,
) -> StreamCall {
    StreamCall::open(app, transport, WATCH, headers, &[json!({"service": service})], true).await
}

fn serving() -> Received {
    Received::Message(json!({"status": "SERVING"}))
}

#[test]
fn the_callers_deadline_ends_a_started_stream() {
    with_app(async |app| {
        let watches = StreamTransport::ALL.map(|transport| async move {
            let mut watch = watch(app, transport, &[transport.timeout(500)], "").await;
            // Equal from protobuf and from JSON: the decoder of protobuf omits zero values, and
            // SERVING is not zero.
            assert_eq!(watch.receive().await, serving(), "{transport:?}");
            assert_eq!(failed(watch.receive().await), Code::DeadlineExceeded, "{transport:?}");
        });
        join_all(watches).await;
    });
}

/// `request_timeout` limits requests without a deadline only until the response's head is sent.
#[test]
fn a_started_stream_continues_without_a_deadline() {
    let settings = |config: &mut guestlist::config::Config| {
        config.http.request_timeout = Duration::from_millis(300);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, settings).await;
        let bounded = StreamTransport::ALL[0];
        let mut endless = watch(&app, bounded, &[], "").await;
        assert_eq!(endless.receive().await, serving());
        // This call begins later and its deadline is longer than `request_timeout`, but it ends
        // first.
        let mut other = watch(&app, bounded, &[bounded.timeout(600)], "").await;
        assert_eq!(other.receive().await, serving());
        assert_eq!(failed(other.receive().await), Code::DeadlineExceeded);
        let stopped = tokio::spawn(app.stop());
        assert_eq!(endless.receive().await, Received::Message(json!({"status": "NOT_SERVING"})));
        assert_eq!(endless.receive().await, Received::End(Ok(())));
        stopped.await.unwrap();
    });
}

#[test]
fn a_bidirectional_stream_is_answered_message_by_message() {
    with_app(async |app| {
        let call = |symbol: &str| json!({"fileContainingSymbol": symbol});
        for transport in StreamTransport::ALL {
            // Over HTTP/1.1 a client receives nothing before it has sent its whole request.
            let waits = transport.version == Version::HTTP_11;
            let (first, second) = (call("grpc.health.v1.Health"), call("no.Such"));
            let begin = if waits { vec![first, second.clone()] } else { vec![first] };
            let mut stream = StreamCall::open(app, transport, REFLECT, &[], &begin, waits).await;
            let Received::Message(answer) = stream.receive().await else { panic!("{transport:?}") };
            assert_eq!(answer["originalRequest"]["fileContainingSymbol"], "grpc.health.v1.Health");
            assert!(answer["fileDescriptorResponse"].is_object(), "{transport:?} {answer}");
            if !waits {
                stream.send(&second);
            }
            // Here the service itself ends the call, with an error after a message.
            assert_eq!(failed(stream.receive().await), Code::NotFound, "{transport:?}");
        }
    });
}

#[test]
fn a_bidirectional_stream_ends_when_the_caller_finishes() {
    with_app(async |app| {
        for transport in StreamTransport::ALL.into_iter().filter(|t| t.version == Version::HTTP_2) {
            let begin = [json!({"listServices": ""})];
            let mut stream = StreamCall::open(app, transport, REFLECT, &[], &begin, false).await;
            for _ in 0..3 {
                let Received::Message(answer) = stream.receive().await else {
                    panic!("{transport:?}")
                };
                let listed = &answer["listServicesResponse"]["service"];
                assert!(listed.as_array().unwrap().len() > 5, "{transport:?}");
                stream.send(&begin[0]);
            }
            stream.finish();
            assert!(matches!(stream.receive().await, Received::Message(_)), "{transport:?}");
            assert_eq!(stream.receive().await, Received::End(Ok(())), "{transport:?}");
        }
    });
}

#[test]
fn a_stream_that_cannot_start_returns_the_reason() {
    with_app(async |app| {
        for transport in StreamTransport::ALL {
            // For an unknown service the stream begins; it receives this status.
            let mut unknown = watch(app, transport, &[], "no.Such").await;
            let expected = Received::Message(json!({"status": "SERVICE_UNKNOWN"}));
            assert_eq!(unknown.receive().await, expected, "{transport:?}");

            let open = async |begin: &[serde_json::Value]| {
                failed(
                    StreamCall::open(app, transport, WATCH, &[], begin, true).await.receive().await,
                )
            };
            assert_eq!(open(&[]).await, Code::Unimplemented, "{transport:?}");
            assert_eq!(open(&[json!({}), json!({})]).await, Code::Unimplemented, "{transport:?}");
            let large = json!({"service": "x".repeat(2 << 20)});
            assert_eq!(open(&[large]).await, Code::ResourceExhausted, "{transport:?}");

            let other = (transport.encoding(), "br".to_owned());
            let mut compressed = watch(app, transport, &[other], "").await;
            assert_eq!(failed(compressed.receive().await), Code::Unimplemented, "{transport:?}");
        }
    });
}

#[test]
fn stream_messages_may_be_compressed_in_both_directions() {
    with_app(async |app| {
        for transport in StreamTransport::ALL {
            let accepts = match transport.is_connect() {
                true => "connect-accept-encoding",
                false => "grpc-accept-encoding",
            };
            let gzip = |name| (name, "gzip".to_owned());
            let headers = [gzip(transport.encoding()), gzip(accepts)];
            let mut compressed = watch(app, transport, &headers, "").await;
            assert_eq!(compressed.headers()[transport.encoding()], "gzip");
            assert_eq!(compressed.receive().await, serving(), "{transport:?}");

            let bomb = json!({"service": " ".repeat(2 << 20)});
            let mut bomb = StreamCall::open(app, transport, WATCH, &headers, &[bomb], true).await;
            assert_eq!(failed(bomb.receive().await), Code::ResourceExhausted, "{transport:?}");
        }
    });
}

/// A client that disconnects ends its call, even while other calls are running.
#[test]
fn a_call_ends_when_its_caller_disconnects() {
    with_app(async |app| {
        for transport in StreamTransport::ALL {
            let mut watch = watch(app, transport, &[], "").await;
            assert_eq!(watch.receive().await, serving(), "{transport:?}");
            assert_eq!(in_flight(app).await, 2, "the watch and the scrape");
            drop(watch);
            tokio::time::timeout(Duration::from_secs(30), async {
                while in_flight(app).await > 1 {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .expect("the call ends");
        }
    });
}

async fn in_flight(app: &TestApp) -> u32 {
    let transport = Transport { form: Form::Json, version: Version::HTTP_11 };
    let call =
        TestRequest::raw(transport, "/metrics", "").without("content-type").verb(Method::GET);
    let scrape = call.once(app).await;
    let text = String::from_utf8_lossy(&scrape.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("guestlist_requests_in_flight "));
    line.expect("the metric exists").parse().unwrap()
}
