//! Runs one behaviour on its own store and server, and cleans up after it, also if it fails.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;

use super::{Database, Engine, Installation, Protocol, Settings, TestApp};

/// The longest time for a behaviour, also on a slow machine with other work. One that takes longer
/// hangs.
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

/// Runs `behaviour` on a new installation, whose servers are separate processes.
pub fn run_installed(engine: Engine, behaviour: impl AsyncFn(&Installation)) {
    block_on(async { hold_installed(HANG, Installation::new(engine).await, behaviour).await });
}

/// The same on a given store, with its own time limit.
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

/// The number in an environment variable, which is set for longer runs.
pub fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

type Held = std::thread::Result<Result<(), tokio::time::error::Elapsed>>;

/// For a longer run, `GUESTLIST_TEST_HANG` sets the time limit, in seconds.
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
