//! The delivery of one claimed mail.

use uuid::Uuid;

use super::{MailWorker, pauses};
use crate::domain::{Action, Actor, Delivery, Invite, TargetKind};
use crate::error::Result;
use crate::mail::{Invitation, Mail, Refusal};
use crate::operations::invites::unseal;
use crate::storage::audit_events::{self, NewEvent};
use crate::storage::{accounts, invites, members, organizations, outbox};

/// What is done with a claimed mail.
enum Next {
    /// It is sent.
    Send(Box<Mail>),
    /// Nobody wants it any more, and why if its invitation should say so.
    Drop(Option<String>),
}

impl MailWorker {
    /// Delivers one mail, or decides what becomes of it. What the store does not
    /// take down is done again when the claim has run out.
    pub(super) async fn deliver(&self, mail: outbox::Claimed, claimant: Uuid) {
        let invite = mail.invite;
        if let Err(error) = self.try_deliver(mail, claimant).await {
            tracing::warn!(?error, %invite, "an invitation's mail is not dealt with; later");
        }
    }

    async fn try_deliver(&self, claimed: outbox::Claimed, claimant: Uuid) -> Result<()> {
        let outcome = match self.prepare(&claimed, claimant).await {
            Ok(Next::Send(mail)) => self.mailer.send(&mail).await,
            Ok(Next::Drop(why)) => {
                tracing::info!(invite = %claimed.invite, "an invitation's mail is not wanted any more");
                return self.finish(&claimed, claimant, why.map(Delivery::Failed)).await;
            }
            Err(error) => {
                tracing::error!(?error, invite = %claimed.invite, "an invitation's mail cannot be written");
                Err(Refusal::Temporary("the mail could not be written".to_owned()))
            }
        };
        match outcome {
            Ok(()) => {
                tracing::info!(invite = %claimed.invite, "an invitation was sent");
                self.finish(&claimed, claimant, Some(Delivery::Sent)).await
            }
            Err(Refusal::Permanent(reason)) => self.give_up(&claimed, claimant, reason).await,
            Err(Refusal::Temporary(reason)) => {
                let tries = claimed.attempts + 1;
                if tries < i64::from(self.bounds.max_attempts) {
                    return self.postpone(&claimed, claimant, &reason).await;
                }
                let reason = format!("given up after {tries} tries; the last time, {reason}");
                self.give_up(&claimed, claimant, reason).await
            }
        }
    }

    /// Writes the mail, if the invitation lets somebody in and this is its newest
    /// mail.
    async fn prepare(&self, claimed: &outbox::Claimed, claimant: Uuid) -> Result<Next> {
        let (db, now) = (self.store.read(), self.clock.now());
        let found = invites::find_with_token(db, claimed.organization, claimed.invite).await?;
        let Some((invite, sealed)) = found else {
            return Ok(Next::Drop(None));
        };
        let (true, Some(email)) = (invite.is_live(now), &invite.email) else {
            return Ok(Next::Drop(Some("the invitation ended before it was sent".to_owned())));
        };
        // After the token was read: a newer token has a newer row.
        if !outbox::is_held(db, claimed.id, claimant).await? {
            return Ok(Next::Drop(None));
        }
        let Some(organization) = organizations::find(db, invite.organization).await? else {
            return Ok(Next::Drop(None));
        };
        let token = unseal(&self.keyring, &invite, &sealed)?;
        let invitation = Invitation {
            id: invite.id,
            version: invite.version,
            email,
            organization: &organization.name,
            inviter: &self.name_of_inviter(&invite).await?,
            role: invite.role,
            link: &self.links.link(&token),
            expires_at: invite.expires_at,
        };
        Ok(Next::Send(Box::new(self.templates.render(&invitation, now)?)))
    }

    async fn name_of_inviter(&self, invite: &Invite) -> Result<String> {
        let db = self.store.read();
        let Some(member) = members::find(db, invite.organization, invite.inviter).await? else {
            return Ok(String::new());
        };
        let account = accounts::find(db, member.account).await?;
        Ok(account.map(|account| account.profile.name).unwrap_or_default())
    }

    /// Takes the mail out of the outbox, and says so on its invitation unless that
    /// has been sent again.
    async fn finish(
        &self,
        claimed: &outbox::Claimed,
        claimant: Uuid,
        delivery: Option<Delivery>,
    ) -> Result<()> {
        let (id, invite, organization) = (claimed.id, claimed.invite, claimed.organization);
        let now = self.clock.now();
        self.store
            .write(async move |tx| {
                let held = outbox::finish(tx, id, claimant).await?;
                let Some(delivery) = delivery.as_ref().filter(|_| held) else { return Ok(()) };
                invites::set_delivery(tx, invite, delivery).await?;
                let event = NewEvent {
                    action: match delivery {
                        Delivery::Failed(_) => Action::InviteMailFailed,
                        _ => Action::InviteMailed,
                    },
                    target_kind: TargetKind::Invite,
                    target_id: invite.to_string(),
                    organization: Some(organization),
                    actor: &Actor::system("mail"),
                    note: String::new(),
                };
                audit_events::append(tx, event, now).await
            })
            .await
    }

    async fn give_up(
        &self,
        claimed: &outbox::Claimed,
        claimant: Uuid,
        reason: String,
    ) -> Result<()> {
        tracing::warn!(invite = %claimed.invite, %reason, "an invitation's mail is given up");
        self.finish(claimed, claimant, Some(Delivery::Failed(reason))).await
    }

    async fn postpone(
        &self,
        claimed: &outbox::Claimed,
        claimant: Uuid,
        reason: &str,
    ) -> Result<()> {
        let pause = pauses::after(self.bounds.retry_after, claimed.attempts);
        tracing::warn!(invite = %claimed.invite, %reason, ?pause, "an invitation's mail waits");
        let (id, until) = (claimed.id, self.clock.now().plus(pause));
        self.store.write(async move |tx| outbox::postpone(tx, id, claimant, until).await).await
    }
}
