//! Messages about domains of organizations.

use super::{Fields, to_timestamp};
use crate::domain::{DomainMode, DomainState, EmailDomain, OrganizationDomain};
use crate::error::Result;
use crate::operations::Rules;
use crate::operations::domains::{AddDomain, DomainRef};
use crate::proto::guestlist::v1 as pb;

impl Fields {
    fn domain(&mut self, organization: &str, id: &str) -> Option<DomainRef> {
        let organization = self.parse("organization_id", organization);
        let id = self.parse("domain_id", id);
        Some(DomainRef { organization: organization?, id: id? })
    }

    /// `None` for `UNSPECIFIED`, and after a violation.
    fn mode(&mut self, number: i32) -> Option<DomainMode> {
        match pb::DomainMode::try_from(number) {
            Ok(pb::DomainMode::Unspecified) => None,
            Ok(pb::DomainMode::InviteOnly) => Some(DomainMode::InviteOnly),
            Ok(pb::DomainMode::OnRequest) => Some(DomainMode::OnRequest),
            Ok(pb::DomainMode::Automatic) => Some(DomainMode::Automatic),
            Err(_) => {
                self.wrong("mode", "must be INVITE_ONLY, ON_REQUEST or AUTOMATIC");
                None
            }
        }
    }
}

/// Parses a request that has only the ids of an organization and a domain.
pub fn domain_ref(organization: &str, id: &str) -> Result<DomainRef> {
    let mut fields = Fields::default();
    let of = fields.domain(organization, id);
    fields.finish(|| of)
}

pub fn add_domain(message: pb::AddDomainRequest) -> Result<AddDomain> {
    let mut fields = Fields::default();
    let organization = fields.parse("organization_id", &message.organization_id);
    let name: Option<EmailDomain> = fields.parse("domain", &message.domain);
    if name.as_ref().is_some_and(|name| !OrganizationDomain::has_room_for_proof(name)) {
        fields.wrong("domain", "must have at most 232 characters");
    }
    let mode = fields.mode(message.mode).unwrap_or(DomainMode::InviteOnly);
    fields.finish(|| Some(AddDomain { organization: organization?, name: name?, mode }))
}

pub fn set_domain_mode(message: pb::SetDomainModeRequest) -> Result<(DomainRef, DomainMode)> {
    let mut fields = Fields::default();
    let of = fields.domain(&message.organization_id, &message.domain_id);
    let mode = fields.mode(message.mode);
    if message.mode == i32::from(pb::DomainMode::Unspecified) {
        fields.wrong("mode", "must be set");
    }
    fields.finish(|| Some((of?, mode?)))
}

/// The domain in responses to admins.
pub fn domain(domain: OrganizationDomain, rules: &Rules) -> pb::Domain {
    let closes = domain.missing_since.map(|since| since.plus(rules.domain_checks.grace));
    let state = match domain.state {
        DomainState::Pending => pb::DomainState::Pending,
        DomainState::Verified => pb::DomainState::Verified,
        DomainState::Lapsed => pb::DomainState::Lapsed,
    };
    let mode = match domain.mode {
        DomainMode::InviteOnly => pb::DomainMode::InviteOnly,
        DomainMode::OnRequest => pb::DomainMode::OnRequest,
        DomainMode::Automatic => pb::DomainMode::Automatic,
    };
    pb::Domain {
        id: domain.id.to_string(),
        organization_id: domain.organization.to_string(),
        txt_name: domain.record_name(),
        txt_value: domain.record_value(),
        domain: domain.name.to_string(),
        mode: mode.into(),
        state: state.into(),
        create_time: Some(to_timestamp(domain.created_at)),
        verify_time: domain.verified_at.map(to_timestamp),
        check_time: domain.checked_at.map(to_timestamp),
        proof_missing_since: domain.missing_since.map(to_timestamp),
        lapse_time: closes.map(to_timestamp),
    }
}
