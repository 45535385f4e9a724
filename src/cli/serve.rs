//! `guestlist serve`

use std::path::Path;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use super::store::print;
use crate::app::{self, App};
use crate::clock::SystemClock;
use crate::config::{Config, reachable};
use crate::error::{Error, Result};
use crate::telemetry;

/// File descriptors for everything except connections.
const RESERVED_DESCRIPTORS: u64 = 64;
/// File descriptors for each connection of the store.
const DESCRIPTORS_PER_STORE_CONNECTION: u64 = 4;

/// Serves until a signal. A second signal ends the process without waiting for requests.
pub(super) fn serve(mut config: Config) -> Result<(), Failure> {
    let (_log, traces) = telemetry::init_with_traces(&config.log)?;
    fit_to_descriptors(&mut config);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?
        .block_on(run(config));
    // Not after a second signal, which ends the process without waiting.
    if let (Ok(()), Some(traces)) = (&ended, traces) {
        traces.flush();
    }
    ended
}

/// Raises the limit of file descriptors to the maximum: the usual limit, 1024, is less than
/// `http.max_connections`. If the maximum is too low, lowers `http.max_connections`: without
/// free descriptors the store could not open connections.
fn fit_to_descriptors(config: &mut Config) {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (limit.current, limit.maximum);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // `None` means no limit.
    let Some(allowed) = (if raised.is_ok() { maximum } else { current }) else { return };
    let store =
        DESCRIPTORS_PER_STORE_CONNECTION.saturating_mul(config.database.max_connections.into());
    let reserved = RESERVED_DESCRIPTORS + app::connections_beyond_limit(config);
    let free = allowed.saturating_sub(reserved.saturating_add(store)).max(1);
    if let Ok(free) = usize::try_from(free)
        && free < config.http.max_connections
    {
        tracing::warn!(
            descriptors = allowed,
            max_connections = free,
            "the system allows too few file descriptors for http.max_connections; the server \
             accepts only this many connections"
        );
        config.http.lower_max_connections(free);
    }
}

async fn run(config: Config) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let app = tokio::select! {
        app = start(config) => app?,
        () = signals.next() => return Ok(()),
    };
    announce(&app);

    signals.next().await;
    tracing::info!("stopping; a second signal ends the process immediately");
    tokio::select! {
        outcome = app.stop() => Ok(outcome?),
        () = signals.next() => Err(Failure::Aborted),
    }
}

async fn start(config: Config) -> Result<App> {
    let listener = app::listen(config.listen).await?;
    App::start(config, listener, Arc::new(SystemClock)).await
}

/// Prints the address and, on the first start, the file with the key. Scripts wait for the
/// last line.
fn announce(app: &App) {
    let mut lines = Vec::new();
    if let Some(key) = app.first_key() {
        lines.push(first_steps(key, app));
    }
    lines.push(format!("listening on {}://{}", app.scheme(), app.local_addr()));
    if let Err(error) = print(&lines.join("\n")) {
        // Standard output may be closed; the server runs anyway.
        tracing::warn!(%error, "cannot write to standard output; the server runs anyway");
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

/// The signals that stop the server: SIGTERM from a process manager, SIGINT from a terminal.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        let on = |kind| signal(kind).map_err(Error::internal);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
