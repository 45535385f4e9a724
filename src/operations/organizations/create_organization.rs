//! `CreateOrganization`

use super::reject_public_domains;
use crate::domain::{
    Action, Attributes, Caller, Creators, EmailDomain, EventData, JoinedBy, KeyScope,
    MemberProfile, Organization, OrganizationId, OrganizationName, Role, Tier,
};
use crate::error::{Error, Result, reason};
use crate::operations::access::account_is_gone;
use crate::operations::attributes::external_id_taken;
use crate::operations::members::{Admission, admit};
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{accounts, attributes, organizations};

#[derive(Debug, Clone)]
pub struct CreateOrganization {
    pub name: OrganizationName,
    /// The caller becomes the first admin in the same transaction.
    pub join: bool,
    /// Accounts with a verified address in the caller's mail domain may join by
    /// organization id.
    pub invite_own_domain: bool,
    pub attributes: Attributes,
}

#[derive(Debug, Clone)]
pub struct Created {
    pub organization: Organization,
    /// The caller's membership, if `join` was set.
    pub member: Option<MemberProfile>,
}

/// Creates an organization. The setting `organizations.creators` decides which callers
/// may; a key that is bound to one organization never may.
pub async fn create_organization(
    cx: &Context,
    call: &RequestContext,
    input: CreateOrganization,
) -> Result<Created> {
    if call.caller.bound_to().is_some() {
        return Err(Error::permission_denied(
            "this key is bound to one organization and cannot create another one",
        ));
    }
    may_create(cx.rules.creators, &call.caller)?;
    let invite_domains = if input.invite_own_domain { vec![own_domain(call)?] } else { Vec::new() };
    reject_public_domains(&invite_domains)?;
    cx.limits.organization(call.caller.account.id)?;

    let now = cx.now();
    let new = Organization {
        id: OrganizationId::generate(now),
        name: input.name,
        invite_domains,
        tier: Tier::Free,
        creator: call.caller.account.id,
        created_at: now,
        updated_at: now,
        version: 1,
        member_count: 0,
        seat_limit: cx.rules.default_seat_limit,
        next_member_end: None,
        attributes: input.attributes,
    };
    let call = call.clone();
    cx.store
        .write(change!(async move |tx| {
            let mut organization = new.clone();
            if let Some(id) = &organization.attributes.external_id
                && attributes::is_of_creator(tx, organization.creator, id).await?
            {
                return Err(external_id_taken());
            }
            organizations::insert(tx, &organization).await?;
            let event = NewEvent {
                action: Action::OrganizationCreated,
                data: EventData::organization(&organization, Vec::new()),
                organization: Some(organization.at_version()),
                actor: &call.actor(),
                note: String::new(),
            };
            audit_events::append(tx, event, now).await?;
            let member = if input.join {
                let account = accounts::lock_profile(tx, call.caller.account.id).await?;
                let admission = Admission {
                    account: &account.ok_or_else(account_is_gone)?,
                    role: Role::Admin,
                    by: JoinedBy::Creation,
                    invite: None,
                    reserved: None,
                    attributes: Attributes::default(),
                    expires_at: None,
                    actor: &call.actor(),
                };
                Some(admit(tx, &mut organization, admission, now).await?)
            } else {
                None
            };
            Ok(Created { organization, member })
        }))
        .await
}

fn may_create(creators: Creators, caller: &Caller) -> Result<()> {
    let is_operator = matches!(caller.scope(), Some(KeyScope::Operator | KeyScope::Act));
    match creators {
        Creators::Everyone => Ok(()),
        _ if is_operator => Ok(()),
        Creators::Verified if caller.account.profile.verified_email().is_some() => Ok(()),
        Creators::Verified => {
            let what =
                "only accounts with a verified address may create organizations on this server";
            Err(Error::permission_denied(what).with_reason(reason::EMAIL_UNVERIFIED))
        }
        Creators::Operators => {
            let what = "only the operators of this server may create organizations";
            Err(Error::permission_denied(what))
        }
    }
}

fn own_domain(call: &RequestContext) -> Result<EmailDomain> {
    call.caller.account.profile.verified_email().and_then(|email| email.domain()).ok_or_else(|| {
        Error::permission_denied("your account has no verified address at a mail domain")
            .with_reason(reason::EMAIL_UNVERIFIED)
    })
}
