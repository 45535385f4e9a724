//! Runs one behaviour on a store and a server of its own, and cleans up after it
//! whether it holds or not.

use std::time::Duration;

use futures::FutureExt;

use super::{Engine, Protocol, TestApp};

/// No behaviour takes longer unless it hangs.
const HANG: Duration = Duration::from_secs(120);

/// Runs `behaviour` against a new server.
pub fn run(engine: Engine, protocol: Protocol, behaviour: impl AsyncFn(&TestApp)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let app = TestApp::start(engine, protocol).await;
        let held = std::panic::AssertUnwindSafe(tokio::time::timeout(HANG, behaviour(&app)));
        let held = held.catch_unwind().await;
        app.stop().await;
        match held {
            Ok(in_time) => in_time.expect("the behaviour hangs"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
}
