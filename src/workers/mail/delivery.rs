//! The delivery of one claimed mail.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{Instrument, Span, info_span};
use uuid::Uuid;

use super::MailWorker;
use crate::domain::{
    Action, Actor, Delivery, EventData, Invite, InviteData, InviteId, OrganizationId, Timestamp,
};
use crate::error::Result;
use crate::mail::{Invitation, Mail, SendError};
use crate::operations::invites::{inviter_membership_expired, unseal};
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::change;
use crate::storage::{Tx, accounts, invites, members, organizations, outbox};
use crate::telemetry::trace;
use crate::workers::backoff;

enum Prepared {
    Send(Box<Mail>),
    /// The mail is not needed any more. The reason is stored in the invitation, if there is
    /// one.
    Discard(Option<String>),
}

/// Enqueues the next reminder of an invitation, if one is to be sent before it expires. The
/// reminders are numbered from 1; `last` is the number of the mail that was sent just now.
async fn remind(
    tx: &Tx,
    (organization, id): (OrganizationId, InviteId),
    last: u32,
    reminders: &[Duration],
    now: Timestamp,
) -> Result<()> {
    if reminders.is_empty() {
        return Ok(());
    }
    let invite = invites::find(tx, organization, id).await?;
    let live = invite.filter(|invite| invite.is_live(now));
    let Some(end) = live.and_then(|invite| invite.expires_at) else { return Ok(()) };
    // A reminder whose time has passed is left out, to avoid two mails at once.
    let next = (1..).zip(reminders).filter(|(number, _)| *number > last);
    let next = next.map(|(number, before)| (number, end.minus(*before)));
    match next.into_iter().find(|(_, due)| now < *due) {
        Some(next) => outbox::enqueue_reminder(tx, organization, id, next, now).await,
        None => Ok(()),
    }
}

/// The span of a delivery, a child of the span of the request that caused the mail.
fn span(mail: &outbox::Claimed) -> Span {
    if !trace::is_sampled(mail.trace) {
        return Span::none();
    }
    let span = info_span!(
        target: "otel::root",
        "mail",
        otel.kind = "consumer",
        guestlist.invite.id = %mail.invite,
        guestlist.attempts = mail.attempts,
    );
    trace::set_parent(&span, mail.trace, None);
    span
}

impl MailWorker {
    /// Sends, discards, postpones or fails one mail. If the result cannot be stored, the
    /// mail is processed again when the claim expires.
    pub(super) async fn deliver(&self, mail: outbox::Claimed, claimant: Uuid) {
        let invite = mail.invite;
        let span = span(&mail);
        if let Err(error) = self.try_deliver(mail, claimant).instrument(span).await {
            tracing::warn!(
                ?error,
                %invite,
                "cannot store the result of an invitation's mail; the mail is processed again \
                 when its claim expires"
            );
        }
    }

    async fn try_deliver(&self, claimed: outbox::Claimed, claimant: Uuid) -> Result<()> {
        let outcome = match self.prepare(&claimed, claimant).await {
            Ok(Prepared::Send(mail)) => self.mailer.send(&mail).await,
            Ok(Prepared::Discard(why)) => {
                tracing::info!(invite = %claimed.invite, "an invitation's mail is discarded: the invitation ended or was sent again");
                return self.finish(&claimed, claimant, why.map(Delivery::Failed)).await;
            }
            Err(error) => {
                tracing::error!(?error, invite = %claimed.invite, "cannot render an invitation's mail; it is retried later");
                Err(SendError::Temporary("the mail could not be rendered".to_owned()))
            }
        };
        match outcome {
            Ok(()) => {
                tracing::info!(invite = %claimed.invite, "an invitation was sent");
                self.counts.sent.fetch_add(1, Ordering::Relaxed);
                self.finish(&claimed, claimant, Some(Delivery::Sent)).await
            }
            Err(SendError::Permanent(reason)) => self.fail(&claimed, claimant, reason).await,
            Err(SendError::Temporary(reason)) => {
                let attempts = claimed.attempts + 1;
                if attempts < i64::from(self.bounds.max_attempts) {
                    return self.postpone(&claimed, claimant, &reason).await;
                }
                let reason = format!("failed after {attempts} attempts; the last error: {reason}");
                self.fail(&claimed, claimant, reason).await
            }
        }
    }

    /// Renders the mail, if the invitation is live and has not been sent again.
    async fn prepare(&self, claimed: &outbox::Claimed, claimant: Uuid) -> Result<Prepared> {
        let (db, now) = (self.store.read(), self.clock.now());
        let found = invites::find_with_token(db, claimed.organization, claimed.invite).await?;
        let Some((invite, sealed)) = found else {
            return Ok(Prepared::Discard(None));
        };
        // If an invitation ends before its reminder, no reason is stored: the invitation itself was
        // sent.
        let ended = || {
            let why = "the invitation ended before it was sent";
            Prepared::Discard((claimed.reminder == 0).then(|| why.to_owned()))
        };
        let (true, Some(email)) = (invite.is_live(now), &invite.email) else {
            return Ok(ended());
        };
        // Checked after the token was read: sending again creates a new token and a new row,
        // so a held claim proves that the token is current.
        if !outbox::is_held(db, claimed.id, claimant).await? {
            return Ok(Prepared::Discard(None));
        }
        let Some(organization) = organizations::find(db, invite.organization).await? else {
            return Ok(Prepared::Discard(None));
        };
        if inviter_membership_expired(db, &organization, &invite, now).await? {
            return Ok(ended());
        }
        let token = unseal(&self.keyring, &invite, &sealed)?;
        let invitation = Invitation {
            id: invite.id,
            version: invite.version,
            reminder: claimed.reminder,
            email,
            organization: &organization.name,
            inviter: &self.name_of_inviter(&invite).await?,
            role: invite.role,
            link: &self.links.link(&token),
            expires_at: invite.expires_at,
            locale: invite.locale.as_ref(),
        };
        Ok(Prepared::Send(Box::new(self.templates.render(&invitation, now)?)))
    }

    async fn name_of_inviter(&self, invite: &Invite) -> Result<String> {
        let db = self.store.read();
        let Some(member) = members::find(db, invite.organization, invite.inviter).await? else {
            return Ok(String::new());
        };
        let account = accounts::find(db, member.account).await?;
        Ok(account.map(|account| account.profile.name).unwrap_or_default())
    }

    /// Removes the mail from the outbox and stores `delivery` in its invitation, unless the
    /// invitation has been sent again.
    async fn finish(
        &self,
        claimed: &outbox::Claimed,
        claimant: Uuid,
        delivery: Option<Delivery>,
    ) -> Result<()> {
        let (id, invite, organization) = (claimed.id, claimed.invite, claimed.organization);
        let (reminder, reminders) = (claimed.reminder, self.reminders.clone());
        let now = self.clock.now();
        self.store
            .write(change!(async move |tx| {
                let found = organizations::lock(tx, organization).await?;
                let held = outbox::finish(tx, id, claimant).await?;
                let (Some(delivery), Some(mut organization)) = (&delivery, found) else {
                    return Ok(());
                };
                if !held {
                    return Ok(());
                }
                organization.version += 1;
                organizations::set_version(tx, organization.at_version()).await?;
                invites::set_delivery(tx, invite, delivery).await?;
                if *delivery == Delivery::Sent {
                    if reminder > 0 {
                        invites::set_reminders(tx, invite, reminder).await?;
                    }
                    remind(tx, (organization.id, invite), reminder, &reminders, now).await?;
                }
                let event = NewEvent {
                    action: match delivery {
                        Delivery::Failed(_) => Action::InviteMailFailed,
                        _ => Action::InviteMailed,
                    },
                    data: EventData::Invite(InviteData::of_id(invite)),
                    organization: Some(organization.at_version()),
                    actor: &Actor::system("mail"),
                    note: if reminder == 0 {
                        String::new()
                    } else {
                        format!("reminder {reminder}")
                    },
                };
                audit_events::append(tx, event, now).await
            }))
            .await
    }

    async fn fail(&self, claimed: &outbox::Claimed, claimant: Uuid, reason: String) -> Result<()> {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(invite = %claimed.invite, %reason, "an invitation's mail failed; it is not retried");
        self.finish(claimed, claimant, Some(Delivery::Failed(reason))).await
    }

    async fn postpone(
        &self,
        claimed: &outbox::Claimed,
        claimant: Uuid,
        reason: &str,
    ) -> Result<()> {
        self.counts.postponed.fetch_add(1, Ordering::Relaxed);
        let pause = backoff::doubling(self.bounds.retry_after, claimed.attempts);
        tracing::warn!(invite = %claimed.invite, %reason, ?pause, "an invitation's mail is retried after a pause");
        let (id, until) = (claimed.id, self.clock.now().plus(pause));
        self.store
            .write(change!(async move |tx| outbox::postpone(tx, id, claimant, until).await))
            .await
    }
}
