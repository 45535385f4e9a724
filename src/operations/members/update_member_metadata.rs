//! `guestlist.v1.MemberService/UpdateMemberMetadata`

use super::change_member::{MemberChange, MemberOf};
use crate::domain::{Action, AttributeChanges, Member, MemberData, Membership};
use crate::error::Result;
use crate::operations::attributes::{changed, require_free_for_member};
use crate::operations::{Context, RequestContext};
use crate::storage::{attributes, change};

/// Changes a member's metadata and external id. Only admins may do this.
pub async fn update_member_metadata(
    cx: &Context,
    call: &RequestContext,
    who: MemberOf,
    changes: AttributeChanges,
) -> Result<Membership> {
    let now = cx.now();
    let call = call.clone();
    cx.store
        .write_in(
            who.organization,
            change!(async move |tx| {
                let change = MemberChange::begin(tx, &call, who, now).await?;
                let before = change.member.clone();
                let after = changed(&before.attributes, &changes)?;
                let names = before.attributes.changes(&after);
                if names.is_empty() {
                    return Ok(Membership::from(&before));
                }
                if before.attributes.external_id != after.external_id {
                    let id = after.external_id.as_ref();
                    require_free_for_member(tx, who.organization, id).await?;
                }
                attributes::set_of_member(tx, who.organization, who.member, &after).await?;
                let member = Member { attributes: after, ..before };
                let data = MemberData::from(&member);
                change.record(Action::MemberUpdated, data, names.join(", ")).await?;
                Ok(Membership::from(&member))
            }),
        )
        .await
}
