//! Messages about requests to join.

use std::time::Duration;

use super::{Fields, to_timestamp};
use crate::domain::{DomainMode, JoinRequest, JoinRequestState, Role};
use crate::error::Result;
use crate::operations::join_requests::{
    ApproveJoinRequest, DenyJoinRequest, JoinRequestList, JoinRequestRef, JoinRequestTarget,
    Joinable, ListJoinRequests,
};
use crate::proto::guestlist::v1 as pb;

const MAX_REASON: usize = 500;
const MAX_PAUSE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Fields {
    fn join_request(&mut self, organization: &str, id: &str) -> Option<JoinRequestRef> {
        let organization = self.parse("organization_id", organization);
        let id = self.parse("join_request_id", id);
        Some(JoinRequestRef { organization: organization?, id: id? })
    }
}

/// Parses a message that has only the ids of an organization and a request to join.
pub fn join_request_ref(organization: &str, id: &str) -> Result<JoinRequestRef> {
    let mut fields = Fields::default();
    let of = fields.join_request(organization, id);
    fields.finish(|| of)
}

pub fn create_join_request(message: pb::CreateJoinRequestRequest) -> Result<JoinRequestTarget> {
    use pb::create_join_request_request::By;

    let mut fields = Fields::default();
    let by = match message.by {
        Some(By::LinkToken(token)) => {
            fields.parse("link_token", &token).map(JoinRequestTarget::Link)
        }
        Some(By::OrganizationId(id)) => {
            fields.parse("organization_id", &id).map(JoinRequestTarget::Organization)
        }
        None => {
            fields.wrong("by", "must be set: link_token or organization_id");
            None
        }
    };
    fields.finish(|| by)
}

pub fn list_join_requests(message: pb::ListJoinRequestsRequest) -> Result<ListJoinRequests> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let state = match pb::JoinRequestState::try_from(message.state) {
        Ok(pb::JoinRequestState::Unspecified | pb::JoinRequestState::Pending) => {
            Some(JoinRequestState::Pending)
        }
        Ok(pb::JoinRequestState::Approved) => Some(JoinRequestState::Approved),
        Ok(pb::JoinRequestState::Denied) => Some(JoinRequestState::Denied),
        Ok(pb::JoinRequestState::Withdrawn) => Some(JoinRequestState::Withdrawn),
        Ok(pb::JoinRequestState::Ended) => Some(JoinRequestState::Ended),
        Err(_) => {
            fields.wrong("state", "must be a state of a request");
            None
        }
    };
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        Some(ListJoinRequests { organization: organization?, state: state?, size, token })
    })
}

pub fn approve_join_request(message: pb::ApproveJoinRequestRequest) -> Result<ApproveJoinRequest> {
    let mut fields = Fields::default();
    let of = fields.join_request(&message.organization_id, &message.join_request_id);
    let role: Option<Role> = fields.parse_optional("role", &message.role);
    let expires_at = message.expire_time.and_then(|at| fields.timestamp("expire_time", at));
    fields.finish(|| Some(ApproveJoinRequest { of: of?, role, expires_at }))
}

pub fn deny_join_request(message: pb::DenyJoinRequestRequest) -> Result<DenyJoinRequest> {
    let mut fields = Fields::default();
    let of = fields.join_request(&message.organization_id, &message.join_request_id);
    fields.text("reason", &message.reason, MAX_REASON);
    if message.reason.chars().any(|c| c.is_control() && c != '\n' && c != '\0') {
        fields.wrong("reason", "must not contain control characters except line ends");
    }
    let pause = message.pause.and_then(|pause| {
        let given = Duration::try_from(pause).ok().filter(|pause| *pause <= MAX_PAUSE);
        if given.is_none() {
            fields.wrong("pause", "must be at most 365 days, and not negative");
        }
        given
    });
    let pause = pause.filter(|pause| !pause.is_zero());
    fields.finish(|| Some(DenyJoinRequest { of: of?, reason: message.reason, pause }))
}

impl From<JoinRequest> for pb::JoinRequest {
    fn from(request: JoinRequest) -> Self {
        let state = match request.state {
            JoinRequestState::Pending => pb::JoinRequestState::Pending,
            JoinRequestState::Approved => pb::JoinRequestState::Approved,
            JoinRequestState::Denied => pb::JoinRequestState::Denied,
            JoinRequestState::Withdrawn => pb::JoinRequestState::Withdrawn,
            JoinRequestState::Ended => pb::JoinRequestState::Ended,
        };
        let decision = request.decision;
        let by = decision.as_ref().and_then(|decision| decision.by);
        let again = decision.as_ref().and_then(|decision| decision.ask_again_at);
        let text = |id: Option<String>| id.unwrap_or_default();
        Self {
            id: request.id.to_string(),
            organization_id: request.organization.to_string(),
            account_id: request.account.to_string(),
            state: state.into(),
            link_id: text(request.invite.map(|id| id.to_string())),
            create_time: Some(to_timestamp(request.created_at)),
            decide_time: decision.as_ref().map(|decision| to_timestamp(decision.at)),
            decided_by: text(by.map(|id| id.to_string())),
            ask_again_time: again.map(to_timestamp),
            reason: text(decision.map(|decision| decision.reason)),
            member_id: text(request.member.map(|id| id.to_string())),
            name: String::new(),
            email: String::new(),
            email_verified: false,
        }
    }
}

impl From<JoinRequestList> for pb::ListJoinRequestsResponse {
    fn from(list: JoinRequestList) -> Self {
        let requests = list.requests.into_iter().map(|(request, profile)| {
            let Some(profile) = profile else { return pb::JoinRequest::from(request) };
            pb::JoinRequest {
                email: profile.email.map(|email| email.to_string()).unwrap_or_default(),
                email_verified: profile.email_verified,
                name: profile.name,
                ..request.into()
            }
        });
        Self { join_requests: requests.collect(), next_page_token: list.next_token }
    }
}

impl From<Joinable> for pb::JoinableOrganization {
    fn from(joinable: Joinable) -> Self {
        Self {
            organization_id: joinable.organization.id.to_string(),
            name: joinable.organization.name.to_string(),
            member_count: joinable.organization.member_count,
            needs_approval: joinable.mode != DomainMode::Automatic,
            pending_request: joinable.pending.map(Into::into),
        }
    }
}
