use crate::everywhere;
use crate::support::{Code, TestApp, own};

everywhere! {
    async fn a_removed_domain_admits_no_new_members_and_keeps_existing_ones(app: TestApp) {
        let org = app.organization().await;
        let domain = org.admin.proved_domain(&org.id, own::DomainMode::Automatic).await;
        let early = app.person_with(&format!("early@{}", domain.domain)).await;
        let member = early.join_by_id(&org.id).await.unwrap();
        org.admin.remove(&domain).await.unwrap();
        let event = org.admin.audit(&org.id).await.unwrap().remove(0);
        assert_eq!((event.action.as_str(), &event.target_id), ("domain.removed", &domain.id));
        let late = app.person_with(&format!("late@{}", domain.domain)).await;
        assert_eq!(late.join_by_id(&org.id).await.unwrap_err().code, Code::NotFound);
        assert_eq!(early.join_by_id(&org.id).await.unwrap().user_id, member.user_id);
        assert_eq!(org.admin.remove(&domain).await.unwrap_err().code, Code::NotFound);
        assert!(org.admin.domains(&org.id).await.unwrap().is_empty());
        // A domain that is added again needs a new proof.
        let again = org.admin.domain(&org.id, &domain.domain).await.unwrap();
        assert_ne!((again.id, again.txt_value), (domain.id, domain.txt_value));
    }
}
