#![no_main]

use std::sync::LazyLock;

use targets::credential::{Gate, run};

static GATE: LazyLock<Gate> = LazyLock::new(Gate::new);

libfuzzer_sys::fuzz_target!(|data: &[u8]| run(&GATE, data));
