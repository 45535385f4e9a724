//! How the worker delivers a mail that is due.

use std::sync::Arc;
use std::time::Duration;

use guestlist::domain::Delivery;
use guestlist::workers::mail::{POLL_INTERVAL, run};
use guestlist::workers::schedule::Schedule;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::fixture::{BOUNDS, MailFixture, Recorder, permanent, temporary};
use crate::on_both_stores;

on_both_stores! {
    async fn a_mail_carries_the_link_and_is_marked_as_sent(fixture: MailFixture) {
        let (invite, token) = fixture.invite("zoe@example.com").await;
        let recorder = Arc::new(Recorder::default());
        assert_eq!(fixture.worker(recorder.clone()).deliver_due().await.unwrap(), 1);

        let (id, to, text) = recorder.sent.lock().unwrap().pop().unwrap();
        assert_eq!(id, format!("{}.1", invite.id));
        assert_eq!(to, "zoe@example.com");
        let link = format!("https://invites.example.com/invite#{}", token.expose());
        assert!(text.lines().any(|line| line == link), "{text}");
        assert!(text.contains("Ana invites you to join “Acme” as developer"), "{text}");
        assert_eq!(fixture.delivery(&invite).await, Delivery::Sent);
        assert_eq!(fixture.events().await, [("invite.mailed".to_owned(), invite.id.to_string())]);
        assert_eq!(fixture.next_due().await, None, "nothing waits any more");
    }

    async fn a_temporary_failure_is_retried_after_growing_pauses(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let recorder = Recorder::answering([temporary("busy"), temporary("busy")]);
        let worker = fixture.worker(recorder.clone());
        for least in [30, 60] {
            assert_eq!(worker.deliver_due().await.unwrap(), 1);
            assert_eq!(fixture.delivery(&invite).await, Delivery::Pending);
            assert_eq!(worker.deliver_due().await.unwrap(), 0, "not before its time");
            let pause = fixture.pass_to_next_due().await;
            let least = Duration::from_secs(least);
            // The clock is not stopped while the test runs.
            assert!(pause > least - Duration::from_secs(20) && pause <= 2 * least, "{pause:?}");
        }
        assert_eq!(worker.deliver_due().await.unwrap(), 1);
        assert_eq!(fixture.delivery(&invite).await, Delivery::Sent);
        let ids = recorder.ids();
        assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    async fn a_mail_that_always_fails_is_abandoned_with_a_reason(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let recorder = Recorder::answering((0..9).map(|_| temporary("the server is away")));
        let worker = fixture.worker(recorder.clone());
        for _ in 0..BOUNDS.max_attempts {
            assert_eq!(worker.deliver_due().await.unwrap(), 1);
            fixture.clock.advance(Duration::from_secs(24 * 60 * 60));
        }
        let reason = "failed after 3 attempts; the last error: the server is away";
        assert_eq!(fixture.delivery(&invite).await, Delivery::Failed(reason.into()));
        assert_eq!(fixture.events().await, [("invite.mail_failed".to_owned(), invite.id.to_string())]);
        assert_eq!(fixture.next_due().await, None);
        assert_eq!(worker.deliver_due().await.unwrap(), 0);
    }

    async fn a_permanent_rejection_is_not_retried(fixture: MailFixture) {
        let (refused, _) = fixture.invite("zoe@example.com").await;
        let (accepted, _) = fixture.invite("ben@example.com").await;
        let recorder = Recorder::answering([permanent("the mail server rejected the mail (550)")]);
        let mut worker = fixture.worker(recorder.clone());
        Arc::get_mut(&mut worker).unwrap().bounds.parallel = 1;
        assert_eq!(worker.deliver_due().await.unwrap(), 2);
        let failed = Delivery::Failed("the mail server rejected the mail (550)".into());
        assert_eq!(fixture.delivery(&refused).await, failed);
        assert_eq!(fixture.delivery(&accepted).await, Delivery::Sent);
        assert_eq!(fixture.next_due().await, None);
    }

    async fn an_invitation_that_ended_sends_no_mail(fixture: MailFixture) {
        let (revoked, _) = fixture.invite("zoe@example.com").await;
        fixture.revoke(&revoked).await;
        let (expired, _) = fixture.invite("ben@example.com").await;
        fixture.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
        let recorder = Arc::new(Recorder::default());
        assert_eq!(fixture.worker(recorder.clone()).deliver_due().await.unwrap(), 2);
        assert!(recorder.ids().is_empty());
        for invite in [revoked, expired] {
            let reason = "the invitation ended before it was sent";
            assert_eq!(fixture.delivery(&invite).await, Delivery::Failed(reason.into()));
        }
        assert_eq!(fixture.next_due().await, None);
    }

    async fn only_the_newest_mail_of_an_invitation_is_sent(fixture: MailFixture) {
        let (invite, old) = fixture.invite("zoe@example.com").await;
        let new = fixture.resend(&invite).await;
        let recorder = Arc::new(Recorder::default());
        assert_eq!(fixture.worker(recorder.clone()).deliver_due().await.unwrap(), 1);
        let sent = std::mem::take(&mut *recorder.sent.lock().unwrap());
        let [(id, _, text)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(*id, format!("{}.2", invite.id), "not the id of the first mail");
        assert!(text.contains(&new.expose()) && !text.contains(&old.expose()), "{text}");
    }

    async fn the_result_of_an_old_mail_does_not_change_a_resent_invitation(fixture: MailFixture) {
        for (name, answer) in
            [("zoe", Ok(())), ("ben", permanent("no")), ("cleo", temporary("busy"))]
        {
            let (invite, _) = fixture.invite(&format!("{name}@example.com")).await;
            let recorder = Recorder::blocking(answer);
            let worker = fixture.worker(recorder.clone());
            let slow = tokio::spawn(async move { worker.deliver_due().await });
            recorder.recorded.notified().await;
            fixture.resend(&invite).await;
            recorder.release.notify_one();
            // The worker continues with the newer mail, whose `send` waits for `release`.
            recorder.recorded.notified().await;
            assert_eq!(fixture.delivery(&invite).await, Delivery::Pending);
            recorder.release.notify_one();
            assert_eq!(slow.await.unwrap().unwrap(), 2);
            assert_eq!(recorder.ids(), [format!("{}.1", invite.id), format!("{}.2", invite.id)]);
            assert_eq!(fixture.delivery(&invite).await, Delivery::Sent);
        }
    }

    async fn new_mail_is_sent_at_once_and_the_worker_stops_cleanly(fixture: MailFixture) {
        let recorder = Arc::new(Recorder::default());
        let wakeup = Arc::new(Notify::new());
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let schedule = Schedule::new("mail", POLL_INTERVAL);
        let running = tokio::spawn(run(fixture.worker(recorder.clone()), schedule, wakeup.clone(), stopped));
        for name in ["zoe", "ben"] {
            let (invite, _) = fixture.invite(&format!("{name}@example.com")).await;
            wakeup.notify_one();
            // Without the wakeup the worker reads the queue only every five seconds.
            timeout(Duration::from_secs(3), recorder.recorded.notified()).await.expect("sent at once");
            assert_eq!(recorder.ids().last().unwrap(), &format!("{}.1", invite.id));
        }
        stop.send(()).unwrap();
        timeout(Duration::from_secs(4), running).await.expect("the worker stops").unwrap();
    }
}
