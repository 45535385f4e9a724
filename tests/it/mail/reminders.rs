//! Reminders of pending invitations: three days and one day before they expire.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use guestlist::domain::{Delivery, Invite};

use super::fixture::{MailFixture, Recorder, permanent, temporary};
use crate::support::{TestApp, gitpod, own};
use crate::{on_both_engines_with, on_both_stores};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const REMINDERS: [Duration; 2] = [Duration::from_secs(3 * 24 * 60 * 60), DAY];

fn ids(invite: &Invite, numbers: &[&str]) -> Vec<String> {
    numbers.iter().map(|number| format!("{}.{number}", invite.id)).collect()
}

on_both_stores! {
    async fn each_reminder_is_sent_once_at_its_time_by_one_of_the_servers(fixture: MailFixture) {
        let (invite, token) = fixture.invite("zoe@example.com").await;
        let recorder = Arc::new(Recorder::default());
        let servers = [fixture.reminding(recorder.clone(), &REMINDERS), fixture.reminding(recorder.clone(), &REMINDERS)];
        let work = async || {
            let done = join_all(servers.iter().map(|server| server.deliver_due())).await;
            done.into_iter().map(Result::unwrap).sum::<usize>()
        };
        assert_eq!(work().await, 1);
        assert_eq!(fixture.waiting().await, 0, "a reminder counts as waiting only from its time on");
        for (days, sent) in [(3, 0), (1, 1), (1, 0), (1, 1)] {
            fixture.clock.advance(days * DAY);
            assert_eq!(work().await, sent);
        }
        assert_eq!(recorder.ids(), ids(&invite, &["1", "1.1", "1.2"]));
        let sent = std::mem::take(&mut *recorder.sent.lock().unwrap());
        let is_reminder = |text: &str| text.contains("This is a reminder. Ana invites you");
        let are_reminders: Vec<bool> = sent.iter().map(|(_, _, text)| is_reminder(text)).collect();
        assert_eq!(are_reminders, [false, true, true]);
        assert!(sent.iter().all(|(_, _, text)| text.contains(&token.expose())));
        assert_eq!((fixture.delivery(&invite).await, fixture.reminders(&invite).await), (Delivery::Sent, 2));
        assert_eq!(fixture.events().await, vec![("invite.mailed".to_owned(), invite.id.to_string()); 3]);
        fixture.clock.advance(DAY);
        assert_eq!((work().await, fixture.next_due().await), (0, None));
    }

    async fn a_reminder_whose_time_has_passed_is_left_out(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let recorder = Arc::new(Recorder::default());
        let worker = fixture.reminding(recorder.clone(), &REMINDERS);
        // The invitation's own mail is late.
        fixture.clock.advance(5 * DAY);
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        fixture.clock.advance(DAY);
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        assert_eq!(recorder.ids(), ids(&invite, &["1", "1.2"]));
        // The first reminder is late.
        let (invite, _) = fixture.invite("ben@example.com").await;
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        fixture.clock.advance(6 * DAY + DAY / 2);
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        assert_eq!(recorder.ids()[2..], ids(&invite, &["1", "1.1"]));
        assert_eq!(fixture.next_due().await, None);
    }

    async fn a_resent_invitation_restarts_its_reminders(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let recorder = Arc::new(Recorder::default());
        let worker = fixture.reminding(recorder.clone(), &REMINDERS);
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        fixture.clock.advance(4 * DAY);
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        assert_eq!(fixture.reminders(&invite).await, 1);
        let renewed = Invite { expires_at: invite.expires_at.map(|end| end.plus(4 * DAY)), ..invite.clone() };
        let token = fixture.resend(&renewed).await;
        assert_eq!(fixture.reminders(&invite).await, 0);
        for days in [0, 4, 2] {
            fixture.clock.advance(days * DAY);
            assert_eq!(worker.deliver_due().await.unwrap(), 1);
        }
        assert_eq!(recorder.ids(), ids(&invite, &["1", "1.1", "2", "2.1", "2.2"]));
        let last = recorder.sent.lock().unwrap().pop().unwrap();
        assert!(last.2.contains(&token.expose()));
    }

    async fn an_ended_invitation_sends_no_reminder(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let recorder = Arc::new(Recorder::default());
        let worker = fixture.reminding(recorder.clone(), &REMINDERS);
        worker.deliver_due().await.unwrap();
        fixture.revoke(&invite).await;
        fixture.clock.advance(4 * DAY);
        worker.deliver_due().await.unwrap();
        assert_eq!(recorder.ids(), ids(&invite, &["1"]));
        assert_eq!(fixture.delivery(&invite).await, Delivery::Sent, "the invitation's mail was sent");
        assert_eq!(fixture.next_due().await, None);
    }

    async fn a_failed_reminder_is_retried_then_abandoned(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let recorder = Recorder::answering([Ok(()), temporary("busy"), permanent("no such user")]);
        let worker = fixture.reminding(recorder.clone(), &REMINDERS);
        worker.deliver_due().await.unwrap();
        fixture.clock.advance(4 * DAY);
        worker.deliver_due().await.unwrap();
        assert_eq!(fixture.delivery(&invite).await, Delivery::Sent);
        fixture.pass_to_next_due().await;
        worker.deliver_due().await.unwrap();
        assert_eq!(recorder.ids(), ids(&invite, &["1", "1.1", "1.1"]));
        assert_eq!(fixture.delivery(&invite).await, Delivery::Failed("no such user".into()));
        assert_eq!((fixture.reminders(&invite).await, fixture.next_due().await), (0, None));
    }
}

fn reminding(config: &mut guestlist::config::Config) {
    config.invites.reminders = vec![guestlist::config::Before(DAY)];
}

/// What happens to an invitation before its reminder is due. All but the last end it.
const ENDS: [&str; 7] =
    ["accept", "decline", "revoke", "delete", "join", "inviter's end", "nothing"];

async fn until(app: &TestApp, sql: &str, expected: i64) {
    while app.database.count(sql).await != expected {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ends_stop_reminders(app: &TestApp) {
    let mailed = "SELECT count(*) FROM audit_events WHERE action = 'invite.mailed'";
    let reminders = "SELECT count(*) FROM outbox WHERE reminder = 1";
    let mut invited = Vec::new();
    for end in ENDS {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let by = if end == "inviter's end" { &org.member } else { &org.admin };
        let invite = by.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        invited.push((end, org, invite.invite.unwrap().id));
    }
    let moved = app.organization().await;
    let invite = moved.admin.invite_address(&moved.id, "zoe@example.com", "read").await.unwrap();
    let invite = invite.invite.unwrap().id;
    until(app, mailed, 8).await;
    assert_eq!(app.database.count(reminders).await, 8);
    for (end, org, id) in &invited {
        let (organization, id) = (&org.id, id.clone());
        match *end {
            "accept" => {
                let accept = own::AcceptRequest { invitation: id };
                org.stranger.accept_invitation(accept).await.unwrap();
            }
            "decline" => {
                let decline = own::DeclineRequest { invitation: id, request_id: String::new() };
                org.stranger.decline_invite(decline).await.unwrap();
            }
            "revoke" => drop(org.admin.revoke(organization, &id).await.unwrap()),
            "delete" => org.admin.delete(organization).await.unwrap(),
            "join" => {
                let token = org.admin.current_invite(organization).await.unwrap();
                org.stranger.join(&token).await.unwrap();
            }
            "inviter's end" => {
                let end = app.in_the_future(5 * DAY);
                org.admin.set_end(organization, &org.member_id, end).await.unwrap();
            }
            _ => {}
        }
    }
    // If the expiry changes, the time of the reminder changes, too.
    let update = own::UpdateRequest {
        organization_id: moved.id.clone(),
        id: invite.clone(),
        expire_time: app.in_the_future(2 * DAY),
        ..Default::default()
    };
    moved.admin.update_invite(update).await.unwrap();
    app.clock.advance(DAY + DAY / 4);
    until(app, mailed, 9).await;
    assert_eq!(moved.admin.invite_by_id(&moved.id, &invite).await.unwrap().reminders_sent, 1);

    // All other reminders are due. No reminder is sent for an invitation that has ended.
    app.clock.advance(5 * DAY);
    until(app, "SELECT count(*) FROM outbox", 0).await;
    assert_eq!(app.database.count(mailed).await, 10);
    for (end, org, id) in &invited {
        if *end != "delete" {
            let sent = org.admin.invite_by_id(&org.id, id).await.unwrap().reminders_sent;
            assert_eq!(sent, u32::from(*end == "nothing"), "{end}");
        }
    }
}

on_both_engines_with! {
    reminding;
    all_that_ends_an_invitation_stops_its_reminders: ends_stop_reminders;
}
