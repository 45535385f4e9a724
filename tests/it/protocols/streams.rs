//! Streams of the standard services over every protocol that has streams: messages before the
//! request ends, the status at the end, deadlines.

use std::time::Duration;

use futures::future::join_all;
use http::{Method, Version};
use serde_json::json;

use super::request::TestRequest;
use super::served;
use super::stream_call::{Received, StreamCall, StreamTransport};
use super::transport::{Form, Transport};
use crate::support::{Code, Engine, Protocol, TestApp};

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn failed(heard: Received) -> Code {
    match heard {
        Received::End(Err(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

async fn watch(
    app: &TestApp,
    tongue: StreamTransport,
    headers: &[(&'static str, String)],
    service: &str,
) -> StreamCall {
    StreamCall::open(app, tongue, WATCH, headers, &[json!({"service": service})], true).await
}

fn serving() -> Received {
    Received::Message(json!({"status": "SERVING"}))
}

#[test]
fn the_callers_deadline_ends_an_answer_that_has_begun() {
    served(async |app| {
        let watches = StreamTransport::ALL.map(|tongue| async move {
            let mut watch = watch(app, tongue, &[tongue.timeout(500)], "").await;
            // Equal from protobuf and from JSON: the decoder of protobuf omits zero values, and
            // SERVING is not zero.
            assert_eq!(watch.hear().await, serving(), "{tongue:?}");
            assert_eq!(failed(watch.hear().await), Code::DeadlineExceeded, "{tongue:?}");
        });
        join_all(watches).await;
    });
}

/// `request_timeout` limits requests without a deadline only until the response's head is sent.
#[test]
fn an_answer_that_has_begun_goes_on_without_a_deadline() {
    let settings = |config: &mut guestlist::config::Config| {
        config.http.request_timeout = Duration::from_millis(300);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, settings).await;
        let bounded = StreamTransport::ALL[0];
        let mut endless = watch(&app, bounded, &[], "").await;
        assert_eq!(endless.hear().await, serving());
        // This call begins later and its deadline is longer than `request_timeout`, but it ends
        // first.
        let mut other = watch(&app, bounded, &[bounded.timeout(600)], "").await;
        assert_eq!(other.hear().await, serving());
        assert_eq!(failed(other.hear().await), Code::DeadlineExceeded);
        let stopped = tokio::spawn(app.stop());
        assert_eq!(endless.hear().await, Received::Message(json!({"status": "NOT_SERVING"})));
        assert_eq!(endless.hear().await, Received::End(Ok(())));
        stopped.await.unwrap();
    });
}

#[test]
fn a_conversation_is_answered_word_by_word() {
    served(async |app| {
        let ask = |symbol: &str| json!({"fileContainingSymbol": symbol});
        for tongue in StreamTransport::ALL {
            // Over HTTP/1.1 a client receives nothing before it has sent its whole request.
            let waits = tongue.version == Version::HTTP_11;
            let (first, second) = (ask("grpc.health.v1.Health"), ask("no.Such"));
            let begin = if waits { vec![first, second.clone()] } else { vec![first] };
            let mut talk = StreamCall::open(app, tongue, REFLECT, &[], &begin, waits).await;
            let Received::Message(answer) = talk.hear().await else { panic!("{tongue:?}") };
            assert_eq!(answer["originalRequest"]["fileContainingSymbol"], "grpc.health.v1.Health");
            assert!(answer["fileDescriptorResponse"].is_object(), "{tongue:?} {answer}");
            if !waits {
                talk.say(&second);
            }
            // Here the service itself ends the call, with an error after a message.
            assert_eq!(failed(talk.hear().await), Code::NotFound, "{tongue:?}");
        }
    });
}

#[test]
fn a_conversation_ends_when_its_caller_has_finished() {
    served(async |app| {
        for tongue in StreamTransport::ALL.into_iter().filter(|t| t.version == Version::HTTP_2) {
            let begin = [json!({"listServices": ""})];
            let mut talk = StreamCall::open(app, tongue, REFLECT, &[], &begin, false).await;
            for _ in 0..3 {
                let Received::Message(answer) = talk.hear().await else { panic!("{tongue:?}") };
                let listed = &answer["listServicesResponse"]["service"];
                assert!(listed.as_array().unwrap().len() > 5, "{tongue:?}");
                talk.say(&begin[0]);
            }
            talk.finish();
            assert!(matches!(talk.hear().await, Received::Message(_)), "{tongue:?}");
            assert_eq!(talk.hear().await, Received::End(Ok(())), "{tongue:?}");
        }
    });
}

#[test]
fn a_stream_that_does_not_begin_says_why() {
    served(async |app| {
        for tongue in StreamTransport::ALL {
            // For an unknown service the stream begins; it receives this status.
            let mut unknown = watch(app, tongue, &[], "no.Such").await;
            let told = Received::Message(json!({"status": "SERVICE_UNKNOWN"}));
            assert_eq!(unknown.hear().await, told, "{tongue:?}");

            let open = async |begin: &[serde_json::Value]| {
                failed(StreamCall::open(app, tongue, WATCH, &[], begin, true).await.hear().await)
            };
            assert_eq!(open(&[]).await, Code::Unimplemented, "{tongue:?}");
            assert_eq!(open(&[json!({}), json!({})]).await, Code::Unimplemented, "{tongue:?}");
            let large = json!({"service": "x".repeat(2 << 20)});
            assert_eq!(open(&[large]).await, Code::ResourceExhausted, "{tongue:?}");

            let other = (tongue.encoding(), "br".to_owned());
            let mut packed = watch(app, tongue, &[other], "").await;
            assert_eq!(failed(packed.hear().await), Code::Unimplemented, "{tongue:?}");
        }
    });
}

#[test]
fn messages_of_streams_come_and_go_packed() {
    served(async |app| {
        for tongue in StreamTransport::ALL {
            let accepts = match tongue.is_connect() {
                true => "connect-accept-encoding",
                false => "grpc-accept-encoding",
            };
            let gzip = |name| (name, "gzip".to_owned());
            let headers = [gzip(tongue.encoding()), gzip(accepts)];
            let mut packed = watch(app, tongue, &headers, "").await;
            assert_eq!(packed.headers()[tongue.encoding()], "gzip");
            assert_eq!(packed.hear().await, serving(), "{tongue:?}");

            let bomb = json!({"service": " ".repeat(2 << 20)});
            let mut bomb = StreamCall::open(app, tongue, WATCH, &headers, &[bomb], true).await;
            assert_eq!(failed(bomb.hear().await), Code::ResourceExhausted, "{tongue:?}");
        }
    });
}

/// A client that disconnects ends its call, even while other calls are running.
#[test]
fn a_call_ends_when_its_caller_has_gone() {
    served(async |app| {
        for tongue in StreamTransport::ALL {
            let mut watch = watch(app, tongue, &[], "").await;
            assert_eq!(watch.hear().await, serving(), "{tongue:?}");
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
    let ask = TestRequest::raw(transport, "/metrics", "").without("content-type").verb(Method::GET);
    let scrape = ask.once(app).await;
    let text = String::from_utf8_lossy(&scrape.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("guestlist_requests_in_flight "));
    line.expect("the metric exists").parse().unwrap()
}
