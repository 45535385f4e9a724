//! Expiry: invites end at their expiry time. The stored results of requests are deleted one day
//! after the request.

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use guestlist::clock::Clock;
use guestlist::config::Config;
use guestlist::limits::Limits;
use guestlist::operations::delete_old_results;
use guestlist::operations::invites::end_expired;
use guestlist::workers::schedule::Schedule;
use guestlist::workers::{expiry, pruning};
use sea_orm::ConnectionTrait;

use crate::on_both_engines;
use crate::support::{Code, Engine, TestApp, gitpod, link_to, own};

const HOUR: Duration = Duration::from_secs(60 * 60);
const OFTEN: Duration = Duration::from_millis(5);

/// Waits until the query returns `expected`, without a timeout: the harness ends a test that hangs.
async fn wait_for_count(app: &TestApp, sql: &str, expected: i64) {
    while app.database.count(sql).await != expected {
        tokio::time::sleep(OFTEN).await;
    }
}

/// Writes `role` directly into the store. It may be a text that is not a role.
async fn set_role(app: &TestApp, invites: &HashSet<String>, role: &str) {
    let connection = app.database.connect().await;
    for id in invites {
        let id = match app.database.engine {
            Engine::Postgres => format!("'{id}'"),
            Engine::Sqlite => format!("x'{}'", id.replace('-', "")),
        };
        let sql = format!("UPDATE invites SET role = '{role}' WHERE id = {id}");
        assert_eq!(connection.execute_unprepared(&sql).await.unwrap().rows_affected(), 1);
    }
    connection.close().await.unwrap();
}

on_both_engines! {
    async fn parallel_workers_end_each_expired_invite_once(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        // More than a worker ends in one batch.
        let emails: Vec<String> = (0..250).map(|i| format!("p{i}@example.org")).collect();
        let invitation =
            |email: &String| own::EmailInvitation { email: email.clone(), role: "read".into(), ..Default::default() };
        let request = own::InviteByEmailRequest {
            organization_id: org.id.clone(),
            invitations: emails.iter().map(invitation).collect(),
            expire_time: app.in_the_future(2 * HOUR),
            ..Default::default()
        };
        let mailed = org.admin.invite_by_email(request).await.unwrap().results;
        let mailed = mailed[0].invite.clone().unwrap();
        let link = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            expire_time: app.in_the_future(HOUR),
            ..link_to(&org.id)
        };
        let link = org.member.create_link(link).await.unwrap().invite.unwrap();
        let lasting = org.admin.link(&org.id, "read").await.unwrap();

        let worker = || {
            let clock: Arc<dyn Clock> = Arc::new(app.clock.clone());
            tokio::spawn(expiry::run(Schedule::new("expiry", OFTEN), app.store().clone(), clock, pending()))
        };
        let workers = [worker(), worker(), worker()];
        let events = "SELECT count(*) FROM audit_events WHERE action = 'invite.expired'";
        app.clock.advance(HOUR);
        wait_for_count(app, events, 1).await;
        let ended = org.admin.invite_by_id(&org.id, &link.id).await.unwrap();
        assert_eq!(ended.state(), own::InviteState::Expired);
        assert_eq!((ended.end_reason.as_str(), ended.ended_by.as_str()), ("EXPIRED", ""));
        assert!(ended.end_time.is_some());
        let trail = org.admin.audit(&org.id).await.unwrap();
        let event = trail.into_iter().find(|one| one.action == "invite.expired").unwrap();
        assert_eq!((event.action.as_str(), &event.target_id), ("invite.expired", &link.id));
        assert_eq!(event.actor_account_id, "", "the event has no actor");

        app.clock.advance(HOUR);
        wait_for_count(app, events, 251).await;
        let live = "SELECT count(*) FROM invites WHERE state = 'live'";
        assert_eq!(app.database.count(live).await, 2, "the join link and the one without expiry");
        for worker in workers {
            worker.abort();
            assert!(worker.await.unwrap_err().is_cancelled());
        }
        assert_eq!(app.database.count(events).await, 251, "one worker ended each invite");
        let ended = org.admin.invite_by_id(&org.id, &mailed.id).await.unwrap();
        assert_eq!(ended.end_reason, "EXPIRED");
        assert_eq!(org.admin.invite_by_id(&org.id, &lasting.id).await.unwrap().end_reason, "");
    }

    async fn an_invite_that_cannot_be_ended_does_not_block_the_others(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let (other, _) = org.admin.new_organization("Other").await;
        let link = async |organization: &str, after: u64| {
            let request = own::CreateLinkRequest {
                grants: Some(own::create_link_request::Grants::Role("read".into())),
                expire_time: app.in_the_future(Duration::from_secs(after)),
                ..link_to(organization)
            };
            org.admin.create_link(request).await.unwrap().invite.unwrap().id
        };
        // The broken rows come first, last and in between. Some rows expire at the same time.
        let mut broken = HashSet::new();
        for (after, organization) in [(1, &org.id), (3, &other), (3, &org.id), (9, &other)] {
            broken.insert(link(organization, after).await);
            for after in [after, after, 5] {
                link(organization, after).await;
            }
        }
        set_role(app, &broken, "broken").await;
        app.clock.advance(Duration::from_secs(9));
        let live = "SELECT count(*) FROM invites WHERE state = 'live' AND expires_at IS NOT NULL";
        assert_eq!(app.database.count(live).await, 16);
        for batch in [3, 1, 100] {
            let round = end_expired(app.store(), app.clock.now(), batch).await.unwrap();
            let failed: HashSet<String> =
                round.failed.iter().map(|(id, _)| id.to_string()).collect();
            assert_eq!(failed, broken, "each round reports every broken row");
            assert_eq!(round.failed.len(), 4);
            assert_eq!(round.ended, if batch == 3 { 12 } else { 0 });
            assert_eq!(app.database.count(live).await, 4);
        }
        let events = "SELECT count(*) FROM audit_events WHERE action = 'invite.expired'";
        assert_eq!(app.database.count(events).await, 12);
        // The worker tries the failed rows again.
        let clock: Arc<dyn Clock> = Arc::new(app.clock.clone());
        let worker = tokio::spawn(expiry::run(Schedule::new("expiry", OFTEN), app.store().clone(), clock, pending()));
        set_role(app, &broken, "read").await;
        wait_for_count(app, live, 0).await;
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        assert_eq!(app.database.count(events).await, 16);
    }

    async fn p11_an_invitation_is_valid_until_the_microsecond_of_its_expiry(app: TestApp) {
        let org = app.organization().await;
        let start = app.clock.now();
        app.clock.stop_at(start);
        let (gus, zoe) = (app.person("gus").await, &org.stranger);
        for email in ["gus@example.com", "zoe@example.com"] {
            let request = own::InviteByEmailRequest {
                organization_id: org.id.clone(),
                invitations: vec![own::EmailInvitation { email: email.into(), role: "read".into(), ..Default::default() }],
                expire_time: app.in_the_future(HOUR),
                ..Default::default()
            };
            let results = org.admin.invite_by_email(request).await.unwrap().results;
            assert!(results[0].invite.is_some());
        }
        let list = own::ListRequest {
            organization_id: org.id.clone(),
            filter: Some(own::InviteFilter {
                kinds: vec![own::InviteKind::Email.into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let invites = org.admin.list_invites(list).await.unwrap().invites;
        let of = |email: &str| invites.iter().find(|one| one.email == email).unwrap().id.clone();

        let expiry = start.plus(HOUR);
        app.clock.stop_at(expiry.minus(Duration::from_micros(1)));
        gus.join(&of("gus@example.com")).await.unwrap();
        let token = app.mailed_token(&org.id, &of("zoe@example.com")).await;
        zoe.preview(&token).await.unwrap();

        app.clock.stop_at(expiry);
        assert_eq!(zoe.preview(&token).await.unwrap_err().code, Code::NotFound);
        for token_or_id in [token, of("zoe@example.com")] {
            assert_eq!(zoe.join(&token_or_id).await.unwrap_err().code, Code::NotFound);
            let decline = own::DeclineRequest { invitation: token_or_id, ..Default::default() };
            assert_eq!(zoe.decline_invite(decline).await.unwrap_err().code, Code::NotFound);
        }
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 3);
    }

    async fn results_of_requests_are_stored_for_one_day_and_then_deleted(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let link = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            request_id: "once".into(),
            ..link_to(&org.id)
        };
        let first = org.admin.create_link(link.clone()).await.unwrap().invite.unwrap();
        app.clock.advance(24 * HOUR - Duration::from_micros(1));
        assert_eq!(delete_old_results(app.store(), app.clock.now()).await.unwrap(), 0);
        let again = org.admin.create_link(link.clone()).await.unwrap().invite.unwrap();
        assert_eq!(again.id, first.id);

        app.clock.advance(Duration::from_micros(2));
        let clock: Arc<dyn Clock> = Arc::new(app.clock.clone());
        let limits = Arc::new(Limits::new(&Config::reference().limits, &clock));
        let account = org.admin.account().await;
        limits.join(account, None).unwrap();
        app.clock.advance(HOUR);
        let worker = pruning::run(Schedule::new("pruning", OFTEN), app.store().clone(), clock, limits.clone(), pending());
        let worker = tokio::spawn(worker);
        wait_for_count(app, "SELECT count(*) FROM requests", 0).await;
        assert_eq!(limits.tracked_keys(), 0);
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        let anew = org.admin.create_link(link).await.unwrap().invite.unwrap();
        assert_ne!(anew.id, first.id);
    }
}
