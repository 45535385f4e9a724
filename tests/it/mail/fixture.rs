//! A store with an organization and an inviter, and a mailer that returns planned results.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use guestlist::clock::{Clock, OffsetClock};
use guestlist::config::Config;
use guestlist::domain::{
    Account, AccountId, AccountKind, Brand, Delivery, EndReason, Ending, Invite, InviteId,
    InviteKind, InviteState, InviteToken, JoinedBy, LoginProviderKind, Member, MemberId,
    MemberStatus, Organization, OrganizationId, Profile, Role, Tier, Timestamp,
};
use guestlist::keyring::{Keyring, Purpose};
use guestlist::mail::{Mail, Mailer, SendError, Templates};
use guestlist::storage::change;
use guestlist::storage::invites::StoredToken;
use guestlist::storage::{
    Location, Opener, Store, accounts, invites, members, organizations, outbox,
};
use guestlist::workers::mail::{Bounds, Counts, MailWorker};
use sea_orm::{ConnectionTrait, Statement};
use tokio::sync::Notify;

use crate::support::databases::pool;
use crate::support::{Database, Engine};

pub const BOUNDS: Bounds = Bounds {
    parallel: 4,
    timeout: Duration::from_secs(30),
    retry_after: Duration::from_secs(30),
    max_attempts: 3,
};

/// A store with one organization and one inviter, and its clock.
pub struct MailFixture {
    database: Database,
    pub store: Store,
    pub clock: OffsetClock,
    pub organization: Organization,
    pub inviter: Member,
    keyring: Arc<Keyring>,
}

/// A mailer that records its mails and returns planned results.
#[derive(Default)]
pub struct Recorder {
    /// Id, address and text of each mail.
    pub sent: Mutex<Vec<(String, String, String)>>,
    /// The results of `send`, in order; `Ok` afterwards.
    pub answers: Mutex<VecDeque<Result<(), SendError>>>,
    /// Whether each `send` waits for `release` before it returns.
    pub blocking: bool,
    pub release: Notify,
    /// Notified for every mail, when it is recorded.
    pub recorded: Notify,
}

#[async_trait]
impl Mailer for Recorder {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        let note = (mail.id.clone(), mail.to.to_string(), mail.text.clone());
        self.sent.lock().unwrap().push(note);
        self.recorded.notify_one();
        if self.blocking {
            self.release.notified().await;
        }
        answer
    }
}

impl Recorder {
    /// Returns these results first, and then accepts every mail.
    pub fn answering(answers: impl IntoIterator<Item = Result<(), SendError>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    /// Returns this result first. Each `send` waits for `release`.
    pub fn blocking(answer: Result<(), SendError>) -> Arc<Self> {
        Arc::new(Self { blocking: true, answers: Mutex::new([answer].into()), ..Self::default() })
    }

    /// The ids of the mails, in the order of sending.
    pub fn ids(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|(id, ..)| id.clone()).collect()
    }
}

pub fn permanent(reason: &str) -> Result<(), SendError> {
    Err(SendError::Permanent(reason.to_owned()))
}

pub fn temporary(reason: &str) -> Result<(), SendError> {
    Err(SendError::Temporary(reason.to_owned()))
}

impl MailFixture {
    pub async fn open(engine: Engine) -> Self {
        let database = Database::migrated(engine).await;
        let store =
            Store::open(&database.location(), &pool(), Opener::CommandLine, None).await.unwrap();
        store.migrate(change!(async |_| Ok(()))).await.unwrap();
        let clock = OffsetClock::default();
        let now = clock.now();
        let account = account(now);
        let organization = organization(account.id, now);
        let inviter = member(&organization, account.id, now);
        let (a, o, m) = (account, organization.clone(), inviter.clone());
        store
            .write(change!(async move |tx| {
                accounts::insert(tx, &a).await?;
                organizations::insert(tx, &o).await?;
                members::insert(tx, &m, &a.profile).await
            }))
            .await
            .unwrap();
        let keyring = Arc::new(Keyring::generate().unwrap());
        Self { database, store, clock, organization, inviter, keyring }
    }

    /// Action and target of every event, oldest first.
    pub async fn events(&self) -> Vec<(String, String)> {
        let connection = self.database.connect().await;
        let sql = "SELECT action, target_id FROM audit_events ORDER BY id";
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let rows = connection.query_all_raw(statement).await.unwrap();
        let text = |row: &sea_orm::QueryResult, column| row.try_get("", column).unwrap();
        let events = rows.iter().map(|row| (text(row, "action"), text(row, "target_id")));
        let events = events.collect();
        connection.close().await.unwrap();
        events
    }

    pub async fn close(self) {
        self.store.close().await.unwrap();
        self.database.remove().await;
    }

    /// Where the store is, for another replica.
    pub fn location(&self) -> Location {
        self.database.location()
    }

    /// A worker that delivers through `mailer`, as in each replica.
    pub fn worker(&self, mailer: Arc<dyn Mailer>) -> Arc<MailWorker> {
        self.reminding(mailer, &[])
    }

    /// The same, with reminders at these durations before an invitation expires.
    pub fn reminding(&self, mailer: Arc<dyn Mailer>, reminders: &[Duration]) -> Arc<MailWorker> {
        let mut config = Config::reference();
        config.public_url = Some("https://invites.example.com".into());
        Arc::new(MailWorker {
            store: self.store.clone(),
            clock: Arc::new(self.clock.clone()),
            keyring: Arc::clone(&self.keyring),
            templates: Templates::load(&config.mail, &Brand::built_in()).unwrap(),
            links: config.invite_links(config.listen).unwrap(),
            mailer,
            bounds: BOUNDS,
            reminders: reminders.to_vec(),
            counts: Counts::default(),
        })
    }

    /// Invites an address and enqueues its mail. Returns the invitation and its token.
    pub async fn invite(&self, email: &str) -> (Invite, InviteToken) {
        let now = self.clock.now();
        let token = InviteToken::generate().unwrap();
        let invite = Invite {
            id: InviteId::generate(now),
            organization: self.organization.id,
            kind: InviteKind::Email,
            role: Role::Developer,
            content: None,
            email: Some(email.parse().unwrap()),
            allowed_domains: Vec::new(),
            sso: false,
            requires_approval: false,
            member: Some(MemberId::generate(now)),
            note: String::new(),
            attributes: Default::default(),
            member_end: None,
            continue_url: None,
            locale: None,
            inviter: self.inviter.id,
            state: InviteState::Live,
            version: 1,
            expires_at: Some(now.plus(Duration::from_secs(7 * 24 * 60 * 60))),
            max_uses: Some(1),
            uses: 0,
            created_at: now,
            ending: None,
            delivery: Some(Delivery::Pending),
            reminders: 0,
        };
        let (new, stored) = (invite.clone(), Mutex::new(Some(self.seal(&invite, &token))));
        self.store
            .write(change!(async move |tx| {
                let stored = stored.lock().unwrap().take().expect("the change runs once");
                invites::insert(tx, &new, stored).await?;
                outbox::enqueue(tx, new.organization, new.id, None, now).await
            }))
            .await
            .unwrap();
        (invite, token)
    }

    /// Sends an invitation again, as the operation does. Returns the new token.
    pub async fn resend(&self, invite: &Invite) -> InviteToken {
        let now = self.clock.now();
        let token = InviteToken::generate().unwrap();
        let renewed = Invite { version: invite.version + 1, ..invite.clone() };
        let stored = Mutex::new(Some(self.seal(invite, &token)));
        self.store
            .write(change!(async move |tx| {
                let stored = stored.lock().unwrap().take().expect("the change runs once");
                invites::renew(tx, &renewed, stored).await?;
                outbox::enqueue(tx, renewed.organization, renewed.id, None, now).await
            }))
            .await
            .unwrap();
        token
    }

    /// Revokes an invitation.
    pub async fn revoke(&self, invite: &Invite) {
        let ending = Ending { at: self.clock.now(), by: None, reason: EndReason::Revoked };
        let (organization, id) = (invite.organization, invite.id);
        let ended = self
            .store
            .write(change!(async move |tx| invites::end_live(tx, organization, id, &ending).await))
            .await
            .unwrap();
        assert!(ended);
    }

    /// The delivery state that the invitation shows for its mail.
    pub async fn delivery(&self, invite: &Invite) -> Delivery {
        let found = invites::find(self.store.read(), invite.organization, invite.id).await;
        found.unwrap().unwrap().delivery.unwrap()
    }

    /// How many reminders were sent.
    pub async fn reminders(&self, invite: &Invite) -> u32 {
        let found = invites::find(self.store.read(), invite.organization, invite.id).await;
        found.unwrap().unwrap().reminders
    }

    /// How many mails wait now, as in the metrics.
    pub async fn waiting(&self) -> i64 {
        outbox::backlog(self.store.read(), self.clock.now()).await.unwrap().0
    }

    /// When the next mail is due.
    pub async fn next_due(&self) -> Option<Timestamp> {
        let connection = self.database.connect().await;
        let next = "SELECT MIN(next_attempt_at) AS next FROM outbox";
        let next = Statement::from_string(connection.get_database_backend(), next);
        let row = connection.query_one_raw(next).await.unwrap().unwrap();
        connection.close().await.unwrap();
        row.try_get::<Option<i64>>("", "next").unwrap().map(Timestamp::from_micros)
    }

    /// Advances the clock to just after the time the next mail is due; returns the time until then.
    pub async fn pass_to_next_due(&self) -> Duration {
        let due = self.next_due().await.expect("a mail waits");
        let micros = due.as_micros() - self.clock.now().as_micros();
        let pause = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        self.clock.advance(pause + Duration::from_millis(1));
        pause
    }

    fn seal(&self, invite: &Invite, token: &InviteToken) -> StoredToken {
        let aad = invite.id.to_string();
        let sealed = self.keyring.seal(Purpose::InviteToken, aad.as_bytes(), token.as_bytes());
        StoredToken { hash: token.hash(), sealed: sealed.unwrap() }
    }
}

fn account(now: Timestamp) -> Account {
    Account {
        id: AccountId::generate(now),
        issuer: "guestlist".into(),
        subject: "ana@example.com".into(),
        kind: AccountKind::Person,
        profile: Profile {
            email: Some("ana@example.com".parse().unwrap()),
            email_verified: true,
            name: "Ana".into(),
            picture: String::new(),
            login_provider: "api_key".into(),
            login_provider_kind: LoginProviderKind::Other,
        },
        created_at: now,
        updated_at: None,
    }
}

fn organization(creator: AccountId, now: Timestamp) -> Organization {
    Organization {
        id: OrganizationId::generate(now),
        name: "Acme".parse().unwrap(),
        invite_domains: Vec::new(),
        tier: Tier::Free,
        creator,
        created_at: now,
        updated_at: now,
        version: 1,
        member_count: 1,
        seat_limit: 0,
        next_member_end: None,
        attributes: Default::default(),
    }
}

fn member(organization: &Organization, account: AccountId, now: Timestamp) -> Member {
    Member {
        id: MemberId::generate(now),
        organization: organization.id,
        account,
        role: Role::Admin,
        status: MemberStatus::Active,
        joined_at: now,
        joined_by: JoinedBy::Creation,
        invite: None,
        attributes: Default::default(),
        expires_at: None,
        departure: None,
    }
}
