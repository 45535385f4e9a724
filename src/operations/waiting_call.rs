//! Calls that wait for events.

use std::pin::Pin;
use std::sync::Arc;

use crate::domain::{Caller, OrganizationId};
use crate::error::Result;

/// A boxed future, for the methods of a trait that is used as `dyn`.
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an operation that waits needs from the transport of its call.
pub trait WaitingCall: Send + Sync {
    /// From now on the call counts as one that waits, not as a running one.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many calls wait: in all, of the caller, of its network or
    /// for the organization.
    fn begin_waiting(&self, organization: Option<OrganizationId>) -> Result<()>;

    /// Authenticates again with the credential that the call began with, and returns the caller.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the credential is not valid any more.
    fn authenticate_again(&self) -> BoxFuture<'_, Result<Arc<Caller>>>;

    /// Whether the connection or the server is about to end: the call must end soon.
    fn is_ending(&self) -> bool;

    /// Resolves when [`WaitingCall::is_ending`] becomes true.
    fn ending(&self) -> BoxFuture<'_, ()>;
}
