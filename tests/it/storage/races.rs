//! Changes at the same time that conflict with each other. If the engine allows replicas, the
//! requests go to two of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use futures::future::join_all;

use crate::on_both_engines;
use crate::support::{
    Code, Organization, Person, TestApp, assert_rejected_within_a_second, from_environment, gitpod,
    link_to, own,
};

on_both_engines! {
    async fn p07_256_concurrent_rotations_succeed_and_leave_one_live_link(app: TestApp) {
        let org = app.organization().await;
        let admins = app.at_replicas(&[&org.admin]).await.remove(0);
        let rotations = (0..256).map(|i| admins[i % admins.len()].invite(&org.id));
        let tokens: HashSet<String> =
            join_all(rotations).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(tokens.len(), 256);

        let mut live = Vec::new();
        for token in &tokens {
            match org.stranger.preview(token).await {
                Ok(_) => live.push(token),
                Err(failure) => assert_eq!(failure.code, Code::NotFound),
            }
        }
        assert_eq!(live.len(), 1);
        assert_eq!(&org.admin.current_invite(&org.id).await.unwrap(), live[0]);
        assert_eq!(app.database.count("SELECT count(*) FROM invites WHERE state = 'live'").await, 1);
        assert_eq!(app.database.count("SELECT count(*) FROM invites WHERE state = 'replaced'").await, 256);
        let events = "SELECT count(*) FROM audit_events WHERE action = 'invite.created'";
        assert_eq!(app.database.count(events).await, 257);
    }

    async fn p13_64_concurrent_joins_of_one_account_create_one_member(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.invite(&org.id).await.unwrap();
        let strangers = app.at_replicas(&[&org.stranger]).await.remove(0);
        let joins = (0..64).map(|i| strangers[i % strangers.len()].join(&token));
        let members: HashSet<String> =
            join_all(joins).await.into_iter().map(|member| member.unwrap().user_id).collect();
        assert_eq!(members.len(), 1);
        assert_eq!(app.database.count("SELECT count(*) FROM members").await, 3);
        assert_eq!(app.database.count("SELECT member_count FROM organizations").await, 3);
        assert_eq!(app.database.count("SELECT uses FROM invites WHERE state = 'live'").await, 1);
        let events = "SELECT count(*) FROM audit_events WHERE action = 'member.joined'";
        assert_eq!(app.database.count(events).await, 3);
    }

    async fn p16_a_join_with_an_already_replaced_link_fails(app: TestApp) {
        let org = app.organization().await;
        let mut people = Vec::new();
        for i in 0..40 {
            people.push(app.person(&format!("p{i}")).await);
        }
        let everybody: Vec<&Person> = people.iter().chain([&org.admin]).collect();
        let mut everybody = app.at_replicas(&everybody).await;
        let admins = everybody.pop().unwrap();

        // Link n has ended once the response with link n + 1 has arrived: the server must reject
        // each join that starts after that.
        let first = org.admin.invite(&org.id).await.unwrap();
        let links = Arc::new(std::sync::Mutex::new(vec![first]));
        let answered = Arc::new(AtomicUsize::new(0));
        let rotate = async {
            for i in 0..60 {
                let token = admins[i % admins.len()].invite(&org.id).await.unwrap();
                links.lock().unwrap().push(token);
                answered.fetch_add(1, Ordering::SeqCst);
            }
        };
        let joins = everybody.iter().enumerate().map(|(i, person)| {
            let (links, answered) = (Arc::clone(&links), Arc::clone(&answered));
            let person = &person[i % person.len()];
            async move {
                loop {
                    let (nth, token) = {
                        let links = links.lock().unwrap();
                        // Every second person uses the link before the last one.
                        let nth = links.len() - 1 - (i % 2).min(links.len() - 1);
                        (nth, links[nth].clone())
                    };
                    let dead = answered.load(Ordering::SeqCst) > nth;
                    match person.join(&token).await {
                        Ok(_) => {
                            assert!(!dead, "joined by a link after the response with the next one");
                            return;
                        }
                        Err(failure) => assert_eq!(failure.code, Code::NotFound),
                    }
                    if answered.load(Ordering::SeqCst) == 60 {
                        return;
                    }
                }
            }
        });
        futures::join!(rotate, join_all(joins));
        let members = app.database.count("SELECT count(*) FROM members").await;
        assert_eq!(app.database.count("SELECT member_count FROM organizations").await, members);
        assert_eq!(app.database.count("SELECT CAST(sum(uses) AS BIGINT) FROM invites").await, members - 1);
    }

    async fn p12_each_single_use_link_admits_one_member(app: TestApp) {
        let rounds = from_environment("GUESTLIST_TEST_ROUNDS");
        let rounds = rounds.map_or(30, |rounds| usize::try_from(rounds).unwrap());
        let org = app.organization().await;
        let mut people = Vec::new();
        for i in 0..24 {
            people.push(app.person(&format!("p{i}")).await);
        }
        let everybody: Vec<&Person> = people.iter().chain([&org.admin]).collect();
        let mut everybody = app.at_replicas(&everybody).await;
        let admins = everybody.pop().unwrap();

        // Eight lanes of three people each. Each lane has `rounds` links, one after the other: all
        // three try each link at once, and the one that joins leaves again.
        let lanes = everybody.chunks(3).enumerate().map(|(lane, three)| {
            let (org, admins) = (&org, &admins);
            async move {
                for round in 0..rounds {
                    let request = own::CreateLinkRequest {
                        grants: Some(own::create_link_request::Grants::Role("read".into())),
                        max_uses: 1,
                        ..link_to(&org.id)
                    };
                    let admin = &admins[(lane + round) % admins.len()];
                    let link = admin.create_link(request).await.unwrap().invite.unwrap();
                    let joins = three
                        .iter()
                        .enumerate()
                        .map(|(i, at)| at[(i + round) % at.len()].join(&link.token));
                    let joined: Vec<_> = join_all(joins).await.into_iter().collect();
                    let winners: Vec<_> =
                        joined.iter().enumerate().filter(|(_, join)| join.is_ok()).collect();
                    assert_eq!(winners.len(), 1, "one use, one member");
                    for failure in joined.iter().filter_map(|join| join.as_ref().err()) {
                        assert_eq!(failure.code, Code::NotFound);
                    }
                    let (who, member) = winners[0];
                    three[who][0].end(&member.as_ref().unwrap().user_id).await.unwrap();
                }
            }
        });
        join_all(lanes).await;
        let spent = "SELECT count(*) FROM invites WHERE max_uses = 1 AND uses = 1 AND state = 'exhausted'";
        let links = i64::try_from(8 * rounds).unwrap();
        assert_eq!(app.database.count(spent).await, links);
        assert_eq!(app.database.count("SELECT count(*) FROM members WHERE status = 'left'").await, links);
        assert_eq!(app.database.count("SELECT member_count FROM organizations").await, 2);
    }

    async fn p16_concurrent_join_revoke_and_decline_have_one_winner(app: TestApp) {
        let org = app.organization().await;
        let mut at = app.at_replicas(&[&org.admin, &org.stranger]).await;
        let (strangers, admins) = (at.pop().unwrap(), at.pop().unwrap());
        for round in 0..20 {
            let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
            let id = invited.invite.unwrap().id;
            let (stranger, admin) = (&strangers[round % strangers.len()], &admins[(round + 1) % admins.len()]);
            let decline = own::DeclineRequest { invitation: id.clone(), request_id: String::new() };
            let (joined, revoked, declined) = futures::join!(
                stranger.join(&id),
                admin.revoke(&org.id, &id),
                strangers[0].decline_invite(decline),
            );
            let ended = org.admin.invite_by_id(&org.id, &id).await.unwrap();
            let expected = match (&joined, &declined) {
                (Ok(_), Err(_)) => own::InviteState::Accepted,
                (Err(_), Ok(_)) => own::InviteState::Declined,
                (Err(_), Err(_)) => own::InviteState::Revoked,
                (Ok(_), Ok(_)) => panic!("joined and declined"),
            };
            assert_eq!(ended.state(), expected);
            assert_eq!(revoked.unwrap().state(), expected);
            if let Ok(member) = joined {
                org.stranger.end(&member.user_id).await.unwrap();
            }
        }
    }

    async fn p16_concurrent_join_with_the_old_token_and_resend_have_one_winner(app: TestApp) {
        let org = app.organization().await;
        let mut at = app.at_replicas(&[&org.admin, &org.stranger]).await;
        let (strangers, admins) = (at.pop().unwrap(), at.pop().unwrap());
        for round in 0..12 {
            let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
            let id = invited.invite.unwrap().id;
            let token = app.mailed_token(&org.id, &id).await;
            let (stranger, admin) = (&strangers[round % strangers.len()], &admins[(round + 1) % admins.len()]);
            let again = own::ResendRequest {
                organization_id: org.id.clone(),
                id: id.clone(),
                ..Default::default()
            };
            let (joined, resent) = futures::join!(stranger.join(&token), admin.resend_invite(again));
            match (joined, resent) {
                (Ok(member), Err(failure)) => {
                    assert_eq!(failure.reason, "INVITE_ENDED");
                    org.stranger.end(&member.user_id).await.unwrap();
                }
                (Err(failure), Ok(_)) => {
                    assert_eq!(failure.code, Code::NotFound);
                    org.admin.revoke(&org.id, &id).await.unwrap();
                }
                (joined, resent) => panic!("{joined:?}, {resent:?}"),
            }
        }
    }

    async fn p20_admins_who_leave_at_once_leave_at_least_one_admin(app: TestApp) {
        let org = app.organization().await;
        let (mut people, mut ids) = (vec![org.admin.clone()], vec![org.admin_id.clone()]);
        let token = org.admin.invite(&org.id).await.unwrap();
        for i in 0..8 {
            let person = app.person(&format!("p{i}")).await;
            let id = person.join(&token).await.unwrap().user_id;
            org.admin.grant(&org.id, &id, gitpod::OrganizationRole::Admin).await.unwrap();
            people.push(person);
            ids.push(id);
        }
        let people = app.at_replicas(&people.iter().collect::<Vec<_>>()).await;
        let member = gitpod::OrganizationRole::Member;
        // Each admin leaves, gives up the role, or removes the next admin.
        let departures = people.iter().enumerate().map(|(i, at)| {
            let (org, ids) = (&org, &ids);
            let at = &at[i % at.len()];
            async move {
                match i % 3 {
                    0 => at.end(&ids[i]).await,
                    1 => at.grant(&org.id, &ids[i], member).await,
                    _ => at.end(&ids[(i + 1) % ids.len()]).await,
                }
            }
        });
        for outcome in join_all(departures).await {
            if let Err(failure) = outcome {
                let expected =
                    [Code::FailedPrecondition, Code::PermissionDenied, Code::NotFound];
                assert!(expected.contains(&failure.code), "{failure:?}");
            }
        }
        let admins = "SELECT count(*) FROM members WHERE role = 'admin' AND status = 'active'";
        assert!(app.database.count(admins).await >= 1);
        let current = "SELECT count(*) FROM members WHERE status <> 'left'";
        let counted = app.database.count("SELECT member_count FROM organizations").await;
        assert_eq!(counted, app.database.count(current).await);
    }

    async fn p08_a_link_created_during_a_demotion_of_its_creator_is_invalid(app: TestApp) {
        let Organization { id, admin, member, member_id, stranger, .. } = app.organization().await;
        let (admins, members) = {
            let mut at = app.at_replicas(&[&admin, &member]).await;
            let members = at.pop().unwrap();
            (at.pop().unwrap(), members)
        };
        for round in 0..10 {
            let role = gitpod::OrganizationRole::Admin;
            admin.grant(&id, &member_id, role).await.unwrap();
            let makes = (0..4).map(|i| members[(round + i) % members.len()].invite(&id));
            let demote = admins[round % admins.len()].grant(
                &id,
                &member_id,
                gitpod::OrganizationRole::Member,
            );
            let (made, demoted) = futures::join!(join_all(makes), demote);
            demoted.unwrap();
            for made in made {
                match made {
                    Ok(token) => {
                        let failure = stranger.preview(&token).await.unwrap_err();
                        assert_eq!(failure.code, Code::NotFound);
                    }
                    Err(failure) => assert_eq!(failure.code, Code::PermissionDenied),
                }
            }
        }
    }
}

crate::on_both_engines! {
    async fn p22_removed_members_and_revoked_keys_lose_access_on_every_replica(app: TestApp) {
        use guestlist::clock::Clock;
        use guestlist::operations::keys::revoke_key;

        let org = app.organization().await;
        let mut at = app.at_replicas(&[&org.member, &org.stranger]).await;
        let (strangers, members) = (at.pop().unwrap(), at.pop().unwrap());
        for member in &members {
            member.get(&org.id).await.unwrap();
        }
        org.admin.end(&org.member_id).await.unwrap();
        for member in &members {
            assert_eq!(member.get(&org.id).await.unwrap_err().code, Code::NotFound);
        }

        for stranger in &strangers {
            stranger.get_caller(Default::default()).await.unwrap();
        }
        let id = org.stranger.get_caller(Default::default()).await.unwrap().key_id;
        revoke_key(app.store(), id.parse().unwrap(), app.clock.now()).await.unwrap();
        let revoked = Instant::now();
        for stranger in &strangers {
            let call = async || match stranger.get_caller(Default::default()).await {
                Ok(_) => Code::Ok,
                Err(failure) => failure.code,
            };
            assert_rejected_within_a_second(revoked, call).await;
        }
    }
}

/// Requests previews all the time while links are replaced: a preview in memory must end at once.
async fn request_previews_while_links_are_replaced(app: &TestApp) {
    let org = app.organization().await;
    let (admins, strangers) = {
        let mut at = app.at_replicas(&[&org.admin, &org.stranger]).await;
        let strangers = at.pop().unwrap();
        (at.pop().unwrap(), strangers)
    };
    let mut old = org.admin.invite(&org.id).await.unwrap();
    for round in 0..60 {
        let new = {
            let rotated = AtomicBool::new(false);
            let rotation = async {
                let new = admins[round % admins.len()].invite(&org.id).await.unwrap();
                rotated.store(true, Ordering::SeqCst);
                new
            };
            let previews = strangers.iter().map(async |stranger| {
                loop {
                    let over = rotated.load(Ordering::SeqCst);
                    let preview = stranger.preview(&old).await;
                    assert!(!(over && preview.is_ok()), "round {round}");
                    if over {
                        return;
                    }
                }
            });
            futures::join!(rotation, join_all(previews)).0
        };
        for stranger in &strangers {
            assert_eq!(stranger.preview(&old).await.unwrap_err().code, Code::NotFound);
            assert_eq!(stranger.preview(&new).await.unwrap().organization_member_count, 2);
        }
        old = new;
    }
    // The other fields of a preview are up to date, too.
    org.stranger.join(&old).await.unwrap();
    for stranger in &strangers {
        assert_eq!(stranger.preview(&old).await.unwrap().organization_member_count, 3);
    }
}

mod p07_a_replaced_link_has_no_preview {
    use super::request_previews_while_links_are_replaced;
    use crate::support::{Engine, Protocol, Settings, run_with};

    /// No limits, because the test requests previews as often as the machine can.
    const UNLIMITED: Settings = |config| {
        config.limits.previews_per_account = 0;
        config.limits.previews_per_network = 0;
    };

    #[test]
    fn sqlite() {
        run_with(
            UNLIMITED,
            Engine::Sqlite,
            Protocol::Grpc,
            request_previews_while_links_are_replaced,
        );
    }

    #[test]
    fn postgres() {
        run_with(
            UNLIMITED,
            Engine::Postgres,
            Protocol::Grpc,
            request_previews_while_links_are_replaced,
        );
    }
}
