//! The authenticated caller of a request.

use std::sync::Arc;

use super::{Account, AccountId, KeyId, KeyScope, OrganizationId, TraceParent};

/// An authenticated account and its credential.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The request has the rights of this account.
    pub account: Account,
    /// The service that acts for `account`, if any.
    pub acting: Option<Account>,
    pub credential: Credential,
}

#[derive(Debug, Clone)]
pub enum Credential {
    /// An API key; the fields are those of [`super::ApiKey`].
    Key { id: KeyId, scope: Option<KeyScope>, organization: Option<OrganizationId> },
    /// A JSON Web Token.
    Jwt,
}

/// Identifies a request in the log, in the response and in the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// The author of a change, for the audit trail.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The account of the request's credential; `None` for the command line and the
    /// server's workers.
    pub account: Option<AccountId>,
    /// The account that `account` acted for.
    pub on_behalf_of: Option<AccountId>,
    pub request_id: RequestId,
    /// The trace of the request, for what is sent later because of the change.
    pub trace: Option<TraceParent>,
}

impl Caller {
    /// The only organization that the credential is valid for; `None`: all of them.
    pub fn bound_to(&self) -> Option<OrganizationId> {
        match self.credential {
            Credential::Key { organization, .. } => organization,
            Credential::Jwt => None,
        }
    }

    /// Whether the credential is valid for this organization. It does not check the caller's rights
    /// there.
    pub fn reaches(&self, organization: OrganizationId) -> bool {
        self.bound_to().is_none_or(|bound| bound == organization)
    }

    pub fn scope(&self) -> Option<KeyScope> {
        match self.credential {
            Credential::Key { scope, .. } => scope,
            Credential::Jwt => None,
        }
    }

    /// Whether the caller is a service that may act for accounts, and acts for none in this
    /// request.
    pub fn may_act(&self) -> bool {
        self.scope() == Some(KeyScope::Act) && self.acting.is_none()
    }

    /// The author of this caller's changes.
    pub fn actor(&self, request_id: &RequestId, trace: Option<TraceParent>) -> Actor {
        let (account, on_behalf_of) = match &self.acting {
            Some(service) => (service.id, Some(self.account.id)),
            None => (self.account.id, None),
        };
        Actor { account: Some(account), on_behalf_of, request_id: request_id.clone(), trace }
    }
}

impl Actor {
    /// The command line or a worker of the server. `name` takes the place of a request id.
    pub fn system(name: &str) -> Self {
        let request_id = RequestId(name.into());
        Self { account: None, on_behalf_of: None, request_id, trace: None }
    }
}
