use crate::everywhere;
use crate::support::{TestApp, gitpod, own};

everywhere! {
    async fn a_member_sees_the_tier_that_an_operator_set(app: TestApp) {
        let (org, operator) = (app.organization().await, app.operator().await);
        let request = |tier: i32| own::SetTierRequest { organization_id: org.id.clone(), tier };
        for tier in [
            gitpod::OrganizationTier::Enterprise,
            gitpod::OrganizationTier::Core,
            gitpod::OrganizationTier::FreeOna,
            gitpod::OrganizationTier::Free,
        ] {
            operator.set_tier(request(tier.into())).await.unwrap();
            assert_eq!(org.member.get(&org.id).await.unwrap().tier(), tier);
        }
        for wrong in [0, 9] {
            let failure = operator.set_tier(request(wrong)).await.unwrap_err();
            assert_eq!(failure.fields, ["tier"]);
        }
    }
}
