//! Mails about changes. They are enqueued in the transaction of the change.

use uuid::Uuid;

use crate::domain::{
    Actor, JoinRequest, NoticeKind, OrganizationDomain, OrganizationId, Timestamp,
};
use crate::error::Result;
use crate::storage::Tx;
use crate::storage::notices::{self, Topic};

/// The most admins that get a mail.
const MAX_ADMINS: u64 = 100;

/// Enqueues mails to the admins that requests to join wait. An admin who got such a mail within the
/// last hour gets the next one later. The organization's row must be locked.
pub async fn enqueue_requests_waiting(
    tx: &Tx,
    organization: OrganizationId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let (kind, subject) = (NoticeKind::RequestsWaiting, Uuid::from(organization));
    enqueue_for_admins(tx, Topic { organization, kind, subject }, actor, now).await
}

/// Enqueues mails to the admins that a domain has lapsed. The organization's row must be locked.
pub async fn enqueue_domain_lapsed(
    tx: &Tx,
    domain: &OrganizationDomain,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let (kind, subject) = (NoticeKind::DomainLapsed, Uuid::from(domain.id));
    let topic = Topic { organization: domain.organization, kind, subject };
    enqueue_for_admins(tx, topic, actor, now).await
}

/// Enqueues a mail to the account of a request that the request was approved or denied. The
/// organization's row must be locked.
pub async fn enqueue_request_decided(
    tx: &Tx,
    request: &JoinRequest,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let (kind, subject) = (NoticeKind::RequestDecided, Uuid::from(request.id));
    let topic = Topic { organization: request.organization, kind, subject };
    notices::enqueue(tx, topic, vec![request.account], actor.trace, now).await
}

async fn enqueue_for_admins(tx: &Tx, topic: Topic, actor: &Actor, now: Timestamp) -> Result<()> {
    let admins = notices::admins(tx, topic.organization, MAX_ADMINS, now).await?;
    notices::enqueue(tx, topic, admins, actor.trace, now).await
}
