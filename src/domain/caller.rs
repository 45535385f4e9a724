//! Who asks, and with what.

use std::sync::Arc;

use super::{Account, AccountId, KeyId, KeyScope, OrganizationId};

/// An authenticated request: the account whose rights it has, and how it came.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account whose rights the request has.
    pub account: Account,
    /// The service that acts for it, if one does.
    pub acting: Option<Account>,
    /// What was shown.
    pub credential: Credential,
}

/// What a caller authenticated with.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An API key.
    Key {
        /// Its public half.
        id: KeyId,
        /// What it may do beyond its account's rights.
        scope: Option<KeyScope>,
        /// The one organization it is bound to, if any.
        organization: Option<OrganizationId>,
    },
    /// A JSON Web Token.
    Jwt,
}

/// Names a request in the log, the answer and the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// Who a change is ascribed to in the audit trail.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The account whose credential made the change; none for the command line
    /// and the server itself.
    pub account: Option<AccountId>,
    /// The account it acted for.
    pub on_behalf_of: Option<AccountId>,
    /// The request that made it.
    pub request: RequestId,
}

impl Caller {
    /// The one organization the credential is bound to, if any.
    pub fn bound_to(&self) -> Option<OrganizationId> {
        match self.credential {
            Credential::Key { organization, .. } => organization,
            Credential::Jwt => None,
        }
    }

    /// Whether the credential reaches this organization at all.
    pub fn reaches(&self, organization: OrganizationId) -> bool {
        self.bound_to().is_none_or(|bound| bound == organization)
    }

    /// The credential's scope, if any.
    pub fn scope(&self) -> Option<KeyScope> {
        match self.credential {
            Credential::Key { scope, .. } => scope,
            Credential::Jwt => None,
        }
    }

    /// Whom a change of this caller's is ascribed to.
    pub fn actor(&self, request: &RequestId) -> Actor {
        let (account, on_behalf_of) = match &self.acting {
            Some(service) => (service.id, Some(self.account.id)),
            None => (self.account.id, None),
        };
        Actor { account: Some(account), on_behalf_of, request: request.clone() }
    }
}

impl Actor {
    /// The command line or the server itself.
    pub fn system(what: &str) -> Self {
        Self { account: None, on_behalf_of: None, request: RequestId(what.into()) }
    }
}
