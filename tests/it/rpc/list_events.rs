use std::collections::HashMap;
use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::domain::KeyScope;
use guestlist::operations::events::delete_old_events;
use guestlist::operations::keys::Owner;
use sea_orm::ConnectionTrait;

use crate::support::{Code, Engine, Person, Protocol, TestApp, own, run};
use crate::{everywhere, on_both_engines};

fn of(organization: &str) -> own::ListEventsRequest {
    own::ListEventsRequest { organization_id: organization.to_owned(), ..Default::default() }
}

/// A key that reads all events.
async fn reader(app: &TestApp) -> Person {
    let owner = Owner::Service("consumer".parse().unwrap());
    app.key(owner, Some(KeyScope::Events), None).await
}

/// A cursor after every committed event.
async fn from_now(app: &TestApp, who: &Person, request: own::ListEventsRequest) -> String {
    app.settle().await;
    let page = who.list_events(request).await.unwrap();
    assert!(page.events.is_empty() && !page.has_more, "the feed begins with the next event");
    page.cursor
}

/// All events after a request's cursor, read with one event per call.
async fn follow(
    app: &TestApp,
    who: &Person,
    mut request: own::ListEventsRequest,
) -> (Vec<own::Event>, String) {
    app.settle().await;
    let mut events = Vec::new();
    request.limit = 1;
    loop {
        let page = who.list_events(request.clone()).await.unwrap();
        assert!(page.events.len() <= 1 && !page.cursor.is_empty());
        events.extend(page.events);
        request.cursor = page.cursor;
        if !page.has_more {
            return (events, request.cursor);
        }
    }
}

fn types(events: &[own::Event]) -> Vec<&str> {
    events.iter().map(|event| event.r#type.as_str()).collect()
}

everywhere! {
    async fn reading_with_a_cursor_returns_each_event_once_and_in_order(app: TestApp) {
        let org = app.organization().await;
        let cursor = from_now(app, &org.admin, of(&org.id)).await;

        org.member.end(&org.member_id).await.unwrap();
        org.admin.link(&org.id, "read").await.unwrap();
        let other = app.organization().await;
        let (events, cursor) = follow(app, &org.admin, own::ListEventsRequest { cursor, ..of(&org.id) }).await;
        assert_eq!(types(&events), ["member.left", "invite.created"]);
        assert!(events[0].organization_version < events[1].organization_version);
        let Some(own::event::Data::Member(left)) = &events[0].data else { panic!("{events:?}") };
        assert_eq!((&left.member_id, left.status.as_str()), (&org.member_id, "left"));
        let again = own::ListEventsRequest { cursor, ..of(&org.id) };
        assert!(follow(app, &org.admin, again.clone()).await.0.is_empty());

        // A cursor is valid only for its filter and its caller.
        let filtered = own::ListEventsRequest { types: vec!["member.left".into()], ..again.clone() };
        let elsewhere = own::ListEventsRequest { organization_id: other.id.clone(), ..again.clone() };
        for (who, request) in [(&org.admin, filtered), (&other.admin, elsewhere)] {
            let failure = who.list_events(request).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
        }
    }

    async fn only_a_key_with_the_events_scope_reads_all_events(app: TestApp) {
        let org = app.organization().await;
        let all = reader(app).await;
        let cursor = from_now(app, &all, of("")).await;
        for who in [&org.stranger, &org.admin, &app.operator().await] {
            let failure = who.list_events(of("")).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
        assert_eq!(org.member.list_events(of(&org.id)).await.unwrap_err().code, Code::PermissionDenied);
        assert_eq!(org.stranger.list_events(of(&org.id)).await.unwrap_err().code, Code::NotFound);
        all.list_events(of(&org.id)).await.unwrap();

        let owner = Owner::Account(org.admin.account().await);
        let bound = app.key(owner, None, Some(org.domain_id())).await;
        bound.list_events(of("")).await.unwrap();
        app.person("gus").await;
        org.admin.delete(&org.id).await.unwrap();
        assert_eq!(bound.list_events(of("")).await.unwrap_err().code, Code::Unauthenticated);
        app.settle().await;
        let request = own::ListEventsRequest { cursor, limit: 1000, ..of("") };
        let page = all.list_events(request).await.unwrap();
        let last: Vec<&str> = types(&page.events).into_iter().rev().take(2).collect();
        assert_eq!(last, ["organization.deleted", "key.revoked"]);
        assert!(types(&page.events).contains(&"account.created"), "events outside organizations");
        assert!(!page.has_more);
    }

    async fn events_are_filtered_by_type_and_time(app: TestApp) {
        let org = app.organization().await;
        let start_time = app.in_the_future(Duration::ZERO);
        let request = own::ListEventsRequest {
            types: vec!["member.joined".into()],
            start_time,
            limit: 1000,
            ..of(&org.id)
        };
        app.settle().await;
        let page = org.admin.list_events(request).await.unwrap();
        assert_eq!(types(&page.events), ["member.joined", "member.joined"]);
        for (limit, valid) in [(-1, false), (0, true), (1000, true), (1001, false)] {
            let request = own::ListEventsRequest { limit, ..of(&org.id) };
            assert_eq!(org.admin.list_events(request).await.is_ok(), valid, "{limit}");
        }
    }
}

on_both_engines! {
    async fn a_reader_gets_an_error_if_its_cursor_is_deleted_or_expired(app: TestApp) {
        let org = app.organization().await;
        let all = reader(app).await;
        let cursor = from_now(app, &all, of("")).await;
        let request = own::ListEventsRequest { cursor, limit: 1000, ..of("") };
        let connection = app.database.connect().await;

        // The newest event is not deleted, so the cursors of idle readers stay valid.
        app.clock.advance(Duration::from_secs(91 * 24 * 60 * 60));
        while delete_old_events(app.store(), app.clock.now()).await.unwrap() > 0 {}
        assert_eq!(app.database.count("SELECT count(*) FROM audit_events").await, 1);
        all.list_events(request.clone()).await.unwrap();
        org.admin.link(&org.id, "read").await.unwrap();
        app.settle().await;
        let page = all.list_events(request.clone()).await.unwrap();
        assert_eq!(types(&page.events), ["invite.created"]);

        // Deletes the event of the cursor from the history.
        let request = own::ListEventsRequest { cursor: page.cursor, ..request };
        org.admin.link(&org.id, "read").await.unwrap();
        let first = "DELETE FROM audit_events WHERE position < (SELECT max(position) FROM audit_events)";
        connection.execute_unprepared(first).await.unwrap();
        let failure = all.list_events(request.clone()).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "HISTORY_CHANGED"));
        app.clock.advance(Duration::from_secs(91 * 24 * 60 * 60));
        let failure = all.list_events(request.clone()).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "CURSOR_EXPIRED"));
        connection.close().await.unwrap();
    }

    async fn versions_increase_in_feed_order_during_parallel_writes(app: TestApp) {
        let all = reader(app).await;
        let cursor = from_now(app, &all, of("")).await;
        let organizations = [app.organization().await, app.organization().await];
        let work = organizations.iter().flat_map(|org| (0..8).map(move |_| async move {
            for _ in 0..5 {
                org.admin.link(&org.id, "read").await.unwrap();
            }
        }));
        futures::future::join_all(work).await;
        let (events, _) = follow(app, &all, own::ListEventsRequest { cursor, ..of("") }).await;
        let mut versions = HashMap::new();
        let mut links = 0;
        for event in events.iter().filter(|event| !event.organization_id.is_empty()) {
            let version = versions.entry(&event.organization_id).or_insert(0);
            assert!(*version <= event.organization_version, "{event:?} after {version}");
            *version = event.organization_version;
            links += u32::from(matches!(&event.data, Some(own::event::Data::Invite(it)) if it.kind == "named_link"));
        }
        assert_eq!(links, 80);
    }
}

/// A running transaction delays the events of newer committed transactions. When it ends, its
/// event comes first. A cursor over ids would have skipped this event.
mod an_event_of_a_slow_transaction_is_not_missed {
    #[test]
    fn postgres() {
        super::a_slow_transaction();
    }
}

fn a_slow_transaction() {
    run(Engine::Postgres, Protocol::Grpc, async |app: &TestApp| {
        let org = app.organization().await;
        let all = reader(app).await;
        let cursor = from_now(app, &all, of("")).await;
        let slow = app.database.connect().await;
        slow.execute_unprepared("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
        let slow_event = "INSERT INTO audit_events (id, at, action, target_kind, target_id, request_id, note, ordinal, \
             organization_version, data) VALUES ('00000000-0000-7000-8000-000000000000', 9000000000000000, \
             'slow', 'key', 'x', '', '', 1, 0, '')";
        slow.execute_unprepared(slow_event).await.unwrap();
        org.admin.link(&org.id, "read").await.unwrap();
        let request = own::ListEventsRequest { cursor, ..of("") };
        let page = all.list_events(request.clone()).await.unwrap();
        assert!(page.events.is_empty(), "{page:?}");
        slow.execute_unprepared("COMMIT").await.unwrap();
        let request = own::ListEventsRequest { cursor: page.cursor, ..request };
        let (events, _) = follow(app, &all, request).await;
        assert_eq!(types(&events), ["slow", "invite.created"]);
        assert!(events[0].id < events[1].id, "a cursor over ids would have skipped the slow event");
        slow.close().await.unwrap();
    });
}
