//! Tracks whether the store's disk is full, by the results of statements and changes.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

// This clock can be paused in tests.
use tokio::time::Instant;

use super::error::{Cause, StoreError};
use crate::error::{Error, reason};

/// The shortest time between two warnings about a full disk.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Logs that the disk is full, and later that it is no longer full.
#[derive(Debug, Default)]
pub(super) struct DiskSpace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_full: bool,
    warned_at: Option<Instant>,
    /// Whether a warning was logged, but not yet that the disk has space again.
    warns: bool,
}

impl DiskSpace {
    /// Checks the result of a change.
    pub(super) fn changed<T>(&self, outcome: &Result<T, Error>) {
        if let Err(error) = outcome
            && error.reason == reason::DISK_FULL
        {
            self.is_full_because(error);
        }
    }

    /// Checks the error of a statement. A read may need disk space too, for sorting.
    pub(super) fn failed(&self, error: &StoreError) {
        if error.cause == Cause::DiskFull {
            self.is_full_because(error);
        }
    }

    /// Whether a change or a statement failed because the disk is full, and no test write has
    /// succeeded since.
    pub(super) fn is_full(&self) -> bool {
        self.state().is_full
    }

    /// Records that a test write has succeeded, which needs more space than a small change.
    pub(super) fn has_space(&self) {
        let mut state = self.state();
        state.is_full = false;
        if std::mem::take(&mut state.warns) {
            tracing::info!("the store's disk has space again: changes are accepted");
        }
    }

    fn is_full_because(&self, error: &dyn Debug) {
        let mut state = self.state();
        state.is_full = true;
        if state.warned_at.is_none_or(|warned_at| warned_at.elapsed() >= WARNING_INTERVAL) {
            state.warned_at = Some(Instant::now());
            state.warns = true;
            tracing::warn!(
                cause = ?error,
                "the store's disk is full: changes are rejected until it has space; \
                 free some, or make the disk larger"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::io::Write;
    use std::sync::Arc;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Log {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
            text.lines().map(|line| line.trim().split(' ').next().unwrap().to_owned()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_logged_once_a_minute_and_its_recovery_once() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).without_time();
        let _guard = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());

        let disk = DiskSpace::default();
        let full = || -> Result<(), Error> {
            Err(Error::new(Kind::ResourceExhausted, "full").with_reason(reason::DISK_FULL))
        };
        disk.changed(&Ok(()));
        disk.changed::<()>(&Err(Error::not_found()));
        assert!(!disk.is_full());
        for _ in 0..100 {
            disk.changed(&full());
        }
        assert!(disk.is_full());
        assert_eq!(log.lines(), ["WARN"]);
        disk.changed(&Ok(()));
        assert!(disk.is_full(), "a change that writes nothing needs no space");

        tokio::time::advance(WARNING_INTERVAL).await;
        disk.changed(&full());
        assert_eq!(log.lines(), ["WARN"], "the disk is still full");
        disk.has_space();
        disk.has_space();
        assert!(!disk.is_full());
        assert_eq!(log.lines(), ["INFO"]);
        // If the disk becomes full again within a minute, neither that nor its end is logged.
        disk.changed(&full());
        disk.has_space();
        assert_eq!(log.lines(), [""; 0]);
    }
}
