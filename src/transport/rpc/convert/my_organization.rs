//! The messages of `guestlist.v1.OrganizationService`.

use super::Fields;
use super::attributes::{external_id, metadata};
use crate::domain::{
    AttributeChanges, Attributes, Authority, Member, Organization, OrganizationId, PageSize,
};
use crate::error::{Error, Result};
use crate::operations::organizations::{CreateOrganization, Created, MyOrganizations};
use crate::proto::guestlist::v1 as pb;

pub fn create_own_organization(
    message: pb::CreateOrganizationRequest,
) -> Result<CreateOrganization> {
    let mut fields = Fields::default();
    let name = fields.parse("name", &message.name);
    let attributes = fields.attributes("", message.metadata, &message.external_id);
    fields.finish(|| {
        Some(CreateOrganization { name: name?, join: true, invite_own_domain: false, attributes })
    })
}

pub fn update_organization_metadata(
    message: pb::UpdateOrganizationMetadataRequest,
) -> Result<(OrganizationId, AttributeChanges)> {
    let mut fields = Fields::default();
    let id = fields.parse("organization_id", &message.organization_id);
    let changes = fields.attribute_changes(message.metadata, message.external_id);
    fields.finish(|| Some((id?, changes)))
}

/// Returns the filter, the page size and the page token.
pub fn list_my_organizations(
    message: pb::ListMyOrganizationsRequest,
) -> Result<(Attributes, PageSize, String)> {
    let mut fields = Fields::default();
    let filter = message.filter.unwrap_or_default();
    let with = fields.attributes("filter.", filter.metadata, &filter.external_id);
    let page = fields.page(message.page);
    fields.finish(|| {
        let (size, token) = page?;
        Some((with, size, token))
    })
}

pub fn my_organization(member: Authority, organization: Organization) -> pb::MyOrganization {
    pb::MyOrganization {
        metadata: metadata(&organization.attributes.metadata),
        external_id: external_id(&organization.attributes),
        organization: Some(organization.into()),
        member_id: member.id.to_string(),
        role: member.role.to_string(),
    }
}

impl TryFrom<Created> for pb::CreateOrganizationResponse {
    type Error = Error;

    fn try_from(made: Created) -> Result<Self> {
        let member = made.member.ok_or_else(|| Error::internal("the creator is no member"))?;
        let organization = Some(my_organization(member.member.authority(), made.organization));
        Ok(Self { organization })
    }
}

impl From<MyOrganizations> for pb::ListMyOrganizationsResponse {
    fn from(listed: MyOrganizations) -> Self {
        let entry = |(member, organization): (Member, Organization)| {
            my_organization(member.authority(), organization)
        };
        Self {
            organizations: listed.entries.into_iter().map(entry).collect(),
            next_page_token: listed.next_token,
        }
    }
}
