//! The delivery of one claimed notice.

use std::sync::atomic::Ordering;

use tracing::{Instrument, Span, info_span};
use uuid::Uuid;

use super::{NoticeWorker, PAUSE};
use crate::domain::{
    DomainState, EmailAddress, JoinRequestState, MemberStatus, NoticeKind, Organization, Role,
    Timestamp,
};
use crate::error::Result;
use crate::mail::{Change, Mail, Notice, NoticeTemplates, SendError};
use crate::storage::notices::Claimed;
use crate::storage::{accounts, change, domains, join_requests, members, notices, organizations};
use crate::telemetry::trace;
use crate::workers::backoff;

/// The next step for a claimed row.
enum Prepared {
    /// Send the mail, which reports requests up to this version of the organization.
    Send(Box<Mail>, i64),
    /// No requests are newer than those that earlier mails have reported.
    NothingNew,
    /// The mail is not needed any more.
    Discard,
}

/// The span of a delivery, a child of the span of the request that caused it.
fn span(notice: &Claimed) -> Span {
    if !trace::is_sampled(notice.trace) {
        return Span::none();
    }
    let span = info_span!(
        target: "otel::root",
        "notice",
        otel.kind = "consumer",
        guestlist.notice.kind = notice.topic.kind.as_str(),
        guestlist.attempts = notice.attempts,
    );
    trace::set_parent(&span, notice.trace, None);
    span
}

impl NoticeWorker {
    /// Sends, discards, postpones or gives up one mail. If the result cannot be stored, the mail
    /// is processed again when the claim expires.
    pub(super) async fn deliver(&self, notice: Claimed, claimant: Uuid) {
        let (id, kind) = (notice.id, notice.topic.kind.as_str());
        let span = span(&notice);
        if let Err(error) = self.try_deliver(&notice, claimant).instrument(span).await {
            tracing::warn!(
                ?error,
                notice = %id,
                kind,
                "cannot store the result of a notice; it is processed again when its claim expires"
            );
        }
    }

    async fn try_deliver(&self, claimed: &Claimed, claimant: Uuid) -> Result<()> {
        let (id, kind) = (claimed.id, claimed.topic.kind.as_str());
        let (outcome, told_version) = match self.prepare(claimed).await {
            Ok(Prepared::Send(mail, told_version)) => {
                (self.mail.mailer.send(&mail).await, told_version)
            }
            Ok(Prepared::NothingNew) => return self.close(claimed, claimant).await,
            Ok(Prepared::Discard) => return self.finish(claimed, claimant).await,
            Err(error) => {
                tracing::error!(?error, notice = %id, kind, "cannot render a notice; it is retried later");
                let reason = "the mail could not be rendered".to_owned();
                (Err(SendError::Temporary(reason)), claimed.told_version)
            }
        };
        let counts = &self.mail.counts;
        let attempts = claimed.attempts + 1;
        let given_up = i64::from(self.mail.bounds.max_attempts);
        match outcome {
            Ok(()) => {
                tracing::info!(notice = %id, kind, "a notice was sent");
                counts.sent.fetch_add(1, Ordering::Relaxed);
            }
            Err(SendError::Temporary(reason)) if attempts < given_up => {
                counts.postponed.fetch_add(1, Ordering::Relaxed);
                return self.postpone(claimed, claimant, &reason).await;
            }
            Err(SendError::Temporary(reason) | SendError::Permanent(reason)) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(notice = %id, kind, attempts, %reason, "a notice failed; it is not retried");
            }
        }
        match claimed.topic.kind {
            NoticeKind::RequestsWaiting => self.pause(claimed, claimant, told_version).await,
            NoticeKind::RequestDecided | NoticeKind::DomainLapsed => {
                self.finish(claimed, claimant).await
            }
        }
    }

    /// Renders the mail from what is stored now.
    async fn prepare(&self, claimed: &Claimed) -> Result<Prepared> {
        let Some(templates) = &self.templates else { return Ok(Prepared::Discard) };
        let (db, topic) = (self.mail.store.read(), claimed.topic);
        let Some(organization) = organizations::find(db, topic.organization).await? else {
            return Ok(Prepared::Discard);
        };
        let Some(to) = self.address(claimed).await? else { return Ok(Prepared::Discard) };
        match topic.kind {
            NoticeKind::RequestsWaiting => {
                let (count, newest) = join_requests::waiting(db, organization.id).await?;
                if newest <= claimed.told_version {
                    return Ok(Prepared::NothingNew);
                }
                let change = Change::RequestsWaiting(count);
                let mail = self.render(templates, claimed, &organization, &to, change)?;
                Ok(Prepared::Send(Box::new(mail), newest))
            }
            NoticeKind::RequestDecided => {
                let found = join_requests::find(db, organization.id, topic.subject.into()).await?;
                let Some(request) = found else { return Ok(Prepared::Discard) };
                let change = match (request.state, &request.decision) {
                    (JoinRequestState::Approved, _) => Change::RequestApproved,
                    (JoinRequestState::Denied, Some(decision)) => Change::RequestDenied {
                        reason: &decision.reason,
                        ask_again_at: decision.ask_again_at,
                    },
                    _ => return Ok(Prepared::Discard),
                };
                let mail = self.render(templates, claimed, &organization, &to, change)?;
                Ok(Prepared::Send(Box::new(mail), 0))
            }
            NoticeKind::DomainLapsed => {
                let found = domains::find(db, organization.id, topic.subject.into()).await?;
                let lapsed = found.filter(|domain| domain.state == DomainState::Lapsed);
                let Some(domain) = lapsed else { return Ok(Prepared::Discard) };
                let change = Change::DomainLapsed(&domain.name);
                let mail = self.render(templates, claimed, &organization, &to, change)?;
                Ok(Prepared::Send(Box::new(mail), 0))
            }
        }
    }

    /// The verified address of the recipient; `None` if a mail is for an admin and the recipient is
    /// no longer an active admin.
    async fn address(&self, claimed: &Claimed) -> Result<Option<EmailAddress>> {
        let (db, organization) = (self.mail.store.read(), claimed.topic.organization);
        if claimed.topic.kind != NoticeKind::RequestDecided {
            let member = members::current(db, organization, claimed.recipient).await?;
            let now = self.mail.clock.now();
            let is_admin = member.is_some_and(|member| {
                member.role == Role::Admin
                    && member.status == MemberStatus::Active
                    && member.is_current(now)
            });
            if !is_admin {
                return Ok(None);
            }
        }
        let Some(mut account) = accounts::find(db, claimed.recipient).await? else {
            return Ok(None);
        };
        self.issuers.limit(&mut account);
        Ok(account.profile.verified_email().cloned())
    }

    fn render(
        &self,
        templates: &NoticeTemplates,
        claimed: &Claimed,
        organization: &Organization,
        to: &EmailAddress,
        change: Change<'_>,
    ) -> Result<Mail> {
        let notice = Notice {
            id: claimed.id,
            version: claimed.told_version,
            to,
            organization: &organization.name,
            change,
            console: self.console.as_deref(),
        };
        templates.render(&notice, self.mail.clock.now())
    }

    /// Keeps the row, so that the next mail of its topic is not sent before the end of the pause.
    async fn pause(&self, claimed: &Claimed, claimant: Uuid, told_version: i64) -> Result<()> {
        let until = self.mail.clock.now().plus(PAUSE);
        self.renew(claimed, claimant, told_version, until).await
    }

    async fn renew(
        &self,
        claimed: &Claimed,
        claimant: Uuid,
        told_version: i64,
        until: Timestamp,
    ) -> Result<()> {
        let id = claimed.id;
        let renewed =
            change!(async move |tx| notices::renew(tx, id, claimant, told_version, until).await);
        self.mail.store.write(renewed).await
    }

    /// Removes the row if earlier mails have reported all waiting requests to the admin. A new
    /// request does not add a row while there is one. So if a newer request waits, the row stays
    /// and its mail is due now.
    async fn close(&self, claimed: &Claimed, claimant: Uuid) -> Result<()> {
        let (id, told_version, of) = (claimed.id, claimed.told_version, claimed.topic.organization);
        let now = self.mail.clock.now();
        let closed = change!(async move |tx| {
            organizations::lock(tx, of).await?;
            let (_, newest) = join_requests::waiting(tx, of).await?;
            match newest > told_version {
                true => notices::renew(tx, id, claimant, told_version, now).await,
                false => notices::finish(tx, id, claimant).await,
            }
        });
        self.mail.store.write_in(of, closed).await
    }

    async fn finish(&self, claimed: &Claimed, claimant: Uuid) -> Result<()> {
        let id = claimed.id;
        let finished = change!(async move |tx| notices::finish(tx, id, claimant).await);
        self.mail.store.write(finished).await
    }

    async fn postpone(&self, claimed: &Claimed, claimant: Uuid, reason: &str) -> Result<()> {
        let pause = backoff::doubling(self.mail.bounds.retry_after, claimed.attempts);
        let (id, kind) = (claimed.id, claimed.topic.kind.as_str());
        tracing::warn!(notice = %id, kind, %reason, ?pause, "a notice is retried after a pause");
        let until = self.mail.clock.now().plus(pause);
        let postponed = change!(async move |tx| notices::postpone(tx, id, claimant, until).await);
        self.mail.store.write(postponed).await
    }
}
