//! The same change of many members, with a result for each.

use super::change_member::{MemberChange, MemberOf};
use super::departure::depart;
use super::leave_organization::leaves_no_admin;
use crate::domain::{
    Action, MemberData, MemberId, MemberStatus, OrganizationId, Permission, Role, Timestamp,
};
use crate::error::{Error, Kind, Result, reason};
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::{Tx, change, members};

/// The change to make to each member.
#[derive(Debug, Clone, Copy)]
pub(super) enum MemberAction {
    SetRole(Role),
    Suspend,
    Remove,
}

/// The result for one member.
#[derive(Debug)]
pub struct MemberOutcome {
    pub member: MemberId,
    /// `None`: the member is as requested.
    pub error: Option<Error>,
}

/// Changes members in the order of the request, in one transaction. A member that cannot be changed
/// does not stop the others; each rule is checked as if the changes were separate requests, one
/// after another.
pub(super) async fn change_members(
    cx: &Context,
    call: &RequestContext,
    (organization, members): (OrganizationId, Vec<MemberId>),
    action: MemberAction,
) -> Result<Vec<MemberOutcome>> {
    let now = cx.now();
    let call = call.clone();
    let changed = change!(async move |tx| {
        let manage = Permission::ManageMembers;
        Access::to_change(tx, &call.caller, organization, manage, now).await?;
        let mut outcomes = Vec::with_capacity(members.len());
        for member in &members {
            let who = MemberOf { organization, member: *member };
            let error = match change_one(tx, &call, who, action, now).await {
                Ok(()) => None,
                Err(error) if is_of_one(&error) => Some(error),
                Err(error) => return Err(error),
            };
            outcomes.push(MemberOutcome { member: *member, error });
        }
        Ok(outcomes)
    });
    cx.store.write_in(organization, changed).await
}

/// Whether an error concerns one member only. Such an error is returned before anything is written
/// for the member.
fn is_of_one(error: &Error) -> bool {
    let kinds = [Kind::NotFound, Kind::PermissionDenied, Kind::FailedPrecondition];
    kinds.contains(&error.kind)
}

async fn change_one(
    tx: &Tx,
    call: &RequestContext,
    who: MemberOf,
    action: MemberAction,
    now: Timestamp,
) -> Result<()> {
    let change = MemberChange::begin(tx, call, who, now).await?;
    match action {
        MemberAction::SetRole(role) if change.member.role == role => Ok(()),
        MemberAction::SetRole(role) => change.set_role(role).await,
        MemberAction::Suspend if change.member.status == MemberStatus::Suspended => Ok(()),
        MemberAction::Suspend => {
            change.require_another_admin().await?;
            let status = MemberStatus::Suspended;
            members::set_status(tx, who.organization, who.member, status).await?;
            let note = change.end_invites().await?;
            let data = MemberData { status, ..MemberData::from(&change.member) };
            change.record(Action::MemberSuspended, data, note).await
        }
        MemberAction::Remove => {
            let MemberChange { access, member, .. } = change;
            let Access { mut organization, member: own } = access;
            if leaves_no_admin(tx, &organization, &member).await? {
                let what = "the last admin cannot leave while there are other members";
                return Err(Error::precondition(reason::LAST_ADMIN, what));
            }
            organization.member_count -= 1;
            depart(tx, &mut organization, &member, own.id, &call.actor(), now).await
        }
    }
}
