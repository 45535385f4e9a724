//! The access log: one line for each request, as JSON for programs or as text for people.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::connection::Connection;
use super::super::request::TestRequest;
use super::super::rpc;
use super::super::transport::{Form, Transport};
use crate::support::Engine;
use crate::support::program::Installation;

/// The lines of the access log, parsed.
fn access(log: &str) -> Vec<Value> {
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.filter(|line| line["target"] == "access").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_one_log_line_with_its_route() {
    let installation = Installation::new(Engine::Sqlite).await;
    let server = installation.serve_with(&[("GUESTLIST_LOG__FILTER", "info,access=debug")]);
    let key = installation.new_key("a@acme.com");
    let (id, _) = key[3..].split_once('_').unwrap();
    let bearer = format!("Bearer {key}");

    let mut expected = Vec::new();
    for (index, transport) in Transport::ALL.into_iter().enumerate() {
        let protocol = match transport.form {
            Form::Grpc | Form::GrpcJson => "grpc",
            Form::Web | Form::WebText | Form::WebJson | Form::WebTextJson => "grpc-web",
            Form::Proto | Form::Json => "connect",
        };
        let framed = transport.is_framed();
        let status = |of_connect: u16| if framed { 200 } else { of_connect };
        let caller = || TestRequest::new(transport, rpc::GET_CALLER, &json!({}));
        let known = || caller().with("authorization", &bearer);
        let unknown =
            TestRequest::new(transport, rpc::GET, &json!({"organizationId": uuid::Uuid::new_v4()}));
        let mut connection = Connection::open(server.addr, transport.version).await;
        for (name, call, route, protocol, code, status) in [
            ("good", known(), rpc::GET_CALLER, protocol, "ok", 200),
            ("nobody", caller(), rpc::GET_CALLER, protocol, "unauthenticated", status(401)),
            (
                "missing",
                unknown.with("authorization", &bearer),
                rpc::GET,
                protocol,
                "not_found",
                status(404),
            ),
            (
                "prefix",
                known().path(&format!("/api{}?x=y", rpc::GET_CALLER)),
                rpc::GET_CALLER,
                protocol,
                "ok",
                200,
            ),
            (
                "type",
                known().with("content-type", "text/plain"),
                rpc::GET_CALLER,
                "connect",
                "unknown",
                415,
            ),
            (
                "path",
                known().path("/some/where?x=y"),
                "(unknown)",
                if framed { protocol } else { "http" },
                "unimplemented",
                status(404),
            ),
            (
                "page",
                known().path("/healthz?x=y").without("content-type").verb(Method::GET),
                "/healthz",
                "http",
                "ok",
                200,
            ),
        ] {
            let request = format!("{name}-{index}");
            call.with("x-request-id", &request).send(&mut connection).await;
            expected.push((request, route, protocol, code, status));
        }
    }
    let log = server.stop().err;
    installation.remove().await;

    let lines = access(&log);
    assert_eq!(lines.len(), expected.len(), "one line for each request");
    for (request, route, protocol, code, status) in expected {
        let line = lines.iter().find(|line| line["request_id"] == request.as_str());
        let line = line.unwrap_or_else(|| panic!("{request} is not in the log"));
        assert_eq!(
            (&line["route"], &line["protocol"], &line["code"], &line["status"]),
            (&json!(route), &json!(protocol), &json!(code), &json!(status)),
            "{line}"
        );
        let expected = if route == "/healthz" { ("DEBUG", "GET") } else { ("INFO", "POST") };
        assert_eq!(
            (line["level"].as_str(), line["method"].as_str()),
            (Some(expected.0), Some(expected.1))
        );
        assert!(line["duration_ms"].as_f64().is_some_and(|took| took > 0.0), "{line}");
        assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
        // The caller, if it was authenticated: the id of its key, not the key itself.
        let named = matches!(code, "ok" | "not_found") && route != "/healthz";
        assert_eq!(line.get("key"), named.then(|| json!(id)).as_ref(), "{line}");
        assert_eq!(line.get("account").is_some(), named, "{line}");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }
    assert!(!log.contains("x=y"), "no query is in the log");
}

/// By default (`auto`), the log is JSON if the output is not a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_format_follows_the_setting() {
    let installation = Installation::new(Engine::Sqlite).await;
    let log_with =
        |format| installation.serve_with(&[("GUESTLIST_LOG__FORMAT", format)]).stop().err;
    for format in ["auto", "json"] {
        let log = log_with(format);
        let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(line["message"], "stopping; a second signal ends the process immediately");
        assert_eq!(
            (&line["level"], &line["target"]),
            (&json!("INFO"), &json!("guestlist::cli::serve"))
        );
    }
    let log = log_with("text");
    let line = log.lines().last().unwrap();
    assert!(
        line.ends_with(
            "guestlist::cli::serve: stopping; a second signal ends the process immediately"
        ),
        "{line}"
    );
    assert!(!log.contains('\u{1b}') && !log.contains('{'), "plain text in a file: {log}");
    installation.remove().await;
}

/// `script` (from util-linux) runs the program in a terminal, where byte 3 is Ctrl-C.
#[test]
fn the_log_on_a_terminal_is_text() {
    let directory = TempDir::new().unwrap();
    let program = format!("{} --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_guestlist"));
    let mut command = Command::new("script");
    // The tests have such variables of their own; the program must not receive them.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GUESTLIST_") {
            command.env_remove(name);
        }
    }
    let mut script = command
        .args(["--quiet", "--command", &program, "/dev/null"])
        .current_dir(directory.path())
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is installed");
    let mut terminal = BufReader::new(script.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("listening on http://") {
        assert_ne!(terminal.read_line(&mut shown).unwrap(), 0, "the program ended: {shown}");
    }
    script.stdin.as_mut().unwrap().write_all(&[3]).unwrap();
    while terminal.read_line(&mut shown).unwrap() > 0 {}
    assert!(script.wait().unwrap().success(), "{shown}");
    let line = shown.lines().find(|line| line.contains("a second signal ends the process"));
    let line = line.expect("a line of the log");
    assert!(line.contains("INFO") && line.contains('\u{1b}') && !line.contains('{'), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_contain_the_trace_id_of_their_request() {
    let installation = Installation::new(Engine::Sqlite).await;
    // A rejected token is logged inside the request's span.
    let server = installation.serve_with(&[("GUESTLIST_LOG__FILTER", "info,guestlist=debug")]);
    let mut expected = Vec::new();
    for (index, transport) in Transport::ALL.into_iter().enumerate() {
        let mut connection = Connection::open(server.addr, transport.version).await;
        let trace = format!("{:032x}", index + 1);
        for (name, header, trace_id) in [
            ("good", format!("00-{trace}-00f067aa0ba902b7-00"), json!(trace)),
            ("later", format!("01-{trace}-00f067aa0ba902b7-01-more"), json!(trace)),
            ("zero", format!("00-{trace}-0000000000000000-00"), Value::Null),
            ("short", format!("00-{trace}-00f067aa0ba902b7"), Value::Null),
        ] {
            let id = format!("{name}-{index}");
            let call = TestRequest::new(transport, rpc::GET_CALLER, &json!({}));
            let call = call.with("authorization", "Bearer a.b.c").with("x-request-id", &id);
            call.with("traceparent", &header).send(&mut connection).await;
            expected.push((id, trace_id));
        }
    }
    let log = server.stop().err;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, trace_id) in expected {
        let of_access = lines.iter().find(|line| line["request_id"] == *id).unwrap();
        assert_eq!(of_access["trace_id"], trace_id, "{of_access}");
        let inside: Vec<_> = lines.iter().filter(|line| line["span"]["id"] == *id).collect();
        assert!(!inside.is_empty(), "{id}");
        assert!(inside.iter().all(|line| line["span"]["trace_id"] == trace_id), "{inside:?}");
    }
    installation.remove().await;
}
