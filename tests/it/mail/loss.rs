//! Several replicas share one outbox: no mail is sent twice, and a crash loses none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guestlist::domain::Delivery;
use guestlist::storage::{Opener, Store};

use super::fixture::{BOUNDS, MailFixture, Recorder, permanent};
use crate::on_both_stores;
use crate::support::databases::pool;

const MAILS: usize = 120;

on_both_stores! {
    async fn two_workers_send_each_mail_once(fixture: MailFixture) {
        let mut expected = BTreeSet::new();
        for n in 0..MAILS {
            let (invite, _) = fixture.invite(&format!("p{n}@example.com")).await;
            expected.insert(format!("{}.1", invite.id));
        }
        let recorder = Arc::new(Recorder::default());
        let location = fixture.location();
        let other = Store::open(&location, &pool(), Opener::CommandLine, None).await.unwrap();
        let one = fixture.worker(recorder.clone());
        let mut two = fixture.worker(recorder.clone());
        Arc::get_mut(&mut two).unwrap().store = other.clone();
        let (one, two) = tokio::join!(
            tokio::spawn(async move { one.deliver_due().await.unwrap() }),
            tokio::spawn(async move { two.deliver_due().await.unwrap() }),
        );
        assert_eq!(one.unwrap() + two.unwrap(), MAILS);
        let ids = recorder.ids();
        assert_eq!(ids.len(), MAILS, "each mail is sent once");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(fixture.next_due().await, None);
        other.close().await.unwrap();
    }

    async fn a_crash_before_the_result_is_stored_sends_the_same_mail_again(fixture: MailFixture) {
        let (invite, token) = fixture.invite("zoe@example.com").await;
        let crashing = Recorder::blocking(Ok(()));
        let worker = fixture.worker(crashing.clone());
        let crashed = tokio::spawn(async move { worker.deliver_due().await });
        crashing.recorded.notified().await;
        crashed.abort();
        assert!(crashed.await.unwrap_err().is_cancelled());

        let recorder = Arc::new(Recorder::default());
        let worker = fixture.worker(recorder.clone());
        assert_eq!(worker.deliver_due().await.unwrap(), 0, "the claim is still valid");
        assert_eq!(fixture.delivery(&invite).await, Delivery::Pending);
        fixture.clock.advance(BOUNDS.timeout + Duration::from_secs(61));
        assert_eq!(worker.deliver_due().await.unwrap(), 1, "the claim has expired");
        assert_eq!(recorder.ids(), crashing.ids(), "the same Message-ID");
        let (_, _, text) = recorder.sent.lock().unwrap().pop().unwrap();
        assert!(text.contains(&token.expose()));
        assert_eq!(fixture.delivery(&invite).await, Delivery::Sent);
    }

    async fn a_worker_that_lost_its_claim_cannot_store_the_result(fixture: MailFixture) {
        let (invite, _) = fixture.invite("zoe@example.com").await;
        let slow = Recorder::blocking(permanent("no"));
        let worker = fixture.worker(slow.clone());
        let first = tokio::spawn(async move { worker.deliver_due().await });
        slow.recorded.notified().await;
        fixture.clock.advance(BOUNDS.timeout + Duration::from_secs(61));
        let recorder = Arc::new(Recorder::default());
        assert_eq!(fixture.worker(recorder.clone()).deliver_due().await.unwrap(), 1);
        assert_eq!(recorder.ids(), slow.ids());
        slow.release.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(fixture.delivery(&invite).await, Delivery::Sent);
    }
}
