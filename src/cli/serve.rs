//! `guestlist serve`

use std::path::Path;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use super::store::say;
use crate::app::{self, App};
use crate::clock::SystemClock;
use crate::config::{Config, reachable};
use crate::error::{Error, Result};
use crate::telemetry;

/// File descriptors for all that is no client's connection, and as many more for
/// each of the store's.
const DESCRIPTORS_BESIDE: u64 = 64;
const DESCRIPTORS_EACH: u64 = 4;

/// Serves until a signal asks for the end; a second one does not wait for it.
pub(super) fn serve(mut config: Config) -> Result<(), Failure> {
    let _log = telemetry::init(&config.log)?;
    make_room(&mut config);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?
        .block_on(run(config))
}

/// Takes as many file descriptors as the system gives: the usual first answer, 1024,
/// is fewer than connections there may be. Where all it gives are too few, fewer
/// connections are let in: with none left, the store could not connect either.
fn make_room(config: &mut Config) {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (limit.current, limit.maximum);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // Without a number there is no limit.
    let Some(allowed) = (if raised.is_ok() { maximum } else { current }) else { return };
    let store = DESCRIPTORS_EACH.saturating_mul(config.database.max_connections.into());
    let beside = DESCRIPTORS_BESIDE + app::connections_beyond_limit(config);
    let room = allowed.saturating_sub(beside.saturating_add(store)).max(1);
    if let Ok(room) = usize::try_from(room)
        && room < config.http.max_connections
    {
        tracing::warn!(
            descriptors = allowed,
            max_connections = room,
            "there are too few file descriptors for http.max_connections; fewer are let in"
        );
        config.http.lower_max_connections(room);
    }
}

async fn run(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let app = tokio::select! {
        app = start(config) => app?,
        () = signals.next() => return Ok(()),
    };
    tell(&app);

    signals.next().await;
    tracing::info!("stopping; a second signal ends it at once");
    tokio::select! {
        outcome = app.stop() => Ok(outcome?),
        () = signals.next() => Err(Failure::Aborted),
    }
}

async fn start(config: Config) -> Result<App> {
    let listener = app::listen(config.listen).await?;
    App::start(config, listener, Arc::new(SystemClock)).await
}

/// Says where it serves and, on the first start, where the key is. The last line
/// is what scripts wait for.
fn tell(app: &App) {
    let mut lines = Vec::new();
    if let Some(key) = app.first_key() {
        lines.push(first_steps(key, app));
    }
    lines.push(format!("listening on {}://{}", app.scheme(), app.local_addr()));
    if let Err(error) = say(&lines.join("\n")) {
        // Nobody reads standard output; that is no reason not to serve.
        tracing::warn!(%error, "standard output is closed");
    }
}

fn first_steps(key: &Path, app: &App) -> String {
    let (key, scheme, address) = (key.display(), app.scheme(), reachable(app.local_addr()));
    format!(
        "This is the first start; the operator's API key is in {key}. Try:\n\
         \n  curl {scheme}://{address}/guestlist.v1.AccountService/GetCaller \\\n    \
         -H \"authorization: Bearer $(cat '{key}')\" \\\n    \
         -H 'content-type: application/json' -d '{{}}'\n"
    )
}

/// What asks a server to end: SIGTERM from whoever runs it, SIGINT from a terminal.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let on = |kind| signal(kind).map_err(Error::internal);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
