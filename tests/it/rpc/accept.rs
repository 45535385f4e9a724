use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::support::{Code, TestApp, own, trust_intranet};
use crate::{everywhere, on_both_engines_with};

fn request(invitation: &str) -> own::AcceptRequest {
    own::AcceptRequest { invitation: invitation.into() }
}

everywhere! {
    async fn only_the_recipient_can_accept_and_a_repetition_changes_nothing(app: TestApp) {
        let org = app.organization().await;
        let (gus, zoe) = (app.person("gus").await, &org.stranger);
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "edit").await.unwrap();
        let invite = invited.invite.unwrap();
        let unknown = uuid::Uuid::new_v4().to_string();
        let unknown = gus.accept_invitation(request(&unknown)).await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
        for other in [&gus, &org.admin, &org.member] {
            assert_eq!(other.accept_invitation(request(&invite.id)).await.unwrap_err(), unknown);
        }
        let (elsewhere, _) = zoe.new_organization("Elsewhere").await;
        let bound = Owner::Account(zoe.account().await);
        let bound = app.key(bound, None, Some(elsewhere.parse().unwrap())).await;
        assert_eq!(bound.accept_invitation(request(&invite.id)).await.unwrap_err(), unknown);

        let seen = zoe.list_my_invitations(Default::default()).await.unwrap().invitations;
        let joined = zoe.accept_invitation(request(&seen[0].id)).await.unwrap().membership.unwrap();
        assert_eq!((joined.role.as_str(), &joined.member_id), ("edit", &invite.member_id));
        assert_eq!(zoe.membership(&org.id, None).await.unwrap(), joined);
        let events = org.admin.audit(&org.id).await.unwrap().len();
        let again = zoe.accept_invitation(request(&invite.id)).await.unwrap().membership.unwrap();
        assert_eq!(again, joined);
        assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), events);
        assert!(zoe.list_my_invitations(Default::default()).await.unwrap().invitations.is_empty());

        // P10: the accepted invitation does not bring a removed member back.
        org.admin.end(&joined.member_id).await.unwrap();
        assert_eq!(zoe.accept_invitation(request(&invite.id)).await.unwrap_err(), unknown);
        assert_eq!(zoe.accept_invitation(request("x")).await.unwrap_err().fields, ["invitation"]);
    }

    async fn only_an_email_invitation_can_be_accepted(app: TestApp) {
        let org = app.organization().await;
        let zoe = &org.stranger;
        let link = org.admin.link(&org.id, "read").await.unwrap();
        let join_link = org.admin.current_invite(&org.id).await.unwrap();
        for no_invitation in [&link.token, &link.id, &join_link] {
            let failure = zoe.accept_invitation(request(no_invitation)).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound);
        }
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let token = app.mailed_token(&org.id, &invited.invite.unwrap().id).await;
        let failure = app.person("gus").await.accept_invitation(request(&token)).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::PermissionDenied, "EMAIL_MISMATCH"));
        zoe.accept_invitation(request(&token)).await.unwrap();

        // P14: to accept needs a free seat, as every join does.
        let limit = own::SetSeatLimitRequest { organization_id: org.id.clone(), seat_limit: 4 };
        app.operator().await.set_seat_limit(limit).await.unwrap();
        let invited = org.admin.invite_address(&org.id, "gus@example.com", "read").await.unwrap();
        app.person("max").await.join(&join_link).await.unwrap();
        let accept = request(&invited.invite.unwrap().id);
        let failure = app.person("gus").await.accept_invitation(accept).await.unwrap_err();
        assert_eq!(failure.reason, "SEAT_LIMIT");
    }
}

async fn unverified(app: &TestApp) {
    let org = app.organization().await;
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    let invited = org.admin.invite_address(&org.id, "uma@example.com", "read").await.unwrap();
    let invitation = invited.invite.unwrap().id;
    for verified in [false, true] {
        let person = own::ResolveAccountRequest {
            issuer: "intranet".into(),
            subject: "uma".into(),
            email: "uma@example.com".into(),
            email_verified: verified,
            ..Default::default()
        };
        let uma = service.resolve_account(person).await.unwrap().account.unwrap().id;
        let accepted = service.on_behalf_of(&uma).accept_invitation(request(&invitation)).await;
        let code = accepted.map_or_else(|failure| failure.code, |_| Code::Ok);
        assert_eq!(code, if verified { Code::Ok } else { Code::NotFound });
    }
}

on_both_engines_with! {
    trust_intranet;
    p23_an_account_with_an_unverified_address_cannot_accept: unverified;
}
