use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use guestlist::domain::KeyScope;
use guestlist::operations::keys::{Owner, revoke_key};

use crate::support::client::{Client, Failure};
use crate::support::{
    Code, Engine, Installation, Person, Protocol, TestApp, own, run_installed, run_with,
};
use crate::{everywhere, on_both_engines};

type Stream = BoxStream<'static, Result<own::WatchResponse, Failure>>;

fn of(organization: &str) -> own::WatchRequest {
    own::WatchRequest { organization_id: organization.to_owned(), ..Default::default() }
}

fn in_seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// The next event of a stream and the cursor after it.
async fn next(stream: &mut Stream) -> (own::Event, String) {
    loop {
        let message = stream.next().await.expect("the stream continues").unwrap();
        assert!(!message.cursor.is_empty());
        assert!(message.events.len() <= 1, "the tests make one event at a time");
        if let Some(event) = message.events.into_iter().next() {
            return (event, message.cursor);
        }
    }
}

/// Reads a stream to its end; returns its error, if it has one.
async fn end(mut stream: Stream) -> Option<Failure> {
    while let Some(message) = stream.next().await {
        if let Err(failure) = message {
            assert!(stream.next().await.is_none());
            return Some(failure);
        }
    }
    None
}

everywhere! {
    async fn a_stream_sends_each_event_and_a_cursor_to_resume(app: TestApp) {
        let org = app.organization().await;
        app.settle().await;
        let mut stream = org.admin.watch(of(&org.id)).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        assert!(!first.cursor.is_empty(), "the first message comes at once");
        org.admin.link(&org.id, "read").await.unwrap();
        let (event, cursor) = next(&mut stream).await;
        assert_eq!(event.r#type, "invite.created");
        org.member.end(&org.member_id).await.unwrap();
        assert_eq!(next(&mut stream).await.0.r#type, "member.left");

        // A cursor of the stream is also valid for the list.
        let request = own::ListEventsRequest {
            organization_id: org.id.clone(),
            cursor: cursor.clone(),
            wait: in_seconds(10),
            ..Default::default()
        };
        let page = org.admin.list_events(request).await.unwrap();
        assert_eq!(page.events[0].r#type, "member.left");
        let again = own::WatchRequest { cursor, ..of(&org.id) };
        let mut again = org.admin.watch(again).await.unwrap();
        assert_eq!(next(&mut again).await.0.r#type, "member.left");
    }

    async fn a_list_waits_for_an_event(app: TestApp) {
        let org = app.organization().await;
        app.settle().await;
        let request = own::ListEventsRequest { organization_id: org.id.clone(), ..Default::default() };
        let cursor = org.admin.list_events(request.clone()).await.unwrap().cursor;
        let waiting = own::ListEventsRequest { cursor, wait: in_seconds(10), ..request.clone() };
        let mut page = own::ListEventsResponse { cursor: waiting.cursor.clone(), ..Default::default() };
        let (mut made, follow) = (false, || async {
            org.admin.link(&org.id, "read").await.unwrap();
        });
        // On PostgreSQL other tests may delay the feed, so the wait may end without events.
        while page.events.is_empty() {
            let again = own::ListEventsRequest { cursor: page.cursor, ..waiting.clone() };
            let list = org.admin.list_events(again);
            page = if made { list.await.unwrap() } else { futures::join!(list, follow()).0.unwrap() };
            made = true;
        }
        assert_eq!(page.events[0].r#type, "invite.created");
        for (wait, valid) in [(-1, false), (0, true), (11, false)] {
            let request = own::ListEventsRequest { wait: in_seconds(wait), ..request.clone() };
            assert_eq!(org.admin.list_events(request).await.is_ok(), valid, "{wait}");
        }
        // A wait that ends without an event returns a cursor too.
        let request = own::ListEventsRequest { wait: Some(prost_types::Duration { seconds: 0, nanos: 50_000_000 }), ..request };
        assert!(!org.admin.list_events(request).await.unwrap().cursor.is_empty());
    }

    async fn p22_a_stream_ends_when_the_caller_loses_the_right_to_read(app: TestApp) {
        let org = app.organization().await;
        let gus = app.person("gus").await;
        let member = gus.join(&org.admin.invite(&org.id).await.unwrap()).await.unwrap();
        let role = |role: &str| own::SetMemberRoleRequest {
            organization_id: org.id.clone(),
            member_id: member.user_id.clone(),
            role: role.to_owned(),
        };
        org.admin.set_member_role(role("admin")).await.unwrap();
        let stream = gus.watch(of(&org.id)).await.unwrap();
        org.admin.set_member_role(role("member")).await.unwrap();
        assert_eq!(end(stream).await.expect("an error").code, Code::PermissionDenied);

        let owner = Owner::Service("consumer".parse().unwrap());
        let all = app.key(owner, Some(KeyScope::Events), None).await;
        let stream = all.watch(of("")).await.unwrap();
        let id = all.key.as_ref().unwrap().split('_').nth(1).unwrap().parse().unwrap();
        use guestlist::clock::Clock;
        revoke_key(app.store(), id, app.clock.now()).await.unwrap();
        assert_eq!(end(stream).await.expect("an error").code, Code::Unauthenticated);
    }
}

on_both_engines! {
    async fn an_event_of_another_process_arrives(app: TestApp) {
        let org = app.organization().await;
        app.settle().await;
        let mut stream = org.admin.watch(of(&org.id)).await.unwrap();
        stream.next().await.unwrap().unwrap();
        // Inserts a row as another process does: this server does not commit it.
        let connection = app.database.connect().await;
        let position = match app.database.engine {
            Engine::Sqlite => ("position, ", "1000000, "),
            Engine::Postgres => ("", ""),
        };
        let id = match app.database.engine {
            Engine::Sqlite => format!("x'{}'", org.id.replace('-', "")),
            Engine::Postgres => format!("'{}'", org.id),
        };
        let insert = format!(
            "INSERT INTO audit_events (id, {}at, action, target_kind, target_id, organization_id, request_id, \
             note, ordinal, organization_version, data) VALUES ({id}, {}9000000000000000, 'other', 'key', 'x', \
             {id}, '', '', 1, 0, {})",
            position.0,
            position.1,
            if app.database.engine == Engine::Sqlite { "x''" } else { "''" },
        );
        sea_orm::ConnectionTrait::execute_unprepared(&connection, &insert).await.unwrap();
        assert_eq!(next(&mut stream).await.0.r#type, "other");
        connection.close().await.unwrap();
    }
}

#[test]
fn streams_end_without_an_error_when_the_server_stops() {
    run_installed(Engine::Sqlite, async |installation: &Installation| {
        let key = installation.run(&[
            "keys",
            "create",
            "--service",
            "--name",
            "consumer",
            "--scope",
            "events",
        ]);
        let server = installation.serve();
        let reader = server.person(key.out.trim_end());
        let mut streams = Vec::new();
        for protocol in Protocol::ALL {
            let client = Client::new(server.addr, protocol);
            let mut stream = Person { client, ..reader.clone() }.watch(of("")).await.unwrap();
            stream.next().await.unwrap().unwrap();
            streams.push(stream);
        }
        server.signal("TERM");
        for stream in streams {
            assert_eq!(end(stream).await, None);
        }
        let ended = server.ended();
        assert_eq!(ended.code, Some(0));
        assert!(!ended.err.contains("drain timeout"), "{}", ended.err);
    });
}

/// Waiting calls have their own limits and do not use the permits of running calls.
mod p41_waiting_calls_are_bounded_and_hold_no_permit {
    #[test]
    fn sqlite() {
        super::bounded(super::Engine::Sqlite);
    }

    #[test]
    fn postgres() {
        super::bounded(super::Engine::Postgres);
    }
}

fn bounded(engine: Engine) {
    let settings = |config: &mut guestlist::config::Config| {
        config.http.max_requests = 2;
        config.http.max_streaming_requests = 1;
        config.events.max_waiting = 6;
        config.events.max_waiting_per_account = 4;
        config.events.max_waiting_per_organization = 5;
    };
    run_with(settings, engine, Protocol::Grpc, async |app: &TestApp| {
        let org = app.organization().await;
        let open = async |who: &Person, organization: &str| {
            let mut stream = who.watch(of(organization)).await?;
            stream.next().await.unwrap().map(|_| stream)
        };
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(open(&org.admin, &org.id).await.unwrap());
        }
        let full = |outcome: Result<Stream, Failure>| {
            let failure = outcome.err().expect("the limit is reached");
            assert_eq!(
                (failure.code, failure.reason.as_str()),
                (Code::ResourceExhausted, "RATE_LIMITED")
            );
            assert!(failure.retry_after > Some(Duration::ZERO));
        };
        full(open(&org.admin, &org.id).await);
        // Other calls still get permits.
        org.admin.link(&org.id, "read").await.unwrap();

        let owner = || Owner::Service("consumer".parse().unwrap());
        let all = app.key(owner(), Some(KeyScope::Events), None).await;
        held.push(open(&all, &org.id).await.unwrap());
        full(open(&all, &org.id).await);
        held.push(open(&all, "").await.unwrap());
        full(open(&app.key(owner(), Some(KeyScope::Events), None).await, "").await);
        drop(held);
        // A place becomes free when the server detects that the client has disconnected.
        while open(&all, &org.id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
