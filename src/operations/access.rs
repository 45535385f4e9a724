//! The way into an organization: no operation gets hold of one but through here,
//! with the permission it needs.

use futures_util::future::try_join;

use crate::domain::{
    Authority, Caller, InviteId, MemberStatus, Organization, OrganizationId, Permission,
};
use crate::error::{Error, Result, reason};
use crate::storage::{Connection, Tx, members, organizations};

/// A caller's place in an organization, with a permission that was asked for.
#[derive(Debug, Clone)]
pub struct Access {
    /// The organization.
    pub organization: Organization,
    /// The caller's own membership.
    pub member: Authority,
}

impl Access {
    /// Lets the caller in to read.
    ///
    /// # Errors
    /// NOT_FOUND to whom the organization is none of their business,
    /// PERMISSION_DENIED to a member without the right.
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

    /// Lets the caller in to change something: the organization's row is locked
    /// first, so that what was checked here still holds at the commit.
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

    /// The same, with the id of the live join link, for whoever is to replace it.
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
        // Asked together and done in this order: the membership is read under the lock.
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

/// What a suspended member is told.
pub fn suspended() -> Error {
    Error::permission_denied("your membership of this organization is suspended")
        .with_reason(reason::SUSPENDED)
}
