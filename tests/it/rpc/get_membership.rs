use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;
use own::Permission as May;
use own::get_membership_request::Whose;

use crate::support::{Code, Failure, Person, TestApp, gitpod, own, trust_intranet};
use crate::{everywhere, on_both_engines, on_both_engines_with};

fn account(id: impl ToString) -> Option<Whose> {
    Some(Whose::AccountId(id.to_string()))
}

fn member(id: &str) -> Option<Whose> {
    Some(Whose::MemberId(id.to_owned()))
}

/// The error that a caller receives for an organization that does not exist.
async fn unknown(stranger: &Person) -> Failure {
    let failure = stranger.membership(&uuid::Uuid::new_v4().to_string(), None).await.unwrap_err();
    assert_eq!(failure.code, Code::NotFound);
    failure
}

async fn suspend(admin: &Person, organization: &str, member: &str) {
    let request = own::SuspendMemberRequest {
        organization_id: organization.to_owned(),
        member_id: member.to_owned(),
    };
    admin.suspend_member(request).await.unwrap();
}

everywhere! {
    async fn members_see_themselves_and_those_they_may_list(app: TestApp) {
        let org = app.organization().await;
        let (ana, ben) = (org.admin.account().await, org.member.account().await);
        let own_one = org.member.membership(&org.id, None).await.unwrap();
        assert_eq!(own_one.organization_id, org.id);
        assert_eq!(own_one.member_id, org.member_id);
        assert_eq!(own_one.account_id, ben.to_string());
        assert_eq!((own_one.role.as_str(), own_one.status()), ("member", gitpod::UserStatus::Active));
        let permissions: Vec<May> = own_one.permissions().collect();
        assert_eq!(permissions, [May::ViewOrganization, May::Leave, May::ListMembers]);
        let listed = org.admin.members(&org.id).await.unwrap();
        let listed = listed.iter().find(|one| one.user_id == org.member_id).unwrap();
        assert_eq!(own_one.since, listed.member_since);

        for whose in [account(ben), member(&org.member_id)] {
            for who in [&org.admin, &org.member] {
                assert_eq!(who.membership(&org.id, whose.clone()).await.unwrap(), own_one);
            }
        }
        let admin = org.member.membership(&org.id, account(ana)).await.unwrap();
        assert_eq!((admin.role.as_str(), admin.permissions.len()), ("admin", 7));

        // A change is visible at once.
        let change = own::SetMemberRoleRequest {
            organization_id: org.id.clone(),
            member_id: org.member_id.clone(),
            role: "guest".into(),
        };
        org.admin.set_member_role(change).await.unwrap();
        let guest = org.member.membership(&org.id, None).await.unwrap();
        assert_eq!(guest.role, "guest");
        let permissions: Vec<May> = guest.permissions().collect();
        assert_eq!(permissions, [May::ViewOrganization, May::Leave]);
        assert_eq!(org.admin.membership(&org.id, account(ben)).await.unwrap(), guest);

        suspend(&org.admin, &org.id, &org.member_id).await;
        let suspended = org.member.membership(&org.id, None).await.unwrap();
        assert_eq!(suspended.status(), gitpod::UserStatus::Suspended);
        assert!(suspended.permissions.is_empty(), "a suspended member has no permissions");

        let failure = org.admin.membership("x", account("y")).await.unwrap_err();
        assert_eq!(failure.fields, ["organization_id", "account_id"]);
        let failure = org.admin.membership(&org.id, member("")).await.unwrap_err();
        assert_eq!(failure.fields, ["member_id"]);
    }

    async fn p26_a_caller_without_access_always_gets_the_same_not_found(app: TestApp) {
        let org = app.organization().await;
        let (ana, ben) = (org.admin.account().await, org.member.account().await);
        let unknown = unknown(&org.stranger).await;
        let unknown_id = uuid::Uuid::new_v4().to_string();
        let oda = app.person("oda").await;
        let (_, other_id) = oda.new_organization("Other").await;
        let bound = Owner::Account(ana);
        let (elsewhere, _) = org.admin.new_organization("Elsewhere").await;
        let bound = app.key(bound, None, Some(elsewhere.parse().unwrap())).await;
        let operator = Owner::Account(org.stranger.account().await);
        let operator = app.key(operator, Some(KeyScope::Operator), None).await;
        let service = app.key(Owner::Service("portal".parse().unwrap()), Some(KeyScope::Act), None);
        let service = service.await;

        let token = org.admin.current_invite(&org.id).await.unwrap();
        let (gus, sue, max) =
            (app.person("gus").await, app.person("sue").await, app.person("max").await);
        let link = org.admin.link(&org.id, "guest").await.unwrap().token;
        gus.join(&link).await.unwrap();
        let sue_id = sue.join(&token).await.unwrap().user_id;
        suspend(&org.admin, &org.id, &sue_id).await;
        let max_id = max.join(&token).await.unwrap().user_id;
        let max_account = max.account().await;
        assert!(max.membership(&org.id, None).await.is_ok());
        max.end(&max_id).await.unwrap();

        for (who, whose) in [
            (&org.stranger, None),
            (&org.stranger, account(ana)),
            (&org.stranger, member(&org.admin_id)),
            (&oda, account(ben)),
            (&operator, account(ana)),
            (&bound, None),
            (&bound, account(ben)),
            // Local accounts have their own keys: a service may not act for them.
            (&service, None),
            (&service, account(ana)),
            (&service, member(&org.admin_id)),
            (&gus, account(ana)),
            (&gus, member(&org.admin_id)),
            (&sue, account(ana)),
            (&max, None),
            (&max, member(&max_id)),
            (&org.admin, account(max_account)),
            (&org.admin, member(&max_id)),
            (&org.admin, member(&other_id)),
            (&org.admin, account(&unknown_id)),
            (&org.admin, member(&unknown_id)),
        ] {
            let failure = who.membership(&org.id, whose.clone()).await.unwrap_err();
            assert_eq!(failure, unknown, "{whose:?}");
        }
        org.admin.delete(&org.id).await.unwrap();
        for who in [&org.admin, &org.member, &org.stranger] {
            for whose in [None, account(ben), member(&org.member_id)] {
                assert_eq!(who.membership(&org.id, whose).await.unwrap_err(), unknown);
            }
        }
    }
}

on_both_engines! {
    async fn p22_a_removed_member_is_gone_on_every_replica(app: TestApp) {
        let org = app.organization().await;
        let ben = org.member.account().await;
        let mut at = app.at_replicas(&[&org.admin, &org.member]).await;
        let (members, admins) = (at.pop().unwrap(), at.pop().unwrap());
        for (member, admin) in members.iter().zip(&admins) {
            assert!(member.membership(&org.id, None).await.is_ok());
            assert!(admin.membership(&org.id, account(ben)).await.is_ok());
        }
        org.admin.end(&org.member_id).await.unwrap();
        for (member, admin) in members.iter().zip(&admins) {
            assert_eq!(member.membership(&org.id, None).await.unwrap_err().code, Code::NotFound);
            let failure = admin.membership(&org.id, account(ben)).await.unwrap_err();
            assert_eq!(failure.code, Code::NotFound);
        }
    }
}

async fn services(app: &TestApp) {
    let org = app.organization().await;
    let owner = || Owner::Service("portal".parse().unwrap());
    let service = app.key(owner(), Some(KeyScope::Act), None).await;
    let request = own::ResolveAccountRequest {
        issuer: "intranet".into(),
        subject: "uma".into(),
        ..Default::default()
    };
    let uma_id = service.resolve_account(request).await.unwrap().account.unwrap().id;
    let uma = service.on_behalf_of(&uma_id);
    let unknown = unknown(&uma).await;
    for whose in [None, account(&uma_id)] {
        assert_eq!(uma.membership(&org.id, whose).await.unwrap_err(), unknown);
    }
    assert_eq!(service.membership(&org.id, account(&uma_id)).await.unwrap_err(), unknown);

    let link = org.admin.link(&org.id, "guest").await.unwrap().token;
    let id = uma.join(&link).await.unwrap().user_id;
    let expected = uma.membership(&org.id, None).await.unwrap();
    assert_eq!((expected.role.as_str(), expected.account_id.as_str()), ("guest", uma_id.as_str()));
    for whose in [account(&uma_id), member(&id)] {
        assert_eq!(service.membership(&org.id, whose).await.unwrap(), expected);
    }
    // With the on-behalf-of header it has the rights of the guest, who sees no other member.
    let ana = org.admin.account().await;
    assert_eq!(uma.membership(&org.id, account(ana)).await.unwrap_err(), unknown);

    let (elsewhere, _) = org.admin.new_organization("Elsewhere").await;
    for (organization, is_visible) in [(&org.id, true), (&elsewhere, false)] {
        let bound = Some(organization.parse().unwrap());
        let bound = app.key(owner(), Some(KeyScope::Act), bound).await;
        let got = bound.membership(&org.id, account(&uma_id)).await;
        assert_eq!(got, if is_visible { Ok(expected.clone()) } else { Err(unknown.clone()) });
    }
    let plain = app.key(owner(), None, None).await;
    assert_eq!(plain.membership(&org.id, account(&uma_id)).await.unwrap_err(), unknown);
    uma.end(&id).await.unwrap();
    assert_eq!(service.membership(&org.id, account(&uma_id)).await.unwrap_err(), unknown);
}

on_both_engines_with! {
    trust_intranet;
    p39_a_service_reads_memberships_of_accounts_it_may_act_for: services;
}
