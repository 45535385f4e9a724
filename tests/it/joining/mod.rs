//! Joining by every method: after a removal, by domain while an invitation is pending, while other
//! accounts join and while the invite ends.

mod carried;
mod consume;
mod domain;
mod ends;
mod histories;
mod names;
mod proved_domain;
mod races;
mod removal;
mod seats;

use crate::rest::client::Rest;
use crate::support::{Code, Failure, Person, gitpod, link_to, own};

/// Turns off the rate limits, because these tests make many calls.
pub fn unlimited(config: &mut guestlist::config::Config) {
    config.limits.invites_per_account = 0;
    config.limits.invites_per_organization = 0;
    config.limits.invites_per_address = 0;
    config.limits.joins_per_account = 0;
    config.limits.joins_per_network = 0;
}

/// One of the methods by which an account joins an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinMethod {
    JoinLink,
    NamedLink,
    /// GitBook's route, with a named link.
    Rest,
    /// An email invitation by the token in its mail.
    MailToken,
    /// An email invitation by its id.
    MailId,
    Domain,
}

impl JoinMethod {
    pub const ALL: [JoinMethod; 6] = [
        JoinMethod::JoinLink,
        JoinMethod::NamedLink,
        JoinMethod::Rest,
        JoinMethod::MailToken,
        JoinMethod::MailId,
        JoinMethod::Domain,
    ];

    /// Joins. `token_or_id` is the token or id of the invite; `Domain` does not use it.
    pub async fn join(self, person: &Person, org: &str, token_or_id: &str) -> Result<(), Code> {
        let joined = match self {
            JoinMethod::Domain => person.join_by_id(org).await,
            JoinMethod::Rest => return join_by_rest(person, org, token_or_id).await,
            _ => person.join(token_or_id).await,
        };
        joined.map(drop).map_err(|failure: Failure| failure.code)
    }
}

async fn join_by_rest(person: &Person, org: &str, token_or_id: &str) -> Result<(), Code> {
    let mut request = Rest::new(person, "POST", &format!("/v1/orgs/{org}/invites/{token_or_id}"));
    if let Some(account) = &person.on_behalf_of {
        request = request.with("guestlist-on-behalf-of", account);
    }
    let answer = request.send().await;
    match answer.status.as_u16() {
        200 => Ok(()),
        403 => Err(Code::PermissionDenied),
        404 => Err(Code::NotFound),
        400 => Err(Code::FailedPrecondition),
        status => panic!("{status}: {}", answer.text()),
    }
}

/// Lets accounts with addresses in example.com join without an invite.
pub async fn open_domain(admin: &Person, org: &str) {
    let request = gitpod::UpdateOrganizationRequest {
        organization_id: org.to_owned(),
        name: None,
        invite_domains: Some(gitpod::InviteDomains { domains: vec!["example.com".to_owned()] }),
    };
    admin.update_organization(request).await.unwrap();
}

/// A named link with the role `read` and this many uses.
pub async fn limited_link(admin: &Person, org: &str, max_uses: i64) -> own::Invite {
    let request = own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Role("read".into())),
        max_uses,
        ..link_to(org)
    };
    admin.create_link(request).await.unwrap().invite.unwrap()
}
