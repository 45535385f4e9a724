use futures::future::join_all;
use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::support::{Code, TestApp, gitpod, own, trust_intranet};
use crate::{everywhere, on_both_engines, on_both_engines_with};

fn request(organization: &str, account: &str, id: &str) -> own::AddMemberRequest {
    own::AddMemberRequest {
        organization_id: organization.into(),
        account_id: account.into(),
        role: "edit".into(),
        request_id: id.into(),
        ..Default::default()
    }
}

fn limit(organization: &str, seat_limit: i64) -> own::SetSeatLimitRequest {
    own::SetSeatLimitRequest { organization_id: organization.into(), seat_limit }
}

everywhere! {
    async fn an_admin_adds_an_account_and_a_repetition_keeps_the_role(app: TestApp) {
        let org = app.organization().await;
        let zoe = org.stranger.account().await.to_string();
        let invited = org.admin.invite_address(&org.id, "zoe@example.com", "read").await.unwrap();
        let added = org.admin.add(&org.id, &zoe, "edit").await.unwrap();
        assert_eq!((added.role.as_str(), added.account_id.as_str()), ("edit", zoe.as_str()));
        assert_eq!(org.stranger.membership(&org.id, None).await.unwrap(), added);
        let events = org.admin.audit(&org.id).await.unwrap();
        let joined = events.iter().find(|event| event.action == "member.joined").unwrap();
        assert_eq!((joined.target_id.as_str(), joined.note.as_str()), (added.member_id.as_str(), "as edit, by admin"));
        let ended = org.admin.invite_by_id(&org.id, &invited.invite.unwrap().id).await.unwrap();
        assert_eq!(ended.end_reason, "ALREADY_MEMBER");

        // P18: an existing member keeps the role, and nothing changes.
        let again = org.admin.add(&org.id, &zoe, "admin").await.unwrap();
        assert_eq!(again, added);
        assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), events.len());

        // P10: adding counts as an invite made now, so an earlier removal does not prevent it.
        org.admin.end(&added.member_id).await.unwrap();
        let back = org.admin.add(&org.id, &zoe, "read").await.unwrap();
        assert_ne!(back.member_id, added.member_id);
        assert_eq!(back.role, "read");

        let suspend = own::SuspendMemberRequest {
            organization_id: org.id.clone(),
            member_id: back.member_id.clone(),
        };
        org.admin.suspend_member(suspend).await.unwrap();
        let failure = org.admin.add(&org.id, &zoe, "read").await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "SUSPENDED"));
        let after = org.stranger.membership(&org.id, None).await.unwrap();
        assert_eq!(after.status(), gitpod::UserStatus::Suspended);
    }

    async fn adding_a_member_needs_an_admin_a_known_account_and_a_free_seat(app: TestApp) {
        let org = app.organization().await;
        let gus = app.person("gus").await.account().await.to_string();
        let unknown_id = uuid::Uuid::new_v4().to_string();
        let failure = org.member.add(&org.id, &gus, "guest").await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        let unknown = org.stranger.add(&unknown_id, &gus, "guest").await.unwrap_err();
        assert_eq!(unknown.code, Code::NotFound);
        let oda = app.person("oda").await;
        oda.new_organization("Other").await;
        let bound = Owner::Account(org.admin.account().await);
        let (elsewhere, _) = org.admin.new_organization("Elsewhere").await;
        let bound = app.key(bound, None, Some(elsewhere.parse().unwrap())).await;
        for who in [&org.stranger, &oda, &bound, &app.operator().await] {
            for account in [&gus, &unknown_id] {
                assert_eq!(who.add(&org.id, account, "guest").await.unwrap_err(), unknown);
            }
        }
        assert_eq!(org.admin.add(&org.id, &unknown_id, "guest").await.unwrap_err(), unknown);
        let failure = org.admin.add(&org.id, "x", "boss").await.unwrap_err();
        assert_eq!(failure.fields, ["account_id", "role"]);

        app.operator().await.set_seat_limit(limit(&org.id, 2)).await.unwrap();
        let failure = org.admin.add(&org.id, &gus, "guest").await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "SEAT_LIMIT"));
        // An existing member needs no new seat.
        let ben = org.member.account().await.to_string();
        assert_eq!(org.admin.add(&org.id, &ben, "guest").await.unwrap().member_id, org.member_id);
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 2);

        org.admin.delete(&org.id).await.unwrap();
        assert_eq!(org.admin.add(&org.id, &gus, "guest").await.unwrap_err(), unknown);
    }

    async fn a_repeated_request_does_not_bring_a_removed_member_back(app: TestApp) {
        let org = app.organization().await;
        let zoe = org.stranger.account().await.to_string();
        let first = org.admin.add_member(request(&org.id, &zoe, "r")).await.unwrap();
        assert_eq!(org.admin.add_member(request(&org.id, &zoe, "r")).await.unwrap(), first);
        let member = first.membership.unwrap();
        org.admin.end(&member.member_id).await.unwrap();
        let again = org.admin.add_member(request(&org.id, &zoe, "r")).await.unwrap();
        let again = again.membership.unwrap();
        assert_eq!((again.member_id, again.status), (member.member_id, gitpod::UserStatus::Left.into()));
        assert_eq!(org.stranger.get(&org.id).await.unwrap_err().code, Code::NotFound);

        let gus = app.person("gus").await.account().await.to_string();
        let failure = org.admin.add_member(request(&org.id, &gus, "r")).await.unwrap_err();
        assert_eq!(failure.fields, ["request_id"]);
        let anew = org.admin.add_member(request(&org.id, &zoe, "s")).await.unwrap();
        assert_eq!(anew.membership.unwrap().status(), gitpod::UserStatus::Active);
    }
}

on_both_engines! {
    async fn p14_the_last_seat_is_taken_once_by_adding_or_joining(app: TestApp) {
        let (org, operator) = (app.organization().await, app.operator().await);
        operator.set_seat_limit(limit(&org.id, 3)).await.unwrap();
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let admins = app.at_replicas(&[&org.admin]).await.remove(0);
        let mut people = Vec::new();
        for i in 0..12 {
            let person = app.person(&format!("p{i}")).await;
            people.push((i, person.account().await.to_string(), person));
        }
        let (id, token, admins) = (&org.id, &token, &admins);
        let tries = people.iter().map(|(i, account, person)| async move {
            let at = &admins[i / 2 % admins.len()];
            match i % 2 {
                0 => at.add(id, account, "read").await.map(drop),
                _ => person.at(at.client.addr).join(token).await.map(drop),
            }
        });
        let tries = join_all(tries).await;
        assert_eq!(tries.iter().filter(|one| one.is_ok()).count(), 1);
        for failure in tries.into_iter().filter_map(Result::err) {
            assert_eq!(failure.reason, "SEAT_LIMIT");
        }
        assert_eq!(org.admin.members(&org.id).await.unwrap().len(), 3);
    }

    async fn p18_an_account_that_joins_while_being_added_becomes_one_member(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let admins = app.at_replicas(&[&org.admin]).await.remove(0);
        for round in 0..12 {
            let person = app.person(&format!("p{round}")).await;
            let account = person.account().await.to_string();
            let at = admins.last().unwrap();
            let (added, joined) =
                futures::join!(at.add(&org.id, &account, "read"), person.join(&token));
            let (added, joined) = (added.unwrap(), joined.unwrap());
            assert_eq!(added.member_id, joined.user_id);
            // The first of the two calls sets the role; the responses show the stored membership.
            let now = person.membership(&org.id, None).await.unwrap();
            assert_eq!(added, now);
            let events = org.admin.audit(&org.id).await.unwrap();
            let joined = |event: &&own::AuditEvent| {
                event.action == "member.joined" && event.target_id == now.member_id
            };
            assert_eq!(events.iter().filter(joined).count(), 1);
        }
    }
}

async fn on_behalf(app: &TestApp) {
    let service = Owner::Service("portal".parse().unwrap());
    let service = app.key(service, Some(KeyScope::Act), None).await;
    let mut ids = Vec::new();
    for subject in ["ana", "uma"] {
        let person = own::ResolveAccountRequest {
            issuer: "intranet".into(),
            subject: subject.into(),
            email: format!("{subject}@example.com"),
            email_verified: subject == "ana",
            ..Default::default()
        };
        ids.push(service.resolve_account(person).await.unwrap().account.unwrap().id);
    }
    let (ana, uma) = (service.on_behalf_of(&ids[0]), service.on_behalf_of(&ids[1]));
    let (org, _) = ana.new_organization("Acme").await;
    assert_eq!(service.add(&org, &ids[1], "read").await.unwrap_err().code, Code::NotFound);
    assert_eq!(uma.add(&org, &ids[1], "read").await.unwrap_err().code, Code::NotFound);
    let invited = ana.invite_address(&org, "uma@example.com", "read").await.unwrap();
    let added = ana.add(&org, &ids[1], "read").await.unwrap();
    // P23: Uma's address is not verified, so the invitation does not count as Uma's and stays live.
    let invitation = ana.invite_by_id(&org, &invited.invite.unwrap().id).await.unwrap();
    assert_eq!(invitation.state(), own::InviteState::Live);
    let event = ana.audit(&org).await.unwrap().remove(0);
    assert_eq!((event.action.as_str(), &event.target_id), ("member.joined", &added.member_id));
    assert_eq!(event.on_behalf_of_account_id, ids[0]);
    assert_eq!(event.actor_account_id, service.account().await.to_string());
}

on_both_engines_with! {
    trust_intranet;
    p39_a_service_adds_a_member_on_behalf_of_an_admin: on_behalf;
}
