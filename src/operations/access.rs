//! Authorization: operations load an organization only through [`Access`], which checks
//! the caller's membership and permission.

use futures_util::future::try_join;

use crate::domain::{
    Authority, Caller, InviteId, MemberStatus, Organization, OrganizationId, Permission, Timestamp,
};
use crate::error::{Error, Result, reason};
use crate::operations::members::end_due;
use crate::storage::{Connection, Tx, members, organizations};

/// An organization in which the caller has the requested permission.
#[derive(Debug, Clone)]
pub struct Access {
    pub organization: Organization,
    /// The caller's own membership.
    pub member: Authority,
}

impl Access {
    /// Access for reading.
    ///
    /// # Errors
    /// NOT_FOUND if the caller is not a member, so that organization ids cannot be probed;
    /// PERMISSION_DENIED if the member's role or status does not allow it.
    pub async fn to_read(
        db: &impl Connection,
        caller: &Caller,
        organization: OrganizationId,
        permission: Permission,
        now: Timestamp,
    ) -> Result<Self> {
        if !caller.reaches(organization) {
            return Err(Error::not_found());
        }
        let (member, organization) =
            members::current_with_organization(db, organization, caller.account.id)
                .await?
                .filter(|(member, _)| member.is_current(now))
                .ok_or_else(Error::not_found)?;
        let member = member.authority();
        permit(member, permission)?;
        Ok(Self { organization, member })
    }

    /// Returns `now` if memberships of the organization have ended but are still stored as current:
    /// lists must leave these out. Otherwise returns `None`.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        self.organization.has_due_members(now).then_some(now)
    }

    /// Access for a change: locks the organization's row first, so that the checked permission
    /// still holds at the commit. It also ends the memberships of the organization that are due, so
    /// what the change reads afterwards is the state at `now`.
    ///
    /// # Errors
    /// As [`Access::to_read`].
    pub async fn to_change(
        tx: &Tx,
        caller: &Caller,
        organization: OrganizationId,
        permission: Permission,
        now: Timestamp,
    ) -> Result<Self> {
        let member = async {
            let member = members::authority(tx, organization, caller.account.id).await?;
            Ok(member.map(|member| (member, ())))
        };
        let (access, (), _) =
            Self::under_lock(tx, caller, organization, permission, member, now).await?;
        Ok(access)
    }

    /// As [`Access::to_change`], but the query of the membership also returns the id of the live
    /// join link.
    ///
    /// # Errors
    /// As [`Access::to_read`].
    pub async fn to_replace_join_link(
        tx: &Tx,
        caller: &Caller,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<(Self, Option<InviteId>)> {
        let (account, manage) = (caller.account.id, Permission::ManageInvites);
        let member = members::authority_and_join_link(tx, organization, account);
        let (access, mut link, has_ended) =
            Self::under_lock(tx, caller, organization, manage, member, now).await?;
        if has_ended {
            // The link may have ended with the membership of its inviter.
            let again = members::authority_and_join_link(tx, organization, account).await?;
            link = again.and_then(|(_, link)| link);
        }
        Ok((access, link))
    }

    /// Also returns whether it has ended memberships after it read `member`.
    async fn under_lock<T>(
        tx: &Tx,
        caller: &Caller,
        organization: OrganizationId,
        permission: Permission,
        member: impl Future<Output = Result<Option<(Authority, T)>>>,
        now: Timestamp,
    ) -> Result<(Self, T, bool)> {
        if !caller.reaches(organization) {
            return Err(Error::not_found());
        }
        // Both statements are sent together and run in this order, so the membership is
        // read under the lock.
        let locked = organizations::lock(tx, organization);
        let (Some(mut organization), Some((member, rest))) = try_join(locked, member).await? else {
            return Err(Error::not_found());
        };
        if !member.is_current(now) {
            return Err(Error::not_found());
        }
        permit(member, permission)?;
        let has_ended = end_due(tx, &mut organization, now).await?;
        Ok((Self { organization, member }, rest, has_ended))
    }
}

fn permit(member: Authority, permission: Permission) -> Result<()> {
    if member.status != MemberStatus::Active {
        return Err(suspended());
    }
    if !member.role.allows(permission) {
        return Err(Error::permission_denied("your role in this organization does not allow this"));
    }
    Ok(())
}

/// The error for suspended members.
pub fn suspended() -> Error {
    Error::permission_denied("your membership of this organization is suspended")
        .with_reason(reason::SUSPENDED)
}

/// The error for a caller whose account was erased after the request was authenticated.
pub fn account_is_gone() -> Error {
    Error::unauthenticated("the credential is not valid any more")
}
