//! Authorization: operations load an organization only through [`Access`], which checks
//! the caller's membership and permission.

use futures_util::future::try_join;

use crate::domain::{
    Authority, Caller, InviteId, MemberStatus, Organization, OrganizationId, Permission,
};
use crate::error::{Error, Result, reason};
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
    ) -> Result<Self> {
        if !caller.reaches(organization) {
            return Err(Error::not_found());
        }
        let (member, organization) =
            members::current_with_organization(db, organization, caller.account.id)
                .await?
                .ok_or_else(Error::not_found)?;
        let member = member.authority();
        permit(member, permission)?;
        Ok(Self { organization, member })
    }

    /// Access for a change: locks the organization's row first, so that the checked
    /// permission still holds at the commit.
    ///
    /// # Errors
    /// As [`Access::to_read`].
    pub async fn to_change(
        tx: &Tx,
        caller: &Caller,
        organization: OrganizationId,
        permission: Permission,
    ) -> Result<Self> {
        let member = async {
            let member = members::authority(tx, organization, caller.account.id).await?;
            Ok(member.map(|member| (member, ())))
        };
        let (access, ()) = Self::under_lock(tx, caller, organization, permission, member).await?;
        Ok(access)
    }

    /// As [`Access::to_change`], with the id of the live join link in the same query.
    ///
    /// # Errors
    /// As [`Access::to_read`].
    pub async fn to_replace_join_link(
        tx: &Tx,
        caller: &Caller,
        organization: OrganizationId,
    ) -> Result<(Self, Option<InviteId>)> {
        let member = members::authority_and_join_link(tx, organization, caller.account.id);
        Self::under_lock(tx, caller, organization, Permission::ManageInvites, member).await
    }

    async fn under_lock<T>(
        tx: &Tx,
        caller: &Caller,
        organization: OrganizationId,
        permission: Permission,
        member: impl Future<Output = Result<Option<(Authority, T)>>>,
    ) -> Result<(Self, T)> {
        if !caller.reaches(organization) {
            return Err(Error::not_found());
        }
        // Both statements are sent together and run in this order, so the membership is
        // read under the lock.
        let locked = organizations::lock(tx, organization);
        let (Some(organization), Some((member, rest))) = try_join(locked, member).await? else {
            return Err(Error::not_found());
        };
        permit(member, permission)?;
        Ok((Self { organization, member }, rest))
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
