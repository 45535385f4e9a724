//! A member's row has the name and the address that the account has when the member joins, not
//! those that the caller had when the request began.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use guestlist::operations::keys::Owner;
use sea_orm::ConnectionTrait;

use crate::on_both_engines;
use crate::support::{Database, Engine, Protocol, TestApp};

/// Members whose name or address differs from their account's.
const MISPLACED: &str = "SELECT count(*) FROM members JOIN accounts \
     ON accounts.id = members.account_id WHERE members.sort_name <> lower(accounts.name) \
     OR coalesce(members.email, '') <> coalesce(accounts.email, '')";

/// Renames Zoe after the request is authenticated and before its change begins.
async fn renamed_in_between(engine: Engine) {
    let armed = Arc::new(AtomicBool::new(false));
    let rename: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>> = Arc::default();
    let (trigger, action) = (Arc::clone(&armed), Arc::clone(&rename));
    let observer = Arc::new(move |statement: &guestlist::storage::Statement| {
        // The query that looks up the invite without a lock.
        let looks_up = statement.sql.contains("token_hash\" =");
        if looks_up && trigger.swap(false, Ordering::SeqCst) {
            action.get().unwrap()();
        }
    });
    let database = Database::migrated(engine).await;
    let app = Arc::new(TestApp::on(database, Protocol::Grpc, |_| (), Some(observer)).await);
    let org = app.organization().await;
    let token = org.admin.invite(&org.id).await.unwrap();
    org.stranger.get_caller(Default::default()).await.unwrap();

    let shared_app = Arc::clone(&app);
    let done: Box<dyn Fn() + Send + Sync> = Box::new(move || {
        let shared_app = Arc::clone(&shared_app);
        let rename = async move {
            let connection = shared_app.database.connect().await;
            let sql = "UPDATE accounts SET name = 'Aaron' WHERE subject = 'zoe@example.com'";
            let done = connection.execute_unprepared(sql).await.unwrap();
            assert_eq!(done.rows_affected(), 1);
            connection.close().await.unwrap();
        };
        let runtime =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::scope(|scope| scope.spawn(|| runtime().block_on(rename)).join().unwrap());
    });
    assert!(rename.set(done).is_ok());
    armed.store(true, Ordering::SeqCst);
    let member = org.stranger.join(&token).await.unwrap();
    assert!(!armed.load(Ordering::SeqCst), "the name changed in between");
    assert_eq!(member.full_name, "Aaron");
    assert_eq!(app.database.count(MISPLACED).await, 0);
    drop(rename);
}

mod a_member_is_sorted_by_a_name_that_changed_just_before_the_join {
    use super::{Engine, renamed_in_between};

    #[tokio::test(flavor = "multi_thread")]
    async fn sqlite() {
        renamed_in_between(Engine::Sqlite).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn postgres() {
        renamed_in_between(Engine::Postgres).await;
    }
}

on_both_engines! {
    async fn a_member_is_sorted_by_a_name_that_changes_during_the_join(app: TestApp) {
        let org = app.organization().await;
        let strangers = app.at_replicas(&[&org.stranger]).await.remove(0);
        for round in 0..20 {
            let token = org.admin.current_invite(&org.id).await.unwrap();
            let owner = || Owner::Email {
                email: "zoe@example.com".parse().unwrap(),
                name: Some(format!("name{round}")),
            };
            let at = &strangers[round % strangers.len()];
            let (joined, _) = futures::join!(at.join(&token), app.key(owner(), None, None));
            assert_eq!(app.database.count(MISPLACED).await, 0, "round {round}");
            org.stranger.end(&joined.unwrap().user_id).await.unwrap();
        }
        // The same holds for the founder of an organization.
        for round in 20..30 {
            let owner = Owner::Email {
                email: "zoe@example.com".parse().unwrap(),
                name: Some(format!("name{round}")),
            };
            futures::join!(org.stranger.new_organization("Other"), app.key(owner, None, None));
            assert_eq!(app.database.count(MISPLACED).await, 0, "round {round}");
        }
    }
}
