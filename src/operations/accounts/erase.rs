//! `guestlist accounts erase`
//!
//! An account has memberships, keys and invitations in many organizations, so it is erased in
//! several transactions: one for each, as if the account itself had left, and a last one that
//! blanks the rows. The last one checks under the account's lock whether something was added
//! meanwhile, such as a membership. If so, all steps are repeated.

use crate::domain::{
    AccountId, Action, Actor, EmailAddress, EndReason, EventData, InviteId, Organization,
    OrganizationId, Profile, Timestamp,
};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::invites::{end, expire};
use crate::operations::join_requests::end_everywhere;
use crate::operations::keys::revoke_key;
use crate::operations::members::{depart, leaves_no_admin, lock_and_end_due};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{
    Store, Tx, accounts, api_keys, invites, join_requests, members, notices, organizations, outbox,
    requests,
};

/// The most rounds for one account: a round is repeated if something was added meanwhile. Each
/// round revokes the keys, so only a person with valid tokens who joins again and again can cause
/// more rounds.
const MAX_ROUNDS: usize = 20;

/// What was done to erase an account.
#[derive(Debug, Default)]
pub struct Erased {
    /// The account had been erased before; nothing was done.
    pub already: bool,
    /// The organizations that it was a member of.
    pub left: Vec<OrganizationId>,
    /// Those of them that have no members now.
    pub empty: Vec<OrganizationId>,
    pub keys_revoked: usize,
    pub invitations_ended: usize,
    /// Ended invitations that contained personal data.
    pub invitations_blanked: usize,
    /// The address was not verified: invitations to it may be another person's, and stay.
    pub has_unverified_address: bool,
    /// Other accounts with the same address, which stay.
    pub same_address: Vec<AccountId>,
}

/// Ends an account's memberships, keys and invitations, and removes name, address, picture, issuer
/// and subject from all tables. The account's row stays without them, so that the ids in the audit
/// trail still refer to something.
///
/// # Errors
/// NOT_FOUND without such an account; FAILED_PRECONDITION `LAST_ADMIN` if it is the last admin of
/// organizations with other members. Nothing is changed then, unless the other admins leave at the
/// same moment; a repetition continues with the rest.
pub async fn erase(store: &Store, id: AccountId, now: Timestamp) -> Result<Erased> {
    let found = accounts::find(store.read(), id).await?;
    let account =
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("there is no account {id}")))?;
    let mut erased = Erased { already: account.is_erased(), ..Erased::default() };
    if erased.already {
        return Ok(erased);
    }
    require_other_admins(store, id).await?;
    for _ in 0..MAX_ROUNDS {
        let account = accounts::find(store.read(), id).await?.ok_or_else(Error::not_found)?;
        if try_erase(store, id, &account.profile, &mut erased, now).await? {
            let Some(email) = &account.profile.email else { return Ok(erased) };
            erased.has_unverified_address = !account.profile.email_verified;
            erased.same_address = accounts::others_with_address(store.read(), email, id).await?;
            return Ok(erased);
        }
    }
    Err(Error::new(
        Kind::Unavailable,
        "the account joins organizations again and again: end its sign-in at its issuer, and \
         repeat the command",
    ))
}

/// # Errors
/// FAILED_PRECONDITION with the organizations that would be left without an admin.
async fn require_other_admins(store: &Store, id: AccountId) -> Result<()> {
    let mut without = Vec::new();
    for (member, organization) in members::all_current_of(store.read(), id).await? {
        if leaves_no_admin(store.read(), &organization, &member).await? {
            without.push(organization);
        }
    }
    if without.is_empty() { Ok(()) } else { Err(last_admin(&without)) }
}

fn last_admin(of: &[Organization]) -> Error {
    let names: Vec<String> = of.iter().map(|one| format!("{} ({})", one.id, one.name)).collect();
    Error::precondition(
        reason::LAST_ADMIN,
        format!(
            "the account is the last admin of {}: make another member an admin first, or delete \
             the organization",
            names.join(", ")
        ),
    )
}

/// Ends the account's memberships, invitations, join requests and keys, and blanks its rows;
/// returns whether it is erased.
async fn try_erase(
    store: &Store,
    id: AccountId,
    profile: &Profile,
    erased: &mut Erased,
    now: Timestamp,
) -> Result<bool> {
    for (_, organization) in members::all_current_of(store.read(), id).await? {
        leave(store, organization.id, id, erased, now).await?;
    }
    let own = profile.verified_email();
    if let Some(own) = own {
        for (organization, invite) in invites::pending_everywhere(store.read(), own).await? {
            let ended = end_invitation(store, organization, invite, own.clone(), now).await?;
            erased.invitations_ended += usize::from(ended);
        }
    }
    end_everywhere(store, id, &actor(), now).await?;
    for key in api_keys::not_revoked_of(store.read(), id).await? {
        match revoke_key(store, key, now).await {
            Ok(()) => erased.keys_revoked += 1,
            // It was revoked meanwhile.
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let ended = invites::ended_of_person(store.read(), id, own).await?;
    erased.invitations_blanked = ended.len();
    blank(store, id, profile.clone(), ended, now).await
}

/// Ends the account's membership in one organization.
async fn leave(
    store: &Store,
    organization: OrganizationId,
    id: AccountId,
    erased: &mut Erased,
    now: Timestamp,
) -> Result<()> {
    let leave = change!(async move |tx: &Tx| {
        let Some(mut organization) = lock_and_end_due(tx, organization, now).await? else {
            return Ok(None);
        };
        let Some(member) = members::current(tx, organization.id, id).await? else {
            return Ok(None);
        };
        if leaves_no_admin(tx, &organization, &member).await? {
            return Err(last_admin(&[organization]));
        }
        organization.member_count -= 1;
        organization.version += 1;
        depart(tx, &mut organization, &member, member.id, &actor(), now).await?;
        Ok(Some(organization.member_count))
    });
    if let Some(others) = store.write_in(organization, leave).await? {
        erased.left.push(organization);
        if others == 0 {
            erased.empty.push(organization);
        }
    }
    Ok(())
}

/// Ends one pending invitation; returns false if it is not pending any more.
async fn end_invitation(
    store: &Store,
    organization: OrganizationId,
    id: InviteId,
    to: EmailAddress,
    now: Timestamp,
) -> Result<bool> {
    let end = change!(async move |tx: &Tx| {
        let Some(mut organization) = organizations::lock(tx, organization).await? else {
            return Ok(false);
        };
        let pending = invites::pending_of_address(tx, organization.id, &to).await?;
        let Some(invite) = pending.filter(|invite| invite.id == id) else { return Ok(false) };
        organization.version += 1;
        let version = organization.at_version();
        if invite.is_live(now) {
            end(tx, &invite, EndReason::Revoked, version, &actor(), now).await?;
        } else {
            expire(tx, &invite, version, now).await?;
        }
        organizations::set_version(tx, version).await?;
        Ok(true)
    });
    store.write_in(organization, end).await
}

/// Blanks the account's rows and the `ended` invitations. Returns false, with nothing changed, if
/// the account has something new that must end first, such as a membership, or if its verified
/// address has changed.
async fn blank(
    store: &Store,
    id: AccountId,
    known: Profile,
    ended: Vec<InviteId>,
    now: Timestamp,
) -> Result<bool> {
    let blank = change!(async move |tx: &Tx| {
        // A transaction that makes a membership or a key locks the account in a weaker mode, so
        // none is made meanwhile.
        let account = accounts::lock(tx, id).await?.ok_or_else(Error::not_found)?;
        if account.is_erased() {
            return Ok(true);
        }
        let own = account.profile.verified_email();
        let is_invited = match own {
            Some(own) => !invites::pending_everywhere(tx, own).await?.is_empty(),
            None => false,
        };
        if is_invited
            || own != known.verified_email()
            || !members::all_current_of(tx, id).await?.is_empty()
            || !api_keys::not_revoked_of(tx, id).await?.is_empty()
            || !join_requests::pending_everywhere(tx, id).await?.is_empty()
        {
            return Ok(false);
        }
        // The same order as in the worker that stores the result of a mail.
        outbox::delete_of(tx, &ended).await?;
        invites::erase_addresses(tx, &ended).await?;
        requests::delete_of(tx, id).await?;
        join_requests::erase_reasons(tx, id).await?;
        notices::delete_of(tx, id).await?;
        accounts::erase(tx, id, now).await?;
        let event = NewEvent {
            action: Action::AccountErased,
            data: EventData::Account { id, kind: account.kind, changed: Vec::new() },
            organization: None,
            actor: &actor(),
            note: String::new(),
        };
        audit_events::append(tx, event, now).await?;
        Ok(true)
    });
    store.write(blank).await
}

fn actor() -> Actor {
    Actor::system("command-line")
}
