#![no_main]

use std::sync::LazyLock;

use targets::Fixture;

static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::new);

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::http_request::run(&FIXTURE, data));
