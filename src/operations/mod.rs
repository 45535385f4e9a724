//! What the service does: one file an operation, named as the RPC.
//!
//! Each one asks for the permission, applies the rules and makes its change in
//! one transaction, with the audit event that tells of it. Nothing here knows
//! which protocol the request came by.

mod access;
mod budget;
mod idempotency;

pub mod accounts;
pub mod admin;
pub mod audit;
pub mod cursor;
pub mod encoding;
pub mod grants;
pub mod invites;
pub mod keys;
pub mod members;
pub mod organizations;
pub mod setup;

pub use idempotency::forget_requests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::auth::Issuers;
use crate::clock::Clock;
use crate::domain::{Actor, Caller, Creators, Network, RequestId, Timestamp};
use crate::keyring::Keyring;
use crate::limits::Limits;
use crate::storage::Store;

/// What every operation works with. Clones are cheap.
#[derive(Clone)]
pub struct Context {
    /// The store.
    pub store: Store,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// The secret keys.
    pub keyring: Arc<Keyring>,
    /// Who may vouch for people.
    pub issuers: Arc<Issuers>,
    /// What the settings say about invites and organizations.
    pub rules: Rules,
    /// How often, and how often until now.
    pub limits: Arc<Limits>,
    /// Told when a mail has begun to wait.
    pub mail_wakeup: Arc<Notify>,
}

/// Settings that operations follow.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long an email invitation works unless the caller says otherwise.
    pub email_invitation_lifetime: Duration,
    /// Seats of a new organization; 0 means any number.
    pub default_seat_limit: i64,
    /// Whether previews are open to callers without a credential, and those of
    /// email invitations to whoever holds the token.
    pub public_preview: bool,
    /// Who may make organizations.
    pub creators: Creators,
}

/// An authenticated request: who sends it, its id and its network. Clones are cheap.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who asks.
    pub caller: Arc<Caller>,
    /// The request's name in the audit trail.
    pub request: RequestId,
    /// Where it came from, as far as that is known.
    pub network: Option<Network>,
}

/// The caller of a method that a setting opens to requests without a credential.
#[derive(Debug, Clone)]
pub enum MaybeCaller {
    /// The request has a valid credential.
    Authenticated(RequestContext),
    /// The request has no credential; its network, if known.
    Anonymous(Option<Network>),
}

impl Context {
    /// The one `now` of an operation.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl RequestContext {
    /// Whom this request's changes are ascribed to.
    fn actor(&self) -> Actor {
        self.caller.actor(&self.request)
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
