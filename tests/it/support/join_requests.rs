//! Requests to join, and the decisions on them.

use super::{Failure, Person, link_to, own};

impl Person {
    /// A link that needs approval, with the role `read`.
    pub async fn approval_link(&self, organization: &str) -> own::Invite {
        let request = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            requires_approval: true,
            ..link_to(organization)
        };
        self.create_link(request).await.unwrap().invite.unwrap()
    }

    async fn request_to_join_by(
        &self,
        by: own::create_join_request_request::By,
    ) -> Result<own::JoinRequest, Failure> {
        let request = own::CreateJoinRequestRequest { by: Some(by) };
        Ok(self.create_join_request(request).await?.join_request.unwrap())
    }

    /// Requests to join with the token of a link.
    pub async fn request_to_join(&self, token: &str) -> Result<own::JoinRequest, Failure> {
        self.request_to_join_by(own::create_join_request_request::By::LinkToken(token.to_owned()))
            .await
    }

    /// Requests to join by the domain of the caller's address.
    pub async fn request_to_join_by_domain(
        &self,
        organization: &str,
    ) -> Result<own::JoinRequest, Failure> {
        let id = organization.to_owned();
        self.request_to_join_by(own::create_join_request_request::By::OrganizationId(id)).await
    }

    pub async fn approve(
        &self,
        request: &own::JoinRequest,
        role: &str,
    ) -> Result<own::ApproveJoinRequestResponse, Failure> {
        let request = own::ApproveJoinRequestRequest {
            organization_id: request.organization_id.clone(),
            join_request_id: request.id.clone(),
            role: role.to_owned(),
            expire_time: None,
        };
        self.approve_join_request(request).await
    }

    pub async fn deny(
        &self,
        request: &own::JoinRequest,
        reason: &str,
        pause_seconds: i64,
    ) -> Result<own::JoinRequest, Failure> {
        let pause = prost_types::Duration { seconds: pause_seconds, nanos: 0 };
        let request = own::DenyJoinRequestRequest {
            organization_id: request.organization_id.clone(),
            join_request_id: request.id.clone(),
            reason: reason.to_owned(),
            pause: (pause_seconds > 0).then_some(pause),
        };
        Ok(self.deny_join_request(request).await?.join_request.unwrap())
    }

    pub async fn withdraw(&self, request: &own::JoinRequest) -> Result<own::JoinRequest, Failure> {
        let request = own::WithdrawJoinRequestRequest {
            organization_id: request.organization_id.clone(),
            join_request_id: request.id.clone(),
        };
        Ok(self.withdraw_join_request(request).await?.join_request.unwrap())
    }

    /// The first hundred requests to join an organization that are in this state.
    pub async fn requests(
        &self,
        organization: &str,
        state: own::JoinRequestState,
    ) -> Result<Vec<own::JoinRequest>, Failure> {
        let request = own::ListJoinRequestsRequest {
            organization_id: organization.to_owned(),
            state: state.into(),
            page: Some(own::PageRequest { page_size: 100, page_token: String::new() }),
        };
        Ok(self.list_join_requests(request).await?.join_requests)
    }
}
