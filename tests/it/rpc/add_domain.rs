use crate::support::nameserver::new_domain;
use crate::support::{Code, TestApp, own};
use crate::{everywhere, on_both_engines};

everywhere! {
    async fn a_domain_is_added_with_the_record_that_proves_it(app: TestApp) {
        let org = app.organization().await;
        let name = new_domain();
        let request = own::AddDomainRequest {
            organization_id: org.id.clone(),
            domain: name.to_uppercase(),
            mode: own::DomainMode::OnRequest.into(),
        };
        let domain = org.admin.add_domain(request).await.unwrap().domain.unwrap();
        assert_eq!((&domain.organization_id, &domain.domain), (&org.id, &name));
        assert_eq!((domain.mode(), domain.state()), (own::DomainMode::OnRequest, own::DomainState::Pending));
        assert_eq!(domain.txt_name, format!("_guestlist-challenge.{name}"));
        let random = domain.txt_value.strip_prefix("guestlist-verification=").unwrap();
        assert_eq!(random.len(), 32);
        assert!(domain.verify_time.is_none() && domain.check_time.is_none());
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("domain.added", &domain.id));
        // A repeated request changes nothing, and each organization has its own TXT value.
        assert_eq!(org.admin.domain(&org.id, &name).await.unwrap(), domain);
        let (other, _) = org.admin.new_organization("Other").await;
        let others = org.admin.domain(&other, &name).await.unwrap();
        assert_eq!(others.mode(), own::DomainMode::InviteOnly);
        assert_ne!((others.id, others.txt_value), (domain.id, domain.txt_value));
    }

    async fn an_invalid_or_public_domain_is_rejected(app: TestApp) {
        let org = app.organization().await;
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}.{}.com", "b".repeat(37));
        for name in ["", "acme", "*.acme.com", "acme.com/x", "10.0.0.1", long.as_str()] {
            let failure = org.admin.domain(&org.id, name).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["domain".to_owned()]), "{name}");
        }
        let mode = own::AddDomainRequest { organization_id: org.id.clone(), domain: new_domain(), mode: 9 };
        // In JSON, an enum number without a name makes a body that cannot be parsed.
        let failure = org.admin.add_domain(mode).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        for name in ["gmail.com", "GMAIL.com"] {
            let failure = org.admin.domain(&org.id, name).await.unwrap_err();
            assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "PUBLIC_DOMAIN"));
        }
        assert!(org.admin.domains(&org.id).await.unwrap().is_empty());
    }
}

on_both_engines! {
    async fn an_organization_has_a_hundred_domains_at_most(app: TestApp) {
        let org = app.organization().await;
        let names: Vec<String> = (0..104).map(|_| new_domain()).collect();
        let added = names.iter().map(|name| org.admin.domain(&org.id, name));
        let added = futures::future::join_all(added).await;
        assert_eq!(added.iter().filter(|one| one.is_ok()).count(), 100);
        for failure in added.into_iter().filter_map(Result::err) {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::FailedPrecondition, "DOMAIN_LIMIT"));
        }
        let listed = org.admin.domains(&org.id).await.unwrap();
        assert_eq!(listed.len(), 100);
        org.admin.remove(&listed[50]).await.unwrap();
        org.admin.domain(&org.id, &new_domain()).await.unwrap();
    }
}
