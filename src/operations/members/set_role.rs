//! `SetRole`

use super::change_member::{MemberChange, MemberOf};
use crate::domain::Role;
use crate::error::Result;
use crate::operations::{Context, RequestContext};
use crate::storage::change;

/// A role of `gitpod.v1`, which has only two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractRole {
    Admin,
    /// Every role except admin.
    Member,
}

#[derive(Debug, Clone, Copy)]
pub struct SetRole {
    pub who: MemberOf,
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

/// Sets a member's role. Changes nothing if the member's present role is already shown as `role` in
/// `gitpod.v1`. Only admins may do this. A demoted admin's invites end in the same transaction.
pub async fn set_role(cx: &Context, call: &RequestContext, input: SetRole) -> Result<()> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            input.who.organization,
            change!(async move |tx| {
                let change = MemberChange::begin(tx, &call, input.who, now).await?;
                if ContractRole::from(change.member.role) == input.role {
                    return Ok(());
                }
                change.set_role(input.role.into()).await
            }),
        )
        .await
}
