//! The operations of the service, one for each RPC: one file with the RPC's name.
//!
//! An operation checks the permission, applies the rules and makes its change in one
//! transaction, together with the audit event. Operations do not depend on the protocol
//! of the request.

mod access;
mod attributes;
mod budget;
mod idempotency;
mod waiting_call;

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod cursor;
pub mod domains;
pub mod encoding;
pub mod events;
pub mod grants;
pub mod invites;
pub mod join_requests;
pub mod keys;
pub mod members;
pub mod notices;
pub mod organizations;
pub mod reseal;
pub mod setup;
pub mod sign_in;
pub mod transfer;
pub mod webhooks;

pub use idempotency::delete_old_results;
pub use waiting_call::WaitingCall;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::auth::{Issuers, SignIns};
use crate::clock::Clock;
use crate::dns::Dns;
use crate::domain::{
    Actor, Caller, ContinueOrigins, Creators, DomainChecks, Network, RequestId, Timestamp,
    TraceParent,
};
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::storage::Store;
use crate::webhooks::Sender;

/// The dependencies of the operations. Clones are cheap.
#[derive(Clone)]
pub struct Context {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub keyring: Arc<Keyring>,
    /// The configured issuers of JSON Web Tokens.
    pub issuers: Arc<Issuers>,
    /// The issuers that people sign in with on our pages.
    pub sign_ins: Arc<SignIns>,
    pub rules: Rules,
    /// The allowed origins of the URLs to which members continue after joining.
    pub continue_origins: Arc<ContinueOrigins>,
    pub limits: Arc<Limits>,
    /// Notified when a mail was added to the outbox.
    pub mail_wakeup: Arc<Notify>,
    /// Sends to endpoints.
    pub webhooks: Arc<Sender>,
    /// Notified when there may be something to send to an endpoint.
    pub webhook_wakeup: Arc<Notify>,
    pub dns: Arc<Dns>,
}

/// The settings that operations need.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The lifetime of an email invitation if the request names no expiry.
    pub email_invitation_lifetime: Duration,
    /// The seat limit of a new organization; 0 means no limit.
    pub default_seat_limit: i64,
    /// Allow previews without a credential, and previews of email invitations to every
    /// caller with the token.
    pub public_preview: bool,
    /// The accounts that may create organizations.
    pub creators: Creators,
    /// How long readers of the feed can read an event after it was made.
    pub event_retention: Duration,
    /// The longest wait of a call for events: requests have a time limit.
    pub longest_wait: Duration,
    /// The most webhooks of an organization.
    pub max_webhooks: u64,
    pub domain_checks: DomainChecks,
    /// An account may join by one of the `invite_domains` only if that domain is verified.
    pub require_domain_proof: bool,
}

/// An authenticated request: its caller, id and network. Clones are cheap.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub caller: Arc<Caller>,
    pub request_id: RequestId,
    /// The network that the request came from, if known.
    pub network: Option<Network>,
    /// Its place in a trace, if it has one.
    pub trace: Option<TraceParent>,
}

/// The caller of a method that also accepts requests without a credential.
#[derive(Debug, Clone)]
pub enum MaybeCaller {
    /// The request has a valid credential.
    Authenticated(RequestContext),
    /// The request has no credential; its network, if known.
    Anonymous(Option<Network>),
}

impl Context {
    /// Operations read the clock once, so that all their timestamps are equal.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl RequestContext {
    /// The author of this request's changes, for the audit trail.
    fn actor(&self) -> Actor {
        self.caller.actor(&self.request_id, self.trace)
    }
}

impl MaybeCaller {
    /// The request's context, if it has a credential.
    pub fn authenticated(&self) -> Option<&RequestContext> {
        match self {
            MaybeCaller::Authenticated(call) => Some(call),
            MaybeCaller::Anonymous(_) => None,
        }
    }
}
