//! One short change deletes a large organization; its rows are removed later, in parts.

use guestlist::clock::Clock;
use guestlist::domain::{AccountId, KeyScope, Organization, OrganizationId, Tier, Timestamp};
use guestlist::operations::invites::end_expired;
use guestlist::operations::keys::{CreateKey, Owner, create_key};
use guestlist::operations::organizations::remove_deleted;
use guestlist::storage::change;
use guestlist::storage::{Store, Tx, organizations, removals, settings};

use super::commit::store;
use crate::on_both_engines;
use crate::support::{Code, Database, Engine, TestApp};

const TABLES: [&str; 6] = ["grants", "notices", "outbox", "invites", "members", "removals"];

/// So many rows of each kind that one part cannot remove them all.
const MANY: u32 = 1200;

/// The number of rows that a part may remove.
const PART: i64 = 500;

async fn rows(database: &Database) -> i64 {
    let mut rows = 0;
    for table in TABLES {
        rows += database.count(&format!("SELECT count(*) FROM {table}")).await;
    }
    rows
}

on_both_engines! {
    async fn p09_a_deleted_large_organization_is_inaccessible_at_once(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let gus = app.person("gus").await;
        let mailed = org.admin.invite_address(&org.id, "gus@example.com", "read").await.unwrap();
        let mailed = mailed.invite.unwrap().id;
        let owner = || Owner::Email { email: "ben@example.com".parse().unwrap(), name: None };
        let bound = app.key(owner(), None, Some(org.domain_id())).await;
        app.database.crowd(&org.id, MANY).await;
        org.admin.delete(&org.id).await.unwrap();

        assert!(rows(&app.database).await > i64::from(MANY), "the short change leaves the rows");
        assert_eq!(org.admin.delete(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.admin.get(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.get(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.invite(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.preview(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.join(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.join(&token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(gus.join(&mailed).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.join_by_id(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.member.end(&org.member_id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(bound.get(&org.id).await.unwrap_err().code, Code::Unauthenticated);
        for person in [&org.admin, &org.member] {
            let mine = person.list_my_organizations(Default::default()).await.unwrap();
            assert_eq!(mine.organizations, []);
        }
        let input = CreateKey {
            owner: owner(),
            organization: Some(org.domain_id()),
            scope: None,
            expires_in: None,
        };
        let key = create_key(app.store(), input, app.clock.now()).await;
        assert!(key.is_err(), "no key can be created for it");
        // The worker skips its expired invitations, so they do not delay others.
        assert_eq!(end_expired(app.store(), app.clock.now(), 10).await.unwrap().ended, 0);
        let operator = Owner::Account(org.admin.account().await);
        let operator = app.key(operator, Some(KeyScope::Operator), None).await;
        let deleted = |event: &&_| *event == "organization.deleted";
        let actions: Vec<String> =
            operator.audit(&org.id).await.unwrap().into_iter().map(|event| event.action).collect();
        assert_eq!(actions.iter().map(String::as_str).filter(deleted).count(), 1);
    }
}

/// Removes a part, then makes another change; returns whether there was a part.
async fn one_part(database: &Database, store: &Store) -> bool {
    let before = rows(database).await;
    let was_one = remove_deleted(store).await.unwrap();
    let removed = before - rows(database).await;
    assert!(removed <= PART + 1, "one part had {removed} rows");
    store.write(change!(async |tx| settings::set(tx, "canary", "between").await)).await.unwrap();
    was_one
}

async fn in_parts(engine: Engine) {
    let database = Database::migrated(engine).await;
    let mut store = store(&database).await;
    let large = organization();
    let (id, other) = (large.id, organization());
    let made = change!(async move |tx: &Tx| {
        organizations::insert(tx, &large).await?;
        organizations::insert(tx, &other).await
    });
    store.write(made).await.unwrap();
    database.crowd(&id.to_string(), MANY).await;
    let deleted = change!(async move |tx: &Tx| {
        organizations::delete(tx, id).await?;
        removals::insert(tx, id).await
    });
    store.write(deleted).await.unwrap();

    let left = rows(&database).await;
    assert!(left > 4 * i64::from(MANY));
    let mut parts = 0;
    while one_part(&database, &store).await {
        parts += 1;
        assert!(parts <= left, "the removal does not end");
        // Opens the store again, as after a restart of the server.
        store.close().await.unwrap();
        store = super::commit::store(&database).await;
    }
    assert!(parts >= left / PART, "{parts} parts of {left} rows");
    assert_eq!(rows(&database).await, 0);
    assert_eq!(database.count("SELECT count(*) FROM organizations").await, 1);
    store.close().await.unwrap();
    database.remove().await;
}

fn organization() -> Organization {
    let now = Timestamp::from_micros(0);
    Organization {
        id: OrganizationId::generate(now),
        name: "Acme".parse().unwrap(),
        invite_domains: Vec::new(),
        tier: Tier::Free,
        creator: AccountId::generate(now),
        created_at: now,
        updated_at: now,
        version: 1,
        member_count: 0,
        seat_limit: 0,
        next_member_end: None,
        attributes: Default::default(),
    }
}

mod p42_rows_of_a_large_organization_are_removed_in_parts_across_restarts {
    use super::{Engine, in_parts};

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        in_parts(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        in_parts(Engine::Postgres).await;
    }
}
