use std::time::Duration;

use guestlist::clock::Clock;

use crate::support::{Code, Failure, Organization, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[track_caller]
fn last_admin<T: std::fmt::Debug>(refused: Result<T, Failure>) {
    let failure = refused.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "LAST_ADMIN"));
}

everywhere! {
    async fn the_end_of_a_membership_can_be_set_changed_and_removed(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let (soon, later) = (app.in_the_future(HOUR), app.in_the_future(2 * HOUR));
        for (end, events) in [(soon, 1), (soon, 1), (later, 2), (None, 3), (None, 3), (later, 4)] {
            let set = org.admin.set_end(&org.id, &org.member_id, end).await.unwrap();
            assert_eq!((set.expire_time, &set.member_id), (end, &org.member_id));
            assert_eq!(org.member.membership(&org.id, None).await.unwrap(), set);
            let trail = org.admin.audit(&org.id).await.unwrap();
            let changes: Vec<_> = trail.iter().filter(|event| event.action == "member.updated").collect();
            assert_eq!((changes.len(), changes[0].note.as_str()), (events, "expire_time"));
        }
        for past in [Duration::ZERO, Duration::from_micros(1)] {
            let past = prost_types::Timestamp {
                seconds: app.clock.now().minus(past).as_seconds(),
                nanos: app.clock.now().minus(past).subsec_nanos(),
            };
            let failure = org.admin.set_end(&org.id, &org.member_id, Some(past)).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["expire_time".to_owned()]));
        }
        let failure = org.admin.set_end("x", "y", soon).await.unwrap_err();
        assert_eq!(failure.fields, ["organization_id", "member_id"]);
        assert_eq!(org.member.set_end(&org.id, &org.admin_id, soon).await.unwrap_err().code, Code::PermissionDenied);
        let other = app.person("oda").await;
        let (_, elsewhere) = other.new_organization("Other").await;
        assert_eq!(org.admin.set_end(&org.id, &elsewhere, soon).await.unwrap_err().code, Code::NotFound);
        org.member.end(&org.member_id).await.unwrap();
        assert_eq!(org.admin.set_end(&org.id, &org.member_id, soon).await.unwrap_err().code, Code::NotFound);
        // A member who has left does not expire.
        app.clock.advance(3 * HOUR);
        org.admin.link(&org.id, "read").await.unwrap();
        let trail = org.admin.audit(&org.id).await.unwrap();
        assert!(trail.iter().all(|event| event.action != "member.expired"));
    }
}

fn of(org: &Organization) -> (String, Vec<String>) {
    (org.id.clone(), vec![org.admin_id.clone()])
}

on_both_engines! {
    async fn p20_every_call_keeps_at_least_one_admin_without_an_end(app: TestApp) {
        let org = app.organization().await;
        app.clock.stop_at(app.clock.now());
        let end = app.in_the_future(HOUR);
        last_admin(org.admin.set_end(&org.id, &org.admin_id, end).await);
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.set_end(&org.id, &org.member_id, end).await.unwrap();
        // An admin with an end is allowed beside one without, but does not count for LAST_ADMIN.
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        for by in [&org.admin, &org.member] {
            last_admin(by.set_end(&org.id, &org.admin_id, end).await);
            last_admin(by.grant(&org.id, &org.admin_id, gitpod::OrganizationRole::Member).await);
            let role = own::SetMemberRoleRequest {
                organization_id: org.id.clone(),
                member_id: org.admin_id.clone(),
                role: "edit".into(),
            };
            last_admin(by.set_member_role(role).await);
            let suspend = own::SuspendMemberRequest { organization_id: org.id.clone(), member_id: org.admin_id.clone() };
            last_admin(by.suspend_member(suspend).await);
            last_admin(by.end(&org.admin_id).await);
            let (organization_id, member_ids) = of(&org);
            let roles = own::BatchSetMemberRoleRequest { organization_id, member_ids, role: "edit".into() };
            let (organization_id, member_ids) = of(&org);
            let suspensions = own::BatchSuspendMembersRequest { organization_id, member_ids };
            let (organization_id, member_ids) = of(&org);
            let removals = own::BatchRemoveMembersRequest { organization_id, member_ids };
            let results = [
                by.batch_set_member_role(roles).await.unwrap().results,
                by.batch_suspend_members(suspensions).await.unwrap().results,
                by.batch_remove_members(removals).await.unwrap().results,
            ];
            assert!(results.iter().flatten().all(|one| one.reason == "LAST_ADMIN"), "{results:?}");
        }
        let leave = own::LeaveOrganizationRequest {
            organization_id: org.id.clone(),
            successor_member_id: org.member_id.clone(),
        };
        last_admin(org.admin.leave_with_successor(leave.clone()).await);
        let transfer = own::TransferOwnershipRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
            own_role: "edit".into(),
        };
        last_admin(org.admin.transfer_ownership(transfer.clone()).await);
        // The caller may stay an admin beside the other one.
        let beside = own::TransferOwnershipRequest { own_role: "admin".into(), ..transfer.clone() };
        org.admin.transfer_ownership(beside).await.unwrap();

        // A member with an end may not change it: otherwise the end would have no effect.
        let later = app.in_the_future(2 * HOUR);
        for moved in [None, later] {
            let refused = org.member.set_end(&org.id, &org.member_id, moved).await.unwrap_err();
            assert_eq!(refused.code, Code::PermissionDenied);
        }
        // If both admins have no end, either one may get an end, but not both.
        org.admin.set_end(&org.id, &org.member_id, None).await.unwrap();
        org.member.set_end(&org.id, &org.admin_id, end).await.unwrap();
        last_admin(org.member.set_end(&org.id, &org.member_id, end).await);
        last_admin(org.admin.set_end(&org.id, &org.member_id, end).await);
        org.member.set_end(&org.id, &org.admin_id, None).await.unwrap();
        org.admin.transfer_ownership(transfer).await.unwrap();
        org.member.set_end(&org.id, &org.admin_id, end).await.unwrap();
        app.clock.advance(HOUR);
        assert_eq!(org.admin.get(&org.id).await.unwrap_err().code, Code::NotFound);
        // The last member may leave.
        org.member.end(&org.member_id).await.unwrap();
    }

    async fn p20_parallel_calls_keep_one_admin_without_an_end(app: TestApp) {
        let people = [app.person("ana").await, app.person("ben").await];
        let at = app.at_replicas(&people.iter().collect::<Vec<_>>()).await;
        for _ in 0..8 {
            let org = app.organization().await;
            org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Admin).await.unwrap();
            let end = app.in_the_future(HOUR);
            let (ana, ben) = (&at[0][0], at[1].last().unwrap());
            let (one, two) = futures::join!(
                ana.set_end(&org.id, &org.member_id, end),
                ben.set_end(&org.id, &org.admin_id, end)
            );
            assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
            last_admin(if one.is_err() { one } else { two });
        }
    }
}
