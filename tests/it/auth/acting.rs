use guestlist::domain::KeyScope;
use serde_json::json;

use super::{ACME, Fixture, INTRANET, account, on_both_engines};
use crate::support::{Code, Person, own};

/// Resolves a person of the issuer `INTRANET`; returns the account's id.
async fn resolved(service: &Person, subject: &str) -> String {
    let request = own::ResolveAccountRequest {
        issuer: INTRANET.to_owned(),
        subject: subject.to_owned(),
        email: format!("{subject}@acme.com"),
        email_verified: true,
        name: subject.to_owned(),
        picture: String::new(),
    };
    service.resolve_account(request).await.unwrap().account.unwrap().id
}

fn act() -> Option<KeyScope> {
    Some(KeyScope::Act)
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_a_service_has_the_rights_of_the_account_it_acts_for() {
    on_both_engines(async |fixture| {
        let service = fixture.service(act(), None).await;
        let ana = service.on_behalf_of(&resolved(&service, "ana").await);
        let ben = service.on_behalf_of(&resolved(&service, "ben").await);

        let (organization, _) = ana.new_organization("Acme").await;
        assert!(ana.get(&organization).await.is_ok());
        assert_eq!(ben.get(&organization).await.unwrap_err().code, Code::NotFound);
        assert_eq!(service.get(&organization).await.unwrap_err().code, Code::NotFound);
        ben.join(&ana.invite(&organization).await.unwrap()).await.unwrap();
        assert_eq!(ben.invite(&organization).await.unwrap_err().code, Code::PermissionDenied);

        let caller = ana.get_caller(own::GetCallerRequest {}).await.unwrap();
        assert_eq!(caller.account.unwrap().subject, "ana");
        let actor = caller.actor.unwrap();
        assert_eq!(
            (actor.issuer.as_str(), actor.subject.as_str()),
            ("guestlist", "service:portal")
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_audit_events_name_the_service_and_the_account_it_acts_for() {
    on_both_engines(async |fixture| {
        let service = fixture.service(act(), None).await;
        let service_account = service.account().await.to_string();
        let id = resolved(&service, "ana").await;
        let ana = service.on_behalf_of(&id);
        let (organization, _) = ana.new_organization("Acme").await;
        let events = ana.audit(&organization).await.unwrap();
        assert!(!events.is_empty());
        for event in events {
            assert_eq!(event.actor_account_id, service_account, "{}", event.action);
            assert_eq!(event.on_behalf_of_account_id, id, "{}", event.action);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_acting_for_any_forbidden_account_returns_the_same_error() {
    on_both_engines(async |fixture| {
        let service = fixture.service(act(), None).await;
        let local = fixture.app.person("zoe").await.account().await.to_string();
        let itself = service.account().await.to_string();
        let unknown = "0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b";
        let mut messages = std::collections::HashSet::new();
        for id in [local.as_str(), itself.as_str(), unknown, "zoe"] {
            let caller = service.on_behalf_of(id).get_caller(own::GetCallerRequest {}).await;
            let failure = caller.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied, "{id}");
            messages.insert(failure.message);
        }
        assert_eq!(messages.len(), 1);

        // A service may also act for an account of an issuer that signs tokens itself.
        let ana = account(&fixture.bearer(ACME, &json!({ "sub": "ana" }))).await;
        assert_eq!(account(&service.on_behalf_of(&ana.id)).await.id, ana.id);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_only_a_key_of_scope_act_can_act_for_an_account() {
    on_both_engines(async |fixture| {
        let service = fixture.service(act(), None).await;
        let ana = resolved(&service, "ana").await;
        let others = [
            fixture.service(None, None).await,
            fixture.service(Some(KeyScope::Operator), None).await,
            fixture.app.person("zoe").await,
            fixture.bearer(ACME, &json!({ "sub": "zoe" })),
        ];
        for other in others {
            let caller = other.on_behalf_of(&ana).get_caller(own::GetCallerRequest {}).await;
            assert_eq!(caller.unwrap_err().code, Code::PermissionDenied);
        }
        let anonymous = fixture.app.without_credential().on_behalf_of(&ana);
        let failure = anonymous.get_caller(own::GetCallerRequest {}).await.unwrap_err();
        assert_eq!(failure.code, Code::Unauthenticated);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_a_bound_service_key_reaches_only_its_organization() {
    on_both_engines(async |fixture: &Fixture| {
        let free = fixture.service(act(), None).await;
        let id = resolved(&free, "ana").await;
        let ana = free.on_behalf_of(&id);
        let (first, _) = ana.new_organization("First").await;
        let (second, _) = ana.new_organization("Second").await;

        let bound = fixture.service(act(), Some(first.parse().unwrap())).await.on_behalf_of(&id);
        assert!(bound.get(&first).await.is_ok());
        assert!(bound.invite(&first).await.is_ok());
        assert_eq!(bound.get(&second).await.unwrap_err().code, Code::NotFound);
        let link = ana.invite(&second).await.unwrap();
        assert!(bound.join(&link).await.is_err());
    })
    .await;
}
