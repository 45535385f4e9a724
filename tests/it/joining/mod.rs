//! Joining, by every way in: after a removal, by domain beside an invitation, while
//! others join and while the invite ends.

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

/// No limits: these tests ask often.
pub fn unlimited(config: &mut guestlist::config::Config) {
    config.limits.invites_per_account = 0;
    config.limits.invites_per_organization = 0;
    config.limits.invites_per_address = 0;
    config.limits.joins_per_account = 0;
    config.limits.joins_per_network = 0;
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
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

impl Door {
    pub const ALL: [Door; 6] =
        [Door::JoinLink, Door::NamedLink, Door::Rest, Door::MailToken, Door::MailId, Door::Domain];

    /// Joins; `name` is what the door is opened with.
    pub async fn enter(self, person: &Person, org: &str, name: &str) -> Result<(), Code> {
        let joined = match self {
            Door::Domain => person.join_by_id(org).await,
            Door::Rest => return enter_by_rest(person, org, name).await,
            _ => person.join(name).await,
        };
        joined.map(drop).map_err(|failure: Failure| failure.code)
    }
}

async fn enter_by_rest(person: &Person, org: &str, name: &str) -> Result<(), Code> {
    let mut request = Rest::new(person, "POST", &format!("/v1/orgs/{org}/invites/{name}"));
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

/// Lets addresses in example.com join by themselves.
pub async fn open_domain(admin: &Person, org: &str) {
    let request = gitpod::UpdateOrganizationRequest {
        organization_id: org.to_owned(),
        name: None,
        invite_domains: Some(gitpod::InviteDomains { domains: vec!["example.com".to_owned()] }),
    };
    admin.update_organization(request).await.unwrap();
}

/// A link of this role that may be used so often.
pub async fn limited_link(admin: &Person, org: &str, max_uses: i64) -> own::Invite {
    let request = own::CreateLinkRequest {
        grants: Some(own::create_link_request::Grants::Role("read".into())),
        max_uses,
        ..link_to(org)
    };
    admin.create_link(request).await.unwrap().invite.unwrap()
}
