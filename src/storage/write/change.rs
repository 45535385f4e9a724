//! A change, and its job: the change while it waits or runs.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Metadata, Span, info_span};

use crate::error::{Error, Result};
use crate::storage::cache_versions::Outdated;
use crate::storage::connection::{StoreState, Transaction, Tx};
use crate::storage::error::{Cause, StoreError, WriteError};

/// Code that runs in a transaction, perhaps more than once. [`change!`](crate::change) makes it
/// from an async closure.
pub struct Change<T>(Arc<dyn Run<T>>);

trait Run<T>: Send + Sync {
    fn run<'a>(&'a self, tx: &'a Tx) -> BoxFuture<'a, Result<T>>;
}

/// A closure, and the function that calls it. The compiler can check that the future is `Send` only
/// at the place where the closure is written.
struct Closure<F, C>(F, C);

impl<T, F, C> Run<T> for Closure<F, C>
where
    F: Send + Sync,
    C: for<'a> Fn(&'a F, &'a Tx) -> BoxFuture<'a, Result<T>> + Send + Sync,
{
    fn run<'a>(&'a self, tx: &'a Tx) -> BoxFuture<'a, Result<T>> {
        (self.1)(&self.0, tx)
    }
}

impl<T> Change<T> {
    /// See [`change!`](crate::change).
    pub fn new<F, C>(closure: F, call: C) -> Self
    where
        T: 'static,
        F: AsyncFn(&Tx) -> Result<T> + Send + Sync + 'static,
        C: for<'a> Fn(&'a F, &'a Tx) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
    {
        Self(Arc::new(Closure(closure, call)))
    }

    /// Runs it as a part of another change.
    pub(in crate::storage) fn run<'a>(&'a self, tx: &'a Tx) -> BoxFuture<'a, Result<T>> {
        self.0.run(tx)
    }
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Makes a [`Change`] from an async closure that takes a [`Tx`].
#[macro_export]
macro_rules! change {
    ($closure:expr) => {
        $crate::storage::Change::new($closure, |closure, tx| Box::pin(closure(tx)))
    };
}

/// A change that waits for its turn, or runs, without its type.
pub(super) trait Job: Send {
    /// Whether the caller no longer waits for the result.
    fn is_abandoned(&self) -> bool;

    /// Completes when the caller no longer waits for the result.
    fn abandoned(&mut self) -> BoxFuture<'static, ()>;

    /// The deadline for the begin of the change.
    fn until(&self) -> Instant;

    /// Whether its last run has waited for another transaction until a time limit.
    fn has_waited_too_long(&self) -> bool;

    /// Runs the change, unless its caller no longer waits for the result.
    fn run<'a>(
        &'a mut self,
        transaction: &'a Transaction,
        state: &'a Arc<StoreState>,
    ) -> BoxFuture<'a, ChangeOutcome>;

    /// Begins the span of the commit in the trace of the change.
    fn commits(&mut self);

    /// Ends the span of the commit.
    fn committed(&mut self);

    /// The cached values that its last run outdates.
    fn outdated(&self) -> &Outdated;

    /// Sends the result to the caller.
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
}

/// What a change leaves in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeOutcome {
    /// It was not run, or it failed before it wrote.
    Unchanged,
    /// Writes that are to be kept.
    Changed,
    /// It failed after it wrote something.
    Failed,
}

struct Waiting<T> {
    change: Change<T>,
    until: Instant,
    span: Span,
    commit: Span,
    /// Set when the change begins or when its caller stops waiting, whichever is first.
    is_taken: Arc<AtomicBool>,
    /// The result or the panic of the last run.
    result: Option<std::thread::Result<Result<T>>>,
    cause: Option<Cause>,
    outdated: Outdated,
    answer: oneshot::Sender<std::thread::Result<Result<T, WriteError>>>,
    /// Completes when the caller's future ends or is dropped.
    caller: Option<oneshot::Receiver<()>>,
}

/// The result of a change, for its caller. If it is dropped before the change begins, the
/// change is skipped.
pub(super) struct Answer<T> {
    answer: oneshot::Receiver<std::thread::Result<Result<T, WriteError>>>,
    is_taken: Arc<AtomicBool>,
    until: Instant,
    _waits: oneshot::Sender<()>,
}

/// A change that must begin by `until`, and its result.
pub(super) fn job<T: Send + 'static>(
    change: Change<T>,
    until: Instant,
) -> (Box<dyn Job>, Answer<T>) {
    let (sender, answer) = oneshot::channel();
    let (waits, caller) = oneshot::channel();
    let is_taken = Arc::new(AtomicBool::new(false));
    let job = Waiting {
        change,
        until,
        span: Span::current(),
        commit: Span::none(),
        is_taken: Arc::clone(&is_taken),
        result: None,
        cause: None,
        outdated: Outdated::default(),
        answer: sender,
        caller: Some(caller),
    };
    (Box::new(job), Answer { answer, is_taken, until, _waits: waits })
}

fn is_exported(span: &'static Metadata<'static>) -> bool {
    span.target() == "otel"
}

impl<T> Answer<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// See [`WriteError`]; `late` if the change has not begun in time.
    pub(super) async fn wait(mut self, late: fn() -> StoreError) -> Result<T, WriteError> {
        let answered = match timeout_at(self.until, &mut self.answer).await {
            Ok(answered) => answered,
            // The change is marked as taken here, so it never begins.
            Err(_) if !self.is_taken.swap(true, Ordering::SeqCst) => return Err(late().into()),
            Err(_) => self.answer.await,
        };
        match answered {
            Ok(Ok(result)) => result,
            // The panic continues here, as if the change had run on the caller's thread.
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(StoreError::closed().into()),
        }
    }
}

impl<T: Send> Job for Waiting<T> {
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn abandoned(&mut self) -> BoxFuture<'static, ()> {
        match self.caller.take() {
            Some(caller) => caller.map(drop).boxed(),
            None => std::future::pending().boxed(),
        }
    }

    fn until(&self) -> Instant {
        self.until
    }

    fn has_waited_too_long(&self) -> bool {
        matches!(self.cause, Some(Cause::Locked | Cause::TooLong))
    }

    fn run<'a>(
        &'a mut self,
        transaction: &'a Transaction,
        state: &'a Arc<StoreState>,
    ) -> BoxFuture<'a, ChangeOutcome> {
        Box::pin(async move {
            // Checked again: the wait for a lock may have been long.
            if self.is_abandoned()
                || self.is_taken.swap(true, Ordering::SeqCst) && self.result.is_none()
            {
                return ChangeOutcome::Unchanged;
            }
            let tx = Tx::new(transaction.clone(), Arc::clone(state));
            let run = AssertUnwindSafe(self.change.run(&tx)).catch_unwind();
            let run = run.instrument(self.span.clone());
            let result = match transaction {
                Transaction::Postgres(_) => run.await,
                // Statements run when they are polled, so the future is ready at the first
                // poll, unless the change waits for something that no transaction should.
                Transaction::Sqlite(_) => run.now_or_never().unwrap_or_else(|| {
                    let waited = "a change waited for something else than its own transaction";
                    Ok(Err(Error::internal(waited)))
                }),
            };
            self.cause = tx.cause();
            self.outdated = tx.take_outdated();
            let outcome = match &result {
                Ok(Ok(_)) => ChangeOutcome::Changed,
                Ok(Err(_)) if !tx.has_written() => ChangeOutcome::Unchanged,
                _ => ChangeOutcome::Failed,
            };
            self.result = Some(result);
            outcome
        })
    }

    fn commits(&mut self) {
        if !self.span.is_disabled() && self.span.metadata().is_some_and(is_exported) {
            // An exported span becomes a child of the current span.
            let made = || info_span!(target: "otel", "commit", otel.kind = "client");
            self.commit = self.span.in_scope(made);
        }
    }

    fn committed(&mut self) {
        self.commit = Span::none();
    }

    fn outdated(&self) -> &Outdated {
        &self.outdated
    }

    fn answer(self: Box<Self>, committed: Result<(), WriteError>) {
        let cause = self.cause;
        let answer = match (committed, self.result) {
            (_, Some(Err(panic))) => Err(panic),
            (Ok(()), Some(Ok(result))) => {
                Ok(result.map_err(|error| WriteError::NotDone(error, cause)))
            }
            (Err(error), _) => Ok(Err(error)),
            // The change did not run, because its caller no longer waits.
            (Ok(()), None) => return,
        };
        if self.answer.send(answer).is_err() {
            tracing::debug!("the caller of a change has gone");
        }
    }
}
