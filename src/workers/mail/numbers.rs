//! The numbers of the outbox for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::MailWorker;
use crate::error::Result;
use crate::storage::{notices, outbox};
use crate::workers::backlog::Backlog;

#[derive(Debug, Default)]
pub struct Counts {
    backlog: Backlog,
    pub(in crate::workers) sent: AtomicU64,
    pub(in crate::workers) postponed: AtomicU64,
    pub(in crate::workers) failed: AtomicU64,
}

/// The numbers of the metrics.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Mails of all replicas; counted a few times a minute.
    pub waiting: i64,
    /// How long the oldest of them has waited.
    pub oldest_seconds: i64,
    /// Mails that this process has sent.
    pub sent: u64,
    /// Attempts of this process that are repeated later.
    pub postponed: u64,
    /// Mails that this process has given up.
    pub failed: u64,
}

impl MailWorker {
    pub fn numbers(&self) -> Numbers {
        let counts = &self.counts;
        Numbers {
            waiting: counts.backlog.waiting(),
            oldest_seconds: counts.backlog.oldest_seconds(),
            sent: counts.sent.load(Ordering::Relaxed),
            postponed: counts.postponed.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
        }
    }

    /// Counts the outbox and the notices, unless the last count is recent.
    pub(super) async fn count(&self) -> Result<()> {
        let now = self.clock.now();
        let query = async {
            let db = self.store.read();
            let (mails, oldest_mail) = outbox::backlog(db, now).await?;
            let (notices, oldest_notice) = notices::backlog(db, now).await?;
            Ok((mails + notices, oldest_mail.into_iter().chain(oldest_notice).min()))
        };
        self.counts.backlog.count(query, now).await
    }
}
