//! Streams of the standard services over everything that speaks them: answers while
//! the request goes on, ends with their reasons, deadlines.

use std::time::Duration;

use futures::future::join_all;
use http::{Method, Version};
use serde_json::json;

use super::ask::Ask;
use super::door::{Door, Form};
use super::served;
use super::talk::{Heard, Talk, Tongue};
use crate::support::{Code, Engine, Protocol, TestApp};

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

fn failed(heard: Heard) -> Code {
    match heard {
        Heard::End(Err(failure)) => failure.code,
        other => panic!("{other:?}"),
    }
}

async fn watch(
    app: &TestApp,
    tongue: Tongue,
    headers: &[(&'static str, String)],
    service: &str,
) -> Talk {
    Talk::open(app, tongue, WATCH, headers, &[json!({"service": service})], true).await
}

fn serving() -> Heard {
    Heard::Message(json!({"status": "SERVING"}))
}

#[test]
fn the_callers_deadline_ends_an_answer_that_has_begun() {
    served(async |app| {
        let watches = Tongue::ALL.map(|tongue| async move {
            let mut watch = watch(app, tongue, &[tongue.timeout(500)], "").await;
            // Alike in both forms: reflection leaves zero values out, and this is none.
            assert_eq!(watch.hear().await, serving(), "{tongue:?}");
            assert_eq!(failed(watch.hear().await), Code::DeadlineExceeded, "{tongue:?}");
        });
        join_all(watches).await;
    });
}

/// The bound on requests without one ends at the answer's head.
#[test]
fn an_answer_that_has_begun_goes_on_without_a_deadline() {
    let settings = |config: &mut guestlist::config::Config| {
        config.http.request_timeout = Duration::from_millis(300);
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, settings).await;
        let bounded = Tongue::ALL[0];
        let mut endless = watch(&app, bounded, &[], "").await;
        assert_eq!(endless.hear().await, serving());
        // One that began later, and whose time is longer than the server's, ends first.
        let mut other = watch(&app, bounded, &[bounded.timeout(600)], "").await;
        assert_eq!(other.hear().await, serving());
        assert_eq!(failed(other.hear().await), Code::DeadlineExceeded);
        let stopped = tokio::spawn(app.stop());
        assert_eq!(endless.hear().await, Heard::Message(json!({"status": "NOT_SERVING"})));
        assert_eq!(endless.hear().await, Heard::End(Ok(())));
        stopped.await.unwrap();
    });
}

#[test]
fn a_conversation_is_answered_word_by_word() {
    served(async |app| {
        let ask = |symbol: &str| json!({"fileContainingSymbol": symbol});
        for tongue in Tongue::ALL {
            // Over HTTP/1.1 a client hears nothing before it has finished.
            let waits = tongue.version == Version::HTTP_11;
            let (first, second) = (ask("grpc.health.v1.Health"), ask("no.Such"));
            let begin = if waits { vec![first, second.clone()] } else { vec![first] };
            let mut talk = Talk::open(app, tongue, REFLECT, &[], &begin, waits).await;
            let Heard::Message(answer) = talk.hear().await else { panic!("{tongue:?}") };
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
        for tongue in Tongue::ALL.into_iter().filter(|t| t.version == Version::HTTP_2) {
            let begin = [json!({"listServices": ""})];
            let mut talk = Talk::open(app, tongue, REFLECT, &[], &begin, false).await;
            for _ in 0..3 {
                let Heard::Message(answer) = talk.hear().await else { panic!("{tongue:?}") };
                let listed = &answer["listServicesResponse"]["service"];
                assert!(listed.as_array().unwrap().len() > 5, "{tongue:?}");
                talk.say(&begin[0]);
            }
            talk.finish();
            assert!(matches!(talk.hear().await, Heard::Message(_)), "{tongue:?}");
            assert_eq!(talk.hear().await, Heard::End(Ok(())), "{tongue:?}");
        }
    });
}

#[test]
fn a_stream_that_does_not_begin_says_why() {
    served(async |app| {
        for tongue in Tongue::ALL {
            // A service that nobody knows is none of them.
            let mut unknown = watch(app, tongue, &[], "no.Such").await;
            let told = Heard::Message(json!({"status": "SERVICE_UNKNOWN"}));
            assert_eq!(unknown.hear().await, told, "{tongue:?}");

            let open = async |begin: &[serde_json::Value]| {
                failed(Talk::open(app, tongue, WATCH, &[], begin, true).await.hear().await)
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
        for tongue in Tongue::ALL {
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
            let mut bomb = Talk::open(app, tongue, WATCH, &headers, &[bomb], true).await;
            assert_eq!(failed(bomb.hear().await), Code::ResourceExhausted, "{tongue:?}");
        }
    });
}

/// Who goes away ends their call, whoever else may be talking.
#[test]
fn a_call_ends_when_its_caller_has_gone() {
    served(async |app| {
        for tongue in Tongue::ALL {
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
    let door = Door { form: Form::Json, version: Version::HTTP_11 };
    let ask = Ask::raw(door, "/metrics", "").without("content-type").verb(Method::GET);
    let scrape = ask.once(app).await;
    let text = String::from_utf8_lossy(&scrape.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("guestlist_requests_in_flight "));
    line.expect("it is counted").parse().unwrap()
}
