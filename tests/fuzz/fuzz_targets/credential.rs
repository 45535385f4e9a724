#![no_main]

use std::sync::LazyLock;

use targets::credential::{CredentialTarget, run};

static TARGET: LazyLock<CredentialTarget> = LazyLock::new(CredentialTarget::new);

libfuzzer_sys::fuzz_target!(|data: &[u8]| run(&TARGET, data));
