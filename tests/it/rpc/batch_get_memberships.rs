use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;
use own::get_membership_request::Whose;

use crate::support::{Code, Engine, Protocol, TestApp, gitpod, own, run_with, trust_intranet};

fn key(organization: &str, account: &str) -> own::MembershipKey {
    own::MembershipKey { organization_id: organization.into(), account_id: account.into() }
}

fn request(memberships: Vec<own::MembershipKey>) -> own::BatchGetMembershipsRequest {
    own::BatchGetMembershipsRequest { memberships }
}

async fn batch_get(app: &TestApp) {
    let org = app.organization().await;
    let owner = || Owner::Service("portal".parse().unwrap());
    let service = app.key(owner(), Some(KeyScope::Act), None).await;
    let (second, _) = org.admin.new_organization("Second").await;
    let link = org.admin.link(&org.id, "edit").await.unwrap().token;
    let mut accounts = Vec::new();
    for i in 0..12 {
        let person = own::ResolveAccountRequest {
            issuer: "intranet".into(),
            subject: format!("p{i}"),
            ..Default::default()
        };
        let id = service.resolve_account(person).await.unwrap().account.unwrap().id;
        let person = service.on_behalf_of(&id);
        let member = person.join(&link).await.unwrap().user_id;
        match i {
            0 => person.end(&member).await.unwrap(),
            1 => {
                let suspend = own::SuspendMemberRequest {
                    organization_id: org.id.clone(),
                    member_id: member,
                };
                org.admin.suspend_member(suspend).await.unwrap();
            }
            _ => {}
        }
        accounts.push(id);
    }
    let itself = service.account().await.to_string();
    org.admin.add(&second, &itself, "read").await.unwrap();
    let local = org.member.account().await.to_string();
    let unknown_id = uuid::Uuid::new_v4().to_string();

    let mut keys = vec![
        key(&second, &itself),
        key(&org.id, &local),
        key(&org.id, &accounts[3]),
        key(&second, &accounts[3]),
        key(&unknown_id, &accounts[3]),
        key(&org.id, &unknown_id),
        key(&org.id, &accounts[3]),
        key(&org.id, &accounts[0]),
    ];
    let of = |found: &[own::FoundMembership]| -> Vec<Option<String>> {
        found.iter().map(|one| one.membership.as_ref().map(|one| one.role.clone())).collect()
    };
    let (edit, read) = (Some("edit".to_owned()), Some("read".to_owned()));
    let expected = [read, None, edit.clone(), None, None, None, edit, None];
    let found = service.batch_get_memberships(request(keys.clone())).await.unwrap().memberships;
    assert_eq!(of(&found), expected);

    // SQLite has one statement for few keys and another for many: both find the same.
    keys.extend(accounts.iter().rev().map(|account| key(&org.id, account)));
    let found = service.batch_get_memberships(request(keys.clone())).await.unwrap().memberships;
    assert_eq!(of(&found)[..8], expected);
    assert_eq!(found.len(), keys.len());
    let statuses: Vec<_> =
        found[8..].iter().map(|one| one.membership.as_ref().map(|one| one.status())).collect();
    let mut expected = vec![Some(gitpod::UserStatus::Active); 12];
    (expected[10], expected[11]) = (Some(gitpod::UserStatus::Suspended), None);
    assert_eq!(statuses, expected);
    for (key, found) in keys.iter().zip(&found) {
        let whose = Some(Whose::AccountId(key.account_id.clone()));
        let one = service.membership(&key.organization_id, whose).await.ok();
        assert_eq!(one, found.membership, "{key:?}");
    }

    let bound = app.key(owner(), Some(KeyScope::Act), Some(second.parse().unwrap())).await;
    let found = bound.batch_get_memberships(request(keys.clone())).await.unwrap().memberships;
    let first = found[0].membership.as_ref().unwrap();
    assert_eq!((&first.organization_id, &first.account_id), (&second, &itself));
    assert!(found[1..].iter().all(|one| one.membership.is_none()), "the key has one organization");

    let operator = app.operator().await;
    let plain = app.key(owner(), None, None).await;
    let acting = service.on_behalf_of(&accounts[3]);
    for other in [&org.admin, &operator, &plain, &acting] {
        let failure = other.batch_get_memberships(request(keys.clone())).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
    }

    let failure = service.batch_get_memberships(request(Vec::new())).await.unwrap_err();
    assert_eq!(failure.fields, ["memberships"]);
    let failure = service.batch_get_memberships(request(vec![key("x", "y")])).await.unwrap_err();
    assert_eq!(failure.fields, ["memberships[0].organization_id", "memberships[0].account_id"]);
    let most = vec![key(&org.id, &accounts[3]); 100];
    let found = service.batch_get_memberships(request(most)).await.unwrap().memberships;
    assert_eq!(found.iter().filter(|one| one.membership.is_some()).count(), 100);
    let more = vec![key(&org.id, &accounts[3]); 101];
    let failure = service.batch_get_memberships(request(more)).await.unwrap_err();
    assert_eq!(failure.fields, ["memberships"]);

    org.admin.delete(&org.id).await.unwrap();
    let found = service.batch_get_memberships(request(keys)).await.unwrap().memberships;
    assert_eq!(found.iter().filter(|one| one.membership.is_some()).count(), 1);
}

macro_rules! over {
    ($($module:ident $protocol:ident;)+) => {
        mod p39_a_service_gets_memberships_in_the_order_of_the_request {
            use super::*;
            $(
                mod $module {
                    use super::*;

                    #[test]
                    fn sqlite() {
                        run_with(trust_intranet, Engine::Sqlite, Protocol::$protocol, batch_get);
                    }

                    #[test]
                    fn postgres() {
                        run_with(trust_intranet, Engine::Postgres, Protocol::$protocol, batch_get);
                    }
                }
            )+
        }
    };
}

over! { grpc Grpc; grpc_web GrpcWeb; connect_proto ConnectProto; connect_json ConnectJson; }
