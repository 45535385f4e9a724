//! Whether the store's disk has room, as far as changes have shown.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::DbErr;

// tokio's, which tests can pause.
use tokio::time::Instant;

use super::error::{Cause, cause};
use crate::error::{Error, reason};

/// The shortest time between two warnings about a full disk.
const QUIET: Duration = Duration::from_secs(60);

/// Tells the log that the disk is full, and that it is not any more.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_full: bool,
    /// When the log was last told that it is.
    told_at: Option<Instant>,
    /// Whether the log still has to be told that it is not.
    owes_end: bool,
}

impl Room {
    /// Looks at the outcome of a change.
    pub(super) fn saw<T>(&self, outcome: &Result<T, Error>) {
        if let Err(error) = outcome
            && error.reason == reason::DISK_FULL
        {
            self.is_full_because(error);
        }
    }

    /// Looks at what a statement met: a read may need room as well, to sort.
    pub(super) fn met(&self, error: &DbErr) {
        if cause(error) == Cause::DiskFull {
            self.is_full_because(error);
        }
    }

    /// Whether a change was refused for want of room, and none was made on purpose since.
    pub(super) fn is_full(&self) -> bool {
        self.state().is_full
    }

    /// Notes that there is room: more than a small change needs was written.
    pub(super) fn has_room(&self) {
        let mut state = self.state();
        state.is_full = false;
        if std::mem::take(&mut state.owes_end) {
            tracing::info!("the store's disk has room again: changes are made");
        }
    }

    fn is_full_because(&self, error: &dyn Debug) {
        let mut state = self.state();
        state.is_full = true;
        if state.told_at.is_none_or(|told_at| told_at.elapsed() >= QUIET) {
            state.told_at = Some(Instant::now());
            state.owes_end = true;
            tracing::warn!(
                cause = ?error,
                "the store's disk is full: changes are refused until there is room; \
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
    async fn the_log_is_told_of_a_full_disk_once_a_minute_and_of_its_end_once() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).without_time();
        let _told = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());

        let room = Room::default();
        let full = || -> Result<(), Error> {
            Err(Error::new(Kind::ResourceExhausted, "full").with_reason(reason::DISK_FULL))
        };
        room.saw(&Ok(()));
        room.saw::<()>(&Err(Error::not_found()));
        assert!(!room.is_full());
        for _ in 0..100 {
            room.saw(&full());
        }
        assert!(room.is_full());
        assert_eq!(log.lines(), ["WARN"]);
        room.saw(&Ok(()));
        assert!(room.is_full(), "what writes nothing needs no room");

        tokio::time::advance(QUIET).await;
        room.saw(&full());
        assert_eq!(log.lines(), ["WARN"], "it lasts");
        room.has_room();
        room.has_room();
        assert!(!room.is_full());
        assert_eq!(log.lines(), ["INFO"]);
        // Full and not in turns: no line for each.
        room.saw(&full());
        room.has_room();
        assert_eq!(log.lines(), [""; 0]);
    }
}
