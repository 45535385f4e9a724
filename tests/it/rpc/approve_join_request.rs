use crate::support::{Code, TestApp, own};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn an_approved_account_is_a_member_with_the_role_that_the_admin_chose(app: TestApp) {
        for (role, expected) in [("", "read"), ("edit", "edit"), ("admin", "admin")] {
            let org = app.organization().await;
            let link = org.admin.approval_link(&org.id).await;
            let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
            let approved = org.admin.approve(&join_request, role).await.unwrap();
            let (request, membership) = (approved.join_request.unwrap(), approved.membership.unwrap());
            assert_eq!(membership.role, expected);
            assert_eq!((request.state(), &request.member_id), (own::JoinRequestState::Approved, &membership.member_id));
            assert_eq!(request.decided_by, org.admin_id);
            assert_eq!(org.admin.invite_by_id(&org.id, &link.id).await.unwrap().uses, 1);
            // The admin and the account may each repeat the call.
            let again = org.admin.approve(&join_request, role).await.unwrap();
            assert_eq!(again.membership.unwrap().member_id, membership.member_id);
            assert_eq!(org.stranger.join(&link.token).await.unwrap().user_id, membership.member_id);
            let events = org.admin.audit(&org.id).await.unwrap();
            let mut last: Vec<&str> = events[..2].iter().map(|event| event.action.as_str()).collect();
            last.sort_unstable();
            assert_eq!(last, ["join_request.approved", "member.joined"]);
        }
    }

    async fn a_decided_join_request_cannot_be_decided_again(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let decided = |failure: crate::support::Failure| {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "REQUEST_DECIDED"));
        };
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        org.stranger.withdraw(&join_request).await.unwrap();
        decided(org.admin.approve(&join_request, "").await.unwrap_err());
        decided(org.admin.deny(&join_request, "", 0).await.unwrap_err());
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        org.admin.deny(&join_request, "no", 0).await.unwrap();
        decided(org.admin.approve(&join_request, "").await.unwrap_err());
        decided(org.stranger.withdraw(&join_request).await.unwrap_err());
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        org.admin.approve(&join_request, "").await.unwrap();
        decided(org.admin.deny(&join_request, "", 0).await.unwrap_err());
        decided(org.stranger.withdraw(&join_request).await.unwrap_err());
    }

    async fn a_request_by_an_ended_link_cannot_be_approved(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        org.admin.revoke(&org.id, &link.id).await.unwrap();
        assert_eq!(org.admin.approve(&join_request, "").await.unwrap_err().reason, "INVITE_ENDED");
        // An admin may still add the account, which ends the request.
        let account = org.stranger.account().await.to_string();
        org.admin.add(&org.id, &account, "read").await.unwrap();
        let ended = org.admin.requests(&org.id, own::JoinRequestState::Ended).await.unwrap();
        assert_eq!(ended[0].id, join_request.id);
    }
}

on_both_engines! {
    async fn p14_parallel_approvals_respect_the_seat_limit(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let seats = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 5 };
        app.operator().await.set_seat_limit(seats).await.unwrap();
        let mut join_requests = Vec::new();
        for i in 0..10 {
            let person = app.person(&format!("p{i}")).await;
            join_requests.push(person.request_to_join(&link.token).await.unwrap());
        }
        let approvals = join_requests.iter().map(|request| org.admin.approve(request, "read"));
        let approvals = futures::future::join_all(approvals).await;
        assert_eq!(approvals.iter().filter(|one| one.is_ok()).count(), 3);
        for failure in approvals.into_iter().filter_map(Result::err) {
            assert_eq!(failure.reason, "SEAT_LIMIT");
        }
        let pending = org.admin.requests(&org.id, own::JoinRequestState::Pending).await.unwrap();
        assert_eq!(pending.len(), 7, "the other requests stay pending");
    }

    async fn p16_parallel_approve_deny_and_withdraw_have_one_winner(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        for round in 0..12 {
            let person = app.person(&format!("r{round}")).await;
            let join_request = person.request_to_join(&link.token).await.unwrap();
            let (approved, denied, withdrawn) = futures::join!(
                org.admin.approve(&join_request, "read"),
                org.admin.deny(&join_request, "", 0),
                person.withdraw(&join_request),
            );
            let won = [approved.is_ok(), denied.is_ok(), withdrawn.is_ok()];
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
            let is_member = person.get(&org.id).await.is_ok();
            assert_eq!(is_member, won[0]);
        }
    }

    async fn p12_approvals_do_not_exceed_the_uses_of_a_link(app: TestApp) {
        let org = app.organization().await;
        let request = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Role("read".into())),
            requires_approval: true,
            max_uses: 2,
            ..crate::support::link_to(&org.id)
        };
        let link = org.admin.create_link(request).await.unwrap().invite.unwrap();
        let mut join_requests = Vec::new();
        for i in 0..5 {
            join_requests.push(app.person(&format!("p{i}")).await.request_to_join(&link.token).await.unwrap());
        }
        let approvals = join_requests.iter().map(|request| org.admin.approve(request, ""));
        let approvals = futures::future::join_all(approvals).await;
        assert_eq!(approvals.iter().filter(|one| one.is_ok()).count(), 2);
        for failure in approvals.into_iter().filter_map(Result::err) {
            assert_eq!(failure.reason, "INVITE_ENDED");
        }
    }
}
