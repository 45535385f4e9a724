use std::collections::HashMap;

use futures::future::join_all;

use crate::support::{Code, TestApp, own, pairs};
use crate::{everywhere, on_both_engines};

fn request(organization: &str, member: &str) -> own::UpdateMemberMetadataRequest {
    own::UpdateMemberMetadataRequest {
        organization_id: organization.into(),
        member_id: member.into(),
        ..Default::default()
    }
}

everywhere! {
    async fn pairs_are_merged_and_an_empty_value_removes_a_pair(app: TestApp) {
        let org = app.organization().await;
        let set = own::UpdateMemberMetadataRequest {
            metadata: pairs(&[("plan", "pro"), ("a.b-c_1", "é \"🦀\" \\")]),
            external_id: Some("crm-7".into()),
            ..request(&org.id, &org.member_id)
        };
        let member = org.admin.update_member_metadata(set.clone()).await.unwrap().membership.unwrap();
        assert_eq!((&member.metadata, member.external_id.as_str()), (&set.metadata, "crm-7"));
        let events = org.admin.audit(&org.id).await.unwrap();
        assert_eq!((events[0].action.as_str(), events[0].note.as_str()), ("member.updated", "metadata, external_id"));
        // A repeated request changes nothing.
        org.admin.update_member_metadata(set).await.unwrap();
        assert_eq!(org.admin.audit(&org.id).await.unwrap().len(), events.len());

        let merge = own::UpdateMemberMetadataRequest {
            metadata: pairs(&[("plan", ""), ("team", "x"), ("none", "")]),
            ..request(&org.id, &org.member_id)
        };
        let merged = org.admin.update_member_metadata(merge).await.unwrap().membership.unwrap();
        let expected = pairs(&[("a.b-c_1", "é \"🦀\" \\"), ("team", "x")]);
        assert_eq!((&merged.metadata, merged.external_id.as_str()), (&expected, "crm-7"));
        assert_eq!(org.member.membership(&org.id, None).await.unwrap(), merged);
        let clear = own::UpdateMemberMetadataRequest {
            external_id: Some(String::new()),
            ..request(&org.id, &org.member_id)
        };
        let cleared = org.admin.update_member_metadata(clear).await.unwrap().membership.unwrap();
        assert_eq!((&cleared.metadata, cleared.external_id.as_str()), (&expected, ""));
        assert_eq!(org.member.membership(&org.id, None).await.unwrap(), cleared);
    }
}

on_both_engines! {
    async fn invalid_metadata_and_taken_external_ids_are_rejected(app: TestApp) {
        let org = app.organization().await;
        let numbered = |from: usize, to: usize| {
            (from..to).map(|i| (format!("k{i}"), "v".to_owned())).collect::<HashMap<_, _>>()
        };
        let with = |metadata| own::UpdateMemberMetadataRequest {
            metadata,
            ..request(&org.id, &org.member_id)
        };
        org.admin.update_member_metadata(with(numbered(0, 16))).await.unwrap();
        for wrong in [
            numbered(16, 17),
            pairs(&[("", "v")]),
            pairs(&[(&"k".repeat(41), "v")]),
            pairs(&[("a b", "v")]),
            pairs(&[("k1", &"é".repeat(501))]),
            pairs(&[("k1", "a\0")]),
        ] {
            let failure = org.admin.update_member_metadata(with(wrong)).await.unwrap_err();
            assert_eq!((failure.code, failure.fields), (Code::InvalidArgument, vec!["metadata".to_owned()]));
        }
        let longest = pairs(&[(&"k".repeat(40), &"é".repeat(500)), ("k0", "")]);
        org.admin.update_member_metadata(with(longest)).await.unwrap();

        let named = |member: &str, id: &str| own::UpdateMemberMetadataRequest {
            external_id: Some(id.into()),
            ..request(&org.id, member)
        };
        org.admin.update_member_metadata(named(&org.member_id, "x")).await.unwrap();
        let taken = org.admin.update_member_metadata(named(&org.admin_id, "x")).await.unwrap_err();
        assert_eq!((taken.code, taken.reason.as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
        // External ids are case-sensitive, and each organization has its own.
        org.admin.update_member_metadata(named(&org.admin_id, "X")).await.unwrap();
        let (other, own_id) = org.admin.new_organization("Other").await;
        let elsewhere = own::UpdateMemberMetadataRequest {
            external_id: Some("x".into()),
            ..request(&other, &own_id)
        };
        org.admin.update_member_metadata(elsewhere).await.unwrap();
        // After a member has left, another member may have the external id.
        org.member.end(&org.member_id).await.unwrap();
        org.admin.update_member_metadata(named(&org.admin_id, "x")).await.unwrap();
        let gone = org.admin.update_member_metadata(named(&org.member_id, "y")).await.unwrap_err();
        assert_eq!(gone.code, Code::NotFound);
    }

    async fn only_one_of_many_parallel_calls_gets_an_external_id(app: TestApp) {
        let org = app.organization().await;
        let token = org.admin.current_invite(&org.id).await.unwrap();
        let mut members = vec![org.admin_id.clone(), org.member_id.clone()];
        for name in ["ada", "bob", "cem", "dot", "eli", "fay"] {
            members.push(app.person(name).await.join(&token).await.unwrap().user_id);
        }
        let replicas = app.at_replicas(&[&org.admin]).await.remove(0);
        let calls = members.iter().enumerate().map(|(i, member)| {
            let set = own::UpdateMemberMetadataRequest {
                external_id: Some("one".into()),
                ..request(&org.id, member)
            };
            replicas[i % replicas.len()].update_member_metadata(set)
        });
        let outcomes = join_all(calls).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        for failure in outcomes.into_iter().filter_map(Result::err) {
            assert_eq!((failure.code, failure.reason.as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
        }
    }
}
