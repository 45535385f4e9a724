use crate::everywhere;
use crate::support::nameserver::new_domain;
use crate::support::{TestApp, own};

everywhere! {
    async fn the_domains_of_one_organization_are_listed_oldest_first(app: TestApp) {
        let org = app.organization().await;
        let (other, _) = org.admin.new_organization("Other").await;
        let first = org.admin.domain(&org.id, &new_domain()).await.unwrap();
        org.admin.domain(&other, &new_domain()).await.unwrap();
        let second = org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await;
        assert_eq!(org.admin.domains(&org.id).await.unwrap(), [first, second]);
        // The domains of a deleted organization are free for other organizations at once.
        let taken = org.admin.proved_domain(&other, own::DomainMode::Automatic).await;
        org.admin.delete(&other).await.unwrap();
        let here = org.admin.domain(&org.id, &taken.domain).await.unwrap();
        crate::support::domains::prove(&here);
        assert_eq!(org.admin.verify(&here).await.unwrap().state(), own::DomainState::Verified);
    }
}
