use std::collections::BTreeMap;
use std::time::Duration;

use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{Code, Failure, Person, TestApp, gitpod, own};

async fn stats(
    operator: &Person,
    organization: &str,
) -> Result<own::GetOrganizationStatsResponse, Failure> {
    let request = own::GetOrganizationStatsRequest { organization_id: organization.to_owned() };
    operator.get_organization_stats(request).await
}

everywhere! {
    async fn the_operator_reads_counts_of_members_and_invitations(app: TestApp) {
        use gitpod::UserStatus::{Active, Left, Suspended};

        let (org, operator) = (app.organization().await, app.operator().await);
        let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 9 };
        operator.set_seat_limit(limit).await.unwrap();
        for (name, role) in [("gus", "guest"), ("gil", "guest"), ("sue", "edit"), ("max", "edit")] {
            let account = app.person(name).await.account().await.to_string();
            let member_id = org.admin.add(&org.id, &account, role).await.unwrap().member_id;
            match name {
                "sue" => {
                    let organization_id = org.id.clone();
                    let suspend = own::SuspendMemberRequest { organization_id, member_id };
                    org.admin.suspend_member(suspend).await.unwrap();
                }
                "max" => org.admin.end(&member_id).await.unwrap(),
                _ => {}
            }
        }
        for address in ["iva@example.org", "eve@example.org", "ida@example.org"] {
            org.admin.invite_address(&org.id, address, "read").await.unwrap();
        }
        let revoked = org.admin.invite_address(&org.id, "pia@example.org", "read").await.unwrap();
        org.admin.link(&org.id, "read").await.unwrap();
        // Waits for the events of the mails, so that they have times before the clock is moved.
        let actions = ["invite.mailed", "invite.mail_failed"].map(str::to_owned).to_vec();
        let organization_id = org.id.clone();
        let filter = Some(own::AuditFilter { actions, ..Default::default() });
        let request = own::ListAuditEventsRequest { organization_id, filter, page: None };
        while org.admin.list_audit_events(request.clone()).await.unwrap().events.len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.clock.advance(Duration::from_secs(1));
        org.admin.revoke(&org.id, &revoked.invite.unwrap().id).await.unwrap();

        let seen = stats(&operator, &org.id).await.unwrap();
        let counts: BTreeMap<(i32, &str), i64> =
            seen.members.iter().map(|one| ((one.status, &*one.role), one.count)).collect();
        let expected = [
            ((Active.into(), "admin"), 1),
            ((Active.into(), "guest"), 2),
            ((Active.into(), "member"), 1),
            ((Suspended.into(), "edit"), 1),
            ((Left.into(), "edit"), 1),
        ];
        assert_eq!(counts, expected.into_iter().collect());
        assert_eq!(seen.pending_invitations, 3);
        let listed = seen.organization.unwrap();
        assert_eq!((listed.member_count, listed.seat_limit), (5, 9));
        assert_eq!(listed.creator_id, org.admin.account().await.to_string());
        let organization = listed.organization.unwrap();
        assert_eq!(organization, org.member.get(&org.id).await.unwrap());
        let request =
            own::ListAuditEventsRequest { organization_id: org.id.clone(), ..Default::default() };
        let newest = org.admin.list_audit_events(request).await.unwrap().events.remove(0);
        let changed = seen.last_change_time.unwrap();
        assert!(changed.seconds > organization.updated_at.unwrap().seconds);
        assert!(changed.seconds <= newest.time.unwrap().seconds);

        // An expired invitation is not pending, even if the worker has not ended it yet.
        app.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
        assert_eq!(stats(&operator, &org.id).await.unwrap().pending_invitations, 0);
    }

    async fn p39_only_operators_read_stats_and_a_bound_key_only_its_own(app: TestApp) {
        let (org, operator) = (app.organization().await, app.operator().await);
        let unknown = stats(&operator, &uuid::Uuid::new_v4().to_string()).await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
        let service = app.key(Owner::Service("portal".parse().unwrap()), Some(KeyScope::Act), None);
        for who in [&org.admin, &org.member, &org.stranger, &service.await] {
            let failure = stats(who, &org.id).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
        let (other, _) = org.stranger.new_organization("Other").await;
        let bound = Owner::Account(org.admin.account().await);
        let bound = app.key(bound, Some(KeyScope::Operator), Some(org.domain_id())).await;
        assert!(stats(&bound, &org.id).await.is_ok());
        assert_eq!(stats(&bound, &other).await.unwrap_err(), unknown);
        assert_eq!(stats(&operator, "x").await.unwrap_err().fields, ["organization_id"]);
        org.admin.delete(&org.id).await.unwrap();
        assert_eq!(stats(&operator, &org.id).await.unwrap_err(), unknown);
    }
}
