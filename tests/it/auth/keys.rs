use std::time::{Duration, Instant};

use guestlist::clock::Clock;
use guestlist::domain::KeyId;
use guestlist::operations::keys::{CreateKey, Owner, revoke_key};

use crate::on_both_engines;
use crate::support::{Code, Engine, TestApp, assert_rejected_within_a_second, own};

on_both_engines! {
    async fn p22_a_revoked_key_is_rejected_within_a_second_on_every_replica(app: TestApp) {
        let ana = app.person("ana").await;
        let mut clients = vec![ana.clone()];
        if app.database.engine == Engine::Postgres {
            clients.push(ana.at(app.replica().await));
        }
        for ana in &clients {
            assert!(ana.get_caller(own::GetCallerRequest {}).await.is_ok());
        }
        let id: KeyId = ana.key.as_deref().unwrap()[3..19].parse().unwrap();
        revoke_key(app.store(), id, app.clock.now()).await.unwrap();
        let revoked = Instant::now();
        for ana in &clients {
            let call = async || match ana.get_caller(own::GetCallerRequest {}).await {
                Ok(_) => Code::Ok,
                Err(failure) => failure.code,
            };
            assert_rejected_within_a_second(revoked, call).await;
        }
    }

    async fn p22_a_key_is_rejected_from_its_expiry_on(app: TestApp) {
        let owner = Owner::Email { email: "ana@acme.com".parse().unwrap(), name: None };
        let expires_in = Some(Duration::from_secs(3600));
        let ana = app.key_as(CreateKey { owner, organization: None, scope: None, expires_in }).await;
        app.clock.advance(Duration::from_secs(3590));
        assert!(ana.get_caller(own::GetCallerRequest {}).await.is_ok());
        app.clock.advance(Duration::from_secs(10));
        let failure = ana.get_caller(own::GetCallerRequest {}).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
    }
}
