use std::collections::BTreeSet;
use std::time::Duration;

use guestlist::domain::{KeyScope, Organization};
use guestlist::operations::keys::Owner;
use guestlist::storage::{change, organizations};

use crate::support::{Code, Person, TestApp, gitpod, own};
use crate::{everywhere, on_both_engines};

/// The names that a filter finds, over all pages.
async fn names(operator: &Person, filter: own::OrganizationFilter) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut page_token = String::new();
    loop {
        let request = own::ListOrganizationsRequest {
            filter: Some(filter.clone()),
            page: Some(own::PageRequest { page_size: 2, page_token }),
        };
        let page = operator.list_organizations(request).await.unwrap();
        assert!(page.organizations.len() <= 2);
        for one in page.organizations {
            let name = one.organization.unwrap().name;
            assert!(found.insert(name.clone()), "{name} is on two pages");
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

everywhere! {
    async fn the_operator_finds_organizations_by_every_filter(app: TestApp) {
        let operator = app.operator().await;
        let (ana, ben) = (app.person("ana").await, app.person("ben").await);
        let mut ids = Vec::new();
        for (who, name) in [
            (&ana, "Acme One"),
            (&ana, "ÉCOLE 50%"),
            (&ana, "acme_two"),
            (&ben, "Other"),
            (&ben, "École 5"),
        ] {
            app.clock.advance(Duration::from_secs(60));
            ids.push(who.new_organization(name).await.0);
        }
        let tier = own::SetTierRequest {
            organization_id: ids[3].clone(),
            tier: gitpod::OrganizationTier::Core.into(),
        };
        operator.set_tier(tier).await.unwrap();
        let everything = set(&["Acme One", "ÉCOLE 50%", "acme_two", "Other", "École 5"]);
        assert_eq!(names(&operator, Default::default()).await, everything);

        let search = |text: &str| own::OrganizationFilter { search: text.into(), ..Default::default() };
        // On both databases the search ignores case, and no character is a wildcard.
        assert_eq!(names(&operator, search("ACME")).await, set(&["Acme One", "acme_two"]));
        assert_eq!(names(&operator, search("école")).await, set(&["ÉCOLE 50%", "École 5"]));
        assert_eq!(names(&operator, search("5%")).await, set(&[]));
        assert_eq!(names(&operator, search("0%")).await, set(&["ÉCOLE 50%"]));
        assert_eq!(names(&operator, search("_t")).await, set(&["acme_two"]));
        let by_id = own::OrganizationFilter { organization_id: ids[1].clone(), ..search("école") };
        assert_eq!(names(&operator, by_id.clone()).await, set(&["ÉCOLE 50%"]));
        let neither = own::OrganizationFilter { search: "acme".into(), ..by_id };
        assert_eq!(names(&operator, neither).await, set(&[]));
        let creator_id = ana.account().await.to_string();
        let by_ana = own::OrganizationFilter { creator_id, ..search("e") };
        assert_eq!(names(&operator, by_ana).await, set(&["Acme One", "ÉCOLE 50%", "acme_two"]));
        let tiers = vec![gitpod::OrganizationTier::Core.into(), 2];
        let by_tier = own::OrganizationFilter { tiers, ..Default::default() };
        assert!(names(&operator, by_tier).await.contains("Other"));
        let tiers = vec![gitpod::OrganizationTier::Core.into()];
        let by_tier = own::OrganizationFilter { tiers, ..Default::default() };
        assert_eq!(names(&operator, by_tier).await, set(&["Other"]));

        let at = ana.get(&ids[2]).await.unwrap().created_at;
        let since = own::OrganizationFilter { start_time: at, ..Default::default() };
        assert_eq!(names(&operator, since).await, set(&["acme_two", "Other", "École 5"]));
        let until = own::OrganizationFilter { end_time: at, ..Default::default() };
        assert_eq!(names(&operator, until).await, set(&["Acme One", "ÉCOLE 50%"]));

        let request = own::ListOrganizationsRequest {
            filter: Some(own::OrganizationFilter { organization_id: ids[0].clone(), ..Default::default() }),
            page: None,
        };
        let one = operator.list_organizations(request.clone()).await.unwrap().organizations.remove(0);
        assert_eq!(one.creator_id, ana.account().await.to_string());
        assert_eq!((one.member_count, one.seat_limit), (1, 0));
        assert_eq!(one.organization.unwrap(), ana.get(&ids[0]).await.unwrap());
        ana.delete(&ids[0]).await.unwrap();
        assert!(operator.list_organizations(request).await.unwrap().organizations.is_empty());
    }

    async fn only_operators_list_organizations_and_a_bound_key_only_its_own(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.stranger.new_organization("Other").await;
        let service = app.key(Owner::Service("portal".parse().unwrap()), Some(KeyScope::Act), None);
        for who in [&org.admin, &org.member, &org.stranger, &service.await] {
            let failure = who.list_organizations(Default::default()).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
        let bound = Owner::Account(org.admin.account().await);
        let bound = app.key(bound, Some(KeyScope::Operator), Some(org.domain_id())).await;
        assert_eq!(names(&bound, Default::default()).await, set(&["Acme"]));
        let elsewhere = own::OrganizationFilter { organization_id: other, ..Default::default() };
        assert_eq!(names(&bound, elsewhere).await, set(&[]));

        let operator = app.operator().await;
        let page = Some(own::PageRequest { page_size: 1, page_token: String::new() });
        let first = own::ListOrganizationsRequest { filter: None, page };
        let page_token = operator.list_organizations(first).await.unwrap().next_page_token;
        let filter = Some(own::OrganizationFilter { search: "acme".into(), ..Default::default() });
        let page = Some(own::PageRequest { page_size: 1, page_token });
        let other_filter = own::ListOrganizationsRequest { filter, page };
        let failure = operator.list_organizations(other_filter).await.unwrap_err();
        assert_eq!(failure.fields, ["page.page_token"]);
        let wrong = own::OrganizationFilter {
            organization_id: "x".into(),
            tiers: vec![0],
            creator_id: "y".into(),
            ..Default::default()
        };
        let wrong = own::ListOrganizationsRequest { filter: Some(wrong), page: None };
        let failure = operator.list_organizations(wrong).await.unwrap_err();
        let expected = ["filter.organization_id", "filter.tiers[0]", "filter.creator_id"];
        assert_eq!(failure.fields, expected);
    }
}

on_both_engines! {
    async fn p43_a_filter_scans_a_limited_number_of_organizations_per_page(app: TestApp) {
        let org = app.organization().await;
        let acme = organizations::find(app.store().read(), org.domain_id()).await.unwrap().unwrap();
        // These ids are newer than the id of Acme.
        let newer = u128::MAX - 20_000;
        app.store()
            .write(change!(async move |tx| {
                for number in 0..10_050 {
                    let id = uuid::Uuid::from_u128(newer + number).into();
                    let name = "Crowd".parse().unwrap();
                    let one = Organization { id, name, ..acme.clone() };
                    organizations::insert(tx, &one).await?;
                }
                Ok(())
            }))
            .await
            .unwrap();
        let operator = app.operator().await;
        let search = |text: &str, page_token| own::ListOrganizationsRequest {
            filter: Some(own::OrganizationFilter { search: text.into(), ..Default::default() }),
            page: Some(own::PageRequest { page_size: 0, page_token }),
        };
        let first = operator.list_organizations(search("acme", String::new())).await.unwrap();
        assert!(first.organizations.is_empty() && !first.next_page_token.is_empty());
        let next = operator.list_organizations(search("acme", first.next_page_token)).await.unwrap();
        let found: Vec<String> =
            next.organizations.into_iter().map(|one| one.organization.unwrap().id).collect();
        assert_eq!((found, next.next_page_token.as_str()), (vec![org.id.clone()], ""));
        let crowd = operator.list_organizations(search("crowd", String::new())).await.unwrap();
        assert_eq!(crowd.organizations.len(), 25);
    }
}
