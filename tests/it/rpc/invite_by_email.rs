use std::time::Duration;

use crate::support::{Code, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

use own::EmailInvitationOutcome as Outcome;

fn request(organization: &str, emails: &[&str]) -> own::InviteByEmailRequest {
    let invitation = |email: &&str| own::EmailInvitation {
        email: (*email).into(),
        role: String::new(),
        ..Default::default()
    };
    own::InviteByEmailRequest {
        organization_id: organization.into(),
        invitations: emails.iter().map(invitation).collect(),
        ..Default::default()
    }
}

/// The results with each delivery set to pending: the mails may be sent between two calls.
fn without_delivery_state(mut answer: own::InviteByEmailResponse) -> own::InviteByEmailResponse {
    for invite in answer.results.iter_mut().filter_map(|result| result.invite.as_mut()) {
        invite.set_delivery(own::Delivery::Pending);
    }
    answer
}

everywhere! {
    async fn each_address_gets_its_own_outcome(app: TestApp) {
        let org = app.organization().await;
        org.admin.invite_address(&org.id, "old@example.org", "read").await.unwrap();
        let emails =
            ["New@Example.ORG", "not an address", "ben@example.com", "old@example.org", " new@example.org "];
        let answer = org.admin.invite_by_email(request(&org.id, &emails)).await.unwrap();
        let outcomes: Vec<Outcome> = answer.results.iter().map(|r| r.outcome()).collect();
        let expected = [
            Outcome::Invited, Outcome::InvalidAddress, Outcome::AlreadyMember,
            Outcome::AlreadyInvited, Outcome::AlreadyInvited,
        ];
        assert_eq!(outcomes, expected);
        let given: Vec<&str> = answer.results.iter().map(|r| r.email.as_str()).collect();
        assert_eq!(given, emails);

        let invite = answer.results[0].invite.clone().unwrap();
        assert_eq!((invite.kind(), invite.state()), (own::InviteKind::Email, own::InviteState::Live));
        assert_eq!((invite.email.as_str(), invite.role.as_str()), ("new@example.org", "member"));
        assert_eq!((invite.max_uses, invite.delivery()), (1, own::Delivery::Pending));
        let (made, ends) = (invite.create_time.unwrap(), invite.expire_time.unwrap());
        assert_eq!(ends.seconds - made.seconds, 7 * 24 * 60 * 60);
        assert_eq!(invite.token, "", "P04: the token goes only to the address");
        assert_eq!(org.admin.invite_by_id(&org.id, &invite.id).await.unwrap().token, "");
        assert!(answer.results[1..].iter().all(|result| result.invite.is_none()));
    }

    async fn the_error_names_every_invalid_field(app: TestApp) {
        let org = app.organization().await;
        let mut wrong = request("x", &[]);
        wrong.role = "king".into();
        let failure = org.admin.invite_by_email(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.fields, ["organization_id", "invitations", "role"]);
        let many = request(&org.id, &vec!["a@example.org"; 1001]);
        let failure = org.admin.invite_by_email(many).await.unwrap_err();
        assert_eq!(failure.fields, ["invitations"]);

        for after in [3599, 30 * 24 * 3600 + 1] {
            let mut wrong = request(&org.id, &["a@example.org"]);
            wrong.expire_time = app.in_the_future(Duration::from_secs(after));
            let failure = org.admin.invite_by_email(wrong).await.unwrap_err();
            assert_eq!(failure.fields, ["expire_time"], "{after}");
        }
        let mut sso = request(&org.id, &["a@example.org"]);
        sso.sso = true;
        let failure = org.admin.invite_by_email(sso).await.unwrap_err();
        assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["sso".into()]));
    }
}

on_both_engines! {
    async fn p23_only_the_invited_verified_address_joins(app: TestApp) {
        let org = app.organization().await;
        let invited = org.admin.invite_address(&org.id, "Zoe@Example.com", "edit").await.unwrap();
        let invite = invited.invite.unwrap();
        let token = app.mailed_token(&org.id, &invite.id).await;
        let wrong = app.person("gus").await;

        let failure = wrong.join(&token).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        assert_eq!(failure.reason, "EMAIL_MISMATCH");
        assert!(!failure.message.contains('@'), "P27: {}", failure.message);
        assert_eq!(wrong.preview(&token).await.unwrap_err().code, Code::NotFound);
        // The id works only for the recipient, and only to join.
        assert_eq!(wrong.join(&invite.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.preview(&invite.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(org.stranger.preview(&token).await.unwrap().organization_id, org.id);
        assert_eq!(org.admin.invite_by_id(&org.id, &invite.id).await.unwrap().uses, 0);

        let member = org.stranger.join(&token).await.unwrap();
        assert_eq!(member.user_id, invite.member_id, "the reserved member id");
        let mine = org.stranger.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations[0].role, "edit");
        let ended = org.admin.invite_by_id(&org.id, &invite.id).await.unwrap();
        assert_eq!((ended.state(), ended.end_reason.as_str()), (own::InviteState::Accepted, "ACCEPTED"));
        // P13: joining again returns the same member.
        assert_eq!(org.stranger.join(&token).await.unwrap(), member);
        assert_eq!(org.stranger.join(&invite.id).await.unwrap(), member);
    }

    async fn the_recipient_can_join_by_the_id_of_the_invitation(app: TestApp) {
        let org = app.organization().await;
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        org.stranger.join(&invited.invite.unwrap().id).await.unwrap();
        // An account cannot join by the id of another kind of invite.
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let failure = app.person("gus").await.join(&link.id).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
    }

    async fn p11_an_invitation_is_valid_until_its_expiry(app: TestApp) {
        let org = app.organization().await;
        let mut invite_request = request(&org.id, &["zoe@example.com", "gus@example.com"]);
        invite_request.expire_time = app.in_the_future(Duration::from_secs(2 * 3600));
        let results = org.admin.invite_by_email(invite_request).await.unwrap().results;
        let id = |i: usize| results[i].invite.clone().unwrap().id;
        app.clock.advance(Duration::from_secs(2 * 3600 - 30));
        org.stranger.join(&id(0)).await.unwrap();
        app.clock.advance(Duration::from_secs(30));
        let gus = app.person("gus").await;
        assert_eq!(gus.join(&id(1)).await.unwrap_err().code, Code::NotFound);
        let seen = org.admin.invite_by_id(&org.id, &id(1)).await.unwrap();
        assert_eq!((seen.state(), seen.end_reason.as_str()), (own::InviteState::Expired, "EXPIRED"));
        // An expired invitation does not block a new one.
        let again = org.admin.invite_address(&org.id, "gus@example.com", "read").await.unwrap();
        assert_eq!(again.outcome(), Outcome::Invited);
        gus.join(&again.invite.unwrap().id).await.unwrap();
    }

    async fn p15_parallel_invitations_of_one_address_leave_one_pending(app: TestApp) {
        let org = app.organization().await;
        let admins = app.at_replicas(&[&org.admin]).await.remove(0);
        let many = (0..16)
            .map(|i| admins[i % admins.len()].invite_address(&org.id, "new@example.org", "read"));
        let outcomes: Vec<Outcome> = futures::future::join_all(many)
            .await
            .into_iter()
            .map(|result| result.unwrap().outcome())
            .collect();
        let invited = outcomes.iter().filter(|outcome| **outcome == Outcome::Invited).count();
        let already = outcomes.iter().filter(|outcome| **outcome == Outcome::AlreadyInvited).count();
        assert_eq!((invited, already), (1, 15));
    }

    async fn joining_by_another_invite_ends_the_invitation(app: TestApp) {
        let org = app.organization().await;
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "admin").await.unwrap();
        let id = invited.invite.unwrap().id;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        org.stranger.join(&token).await.unwrap();
        let ended = org.admin.invite_by_id(&org.id, &id).await.unwrap();
        assert_eq!((ended.state(), ended.end_reason.as_str()), (own::InviteState::Revoked, "ALREADY_MEMBER"));
    }

    async fn p10_only_an_invitation_made_after_the_removal_can_be_used(app: TestApp) {
        let org = app.organization().await;
        org.member.end(&org.member_id).await.unwrap();
        let before = org.admin.invite_address(&org.id, "ben@example.com", "read").await.unwrap();
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let back = org.member.join(&link.token).await.unwrap();
        org.admin.end(&back.user_id).await.unwrap();
        assert_eq!(org.member.join(&link.token).await.unwrap_err().code, Code::NotFound);
        let before = before.invite.unwrap().id;
        assert_eq!(org.member.join(&before).await.unwrap_err().code, Code::NotFound);
        let after = org.admin.invite_address(&org.id, "ben@example.com", "read").await.unwrap();
        org.member.join(&after.invite.unwrap().id).await.unwrap();
    }

    async fn p08_invites_end_when_their_inviter_loses_the_admin_role(app: TestApp) {
        let org = app.organization().await;
        let admin = gitpod::OrganizationRole::Admin;
        org.admin.grant(&org.id, &org.member_id, admin).await.unwrap();
        let invited = org.member.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let id = invited.invite.unwrap().id;
        let link = org.member.link(&org.id, "read").await.unwrap();
        org.admin.grant(&org.id, &org.member_id, gitpod::OrganizationRole::Member).await.unwrap();
        for id in [&id, &link.id] {
            let ended = org.admin.invite_by_id(&org.id, id).await.unwrap();
            assert_eq!((ended.state(), ended.end_reason.as_str()), (own::InviteState::Revoked, "INVITER_GONE"));
            assert_eq!(ended.ended_by, org.admin_id);
        }
        assert_eq!(org.stranger.join(&id).await.unwrap_err().code, Code::NotFound);
        let again = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        assert_eq!(again.outcome(), Outcome::Invited);
    }

    async fn a_repeated_request_invites_only_once(app: TestApp) {
        let org = app.organization().await;
        let mut invite_request = request(&org.id, &["a@example.org", "x", "b@example.org"]);
        invite_request.request_id = "r1".into();
        invite_request.expire_time = app.in_the_future(Duration::from_secs(3630));
        let first = org.admin.invite_by_email(invite_request.clone()).await.unwrap();
        // For a new request the expire time is now too early; for the first request it was valid.
        app.clock.advance(Duration::from_secs(60));
        let again = org.admin.invite_by_email(invite_request.clone()).await.unwrap();
        assert_eq!(without_delivery_state(again), without_delivery_state(first));
        invite_request.invitations.pop();
        let failure = org.admin.invite_by_email(invite_request).await.unwrap_err();
        assert_eq!(failure.fields, ["request_id"]);
    }

    async fn a_thousand_addresses_can_be_invited_at_once(app: TestApp) {
        let org = app.organization().await;
        let emails: Vec<String> = (0..1000).map(|i| format!("p{i}@example.org")).collect();
        let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
        let results = org.admin.invite_by_email(request(&org.id, &emails)).await.unwrap().results;
        assert_eq!(results.len(), 1000);
        assert!(results.iter().all(|result| result.outcome() == Outcome::Invited));
    }
}
