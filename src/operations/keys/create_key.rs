//! `guestlist keys create`

use std::str::FromStr;
use std::time::Duration;

use crate::auth;
use crate::domain::{
    Account, AccountId, AccountKind, Action, Actor, ApiKey, ApiKeySecret, EmailAddress, EventData,
    Invalid, KeyScope, LOCAL_ISSUER, LoginProviderKind, Member, MemberStatus, OrganizationId,
    OrganizationVersion, Profile, Timestamp, person_name,
};
use crate::error::{Error, Kind, Result};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Store, Tx, accounts, api_keys, members, organizations};

/// The account of a new key.
#[derive(Debug, Clone)]
pub enum Owner {
    /// The local account with this address; created if there is none. The address counts
    /// as verified, since the operator enters it.
    Email {
        email: EmailAddress,
        /// The display name. `None`: an existing account keeps its name, and a new account gets the
        /// local part of its address.
        name: Option<String>,
    },
    /// An existing account of any issuer.
    Account(AccountId),
    /// The service with this name; created if there is none.
    Service(ServiceName),
}

/// A service's name: 1 to 64 lower-case letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(String);

#[derive(Debug, Clone)]
pub struct CreateKey {
    pub owner: Owner,
    /// Binds the key to this organization.
    pub organization: Option<OrganizationId>,
    pub scope: Option<KeyScope>,
    /// `None`: the key does not expire.
    pub expires_in: Option<Duration>,
}

impl FromStr for ServiceName {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be 1 to 64 lower-case letters, digits, '-', '_' or '.'"))
        }
    }
}

/// Creates a key and returns its secret, which cannot be read again.
///
/// # Errors
/// NOT_FOUND if the account does not exist; FAILED_PRECONDITION if the account is not an
/// active member of the organization that the key is bound to; INVALID_ARGUMENT for scope
/// `act` without a service, or an expiry after [`Timestamp::LAST`].
pub async fn create_key(store: &Store, input: CreateKey, now: Timestamp) -> Result<ApiKeySecret> {
    if input.scope == Some(KeyScope::Act) && !matches!(input.owner, Owner::Service(_)) {
        return Err(Error::invalid("scope", "act is for services: use --service --name NAME"));
    }
    let expires_at = input.expires_in.map(|after| now.plus(after));
    if expires_at.is_some_and(|end| end > Timestamp::LAST) {
        return Err(Error::invalid(
            "expires",
            "a key can work to the end of the year 9999 at most",
        ));
    }
    store
        .write(change!(async move |tx| {
            let actor = Actor::system("command-line");
            // The organization is locked before the account is written: see `organizations::lock`.
            let bound = match input.organization {
                Some(organization) => Some(lock_and_advance(tx, organization).await?),
                None => None,
            };
            let account = owner(tx, &input.owner, &actor, now).await?;
            // If the account was erased in the meantime, no key is created.
            let account = accounts::lock_profile(tx, account)
                .await?
                .ok_or_else(|| Error::new(Kind::NotFound, "there is no such account"))?;
            if let Some(organization) = input.organization
                && input.scope != Some(KeyScope::Act)
            {
                let found = members::current_with_organization(tx, organization, account.id);
                let member = found.await?;
                let is_active = |member: &Member| {
                    member.status == MemberStatus::Active && member.is_current(now)
                };
                if member.is_none_or(|(member, _)| !is_active(&member)) {
                    return Err(Error::new(
                        Kind::FailedPrecondition,
                        format!("the account is no active member of organization {organization}"),
                    ));
                }
            }
            issue(tx, &account, (input.scope, bound, expires_at), &actor, now).await
        }))
        .await
}

/// Locks an organization that a key is bound to and increments its version.
async fn lock_and_advance(tx: &Tx, id: OrganizationId) -> Result<OrganizationVersion> {
    let mut organization = organizations::lock(tx, id).await?.ok_or_else(|| {
        Error::new(Kind::FailedPrecondition, format!("there is no organization {id}"))
    })?;
    organization.version += 1;
    organizations::set_version(tx, organization.at_version()).await?;
    Ok(organization.at_version())
}

/// Inserts a new key with its audit event. `organization`: the organization that the key is bound
/// to, with its version after the change.
pub(in crate::operations) async fn issue(
    tx: &Tx,
    account: &Account,
    (scope, organization, expires_at): (
        Option<KeyScope>,
        Option<OrganizationVersion>,
        Option<Timestamp>,
    ),
    actor: &Actor,
    now: Timestamp,
) -> Result<ApiKeySecret> {
    let secret = ApiKeySecret::generate().map_err(Error::internal)?;
    let key = ApiKey {
        id: secret.id().clone(),
        hash: secret.hash(),
        account: account.id,
        scope,
        organization: organization.map(|bound| bound.id),
        created_at: now,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    api_keys::insert(tx, &key).await?;
    let event = NewEvent {
        action: Action::KeyCreated,
        data: EventData::Key { id: key.id, account: Some(account.id), scope, revoked: false },
        organization,
        actor,
        note: match scope {
            Some(scope) => format!("for account {}, scope {}", account.id, scope.as_str()),
            None => format!("for account {}", account.id),
        },
    };
    audit_events::append(tx, event, now).await?;
    Ok(secret)
}

/// Finds or creates the account of the key.
async fn owner(tx: &Tx, owner: &Owner, actor: &Actor, now: Timestamp) -> Result<AccountId> {
    let (subject, kind, profile) = match owner {
        Owner::Account(id) => return Ok(*id),
        Owner::Email { email, name } => {
            let subject = email.to_string();
            let known = accounts::find_by_subject(tx, LOCAL_ISSUER, &subject).await?;
            let given = name.as_deref().map(person_name).filter(|name| !name.is_empty());
            let name = given
                .or(known.map(|account| account.profile.name))
                .unwrap_or_else(|| email.local_part().to_owned());
            (subject, AccountKind::Person, local_profile(Some(email.clone()), name))
        }
        Owner::Service(name) => {
            let subject = format!("service:{}", name.0);
            (subject, AccountKind::Service, local_profile(None, name.0.clone()))
        }
    };
    Ok(auth::resolve_local(tx, now, actor, &subject, kind, &profile).await?.id)
}

/// The profile of a local account; its address counts as verified.
pub(in crate::operations) fn local_profile(email: Option<EmailAddress>, name: String) -> Profile {
    Profile {
        email_verified: email.is_some(),
        email,
        name,
        picture: String::new(),
        login_provider: "api_key".to_owned(),
        login_provider_kind: LoginProviderKind::Other,
    }
}
