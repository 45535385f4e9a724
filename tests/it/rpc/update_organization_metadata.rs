use futures::future::join_all;

use crate::support::{Code, TestApp, own, pairs};
use crate::{everywhere, on_both_engines};

fn named(name: &str, external_id: &str) -> own::CreateOrganizationRequest {
    own::CreateOrganizationRequest {
        name: name.into(),
        external_id: external_id.into(),
        ..Default::default()
    }
}

everywhere! {
    async fn organization_metadata_can_be_created_filtered_and_changed(app: TestApp) {
        let ana = app.person("ana").await;
        let request = own::CreateOrganizationRequest {
            metadata: pairs(&[("plan", "pro"), ("none", "")]),
            ..named("Acme", "crm-1")
        };
        let made = ana.create_own_organization(request).await.unwrap().organization.unwrap();
        assert_eq!((&made.metadata, made.external_id.as_str(), made.role.as_str()), (&pairs(&[("plan", "pro")]), "crm-1", "admin"));
        let id = made.organization.clone().unwrap().id;
        ana.new_organization("Other").await;
        let filter = |metadata, external_id: &str| own::ListMyOrganizationsRequest {
            filter: Some(own::MyOrganizationFilter { metadata, external_id: external_id.into() }),
            page: None,
        };
        for (request, expected) in [
            (filter(pairs(&[]), ""), 2),
            (filter(pairs(&[("plan", "pro")]), ""), 1),
            (filter(pairs(&[("plan", "free")]), ""), 0),
            (filter(pairs(&[]), "crm-1"), 1),
            (filter(pairs(&[]), "CRM-1"), 0),
        ] {
            let found = ana.list_my_organizations(request.clone()).await.unwrap().organizations;
            assert_eq!(found.len(), expected, "{request:?}");
            assert!(expected != 1 || found[0] == made);
        }
        let update = own::UpdateOrganizationMetadataRequest {
            organization_id: id.clone(),
            metadata: pairs(&[("plan", ""), ("seats", "9")]),
            external_id: Some("crm-2".into()),
        };
        let changed = ana.update_organization_metadata(update.clone()).await.unwrap().organization.unwrap();
        assert_eq!((&changed.metadata, changed.external_id.as_str()), (&pairs(&[("seats", "9")]), "crm-2"));
        let events = ana.audit(&id).await.unwrap();
        assert_eq!((events[0].action.as_str(), events[0].note.as_str()), ("organization.updated", "metadata, external_id"));
        ana.update_organization_metadata(update).await.unwrap();
        assert_eq!(ana.audit(&id).await.unwrap().len(), events.len());
        // A change through another contract keeps the metadata.
        let rename = crate::support::gitpod::UpdateOrganizationRequest {
            organization_id: id,
            name: Some("Acme 2".into()),
            ..Default::default()
        };
        ana.update_organization(rename).await.unwrap();
        let found = ana.list_my_organizations(filter(pairs(&[("seats", "9")]), "crm-2")).await.unwrap();
        assert_eq!(found.organizations[0].organization.as_ref().unwrap().name, "Acme 2");
    }
}

on_both_engines! {
    async fn an_external_id_is_unique_among_organizations_of_one_creator(app: TestApp) {
        let ana = app.person("ana").await;
        let replicas = app.at_replicas(&[&ana]).await.remove(0);
        let calls = (0..8).map(|i| replicas[i % replicas.len()].create_own_organization(named("Acme", "one")));
        let outcomes = join_all(calls).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        for failure in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
        }
        assert_eq!(ana.list_my_organizations(Default::default()).await.unwrap().organizations.len(), 1);
        // Another account may use the same external id, and gets no conflict error.
        app.person("ben").await.create_own_organization(named("Acme", "one")).await.unwrap();
        let (other, _) = ana.new_organization("Other").await;
        let update = own::UpdateOrganizationMetadataRequest {
            organization_id: other.clone(),
            external_id: Some("one".into()),
            ..Default::default()
        };
        let taken = ana.update_organization_metadata(update).await.unwrap_err();
        assert_eq!((taken.code, taken.reason.as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
    }
}
