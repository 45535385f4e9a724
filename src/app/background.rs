//! The background tasks of a server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::auth::Authenticator;
use crate::operations::Context;
use crate::storage::Store;
use crate::transport::system::readiness::Readiness;
use crate::workers::event_lag::{self, EventLag};
use crate::workers::mail::{self, MailWorker};
use crate::workers::notices::{self, NoticeWorker};
use crate::workers::schedule::Schedule;
use crate::workers::webhooks::{self, WebhookWorker};
use crate::workers::{domains, expiry, key_usage, pruning, public_keys, removal, retention};

/// Tasks that run until [`Background::stop`].
pub(super) struct Background {
    tasks: Vec<JoinHandle<()>>,
    schedules: Vec<Arc<Schedule>>,
    stop: watch::Sender<bool>,
}

impl Background {
    pub(super) fn new() -> Self {
        Self { tasks: Vec::new(), schedules: Vec::new(), stop: watch::channel(false).0 }
    }

    /// Starts a task. `run` is passed a future that resolves when the task must end.
    pub(super) fn spawn<F>(&mut self, run: impl FnOnce(BoxFuture<'static, ()>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push(tokio::spawn(run(stopped(&self.stop).boxed())));
    }

    /// Starts a worker with a schedule. The metrics contain the schedule.
    fn start<F>(
        &mut self,
        worker: &'static str,
        period: Duration,
        run: impl FnOnce(Arc<Schedule>, BoxFuture<'static, ()>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let schedule = Schedule::new(worker, period);
        self.schedules.push(Arc::clone(&schedule));
        self.spawn(|stop| run(schedule, stop));
    }

    /// Starts the workers for key usage, readiness and the issuers' public keys.
    pub(super) fn start_refresh(
        &mut self,
        authenticator: &Arc<Authenticator>,
        store: &Store,
        readiness: &Readiness,
    ) {
        let (usage, db) = (Arc::clone(authenticator.key_usage()), store.clone());
        self.start("key_usage", key_usage::PERIOD, |schedule, stop| {
            key_usage::run(schedule, db, usage, stop)
        });
        let (readiness, store) = (readiness.clone(), store.clone());
        self.spawn(|_| async move { readiness.follow(|| store.check_writable()).await });
        let authenticator = Arc::clone(authenticator);
        self.spawn(|stop| public_keys::run(authenticator, stop));
    }

    /// Starts the workers that send mails and webhooks.
    pub(super) fn start_senders(
        &mut self,
        mails: Arc<MailWorker>,
        notices: NoticeWorker,
        webhooks: Arc<WebhookWorker>,
        context: &Context,
    ) {
        let wakeup = Arc::clone(&context.mail_wakeup);
        self.start("mail", mail::POLL_INTERVAL, |schedule, stop| {
            mail::run(mails, schedule, wakeup, stop)
        });
        self.start("notices", notices::POLL_INTERVAL, |schedule, stop| {
            notices::run(Arc::new(notices), schedule, stop)
        });
        // Notified when the worker may have to send to an endpoint before the next poll.
        let wakeup = Arc::clone(&context.webhook_wakeup);
        self.start("webhooks", webhooks::POLL_INTERVAL, |schedule, stop| {
            webhooks::run(webhooks, schedule, wakeup, stop)
        });
    }

    /// Starts the workers that check domains, end expired invites and memberships, and delete old
    /// rows.
    pub(super) fn start_cleanup(&mut self, context: &Context) {
        let Context { store, clock, limits, .. } = context;
        let (store, clock) = (|| store.clone(), || Arc::clone(clock));
        let work = (Arc::clone(&context.dns), context.rules.domain_checks);
        self.start("domains", domains::PERIOD, |schedule, stop| {
            domains::run(schedule, store(), clock(), work, stop)
        });
        self.start("expiry", expiry::PERIOD, |schedule, stop| {
            expiry::run(schedule, store(), clock(), stop)
        });
        self.start("removal", removal::PERIOD, |schedule, stop| {
            removal::run(schedule, store(), stop)
        });
        self.start("pruning", pruning::PERIOD, |schedule, stop| {
            pruning::run(schedule, store(), clock(), Arc::clone(limits), stop)
        });
    }

    /// Starts the worker that measures the lag of the event feed. Also starts the worker that
    /// deletes old events, unless `audit`, the retention of the audit trail, is `None`.
    pub(super) fn start_events(
        &mut self,
        audit: Option<Duration>,
        lag: &EventLag,
        context: &Context,
    ) {
        let (store, clock) = (|| context.store.clone(), || Arc::clone(&context.clock));
        let lag = lag.clone();
        self.start("event_lag", event_lag::PERIOD, |schedule, stop| {
            event_lag::run(schedule, store(), clock(), lag, stop)
        });
        let Some(audit) = audit else { return };
        let keep = audit.max(context.rules.event_retention);
        self.start("retention", retention::PERIOD, |schedule, stop| {
            retention::run(schedule, store(), clock(), keep, stop)
        });
    }

    /// The schedules of the workers.
    pub(super) fn schedules(&self) -> Vec<Arc<Schedule>> {
        self.schedules.clone()
    }

    /// Signals the tasks to end, and returns them without waiting.
    pub(super) fn stop(self) -> Vec<JoinHandle<()>> {
        self.stop.send_replace(true);
        self.tasks
    }
}

/// Resolves when `stop` becomes true or its sender is dropped.
pub(super) fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stop = stop.subscribe();
    async move {
        // An error means that the sender was dropped.
        let _ = stop.wait_for(|stopped| *stopped).await;
    }
}
