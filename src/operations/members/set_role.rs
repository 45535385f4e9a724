//! `SetRole`

use super::change_member::{Changing, MemberOf};
use crate::domain::Role;
use crate::error::Result;
use crate::operations::{Context, RequestContext};

/// A role as `gitpod.v1` tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractRole {
    /// `admin`
    Admin,
    /// Every other role.
    Member,
}

/// Whose role to set, and to what.
#[derive(Debug, Clone, Copy)]
pub struct SetRole {
    /// Whose.
    pub who: MemberOf,
    /// The new role.
    pub role: ContractRole,
}

impl From<Role> for ContractRole {
    fn from(role: Role) -> Self {
        if role == Role::Admin { ContractRole::Admin } else { ContractRole::Member }
    }
}

impl From<ContractRole> for Role {
    fn from(role: ContractRole) -> Self {
        match role {
            ContractRole::Admin => Role::Admin,
            ContractRole::Member => Role::Member,
        }
    }
}

/// Sets a member's role, unless it shows as that role already. Admins may. A
/// demoted admin's invites end in the same transaction.
pub async fn set_role(cx: &Context, call: &RequestContext, input: SetRole) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write(async move |tx| {
            let changing = Changing::begin(tx, &call, input.who, now).await?;
            if ContractRole::from(changing.member.role) == input.role {
                return Ok(());
            }
            changing.set_role(input.role.into()).await
        })
        .await
}
