//! Which notice is sent when. The tests advance a clock and use a mailer that returns planned
//! results.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guestlist::auth::Issuers;
use guestlist::clock::Clock;
use guestlist::config::Config;
use guestlist::domain::{
    Account, AccountId, Actor, Brand, Decision, JoinRequest, JoinRequestId, JoinRequestState,
    Member, MemberId, MemberStatus, Profile, Role,
};
use guestlist::mail::{Mailer, NoticeTemplates};
use guestlist::operations::notices::{enqueue_request_decided, enqueue_requests_waiting};
use guestlist::storage::{
    Opener, Store, accounts, change, join_requests, members, notices, organizations,
};
use guestlist::workers::notices::{NoticeWorker, PAUSE};

use super::fixture::{BOUNDS, MailFixture, Recorder, permanent, temporary};
use crate::on_both_stores;
use crate::support::databases::pool;

const MINUTE: Duration = Duration::from_secs(60);

/// Addresses and texts of the mails since the last call.
fn take_sent(recorder: &Recorder) -> Vec<(String, String)> {
    let sent = std::mem::take(&mut *recorder.sent.lock().unwrap());
    sent.into_iter().map(|(_, to, text)| (to, text)).collect()
}

/// The text of the one mail since the last call.
fn take_one_text(recorder: &Recorder) -> String {
    let mut sent = take_sent(recorder);
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent.remove(0).1
}

impl MailFixture {
    /// A worker that sends notices through `mailer`, as in each replica.
    fn notifier(&self, mailer: Arc<dyn Mailer>) -> Arc<NoticeWorker> {
        let config = Config::reference();
        Arc::new(NoticeWorker {
            mail: self.worker(mailer),
            issuers: Arc::new(Issuers::new(&config.issuers)),
            templates: Some(NoticeTemplates::load(&config.mail, &Brand::built_in()).unwrap()),
            console: Some("https://invites.example.com/console".to_owned()),
        })
    }

    /// An account with this name and the address `{name}@example.com`.
    async fn account(&self, name: &str, email_verified: bool) -> AccountId {
        let ana = accounts::find(self.store.read(), self.inviter.account).await.unwrap().unwrap();
        let email = format!("{name}@example.com");
        let new = Account {
            id: AccountId::generate(self.clock.now()),
            subject: email.clone(),
            profile: Profile {
                email: Some(email.parse().unwrap()),
                email_verified,
                name: name.to_owned(),
                ..ana.profile.clone()
            },
            ..ana
        };
        let id = new.id;
        let made = change!(async move |tx| accounts::insert(tx, &new).await);
        self.store.write(made).await.unwrap();
        id
    }

    /// A member of the organization, besides Ana.
    async fn member(&self, name: &str, verified: bool, role: Role, status: MemberStatus) -> Member {
        let account = self.account(name, verified).await;
        let member = Member {
            id: MemberId::generate(self.clock.now()),
            account,
            role,
            status,
            ..self.inviter.clone()
        };
        let (profile, new) = (
            accounts::find(self.store.read(), account).await.unwrap().unwrap().profile,
            member.clone(),
        );
        let made = change!(async move |tx| members::insert(tx, &new, &profile).await);
        self.store.write(made).await.unwrap();
        member
    }

    /// A new account requests to join, as by the operation.
    async fn request_to_join(&self) -> JoinRequest {
        let account = self.account(&uuid::Uuid::new_v4().simple().to_string(), true).await;
        let (now, of) = (self.clock.now(), self.organization.id);
        let change = change!(async move |tx| {
            let mut organization = organizations::lock(tx, of).await?.expect("it exists");
            organization.version += 1;
            organizations::set_version(tx, organization.at_version()).await?;
            let request = JoinRequest {
                id: JoinRequestId::generate(now),
                organization: of,
                account,
                state: JoinRequestState::Pending,
                invite: None,
                version: organization.version,
                created_at: now,
                decision: None,
                member: None,
            };
            join_requests::insert(tx, &request).await?;
            enqueue_requests_waiting(tx, of, &Actor::system("test"), now).await?;
            Ok(request)
        });
        self.store.write_in(of, change).await.unwrap()
    }

    /// Decides a request, as the operations do.
    async fn decide(&self, request: JoinRequest, state: JoinRequestState, reason: &str) {
        let (now, of) = (self.clock.now(), request.organization);
        let decision = Decision { reason: reason.to_owned(), ..Decision::at(now) };
        let decided = request.decided(state, decision);
        let decided = change!(async move |tx| {
            organizations::lock(tx, of).await?;
            join_requests::decide(tx, &decided).await?;
            enqueue_request_decided(tx, &decided, &Actor::system("test"), now).await
        });
        self.store.write_in(of, decided).await.unwrap();
    }

    /// Withdraws a request. No mail is enqueued.
    async fn withdraw(&self, request: JoinRequest) {
        let now = self.clock.now();
        let withdrawn = request.decided(JoinRequestState::Withdrawn, Decision::at(now));
        let withdrawn = change!(async move |tx| join_requests::decide(tx, &withdrawn).await);
        self.store.write(withdrawn).await.unwrap();
    }

    /// How many rows the queue has, due or not.
    async fn notices_waiting(&self) -> i64 {
        notices::backlog(self.store.read(), self.clock.now().plus(2 * PAUSE)).await.unwrap().0
    }
}

on_both_stores! {
    async fn admins_get_a_mail_at_once_and_then_at_most_one_an_hour(fixture: MailFixture) {
        let recorder = Arc::new(Recorder::default());
        let notifier = fixture.notifier(recorder.clone());
        let first = fixture.request_to_join().await;
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        let text = take_one_text(&recorder);
        assert!(text.contains("1 person asks to join “Acme”"), "{text}");
        let link = "https://invites.example.com/console";
        assert!(text.lines().any(|line| line == link), "{text}");

        fixture.request_to_join().await;
        fixture.clock.advance(58 * MINUTE);
        fixture.request_to_join().await;
        assert_eq!(notifier.send_due().await.unwrap(), 0, "not within the hour");
        let backlog = notices::backlog(fixture.store.read(), fixture.clock.now()).await.unwrap();
        assert_eq!(backlog, (0, None), "a row that is not due yet does not count as waiting");
        fixture.clock.advance(3 * MINUTE);
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        let text = take_one_text(&recorder);
        assert!(text.contains("3 people ask to join “Acme”"), "{text}");

        // An hour later there is no new request, so no mail about the old ones is sent.
        fixture.clock.advance(PAUSE + MINUTE);
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        assert_eq!((take_sent(&recorder).len(), fixture.notices_waiting().await), (0, 0));

        // So the mail about the next request is sent at once. It also counts those that still wait.
        fixture.withdraw(first).await;
        fixture.request_to_join().await;
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        let text = take_one_text(&recorder);
        assert!(text.contains("3 people ask to join “Acme”"), "{text}");
    }

    async fn no_mail_is_sent_about_a_decided_request(fixture: MailFixture) {
        let recorder = Arc::new(Recorder::default());
        let notifier = fixture.notifier(recorder.clone());
        let request = fixture.request_to_join().await;
        fixture.withdraw(request).await;
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        assert_eq!((take_sent(&recorder).len(), fixture.notices_waiting().await), (0, 0));

        fixture.request_to_join().await;
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        take_one_text(&recorder);
        let second = fixture.request_to_join().await;
        fixture.withdraw(second).await;
        fixture.clock.advance(PAUSE + MINUTE);
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        assert_eq!((take_sent(&recorder).len(), fixture.notices_waiting().await), (0, 0));
    }

    async fn only_active_admins_with_a_verified_address_get_the_mail(fixture: MailFixture) {
        fixture.member("bea", true, Role::Admin, MemberStatus::Active).await;
        fixture.member("dev", true, Role::Developer, MemberStatus::Active).await;
        fixture.member("sue", true, Role::Admin, MemberStatus::Suspended).await;
        fixture.member("una", false, Role::Admin, MemberStatus::Active).await;
        // These two are no longer active admins when their mails are sent.
        let dora = fixture.member("dora", true, Role::Admin, MemberStatus::Active).await;
        let sam = fixture.member("sam", true, Role::Admin, MemberStatus::Active).await;
        fixture.request_to_join().await;
        let of = fixture.organization.id;
        let ended = change!(async move |tx| {
            members::set_role(tx, of, dora.id, Role::Member).await?;
            members::set_status(tx, of, sam.id, MemberStatus::Suspended).await
        });
        fixture.store.write(ended).await.unwrap();
        let recorder = Arc::new(Recorder::default());
        assert_eq!(fixture.notifier(recorder.clone()).send_due().await.unwrap(), 4);
        let recipients: BTreeSet<String> = take_sent(&recorder).into_iter().map(|(to, _)| to).collect();
        let expected = ["ana@example.com", "bea@example.com"].map(str::to_owned);
        assert_eq!(recipients, expected.into());
        assert_eq!(fixture.notices_waiting().await, 2, "only the rows of sent mails stay");
    }

    async fn two_replicas_send_each_notice_once(fixture: MailFixture) {
        let mut expected = BTreeSet::from(["ana@example.com".to_owned()]);
        for n in 0..60 {
            fixture.member(&format!("a{n}"), true, Role::Admin, MemberStatus::Active).await;
            expected.insert(format!("a{n}@example.com"));
        }
        fixture.request_to_join().await;
        let recorder = Arc::new(Recorder::default());
        let other = Store::open(&fixture.location(), &pool(), Opener::CommandLine, None).await.unwrap();
        let one = fixture.notifier(recorder.clone());
        let mut two = fixture.notifier(recorder.clone());
        let mail = Arc::get_mut(&mut Arc::get_mut(&mut two).unwrap().mail).unwrap();
        mail.store = other.clone();
        let (one, two) = tokio::join!(
            tokio::spawn(async move { one.send_due().await.unwrap() }),
            tokio::spawn(async move { two.send_due().await.unwrap() }),
        );
        assert_eq!(one.unwrap() + two.unwrap(), expected.len());
        let recipients: Vec<String> = take_sent(&recorder).into_iter().map(|(to, _)| to).collect();
        assert_eq!(recipients.len(), expected.len(), "each notice is sent once");
        assert_eq!(recipients.into_iter().collect::<BTreeSet<_>>(), expected);
        other.close().await.unwrap();
    }

    async fn a_request_during_a_delivery_is_in_the_next_mail(fixture: MailFixture) {
        fixture.request_to_join().await;
        let slow = Recorder::blocking(Ok(()));
        let notifier = fixture.notifier(slow.clone());
        let sending = tokio::spawn(async move { notifier.send_due().await });
        slow.recorded.notified().await;
        fixture.request_to_join().await;
        slow.release.notify_one();
        assert_eq!(sending.await.unwrap().unwrap(), 1);
        assert!(take_one_text(&slow).contains("1 person asks"));
        let recorder = Arc::new(Recorder::default());
        let notifier = fixture.notifier(recorder.clone());
        assert_eq!(notifier.send_due().await.unwrap(), 0);
        fixture.clock.advance(PAUSE + MINUTE);
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        assert!(take_one_text(&recorder).contains("2 people ask"));
    }

    async fn a_failed_notice_is_retried_then_abandoned(fixture: MailFixture) {
        fixture.request_to_join().await;
        let attempts = usize::try_from(BOUNDS.max_attempts).unwrap();
        let recorder = Recorder::answering((0..attempts).map(|_| temporary("busy")));
        let notifier = fixture.notifier(recorder.clone());
        for _ in 0..attempts {
            assert_eq!(notifier.send_due().await.unwrap(), 1);
            assert_eq!(notifier.send_due().await.unwrap(), 0, "not before a pause");
            fixture.clock.advance(5 * MINUTE);
        }
        let ids = recorder.ids();
        assert!(ids.len() == attempts && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(notifier.send_due().await.unwrap(), 0, "it was given up");
        let numbers = notifier.mail.numbers();
        let expected = (0, u64::try_from(attempts - 1).unwrap(), 1);
        assert_eq!((numbers.sent, numbers.postponed, numbers.failed), expected);
        take_sent(&recorder);

        // After the hour a new request is mailed again, together with the old one.
        fixture.request_to_join().await;
        fixture.clock.advance(PAUSE);
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        assert!(take_one_text(&recorder).contains("2 people ask"));
    }

    async fn a_crash_before_the_result_is_stored_sends_the_same_mail_again(fixture: MailFixture) {
        fixture.request_to_join().await;
        let crashing = Recorder::blocking(Ok(()));
        let notifier = fixture.notifier(crashing.clone());
        let crashed = tokio::spawn(async move { notifier.send_due().await });
        crashing.recorded.notified().await;
        crashed.abort();
        assert!(crashed.await.unwrap_err().is_cancelled());
        let recorder = Arc::new(Recorder::default());
        let notifier = fixture.notifier(recorder.clone());
        assert_eq!(notifier.send_due().await.unwrap(), 0, "the claim is still valid");
        fixture.clock.advance(BOUNDS.timeout + Duration::from_secs(61));
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        assert_eq!(recorder.ids(), crashing.ids(), "the same Message-ID");
    }

    async fn the_requester_gets_one_mail_about_the_decision(fixture: MailFixture) {
        let recorder = Recorder::answering([permanent("no such mailbox")]);
        let notifier = fixture.notifier(recorder.clone());
        let requests = [fixture.request_to_join().await, fixture.request_to_join().await, fixture.request_to_join().await];
        // This is the mail to Ana. Her mail server rejects it.
        assert_eq!(notifier.send_due().await.unwrap(), 1);
        take_sent(&recorder);
        let reason = "You left.\nAsk at https://evil.example/x?y” or evil.example";
        let [approved, denied, plain] = requests;
        fixture.decide(approved, JoinRequestState::Approved, "").await;
        fixture.decide(denied, JoinRequestState::Denied, reason).await;
        fixture.decide(plain, JoinRequestState::Denied, "").await;
        assert_eq!(notifier.send_due().await.unwrap(), 3);
        let texts: Vec<String> = take_sent(&recorder).into_iter().map(|(_, text)| text).collect();
        let text = |part: &str| -> Vec<&String> {
            texts.iter().filter(|text| text.contains(part)).collect()
        };
        let shown = "The reason: “You left. Ask at https: //evil. example/x?y\" or evil. example”";
        assert_eq!((texts.len(), text(shown).len()), (3, 1), "{texts:?}");
        assert_eq!(text("Your request to join “Acme” was approved").len(), 1, "{texts:?}");
        assert_eq!(text("Your request to join “Acme” was denied.").len(), 2, "{texts:?}");
        assert!(texts.iter().all(|text| !text.contains("://")), "{texts:?}");
        // Only Ana's row is left, which waits for the end of its pause.
        assert_eq!((notifier.send_due().await.unwrap(), fixture.notices_waiting().await), (0, 1));
    }

    async fn disabled_notices_are_deleted_and_not_sent(fixture: MailFixture) {
        let request = fixture.request_to_join().await;
        fixture.decide(request, JoinRequestState::Denied, "").await;
        let recorder = Arc::new(Recorder::default());
        let mut notifier = fixture.notifier(recorder.clone());
        Arc::get_mut(&mut notifier).unwrap().templates = None;
        assert_eq!(notifier.send_due().await.unwrap(), 2);
        assert_eq!((take_sent(&recorder).len(), fixture.notices_waiting().await), (0, 0));
    }
}
