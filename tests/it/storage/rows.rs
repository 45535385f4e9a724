//! The store returns each row as it was written: with every field set, and with every optional
//! field empty.

use std::time::Duration;

use guestlist::domain::{
    Account, AccountId, AccountKind, ApiKey, ApiKeySecret, Attributes, AuditEventId, ContentGrant,
    ContentKind, Delivery, Departure, Disabling, DisablingReason, DomainChallenge, DomainId,
    DomainMode, DomainState, Invite, InviteId, InviteKind, InviteState, InviteToken, JoinedBy,
    KeyScope, LoginProviderKind, Member, MemberEnd, MemberId, MemberStatus, Metadata,
    MetadataChanges, Organization, OrganizationDomain, OrganizationId, Profile, Role, Tier,
    Timestamp, Webhook, WebhookId,
};
use guestlist::storage::change;
use guestlist::storage::webhook_deliveries::{FailedAttempt, NewDelivery};
use guestlist::storage::{
    Opener, Store, accounts, api_keys, domains, invites, member_lists, members, organizations,
    webhook_deliveries, webhooks,
};

use crate::support::databases::pool;
use crate::support::{Database, Engine};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000 + 123_456)
}

fn account(full: bool) -> Account {
    let text = |text: &str| if full { text.to_owned() } else { String::new() };
    Account {
        id: AccountId::generate(at(1)),
        issuer: text("https://id.example/ü"),
        subject: text("s|1"),
        kind: if full { AccountKind::Service } else { AccountKind::Person },
        profile: Profile {
            email: full.then(|| "ana@acme.com".parse().unwrap()),
            email_verified: full,
            name: text("Ana 🦀 \"O'Hara\" \\ %_"),
            picture: text("https://pics.example/1"),
            login_provider: text("google"),
            login_provider_kind: if full {
                LoginProviderKind::Google
            } else {
                LoginProviderKind::Other
            },
        },
        created_at: at(1),
        updated_at: full.then(|| at(2)),
    }
}

fn attributes(full: bool) -> Attributes {
    let pairs = [("plan", "pro \"x\" \\ 🦀 %_'"), ("a.b-c_D", "é")];
    let pairs = pairs.into_iter().filter(|_| full);
    let changes = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let changes = MetadataChanges::new(changes).unwrap();
    Attributes {
        metadata: Metadata::default().merged(&changes).unwrap(),
        external_id: full.then(|| "crm|7 'ü'".parse().unwrap()),
    }
}

fn organization(full: bool, creator: AccountId) -> Organization {
    let domains = ["acme.com", "xn--bcher-kva.example"];
    Organization {
        id: OrganizationId::generate(at(2)),
        name: "Acme '\"; DROP TABLE members; --".parse().unwrap(),
        invite_domains: domains.iter().filter(|_| full).map(|d| d.parse().unwrap()).collect(),
        tier: if full { Tier::FreeOna } else { Tier::Free },
        creator,
        created_at: at(2),
        updated_at: at(3),
        version: if full { i64::MAX } else { 0 },
        member_count: if full { i64::MAX } else { 0 },
        seat_limit: if full { i64::MAX } else { 0 },
        next_member_end: full.then(|| at(10)),
        attributes: attributes(full),
    }
}

fn member(full: bool, organization: OrganizationId, account: AccountId) -> Member {
    Member {
        id: MemberId::generate(at(4)),
        organization,
        account,
        role: if full { Role::Guest } else { Role::Admin },
        status: if full { MemberStatus::Left } else { MemberStatus::Suspended },
        joined_at: at(4),
        joined_by: if full { JoinedBy::Invite } else { JoinedBy::Creation },
        invite: full.then(|| InviteId::generate(at(4))),
        attributes: attributes(full),
        expires_at: full.then(|| at(11)),
        departure: full.then(|| Departure { at: at(5), removed: true, version: 7 }),
    }
}

async fn round_trip(store: &Store, full: bool) {
    let account = account(full);
    let organization = organization(full, account.id);
    let member = member(full, organization.id, account.id);
    let invite = Invite {
        id: InviteId::generate(at(6)),
        organization: organization.id,
        kind: InviteKind::JoinLink,
        role: Role::Developer,
        inviter: member.id,
        state: InviteState::Live,
        version: 3,
        expires_at: full.then(|| at(9)),
        max_uses: full.then_some(i64::MAX),
        uses: if full { 5 } else { 0 },
        created_at: at(6),
        content: full.then(|| ContentGrant {
            kind: ContentKind::Collection,
            id: "c-1_X".parse().unwrap(),
            level: Role::Review,
        }),
        email: full.then(|| "zoe@xn--bcher-kva.example".parse().unwrap()),
        allowed_domains: organization.invite_domains.clone(),
        sso: full,
        requires_approval: full,
        member: full.then(|| MemberId::generate(at(6))),
        note: if full { "für Zoë\n🦀".into() } else { String::new() },
        ending: None,
        attributes: attributes(full),
        member_end: full.then(|| MemberEnd::After(Duration::from_micros(86_400_000_001))),
        continue_url: full.then(|| "https://app.acme.com/?a=b#c".parse().unwrap()),
        locale: full.then(|| "zh-Hant-TW".parse().unwrap()),
        delivery: full.then(|| Delivery::Failed("550 no such user".into())),
        reminders: u32::from(full),
    };
    let (token, secret) = (InviteToken::generate().unwrap(), ApiKeySecret::generate().unwrap());
    let key = ApiKey {
        id: secret.id().clone(),
        hash: secret.hash(),
        account: account.id,
        scope: full.then_some(KeyScope::Act),
        organization: full.then_some(organization.id),
        created_at: at(7),
        expires_at: full.then(|| at(8)),
        revoked_at: full.then(|| at(9)),
        last_used_at: full.then(|| at(10)),
    };
    let sealed: Vec<u8> = (0..=255).collect();
    let webhook = Webhook {
        id: WebhookId::generate(at(11)),
        organization: full.then_some(organization.id),
        url: "https://example.com/hooks".into(),
        description: if full { "für Zoë\n🦀".into() } else { String::new() },
        event_types: ["member.left", "invite.created"]
            .iter()
            .filter(|_| full)
            .map(|&kind| kind.to_owned())
            .collect(),
        disabled: full.then(|| Disabling { at: at(12), reason: DisablingReason::Gone }),
        first_failure_at: None,
        previous_secret_ends_at: full.then(|| at(13)),
        created_at: at(11),
        updated_at: if full { at(12) } else { at(11) },
    };
    let domain = OrganizationDomain {
        id: DomainId::generate(at(16)),
        organization: organization.id,
        name: "xn--bcher-kva.example".parse().unwrap(),
        challenge: DomainChallenge::generate().unwrap(),
        mode: if full { DomainMode::Automatic } else { DomainMode::InviteOnly },
        state: if full { DomainState::Lapsed } else { DomainState::Pending },
        created_at: at(16),
        verified_at: full.then(|| at(17)),
        checked_at: full.then(|| at(18)),
        missing_since: full.then(|| at(19)),
    };
    let d = domain.clone();
    let w = webhook.clone();
    let (a, o, m, i, k, s) = (
        account.clone(),
        organization.clone(),
        member.clone(),
        invite.clone(),
        key.clone(),
        sealed.clone(),
    );
    store
        .write(change!(async move |tx| {
            accounts::insert(tx, &a).await?;
            organizations::insert(tx, &o).await?;
            members::insert(tx, &m, &a.profile).await?;
            let stored = invites::StoredToken { hash: token.hash(), sealed: s.clone() };
            invites::insert(tx, &i, stored).await?;
            api_keys::insert(tx, &k).await?;
            domains::insert(tx, &d).await?;
            webhooks::insert(tx, &w, s.clone(), None).await?;
            if let Some(disabling) = w.disabled {
                webhooks::disable(tx, w.id, disabling).await?;
                webhooks::set_secret(tx, w.id, vec![1], (s.clone(), at(13)), at(12)).await?;
            }
            let delivery = NewDelivery {
                event: AuditEventId::generate(at(14)),
                event_type: "member.left".into(),
                failed: full.then(|| FailedAttempt {
                    at: at(14),
                    next_at: at(15),
                    status: Some(500),
                    reason: "no".into(),
                    answer: "🦀".into(),
                }),
            };
            webhook_deliveries::insert(tx, w.id, vec![delivery], at(14)).await
        }))
        .await
        .unwrap();

    let db = store.read();
    assert_eq!(accounts::find(db, account.id).await.unwrap().as_ref(), Some(&account));
    let found = accounts::find_by_subject(db, &account.issuer, &account.subject).await.unwrap();
    assert_eq!(found.as_ref(), Some(&account));
    let found = organizations::find(db, organization.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&organization));
    let found = members::find(db, organization.id, member.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&member));
    let found = invites::find_by_token(db, &token.hash()).await.unwrap();
    assert_eq!(found, Some((invite.clone(), organization.clone())));
    let found = invites::join_link(db, organization.id).await.unwrap();
    assert_eq!(found, Some((invite, sealed)));
    let (found, owner) = api_keys::find(db, &key.id).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{key:?}"));
    assert!(found.hash.matches(&key.hash));
    assert_eq!(owner, account);
    let found = domains::find(db, organization.id, domain.id).await.unwrap();
    assert_eq!(found, Some(domain));
    let found = webhooks::find_with_secrets(db, webhook.organization, webhook.id).await.unwrap();
    let (found, secrets) = found.unwrap();
    assert_eq!(found, webhook);
    assert_eq!(secrets.previous.is_some(), full);
    let delivery = webhook_deliveries::page(db, webhook.id, None, 9).await.unwrap().remove(0);
    assert_eq!((delivery.attempts, delivery.status), (i64::from(full), full.then_some(500)));
    assert_eq!(delivery.last_attempt_at, full.then(|| at(14)));
    assert_eq!(delivery.next_attempt_at, Some(if full { at(15) } else { at(14) }));
    assert_eq!((delivery.reason.is_empty(), delivery.answer.is_empty()), (!full, !full));
    let filter =
        member_lists::MemberFilter { statuses: MemberStatus::ALL.to_vec(), ..Default::default() };
    assert_eq!(member_lists::count(db, organization.id, &filter, None).await.unwrap(), 1);
}

async fn check_round_trips(engine: Engine) {
    let database = Database::migrated(engine).await;
    let store =
        Store::open(&database.location(), &pool(), Opener::CommandLine, None).await.unwrap();
    store.migrate(change!(async |_| Ok(()))).await.unwrap();
    round_trip(&store, true).await;
    round_trip(&store, false).await;
    store.close().await.unwrap();
    database.remove().await;
}

mod every_entity_is_read_as_it_was_written {
    use super::{Engine, check_round_trips};

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        check_round_trips(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        check_round_trips(Engine::Postgres).await;
    }
}
