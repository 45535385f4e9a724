//! `guestlist demo`: a server with sample data. It removes its data at the end.

mod call;
mod endpoint;
mod story;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::story::Keys;
use super::Failure;
use super::serve::Signals;
use super::store::{block_on, print};
use crate::app::{self, App};
use crate::clock::OffsetClock;
use crate::config::{Config, Sources, reachable};
use crate::error::{Error, Result};
use crate::telemetry;

/// Serves until a signal. The store is in a temporary folder, which is removed at the end.
pub(super) fn demo(listen: SocketAddr) -> Result<(), Failure> {
    let folder = Folder::new()?;
    let config = settings(listen, folder.path())?;
    let _log = telemetry::init(&config.log)?;
    block_on(run(config, folder.path()))?;
    Ok(folder.remove()?)
}

/// The default settings with changes for the demo. Settings of the environment or of a file are
/// not used, because they are for another store.
fn settings(listen: SocketAddr, folder: &Path) -> Result<Config, Failure> {
    let flags = vec![
        ("--listen", "listen", listen.to_string()),
        ("demo", "data_dir", folder.display().to_string()),
        ("demo", "log.filter", "warn".to_owned()),
        // The endpoint of the demo is in this process.
        ("demo", "webhooks.allow_http", "true".to_owned()),
        ("demo", "webhooks.allowed_networks", "127.0.0.1".to_owned()),
    ];
    Ok(Config::load(Sources { flags, ..Sources::default() })?)
}

async fn run(config: Config, folder: &Path) -> Result<()> {
    let mut signals = Signals::new()?;
    let listener = app::listen(config.listen).await?;
    // The events of the story are spread over several days, until now.
    let clock = OffsetClock::default();
    clock.go_back(story::SPAN);
    let app = App::start(config, listener, Arc::new(clock.clone())).await?;
    let result = tokio::select! {
        result = run_story(&app, &clock) => result.map(Some),
        () = signals.next() => Ok(None),
    };
    let outcome = match result {
        Ok(Some(keys)) => {
            announce(&app, &keys, folder);
            signals.next().await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    outcome.and(app.stop().await)
}

async fn run_story(app: &App, clock: &OffsetClock) -> Result<Keys> {
    let keys = story::keys(app.store(), clock).await?;
    let endpoint = endpoint::start().await?;
    story::run(reachable(app.local_addr()), clock, &keys, endpoint).await?;
    Ok(keys)
}

/// Prints the URL of the console and the keys for it. The last line is the same as that of
/// `guestlist serve`.
fn announce(app: &App, keys: &Keys, folder: &Path) {
    let (scheme, address) = (app.scheme(), reachable(app.local_addr()));
    let text = format!(
        "Open the console and sign in with one of the keys:\n\
         \n  {scheme}://{address}/console\n\
         \n  Ana, an admin of Acme and Globex:  {ana}\
         \n  Ben, a member of Acme:             {ben}\
         \n  Eve, who is invited to Acme:       {eve}\
         \n  the operator:                      {operator}\n\
         \nMails are files in {folder}/mail. Ctrl-c ends the demo and removes everything.\n\
         \nlistening on {scheme}://{listen}",
        ana = *keys.ana.expose(),
        ben = *keys.ben.expose(),
        eve = *keys.eve.expose(),
        operator = *keys.operator.expose(),
        folder = folder.display(),
        listen = app.local_addr(),
    );
    if let Err(error) = print(&text) {
        // Standard output may be closed; the server runs anyway.
        tracing::warn!(%error, "cannot write to standard output; the demo runs anyway");
    }
}

/// A new folder, which only this user can read. It is removed when the value is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let id = uuid::Uuid::new_v4().simple();
        let path = std::env::temp_dir().join(format!("guestlist-demo-{id}"));
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|e| {
            let message = format!("cannot create {}: {e}", path.display());
            Error::internal(e).with_message(message)
        })?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.0).map_err(|e| {
            let message = format!("cannot remove {}: {e}", self.0.display());
            Error::internal(e).with_message(message)
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // An error is ignored: `remove` has already returned it, or the demo has failed with an
        // error of its own, which is reported.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
