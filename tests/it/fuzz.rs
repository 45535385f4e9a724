//! Replays the stored inputs of the fuzz targets through the same functions that the targets run.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod targets;

use targets::Fixture;
use targets::credential::CredentialTarget;

/// Runs every input in the target's folder.
fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a target has inputs") {
        let path = entry.unwrap().path();
        let data = fs::read(&path).unwrap();
        count += 1;
        if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "their panics are above: {failed:#?}");
    assert!(count >= 10, "only {count} inputs in {}", folder.display());
}

#[test]
fn http_request() {
    let fixture = Fixture::new();
    replay("http_request", |data| targets::http_request::run(&fixture, data));
}

#[test]
fn connect() {
    let fixture = Fixture::new();
    replay("connect", |data| targets::connect::run(&fixture, data));
}

#[test]
fn credential() {
    let target = CredentialTarget::new();
    replay("credential", |data| targets::credential::run(&target, data));
}

#[test]
fn json() {
    replay("json", targets::json::run);
}

#[test]
fn page_token() {
    replay("page_token", targets::page_token::run);
}

#[test]
fn timeout() {
    replay("timeout", targets::timeout::run);
}
