//! A database that is restored into another cluster, which has different transaction ids.

use std::process::Command;

use crate::support::cluster::Cluster;
use crate::support::{Code, Engine, Installation, Person, own, run_installed};

/// All events after a cursor, and the cursor after the last of them.
async fn follow(reader: &Person, cursor: String) -> (Vec<String>, String) {
    let mut request = own::ListEventsRequest {
        cursor,
        wait: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        ..Default::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = reader.list_events(request.clone()).await.unwrap();
        request.cursor = page.cursor;
        let is_last = page.events.is_empty();
        ids.extend(page.events.into_iter().map(|event| event.id));
        if is_last {
            return (ids, request.cursor);
        }
    }
}

#[test]
fn p44_a_restored_dump_loses_no_event_and_rejects_later_cursors() {
    run_installed(Engine::Postgres, async |installation: &Installation| {
        let key = installation.run(&[
            "keys",
            "create",
            "--service",
            "--name",
            "consumer",
            "--scope",
            "events",
        ]);
        let ada = installation.new_key("ada@example.com");
        let server = installation.serve();
        let (reader, admin) = (server.person(key.out.trim_end()), server.person(&ada));
        installation.database.settle().await;
        let begin = reader.list_events(own::ListEventsRequest::default()).await.unwrap().cursor;
        let (organization, _) = admin.new_organization("Engines").await;
        admin.link(&organization, "read").await.unwrap();
        installation.database.settle().await;
        let (early, middle) = follow(&reader, begin.clone()).await;
        assert_eq!(early.len(), 3, "the account, the organization and the link");
        admin.link(&organization, "read").await.unwrap();

        let dump =
            Command::new("pg_dump").arg("--no-owner").arg(&installation.database.url).output();
        let dump = dump.expect("pg_dump runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        // The dump is older than this link.
        admin.link(&organization, "read").await.unwrap();
        installation.database.settle().await;
        let (all, end) = follow(&reader, begin.clone()).await;
        assert_eq!(all.len(), 5);
        server.stop();

        let other = Cluster::start(&std::env::temp_dir());
        let file = installation.directory().join("dump.sql");
        std::fs::write(&file, &dump.stdout).unwrap();
        let restored = Command::new("psql")
            .args(["--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file"])
            .args([file.as_os_str(), other.url.as_ref()])
            .output()
            .expect("psql runs");
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));

        let server = installation.serve_with(&[("GUESTLIST_DATABASE_URL", &other.url)]);
        let (reader, admin) = (reader.at(server.addr), admin.at(server.addr));
        // The transaction ids of the other cluster are lower than all in the dump.
        let (again, _) = follow(&reader, begin).await;
        assert_eq!(again, all[..4]);
        let request = own::ListEventsRequest { cursor: end, ..Default::default() };
        let failure = reader.list_events(request).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.reason.as_str()),
            (Code::FailedPrecondition, "HISTORY_CHANGED")
        );
        admin.link(&organization, "read").await.unwrap();
        let (rest, cursor) = follow(&reader, middle).await;
        assert_eq!((rest.len(), &rest[0]), (2, &all[3]));
        let logged = server.logged();
        server.stop();

        // Another start does not raise the generation again.
        let server = installation.serve_with(&[("GUESTLIST_DATABASE_URL", &other.url)]);
        let reader = reader.at(server.addr);
        admin.at(server.addr).link(&organization, "read").await.unwrap();
        assert_eq!(follow(&reader, cursor).await.0.len(), 1, "{logged}");
        server.stop();
        let url = other.url.clone();
        let generation = crate::support::Database::on_server(url)
            .count("SELECT value::bigint FROM settings WHERE name = 'event_generation'")
            .await;
        assert_eq!(generation, 2);
        drop(other);
    });
}
