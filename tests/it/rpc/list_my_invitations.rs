use std::time::Duration;

use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::support::{Code, Person, TestApp, own, trust_intranet};
use crate::{everywhere, on_both_engines_with};

async fn all(person: &Person) -> Vec<own::MyInvitation> {
    person.list_my_invitations(Default::default()).await.unwrap().invitations
}

everywhere! {
    async fn only_the_recipient_sees_pending_invitations(app: TestApp) {
        let org = app.organization().await;
        let zoe = &org.stranger;
        assert!(all(zoe).await.is_empty());
        let invited = org.admin.invite_address(&org.id, "ZOE@example.com", "read").await.unwrap();
        let invite = invited.invite.unwrap();
        let seen = all(zoe).await;
        assert_eq!(seen.len(), 1);
        let one = &seen[0];
        assert_eq!((&one.id, &one.organization_id), (&invite.id, &org.id));
        assert_eq!((one.organization_name.as_str(), one.role.as_str()), ("Acme", "read"));
        assert_eq!((&one.create_time, &one.expire_time), (&invite.create_time, &invite.expire_time));
        let listed = org.admin.members(&org.id).await.unwrap();
        let admin = listed.iter().find(|one| one.user_id == org.admin_id).unwrap();
        assert_eq!(one.inviter_name, admin.full_name);
        for other in [&org.admin, &org.member, &app.person("gus").await, &app.operator().await] {
            assert!(all(other).await.is_empty());
        }

        // Not listed: declined, revoked or expired invitations, and those of deleted organizations.
        let decline = own::DeclineRequest { invitation: invite.id, request_id: String::new() };
        zoe.decline_invite(decline).await.unwrap();
        assert!(all(zoe).await.is_empty());
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        org.admin.revoke(&org.id, &invited.invite.unwrap().id).await.unwrap();
        assert!(all(zoe).await.is_empty());
        org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let (second, _) = org.admin.new_organization("Second").await;
        org.admin.invite_address(&second, "zoe@example.com", "read").await.unwrap();
        assert_eq!(all(zoe).await.len(), 2);
        org.admin.delete(&second).await.unwrap();
        let left = all(zoe).await;
        assert_eq!((left.len(), &left[0].organization_id), (1, &org.id));
        app.clock.advance(Duration::from_secs(7 * 24 * 60 * 60) - Duration::from_secs(60));
        assert_eq!(all(zoe).await.len(), 1);
        app.clock.advance(Duration::from_secs(60));
        assert!(all(zoe).await.is_empty());
    }

    async fn pages_contain_each_invitation_once(app: TestApp) {
        let (ana, zoe) = (app.person("ana").await, app.person("zoe").await);
        let mut expected = Vec::new();
        for i in 0..5 {
            app.clock.advance(Duration::from_secs(1));
            let (id, _) = ana.new_organization(&format!("Organization {i}")).await;
            let invited = ana.invite_address(&id, "zoe@example.com", "read").await.unwrap();
            expected.push(invited.invite.unwrap().id);
        }
        expected.reverse();
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let page = Some(own::PageRequest { page_size: 2, page_token });
            let listed =
                zoe.list_my_invitations(own::ListMyInvitationsRequest { page }).await.unwrap();
            assert!(listed.invitations.len() <= 2);
            found.extend(listed.invitations.into_iter().map(|one| one.id));
            page_token = listed.next_page_token;
            if page_token.is_empty() {
                break;
            }
            // A page token is valid only for its caller.
            let page = Some(own::PageRequest { page_size: 2, page_token: page_token.clone() });
            let failure = ana.list_my_invitations(own::ListMyInvitationsRequest { page }).await;
            assert_eq!(failure.unwrap_err().fields, ["page.page_token"]);
        }
        assert_eq!(found, expected);

        let (only, _) = zoe.new_organization("Only").await;
        let bound = Owner::Account(zoe.account().await);
        let bound = app.key(bound, None, Some(only.parse().unwrap())).await;
        assert!(all(&bound).await.is_empty(), "the key reaches no other organization");
    }
}

async fn unverified(app: &TestApp) {
    let org = app.organization().await;
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    let resolve = async |email: &str, email_verified| {
        let request = own::ResolveAccountRequest {
            issuer: "intranet".into(),
            subject: "uma".into(),
            email: email.into(),
            email_verified,
            ..Default::default()
        };
        let resolved = service.resolve_account(request).await.unwrap();
        service.on_behalf_of(&resolved.account.unwrap().id)
    };
    for address in ["uma@example.com", "uma@elsewhere.example"] {
        org.admin.invite_address(&org.id, address, "read").await.unwrap();
    }
    // The issuer is trusted to verify addresses of example.com only.
    for (email, verified, number) in [
        ("uma@example.com", false, 0),
        ("uma@elsewhere.example", true, 0),
        ("uma@example.com", true, 1),
        ("uma@example.com", false, 0),
    ] {
        let uma = resolve(email, verified).await;
        assert_eq!(all(&uma).await.len(), number, "{email} {verified}");
    }

    // P10: an invitation that is older than a removal cannot be accepted, and is not listed.
    let uma = resolve("uma@elsewhere.example", false).await;
    let token = org.admin.current_invite(&org.id).await.unwrap();
    let member = uma.join(&token).await.unwrap().user_id;
    org.admin.end(&member).await.unwrap();
    let uma = resolve("uma@example.com", true).await;
    assert!(all(&uma).await.is_empty());
    let list = own::ListRequest { organization_id: org.id.clone(), ..Default::default() };
    let invites = org.admin.list_invites(list).await.unwrap().invites;
    let pending = invites.iter().find(|one| one.email == "uma@example.com").unwrap();
    assert_eq!(pending.state(), own::InviteState::Live);
    let accept = own::AcceptRequest { invitation: pending.id.clone() };
    assert_eq!(uma.accept_invitation(accept.clone()).await.unwrap_err().code, Code::NotFound);
    let resend = own::ResendRequest {
        organization_id: org.id.clone(),
        id: pending.id.clone(),
        ..Default::default()
    };
    org.admin.resend_invite(resend).await.unwrap();
    assert_eq!(all(&uma).await.len(), 1);
    uma.accept_invitation(accept).await.unwrap();
}

on_both_engines_with! {
    trust_intranet;
    p23_an_account_with_an_unverified_address_sees_no_invitations: unverified;
}
