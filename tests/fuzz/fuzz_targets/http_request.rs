#![no_main]

use std::sync::LazyLock;

use targets::World;

static WORLD: LazyLock<World> = LazyLock::new(World::new);

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::http_request::run(&WORLD, data));
