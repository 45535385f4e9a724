//! The metrics of the store: how long it takes, and why it fails.
//!
//! The time of a whole transaction is measured, not that of each of its statements: on PostgreSQL,
//! statements wait for each other's results only where they must, so the time of one statement
//! means little.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::error::Cause;

/// In seconds: from a read of a page in memory to a statement that reaches its time limit.
const BUCKETS_SECONDS: [f64; 13] =
    [0.000_1, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CauseLabel {
    cause: &'static str,
}

/// What a connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PurposeLabel {
    purpose: &'static str,
}

/// The metrics of a store. Clones share them.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Statements outside of transactions.
    pub reads: Histogram,
    /// Transactions of changes, from their beginning to their end.
    pub transactions: Histogram,
    pub commits: Histogram,
    /// Waits for a connection of the pool, on PostgreSQL.
    pub pool_waits: Family<PurposeLabel, Histogram>,
    pub(super) change_waits: Histogram,
    pub(super) list_waits: Histogram,
    pub errors: Family<CauseLabel, Counter>,
}

/// The values of the label `cause`.
const CAUSES: [&str; 9] = [
    "conflict",
    "away",
    "crowded",
    "locked",
    "too_long",
    "statement_lost",
    "denied",
    "disk_full",
    "fault",
];

impl Default for Statistics {
    fn default() -> Self {
        let histogram = || Histogram::new(BUCKETS_SECONDS);
        let pool_waits: Family<PurposeLabel, Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS));
        let waits = |purpose| pool_waits.get_or_create_owned(&PurposeLabel { purpose });
        let (change_waits, list_waits) = (waits("change"), waits("read"));
        let errors = Family::<CauseLabel, Counter>::default();
        // Each series begins with the value zero: the rate of a series that begins with one would
        // not count the first failure.
        for cause in CAUSES {
            drop(errors.get_or_create(&CauseLabel { cause }));
        }
        Self {
            reads: histogram(),
            transactions: histogram(),
            commits: histogram(),
            pool_waits,
            change_waits,
            list_waits,
            errors,
        }
    }
}

impl Statistics {
    /// Counts a statement or a transaction that failed. The violation of a constraint that has a
    /// meaning for callers is not counted.
    pub(super) fn failed(&self, cause: Cause) {
        let cause = match cause {
            Cause::Constraint(_) => return,
            Cause::Conflict => "conflict",
            Cause::Away => "away",
            Cause::Crowded => "crowded",
            Cause::Locked => "locked",
            Cause::TooLong => "too_long",
            Cause::StatementLost => "statement_lost",
            Cause::Denied(_) => "denied",
            Cause::DiskFull => "disk_full",
            Cause::Fault => "fault",
        };
        self.errors.get_or_create(&CauseLabel { cause }).inc();
    }
}

/// Measures the time since `started`.
pub(super) fn observe(histogram: &Histogram, started: Instant) {
    histogram.observe(started.elapsed().as_secs_f64());
}
