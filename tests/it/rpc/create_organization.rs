use guestlist::config::Config;
use guestlist::domain::{Creators, KeyScope};
use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{
    Code, Engine, Person, Protocol, Settings, TestApp, gitpod, run_with, trust_intranet,
};

fn request(name: &str) -> gitpod::CreateOrganizationRequest {
    gitpod::CreateOrganizationRequest { name: name.to_owned(), ..Default::default() }
}

everywhere! {
    async fn the_creator_becomes_admin_if_join_organization_is_set(app: TestApp) {
        let ana = app.person("ana").await;
        let made = ana
            .create_organization(gitpod::CreateOrganizationRequest {
                join_organization: true,
                ..request("Acme & Söhne")
            })
            .await
            .unwrap();

        let organization = made.organization.unwrap();
        assert_eq!(organization.name, "Acme & Söhne");
        assert_eq!(organization.tier(), gitpod::OrganizationTier::Free);
        assert_eq!(organization.invite_domains, None);
        assert!(organization.created_at.is_some());
        assert_eq!(organization.created_at, organization.updated_at);

        let member = made.member.unwrap();
        assert_eq!(member.role(), gitpod::OrganizationRole::Admin);
        assert_eq!(member.status(), gitpod::UserStatus::Active);
        assert_eq!((member.full_name.as_str(), member.email.as_str()), ("ana", "ana@example.com"));
        assert_eq!(member.login_provider, "api_key");
        assert_eq!(ana.get(&organization.id).await.unwrap(), organization);
    }

    async fn a_creator_who_did_not_join_can_join_by_id_as_admin(app: TestApp) {
        let (ana, zoe) = (app.person("ana").await, app.person("zoe").await);
        let made = ana.create_organization(request("Acme")).await.unwrap();
        assert_eq!(made.member, None);

        let id = made.organization.unwrap().id;
        assert_eq!(ana.get(&id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(zoe.join_by_id(&id).await.unwrap_err().code, Code::NotFound);
        let member = ana.join_by_id(&id).await.unwrap();
        assert_eq!(member.role(), gitpod::OrganizationRole::Admin);
    }

    async fn an_invalid_name_is_reported_by_field_name(app: TestApp) {
        let ana = app.person("ana").await;
        for name in ["", "ab", "  a  ", "a\u{7}bc"] {
            let failure = ana.create_organization(request(name)).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert_eq!(failure.fields, ["name"]);
        }
        let mine = ana.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);
    }

    async fn p48_names_are_normalized_and_invisible_characters_are_rejected(app: TestApp) {
        let ana = app.person("ana").await;
        let made = ana.create_organization(request("Cafe\u{301} 👩\u{200d}🚀")).await.unwrap();
        assert_eq!(made.organization.unwrap().name, "Café 👩\u{200d}🚀");
        let (id, _) = ana.new_organization("Acme").await;
        for c in ['\0', '\u{202e}', '\u{2066}', '\u{200b}', '\u{2060}', '\u{feff}', '\u{2028}'] {
            let name = format!("Ac{c}me");
            let failure = ana.create_organization(request(&name)).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["name".into()]));
            let renamed = gitpod::UpdateOrganizationRequest {
                organization_id: id.clone(),
                name: Some(name),
                ..Default::default()
            };
            let failure = ana.update_organization(renamed).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["name".into()]));
        }
        assert_eq!(ana.get(&id).await.unwrap().name, "Acme");
    }

    async fn the_domain_of_the_creator_is_invited_unless_it_is_public(app: TestApp) {
        let with_domain = |name| gitpod::CreateOrganizationRequest {
            invite_accounts_with_matching_domain: true,
            ..request(name)
        };
        let ana = app.person_with("ana@acme.com").await;
        let made = ana.create_organization(with_domain("Acme")).await.unwrap();
        let domains = made.organization.unwrap().invite_domains.unwrap().domains;
        assert_eq!(domains, ["acme.com"]);

        let gil = app.person_with("gil@gmail.com").await;
        let failure = gil.create_organization(with_domain("Gil's")).await.unwrap_err();
        assert_eq!(failure.code, Code::FailedPrecondition);
        assert_eq!(failure.reason, "PUBLIC_DOMAIN");
        let mine = gil.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);
    }
}

/// Runs a behaviour over every protocol on both engines, with other settings.
fn everywhere_with(settings: Settings, behaviour: impl AsyncFn(&TestApp)) {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        for protocol in Protocol::ALL {
            run_with(settings, engine, protocol, &behaviour);
        }
    }
}

/// A service and two accounts that it acts for. The address of the first is not verified.
async fn service_and_people(app: &TestApp) -> (Person, [Person; 2]) {
    let service =
        app.key(Owner::Service("portal".parse().unwrap()), Some(KeyScope::Act), None).await;
    let mut people = Vec::new();
    for email in ["zoe@elsewhere.example", "ana@example.com"] {
        let request = crate::support::own::ResolveAccountRequest {
            issuer: "intranet".into(),
            subject: email.into(),
            email: email.into(),
            email_verified: true,
            ..Default::default()
        };
        let account = service.resolve_account(request).await.unwrap().account.unwrap();
        people.push(Person { on_behalf_of: Some(account.id), ..service.clone() });
    }
    (service, people.try_into().ok().unwrap())
}

async fn code(person: &Person) -> Code {
    let made = person.create_organization(request("Acme")).await;
    made.map_or_else(|failure| failure.code, |_| Code::Ok)
}

#[test]
fn a_setting_restricts_creation_to_operators_and_services() {
    let settings = |config: &mut Config| {
        config.organizations.creators = Creators::Operators;
        trust_intranet(config);
    };
    everywhere_with(settings, async |app| {
        let ana = app.person("ana").await;
        assert_eq!(code(&ana).await, Code::PermissionDenied);
        assert_eq!(code(&app.without_credential()).await, Code::Unauthenticated);
        let plain = app.key(Owner::Service("plain".parse().unwrap()), None, None).await;
        assert_eq!(code(&plain).await, Code::PermissionDenied);
        let mine = ana.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);

        assert_eq!(code(&app.operator().await).await, Code::Ok);
        let (service, [zoe, ana]) = service_and_people(app).await;
        for trusted in [service, zoe, ana] {
            assert_eq!(code(&trusted).await, Code::Ok);
        }
    });
}

#[test]
fn a_setting_restricts_creation_to_verified_accounts_and_operators() {
    let settings = |config: &mut Config| config.organizations.creators = Creators::Verified;
    everywhere_with(settings, async |app| {
        assert_eq!(code(&app.person("ana").await).await, Code::Ok);
        let plain = app.key(Owner::Service("plain".parse().unwrap()), None, None).await;
        let failure = plain.create_organization(request("Acme")).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        assert_eq!(failure.reason, "EMAIL_UNVERIFIED");
        let operator = Owner::Service("ops".parse().unwrap());
        let operator = app.key(operator, Some(KeyScope::Operator), None).await;
        assert_eq!(code(&operator).await, Code::Ok);
    });
}

#[test]
fn an_account_cannot_create_more_organizations_than_the_limit() {
    let settings = |config: &mut Config| config.limits.organizations_per_account = 2;
    everywhere_with(settings, async |app| {
        let ana = app.person("ana").await;
        assert_eq!((code(&ana).await, code(&ana).await), (Code::Ok, Code::Ok));
        let failure = ana.create_organization(request("Acme")).await.unwrap_err();
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert_eq!(failure.reason, "RATE_LIMITED");
        assert_eq!(code(&app.person("ben").await).await, Code::Ok);
        app.clock.advance(failure.retry_after.expect("the error has a retry time"));
        assert_eq!(code(&ana).await, Code::Ok);
    });
}
