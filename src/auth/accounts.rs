//! Finds and updates the account of an authenticated identity.

use super::identity::Identity;
use super::issuers::{self, Issuers};
use crate::domain::{
    Account, AccountId, AccountKind, Action, Actor, EventData, LOCAL_ISSUER, Profile, RequestId,
    Timestamp,
};
use crate::error::{Error, Kind, Result};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Store, Tx, accounts};

/// The author of a new or changed account, for the audit trail.
#[derive(Debug, Clone)]
enum By {
    /// The account itself, by signing in with this request.
    Itself(RequestId),
    Actor(Actor),
}

/// Finds or creates the account of a person and updates its profile; `actor` is the author
/// of the change. Returns the account and whether it was created. Writes nothing if nothing
/// changed, or if only the name, the picture or the login provider changed again within a
/// minute.
///
/// # Errors
/// PERMISSION_DENIED if the issuer is not configured ([`LOCAL_ISSUER`] never is);
/// UNAVAILABLE if the store cannot be used.
pub async fn resolve(
    store: &Store,
    issuers: &Issuers,
    now: Timestamp,
    actor: &Actor,
    identity: Identity,
) -> Result<(Account, bool)> {
    resolve_by(store, issuers, now, By::Actor(actor.clone()), identity).await
}

/// As [`resolve`]; the account itself is the author of the change.
///
/// # Errors
/// As [`resolve`].
pub(super) async fn sign_in(
    store: &Store,
    issuers: &Issuers,
    now: Timestamp,
    request: &RequestId,
    identity: Identity,
) -> Result<Account> {
    let by = By::Itself(request.clone());
    Ok(resolve_by(store, issuers, now, by, identity).await?.0)
}

/// Finds or creates a local account ([`LOCAL_ISSUER`]) and updates its profile, inside a
/// transaction. `kind` is used for a new account only.
///
/// # Errors
/// UNAVAILABLE if the store cannot be used.
pub async fn resolve_local(
    tx: &Tx,
    now: Timestamp,
    actor: &Actor,
    subject: &str,
    kind: AccountKind,
    profile: &Profile,
) -> Result<Account> {
    let by = By::Actor(actor.clone());
    Ok(write(tx, now, &by, (LOCAL_ISSUER, subject), kind, |_| profile.clone()).await?.0)
}

async fn resolve_by(
    store: &Store,
    issuers: &Issuers,
    now: Timestamp,
    by: By,
    identity: Identity,
) -> Result<(Account, bool)> {
    let issuer = issuers
        .get(&identity.issuer)
        .ok_or_else(|| Error::permission_denied("no issuer of this name is configured"))?;
    let claimed = issuers::profile(issuer, &identity);
    let (issuer, subject) = (identity.issuer.clone(), identity.subject.clone());
    let profile = move |known: Option<&Account>| match known {
        Some(account) => updated(account, &identity, &claimed, account.may_change_appearance(now)),
        None => claimed.clone(),
    };
    let known = accounts::find_by_subject(store.read(), &issuer, &subject).await?;
    match known {
        Some(account) if account.profile == profile(Some(&account)) => Ok((account, false)),
        _ => {
            store
                .write(change!(async move |tx| {
                    let kind = AccountKind::Person;
                    write(tx, now, &by, (&issuer, &subject), kind, &profile).await
                }))
                .await
        }
    }
}

/// Whether the account already has all values of its issuer's claims, so that resolving these
/// claims changes nothing at any time.
pub(super) fn is_complete(issuers: &Issuers, account: &Account, identity: &Identity) -> bool {
    issuers.get(&identity.issuer).is_some_and(|issuer| {
        let claimed = issuers::profile(issuer, identity);
        updated(account, identity, &claimed, true) == account.profile
    })
}

/// The updated profile of an existing account; `claimed` is the profile from the issuer's
/// claims. A changed address or verification is stored immediately, together with the other
/// claims. If only the other claims changed, they are stored at most once a minute
/// ([`Account::may_change_appearance`]). Fields without a claim keep their values.
fn updated(
    account: &Account,
    identity: &Identity,
    claimed: &Profile,
    may_change_appearance: bool,
) -> Profile {
    let mut profile = account.profile.clone();
    if claimed.email.is_some() {
        profile.email.clone_from(&claimed.email);
        profile.email_verified = claimed.email_verified;
    }
    if profile == account.profile && !may_change_appearance {
        return profile;
    }
    if issuers::has_name(identity) || profile.name.is_empty() {
        profile.name.clone_from(&claimed.name);
    }
    if !claimed.picture.is_empty() {
        profile.picture.clone_from(&claimed.picture);
    }
    profile.login_provider.clone_from(&claimed.login_provider);
    profile.login_provider_kind = claimed.login_provider_kind;
    profile
}

/// Reads the account again, since another request may have created it; then creates or updates
/// it.
async fn write(
    tx: &Tx,
    now: Timestamp,
    by: &By,
    (issuer, subject): (&str, &str),
    kind: AccountKind,
    profile: impl Fn(Option<&Account>) -> Profile,
) -> Result<(Account, bool)> {
    let Some(mut account) = accounts::find_by_subject(tx, issuer, subject).await? else {
        let account = Account {
            id: AccountId::generate(now),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            kind,
            profile: profile(None),
            created_at: now,
            updated_at: None,
        };
        accounts::insert(tx, &account).await?;
        append(tx, now, by, Action::AccountCreated, &account, Vec::new()).await?;
        return Ok((account, true));
    };
    let profile = profile(Some(&account));
    let changed = differences(&account.profile, &profile);
    if !changed.is_empty() {
        if !accounts::update_profile(tx, account.id, &profile, now).await? {
            let what = "the account was erased meanwhile; try again";
            return Err(Error::new(Kind::Unavailable, what));
        }
        (account.profile, account.updated_at) = (profile, Some(now));
        append(tx, now, by, Action::AccountUpdated, &account, changed).await?;
    }
    Ok((account, false))
}

async fn append(
    tx: &Tx,
    now: Timestamp,
    by: &By,
    action: Action,
    account: &Account,
    changed: Vec<&'static str>,
) -> Result<()> {
    let actor = match by {
        By::Actor(actor) => actor.clone(),
        By::Itself(request) => {
            Actor {
                account: Some(account.id),
                on_behalf_of: None,
                request_id: request.clone(),
                // Authentication does not receive the trace.
                trace: None,
            }
        }
    };
    let event = NewEvent {
        action,
        note: changed.join(", "),
        data: EventData::Account { id: account.id, kind: account.kind, changed },
        organization: None,
        actor: &actor,
    };
    audit_events::append(tx, event, now).await
}

/// The names of the changed fields. The audit trail stores no values, so no addresses.
fn differences(old: &Profile, new: &Profile) -> Vec<&'static str> {
    [
        ("email", old.email != new.email),
        ("email_verified", old.email_verified != new.email_verified),
        ("name", old.name != new.name),
        ("picture", old.picture != new.picture),
        ("login_provider", old.login_provider != new.login_provider),
        ("login_provider_kind", old.login_provider_kind != new.login_provider_kind),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
