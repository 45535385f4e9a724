use guestlist::domain::KeyScope;
use guestlist::operations::keys::Owner;

use crate::support::{Code, Engine, Person, Protocol, TestApp, own, trust_intranet};

const ISSUER: &str = "intranet";

fn person(subject: &str, email: &str) -> own::ResolveAccountRequest {
    own::ResolveAccountRequest {
        issuer: ISSUER.into(),
        subject: subject.into(),
        email: email.into(),
        email_verified: true,
        name: String::new(),
        picture: String::new(),
    }
}

async fn service(app: &TestApp) -> Person {
    app.key(Owner::Service("portal".parse().unwrap()), Some(KeyScope::Act), None).await
}

/// Runs a behaviour over every protocol on both engines, with the settings of
/// [`trust_intranet`] instead of those that other tests share.
async fn everywhere(behaviour: impl AsyncFn(&TestApp)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        for protocol in Protocol::ALL {
            let app = TestApp::configured(engine, protocol, trust_intranet).await;
            behaviour(&app).await;
            app.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_created_once_and_then_updated() {
    everywhere(async |app| {
        let service = service(app).await;
        let made = service.resolve_account(person("7", " Ana@Example.COM ")).await.unwrap();
        let account = made.account.unwrap();
        assert!(made.created);
        assert_eq!((account.issuer.as_str(), account.subject.as_str()), (ISSUER, "7"));
        assert_eq!((account.email.as_str(), account.email_verified), ("ana@example.com", true));
        assert_eq!((account.name.as_str(), account.login_provider.as_str()), ("ana", "intranet"));

        let again = service.resolve_account(person("7", "ana@example.com")).await.unwrap();
        assert!(!again.created);
        assert_eq!(again.account.as_ref(), Some(&account));
        // P23: the issuer is not trusted to verify addresses of this domain.
        let moved = service.resolve_account(person("7", "ana@acme.com")).await.unwrap();
        let moved = moved.account.unwrap();
        assert_eq!((moved.id, moved.email_verified), (account.id, false));
        // P32: another subject with the same address is another account.
        let other = service.resolve_account(person("8", "ana@acme.com")).await.unwrap();
        assert!(other.created);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_a_service_acts_for_allowed_accounts_with_exactly_their_rights() {
    everywhere(async |app| {
        let service = service(app).await;
        let ana = service.resolve_account(person("1", "ana@example.com")).await.unwrap();
        let ana_id = ana.account.unwrap().id;
        let zoe = service.resolve_account(person("2", "zoe@example.com")).await.unwrap();
        let ana = service.on_behalf_of(&ana_id);
        let zoe = service.on_behalf_of(&zoe.account.unwrap().id);

        let (org, _) = ana.new_organization("Acme").await;
        assert_eq!(zoe.get(&org).await.unwrap_err().code, Code::NotFound);
        assert_eq!(
            service.get(&org).await.unwrap_err().code,
            Code::NotFound,
            "the service itself has no rights"
        );
        let event = ana.audit(&org).await.unwrap().remove(0);
        let caller = ana.get_caller(own::GetCallerRequest {}).await.unwrap();
        assert_eq!(event.actor_account_id, caller.actor.unwrap().id);
        assert_eq!(event.on_behalf_of_account_id, ana_id);

        // Local accounts, unknown accounts, and keys without the scope `act`.
        let local = app.person("ben").await;
        let local_id = local.account().await.to_string();
        let unknown = uuid::Uuid::new_v4().to_string();
        for (who, account_id) in [
            (&service, local_id.as_str()),
            (&service, unknown.as_str()),
            (&service, "x"),
            (&local, ana_id.as_str()),
            (&local, local_id.as_str()),
        ] {
            let failure = who
                .on_behalf_of(account_id)
                .get_caller(own::GetCallerRequest {})
                .await
                .unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied, "{account_id}");
        }
        // Only a key with `act` resolves, not on behalf of an account, and for configured issuers.
        let mut foreign = person("1", "");
        foreign.issuer = "guestlist".into();
        let mut unknown_issuer = person("1", "");
        unknown_issuer.issuer = "https://elsewhere.example".into();
        for (who, request) in [
            (&local, person("1", "")),
            (&ana, person("1", "")),
            (&service, foreign),
            (&service, unknown_issuer),
        ] {
            let failure = who.resolve_account(request).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p39_a_service_bound_to_one_organization_reaches_no_other() {
    everywhere(async |app| {
        let service = service(app).await;
        let ana = service.resolve_account(person("1", "ana@example.com")).await.unwrap();
        let ana_id = ana.account.unwrap().id;
        let ana = service.on_behalf_of(&ana_id);
        let (inside, _) = ana.new_organization("Inside").await;
        let (outside, _) = ana.new_organization("Outside").await;

        let bound = Owner::Service("portal".parse().unwrap());
        let bound = app.key(bound, Some(KeyScope::Act), Some(inside.parse().unwrap())).await;
        let bound = bound.on_behalf_of(&ana_id);
        assert!(bound.get(&inside).await.is_ok());
        assert_eq!(bound.get(&outside).await.unwrap_err().code, Code::NotFound);
        let request = crate::support::gitpod::CreateOrganizationRequest {
            name: "Third".into(),
            ..Default::default()
        };
        let failure = bound.create_organization(request).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_every_invalid_field() {
    everywhere(async |app| {
        let wrong = own::ResolveAccountRequest {
            issuer: String::new(),
            subject: String::new(),
            email: "x".into(),
            picture: "javascript:alert(1)".into(),
            ..Default::default()
        };
        let failure = service(app).await.resolve_account(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.fields, ["issuer", "subject", "email", "picture"]);
    })
    .await;
}
