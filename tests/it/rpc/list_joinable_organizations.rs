use crate::everywhere;
use crate::support::domains::disprove;
use crate::support::{Person, TestApp, own};

async fn joinable(person: &Person) -> Vec<own::JoinableOrganization> {
    let request = own::ListJoinableOrganizationsRequest {};
    person.list_joinable_organizations(request).await.unwrap().organizations
}

everywhere! {
    async fn p50_only_a_proved_open_domain_makes_an_organization_joinable(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::InviteOnly).await;
        let person = app.person_with(&format!("pia@{}", domain.domain)).await;
        assert!(joinable(&person).await.is_empty(), "the domain is invite-only");
        for (mode, needs_approval) in [(own::DomainMode::OnRequest, true), (own::DomainMode::Automatic, false)] {
            org.admin.set_mode(&domain, mode).await.unwrap();
            let found = joinable(&person).await;
            assert_eq!(found.len(), 1);
            assert_eq!((&found[0].organization_id, found[0].name.as_str()), (&org.id, "Acme"));
            assert_eq!((found[0].member_count, found[0].needs_approval), (2, needs_approval));
        }
        assert!(joinable(&org.stranger).await.is_empty());
        org.admin.set_mode(&domain, own::DomainMode::OnRequest).await.unwrap();
        let join_request = person.request_to_join_by_domain(&org.id).await.unwrap();
        assert_eq!(joinable(&person).await[0].pending_request.as_ref().unwrap().id, join_request.id);
        // Members and removed members do not find the organization.
        let member = org.admin.approve(&join_request, "").await.unwrap().membership.unwrap();
        assert!(joinable(&person).await.is_empty());
        org.admin.end(&member.member_id).await.unwrap();
        assert!(joinable(&person).await.is_empty());
        // An unproved domain does not show the organization to any account.
        let other = app.person_with(&format!("ole@{}", domain.domain)).await;
        assert_eq!(joinable(&other).await.len(), 1);
        disprove(&domain);
        org.admin.remove(&domain).await.unwrap();
        org.admin.domain(&org.id, &domain.domain).await.unwrap();
        assert!(joinable(&other).await.is_empty());
    }
}
