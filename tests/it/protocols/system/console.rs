use guestlist::config::Config;
use http::Method;

use crate::protocols::request::TestRequest;
use crate::protocols::transport::{Form, Transport};
use crate::support::{Engine, Protocol, TestApp};

const FILES: [&str; 4] =
    ["/console", "/console/main.js", "/console/console.css", "/console/texts.js"];

async fn statuses_of(enabled: bool) -> Vec<u16> {
    let settings = match enabled {
        true => |config: &mut Config| config.console.enabled = true,
        false => |config: &mut Config| config.console.enabled = false,
    };
    let app = TestApp::configured(Engine::Sqlite, Protocol::Grpc, settings).await;
    let mut statuses = Vec::new();
    for transport in Transport::of(Form::Json) {
        let mut connection = transport.connect(&app).await;
        for path in FILES {
            let call = || TestRequest::raw(transport, path, "").without("content-type");
            let answer = call().verb(Method::GET).send(&mut connection).await;
            statuses.push(answer.status.as_u16());
            if !enabled {
                continue;
            }
            let policy = answer.header("content-security-policy").unwrap();
            for rule in [
                "default-src 'none'",
                "script-src 'self'",
                "connect-src 'self'",
                "frame-ancestors 'none'",
            ] {
                assert!(policy.contains(rule), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(answer.header("content-encoding"), None, "it was not requested");
            let head = call().verb(Method::HEAD).send(&mut connection).await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
            assert_eq!(call().send(&mut connection).await.status, 405);
        }
    }
    app.stop().await;
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_served_with_strict_headers() {
    let statuses = statuses_of(true).await;
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_there_is_no_console() {
    let statuses = statuses_of(false).await;
    assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 404), "{statuses:?}");
}
