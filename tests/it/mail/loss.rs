//! Several replicas share one outbox: no mail is sent twice, and a crash loses none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guestlist::domain::Delivery;
use guestlist::storage::{Opener, Store};

use super::post::{BOUNDS, MailFixture, Recorder, permanent};
use crate::on_both_stores;
use crate::support::databases::pool;

const MAILS: usize = 120;

on_both_stores! {
    async fn two_couriers_send_each_mail_once(post: MailFixture) {
        let mut expected = BTreeSet::new();
        for n in 0..MAILS {
            let (invite, _) = post.invite(&format!("p{n}@example.com")).await;
            expected.insert(format!("{}.1", invite.id));
        }
        let recorder = Arc::new(Recorder::default());
        let location = post.location();
        let other = Store::open(&location, &pool(), Opener::CommandLine, None).await.unwrap();
        let one = post.courier(recorder.clone());
        let mut two = post.courier(recorder.clone());
        Arc::get_mut(&mut two).unwrap().store = other.clone();
        let (one, two) = tokio::join!(
            tokio::spawn(async move { one.deliver_due().await.unwrap() }),
            tokio::spawn(async move { two.deliver_due().await.unwrap() }),
        );
        assert_eq!(one.unwrap() + two.unwrap(), MAILS);
        let ids = recorder.ids();
        assert_eq!(ids.len(), MAILS, "each mail is sent once");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(post.next_due().await, None);
        other.close().await.unwrap();
    }

    async fn a_crash_between_sending_and_marking_sends_the_same_mail_again(post: MailFixture) {
        let (invite, token) = post.invite("zoe@example.com").await;
        let crashing = Recorder::silent(Ok(()));
        let courier = post.courier(crashing.clone());
        let crashed = tokio::spawn(async move { courier.deliver_due().await });
        crashing.told.notified().await;
        crashed.abort();
        assert!(crashed.await.unwrap_err().is_cancelled());

        let recorder = Arc::new(Recorder::default());
        let courier = post.courier(recorder.clone());
        assert_eq!(courier.deliver_due().await.unwrap(), 0, "the claim is still valid");
        assert_eq!(post.delivery(&invite).await, Delivery::Pending);
        post.clock.advance(BOUNDS.timeout + Duration::from_secs(61));
        assert_eq!(courier.deliver_due().await.unwrap(), 1, "the claim has expired");
        assert_eq!(recorder.ids(), crashing.ids(), "the same Message-ID");
        let (_, _, text) = recorder.sent.lock().unwrap().pop().unwrap();
        assert!(text.contains(&token.expose()));
        assert_eq!(post.delivery(&invite).await, Delivery::Sent);
    }

    async fn who_was_too_slow_no_longer_decides(post: MailFixture) {
        let (invite, _) = post.invite("zoe@example.com").await;
        let slow = Recorder::silent(permanent("no"));
        let courier = post.courier(slow.clone());
        let first = tokio::spawn(async move { courier.deliver_due().await });
        slow.told.notified().await;
        post.clock.advance(BOUNDS.timeout + Duration::from_secs(61));
        let recorder = Arc::new(Recorder::default());
        assert_eq!(post.courier(recorder.clone()).deliver_due().await.unwrap(), 1);
        assert_eq!(recorder.ids(), slow.ids());
        slow.release.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(post.delivery(&invite).await, Delivery::Sent);
    }
}
