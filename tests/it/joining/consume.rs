//! P06: the statement that spends a use of an invite checks the state, the expiry and the uses
//! itself. It does not rely on what was read before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::domain::{InviteId, Timestamp};
use guestlist::storage::change;
use guestlist::storage::invites;
use sea_orm::ConnectionTrait;

use super::limited_link;
use crate::on_both_engines;
use crate::support::{Database, Engine, Protocol, TestApp, link_to, own};

/// Spends a use of the invite, which was read while it was live. Returns whether a use was spent.
async fn consume(app: &TestApp, invite: &guestlist::domain::Invite, now: Timestamp) -> bool {
    let invite = invite.clone();
    let change =
        change!(async move |tx: &guestlist::storage::Tx| invites::consume(tx, &invite, now).await);
    app.store().write(change).await.unwrap()
}

async fn uses(app: &TestApp, id: &str) -> (i64, String) {
    let connection = app.database.connect().await;
    let sql = format!("SELECT uses, state FROM invites WHERE id = {}", literal(app, id));
    let statement = sea_orm::Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await.unwrap().unwrap();
    (row.try_get("", "uses").unwrap(), row.try_get("", "state").unwrap())
}

fn literal(app: &TestApp, id: &str) -> String {
    match app.database.engine {
        Engine::Postgres => format!("'{id}'"),
        Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
    }
}

on_both_engines! {
    async fn p06_an_invite_that_ended_after_it_was_read_is_not_consumed(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let now = app.clock.now();
        let expires = now.plus(Duration::from_secs(60));
        let request = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            max_uses: 2,
            expire_time: app.in_the_future(Duration::from_secs(60)),
            ..link_to(&org.id)
        };
        // Each case changes these columns of a live link. If no use is spent, its uses and its
        // state stay unchanged.
        let ended = "state = 'revoked', ended_at = 1, end_reason = 'REVOKED'";
        let cases = [
            ("live", "uses = 0", now, true),
            ("live", "uses = 1", now, true),
            ("ended", ended, now, false),
            ("used up", "uses = 2", now, false),
            ("a microsecond before its expiry", "uses = 0", expires.minus(Duration::from_micros(1)), true),
            ("at its expiry", "uses = 0", expires, false),
            ("without an expiry", "expires_at = NULL", expires, true),
            ("without a bound", "max_uses = NULL, uses = 9", now, true),
            ("without a bound, ended", "max_uses = NULL, expires_at = NULL, state = 'expired', ended_at = 1", now, false),
        ];
        for (case, change, at, expected) in cases {
            let link = org.admin.create_link(request.clone()).await.unwrap().invite.unwrap();
            let id: InviteId = link.id.parse().unwrap();
            let read = invites::find(app.store().read(), org.domain_id(), id);
            let read = read.await.unwrap().unwrap();
            assert!(read.is_live(now), "it was live when it was read");
            let connection = app.database.connect().await;
            let sql = format!("UPDATE invites SET {change} WHERE id = {}", literal(app, &link.id));
            connection.execute_unprepared(&sql).await.unwrap();
            connection.close().await.unwrap();
            let before = uses(app, &link.id).await;
            assert_eq!(consume(app, &read, at).await, expected, "{case}");
            let after = uses(app, &link.id).await;
            if expected {
                assert_eq!(after.0, before.0 + 1, "{case}");
                let is_last = change == "uses = 1";
                assert_eq!(after.1, if is_last { "exhausted" } else { "live" }, "{case}");
            } else {
                assert_eq!(after, before, "{case}");
            }
        }
        // No use is spent if the organization is another one, even if the invite's id is right.
        let link = limited_link(&org.admin, &org.id, 2).await;
        let read = invites::find(app.store().read(), org.domain_id(), link.id.parse().unwrap());
        let mut elsewhere = read.await.unwrap().unwrap();
        elsewhere.organization = org.admin.new_organization("Other").await.0.parse().unwrap();
        assert!(!consume(app, &elsewhere, now).await);
        assert_eq!(uses(app, &link.id).await, (0, "live".to_owned()));
    }
}

async fn one_statement_checks_and_spends(engine: Engine) {
    let seen = Arc::new(Mutex::new(Vec::<String>::new()));
    let record = Arc::clone(&seen);
    let observer = Arc::new(move |statement: &guestlist::storage::Statement| {
        record.lock().unwrap().push(statement.sql.to_string());
    });
    let database = Database::migrated(engine).await;
    let app = TestApp::on(database, Protocol::Grpc, |_| (), Some(observer)).await;
    let org = app.organization().await;
    let link = limited_link(&org.admin, &org.id, 1).await;
    let mail = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
    let mail = mail.invite.unwrap();
    for (token_or_id, person) in [(link.token, app.person("gus").await), (mail.id, org.stranger)] {
        seen.lock().unwrap().clear();
        person.join(&token_or_id).await.unwrap();
        let statements = seen.lock().unwrap().clone();
        let spends: Vec<&String> =
            statements.iter().filter(|sql| sql.contains("uses + 1")).collect();
        let [spend] = spends[..] else { panic!("{statements:#?}") };
        assert!(spend.starts_with("UPDATE \"invites\""), "{spend}");
        for check in ["state = 'live'", "\"expires_at\" >", "uses < max_uses"] {
            assert!(spend.contains(check), "{spend}");
        }
    }
    app.stop().await;
}

mod p06_one_statement_checks_the_invite_and_spends_a_use {
    use super::{Engine, one_statement_checks_and_spends};

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        one_statement_checks_and_spends(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        one_statement_checks_and_spends(Engine::Postgres).await;
    }
}
