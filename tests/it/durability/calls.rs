//! The request message of each call, and the ids and tokens of its response.

use gitpod::join_organization_request::JoinId;

use super::grpc_client::{CallContext, GrpcClient};
use super::ledger::{Call, CallOutcome};
use crate::support::{gitpod, link_to, own};

/// The issuer of all accounts that the callers create.
pub const ISSUER: &str = "intranet";

impl GrpcClient {
    /// Makes a call on behalf of an account; returns the ids, tokens or names in the response.
    pub async fn make(
        &self,
        request: &str,
        on_behalf_of: Option<&str>,
        call: &Call,
    ) -> CallOutcome {
        let context = CallContext { request, on_behalf_of };
        match self.names(&context, call.clone()).await {
            Ok(names) => CallOutcome::Acknowledged(names),
            Err(outcome) => outcome,
        }
    }

    async fn names(
        &self,
        context: &CallContext<'_>,
        call: Call,
    ) -> Result<Vec<String>, CallOutcome> {
        match call {
            Call::ResolveAccount { .. }
            | Call::CreateOrganization { .. }
            | Call::UpdateOrganization { .. } => self.organization(context, call).await,
            Call::CreateOrganizationInvite { .. }
            | Call::CreateLink { .. }
            | Call::InviteByEmail { .. }
            | Call::Revoke { .. } => self.invite(context, call).await,
            _ => self.member(context, call).await,
        }
    }

    async fn organization(
        &self,
        context: &CallContext<'_>,
        call: Call,
    ) -> Result<Vec<String>, CallOutcome> {
        Ok(match call {
            Call::ResolveAccount { subject } => {
                let path = "/guestlist.v1.AccountService/ResolveAccount";
                let request = own::ResolveAccountRequest {
                    issuer: ISSUER.to_owned(),
                    name: subject.clone(),
                    subject,
                    ..Default::default()
                };
                let answer: own::ResolveAccountResponse = self.send(context, path, request).await?;
                vec![answer.account.unwrap().id]
            }
            Call::CreateOrganization { name } => {
                let path = "/gitpod.v1.OrganizationService/CreateOrganization";
                let request = gitpod::CreateOrganizationRequest {
                    name,
                    join_organization: true,
                    ..Default::default()
                };
                let answer: gitpod::CreateOrganizationResponse =
                    self.send(context, path, request).await?;
                vec![answer.organization.unwrap().id, answer.member.unwrap().user_id]
            }
            Call::UpdateOrganization { organization, name } => {
                let path = "/gitpod.v1.OrganizationService/UpdateOrganization";
                let request = gitpod::UpdateOrganizationRequest {
                    organization_id: organization,
                    name: Some(name),
                    ..Default::default()
                };
                let answer: gitpod::UpdateOrganizationResponse =
                    self.send(context, path, request).await?;
                vec![answer.organization.unwrap().name]
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn invite(
        &self,
        context: &CallContext<'_>,
        call: Call,
    ) -> Result<Vec<String>, CallOutcome> {
        Ok(match call {
            Call::CreateOrganizationInvite { organization } => {
                let path = "/gitpod.v1.OrganizationService/CreateOrganizationInvite";
                let request =
                    gitpod::CreateOrganizationInviteRequest { organization_id: organization };
                let answer: gitpod::CreateOrganizationInviteResponse =
                    self.send(context, path, request).await?;
                vec![answer.invite.unwrap().invite_id]
            }
            Call::CreateLink { organization, note, role, max_uses } => {
                let path = "/guestlist.v1.InviteService/CreateLink";
                let request = own::CreateLinkRequest {
                    grants: Some(own::create_link_request::Grants::Role(role)),
                    note,
                    max_uses,
                    ..link_to(&organization)
                };
                let answer: own::CreateLinkResponse = self.send(context, path, request).await?;
                let invite = answer.invite.unwrap();
                vec![invite.id, invite.token]
            }
            Call::InviteByEmail { organization, addresses } => {
                let path = "/guestlist.v1.InviteService/InviteByEmail";
                let invitation = |email| own::EmailInvitation {
                    email,
                    role: "member".to_owned(),
                    ..Default::default()
                };
                let request = own::InviteByEmailRequest {
                    organization_id: organization,
                    invitations: addresses.into_iter().map(invitation).collect(),
                    ..Default::default()
                };
                let answer: own::InviteByEmailResponse = self.send(context, path, request).await?;
                let id = |result: own::EmailInvitationResult| result.invite.unwrap().id;
                answer.results.into_iter().map(id).collect()
            }
            Call::Revoke { organization, invite } => {
                let path = "/guestlist.v1.InviteService/Revoke";
                let request = own::RevokeRequest {
                    organization_id: organization,
                    id: invite,
                    ..Default::default()
                };
                let answer: own::RevokeResponse = self.send(context, path, request).await?;
                vec![answer.invite.unwrap().id]
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn member(
        &self,
        context: &CallContext<'_>,
        call: Call,
    ) -> Result<Vec<String>, CallOutcome> {
        Ok(match call {
            Call::JoinOrganization { token, .. } => {
                let path = "/gitpod.v1.OrganizationService/JoinOrganization";
                let request =
                    gitpod::JoinOrganizationRequest { join_id: Some(JoinId::InviteId(token)) };
                let answer: gitpod::JoinOrganizationResponse =
                    self.send(context, path, request).await?;
                vec![answer.member.unwrap().user_id]
            }
            Call::SetMemberRole { organization: organization_id, member: member_id, role } => {
                let path = "/guestlist.v1.MemberService/SetMemberRole";
                let request = own::SetMemberRoleRequest { organization_id, member_id, role };
                let _: own::SetMemberRoleResponse = self.send(context, path, request).await?;
                Vec::new()
            }
            Call::SuspendMember { organization: organization_id, member: member_id } => {
                let path = "/guestlist.v1.MemberService/SuspendMember";
                let request = own::SuspendMemberRequest { organization_id, member_id };
                let _: own::SuspendMemberResponse = self.send(context, path, request).await?;
                Vec::new()
            }
            Call::RestoreMember { organization: organization_id, member: member_id } => {
                let path = "/guestlist.v1.MemberService/RestoreMember";
                let request = own::RestoreMemberRequest { organization_id, member_id };
                let _: own::RestoreMemberResponse = self.send(context, path, request).await?;
                Vec::new()
            }
            Call::RemoveMember { member: user_id, .. } => {
                let path = "/gitpod.v1.OrganizationService/LeaveOrganization";
                let request = gitpod::LeaveOrganizationRequest { user_id };
                let _: gitpod::LeaveOrganizationResponse =
                    self.send(context, path, request).await?;
                Vec::new()
            }
            other => unreachable!("{other:?}"),
        })
    }
}
