//! Messages about many members at once, and about the transfer of ownership.

use std::collections::HashSet;

use super::Fields;
use crate::domain::{MemberId, OrganizationId, Role};
use crate::error::Result;
use crate::operations::members::{MemberOf, MemberOutcome};
use crate::proto::guestlist::v1 as pb;

const MAX_MEMBERS: usize = 100;

/// Members of one organization.
type Members = (OrganizationId, Vec<MemberId>);

impl Fields {
    fn members(&mut self, organization: &str, ids: &[String]) -> Option<Members> {
        const FIELD: &str = "member_ids";

        let organization = self.parse("organization_id", organization);
        let members: Vec<MemberId> = self.parse_all(FIELD, ids, MAX_MEMBERS);
        if ids.is_empty() {
            self.wrong(FIELD, "must have at least one entry");
        }
        if members.iter().collect::<HashSet<_>>().len() < members.len() {
            self.wrong(FIELD, "must not name a member twice");
        }
        Some((organization?, members))
    }
}

pub fn members_of(organization: &str, ids: &[String]) -> Result<Members> {
    let mut fields = Fields::default();
    let members = fields.members(organization, ids);
    fields.finish(|| members)
}

pub fn batch_set_member_role(message: &pb::BatchSetMemberRoleRequest) -> Result<(Members, Role)> {
    let mut fields = Fields::default();
    let members = fields.members(&message.organization_id, &message.member_ids);
    let role = fields.parse("role", &message.role);
    fields.finish(|| Some((members?, role?)))
}

pub fn transfer_ownership(message: &pb::TransferOwnershipRequest) -> Result<(MemberOf, Role)> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let member = fields.parse("member_id", &message.member_id);
    let role = fields.parse("own_role", &message.own_role);
    fields.finish(|| Some((MemberOf { organization: organization?, member: member? }, role?)))
}

pub fn member_results(outcomes: Vec<MemberOutcome>) -> Vec<pb::MemberResult> {
    let results = outcomes.into_iter().map(|MemberOutcome { member, error }| {
        let member_id = member.to_string();
        match error {
            None => pb::MemberResult { member_id, done: true, ..Default::default() },
            Some(error) => pb::MemberResult {
                member_id,
                done: false,
                reason: error.reason.to_owned(),
                message: error.message,
            },
        }
    });
    results.collect()
}
