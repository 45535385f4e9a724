use super::*;
use tonic_types::StatusExt;

const JSON: (&str, &str) = ("content-type", "application/json");

fn slow() -> http::Request<Full<Bytes>> {
    new_request(Method::POST, RESOLVE, &[JSON], br#"{"issuer": "slow"}"#)
}

fn over_grpc(issuer: &str) -> http::Request<Full<Bytes>> {
    let headers = [("content-type", "application/grpc")];
    let mut request = new_request(Method::POST, RESOLVE, &headers, &frame(&resolve(issuer)));
    *request.version_mut() = Version::HTTP_2;
    request
}

#[tokio::test]
async fn panics_and_causes_are_not_in_responses() {
    let built = build_with(&bounds(), &[]);
    for issuer in ["panic", "internal"] {
        let answer = send(&built.stack, over_grpc(issuer)).await;
        assert_eq!(answer.grpc_status().code(), Code::Internal);
        assert!(!format!("{:?}", answer.headers).contains(SECRET));

        let body = format!("{{\"issuer\": \"{issuer}\"}}");
        let answer =
            send(&built.stack, new_request(Method::POST, RESOLVE, &[JSON], body.as_bytes())).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (500, &"internal".into()));
        assert!(!answer.json().to_string().contains(SECRET));
    }
    assert!(built.metrics.encode().unwrap().contains("guestlist_requests_in_flight 0"));
}

#[tokio::test(start_paused = true)]
async fn the_shorter_deadline_applies() {
    for (timeout, expected) in [("200m", 200), ("99H", 15_000)] {
        let mut request = over_grpc("slow");
        request.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let started = tokio::time::Instant::now();
        let answer = send(&stack(), request).await;
        assert_eq!(answer.grpc_status().code(), Code::DeadlineExceeded);
        assert_eq!(started.elapsed().as_millis(), expected);
    }
    let answer = send(&stack(), slow()).await;
    assert_eq!(answer.status, 504);
}

#[tokio::test]
async fn overload_is_an_immediate_error() {
    let http = Http { max_requests: 1, ..bounds() };
    let built = build_with(&http, &[]);
    built.readiness.set_store(true);
    let mut first = manual(built.stack.clone().oneshot(slow()));
    assert!(first.poll().is_pending());

    let answer = send(&built.stack, over_grpc("")).await;
    let status = answer.grpc_status();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, reason::OVERLOADED);
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    // Probes still work.
    for page in ["/healthz", "/readyz"] {
        assert_eq!(send(&built.stack, new_request(Method::GET, page, &[], b"")).await.status, 200);
    }

    drop(first);
    assert_eq!(send(&built.stack, over_grpc("")).await.grpc_status().code(), Code::Ok);
}

/// Wraps a future, so that a test can poll it.
fn manual<F: Future>(future: F) -> Held<F> {
    Held(Box::pin(future))
}

struct Held<F>(std::pin::Pin<Box<F>>);

impl<F: Future> Held<F> {
    fn poll(&mut self) -> Poll<F::Output> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.0.as_mut().poll(&mut cx)
    }
}

#[tokio::test]
async fn every_request_is_counted_however_it_ends() {
    let built = build_with(&bounds(), &[]);
    send(&built.stack, over_grpc("")).await;
    send(&built.stack, over_grpc("taken")).await;
    send(&built.stack, new_request(Method::POST, RESOLVE, &[JSON], br#"{"issuer": "taken"}"#))
        .await;
    send(&built.stack, new_request(Method::POST, "/secret/path", &[JSON], b"{}")).await;
    let mut cancelled = manual(built.stack.clone().oneshot(slow()));
    assert!(cancelled.poll().is_pending());
    drop(cancelled);

    let text = built.metrics.encode().unwrap();
    let count = |rpc: &str, protocol: &str, code: &str| {
        let series = format!(
            "guestlist_requests_total{{rpc=\"{rpc}\",protocol=\"{protocol}\",code=\"{code}\"}} 1"
        );
        assert!(text.contains(&series), "{series}\n{text}");
    };
    count(RESOLVE, "grpc", "ok");
    count(RESOLVE, "grpc", "already_exists");
    count(RESOLVE, "connect", "already_exists");
    count(RESOLVE, "connect", "canceled");
    count("(unknown)", "http", "unimplemented");
    assert!(text.contains("guestlist_requests_in_flight 0"));
    assert!(text.contains("guestlist_build_info{version="));
    assert!(!text.contains("secret"));
}

#[tokio::test]
async fn valid_request_ids_are_kept_and_others_are_replaced() {
    let answer =
        send(&stack(), new_request(Method::GET, "/healthz", &[("x-request-id", "a b")], b"")).await;
    assert!(Uuid::try_parse(answer.header("x-request-id").unwrap()).is_ok());
    let answer =
        send(&stack(), new_request(Method::GET, "/healthz", &[("x-request-id", "a-b")], b"")).await;
    assert_eq!(answer.header("x-request-id"), Some("a-b"));
}

#[tokio::test]
async fn health_needs_no_credential_and_accepts_at_most_one() {
    let built = build_with(&bounds(), &[]);
    for (ready, expected) in [(false, "NOT_SERVING"), (true, "SERVING")] {
        built.readiness.set_store(ready);
        for service in ["", "gitpod.v1.OrganizationService"] {
            let body = format!("{{\"service\": \"{service}\"}}");
            let request =
                new_request(Method::POST, HEALTH, &[JSON, ("authorization", "-")], body.as_bytes());
            assert_eq!(send(&built.stack, request).await.json()["status"], expected);
        }
    }
    let request = new_request(Method::POST, HEALTH, &[JSON], br#"{"service": "unknown"}"#);
    assert_eq!(send(&built.stack, request).await.status, 404);

    let mut request = new_request(Method::POST, GET_CALLER, &[JSON], b"{}");
    request.headers_mut().append("authorization", "Bearer good".parse().unwrap());
    assert_eq!(send(&built.stack, request).await.status, 401);
}

#[tokio::test]
async fn p29_browsers_may_call_only_from_configured_origins() {
    const PAGE: &str = "https://app.example.com";
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,x-grpc-web"),
        ];
        new_request(Method::OPTIONS, GET_CALLER, &headers, b"")
    };

    let off = stack();
    assert_eq!(allowed(&send(&off, preflight(PAGE)).await), None);

    let on = build_with(&bounds(), &[PAGE]).stack;
    let answer = send(&on, preflight(PAGE)).await;
    assert_eq!((answer.status.as_u16(), allowed(&answer)), (200, Some(PAGE.to_owned())));
    assert!(
        answer.header("access-control-allow-headers").unwrap().contains("guestlist-on-behalf-of")
    );
    for other in
        ["null", "https://evil.example", "https://app.example.com.evil", "http://app.example.com"]
    {
        let answer = send(&on, preflight(other)).await;
        assert_eq!(allowed(&answer), None, "{other}");
        assert!(answer.header("access-control-allow-credentials").is_none());
    }

    // Web pages can read errors too.
    let headers = [JSON, ("origin", PAGE), ("authorization", "-")];
    let answer = send(&on, new_request(Method::POST, GET_CALLER, &headers, b"{}")).await;
    assert_eq!((answer.status.as_u16(), allowed(&answer)), (401, Some(PAGE.to_owned())));
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id"] {
        assert!(exposed.split(',').any(|header| header.trim() == name), "{name}");
    }
}
