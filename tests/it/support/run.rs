//! Runs one behaviour on a store and a server of its own, and cleans up after it
//! whether it holds or not.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use super::{Database, Engine, Installation, Protocol, Settings, TestApp};

/// No behaviour takes longer unless it hangs, also on a slow machine beside other work.
pub const HANG: Duration = Duration::from_secs(300);

/// Runs `behaviour` against a new server in this process.
pub fn run(engine: Engine, protocol: Protocol, behaviour: impl AsyncFn(&TestApp)) {
    block_on(async { hold(TestApp::start(engine, protocol).await, behaviour).await });
}

/// The same with other settings.
pub fn run_with(
    settings: Settings,
    engine: Engine,
    protocol: Protocol,
    behaviour: impl AsyncFn(&TestApp),
) {
    block_on(async {
        hold(TestApp::configured(engine, protocol, settings).await, behaviour).await
    });
}

/// Runs `behaviour` on a new installation, whose servers are processes.
pub fn run_installed(engine: Engine, behaviour: impl AsyncFn(&Installation)) {
    block_on(async { hold_installed(HANG, Installation::new(engine).await, behaviour).await });
}

/// The same on a given store, with a bound of its own.
pub fn run_installed_on(
    database: Database,
    hang: Duration,
    behaviour: impl AsyncFn(&Installation),
) {
    block_on(async { hold_installed(hang, Installation::on(database), behaviour).await });
}

async fn hold_installed(
    hang: Duration,
    installation: Installation,
    behaviour: impl AsyncFn(&Installation),
) -> Held {
    let held = held(hang, behaviour(&installation)).await;
    installation.remove().await;
    held
}

async fn hold(app: TestApp, behaviour: impl AsyncFn(&TestApp)) -> Held {
    let held = held(HANG, behaviour(&app)).await;
    app.stop().await;
    held
}

/// A number that a longer run gives.
pub fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

type Held = std::thread::Result<Result<(), tokio::time::error::Elapsed>>;

/// A run that is longer than usual says its bound, in seconds, by `GUESTLIST_TEST_HANG`.
async fn held(hang: Duration, behaviour: impl Future<Output = ()>) -> Held {
    let hang = from_environment("GUESTLIST_TEST_HANG").map_or(hang, Duration::from_secs);
    AssertUnwindSafe(tokio::time::timeout(hang, behaviour)).catch_unwind().await
}

fn block_on(behaviour: impl Future<Output = Held>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match runtime.block_on(behaviour) {
        Ok(in_time) => in_time.expect("the behaviour hangs"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
