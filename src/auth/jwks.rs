//! An issuer's public keys, kept up to date.
//!
//! Keys that are known are used at once, whatever their age: the source is read
//! anew beside the request, so that a slow endpoint holds up no caller whose key
//! is known. A key id that is not known waits for one attempt to read the source,
//! and causes no second one within [`Pace::between_attempts`]. While no attempt has
//! ever succeeded, tokens are neither good nor bad, and attempts are made sooner,
//! with growing pauses. Ages are measured with the service's clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::clock::Clock;
use crate::config::{Algorithm, JwksSource};
use crate::domain::Timestamp;
use crate::error::chain;

use super::jwk::{JwkSet, LeftOut, PublicKey, Unusable};
use super::jwks_source::{BoxError, Source};

/// How often a source is read.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Once keys are known, the source is never read twice within this time.
    between_attempts: Duration,
    /// Keys of this age are read anew.
    max_age: Duration,
}

const FILE: Pace =
    Pace { between_attempts: Duration::from_secs(10), max_age: Duration::from_secs(10) };

const URL: Pace =
    Pace { between_attempts: Duration::from_secs(30), max_age: Duration::from_secs(5 * 60) };

/// The pause after the first attempt that failed, while no keys are known. It
/// doubles up to half of the longest; chance adds up to as much again, so that
/// replicas do not ask together.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// No attempt to read an issuer's keys has succeeded since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverRead {
    /// When the next attempt may be made.
    pub retry_after: Duration,
}

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
    /// What the log has been told about keys that are not used.
    left_out: Vec<LeftOut>,
    read_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    /// Attempts that failed before the first that succeeded.
    failures: usize,
    /// How long after `attempted_at` the next attempt may be made.
    pause: Duration,
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
    ) -> Result<Arc<Self>, BoxError> {
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
    ///
    /// # Errors
    /// If no keys have been read yet, so that nothing can be said about a token.
    pub async fn find(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Arc<PublicKey>>, NeverRead> {
        self.refresh_aged();
        if let Some(found) = self.select(key_id, algorithm)
            && !found.is_empty()
        {
            return Ok(found);
        }
        self.refresh().await;
        self.select(key_id, algorithm).ok_or_else(|| NeverRead { retry_after: self.retry_after() })
    }

    /// Begins to read keys that have reached their age, or that were never read,
    /// beside the caller, unless an attempt was made just now.
    pub fn refresh_aged(self: &Arc<Self>) {
        if self.has_aged() && self.may_attempt() {
            drop(self.spawn_refresh());
        }
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
                this.failed(&*error);
            }
        })
    }

    /// Reads the source once, whatever the pace.
    ///
    /// # Errors
    /// If it cannot be read, with the keys as they were.
    pub async fn read(&self) -> Result<(), BoxError> {
        let now = self.clock.now();
        let JwkSet { keys, left_out } = self.source.read().await?;
        let mut state = self.state();
        state.keys = keys.into_iter().map(Arc::new).collect();
        state.read_at = Some(now);
        state.pause = self.pace.between_attempts;
        if state.left_out != left_out {
            state.left_out.clone_from(&left_out);
            drop(state);
            self.log_left_out(&left_out);
        }
        Ok(())
    }

    fn log_left_out(&self, left_out: &[LeftOut]) {
        const MESSAGE: &str = "a public key of the issuer is left out; its other keys are used";
        let issuer = self.issuer.as_str();
        for LeftOut { id, why } in left_out {
            let key_id = id.as_deref();
            match why {
                // Many issuers publish their keys for encryption beside the others.
                Unusable::OtherUse => tracing::info!(issuer, key_id, reason = %why, "{MESSAGE}"),
                _ => tracing::warn!(issuer, key_id, reason = %why, "{MESSAGE}"),
            }
        }
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        let (cause, issuer) = (chain(error), self.issuer.as_str());
        let mut state = self.state();
        if state.read_at.is_some() {
            drop(state);
            let message = "public keys cannot be read; those known before stay in use";
            tracing::warn!(cause, issuer, "{message}");
            return;
        }
        state.pause = pause_after(state.failures);
        state.failures += 1;
        let pause = state.pause;
        drop(state);
        tracing::warn!(
            cause,
            issuer,
            next_attempt_after = ?pause,
            "public keys cannot be read; until they are, the issuer's tokens are answered UNAVAILABLE"
        );
    }

    /// Nothing if no keys have been read yet.
    fn select(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<Vec<Arc<PublicKey>>> {
        let state = self.state();
        state.read_at?;
        let suitable = state.keys.iter().filter(|key| key.suits(algorithm));
        Some(match key_id {
            Some(id) => suitable.filter(|key| key.id.as_deref() == Some(id)).cloned().collect(),
            None => match suitable.collect::<Vec<_>>().as_slice() {
                [only] => vec![Arc::clone(only)],
                _ => Vec::new(),
            },
        })
    }

    fn has_aged(&self) -> bool {
        let read_at = self.state().read_at;
        read_at.is_none_or(|at| elapsed(at, self.clock.now()) >= self.pace.max_age)
    }

    fn may_attempt(&self) -> bool {
        self.remaining_pause(&self.state()).is_zero()
    }

    /// A whole second at least: an attempt may be under way.
    fn retry_after(&self) -> Duration {
        self.remaining_pause(&self.state()).max(Duration::from_secs(1))
    }

    /// Whether an attempt may be made now; it then counts as made.
    fn begin_attempt(&self) -> bool {
        let mut state = self.state();
        let due = self.remaining_pause(&state).is_zero();
        if due {
            state.attempted_at = Some(self.clock.now());
            // Until its outcome is known: as long as it may take, and more.
            state.pause = self.pace.between_attempts;
        }
        due
    }

    fn remaining_pause(&self, state: &State) -> Duration {
        state
            .attempted_at
            .map_or(Duration::ZERO, |at| state.pause.saturating_sub(elapsed(at, self.clock.now())))
    }

    /// A thread that panicked left the state whole: it is changed in one step.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after an attempt that failed, with `before` failures before it.
fn pause_after(before: usize) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE / 2)
        .without_max_times()
        .with_jitter();
    // The bound is reached long before a hundred.
    pauses.build().nth(before.min(100)).unwrap_or(LONGEST_PAUSE)
}

/// A clock that was set back must not stop the reading for as long.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    u64::try_from(now.as_micros().saturating_sub(since.as_micros()))
        .map_or(Duration::MAX, Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_bound_and_vary() {
        for (before, least) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 15), (50, 15), (usize::MAX, 15)]
        {
            let least = Duration::from_secs(least);
            for _ in 0..100 {
                let pause = pause_after(before);
                assert!(pause >= least && pause <= 2 * least, "{before}: {pause:?}");
            }
        }
        let pauses: std::collections::HashSet<_> = (0..10).map(|_| pause_after(3)).collect();
        assert!(pauses.len() > 1, "they are not all the same");
    }

    #[test]
    fn a_clock_that_was_set_back_lets_an_attempt_through() {
        let (early, late) = (Timestamp::from_micros(0), Timestamp::from_micros(1_000_000));
        assert_eq!(elapsed(early, late), Duration::from_secs(1));
        assert_eq!(elapsed(late, early), Duration::MAX);
    }
}
