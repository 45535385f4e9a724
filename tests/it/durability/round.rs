//! One round of load on the server, and the condition that ends it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::ledger::CallOutcome;

/// The condition that ends a round: at least this many calls of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub acknowledged: usize,
    /// Rejected because of a failure of the store.
    pub failed: usize,
    /// Running calls at this moment.
    pub unanswered: usize,
    /// Whether the condition is checked when a call is sent, instead of when one has ended.
    pub checked_on_send: bool,
    /// The round also ends when more calls than this are acknowledged.
    pub max_acknowledged: usize,
}

/// The state that the callers of one round share.
pub struct Round {
    moment: Moment,
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
    unanswered: AtomicUsize,
    over: AtomicBool,
    since: Instant,
    first: OnceLock<Duration>,
    end: Box<dyn Fn() + Send + Sync>,
}

impl Round {
    /// `end` runs once, on the thread of the caller that finds the condition met.
    pub fn new(moment: Moment, end: impl Fn() + Send + Sync + 'static) -> Self {
        let (acknowledged, failed, unanswered, over, first) = Default::default();
        let (since, end) = (Instant::now(), Box::new(end));
        Self { moment, acknowledged, failed, unanswered, over, since, first, end }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The time from the start of the round until the first call was acknowledged.
    pub fn first(&self) -> Option<Duration> {
        self.first.get().copied()
    }

    pub fn call_begins(&self) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
        if self.moment.checked_on_send {
            self.check_condition();
        }
    }

    pub fn call_ended(&self, outcome: &CallOutcome) {
        match outcome {
            CallOutcome::Acknowledged(_) => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                self.first.get_or_init(|| self.since.elapsed());
            }
            CallOutcome::Refused { .. } if outcome.is_fault() => {
                self.failed.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        if !self.moment.checked_on_send {
            self.check_condition();
        }
        self.unanswered.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many calls were rejected because of a failure of the store.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::SeqCst)
    }

    fn check_condition(&self) {
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        let due = acknowledged >= self.moment.acknowledged
            && self.failed() >= self.moment.failed
            && self.unanswered.load(Ordering::SeqCst) >= self.moment.unanswered;
        if (due || acknowledged > self.moment.max_acknowledged)
            && !self.over.swap(true, Ordering::SeqCst)
        {
            (self.end)();
        }
    }
}
