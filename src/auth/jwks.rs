//! An issuer's public keys, kept up to date.
//!
//! Keys that are known live on when their source is down. A key id that is not
//! known causes one attempt to read the source anew, and never a second one
//! within [`Pace::between_attempts`]. Ages are measured with the service's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{Algorithm, JwksSource};
use crate::domain::Timestamp;

use super::jwk::PublicKey;
use super::jwks_source::Source;

/// How often a source is read.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Never read twice within this time, whatever happened.
    between_attempts: Duration,
    /// Keys of this age are still used, but read anew aside.
    refresh_aside: Duration,
    /// Keys of this age are used only after an attempt to read them anew.
    refresh_first: Duration,
}

const FILE: Pace = Pace {
    between_attempts: Duration::from_secs(10),
    refresh_aside: Duration::from_secs(10),
    refresh_first: Duration::from_secs(10),
};

const URL: Pace = Pace {
    between_attempts: Duration::from_secs(30),
    refresh_aside: Duration::from_secs(5 * 60),
    refresh_first: Duration::from_secs(60 * 60),
};

/// The keys of one issuer.
pub struct KeySet {
    issuer: String,
    source: Source,
    pace: Pace,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while the source is read, so that all who wait share one attempt.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Vec<Arc<PublicKey>>,
    read_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
}

impl KeySet {
    /// The keys of `issuer`, none of them read yet.
    ///
    /// # Errors
    /// If the machine's root certificates cannot be used.
    pub fn new(
        issuer: &str,
        source: &JwksSource,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Box<dyn std::error::Error + Send + Sync>> {
        let pace = match source {
            JwksSource::File(_) => FILE,
            JwksSource::Url(_) => URL,
        };
        Ok(Arc::new(Self {
            issuer: issuer.to_owned(),
            source: Source::new(source)?,
            pace,
            clock,
            state: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }))
    }

    /// The keys that may have signed a token with this key id and algorithm. A
    /// token without a key id has one only where there is no choice.
    pub async fn find(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Vec<Arc<PublicKey>> {
        let age = self.age();
        if age.is_some_and(|age| age >= self.pace.refresh_first) {
            self.refresh().await;
        } else if age.is_some_and(|age| age >= self.pace.refresh_aside) && self.may_attempt() {
            drop(self.spawn_refresh());
        }
        let found = self.select(key_id, algorithm);
        if !found.is_empty() {
            return found;
        }
        self.refresh().await;
        self.select(key_id, algorithm)
    }

    /// Reads the source anew, unless it was tried just now. What is wrong goes to
    /// the log, and the keys that are known stay.
    pub async fn refresh(self: &Arc<Self>) {
        if !self.may_attempt() {
            // An attempt may be under way, whose outcome counts here as well.
            drop(self.reading.lock().await);
            return;
        }
        // In a task of its own: a caller that gives up early must not waste the
        // attempt of everybody else.
        if let Err(error) = self.spawn_refresh().await {
            tracing::error!(%error, issuer = self.issuer, "reading public keys failed");
        }
    }

    fn spawn_refresh(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _reading = this.reading.lock().await;
            if this.begin_attempt()
                && let Err(error) = this.read().await
            {
                tracing::warn!(
                    error,
                    issuer = this.issuer,
                    "public keys cannot be read; those known before stay in use"
                );
            }
        })
    }

    /// Reads the source once, whatever the pace.
    ///
    /// # Errors
    /// If it cannot be read, with the keys as they were.
    pub async fn read(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let now = self.clock.now();
        let keys = self.source.read().await?;
        let mut state = self.state();
        state.keys = keys.into_iter().map(Arc::new).collect();
        state.read_at = Some(now);
        Ok(())
    }

    fn select(&self, key_id: Option<&str>, algorithm: Algorithm) -> Vec<Arc<PublicKey>> {
        let state = self.state();
        let suitable = state.keys.iter().filter(|key| key.suits(algorithm));
        match key_id {
            Some(id) => suitable.filter(|key| key.id.as_deref() == Some(id)).cloned().collect(),
            None => match suitable.collect::<Vec<_>>().as_slice() {
                [only] => vec![Arc::clone(only)],
                _ => Vec::new(),
            },
        }
    }

    fn age(&self) -> Option<Duration> {
        let read_at = self.state().read_at?;
        Some(elapsed(read_at, self.clock.now()))
    }

    fn may_attempt(&self) -> bool {
        self.is_due(self.state().attempted_at)
    }

    /// Whether an attempt may be made now; it then counts as made.
    fn begin_attempt(&self) -> bool {
        let mut state = self.state();
        let due = self.is_due(state.attempted_at);
        if due {
            state.attempted_at = Some(self.clock.now());
        }
        due
    }

    fn is_due(&self, attempted_at: Option<Timestamp>) -> bool {
        attempted_at.is_none_or(|at| elapsed(at, self.clock.now()) >= self.pace.between_attempts)
    }

    /// A thread that panicked left the state whole: it is changed in one step.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clock that was set back must not stop the reading for as long.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    u64::try_from(now.as_micros().saturating_sub(since.as_micros()))
        .map_or(Duration::MAX, Duration::from_micros)
}
