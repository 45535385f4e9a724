use crate::rest::client::Rest;
use crate::support::{Code, TestApp, own};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn p50_a_link_that_needs_approval_makes_one_request_and_no_member(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        assert!(link.requires_approval);
        // The join is rejected, but its join request is stored; another join makes no second one.
        for _ in 0..3 {
            let failure = org.stranger.join(&link.token).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "APPROVAL_PENDING"));
        }
        let pending = org.admin.requests(&org.id, own::JoinRequestState::Pending).await.unwrap();
        assert_eq!(pending.len(), 1);
        assert_eq!((pending[0].link_id.as_str(), pending[0].email.as_str()), (link.id.as_str(), "zoe@example.com"));
        let join_request = org.stranger.request_to_join(&link.token).await.unwrap();
        assert_eq!((&join_request.id, join_request.state()), (&pending[0].id, own::JoinRequestState::Pending));
        assert!(join_request.email.is_empty(), "only admins see the profile");
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2);
        let shown = org.admin.invite_by_id(&org.id, &link.id).await.unwrap();
        assert_eq!(shown.uses, 0, "a join request does not count as a use");
        let events = org.admin.audit(&org.id).await.unwrap();
        let made: Vec<_> = events.iter().filter(|event| event.action == "join_request.created").collect();
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].target_id, join_request.id);
        // A member needs no join request, and a link without approval needs none.
        let failure = org.member.request_to_join(&link.token).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::AlreadyExists, "ALREADY_MEMBER"));
        let plain = org.admin.link(&org.id, "read").await.unwrap();
        let failure = org.stranger.request_to_join(&plain.token).await.unwrap_err();
        assert_eq!(failure.reason, "NO_APPROVAL_NEEDED");
        org.admin.revoke(&org.id, &link.id).await.unwrap();
        assert_eq!(org.stranger.request_to_join(&link.token).await.unwrap_err().code, Code::NotFound);
    }

    async fn p50_only_accounts_of_an_on_request_domain_can_request_to_join(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::OnRequest).await;
        let person = app.person_with(&format!("pia@{}", domain.domain)).await;
        assert_eq!(person.join_by_id(&org.id).await.unwrap_err().code, Code::NotFound);
        assert!(org.admin.requests(&org.id, own::JoinRequestState::Pending).await.unwrap().is_empty());
        let join_request = person.request_to_join_by_domain(&org.id).await.unwrap();
        assert!(join_request.link_id.is_empty());
        assert_eq!(person.request_to_join_by_domain(&org.id).await.unwrap().id, join_request.id);
        assert_eq!(org.stranger.request_to_join_by_domain(&org.id).await.unwrap_err().code, Code::NotFound);
        org.admin.set_mode(&domain, own::DomainMode::InviteOnly).await.unwrap();
        let late = app.person_with(&format!("late@{}", domain.domain)).await;
        assert_eq!(late.request_to_join_by_domain(&org.id).await.unwrap_err().code, Code::NotFound);
        org.admin.set_mode(&domain, own::DomainMode::Automatic).await.unwrap();
        assert_eq!(late.request_to_join_by_domain(&org.id).await.unwrap_err().reason, "NO_APPROVAL_NEEDED");
        // Joining in another way ends the request.
        person.join_by_id(&org.id).await.unwrap();
        let ended = org.admin.requests(&org.id, own::JoinRequestState::Ended).await.unwrap();
        assert_eq!(ended[0].id, join_request.id);
    }

    async fn p10_a_removed_member_cannot_request_by_an_old_link_or_domain(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::OnRequest).await;
        let person = app.person_with(&format!("pia@{}", domain.domain)).await;
        let old = org.admin.approval_link(&org.id).await;
        let member = person.join(&org.admin.invite(&org.id).await.unwrap()).await.unwrap();
        org.admin.end(&member.user_id).await.unwrap();
        assert_eq!(person.request_to_join(&old.token).await.unwrap_err().code, Code::NotFound);
        assert_eq!(person.request_to_join_by_domain(&org.id).await.unwrap_err().code, Code::NotFound);
        let new = org.admin.approval_link(&org.id).await;
        person.request_to_join(&new.token).await.unwrap();
    }
}

on_both_engines! {
    async fn p50_parallel_requests_of_one_account_make_one_join_request(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        let requests = futures::future::join_all((0..10).map(|_| org.stranger.request_to_join(&link.token)));
        let joins = futures::future::join_all((0..10).map(|_| org.stranger.join(&link.token)));
        let (requested, joined) = futures::join!(requests, joins);
        let ids: std::collections::BTreeSet<String> = requested.into_iter().map(|one| one.unwrap().id).collect();
        assert_eq!(ids.len(), 1);
        assert!(joined.iter().all(Result::is_err));
        assert_eq!(org.admin.requests(&org.id, own::JoinRequestState::Pending).await.unwrap().len(), 1);
    }

    async fn the_gitbook_join_route_returns_403_for_an_approval_link(app: TestApp) {
        let org = app.organization().await;
        let link = org.admin.approval_link(&org.id).await;
        for _ in 0..2 {
            let path = format!("/v1/orgs/{}/invites/{}", org.id, link.token);
            let answer = Rest::new(&org.stranger, "POST", &path).send().await;
            assert_eq!(answer.status.as_u16(), 403, "{}", answer.text());
        }
        assert_eq!(org.admin.requests(&org.id, own::JoinRequestState::Pending).await.unwrap().len(), 1);
    }

    async fn a_content_link_cannot_require_approval(app: TestApp) {
        let org = app.organization().await;
        let content = Some(own::content_grant::Content::Space("s1".into()));
        let grant = own::ContentGrant { content, level: "read".into() };
        let request = own::CreateLinkRequest {
            grants: Some(own::create_link_request::Grants::Grant(grant)),
            requires_approval: true,
            ..crate::support::link_to(&org.id)
        };
        let failure = org.admin.create_link(request).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["requires_approval".to_owned()]));
    }
}
