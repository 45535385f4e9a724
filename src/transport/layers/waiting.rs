//! Calls that wait for events. While one waits it holds no permit of the concurrency limit, but
//! one of these limits.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::authenticate::{Authenticate, Authentication};
use super::concurrency_limit::Permit;
use crate::config::Events;
use crate::domain::{AccountId, Caller, Network, OrganizationId, RequestId};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::WaitingCall;
use crate::transport::Request;
use crate::transport::call::CallInfo;
use crate::transport::fair_semaphore::{FairPermit, FairSemaphore};
use crate::transport::metrics::Metrics;
use crate::transport::peer::Peer;

/// The methods that may wait, and the limits on their calls that do. Each semaphore has the
/// total.
pub struct WaitingLimits {
    methods: &'static [&'static str],
    accounts: FairSemaphore<AccountId>,
    networks: FairSemaphore<Network>,
    organizations: FairSemaphore<OrganizationId>,
    metrics: Metrics,
}

/// A place among the waiting calls.
struct WaitingPermit {
    _account: FairPermit<AccountId>,
    _network: FairPermit<Network>,
    _organization: FairPermit<OrganizationId>,
}

impl WaitingLimits {
    /// `methods` as `/package.Service/Method`.
    pub fn new(methods: &'static [&'static str], settings: &Events, metrics: Metrics) -> Self {
        let total = settings.max_waiting;
        Self {
            methods,
            accounts: FairSemaphore::new(total, settings.max_waiting_per_account),
            networks: FairSemaphore::new(total, settings.max_waiting_per_network),
            organizations: FairSemaphore::new(total, settings.max_waiting_per_organization),
            metrics,
        }
    }

    /// Whether a request for this path may wait.
    pub fn is_for(&self, path: &str) -> bool {
        self.methods.contains(&path)
    }

    fn acquire(
        &self,
        account: AccountId,
        network: Option<Network>,
        organization: Option<OrganizationId>,
    ) -> Result<WaitingPermit> {
        Ok(WaitingPermit {
            _account: self
                .accounts
                .try_acquire(Some(account))
                .map_err(|_| self.too_many("max_waiting_per_account"))?,
            _network: self
                .networks
                .try_acquire(network)
                .map_err(|_| self.too_many("max_waiting_per_network"))?,
            _organization: self
                .organizations
                .try_acquire(organization)
                .map_err(|_| self.too_many("max_waiting_per_organization"))?,
        })
    }

    /// `setting` is the limit that was reached; it may be the total, `max_waiting`, too.
    fn too_many(&self, setting: &'static str) -> Error {
        self.metrics.rejected(setting);
        Error::new(Kind::ResourceExhausted, "too many calls wait for events; try again later")
            .with_reason(reason::RATE_LIMITED)
            .with_retry_after(super::concurrency_limit::RETRY_AFTER)
    }
}

/// A call of a method that may wait; it holds the call's permit.
pub struct Waiting<A> {
    authentication: Arc<Authentication<A>>,
    limits: Arc<WaitingLimits>,
    held: Mutex<Held>,
    /// The head of the request, which has the credential.
    path: String,
    headers: HeaderMap,
    request: RequestId,
    account: AccountId,
    network: Option<Network>,
    ending: CancellationToken,
}

/// What a call holds until its end.
enum Held {
    Running { _permit: Permit },
    Waiting { _permit: WaitingPermit },
}

impl<A: Authenticate> Waiting<A> {
    pub fn new(
        authentication: Arc<Authentication<A>>,
        limits: Arc<WaitingLimits>,
        permit: Permit,
        call: &CallInfo,
        request: &Request,
    ) -> Option<Self> {
        let extensions = request.extensions();
        let account = extensions.get::<Arc<Caller>>()?.account.id;
        let peer = extensions.get::<Peer>();
        Some(Self {
            authentication,
            limits,
            held: Mutex::new(Held::Running { _permit: permit }),
            path: request.uri().path().to_owned(),
            headers: request.headers().clone(),
            request: call.request.clone(),
            account,
            network: extensions.get::<Network>().copied(),
            ending: peer.map(|peer| peer.ending.clone()).unwrap_or_default(),
        })
    }
}

impl<A: Authenticate> WaitingCall for Waiting<A> {
    fn begin_waiting(&self, organization: Option<OrganizationId>) -> Result<()> {
        let permit = self.limits.acquire(self.account, self.network, organization)?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) =
            Held::Waiting { _permit: permit };
        Ok(())
    }

    fn authenticate_again(&self) -> Pin<Box<dyn Future<Output = Result<Arc<Caller>>> + Send + '_>> {
        Box::pin(async {
            let Self { authentication, path, headers, request, .. } = self;
            let caller = authentication.caller(path, headers, request).await?;
            caller.ok_or_else(|| Error::unauthenticated("a credential is needed"))
        })
    }

    fn is_ending(&self) -> bool {
        self.ending.is_cancelled()
    }

    fn ending(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.ending.cancelled())
    }
}
