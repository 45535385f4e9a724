//! Calls that wait for events. A waiting call does not hold a permit of the concurrency limit; it
//! holds permits of the limits here.

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
use crate::transport::fair_semaphore::{FairPermit, FairSemaphore, Full};
use crate::transport::metrics::Metrics;
use crate::transport::peer::Peer;

/// The methods that may wait, and the limits on their waiting calls. Each semaphore also enforces
/// the total.
pub struct WaitingLimits {
    methods: &'static [&'static str],
    accounts: FairSemaphore<AccountId>,
    networks: FairSemaphore<Network>,
    organizations: FairSemaphore<OrganizationId>,
    metrics: Metrics,
}

/// The permits of one waiting call.
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
        let rejected = |setting| move |full| self.too_many(full, setting);
        Ok(WaitingPermit {
            _account: self
                .accounts
                .try_acquire(Some(account))
                .map_err(rejected("max_waiting_per_account"))?,
            _network: self
                .networks
                .try_acquire(network)
                .map_err(rejected("max_waiting_per_network"))?,
            _organization: self
                .organizations
                .try_acquire(organization)
                .map_err(rejected("max_waiting_per_organization"))?,
        })
    }

    /// Counts the rejection by the limit that is reached: the total, or `of_owner`.
    fn too_many(&self, full: Full, of_owner: &'static str) -> Error {
        self.metrics.rejected(match full {
            Full::Total => "max_waiting",
            Full::Owner => of_owner,
        });
        Error::new(Kind::ResourceExhausted, "too many calls wait for events; try again later")
            .with_reason(reason::RATE_LIMITED)
            .with_retry_after(super::concurrency_limit::RETRY_AFTER)
    }
}

/// A call of a method that may wait. It holds the permit or permits of the call.
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

/// The permit or permits of a call: it first runs and then may wait.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn p41_a_rejection_is_counted_by_the_limit_that_is_reached() {
        let metrics = Metrics::new();
        let events = Events {
            max_waiting: 3,
            max_waiting_per_account: 2,
            max_waiting_per_network: 2,
            max_waiting_per_organization: 1,
            ..Config::reference().events
        };
        let limits = WaitingLimits::new(&[], &events, metrics.clone());
        let account = |number| AccountId::from(uuid::Uuid::from_u128(number));
        let organization = |number| Some(OrganizationId::from(uuid::Uuid::from_u128(number)));
        let network = |number| Some(Network::of([192, 0, 2, number].into()));
        let accept = |who, from, of| limits.acquire(account(who), network(from), organization(of));
        let held = [accept(1, 1, 1), accept(1, 2, 2)].map(|permit| permit.ok().unwrap());
        assert!(accept(1, 3, 3).is_err(), "the account has two");
        assert!(accept(2, 3, 1).is_err(), "the organization has one");
        let third = accept(2, 1, 3).ok().unwrap();
        assert!(accept(3, 3, 4).is_err(), "all three are taken");
        drop((held, third));

        let text = metrics.encode().unwrap();
        let count = |limit: &str| {
            let name = format!("guestlist_concurrency_limited_total{{limit=\"{limit}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().to_owned()
        };
        assert_eq!(count("max_waiting"), "1");
        assert_eq!(count("max_waiting_per_account"), "1");
        assert_eq!(count("max_waiting_per_network"), "0");
        assert_eq!(count("max_waiting_per_organization"), "1");
    }
}
