use crate::everywhere;
use crate::support::{Code, TestApp, gitpod};

fn request(name: &str) -> gitpod::CreateOrganizationRequest {
    gitpod::CreateOrganizationRequest { name: name.to_owned(), ..Default::default() }
}

everywhere! {
    async fn it_makes_the_caller_its_admin_if_asked(app: TestApp) {
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

    async fn without_joining_nobody_is_in_it_and_its_creator_may_join_by_id(app: TestApp) {
        let (ana, zoe) = (app.person("ana").await, app.person("zoe").await);
        let made = ana.create_organization(request("Acme")).await.unwrap();
        assert_eq!(made.member, None);

        let id = made.organization.unwrap().id;
        assert_eq!(ana.get(&id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(zoe.join_by_id(&id).await.unwrap_err().code, Code::NotFound);
        let member = ana.join_by_id(&id).await.unwrap();
        assert_eq!(member.role(), gitpod::OrganizationRole::Admin);
    }

    async fn names_that_are_too_short_name_the_field(app: TestApp) {
        let ana = app.person("ana").await;
        for name in ["", "ab", "  a  ", "a\u{7}bc"] {
            let failure = ana.create_organization(request(name)).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert_eq!(failure.fields, ["name"]);
        }
        let mine = ana.list_my_organizations(Default::default()).await.unwrap();
        assert_eq!(mine.organizations, []);
    }

    async fn the_own_domain_is_invited_only_if_it_is_verified_and_not_public(app: TestApp) {
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
