//! Who owns an endpoint: an organization, whose admins manage it, or the deployment, whose
//! operators do.

use crate::domain::{
    Action, Actor, EventData, KeyScope, Organization, OrganizationId, Permission, Timestamp,
    Webhook, WebhookData, WebhookId,
};
use crate::error::{Error, Result};
use crate::operations::access::Access;
use crate::operations::{Context, RequestContext};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::webhooks::{self, SealedSecrets};
use crate::storage::{Change, Tx, organizations};

/// Names an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct WebhookRef {
    /// `None`: the deployment.
    pub organization: Option<OrganizationId>,
    pub id: WebhookId,
}

/// The owner of the endpoints that a transaction changes; `None`: the deployment.
pub(super) struct Owner(Option<Organization>);

/// Whether the caller is an operator of the whole deployment.
pub(super) fn is_operator(call: &RequestContext) -> bool {
    call.caller.scope() == Some(KeyScope::Operator) && call.caller.bound_to().is_none()
}

fn require_operator(call: &RequestContext) -> Result<()> {
    match is_operator(call) {
        true => Ok(()),
        false => Err(Error::permission_denied(
            "only a key of scope operator that is bound to no organization may manage the \
             webhooks of the deployment",
        )),
    }
}

/// Checks that the caller may read the endpoints of an owner; returns the organization.
///
/// # Errors
/// NOT_FOUND or PERMISSION_DENIED if not.
pub(super) async fn to_read(
    cx: &Context,
    call: &RequestContext,
    organization: Option<OrganizationId>,
) -> Result<Option<Organization>> {
    let Some(id) = organization else { return require_operator(call).map(|()| None) };
    let manage = Permission::ManageOrganization;
    let access = Access::to_read(cx.store.read(), &call.caller, id, manage, cx.now()).await?;
    Ok(Some(access.organization))
}

/// Runs a change of the endpoints of an owner.
pub(super) async fn write<T: Send + 'static>(
    cx: &Context,
    organization: Option<OrganizationId>,
    change: Change<T>,
) -> Result<T> {
    match organization {
        Some(organization) => cx.store.write_in(organization, change).await,
        None => cx.store.write(change).await,
    }
}

impl Owner {
    /// Locks the owner, if the caller may change its endpoints.
    ///
    /// # Errors
    /// As [`to_read`].
    pub async fn to_change(
        tx: &Tx,
        call: &RequestContext,
        organization: Option<OrganizationId>,
        now: Timestamp,
    ) -> Result<Self> {
        let Some(id) = organization else { return require_operator(call).map(|()| Self(None)) };
        let manage = Permission::ManageOrganization;
        let access = Access::to_change(tx, &call.caller, id, manage, now).await?;
        Ok(Self(Some(access.organization)))
    }

    /// A locked organization, or the deployment.
    pub fn of(organization: Option<Organization>) -> Self {
        Self(organization)
    }

    /// Locks the owner and one of its endpoints.
    ///
    /// # Errors
    /// As [`to_read`]; NOT_FOUND also if the owner has no such endpoint.
    pub async fn and_webhook(
        tx: &Tx,
        call: &RequestContext,
        of: WebhookRef,
        now: Timestamp,
    ) -> Result<(Self, Webhook, SealedSecrets)> {
        let owner = Self::to_change(tx, call, of.organization, now).await?;
        let found = webhooks::lock(tx, of.organization, of.id).await?;
        let (webhook, secrets) = found.ok_or_else(Error::not_found)?;
        Ok((owner, webhook, secrets))
    }

    /// Appends the event of a change, and raises the organization's version.
    pub async fn record(
        self,
        tx: &Tx,
        action: Action,
        webhook: &Webhook,
        changed: Vec<&'static str>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<()> {
        let version = match self.0 {
            Some(mut organization) => {
                organization.version += 1;
                let version = organization.at_version();
                organizations::set_version(tx, version).await?;
                Some(version)
            }
            None => None,
        };
        let event = NewEvent {
            action,
            note: changed.join(", "),
            data: EventData::Webhook(WebhookData::new(webhook, changed)),
            organization: version,
            actor,
        };
        audit_events::append(tx, event, now).await
    }
}
