use crate::everywhere;
use crate::support::{Code, TestApp, gitpod};

fn request(id: &str) -> gitpod::UpdateOrganizationRequest {
    gitpod::UpdateOrganizationRequest { organization_id: id.to_owned(), ..Default::default() }
}

fn domains(domains: &[&str]) -> Option<gitpod::InviteDomains> {
    Some(gitpod::InviteDomains { domains: domains.iter().map(ToString::to_string).collect() })
}

everywhere! {
    async fn absent_fields_stay_and_an_empty_list_removes_the_domains(app: TestApp) {
        let org = app.organization().await;
        let before = org.admin.get(&org.id).await.unwrap();
        app.clock.advance(std::time::Duration::from_secs(60));

        let named = gitpod::UpdateOrganizationRequest { name: Some("Acme 2".into()), ..request(&org.id) };
        let named = org.admin.update_organization(named).await.unwrap().organization.unwrap();
        assert_eq!((named.name.as_str(), &named.invite_domains), ("Acme 2", &None));
        assert_eq!(named.created_at, before.created_at);
        assert!(named.updated_at.unwrap().seconds >= before.updated_at.unwrap().seconds + 60);

        let invited = gitpod::UpdateOrganizationRequest {
            invite_domains: domains(&["ACME.com", "bücher.example"]),
            ..request(&org.id)
        };
        let invited = org.admin.update_organization(invited).await.unwrap().organization.unwrap();
        assert_eq!(invited.name, "Acme 2");
        let expected = domains(&["acme.com", "xn--bcher-kva.example"]);
        assert_eq!(invited.invite_domains, expected);

        let nothing = org.admin.update_organization(request(&org.id)).await.unwrap();
        assert_eq!(nothing.organization.unwrap(), invited);
        let cleared =
            gitpod::UpdateOrganizationRequest { invite_domains: domains(&[]), ..request(&org.id) };
        let cleared = org.admin.update_organization(cleared).await.unwrap().organization.unwrap();
        assert_eq!(cleared.invite_domains, None);
        assert_eq!(org.member.get(&org.id).await.unwrap(), cleared);
    }

    async fn the_error_names_every_invalid_field_and_nothing_changes(app: TestApp) {
        let org = app.organization().await;
        let before = org.admin.get(&org.id).await.unwrap();
        let wrong = gitpod::UpdateOrganizationRequest {
            name: Some("x".into()),
            invite_domains: domains(&["acme.com", "nodot", "a_b.com"]),
            ..request(&org.id)
        };
        let failure = org.admin.update_organization(wrong).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        let expected = ["name", "invite_domains.domains[1]", "invite_domains.domains[2]"];
        assert_eq!(failure.fields, expected);

        let twice = gitpod::UpdateOrganizationRequest {
            invite_domains: domains(&["acme.com", "Acme.COM"]),
            ..request(&org.id)
        };
        let failure = org.admin.update_organization(twice).await.unwrap_err();
        assert_eq!(failure.fields, ["invite_domains.domains"]);

        let public = gitpod::UpdateOrganizationRequest {
            name: Some("Other".into()),
            invite_domains: domains(&["gmail.com"]),
            ..request(&org.id)
        };
        let failure = org.admin.update_organization(public).await.unwrap_err();
        assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "PUBLIC_DOMAIN"));
        assert_eq!(org.admin.get(&org.id).await.unwrap(), before);
    }

    async fn only_admins_can_change_an_organization(app: TestApp) {
        let org = app.organization().await;
        let rename = gitpod::UpdateOrganizationRequest { name: Some("Mine".into()), ..request(&org.id) };
        let failure = org.member.update_organization(rename.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::PermissionDenied);
        let failure = org.stranger.update_organization(rename).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert_eq!(org.admin.get(&org.id).await.unwrap().name, "Acme");
    }
}
