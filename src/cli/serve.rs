//! `guestlist serve`

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use super::store::say;
use crate::app::{self, App};
use crate::clock::SystemClock;
use crate::config::{Config, reachable};
use crate::error::{Error, Result};
use crate::telemetry;

/// Serves until a signal asks for the end; a second one does not wait for it.
pub(super) fn serve(config: Config) -> Result<(), Failure> {
    telemetry::init(&config.log)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?
        .block_on(run(config))
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
