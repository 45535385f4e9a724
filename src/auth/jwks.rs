//! A cache of an issuer's public keys.
//!
//! Cached keys are used at any age; stale keys are refreshed in the background, so a slow
//! endpoint delays no request whose key is cached. A request with an unknown key id waits
//! for one refresh; there is at most one refresh in [`RefreshPolicy::min_interval`]. Until the
//! first refresh succeeds, tokens can be neither accepted nor rejected, and refreshes are
//! retried with exponential backoff. Ages are measured with the service's clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tracing::{Instrument, info_span};

use crate::clock::Clock;
use crate::config::{Algorithm, JwksSource};
use crate::domain::Timestamp;
use crate::error::chain;

use super::fetch::BoxError;
use super::jwk::{JwkSet, PublicKey, SkipReason, SkippedKey};
use super::jwks_source::Source;

/// How often the keys are refreshed.
#[derive(Debug, Clone, Copy)]
struct RefreshPolicy {
    /// The least time between two refreshes, once keys are cached.
    min_interval: Duration,
    /// Keys of this age are refreshed.
    max_age: Duration,
}

const FILE: RefreshPolicy =
    RefreshPolicy { min_interval: Duration::from_secs(10), max_age: Duration::from_secs(10) };

const URL: RefreshPolicy =
    RefreshPolicy { min_interval: Duration::from_secs(30), max_age: Duration::from_secs(5 * 60) };

/// The pause after the first failed refresh, while no keys are cached. It doubles up to half
/// of [`MAX_PAUSE`]; jitter at most doubles each pause, so that replicas do not read the source
/// at the same time.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// No refresh has succeeded since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverRead {
    /// The time until the next attempt.
    pub retry_after: Duration,
}

/// The cached keys of one issuer.
pub struct KeySet {
    issuer: String,
    source: Source,
    policy: RefreshPolicy,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Incremented when the keys change.
    version: AtomicU64,
    /// Locked while the source is read, so that all waiting requests share one refresh.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    keys: Vec<Arc<PublicKey>>,
    /// The skipped keys that have been logged.
    skipped: Vec<SkippedKey>,
    read_at: Option<Timestamp>,
    attempted_at: Option<Timestamp>,
    /// Failed refreshes before the first successful one.
    failures: usize,
    /// The least time from `attempted_at` to the next refresh.
    pause: Duration,
}

impl KeySet {
    /// Does not read the keys yet.
    ///
    /// # Errors
    /// If the system's root certificates cannot be used.
    pub fn new(
        issuer: &str,
        source: &JwksSource,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, BoxError> {
        let policy = match source {
            JwksSource::File(_) => FILE,
            JwksSource::Url(_) => URL,
        };
        Ok(Arc::new(Self {
            issuer: issuer.to_owned(),
            source: Source::new(source)?,
            policy,
            clock,
            state: Mutex::default(),
            version: AtomicU64::new(0),
            reading: tokio::sync::Mutex::default(),
        }))
    }

    /// The keys that may have signed a token with this key id and algorithm. For a token
    /// without a key id the set must have exactly one key for the algorithm.
    ///
    /// # Errors
    /// If no refresh has succeeded yet.
    pub async fn find(
        self: &Arc<Self>,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Arc<PublicKey>>, NeverRead> {
        self.refresh_stale();
        if let Some(found) = self.select(key_id, algorithm)
            && !found.is_empty()
        {
            return Ok(found);
        }
        self.refresh().await;
        self.select(key_id, algorithm).ok_or_else(|| NeverRead { retry_after: self.retry_after() })
    }

    /// A number that changes when the keys do.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Starts a refresh in the background if the keys are stale or were never read, and the
    /// pause after the last attempt is over.
    pub fn refresh_stale(self: &Arc<Self>) {
        if self.is_stale() && self.may_attempt() {
            drop(self.spawn_refresh());
        }
    }

    /// Refreshes the keys, unless the pause after the last attempt is not over. Errors are
    /// logged, and the cached keys stay.
    pub async fn refresh(self: &Arc<Self>) {
        if !self.may_attempt() {
            // A refresh may be running; wait for its result.
            drop(self.reading.lock().await);
            return;
        }
        // A task: if this request is cancelled, the refresh continues for the other requests.
        if let Err(error) = self.spawn_refresh().await {
            tracing::error!(
                %error,
                issuer = self.issuer,
                "reading public keys panicked; the cached keys stay in use"
            );
        }
    }

    fn spawn_refresh(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        let span = info_span!(
            target: "otel",
            "jwks",
            otel.kind = "client",
            guestlist.issuer = self.issuer,
        );
        let refresh = async move {
            let _reading = this.reading.lock().await;
            if this.begin_attempt()
                && let Err(error) = this.read().await
            {
                this.failed(&*error);
            }
        };
        tokio::spawn(refresh.instrument(span))
    }

    /// Reads the source immediately.
    ///
    /// # Errors
    /// If it cannot be read or used; the cached keys stay.
    pub async fn read(&self) -> Result<(), BoxError> {
        let now = self.clock.now();
        let JwkSet { keys, skipped } = self.source.read().await?;
        let mut state = self.state();
        if !state.keys.iter().map(Arc::as_ref).eq(&keys) {
            state.keys = keys.into_iter().map(Arc::new).collect();
            self.version.fetch_add(1, Ordering::SeqCst);
        }
        state.read_at = Some(now);
        state.pause = self.policy.min_interval;
        if state.skipped != skipped {
            state.skipped.clone_from(&skipped);
            drop(state);
            self.log_skipped(&skipped);
        }
        Ok(())
    }

    fn log_skipped(&self, skipped: &[SkippedKey]) {
        const MESSAGE: &str = "a public key of the issuer is skipped; its other keys are used";
        let issuer = self.issuer.as_str();
        for SkippedKey { id, reason } in skipped {
            let key_id = id.as_deref();
            match reason {
                // Many issuers publish their encryption keys in the same set.
                SkipReason::OtherUse => tracing::info!(issuer, key_id, %reason, "{MESSAGE}"),
                _ => tracing::warn!(issuer, key_id, %reason, "{MESSAGE}"),
            }
        }
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        let (cause, issuer) = (chain(error), self.issuer.as_str());
        let mut state = self.state();
        if state.read_at.is_some() {
            drop(state);
            let message = "public keys cannot be read; the cached keys stay in use";
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
            "public keys cannot be read; until a retry succeeds, requests with the issuer's tokens \
             fail with UNAVAILABLE"
        );
    }

    /// `None` if no keys have been read yet.
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

    fn is_stale(&self) -> bool {
        let read_at = self.state().read_at;
        read_at.is_none_or(|at| elapsed(at, self.clock.now()) >= self.policy.max_age)
    }

    fn may_attempt(&self) -> bool {
        self.remaining_pause(&self.state()).is_zero()
    }

    /// The remaining pause, but at least one second, since a refresh may be running.
    fn retry_after(&self) -> Duration {
        self.remaining_pause(&self.state()).max(Duration::from_secs(1))
    }

    /// If a refresh is due, records its start and returns true.
    fn begin_attempt(&self) -> bool {
        let mut state = self.state();
        let due = self.remaining_pause(&state).is_zero();
        if due {
            state.attempted_at = Some(self.clock.now());
            // This pause applies until the result of the refresh sets another one. It is longer
            // than a refresh may take.
            state.pause = self.policy.min_interval;
        }
        due
    }

    fn remaining_pause(&self, state: &State) -> Duration {
        state
            .attempted_at
            .map_or(Duration::ZERO, |at| state.pause.saturating_sub(elapsed(at, self.clock.now())))
    }

    /// A poisoned lock is usable: every change of the state is a single step.
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after a failed refresh; `before` is the number of failures before it.
fn pause_after(before: usize) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(MIN_PAUSE)
        .with_max_delay(MAX_PAUSE / 2)
        .without_max_times()
        .with_jitter();
    // The maximum is reached long before a hundred failures.
    pauses.build().nth(before.min(100)).unwrap_or(MAX_PAUSE)
}

/// Returns the maximum if the clock was set back: otherwise refreshes would stop until it
/// has caught up.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    u64::try_from(now.as_micros().saturating_sub(since.as_micros()))
        .map_or(Duration::MAX, Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_maximum_and_vary() {
        for (before, least) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 15), (50, 15), (usize::MAX, 15)]
        {
            let least = Duration::from_secs(least);
            for _ in 0..100 {
                let pause = pause_after(before);
                assert!(pause >= least && pause <= 2 * least, "{before}: {pause:?}");
            }
        }
        let pauses: std::collections::HashSet<_> = (0..10).map(|_| pause_after(3)).collect();
        assert!(pauses.len() > 1, "the pauses vary");
    }

    #[test]
    fn an_attempt_is_allowed_after_the_clock_is_set_back() {
        let (early, late) = (Timestamp::from_micros(0), Timestamp::from_micros(1_000_000));
        assert_eq!(elapsed(early, late), Duration::from_secs(1));
        assert_eq!(elapsed(late, early), Duration::MAX);
    }
}
