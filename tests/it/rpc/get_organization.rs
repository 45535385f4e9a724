use guestlist::operations::keys::Owner;

use crate::everywhere;
use crate::support::{Code, TestApp};

everywhere! {
    async fn only_members_can_tell_that_an_organization_exists(app: TestApp) {
        let org = app.organization().await;
        for person in [&org.admin, &org.member] {
            assert_eq!(person.get(&org.id).await.unwrap().name, "Acme");
        }
        let unknown = uuid::Uuid::new_v4().to_string();
        let expected = org.stranger.get(&unknown).await.unwrap_err();
        assert_eq!(expected.code, Code::NotFound);
        assert_eq!(org.stranger.get(&org.id).await.unwrap_err(), expected);

        let (other, _) = org.stranger.new_organization("Other").await;
        let elsewhere = Owner::Account(org.stranger.account().await);
        let elsewhere = app.key(elsewhere, None, Some(other.parse().unwrap())).await;
        let token = org.admin.invite(&org.id).await.unwrap();
        org.stranger.join(&token).await.unwrap();
        assert!(org.stranger.get(&org.id).await.is_ok());
        assert_eq!(elsewhere.get(&org.id).await.unwrap_err(), expected);
    }

    async fn an_invalid_uuid_is_reported_by_field_name(app: TestApp) {
        let ana = app.person("ana").await;
        for id in ["", "x", "0197a2b45c6d7e8f9a0b1c2d3e4f5a6b", "{0197a2b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b}"] {
            let failure = ana.get(id).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument, "{id}");
            assert_eq!(failure.fields, ["organization_id"]);
        }
    }
}
